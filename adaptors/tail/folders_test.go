package tail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// TestFoldersThatMatchThemselvesAreWatchedAtOnce has patterns that are not
// about files alone: a folder's own name matches, too.
func TestFoldersThatMatchThemselvesAreWatchedAtOnce(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"in/**", "in/**/*", "in/{*,*/a.log}"} {
		t.Run(filepath.Base(pattern), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pattern)
			r.cfg.Rescan = config.Duration(time.Hour) // events alone
			r.mkdir("in")
			r.start()
			r.write("in/warm.log", r.lines(1))
			r.arrived()
			for range 3 {
				r.mkdir("in/new")
				r.write("in/new/a.log", r.lines(2))
				r.arrived()
				r.rename("in/new", "in/renamed")
				r.write("in/renamed/a.log", r.lines(2))
				r.arrived()
				r.write("in/renamed/a.log", r.lines(2))
				r.ok(os.RemoveAll(r.path("in/renamed")))
				r.arrived()
			}
			r.exactly()
		})
	}
}

func TestCopyTruncateIntoAnotherFolder(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, old := range []string{"in/old", "other/deep"} { // as logrotate's olddir
			r := newRig(t).with(watch)
			r.mkdir("in")
			r.mkdir(old)
			r.write("in/a.log", r.lines(40))
			r.startHolding()
			r.arrived()
			for range 3 {
				for i := 2; i > 0; i-- {
					if _, err := os.Stat(r.path(fmt.Sprintf("%s/a.log.%d", old, i))); err == nil {
						r.rename(fmt.Sprintf("%s/a.log.%d", old, i), fmt.Sprintf("%s/a.log.%d", old, i+1))
					}
				}
				r.copyTruncate("in/a.log", old+"/a.log.1")
				r.write("in/a.log", r.lines(40))
				r.arrived()
			}
			r.exactly()
			r.stop()
		}
	})
}

// TestCopyInAnotherFolderOfWhatWasNotReadIsNoLoss has a file truncated that was
// seen, and of which nothing could be read until then.
func TestCopyInAnotherFolderOfWhatWasNotReadIsNoLoss(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, stored := range []bool{false, true} {
			r := newRig(t).with(watch)
			r.mkdir("old")
			r.write("a.log", r.lines(40))
			a, err := New(r.cfg)
			r.ok(err)
			a.times, a.gate = testTimes(), r.mayWork
			if a.nameless = stored; stored { // and a fact comes before its first byte
				r.rec.Refuse(func(*chunk.Chunk) error { return errors.New("503") })
			} else {
				r.rec.FailOpen(errors.New("the disk is full"))
			}
			r.startAdaptor(a)
			r.until("nothing was refused", func() bool { return r.a.Status().LastErr != "" })
			r.pause()
			r.copyTruncate("a.log", "old/a.log-20260131")
			r.write("a.log", r.lines(3))
			r.rec.FailOpen(nil)
			r.rec.Refuse(nil)
			r.resume()
			r.exactly()
			r.stop()
		}
	})
}

// TestMovedByACopyIsReadOnce does what mv does across file systems.
func TestMovedByACopyIsReadOnce(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, to := range []string{"a.log.1", "old/a.log.1"} {
			for _, settled := range []bool{true, false} {
				r := newRig(t).with(watch)
				r.mkdir("old")
				r.write("a.log", r.lines(40))
				r.start()
				r.arrived()
				if settled {
					r.rec.Settle(r.a)
				}
				r.move("a.log", to)
				r.write("a.log", r.lines(30))
				r.arrived()
				r.calm()
				r.write(to, r.lines(3))
				r.exactly()
				r.kill()
				r.write(to, r.lines(3))
				r.start()
				r.exactly()
				r.stop()
			}
		}
	})
}

// TestMovedByACopyIsReadOnceWhileItsWriterGoesOn has a writer that keeps its
// descriptor.
func TestMovedByACopyIsReadOnceWhileItsWriterGoesOn(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.mkdir("old")
		writer, err := os.Create(r.path("a.log"))
		r.ok(err)
		_, err = writer.WriteString(r.lines(40))
		r.ok(err)
		r.start()
		r.arrived()
		r.move("a.log", "old/a.log.1")
		_, err = writer.WriteString(r.lines(3))
		r.ok(err)
		r.arrived()
		r.exactly()
		r.write("old/a.log.1", r.lines(3))
		r.ok(writer.Close())
		r.exactly()
	})
}

// move copies and deletes.
func (r *rig) move(from, to string) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(from))
	r.ok(err)
	r.ok(os.WriteFile(r.path(to), b, 0o644))
	r.remove(from)
}

// TestRotatedAtTheVeryStartIsFoundAgain rotates between the start's look at
// the files and its decision about them.
func TestRotatedAtTheVeryStartIsFoundAgain(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "*.log*", "*.gz").with(watch)
		r.write("a.log", r.lines(40))
		r.start()
		r.arrived()
		r.stop()
		r.copyTruncate("a.log", "a.log.1")
		r.write("a.log", r.lines(30))
		r.write("stop.gz", "")
		g := gated{slog.DiscardHandler, "stop.gz", make(chan struct{}), make(chan struct{})}
		r.log = slog.New(g)
		r.start()
		<-g.reached
		r.rename("a.log.1", "a.log.2")
		close(g.release)
		r.exactly()
	})
}

// TestMovedByACopyIsReadOnceOverAKill kills the tailer when it has told that
// the file was deleted, and has not seen the copy.
func TestMovedByACopyIsReadOnceOverAKill(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.mkdir("old")
		r.write("a.log", r.lines(40))
		b, err := os.ReadFile(r.path("a.log"))
		r.ok(err)
		r.start()
		r.arrived()
		r.remove("a.log")
		r.until("the end was not told", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
		r.kill()
		r.ok(os.WriteFile(r.path("old/a.log.1"), b, 0o644))
		r.write("old/a.log.1", r.lines(3))
		r.start()
		r.exactly()
	})
}

func TestManyFilesThatFailAtOnceAreNotOneWarningEach(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	log := &countedLog{}
	r.log = slog.New(log)
	for i := range 200 {
		r.write(fmt.Sprintf("%d.log", i), r.lines(1))
	}
	var tries atomic.Int32
	r.rec.Refuse(func(*chunk.Chunk) error { tries.Add(1); return errors.New("no space left on device") })
	r.start()
	r.until("files are tried again", func() bool { return tries.Load() > 1000 })
	r.rec.Refuse(nil)
	r.exactly()
	if n := log.warnings.Load(); n == 0 || n > 5 {
		t.Errorf("%d warnings, want one now and then", n)
	}
}

// countedLog counts warnings.
type countedLog struct {
	slog.Handler
	warnings atomic.Int32
}

func (l *countedLog) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (l *countedLog) Handle(context.Context, slog.Record) error {
	l.warnings.Add(1)
	return nil
}
