package pods

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

const web = "shop_web-5d8f7c-abcde_11111111-2222-3333-4444-555555555555"

func TestLogsArriveWithTheTagsOfTheirPath(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		before := r.run(web, "nginx", 0)
		before.write(100)
		r.start()
		r.arrived()
		after := r.run("kube-system_dns_x-1", "coredns", 3)
		after.write(10)
		before.write(5)
		r.arrived()
		for _, c := range r.rec.Chunks() {
			want := map[string]string{"namespace": "shop", "pod": "web-5d8f7c-abcde", "pod_uid": "11111111-2222-3333-4444-555555555555", "container": "nginx", "restart": "0"}
			if c.Source == after.path {
				want = map[string]string{"namespace": "kube-system", "pod": "dns", "pod_uid": "x-1", "container": "coredns", "restart": "3"}
			}
			if fmt.Sprint(c.Tags) != fmt.Sprint(want) {
				t.Errorf("got tags %v, want %v", c.Tags, want)
			}
		}
	})
}

func TestRotationWhileRunning(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.run(web, "nginx", 0)
		c.write(100)
		r.start()
		for i := range 8 {
			if i%2 == 0 {
				r.arrived()
			}
			c.write(20)
			c.rotate()
			c.write(20)
			if i%3 == 0 {
				c.rotate() // twice at once
			}
			c.write(1)
		}
		r.arrived()
		if n := len(r.rec.Streams()); n != 1 {
			t.Errorf("got %d streams, want 1: a container's instance is one", n)
		}
	})
}

func TestRotationsWhileStopped(t *testing.T) {
	for rotations := range 4 {
		for _, how := range []string{"stop", "kill", "first start"} {
			t.Run(fmt.Sprintf("%d, %s", rotations, how), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				c := r.run(web, "nginx", 0)
				c.write(50)
				if how != "first start" {
					r.start()
					r.arrived()
					if how == "kill" {
						r.kill()
					} else {
						r.stop()
					}
				}
				for range rotations {
					c.write(30)
					c.rotate()
					c.write(10)
				}
				r.start()
				r.arrived()
				r.stop()
				c.write(10)
				r.start()
				r.arrived()
				if n := len(r.rec.Streams()); n != 1 {
					t.Errorf("got %d streams, want 1", n)
				}
				if lost := r.rec.Facts(chunk.Lost); len(lost) > 0 {
					t.Errorf("told as lost: %+v", lost)
				}
			})
		}
	}
}

func TestUnreadRestOfCompressedFileIsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.run(web, "nginx", 0)
	c.write(10)
	r.start()
	r.arrived()
	r.stop()
	c.write(2000) // some 140 kB that exist only compressed, in the end
	c.rotate()
	c.write(10)
	c.rotate()
	c.write(10)
	c.rotate()
	if gz, err := filepath.Glob(c.path + ".*.gz"); err != nil || len(gz) != 2 {
		t.Fatalf("the test's kubelet has compressed %v (%v), want two files", gz, err)
	}
	r.start()
	r.arrived()
	r.kill() // nothing is settled: all of it comes again, at the same offsets
	r.start()
	r.until("it did not come again", func() bool {
		n := int64(0)
		for _, c := range r.rec.Chunks() {
			n += c.Last - c.First
		}
		return n >= 2*int64(c.wrote.Len())
	})
	r.arrived()
}

func TestRotatedFileThatIsGoneIsToldAsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.maxFiles = 3
	c := r.run(web, "nginx", 0)
	c.write(50)
	r.start()
	r.arrived()
	r.rec.Settle(r.a)
	had := c.wrote.Len()
	r.stop()
	c.write(20)
	for range 4 {
		c.rotate()
		c.write(10)
	}
	var kept strings.Builder // what exists still: one compressed, one rotated, the log
	for _, part := range c.contents() {
		kept.WriteString(part)
	}
	r.start()
	r.until("what is left did not come", func() bool { return len(r.got(c.path)) >= had+1+kept.Len() })
	if got, want := r.got(c.path), c.wrote.String()[:had]+"\x00"+kept.String(); got != want {
		t.Errorf("they differ:\n%s", around(got, want))
	}
	lost := r.rec.Facts(chunk.Lost)
	if len(lost) != 1 || lost[0].First != int64(had) || lost[0].Last != int64(had)+1 {
		t.Errorf("got lost facts %+v, want one of a byte at %d", lost, had)
	}
}

