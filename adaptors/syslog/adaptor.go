package syslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

// New makes an adaptor from what Decode found valid; it listens to nothing yet.
func New(cfg Config) (*Adaptor, error) {
	a := &Adaptor{cfg: cfg, times: defaultTimes(), source: sourceName(cfg.Listen), pending: newPending(pendingBytes)}
	for _, addr := range cfg.Listen {
		a.doors = append(a.doors, &door{addr: addr})
	}
	return a, nil
}

// times are the waits that tests shorten.
type times struct {
	handshake time.Duration // a TLS handshake may take
	grace     time.Duration // what was read is handed over after a stop
	retry     time.Duration // after the output refused a chunk
}

func defaultTimes() times {
	return times{handshake: 10 * time.Second, grace: 2 * time.Second, retry: time.Second}
}

// Adaptor receives messages.
type Adaptor struct {
	cfg     Config
	times   times
	source  string
	doors   []*door
	pending *pending
	conns   atomic.Int64

	mu      sync.Mutex
	lastErr string
}

// listener is an open door.
type listener interface {
	// serve reads until the listener is closed.
	serve(ctx context.Context, r *receiver)
	Close() error
}

// receiver is what listeners give messages to.
type receiver struct {
	*Adaptor
	log *slog.Logger
	typ string // of messages that no rule fits
}

// Run implements adaptors.Adaptor. It fails when an address can't be listened
// on. What was read when ctx is done is still handed over, for a moment.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	if ctx.Err() != nil {
		return nil
	}
	r := &receiver{Adaptor: a, log: env.Log, typ: env.Type}
	var open []listener
	closeAll := sync.OnceFunc(func() {
		for _, l := range open {
			_ = l.Close() // nothing was written to it
		}
		for _, d := range a.doors {
			d.closed()
		}
	})
	defer closeAll()
	for _, d := range a.doors {
		l, err := d.open(ctx, r)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", d.addr, err)
		}
		open = append(open, l)
	}
	a.fail("")

	// Readers end with ctx, the hand-over a little later.
	sendCtx, cancelSend := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelSend()
	var readers, sender sync.WaitGroup
	for _, l := range open {
		readers.Go(func() { l.serve(ctx, r) })
	}
	stopped := make(chan struct{})
	sender.Go(func() { a.handOver(sendCtx, env, stopped) })
	<-ctx.Done()
	closeAll()
	late := time.AfterFunc(a.times.grace, cancelSend)
	defer late.Stop()
	readers.Wait()
	close(stopped)
	sender.Wait()
	if n := a.pending.bytes(); n > 0 {
		env.Log.Warn("messages that were received could not be stored before the stop; they are lost unless the adaptor starts again in this process", "bytes", n)
	}
	return nil
}

// take hands one message, or a piece of one, in. The bytes are the caller's
// again when it returns. p is the priority of the whole message.
func (r *receiver) take(ctx context.Context, d *door, peer netip.Addr, msg []byte, p part, pri priority) (uint64, error) {
	typ := r.typ
	for i := range r.cfg.Types {
		if r.cfg.Types[i].fits(pri) {
			typ = r.cfg.Types[i].Type
			break
		}
	}
	n, err := r.pending.add(ctx, key{peer: peer, door: d, dataType: typ, part: p}, msg, time.Now())
	if err != nil {
		return 0, fmt.Errorf("take in a message: %w", err)
	}
	d.received.Add(int64(len(msg)))
	return n, nil
}

// handOver sends what is pending, until stopped is closed and nothing is left,
// or ctx is done.
func (a *Adaptor) handOver(ctx context.Context, env adaptors.Env, stopped <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	ending := false
	for ctx.Err() == nil {
		pl, wait := a.pending.due(time.Now(), ending)
		if pl != nil {
			if !a.send(ctx, env, pl) {
				return
			}
			continue
		}
		if ending {
			return
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-a.pending.wake:
		case <-stopped:
			ending = true
		case <-ctx.Done():
		}
	}
}

// send hands one chunk over, and tries again until it is taken: what came from
// a socket comes only once. It gives false when ctx was done before.
func (a *Adaptor) send(ctx context.Context, env adaptors.Env, pl *pile) bool {
	c := chunk.Chunk{
		Type: pl.dataType, Source: a.source, Time: pl.since, Tags: pl.tags(), Borders: pl.borders, Body: pl.body,
	}
	for {
		err := env.Out.Send(ctx, &c)
		if err == nil {
			a.pending.handedOver(pl)
			pl.door.stored.Add(int64(len(pl.body)))
			a.fail("")
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if errors.Is(err, chunk.ErrInvalid) { // no second try will help
			env.Log.Error("messages could not be stored and are lost", "peer", pl.peer, "bytes", len(pl.body), "error", err)
			a.pending.handedOver(pl)
			pl.door.invalid.Add(1)
			return true
		}
		if a.fail(fmt.Sprintf("store messages: %v", err)) {
			env.Log.Error("messages can't be stored, trying again", "error", err)
		}
		t := time.NewTimer(a.times.retry)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return false
		}
	}
}

func (pl *pile) tags() map[string]string {
	tags := map[string]string{"transport": pl.door.addr.network}
	if pl.peer.IsValid() {
		tags["peer"] = pl.peer.String()
	}
	if pl.part != whole {
		tags["part"] = string(pl.part)
	}
	return tags
}

// fail notes what is wrong, "" for nothing; it reports whether that is news.
func (a *Adaptor) fail(text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	news := a.lastErr != text
	a.lastErr = text
	return news
}

// Status implements adaptors.Adaptor. A source is a listener: Size is the bytes
// of messages that were received, Settled those that are stored in the spool.
func (a *Adaptor) Status() adaptors.Status {
	a.mu.Lock()
	out := adaptors.Status{LastErr: a.lastErr}
	a.mu.Unlock()
	for _, d := range a.doors {
		received, stored := d.received.Load(), d.stored.Load()
		out.Sources = append(out.Sources, adaptors.Source{Path: d.shown(), Size: received, Read: received, Settled: stored})
		for _, reason := range d.troubles(a.cfg.MaxConns) {
			out.Skipped = append(out.Skipped, adaptors.Skipped{Path: d.shown(), Reason: reason})
		}
	}
	out.LagBytes = a.pending.bytes()
	return out
}
