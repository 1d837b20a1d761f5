package filter

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/akupara/akupara/chunk"
)

// send hands the runs on, as few chunks.
func (p *pass) send(ctx context.Context, send func(context.Context, *chunk.Chunk) error) error {
	for left := p.runs; len(left) > 0; {
		g := p.group(left)
		if g.records+g.bytes > 0 {
			if err := p.wait(ctx, &g); err != nil {
				return err
			}
		}
		c := p.c
		switch {
		case !g.kept:
			fact := p.fact(g.runs)
			c = &fact
		case len(p.runs) > 1:
			c = p.piece(g.runs)
		}
		if err := send(ctx, c); err != nil {
			return err
		}
		p.sent(g.runs)
		left = left[len(g.runs):]
	}
	return nil
}

// group is runs that go on together, as one chunk.
type group struct {
	runs           []run
	kept           bool  // some of them are
	bytes, records int64 // kept, and not decided before
}

// group selects the next ones: all, unless limits want less at once. The spool takes
// what is kept and what is dropped by itself, as only what is kept has offsets there.
func (p *pass) group(left []run) group {
	g := group{}
	for i := range left {
		r := &left[i]
		n, records := int64(r.last-r.first), r.records
		if !r.kept() || p.again(r.last) {
			n, records = 0, 0
		}
		full := p.most.bytes > 0 && n > 0 && g.bytes > 0 && g.bytes+n > p.most.bytes ||
			p.most.records > 0 && records > 0 && g.records > 0 && g.records+records > p.most.records
		if i > 0 && (full || !p.f.replays || i >= chunk.MaxDrops) {
			break
		}
		g.runs, g.kept = left[:i+1], g.kept || r.kept()
		g.bytes, g.records = g.bytes+n, g.records+records
	}
	return g
}

// wait waits where limits say so; what came before has waited already.
func (p *pass) wait(ctx context.Context, g *group) error {
	if f := p.f; f.waits() {
		for {
			d := f.limit.take(g.bytes, g.records)
			if d == 0 {
				break
			}
			if err := pause(ctx, d, nil); err != nil {
				return err
			}
		}
	}
	if p.bounds.Wait && p.bounds.bounds() {
		return p.f.gate.wait(ctx, g.bytes, g.records)
	}
	return nil
}

// memory is what passes use again: runs, and the chunk that they become.
type memory struct {
	runs    []run
	shares  []share
	chunk   chunk.Chunk
	body    []byte
	borders []int64
	drops   []chunk.Drop
}

var memories = sync.Pool{New: func() any { return &memory{} }}

// piece is the part of the chunk that these runs are: what is kept, and which
// ranges are not. It is good until the next one.
func (p *pass) piece(runs []run) *chunk.Chunk {
	out := p.memory
	out.chunk = *p.c
	c := &out.chunk
	c.First, c.Last = p.c.First+int64(runs[0].first), p.c.First+int64(runs[len(runs)-1].last)
	c.Body, c.Drops = out.body[:0], out.drops[:0]
	if p.c.Borders != nil {
		c.Borders = out.borders[:0]
	}
	for i := range runs {
		r := &runs[i]
		if !r.kept() {
			c.AddDrop(p.c.First + int64(r.last))
			continue
		}
		for ; p.border < len(p.c.Borders) && p.c.Borders[p.border] <= int64(r.last); p.border++ {
			if b := p.c.Borders[p.border]; b > int64(r.first) {
				c.Borders = append(c.Borders, b-int64(r.first)+int64(len(c.Body)))
			}
		}
		c.Body = append(c.Body, p.c.Body[r.first:r.last]...)
	}
	out.body, out.drops = c.Body, c.Drops
	if c.Borders != nil {
		out.borders = c.Borders
	}
	if len(c.Drops) == 0 {
		c.Drops = nil
	} else {
		c.Reason = p.reasons(runs)
	}
	return c
}

// fact tells of runs that are all dropped. Tags and encoding say nothing of it.
func (p *pass) fact(runs []run) chunk.Chunk {
	c := *p.c
	c.Kind = chunk.Dropped
	c.First, c.Last = p.c.First+int64(runs[0].first), p.c.First+int64(runs[len(runs)-1].last)
	c.Body, c.Borders, c.Tags, c.Encoding = nil, nil, nil, ""
	c.Reason = p.reasons(runs)
	return c
}

// causes returns what runs were dropped by.
func (p *pass) causes(runs []run) []share { return p.shares[runs[0].why:runs[len(runs)-1].more] }

// reasons names what runs were dropped by.
func (p *pass) reasons(runs []run) string {
	var seen [8]*cause
	all := seen[:0]
	for _, s := range p.causes(runs) {
		if !slices.Contains(all, s.of) {
			all = append(all, s.of)
		}
	}
	if len(all) == 1 {
		return all[0].text
	}
	texts := make([]string, len(all))
	for i, of := range all {
		texts[i] = of.text
	}
	text := strings.Join(texts, ", ")
	return text[:min(len(text), maxReason)]
}

const maxReason = 1 << 10 // bytes

// sent counts runs, and remembers that they were decided.
func (p *pass) sent(runs []run) {
	f := p.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replays {
		st := f.stateOf(p.key())
		st.mark = max(st.mark, p.c.First+int64(runs[len(runs)-1].last))
	}
	for all := p.causes(runs); len(all) > 0; {
		sum := all[0]
		for all = all[1:]; len(all) > 0 && all[0].of == sum.of; all = all[1:] {
			sum.records += all[0].records
			sum.bytes += all[0].bytes
		}
		if sum.records == 0 && sum.bytes == 0 {
			continue
		}
		n := f.counts[sum.of.text]
		if n == nil {
			n = &counter{}
			f.counts[sum.of.text] = n
		}
		n.add(sum.records, sum.bytes)
		if sum.of.count != nil {
			sum.of.count.add(sum.records, sum.bytes)
		}
	}
}

// Dropped is what was left out since the start.
type Dropped struct {
	Count
	Reasons map[string]Count `json:"reasons"`
}

// Count is a number of records and their bytes.
type Count struct {
	Bytes   int64 `json:"bytes"`
	Records int64 `json:"records"`
}

// Dropped returns what was left out. A nil Filter leaves out nothing.
func (f *Filter) Dropped() Dropped {
	out := Dropped{Reasons: map[string]Count{}}
	if f == nil {
		return out
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for reason, n := range f.counts {
		c := Count{n.bytes.Load(), n.records.Load()}
		out.Reasons[reason] = c
		out.Bytes += c.Bytes
		out.Records += c.Records
	}
	return out
}
