package query

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
)

// Fine is the state of a table with which nothing is wrong.
const Fine = "ok"

// StateOf says in words how a table is: Fine, or the first thing that is wrong with
// it and what to do about it. It looks at all files that the table consists of, and
// reads no data file. An error is the context's alone.
func StateOf(ctx context.Context, st store.FS, baseURI, dataType string) (string, error) {
	h, err := table.Check(ctx, st, baseURI, dataType)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("can't be read: %v", err), nil
	}
	if d := h.Needed(); len(d) > 0 {
		return fmt.Sprintf("damaged: %v%s; see: akupara repair %s", d[0], more(len(d)-1), dataType), nil
	}
	t, err := trouble.Read(ctx, st, dataType)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return fmt.Sprintf("what is wrong with its runs can't be read: %v", err), nil
	case t == nil || t.Failing == nil && len(t.Aside) == 0 && len(t.Jobs) == 0:
		return Fine, nil
	case t.Failing != nil:
		return fmt.Sprintf("its runs fail since %s: %s", t.Failing.Since.UTC().Format(time.RFC3339), t.Failing.Error), nil
	case len(t.Aside) == 0:
		job := slices.Min(slices.Collect(maps.Keys(t.Jobs)))
		f := t.Jobs[job]
		return fmt.Sprintf("its job %s fails since %s%s: %s", job, f.Since.UTC().Format(time.RFC3339), more(len(t.Jobs)-1), f.Error), nil
	}
	return fmt.Sprintf("%s can't be used for now%s: %s", t.Aside[0].Path, more(len(t.Aside)-1), t.Aside[0].Error), nil
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// statesAtOnce is how many tables are looked at at a time.
const statesAtOnce = 8

// states returns the states of tables, in their order.
func (e *Engine) states(ctx context.Context, names []string) ([]string, error) {
	out := make([]string, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(statesAtOnce)
	for i, name := range names {
		g.Go(func() (err error) {
			out[i], err = e.tables.State(ctx, name)
			return err
		})
	}
	return out, g.Wait()
}
