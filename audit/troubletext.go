package audit

import (
	"fmt"
	"strings"
	"time"
)

// writeQuarantined writes what is in quarantine, and how to bring it back.
func (r *Report) writeQuarantined(b *strings.Builder) {
	if n := len(r.Unreadable); n > 0 {
		fmt.Fprintf(b, "\n%s can't be read, and what they held is not known; those in raw/ the demux moves to quarantine. Remove one once all of its records are known to be elsewhere\n", count(int64(n), "sink file"))
		list(b, n, func(i int) { fmt.Fprintf(b, "  %s\n", r.Unreadable[i]) })
	}
	if r.QuarantinedTotal == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s (%s) in quarantine, and in no table; once the cause is mended, \"akupara quarantine release FILE\" brings them back\n", count(r.QuarantinedTotal, "range"), size(r.QuarantinedBytes))
	list(b, len(r.Quarantined), func(i int) {
		q := &r.Quarantined[i]
		fmt.Fprintf(b, "  %s %s %s  stream %s  bytes %d to %d (%s) in %s: %s\n", q.DataType, q.Host, q.Source, q.Stream, q.First, q.Last, size(q.Last-q.First), q.File, q.Reason)
	})
}

// writeTroubles writes what keeps runs from working, and what is damaged.
func (r *Report) writeTroubles(b *strings.Builder) {
	var runs, jobs []*Failing
	for i := range r.Failing {
		if f := &r.Failing[i]; f.Job == "" {
			runs = append(runs, f)
		} else {
			jobs = append(jobs, f)
		}
	}
	if n := len(runs); n > 0 {
		fmt.Fprintf(b, "\n%s whose runs fail: nothing of them gets into their tables\n", count(int64(n), "type"))
		list(b, n, func(i int) {
			f := runs[i]
			fmt.Fprintf(b, "  %s  since %s, %s: %s\n", f.Type, stamp(f.Since), count(int64(f.Times), "time"), f.Error)
		})
	}
	if n := len(jobs); n > 0 {
		fmt.Fprintf(b, "\n%s on a table that fail; its rows are as good as before, and they are tried again\n", count(int64(n), "job"))
		list(b, n, func(i int) {
			f := jobs[i]
			fmt.Fprintf(b, "  %s of %s  since %s, %s: %s\n", f.Job, f.Type, stamp(f.Since), count(int64(f.Times), "time"), f.Error)
		})
	}
	if n := len(r.Aside); n > 0 {
		fmt.Fprintf(b, "\n%s set aside, and tried again now and then: they can't be used for now\n", count(int64(n), "file"))
		list(b, n, func(i int) {
			f := &r.Aside[i]
			fmt.Fprintf(b, "  %s  since %s, %s: %s\n", f.Path, stamp(f.Since), count(int64(f.Tries), "try"), f.Error)
			for _, s := range f.Streams[:min(len(f.Streams), maxShown)] {
				fmt.Fprintf(b, "    %s %s  stream %s  bytes %v\n", s.Host, s.Source, s.Stream, s.Ranges)
			}
		})
	}
	if n := len(r.Damaged); n > 0 {
		fmt.Fprintf(b, "\n%s damaged, missing or not to be read; \"akupara repair TYPE\" shows what can be mended of a table\n", count(int64(n), "file"))
		list(b, n, func(i int) {
			d := &r.Damaged[i]
			fmt.Fprintf(b, "  %s  %s %s: %s\n", d.Type, d.Kind, d.Path, d.Why)
		})
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// list writes the first of n things, and how many more there are.
func list(b *strings.Builder, n int, write func(i int)) {
	for i := range min(n, maxShown) {
		write(i)
	}
	if n > maxShown {
		fmt.Fprintf(b, "  and %d more; --json has them\n", n-maxShown)
	}
}

// count is "1 file" or "2 files".
func count(n int64, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(one, "y"))
	}
	return fmt.Sprintf("%d %ss", n, one)
}
