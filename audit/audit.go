// Package audit tells what a store holds of every stream, and what is missing:
// from the coverage of the tables, the indexes of the sink files that no table
// holds yet, and the facts that adaptors told.
//
// A range is a gap when it lies between the start of a stream and the highest
// offset known of it, and neither a table nor a published sink file holds it,
// and no fact explains it. The start is 0, or where a Begin fact says that the
// adaptor was told to begin. What the source destroyed (lost), and what a
// filter or a full spool dropped, is reported beside the gaps and is none: the
// reason is known. A fork and the stream that it is one of are judged together:
// what one of them holds is no gap of the other. Forks, and what may be in a
// table twice, are reported, and neither is an error: all records are there. What
// the index of a file in quarantine says is known of its streams, too: what of it
// no table holds is a gap. What is still in a collector's spool, or on its way to
// one, is a gap for as long as something behind it was published first.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/store"
)

// Report is what the audit found. Its JSON form is a contract: keys are only
// ever added.
type Report struct {
	Streams     int     `json:"streams"`
	Records     int64   `json:"records"` // rows of the tables
	Bytes       int64   `json:"bytes"`   // of the streams that the tables hold
	Gaps        []Range `json:"gaps"`
	Overlaps    []Range `json:"overlaps"`    // rows written twice; at most MaxOverlaps
	Unpublished int64   `json:"unpublished"` // bytes in published sink files that no table holds yet

	OverlapsTotal int64   `json:"overlaps_total"`
	Lost          []Range `json:"lost"`    // destroyed by the source before they could be read
	Dropped       []Range `json:"dropped"` // by a filter or a full spool; at most MaxDropped of each stream
	// Unreadable are sink files whose header is damaged: what they held is not
	// known. Those in raw/ the demux will move to quarantine.
	Unreadable []string `json:"unreadable"`

	DroppedTotal int64 `json:"dropped_total"` // ranges
	DroppedBytes int64 `json:"dropped_bytes"`

	// Forks are streams whose bytes differ from those of another at the same
	// offsets; at most MaxForks.
	Forks      []Fork `json:"forks"`
	ForksTotal int64  `json:"forks_total"`
	// PerhapsDoubled may be in the table under another stream, too: it could not
	// be compared. At most MaxDoubtful.
	PerhapsDoubled      []Range `json:"perhaps_doubled"`
	PerhapsDoubledTotal int64   `json:"perhaps_doubled_total"` // ranges
	PerhapsDoubledBytes int64   `json:"perhaps_doubled_bytes"`
}

// Bounds of what a report lists: overlaps, forks and doubtful ranges in all,
// dropped ranges of one stream, as a filter may drop every other line of a large
// file. All are counted.
const (
	MaxOverlaps = 1000
	MaxDropped  = 1000
	MaxForks    = 1000
	MaxDoubtful = 1000
)

// Range is a part of a stream: [First, Last). Of a row that was written twice,
// Last is where the next row of its stream begins.
type Range struct {
	Type   string `json:"-"` // the data type; streams have ids that are unique without it
	Host   string `json:"host"`
	Source string `json:"source"`
	Stream string `json:"stream"`
	First  int64  `json:"first"`
	Last   int64  `json:"last"`
}

// OK reports whether there are neither gaps nor overlaps.
func (r *Report) OK() bool { return len(r.Gaps) == 0 && len(r.Overlaps) == 0 }

// Run audits the store. It locks nothing and runs beside live daemons: sink
// files are listed before the tables are read, so that one which the demux
// takes in meanwhile is seen in one place at least.
func Run(ctx context.Context, fs store.FS, baseURI string, engine *query.Engine) (Report, error) {
	a := auditor{fs: fs, baseURI: baseURI, engine: engine}
	// Empty lists, not null, in JSON.
	a.Gaps, a.Overlaps, a.Lost, a.Dropped, a.Unreadable = []Range{}, []Range{}, []Range{}, []Range{}, []string{}
	a.Forks, a.PerhapsDoubled = []Fork{}, []Range{}
	if err := a.run(ctx); err != nil {
		return Report{}, err
	}
	return a.Report, nil
}

type auditor struct {
	Report
	fs      store.FS
	baseURI string
	engine  *query.Engine
}

func (a *auditor) run(ctx context.Context) error {
	published, err := a.indexes(ctx, store.Raw, take)
	if err != nil {
		return err
	}
	damaged, err := a.indexes(ctx, store.Quarantine, takeDamaged)
	if err != nil {
		return err
	}
	types, err := table.List(ctx, a.fs)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, dataType := range types {
		set, err := a.table(ctx, dataType)
		if err != nil {
			return err
		}
		set.Merge(damaged[dataType])
		a.streams(dataType, set, published[dataType])
		delete(published, dataType)
		delete(damaged, dataType)
		if err := a.overlaps(ctx, dataType); err != nil {
			return err
		}
	}
	for dataType, set := range published {
		a.streams(dataType, damaged[dataType], set)
		delete(damaged, dataType)
	}
	for dataType, set := range damaged {
		a.streams(dataType, set, nil)
	}
	for _, list := range [][]Range{a.Gaps, a.Overlaps, a.Lost, a.Dropped, a.PerhapsDoubled} {
		slices.SortFunc(list, compare)
	}
	a.sortForks()
	slices.Sort(a.Unreadable)
	return nil
}

func compare(a, b Range) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Source, b.Source),
		cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.First, b.First))
}

