package pods

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// TestMain lets more tests run side by side than there are cores: they mostly
// wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("12")
	}
	os.Exit(m.Run())
}

// rig is an adaptor on the logs that a kubelet keeps, and the agent's side.
type rig struct {
	*kubelet
	t           testing.TB
	cfg         Config
	times       times
	maxOpen     int
	descriptors *adaptors.Descriptors
	rec         *adaptortest.Recorder
	a           *Adaptor
	stop        func()
	rewind      map[string]int64 // streams that are set back at the next start
	wait        time.Duration    // for what must come
	name        string           // of the adaptor
	log         slog.Handler     // nil: nothing is logged, unless asked for
}

func testTimes() times {
	return times{
		settle: 30 * time.Millisecond, still: 60 * time.Millisecond, linger: 200 * time.Millisecond,
		missing: 100 * time.Millisecond, unseen: 100 * time.Millisecond, retry: 20 * time.Millisecond,
		poll: 20 * time.Millisecond, throttle: time.Millisecond, metadata: 20 * time.Second,
	}
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{kubelet: newKubelet(t), t: t, cfg: DefaultConfig(), times: testTimes(), rec: adaptortest.NewRecorder(), wait: patience, name: "test"}
	r.cfg.Root = r.root
	r.cfg.Rescan = config.Duration(150 * time.Millisecond)
	r.cfg.Timeout = config.Duration(time.Minute)
	t.Cleanup(func() {
		if r.stop != nil {
			r.stop()
		}
		for _, c := range r.all {
			c.stop()
		}
		for _, p := range r.rec.Problems() {
			t.Error(p)
		}
	})
	return r
}

// each runs a test with inotify and with polling.
func each(t *testing.T, f func(t *testing.T, r *rig)) {
	for _, watch := range []string{"auto", "poll"} {
		t.Run(watch, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.cfg.Watch = watch
			f(t, r)
		})
	}
}

func (r *rig) start() {
	r.t.Helper()
	a, err := New(r.cfg)
	r.ok(err)
	r.a = a
	if r.cfg.Watch == "auto" { // whose instances all of a user's processes share
		r.until("the kernel has no inotify instance left", func() bool {
			fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			return err == nil && unix.Close(fd) == nil
		})
	}
	a.times, a.maxOpen = r.times, r.maxOpen
	env := r.rec.EnvOf(r.name)
	env.Descriptors = r.descriptors
	env.Streams = rewound{env.Streams, r.rewind}
	r.rewind = nil
	env.Log = slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		env.Log = slog.New(slog.NewTextHandler(testWriter{r.t}, nil))
	}
	if r.log != nil {
		env.Log = slog.New(r.log)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, env) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run ended with %v, want nil", err)
		}
		r.stop = nil
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// rewound are streams of which some are set back.
type rewound struct {
	adaptors.Streams
	to map[string]int64
}

func (s rewound) Known() []adaptors.Stream {
	known := s.Streams.Known()
	for i := range known {
		if to, ok := s.to[known[i].ID]; ok {
			known[i].Settled = to
		}
	}
	return known
}

// kill ends the adaptor as SIGKILL does: nothing it does afterwards counts.
func (r *rig) kill() {
	r.t.Helper()
	r.rec.Kill()
	r.stop()
}

const patience = time.Minute

func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	r.untilElse(what, is, func() string { return "" })
}

func (r *rig) untilElse(what string, is func() bool, more func() string) {
	r.t.Helper()
	deadline := time.After(r.wait)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		changed := r.rec.Changed()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-look.C:
		case <-deadline:
			r.t.Fatalf("after %v: %s\n%s\n%s", r.wait, what, more(), r.dump())
		}
	}
}

// got returns what came of a path: its streams' bytes, holes as NULs.
func (r *rig) got(path string) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, c := range r.rec.Chunks() {
		if c.Source == path && !seen[c.Stream] {
			seen[c.Stream] = true
			b.Write(r.rec.Bytes(c.Stream))
		}
	}
	return b.String()
}

// came tells what came of a path, in its order.
func (r *rig) came(path string) string {
	var b strings.Builder
	for _, c := range r.rec.Chunks() {
		if c.Source == path {
			fmt.Fprintf(&b, "%s %v [%d,%d) %s\n", c.Stream, c.Kind, c.First, c.Last, c.Reason)
		}
	}
	return b.String()
}

// arrived waits until all that the containers wrote has come, and nothing else.
func (r *rig) arrived(cs ...*ctr) {
	r.t.Helper()
	if len(cs) == 0 {
		cs = r.all
	}
	for _, c := range cs {
		r.untilElse("not everything came of "+c.path, func() bool { return len(r.got(c.path)) >= c.wrote.Len() }, func() string {
			sizes := ""
			for i, text := range c.contents() {
				name := "present"
				if all := c.rotated(); i < len(all) {
					name = all[i][len(c.path):]
				}
				sizes += fmt.Sprintf("%s %d ", name, len(text))
			}
			return around(r.got(c.path), c.wrote.String()) + "\nfiles " + sizes
		})
		if got, want := r.got(c.path), c.wrote.String(); got != want {
			for _, k := range r.rec.Known() {
				r.t.Logf("stored: %s %s settled %d sent %d ended %t: %s", k.ID, k.Source, k.Settled, k.Sent, k.Ended, k.Identity)
			}
			r.t.Fatalf("%s: got %d bytes, want %d; they differ at %d:\n%s\n%s", c.path, len(got), len(want), differ(got, want), around(got, want), r.came(c.path))
		}
	}
}

func differ(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func around(got, want string) string {
	at := max(0, differ(got, want)-60)
	return fmt.Sprintf("got  %q\nwant %q", got[at:min(len(got), at+160)], want[at:min(len(want), at+160)])
}

// records returns the records of a path as they were cut, each with the part
// that its chunk is marked as.
func (r *rig) records(path string) []string {
	var out []string
	for _, c := range r.rec.Chunks() {
		if c.Source != path || c.Kind != chunk.Data {
			continue
		}
		c.Body = r.rec.Bytes(c.Stream)[c.First:c.Last]
		for from, to := range c.Records() {
			text := string(c.Body[from:to])
			if p := c.Tags["part"]; p != "" {
				text = p + ":" + text
			}
			out = append(out, text)
		}
	}
	return out
}

// settled secures all that came, and waits until a stream is forgotten.
func (r *rig) forgotten(n int) {
	r.t.Helper()
	r.until("streams are not forgotten", func() bool {
		r.rec.Settle(r.a)
		return len(r.rec.Known()) == n+1 // and the marker
	})
}
