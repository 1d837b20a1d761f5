package main

import (
	"context"
	"fmt"
	"time"

	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/spf13/cobra"
)

func (a *app) streams() *cobra.Command {
	var page client.Page
	var interval time.Duration
	c := &cobra.Command{
		Use:   "streams",
		Short: "List an agent's streams: what it reads, and how far it is",
		Long: `Lists the streams that a running agent knows: one for each generation of each
file, and for each start of what goes through the agent's spool. live ones are
read now, ended ones are finished, away ones have not been found again yet.`,
		Example: `  akupara streams
  akupara streams --adaptor app --limit 100
  akupara streams --json | jq '.streams[] | select(.settled < .size)'`,
	}
	k := a.asks(c)
	f := c.Flags()
	f.StringVar(&page.Adaptor, "adaptor", "", "only those of the adaptor of this `NAME`")
	f.IntVar(&page.Limit, "limit", 1000, "at most so many, from 1 to 100000")
	f.IntVar(&page.Offset, "offset", 0, "leave out so many")
	watchFlag(c, &interval)
	_ = c.RegisterFlagCompletionFunc("adaptor", k.completeAdaptors(nil))
	return a.command(c, func(ctx context.Context, _ []string) error {
		switch {
		case page.Limit < 1 || page.Limit > 100_000:
			return usagef("--limit %d: allowed are 1 to 100000", page.Limit)
		case page.Offset < 0:
			return usagef("--offset %d: want 0 or more", page.Offset)
		}
		if err := checkWatch(interval); err != nil {
			return err
		}
		agent, err := k.client()
		if err != nil {
			return err
		}
		defer agent.Close()
		return k.every(ctx, interval, func(ctx context.Context) error {
			raw, err := agent.Streams(ctx, page)
			if err != nil {
				return err
			}
			return reply(k, raw, func(s client.Streams) error {
				if s.Total == 0 {
					k.say("there are no streams")
					return nil
				}
				return show.Streams(a.stdout, s, page.Offset, a.cells())
			})
		})
	})
}

func (a *app) drain() *cobra.Command {
	var timeout time.Duration
	var status, resume bool
	c := &cobra.Command{
		Use:   "drain",
		Short: "Have an agent hold its reading and settle all that it has read",
		Long: `Holds all reading of an agent, sends what was read, and waits until it is settled
in the store: nothing is then sent twice by a later start, on another version, say.
Reading stays held until --resume, or until the agent is restarted. Nothing is
lost meanwhile: sources wait.

The exit code is 1 when something was left at the time-out.`,
		Example: `  akupara drain
  akupara drain --timeout 5m && systemctl stop akupara-agent
  akupara drain --status
  akupara drain --resume`,
	}
	k := a.asks(c)
	f := c.Flags()
	f.DurationVar(&timeout, "timeout", 30*time.Second, "wait so long at most, from 0s to 10m")
	f.BoolVar(&status, "status", false, "only show whether reading is held, and what is left")
	f.BoolVar(&resume, "resume", false, "let reading go on")
	c.MarkFlagsMutuallyExclusive("timeout", "status", "resume")
	return a.command(c, func(ctx context.Context, _ []string) error {
		if timeout < 0 || timeout > 10*time.Minute {
			return usagef("--timeout %v: allowed are 0s to 10m", timeout)
		}
		agent, err := k.client()
		if err != nil {
			return err
		}
		defer agent.Close()
		ctx, cancel := context.WithTimeout(ctx, timeout+callWait)
		defer cancel()
		var raw []byte
		switch {
		case resume:
			if _, err := agent.Resume(ctx); err != nil {
				return err
			}
			k.say("reading goes on")
			return nil
		case status:
			raw, err = agent.Drained(ctx)
		default:
			raw, err = agent.Drain(ctx, timeout)
		}
		if err != nil {
			return err
		}
		if err := reply(k, raw, func(d client.Drain) error { return show.Drained(a.stdout, d, a.cells()) }); err != nil {
			return err
		}
		if d, err := client.Decode[client.Drain](raw); err != nil || !status && !d.Settled {
			return errFound
		}
		return nil
	})
}

func (a *app) reload() *cobra.Command {
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have an agent read its config again, and apply it whole or not at all",
		Long: `Has a running agent read its config file again. Adaptors that changed are started
again where they were, the others are left alone. A config that is wrong is
refused whole, with every problem as file:line:column: message, and the one before
goes on; the exit code is 1 then.`,
		Example: `  akupara reload
  akupara reload --config /etc/akupara.yaml
  akupara reload --json | jq .generation`,
	}
	k := a.asks(c)
	return k.agentCommand(c, func(ctx context.Context, agent *client.Client, _ []string) error {
		raw, err := agent.Reload(ctx)
		if err != nil {
			return err
		}
		return reply(k, raw, func(cfg client.Config) error {
			if err := show.Reloaded(a.stdout, cfg); err != nil {
				return fmt.Errorf("write answer: %w", err)
			}
			return nil
		})
	})
}
