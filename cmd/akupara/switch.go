package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/cmd/akupara/internal/entries"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/spf13/cobra"
)

func (a *app) switches() *cobra.Command {
	c := &cobra.Command{
		Use:   "switch",
		Short: "Switch the collection of some records off and on, while the agent runs",
		Long: `A switch turns the collection of what it meets off: of a namespace, a pod, a
container, a label, an adaptor, a level and below, or a feature (a tag, a logger,
the start of a message). All conditions of a switch must hold. What is left out
is counted.`,
		Example: `  akupara switch set quiet namespace=dev level=debug
  akupara switch ls
  akupara switch rm quiet`,
		SuggestionsMinimumDistance: 2,
		Args:                       unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.stderr)
			_ = cmd.Help() // what can't be printed can't be said
			return usagef("a command is missing")
		},
	}
	k := a.asks(c)
	c.AddCommand(k.switchList(), k.switchSet(), k.switchRemove())
	return c
}

func (k *asked) switchList() *cobra.Command {
	return k.agentCommand(&cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the switches, and how much each left out",
		Long:    "Lists the switches of the config and those set while the agent ran, with their\nconditions and what they left out since the start.",
		Example: `  akupara switch ls
  akupara switch ls --json | jq -r '.[].name'`,
	}, func(ctx context.Context, agent *client.Client, _ []string) error {
		raw, err := agent.Switches(ctx)
		if err != nil {
			return err
		}
		return reply(k, raw, func(list []client.Switch) error {
			if len(list) == 0 {
				k.say("there are no switches")
				return nil
			}
			return show.Switches(k.app.stdout, list, k.app.cells())
		})
	})
}

// switchKeys are the keys of a switch's entry, for completion.
var switchKeys = []string{"off=", "adaptor=", "kind=", "type=", "persona=", "namespace=", "pod=", "container=", "label.", "level=",
	"feature.tag.", "feature.logger=", "feature.prefix="}

func (k *asked) switchSet() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "set NAME KEY=VALUE...|--file FILE",
		Short: "Set a switch; it works at once, and is stored",
		Long: `Sets a switch: what meets all its conditions is not collected any more, at once
and after restarts, until the switch is removed or set with off=false. A switch
of the same name in the config is put aside as long.

Conditions are adaptor, kind, type, persona, namespace, pod, container, label.KEY,
level (that one and below), feature.tag.KEY, feature.logger and feature.prefix
(the start of a message). Values are names with * and ?, or lists: [a, b].`,
		Example: `  akupara switch set quiet namespace=dev level=debug
  akupara switch set no-canary 'label.track=canary' 'pod=web-*'
  akupara switch set chatty feature.logger=org.apache.hadoop.ipc level=info
  akupara switch set quiet off=false namespace=dev level=debug
  akupara switch set quiet --file quiet.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return fmt.Errorf("a switch's name is missing")
			case len(args) == 1 && file == "":
				return fmt.Errorf("a condition is missing: KEY=VALUE, such as namespace=dev")
			case len(args) > 1 && file != "":
				return fmt.Errorf("with --file the file says it all; got %d arguments more", len(args)-1)
			}
			return nil
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return k.completeSwitches(c, args, start)
			}
			return switchKeys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "`FILE` with the switch's entry as in the config, - for standard input")
	return k.agentCommand(c, func(ctx context.Context, agent *client.Client, args []string) error {
		var body []byte
		var name string
		if file != "" {
			list, from, err := k.app.readEntries(file)
			if err != nil {
				return err
			}
			if len(list) != 1 {
				return fmt.Errorf("%s holds %d entries; want one switch", from, len(list))
			}
			body, name = list[0].Body, from
		} else {
			entry := map[string]any{}
			if err := entries.Set(entry, args[1:], []string{"label", "feature.tag", "feature"}); err != nil {
				return usageError{err}
			}
			var err error
			if body, err = json.Marshal(entry); err != nil {
				return fmt.Errorf("make entry: %w", err)
			}
		}
		raw, err := agent.SetSwitch(ctx, args[0], body)
		if err != nil {
			return k.told(err, name)
		}
		return reply(k, raw, func(s client.Switch) error {
			return show.Switches(k.app.stdout, []client.Switch{s}, k.app.cells())
		})
	})
}

func (k *asked) completeSwitches(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completeWait)
	defer cancel()
	agent, err := k.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer agent.Close()
	raw, err := agent.Switches(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, _ := client.Decode[[]client.Switch](raw) // no names is no harm
	var names []cobra.Completion
	for _, s := range list {
		names = append(names, cobra.CompletionWithDesc(s.Name, s.Origin))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (k *asked) switchRemove() *cobra.Command {
	c := &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"remove"},
		Short:   "Take back a switch that was set while the agent ran",
		Long:    "Takes a switch back: what it left out is collected again from now on. One of the\nsame name in the config works again; one that is in the config alone is removed there.",
		Example: "  akupara switch rm quiet",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one switch's name; got %d arguments", len(args))
			}
			return nil
		},
		ValidArgsFunction: firstArg(k.completeSwitches),
	}
	return k.agentCommand(c, func(ctx context.Context, agent *client.Client, args []string) error {
		if _, err := agent.RemoveSwitch(ctx, args[0]); err != nil {
			return err
		}
		k.say("removed %s", args[0])
		return nil
	})
}
