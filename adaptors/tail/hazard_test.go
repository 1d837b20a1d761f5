package tail

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/chunk"
)

// twice runs a hazard while the tailer runs and while it is stopped, in both
// ways to watch. what happens between the two lives is the hazard.
func twice(t *testing.T, prepare, hazard func(r *rig), patterns ...string) {
	t.Helper()
	each(t, func(t *testing.T, watch string) {
		for _, running := range []bool{true, false} {
			r := newRig(t, patterns...).with(watch)
			prepare(r)
			r.start()
			r.arrived()
			if !running {
				r.rec.Settle(r.a)
				r.stop()
			}
			hazard(r)
			if !running {
				r.start()
			}
			r.exactly()
			r.rec.Settle(r.a)
			r.stop()
			r.start() // nothing comes again
			r.exactly()
			r.stop()
		}
	})
}

func TestThreeFilesRotatedAtOnce(t *testing.T) {
	names := []string{"a.log", "b.log", "c.log"}
	twice(t, func(r *rig) {
		for _, name := range names {
			r.write(name, r.lines(3))
		}
	}, func(r *rig) {
		for round := range 2 {
			for _, name := range names {
				if round > 0 {
					r.rename(name+".1", name+".2")
				}
				r.write(name, r.lines(2))
				r.rename(name, name+".1")
				r.write(name, r.lines(3))
			}
		}
	})
}

func TestInodeThatIsUsedAgainIsAnotherFile(t *testing.T) {
	reused := 0
	twice(t, func(r *rig) { r.write("a.log", r.lines(3)) }, func(r *rig) {
		ino := func() uint64 {
			var st syscall.Stat_t
			r.ok(syscall.Stat(r.path("a.log"), &st))
			return st.Ino
		}
		for range 5 {
			old := ino()
			r.remove("a.log")
			r.write("a.log", r.lines(4)) // longer than before
			if ino() == old {
				reused++
			}
			if r.stop != nil {
				r.arrived()
				r.rec.Settle(r.a)
			} else {
				break // what nobody could read would be lost with the file
			}
		}
	})
	t.Cleanup(func() { t.Logf("%d inodes were used again", reused) })
}

func TestSwappedSymlinkIsFollowedAndItsOldFileReadToItsEnd(t *testing.T) {
	twice(t, func(r *rig) {
		r.mkdir("data")
		r.write("data/one", r.lines(3))
		r.ok(os.Symlink("data/one", r.path("cur.log")))
	}, func(r *rig) {
		r.write("data/one", r.lines(2))
		r.write("data/two", r.lines(3))
		r.ok(os.Symlink("data/two", r.path("new")))
		r.rename("new", "cur.log")
		r.write("data/two", r.lines(1))
	}, "*.log")
}

func TestEmptyFilesAreReadOnceTheyGrow(t *testing.T) {
	twice(t, func(r *rig) {
		for i := range 5 {
			r.write(fmt.Sprintf("%d.log", i), "")
		}
		r.write("full.log", r.lines(1))
	}, func(r *rig) {
		r.write("0.log", r.lines(2))
		r.rename("1.log", "1.log.1")
		r.write("1.log.1", r.lines(2))
		r.remove("2.log")
		r.write("2.log", r.lines(2))
		r.copyTruncate("3.log", "3.log.1")
		r.write("3.log", r.lines(2))
	})
}

func TestHardLinksThatComeAndGoAreOneFile(t *testing.T) {
	twice(t, func(r *rig) {
		r.write("a.log", r.lines(3))
		r.ok(os.Link(r.path("a.log"), r.path("b.log")))
	}, func(r *rig) {
		r.ok(os.Link(r.path("a.log"), r.path("c.log")))
		r.remove("a.log")
		r.write("c.log", r.lines(2))
		r.remove("b.log")
		r.write("c.log", r.lines(2))
	})
}

