package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/config"
	"github.com/spf13/cobra"
)

func (a *app) adaptor() *cobra.Command {
	c := &cobra.Command{
		Use:   "adaptor",
		Short: "See and change what an agent collects, while it runs",
		Long: `Asks a running agent for its adaptors, and adds, changes, stops, starts, rewinds
and removes them. What is changed is stored by the agent, and survives its
restarts.

Which agent: --agent says it; else agent.listen of the --config; else the one
that "akupara up" runs on the data directory.`,
		Example: `  akupara adaptor ls
  akupara adaptor add --name app --type app '/srv/app/*.log'
  akupara adaptor ls --agent unix:/run/akupara/agent.sock --json | jq '.[].name'`,
		SuggestionsMinimumDistance: 2,
		Args:                       unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.stderr)
			_ = cmd.Help() // what can't be printed can't be said
			return usagef("a command is missing")
		},
	}
	k := a.asks(c)
	c.AddCommand(k.list(), k.show(), k.add(), k.update(), k.start(), k.stop(), k.rewind(), k.remove())
	return c
}

// oneName takes one adaptor's name.
func oneName(c *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return fmt.Errorf("an adaptor's name is missing; \"akupara adaptor ls\" lists them")
	case 1:
		return nil
	}
	return fmt.Errorf("want one adaptor's name; got %d arguments", len(args))
}

// someNames takes names, at least one.
func someNames(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return oneName(c, args)
	}
	return nil
}

func kindNames() []string {
	var names []string
	for _, k := range all.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

func (k *asked) list() *cobra.Command {
	var state, kind string
	var interval time.Duration
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the adaptors with state, lag, rate and last error",
		Long: `Lists the agent's adaptors. lag is what is in the sources and not settled in the
store yet, behind how long the oldest of it has waited, rate 1m the bytes a
second over the last minute, and position what is settled of the one source, or
how many sources there are. What a terminal has no room for is cut, and columns
are left out; what goes into a pipe is whole.`,
		Example: `  akupara adaptor ls
  akupara adaptor ls --state failed
  akupara adaptor ls --watch
  akupara adaptor ls --json | jq -r '.[] | select(.lag_bytes > 1e6) | .name'`,
	}
	c.Flags().StringVar(&state, "state", "", "only those in this `STATE`: "+strings.Join(client.States(), ", "))
	c.Flags().StringVar(&kind, "kind", "", "only those of this `KIND`; \"akupara kinds\" lists them")
	watchFlag(c, &interval)
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(client.States(), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp))
	return k.app.command(c, func(ctx context.Context, _ []string) error {
		if state != "" && !slices.Contains(client.States(), state) {
			return usagef("--state %q: allowed are %s", state, strings.Join(client.States(), ", "))
		}
		if err := checkWatch(interval); err != nil {
			return err
		}
		agent, err := k.client()
		if err != nil {
			return err
		}
		defer agent.Close()
		return k.every(ctx, interval, func(ctx context.Context) error {
			raw, err := agent.Adaptors(ctx)
			if err != nil {
				return err
			}
			if state != "" || kind != "" {
				if raw, err = only(raw, state, kind); err != nil {
					return err
				}
			}
			return reply(k, raw, func(list []client.Adaptor) error {
				if len(list) == 0 {
					k.say("there are no such adaptors")
					return nil
				}
				return show.Adaptors(k.app.stdout, list, k.app.cells())
			})
		})
	})
}

// only keeps those of a list of adaptors that are in the state and of the kind,
// as they came.
func only(raw []byte, state, kind string) ([]byte, error) {
	items, err := client.Decode[[]json.RawMessage](raw)
	if err != nil {
		return nil, err
	}
	kept := []json.RawMessage{}
	for _, item := range items {
		a, err := client.Decode[client.Adaptor](item)
		if err != nil {
			return nil, err
		}
		if (state == "" || a.State == state) && (kind == "" || a.Kind == kind) {
			kept = append(kept, item)
		}
	}
	out, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("write adaptors: %w", err)
	}
	return out, nil
}

func (k *asked) show() *cobra.Command {
	var interval time.Duration
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show all about one adaptor: entry, positions, rates, drops, errors",
		Long: `Shows one adaptor: its entry with secrets hidden, its rates over 1, 5 and 15
minutes, what filters left out and why, where it is in each of its sources, and
what matches and is not read.`,
		Example: `  akupara adaptor show app
  akupara adaptor show app --json | jq .position`,
		Args:              oneName,
		ValidArgsFunction: firstArg(k.completeAdaptors(nil)),
	}
	watchFlag(c, &interval)
	return k.app.command(c, func(ctx context.Context, args []string) error {
		if err := checkWatch(interval); err != nil {
			return err
		}
		agent, err := k.client()
		if err != nil {
			return err
		}
		defer agent.Close()
		return k.every(ctx, interval, func(ctx context.Context) error {
			raw, err := agent.Adaptor(ctx, args[0])
			if err != nil {
				return err
			}
			return reply(k, raw, func(one client.Adaptor) error { return show.Adaptor(k.app.stdout, one, k.app.cells()) })
		})
	})
}

// firstArg completes the first argument alone.
func firstArg(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(c, args, start)
	}
}

// forEach is a command that does something to each adaptor that is named.
// Where one can't be done the others are, and the first error is told.
func (k *asked) forEach(c *cobra.Command, done string, do func(ctx context.Context, agent *client.Client, name string) ([]byte, error)) *cobra.Command {
	c.Args = someNames
	return k.agentCommand(c, func(ctx context.Context, agent *client.Client, names []string) error {
		var first error
		for _, name := range names {
			raw, err := do(ctx, agent, name)
			if err == nil && len(raw) > 0 {
				err = reply(k, raw, func(one client.Adaptor) error {
					k.say("%s %s: %s", done, name, show.Line(one))
					return nil
				})
			} else if err == nil {
				k.say("%s %s", done, name)
			}
			if err != nil && first != nil {
				fmt.Fprintf(k.app.stderr, "akupara: %v\n", err)
			} else if err != nil {
				first = err
			}
		}
		return first
	})
}

