// Command agentd is the agent alone: static, without cgo, for every node.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
)

// version is set by the linker.
var version = "development"

// errUsage is told already; the exit code is all that is left to say.
var errUsage = errors.New("wrong usage")

// errFound says that a config is wrong, which is told.
var errFound = errors.New("the config is wrong")

func main() {
	switch err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); {
	case err == nil:
	case errors.Is(err, errUsage):
		os.Exit(2)
	case errors.Is(err, errFound):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const usage = `agentd collects what this machine's files, commands and counters say, and
sends it to a collector. It is the same agent as "akupara agent".

Usage:
  agentd --config FILE
  agentd check --config FILE    prints what is wrong with the file, and warnings; exit code 1 if something is
  agentd version

At SIGHUP, when the file changes, and at POST /v1/config/reload, it is read
again: its section agent is applied whole, or refused whole, which the log,
GET /v1/config and the metrics say. SIGTERM and SIGINT, or the end of the
terminal that it was started from, drain, write the checkpoints and end it, with
exit code 0; a second one ends it at once, with exit code 1.

Flags:
`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("agentd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	path := flags.String("config", "", "the config `file`; its keys data_dir and agent are used")
	format := flags.String("log-format", "text", "text or json")
	showVersion := flags.Bool("version", false, "print the version and exit")
	checking := len(args) > 0 && args[0] == "check"
	switch {
	case checking:
		args = args[1:]
	case len(args) > 0 && args[0] == "version":
		args = append([]string{"--version"}, args[1:]...)
	}
	for _, arg := range args {
		if arg == "--help" || arg == "-help" || arg == "-h" {
			flags.SetOutput(stdout)
		}
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return errUsage
	case *showVersion:
		_, err := fmt.Fprintln(stdout, "agentd", version)
		return err
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "agentd: argument %q is not known; see agentd --help\n", flags.Arg(0))
		return errUsage
	case *path == "":
		fmt.Fprintln(stderr, "agentd: --config FILE is missing; see agentd --help")
		return errUsage
	}
	if checking {
		return check(stdout, *path)
	}
	log, err := daemon.NewLogger(stderr, *format, slog.LevelInfo)
	if err != nil {
		fmt.Fprintln(stderr, "agentd:", err)
		return errUsage
	}
	cfg, dir, hash, err := load(*path, "")
	if err != nil {
		return err
	}
	limitMemory(cfg)
	reloader := reload.New(&reload.File{Path: *path, Hash: hash, Running: sections(cfg), Load: func() (map[string]reload.Section, string, error) {
		cfg, _, hash, err := load(*path, dir)
		if err != nil {
			return nil, hash, err
		}
		limitMemory(cfg)
		return sections(cfg), hash, nil
	}}, log)
	reg := daemon.NewRegistry()
	reg.MustRegister(daemon.BuildInfo(version))
	agent, err := agentd.New(cfg, agentd.Deps{Dir: filepath.Join(dir, "agent"), Kinds: all.Kinds(), Log: log, Registry: reg, Reloader: reloader})
	if err != nil {
		return err
	}
	var g daemon.Group
	g.Add("agent", agent.Run)
	return reloader.RunProcess(ctx, &g, version, func() { os.Exit(1) })
}

// check says what is wrong with a file, and what is perhaps not meant.
func check(stdout io.Writer, path string) error {
	cfg, dir, _, err := load(path, "")
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		fmt.Fprintln(stdout, problems)
		return errFound
	case err != nil:
		return err
	}
	if doubt, doubtful := config.PathDoubt(dir); doubtful {
		fmt.Fprintf(stdout, "%s: warning: data_dir: %s\n", path, doubt)
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(stdout, w)
	}
	fmt.Fprintf(stdout, "%s is fine\n", path)
	return nil
}

func sections(cfg agentd.Config) map[string]reload.Section {
	return map[string]reload.Section{agentd.Section: {Config: cfg, Node: cfg.Node()}}
}

// file is the part of a config file that the agent needs. The other daemons'
// sections may stand in it and are theirs to check; a store need not.
type file struct {
	DataDir   string      `config:"data_dir,required"`
	Agent     config.Node `config:"agent,required"`
	Store     config.Node `config:"store"`
	Collector config.Node `config:"collector"`
	Demux     config.Node `config:"demux"`
	Web       config.Node `config:"web"`
}

// load returns the agent's section, the data directory, and the file's hash. Its
// error is all the problems, one a line. Where a directory is in use, it has to
// stay the one.
func load(path, inUse string) (cfg agentd.Config, dir, hash string, err error) {
	data, hash, err := config.Read(path)
	if err != nil {
		return agentd.Config{}, "", "", err
	}
	root, problems := config.Parse(path, data)
	if err := problems.Err(); err != nil {
		return agentd.Config{}, "", hash, err
	}
	var f file
	problems = config.Decode(root, &f)
	if f.Agent.Given() {
		var more config.Problems
		cfg, more = agentd.Decode(f.Agent, all.Kinds())
		problems = append(problems, more...)
	}
	if f.DataDir == "" && root.Get("data_dir").Given() {
		problems = append(problems, root.Get("data_dir").Problemf("it is empty; want the path of a folder"))
	}
	if inUse != "" && f.DataDir != inUse && len(problems) == 0 {
		return cfg, "", hash, reload.NeedsRestart(root.Get("data_dir").Pos(), "agent", "data_dir", inUse)
	}
	return cfg, f.DataDir, hash, problems.Err()
}

// limitMemory tells the garbage collector to work harder once the process is
// larger than its buffers and what else an agent needs.
func limitMemory(cfg agentd.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.Buffers() + 32<<20)
	}
}
