package tail

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

func TestFileDeletedBeforeItsStreamWasOpenedKeepsItsName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	r.rec.Refuse(func(*chunk.Chunk) error { <-gate; return nil })
	for i := range readers { // all readers wait for the output
		r.write(string(rune('a'+i))+".log", r.lines(1))
	}
	r.start()
	r.until("every reader has a file", func() bool { return len(r.rec.Known()) == readers+1 })
	r.write("short.log", r.lines(2))
	r.until("the last file is seen", func() bool { return len(r.a.Status().Sources) == readers+1 })
	r.remove("short.log")
	r.ok(os.WriteFile(r.path("after.log.gz"), []byte("\x1f\x8b"), 0o644)) // events come in order
	r.until("its deletion is seen", func() bool { return skippedReason(r.a.Status(), r.path("after.log.gz")) != "" })
	release()
	r.exactly()
	for _, c := range r.rec.Chunks() {
		if c.Source == "" {
			t.Errorf("a chunk of stream %s, %v, has no source", c.Stream, c.Range())
		}
	}
}

func shows(r *rig, name string) bool {
	for _, s := range r.a.Status().Sources {
		if s.Path == r.path(name) {
			return true
		}
	}
	return false
}

func TestDeletedFilesThatWaitKeepDescriptorsWithinABound(t *testing.T) {
	t.Parallel()
	const bound, files = 24, 100
	r := newRig(t)
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	r.rec.Refuse(func(*chunk.Chunk) error { <-gate; return nil })
	a, err := New(r.cfg)
	r.ok(err)
	a.times = testTimes()
	a.times.missing = 100 * time.Millisecond // what was closed and then deleted counts as lost
	a.maxOpen = bound
	r.startAdaptor(a)
	for i := range files {
		name := fmt.Sprintf("%d.log", i)
		r.ok(os.WriteFile(r.path(name), []byte(name+" may be lost, and is told then\n"), 0o644))
		r.until("a new file is seen", func() bool { return shows(r, name) })
		r.remove(name)
		// Events come in order: what happened before this is seen by then.
		r.ok(os.WriteFile(r.path(name+".gz"), []byte("\x1f\x8b"), 0o644))
		r.until("a deletion is seen", func() bool { return skippedReason(a.Status(), r.path(name+".gz")) != "" })
		if n, most := openFiles(t, r.dir), bound+bound/2+readers+1; n > most {
			t.Fatalf("after %d files %d are open, want at most %d", i+1, n, most)
		}
	}
	release()
	told := func() map[string]bool {
		out := map[string]bool{}
		for _, c := range r.rec.Chunks() {
			if c.Kind == chunk.Data || c.Kind == chunk.Lost {
				out[c.Source] = true
			}
		}
		return out
	}
	r.until("each file's bytes are sent or told as lost", func() bool { return len(told()) == files })
	if len(r.rec.Facts(chunk.Lost)) == 0 {
		t.Error("nothing was lost: the test proves nothing")
	}
}

func TestFileClosedForWantOfDescriptorsAndThenDeletedIsToldAsLost(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.rec.Refuse(func(*chunk.Chunk) error { return fmt.Errorf("503") })
		a, err := New(r.cfg)
		r.ok(err)
		a.times = testTimes()
		a.times.missing = 100 * time.Millisecond
		a.maxOpen = 2
		r.startAdaptor(a)
		size := map[string]int64{}
		for i := range 20 {
			name := fmt.Sprintf("%d.log", i)
			text := fmt.Sprintf("what stands in %s is lost, or comes\n", name)
			size[r.path(name)] = int64(len(text))
			r.write(name, text)
			r.until("a new file is not seen", func() bool { return shows(r, name) })
		}
		r.until("not every file's stream is stored", func() bool { return len(r.rec.Known()) == 21 })
		for i := range 20 {
			r.remove(fmt.Sprintf("%d.log", i))
		}
		r.rec.Refuse(nil)
		r.until("not every byte came or was told as lost", func() bool {
			told := map[string]chunk.Ranges{}
			for _, c := range r.rec.Chunks() {
				told[c.Source] = told[c.Source].Add(c.Range())
			}
			for path, n := range size {
				if got := told[path]; len(got) != 1 || got[0] != (chunk.Range{Last: n}) {
					return false
				}
			}
			return true
		})
		if len(r.rec.Facts(chunk.Lost)) == 0 {
			t.Error("nothing was lost: the test proves nothing")
		}
	})
}

func TestAdaptorsOfOneAgentShareTheirDescriptors(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		const bound = 20
		shared := adaptors.NewDescriptors(bound)
		var rigs []*rig
		for range 3 {
			r := newRig(t).with(watch)
			r.cfg.Rescan = config.Duration(50 * time.Millisecond)
			r.descriptors = shared
			for i := range 30 {
				r.write(fmt.Sprintf("%d.log", i), r.lines(1))
			}
			r.start()
			r.arrived()
			rigs = append(rigs, r)
		}
		open := func() int {
			n := 0
			for _, r := range rigs {
				n += openFiles(t, r.dir)
			}
			return n
		}
		rigs[0].until("too many are open", func() bool { return open() <= bound })
		for _, r := range rigs {
			for i := range 30 {
				r.write(fmt.Sprintf("%d.log", i), r.lines(1))
			}
			r.arrived()
		}
		rigs[0].until("too many are open after all have grown", func() bool { return open() <= bound })
	})
}
