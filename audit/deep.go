package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/store"
)

// checked counts what a deep audit has read, and tells of it.
type checked struct {
	tell  func(what string, done, total int64) // nil: nobody wants to know
	what  string
	total int64 // bytes

	mu   sync.Mutex
	done int64
}

func (a *auditor) checking(what string, total int64) *checked {
	return &checked{tell: a.opts.Progress, what: what, total: total}
}

func (c *checked) add(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	if c.tell != nil {
		c.tell(c.what, c.done, c.total)
	}
}

// deepSinks reads all blocks of the sink files below dir.
func (a *auditor) deepSinks(ctx context.Context, dir string) error {
	files, err := sinks(ctx, a.fs, dir)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, f := range files {
		total += f.Size
	}
	progress := a.checking(dir, total)
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(deepAtOnce)
	for _, f := range files {
		g.Go(func() error {
			err := verifySink(gctx, a.fs, f.Path)
			if gctx.Err() != nil {
				return gctx.Err()
			}
			progress.add(f.Size)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // moved or expired meanwhile
			}
			a.CheckedFiles++
			a.CheckedBytes += f.Size
			if err != nil {
				a.damage(typeOf(f.Path), f.Path, kindSink, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// deepAtOnce is how many files are read whole at a time.
const deepAtOnce = 4

// verifySink reads a sink file, and compares its blocks with their checksums.
func verifySink(ctx context.Context, st store.FS, p string) error {
	r, err := st.Open(ctx, p)
	if err != nil {
		return err
	}
	defer r.Close()
	sink, err := chunk.ReadSink(r, r.Size())
	if err != nil {
		return err
	}
	if got := sink.Index.Segment; got != string(store.SegmentOf(p)) {
		return fmt.Errorf("it is segment %s in another's place", got)
	}
	if sink.Index.Type != typeOf(p) {
		return fmt.Errorf("it is of type %s", sink.Index.Type)
	}
	if sink.Damage != nil {
		return sink.Damage
	}
	if err := sink.CheckSchema(); err != nil {
		return err
	}
	var buf []byte
	for i := range sink.Index.Blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := sink.ReadBlock(i, buf)
		if err != nil {
			return err
		}
		buf = data[:0]
	}
	return nil
}

// deepRows compares the rows of one data file with what the file says that they
// cover. Rows that are twice in it go to h.
func (a *auditor) deepRows(ctx context.Context, dataType string, f table.File, h *held) error {
	info, err := datafile.Read(ctx, a.fs, f.Path) // again: all of them together would be too much to keep
	if err != nil {
		return err
	}
	said := info.Ranges
	among := func(p string) bool { return p == f.Path }
	var scattered []string // streams of which single rows are to be looked at
	records, odd, first := int64(0), int64(0), ""
	sql := fmt.Sprintf(`SELECT stream, min(seq), max(seq), count(*), count(DISTINCT seq) FROM "%s" GROUP BY stream`, dataType)
	_, err = a.engine.EachIn(ctx, among, sql, func(_ []query.Column, row []query.Cell) error {
		var n [4]int64
		for i := range n {
			var err error
			if n[i], err = number(row[i+1]); err != nil {
				return err
			}
		}
		records += n[2]
		id := strings.Clone(row[0].Text)
		st := said[id]
		switch {
		case st == nil:
			odd += n[2]
			first = fmt.Sprintf("stream %s at byte %d", id, n[0])
		case n[2] != n[3] || !st.Ranges.Contains(chunk.Range{First: n[0], Last: n[1] + 1}):
			scattered = append(scattered, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read rows of %s: %w", f.Path, err)
	}
	for len(scattered) > 0 {
		ids := scattered[:min(len(scattered), maxAsked)]
		scattered = scattered[len(ids):]
		sql := fmt.Sprintf(`SELECT stream, seq FROM "%s" WHERE stream IN (%s) ORDER BY stream, seq`, dataType, quoted(ids))
		stream, last := "", int64(-1)
		_, err := a.engine.EachIn(ctx, among, sql, func(_ []query.Column, row []query.Cell) error {
			seq, err := number(row[1])
			if err != nil {
				return err
			}
			r := chunk.Range{First: seq, Last: seq + 1}
			switch {
			case row[0].Text != stream:
				stream = strings.Clone(row[0].Text)
			case seq == last:
				h.doubled(stream, chunk.Ranges{r})
			}
			if !said[stream].Ranges.Contains(r) {
				odd++
				first = fmt.Sprintf("stream %s at byte %d", stream, seq)
			}
			last = seq
			return nil
		})
		if err != nil {
			return fmt.Errorf("read rows of %s: %w", f.Path, err)
		}
	}
	if odd > 0 {
		a.damage(dataType, f.Path, string(table.KindDataFile), fmt.Errorf("it has %d rows that its footer knows nothing of: %s", odd, first))
	}
	if records != f.Records {
		a.damage(dataType, f.Path, string(table.KindDataFile), fmt.Errorf("it has %d rows, the table says %d", records, f.Records))
	}
	return nil
}

// deepTable is footers for a deep audit: all bytes and all rows of these files are
// read.
func (a *auditor) deepTable(ctx context.Context, dataType string, files []table.File, h *held) (plain bool, err error) {
	total := int64(0)
	for _, f := range files {
		total += f.Size
	}
	progress := a.checking(path.Join(store.Tables, dataType), total)
	verify := func(ctx context.Context, f table.File) (*datafile.Info, error) {
		info, err := datafile.Verify(ctx, a.fs, f.Path)
		progress.add(f.Size)
		return info, err
	}
	plain, err = a.footers(ctx, dataType, files, h, verify)
	if err != nil {
		return plain, err
	}
	a.CheckedFiles += int64(len(files))
	a.CheckedBytes += total
	for _, f := range files {
		if a.isDamaged(f.Path) {
			continue
		}
		if _, silent := h.plain[f.Path]; silent {
			continue // its rows are grouped with those of its like
		}
		if err := a.deepRows(ctx, dataType, f, h); err != nil {
			if ctx.Err() != nil {
				return plain, err
			}
			a.damage(dataType, f.Path, string(table.KindDataFile), err)
		}
	}
	return plain, nil
}
