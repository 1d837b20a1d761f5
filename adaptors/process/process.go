// Package process is the adaptor that samples this machine's processes: at
// intervals, the ones that used most processor time and those with most
// memory. Each is one JSON object a line, of the data type process.
package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// Type is the data type of the kind's records.
const Type = "process"

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Every   config.Duration `config:"every" min:"500ms"`
	Top     int             `config:"top" min:"1" max:"1000"` // by processor time, and as many by memory
	Match   config.Regexp   `config:"match"`                  // that names must match
	Cmdline config.Size     `config:"cmdline" max:"16KiB"`    // bytes of a command line that are kept; 0: it is left out
	Proc    string          `config:"proc"`                   // where the kernel's process file system is
	Passwd  string          `config:"passwd"`                 // where users' names are

	roots adaptors.Roots
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{Every: config.Duration(10 * time.Second), Top: 10, Cmdline: 512, Proc: "/proc", Passwd: "/etc/passwd"}
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var out config.Problems
	for key, path := range map[string]string{"proc": c.Proc, "passwd": c.Passwd} {
		if !strings.HasPrefix(path, "/") {
			out = append(out, n.Get(key).Problemf("%q is not a path that starts with /", path))
		}
	}
	return out
}

// Needs implements adaptors.Needer: the usual files need no leave.
func (c *Config) Needs() []adaptors.Need {
	var out []adaptors.Need
	for _, path := range c.unusual() {
		out = append(out, adaptors.Need{What: adaptors.File, Value: path})
	}
	return out
}

// SetRoots implements adaptors.Rooter.
func (c *Config) SetRoots(r adaptors.Roots) { c.roots = r }

// unusual gives the paths that are not the default ones.
func (c *Config) unusual() []string {
	var out []string
	usual := DefaultConfig()
	if c.Proc != usual.Proc {
		out = append(out, c.Proc)
	}
	if c.Passwd != usual.Passwd {
		out = append(out, c.Passwd)
	}
	return out
}

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("process", "samples the processes that use most processor time and memory",
		DefaultConfig, New, adaptors.OwnTypes)
}

// Adaptor samples at intervals.
type Adaptor struct {
	cfg Config

	mu      sync.Mutex
	lastErr string
}

// New makes an adaptor from what Decode found valid; it samples nothing.
func New(cfg Config) (*Adaptor, error) { return &Adaptor{cfg: cfg}, nil }

// Status implements adaptors.Adaptor.
func (a *Adaptor) Status() adaptors.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return adaptors.Status{LastErr: a.lastErr}
}

// firstAfter is how long after the start the first sample is taken, where the
// interval is longer: processor time is measured between two looks.
const firstAfter = time.Second

// Run implements adaptors.Adaptor. A sample that can't be taken is told in the
// status and tried again.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	s := newSampler(&a.cfg)
	_, err := s.sample(time.Now())
	a.note(err)
	t := time.NewTimer(min(a.cfg.Every.Std(), firstAfter))
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		t.Reset(a.cfg.Every.Std())
		if err := a.once(ctx, env, s); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

func (a *Adaptor) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastErr = ""
	if err != nil {
		a.lastErr = err.Error()
	}
}

// once takes a sample and sends it. The error is that of sending.
func (a *Adaptor) once(ctx context.Context, env adaptors.Env, s *sampler) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	rows, err := s.sample(now)
	a.note(err)
	if len(rows) == 0 {
		return nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range rows {
		if err := enc.Encode(&rows[i]); err != nil {
			return fmt.Errorf("encode processes: %w", err)
		}
	}
	for body := b.Bytes(); len(body) > 0; {
		n := len(body)
		if n > chunk.MaxBody {
			n = bytes.LastIndexByte(body[:chunk.MaxBody], '\n') + 1
		}
		c := chunk.Chunk{Type: Type, Source: a.cfg.Proc, Time: now, Body: body[:n]}
		if err := env.Out.Send(ctx, &c); err != nil {
			return fmt.Errorf("send processes: %w", err)
		}
		body = body[n:]
	}
	return nil
}

// row is one process. What may not be looked at is left out: open files and
// bytes of other users' processes need CAP_SYS_PTRACE.
type row struct {
	TS      string  `json:"ts"`
	PID     int     `json:"pid"`
	PPID    int     `json:"ppid"`
	Name    string  `json:"name"`
	Cmdline string  `json:"cmdline,omitempty"`
	User    string  `json:"user,omitempty"`
	State   string  `json:"state"`
	CPU     float64 `json:"cpu"`         // percent of one processor since the sample before
	CPUTime float64 `json:"cpu_seconds"` // since the process's start
	RSS     uint64  `json:"rss"`         // bytes
	VMS     uint64  `json:"vms"`         // bytes
	Threads int64   `json:"threads"`
	FDs     *int64  `json:"fds,omitempty"`
	Read    *uint64 `json:"read_bytes,omitempty"` // from and to storage, since the process's start
	Written *uint64 `json:"write_bytes,omitempty"`
	Started string  `json:"started,omitempty"`
}

const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

// startFormat is as fine as the kernel tells it.
const startFormat = "2006-01-02T15:04:05.00Z07:00"
