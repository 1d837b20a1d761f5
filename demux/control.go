package demux

import (
	"context"
	"errors"
	"fmt"

	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/schema"
)

// What people ask of a scheduler.

// ErrBounds says that a redo was asked for without saying of what.
var ErrBounds = errors.New("redo needs type, and since or until: which rows are to be parsed again")

// Running returns what tasks are at work on.
func (s *Scheduler) Running() []Running { return s.demux.running.list() }

// Jobs returns the jobs on tables.
func (s *Scheduler) Jobs() []jobs.Status { return s.jobs.List() }

// RunNow runs a data type, or with an empty one all, beside the schedules, and calls
// done when that has ended. It does neither, and returns false, when Run is about to
// return.
func (s *Scheduler) RunNow(ctx context.Context, dataType string, done func([]Report, error)) bool {
	return s.aside(func() {
		reports := []Report{}
		err := s.demux.RunOnce(ctx, dataType, 0, func(r Report) { reports = append(reports, r) })
		done(reports, err)
	})
}

// StartJob starts a job on a table, or with an empty type on all where it is not at
// work, and returns which these are. The error is jobs.ErrUnknown, ErrBounds,
// ErrNoTable, jobs.ErrRunning, jobs.ErrOff, or the store's.
func (s *Scheduler) StartJob(ctx context.Context, job string, req jobs.Request) (started []string, err error) {
	started = []string{}
	switch {
	case !s.jobs.Has(job):
		return started, jobs.ErrUnknown
	case job == jobRedo && (req.Type == "" || req.Since.IsZero() && req.Until.IsZero()):
		return started, ErrBounds
	}
	types := []string{req.Type}
	if req.Type == "" {
		if types, err = s.demux.tables(ctx); err != nil {
			return started, err
		}
	} else if known, err := s.demux.known(ctx, req.Type); err != nil {
		return started, err
	} else if !known {
		return started, fmt.Errorf("%w %s", ErrNoTable, req.Type)
	}
	for _, t := range types {
		one := req
		one.Type = t
		_, err := s.jobs.Start(job, one)
		if err == nil {
			started = append(started, t)
		} else if req.Type != "" || !errors.Is(err, jobs.ErrRunning) {
			return started, err
		}
	}
	return started, nil
}

// StopJob ends a job on a table, or with an empty type on all, and returns on how many
// it was at work. The job may be run: those that tasks are at work on.
func (s *Scheduler) StopJob(job, dataType string) (n int, err error) {
	if job == kindRun {
		return s.demux.running.stop(kindRun, dataType), nil
	}
	return s.jobs.Stop(job, dataType)
}

// Columns is Demux.Columns.
func (s *Scheduler) Columns(ctx context.Context, dataType string) (TableColumns, error) {
	return s.demux.Columns(ctx, dataType)
}

// Alter is Demux.Alter.
func (s *Scheduler) Alter(ctx context.Context, dataType string, change schema.Change, dryRun bool) (TableColumns, error) {
	return s.demux.Alter(ctx, dataType, change, dryRun)
}
