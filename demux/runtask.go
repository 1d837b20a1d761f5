package demux

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// runTask is a part of a run's plan: chunks of which all is new.
type runTask struct {
	Sinks []taskSink `json:"sinks"`
}

type taskSink struct {
	Path string `json:"path"`
	CRC  uint32 `json:"crc"`
	// Blocks are those of which all chunks are meant, by pairs of numbers: from, and
	// up to. Some are others.
	Blocks []int       `json:"blocks,omitempty"`
	Some   []taskBlock `json:"some,omitempty"`
}

// add adds a block of which those chunks are wanted.
func (s *taskSink) add(block int, want wanting) {
	chunks := pairs(want)
	n := len(s.Blocks)
	switch {
	case len(chunks) != 2 || chunks[0] != 0 || chunks[1] != len(want):
		s.Some = append(s.Some, taskBlock{N: block, Chunks: chunks})
	case n > 0 && s.Blocks[n-1] == block:
		s.Blocks[n-1]++
	default:
		s.Blocks = append(s.Blocks, block, block+1)
	}
}

// taskBlock names the chunks of a block by pairs of numbers: from, and up to.
type taskBlock struct {
	N      int   `json:"n"`
	Chunks []int `json:"chunks"`
}

// runResult is what came of a runTask: all of its chunks became rows, of which it
// does not say something else.
type runResult struct {
	madeRows
	Gone    []int                   `json:"gone,omitempty"`    // sink files that could not be read
	Left    []taskChunk             `json:"left,omitempty"`    // chunks that did not become rows
	Cut     []taskChunk             `json:"cut,omitempty"`     // of which the beginning did
	Damaged []taskChunk             `json:"damaged,omitempty"` // blocks; the other fields tell of their chunks
	Blank   map[string]chunk.Ranges `json:"blank,omitempty"`   // of streams of which no file tells
	// Filtered is what of each stream's chunks has no row, as filters dropped it.
	Filtered map[string]filtered `json:"filtered,omitempty"`
}

type filtered struct {
	Bytes   int64  `json:"bytes"`
	Filters string `json:"filters,omitempty"` // their names
}

