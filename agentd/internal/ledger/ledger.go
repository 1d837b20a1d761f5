// Package ledger keeps account of what was posted and is not settled yet. It
// asks collectors what became of it, tells each stream's source how far the
// stream is settled, and asks the source to send again what nobody holds.
//
// A position moves only over contiguous settled ranges, and not to or past an
// offset with a fact (Begin, End) that is not settled yet. Settled is what the
// source's delivery level says: published in the store, taken by a collector,
// or handed to a post.
package ledger

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

// Source is where a stream's bytes come from. The ledger calls it from one
// goroutine, without holding locks.
type Source interface {
	// Settled says that every byte of the stream below upTo is secured; also
	// called, with upTo as before, when a fact there is.
	Settled(stream string, upTo int64)
	// Resend asks that r be sent again; an empty r asks for the facts at its
	// offset.
	Resend(stream string, r chunk.Range)
	// Adaptor names the stream's adaptor, for people.
	Adaptor(stream string) string
	// Level is what secures the source's bytes now. It is called with locks
	// held and must not block.
	Level() Level
}

// Ledger is safe for concurrent use.
type Ledger struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	streams  map[string]*stream
	segments map[segmentKey]*segment
	entries  int           // streams in segments, ranges aside
	less     chan struct{} // closed and replaced when entries fell
	pending  []call        // to tell sources, by Run
	wake     chan struct{} // gets a token when there are pending calls
	hurry    chan struct{} // gets a token when a round is due at once
	much     chan struct{} // gets a token when more than little waits to be settled
	totals   Totals
}

// Config is how the ledger asks.
type Config struct {
	Every       time.Duration // between two rounds of asking
	ResendAfter time.Duration // a collector away for so long: another is asked
	MaxEntries  int           // streams in unsettled segments, above which Full holds; 0: 100,000
}

// Totals count since the start.
type Totals struct {
	Settled  int64 // bytes
	Resent   int64 // bytes asked for again
	Segments int   // that wait now
}

// New makes an empty ledger.
func New(cfg Config, log *slog.Logger) *Ledger {
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = 100_000
	}
	return &Ledger{cfg: cfg, log: log, streams: map[string]*stream{}, segments: map[segmentKey]*segment{},
		less: make(chan struct{}), wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), much: make(chan struct{}, 1)}
}

type stream struct {
	source  Source
	prefix  int64             // as the source knows it
	settled chunk.Ranges      // beyond it
	facts   map[fact]struct{} // sent and not settled
}

// fact is a chunk that secures no bytes: one without length, or one of doubt.
type fact struct {
	kind chunk.Kind
	at   int64
}

// factOf returns the fact that a chunk is, if it is one.
func factOf(kind chunk.Kind, first, last int64) (f fact, ok bool) {
	ok = kind == chunk.Doubtful || kind != chunk.Data && first == last
	return fact{kind, first}, ok
}

type segmentKey struct{ collector, dataType, segment string }

// segment is what one collector took into one of its segments.
type segment struct {
	maxBlock int
	heard    time.Time // when a collector last answered for it
	bytes    int64     // that were posted
	facts    bool      // a fact without length was: a source waits for that before it is done
	streams  map[string]*part
}

// part is what a segment holds of one stream.
type part struct {
	of     *stream // nil: it is not open
	ranges chunk.Ranges
	facts  []fact
}

// Open announces a stream whose bytes below from are settled or will never be
// sent. A stream that is open already keeps its position where that is further.
// It returns the position; src is not told of it again.
func (l *Ledger) Open(id string, src Source, from int64) (settled int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if st := l.streams[id]; st != nil {
		st.source = src
		st.skip(from)
		return st.prefix
	}
	l.streams[id] = &stream{source: src, prefix: from}
	return from
}

// skip moves the position to where it came by another way: through another
// ledger, that is, which has what this one would wait for in vain.
func (st *stream) skip(to int64) {
	if to <= st.prefix {
		return
	}
	st.prefix = to
	st.settled = st.settled.Covered(chunk.Range{First: to, Last: math.MaxInt64})
	maps.DeleteFunc(st.facts, func(f fact, _ struct{}) bool { return f.at < to })
}

// Close forgets a stream. Receipts for what was taken of it before say nothing
// of one that is opened again under its name.
func (l *Ledger) Close(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.streams, id)
}

// Sending must be called before a chunk may reach a collector.
func (l *Ledger) Sending(c *chunk.Chunk) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.streams[c.Stream]
	if st == nil {
		return fmt.Errorf("stream %q was not opened before it was sent", c.Stream)
	}
	if f, ok := factOf(c.Kind, c.First, c.Last); ok {
		if st.facts == nil {
			st.facts = map[fact]struct{}{}
		}
		st.facts[f] = struct{}{}
	}
	return nil
}

// Accepted notes the receipt that a collector gave for a batch.
func (l *Ledger) Accepted(collector, dataType string, r wire.Receipt, entries []chunk.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	done, all := l.secure(entries, StoreOnFailure)
	if all {
		return // none of it has to be asked for
	}
	key := segmentKey{collector, dataType, r.Segment}
	seg := l.segments[key]
	if seg == nil {
		seg = &segment{streams: map[string]*part{}}
		l.segments[key] = seg
	}
	seg.maxBlock = max(seg.maxBlock, r.Block)
	seg.heard = time.Now()
	if l.littleWaits() {
		defer func() {
			if !l.littleWaits() {
				token(l.much)
			}
		}()
	}
	for i := range entries {
		e := &entries[i]
		if done[e.Stream] != nil {
			continue
		}
		p, st := seg.streams[e.Stream], l.streams[e.Stream]
		switch {
		case p == nil:
			l.entries++
			fallthrough
		case p.of != st:
			p = &part{of: st}
			seg.streams[e.Stream] = p
		}
		p.add(e)
		seg.bytes += e.Last - e.First
		_, isFact := factOf(e.Kind, e.First, e.Last)
		seg.facts = seg.facts || isFact
	}
}

