package demux

import (
	"context"
	"fmt"

	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/jobs"
)

const (
	// compactBytes is how much of a table one turn of the job reads: then the next
	// table has its turn, and the rest of this one the time after. By tasks it is as
	// much more as there may be nodes.
	compactBytes     = 16 << 30
	compactAwayBytes = 16 * compactBytes
	// compactWorth is how many bytes of data files are merged in the time that one
	// of raw log takes to become rows.
	compactWorth = 4
)

// compact merges what is due of a table.
func (d *Demux) compact(ctx context.Context, req jobs.Request, tell func(done, total int64)) (jobs.Outcome, error) {
	d = d.now()
	o := compact.Options{
		FS: d.fs, BaseURI: d.baseURI, Type: req.Type, Progress: tell, MaxBytes: compactBytes,
		Hold:  func(ctx context.Context) (func(), error) { return d.hold(ctx, req.Type) },
		Bloom: d.cfg.Types[req.Type].Bloom, Skip: d.skips.of(req.Type), Patience: d.patience,
	}
	if d.engine != nil {
		o.MaxBytes = compactAwayBytes
		o.Away = &compact.Away{Do: d.compactAway, LeastBytes: compactWorth * d.tasks.least, StepBytes: compactAwayBytes}
	}
	rep, err := compact.Run(ctx, o)
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

// compactAway has an engine merge files: some merges are one of its tasks.
func (d *Demux) compactAway(ctx context.Context, s compact.Step, merges []compact.Task) ([]*compact.Outcome, error) {
	var tasks [][]compact.Task
	size := int64(0)
	for _, m := range merges {
		n := int64(0)
		for _, f := range m.Files {
			n += f.Size
		}
		if len(tasks) == 0 || size+n > d.tasks.of {
			tasks, size = append(tasks, nil), 0
		}
		size += n
		tasks[len(tasks)-1] = append(tasks[len(tasks)-1], m)
	}
	results, err := doTasks[[]compact.Task, []compact.Outcome](ctx, d, work{kindCompact, s.Type, s.ID, 1}, &s, tasks)
	out := make([]*compact.Outcome, 0, len(merges))
	for i, t := range tasks {
		for k := range t {
			if results[i] == nil || k >= len(*results[i]) {
				out = append(out, nil)
			} else {
				out = append(out, &(*results[i])[k])
			}
		}
	}
	return out, err
}

// compact does some merges of a compaction.
func (n node) compact(ctx context.Context, s *compact.Step, merges *[]compact.Task) (*[]compact.Outcome, error) {
	d, err := compact.NewDoer(n.fs, n.baseURI)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	out := make([]compact.Outcome, 0, len(*merges))
	for _, m := range *merges {
		o, err := d.Do(ctx, *s, m)
		if err != nil {
			n.discardCompacted(ctx, &out)
			return nil, err
		}
		out = append(out, o)
	}
	return &out, nil
}

func (n node) discardCompacted(ctx context.Context, outcomes *[]compact.Outcome) {
	for _, o := range *outcomes {
		compact.Discard(ctx, n.fs, o)
	}
}
