package filter

import (
	"context"
	"hash/fnv"
	"strconv"
	"sync"

	"github.com/akupara/akupara/chunk"
)

// Filter is the filter of one adaptor. It is safe for concurrent use, but for
// two chunks of one stream at a time.
type Filter struct {
	cfg      Config
	who      Who
	replays  bool
	message  func(record []byte) []byte
	switches *Switches
	gate     *Gate    // the persona's; nil: none
	limit    *limiter // nil: none
	perEach  bool     // the config alone makes it look at each record
	rules    []*cause // of the drop rules
	keep     *cause   // no keep rule was met
	sample   *cause
	over     *cause   // the limit
	decoders sync.Map // pools, by encoding

	mu      sync.Mutex
	streams map[string]*streamState // of those that something was left out of, or limited
	counts  map[string]*counter     // by reason
	seen    uint64                  // records of streams without offsets, for sample
}

// streamState is what must be known of a stream to decide alike what belongs
// together, and what comes again.
type streamState struct {
	mark int64    // everything below was decided before
	long [8]piece // the last records that came in pieces
	next int      // in long
}

// piece is a record in pieces, as far as it came.
type piece struct {
	first, last int64
	why         *cause
	known       bool
}

// cause is why records are dropped; nil means that they are kept.
type cause struct {
	text  string   // for people
	count *counter // what counts beside the adaptor: a switch, a persona; nil
}

// maxStates bounds the streams that are remembered; one that is forgotten may
// be counted twice when it is sent again.
const maxStates = 65536

// Env is what a Filter shares with others.
type Env struct {
	Who      Who
	Replays  bool                       // the stream's offsets stand in the chunks, and may come again
	Message  func(record []byte) []byte // the part of a record to look at; nil: all of it
	Switches *Switches
	Gate     *Gate // nil: none
}

// New makes an adaptor's filter from what Decode gave.
func New(cfg Config, env Env) *Filter {
	f := &Filter{cfg: cfg, who: env.Who, replays: env.Replays, message: env.Message, switches: env.Switches, gate: env.Gate,
		keep: &cause{text: "keep"}, sample: &cause{text: "sample"}, over: &cause{text: "limit"},
		streams: map[string]*streamState{}, counts: map[string]*counter{}}
	for i := range cfg.Drop {
		f.rules = append(f.rules, &cause{text: "drop rule " + strconv.Itoa(i+1)})
	}
	if cfg.Limit.given() {
		f.limit = newLimiter(int64(cfg.Limit.Bytes), cfg.Limit.Records)
	}
	f.perEach = len(cfg.Keep) > 0 || len(cfg.Drop) > 0 || cfg.samples() ||
		f.limit != nil && (cfg.Limit.WhenOver == "drop" || cfg.Limit.Records > 0)
	return f
}

// Forget says that nothing of a stream comes any more.
func (f *Filter) Forget(stream string) {
	f.mu.Lock()
	delete(f.streams, stream)
	f.mu.Unlock()
}

// Send hands on what is kept of a chunk, and facts of what is not, in the
// order of their offsets. It waits where a limit says so. After an error some
// of it may have been handed on.
func (f *Filter) Send(ctx context.Context, c *chunk.Chunk, send func(context.Context, *chunk.Chunk) error) error {
	if c.Kind != chunk.Data || len(c.Body) == 0 {
		return send(ctx, c)
	}
	switches := f.switches.meeting(&f.who, c)
	if !f.perEach && f.limit == nil && f.gate == nil && switches == nil {
		return send(ctx, c)
	}
	m := memories.Get().(*memory)
	p := pass{f: f, c: c, switches: switches, memory: m, runs: m.runs[:0], shares: m.shares[:0]}
	defer func() {
		m.runs, m.shares, m.chunk = p.runs, p.shares, chunk.Chunk{}
		memories.Put(m)
	}()
	if f.gate != nil {
		p.bounds = f.gate.config()
	}
	p.begin()
	if part := c.Tags["part"]; part != "" {
		p.part(part)
	} else {
		p.cut()
	}
	f.putDecoder(c.Encoding, p.dec)
	return p.send(ctx, send)
}

// decoder returns one that is not in use; making one takes longer than to look at
// a chunk.
func (f *Filter) decoder(encoding string) decoder {
	if encoding == "" {
		return decoder{}
	}
	if pool, ok := f.decoders.Load(encoding); ok {
		if d, ok := pool.(*sync.Pool).Get().(*decoder); ok {
			return *d
		}
	}
	return newDecoder(encoding)
}

func (f *Filter) putDecoder(encoding string, d decoder) {
	if encoding != "" {
		pool, _ := f.decoders.LoadOrStore(encoding, &sync.Pool{})
		pool.(*sync.Pool).Put(&d)
	}
}

// pass is one chunk's way through the filter.
type pass struct {
	f        *Filter
	c        *chunk.Chunk
	switches []*active
	bounds   GateConfig
	most     struct{ bytes, records int64 } // of a run that waits for limits; 0: any
	state    streamState                    // as it was when the chunk came
	hash     uint64                         // of the stream
	memory   *memory
	runs     []run
	shares   []share
	border   int // of the chunk's borders, those before are behind the runs that were sent
	dec      decoder
	rec      record
}

