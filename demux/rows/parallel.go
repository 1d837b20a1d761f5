package rows

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
	"github.com/akupara/akupara/demux/schema"
)

const (
	// asideBytes bounds a row group that is encoded aside, in bytes of the rows in
	// memory: it is in memory whole, encoded, until its turn comes.
	asideBytes = 64 << 20
	// asideRows are the least that are worth it, on average.
	asideRows = 4096
)

// putter returns a function that writes the i-th row group into the file that is
// open. It is to be called for each, in order; stop when no more is. Where there are
// several, and processors for them, they are encoded ahead, side by side: the files
// are the same.
func (g *gather) putter(ctx context.Context, cols []schema.Column, groups []rowGroup) (put func(i int) error, stop func(), err error) {
	rows := func(i int) []uint32 { return g.order[groups[i].first:groups[i].end] }
	n := min(len(groups), runtime.GOMAXPROCS(0))
	size := 0
	for _, r := range groups {
		size = max(size, r.end-r.first)
	}
	inMemory := g.b.Bytes() / int64(len(g.order)) * int64(size)
	if n < 2 || len(g.order)/len(groups) < asideRows || inMemory > asideBytes {
		return func(i int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return g.group(cols, rows(i))
		}, func() {}, nil
	}
	for len(g.b.others) < n {
		o, err := newGather(g.b)
		if err != nil {
			return nil, nil, err
		}
		g.b.others = append(g.b.others, o)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make([]chan *parquetfile.Group, len(groups))
	for i := range done {
		done[i] = make(chan *parquetfile.Group, 1)
	}
	for len(g.b.encoded) < n+1 {
		// Encoded, most rows take less than a fourth of what they do in memory.
		g.b.encoded = append(g.b.encoded, bytes.NewBuffer(make([]byte, 0, inMemory/4)))
	}
	free := make(chan *bytes.Buffer, n+1) // for the groups that are begun and not in their file
	for _, buf := range g.b.encoded[:n+1] {
		free <- buf
	}
	type task struct {
		group int
		data  *bytes.Buffer
	}
	todo := make(chan task)
	workers, ctx := errgroup.WithContext(ctx)
	workers.Go(func() error {
		defer close(todo)
		for i := range groups {
			t := task{group: i}
			select {
			case t.data = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case todo <- t:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for _, o := range g.b.others[:n] {
		o.order, o.runOf = g.order, g.runOf
		o.templates.forget()
		workers.Go(func() (err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
				}
			}()
			for t := range todo {
				group, err := o.aside(t.data, cols, rows(t.group))
				if err != nil {
					return err
				}
				done[t.group] <- group
			}
			return nil
		})
	}
	put = func(i int) error {
		select {
		case group := <-done[i]:
			err := g.w.Append(group)
			free <- group.Data
			return err
		case <-ctx.Done():
			if err := workers.Wait(); err != nil {
				return err
			}
			return ctx.Err()
		}
	}
	stop = func() {
		cancel()
		_ = workers.Wait() // put has said why
	}
	return put, stop, nil
}