func TestPartialLineIsJoinedAcrossRotationAndKill(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.run(web, "nginx", 0)
		c.write(1)
		r.start()
		r.arrived()
		from := c.wrote.Len()
		c.line("stdout", "P", "one ")
		c.line("stderr", "P", "bad ")
		c.rotate()
		c.line("stdout", "P", "two ")
		r.kill()
		c.rotate()
		c.line("stdout", "F", "three")
		r.start()
		c.line("stderr", "F", "luck")
		c.write(1)
		r.arrived()
		want := c.wrote.String()[from:]
		want = want[:strings.Index(want, "luck")+5]
		records := r.records(c.path)
		if got := records[len(records)-2]; got != want {
			t.Errorf("got the record %q, want %q", got, want)
		}
	})
}

func TestUnfinishedPartialLineEndsAfterItsTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Timeout = config.Duration(30 * time.Millisecond)
	c := r.run(web, "nginx", 0)
	c.line("stdout", "P", "one ")
	r.start()
	r.arrived()
	r.stop()
	r.start() // what is known of the cut is stored
	c.line("stdout", "F", "two")
	c.line("stdout", "F", "three")
	r.arrived()
	var got []string
	for _, rec := range r.records(c.path) {
		part, text, ok := strings.Cut(rec, ":2026")
		if !ok {
			part, text = "", rec
		}
		got = append(got, part+" "+text[len(text)-4:])
	}
	if want := []string{"first ne \n", "last two\n", " ree\n"}; !slices.Equal(slices.Compact(got), want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTornLineAtTheEndOfARotatedFileEndsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.run(web, "nginx", 0)
	c.write(2)
	c.raw("2026-03-01T10:00:00.1Z stdout F the node lost its power he")
	c.rotate()
	c.write(2)
	r.start()
	r.arrived()
	if got := r.records(c.path); len(got) != 5 || !strings.HasSuffix(got[2], "power he") {
		t.Errorf("got records %q, want five of which the third is torn", got)
	}
}

func TestMultiLineRecordsAreJoined(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Timeout = config.Duration(2 * time.Second) // longer than the writer may be held up
	r.ok(r.cfg.RecordStart.UnmarshalText([]byte(`^\d{4}-`)))
	c := r.run(web, "java", 0)
	r.start()
	c.line("stdout", "F", "2026-01-01 ERROR x")
	c.line("stdout", "F", "\tat a.b.C")
	c.rotate()
	c.line("stdout", "F", "\tat d.e.F")
	c.line("stdout", "F", "2026-01-01 INFO y")
	r.arrived()
	if got := r.records(c.path); len(got) != 2 || strings.Count(got[0], "\n") != 3 {
		t.Errorf("got records %q, want a trace of three lines and one more", got)
	}
	if got := r.rec.Chunks()[0].Tags["multiline"]; got != "true" {
		t.Errorf("got tag multiline=%q, want true", got)
	}
}

func TestDeletedPodIsDrainedAndForgotten(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.run(web, "nginx", 0)
		c.write(10)
		r.start()
		r.arrived()
		if r.cfg.Watch == "poll" { // what came since the last look is gone with the file
			r.rec.Refuse(func(*chunk.Chunk) error { return errors.New("503") })
		}
		c.write(500)
		if r.cfg.Watch == "poll" {
			r.until("nothing was refused", func() bool { return r.a.Status().LastErr != "" })
		}
		r.remove(web)
		r.rec.Refuse(nil)
		r.arrived()
		r.until("the end was not told", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
		if end := r.rec.Facts(chunk.End)[0]; end.First != int64(c.wrote.Len()) {
			t.Errorf("the end is at %d, want %d", end.First, c.wrote.Len())
		}
		if lost := r.rec.Facts(chunk.Lost); len(lost) > 0 {
			t.Errorf("told as lost: %+v", lost)
		}
		r.forgotten(0)
	})
}

func TestPodThatLivesForAMomentIsCollectedWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Rescan = config.Duration(time.Hour) // what is found is found by events
	r.start()
	r.until("the root is not watched", func() bool { return len(r.rec.Known()) == 1 })
	for burst := range 3 {
		var pods []string
		first := len(r.all)
		for i := range 20 {
			pod := fmt.Sprintf("batch_job-%d-%d_uid-%d-%d", burst, i, burst, i)
			pods = append(pods, pod)
			r.run(pod, "main", 0).write(20)
		}
		for _, c := range r.all[first:] {
			r.until(c.path+" was not opened", func() bool { return r.sees(c, ident.Info{}) })
		}
		for _, pod := range pods {
			r.remove(pod)
		}
	}
	r.arrived()
	r.until("not all ends were told", func() bool { return len(r.rec.Facts(chunk.End)) == 60 })
	r.forgotten(0)
}

func TestPodDeletedWhileStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gone, done := r.run(web, "nginx", 0), r.run("shop_b_u2", "db", 0)
	gone.write(10)
	done.write(10)
	next := r.run("shop_b_u2", "db", 1)
	next.write(1)
	r.start()
	r.arrived()
	r.until("the stream is not stored as done", func() bool {
		return slices.ContainsFunc(r.rec.Known(), func(s adaptorsStream) bool {
			return s.Source == done.path && strings.Contains(string(s.Identity), `"done":true`)
		})
	})
	r.rec.Settle(r.a)
	r.stop()
	gone.write(5)
	r.remove(web)
	done.stop()
	r.ok(os.Remove(done.path))
	r.start()
	r.until("the ends were not told", func() bool { return len(r.rec.Facts(chunk.End)) == 2 })
	lost := r.rec.Facts(chunk.Lost)
	if len(lost) != 1 || lost[0].Source != gone.path || lost[0].Last != lost[0].First+1 {
		t.Errorf("got lost facts %+v, want one byte of %s: of what follows another instance nothing can be missing", lost, gone.path)
	}
	r.forgotten(1)
}

func TestPodOfTheSameNameIsAnotherStream(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.run("shop_db-0_uid-1", "db", 0)
		a.write(10)
		r.start()
		r.arrived()
		r.remove("shop_db-0_uid-1")
		b := r.run("shop_db-0_uid-2", "db", 0)
		b.write(10)
		again := r.run("shop_db-0_uid-2", "db", 1)
		again.write(10)
		r.arrived()
		if n := len(r.rec.Streams()); n != 3 {
			t.Errorf("got %d streams, want 3", n)
		}
	})
}

func TestSymlinkedLogIsFollowed(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		docker := filepath.Join(t.TempDir(), "id-json.log")
		r.ok(os.WriteFile(docker, nil, 0o644))
		dir := filepath.Join(r.root, web, "nginx")
		r.ok(os.MkdirAll(dir, 0o755))
		r.ok(os.Symlink(docker, filepath.Join(dir, "0.log")))
		c := r.run(web, "nginx", 0)
		c.raw(`{"log":"one\n","stream":"stdout","time":"2026-03-01T10:00:00Z"}` + "\n")
		r.start()
		r.arrived()
		c.raw(`{"log":"two\n","stream":"stdout","time":"2026-03-01T10:00:01Z"}` + "\n")
		r.arrived()
	})
}

func TestLateLinesOfARotatedFileArrive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.times.linger, r.times.settle = 0, 0 // the next file is begun although the old one may be written to
	c := r.run(web, "nginx", 0)
	c.write(10)
	r.start()
	r.arrived()
	old := c.f
	c.rename()
	c.open(c.path)
	c.write(5)
	r.arrived()
	late := r.frame("stdout", "F", "late")
	_, err := old.WriteString(late)
	r.ok(err)
	c.wrote.WriteString(late)
	r.arrived()
	c.write(5)
	r.arrived()
	r.ok(old.Close())
	r.kill()
	r.start()
	c.rotate()
	c.write(5)
	r.arrived()
}

