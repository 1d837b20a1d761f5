package jobs

import (
	"context"
	"time"
)

// quiet puts off a job that found nothing to do on a table that has not changed
// since: each time for twice as long.
type quiet struct {
	mark  string
	pause time.Duration
	until time.Time
}

const (
	firstPause = 10 * time.Minute
	// lastPause is less than a day, so that a daily job is due each day: time alone
	// may give it something to do.
	lastPause = 20 * time.Hour
)

func (q *quiet) note(mark string, last *Last) {
	switch {
	case last.End != Nothing || mark == "":
		*q = quiet{}
		return
	case q.mark != mark:
		q.pause = firstPause
	default:
		q.pause = min(2*q.pause, lastPause)
	}
	q.mark, q.until = mark, last.Started.Add(q.pause)
}

// due reports whether a job should look at a table now, and the table's mark.
func (r *Runner) due(ctx context.Context, k key) (mark string, due bool) {
	if r.opts.Mark != nil {
		var err error
		if mark, err = r.opts.Mark(ctx, k.dataType); err != nil {
			return "", true // the job will tell what is wrong
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.table(k).quiet
	return mark, mark == "" || q.mark != mark || !time.Now().Before(q.until)
}
