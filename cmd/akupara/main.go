// Command akupara is everything in one binary: the daemons, all of them in one
// process (up), and the tools beside them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFine   = 0
	exitFailed = 1 // it failed, or found something
	exitUsage  = 2
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := &app{stdin: os.Stdin, stdout: stdout, stderr: stderr, self: "akupara"}
	if len(os.Args) > 0 {
		app.self = os.Args[0]
	}
	root := app.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errFound):
		return exitFailed
	case errors.As(err, new(usageError)) || !app.started:
		fmt.Fprintf(stderr, "akupara: %v\nSee: %s --help\n", err, cmd.CommandPath())
		return exitUsage
	}
	msg := err.Error()
	if !app.bare {
		msg = "akupara: " + msg
	}
	fmt.Fprintln(stderr, strings.TrimRight(msg, "\n"))
	return exitFailed
}

// errFound ends a command with exit code 1 after it has said everything.
var errFound = errors.New("found something")

// usageError is an error in how a command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// defaultData is where everything is kept without --config and --data.
const defaultData = "./data"

// app is one run of the command line.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	self           string // how the user calls this program
	configFile     string
	dataDir        string
	logLevel       string
	logFormat      string
	started        bool // a command's own code runs: errors before are in the usage
	bare           bool // the error to come is a list of its own, a line each
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "akupara",
		Short: "Move what machines say into tables, exactly once",
		Long: `Akupara collects log files, command output and metrics, keeps them in large
files on HDFS or the local disk, and turns them into tables that people query:
every record exactly once.

Without --config, everything is kept in ./data, or where --data says.`,
		Example: `  akupara up                                    # this machine's logs and metrics, into ./data
  akupara query "show tables"
  akupara query "select ts, message from syslog order by ts desc limit 10"`,
		Version:                    versionLine(),
		SilenceUsage:               true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		Args:                       unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.stderr)
			_ = cmd.Help() // what can't be printed can't be said
			return usagef("a command is missing")
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().Bool("version", false, "print the version")
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "config `FILE`")
	flags.StringVar(&a.dataDir, "data", defaultData, "data `DIR` of the embedded default, used without --config")
	flags.StringVar(&a.logLevel, "log-level", "", "debug, info, warn or error (default info; up: warn)")
	flags.StringVar(&a.logFormat, "log-format", "text", "text or json, on standard error")
	root.MarkFlagsMutuallyExclusive("config", "data")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml", "json")
	_ = root.MarkPersistentFlagDirname("data")
	root.AddCommand(a.up(), a.agent(), a.collector(), a.demux(), a.web(),
		a.adaptor(), a.switches(), a.streams(), a.drain(), a.reload(), a.kinds(), a.jobs(),
		a.query(), a.tables(), a.parsing(), a.cat(), a.audit(), a.quarantine(), a.repair(), a.check(), a.version(), a.bench(), a.mapper())
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, _, err := root.Find(args); err != nil || found == root {
					return unknownCommand(root, args)
				}
				return nil
			}
		case "completion":
			c.Args = unknownCommand
			c.RunE = func(*cobra.Command, []string) error {
				return usagef("a shell is missing: bash, fish, powershell or zsh")
			}
		}
	}
	return root
}

// unknownCommand refuses arguments where a command should stand.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("command %q is not known%s", args[0], hint)
}

// command finishes a command: what its body returns is not about usage, unless
// it says so.
func (a *app) command(c *cobra.Command, body func(ctx context.Context, args []string) error) *cobra.Command {
	if c.Args == nil {
		c.Args = cobra.NoArgs
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		a.started = true
		return body(cmd.Context(), args)
	}
	return c
}