// table takes in one table, and gives its coverage.
func (a *auditor) table(ctx context.Context, dataType string) (coverage.Set, error) {
	t, err := table.Open(ctx, a.fs, a.baseURI, dataType)
	if err != nil {
		return nil, fmt.Errorf("open table %s: %w", dataType, err)
	}
	files, err := t.Files(ctx, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("plan table %s: %w", dataType, err)
	}
	for _, f := range files {
		a.Records += f.Records
	}
	set, err := t.Coverage(ctx)
	if err != nil {
		return nil, fmt.Errorf("read coverage of table %s: %w", dataType, err)
	}
	return set, nil
}

// streams takes in the streams of one type: what its table holds, and what
// published sink files hold.
func (a *auditor) streams(dataType string, held, published coverage.Set) {
	known := held
	if len(published) > 0 {
		known = coverage.Set{}
		maps.Copy(known, held)
	}
	for _, st := range held {
		a.Bytes += st.Ranges.Len()
	}
	for id, p := range published {
		st := held[id]
		if st == nil {
			st = coverage.NewStream(p.Host, p.Source)
		}
		for _, r := range p.Ranges {
			a.Unpublished += st.Ranges.Missing(r).Len()
		}
		both := coverage.Set{id: st}.Clone()
		both.Merge(coverage.Set{id: p})
		known[id] = both[id]
	}
	families := familiesOf(known)
	for id, st := range known {
		if coverage.Base(id) == "" && families[id] == nil {
			a.gaps(dataType, id, st)
			a.stream(dataType, id, st, st.Ranges)
		}
	}
	for root, forks := range families {
		a.family(dataType, root, forks, known)
	}
	a.doubtful(dataType, known, held)
}

func (a *auditor) gaps(dataType, id string, st *coverage.Stream) {
	a.Gaps = append(a.Gaps, ranges(dataType, id, st, st.Gaps())...)
}

func ranges(dataType, id string, st *coverage.Stream, list chunk.Ranges) (out []Range) {
	for _, r := range list {
		out = append(out, Range{dataType, st.Host, st.Source, id, r.First, r.Last})
	}
	return out
}

// stream takes in one stream, of which st is all that is known, but for its gaps.
// came is what is known to have come of it, in whatever stream.
func (a *auditor) stream(dataType, id string, st *coverage.Stream, came chunk.Ranges) {
	a.Streams++
	// A collector that came back may have brought what was given up.
	for _, r := range st.Lost {
		a.Lost = append(a.Lost, ranges(dataType, id, st, came.Missing(r))...)
	}
	listed := 0
	for _, r := range st.Dropped {
		missing := came.Missing(r)
		a.DroppedTotal += int64(len(missing))
		a.DroppedBytes += missing.Len()
		missing = missing[:min(len(missing), MaxDropped-listed)]
		listed += len(missing)
		a.Dropped = append(a.Dropped, ranges(dataType, id, st, missing)...)
	}
}

// sinksAtOnce is how many sink files are read at a time.
const sinksAtOnce = 8

// indexes returns what the indexes of the sink files below dir tell, by data
// type.
func (a *auditor) indexes(ctx context.Context, dir string, take func(coverage.Set, *chunk.Index)) (map[string]coverage.Set, error) {
	paths, err := a.sinks(ctx, dir)
	if err != nil {
		return nil, err
	}
	out := map[string]coverage.Set{}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(sinksAtOnce)
	for _, p := range paths {
		g.Go(func() error {
			index, err := a.index(gctx, p)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // moved by the demux meanwhile
			case errors.Is(err, chunk.ErrInvalid):
				a.Unreadable = append(a.Unreadable, p)
				return nil
			case err != nil:
				return fmt.Errorf("read index of %s: %w", p, err)
			}
			if out[index.Type] == nil {
				out[index.Type] = coverage.Set{}
			}
			take(out[index.Type], index)
			return nil
		})
	}
	return out, g.Wait()
}

// take adds what an index tells to a set.
func take(set coverage.Set, index *chunk.Index) {
	for i := range index.Blocks {
		for _, e := range index.Blocks[i].Entries {
			st := set.Stream(e.Stream, e.Host, e.Source)
			if e.Kind == chunk.Data {
				st.Ranges = st.Ranges.Add(e.Range())
			} else {
				st.Tell(e.Kind, e.Range())
			}
		}
	}
}

// takeDamaged adds what the index of a quarantined file tells to a set: that
// its streams go on as far as its chunks did. What could be used of them is in
// the table, or came again since; the rest is missing, also where nothing that
// lies behind it has come.
func takeDamaged(set coverage.Set, index *chunk.Index) {
	for i := range index.Blocks {
		for _, e := range index.Blocks[i].Entries {
			st := set.Stream(e.Stream, e.Host, e.Source)
			if e.Kind == chunk.Data {
				st.Tell(chunk.End, chunk.Range{First: e.Last, Last: e.Last})
			} else {
				st.Tell(e.Kind, e.Range())
			}
		}
	}
}

func (a *auditor) index(ctx context.Context, p string) (*chunk.Index, error) {
	r, err := a.fs.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sink, err := chunk.ReadSink(r, r.Size())
	if err != nil {
		return nil, err
	}
	return &sink.Index, nil
}

// sinks lists the sink files below dir.
func (a *auditor) sinks(ctx context.Context, dir string) ([]string, error) {
	var out []string
	dirs := []string{dir}
	for len(dirs) > 0 {
		dir := dirs[0]
		dirs = dirs[1:]
		list, err := a.fs.List(ctx, dir)
		if err != nil {
			return nil, fmt.Errorf("list sink files in %s: %w", dir, err)
		}
		for _, info := range list {
			switch {
			case !info.IsDir && store.IsSink(info.Path):
				out = append(out, info.Path)
			case info.IsDir && path.Base(info.Path)[0] != '_':
				dirs = append(dirs, info.Path)
			}
		}
	}
	return out, nil
}
