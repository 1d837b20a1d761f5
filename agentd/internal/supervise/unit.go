package supervise

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/daemon"
)

// State is how an adaptor is, for people.
type State string

const (
	Running  State = "running"
	Stopped  State = "stopped"  // by a person
	Failed   State = "failed"   // it returned an error, and is started again by itself
	Waiting  State = "waiting"  // it runs, and waits for what takes its chunks
	Draining State = "draining" // it would run, and all reading is held
)

// waitingAfter is how long a chunk is not taken before the adaptor counts as
// Waiting.
const waitingAfter = time.Second

// held is why an adaptor that is wanted is kept from running: any of these.
type held uint8

const (
	draining held = 1 << iota
	rewinding
)

// unit is one adaptor with all that the supervisor keeps of it.
type unit struct {
	spec    Spec
	adaptor adaptors.Adaptor
	env     *Env
	holds   *holds
	lives   *lives       // of all of its name; set before it is found
	level   atomic.Int32 // a ledger.Level
	bound   func() (Route, *filter.Filter)
	history *history
	after   []<-chan struct{} // closed when those have ended that it has to wait for
	ended   chan struct{}     // closed when it will never run again

	mu      sync.Mutex
	want    bool // to run
	held    held // not to run for now, whatever is wanted
	removed bool
	src     *source
	running bool          // inside adaptor.Run
	cancel  func()        // ends the run
	nudge   chan struct{} // gets a token when want or removed changed
	idle    chan struct{} // closed while no run is on; replaced when one starts
	lastErr errorNote     // of Run
	told    errorNote     // of the adaptor's status
	failed  bool
	sending int       // calls of Send that are on
	since   time.Time // since when there is one that waits
	rate    rate
}

func newUnit(spec Spec, env *Env, holds *holds, want bool) (*unit, error) {
	a, err := spec.Kind.New(spec.Config)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrMake, spec.Name, err)
	}
	if _, ok := a.(adaptors.Replayer); ok != spec.Kind.Replayable {
		return nil, fmt.Errorf("make adaptor %s: kind %s says replayable: %t, which its adaptor is not", spec.Name, spec.Kind.Name, spec.Kind.Replayable)
	}
	u := &unit{spec: spec, adaptor: a, env: env, holds: holds, want: want, nudge: make(chan struct{}, 1), idle: make(chan struct{}),
		history: newHistory(time.Now()), ended: make(chan struct{})}
	u.begins(&lives{})
	u.level.Store(int32(spec.Delivery))
	u.bound = sync.OnceValues(u.wayOf)
	close(u.idle)
	return u, nil
}

// begins puts the unit among those of its name.
func (u *unit) begins(l *lives) {
	u.lives, u.src = l, &source{u, l.now.Load()}
}

// loop runs the adaptor whenever it is wanted, until ctx is done or the unit
// is removed.
func (u *unit) loop(ctx context.Context) {
	defer u.env.Claims.Released() // others may have its streams now
	defer close(u.ended)
	for _, ended := range u.after {
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
	log := u.env.Log.With("adaptor", u.spec.Name, "kind", u.spec.Kind.Name)
	backoff := daemon.Backoff{}
	for {
		runCtx, ok := u.begin(ctx)
		if !ok {
			return
		}
		if runCtx == nil {
			select {
			case <-u.nudge:
			case <-ctx.Done():
			}
			continue
		}
		started := time.Now()
		err := u.run(runCtx)
		wanted := runCtx.Err() == nil
		u.end(err, wanted)
		if !wanted {
			continue
		}
		if time.Since(started) > time.Minute {
			backoff.Reset()
		}
		pause := backoff.Next()
		log.Error("an adaptor failed; it is started again", "error", err, "after", pause.Round(time.Millisecond))
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-u.nudge:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// begin returns the context of a run that is to start, nil where none is wanted;
// ok is false when the unit is at its end.
func (u *unit) begin(ctx context.Context) (runCtx context.Context, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.removed || ctx.Err() != nil {
		return nil, false
	}
	if !u.want || u.held != 0 {
		return nil, true
	}
	runCtx, u.cancel = context.WithCancel(ctx)
	u.running, u.failed = true, false
	u.idle = make(chan struct{})
	return runCtx, true
}

func (u *unit) end(err error, wanted bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cancel()
	u.running, u.failed = false, wanted
	if wanted {
		u.lastErr = errorNote{err.Error(), time.Now()}
	}
	close(u.idle)
	u.env.Claims.Released()
}

// holding reports whether the unit holds its streams: it runs, or is to.
func (u *unit) holding() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.want || u.running
}

// over reports whether the unit will never run again.
func (u *unit) over() bool {
	select {
	case <-u.ended:
		return true
	default:
		return false
	}
}

// run is the adaptor's Run; a panic of it harms no other.
func (u *unit) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		} else if err == nil && ctx.Err() == nil {
			err = errors.New("it ended by itself")
		}
	}()
	return u.adaptor.Run(ctx, adaptors.Env{
		Name: u.spec.Name, Type: u.spec.Type, Host: u.env.Host,
		Log:     u.env.Log.With("adaptor", u.spec.Name),
		Out:     output{u},
		Streams: streams{u},

		Descriptors: u.env.Descriptors, Claims: u.env.Claims,
	})
}

