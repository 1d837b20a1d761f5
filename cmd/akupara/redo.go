package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/demux"
	"github.com/spf13/cobra"
)

// redo is what the flags of demux --redo say.
type redo struct {
	dataType, since, until string
	dry                    bool
}

func (r *redo) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.dataType, "redo", "", "parse rows of the table of this data `TYPE` again, from the archive")
	f.StringVar(&r.since, "since", "", "with --redo: rows from this `TIME` on, such as 2026-11-01 or 2026-11-01T12:00:00Z")
	f.StringVar(&r.until, "until", "", "with --redo: rows before this `TIME`")
	f.BoolVar(&r.dry, "dry-run", false, "with --redo: say what would come of it, and change nothing")
}

func (r *redo) given() bool { return r.since != "" || r.until != "" || r.dry }

// options reads the flags.
func (r *redo) options() (demux.Redo, error) {
	o := demux.Redo{Type: r.dataType, DryRun: r.dry}
	if r.dataType == "" {
		return o, usagef("--since, --until and --dry-run go with --redo TYPE")
	}
	if err := chunk.CheckType(r.dataType); err != nil {
		return o, usagef("--redo: %v", err)
	}
	if r.since == "" && r.until == "" {
		return o, usagef("--redo: say by --since and --until which rows are to be parsed again")
	}
	for _, b := range []struct {
		flag, text string
		at         *time.Time
	}{{"since", r.since, &o.Since}, {"until", r.until, &o.Until}} {
		if b.text == "" {
			continue
		}
		at, err := time.Parse(time.DateOnly, b.text)
		if err != nil {
			at, err = time.Parse(time.RFC3339, b.text)
		}
		if err != nil {
			return o, usagef("--%s %q: want a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z", b.flag, b.text)
		}
		*b.at = at
	}
	if !o.Since.IsZero() && !o.Until.IsZero() && !o.Since.Before(o.Until) {
		return o, usagef("--until %s is not after --since %s", r.until, r.since)
	}
	return o, nil
}

// redo runs demux --redo.
func (a *app) redo(ctx context.Context, r redo) error {
	o, err := r.options()
	if err != nil {
		return err
	}
	d, p, err := a.demuxByHand()
	if err != nil {
		return err
	}
	ctx, stop := daemon.Signals(ctx, p.log, func() { os.Exit(exitFailed) })
	defer stop()
	if isTerminal(a.stderr) {
		o.Tell = func(done, total int64) { fmt.Fprintf(a.stderr, "\r\x1b[K%d of %d data files", done, total) }
	}
	rep, err := d.Redo(ctx, o, otherDemux)
	if isTerminal(a.stderr) {
		fmt.Fprint(a.stderr, "\r\x1b[K")
	}
	writeRedone(a.stdout, o, rep)
	if err == nil && rep.LeftTotal > 0 {
		return errFound
	}
	return err
}

// writeRedone writes what a redo did, or would do.
func writeRedone(w io.Writer, o demux.Redo, rep demux.Redone) {
	verb := "parsed again"
	if o.DryRun {
		verb = "would be parsed again"
	}
	if rep.Files == 0 {
		fmt.Fprintln(w, "no rows "+strings.Replace(verb, "would", "can", 1))
	} else {
		fmt.Fprintf(w, "%d rows of %d data files %s: %d rows of %d data files, %d of them with a parse_error; %s of log\n",
			rep.RowsBefore, rep.Files, verb, rep.RowsAfter, rep.FilesAfter, rep.ParseErrors, show.Bytes(float64(rep.Bytes)))
	}
	if rep.LeftTotal > 0 {
		fmt.Fprintf(w, "%d data files stay as they are\n", rep.LeftTotal)
		for _, l := range rep.Left[:min(len(rep.Left), 10)] {
			fmt.Fprintf(w, "  %s: %s\n", l.File, show.Clean(l.Why))
		}
	}
	for i, before := range rep.Before {
		fmt.Fprintf(w, "\nbefore  %s\n", rowText(before))
		for _, after := range rep.After {
			if after["stream"] == before["stream"] && after["seq"] == before["seq"] {
				fmt.Fprintf(w, "after   %s\n", rowText(after))
			}
		}
		if i == len(rep.Before)-1 {
			fmt.Fprintln(w)
		}
	}
}

// rowText is a row in a line; what stays the same by its nature is left out.
func rowText(row demux.SampleRow) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(row)) {
		switch k {
		case "host", "source", "stream", "seq":
		default:
			parts = append(parts, fmt.Sprintf("%s=%q", k, row[k]))
		}
	}
	return show.Cut(strings.Join(parts, " "), 1000)
}
