package agentd

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/collectors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/agentd/internal/ship"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/config"
)

// lane is one way out of the agent: its own collectors, byte budget, posts and
// receipts. Each persona has one, and so have, together, all adaptors without.
// What one waits for holds up no other.
type lane struct {
	persona string
	asker   asker
	ledger  *ledger.Ledger
	shipper *ship.Shipper
	gate    *filter.Gate // nil for adaptors without a persona

	gone  bool         // not in the config any more: it brings to an end what it has
	saved filter.Quota // as it is stored
}

// run works until ctx is done.
func (ln *lane) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { ln.ledger.Run(ctx, ln.asker) })
	return ln.shipper.Run(ctx)
}

// lanes are the agent's lanes. They are safe for concurrent use.
type lanes struct {
	client   *collectors.Client
	store    *checkpoints.Store
	log      *slog.Logger
	switches *filter.Switches

	mu    sync.Mutex
	all   map[string]*lane // by persona; "" is that of adaptors without
	begin func(*lane)      // starts one; nil before run
}

// quotaPrefix and a persona's name is where the checkpoints keep how much of
// its quota is used.
const quotaPrefix = "quota/"

// saveQuotas is how often that is stored, if it changed. A crash forgets what
// was used since.
const saveQuotas = 5 * time.Second

func newLanes(cfg *Config, store *checkpoints.Store, log *slog.Logger) *lanes {
	l := &lanes{client: collectors.NewClient(postTimeout, askTimeout, cfg.Posts), store: store, log: log,
		switches: filter.NewSwitches(), all: map[string]*lane{}}
	l.apply(cfg)
	return l
}

// apply makes the lanes as the config says: those that are there change as they
// run, new ones are started. What a persona that is gone has taken goes on to
// the agent's own collectors.
func (l *lanes) apply(cfg *Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.switches.Configure(cfg.switches)
	for name, ln := range l.all {
		_, there := cfg.Personas[name]
		if ln.gone = name != "" && !there; ln.gone {
			ln.asker.List.Set(texts(cfg.Collectors))
		}
	}
	stored := l.store.List()
	for _, name := range cfg.personaNames() {
		p := cfg.Personas[name]
		urls, budget := p.Collectors, int64(p.Buffer)
		if len(urls) == 0 {
			urls = cfg.Collectors
		}
		if name == "" {
			budget = int64(cfg.Buffer)
		}
		ln := l.all[name]
		if ln == nil {
			ln = l.make(name, texts(urls), budget, cfg)
			if name != "" {
				if body := stored[quotaPrefix+name]; json.Unmarshal(body, &ln.saved) != nil && body != nil {
					l.log.Warn("what is stored of a persona's quota can't be read; it counts as unused", "persona", name)
				}
				ln.gate = filter.NewGate(name, p.gate(), ln.saved, l.log)
			}
			l.all[name] = ln
			if l.begin != nil {
				l.begin(ln)
			}
			continue
		}
		ln.asker.List.Set(texts(urls))
		ln.shipper.SetBudget(budget)
		if ln.gate != nil {
			ln.gate.Set(p.gate())
		}
	}
}

func (l *lanes) make(name string, urls []string, budget int64, cfg *Config) *lane {
	log := l.log
	if name != "" {
		log = log.With("persona", name)
	}
	ln := &lane{persona: name, asker: asker{l.client, collectors.NewList(urls, rand.IntN(len(urls)))}}
	ln.ledger = ledger.New(ledger.Config{Every: cfg.Poll.Std(), ResendAfter: cfg.ResendAfter.Std()}, log)
	ln.shipper = ship.New(ship.Config{Agent: l.store.AgentID(), Budget: budget, Posts: cfg.Posts},
		l.client, ln.asker.List, ln.ledger, log)
	return ln
}

func texts(urls []config.URL) []string {
	out := make([]string, len(urls))
	for i, u := range urls {
		out[i] = u.String()
	}
	return out
}

// of returns a persona's lane. What was taken in for one that is not known any
// more goes the common way.
func (l *lanes) of(persona string) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln := l.all[persona]; ln != nil {
		return ln
	}
	return l.all[""]
}

// route is of, for the supervisor.
func (l *lanes) route(persona string) supervise.Route {
	ln := l.of(persona)
	return supervise.Route{Out: adaptors.Output(ln.shipper), Ledger: ln.ledger, Gate: ln.gate, Barred: ln.why}
}

// why returns why collectors take nothing of a data type, "" if they do.
func (ln *lane) why(dataType string) string {
	if why := ln.shipper.Why(dataType); why != "" {
		return why
	}
	if away := ln.asker.List.Away(); away != nil {
		return fmt.Sprintf("no collector takes data since %s: %s", away.Since.Format(time.RFC3339), away.Error)
	}
	return ""
}

// away is how many lanes have no collector that takes data.
func (l *lanes) away() (n int) {
	for _, ln := range l.list() {
		if ln.asker.List.Away() != nil {
			n++
		}
	}
	return n
}

