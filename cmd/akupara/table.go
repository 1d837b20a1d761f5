package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/spf13/cobra"
)

// tables are the commands that look at a table's columns and change them.
type tables struct {
	*app
	asJSON, dry, yes bool
}

func (a *app) tables() *cobra.Command {
	k := &tables{app: a}
	c := &cobra.Command{
		Use:   "table",
		Short: "List, rename, drop and document the columns of a table",
		Long: `Changes of columns are one commit of the table each; no data file is written anew,
and all readers see the change at once. Records go on as they come: values whose
key is the old name of a column that was renamed go to it still, and those of a
column that was dropped go to attributes.`,
		Example: `  akupara table columns access
  akupara table rename access status code
  akupara table doc access code "HTTP status"
  akupara table drop access debug --dry-run`,
		Args: unknownCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("a command is missing: columns, rename, drop or doc")
		},
		SuggestionsMinimumDistance: 2,
	}
	c.PersistentFlags().BoolVar(&k.asJSON, "json", false, "print one JSON object")
	c.AddCommand(k.columns(), k.rename(), k.drop(), k.doc())
	return c
}

// change finishes the command of a change, whose first arguments are a data type and
// a column.
func (k *tables) change(c *cobra.Command, more []string, of func(args []string) schema.Change, told func(args []string, before, after demux.TableColumns) string) *cobra.Command {
	want := append([]string{"a data type", "a column"}, more...)
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != len(want) {
			return fmt.Errorf("want %s; got %d arguments", strings.Join(want, ", "), len(args))
		}
		return nil
	}
	c.ValidArgsFunction = k.completeColumns
	return k.command(c, func(ctx context.Context, args []string) error {
		d, err := k.open(args[0])
		if err != nil {
			return err
		}
		before, err := d.Columns(ctx, args[0])
		if err != nil {
			return err
		}
		change := of(args)
		after, err := d.Alter(ctx, args[0], change, true)
		if err != nil {
			return err
		}
		text := told(args, before, after)
		if k.dry {
			return k.answer(after, "would be: "+text)
		}
		if change.Drop && !k.yes {
			if err := k.confirm(text); err != nil {
				return err
			}
		}
		if after, err = d.Alter(ctx, args[0], change, false); err != nil {
			return err
		}
		return k.answer(after, text)
	})
}

func (k *tables) open(dataType string) (*demux.Demux, error) {
	if err := chunk.CheckType(dataType); err != nil {
		return nil, fmt.Errorf("there is no table %s: %w", show.Clean(dataType), err)
	}
	d, _, err := k.demuxByHand()
	return d, err
}

func (k *tables) answer(cols demux.TableColumns, text string) error {
	if k.asJSON {
		return k.printJSON(cols)
	}
	fmt.Fprintln(k.stdout, show.Clean(text))
	return nil
}

