package demux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/retain"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
)

// retained is what the job retain dropped.
type retained struct {
	Table   retain.DroppedRows `json:"table"`
	Archive retain.Dropped     `json:"archive"`
	Raw     retain.Dropped     `json:"raw"` // lost: no table had them
}

// retain drops what the config does not keep any more.
func (d *Demux) retain(ctx context.Context, req jobs.Request, tell func(done, total int64)) (jobs.Outcome, error) {
	d = d.now()
	keep := d.cfg.retention(req.Type)
	rows := retain.Rows{
		FS: d.fs, Now: time.Now(), RunID: newRunID,
		Limits: retain.Limits{Age: keep.Table.V.Std(), Size: int64(keep.TableSize.V)},
		Open:   func(ctx context.Context) (*table.Table, error) { return d.open(ctx, req.Type) },
		Change: func(ctx context.Context, do func(context.Context, *table.Table) error) error {
			return d.change(ctx, req.Type, do)
		},
	}
	archive := retain.Limits{Age: keep.Archive.V.Std(), Size: int64(keep.ArchiveSize.V)}
	raw := keep.Raw.V.Std()
	if rows.Limits.None() && archive.None() && raw == 0 {
		return jobs.Outcome{}, nil
	}
	if err := d.clock(ctx, lease.JobPath(req.Type)); err != nil {
		return jobs.Outcome{}, err
	}
	var r retained
	var err error
	if r.Table, err = rows.Drop(ctx, tell); err == nil {
		r.Archive, err = retain.Archive(ctx, d.fs, req.Type, archive, time.Now(), d.sizes.of(req.Type))
	}
	if err == nil && raw > 0 {
		r.Raw, err = d.giveUp(ctx, req.Type, time.Now().Add(-raw))
	}
	if n := r.Table.Left; n > 0 {
		d.log.Warn("data files of an older version don't say what they hold, and are kept", "type", req.Type, "files", n)
	}
	return jobs.Outcome{Did: r.String(), Report: r}, err
}

func (r *retained) String() string {
	var did []string
	if t := r.Table; t.Files > 0 {
		did = append(did, fmt.Sprintf("dropped %d rows in %s", t.Rows, count(t.Files, "data file")))
	}
	if a := r.Archive; a.Days > 0 || a.Files > 0 {
		did = append(did, fmt.Sprintf("dropped %s and %s of the archive", count(a.Days, "day"), count(a.Files, "file")))
	}
	if n := r.Raw.Files; n > 0 {
		did = append(did, fmt.Sprintf("gave up %s that the table does not have", count(n, "sink file")))
	}
	return strings.Join(did, ", ")
}

// filesGivenUp is how many sink files are given up in one commit.
const filesGivenUp = 256

// giveUp removes sink files from raw/ that can't be brought into the table since
// before the limit, as is told beside it. What they hold is told as lost, in a commit
// before they go. Files that no run has come to yet stay, however old what they hold
// is: a collector may have kept it for long, or the demux may not have run.
func (d *Demux) giveUp(ctx context.Context, dataType string, limit time.Time) (given retain.Dropped, err error) {
	sinks, _, err := listSinks(ctx, d.fs, dataType)
	if err != nil {
		return given, err
	}
	told, err := trouble.Read(ctx, d.fs, dataType)
	if err != nil {
		return given, fmt.Errorf("read what keeps runs of %s from their work: %w", dataType, err)
	}
	sinks = slices.DeleteFunc(sinks, func(f store.Info) bool { return !givenUp(told, f, limit) })
	for len(sinks) > 0 && err == nil {
		batch := sinks[:min(len(sinks), filesGivenUp)]
		sinks = sinks[len(batch):]
		err = d.changeOr(ctx, dataType, true, func(ctx context.Context, t *table.Table) error {
			return d.giveUpFiles(ctx, t, batch, &given)
		})
	}
	return given, err
}

// givenUp reports whether a sink file could not be brought into the table since before
// the limit.
func givenUp(t *trouble.Trouble, f store.Info, limit time.Time) bool {
	if t == nil || !f.Mod.Before(limit) {
		return false
	}
	return t.Failing != nil && t.Failing.Since.Before(limit) ||
		slices.ContainsFunc(t.Aside, func(a trouble.Aside) bool { return a.Path == f.Path && a.Since.Before(limit) })
}

func (d *Demux) giveUpFiles(ctx context.Context, t *table.Table, files []store.Info, given *retain.Dropped) error {
	facts := coverage.Set{}
	var gone []store.Info
	for _, f := range files {
		if _, err := d.fs.Stat(ctx, f.Path); errors.Is(err, fs.ErrNotExist) {
			continue // a run took it
		}
		sink, err := openSink(ctx, d.fs, f.Path)
		if err != nil {
			d.log.Warn("a sink file can't be read, and is not given up", "type", t.Type(), "file", f.Path, "error", err)
			continue
		}
		for i := range sink.sink.Index.Blocks {
			for j := range sink.sink.Index.Blocks[i].Entries {
				e := &sink.sink.Index.Blocks[i].Entries[j]
				kind := e.Kind
				if kind == chunk.Data {
					kind = chunk.Lost
				}
				facts.Stream(e.Stream, e.Host, e.Source).Tell(kind, e.Range())
			}
		}
		gone = append(gone, f)
	}
	known, err := t.Sinks()
	if err != nil || len(gone) == 0 {
		return err
	}
	if _, err := t.Commit(ctx, table.Commit{RunID: newRunID(t), Delta: facts, Sinks: known}); err != nil {
		return err
	}
	for _, f := range gone {
		if err := d.fs.Remove(ctx, f.Path); err != nil {
			return fmt.Errorf("give up %s: %w", f.Path, err)
		}
		given.Files++
		given.Bytes += f.Size
	}
	d.log.Warn("sink files that the table does not have are older than retention.raw says; what they held is lost",
		"type", t.Type(), "files", len(gone), "first", gone[0].Path)
	return nil
}