func (p *part) add(e *chunk.Entry) {
	if f, ok := factOf(e.Kind, e.First, e.Last); ok {
		p.facts = append(p.facts, f)
	} else if e.First < e.Last {
		p.ranges = p.ranges.Add(e.Range())
	}
}

// GaveUp says that what is in a batch, which no collector took, is not held any
// more: its sources are asked to send it again.
func (l *Ledger) GaveUp(entries []chunk.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := map[string]*part{}
	for i := range entries {
		e := &entries[i]
		if parts[e.Stream] == nil {
			parts[e.Stream] = &part{}
		}
		parts[e.Stream].add(e)
	}
	for id, p := range parts {
		if st := l.streams[id]; st != nil {
			l.tell(l.resend(id, st, p))
		}
	}
}

// tell queues calls for Run; l.mu is held.
func (l *Ledger) tell(calls []call) {
	if len(calls) == 0 {
		return
	}
	l.pending = append(l.pending, calls...)
	token(l.wake)
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// flush makes the calls that are queued.
func (l *Ledger) flush() {
	l.mu.Lock()
	calls := l.pending
	l.pending = nil
	l.mu.Unlock()
	newest := map[string]int{} // the last word on a stream's position says it all
	for i := range calls {
		if !calls[i].again {
			newest[calls[i].stream] = i
		}
	}
	for i := range calls {
		if calls[i].again || newest[calls[i].stream] == i {
			calls[i].do()
		}
	}
}

// Hurry lets Run ask at once.
func (l *Ledger) Hurry() { token(l.hurry) }

// fell lets who waits for room look again; l.mu is held.
func (l *Ledger) fell() {
	close(l.less)
	l.less = make(chan struct{})
}

// Full reports whether so much is unsettled that no more should be sent; wait is
// closed when that may have changed.
func (l *Ledger) Full() (wait <-chan struct{}, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.less, l.entries >= l.cfg.MaxEntries
}

// Idle reports whether nothing waits to be settled.
func (l *Ledger) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments) == 0 && len(l.pending) == 0
}

// Totals returns how the ledger does.
func (l *Ledger) Totals() Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.totals
	t.Segments = len(l.segments)
	return t
}

// call is something to tell a source once the lock is released.
type call struct {
	source Source
	stream string
	upTo   int64
	resend chunk.Range
	again  bool // Resend, not Settled
}

func (c *call) do() {
	if c.again {
		c.source.Resend(c.stream, c.resend)
	} else {
		c.source.Settled(c.stream, c.upTo)
	}
}

// answered applies what a collector told of a segment, asked with block. A
// segment that grew meanwhile is asked for again.
func (l *Ledger) answered(key segmentKey, block int, state wire.State) []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.segments[key]
	if seg == nil {
		return nil
	}
	seg.heard = time.Now()
	if seg.maxBlock != block || state == wire.Spooled {
		return nil
	}
	var calls []call
	for id, p := range seg.streams {
		st := l.streams[id]
		if st == nil || st != p.of {
			continue // forgotten by its adaptor
		}
		if state == wire.Settled {
			calls = append(calls, l.settle(id, st, p)...)
		} else {
			calls = append(calls, l.resend(id, st, p)...)
		}
	}
	l.entries -= len(seg.streams)
	delete(l.segments, key)
	l.fell()
	return calls
}

// settle puts p into the stream's settled set and moves its position.
func (l *Ledger) settle(id string, st *stream, p *part) []call {
	for _, r := range p.ranges {
		l.totals.Settled += r.Len()
		st.settled = st.settled.Add(chunk.Range{First: max(r.First, st.prefix), Last: r.Last})
	}
	tell := false
	for _, f := range p.facts {
		if _, waits := st.facts[f]; waits {
			delete(st.facts, f)
			tell = true
		}
	}
	upTo := st.prefix
	if len(st.settled) > 0 && st.settled[0].First <= st.prefix {
		upTo = st.settled[0].Last
	}
	for f := range st.facts {
		if f.at <= upTo {
			upTo = st.prefix // held back until the fact is settled
		}
	}
	if upTo > st.prefix {
		st.prefix, tell = upTo, true
		st.settled = slices.Clone(st.settled[1:])
	}
	if !tell {
		return nil
	}
	return []call{{source: st.source, stream: id, upTo: st.prefix}}
}

// resend asks for what of p is not settled by another sending.
func (l *Ledger) resend(id string, st *stream, p *part) []call {
	var calls []call
	for _, r := range p.ranges {
		r.First = max(r.First, st.prefix)
		for _, m := range st.settled.Missing(r) {
			if m.Empty() {
				continue
			}
			l.totals.Resent += m.Len()
			calls = append(calls, call{source: st.source, stream: id, resend: m, again: true})
		}
	}
	asked := map[int64]bool{}
	for _, f := range p.facts {
		if _, waits := st.facts[f]; waits && !asked[f.at] {
			asked[f.at] = true
			calls = append(calls, call{source: st.source, stream: id, resend: chunk.Range{First: f.at, Last: f.at}, again: true})
		}
	}
	return calls
}
