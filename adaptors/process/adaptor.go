package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

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
