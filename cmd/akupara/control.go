package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/config"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// How long the agent may take to answer. Stopping an adaptor takes it 15 s at
// most.
const (
	callWait     = time.Minute
	completeWait = time.Second // while somebody waits for a completion
)

// asked is what the commands that ask an agent have in common.
type asked struct {
	app    *app
	opts   client.Options
	asJSON bool
}

// asks gives a command the flags that say which agent is asked. They are its
// subcommands', too.
func (a *app) asks(c *cobra.Command) *asked {
	k := &asked{app: a}
	f := c.PersistentFlags()
	f.StringVar(&k.opts.Address, "agent", "", "`ADDRESS` of the agent: http://HOST:PORT, https://HOST:PORT or unix:/PATH (default: agent.listen of the config)")
	f.StringVar(&k.opts.TokenFile, "token-file", "", "`FILE` with the token that the agent asks for")
	f.StringVar(&k.opts.CA, "ca", "", "PEM `FILE` of the authorities that the agent's certificate is checked against (default: the system's)")
	f.StringVar(&k.opts.Cert, "cert", "", "PEM `FILE` of a client certificate")
	f.StringVar(&k.opts.Key, "key", "", "PEM `FILE` of the client certificate's key")
	f.BoolVar(&k.asJSON, "json", false, "print the agent's answer as it came, for scripts")
	c.MarkFlagsRequiredTogether("cert", "key")
	return k
}

// client makes a client of the agent that the flags or the config name.
func (k *asked) client() (*client.Client, error) {
	o := k.opts
	if o.Address == "" {
		s, problems, err := k.app.load()
		if err != nil {
			return nil, err
		}
		if !s.Agent.Given() { // what is wrong elsewhere in it does not matter here
			if err := k.app.refuse(problems); err != nil {
				return nil, err
			}
		}
		if err := s.reach(&o); err != nil {
			return nil, err
		}
		return client.New(o)
	}
	if socket, ok := strings.CutPrefix(o.Address, "unix:"); ok && socket != "" && !filepath.IsAbs(socket) {
		abs, err := filepath.Abs(socket)
		if err != nil {
			return nil, fmt.Errorf("--agent %s: %w", o.Address, err)
		}
		o.Address = "unix:" + abs
	}
	if err := new(client.Address).UnmarshalText([]byte(o.Address)); err != nil {
		return nil, usagef("--agent: %w", err)
	}
	return client.New(o)
}

// reach says where the site's agent is, as far as it is not said already.
func (s site) reach(o *client.Options) error {
	listen := agentd.DefaultConfig().Listen
	if n := s.Agent.Get("listen"); n.Given() {
		if err := listen.UnmarshalText([]byte(n.Text())); err != nil {
			return config.Problems{n.Problemf("%q is no address: %v", n.Text(), err)}
		}
	}
	cert := s.Agent.Get("tls").Get("cert").Text()
	address, err := dialable(listen, cert != "")
	if err != nil {
		return fmt.Errorf("agent.listen in %s: %w", s.Name, err)
	}
	o.Address = address
	if o.CA == "" {
		o.CA = cert // it is the agent's own, whoever signed it, and for whatever name
		o.ServerName = certName(cert)
	}
	if o.TokenFile == "" {
		o.TokenFile = s.Agent.Get("token_file").Text()
	}
	return nil
}

// certName is a name that a certificate is for, empty where it can't be read,
// which whoever uses the file tells.
func certName(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return ""
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
	case len(cert.DNSNames) > 0:
		return strings.Replace(cert.DNSNames[0], "*", "agent", 1) // of a wildcard, any
	case len(cert.IPAddresses) > 0:
		return cert.IPAddresses[0].String()
	}
	return ""
}

