package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	agentclient "github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/cmd/akupara/internal/embedded"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/spf13/cobra"
)

// askedJobs are the commands that ask a demux for its jobs.
type askedJobs struct {
	*asked
	address string
	dataset string // --type
}

func (a *app) jobs() *cobra.Command {
	c := &cobra.Command{
		Use:   "jobs",
		Short: "List, start and stop what keeps tables in shape beside the runs",
		Long: `Jobs work on tables, beside the runs that fill them: each on a schedule (the
setting demux.jobs, and types.TYPE.jobs for one table alone), or when it is
started by hand. They are safe beside queries, runs and each other, and a
job that is stopped or killed goes on from what it finds.`,
		Example: `  akupara jobs
  akupara jobs start compact --type syslog --wait
  akupara jobs stop compact`,
		SuggestionsMinimumDistance: 2,
	}
	k := &askedJobs{asked: &asked{app: a}}
	f := c.PersistentFlags()
	f.StringVar(&k.address, "demux", "", "`ADDRESS` of the demux: HOST:PORT or unix:/PATH (default: demux.listen of the config)")
	f.BoolVar(&k.asJSON, "json", false, "print the demux's answer as it came, for scripts")
	c.AddCommand(k.list(), k.start(), k.stop())
	list := k.list()
	c.Flags().AddFlagSet(list.Flags())
	c.Args, c.RunE = unknownCommand, list.RunE
	return c
}

