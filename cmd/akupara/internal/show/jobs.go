package show

import (
	"fmt"
	"io"
	"time"

	"github.com/akupara/akupara/demux/jobs"
)

// Jobs writes a row for each job and table, or for the tables of one data type.
func Jobs(w io.Writer, list []jobs.Status, dataType string, now time.Time, cells int) error {
	t := Table{Columns: []Column{
		{Name: "job"}, {Name: "type"}, {Name: "state"}, {Name: "last", Right: true, Drop: 2}, {Name: "outcome", Flex: 1},
		{Name: "next", Right: true, Drop: 1}, {Name: "schedule", Drop: 3},
	}}
	for _, j := range list {
		n := 0
		for _, x := range j.Tables {
			if dataType != "" && x.Type != dataType {
				continue
			}
			n++
			schedule := j.Schedule
			if x.Schedule != "" {
				schedule = x.Schedule
			}
			t.Rows = append(t.Rows, []string{j.Name, x.Type, jobState(x, now), jobAge(x.Last, now), jobOutcome(x.Last), jobNext(x.Next, now), schedule})
		}
		if n == 0 {
			t.Rows = append(t.Rows, []string{j.Name, "", jobs.Idle, "", "", jobNext(j.Next, now), j.Schedule})
		}
	}
	return t.Write(w, cells)
}

// JobLine is the progress of a job on a table, in a line.
func JobLine(dataType string, t jobs.Table, began time.Time) string {
	return fmt.Sprintf("%s: %s, %s", dataType, jobState(t, time.Now()), Seconds(time.Since(began).Seconds()))
}

// JobEnd says how a job ended on a table.
func JobEnd(job string, t jobs.Table) string {
	if t.Last == nil {
		return fmt.Sprintf("%s of %s has not run", job, t.Type)
	}
	return fmt.Sprintf("%s of %s: %s, after %s", job, t.Type, jobOutcome(t.Last), Seconds(t.Last.Took.Seconds()))
}

func jobState(t jobs.Table, now time.Time) string {
	switch {
	case t.State != jobs.Running:
		return t.State
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
