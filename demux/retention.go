package demux

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/retain"
)

// retained is what the job retain dropped.
type retained struct {
	Archive retain.Dropped `json:"archive"`
}

// retain drops what the config does not keep any more.
func (d *Demux) retain(ctx context.Context, req jobs.Request, _ func(done, total int64)) (jobs.Outcome, error) {
	keep := d.cfg.retention(req.Type)
	archive := retain.Limits{Age: keep.Archive.V.Std(), Size: int64(keep.ArchiveSize.V)}
	if archive.None() {
		return jobs.Outcome{}, nil
	}
	if err := d.clock(ctx, jobLeasePath(req.Type)); err != nil {
		return jobs.Outcome{}, err
	}
	var r retained
	var err error
	r.Archive, err = retain.Archive(ctx, d.fs, req.Type, archive, time.Now())
	return jobs.Outcome{Did: r.String(), Report: r}, err
}

func (r *retained) String() string {
	var did []string
	if a := r.Archive; a.Days > 0 || a.Files > 0 {
		did = append(did, fmt.Sprintf("dropped %s and %s of the archive", count(a.Days, "day"), count(a.Files, "file")))
	}
	return strings.Join(did, ", ")
}