func (p *pass) begin() {
	f := p.f
	if f.cfg.samples() {
		h := fnv.New64a()
		_, _ = h.Write([]byte(p.c.Stream)) // never fails
		p.hash = h.Sum64()
	}
	if f.waits() {
		p.atMost(int64(f.cfg.Limit.Bytes), f.cfg.Limit.Records)
	}
	if p.bounds.Wait {
		p.atMost(p.bounds.Bytes, p.bounds.Records)
		p.atMost(f.gate.piece(int64(len(p.c.Body))), 0)
	}
	p.dec = f.decoder(p.c.Encoding)
	f.mu.Lock()
	if st := f.streams[p.key()]; st != nil {
		p.state = *st
	}
	f.mu.Unlock()
}

// key is what the stream is remembered by: streams of the spool have no id
// here.
func (p *pass) key() string {
	if p.f.replays {
		return p.c.Stream
	}
	return p.c.Source
}

// again reports whether what ends at this offset of the body was decided before.
func (p *pass) again(last int) bool { return p.f.replays && p.c.First+int64(last) <= p.state.mark }

// perRecord reports whether each record must be looked at, or counted.
func (p *pass) perRecord() bool {
	if p.f.perEach || p.bounds.bounds() && (!p.bounds.Wait || p.bounds.Records > 0) {
		return true
	}
	return len(p.switches) > 0
}

func (p *pass) cut() {
	if !p.perRecord() {
		whole := len(p.c.Body)
		if p.most.bytes == 0 || int64(whole) <= p.most.bytes || p.again(whole) {
			p.add(0, whole, nil)
			return
		}
		for first, last := range p.c.Records() {
			p.add(first, last, nil)
		}
		return
	}
	if len(p.switches) > 0 && !p.switches[0].perRecord() {
		// All of it is off: the records are only counted.
		sw := p.switches[0]
		for first, last := range p.c.Records() {
			p.add(first, last, &sw.cause)
		}
		return
	}
	for first, last := range p.c.Records() {
		p.add(first, last, p.decide(p.c.Body[first:last], first, last))
	}
}

// part decides a chunk that is one piece of a record as its first piece was
// decided. A piece whose first is not known any more is kept.
func (p *pass) part(part string) {
	first, last := p.c.First, p.c.Last
	long := piece{first: first, last: last, known: true}
	at := -1
	if part == "first" {
		long.why = p.decide(p.c.Body, 0, len(p.c.Body))
	} else {
		for i, l := range p.state.long {
			if l.known && (!p.f.replays && i == (p.state.next+len(p.state.long)-1)%len(p.state.long) ||
				p.f.replays && l.first < first && first <= l.last) {
				at = i
			}
		}
		if at >= 0 {
			long.first, long.why = p.state.long[at].first, p.state.long[at].why
			long.last = max(last, p.state.long[at].last)
		}
	}
	p.add(0, len(p.c.Body), long.why)
	f := p.f
	f.mu.Lock()
	st := f.stateOf(p.key())
	if at < 0 {
		at = st.next
		st.next = (st.next + 1) % len(st.long)
	}
	st.long[at] = long
	f.mu.Unlock()
}

// stateOf returns the stream's state, made if it is not there; f.mu is held.
func (f *Filter) stateOf(key string) *streamState {
	st := f.streams[key]
	if st == nil {
		if len(f.streams) >= maxStates {
			for k := range f.streams { // any one
				delete(f.streams, k)
				break
			}
		}
		st = &streamState{}
		f.streams[key] = st
	}
	return st
}

// decide says why a record is dropped, or nil.
func (p *pass) decide(body []byte, first, last int) *cause {
	f := p.f
	text := body
	if f.message != nil {
		text = f.message(body)
	}
	rec := &p.rec
	*rec = record{text: p.dec.text(text)}
	for _, sw := range p.switches {
		if sw.meets(rec) {
			return &sw.cause
		}
	}
	for i := range f.cfg.Drop {
		if f.cfg.Drop[i].drops(rec) {
			return f.rules[i]
		}
	}
	if len(f.cfg.Keep) > 0 && !f.kept(rec) {
		return f.keep
	}
	if f.cfg.samples() && !p.sampled(first) {
		return f.sample
	}
	if p.again(last) {
		return nil // the limits counted it when it first came
	}
	n := int64(len(body))
	if f.limit != nil && f.cfg.Limit.WhenOver == "drop" && f.limit.take(n, 1) > 0 {
		return f.over
	}
	if p.bounds.bounds() && !p.bounds.Wait {
		return f.gate.allow(n)
	}
	return nil
}

func (f *Filter) kept(rec *record) bool {
	for i := range f.cfg.Keep {
		if f.cfg.Keep[i].keeps(rec) {
			return true
		}
	}
	return false
}

// sampled decides by the record's place, so that it is decided alike whenever
// it comes.
func (p *pass) sampled(first int) bool {
	at := uint64(p.c.First) + uint64(first)
	if !p.f.replays {
		p.f.mu.Lock()
		p.f.seen++
		at = p.f.seen
		p.f.mu.Unlock()
	}
	return float64(mix(p.hash^mix(at))>>11)/(1<<53)*100 < float64(p.f.cfg.Sample)
}

// mix spreads the bits of n (the finalizer of splitmix64, public domain).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
