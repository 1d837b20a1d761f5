package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/store"
	"github.com/spf13/cobra"
)

func (a *app) quarantine() *cobra.Command {
	c := &cobra.Command{
		Use:   "quarantine",
		Short: "Look at what could not be used, and send it through again",
		Long: `The demux moves a sink file that it can't use whole to quarantine/, with its reasons
beside it; what it could use is in the table. Nothing is ever deleted there. "audit"
lists the records that no table holds; once the cause is mended, "release" moves the
file back to raw/, and the next run takes what the table does not have.`,
		Example: `  akupara quarantine ls
  akupara quarantine release hadoop`,
		Args: unknownCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("a command is missing: ls, show or release")
		},
	}
	var asJSON bool
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON, for scripts")
	c.AddCommand(a.quarantineLs(&asJSON), a.quarantineShow(&asJSON), a.quarantineRelease(&asJSON))
	return c
}

func (a *app) quarantineLs(asJSON *bool) *cobra.Command {
	c := &cobra.Command{
		Use:   "ls [TYPE|FILE...]",
		Short: "List the files in quarantine",
		Long: `Lists the files in quarantine: all, those of a data type, or those named. --json
has all their faults.`,
		Example: `  akupara quarantine ls
  akupara quarantine ls hadoop --json`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeQuarantine,
	}
	return a.command(c, func(ctx context.Context, args []string) error {
		_, entries, err := a.quarantined(ctx, args)
		if err != nil {
			return err
		}
		if *asJSON {
			return a.printJSON(map[string]any{"files": entries})
		}
		if len(entries) == 0 {
			fmt.Fprintln(a.stdout, "nothing is in quarantine")
			return nil
		}
		t := show.Table{Columns: []show.Column{
			{Name: "type"}, {Name: "file", Flex: 1}, {Name: "size", Right: true, Drop: 1}, {Name: "since", Drop: 2},
			{Name: "faults", Right: true}, {Name: "reason", Flex: 2},
		}}
		for _, e := range entries {
			t.Rows = append(t.Rows, []string{e.Type, path.Base(e.Path), show.Bytes(float64(e.Size)), since(e.At), strconv.Itoa(len(e.Faults)), e.Reason()})
		}
		return t.Write(a.stdout, a.cells())
	})
}

func since(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05Z")
}

// shown is a file in quarantine with what it holds.
type shown struct {
	quarantine.Entry
	Parts []quarantine.Part `json:"parts"`
	// Index says what is wrong with the file's index: what it holds is not known.
	Index string `json:"index,omitempty"`
}