func TestFIFOsSocketsDevicesAndFoldersAreRefusedWithAMessage(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "**/*.log").with(watch)
		want := map[string]string{"fifo.log": "not a regular file: a FIFO", "socket.log": "not a regular file: a socket"}
		r.ok(unix.Mkfifo(r.path("fifo.log"), 0o644))
		short, err := os.MkdirTemp("", "s") // a socket's path is short
		r.ok(err)
		t.Cleanup(func() { os.RemoveAll(short) })
		l, err := net.Listen("unix", filepath.Join(short, "s"))
		r.ok(err)
		t.Cleanup(func() { l.Close() })
		r.ok(os.Rename(filepath.Join(short, "s"), r.path("socket.log")))
		if os.Geteuid() == 0 && unix.Mknod(r.path("device.log"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) == nil {
			want["device.log"] = "not a regular file: a device"
		}
		r.mkdir("folder.log")
		r.write("folder.log/in.log", r.lines(2))
		r.ok(os.Symlink("..", r.path("folder.log/loop")))
		want["folder.log/loop"] = "a symlink to a folder that is read by another name already: not followed again"
		r.write("a.log", r.lines(2))
		r.start()
		r.arrived()
		for name, reason := range want {
			r.until(name+" is not refused: "+reason, func() bool { return skippedReason(r.a.Status(), r.path(name)) == reason })
		}
		r.exactly()
		if n := len(r.a.Status().Skipped); n != len(want) {
			t.Errorf("refused: %+v, want %d", r.a.Status().Skipped, len(want))
		}
	})
}

// TestOutputThatIsRefusedForLongLosesNothing lets files be renamed, deleted and
// made again while nothing is taken: at once (429, 503) or because each call
// stands still (a time-out, a half-open connection).
func TestOutputThatIsRefusedForLongLosesNothing(t *testing.T) {
	for _, how := range []string{"429", "503", "stands still"} {
		t.Run(how, func(t *testing.T) {
			each(t, func(t *testing.T, watch string) {
				r := newRig(t).with(watch)
				r.write("a.log", r.lines(3))
				r.write("b.log", r.lines(3))
				r.start()
				r.arrived()
				gate := make(chan struct{})
				r.rec.Refuse(func(*chunk.Chunk) error {
					if how == "stands still" {
						<-gate
					}
					return fmt.Errorf("not taken: %s", how)
				})
				for i := range 12 { // more than there are readers
					name := fmt.Sprintf("new%d.log", i)
					r.write(name, r.lines(2))
					r.until("a new file is not open", func() bool { return openFiles(t, r.dir) == 3+i })
				}
				r.write("a.log", r.lines(2))
				r.rename("a.log", "a.log.1")
				r.write("a.log", r.lines(2))
				r.remove("new0.log")
				r.until("the new file is not open", func() bool { return openFiles(t, r.dir) == 15 })
				close(gate)
				r.rec.Refuse(nil)
				r.exactly()
			})
		})
	}
}

func TestTimesThatJumpBackDoNotMatter(t *testing.T) {
	twice(t, func(r *rig) {
		r.write("a.log", r.lines(3))
		r.ok(os.Chtimes(r.path("a.log"), time.Now(), time.Now().Add(24*time.Hour))) // as if the clock had been ahead
	}, func(r *rig) {
		r.write("a.log", r.lines(2))
		r.ok(os.Chtimes(r.path("a.log"), time.Now(), time.Now().Add(-24*time.Hour)))
		r.write("b.log", r.lines(2))
		r.ok(os.Chtimes(r.path("b.log"), time.Now(), time.Unix(0, 0)))
		if r.stop != nil {
			r.arrived()
		}
		r.write("b.log", r.lines(2))
		r.ok(os.Chtimes(r.path("b.log"), time.Now(), time.Unix(0, 0)))
		r.rename("a.log", "a.log.1")
		r.write("a.log", r.lines(2))
	})
}

func TestWhatAnOlderVersionStoredIsUnderstood(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(3))
		r.start()
		r.arrived()
		r.stop()
		env := r.rec.Env()
		for _, k := range r.rec.Known() {
			if k.Source == marker {
				continue
			}
			fields := map[string]json.RawMessage{}
			r.ok(json.Unmarshal(k.Identity, &fields))
			delete(fields, "size")
			delete(fields, "real")
			var err error
			k.Identity, err = json.Marshal(fields)
			r.ok(err)
			r.ok(env.Streams.Update(k))
		}
		r.write("a.log", r.lines(2))
		r.rename("a.log", "a.log.1")
		r.start()
		r.exactly()
	})
}