// TestEmptyRotatedFileEndsNoLog finds a rotated file that nothing was read of
// while a line of the present log is unfinished: it comes before that, and does
// not end it.
func TestEmptyRotatedFileEndsNoLog(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.run(web, "nginx", 0)
		c.rotate()
		c.write(1)
		r.start()
		r.arrived()
		c.line("stdout", "P", "half and ")
		r.compress(c.rotated()[0])
		r.until("the compressed file was not seen", func() bool {
			return strings.Contains(r.a.run.Load().live.of(r.rec.Streams()[0]).in.mail.lastSeen().names, ".gz")
		})
		for i := range 2 { // nothing may happen in the time in which another log's next file is begun
			other := r.run(fmt.Sprintf("shop_other_u%d", i), "c", 0)
			other.write(1)
			r.arrived(other)
			held := other.f
			other.rename()
			other.open(other.path)
			other.write(1)
			r.arrived(other)
			r.ok(held.Close())
		}
		c.line("stdout", "F", "half")
		r.arrived(c)
		if got := r.records(c.path); len(got) != 2 {
			t.Errorf("got records %q, want two", got)
		}
	})
}

func TestStartAtTheEndSkipsWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Start = "end"
	c := r.run(web, "nginx", 0)
	c.write(5)
	c.rotate()
	c.write(5)
	c.rotate()
	c.write(5)
	empty := r.run(web, "idle", 0)
	size, err := os.Stat(c.path)
	r.ok(err)
	r.start()
	r.until("the start was not stored", func() bool {
		return slices.ContainsFunc(r.rec.Known(), func(s adaptorsStream) bool { return s.Source == marker })
	})
	skip := c.wrote.Len()
	c.write(5)
	empty.write(5)
	r.arrived(empty)
	want := c.wrote.String()[skip:]
	read := func() string { return strings.TrimLeft(r.got(c.path), "\x00") }
	r.until("what was written since did not come", func() bool { return len(read()) >= len(want) })
	if got := read(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if begin := r.rec.Facts(chunk.Begin); len(begin) != 1 || begin[0].First != size.Size() {
		t.Errorf("got begin facts %+v, want one at %d", begin, size.Size())
	}
	r.stop()
	c.rotate()
	c.write(5)
	r.start()
	want = c.wrote.String()[skip:]
	r.until("what was written since did not come", func() bool { return len(read()) >= len(want) })
	if got := read(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatACollectorLostIsSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.run(web, "nginx", 0)
	c.write(300)
	c.rotate()
	c.write(300)
	c.rotate()
	c.write(300)
	r.start()
	r.arrived()
	c.rotate()
	id := r.rec.Streams()[0]
	rg := chunk.Range{First: 100, Last: int64(c.wrote.Len()) - 100}
	r.rec.Forgive(id, rg)
	r.a.Resend(id, rg)
	r.until("it was not sent again", func() bool { return r.rec.Contiguous(id, 0) == int64(c.wrote.Len()) })
	r.arrived()
}

func TestRewindReadsAgainWhatThereIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.maxFiles = 3
	c := r.run(web, "nginx", 0)
	c.write(10)
	r.start()
	first := c.wrote.Len()
	for range 4 {
		r.arrived()
		r.rec.Settle(r.a)
		c.rotate()
		c.write(10)
	}
	r.arrived()
	r.rec.Settle(r.a)
	r.stop()
	kept := 0
	for _, part := range c.contents() {
		kept += len(part)
	}
	id := r.rec.Streams()[0]
	r.rewind = map[string]int64{id: 0}
	before := len(r.rec.Chunks())
	r.start()
	var again int64
	r.until("it was not read again", func() bool {
		again = 0
		for _, c := range r.rec.Chunks()[before:] {
			if c.Kind == chunk.Data {
				again += c.Last - c.First
			}
		}
		return again >= int64(kept)
	})
	lost := r.rec.Facts(chunk.Lost)
	if len(lost) == 0 || lost[0].First != 0 || lost[len(lost)-1].Last != int64(c.wrote.Len()-kept) || first == 0 {
		t.Errorf("got lost facts %+v, want [0,%d)", lost, c.wrote.Len()-kept)
	}
	r.arrived()
}
