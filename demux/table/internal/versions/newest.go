package versions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Newest returns the number of the newest version there is, 0 where there is
// none. It changes nothing, and does not look for one that is missing.
func (l *Log) Newest(ctx context.Context) (int, error) {
	return l.newest(ctx, l.readHint(ctx))
}

func (l *Log) newest(ctx context.Context, hint int) (int, error) {
	n := hint
	if n > 0 {
		ok, err := l.exists(ctx, l.Path(n))
		if err != nil {
			return 0, err
		}
		if !ok { // wrong, or so old that its version was removed
			n = 0
		}
	}
	if n == 0 {
		var err error
		if n, err = l.list(ctx); err != nil || n == 0 {
			return 0, err
		}
	}
	for {
		ok, err := l.exists(ctx, l.Path(n+1))
		if err != nil || !ok {
			return n, err
		}
		n++
	}
}

// Settle returns the number of the newest version after having published what a
// dead or slow committer has claimed. It fails with ErrMissing where a newer
// one was published and is gone.
func (l *Log) Settle(ctx context.Context) (int, error) {
	hint := l.readHint(ctx)
	n, err := l.newest(ctx, hint)
	if err != nil {
		return 0, err
	}
	if n > 0 && hint < n {
		if ok, err := l.exists(ctx, l.Path(max(hint, 1))); err == nil && !ok {
			l.writeHint(ctx, n) // other readers do not look further
		}
	}
	gap := hint > n
	for !gap {
		helped, err := l.help(ctx, n+1)
		if gap = errors.Is(err, ErrMissing); gap {
			break
		}
		if err != nil || !helped {
			return n, err
		}
		newest, err := l.list(ctx)
		if err != nil {
			return 0, err
		}
		n = max(newest, n+1)
	}
	return l.settleGap(ctx, n, hint)
}

// settleGap is Settle where the hint, or the claim after version n, tells of a
// version that is not there.
func (l *Log) settleGap(ctx context.Context, n, hint int) (int, error) {
	s, missing, err := l.gap(ctx, n, hint)
	if err != nil {
		return 0, err
	}
	if missing > 0 {
		return 0, fmt.Errorf("version %d: %w", missing, ErrMissing)
	}
	n = max(n, s.newest)
	if s.waiting > n {
		from := path.Join(l.claim(s.waiting), s.owner, claimed)
		if err := l.fs.Rename(ctx, from, l.Path(s.waiting)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("publish version %d for another: %w", s.waiting, err)
		}
		l.writeHint(ctx, s.waiting)
		return l.Settle(ctx)
	}
	l.writeHint(ctx, n) // it was wrong, or lagged behind a gap
	return n, nil
}

// gap looks for versions above n that are not there, and returns the newest
// that is missing: published, and neither it nor a newer one there or claimed.
// Whatever is missing below one that is claimed, that one holds all of it.
func (l *Log) gap(ctx context.Context, n, hint int) (s above, missing int, err error) {
	if s, err = l.look(ctx, n); err != nil {
		return s, 0, err
	}
	n = max(n, s.newest)
	if s.waiting > n && s.waiting > s.published {
		return s, 0, nil
	}
	if s.published > n {
		return s, s.published, nil
	}
	if hint > n {
		// The newest version keeps its claim. Where it has it, nothing newer was
		// published, and the hint is junk.
		owners, err := l.fs.List(ctx, l.claim(n))
		if err != nil {
			return s, 0, fmt.Errorf("list claim of version %d: %w", n, err)
		}
		if n == 0 || len(owners) == 0 {
			return s, hint, nil
		}
	}
	return s, 0, nil
}

// Missing returns the newest version if it was published and is gone, else 0.
// It changes nothing.
func (l *Log) Missing(ctx context.Context) (int, error) {
	hint := l.readHint(ctx)
	n, err := l.list(ctx)
	if err != nil {
		return 0, err
	}
	_, missing, err := l.gap(ctx, n, hint)
	return missing, err
}

// above is what the claims tell of versions above one.
type above struct {
	newest    int    // the newest version there is, by a look after the claims
	published int    // the newest that was published, as its claim tells, and is not there; 0: none
	waiting   int    // the newest that is claimed and not published; 0: none
	owner     string // of that claim
}

