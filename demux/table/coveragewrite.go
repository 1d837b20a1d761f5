package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
)

// coverageLimits say when the coverage's files are merged. Zeros are defaults.
type coverageLimits struct {
	// tail is up to how many bytes the newest group is written anew by a commit,
	// with what that adds. Sizes of groups are compared in powers of fan of it.
	tail int64
	// part is how many bytes a file has at least, but the last one of a group: one
	// step of a merge.
	part int64
	// text is how long the property may be.
	text int
}

const (
	fan = 4 // groups of a size are merged when there are so many
	// wholeSegments is up to how many ranges a stream is written with all that is
	// known of it, so that older files need not be asked: streams that grow are found
	// in the newest.
	wholeSegments = 64
	wholeSums     = 64
	// settledAfter is how long after it was last seen a stream that has ended and is
	// complete loses its checksums.
	settledAfter = 7 * 24 * time.Hour
)

func (l coverageLimits) or() coverageLimits {
	return coverageLimits{cmp.Or(l.tail, 64<<10), cmp.Or(l.part, 32<<20), cmp.Or(l.text, 8<<10)}
}

// level is the size of a group: up to l.tail, fan times as much, and so on.
func (l coverageLimits) level(g *coverageGroup) (n int) {
	for top := l.tail; g.bytes() > top; top *= fan {
		n++
	}
	return n
}

// sums is how many checksums a stream keeps in a merge of so many bytes: of tables of
// very many streams each keeps fewer.
func sumsFor(bytes int64) int {
	switch {
	case bytes < 1<<20:
		return coverage.MaxSums
	case bytes < 4<<20:
		return 64
	case bytes < 16<<20:
		return 16
	}
	return 4
}

// writeCoverage writes what the commit adds, and does a step of the merging that is
// due. It returns the property. Of the streams that are known all is written that
// the table will hold.
func (a *attempt) writeCoverage(ctx context.Context, run string, delta coverage.Set, known *coverage.Known) (string, error) {
	tree, _, err := a.base.coverageTree(ctx)
	if err != nil {
		return "", err
	}
	w := coverageWriter{a, run, a.base.cover.or()}
	added := func() (coverage.Source, func()) {
		return coverage.ReadAhead(newAddedSource(delta, known, time.Now()))
	}
	if n := len(tree) - 1; n >= 0 && !tree[n].set() && tree[n].from == "" && tree[n].bytes() <= w.tail {
		src, stop := added()
		defer stop()
		g, err := w.mergeTail(ctx, tree[n:], src)
		stop()
		if err == nil {
			return w.finish(ctx, append(tree[:n:n], g))
		} else if err := w.fatal(ctx, err); err != nil {
			return "", err
		}
		// What can't be read stops no commit: it stops the next look at it.
	}
	src, stop := added()
	defer stop()
	g, err := w.group(src)
	if err != nil {
		return "", err
	}
	return w.finish(ctx, append(tree[:len(tree):len(tree)], g))
}

// addedSource is what a commit writes of the streams that it adds to: where that is
// not much, all that the table will hold of them, which is whole then.
type addedSource struct {
	delta  coverage.Source
	known  *coverage.Known
	forked map[string]bool // roots
	now    time.Time
}

func newAddedSource(delta coverage.Set, known *coverage.Known, now time.Time) *addedSource {
	s := &addedSource{coverage.SetSource(delta, nil), known, map[string]bool{}, now}
	if known == nil {
		return s
	}
	for _, of := range [...]coverage.Set{delta, known.Set} {
		for id := range of {
			if coverage.Base(id) != "" {
				s.forked[coverage.Root(id)] = true
			}
		}
	}
	return s
}

// Next implements coverage.Source.
func (s *addedSource) Next() (*coverage.Piece, error) {
	p, err := s.delta.Next()
	if err != nil {
		return nil, err
	}
	if p.Seen.IsZero() {
		p.Seen = s.now
	}
	p.Since = p.Seen // of the first commit that tells of it: a merge keeps that
	if coverage.Base(p.ID) != "" || s.forked[p.ID] || !s.known.All(p.ID) {
		return p, nil
	}
	full := p.Stream
	if k := s.known.Set[p.ID]; k != nil {
		full = k.With(p.Stream)
	}
	if len(full.Ranges)+len(full.Lost)+len(full.Dropped)+len(full.Doubtful)+len(full.Certain) > wholeSegments {
		return p, nil
	}
	if n := len(full.Sums) - max(wholeSums, len(p.Sums)); n > 0 {
		full.Sums = full.Sums[n:]
	}
	p.Stream, p.Whole = full, true
	return p, nil
}

// coverageWriter writes files of the coverage.
type coverageWriter struct {
	*attempt
	run string
	coverageLimits
}

// fatal returns an error that is not about reading files of the coverage.
func (w *coverageWriter) fatal(ctx context.Context, err error) error {
	if writeErr := w.io.writeErr(); writeErr != nil {
		return writeErr
	}
	if ctx.Err() != nil {
		return err
	}
	return nil
}

// finish returns the property that names the tree, after a step of merging.
func (w *coverageWriter) finish(ctx context.Context, tree coverageTree) (string, error) {
	if next, err := w.merge(ctx, tree); err == nil {
		tree = next
	} else if err := w.fatal(ctx, err); err != nil {
		return "", err
	}
	text := tree.String()
	if len(text) <= w.text {
		return text, nil
	}
	f := coverageFile{name: w.name(listPrefix), hasCRC: true}
	if err := w.io.WriteFile(w.uri(f), []byte(text)); err != nil {
		return "", fmt.Errorf("write coverage: %w", err)
	}
	s := sumOf([]byte(text))
	f.bytes, f.crc = s.size, s.crc
	return "@" + f.String(), nil
}

