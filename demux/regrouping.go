package demux

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/regroup"
)

// regroupBytes is how much of a type's archive one turn of the job copies: then other
// jobs on the table have their turn, and the rest is copied the time after.
const regroupBytes = 16 << 30

// regroup puts the small archived sink files of old days into large ones.
func (d *Demux) regroup(ctx context.Context, req jobs.Request, tell func(done, total int64)) (jobs.Outcome, error) {
	d = d.now()
	rep, err := regroup.Run(ctx, regroup.Options{
		FS: d.fs, Type: req.Type, Age: d.cfg.RegroupAfter.Std(), Now: time.Now(),
		Progress: tell, MaxBytes: regroupBytes, Skip: d.regrouped.of(req.Type),
	})
	out := jobs.Outcome{Report: rep}
	if err == nil {
		_, err = d.removeEmptyArchive(ctx, req.Type, rep.Empty, time.Now())
	}
	var did []string
	if rep.Into > 0 {
		did = append(did, fmt.Sprintf("put %s of the archive into %d", count(rep.Files, "file"), rep.Into))
	}
	if rep.Doubles > 0 {
		did = append(did, fmt.Sprintf("removed %s that regrouped files have", count(rep.Doubles, "file")))
	}
	if rep.LeftTotal > 0 {
		did = append(did, fmt.Sprintf("left %s that can't be read", count(rep.LeftTotal, "file")))
		d.log.Error("archived sink files can't be regrouped, and stay as they are: akupara audit --deep says what is wrong with them",
			"type", req.Type, "files", rep.LeftTotal, "first", rep.Left[0].File, "error", rep.Left[0].Error)
	}
	out.Did = strings.Join(did, ", ")
	return out, err
}