// TestDamagedCheckpointsCostNothing damages the newest files of the checkpoint
// directory between two lives.
func TestDamagedCheckpointsCostNothing(t *testing.T) {
	newest := func(r *rig, dir, kind string) string {
		files, err := filepath.Glob(filepath.Join(dir, kind+"-*"))
		r.ok(err)
		name, most := "", -1
		for _, f := range files {
			n := 0
			if _, err := fmt.Sscanf(filepath.Base(f), kind+"-%d", &n); err == nil && n > most {
				name, most = f, n
			}
		}
		return name
	}
	damages := map[string]func(r *rig, dir string){
		"the journal's tail is torn": func(r *rig, dir string) {
			f, err := os.OpenFile(newest(r, dir, "journal"), os.O_APPEND|os.O_WRONLY, 0)
			r.ok(err)
			_, err = f.WriteString("\x40\x00\x00\x00torn")
			r.ok(err)
			r.ok(f.Close())
		},
		"the newest snapshot is torn": func(r *rig, dir string) {
			name := newest(r, dir, "snapshot")
			info, err := os.Stat(name)
			r.ok(err)
			r.ok(os.Truncate(name, info.Size()-5))
		},
		"the newest snapshot is missing": func(r *rig, dir string) { r.ok(os.Remove(newest(r, dir, "snapshot"))) },
	}
	for name, damage := range damages {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			each(t, func(t *testing.T, watch string) {
				r := newRig(t).with(watch)
				dir := t.TempDir()
				for life := range 3 {
					store, err := checkpoints.Open(dir, slog.New(slog.DiscardHandler))
					r.ok(err)
					a, err := New(r.cfg)
					r.ok(err)
					a.times, r.a = testTimes(), a
					ctx, cancel := context.WithCancel(context.Background())
					done := make(chan error, 1)
					r.write("a.log", r.lines(20))
					if life == 2 {
						r.rename("a.log", "a.log.1")
						r.write("a.log", r.lines(5))
					}
					env := adaptors.Env{Type: "test", Host: "h", Log: slog.New(slog.DiscardHandler),
						Out: adaptortest.NewOutput(r.rec), Streams: stored{store}}
					go func() { done <- a.Run(ctx, env) }()
					r.arrived()
					for _, k := range store.Streams("tail") {
						r.ok(store.Settled(k.ID, r.rec.Contiguous(k.ID, k.Settled)))
					}
					cancel()
					r.ok(<-done)
					r.ok(store.Close())
					damage(r, dir)
				}
			})
		})
	}
}

func TestNothingIsSentOfAStreamBeforeItIsStored(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.rec.FailOpen(fmt.Errorf("the disk is full"))
		r.write("a.log", r.lines(3))
		r.start()
		r.until("the error is not shown", func() bool { return strings.Contains(r.a.Status().LastErr, "the disk is full") })
		if n := len(r.rec.Chunks()); n != 0 {
			t.Errorf("%d chunks were sent of a stream that is not stored, want none", n)
		}
		r.rec.FailOpen(nil)
		r.exactly()
	})
}

// TestWhatWasDeletedWhileTheAgentHadToWaitIsALostFact loses a file of which
// nothing could be sent, while nobody looks: its size is known all the same.
func TestWhatWasDeletedWhileTheAgentHadToWaitIsALostFact(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.rec.Refuse(func(*chunk.Chunk) error { return fmt.Errorf("503") })
		text := "what was never taken\nis told as lost\n"
		r.write("a.log", text)
		r.start()
		r.until("the stream is not stored", func() bool { return len(r.rec.Known()) == 2 })
		r.stop()
		r.remove("a.log")
		r.rec.Refuse(nil)
		times := testTimes()
		times.missing = 50 * time.Millisecond
		r.startWith(times)
		r.until("the loss is not told", func() bool { return len(r.rec.Facts(chunk.Lost)) == 1 })
		got := r.rec.Facts(chunk.Lost)[0]
		if want := (chunk.Range{Last: int64(len(text))}); got.Range() != want || got.Source != r.path("a.log") || got.Reason == "" {
			t.Errorf("lost: got %v of %s (%q), want %v of a.log with a reason", got.Range(), got.Source, got.Reason, want)
		}
	})
}