// set changes what is wanted, and returns a channel that is closed once no run
// is on.
func (u *unit) set(want, removed bool) <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.want, u.removed = want, u.removed || removed
	if want {
		u.failed = false
	} else {
		u.env.Claims.Released()
	}
	return u.changed()
}

// hold keeps the adaptor from running, or lets it, and returns a channel that is
// closed once no run is on.
func (u *unit) hold(why held, on bool) <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.held &^= why; on {
		u.held |= why
	}
	return u.changed()
}

// changed lets the loop see what is wanted now; u.mu is held.
func (u *unit) changed() <-chan struct{} {
	if u.running && (!u.want || u.held != 0) {
		u.cancel()
	}
	select {
	case u.nudge <- struct{}{}:
	default:
	}
	return u.idle
}

// errorNote is an error as people see it, and since when.
type errorNote struct {
	text string
	at   time.Time
}

// tell takes what the adaptor itself says now.
func (n *errorNote) tell(text string, now time.Time) {
	if text != n.text {
		n.text, n.at = text, now
	}
}

func (u *unit) state(now time.Time) State {
	switch {
	case !u.want:
		return Stopped
	case u.held&draining != 0:
		return Draining
	case u.failed:
		return Failed
	case u.sending > 0 && now.Sub(u.since) > waitingAfter:
		return Waiting
	}
	return Running
}

// output is the adaptor's way out: to the shipper, or by the spool.
type output struct{ u *unit }

// Send implements adaptors.Output.
func (o output) Send(ctx context.Context, c *chunk.Chunk) error {
	u, own := o.u, *c // the caller's chunk stays as it is
	if own.Host == "" {
		own.Host = u.env.Host
	}
	if own.Type == "" {
		own.Type = u.spec.Type
	}
	own.Tags = withTags(own.Tags, u.spec.Tags)
	u.mu.Lock()
	if u.sending++; u.sending == 1 {
		u.since = time.Now()
	}
	u.mu.Unlock()
	err := u.filter().Send(ctx, &own, u.take)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sending--
	u.since = time.Now()
	if err == nil {
		u.rate.add(len(own.Body), u.since)
		u.history.handed(&own)
		u.history.losses.note(&own, u.since)
	}
	return err
}

// take hands on what the filter left.
func (u *unit) take(ctx context.Context, c *chunk.Chunk) error {
	switch {
	case u.spec.Kind.Replayable:
		return u.way().Out.Send(ctx, c)
	case c.Kind == chunk.Dropped:
		u.env.Spool.Drop(u.spoolKey(c.Type), c)
		return nil
	}
	sync := ledger.Level(u.level.Load()) != ledger.BestEffort
	return u.env.Spool.Append(ctx, u.spoolKey(c.Type), u.spec.WhenFull, sync, c)
}

// withTags puts the config's tags beside the chunk's own, which win.
func withTags(own, config map[string]string) map[string]string {
	if len(config) == 0 {
		return own
	}
	if len(own) == 0 {
		return config
	}
	all := maps.Clone(config)
	maps.Copy(all, own)
	return all
}

// rate is a mean of bytes per second that forgets within some ten seconds.
type rate struct {
	perSecond float64
	at        time.Time
}

const rateWindow = 10 * time.Second

func (r *rate) add(n int, now time.Time) {
	r.perSecond = r.get(now) + float64(n)/rateWindow.Seconds()
	r.at = now
}

func (r *rate) get(now time.Time) float64 {
	if r.at.IsZero() {
		return 0
	}
	return r.perSecond * math.Exp(-float64(now.Sub(r.at))/float64(rateWindow))
}
