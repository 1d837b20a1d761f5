// Package adaptortest is the conformance suite of adaptors, and the far side
// of one in tests: an Output that records and checks what it is given, and
// Streams in memory that survive the adaptor.
package adaptortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

// Recorder is the agent as an adaptor sees it. It keeps all chunks it took and
// notes every broken rule: a chunk that fails Check, a byte of a stream that is
// not open or was not journalled as sent, a range sent again with other bytes
// (I2), facts that contradict data, a stream that another adaptor holds. It is
// safe for concurrent use.
type Recorder struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and renewed at each change
	streams  map[string]*recorded
	known    map[string]*owned
	held     map[string]bool // adaptors that run, or are to
	fresh    bool
	claims   *adaptors.Claims
	order    []string // ids of all that were opened
	opened   int      // ids that were made up
	life     int      // of the agent: calls of an earlier one are refused
	problems []string
	chunks   []chunk.Chunk // without bodies, in the order taken
	refuse   func(c *chunk.Chunk) error
	openErr  error
	takes    error // what Take fails with
}

// recorded is what came of one stream.
type recorded struct {
	source string
	data   []byte
	have   chunk.Ranges
	facts  []chunk.Chunk
	ended  bool
	pieces []chunk.Chunk // data chunks, without bodies
}

// NewRecorder makes an empty one.
func NewRecorder() *Recorder {
	return &Recorder{streams: map[string]*recorded{}, known: map[string]*owned{}, held: map[string]bool{}, fresh: true,
		claims: adaptors.NewClaims(), changed: make(chan struct{})}
}

// errKilled is what a killed adaptor gets from its agent.
var errKilled = errors.New("the agent of this adaptor was killed")

// link is one life of the agent: what an adaptor is given.
type link struct {
	r       *Recorder
	adaptor string
	life    int
	foreign bool // the streams are kept by somebody else
}

// NewOutput returns the recorder's Output alone, for adaptors whose streams are
// kept elsewhere.
func NewOutput(r *Recorder) adaptors.Output {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &link{r: r, life: r.life, foreign: true}
}

// Contiguous is how far a stream came without a hole from an offset on; facts
// count.
func (r *Recorder) Contiguous(stream string, from int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.streams[stream]
	if rec == nil {
		return from
	}
	for _, h := range rec.secured() {
		if h.First <= from {
			from = max(from, h.Last)
		}
	}
	return from
}

// Env is what an adaptor gets of its agent. log is the caller's to add.
func (r *Recorder) Env() adaptors.Env { return r.EnvOf("test") }

// EnvOf is Env for one of several adaptors of one kind in the same agent. The
// adaptor holds its streams from here on, until Stop or Kill.
func (r *Recorder) EnvOf(name string) adaptors.Env {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[name] = true
	l := &link{r: r, adaptor: name, life: r.life}
	return adaptors.Env{Name: name, Type: "test", Host: "host", Out: l, Streams: l, Claims: r.claims}
}

// Stop says that an adaptor was stopped or removed, after its Run has returned:
// others may take its streams.
func (r *Recorder) Stop(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, name)
	r.claims.Released()
}

// Kill ends this life of the agent: whoever holds an Env from before can
// change nothing any more, as after SIGKILL. What was journalled stays.
func (r *Recorder) Kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kill()
}

func (r *Recorder) kill() {
	r.life++
	r.fresh = false
	r.held, r.claims = map[string]bool{}, adaptors.NewClaims()
	for _, o := range r.known {
		o.released = false
	}
	r.signal()
}

// Lose is Kill, and the agent's state is gone. What came stays, as in the table.
func (r *Recorder) Lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kill()
	r.known, r.fresh = map[string]*owned{}, true
	r.forgetSources()
}

// forgetSources lets streams have other sources: an agent that knows less than
// the table finds them where they are now.
func (r *Recorder) forgetSources() {
	for _, rec := range r.streams {
		rec.source = ""
	}
}

// Backup copies the agent's state; restore is Kill, and the state is again what
// it was at the time of the Backup. What came stays, as in the table.
func (r *Recorder) Backup() (restore func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clone := func(from map[string]*owned) map[string]*owned {
		to := make(map[string]*owned, len(from))
		for id, o := range from {
			same := *o
			to[id] = &same
		}
		return to
	}
	saved := clone(r.known)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.kill()
		r.known = clone(saved)
		r.forgetSources()
	}
}

// Refuse lets Send fail with what f gives, before the chunk is taken; nil
// takes everything again. f may block.
func (r *Recorder) Refuse(f func(c *chunk.Chunk) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = f
}

// FailOpen lets Open fail.
func (r *Recorder) FailOpen(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.openErr = err
}

