package tail

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
)

// renew writes a file anew under another name, with what it held and more, and
// renames it over the old one, as rsync and sed -i do.
func (r *rig) renew(name, temp, more string) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(name))
	r.ok(err)
	r.write(temp, string(b)+more)
	r.tick()
	r.rename(temp, name)
}

func (r *rig) renewAtOnce(name, temp, more string) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(name))
	r.ok(err)
	r.write(temp, string(b)+more)
	r.rename(temp, name)
}

// tick waits until files have another time.
func (r *rig) tick() {
	r.t.Helper()
	made := func() int64 {
		name := filepath.Join(r.t.TempDir(), "now")
		r.ok(os.WriteFile(name, nil, 0o644))
		info, err := ident.Stat(name)
		r.ok(err)
		return info.Modified
	}
	was := made()
	r.until("the file system's time did not go on", func() bool { return made() > was })
}

func (r *rig) oneStream() {
	r.t.Helper()
	r.exactly()
	if got := r.rec.Streams(); len(got) != 1 {
		r.t.Errorf("%d streams, want 1\n%s", len(got), r.known())
	}
}

func TestFileThatIsReplacedByALongerOneGoesOn(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, temp := range []string{".a.log.Xy12Za", "sedAbCdEf", "a.log.new"} { // the first and the last match
			for _, lines := range []int{2, 40} {
				r := newRig(t).with(watch)
				r.write("a.log", r.lines(lines))
				r.start()
				r.arrived()
				for range 3 {
					r.renew("a.log", temp, r.lines(5))
					r.arrived()
				}
				r.write("a.log", r.lines(1))
				r.oneStream()
				r.rec.Settle(r.a)
				r.stop()
				r.start()
				r.write("a.log", r.lines(1))
				r.oneStream()
				r.stop()
			}
		}
	})
}

func TestReplacedFileThatIsNotReadYetIsReadInTheNewOne(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(30))
		r.start()
		r.arrived()
		r.rec.Refuse(func(*chunk.Chunk) error { return errors.New("503") })
		r.write("a.log", r.lines(20))
		r.until("nothing was refused", func() bool { return r.a.Status().LastErr != "" })
		r.renew("a.log", "tmp", r.lines(7))
		r.rec.Refuse(nil)
		r.oneStream()
	})
}

// TestFileThatIsReplacedAgainAndAgainGoesOn replaces it faster than anybody
// looks: what events don't tell then decides, where there are any.
func TestFileThatIsReplacedAgainAndAgainGoesOn(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		renew := r.renew
		if watch == "auto" {
			renew = r.renewAtOnce
		}
		r.write("a.log", r.lines(30))
		r.start()
		r.arrived()
		for range 20 {
			renew("a.log", "tmp", r.lines(1))
			r.rec.Settle(r.a)
			if watch == "poll" {
				r.arrived()
			}
		}
		r.arrived()
		r.rec.Settle(r.a)
		renew("a.log", "tmp", r.lines(1))
		r.oneStream()
		if ends := r.rec.Facts(chunk.End); len(ends) > 0 {
			t.Errorf("ends were told: %v", ends)
		}
	})
}

// TestWriterOfAReplacedFileIsReadOn has a program that goes on to write to the
// file that sed -i has replaced. It closes that at once, and nothing but
// housekeeping looks at the file then.
func TestWriterOfAReplacedFileIsReadOn(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		writer, err := os.Create(r.path("a.log"))
		r.ok(err)
		_, err = writer.WriteString(r.lines(40))
		r.ok(err)
		times := testTimes()
		times.linger = time.Hour // between the replacement and what is written next
		times.missing = 100 * time.Millisecond
		if watch == "auto" {
			times.poll = time.Hour
		}
		r.startWith(times)
		r.arrived()
		r.renew("a.log", "tmp", r.lines(2))
		r.arrived()
		_, err = writer.WriteString(r.lines(3))
		r.ok(err)
		r.ok(writer.Close())
		r.write("a.log", r.lines(1))
		r.exactly()
	})
}

