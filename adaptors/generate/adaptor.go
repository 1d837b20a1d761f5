// Package generate is the adaptor whose source is itself: streams of lines
// that follow from a seed and their offset alone, so that whoever has bytes of
// one can check them (Verify) and every byte can be made again.
//
// A stream is known by what its bytes follow from (Content), which its
// checkpoint holds. One whose content is not the config's any more is ended
// where it is; a new one begins.
package generate

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

// Adaptor makes lines. It implements adaptors.Replayer.
type Adaptor struct {
	cfg Config

	mu    sync.Mutex
	lanes map[string]*lane // of the run that is on, or of the last one, by stream
}

var (
	_ adaptors.Replayer = (*Adaptor)(nil)
	_ adaptors.Rereader = (*Adaptor)(nil)
)

// New makes an adaptor; it makes no line.
func New(cfg Config) (*Adaptor, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := cfg.Content(0).check(); err != nil {
		return nil, err
	}
	return &Adaptor{cfg: cfg, lanes: map[string]*lane{}}, nil
}

// Status implements adaptors.Adaptor.
func (a *Adaptor) Status() adaptors.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out adaptors.Status
	for _, l := range a.lanes {
		src, lastErr := l.shown()
		out.Sources = append(out.Sources, src)
		out.LagBytes += max(0, src.Read-src.Settled)
		if lastErr != "" {
			out.LastErr = lastErr
		}
	}
	sortSources(out.Sources)
	return out
}

func (a *Adaptor) lane(stream string) *lane {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lanes[stream]
}

// Settled implements adaptors.Replayer.
func (a *Adaptor) Settled(stream string, upTo int64) {
	if l := a.lane(stream); l != nil {
		l.settle(upTo)
	}
}

// Resend implements adaptors.Replayer.
func (a *Adaptor) Resend(stream string, r chunk.Range) {
	if l := a.lane(stream); l != nil {
		l.ask(r)
	}
}

// CanReread implements adaptors.Rereader: all can be made again.
func (a *Adaptor) CanReread(adaptors.Stream) bool { return true }

// identity is what a checkpoint holds of a stream.
type identity struct {
	Content Content
	// EndSecured: the End is known to be in a store.
	EndSecured bool `json:",omitempty"`
}

// Run implements adaptors.Adaptor. When all streams are at their end it waits
// for ctx.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	lanes, err := a.prepare(ctx, env)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	var once sync.Once
	var failed error // a journal that fails: nothing may be sent
	for _, l := range lanes {
		running.Go(func() {
			if err := l.run(ctx, env); err != nil && ctx.Err() == nil {
				once.Do(func() { failed = err })
				cancel()
			}
		})
	}
	<-ctx.Done()
	running.Wait()
	return failed
}

// prepare finds the streams that there are, and opens those that are missing.
func (a *Adaptor) prepare(ctx context.Context, env adaptors.Env) ([]*lane, error) {
	wanted := map[Content]bool{}
	for i := range a.cfg.Streams {
		wanted[a.cfg.Content(i)] = true
	}
	var lanes []*lane
	for _, k := range env.Streams.Known() {
		var id identity
		if err := json.Unmarshal(k.Identity, &id); err != nil || id.Content.check() != nil {
			env.Log.Error("a stream's checkpoint can't be read; the stream is left as it is", "stream", k.ID, "err", err)
			continue
		}
		l := newLane(k, id, -1, a.cfg.step())
		length := a.cfg.length()
		ended := k.Ended && k.Sent != length
		if wanted[id.Content] && !ended && (length < 0 || k.Sent <= length) {
			delete(wanted, id.Content)
			l.length = length
		} else {
			l.length, l.retired = k.Sent, true
		}
		lanes = append(lanes, l)
	}
	for i := range a.cfg.Streams {
		c := a.cfg.Content(i)
		if !wanted[c] {
			continue
		}
		id := identity{Content: c}
		st, err := env.Streams.Open(ctx, adaptors.Stream{Source: source(c), Identity: id.encode(), Type: env.Type})
		if err != nil {
			return nil, fmt.Errorf("open a stream of seed %d: %w", c.Seed, err)
		}
		lanes = append(lanes, newLane(st, id, a.cfg.length(), a.cfg.step()))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lanes = map[string]*lane{}
	for _, l := range lanes {
		l.log = env.Log.With(slog.String("stream", l.stream.ID))
		a.lanes[l.stream.ID] = l
	}
	return lanes, nil
}

func (id identity) encode() []byte {
	b, err := json.Marshal(id)
	if err != nil {
		panic(fmt.Sprintf("generate: a stream's identity is not JSON: %v", err)) // a struct of our own
	}
	return b
}

// source is what people see of a stream.
func source(c Content) string { return fmt.Sprintf("generate:seed=%d", c.Seed) }