// confirm asks on a terminal; a script has to say --yes.
func (k *tables) confirm(what string) error {
	if !isTerminal(k.stdin) {
		return usagef("say --yes to do it, or --dry-run to look: %s", show.Clean(what))
	}
	fmt.Fprintf(k.stderr, "%s\nDo it? [y/N] ", show.Clean(what))
	line, err := bufio.NewReader(io.LimitReader(k.stdin, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

func (k *tables) columns() *cobra.Command {
	return k.command(&cobra.Command{
		Use:   "columns TYPE",
		Short: "List the columns: field id, type, rows without a value, doc",
		Long: `Lists the columns of a table: the field id, which stays when a column is renamed;
which share of the rows has no value, where the table's manifests tell (of the first
100 columns); the keys of records, beside the name, whose values go to it.`,
		Example: `  akupara table columns access
  akupara table columns access --json | jq -r '.columns[].name'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one data type, got %d arguments", len(args))
			}
			return nil
		},
		ValidArgsFunction: k.completeTables,
	}, func(ctx context.Context, args []string) error {
		d, err := k.open(args[0])
		if err != nil {
			return err
		}
		cols, err := d.Columns(ctx, args[0])
		if err != nil || k.asJSON {
			return errOr(err, func() error { return k.printJSON(cols) })
		}
		return writeColumns(k.stdout, cols, k.cells())
	})
}

func errOr(err error, do func() error) error {
	if err != nil {
		return err
	}
	return do()
}

func writeColumns(w io.Writer, cols demux.TableColumns, cells int) error {
	t := show.Table{Columns: []show.Column{
		{Name: "id", Right: true}, {Name: "name", Flex: 2}, {Name: "type"}, {Name: "nulls", Right: true, Drop: 2}, {Name: "keys", Flex: 3, Drop: 3}, {Name: "doc", Flex: 1, Drop: 1},
	}}
	for _, c := range cols.Columns {
		nulls := ""
		switch {
		case c.Required:
			nulls = "none"
		case c.Nulls != nil && cols.Rows > 0:
			nulls = strconv.FormatFloat(100*float64(*c.Nulls)/float64(cols.Rows), 'f', 1, 64) + "%"
		}
		t.Rows = append(t.Rows, []string{strconv.Itoa(c.ID), show.Clean(c.Name), c.Type, nulls, show.Clean(strings.Join(c.Keys, " ")), show.Clean(c.Doc)})
	}
	if err := t.Write(w, cells); err != nil {
		return err
	}
	if len(cols.Dropped) > 0 {
		fmt.Fprintf(w, "values of these keys go to attributes, as their columns were dropped: %s\n", show.Clean(strings.Join(cols.Dropped, ", ")))
	}
	return nil
}

func (k *tables) rename() *cobra.Command {
	c := &cobra.Command{
		Use:   "rename TYPE OLD NEW",
		Short: "Give a column another name",
		Long: `Gives a column another name. Old rows have it, too; records whose key is the old
name, or the new one, go on to the column. What does not fit it is in attributes
under the record's key.`,
		Example: `  akupara table rename access status code`,
	}
	c.Flags().BoolVar(&k.dry, "dry-run", false, "say what would be, and change nothing")
	return k.change(c, []string{"its new name"}, func(args []string) schema.Change {
		return schema.Change{Column: args[1], Name: args[2]}
	}, func(args []string, _, after demux.TableColumns) string {
		for _, x := range after.Columns {
			if x.Name == args[2] {
				return fmt.Sprintf("column %s of table %s is %s; values of these keys go to it, too: %s", args[1], args[0], args[2], strings.Join(x.Keys, ", "))
			}
		}
		return ""
	})
}

func (k *tables) drop() *cobra.Command {
	c := &cobra.Command{
		Use:   "drop TYPE COLUMN",
		Short: "Take a column out of a table",
		Long: `Takes a column out of a table. Its values can't be queried any more: they stay in
the data files until those are compacted, and in the archive for as long as that is
kept. Values that come under its keys from now on go to attributes; a redo puts those
of before there, too. A column that the config gives has to be removed there first;
one that the config gives later is made anew, without the old values.`,
		Example: `  akupara table drop access debug --dry-run
  akupara table drop access debug --yes`,
	}
	c.Flags().BoolVar(&k.dry, "dry-run", false, "say what would be, and change nothing")
	c.Flags().BoolVarP(&k.yes, "yes", "y", false, "don't ask")
	return k.change(c, nil, func(args []string) schema.Change {
		return schema.Change{Column: args[1], Drop: true}
	}, func(args []string, before, _ demux.TableColumns) string {
		values := "an unknown number of its rows"
		for _, x := range before.Columns {
			if x.Name == args[1] && x.Nulls != nil {
				values = fmt.Sprintf("%d of its %d rows", before.Rows-*x.Nulls, before.Rows)
			}
		}
		return fmt.Sprintf("column %s of table %s is dropped: %s have a value of it", args[1], args[0], values)
	})
}

func (k *tables) doc() *cobra.Command {
	return k.change(&cobra.Command{
		Use:   "doc TYPE COLUMN TEXT",
		Short: "Say what a column is; an empty text takes that back",
		Long: `Sets the text that says what a column is, for all readers of the table. One that
the config gives is changed there.`,
		Example: `  akupara table doc access code "HTTP status"`,
	}, []string{"a text"}, func(args []string) schema.Change {
		return schema.Change{Column: args[1], Doc: &args[2]}
	}, func(args []string, _, _ demux.TableColumns) string {
		if args[2] == "" {
			return fmt.Sprintf("column %s of table %s has no doc", args[1], args[0])
		}
		return fmt.Sprintf("column %s of table %s is documented", args[1], args[0])
	})
}

// completeColumns completes a data type, then a column of its own.
func (k *tables) completeColumns(c *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return k.completeTables(c, args, start)
	}
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeWait)
	defer cancel()
	p, err := k.parts(slog.LevelError, true)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	t, err := table.Open(ctx, p.fs, p.Store.V.String(), args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, x := range t.Columns() {
		if c.Name() == "doc" || !schema.IsCommon(x.Name) {
			names = append(names, x.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