// TestReplacedFileThatIsGivenUpIsToldAsLost has programs that go on to write to
// replaced files, more of them than may be open.
func TestReplacedFileThatIsGivenUpIsToldAsLost(t *testing.T) {
	t.Parallel()
	const files = 12
	r := newRig(t)
	a, err := New(r.cfg)
	r.ok(err)
	a.times = testTimes()
	a.times.linger, a.times.poll = time.Hour, time.Hour // nothing tells of what is written
	a.times.missing = 100 * time.Millisecond            // but housekeeping, once its writer is gone
	a.maxOpen = 4
	r.startAdaptor(a)
	const late = "this comes, or is told as lost"
	came := func() bool {
		got := r.rec.Lines()
		delete(got, late)
		return maps.Equal(got, r.want)
	}
	var writers []*os.File
	for i := range files {
		name := fmt.Sprintf("%d.log", i)
		writer, err := os.Create(r.path(name))
		r.ok(err)
		writers = append(writers, writer)
		_, err = writer.WriteString(r.lines(40))
		r.ok(err)
		r.until("not every line of a new file came", came)
		r.renew(name, "tmp", r.lines(2))
		r.until("not every line of a replacement came", came)
		if i < 3 { // the rest leaves no descriptors for these
			_, err = writer.WriteString(late + "\n")
			r.ok(err)
		}
	}
	for _, writer := range writers {
		r.ok(writer.Close())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("lost: %v", r.rec.Facts(chunk.Lost))
		}
	})
	r.until("what was written neither came nor was told as lost", func() bool {
		lost := map[string]int{} // by stream: a fact may come twice
		for _, c := range r.rec.Facts(chunk.Lost) {
			if !strings.Contains(c.Reason, "moved away") { // on a busy machine a file is away for so long while it is replaced
				lost[c.Stream] = int(c.Range().Len())
			}
		}
		bytes := r.rec.Lines()[late] * (len(late) + 1)
		for _, n := range lost {
			bytes += n
		}
		return bytes == 3*(len(late)+1)
	})
}

// TestEditorThatKeepsABackup renames the file and writes a new one in its place,
// piece by piece.
func TestEditorThatKeepsABackup(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, pattern := range []string{"*.log", "*.log*"} { // the backup matches, or not
			r := newRig(t, pattern).with(watch)
			r.write("a.log", r.lines(60))
			r.start()
			r.arrived()
			b, err := os.ReadFile(r.path("a.log"))
			r.ok(err)
			r.rename("a.log", "a.log~")
			for part := range strings.SplitAfterSeq(string(b), "7\n") {
				r.write("a.log", part)
			}
			r.write("a.log", r.lines(3))
			r.arrived()
			r.calm()
			r.remove("a.log~")
			r.write("a.log", r.lines(3))
			r.exactly()
			r.stop()
		}
	})
}

// TestBackupThatIsAHardLink has rsync --backup: the backup is a hard link, and the
// file that was written anew is renamed over the name.
func TestBackupThatIsAHardLink(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, pattern := range []string{"*.log", "*.log*"} { // the backup matches, or not
			for _, lines := range []int{5, 60} {
				r := newRig(t, pattern).with(watch)
				r.write("a.log", r.lines(lines))
				r.start()
				r.arrived()
				for range 4 {
					b, err := os.ReadFile(r.path("a.log"))
					r.ok(err)
					r.write(".a.log.Xy12Za", string(b)+r.lines(7))
					r.tick()
					if err := os.Remove(r.path("a.log~")); err != nil && !errors.Is(err, os.ErrNotExist) {
						t.Fatal(err)
					}
					r.ok(os.Link(r.path("a.log"), r.path("a.log~")))
					r.rename(".a.log.Xy12Za", "a.log")
					r.arrived()
					r.calm()
				}
				r.exactly()
				r.stop()
			}
		}
	})
}

// TestRotationIsNoReplacement has new files that begin with the very same lines
// as those before them: they are records of their own.
func TestRotationIsNoReplacement(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for what, rotate := range map[string]func(r *rig, text string){
			"renamed": func(r *rig, text string) {
				r.rename("a.log", "a.log.1")
				r.write("a.log", text)
			},
			"renamed out of the pattern": func(r *rig, text string) {
				r.rename("a.log", "a.old")
				r.write("a.log", text)
			},
			"renamed and deleted": func(r *rig, text string) {
				r.rename("a.log", "a.log.1")
				r.write("a.log", text)
				r.remove("a.log.1")
			},
			"deleted": func(r *rig, text string) {
				r.remove("a.log")
				if watch == "poll" {
					r.tick()
				}
				r.write("a.log", text)
			},
			"linked": func(r *rig, text string) { // as savelog does
				r.ok(os.Link(r.path("a.log"), r.path("a.old")))
				r.write("new", "")
				r.rename("new", "a.log")
				r.write("a.log", text)
			},
		} {
			t.Run(what, func(t *testing.T) {
				for _, lines := range []int{1, 60} {
					r := newRig(t, "*.log*").with(watch)
					text := r.lines(lines)
					r.write("a.log", text)
					r.start()
					r.arrived()
					rotate(r, r.expect(text))
					r.write("a.log", r.lines(2))
					r.arrived()
					r.calm()
					r.stop()
				}
			})
		}
	})
}
