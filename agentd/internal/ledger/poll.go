package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk/wire"
)

// Collectors is who can be asked.
type Collectors interface {
	// States asks one collector; the answer has the order of the queries. It
	// takes seconds at most.
	States(ctx context.Context, collector string, queries []wire.Query) ([]wire.State, error)
	// Others returns the collectors beside this one.
	Others(collector string) []string
}

// While little waits to be settled, it is asked for less often: an agent with a
// line a second has hardly anything else to do.
const (
	little      = 1 << 20 // bytes
	littleEvery = 5       // times as long
)

// Run asks until ctx is done.
func (l *Ledger) Run(ctx context.Context, c Collectors) {
	t := time.NewTimer(l.pause())
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			l.flush()
			return
		case <-l.wake:
			l.flush()
		case <-l.hurry:
			l.Round(ctx, c)
		case <-l.much:
			t.Reset(l.cfg.Every)
		case <-t.C:
			l.Round(ctx, c)
			t.Reset(l.pause())
		}
	}
}

// pause is how long it is until the next round.
func (l *Ledger) pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.littleWaits() {
		return littleEvery * l.cfg.Every
	}
	return l.cfg.Every
}

// littleWaits reports whether what waits to be settled is no more than little, and
// nothing that a source waits for to be finished with. l is locked.
func (l *Ledger) littleWaits() bool {
	var bytes int64
	for _, seg := range l.segments {
		if bytes += seg.bytes; seg.facts || bytes > little {
			return false
		}
	}
	return true
}

// Round asks once for all that is unsettled, and calls the sources.
func (l *Ledger) Round(ctx context.Context, c Collectors) {
	l.flush()
	questions := l.questions()
	answers := make([][]answer, len(questions))
	var wg sync.WaitGroup
	for i, q := range questions {
		wg.Go(func() { answers[i] = l.ask(ctx, c, q) })
	}
	wg.Wait()
	again := map[string]*resent{}
	for _, list := range answers {
		for _, a := range list {
			calls := l.answered(a.key, a.block, a.state)
			if a.state == wire.Unknown && len(calls) > 0 {
				l.log.Debug("nobody is known to hold what a collector took",
					"collector", a.key.collector, "type", a.key.dataType, "segment", a.key.segment, "ranges", len(calls))
			}
			for i := range calls {
				if calls[i].again {
					note(again, &calls[i], a.key.collector)
				}
				calls[i].do()
			}
		}
	}
	for adaptor, r := range again {
		l.log.Warn("nobody is known to hold what collectors took; it is sent again",
			"adaptor", adaptor, "ranges", r.ranges, "bytes", r.bytes, "collectors", slices.Sorted(maps.Keys(r.collectors)))
	}
}

// resent sums up what one adaptor is asked in one round to send again: after
// the loss of a collector's disk that may be thousands of ranges.
type resent struct {
	ranges     int
	bytes      int64
	collectors map[string]bool
}

func note(again map[string]*resent, c *call, collector string) {
	adaptor := c.source.Adaptor(c.stream)
	r := again[adaptor]
	if r == nil {
		r = &resent{collectors: map[string]bool{}}
		again[adaptor] = r
	}
	r.ranges++
	r.bytes += c.resend.Len()
	r.collectors[collector] = true
}

// question is what one collector is asked in one request.
type question struct {
	collector string
	keys      []segmentKey
	queries   []wire.Query
}

func (l *Ledger) questions() []*question {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*question
	open := map[string]*question{}
	for key, seg := range l.segments {
		q := open[key.collector]
		if q == nil || len(q.keys) == wire.MaxReceipts {
			q = &question{collector: key.collector}
			open[key.collector] = q
			out = append(out, q)
		}
		q.keys = append(q.keys, key)
		q.queries = append(q.queries, wire.Query{Type: key.dataType, Segment: key.segment, Block: seg.maxBlock})
	}
	return out
}

type answer struct {
	key   segmentKey
	block int
	state wire.State
}

func (l *Ledger) ask(ctx context.Context, c Collectors, q *question) []answer {
	states, err := states(ctx, c, q.collector, q.queries)
	if err != nil {
		return l.askOthers(ctx, c, q, err)
	}
	return q.answers(states)
}

func states(ctx context.Context, c Collectors, collector string, queries []wire.Query) ([]wire.State, error) {
	states, err := c.States(ctx, collector, queries)
	if err != nil {
		return nil, err
	}
	if len(states) != len(queries) {
		return nil, fmt.Errorf("%d states for %d receipts", len(states), len(queries))
	}
	for _, s := range states {
		if s != wire.Spooled && s != wire.Settled && s != wire.Unknown {
			return nil, fmt.Errorf("state %q is not known", s)
		}
	}
	return states, nil
}

func (q *question) answers(states []wire.State) []answer {
	out := make([]answer, len(states))
	for i, s := range states {
		out[i] = answer{q.keys[i], q.queries[i].Block, s}
	}
	return out
}

// askOthers asks another collector for what q's collector did not tell of for
// too long. Settled is a fact about the store that any of them can tell; what
// is unknown there is sent again.
func (l *Ledger) askOthers(ctx context.Context, c Collectors, q *question, cause error) []answer {
	late := l.late(q)
	if len(late.keys) == 0 {
		return nil
	}
	for _, other := range c.Others(q.collector) {
		states, err := states(ctx, c, other, late.queries)
		if err != nil {
			continue
		}
		l.log.Warn("a collector is away for too long; another was asked what it published",
			"collector", q.collector, "error", cause, "asked", other, "segments", len(late.keys))
		return late.answers(states)
	}
	return nil // nobody can be asked: wait
}

// late is the part of q that nothing was heard of for ResendAfter.
func (l *Ledger) late(q *question) *question {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := &question{collector: q.collector}
	for i, key := range q.keys {
		if seg := l.segments[key]; seg != nil && time.Since(seg.heard) >= l.cfg.ResendAfter {
			out.keys = append(out.keys, key)
			out.queries = append(out.queries, q.queries[i])
		}
	}
	return out
}
