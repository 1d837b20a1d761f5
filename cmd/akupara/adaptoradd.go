package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/cmd/akupara/internal/catalog"
	"github.com/akupara/akupara/cmd/akupara/internal/entries"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/config"
	"github.com/spf13/cobra"
)

// entryFlags make an entry without a file.
type entryFlags struct {
	name, kind, dataType string
	set                  []string
}

func (e *entryFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&e.name, "name", "", "`NAME` of the adaptor; without it, a FILE says all")
	f.StringVar(&e.kind, "kind", "tail", "`KIND` of the adaptor; \"akupara kinds\" lists them")
	f.StringVar(&e.dataType, "type", "", "data `TYPE` of its records, which is the name of their table")
	f.StringArrayVar(&e.set, "set", nil, "`KEY=VALUE` of the entry, may be given several times; lists are [a, b], mappings {a: b}")
	_ = c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("set", completeKeys(e))
}

// given reports whether any of the flags is.
func (e *entryFlags) given(c *cobra.Command) bool {
	return slices.ContainsFunc([]string{"name", "kind", "type", "set"}, func(f string) bool { return c.Flags().Changed(f) })
}

// completeKeys completes the options of the kind.
func completeKeys(e *entryFlags) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var keys []cobra.Completion
		for _, k := range all.Kinds() {
			if k.Name != e.kind {
				continue
			}
			for _, o := range append(catalog.Common(), catalog.Options(k.NewConfig())...) {
				if !strings.ContainsAny(o.Key, ".[") {
					keys = append(keys, cobra.CompletionWithDesc(o.Key+"=", o.Want))
				}
			}
		}
		return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// entry makes an entry of the flags, and of the arguments what the kind can't
// do without: the paths of a tail, the command of a command.
func (e *entryFlags) entry(args []string) (entries.Entry, error) {
	if e.name == "" {
		return entries.Entry{}, usagef("--name is missing")
	}
	entry := map[string]any{"name": e.name, "kind": e.kind}
	if e.dataType != "" {
		entry["type"] = e.dataType
	}
	if len(args) > 0 {
		key, list := mainOption(e.kind)
		switch {
		case key == "":
			return entries.Entry{}, usagef("adaptors of kind %s take no arguments: say it by --set; \"akupara kinds %s\" lists the keys", e.kind, e.kind)
		case list:
			entry[key] = args
		case len(args) > 1:
			return entries.Entry{}, usagef("adaptors of kind %s take one argument, their %s; got %d", e.kind, key, len(args))
		default:
			entry[key] = args[0]
		}
	}
	if err := entries.Set(entry, e.set, []string{"tags"}); err != nil {
		return entries.Entry{}, usageError{err}
	}
	body, err := json.Marshal(entry)
	if err != nil {
		return entries.Entry{}, fmt.Errorf("make entry: %w", err)
	}
	return entries.Entry{Name: e.name, Body: body}, nil
}

// mainOption is the one key that adaptors of a kind can't do without, if there
// is one such: "" otherwise. list tells that it takes several values.
func mainOption(kind string) (key string, list bool) {
	for _, k := range all.Kinds() {
		if k.Name != kind {
			continue
		}
		for _, o := range catalog.Options(k.NewConfig()) {
			if !o.Required || strings.ContainsAny(o.Key, ".[") {
				continue
			}
			if key != "" {
				return "", false
			}
			key, list = o.Key, o.List
		}
	}
	return key, list
}

const entryHelp = `
FILE holds an entry as it stands under agent.adaptors in the config, or a list of
such, in YAML or JSON; - is standard input. For simple cases flags do: the
arguments are then what the kind can't do without, the paths of a tail or the
program of a command, and --set gives all else. Quote patterns, so that the agent
matches them and not the shell.`

func (k *asked) add() *cobra.Command {
	var e entryFlags
	c := &cobra.Command{
		Use:   "add FILE|-|--name NAME ARG...",
		Short: "Add adaptors from a file, from standard input or by flags",
		Long: "Adds adaptors and starts them. They are stored, and are there after a restart of\nthe agent.\n" + entryHelp + `

Without --type, that of a tail is the name of the parser that fits the files best,
by a look at their first lines on this machine: json, say.`,
		Example: `  akupara adaptor add app.yaml
  akupara adaptor add --name app --type app '/srv/app/*.log'
  akupara adaptor add --name web /var/log/nginx/access.log
  akupara adaptor add --name traces --type java --set record_start='^\d{4}-' '/srv/java/**/*.log'
  akupara adaptor add --name disk --kind command --type df --set every=60s -- df -Pk
  ssh node1 cat app.yaml | akupara adaptor add -`,
		ValidArgsFunction: completeEntries,
	}
	e.add(c)
	return k.eachEntry(c, &e, "added", func(ctx context.Context, agent *client.Client, x entries.Entry) ([]byte, error) {
		return agent.Add(ctx, x.Body)
	})
}

func (k *asked) update() *cobra.Command {
	var e entryFlags
	c := &cobra.Command{
		Use:   "update FILE|-|--name NAME ARG...",
		Short: "Replace the entries of adaptors; their positions go on",
		Long: `Replaces the entries of adaptors that were added while the agent ran. Name and
kind stay, and so do the streams and positions; what the new entry leaves out has
its default. An adaptor of the config is changed in the config.
` + entryHelp,
		Example: `  akupara adaptor update app.yaml
  akupara adaptor update --name app --type app --set delivery=store_on_failure '/srv/app/*.log'`,
		ValidArgsFunction: completeEntries,
	}
	e.add(c)
	return k.eachEntry(c, &e, "updated", func(ctx context.Context, agent *client.Client, x entries.Entry) ([]byte, error) {
		if x.Name == "" {
			return nil, fmt.Errorf("an entry without a name: want the one of the adaptor that is to be updated")
		}
		return agent.Update(ctx, x.Name, x.Body)
	})
}

func completeEntries(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault // a file, or paths on this machine
}

// readEntries reads a file of entries, "-" for standard input, and gives what
// it is called in messages.
func (a *app) readEntries(file string) (list []entries.Entry, name string, err error) {
	r := a.stdin
	if name = file; file == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(file)
		if err != nil {
			return nil, name, fmt.Errorf("read entries: %w", err)
		}
		defer f.Close()
		r = f
	}
	list, err = entries.Read(name, r)
	var problems config.Problems
	if errors.As(err, &problems) {
		err = a.refuse(problems)
	}
	return list, name, err
}

// eachEntry is a command that sends entries one after the other. It ends at the
// first that is refused; those before it are done.
func (k *asked) eachEntry(c *cobra.Command, e *entryFlags, done string, send func(context.Context, *client.Client, entries.Entry) ([]byte, error)) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		if !e.given(c) && len(args) != 1 {
			return fmt.Errorf("want one FILE, - or --name; got %d arguments", len(args))
		}
		return nil
	}
	return k.agentCommand(c, func(ctx context.Context, agent *client.Client, args []string) error {
		var list []entries.Entry
		var file string
		var err error
		if e.given(c) {
			if done == "added" {
				if err := k.guessType(e, args); err != nil {
					return err
				}
			}
			list = make([]entries.Entry, 1)
			list[0], err = e.entry(args)
		} else {
			list, file, err = k.app.readEntries(args[0])
		}
		if err != nil {
			return err
		}
		for _, x := range list {
			raw, err := send(ctx, agent, x)
			if err != nil {
				return k.told(err, file)
			}
			if err := reply(k, raw, func(a client.Adaptor) error {
				k.say("%s %s: %s", done, show.Clean(a.Name), show.Line(a))
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
}