// look reads the claims of versions above n, newest first.
func (l *Log) look(ctx context.Context, n int) (above, error) {
	var a above
	numbers, err := l.claimed(ctx)
	if err != nil {
		return a, err
	}
	for _, c := range slices.Backward(numbers) {
		if c <= n {
			break
		}
		owners, err := l.fs.List(ctx, l.claim(c))
		if err != nil {
			return a, fmt.Errorf("list claim of version %d: %w", c, err)
		}
		if len(owners) == 0 {
			continue // removed since: it was stale
		}
		owner := path.Base(owners[0].Path)
		waits, err := l.exists(ctx, path.Join(l.claim(c), owner, claimed))
		if err != nil {
			return a, err
		}
		if waits && a.waiting == 0 {
			a.waiting, a.owner = c, owner
		}
		if waits {
			continue
		}
		there, err := l.exists(ctx, l.Path(c))
		if err != nil {
			return a, err
		}
		if !there {
			a.published = c
		}
		break
	}
	a.newest, err = l.list(ctx)
	if a.published < a.newest {
		a.published = 0
	}
	return a, err
}

// claimed returns the numbers that have a claim, ascending.
func (l *Log) claimed(ctx context.Context) ([]int, error) {
	infos, err := l.fs.List(ctx, l.claims())
	if err != nil {
		return nil, fmt.Errorf("list claims: %w", err)
	}
	var out []int
	for _, in := range infos {
		if n, err := strconv.Atoi(strings.TrimPrefix(path.Base(in.Path), "v")); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Exists reports whether a version is there, or was ever published or claimed,
// as far as anything still tells.
func (l *Log) Exists(ctx context.Context) (bool, error) {
	hint := l.readHint(ctx)
	n, err := l.newest(ctx, hint)
	if err != nil || n > 0 || hint > 0 {
		return err == nil, err
	}
	numbers, err := l.claimed(ctx)
	return len(numbers) > 0, err
}

// Top returns the highest number that any version or claim has.
func (l *Log) Top(ctx context.Context) (int, error) {
	n, err := l.list(ctx)
	if err != nil {
		return 0, err
	}
	numbers, err := l.claimed(ctx)
	if err != nil {
		return 0, err
	}
	if k := len(numbers); k > 0 {
		n = max(n, numbers[k-1])
	}
	return n, nil
}

// Present returns the numbers of the versions that are there, ascending.
func (l *Log) Present(ctx context.Context) ([]int, error) {
	infos, err := l.fs.List(ctx, path.Join(l.dir, "metadata"))
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	var out []int
	for _, in := range infos {
		if n := Number(path.Base(in.Path)); n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// list finds the newest version without the hint.
func (l *Log) list(ctx context.Context) (int, error) {
	numbers, err := l.Present(ctx)
	if err != nil || len(numbers) == 0 {
		return 0, err
	}
	return numbers[len(numbers)-1], nil
}

// help publishes version n where it is claimed, and reports whether somebody
// has published it since the caller looked.
func (l *Log) help(ctx context.Context, n int) (bool, error) {
	owners, err := l.fs.List(ctx, l.claim(n))
	if err != nil {
		return false, fmt.Errorf("list claim of version %d: %w", n, err)
	}
	if len(owners) == 0 {
		return false, nil
	}
	// The caller may have looked long ago: a claim below the newest version is
	// stale, and must not be published.
	newest, err := l.list(ctx)
	if err != nil {
		return false, err
	}
	if newest >= n {
		return true, nil
	}
	if newest != n-1 {
		return false, fmt.Errorf("version %d is claimed, but the newest there is is %d", n, newest)
	}
	owner := path.Join(l.claim(n), path.Base(owners[0].Path))
	err = l.fs.Rename(ctx, path.Join(owner, claimed), l.Path(n))
	switch {
	case err == nil:
		l.writeHint(ctx, n)
		return true, nil
	case errors.Is(err, fs.ErrNotExist): // published by another; or removed, as it was stale
		ok, err := l.exists(ctx, l.Path(n))
		if err != nil {
			return false, err
		}
		if newest, err = l.list(ctx); err != nil || ok || newest >= n {
			return err == nil, err
		}
		if ok, err = l.exists(ctx, owner); err != nil {
			return false, err
		}
		if ok {
			return false, fmt.Errorf("version %d: %w", n, ErrMissing)
		}
		return false, fmt.Errorf("%s is neither claimed nor published", owner)
	}
	return false, fmt.Errorf("publish version %d for another: %w", n, err)
}

// readHint returns 0 for a hint that is missing or wrong.
func (l *Log) readHint(ctx context.Context) int {
	n, err := l.Hint(ctx)
	if err != nil {
		return 0
	}
	return n
}

// Hint reads version-hint.text, which may lag behind. What is no number is
// ErrHint.
func (l *Log) Hint(ctx context.Context) (int, error) {
	b, err := readFile(ctx, l.fs, l.HintPath(), 64)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%w: %.64q", ErrHint, b)
	}
	return n, nil
}

// HintPath is where the hint lies, relative to the store's root.
func (l *Log) HintPath() string { return path.Join(l.dir, "metadata/version-hint.text") }

// ErrHint says that the hint holds something else than a number.
var ErrHint = errors.New("it is no number of a version")
