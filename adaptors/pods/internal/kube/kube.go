// Package kube knows what a cluster knows of the pods of a node: labels,
// annotations, owners, asked from the kubelet or the API server.
package kube

import (
	"container/list"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Pod is what is known of one pod.
type Pod struct {
	Node        string
	Owner       string // kind/name of what controls it
	Labels      map[string]string
	Annotations map[string]string
}

func (p *Pod) equal(o *Pod) bool {
	return p.Node == o.Node && p.Owner == o.Owner && maps.Equal(p.Labels, o.Labels) && maps.Equal(p.Annotations, o.Annotations)
}

// State says what a lookup gave.
type State int

const (
	Known   State = iota
	Asked         // it is not known, and an answer is on its way
	Missing       // it is not known, and no answer since it was asked for held it
)

// Config says whom to ask, and how often.
type Config struct {
	URL        string // the whole of it, with path and query
	TokenFile  string // of a bearer token; read anew for each request; empty: none
	CAFile     string // of the certificates to trust, read when it changes; empty: the system's
	SkipVerify bool   // trust any certificate
	Refresh    time.Duration
	Timeout    time.Duration // of one request
	Cache      int           // pods that are remembered
	MaxAnswer  int64         // bytes
	// Wanted tells which labels and annotations are of use; others are not kept.
	WantedLabel, WantedAnnotation func(key string) bool
}

// Waits between requests.
const (
	soonest  = time.Second      // after the last
	atWorst  = 30 * time.Second // after many that failed
	askAgain = 10 * time.Second // for a pod that an answer did not hold
)

// Source keeps what is known of pods, by the uid in the path of their logs. It
// is safe for concurrent use.
type Source struct {
	cfg     Config
	log     *slog.Logger
	client  client
	soonest time.Duration
	want    chan struct{}
	changed chan struct{}
	gen     atomic.Int64

	mu      sync.Mutex
	pods    map[string]*list.Element // of *entry
	lru     *list.List               // least recently used first
	asked   map[string]time.Time     // pods that were looked for and are not known
	begun   time.Time                // of the last request that was answered or failed
	trouble string
	since   time.Time
}

type entry struct {
	uid string
	pod Pod
}

// New makes a source; it asks nobody before Run.
func New(cfg Config, log *slog.Logger) *Source {
	return &Source{
		cfg: cfg, log: log, client: client{cfg: cfg}, soonest: soonest, want: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		pods: map[string]*list.Element{}, lru: list.New(), asked: map[string]time.Time{},
	}
}

// Generation changes with what Lookup gives.
func (s *Source) Generation() int64 { return s.gen.Load() }

// Changed gets a token after each request.
func (s *Source) Changed() <-chan struct{} { return s.changed }

// Trouble says what is wrong with whom it asks; empty: nothing.
func (s *Source) Trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == "" {
		return ""
	}
	return fmt.Sprintf("the metadata of pods is not known since %s: %s", s.since.UTC().Format(time.RFC3339), s.trouble)
}

// Lookup returns what is known of a pod, and has it asked for if nothing is. It
// never waits.
func (s *Source) Lookup(uid string) (Pod, State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.pods[uid]; e != nil {
		s.lru.MoveToBack(e)
		return e.Value.(*entry).pod, Known
	}
	first, ok := s.asked[uid]
	if !ok {
		if len(s.asked) >= s.cfg.Cache {
			clear(s.asked) // they ask again
		}
		first = time.Now()
		s.asked[uid] = first
		s.ask()
	}
	if s.begun.After(first) {
		return Pod{}, Missing
	}
	return Pod{}, Asked
}

func (s *Source) ask() {
	select {
	case s.want <- struct{}{}:
	default:
	}
}

// Run asks until ctx is done.
func (s *Source) Run(ctx context.Context) {
	defer s.client.close()
	pause := time.Duration(0)
	for {
		begun := time.Now()
		pods, err := s.client.pods(ctx)
		if ctx.Err() != nil {
			return
		}
		s.took(pods, err, begun)
		s.gen.Add(1)
		select {
		case s.changed <- struct{}{}:
		default:
		}
		if err != nil {
			pause = min(max(2*pause, s.soonest), atWorst)
		} else {
			pause = 0
		}
		if !s.wait(ctx, max(pause, s.soonest), err != nil) {
			return
		}
	}
}

// wait waits for the next request's time: no sooner than after pause, and then
// until a pod is asked for, or at the latest the refresh's time.
func (s *Source) wait(ctx context.Context, pause time.Duration, failed bool) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	if failed {
		return true
	}
	again := s.cfg.Refresh
	if s.missing() {
		again = min(again, askAgain)
	}
	// Agents that were started together do not ask together.
	timer.Reset(again - time.Duration(rand.Float64()*0.2*float64(again)))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-s.want:
	}
	return true
}

func (s *Source) missing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked) > 0
}

// took takes an answer, which may be a part of one.
func (s *Source) took(pods map[string]Pod, err error, begun time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = begun
	for uid, p := range pods {
		delete(s.asked, uid)
		if e := s.pods[uid]; e != nil {
			if old := &e.Value.(*entry).pod; !old.equal(&p) {
				*old = p
			}
			continue
		}
		s.pods[uid] = s.lru.PushBack(&entry{uid, p})
	}
	for s.lru.Len() > s.cfg.Cache {
		e := s.lru.Front()
		delete(s.pods, e.Value.(*entry).uid)
		s.lru.Remove(e)
	}
	switch {
	case err == nil && s.trouble != "":
		s.log.Info("the metadata of pods is known again", "url", s.cfg.URL)
		s.trouble = ""
	case err != nil && s.trouble == "":
		s.since = begun
		s.log.Warn("can't get the metadata of pods; logs are collected with what is known", "url", s.cfg.URL, "error", err)
		fallthrough
	case err != nil:
		s.trouble = err.Error()
	}
}
