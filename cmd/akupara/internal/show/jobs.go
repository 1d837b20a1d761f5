package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/jobs"
)

// Jobs writes a row for each job and table, or for the tables of one data type; and one
// for each run that tasks are at work on.
func Jobs(w io.Writer, list []jobs.Status, running []demux.Running, dataType string, now time.Time, cells int) error {
	t := Table{Columns: []Column{
		{Name: "job"}, {Name: "type"}, {Name: "state"}, {Name: "last", Right: true, Drop: 2}, {Name: "outcome", Flex: 1},
		{Name: "next", Right: true, Drop: 1}, {Name: "schedule", Drop: 3},
	}}
	onCluster := slices.ContainsFunc(running, func(r demux.Running) bool { return r.Application != "" })
	if onCluster {
		t.Columns = append(t.Columns, Column{Name: "application"})
	}
	add := func(application string, row ...string) {
		if onCluster {
			row = append(row, application)
		}
		t.Rows = append(t.Rows, row)
	}
	for _, j := range list {
		all := false // whether the job's own schedule is told
		for _, x := range j.Tables {
			if dataType != "" && x.Type != dataType {
				continue
			}
			all = all || x.Schedule == "" || dataType != ""
			schedule := cmp.Or(x.Schedule, j.Schedule)
			tasks := tasksOf(running, j.Name, x.Type)
			add(tasks.Application, j.Name, x.Type, jobState(x, tasks, now), jobAge(x.Last, now), jobOutcome(x.Last), jobNext(x.Next, now), schedule)
		}
		if !all {
			add("", j.Name, "", jobs.Idle, "", "", jobNext(j.Next, now), j.Schedule)
		}
	}
	for _, r := range running {
		if r.Kind == "run" && (dataType == "" || r.Type == dataType) {
			add(r.Application, r.Kind, r.Type, taskState(r), "", "", "", "")
		}
	}
	return t.Write(w, cells)
}

// JobLine is the progress of a job on a table, in a line.
func JobLine(job string, t jobs.Table, running []demux.Running, began time.Time) string {
	return fmt.Sprintf("%s: %s, %s", t.Type, jobState(t, tasksOf(running, job, t.Type), time.Now()), Seconds(time.Since(began).Seconds()))
}

// JobEnd says how a job ended on a table.
func JobEnd(job string, t jobs.Table) string {
	if t.Last == nil {
		return fmt.Sprintf("%s of %s has not run", job, t.Type)
	}
	return fmt.Sprintf("%s of %s: %s, after %s", job, t.Type, jobOutcome(t.Last), Seconds(t.Last.Took.Seconds()))
}

// tasksOf returns the work of a job on a table that tasks are at; it has none where the
// job's own process works.
func tasksOf(running []demux.Running, job, dataType string) demux.Running {
	for _, r := range running {
		if r.Kind == job && r.Type == dataType {
			return r
		}
	}
	return demux.Running{}
}

func taskState(r demux.Running) string {
	return fmt.Sprintf("running, %d of %d tasks", r.Done, r.Tasks)
}

func jobState(t jobs.Table, tasks demux.Running, now time.Time) string {
	switch {
	case t.State != jobs.Running:
		return t.State
	case tasks.Tasks > 0:
		return taskState(tasks)
	case t.Total > 0:
		return fmt.Sprintf("running, %d%%", min(100, 100*t.Done/t.Total))
	}
	return "running, " + Seconds(now.Sub(t.Since).Seconds())
}

func jobAge(l *jobs.Last, now time.Time) string {
	if l == nil {
		return "never"
	}
	return Seconds(now.Sub(l.Started).Seconds()) + " ago"
}

func jobOutcome(l *jobs.Last) string {
	switch {
	case l == nil:
		return ""
	case l.Error != "":
		return l.End + ": " + l.Error
	case l.Did != "":
		return l.Did
	case l.End == jobs.Nothing:
		return "nothing to do"
	}
	return l.End
}

func jobNext(at, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return "in " + Seconds(at.Sub(now).Seconds())
}
