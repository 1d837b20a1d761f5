package demux

import (
	"context"
	"fmt"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
)

// redoTask is a part of what a redo parses again: archived chunks in the order in
// which they are parsed.
type redoTask struct {
	Sinks []redoSink `json:"sinks"`
}

type redoSink struct {
	Path   string      `json:"path"`
	Chunks []redoChunk `json:"chunks"`
}

// redoChunk names a chunk, and what of it is wanted.
type redoChunk struct {
	Block int          `json:"b"`
	Chunk int          `json:"c"`
	Keep  chunk.Ranges `json:"k"`
}

// redoResult is what came of a redoTask: all that it wanted became rows.
type redoResult struct {
	madeRows
}

// redo does a task of a redo.
func (n node) redo(ctx context.Context, s *rowsShared, t *redoTask) (*redoResult, error) {
	d, err := n.demux(s)
	if err != nil {
		return nil, err
	}
	var res redoResult
	x := &reparse{
		Demux: d, dataType: s.Type, id: s.Run + "-" + store.NewID(), now: s.Now,
		options: func() rows.Options { return s.options(d) },
		plan:    func(b *rows.Builder) ([]schema.Column, bool) { return s.Columns, res.take(s, b) },
	}
	if err := x.do(ctx, t.parts()); err != nil {
		x.takeBack(ctx)
		return nil, err
	}
	if len(res.Wants) > 0 {
		x.takeBack(ctx)
		return &redoResult{madeRows{Wants: res.Wants}}, nil
	}
	res.Files = x.written
	return &res, nil
}

func (n node) discardRedone(ctx context.Context, r *redoResult) { n.removeRows(ctx, &r.madeRows) }

// parts are those of the task.
func (t *redoTask) parts() (out []redoPart) {
	for _, s := range t.Sinks {
		for _, c := range s.Chunks {
			out = append(out, redoPart{path: s.Path, block: c.Block, chunk: c.Chunk, keep: c.Keep})
		}
	}
	return out
}

// redoTasks parts what is to be parsed into tasks of about so many bytes.
func redoTasks(parts []redoPart, most int64) (tasks []redoTask) {
	size := int64(0)
	for i := range parts {
		p := &parts[i]
		n := p.keep.Len()
		if len(tasks) == 0 || size+n > most {
			tasks, size = append(tasks, redoTask{}), 0
		}
		size += n
		t := &tasks[len(tasks)-1]
		if k := len(t.Sinks); k == 0 || t.Sinks[k-1].Path != p.path {
			t.Sinks = append(t.Sinks, redoSink{Path: p.path})
		}
		sink := &t.Sinks[len(t.Sinks)-1]
		sink.Chunks = append(sink.Chunks, redoChunk{p.block, p.chunk, p.keep})
	}
	return tasks
}

// away has an engine's tasks parse the parts.
func (r *redoRun) away(ctx context.Context, parts []redoPart) error {
	by := newTabling[redoTask](r.Demux, kindRedo, r.dataType, r.id, r.table, func(x *redoResult) *madeRows { return &x.madeRows })
	by.tasks = redoTasks(parts, r.tasks.of)
	if err := by.work(ctx); err != nil {
		return fmt.Errorf("parse again: %w", err)
	}
	made := by.made()
	r.written, r.rows, r.failed = made.Files, made.Records, made.Failed
	r.columns, r.planned = by.wanted, by.shared.Columns
	return nil
}

// fileBytes is how much of raw log the files are about.
func fileBytes(step []redoFile) (n int64) {
	for i := range step {
		n += step[i].bytes
	}
	return n
}
