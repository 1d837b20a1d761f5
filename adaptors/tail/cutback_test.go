package tail

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
)

// cut truncates a file to so many of its lines.
func (r *rig) cut(name string, lines int) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(name))
	r.ok(err)
	size := 0
	for line := range strings.Lines(string(b)) {
		if lines--; lines < 0 {
			break
		}
		size += len(line)
	}
	r.ok(os.Truncate(r.path(name), int64(size)))
}

func (r *rig) forks() int {
	n := 0
	for _, id := range r.rec.Streams() {
		n += strings.Count(id, "~")
	}
	return n
}

func TestFileThatIsCutBackIsReadOnFromThere(t *testing.T) {
	for _, tt := range []struct {
		name string
		line func(i int) string
	}{
		{"long lines", func(i int) string { return fmt.Sprintf("line %d, %s\n", i, strings.Repeat("x", 200)) }},
		{"lines", func(i int) string { return fmt.Sprintf("2026-11-29T01:02:%02d something has happened\n", i) }},
		{"short lines", func(i int) string { return fmt.Sprintf("m %d\n", i) }},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			each(t, func(t *testing.T, watch string) {
				for _, running := range []bool{true, false} {
					r, n := newRig(t).with(watch), 0
					more := func(count int) {
						for range count {
							r.write("a.log", r.expect(tt.line(n)))
							n++
						}
					}
					more(100)
					r.start()
					r.arrived()
					for i, keep := range []int{50, 40, 30} {
						if running == (i%2 == 0) {
							r.cut("a.log", keep)
							more(10)
						} else {
							r.rec.Settle(r.a)
							r.stop()
							r.cut("a.log", keep)
							more(10)
							r.start()
						}
						r.arrived()
					}
					if got := r.forks(); got == 0 {
						t.Error("no stream is a fork")
					}
					more(200) // past where it was cut
					r.exactly()
					r.rec.Settle(r.a)
					r.stop()
					r.start() // nothing comes again
					more(1)
					r.exactly()
					r.stop()
				}
			})
		})
	}
}

// TestFileThatBeginsAlikeIsNotTakenForOneThatWasCutBack: its lines are all new.
func TestFileThatBeginsAlikeIsNotTakenForOneThatWasCutBack(t *testing.T) {
	many := func(line string, n int) string { return strings.Repeat(line, n) }
	lines := func(from, to int) string {
		var b strings.Builder
		for i := range to - from {
			fmt.Fprintf(&b, "2026-11-29T01:02:%02d something has happened\n", from+i)
		}
		return b.String()
	}
	banner := strings.Repeat("*", 80) + "\n" + strings.Repeat("-", 79) + "\n" + "the server that serves whatever there is to be served, version 1\n" +
		"its configuration is read from the usual folder\nit listens wherever it is told to\n" + strings.Repeat("=", 81) + "\n"
	for _, tt := range []struct {
		name          string
		before, after string
		copied        bool // and then emptied
		seen          bool // while it was empty
	}{
		{"the same first line", "=== the nightly backup of this host\n" + lines(0, 90), "=== the nightly backup of this host\n" + lines(200, 220), false, false},
		{"lines that repeat each other", many("alive\n", 200), many("alive\n", 90), false, false},
		{"blocks that repeat each other", many("begin\nwork\nend\n", 200), many("begin\nwork\nend\n", 90), false, false},
		{"a banner", banner + lines(0, 90), banner + lines(200, 220), false, false},
		{"it was seen to be empty", lines(0, 90), lines(0, 50), false, true},
		{"there is a copy", lines(0, 90), lines(0, 50), true, false},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			twice(t, func(r *rig) { r.write("a.log", r.expect(tt.before)) }, func(r *rig) {
				if tt.copied {
					r.copyTruncate("a.log", "a.log.1")
				} else {
					r.ok(os.Truncate(r.path("a.log"), 0))
				}
				if tt.seen {
					if r.stop == nil {
						r.start()
						defer func() { r.stop() }()
					}
					r.until("its end is not told", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
				}
				r.write("a.log", r.expect(tt.after))
				if r.stop != nil {
					r.arrived()
				}
				if n := r.forks(); n != 0 {
					t.Errorf("%d streams are forks", n)
				}
			})
		})
	}
}

func TestLargeFileThatIsCutBackIsNotReadAgainWhole(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, running := range []bool{true, false} {
			r := newRig(t).with(watch)
			for range 6 {
				r.write("a.log", r.lines(20_000)) // 6 MiB in all
			}
			r.start()
			r.arrived()
			r.rec.Settle(r.a)
			r.stop()
			r.start()
			r.write("a.log", r.lines(20_000))
			r.arrived()
			r.rec.Settle(r.a)
			if !running {
				r.stop()
			}
			r.cut("a.log", 100_000)
			r.write("a.log", r.lines(10))
			if !running {
				r.start()
			}
			r.arrived()
			begin := r.rec.Facts(chunk.Begin)
			if len(begin) != 1 || begin[0].First < 2<<20 || begin[0].First > 6<<20 {
				t.Errorf("running %v: the fork begins at %v, want 2 MiB or more and 6 at most", running, begin)
			}
			r.exactly()
			r.stop()
		}
	})
}

