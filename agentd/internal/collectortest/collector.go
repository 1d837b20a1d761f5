// Package collectortest has a collector for tests: a real HTTP server that
// checks and keeps what it is sent, and misbehaves on demand.
package collectortest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

// Collector takes batches into one segment per data type, until Roll.
type Collector struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	prefix   string
	segments map[string]*segment // by name
	open     map[string]string   // name of a type's open segment
	rolls    int
	chunks   []chunk.Chunk
	batches  int
	settle   bool                                        // everything is settled at once
	answer   func(b *chunk.Batch) (status int, body any) // nil, or 0: as a collector does
	changed  chan struct{}
	discard  bool
}

type segment struct {
	chunks []chunk.Chunk
	blocks int
	state  wire.State
}

// New starts a collector that ends with the test. name goes into its segments'
// names.
func New(t testing.TB, name string) *Collector {
	c := &Collector{t: t, prefix: name, segments: map[string]*segment{}, open: map[string]string{}, changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.BatchesPath, c.take)
	mux.HandleFunc("POST "+wire.ReceiptsPath, c.tell)
	c.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		c.CloseClientConnections()
		c.Close()
	})
	return c
}

// Answer makes the collector answer batches as f says; f's status 0 means as
// it otherwise would.
func (c *Collector) Answer(f func(b *chunk.Batch) (status int, body any)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

// Discard makes it decode nothing and keep nothing, for benchmarks.
func (c *Collector) Discard() { c.discard = true }

// SettleAll lets everything, also what comes later, be settled.
func (c *Collector) SettleAll(settle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle = settle
}

// Settle publishes all that was taken so far; what comes goes into new
// segments.
func (c *Collector) Settle() { c.end(wire.Settled) }

// Lose forgets all that was taken and not published: its disk is gone.
func (c *Collector) Lose() { c.end(wire.Unknown) }

func (c *Collector) end(state wire.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.segments {
		if s.state == wire.Spooled {
			s.state = state
		}
	}
	c.open = map[string]string{}
	c.rolls++
}

// Chunks are those taken so far; a collector that loses them has taken them
// nevertheless.
func (c *Collector) Chunks() []chunk.Chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]chunk.Chunk(nil), c.chunks...)
}

// Published are the chunks that are settled, or would be once asked for: what a
// table is made of.
func (c *Collector) Published() []chunk.Chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []chunk.Chunk
	for _, s := range c.segments {
		if s.state == wire.Settled || c.settle && s.state == wire.Spooled {
			out = append(out, s.chunks...)
		}
	}
	return out
}

// Batches is how many were taken.
func (c *Collector) Batches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.batches
}

// Wait waits until what was taken is as ok wants it.
func (c *Collector) Wait(what string, ok func([]chunk.Chunk) bool) []chunk.Chunk {
	c.t.Helper()
	deadline := time.After(time.Minute)
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if got := c.Chunks(); ok(got) {
			return got
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("collector %s: %s did not come; %d chunks did", c.prefix, what, len(c.Chunks()))
		}
	}
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	frame, err := chunk.ReadFrame(r.Body, nil)
	if err != nil {
		reply(w, http.StatusBadRequest, wire.Error{Error: err.Error(), Permanent: true})
		return
	}
	b, err := chunk.ParseFrame(frame)
	if err != nil {
		reply(w, http.StatusBadRequest, wire.Error{Error: err.Error(), Permanent: true})
		return
	}
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		if status, body := answer(&b); status != 0 {
			reply(w, status, body)
			return
		}
	}
	var chunks []chunk.Chunk
	if !c.discard {
		blk := chunk.Block{Len: len(b.Block), RawLen: b.RawLen, Entries: b.Entries}
		if chunks, _, err = blk.Decode(b.Type, b.Block, nil); err != nil {
			c.t.Errorf("a batch can't be decoded: %v", err)
			reply(w, http.StatusBadRequest, wire.Error{Error: err.Error(), Permanent: true})
			return
		}
	}
	reply(w, http.StatusOK, c.keep(b.Type, chunks))
}

func (c *Collector) keep(dataType string, chunks []chunk.Chunk) wire.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := c.open[dataType]
	if name == "" {
		name = fmt.Sprintf("20260101T000000.000000Z-%s-%s-%06d", c.prefix, dataType, c.rolls)
		c.open[dataType] = name
		c.segments[name] = &segment{state: wire.Spooled}
	}
	s := c.segments[name]
	c.chunks = append(c.chunks, chunks...)
	c.batches++
	close(c.changed)
	c.changed = make(chan struct{})
	s.chunks = append(s.chunks, chunks...)
	s.blocks++
	return wire.Receipt{Segment: name, Block: s.blocks - 1, State: wire.Spooled}
}

func (c *Collector) tell(w http.ResponseWriter, r *http.Request) {
	var req wire.ReceiptsRequest
	body, _ := io.ReadAll(io.LimitReader(r.Body, wire.MaxReceiptsBody))
	if err := json.Unmarshal(body, &req); err != nil {
		reply(w, http.StatusBadRequest, wire.Error{Error: err.Error()})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := wire.ReceiptsResponse{}
	for _, q := range req.Receipts {
		state := wire.Unknown
		if s := c.segments[q.Segment]; s != nil && q.Block < s.blocks {
			if state = s.state; c.settle && state == wire.Spooled {
				state = wire.Settled
			}
		}
		out.States = append(out.States, state)
	}
	reply(w, http.StatusOK, out)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: its own trouble
}
