// Package jobs runs what keeps tables in shape, beside the runs that fill them:
// each job on a schedule, table by table, or when somebody asks for it. A job that
// fails is told of and tried at its next time; none ends the process.
package jobs

import (
	"context"
	"errors"
	"time"
)

// Job is one kind of work on tables.
type Job struct {
	Name  string
	About string // what it does, in a line
	// Heavy jobs take much memory and time: one of them runs at a time.
	Heavy bool
	// Run does the work on one table, in steps that are safe beside everything
	// else and that lose nothing when they are cut short. tell may be called as it
	// goes on; total is 0 where it is not known.
	Run func(ctx context.Context, r Request, tell func(done, total int64)) (Outcome, error)
}

// Request says what a job is to work on.
type Request struct {
	Type string // the data type whose table it is
	// Since and Until bound it in time, where the job knows such bounds.
	Since, Until time.Time
	// Scheduled says that it is the job's time; else somebody asked for it.
	Scheduled bool
}

// Outcome is what a job did with a table.
type Outcome struct {
	Did    string // in words; empty: there was nothing to do
	Report any    // the same for programs; may be nil
}

var (
	// ErrBusy says that a job could not do its work because others are at work on
	// the table. Its next time is soon enough: that is no failure.
	ErrBusy = errors.New("others are at work on the table")
	// ErrRunning says that the job is at work on the table already.
	ErrRunning = errors.New("it is running already")
	// ErrOff says that jobs are not run: not yet, or no more.
	ErrOff = errors.New("no jobs are run now")
	// ErrUnknown says that there is no such job.
	ErrUnknown = errors.New("there is no such job")
)

// Failing is a row of failures of one job on one table.
type Failing struct {
	Since time.Time `json:"since"` // when the first of them began
	Times int       `json:"times"`
	Error string    `json:"error"` // of the last one
}

// States of a job on a table.
const (
	Idle    = "idle"
	Waiting = "waiting" // for another job
	Running = "running"
)

// Ends of a job's last time.
const (
	Done    = "done"
	Nothing = "nothing" // to do
	Failed  = "failed"
	Stopped = "stopped"
	Skipped = "skipped" // others were at work on the table
)

// Status is a job as people see it.
type Status struct {
	Name     string    `json:"name"`
	About    string    `json:"about"`
	Schedule string    `json:"schedule"` // of most tables: "off" and "on demand" are none
	Next     time.Time `json:"next,omitzero"`
	Tables   []Table   `json:"tables"` // that it works on or has worked on, and those with a schedule of their own
}

// Table is how a job is with one table.
type Table struct {
	Type     string    `json:"type"`
	State    string    `json:"state"`
	Since    time.Time `json:"since,omitzero"` // it is waiting or running
	Done     int64     `json:"done,omitempty"`
	Total    int64     `json:"total,omitempty"`
	Schedule string    `json:"schedule,omitempty"` // where it is the table's own
	Next     time.Time `json:"next,omitzero"`
	Last     *Last     `json:"last,omitempty"`
}

// Last is the last time that a job worked on a table.
type Last struct {
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took_ns"`
	End     string        `json:"end"`
	Did     string        `json:"did,omitempty"`
	Error   string        `json:"error,omitempty"`
	Report  any           `json:"report,omitempty"`
	Failing *Failing      `json:"failing,omitempty"`
}
