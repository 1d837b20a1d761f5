package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands are all of them, but for those that cobra brings along.
func commands(t *testing.T) []*cobra.Command {
	t.Helper()
	var all []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		all = append(all, c)
		for _, sub := range c.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" {
				walk(sub)
			}
		}
	}
	walk((&app{stdout: io.Discard, stderr: io.Discard, stdin: strings.NewReader("")}).root())
	if len(all) < 25 {
		t.Fatalf("there are %d commands, want 25 at least", len(all))
	}
	return all
}

func TestEveryCommandHasAnExampleAndEveryFlagIsDescribed(t *testing.T) {
	for _, c := range commands(t) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > 75 {
			t.Errorf("%s: the short help is %q, want one short line", c.CommandPath(), c.Short)
		}
		if c.Long == "" && c.Name() != "version" {
			t.Errorf("%s: it has no long help", c.CommandPath())
		}
		if c.Example == "" {
			t.Errorf("%s: it has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			if !strings.HasPrefix(line, "  ") || len(line) > 110 {
				t.Errorf("%s: the example's line is %q, want it indented and short", c.CommandPath(), line)
			}
		}
		for line := range strings.Lines(c.Long) {
			if len(line) > 90 {
				t.Errorf("%s: a line of the help has %d bytes, want 90 at most: %q", c.CommandPath(), len(line), line)
			}
		}
		check := func(f *pflag.Flag) {
			if len(strings.Fields(f.Usage)) < 2 && f.Name != "config" {
				t.Errorf("%s --%s: it is described by %q, want more", c.CommandPath(), f.Name, f.Usage)
			}
			if name, _ := pflag.UnquoteUsage(f); (f.Value.Type() == "string" || f.Value.Type() == "stringArray") && name == "string" && !strings.HasPrefix(f.Name, "log-") {
				t.Errorf("%s --%s: its value has no name", c.CommandPath(), f.Name)
			}
		}
		c.LocalFlags().VisitAll(check)
	}
}

// TestEveryExampleIsGoodUsage parses what examples show, as the command line
// does, and goes no further.
func TestEveryExampleIsGoodUsage(t *testing.T) {
	n := 0
	for _, c := range commands(t) {
		for line := range strings.Lines(c.Example) {
			for _, args := range calls(line) {
				n++
				a := &app{stdout: io.Discard, stderr: io.Discard, stdin: strings.NewReader("")}
				root := a.root()
				found, rest, err := root.Find(args)
				if err == nil {
					err = found.ParseFlags(rest)
				}
				if err == nil {
					err = found.ValidateArgs(found.Flags().Args())
				}
				if err == nil {
					err = found.ValidateRequiredFlags()
				}
				if err == nil {
					err = found.ValidateFlagGroups()
				}
				if err != nil {
					t.Errorf("%s: the example %q: %v", c.CommandPath(), strings.TrimSpace(line), err)
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d calls were found in the examples, want 40 at least", n)
	}
}

// calls are the arguments of each call of akupara in a line of shell.
func calls(line string) [][]string {
	var out [][]string
	words := split(line)
	for i := 0; i < len(words); i++ {
		if words[i] != "akupara" {
			continue
		}
		var args []string
		for i++; i < len(words) && words[i] != "|" && words[i] != "&&" && words[i] != "#" && words[i] != ">"; i++ {
			args = append(args, words[i])
		}
		out = append(out, args)
	}
	return out
}

// split is a shell's, as far as examples need it: words and both quotes.
func split(line string) []string {
	var words []string
	word, quote, in := "", rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == ' ' || r == '\n':
			if in {
				words = append(words, word)
			}
			word, in = "", false
		default:
			word += string(r)
			in = true
		}
	}
	if in {
		words = append(words, word)
	}
	return words
}
