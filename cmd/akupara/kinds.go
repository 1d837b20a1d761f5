package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/cmd/akupara/internal/catalog"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/config"
	"github.com/spf13/cobra"
)

// kindInfo is a kind as --json prints it.
type kindInfo struct {
	Name       string           `json:"name"`
	Summary    string           `json:"summary"`
	Replayable bool             `json:"replayable"` // its sources can be read again
	Rewindable bool             `json:"rewindable"`
	OwnTypes   bool             `json:"own_types"` // it names its data types itself
	Options    []catalog.Option `json:"options"`
	Example    string           `json:"example"` // YAML: a list of entries
}

func infoOf(k adaptors.Kind) kindInfo {
	return kindInfo{
		Name: k.Name, Summary: k.Summary, Replayable: k.Replayable, Rewindable: k.Rewindable, OwnTypes: k.OwnTypes,
		Options: catalog.Options(k.NewConfig()), Example: catalog.Example(catalog.Readme(adaptors.Docs, k.Name)),
	}
}

func (a *app) kinds() *cobra.Command {
	var asJSON, readme bool
	c := &cobra.Command{
		Use:   "kinds [KIND]",
		Short: "List the kinds of adaptors, with their options and defaults",
		Long: `Lists the kinds of adaptors that this program knows, with the options of each,
their defaults and what is allowed. With a KIND it shows that one, with an example;
--readme prints all that is said of it.`,
		Example: `  akupara kinds
  akupara kinds tail
  akupara kinds tail --readme | less
  akupara kinds --json | jq -r '.[].name'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("want one kind or none; got %d arguments", len(args))
			}
			return nil
		},
		ValidArgsFunction: firstArg(cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp)),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON list of kinds; with KIND, one object")
	c.Flags().BoolVar(&readme, "readme", false, "print the README of KIND, in Markdown")
	c.MarkFlagsMutuallyExclusive("json", "readme")
	return a.command(c, func(_ context.Context, args []string) error {
		switch {
		case len(args) == 1:
			return a.oneKind(args[0], asJSON, readme)
		case readme:
			return usagef("--readme needs a KIND: one of %s", strings.Join(kindNames(), ", "))
		case asJSON:
			list := []kindInfo{}
			for _, k := range all.Kinds() {
				list = append(list, infoOf(k))
			}
			return a.printJSON(list)
		}
		return a.allKinds()
	})
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

func (a *app) oneKind(name string, asJSON, readme bool) error {
	for _, k := range all.Kinds() {
		if k.Name != name {
			continue
		}
		info := infoOf(k)
		text := catalog.Readme(adaptors.Docs, name)
		switch {
		case asJSON:
			return a.printJSON(info)
		case readme && text == "":
			return fmt.Errorf("kind %s has no README", name)
		case readme:
			if _, err := fmt.Fprint(a.stdout, text); err != nil {
				return fmt.Errorf("write answer: %w", err)
			}
			return nil
		}
		return a.writeKind(info)
	}
	hint := ""
	if near := config.Nearest(name, kindNames()); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return usagef("%q is no kind of adaptor%s; known are %s", name, hint, strings.Join(kindNames(), ", "))
}

// allKinds prints each kind with its options, and then those of all kinds.
func (a *app) allKinds() error {
	for _, k := range all.Kinds() {
		info := infoOf(k)
		info.Example = "" // one kind alone shows it
		if err := a.writeKind(info); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout)
	}
	fmt.Fprint(a.stdout, "All kinds, beside their own:\n\n")
	return a.writeOptions(catalog.Common())
}

func (a *app) writeKind(k kindInfo) error {
	var is []string
	if k.Rewindable {
		is = append(is, "can be rewound")
	}
	if !k.Replayable {
		is = append(is, "goes through the agent's spool")
	}
	if k.OwnTypes {
		is = append(is, "names its data types itself")
	}
	fmt.Fprintf(a.stdout, "%s: %s\n", k.Name, k.Summary)
	if len(is) > 0 {
		fmt.Fprintf(a.stdout, "(%s)\n", strings.Join(is, "; "))
	}
	fmt.Fprintln(a.stdout)
	if err := a.writeOptions(k.Options); err != nil {
		return err
	}
	if k.Example != "" {
		fmt.Fprint(a.stdout, "\nFor example, under agent.adaptors:\n\n")
		for line := range strings.Lines(k.Example) {
			fmt.Fprint(a.stdout, "    "+line)
		}
	}
	return nil
}

func (a *app) writeOptions(options []catalog.Option) error {
	t := show.Table{Columns: []show.Column{{Name: "option"}, {Name: "default", Flex: 1}, {Name: "allowed", Flex: 1}}}
	for _, o := range options {
		def := o.Default
		if o.Required {
			def = "required"
		}
		t.Rows = append(t.Rows, []string{o.Key, def, o.Want})
	}
	if err := t.Write(a.stdout, a.cells()); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
