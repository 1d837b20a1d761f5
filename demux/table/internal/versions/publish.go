package versions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/akupara/akupara/store"
)

// Publish makes data version n, which must follow the version that data was
// made from. It returns nil when it is published, by us or by a helper;
// ErrLost when another's is; ErrUnknown when it can't tell. After any other
// error nothing of it will ever be published.
func (l *Log) Publish(ctx context.Context, n int, data []byte) error {
	id := store.NewID()
	tmp := l.temp("tmp", id)
	if err := l.write(ctx, path.Join(tmp, id, claimed), data); err != nil {
		_ = l.fs.Remove(ctx, tmp)
		return fmt.Errorf("prepare version %d: %w", n, err)
	}
	err := l.fs.Rename(ctx, tmp, l.claim(n))
	// From here on the outcome matters more than the caller's hurry.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		ours, err := l.settleClaim(ctx, n, id, tmp, err)
		if err != nil {
			return err
		}
		if !ours {
			return fmt.Errorf("claim version %d: %w", n, ErrLost)
		}
	}
	return l.publish(ctx, n, id, data)
}

// settleClaim finds out, after a rename that said cause, whether the claim is
// ours. Once the source is removed, a rename that is still under way can't
// succeed any more, so what is seen then is final.
func (l *Log) settleClaim(ctx context.Context, n int, id, tmp string, cause error) (ours bool, err error) {
	err = l.insist(func() error {
		if err := l.fs.Remove(ctx, tmp); err != nil {
			return err
		}
		var err error
		ours, err = l.exists(ctx, path.Join(l.claim(n), id))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("claim version %d: %w: %w, then %w", n, ErrUnknown, cause, err)
	}
	return ours, nil
}

// publish moves our claim's file to its place, unless the claim came too late.
func (l *Log) publish(ctx context.Context, n int, id string, data []byte) error {
	file := path.Join(l.claim(n), id, claimed)
	published := false
	err := l.insist(func() error {
		newest, err := l.list(ctx)
		if err != nil {
			return err
		}
		if newest < n {
			err := l.fs.Rename(ctx, file, l.Path(n))
			if err == nil {
				published = true
				return nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		// Either a helper was faster, or the claim is stale: it was made where
		// an old claim had been cleaned away.
		waiting, err := l.exists(ctx, file)
		if err != nil {
			return err
		}
		if waiting {
			published = false
			return l.fs.Remove(ctx, l.claim(n))
		}
		published, err = l.isOurs(ctx, n, data)
		return err
	})
	switch {
	case err != nil: // claimed, so it will be published by whoever comes next
		return fmt.Errorf("publish version %d: %w: %w", n, ErrUnknown, err)
	case !published:
		return fmt.Errorf("publish version %d: %w", n, ErrLost)
	}
	l.writeHint(ctx, n)
	return nil
}

// isOurs compares the published version n with what we wanted to publish. One
// that is gone again was ours: our claim's file left its claim.
func (l *Log) isOurs(ctx context.Context, n int, data []byte) (bool, error) {
	got, err := l.Read(ctx, n)
	if errors.Is(err, fs.ErrNotExist) {
		newest, err := l.list(ctx)
		if err == nil && newest < n {
			err = fmt.Errorf("version %d is neither claimed nor published", n)
		}
		return err == nil, err
	}
	return bytes.Equal(got, data), err
}

// insist tries until it succeeds or patience is at its end; at least once.
func (l *Log) insist(try func() error) error {
	const maxWait = 2 * time.Second
	deadline := time.Now().Add(l.Patience)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, maxWait) {
		err := try()
		if err == nil || time.Now().Add(wait).After(deadline) {
			return err
		}
		<-time.After(wait)
	}
}

// Sweep removes what committers left behind and claims that were published,
// both older than the given age, oldest versions first. It gives how many it
// removed.
func (l *Log) Sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	newest, err := l.list(ctx)
	if err != nil {
		return 0, err
	}
	infos, err := l.fs.List(ctx, l.claims())
	if err != nil {
		return 0, fmt.Errorf("list claims: %w", err)
	}
	removed := 0
	limit := time.Now().Add(-olderThan)
	old := map[int]string{}
	lowest := newest
	for _, in := range infos {
		base := path.Base(in.Path)
		n := 0
		if strings.HasPrefix(base, "v") {
			_, _ = fmt.Sscanf(base, "v%d", &n)
		}
		switch {
		case !in.Mod.Before(limit):
		case n > 0 && n < newest: // the newest keeps its claim
			old[n] = in.Path
			lowest = min(lowest, n)
		case n == 0:
			if err := l.fs.Remove(ctx, in.Path); err != nil {
				return removed, fmt.Errorf("remove what a committer left: %w", err)
			}
			removed++
		}
	}
	for n := lowest; n < newest && len(old) > 0; n++ {
		if p, ok := old[n]; ok {
			delete(old, n)
			if err := l.fs.Remove(ctx, p); err != nil {
				return removed, fmt.Errorf("remove claim: %w", err)
			}
			removed++
		}
	}
	return removed, nil
}
