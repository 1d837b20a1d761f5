package demux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/table"
)

// Redo says what is to be parsed again, by today's parser: the rows of the data
// files that have any with Since <= ts < Until.
type Redo struct {
	Type         string
	Since, Until time.Time // zero: no bound
	// DryRun parses, and changes nothing.
	DryRun bool
	// Tell is told how many of the files are done; nil: nobody is.
	Tell func(done, total int64)
}

// Redone is what a Redo did.
type Redone struct {
	Type        string `json:"type"`
	Files       int    `json:"files"`        // whose rows were parsed again
	FilesAfter  int    `json:"files_after"`  // that have them now
	RowsBefore  int64  `json:"rows_before"`  // in them
	RowsAfter   int64  `json:"rows_after"`   // that came of the same bytes
	ParseErrors int64  `json:"parse_errors"` // of RowsAfter
	Bytes       int64  `json:"bytes"`        // of raw log
	// Left are files whose rows stay as they are, with the reason; at most maxLeft.
	Left      []Left `json:"left,omitempty"`
	LeftTotal int    `json:"left_total,omitempty"`
	// Before and After are rows that begin at the same bytes, for a look.
	Before []SampleRow `json:"before,omitempty"`
	After  []SampleRow `json:"after,omitempty"`
}

// Left is a data file that was not redone.
type Left struct {
	File string `json:"file"`
	Why  string `json:"why"`
}

const (
	maxLeft = 100
	// redoBytes is how much raw log one commit of a redo replaces, about; where
	// tasks parse it, redoAwayBytes at most.
	redoBytes     = 1 << 30
	redoAwayBytes = 64 << 30
	// maxRedoChunks bounds the archived chunks that a redo knows at a time.
	maxRedoChunks = 4 << 20
)

func (d *Redone) leave(file string, format string, args ...any) {
	d.LeftTotal++
	if len(d.Left) < maxLeft {
		d.Left = append(d.Left, Left{file, fmt.Sprintf(format, args...)})
	}
}

func (d *Redone) String() string {
	var did []string
	if d.Files > 0 {
		did = append(did, fmt.Sprintf("parsed %d rows of %s again, into %d rows of %s", d.RowsBefore, count(d.Files, "data file"), d.RowsAfter, count(d.FilesAfter, "data file")))
	}
	if d.LeftTotal > 0 {
		did = append(did, fmt.Sprintf("left %s as they are: %s", count(d.LeftTotal, "data file"), d.Left[0].Why))
	}
	return strings.Join(did, "; ")
}

// Redo parses a table's rows again from the archived sink files, and puts them in
// the place of those that are there, in steps of one commit each. A data file is
// replaced only if all bytes that its rows cover are found, and each of them
// is in a row again. What is left is told. It waits up to wait for a job that is
// at work on the table.
func (d *Demux) Redo(ctx context.Context, o Redo, wait time.Duration) (Redone, error) {
	rep := Redone{Type: o.Type}
	if known, err := d.known(ctx, o.Type); err != nil || !known {
		return rep, cmp.Or(err, fmt.Errorf("there is no table %s", o.Type))
	}
	release, err := d.leases.Wait(ctx, lease.JobPath(o.Type), wait)
	if err != nil {
		return rep, err
	}
	defer release()
	err = d.redo(ctx, o, &rep)
	return rep, err
}

// redoJob is the job redo.
func (d *Demux) redoJob(ctx context.Context, req jobs.Request, tell func(done, total int64)) (jobs.Outcome, error) {
	if req.Since.IsZero() && req.Until.IsZero() {
		return jobs.Outcome{}, errors.New("say by since and until which rows are to be parsed again")
	}
	rep := Redone{Type: req.Type}
	err := d.redo(ctx, Redo{Type: req.Type, Since: req.Since, Until: req.Until, Tell: tell}, &rep)
	return jobs.Outcome{Did: rep.String(), Report: rep}, err
}

// redoFile is a data file whose rows are to be parsed again.
type redoFile struct {
	table.File
	ranges coverage.Set
	bytes  int64
}

func (d *Demux) redo(ctx context.Context, o Redo, rep *Redone) error {
	d = d.now()
	if o.Tell == nil {
		o.Tell = func(int64, int64) {}
	}
	t, err := d.open(ctx, o.Type)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no table %s", o.Type)
	}
	if err != nil {
		return err
	}
	files, err := t.Files(ctx, optional(o.Since), optional(o.Until))
	if err != nil {
		return fmt.Errorf("list data files: %w", err)
	}
	most := int64(redoBytes)
	if d.engine != nil && !o.DryRun {
		most = min(max(d.tasks.raw, 1), redoAwayBytes)
	}
	total := int64(len(files))
	for done := int64(0); len(files) > 0; {
		step, n, err := d.redoStep(ctx, files, most, rep)
		if err != nil {
			return err
		}
		files = files[n:]
		if err := d.redoFiles(ctx, o, step, rep); err != nil {
			return err
		}
		done += int64(n)
		o.Tell(done, total)
	}
	return nil
}

