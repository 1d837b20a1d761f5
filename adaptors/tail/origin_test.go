package tail

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
)

func TestNothingIsReadAnewAfterTheStateIsLost(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(3))
		r.write("b.log", r.lines(100))
		r.write("c.log", r.lines(3))
		r.start()
		r.arrived()
		r.rename("c.log", "c.log.1")
		r.write("c.log", r.lines(3))
		r.write("a.log", r.lines(1))
		r.arrived()
		streams := len(r.rec.Streams())
		r.stop()
		r.rec.Lose()
		r.write("a.log", r.lines(1))
		r.start()
		r.until("not all is known again", func() bool { return len(r.rec.Known()) == 5 })
		r.exactly()
		if got := len(r.rec.Streams()); got != streams {
			t.Errorf("%d streams, want %d\n%s", got, streams, r.known())
		}
		if facts := r.rec.Facts(chunk.Doubtful); len(facts) > 0 {
			t.Errorf("doubtful: %v", facts)
		}
	})
}

func TestNothingIsReadAnewAfterABackupIsRestored(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(30))
		r.write("b.log", r.lines(30))
		r.write("c.log", r.lines(60))
		r.start()
		r.arrived()
		restore := r.rec.Backup()
		r.write("a.log", r.lines(1))
		r.write("new.log", r.lines(3))
		r.rename("b.log", "b.log.1")
		r.write("b.log", r.lines(2))
		r.arrived()
		r.copyTruncate("c.log", "c.log.1")
		r.write("c.log", r.lines(2))
		r.arrived()
		r.rec.Settle(r.a)
		r.stop()
		restore()
		r.start()
		r.until("not all is known again", func() bool { return len(r.rec.Known()) == 1+6 })
		r.exactly()
	})
}

// TestWhatMayBeInTheTableIsDoubtful has what nothing can be known of.
func TestWhatMayBeInTheTableIsDoubtful(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("copied.log", r.lines(60))
		r.start()
		r.arrived()
		r.copyTruncate("copied.log", "copied.log.1")
		r.write("copied.log", r.lines(2))
		r.arrived()
		r.stop()
		r.rec.Lose()
		r.write("half.log", "half a line")
		r.start()
		size := r.size("copied.log.1")
		r.until("the copy is not doubtful", func() bool {
			facts := r.rec.Facts(chunk.Doubtful)
			return len(facts) == 1 && facts[0].Range() == chunk.Range{Last: size} && facts[0].Source == r.path("copied.log.1")
		})
		r.tick()
		r.write("late.log", r.expect("a line\n"))
		r.write("half.log", "\n")
		r.until("what is new is not read", func() bool { return r.rec.Lines()["a line"] == 1 && r.rec.Lines()["half a line"] == 1 })
		if facts := r.rec.Facts(chunk.Doubtful); len(facts) > 1 {
			t.Errorf("doubtful: %v", facts)
		}
	})
}

func TestAllIsDoubtfulWhereNoFileHasAName(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(3))
		a, err := New(r.cfg)
		r.ok(err)
		a.times, a.nameless = testTimes(), true
		r.startAdaptor(a)
		r.arrived()
		doubtful := func(name string) bool {
			return slices.ContainsFunc(r.rec.Facts(chunk.Doubtful), func(f chunk.Chunk) bool { return f.Source == r.path(name) })
		}
		r.until("what was there at the start is not doubtful", func() bool { return doubtful("a.log") })
		for i := 0; ; i++ { // the first of these may come before the start is over
			r.tick()
			name := fmt.Sprintf("b%d.log", i)
			r.write(name, r.lines(3))
			r.arrived()
			if !doubtful(name) {
				break
			}
			if i == 5 {
				t.Fatalf("doubtful: %v, want no more than what was there at the start", r.rec.Facts(chunk.Doubtful))
			}
		}
		r.exactly()
	})
}

// TestSameFirstLinesAreNoNames has files that are truncated, or deleted and made
// again, and begin with the same line each time: streams of their own, also
// where those before are forgotten.
func TestSameFirstLinesAreNoNames(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, how := range []string{"truncated", "truncated while stopped", "truncated before a restart", "deleted"} {
			r := newRig(t).with(watch)
			header := "# this line is the first of each\n"
			r.write("a.log", r.expect(header)+r.lines(2))
			r.start()
			r.arrived()
			for range 5 {
				ends := len(r.rec.Facts(chunk.End))
				switch how {
				case "deleted":
					r.remove("a.log")
				case "truncated", "truncated before a restart":
					r.ok(os.Truncate(r.path("a.log"), 0))
				default:
					r.rec.Settle(r.a)
					r.stop()
					r.ok(os.Truncate(r.path("a.log"), 0))
					r.start()
				}
				if how != "truncated while stopped" {
					r.until("the end was not told", func() bool { return len(r.rec.Facts(chunk.End)) > ends })
					r.rec.Settle(r.a)
				}
				switch how {
				case "deleted":
					r.settled("the stream is not forgotten", func() bool { return len(r.rec.Known()) == 1 })
				case "truncated before a restart":
					r.settled("the stream is not known as emptied", func() bool { return strings.Contains(r.known(), `"emptied":true`) })
					r.stop()
					r.start()
				}
				r.write("a.log", r.expect(header)+r.lines(2))
				r.arrived()
			}
			r.settled("streams that ended are kept", func() bool { return len(r.rec.Known()) == 2 })
			r.exactly()
			r.stop()
		}
	})
}

func TestStreamIsOpenedWithItsFirstRecord(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("other.log", r.lines(1))
		r.write("a.log", "half ")
		r.start()
		r.arrived()
		r.calm()
		if n := len(r.rec.Known()); n != 2 {
			t.Errorf("%d streams are stored, want 2\n%s", n, r.known())
		}
		r.write("a.log", r.expect("half a line\n")[len("half "):])
		r.write("b.log", r.expect("never ended")[:5])
		r.rename("b.log", "b.log.1")
		r.write("b.log.1", "never ended"[5:])
		r.exactly()
	})
}

// settled is until while all that is sent is settled: the end of one stream may
// be sent after the lines of the next.
func (r *rig) settled(what string, ok func() bool) {
	r.t.Helper()
	r.until(what, func() bool {
		r.rec.Settle(r.a)
		return ok()
	})
}

func (r *rig) size(name string) int64 {
	r.t.Helper()
	info, err := os.Stat(r.path(name))
	r.ok(err)
	return info.Size()
}
