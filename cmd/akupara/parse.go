package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/cmd/akupara/internal/trial"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/parse"
	"github.com/spf13/cobra"
)

// rowFormats are those in which parse prints rows.
var rowFormats = []string{"table", "jsonl"}

// parseFlags say how a file is parsed.
type parseFlags struct {
	parser, dataType, format, start string
	limit                           int64
}

func (a *app) parsing() *cobra.Command {
	var f parseFlags
	c := &cobra.Command{
		Use:   "parse [--parser SPEC|--type TYPE] FILE|-",
		Short: "Try a parser on a file, or guess the file's format",
		Long: `Parses a file, plain or compressed by gzip or zstd, as the demux would, and prints
its rows: as tables, or as JSON with all columns, templates too. What failed is listed
on standard error, with the place where the parser stopped; the exit code is 1 then.
Nothing is written anywhere.

SPEC is what stands under a type in the config, at demux.types: a parser's name, or
its section in YAML, with types, columns, steps and timezone. With --type it is that
of the config. Without either the format is guessed by the file's first lines, and
what to put into the config is printed.`,
		Example: `  akupara parse /var/log/nginx/access.log
  akupara parse --parser combined /var/log/nginx/access.log
  akupara parse --parser '{parser: syslog, message: json}' --format jsonl /var/log/syslog | jq .
  akupara parse --parser '{parser: json, steps: [{redact: {what: [email, card, token, ip]}}]}' app.json
  akupara parse --config /etc/akupara.yaml --type hadoop --limit 100 /var/log/hadoop/hdfs.log.1.gz`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one FILE, or -; got %d arguments", len(args))
			}
			return nil
		},
		ValidArgsFunction: completeEntries,
	}
	flags := c.Flags()
	flags.StringVar(&f.parser, "parser", "", "`SPEC` of the parser: its name, or a section in YAML, {parser: NAME, ...}")
	flags.StringVar(&f.dataType, "type", "", "`TYPE` of the config whose parser is tried")
	flags.StringVar(&f.format, "format", "table", "`FORMAT` of the rows: "+strings.Join(rowFormats, ", "))
	flags.StringVar(&f.start, "record-start", "", "`REGEXP` that the first line of a record matches, as an adaptor's record_start")
	flags.Int64Var(&f.limit, "limit", 0, "stop after so many records; 0: none")
	c.MarkFlagsMutuallyExclusive("parser", "type")
	_ = c.RegisterFlagCompletionFunc("parser", completeParsers)
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(rowFormats, cobra.ShellCompDirectiveNoFileComp))
	return a.command(c, func(ctx context.Context, args []string) error {
		if !slices.Contains(rowFormats, f.format) {
			return usagef("--format %q: allowed are %s", f.format, strings.Join(rowFormats, ", "))
		}
		if f.limit < 0 {
			return usagef("--limit %d: allowed are 0 and more", f.limit)
		}
		if f.parser == "" && f.dataType == "" {
			if f.start != "" || f.limit > 0 || c.Flags().Changed("format") {
				return usagef("--parser is missing, or --type")
			}
			return a.guess(args[0])
		}
		return a.tryParser(ctx, f, args[0])
	})
}

// completeParsers completes the names of parsers.
func completeParsers(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, d := range parse.Docs() {
		out = append(out, cobra.CompletionWithDesc(d.Name, d.Doc))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) tryParser(ctx context.Context, f parseFlags, file string) error {
	cfg, t, start, err := a.typeToTry(f)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	parser, options, err := cfg.Trial(t, now)
	if err != nil {
		return err
	}
	in, name, err := a.openText(file)
	if err != nil {
		return err
	}
	defer in.Close()
	host, _ := os.Hostname()
	try := trial.Trial{
		Parser: parser, Options: options, Start: start, Host: cmp.Or(host, "localhost"), Source: name, Now: now, Limit: f.limit,
	}
	out := trial.Tables(a.stdout, a.cells())
	if f.format == "jsonl" {
		out = trial.JSONL(a.stdout, options.Templates)
	}
	failures := trial.Failures{Kept: t.Steps.Given()}
	n, err := try.Run(ctx, in, func(r trial.Row) error {
		failures.Add(r)
		return out.Row(r)
	})
	if e := out.Close(); err == nil && e != nil {
		err = fmt.Errorf("write rows: %w", e)
	}
	if err != nil {
		return fmt.Errorf("parse %s: %w", name, err)
	}
	failures.Write(a.stderr, a.cells())
	fmt.Fprintf(a.stderr, "(records: %d, parsed: %d, failed: %d%s)\n", n.Rows, n.Rows-n.Failed, n.Failed, share(n))
	if n.Failed > 0 {
		return errFound
	}
	return nil
}

// share says which part of the records was parsed.
func share(n trial.Counts) string {
	if n.Rows == 0 {
		return ""
	}
	// Rounded down: 100% are all of them.
	return fmt.Sprintf(", %.1f%% parsed", float64((n.Rows-n.Failed)*1000/n.Rows)/10)
}

// typeToTry reads the parser that the flags say.
func (a *app) typeToTry(f parseFlags) (demux.Config, demux.TypeConfig, *regexp.Regexp, error) {
	cfg, start := demux.DefaultConfig(), f.start
	var t demux.TypeConfig
	if f.dataType != "" {
		s, problems, err := a.load()
		if err != nil {
			return cfg, t, nil, err
		}
		var wrong config.Problems
		cfg, wrong = decodeDemux(s.Demux)
		if err := a.refuse(append(problems, wrong...)); err != nil {
			return cfg, t, nil, err
		}
		if _, given := cfg.Types[f.dataType]; !given && parse.DefaultFor(f.dataType) == "raw" && f.dataType != "raw" {
			return cfg, t, nil, usagef("--type %s: %s has no such type under demux.types", f.dataType, s.Name)
		}
		t, start = cfg.Type(f.dataType), cmp.Or(start, recordStart(s.Agent, f.dataType))
	} else {
		var problems config.Problems
		t, problems = demux.ReadTypeText("--parser", f.parser)
		if err := problems.Err(); err != nil {
			return cfg, t, nil, usageError{err}
		}
	}
	if start == "" {
		return cfg, t, nil, nil
	}
	re, err := config.CompileRegexp(start)
	if err != nil {
		return cfg, t, nil, usagef("--record-start %q: %v", start, err)
	}
	return cfg, t, re, nil
}

// recordStart is what the first adaptor of a type has for it.
func recordStart(agent config.Node, dataType string) string {
	for _, entry := range agent.Get("adaptors").Items() {
		if entry.Get("type").Text() == dataType {
			return entry.Get("record_start").Text()
		}
	}
	return ""
}

// openText opens a file to parse, "-" for standard input, and gives what it is
// called.
func (a *app) openText(file string) (io.ReadCloser, string, error) {
	r, name := a.stdin, "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, "", err
		}
		if name, err = filepath.Abs(file); err != nil {
			name = file
		}
		r = f
	}
	plain, err := trial.Plain(r)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	return plain, name, nil
}