// taskChunk says something of a chunk of a task.
type taskChunk struct {
	Sink  int `json:"sink"` // of the task
	Block int `json:"block"`
	Chunk int `json:"chunk"`
	// Last and CRC are of what became rows of it, where that is not all.
	Last   int64  `json:"last,omitempty"`
	CRC    uint32 `json:"crc,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// run does a task of a run.
func (n node) run(ctx context.Context, s *rowsShared, t *runTask) (*runResult, error) {
	d, err := n.demux(s)
	if err != nil {
		return nil, err
	}
	m := &mapping{Demux: d, shared: s, task: t}
	if err := m.do(ctx); err != nil {
		d.removeFiles(ctx, s.Type, m.result.Files)
		return nil, err
	}
	if wants := m.result.Wants; len(wants) > 0 {
		d.removeFiles(ctx, s.Type, m.result.Files) // of rounds before the first that wants some
		return &runResult{madeRows: madeRows{Wants: wants}}, nil
	}
	return &m.result, nil
}

func (n node) discardRows(ctx context.Context, r *runResult) { n.removeRows(ctx, &r.madeRows) }

// mapping is one runTask being done: rows in memory, written whenever they are many.
type mapping struct {
	*Demux
	shared *rowsShared
	task   *runTask
	result runResult

	backlog *backlog
	sinks   []*sinkFile // as in the task; nil where one can't be read
	left    map[spot]string
	cuts    map[spot]coverage.Sum // what became rows of chunks that were cut
	lost    map[*sinkFile]bool    // that could not be read again
	rounds  int
}

// maxFailures is of how many chunks a task finds out that they can't be parsed,
// before it leaves all others, too.
const maxFailures = 16

func (m *mapping) do(ctx context.Context) error {
	m.left, m.cuts, m.lost = map[spot]string{}, map[spot]coverage.Sum{}, map[*sinkFile]bool{}
	m.backlog = newBacklog(coverage.Set{}, &isolation{})
	for i := range m.task.Sinks {
		f, err := m.open(ctx, &m.task.Sinks[i])
		if err != nil {
			return err
		}
		m.sinks = append(m.sinks, f)
		if f != nil {
			m.backlog.files = append(m.backlog.files, f)
		}
	}
	for failures := 0; failures < maxFailures; {
		p := m.plan()
		if len(p.tasks) == 0 {
			break
		}
		took, err := m.round(ctx, p)
		var input *inputError
		switch {
		case errors.As(err, &input) && input.at != nil:
			m.left[*input.at] = err.Error()
			failures++
		case errors.As(err, new(*panicked)):
			m.log.Error("a task met a fault of the program; the rest of it is left", "type", m.shared.Type, "error", err)
			failures = maxFailures
		case err != nil:
			return err
		case !took:
			failures = maxFailures // the rest is not for tasks
		}
	}
	m.tellRest()
	return nil
}

// open opens a sink file of the task. One that can't be read is left: whoever planned
// the run knows what to do with it.
func (m *mapping) open(ctx context.Context, s *taskSink) (*sinkFile, error) {
	f, err := openSink(ctx, m.fs, s.Path)
	if err == nil {
		err = misplaced(f, m.shared.Type)
	}
	if err == nil && f.crc() != s.CRC {
		err = errors.New("it is another file than the one that was planned")
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		m.log.Warn("a sink file is left out of a task", "file", s.Path, "error", err)
		return nil, nil
	}
	return f, nil
}

// each calls do with the chunks of the task that are in readable files.
func (m *mapping) each(do func(f *sinkFile, at taskChunk, e *chunk.Entry)) {
	for i, f := range m.sinks {
		if f == nil {
			continue
		}
		one := func(block, n int) {
			if e := f.entry(block, n); e != nil {
				do(f, taskChunk{Sink: i, Block: block, Chunk: n}, e)
			}
		}
		some := m.task.Sinks[i].Some
		someTo := func(block int) { // those before a block
			for ; len(some) > 0 && some[0].N < block; some = some[1:] {
				for n := range inPairs(some[0].Chunks, chunk.MaxBatchChunks) {
					one(some[0].N, n)
				}
			}
		}
		blocks := len(f.sink.Index.Blocks)
		for block := range inPairs(m.task.Sinks[i].Blocks, blocks) {
			someTo(block)
			for n := range f.sink.Index.Blocks[block].Entries {
				one(block, n)
			}
		}
		someTo(blocks)
	}
}

// inPairs are the numbers below a bound that pairs name.
func inPairs(pairs []int, below int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			for n := max(pairs[i], 0); n < min(pairs[i+1], below); n++ {
				if !yield(n) {
					return
				}
			}
		}
	}
}

// plan is what is left to be done of the task.
func (m *mapping) plan() *plan {
	p := &plan{}
	m.each(func(f *sinkFile, at taskChunk, e *chunk.Entry) {
		if m.lost[f] || f.faulty(at.Block) || m.left[f.spot(at)] != "" || m.backlog.families.overlaps(e.Stream, e.Range()) {
			return
		}
		if n := len(p.tasks); n == 0 || p.tasks[n-1].file != f || p.tasks[n-1].block != at.Block {
			// What is left of a block is the planner's to know.
			p.tasks = append(p.tasks, task{file: f, block: at.Block, rest: true, want: make([]bool, len(f.sink.Index.Blocks[at.Block].Entries))})
		}
		p.tasks[len(p.tasks)-1].want[at.Chunk] = true
	})
	return p
}

func (f *sinkFile) spot(at taskChunk) spot { return spot{f.path, int32(at.Block), int32(at.Chunk)} }

// round makes rows of what fits into memory, and writes them. took reports whether
// that was anything.
func (m *mapping) round(ctx context.Context, p *plan) (took bool, err error) {
	m.rounds++
	r := &run{
		Demux: m.Demux, backlog: m.backlog, plan: p, rep: &Report{Type: m.shared.Type},
		id: fmt.Sprintf("%s-%s", m.shared.Run, store.NewID()),
	}
	defer func() { m.backlog.families.delta = coverage.Set{} }()
	if r.worker, err = m.workers.take(ctx); err != nil {
		return false, err
	}
	defer r.worker.done()
	r.newParser = func() (parse.Parser, error) { return m.rowParser(m.shared.Type, m.shared.Now) }
	parser, err := r.newParser()
	if err != nil {
		return false, err
	}
	b := r.worker.begin(m.shared.options(m.Demux))
	if err := r.parse(ctx, parser, b); err != nil {
		r.worker.broken = true
		var file *fileError
		if errors.As(err, &file) && ctx.Err() == nil {
			return true, m.drop(file)
		}
		return false, err
	}
	if m.result.take(m.shared, b) {
		var files []table.DataFile
		err := guard(func() (err error) {
			files, err = r.write(ctx, b, m.shared.Columns)
			return err
		})
		if err != nil {
			r.worker.broken = true
			m.removeFiles(ctx, m.shared.Type, files)
			return false, err
		}
		m.result.Files = append(m.result.Files, files...)
	}
	for id, st := range m.backlog.families.delta {
		took = took || len(st.Ranges) > 0
		if st.Filtered > 0 {
			m.filtered(id, st)
		}
		if b.Len() == 0 && len(st.Ranges) > 0 {
			if m.result.Blank == nil {
				m.result.Blank = map[string]chunk.Ranges{}
			}
			m.result.Blank[id] = m.result.Blank[id].AddAll(st.Ranges)
		}
	}
	maps.Copy(m.cuts, r.cuts)
	m.backlog.families.commit()
	return took, nil
}

// filtered adds what filters dropped of a stream's chunks.
func (m *mapping) filtered(id string, st *coverage.Stream) {
	if m.result.Filtered == nil {
		m.result.Filtered = map[string]filtered{}
	}
	sum := coverage.Stream{Filtered: m.result.Filtered[id].Bytes, Filters: m.result.Filtered[id].Filters}
	sum.Filter(st.Filtered, st.Filters)
	m.result.Filtered[id] = filtered{sum.Filtered, sum.Filters}
}

// drop leaves the rest of a file that can't be read any more.
func (m *mapping) drop(file *fileError) error {
	for _, f := range m.sinks {
		if f != nil && f.path == file.path {
			m.log.Warn("a sink file is left out of a task", "file", f.path, "error", file.err)
			m.lost[f] = true
			return nil
		}
	}
	return file
}

// tellRest says what of the task did not become rows.
func (m *mapping) tellRest() {
	covered := m.backlog.families.covered
	for i, f := range m.sinks {
		if f == nil {
			m.result.Gone = append(m.result.Gone, i)
		}
	}
	m.each(func(f *sinkFile, at taskChunk, e *chunk.Entry) {
		if f.faulty(at.Block) {
			// It may have been read before: what became rows then is told as of any block.
			if n := len(m.result.Damaged); n == 0 || m.result.Damaged[n-1].Sink != at.Sink || m.result.Damaged[n-1].Block != at.Block {
				m.result.Damaged = append(m.result.Damaged, taskChunk{Sink: at.Sink, Block: at.Block, Chunk: -1, Reason: f.reason(at.Block)})
			}
		}
		st := covered[e.Stream]
		switch {
		case st != nil && st.Ranges.Contains(e.Range()):
		case st != nil && st.Ranges.Overlaps(e.Range()):
			cut := m.cuts[f.spot(at)]
			at.Last, at.CRC = cut.Last, cut.CRC
			m.result.Cut = append(m.result.Cut, at)
		default:
			at.Reason = m.left[f.spot(at)]
			m.result.Left = append(m.result.Left, at)
		}
	})
}

// reason is what is wrong with a block.
func (f *sinkFile) reason(block int) string {
	for _, x := range f.faults {
		if x.Block == block && x.Chunk < 0 {
			return x.Reason
		}
	}
	return ""
}
