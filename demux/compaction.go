package demux

import (
	"context"
	"fmt"

	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/jobs"
)

// compactBytes is how much of a table one turn of the job reads: then the next
// table has its turn, and the rest of this one the time after.
const compactBytes = 16 << 30

// compact merges what is due of a table.
func (d *Demux) compact(ctx context.Context, req jobs.Request, tell func(done, total int64)) (jobs.Outcome, error) {
	rep, err := compact.Run(ctx, compact.Options{
		FS: d.fs, BaseURI: d.baseURI, Type: req.Type, Progress: tell, MaxBytes: compactBytes,
		Hold:  func(ctx context.Context) (func(), error) { return d.hold(ctx, req.Type) },
		Bloom: d.cfg.Types[req.Type].Bloom, Skip: d.skips.of(req.Type), Patience: d.patience,
	})
	out := jobs.Outcome{Report: rep}
	if rep.Commits > 0 {
		out.Did = fmt.Sprintf("merged %s into %s, %d rows", count(rep.FilesIn, "file"), count(rep.FilesOut, "file"), rep.Rows)
	}
	if n := len(rep.Faults); n > 0 {
		d.log.Error("data files can't be merged, and stay as they are: akupara audit --deep says what is wrong with them",
			"type", req.Type, "files", n, "first", rep.Faults[0].File, "error", rep.Faults[0].Error)
	}
	return out, err
}