// dialable is where a server can be reached that listens there, with TLS or
// without.
func dialable(listen config.Addr, secure bool) (string, error) {
	network, address := listen.Split()
	if network == "unix" {
		return "unix:" + address, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", fmt.Errorf("port 0 is another one at each start: say by --agent where the agent is")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port), nil
}

// agentCommand is a command that asks the agent once.
func (k *asked) agentCommand(c *cobra.Command, body func(ctx context.Context, agent *client.Client, args []string) error) *cobra.Command {
	return k.app.command(c, func(ctx context.Context, args []string) error {
		agent, err := k.client()
		if err != nil {
			return err
		}
		defer agent.Close()
		ctx, cancel := context.WithTimeout(ctx, callWait)
		defer cancel()
		return k.told(body(ctx, agent, args), "")
	})
}

// told has the problems of an entry or a config printed alone, a line each, as
// check prints them; file stands for the request that was made of it.
func (k *asked) told(err error, file string) error {
	var refused *client.Refused
	if !errors.As(err, &refused) || len(refused.Problems) == 0 {
		return err
	}
	k.app.bare = true
	lines := make([]string, len(refused.Problems))
	for i, p := range refused.Problems {
		if rest, ok := strings.CutPrefix(p, "request:"); ok && file != "" {
			p = file + ":" + rest
		}
		lines[i] = show.Clean(p)
	}
	return errors.New(strings.Join(lines, "\n"))
}

// reply prints the agent's answer: as it came, or by the function for people.
func reply[T any](k *asked, raw []byte, people func(T) error) error {
	if k.asJSON {
		return k.raw(raw)
	}
	v, err := client.Decode[T](raw)
	if err != nil {
		return err
	}
	return people(v)
}

// raw prints an answer of the agent as it came.
func (k *asked) raw(raw []byte) error {
	if len(raw) > 0 && !bytes.HasSuffix(raw, []byte("\n")) {
		raw = append(raw, '\n')
	}
	if _, err := k.app.stdout.Write(raw); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// say prints a sentence for people; scripts get the agent's answer alone.
func (k *asked) say(format string, args ...any) {
	if !k.asJSON {
		fmt.Fprintf(k.app.stdout, format+"\n", args...)
	}
}

// cells is the width of the terminal that standard output is; 0 where it is
// none, so that what is piped is not cut.
func (a *app) cells() int {
	f, ok := a.stdout.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 0
	}
	return int(size.Col)
}

// isTerminal reports whether a person sits at the other end of f.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// every runs f once, or with an interval above 0 again and again until Ctrl-C,
// on a terminal always from its top.
func (k *asked) every(ctx context.Context, interval time.Duration, f func(ctx context.Context) error) error {
	once := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callWait)
		defer cancel()
		return f(ctx)
	}
	if interval == 0 {
		return once(ctx)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, unix.SIGTERM)
	defer stop()
	t := time.NewTicker(interval)
	defer t.Stop()
	screen := isTerminal(k.app.stdout) && !k.asJSON
	for {
		if screen {
			fmt.Fprint(k.app.stdout, "\x1b[H\x1b[2J")
		}
		err := once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if !screen {
				return err
			}
			fmt.Fprintln(k.app.stdout, show.Cut(show.Clean(err.Error()), max(k.app.cells(), 20))) // it may come back
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// watchFlag adds --watch to a command that shows something.
func watchFlag(c *cobra.Command, interval *time.Duration) {
	c.Flags().DurationVar(interval, "watch", 0, "show it again every `INTERVAL` until Ctrl-C; --watch alone is --watch=2s")
	c.Flags().Lookup("watch").NoOptDefVal = "2s"
}

func checkWatch(interval time.Duration) error {
	if interval != 0 && interval < 100*time.Millisecond {
		return usagef("--watch %v: want 100ms at least", interval)
	}
	return nil
}

// completeAdaptors completes the names of adaptors by asking the agent.
func (k *asked) completeAdaptors(want func(client.Adaptor) bool) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completeWait)
		defer cancel()
		agent, err := k.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer agent.Close()
		raw, err := agent.Adaptors(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, err := client.Decode[[]client.Adaptor](raw)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, a := range list {
			given := false
			for _, arg := range args {
				given = given || arg == a.Name
			}
			if !given && (want == nil || want(a)) {
				names = append(names, cobra.CompletionWithDesc(a.Name, strings.TrimSpace(a.Kind+", "+a.State)))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
