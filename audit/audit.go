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
// no table holds is a gap, and listed with the reason. Runs that fail and files
// that are damaged are told. What is still in a collector's spool, or on its way to
// one, is a gap for as long as something behind it was published first.
package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
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
	// Unreadable are sink files whose header is damaged, or another file's: what
	// they held is not known. Those in raw/ the demux will move to quarantine.
	Unreadable []string `json:"unreadable"`

	DroppedTotal int64 `json:"dropped_total"` // ranges
	DroppedBytes int64 `json:"dropped_bytes"` // of them, and of Filtered

	// Filtered are streams of which filters dropped records among others that are
	// there; at most MaxFiltered. Which ones the sink files say, by their offsets.
	Filtered      []Filtered `json:"filtered"`
	FilteredTotal int64      `json:"filtered_total"` // streams
	FilteredBytes int64      `json:"filtered_bytes"`

	// Forks are streams whose bytes differ from those of another at the same
	// offsets; at most MaxForks.
	Forks      []Fork `json:"forks"`
	ForksTotal int64  `json:"forks_total"`
	// PerhapsDoubled may be in the table under another stream, too: it could not
	// be compared. At most MaxDoubtful.
	PerhapsDoubled      []Range `json:"perhaps_doubled"`
	PerhapsDoubledTotal int64   `json:"perhaps_doubled_total"` // ranges
	PerhapsDoubledBytes int64   `json:"perhaps_doubled_bytes"`

	// Quarantined are records in quarantine/ that no table and no sink file in
	// raw/ holds; at most MaxQuarantined.
	Quarantined      []Quarantined `json:"quarantined"`
	QuarantinedTotal int64         `json:"quarantined_total"` // ranges
	QuarantinedBytes int64         `json:"quarantined_bytes"`
	// Failing are the data types whose runs fail, and Aside the files that runs
	// leave alone because they can't be used for now.
	Failing []Failing `json:"failing"`
	Aside   []Aside   `json:"aside"`
	// Damaged are files that hold other bytes than were written, or are missing.
	Damaged []Damaged `json:"damaged"`
	// Hidden are parts that a table's coverage says it holds, and none of its data
	// files has rows of. Uncovered are parts that data files have rows of, and the
	// coverage knows nothing of: they would be taken again. At most MaxOverlaps.
	Hidden         []Range `json:"hidden"`
	HiddenTotal    int64   `json:"hidden_total"` // ranges
	Uncovered      []Range `json:"uncovered"`
	UncoveredTotal int64   `json:"uncovered_total"` // ranges
	// CheckedFiles and CheckedBytes are what a deep audit has read whole.
	CheckedFiles int64 `json:"checked_files"`
	CheckedBytes int64 `json:"checked_bytes"`
	// Notes say what is odd and does no harm.
	Notes []string `json:"notes"`
}

