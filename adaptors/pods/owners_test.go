package pods

import (
	"fmt"
	"strings"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// beside is another adaptor of the same agent, on the same logs.
func (r *rig) beside(name string) *rig {
	o := &rig{kubelet: r.kubelet, t: r.t, cfg: r.cfg, times: r.times, rec: r.rec, wait: r.wait, name: name}
	r.t.Cleanup(func() {
		if o.stop != nil {
			o.stop()
		}
	})
	return o
}

// end stops an adaptor and removes it.
func (r *rig) end() {
	r.t.Helper()
	r.stop()
	r.rec.Stop(r.name)
}

func (r *rig) skips(c *ctr, by string) func() bool {
	want := adaptors.Skipped{Path: c.path, Reason: fmt.Sprintf("adaptor %q of the same type reads it", by)}
	return func() bool {
		got := r.a.Status().Skipped
		return len(got) == 1 && got[0] == want
	}
}

// once fails if a line of what the containers wrote came twice or not at all.
func (r *rig) once() {
	r.t.Helper()
	want := map[string]int{}
	for _, c := range r.all {
		for line := range strings.Lines(c.wrote.String()) {
			want[strings.TrimSuffix(line, "\n")]++
		}
	}
	r.until("not all lines came", func() bool {
		have := r.rec.Lines()
		for line := range want {
			if have[line] == 0 {
				return false
			}
		}
		return true
	})
	for line, n := range r.rec.Lines() {
		if n != want[line] {
			r.t.Errorf("%q came %d times, want %d", line, n, want[line])
		}
	}
}

// eachKeeper runs a test on logs that the kubelet rotates, and on docker's.
func eachKeeper(t *testing.T, f func(t *testing.T, r *rig, c *ctr)) {
	t.Run("kubelet", func(t *testing.T) {
		each(t, func(t *testing.T, r *rig) { f(t, r, r.run(web, "nginx", 0)) })
	})
	t.Run("docker", func(t *testing.T) {
		each(t, func(t *testing.T, r *rig) { f(t, r, r.runDocker(web, "nginx", 0, 1, true)) })
	})
}

func TestAStreamFollowsItsContainerToARenamedAdaptor(t *testing.T) {
	eachKeeper(t, func(t *testing.T, r *rig, c *ctr) {
		c.write(10)
		r.start()
		r.arrived()
		c.rotate()
		c.write(5)
		r.arrived()
		r.end()
		c.write(5)
		c.rotate()
		c.rotate()
		c.write(5)
		o := r.beside("other")
		o.start()
		o.arrived()
		c.rotate()
		c.write(5)
		o.arrived()
		r.wantOneStreamAndNoLoss()
	})
}

func TestOfTwoAdaptorsOfATypeOneReadsAContainer(t *testing.T) {
	eachKeeper(t, func(t *testing.T, r *rig, c *ctr) {
		c.write(10)
		r.start()
		r.arrived()
		o := r.beside("other")
		o.start()
		o.until("it is not told who reads the log", o.skips(c, "test"))
		for range 3 {
			c.write(5)
			c.rotate()
			c.write(5)
			r.arrived()
		}
		r.end()
		c.write(5)
		c.rotate()
		c.write(5)
		o.arrived()
		o.until("the log is still told to be skipped", func() bool { return len(o.a.Status().Skipped) == 0 })
		r.start()
		r.until("it is not told who reads the log", r.skips(c, "other"))
		r.remove(web)
		o.until("the end was not told", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
		r.wantOneStreamAndNoLoss()
		r.until("what is gone is told to be skipped", func() bool { return len(r.a.Status().Skipped) == 0 })
	})
}

func TestAdaptorsOfTwoTypesReadAContainerBoth(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run(web, "nginx", 0).write(10)
	r.start()
	o := r.beside("other")
	o.cfg.Types = []TypeRule{{Match: TypeMatch{Container: "*"}, Type: "access"}}
	o.start()
	r.until("not both read it", func() bool {
		types := map[string]bool{}
		for _, c := range r.rec.Chunks() {
			types[c.Type] = true
		}
		return types["test"] && types["access"]
	})
}

func TestAContainerThatMovesToAnotherAdaptorGoesOn(t *testing.T) {
	for _, first := range []string{"old", "new"} {
		t.Run(first+" first", func(t *testing.T) {
			eachKeeper(t, func(t *testing.T, r *rig, c *ctr) {
				r.times.missing = patience
				c.write(10)
				r.start()
				r.arrived()
				r.end()
				c.write(5)
				r.cfg.ExcludeNamespaces = []config.Glob{"shop"}
				o := r.beside("other")
				o.cfg.ExcludeNamespaces = nil
				if first == "old" {
					r.start()
					o.start()
				} else {
					r.rec.EnvOf("test") // it is there, and holds its streams
					o.start()
					o.until("it is not told who has the log", o.skips(c, "test"))
					r.start()
				}
				o.arrived()
				c.rotate()
				c.write(5)
				o.arrived()
				r.wantOneStreamAndNoLoss()
			})
		})
	}
}

func TestARenamedAdaptorThatStartsAtTheEndReadsWhatBeganMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Start = "end"
	r.run(web, "nginx", 0)
	r.start()
	r.until("the start was not stored", func() bool { return len(r.rec.KnownOf("test")) == 2 }) // with the stream
	r.all[0].write(5)
	r.arrived()
	r.end()
	r.run("shop_b_u2", "c", 0).write(5)
	o := r.beside("other")
	o.start()
	o.arrived()
	o.until("the start was not stored", func() bool { return len(r.rec.KnownOf("other")) == 3 })
	third := r.beside("third")
	third.start()
	third.until("the start was not stored, of an adaptor that may read nothing", func() bool { return len(r.rec.KnownOf("third")) == 1 })
}

func TestTheEndOfAContainerWhoseAdaptorIsGoneIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.run(web, "nginx", 0)
	c.write(10)
	r.start()
	r.arrived()
	r.end()
	r.remove(web)
	o := r.beside("other")
	o.start()
	o.until("the end was not told", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
	o.until("the stream is not forgotten", func() bool {
		r.rec.SettleOf("other", o.a)
		return len(r.rec.KnownOf("other")) == 1 && len(r.rec.KnownOf("test")) == 1 // the markers
	})
}

func TestNothingIsReadTwiceWhenTheAgentsStateIsLost(t *testing.T) {
	eachKeeper(t, func(t *testing.T, r *rig, c *ctr) {
		c.write(10)
		r.start()
		r.arrived()
		for range 3 {
			c.rotate()
			c.write(5)
		}
		r.arrived()
		r.rec.Settle(r.a)
		r.rec.Lose()
		r.stop()
		c.write(5)
		r.start()
		r.arrived()
		c.write(5)
		r.arrived()
		if n := len(r.rec.Streams()); n != 1 {
			t.Errorf("got %d streams, want 1", n)
		}
		r.once()
	})
}

func TestWhatMayBeThereAlreadyIsToldAsDoubtful(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.maxFiles = 3
	c := r.run(web, "nginx", 0)
	c.write(10)
	r.start()
	for range 5 { // what the stream began with is gone
		r.arrived()
		r.rec.Settle(r.a)
		c.rotate()
		c.write(5)
	}
	r.arrived()
	r.rec.Lose()
	r.stop()
	kept := int64(len(strings.Join(c.contents(), "")))
	r.start()
	r.until("no doubt was told", func() bool { return len(r.rec.Facts(chunk.Doubtful)) == 1 })
	if got := r.rec.Facts(chunk.Doubtful)[0].Range(); got != (chunk.Range{First: 0, Last: kept}) {
		t.Errorf("got the doubt %v, want [0,%d)", got, kept)
	}
	r.until("it was not read", func() bool { return len(r.rec.Streams()) == 2 })
}

func TestWhatCameSinceABackupIsReadOnce(t *testing.T) {
	eachKeeper(t, func(t *testing.T, r *rig, c *ctr) {
		c.write(10)
		r.start()
		r.arrived()
		r.rec.Settle(r.a)
		restore := r.rec.Backup()
		for range 2 {
			c.write(5)
			c.rotate()
			c.write(5)
		}
		later := r.run("shop_b_u2", "c", 0)
		later.write(10)
		r.arrived()
		later.rotate()
		later.write(5)
		r.arrived()
		r.rec.Settle(r.a)
		restore()
		r.stop()
		c.write(5)
		later.write(5)
		r.start()
		r.arrived()
		if n := len(r.rec.Streams()); n != 2 {
			t.Errorf("got %d streams, want 2", n)
		}
		r.once()
	})
}