func (k *asked) start() *cobra.Command {
	return k.forEach(&cobra.Command{
		Use:   "start NAME...",
		Short: "Start adaptors that are stopped, try failed ones again now",
		Long:  "Starts adaptors that were stopped; they go on where they were. One that failed is\ntried again at once.",
		Example: `  akupara adaptor start app
  akupara adaptor start app web`,
		ValidArgsFunction: k.completeAdaptors(func(a client.Adaptor) bool { return a.State == "stopped" || a.State == "failed" }),
	}, "started", func(ctx context.Context, agent *client.Client, name string) ([]byte, error) {
		return agent.Start(ctx, name)
	})
}

func (k *asked) stop() *cobra.Command {
	return k.forEach(&cobra.Command{
		Use:   "stop NAME...",
		Short: "Stop adaptors; they stay stopped over restarts",
		Long:  "Stops adaptors and waits until they have returned. They stay stopped over restarts\nand reloads of the agent, and go on where they were when they are started.",
		Example: `  akupara adaptor stop app
  akupara adaptor stop app web`,
		ValidArgsFunction: k.completeAdaptors(func(a client.Adaptor) bool { return a.State != "stopped" }),
	}, "stopped", func(ctx context.Context, agent *client.Client, name string) ([]byte, error) {
		return agent.Stop(ctx, name)
	})
}

func (k *asked) remove() *cobra.Command {
	return k.forEach(&cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"remove"},
		Short:   "Stop and remove adaptors that were added while the agent ran",
		Long: `Stops and removes adaptors. Their positions stay known: one of the same name that
is added later goes on there. An adaptor of the config is removed from the config.`,
		Example:           `  akupara adaptor rm app`,
		ValidArgsFunction: k.completeAdaptors(func(a client.Adaptor) bool { return a.Origin != "config" }),
	}, "removed", func(ctx context.Context, agent *client.Client, name string) ([]byte, error) {
		return agent.Remove(ctx, name)
	})
}

func (k *asked) rewind() *cobra.Command {
	var r client.Rewind
	var to string
	var yes bool
	c := &cobra.Command{
		Use:   "rewind NAME [--all|--path PATH|--stream ID] [--to OFFSET]",
		Short: "Have an adaptor read again from an earlier offset",
		Long: `Sets streams of an adaptor, all unless --path or --stream names some, back to an
earlier offset, or to their beginning: what is after it is read and sent again.
Streams and offsets stay the same, so rows that the table holds are not doubled;
what it lacks is filled in. Only kinds that can read their sources again can be
rewound, and only as far as these still hold the bytes.

On a terminal it asks before; --yes says yes to that.`,
		Example: `  akupara adaptor rewind app
  akupara adaptor rewind app --path /srv/app/a.log --to 64MiB
  akupara adaptor rewind app --all --yes --json | jq .rewound`,
		Args:              oneName,
		ValidArgsFunction: firstArg(k.completeAdaptors(nil)),
	}
	f := c.Flags()
	f.BoolVar(&r.All, "all", false, "all streams of the adaptor; so it is without --path and --stream")
	f.StringVar(&r.Path, "path", "", "the streams of this `PATH`, as \"adaptor show\" lists it")
	f.StringVar(&r.Stream, "stream", "", "the stream of this `ID`, as \"streams\" lists it")
	f.StringVar(&to, "to", "beginning", "`OFFSET` in bytes, such as 4096 or 64MiB, or beginning")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.MarkFlagsMutuallyExclusive("all", "path", "stream")
	_ = c.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"beginning"}, cobra.ShellCompDirectiveNoFileComp))
	return k.app.command(c, func(ctx context.Context, args []string) error {
		if to != "beginning" {
			var offset config.Size
			if err := offset.UnmarshalText([]byte(to)); err != nil {
				return usagef("--to %q: want an offset in bytes, such as 4096 or 64MiB, or beginning", to)
			}
			at := int64(offset)
			r.Offset = &at
		}
		r.All = r.Path == "" && r.Stream == ""
		agent, err := k.client()
		if err != nil {
			return err
		}
		defer agent.Close()
		if !yes && isTerminal(k.app.stdin) && !k.confirmRewind(args[0], r) {
			return errFound
		}
		ctx, cancel := context.WithTimeout(ctx, callWait)
		defer cancel()
		raw, err := agent.Rewind(ctx, args[0], r)
		if err != nil {
			return err
		}
		return reply(k, raw, func(done client.Rewound) error { return show.Rewound(k.app.stdout, done, k.app.cells()) })
	})
}

// confirmRewind says what a rewind does, and asks.
func (k *asked) confirmRewind(name string, r client.Rewind) bool {
	what, to := "all streams", "the beginning"
	switch {
	case r.Path != "":
		what = r.Path
	case r.Stream != "":
		what = "the stream " + r.Stream
	}
	if r.Offset != nil {
		to = fmt.Sprintf("offset %d", *r.Offset)
	}
	w := k.app.stderr // the answer alone is on standard output
	fmt.Fprintf(w, "%s of %s: set back to %s.\nWhat is after it is read and sent again; rows that the table holds are not doubled.\nRewind? [y/N] ",
		show.Clean(what), show.Clean(name), to)
	line, err := bufio.NewReader(k.app.stdin).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
		return true
	}
	if err != nil {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "nothing was done")
	return false
}
