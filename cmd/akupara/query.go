package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/store"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func (a *app) query() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   `query "SQL"`,
		Short: "Ask the tables by SQL (DuckDB)",
		Long: `Answers one statement over the tables of the store, each named as its data type
(in double quotes where it has a -). It reads beside live daemons. Conditions on
ts, and "order by ts desc limit N", keep it from reading the files that can't match;
"explain SELECT …" says which are read, and why others are not. "show tables" and
"describe TYPE" work, too.`,
		Example: `  akupara query "show tables"
  akupara query "select level, count(*) from hadoop where ts > now() - interval 1 hour group by all"
  akupara query --format jsonl "select * from syslog where message like '%refused%'" | jq .`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one statement, in quotes; got %d arguments", len(args))
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "table", "`FORMAT` of the answer: "+strings.Join(query.Formats[:], ", "))
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(query.Formats[:], cobra.ShellCompDirectiveNoFileComp))
	return a.command(c, func(ctx context.Context, args []string) error {
		if !slices.Contains(query.Formats[:], format) {
			return usagef("--format %q: allowed are %s", format, strings.Join(query.Formats[:], ", "))
		}
		// Go's part of a query is short, and needs little memory.
		debug.SetGCPercent(400)
		return a.withEngine(ctx, query.Options{Brief: true}, func(ctx context.Context, p parts, e *query.Engine) error {
			out := bufio.NewWriterSize(a.stdout, 256<<10)
			sum, err := e.Query(ctx, args[0], format, out)
			if err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write answer: %w", err)
			}
			if format == "table" {
				fmt.Fprintf(a.stderr, "(rows: %d, %v)\n", sum.Rows, sum.Elapsed.Round(time.Millisecond))
			}
			return nil
		})
	})
}

func (a *app) audit() *cobra.Command {
	var asJSON, deep bool
	c := &cobra.Command{
		Use:   "audit",
		Short: "Prove what is covered, and list what is missing",
		Long: `Compares, stream by stream, what the tables and the sink files hold with the
offsets known: bytes missing below the highest one are gaps, rows written twice
are overlaps. It lists records in quarantine that no table holds, types whose runs
fail, files that can't be used, and files of tables that are damaged. The exit code
is 1 when there is one of any of these. What was lost, dropped or sent in other
bytes (forks), what may be doubled, and harmless damage to old snapshots is listed,
too, and changes no exit code.

Of data files it reads the footers, each once: --deep reads all bytes of all files,
and all rows, and says which files are damaged.`,
		Example: `  akupara audit
  akupara audit --deep
  akupara audit --json | jq .gaps`,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().BoolVar(&deep, "deep", false, "read all files whole, and all rows; says on standard error how far it is")
	return a.command(c, func(ctx context.Context, _ []string) error {
		return a.withEngine(ctx, query.Options{}, func(ctx context.Context, p parts, e *query.Engine) error {
			report, err := audit.Run(ctx, p.fs, p.Store.V.String(), e, audit.Options{
				CacheDir: p.cacheDir(), Deep: deep, Progress: sayProgress(a.stderr, time.Now),
			})
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(a.stdout)
				enc.SetEscapeHTML(false)
				err = enc.Encode(report)
			} else {
				err = report.WriteText(a.stdout)
			}
			if err != nil {
				return fmt.Errorf("write report: %w", err)
			}
			if !report.OK() {
				return errFound
			}
			return nil
		})
	})
}

// sayProgress says how far a deep audit is, once in a while.
func sayProgress(w io.Writer, now func() time.Time) func(what string, done, total int64) {
	const every = 2 * time.Second
	next := now().Add(every)
	return func(what string, done, total int64) {
		if now().Before(next) {
			return
		}
		next = now().Add(every)
		fmt.Fprintf(w, "read %s of %s in %s\n", show.Bytes(float64(done)), show.Bytes(float64(total)), what)
	}
}

// withStore opens the store of the site, which must be there; SIGINT cancels what
// is done with it.
func (a *app) withStore(ctx context.Context, use func(ctx context.Context, p parts) error) error {
	p, err := a.parts(slog.LevelWarn, true)
	if err != nil {
		return err
	}
	if err := p.mustExist(); err != nil {
		return err
	}
	ctx, stop := daemon.Signals(ctx, p.log, func() { os.Exit(exitFailed) })
	defer stop()
	return use(ctx, p)
}

// withEngine is withStore with a query engine on it.
func (a *app) withEngine(ctx context.Context, opts query.Options, use func(ctx context.Context, p parts, e *query.Engine) error) error {
	return a.withStore(ctx, func(ctx context.Context, p parts) error { return a.engine(ctx, p, opts, use) })
}

func (a *app) engine(ctx context.Context, p parts, opts query.Options, use func(ctx context.Context, p parts, e *query.Engine) error) error {
	opts.CacheDir = p.cacheDir()
	if web, problems := decodeWeb(p.Web); len(problems) == 0 {
		opts.CacheBytes, opts.MemoryLimit = int64(web.Cache), int64(web.Memory)
	}
	e, err := openEngine(p.fs, p.Store.V.String(), opts)
	if err != nil {
		return err
	}
	defer e.Close()
	return use(ctx, p, e)
}

func openEngine(fs store.FS, uri string, opts query.Options) (*query.Engine, error) {
	e, err := query.Open(fs, uri, opts)
	if err != nil {
		return nil, fmt.Errorf("open query engine: %w", err)
	}
	return e, nil
}

// cacheDir is where queries keep copies of files; a temporary one ("") where
// this user may not write to the data directory.
func (s site) cacheDir() string {
	dir := filepath.Join(s.dataDir, "cache")
	if os.MkdirAll(dir, 0o750) != nil || unix.Access(dir, unix.W_OK) != nil {
		return ""
	}
	return dir
}