// Bounds of what a report lists: overlaps, forks and doubtful ranges in all,
// dropped ranges of one stream, as a filter may drop every other line of a large
// file. All are counted.
const (
	MaxOverlaps = 1000
	MaxDropped  = 1000
	MaxForks    = 1000
	MaxDoubtful = 1000
	MaxFiltered = 1000

	MaxQuarantined = 1000
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

// Filtered is how many bytes of a stream filters dropped, and which ones.
type Filtered struct {
	Type   string `json:"type"`
	Host   string `json:"host"`
	Source string `json:"source"`
	Stream string `json:"stream"`
	Bytes  int64  `json:"bytes"`
	By     string `json:"by"`
}

// OK reports whether nothing is wrong: every record that is known of is in its
// table once, or on its way there, and every file is what it should be.
func (r *Report) OK() bool {
	return len(r.Gaps) == 0 && len(r.Overlaps) == 0 && len(r.Quarantined) == 0 && len(r.Unreadable) == 0 &&
		len(r.Hidden) == 0 && len(r.Uncovered) == 0 &&
		len(r.Failing) == 0 && len(r.Aside) == 0 && len(r.Damaged) == 0
}

// Options are how an audit is made.
type Options struct {
	// CacheDir is where it remembers what data files said that were looked at;
	// empty: nowhere, and all are asked each time.
	CacheDir string
	// Deep reads every byte of every file, and all rows.
	Deep bool
	// Progress is told how much of what a deep audit has read, in bytes; nil:
	// nobody is. It is called by several goroutines, one at a time.
	Progress func(what string, done, total int64)
}

// Run audits the store. It locks nothing and runs beside live daemons: sink
// files are listed before the tables are read, so that one which the demux
// takes in meanwhile is seen in one place at least.
func Run(ctx context.Context, fs store.FS, baseURI string, engine *query.Engine, opts Options) (Report, error) {
	a := auditor{fs: fs, baseURI: baseURI, engine: engine, opts: opts}
	// Empty lists, not null, in JSON.
	a.Gaps, a.Overlaps, a.Lost, a.Dropped, a.Unreadable = []Range{}, []Range{}, []Range{}, []Range{}, []string{}
	a.Forks, a.PerhapsDoubled, a.Filtered = []Fork{}, []Range{}, []Filtered{}
	a.Quarantined, a.Failing, a.Aside, a.Damaged, a.Hidden, a.Uncovered, a.Notes = []Quarantined{}, []Failing{}, []Aside{}, []Damaged{}, []Range{}, []Range{}, []string{}
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
	opts    Options
}

func (a *auditor) run(ctx context.Context) error {
	published, err := a.published(ctx)
	if err != nil {
		return err
	}
	aside, err := a.quarantine(ctx)
	if err != nil {
		return err
	}
	types, err := a.types(ctx)
	if err != nil {
		return err
	}
	for _, dataType := range types {
		if err := a.trouble(ctx, dataType); err != nil {
			return err
		}
		if err := a.table(ctx, dataType, published[dataType], aside[dataType]); err != nil {
			return err
		}
		delete(published, dataType)
		delete(aside, dataType)
	}
	if a.opts.Deep {
		for _, dir := range []string{store.Archive, store.Raw} {
			if err := a.deepSinks(ctx, dir); err != nil {
				return err
			}
		}
	}
	for dataType, set := range published {
		if err := a.judge(dataType, nothing, set, aside[dataType]); err != nil {
			return err
		}
		delete(aside, dataType)
	}
	for dataType, files := range aside {
		if err := a.judge(dataType, nothing, nil, files); err != nil {
			return err
		}
	}
	a.sort()
	return nil
}

func (a *auditor) note(format string, args ...any) {
	a.Notes = append(a.Notes, fmt.Sprintf(format, args...))
}

func (a *auditor) sort() {
	for _, list := range [][]Range{a.Gaps, a.Overlaps, a.Lost, a.Dropped, a.PerhapsDoubled, a.Hidden, a.Uncovered} {
		slices.SortFunc(list, compare)
	}
	a.sortForks()
	slices.SortFunc(a.Filtered, func(x, y Filtered) int {
		return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(x.Host, y.Host), cmp.Compare(x.Source, y.Source), cmp.Compare(x.Stream, y.Stream))
	})
	slices.Sort(a.Unreadable)
	slices.SortStableFunc(a.Quarantined, func(x, y Quarantined) int { return compare(x.Range, y.Range) })
	a.Quarantined = a.Quarantined[:min(len(a.Quarantined), MaxQuarantined)]
	slices.SortFunc(a.Damaged, func(x, y Damaged) int { return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(x.Path, y.Path)) })
}

func compare(a, b Range) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Source, b.Source),
		cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.First, b.First))
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

// filtered takes in what filters dropped of a stream; late came when it was sent again
// without them.
func (a *auditor) filtered(dataType, id string, st *coverage.Stream, late int64) {
	n := st.Filtered - late
	if n <= 0 {
		return
	}
	a.FilteredTotal++
	a.FilteredBytes += n
	a.DroppedBytes += n
	if len(a.Filtered) < MaxFiltered {
		a.Filtered = append(a.Filtered, Filtered{dataType, st.Host, st.Source, id, n, st.Filters})
	}
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