// close forgets a stream in all lanes: its adaptor may have had another persona
// before.
func (l *lanes) close(stream string) {
	for _, ln := range l.list() {
		ln.ledger.Close(stream)
	}
}

// list returns all lanes, by name.
func (l *lanes) list() []*lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*lane, 0, len(l.all))
	for _, ln := range l.all {
		out = append(out, ln)
	}
	slices.SortFunc(out, func(a, b *lane) int { return strings.Compare(a.persona, b.persona) })
	return out
}

// run runs what f says of each lane, also of those that are added later, until
// ctx is done.
func (l *lanes) run(ctx context.Context, f func(ctx context.Context, ln *lane)) {
	var wg sync.WaitGroup
	l.mu.Lock()
	l.begin = func(ln *lane) { wg.Go(func() { f(ctx, ln) }) }
	for _, ln := range l.all {
		l.begin(ln)
	}
	l.mu.Unlock()
	t := time.NewTicker(saveQuotas)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.save()
			continue
		case <-ctx.Done():
		}
		break
	}
	l.mu.Lock()
	l.begin = nil
	l.mu.Unlock()
	wg.Wait()
	l.save()
}

// save stores how much of their quotas the personas have used.
func (l *lanes) save() {
	for _, ln := range l.list() {
		if ln.gate == nil {
			continue
		}
		q, ok := ln.gate.Used()
		if !ok || q == ln.saved {
			continue
		}
		body, err := json.Marshal(q)
		if err == nil {
			err = l.store.Put(quotaPrefix+ln.persona, body)
		}
		if err != nil {
			l.log.Error("can't store what is used of a persona's quota; after a crash it counts as unused", "persona", ln.persona, "error", err)
			continue
		}
		ln.saved = q
	}
}

// each does something with all lanes at once, and waits for it.
func (l *lanes) each(f func(*lane)) {
	var wg sync.WaitGroup
	for _, ln := range l.list() {
		wg.Go(func() { f(ln) })
	}
	wg.Wait()
}

// told reports whether nothing that was posted waits to be settled.
func (l *lanes) told() bool {
	for _, ln := range l.list() {
		if !ln.ledger.Idle() {
			return false
		}
	}
	return true
}

// idle reports whether, beside that, nothing waits to be posted.
func (l *lanes) idle() bool { return l.shipped().Held == 0 && l.told() }

// shipped and accounted are sums over all lanes.
func (l *lanes) shipped() ship.Stats {
	var sum ship.Stats
	for _, ln := range l.list() {
		s := ln.shipper.Stats()
		sum.Batches += s.Batches
		sum.Raw += s.Raw
		sum.Wire += s.Wire
		sum.Failures += s.Failures
		sum.Refusals += s.Refusals
		sum.GivenUp += s.GivenUp
		sum.Held += s.Held
		sum.Parked += s.Parked
	}
	return sum
}

// barred is how many data types collectors refuse.
func (l *lanes) barred() int {
	n := 0
	for _, ln := range l.list() {
		n += len(ln.shipper.Barred())
	}
	return n
}

func (l *lanes) accounted() ledger.Totals {
	var sum ledger.Totals
	for _, ln := range l.list() {
		t := ln.ledger.Totals()
		sum.Settled += t.Settled
		sum.Resent += t.Resent
		sum.Segments += t.Segments
	}
	return sum
}

// personaView is a persona as people see it; the first, without a name, is
// that of adaptors that name none.
type personaView struct {
	Name       string   `json:"name"`
	Adaptors   []string `json:"adaptors"`
	Collectors []string `json:"collectors"`
	Sent       int64    `json:"sent_bytes"`   // before compression
	Held       int64    `json:"buffer_bytes"` // on their way
	Spool      int64    `json:"spool_bytes"`
	// Refused are the data types that its collectors refuse, whatever of them is
	// sent; all others go on.
	Refused []ship.Barred `json:"refused_types"`
	// Away is set while no collector takes data.
	Away *collectors.Away `json:"away"`
	filter.GateState
}

// views shows the lanes of personas that are in the config.
func (l *lanes) views(adaptors []supervise.View, spooled func(persona string) int64) []personaView {
	out := []personaView{}
	for _, ln := range l.list() {
		l.mu.Lock()
		gone := ln.gone
		l.mu.Unlock()
		if gone {
			continue
		}
		stats := ln.shipper.Stats()
		v := personaView{Name: ln.persona, Adaptors: []string{}, Collectors: ln.asker.List.URLs(),
			Sent: stats.Raw, Held: stats.Held, Spool: spooled(ln.persona), Refused: ln.shipper.Barred(), Away: ln.asker.List.Away()}
		if ln.gate != nil {
			v.GateState = ln.gate.State()
		}
		for _, a := range adaptors {
			if a.Persona == ln.persona {
				v.Adaptors = append(v.Adaptors, a.Name)
			}
		}
		out = append(out, v)
	}
	return out
}