// TestUnreadRestOfAFileThatIsCutBackIsLost: nobody can read it any more.
func TestUnreadRestOfAFileThatIsCutBackIsLost(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(60))
		r.start()
		r.arrived()
		r.rec.Settle(r.a)
		sent := r.rec.Known()[1].Sent
		r.rec.Refuse(func(*chunk.Chunk) error { return fmt.Errorf("503") })
		unread := r.lines(40)
		for line := range strings.Lines(unread) {
			delete(r.want, strings.TrimSuffix(line, "\n"))
		}
		r.write("a.log", unread)
		r.until("the rest is not seen", func() bool { return r.rec.Known()[1].Sent > sent })
		before := len(r.rec.Known())
		r.cut("a.log", 50)
		// Until then, what was read before may still be sent.
		r.until("the cut is not seen", func() bool { return len(r.rec.Known()) > before })
		r.rec.Refuse(nil)
		r.write("a.log", r.lines(5))
		r.arrived()
		r.until("the loss is not told", func() bool { return len(r.rec.Facts(chunk.Lost)) == 1 })
		if got, want := r.rec.Facts(chunk.Lost)[0].Range(), (chunk.Range{First: sent, Last: sent + int64(len(unread))}); got != want {
			t.Errorf("lost: %v, want %v", got, want)
		}
		r.calm()
	})
}

// TestLogThatLostItsTailWithThePowerGoesOn: the journal of what was sent and the
// log lose their unsynced ends, each its own.
func TestLogThatLostItsTailWithThePowerGoesOn(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, settled := range []bool{true, false} {
			r := newRig(t).with(watch)
			r.write("a.log", r.lines(100))
			r.start()
			r.arrived()
			if settled {
				r.rec.Settle(r.a)
			}
			r.kill()
			r.cut("a.log", 70) // what was sent was a record, and stays
			r.write("a.log", r.lines(10))
			r.start()
			r.arrived()
			r.write("a.log", r.lines(100))
			r.arrived()
			r.calm()
			if r.forks() != 1 {
				t.Errorf("settled %v: %d forks, want 1", settled, r.forks())
			}
			r.stop()
		}
	})
}

// TestStreamGoesOnWhereTheJournalIsBehind: what was sent since is in the table
// already, be it the same or not, and the demux compares.
func TestStreamGoesOnWhereTheJournalIsBehind(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(50))
		r.start()
		r.arrived()
		r.rec.Settle(r.a)
		back := r.rec.Backup()
		r.write("a.log", r.lines(50))
		r.arrived()
		r.kill()
		back()
		r.cut("a.log", 70)
		r.write("a.log", r.lines(10))
		r.start()
		id := r.rec.Streams()[0]
		r.until("what is on the disk is not sent", func() bool {
			b, err := os.ReadFile(r.path("a.log"))
			return err == nil && strings.HasPrefix(string(r.rec.Bytes(id)), string(b))
		})
		if n := len(r.rec.Streams()); n != 1 {
			t.Errorf("%d streams, want 1", n)
		}
		for _, p := range r.rec.Problems() {
			if !strings.Contains(p, "was sent again with other bytes") {
				t.Error(p)
			}
		}
		r.stop()
		r.rec = newRig(t).rec // that is the case
	})
}

func TestFileThatIsCutBackToOneLineIsKnownByItsTime(t *testing.T) {
	for _, stamp := range []string{"", "2026-11-29T01:02:03 ", "1795915770 "} {
		t.Run(stamp, func(t *testing.T) {
			each(t, func(t *testing.T, watch string) {
				for _, running := range []bool{true, false} {
					r := newRig(t).with(watch)
					first := stamp + "the very first line of them all, which is long\n"
					r.write("a.log", r.expect(first)+r.lines(20))
					r.start()
					r.arrived()
					if !running {
						r.stop()
					}
					r.cut("a.log", 1)
					if stamp == "" {
						r.expect(first) // it may be a new one
					}
					r.write("a.log", r.lines(2))
					if !running {
						r.start()
					}
					r.arrived()
					doubtful := r.rec.Facts(chunk.Doubtful)
					switch {
					case stamp != "" && len(doubtful) > 0:
						t.Errorf("running %v: %v is said to be doubtful", running, doubtful)
					case stamp == "" && (len(doubtful) != 1 || doubtful[0].Last < int64(len(first))):
						t.Errorf("running %v: doubtful is %v, want the first line at least", running, doubtful)
					}
					r.calm()
					r.stop()
				}
			})
		})
	}
}