func (r *Recorder) signal() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Changed is closed when something arrives.
func (r *Recorder) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *Recorder) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// Send implements adaptors.Output.
func (l *link) Send(ctx context.Context, c *chunk.Chunk) error {
	r := l.r
	r.mu.Lock()
	refuse := r.refuse
	r.mu.Unlock()
	if refuse != nil {
		if err := refuse(c); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.life != r.life {
		return errKilled
	}
	defer r.signal()
	if err := c.Check(); err != nil {
		r.problem("an invalid chunk: %v", err)
		return err
	}
	st := r.known[c.Stream]
	switch {
	case l.foreign:
		st = &owned{Stream: adaptors.Stream{Sent: c.Last}}
	case st == nil:
		r.problem("stream %s was not open when %v %v was sent", c.Stream, c.Kind, c.Range())
		return nil
	case st.adaptor != l.adaptor || st.released:
		r.problem("%s sent %v %v of stream %s, which it does not hold", l.adaptor, c.Kind, c.Range(), c.Stream)
	case st.Type != "" && st.Type != c.Type:
		r.problem("stream %s was opened as %s, and is sent as %s", c.Stream, st.Type, c.Type)
	}
	if c.Kind == chunk.Data && st.Sent < c.Last {
		r.problem("stream %s: %v was sent, but journalled only to %d", c.Stream, c.Range(), st.Sent)
	}
	rec := r.streams[c.Stream]
	if rec == nil {
		rec = &recorded{source: c.Source}
		r.streams[c.Stream] = rec
	}
	rec.take(r, c)
	bare := *c
	bare.Body, bare.Borders = nil, slices.Clone(c.Borders)
	r.chunks = append(r.chunks, bare)
	return nil
}

func (rec *recorded) take(r *Recorder, c *chunk.Chunk) {
	if rec.source == "" {
		rec.source = c.Source
	}
	if c.Source != rec.source {
		r.problem("stream %s changed its source from %s to %s", c.Stream, rec.source, c.Source)
	}
	bare := *c
	bare.Body, bare.Borders = nil, slices.Clone(c.Borders)
	if c.Kind != chunk.Data {
		rec.facts = append(rec.facts, bare)
		rec.ended = rec.ended || c.Kind == chunk.End
		return
	}
	rec.pieces = append(rec.pieces, bare)
	for _, both := range rec.have.Covered(c.Range()) {
		if !bytes.Equal(rec.data[both.First:both.Last], c.Body[both.First-c.First:both.Last-c.First]) {
			r.problem("stream %s: %v was sent again with other bytes", c.Stream, both)
		}
	}
	if n := c.Last - int64(len(rec.data)); n > 0 {
		rec.data = append(rec.data, make([]byte, n)...)
	}
	copy(rec.data[c.First:], c.Body)
	rec.have = rec.have.Add(c.Range())
}

// secured are the ranges that came, or are explained by a fact.
func (rec *recorded) secured() chunk.Ranges {
	have := slices.Clone(rec.have)
	for _, f := range rec.facts {
		if f.Kind != chunk.Doubtful {
			have = have.Add(f.Range())
		}
	}
	return have
}

// Settle secures everything that came: it moves the stored positions and tells
// the adaptor, which may be nil, of its own streams.
func (r *Recorder) Settle(a adaptors.Replayer) { r.SettleOf("test", a) }

// SettleOf is Settle for one of several adaptors.
func (r *Recorder) SettleOf(name string, a adaptors.Replayer) {
	r.mu.Lock()
	upTo := map[string]int64{}
	for id, rec := range r.streams {
		s := r.known[id]
		if s == nil || s.adaptor != name {
			continue
		}
		for _, h := range rec.secured() {
			if h.First <= s.Settled {
				s.Settled = max(s.Settled, h.Last)
			}
		}
		upTo[id] = s.Settled
	}
	r.mu.Unlock()
	if a != nil {
		for id, n := range upTo {
			a.Settled(id, n)
		}
	}
}

// Forgive takes everything back that came of a stream's range, as if the
// collector that had it were gone with its disk.
func (r *Recorder) Forgive(stream string, rg chunk.Range) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := r.streams[stream]; rec != nil {
		rec.have = rec.have.Remove(rg)
	}
}

// Problems returns the rules that were broken.
func (r *Recorder) Problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.problems)
}

// Chunks returns what was taken, without bodies, in order.
func (r *Recorder) Chunks() []chunk.Chunk {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.chunks)
}

// Facts returns the facts of one kind that came, in order.
func (r *Recorder) Facts(kind chunk.Kind) []chunk.Chunk {
	var out []chunk.Chunk
	for _, c := range r.Chunks() {
		if c.Kind == kind {
			out = append(out, c)
		}
	}
	return out
}

// Streams returns the ids of the streams of which data came, sorted by source.
func (r *Recorder) Streams() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Keys(r.streams), func(a, b string) int {
		return strings.Compare(r.streams[a].source+a, r.streams[b].source+b)
	})
}

// Bytes returns what came of a stream, at its offsets; holes are NULs.
func (r *Recorder) Bytes(stream string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := r.streams[stream]; rec != nil {
		return slices.Clone(rec.data)
	}
	return nil
}

// Content returns all bytes that came of all streams, each byte of a stream
// once and of forks only what is their own: what the table would hold. Streams
// follow in the order they were
// opened; holes are left out.
func (r *Recorder) Content() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out strings.Builder
	for _, id := range r.order {
		if rec := r.streams[id]; rec != nil {
			for _, h := range r.own(id) {
				out.Write(rec.data[h.First:h.Last])
			}
		}
	}
	return out.String()
}

// Lines counts the lines that came, as Content has them. A line ends at
// its stream's end at the latest.
func (r *Recorder) Lines() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int{}
	for id, rec := range r.streams {
		for _, h := range r.own(id) {
			for line := range strings.Lines(string(rec.data[h.First:h.Last])) {
				out[strings.TrimSuffix(line, "\n")]++
			}
		}
	}
	return out
}
