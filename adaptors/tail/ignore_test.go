package tail

import (
	"os"
	"testing"
	"time"

	"github.com/akupara/akupara/config"
)

func TestFilesNotModifiedForLongWaitUntilTheyAre(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.cfg.IgnoreOlder = config.Duration(24 * time.Hour)
		old := time.Now().Add(-25 * time.Hour)
		age := func(name string) {
			t.Helper()
			r.ok(os.Chtimes(r.path(name), old, old))
		}
		oldText := "line from long ago\n"
		r.write("old.log", oldText)
		age("old.log")
		r.write("new.log", r.lines(2))
		r.start()
		r.arrived()
		reason := "not modified since " + old.UTC().Format(time.RFC3339) + " (ignore_older: 24h0m0s)"
		waits := func() {
			t.Helper()
			r.until("the old file is not shown", func() bool { return skippedReason(r.a.Status(), r.path("old.log")) == reason })
		}
		waits()
		age("new.log") // it is followed: its age does not matter any more
		r.write("later.log", r.lines(1))
		age("later.log") // seen before or after: both are right, so it is touched below
		r.kill()
		r.start() // at a start as well
		waits()
		r.nothingElse()
		r.write("new.log", r.lines(1))
		r.write("later.log", r.lines(1))
		r.write("old.log", r.lines(2))
		r.expect(oldText)
		r.arrived() // from its beginning
		r.until("it is still shown", func() bool { return len(r.a.Status().Skipped) == 0 })
		r.stop()
		r.write("gone.log", oldText)
		age("gone.log")
		r.start()
		r.until("the old file is not shown", func() bool { return len(r.a.Status().Skipped) == 1 })
		r.remove("gone.log")
		r.until("it is shown although it is gone", func() bool { return len(r.a.Status().Skipped) == 0 })
		r.exactly()
	})
}

// nothingElse makes sure that for a while nothing comes that was not expected.
func (r *rig) nothingElse() {
	r.t.Helper()
	quiet := time.NewTimer(300 * time.Millisecond)
	defer quiet.Stop()
	<-quiet.C
	for line, n := range r.rec.Lines() {
		if n > r.want[line] {
			r.t.Fatalf("%q came %d times, want %d", line, n, r.want[line])
		}
	}
}
