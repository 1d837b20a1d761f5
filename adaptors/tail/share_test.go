package tail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// another is another adaptor of the same agent and type, on the same files.
func (r *rig) another(patterns ...string) *rig {
	r.t.Helper()
	out := &rig{t: r.t, dir: r.dir, name: "other", cfg: r.cfg, rec: r.rec, want: r.want}
	if len(patterns) > 0 {
		out.cfg.Paths = nil
	}
	for _, p := range patterns {
		out.cfg.Paths = append(out.cfg.Paths, config.Glob(filepath.Join(r.dir, p)))
	}
	r.t.Cleanup(func() {
		if out.stop != nil {
			out.stop()
		}
	})
	return out
}

// leave ends the adaptor and removes it.
func (r *rig) leave() {
	r.stop()
	if r.name == "" {
		r.rec.Stop("test")
	} else {
		r.rec.Stop(r.name)
	}
}

func TestFilesGoOnUnderAnotherAdaptorsName(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		for _, name := range []string{"as-it-was", "grown", "renamed", "copied", "truncated"} {
			r.write(name+".log", r.lines(40))
		}
		r.start()
		r.arrived()
		r.rec.Settle(r.a)
		r.write("as-it-was.log", r.lines(1)) // not settled
		r.arrived()
		r.leave()
		r.write("grown.log", r.lines(1))
		r.rename("renamed.log", "renamed.log.1")
		r.write("renamed.log", r.lines(3))
		r.copyTruncate("copied.log", "copied.log.1")
		r.write("copied.log", r.lines(3))
		r.ok(os.Truncate(r.path("truncated.log"), 0))
		r.write("truncated.log", r.lines(2))

		o := r.another()
		o.start()
		r.a = o.a
		r.exactly()
		r.until("the streams are not the other's", func() bool {
			return len(r.rec.KnownOf("other")) == 1+5+3 && len(r.rec.KnownOf("test")) == 1
		})
	})
}

// A stream that can't be taken over, on a full disk for instance, is not one that
// is gone: the file would be read twice.
func TestAFileWaitsWhileItsStreamCannotBeTakenOver(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(40))
		r.start()
		r.arrived()
		r.rec.Settle(r.a)
		r.leave()
		r.write("a.log", r.lines(1))
		r.rec.FailTakes(errors.New("no space left on device"))
		o := r.another()
		o.start()
		o.until("it is not said why the file is not read", func() bool {
			return strings.Contains(skippedReason(o.a.Status(), o.path("a.log")), "no space left on device")
		})
		r.rec.FailTakes(nil)
		r.a = o.a
		r.exactly()
		r.until("the stream is not the other's", func() bool { return len(r.rec.KnownOf("other")) == 2 })
		o.until("it is still listed as skipped", func() bool { return len(o.a.Status().Skipped) == 0 })
	})
}

func TestOfTwoAdaptorsThatMatchAFileOneReadsIt(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "in/*.log*", "links/*.log").with(watch)
		r.mkdir("in")
		r.mkdir("links")
		r.mkdir("theirs")
		r.write("in/a.log", r.lines(40))
		r.write("in/b.log", r.lines(40))
		r.ok(os.Symlink(r.path("in/a.log"), r.path("theirs/a.log")))
		r.ok(os.Link(r.path("in/b.log"), r.path("theirs/b.log")))
		o := r.another("in/*.log*", "theirs/*.log")
		r.startHolding()
		r.arrived()
		o.startHolding()
		reason := `adaptor "test" of the same type reads it`
		o.until("the files are not refused", func() bool {
			s := o.a.Status()
			return skippedReason(s, o.path("theirs/a.log")) == reason && skippedReason(s, o.path("theirs/b.log")) == reason &&
				skippedReason(s, o.path("in/a.log")) == reason
		})
		r.write("in/a.log", r.lines(1))
		r.copyTruncate("in/a.log", "in/a.log.1") // the other must not take the copy for a file
		r.write("in/a.log", r.lines(2))
		r.rename("in/b.log", "in/b.log.1")
		r.arrived()
		r.calm()
		r.stop()
		r.startHolding()
		r.write("in/a.log", r.lines(1))
		r.exactly()
		r.leave()
		r.write("in/a.log", r.lines(1))
		r.write("theirs/b.log", r.lines(1))
		r.a = o.a
		r.exactly()
		o.until("something is refused still", func() bool { return len(o.a.Status().Skipped) == 0 })
	})
}

func TestFileThatMovesToAnotherAdaptorsFolderIsReadOn(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, missing := range []bool{false, true} { // the first has given it up, too
			r := newRig(t, "mine/*.log").with(watch)
			r.mkdir("mine")
			r.mkdir("theirs")
			o := r.another("theirs/*.log")
			r.write("mine/a.log", r.lines(3))
			r.write("mine/b.log", r.lines(3))
			r.start()
			o.start()
			r.arrived()
			if missing {
				r.stop()
			}
			r.rename("mine/a.log", "theirs/a.log")
			r.write("theirs/a.log", r.lines(1))
			if missing {
				o.until("the file is not refused", func() bool { return len(o.a.Status().Skipped) == 1 })
				r.start()
				r.until("the stream does not move with its file", func() bool { return len(r.rec.KnownOf("other")) == 2 })
			}
			r.arrived()
			r.write("theirs/a.log", r.lines(1))
			r.exactly()
			r.leave()
			r.write("theirs/a.log", r.lines(1))
			r.a = o.a
			r.exactly()
			o.stop()
		}
	})
}

// TestManyFilesOfTwoAdaptors has both come and go while files do.
func TestManyFilesOfTwoAdaptors(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		o := r.another()
		both := [2]*rig{r, o}
		r.start()
		o.start()
		for round := range 6 {
			for i := range 10 {
				name := fmt.Sprintf("%d.log", i)
				if round == 2 && i < 5 {
					r.rename(name, name+".1")
				}
				r.write(name, r.lines(2))
			}
			r.arrived()
			switch round {
			case 1, 4:
				both[0].leave()
				both[0].start()
			case 3:
				both[1].leave()
			}
		}
		r.exactly()
		if lost := r.rec.Facts(chunk.Lost); len(lost) > 0 {
			t.Errorf("lost: %v", lost)
		}
	})
}
