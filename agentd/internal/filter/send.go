package filter

import (
	"context"
	"strings"

	"github.com/akupara/akupara/chunk"
)

// send hands the runs on.
func (p *pass) send(ctx context.Context, send func(context.Context, *chunk.Chunk) error) error {
	for i := range p.runs {
		r := &p.runs[i]
		c := p.c
		switch {
		case r.why != nil:
			fact := p.fact(r)
			c = &fact
		default:
			if err := p.wait(ctx, r); err != nil {
				return err
			}
			if len(p.runs) > 1 {
				piece := p.piece(r)
				c = &piece
			}
		}
		if err := send(ctx, c); err != nil {
			return err
		}
		p.sent(r)
	}
	return nil
}

// wait waits where limits say so; what came before has waited already.
func (p *pass) wait(ctx context.Context, r *run) error {
	if p.again(r.last) {
		return nil
	}
	n := int64(r.last - r.first)
	if f := p.f; f.waits() {
		for {
			d := f.limit.take(n, r.records)
			if d == 0 {
				break
			}
			if err := pause(ctx, d, nil); err != nil {
				return err
			}
		}
	}
	if p.bounds.Wait && p.bounds.bounds() {
		return p.f.gate.wait(ctx, n, r.records)
	}
	return nil
}

// piece is the part of the chunk that a run of kept records is.
func (p *pass) piece(r *run) chunk.Chunk {
	c := *p.c
	c.First, c.Last = p.c.First+int64(r.first), p.c.First+int64(r.last)
	c.Body = p.c.Body[r.first:r.last]
	if p.c.Borders != nil {
		c.Borders = make([]int64, 0, r.records)
		for ; p.border < len(p.c.Borders) && p.c.Borders[p.border] <= int64(r.last); p.border++ {
			if b := p.c.Borders[p.border]; b > int64(r.first) {
				c.Borders = append(c.Borders, b-int64(r.first))
			}
		}
	}
	return c
}

// fact tells of a run of dropped records. Tags and encoding say nothing of it.
func (p *pass) fact(r *run) chunk.Chunk {
	c := *p.c
	c.Kind = chunk.Dropped
	c.First, c.Last = p.c.First+int64(r.first), p.c.First+int64(r.last)
	c.Body, c.Borders, c.Tags, c.Encoding = nil, nil, nil, ""
	c.Reason = r.why[0].of.text
	if len(r.why) > 1 {
		reasons := make([]string, len(r.why))
		for i := range r.why {
			reasons[i] = r.why[i].of.text
		}
		c.Reason = strings.Join(reasons, ", ")
		c.Reason = c.Reason[:min(len(c.Reason), maxReason)]
	}
	return c
}

const maxReason = 1 << 10 // bytes

// sent counts a run, and remembers that it was decided.
func (p *pass) sent(r *run) {
	f := p.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replays {
		st := f.stateOf(p.key())
		st.mark = max(st.mark, p.c.First+int64(r.last))
	}
	for i := range r.why {
		s := &r.why[i]
		if s.records == 0 && s.bytes == 0 {
			continue
		}
		n := f.counts[s.of.text]
		if n == nil {
			n = &counter{}
			f.counts[s.of.text] = n
		}
		n.add(s.records, s.bytes)
		if s.of.count != nil {
			s.of.count.add(s.records, s.bytes)
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