func (k *askedJobs) typeFlag(c *cobra.Command, usage string) {
	c.Flags().StringVar(&k.dataset, "type", "", usage)
	_ = c.RegisterFlagCompletionFunc("type", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completeWait)
		defer cancel()
		var names []cobra.Completion
		if answer, _, err := k.ask(ctx); err == nil {
			for _, j := range answer.Jobs {
				for _, t := range j.Tables {
					if !slices.Contains(names, t.Type) {
						names = append(names, t.Type)
					}
				}
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

func (k *askedJobs) checkType() error {
	if err := chunk.CheckType(k.dataset); k.dataset != "" && err != nil {
		return usagef("--type: %v", err)
	}
	return nil
}

func (k *askedJobs) list() *cobra.Command {
	var interval time.Duration
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the jobs: state, progress, last outcome, next time",
		Long: `Lists each job, and how it is with each table that it works on or has worked on
since the demux started.`,
		Example: `  akupara jobs list
  akupara jobs list --watch
  akupara jobs list --json | jq '.jobs[].tables[] | select(.last.error)'`,
	}
	watchFlag(c, &interval)
	k.typeFlag(c, "only the table of this data `TYPE`")
	return k.app.command(c, func(ctx context.Context, _ []string) error {
		if err := cmp.Or(checkWatch(interval), k.checkType()); err != nil {
			return err
		}
		return k.every(ctx, interval, func(ctx context.Context) error {
			answer, raw, err := k.ask(ctx)
			if err != nil || k.asJSON {
				return k.rawOr(raw, err)
			}
			return show.Jobs(k.app.stdout, answer.Jobs, answer.Running, k.dataset, time.Now(), k.app.cells())
		})
	})
}

func (k *askedJobs) rawOr(raw []byte, err error) error {
	if err != nil {
		return err
	}
	return k.raw(raw)
}

func oneJob(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one job's name, of %s; got %d arguments", strings.Join(demux.JobNames(), ", "), len(args))
	}
	return nil
}

func completeJobs(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return demux.JobNames(), cobra.ShellCompDirectiveNoFileComp
}

func (k *askedJobs) start() *cobra.Command {
	var wait bool
	var bounds redo
	c := &cobra.Command{
		Use:   "start NAME",
		Short: "Have a job work on a table now, or on all",
		Long: `Starts a job now, whatever its schedule. With --wait it is followed to its end:
its progress is shown on a terminal, and the exit code is 1 when it fails. The
job redo needs --type, and --since or --until: the rows that it is to parse again.`,
		Example: `  akupara jobs start expire
  akupara jobs start redo --type syslog --since 2026-11-01 --until 2026-11-08
  akupara jobs start retain --type syslog --wait`,
		Args:              oneJob,
		ValidArgsFunction: firstArg(completeJobs),
	}
	k.typeFlag(c, "on the table of this data `TYPE` (default: on all)")
	c.Flags().BoolVar(&wait, "wait", false, "wait until it has ended")
	c.Flags().StringVar(&bounds.since, "since", "", "for redo: rows from this `TIME` on, such as 2026-11-01 or 2026-11-01T12:00:00Z")
	c.Flags().StringVar(&bounds.until, "until", "", "for redo: rows before this `TIME`")
	return k.app.command(c, func(ctx context.Context, args []string) error {
		if err := k.checkType(); err != nil {
			return err
		}
		q := url.Values{}
		if args[0] == "redo" || bounds.given() {
			if bounds.dataType = k.dataset; bounds.dataType == "" || args[0] != "redo" {
				return usagef("--since and --until go with redo, and redo with --type")
			}
			o, err := bounds.options()
			if err != nil {
				return err
			}
			for key, at := range map[string]time.Time{"since": o.Since, "until": o.Until} {
				if !at.IsZero() {
					q.Set(key, at.UTC().Format(time.RFC3339))
				}
			}
		}
		began := time.Now()
		raw, err := k.send(ctx, http.MethodPost, k.path(args[0], q))
		if err != nil {
			return err
		}
		var answer struct{ Started []string }
		if err := json.Unmarshal(raw, &answer); err != nil {
			return fmt.Errorf("the demux's answer: %w", err)
		}
		switch {
		case wait:
			return k.follow(ctx, args[0], answer.Started, began)
		case k.asJSON:
			return k.raw(raw)
		case len(answer.Started) == 0:
			k.say("%s is running on all tables already", args[0])
		default:
			k.say("started %s of %s", args[0], strings.Join(answer.Started, ", "))
		}
		return nil
	})
}

// pollEvery is how often a job is asked for that is waited for.
const pollEvery = 300 * time.Millisecond

// follow waits until a job has ended on these tables.
func (k *askedJobs) follow(ctx context.Context, job string, types []string, began time.Time) error {
	screen := isTerminal(k.app.stdout) && !k.asJSON
	failed := false
	for first := true; len(types) > 0; first = false {
		if !first {
			if err := daemon.Sleep(ctx, pollEvery); err != nil {
				return err
			}
		}
		answer, _, err := k.ask(ctx)
		if err != nil {
			return err
		}
		list := answer.Jobs
		at := slices.IndexFunc(list, func(j jobs.Status) bool { return j.Name == job })
		if at < 0 {
			return fmt.Errorf("the demux has no job %s any more: it was started anew", job)
		}
		var left []string
		for _, name := range types {
			i := slices.IndexFunc(list[at].Tables, func(t jobs.Table) bool { return t.Type == name })
			switch {
			case i < 0:
				return fmt.Errorf("the demux knows nothing of %s of %s: it was started anew", job, name)
			case list[at].Tables[i].State != jobs.Idle:
				left = append(left, name)
				if screen {
					fmt.Fprintf(k.app.stdout, "\r\x1b[K%s", show.Cut(show.JobLine(job, list[at].Tables[i], answer.Running, began), max(k.app.cells()-1, 20)))
				}
			default:
				if screen {
					fmt.Fprint(k.app.stdout, "\r\x1b[K")
				}
				t := list[at].Tables[i]
				failed = failed || t.Last != nil && t.Last.End == jobs.Failed
				k.say("%s", show.Clean(show.JobEnd(job, t)))
			}
		}
		types = left
	}
	if failed {
		return errFound
	}
	return nil
}

func (k *askedJobs) stop() *cobra.Command {
	c := &cobra.Command{
		Use:   "stop NAME",
		Short: "Stop a job on a table, or on all; its next time stays",
		Long: `Stops a job that is at work. What it has done stays done; it goes on from there
at its next time. A schedule is switched off in the config: demux.jobs.NAME: off.
The name "run" stops the runs that a cluster's tasks are at work on: the next run
takes the same.`,
		Example: `  akupara jobs stop compact --type syslog
  akupara jobs stop run --type syslog`,
		Args:              oneJob,
		ValidArgsFunction: firstArg(completeJobs),
	}
	k.typeFlag(c, "on the table of this data `TYPE` (default: on all)")
	return k.app.command(c, func(ctx context.Context, args []string) error {
		if err := k.checkType(); err != nil {
			return err
		}
		raw, err := k.send(ctx, http.MethodDelete, k.path(args[0], url.Values{}))
		if err != nil || k.asJSON {
			return k.rawOr(raw, err)
		}
		var answer struct{ Stopped int }
		if err := json.Unmarshal(raw, &answer); err != nil {
			return fmt.Errorf("the demux's answer: %w", err)
		}
		if answer.Stopped == 0 {
			k.say("%s was not at work", args[0])
			return nil
		}
		k.say("stopped %s on %d of the tables", args[0], answer.Stopped)
		return nil
	})
}

func (k *askedJobs) path(job string, q url.Values) string {
	if k.dataset != "" {
		q.Set("type", k.dataset)
	}
	return "/v1/jobs/" + url.PathEscape(job) + "?" + q.Encode()
}

// jobsAnswer is how the demux answers who asks for its jobs.
type jobsAnswer struct {
	Jobs    []jobs.Status
	Running []demux.Running
}

// ask returns the jobs, and the demux's answer as it came.
func (k *askedJobs) ask(ctx context.Context) (answer jobsAnswer, raw []byte, err error) {
	if raw, err = k.send(ctx, http.MethodGet, "/v1/jobs"); err != nil {
		return answer, nil, err
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return answer, nil, fmt.Errorf("the demux's answer: %w", err)
	}
	return answer, raw, nil
}

// maxJobsAnswer bounds what is read of an answer, in bytes.
const maxJobsAnswer = 64 << 20

// send asks the demux.
func (k *askedJobs) send(ctx context.Context, method, path string) ([]byte, error) {
	listen, token, err := k.listen()
	if err != nil {
		return nil, err
	}
	network, address := listen.Split()
	base := "http://localhost"
	if network == "tcp" {
		if strings.HasSuffix(address, ":0") {
			return nil, fmt.Errorf("demux.listen has port 0, which is another one at each start: say by --demux where the demux is")
		}
		if base, err = dialable(listen, false); err != nil {
			return nil, fmt.Errorf("demux.listen: %w", err)
		}
	}
	dialer := &net.Dialer{Timeout: callWait}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, to string) (net.Conn, error) {
		if network == "unix" {
			to = address
		}
		return dialer.DialContext(ctx, network, to)
	}}}
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, base+path, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		if err := agentclient.SetToken(req, token); err != nil {
			return nil, err
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the demux at %s can't be asked: %w", listen, cause(err))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxJobsAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the demux's answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		var refused struct{ Error string }
		if json.Unmarshal(raw, &refused) != nil || refused.Error == "" {
			refused.Error = resp.Status
		}
		return nil, errors.New(show.Clean(refused.Error))
	}
	return raw, nil
}

// listen is where the demux listens, by the flag, the config, or as up has it, and
// the file of the token that it asks for, if any.
func (k *askedJobs) listen() (listen config.Addr, token string, err error) {
	if k.address != "" {
		var addr config.Addr
		if err := addr.UnmarshalText([]byte(k.address)); err != nil {
			return "", "", usagef("--demux: %q is no address: %v", k.address, err)
		}
		return addr, "", nil
	}
	s, err := k.app.mustLoad()
	if err != nil {
		return "", "", err
	}
	cfg, problems := decodeDemux(s.Demux)
	if err := k.app.refuse(problems); err != nil {
		return "", "", err
	}
	return cmp.Or(cfg.Listen, upDemux()), cfg.TokenFile, nil
}

// upDemux is where the demux of up listens where the config does not say.
func upDemux() config.Addr {
	return config.Addr(fmt.Sprintf("127.0.0.1:%d", embedded.FirstPort+3))
}