func (a *app) quarantineShow(asJSON *bool) *cobra.Command {
	c := &cobra.Command{
		Use:   "show TYPE|FILE...",
		Short: "Show why files are in quarantine, and what they hold",
		Long: `Shows the faults of files in quarantine, and which parts of which streams they hold,
by their indexes. A part with a reason did not become rows from this file; it may have
come again since: "audit" lists what no table holds.`,
		Example: `  akupara quarantine show hadoop
  akupara quarantine show --json quarantine/hadoop/2026-11-22/NAME.avro`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeQuarantine,
	}
	return a.command(c, func(ctx context.Context, args []string) error {
		st, entries, err := a.quarantined(ctx, args)
		if err != nil {
			return err
		}
		files := make([]shown, len(entries))
		for i := range entries {
			files[i] = shown{Entry: entries[i], Parts: []quarantine.Part{}}
			parts, err := entries[i].Parts(ctx, st)
			switch {
			case errors.Is(err, chunk.ErrInvalid):
				files[i].Index = err.Error()
			case err != nil:
				return err
			case parts != nil:
				files[i].Parts = parts
			}
		}
		if *asJSON {
			return a.printJSON(map[string]any{"files": files})
		}
		for i := range files {
			if err := a.showQuarantined(&files[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxShownParts bounds what is printed of one file for people.
const maxShownParts = 100

func (a *app) showQuarantined(f *shown) error {
	fmt.Fprintf(a.stdout, "%s  %s, since %s\n", show.Clean(f.Path), show.Bytes(float64(f.Size)), since(f.At))
	for _, x := range f.Faults[:min(len(f.Faults), maxShownParts)] {
		where := "the file"
		switch {
		case x.Block >= 0 && x.Chunk >= 0:
			where = fmt.Sprintf("block %d, chunk %d", x.Block, x.Chunk)
		case x.Block >= 0:
			where = fmt.Sprintf("block %d", x.Block)
		}
		fmt.Fprintf(a.stdout, "  %s: %s\n", where, show.Clean(x.Reason))
	}
	if f.Index != "" {
		fmt.Fprintf(a.stdout, "  what it holds is not known: %s\n", show.Clean(f.Index))
		return nil
	}
	t := show.Table{Columns: []show.Column{
		{Name: "host", Drop: 1}, {Name: "source", Flex: 1}, {Name: "stream"}, {Name: "bytes", Right: true}, {Name: "reason", Flex: 2},
	}}
	for _, p := range f.Parts[:min(len(f.Parts), maxShownParts)] {
		t.Rows = append(t.Rows, []string{p.Host, p.Source, p.Stream, fmt.Sprintf("%d to %d", p.First, p.Last), p.Reason})
	}
	if err := t.Write(a.stdout, a.cells()); err != nil {
		return err
	}
	if n := len(f.Parts) - maxShownParts; n > 0 {
		fmt.Fprintf(a.stdout, "and %d more parts; --json has all\n", n)
	}
	return nil
}

func (a *app) quarantineRelease(asJSON *bool) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "release TYPE|FILE...",
		Short: "Move files back to raw/, to be tried again",
		Long: `Moves files from quarantine back to raw/. The next run of the demux takes what the
table does not have, so no row is doubled; what is still wrong brings a file back.`,
		Example: `  akupara quarantine release hadoop
  akupara quarantine release --all`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 != all {
				return errors.New("want data types or files, or --all")
			}
			return nil
		},
		ValidArgsFunction: a.completeQuarantine,
	}
	c.Flags().BoolVar(&all, "all", false, "release all that is in quarantine")
	return a.command(c, func(ctx context.Context, args []string) error {
		st, entries, err := a.quarantined(ctx, args)
		if err != nil {
			return err
		}
		type moved struct {
			From string `json:"from"`
			To   string `json:"to"`
		}
		done := []moved{}
		for _, e := range entries {
			to, rerr := quarantine.Release(ctx, st, e.Path)
			if to != "" {
				done = append(done, moved{e.Path, to})
			}
			err = errors.Join(err, rerr)
		}
		if *asJSON {
			return errors.Join(err, a.printJSON(map[string]any{"released": done}))
		}
		for _, m := range done {
			fmt.Fprintf(a.stdout, "%s is now %s\n", show.Clean(m.From), show.Clean(m.To))
		}
		if len(done) == 0 && err == nil {
			fmt.Fprintln(a.stdout, "nothing is in quarantine")
		}
		return err
	})
}

// quarantined lists the files in quarantine that the arguments mean: a data type,
// a path within the store, or a file's name. Without arguments it lists all.
func (a *app) quarantined(ctx context.Context, args []string) (store.FS, []quarantine.Entry, error) {
	s, err := a.mustLoad()
	if err == nil {
		err = s.mustExist()
	}
	if err != nil {
		return nil, nil, err
	}
	st, err := s.openStore()
	if err != nil {
		return nil, nil, err
	}
	all, err := quarantine.List(ctx, st)
	if err != nil || len(args) == 0 {
		return st, nonNil(all), err
	}
	used := make([]bool, len(args))
	out := slices.DeleteFunc(all, func(e quarantine.Entry) bool {
		keep := false
		for i, arg := range args {
			if arg == e.Type || path.Clean(arg) == e.Path || strings.TrimSuffix(arg, store.SinkExt) == string(store.SegmentOf(e.Path)) {
				used[i], keep = true, true
			}
		}
		return !keep
	})
	if i := slices.Index(used, false); i >= 0 {
		return nil, nil, fmt.Errorf("nothing in quarantine is of the type, or has the name %q", args[i])
	}
	return st, out, nil
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// completeQuarantine completes data types and names of files in quarantine.
func (a *app) completeQuarantine(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completeWait)
	defer cancel()
	_, entries, err := a.quarantined(ctx, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	seen := map[string]bool{}
	for _, arg := range args {
		seen[arg] = true
	}
	add := func(name, what string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, cobra.CompletionWithDesc(name, what))
		}
	}
	for _, e := range entries {
		add(e.Type, "all of the type")
	}
	for _, e := range entries {
		add(path.Base(e.Path), e.Reason())
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
