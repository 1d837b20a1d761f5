package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors/internal/fetch"
	"github.com/akupara/akupara/adaptors/internal/procfs"
)

// since is the time from t on in milliseconds, to the microsecond.
func since(t time.Time) *float64 {
	ms := math.Round(float64(time.Since(t))/float64(time.Microsecond)) / 1000
	return &ms
}

// httpProbe asks a server.
type httpProbe struct {
	cfg    *HTTPCheck
	client *fetch.Client // nil: its TLS files could not be read yet
}

func newHTTP(name string, cfg *HTTPCheck) entry {
	return entry{name, "http", fetch.Shown(string(cfg.URL)), &httpProbe{cfg: cfg}}
}

func (p *httpProbe) look(ctx context.Context, r *record) error {
	if p.client == nil {
		client, err := fetch.Open(p.cfg.Config)
		if err != nil {
			return err
		}
		p.client = client
	}
	started := time.Now()
	a, err := p.client.Do(ctx, fetch.Request{Method: p.cfg.Method, URL: string(p.cfg.URL), NoRedirects: true, Truncate: true})
	if err != nil {
		return err
	}
	r.Latency, r.Status = since(started), &a.Status
	well := false
	for _, s := range p.cfg.Status {
		well = well || a.Status >= s.From && a.Status <= s.To
	}
	if !well {
		return fmt.Errorf("status %d, want %s", a.Status, statuses(p.cfg.Status))
	}
	if re := p.cfg.Body.Regexp; re != nil && !re.Match(a.Body) {
		return fmt.Errorf("the body does not match %s", re)
	}
	return nil
}

func statuses(list []Status) string {
	var out []string
	for _, s := range list {
		out = append(out, s.String())
	}
	return strings.Join(out, ", ")
}

func (p *httpProbe) close() {
	if p.client != nil {
		p.client.Close()
	}
}

// tcpProbe connects to a server.
type tcpProbe struct{ cfg *TCPCheck }

// maxBanner is how much of what a server says first is looked at, in bytes.
const maxBanner = 4096

func (p *tcpProbe) look(ctx context.Context, r *record) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout.Std())
	defer cancel()
	started := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.cfg.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	r.Latency = since(started)
	re := p.cfg.Banner.Regexp
	if re == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	var banner []byte
	for buf := make([]byte, maxBanner); len(banner) < maxBanner; {
		n, err := conn.Read(buf[:maxBanner-len(banner)])
		banner = append(banner, buf[:n]...)
		if re.Match(banner) {
			return nil
		}
		if err != nil {
			break
		}
	}
	if len(banner) == 0 {
		return fmt.Errorf("it says nothing; want what matches %s", re)
	}
	return fmt.Errorf("it says %.200q, which does not match %s", banner, re)
}

func (*tcpProbe) close() {}

// processProbe counts processes.
type processProbe struct {
	cfg  *ProcessCheck
	proc procfs.Dir
}

func newProcess(name string, cfg *ProcessCheck) entry {
	target := cfg.PIDFile
	if target == "" {
		var parts []string
		if cfg.Name.Regexp != nil {
			parts = append(parts, "name "+cfg.Name.String())
		}
		if cfg.Cmdline.Regexp != nil {
			parts = append(parts, "cmdline "+cfg.Cmdline.String())
		}
		target = strings.Join(parts, ", ")
	}
	return entry{name, "process", target, &processProbe{cfg, procfs.Dir(cfg.Proc)}}
}

func (*processProbe) close() {}

func (p *processProbe) look(_ context.Context, r *record) error {
	if p.cfg.Proc != procDir {
		if err := p.cfg.roots.HoldsPath(p.cfg.Proc); err != nil {
			return err
		}
	}
	count := p.byPattern
	if p.cfg.PIDFile != "" {
		count = p.byFile
	}
	n, err := count()
	if err != nil {
		return err
	}
	r.Running = &n
	switch {
	case n < p.cfg.Min:
		return fmt.Errorf("%d run, want at least %d", n, p.cfg.Min)
	case p.cfg.Max > 0 && n > p.cfg.Max:
		return fmt.Errorf("%d run, want at most %d", n, p.cfg.Max)
	}
	return nil
}

// alive reports whether a process runs: one that ended and that nobody has asked
// after does not.
func alive(s procfs.Stat) bool { return s.State != 'Z' && s.State != 'X' }

// byFile reports whether the process of the pid file runs. That there is no such
// file is no error: its process may not be meant to run.
func (p *processProbe) byFile() (int, error) {
	info, err := os.Stat(p.cfg.PIDFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() { // opening a FIFO would wait for a writer
		return 0, fmt.Errorf("%s is no regular file", p.cfg.PIDFile)
	}
	f, err := os.Open(p.cfg.PIDFile)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := p.cfg.roots.HoldsFile(f); err != nil {
		return 0, err
	}
	var buf [64]byte
	n, _ := f.Read(buf[:])
	first, _, _ := strings.Cut(strings.TrimSpace(string(buf[:n])), "\n")
	pid, err := strconv.ParseInt(strings.TrimSpace(first), 10, 32)
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s holds no process id", p.cfg.PIDFile)
	}
	s, err := p.proc.Stat(int(pid))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !alive(s) {
		return 0, nil
	}
	return 1, nil
}

// maxCmdline is how much of a command line is looked at, in bytes.
const maxCmdline = 4096

func (p *processProbe) byPattern() (int, error) {
	pids, err := p.proc.PIDs(nil)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, pid := range pids {
		s, err := p.proc.Stat(pid)
		if err != nil || !alive(s) {
			continue // it ended meanwhile
		}
		if re := p.cfg.Name.Regexp; re != nil && !re.MatchString(s.Name) {
			continue
		}
		if re := p.cfg.Cmdline.Regexp; re != nil {
			if line, err := p.proc.Cmdline(pid, maxCmdline); err != nil || !re.MatchString(line) {
				continue
			}
		}
		n++
	}
	return n, nil
}
