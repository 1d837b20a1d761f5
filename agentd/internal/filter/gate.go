package filter

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// GateConfig bounds what all adaptors of a persona send together; 0 is no
// bound.
type GateConfig struct {
	Bytes, Records int64         // a second
	Quota          int64         // bytes in each period
	Per            time.Duration // of the quota; periods begin at multiples of it since 1970, in UTC
	Wait           bool          // over a bound, wait; else drop
}

func (c *GateConfig) bounds() bool { return c.Bytes > 0 || c.Records > 0 || c.Quota > 0 }

// Quota is how much of a quota is used, as it is stored and shown.
type Quota struct {
	Since time.Time `json:"since"` // the period's begin
	Used  int64     `json:"used"`  // bytes
}

// Gate is a persona's rate and quota, shared by its adaptors. It is safe for
// concurrent use.
type Gate struct {
	persona string
	log     *slog.Logger
	rate    *limiter
	// Why it drops; both count in over.
	overRate, overQuota *cause

	mu      sync.Mutex
	cfg     GateConfig
	quota   Quota
	told    bool          // that the quota is used up in this period
	changed chan struct{} // closed and replaced when cfg changed
	over    counter       // what was dropped over rate or quota
}

// NewGate makes the gate of a persona that has used this much of its quota.
func NewGate(persona string, cfg GateConfig, used Quota, log *slog.Logger) *Gate {
	g := &Gate{persona: persona, cfg: cfg, quota: used, log: log,
		rate: newLimiter(cfg.Bytes, cfg.Records), changed: make(chan struct{})}
	g.overRate = &cause{"persona " + persona + ": rate", &g.over}
	g.overQuota = &cause{"persona " + persona + ": quota", &g.over}
	return g
}

// Set changes the bounds at once, also for who waits.
func (g *Gate) Set(cfg GateConfig) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cfg, g.told = cfg, false
	g.rate.set(cfg.Bytes, cfg.Records)
	close(g.changed)
	g.changed = make(chan struct{})
}

// GateState is how a gate is, for people.
type GateState struct {
	Quota          int64     `json:"quota_bytes"` // 0: none
	Used           int64     `json:"quota_used"`
	Until          time.Time `json:"quota_until,omitzero"` // when the next period begins
	UsedUp         bool      `json:"quota_used_up"`
	DroppedBytes   int64     `json:"dropped_bytes"` // over rate or quota
	DroppedRecords int64     `json:"dropped_records"`
}

// State tells how the gate is.
func (g *Gate) State() GateState {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := GateState{DroppedBytes: g.over.bytes.Load(), DroppedRecords: g.over.records.Load()}
	if g.cfg.Quota > 0 {
		g.period(time.Now())
		s.Quota, s.Used, s.UsedUp = g.cfg.Quota, g.quota.Used, g.quota.Used >= g.cfg.Quota
		s.Until = g.quota.Since.Add(g.cfg.Per)
	}
	return s
}

// Used is what of the quota is used, to be stored; ok is false where there is
// no quota.
func (g *Gate) Used() (q Quota, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.quota, g.cfg.Quota > 0
}

// period begins a new one when it is time; g.mu is held. A clock that jumped
// back begins none, unless by more than a period.
func (g *Gate) period(now time.Time) {
	if begin := g.quota.Since; now.Before(begin.Add(-g.cfg.Per)) || !now.Before(begin.Add(g.cfg.Per)) {
		per := int64(g.cfg.Per)
		g.quota = Quota{Since: time.Unix(0, now.UnixNano()/per*per).UTC()}
		g.told = false
	}
}

// take takes from the quota, or tells when there is more. Like a bucket it may
// be overdrawn by what was taken last.
func (g *Gate) take(bytes int64) (wait time.Duration, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cfg.Quota == 0 {
		return 0, nil
	}
	now := time.Now()
	g.period(now)
	if g.quota.Used < g.cfg.Quota {
		g.quota.Used += bytes
		return 0, nil
	}
	end := g.quota.Since.Add(g.cfg.Per)
	if !g.told {
		g.told = true
		then := "its adaptors wait"
		if !g.cfg.Wait {
			then = "what comes is dropped"
		}
		g.log.Warn("a persona's quota is used up; "+then+" until the next period",
			"persona", g.persona, "quota", g.cfg.Quota, "next", end)
	}
	return max(end.Sub(now), time.Millisecond), g.changed
}

// piece is how much at once may go of so many bytes that wait for the quota; 0:
// all of it. What does not fit goes in pieces, so that little is overdrawn.
func (g *Gate) piece(bytes int64) int64 {
	const part = 100 // of a quota
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cfg.Quota == 0 {
		return 0
	}
	g.period(time.Now())
	left := g.cfg.Quota - g.quota.Used
	if left <= 0 {
		left = g.cfg.Quota // of the next period
	}
	if bytes <= left {
		return 0
	}
	return max(g.cfg.Quota/part, 1)
}

func (g *Gate) config() GateConfig {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cfg
}

// wait waits until so much may pass.
func (g *Gate) wait(ctx context.Context, bytes, records int64) error {
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		d := g.rate.take(bytes, records)
		if d == 0 {
			break
		}
		if err := pause(ctx, d, changed); err != nil {
			return err
		}
	}
	for {
		d, changed := g.take(bytes)
		if d == 0 {
			return nil
		}
		if err := pause(ctx, d, changed); err != nil {
			return err
		}
	}
}

// allow says why so much may not pass; nil means that it may, and is taken.
func (g *Gate) allow(bytes int64) *cause {
	if g.rate.take(bytes, 1) > 0 {
		return g.overRate
	}
	if d, _ := g.take(bytes); d > 0 {
		return g.overQuota
	}
	return nil
}

// pause waits for d, or until changed is closed.
func pause(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