func (w *coverageWriter) name(prefix string) string {
	// The id tells attempts of one run apart.
	return fmt.Sprintf("%s%s-%s.cov", prefix, w.run, store.NewID())
}

func (w *coverageWriter) uri(f coverageFile) string {
	return w.io.uri(path.Join(w.base.coverageDir(), f.name))
}

// mergeTail writes a new group of the tail and what is added.
func (w *coverageWriter) mergeTail(ctx context.Context, tail []coverageGroup, added coverage.Source) (coverageGroup, error) {
	old, closeAll := w.base.merger(ctx, tail, "")
	defer closeAll()
	return w.group(coverage.NewMerger(old, added))
}

// group writes all that a source tells as a group.
func (w *coverageWriter) group(src coverage.Source) (g coverageGroup, err error) {
	r := &ahead{src: src}
	for from, done := "", false; !done; {
		f, next, err := w.file(r, from)
		if err != nil {
			for _, f := range g.files {
				_ = w.io.Remove(w.uri(f))
			}
			return coverageGroup{}, err
		}
		g.files = append(g.files, f)
		from, done = next, next == ""
	}
	return g, nil
}

// ahead is a source of which the next piece may be put back.
type ahead struct {
	src  coverage.Source
	back *coverage.Piece
}

// Next implements coverage.Source.
func (r *ahead) Next() (*coverage.Piece, error) {
	if p := r.back; p != nil {
		r.back = nil
		return p, nil
	}
	return r.src.Next()
}

// file writes a file of what comes next, which is a part at most, but one family at
// least. It returns the root that it stops before, "" for the end.
func (w *coverageWriter) file(r *ahead, start string) (f coverageFile, next string, err error) {
	f = coverageFile{name: w.name(treePrefix), hasCRC: true, start: start}
	out, err := w.io.Create(w.uri(f))
	if err != nil {
		return f, "", err
	}
	closed := false
	defer func() {
		if err != nil {
			if !closed {
				_ = out.Close()
			}
			_ = w.io.Remove(w.uri(f))
		}
	}()
	cw, err := coverage.NewWriter(out)
	if err != nil {
		return f, "", err
	}
	for root := ""; ; {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f, "", err
		}
		if at := coverage.Root(p.ID); at != root {
			if root != "" && cw.Size() >= w.part {
				r.back, next = p, at
				break
			}
			root = at
		}
		if err := cw.Add(p); err != nil {
			return f, "", err
		}
	}
	if f.bytes, f.crc, err = cw.Finish(); err != nil {
		return f, "", err
	}
	closed = true
	if err := out.Close(); err != nil {
		return f, "", fmt.Errorf("write coverage: %w", err)
	}
	return f, next, nil
}

// merge does one step of the merging that is due: it writes at most a part. So no
// commit pays for all.
func (w *coverageWriter) merge(ctx context.Context, tree coverageTree) (coverageTree, error) {
	i, j := w.due(tree)
	if i == j {
		return tree, nil
	}
	inputs := slices.Clone(tree[i:j])
	from := inputs[0].from
	old := tree[:i:i]
	var out coverageGroup
	if from != "" { // it goes on
		out = coverageGroup{files: slices.Clone(tree[i-1].files)}
		old = tree[: i-1 : i-1]
	}
	m, closeAll := w.base.merger(ctx, inputs, from)
	defer closeAll()
	total := int64(0)
	for _, g := range inputs {
		total += g.bytes()
	}
	m.Sums, m.Settled = sumsFor(total), time.Now().Add(-settledAfter)
	f, next, err := w.file(&ahead{src: m}, from)
	if err != nil {
		return nil, err
	}
	out.files = append(out.files, f)
	merged := append(old, out)
	if next != "" {
		for _, g := range inputs {
			g.from = next
			n := g.of(next)
			g.files = g.files[n:]
			merged = append(merged, g)
		}
	}
	return append(merged, tree[j:]...), nil
}

// due selects the groups [i,j) of which a step of a merge is to be done: those of
// older versions, else small ones before large ones.
func (w *coverageWriter) due(tree coverageTree) (i, j int) {
	if i = slices.IndexFunc(tree, func(g coverageGroup) bool { return g.set() }); i >= 0 {
		for j = i; j < len(tree) && tree[j].set(); j++ {
		}
		return i, j
	}
	most := 0
	for k := range tree {
		most = max(most, w.level(&tree[k]))
	}
	for level := range most + 1 {
		n := 0
		for k := len(tree) - 1; k >= 0; k-- {
			merging := tree[k].from != "" || k+1 < len(tree) && tree[k+1].from != ""
			at := w.level(&tree[k])
			switch {
			case merging || at > level:
				n = 0
			case at == level:
				if n == 0 {
					j = k + 1
				}
				if n++; n == fan {
					return k, j
				}
			}
		}
	}
	i = slices.IndexFunc(tree, func(g coverageGroup) bool { return g.from != "" })
	if i < 0 {
		return 0, 0
	}
	for j = i; j < len(tree) && tree[j].from == tree[i].from; j++ {
	}
	return i, j
}
