package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

// sampler takes the samples of one data type; now is the time they are of.
type sampler struct {
	dataType string
	source   string // where the kernel tells it
	sample   func(ctx context.Context, now stamp) (rows []any, err error)
}

func samplers() []sampler {
	return []sampler{
		{"cpu", "/proc/stat", (&processors{}).sample},
		{"memory", "/proc/meminfo", memory},
		{"load", "/proc/loadavg", loadAverage},
		{"disk", "/proc/mounts", disks},
		{"network", "/proc/net/dev", interfaces},
	}
}

// Adaptor samples at intervals.
type Adaptor struct {
	cfg      Config
	samplers []sampler

	mu      sync.Mutex
	lastErr string
}

// New makes an adaptor from what Decode found valid; it samples nothing.
func New(cfg Config) (*Adaptor, error) {
	a := &Adaptor{cfg: cfg}
	for _, s := range samplers() {
		if len(cfg.Only) == 0 || slices.Contains(cfg.Only, s.dataType) {
			a.samplers = append(a.samplers, s)
		}
	}
	return a, nil
}

// Status implements adaptors.Adaptor.
func (a *Adaptor) Status() adaptors.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return adaptors.Status{LastErr: a.lastErr}
}

// firstCPU is how long after the start the first sample of what is measured
// between two looks is taken, where the interval is longer.
const firstCPU = time.Second

// Run implements adaptors.Adaptor. What can't be sampled is told in the status
// and tried again; the others go on.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	t := time.NewTicker(a.cfg.Every.Std())
	defer t.Stop()
	early := time.NewTimer(firstCPU)
	defer early.Stop()
	if a.cfg.Every.Std() <= firstCPU {
		early.Stop()
	}
	silent, err := a.round(ctx, env, a.samplers)
	for err == nil {
		select {
		case <-early.C:
			_, err = a.round(ctx, env, silent)
		case <-t.C:
			_, err = a.round(ctx, env, a.samplers)
		case <-ctx.Done():
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// round takes and sends a sample of each; silent are those that had nothing to
// tell yet. The error is that of sending.
func (a *Adaptor) round(ctx context.Context, env adaptors.Env, list []sampler) (silent []sampler, err error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	var failed []error
	for _, s := range list {
		rows, err := s.sample(ctx, stamp(now))
		if err != nil {
			// Part of it may be there nevertheless: one disk of several.
			failed = append(failed, fmt.Errorf("sample %s: %w", s.dataType, err))
		}
		if len(rows) == 0 {
			silent = append(silent, s)
			continue
		}
		body, err := lines(rows)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", s.dataType, err)
		}
		c := chunk.Chunk{Type: s.dataType, Source: s.source, Time: now, Body: body}
		if err := env.Out.Send(ctx, &c); err != nil {
			return nil, fmt.Errorf("send %s: %w", s.dataType, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastErr = ""
	if err := errors.Join(failed...); err != nil {
		a.lastErr = err.Error()
	}
	return silent, nil
}

func lines(rows []any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// stamp is a sample's time, RFC 3339 with microseconds.
type stamp time.Time

// MarshalText implements encoding.TextMarshaler.
func (s stamp) MarshalText() ([]byte, error) {
	return time.Time(s).AppendFormat(nil, "2006-01-02T15:04:05.000000Z07:00"), nil
}
