package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/receipts"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// Adaptor makes lines. It implements adaptors.Replayer.
type Adaptor struct {
	receipts.Box // what the agent tells
	cfg          Config
	board        board.Board
}

var (
	_ adaptors.Replayer = (*Adaptor)(nil)
	_ adaptors.Rereader = (*Adaptor)(nil)
)

// New makes an adaptor from what Decode found valid; it makes no line.
func New(cfg Config) (*Adaptor, error) { return &Adaptor{cfg: cfg}, nil }

// Status implements adaptors.Adaptor.
func (a *Adaptor) Status() adaptors.Status { return a.board.Status() }

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
	a.Take() // what was told to a run before
	a.board.Clear()
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
			if err := l.run(ctx); err != nil && ctx.Err() == nil {
				once.Do(func() { failed = err })
				cancel()
			}
		})
	}
	for {
		select {
		case <-a.Wake():
			for id, letter := range a.Take() {
				if l := lanes[id]; l != nil {
					l.out.Take(letter)
					l.nudge()
				}
			}
		case <-ctx.Done():
			running.Wait()
			return failed
		}
	}
}

// prepare finds the streams that there are, and opens those that are missing. It
// returns them by id.
func (a *Adaptor) prepare(ctx context.Context, env adaptors.Env) (map[string]*lane, error) {
	wanted := map[Content]bool{}
	for i := range a.cfg.Streams {
		wanted[a.cfg.Content(i)] = true
	}
	lanes := map[string]*lane{}
	add := func(l *lane, id string) {
		lanes[id] = l
		a.board.Show(l.out, source(l.id.Content))
	}
	if err := a.takeOver(env, wanted); err != nil {
		return nil, err
	}
	for _, k := range env.Streams.Known() {
		var id identity
		if err := json.Unmarshal(k.Identity, &id); err != nil || id.Content.check() != nil {
			env.Log.Error("a stream's checkpoint can't be read; the stream is left as it is", "stream", k.ID, "error", err)
			continue
		}
		l := a.newLane(env, id)
		l.out = replay.Restore(&l.env, k)
		// A position within a line, which is none of ours, is taken for that line's start.
		l.out.Rewind(k.Settled - k.Settled%id.Content.LineBytes)
		ended := k.Ended && k.Sent != l.length
		if wanted[id.Content] && !ended && (l.length < 0 || k.Sent <= l.length) {
			delete(wanted, id.Content)
		} else {
			l.length, l.retired = k.Sent, true
		}
		add(l, k.ID)
	}
	for i := range a.cfg.Streams {
		c := a.cfg.Content(i)
		if !wanted[c] {
			continue
		}
		l := a.newLane(env, identity{Content: c})
		l.out = replay.New(&l.env)
		if err := l.out.Open(ctx, adaptors.Stream{Source: source(c), Identity: l.id.encode(), Origin: string(l.id.encode())}); err != nil {
			return nil, err
		}
		add(l, l.out.ID())
	}
	return lanes, nil
}

// takeOver takes the streams that are wanted from adaptors that are gone. Of what
// another adaptor of the type makes, this one makes a second stream.
func (a *Adaptor) takeOver(env adaptors.Env, wanted map[Content]bool) error {
	missing := maps.Clone(wanted)
	for _, k := range env.Streams.Known() {
		delete(missing, contentOf(k))
	}
	for _, k := range env.Streams.Others() {
		c := contentOf(k)
		if k.Type != env.Type || !missing[c] {
			continue
		}
		switch _, err := env.Streams.Take(k.ID); {
		case err == nil:
			delete(missing, c)
		case !errors.Is(err, adaptors.ErrHeld):
			return fmt.Errorf("go on with a stream of seed %d: %w", c.Seed, err)
		}
	}
	return nil
}

// contentOf is what a stored stream's bytes follow from; of one that can't be
// read it is nothing that is ever wanted.
func contentOf(k adaptors.Stream) Content {
	var id identity
	if json.Unmarshal(k.Identity, &id) != nil {
		return Content{}
	}
	return id.Content
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
