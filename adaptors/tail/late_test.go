package tail

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// TestCopiesAreFoundHoweverLate goes through copytruncate with the tailer stopped
// between some of its steps, and looking at all that has happened after others.
func TestCopiesAreFoundHoweverLate(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, to := range []string{"a.log", "old/a.log"} {
			for _, first := range []int{0, 3, 40} { // lines that are read before
				if first < 40 && to != "a.log" {
					continue // too short to be known in another folder
				}
				t.Run(fmt.Sprintf("%s/%d", to, first), func(t *testing.T) {
					t.Parallel()
					copyTruncateLooking(t, watch, to, first)
				})
			}
		}
	})
}

func copyTruncateLooking(t *testing.T, watch, to string, first int) {
	const steps = 5
	for looks := range 1 << steps {
		if first > 0 && looks&1 != 0 {
			continue // the first look was before
		}
		r := newRig(t).with(watch)
		r.mkdir("old")
		r.write("b.log", r.lines(1))
		if first > 0 {
			r.write("a.log", r.lines(first))
		}
		r.startHolding()
		r.arrived()
		r.pause()
		for step := range steps {
			switch step {
			case 0:
				r.write("a.log", r.lines(30))
			case 1:
				b, err := os.ReadFile(r.path("a.log"))
				r.ok(err)
				r.ok(os.WriteFile(r.path(to+".1"), b, 0o644))
			case 2:
				r.ok(os.Truncate(r.path("a.log"), 0))
			case 3:
				r.write("a.log", r.lines(2))
			case 4:
				r.rename(to+".1", to+".2")
			}
			if looks&(1<<step) != 0 {
				r.resume()
				// It is looking when something that comes now is read.
				r.write("b.log", r.lines(1))
				r.until("nothing is read", func() bool {
					return r.rec.Lines()[fmt.Sprintf("line %d of this test, neither long nor short", r.n)] > 0
				})
				r.pause()
			}
		}
		r.resume()
		r.arrived()
		r.calm()
		if t.Failed() {
			t.Fatalf("looks: %05b", looks)
		}
		r.stop()
	}
}

// TestCopyThatIsSeenWhenItsOriginalHasEnded lets the tailer see the copy only
// when it has told, or even has forgotten, that the original was truncated or
// deleted.
func TestCopyThatIsSeenWhenItsOriginalHasEnded(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, c := range []struct {
			name                    string
			first                   int // lines that are read before
			unread, settled, delete bool
			later                   bool // the copy is made when the original holds more
		}{
			{name: "short", first: 3},
			{name: "long", first: 60},
			{name: "settled", first: 60, settled: true},
			{name: "with something unread", first: 60, unread: true},
			{name: "deleted", first: 60, delete: true},
			{name: "deleted and settled", first: 60, delete: true, settled: true},
			{name: "settled, and the copy holds more", first: 60, settled: true, later: true},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t).with(watch)
				r.mkdir("aside")
				r.cfg.Exclude = append(r.cfg.Exclude, config.Glob(r.path("aside")))
				r.write("b.log", r.lines(1))
				r.write("a.log", r.lines(c.first))
				r.start()
				r.arrived()
				lost := 0
				if c.unread {
					r.rec.Refuse(func(*chunk.Chunk) error { return errors.New("503") })
					r.write("a.log", r.lines(20))
					r.until("nothing was refused", func() bool { return r.a.Status().LastErr != "" })
					lost = 1
				}
				if c.later {
					r.pause()
					r.write("a.log", r.lines(5))
				}
				b, err := os.ReadFile(r.path("a.log"))
				r.ok(err)
				r.ok(os.WriteFile(r.path("aside/copy"), b, 0o644))
				r.tick()
				if c.delete {
					r.remove("a.log")
				} else {
					r.ok(os.Truncate(r.path("a.log"), 0))
				}
				r.resume()
				r.rec.Refuse(nil)
				r.until("the end was not told", func() bool {
					return len(r.rec.Facts(chunk.End)) == 1 && len(r.rec.Facts(chunk.Lost)) == lost
				})
				if c.settled {
					r.rec.Settle(r.a)
					r.until("the stream is not done", func() bool { // it is forgotten, or kept while its file is empty
						return len(r.rec.Known()) == 2 || strings.Contains(r.known(), `"emptied":true`)
					})
				}
				r.rename("aside/copy", "a.log.1")
				r.arrived()
				r.write("a.log.1", r.lines(1))
				r.write("a.log", r.lines(2))
				r.arrived()
				r.calm()
				r.kill()
				r.start()
				r.arrived()
				r.calm()
			})
		}
	})
}

// TestSameLinesInATruncatedFileAreNew has a program that writes the very same
// again, into the file that it truncates: no copy of what was there.
func TestSameLinesInATruncatedFileAreNew(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, lines := range []int{2, 60} {
			r := newRig(t).with(watch)
			text := r.lines(lines)
			r.write("a.log", text)
			r.start()
			r.arrived()
			for range 3 {
				ends := len(r.rec.Facts(chunk.End))
				r.ok(os.Truncate(r.path("a.log"), 0))
				r.until("the end was not told", func() bool { return len(r.rec.Facts(chunk.End)) > ends })
				r.write("a.log", r.expect(text))
				r.arrived()
			}
			r.exactly()
			r.stop()
		}
	})
}
