package demux

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/retain"
	"github.com/akupara/akupara/demux/table"
)

// retained is what the job retain dropped.
type retained struct {
	Table   retain.DroppedRows `json:"table"`
	Archive retain.Dropped     `json:"archive"`
}

// retain drops what the config does not keep any more.
func (d *Demux) retain(ctx context.Context, req jobs.Request, tell func(done, total int64)) (jobs.Outcome, error) {
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
	if rows.Limits.None() && archive.None() {
		return jobs.Outcome{}, nil
	}
	if err := d.clock(ctx, jobLeasePath(req.Type)); err != nil {
		return jobs.Outcome{}, err
	}
	var r retained
	var err error
	if r.Table, err = rows.Drop(ctx, tell); err == nil {
		r.Archive, err = retain.Archive(ctx, d.fs, req.Type, archive, time.Now())
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
	return strings.Join(did, ", ")
}