// optional is a bound of ts, nil for none.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// redoStep takes the first of the files, as many as one commit replaces, and
// returns those that say what their rows cover.
func (d *Demux) redoStep(ctx context.Context, files []table.File, most int64, rep *Redone) (step []redoFile, n int, err error) {
	size := int64(0)
	for n < len(files) && (n == 0 || size < most) && len(step) < 1000 {
		f := files[n]
		n++
		info, err := datafile.Read(ctx, d.fs, f.Path)
		switch {
		case errors.Is(err, datafile.ErrDamaged), errors.Is(err, fs.ErrNotExist):
			rep.leave(f.Path, "%v", err)
			continue
		case err != nil:
			return nil, n, err
		case info.Ranges == nil:
			rep.leave(f.Path, "it does not say what its rows cover: an older version wrote it")
			continue
		}
		x := redoFile{File: f, ranges: info.Ranges}
		for _, st := range info.Ranges {
			x.bytes += st.Ranges.Len()
		}
		size += x.bytes
		step = append(step, x)
	}
	return step, n, nil
}

// redoFiles replaces the rows of some data files.
func (d *Demux) redoFiles(ctx context.Context, o Redo, step []redoFile, rep *Redone) error {
	t, err := d.open(ctx, o.Type)
	if err != nil {
		return err
	}
	step, err = d.withoutForks(ctx, t, step, rep)
	if err != nil || len(step) == 0 {
		return err
	}
	parts, err := d.findArchived(ctx, o.Type, wantedOf(step))
	if half := len(step) / 2; errors.Is(err, errManyChunks) && half > 0 {
		if err := d.redoFiles(ctx, o, step[:half], rep); err != nil {
			return err
		}
		return d.redoFiles(ctx, o, step[half:], rep)
	}
	if err != nil {
		return err
	}
	step = found(step, parts, rep)
	if len(step) == 0 {
		return nil
	}
	for tries := 1; ; tries++ {
		r := &redoRun{Demux: d, table: t, id: newRunID(t), dataType: o.Type, dry: o.DryRun, first: len(rep.Before) == 0, files: step, wanted: wantedOf(step)}
		err := r.do(ctx, parts)
		if err == nil {
			r.tell(rep)
			return nil
		}
		switch {
		case errors.Is(err, table.ErrNotInTable), errors.Is(err, errRedoLeft):
			for _, f := range step {
				rep.leave(f.Path, "%v", err)
			}
			return nil
		case !errors.Is(err, table.ErrConflict) || tries == commitTries:
			return err
		}
		if t, err = d.open(ctx, o.Type); err != nil {
			return err
		}
	}
}

// withoutForks leaves the files alone whose streams have forks: which archived bytes
// became their rows was decided by what came before.
func (d *Demux) withoutForks(ctx context.Context, t *table.Table, step []redoFile, rep *Redone) ([]redoFile, error) {
	want := coverage.Want{}
	for i := range step {
		for id, st := range step[i].ranges {
			for _, r := range st.Ranges {
				want.Add(id, r)
			}
		}
	}
	known, err := t.CoverageOf(ctx, want)
	if err != nil {
		return nil, fmt.Errorf("read coverage: %w", err)
	}
	forked := map[string]bool{}
	for id := range known.Set {
		if coverage.Base(id) != "" {
			forked[coverage.Root(id)] = true
		}
	}
	return slices.DeleteFunc(step, func(f redoFile) bool {
		for id := range f.ranges {
			if root := coverage.Root(id); forked[root] || root != id {
				rep.leave(f.Path, "stream %s has forks", root)
				return true
			}
		}
		return false
	}), nil
}

// wantedOf returns what the rows of the files cover.
func wantedOf(step []redoFile) map[string]chunk.Ranges {
	pieces := map[string][]chunk.Range{}
	for i := range step {
		for id, st := range step[i].ranges {
			pieces[id] = append(pieces[id], st.Ranges...)
		}
	}
	out := make(map[string]chunk.Ranges, len(pieces))
	for id, list := range pieces {
		out[id] = chunk.Union(list)
	}
	return out
}
