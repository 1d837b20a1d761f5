package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// inPlace is a program that makes its log large first and writes into it.
type inPlace struct {
	r  *rig
	f  *os.File
	at int64 // end of what it wrote
	m  []byte
}

// preallocated opens a log that an earlier run of the program may have begun.
func (r *rig) preallocated(name string, at int64) *inPlace {
	r.t.Helper()
	f, err := os.OpenFile(r.path(name), os.O_CREATE|os.O_RDWR, 0o644)
	r.ok(err)
	p := &inPlace{r: r, f: f, at: at}
	r.t.Cleanup(p.close)
	return p
}

func (p *inPlace) close() {
	if p.m != nil {
		_ = unix.Munmap(p.m)
		p.m = nil
	}
	_ = p.f.Close()
}

func (p *inPlace) write(text string) {
	p.r.t.Helper()
	if p.m != nil {
		copy(p.m[p.at:], text)
	} else {
		_, err := p.f.WriteAt([]byte(text), p.at)
		p.r.ok(err)
	}
	p.at += int64(len(text))
}

// kinds are ways in which a file is made large.
var kinds = map[string]func(p *inPlace, size int64){
	"truncate":  func(p *inPlace, size int64) { p.r.ok(p.f.Truncate(size)) },
	"fallocate": func(p *inPlace, size int64) { p.r.ok(unix.Fallocate(int(p.f.Fd()), 0, 0, size)) },
	"zeros": func(p *inPlace, size int64) {
		info, err := p.f.Stat()
		p.r.ok(err)
		_, err = p.f.WriteAt(make([]byte, size-info.Size()), info.Size())
		p.r.ok(err)
	},
	"mapped": func(p *inPlace, size int64) {
		p.r.ok(p.f.Truncate(size))
		if p.m != nil {
			p.r.ok(unix.Munmap(p.m))
		}
		var err error
		p.m, err = unix.Mmap(int(p.f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		p.r.ok(err)
	},
}

// eachKind runs a test for each way to make a file large, in both ways to watch.
func eachKind(t *testing.T, f func(r *rig, p *inPlace, grow func(size int64))) {
	for kind, grow := range kinds {
		t.Run(kind, func(t *testing.T) {
			each(t, func(t *testing.T, watch string) {
				r := newRig(t).with(watch)
				p := r.preallocated("a.log", 0)
				f(r, p, func(size int64) { grow(p, size) })
				r.noNULs()
			})
		})
	}
}

func (r *rig) noNULs() {
	r.t.Helper()
	if strings.Contains(r.rec.Content(), "\x00") {
		r.t.Error("NULs were sent")
	}
	if lost := r.rec.Facts(chunk.Lost); len(lost) > 0 {
		r.t.Errorf("bytes were reported lost: %v", lost)
	}
}

func TestLinesThatReplaceZerosAreReadOnceEach(t *testing.T) {
	eachKind(t, func(r *rig, p *inPlace, grow func(int64)) {
		p.write(r.lines(11))
		grow(8 << 20)
		r.start()
		r.arrived()
		for range 3 {
			p.write(r.lines(3))
			r.arrived()
		}
		half := r.expect("a line in two pieces\n")
		p.write(half[:9])
		p.write(half[9:])
		r.arrived()
		r.rec.Settle(r.a)
		r.stop()
		r.start() // nothing comes again
		p.write(r.lines(2))
		r.arrived()
		r.kill()
		p.write(r.lines(40_000)) // several reads
		r.start()
		r.arrived()
		grow(9 << 20) // the next zeros
		p.write(r.lines(2))
		r.arrived()
		r.rename("a.log", "a.log.1")
		p.write(r.lines(2))
		r.arrived()
		p.write(r.expect("the last line has no end"))
		r.arrived()
		r.remove("a.log.1")
		p.close()
		r.until("the end is not told", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
		if got := r.rec.Facts(chunk.End)[0].First; got != p.at {
			r.t.Errorf("the stream ends at %d, want %d", got, p.at)
		}
		r.rec.Settle(r.a)
		r.until("the stream is not forgotten", func() bool { return len(r.rec.Known()) == 1 })
		if n := len(r.rec.Streams()); n != 1 {
			r.t.Errorf("%d streams, want 1", n)
		}
		r.exactly()
	})
}

func TestFileOfZerosWaitsAsAnEmptyOneDoes(t *testing.T) {
	eachKind(t, func(r *rig, p *inPlace, grow func(int64)) {
		grow(3 << 20)
		r.write("b.log", r.lines(1))
		r.start()
		r.arrived()
		r.until("the file was not looked at again", func() bool { return len(r.rec.Known()) == 2 })
		r.noSkips()
		p.write(r.lines(2))
		r.arrived()
		r.noSkips()
		r.exactly()
	})
}

func TestFileThatIsCutToItsDataGoesOn(t *testing.T) {
	eachKind(t, func(r *rig, p *inPlace, grow func(int64)) {
		for _, running := range []bool{true, false} {
			p.write(r.lines(3))
			grow(1 << 20)
			if r.stop == nil {
				r.start()
			}
			r.arrived()
			if !running {
				r.stop()
			}
			if p.m != nil {
				r.ok(unix.Munmap(p.m))
				p.m = nil
			}
			r.ok(p.f.Truncate(p.at)) // as its program does when it ends
			if !running {
				r.start()
			}
			p.write(r.lines(2))
			r.arrived()
		}
		r.exactly()
		if n := len(r.rec.Streams()); n != 1 {
			r.t.Errorf("%d streams, want 1", n)
		}
	})
}

func TestZerosOfAFileThatIsDeletedAreNotLost(t *testing.T) {
	eachKind(t, func(r *rig, p *inPlace, grow func(int64)) {
		p.write(r.lines(3))
		grow(1 << 20)
		r.rec.Refuse(func(*chunk.Chunk) error { return fmt.Errorf("503") })
		r.start()
		r.until("the stream is not stored", func() bool { return len(r.rec.Known()) == 2 })
		r.stop()
		r.remove("a.log")
		p.close()
		r.rec.Refuse(nil)
		times := testTimes()
		times.missing = 50 * time.Millisecond
		r.startWith(times)
		r.until("the loss is not told", func() bool { return len(r.rec.Facts(chunk.Lost)) == 1 })
		if got, want := r.rec.Facts(chunk.Lost)[0].Range(), (chunk.Range{Last: p.at}); got != want {
			r.t.Errorf("lost: %v, want %v", got, want)
		}
		r.stop()
		r.rec = newRig(r.t).rec // what was lost is told
		clear(r.want)
	})
}

func TestCopyTruncateOfAPreallocatedFile(t *testing.T) {
	eachKind(t, func(r *rig, p *inPlace, grow func(int64)) {
		p.write(r.lines(30))
		grow(1 << 20)
		r.startHolding()
		r.arrived()
		for range 2 {
			b, err := os.ReadFile(r.path("a.log"))
			r.ok(err)
			_ = os.Rename(r.path("a.log.1"), r.path("a.log.2"))
			r.ok(os.WriteFile(r.path("a.log.1"), b, 0o644))
			p.close()
			r.ok(os.Truncate(r.path("a.log"), 0))
			f, err := os.OpenFile(r.path("a.log"), os.O_RDWR, 0)
			r.ok(err)
			p.f, p.at = f, 0
			grow(1 << 20)
			p.write(r.lines(5))
			r.arrived()
		}
		r.exactly()
	})
}

// TestNULsThatDataFollowsAreBytes: a machine that lost its power leaves such,
// also in a file that is preallocated.
func TestNULsThatDataFollowsAreBytes(t *testing.T) {
	for _, hole := range []int{3, 6000, 3 << 20} {
		for kind, grow := range kinds {
			if kind == "zeros" && hole > scanBytes {
				hole = scanBytes - pageBytes // more is looked for over several looks, below
			}
			t.Run(fmt.Sprintf("%s/%d", kind, hole), func(t *testing.T) {
				each(t, func(t *testing.T, watch string) {
					r := newRig(t).with(watch)
					p := r.preallocated("a.log", 0)
					text := "before\n" + strings.Repeat("\x00", hole) + "behind\n"
					grow(p, 8<<20)
					p.write("before\n")
					p.at += int64(hole)
					p.write("behind\n")
					r.start()
					r.until("not all came", func() bool { return r.rec.Content() == text })
				})
			})
		}
	}
}

// TestRecordThatIsCutOffBeforeZerosHidesNothing has a program that died within a
// record, and was started again behind a page of NULs.
func TestRecordThatIsCutOffBeforeZerosHidesNothing(t *testing.T) {
	for kind, grow := range kinds {
		t.Run(kind, func(t *testing.T) {
			each(t, func(t *testing.T, watch string) {
				r := newRig(t).with(watch)
				p := r.preallocated("a.log", 0)
				const hole = 3 * pageBytes
				grow(p, 8<<20)
				p.write("before\nhalf a rec")
				p.at += hole
				p.write("behind\n")
				text := "before\nhalf a rec" + strings.Repeat("\x00", hole) + "behind\n"
				r.start()
				r.until("not all came", func() bool { return r.rec.Content() == text })
			})
		})
	}
}

// TestDeletedFileIsReadBehindManyZeros has more NULs than one look reads.
func TestDeletedFileIsReadBehindManyZeros(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		p := r.preallocated("a.log", 0)
		kinds["zeros"](p, 8<<20)
		p.write("before\n")
		r.start()
		r.until("the first line did not come", func() bool { return r.rec.Content() == "before\n" })
		p.at += 3 << 20
		p.write("behind\n")
		r.ok(p.f.Close())
		r.remove("a.log")
		text := "before\n" + strings.Repeat("\x00", 3<<20) + "behind\n"
		r.until("not all came", func() bool { return r.rec.Content() == text })
	})
}

func TestDataFarBehindZerosIsFoundOverSeveralLooks(t *testing.T) {
	r := newRig(t)
	p := r.preallocated("a.log", 0)
	kinds["zeros"](p, 8<<20)
	info, err := ident.Fstat(p.f)
	r.ok(err)
	var z *zeros
	_, err = p.f.WriteAt([]byte("x"), 5<<20)
	r.ok(err)
	for looks := 1; ; looks++ {
		end, err := dataEnd(p.f, &info, 0, 1, &z)
		r.ok(err)
		if end == 5<<20+1 {
			break
		}
		if end != 0 || looks > 8 {
			t.Fatalf("look %d: the data ends at %d, want %d", looks, end, 5<<20+1)
		}
	}
}

func TestEndOfDataIsFoundWhereverItIs(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	b := make([]byte, size)
	r := newRig(t)
	at := 0
	for _, end := range []int{0, 1, 2, 100, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 65535, 65537, 500_000, size - 4097, size - 1, size} {
		for i := at; i < end; i++ {
			b[i] = "a line\n"[i%7]
		}
		at = end
		name := filepath.Join(r.dir, fmt.Sprint(end))
		r.ok(os.WriteFile(name, b, 0o644))
		f, err := os.Open(name)
		r.ok(err)
		t.Cleanup(func() { f.Close() })
		info, err := ident.Fstat(f)
		r.ok(err)
		for _, from := range []int{0, 1, end / 2, end - 1, end} {
			if from < 0 || from > end {
				continue
			}
			for width := range 2 {
				var z *zeros
				got, err := dataEnd(f, &info, int64(from), width+1, &z)
				r.ok(err)
				want := end + end%(width+1)
				if got != int64(want) || (z == nil) != (want == size) {
					t.Errorf("data to %d, from %d on in units of %d: it ends at %d, want %d; zeros behind it: %v", end, from, width+1, got, want, z != nil)
				}
			}
		}
	}
}

func TestNULsThatDataFollowsAreSureAtALaterLook(t *testing.T) {
	t.Parallel()
	now := time.Now()
	z := &zeros{}
	for i, tt := range []struct {
		wait time.Duration
		end  int64
		b    string
		off  int64
		size int
		want int
	}{
		{0, 10, "abc\x00\x00\x00ghi\n", 0, 1, 3},
		{time.Second / 2, 12, "\x00\x00\x00ghi\nxy", 3, 1, 0},
		{time.Second, 12, "\x00\x00\x00ghi\nx\x00", 3, 1, 8}, // sure to 10
		{2 * time.Second, 20, "\x00\x00\x00ghi\nx\x00z\x00", 3, 1, 10},
		{2 * time.Second, 20, "\x00\x00a\x00\x00b\x00\x00\x00", 11, 2, 3},
		{2 * time.Second, 20, "\x00a\x00b\x00\n\x00\x00", 20, 2, 6},
	} {
		z.note(tt.end, now.Add(tt.wait), time.Second)
		if got := z.certain([]byte(tt.b), tt.off, tt.size); got != tt.want {
			t.Errorf("case %d: %d bytes are certain, want %d (%+v)", i, got, tt.want, z)
		}
	}
}

func TestPreallocatedFileOfWideCharacters(t *testing.T) {
	for _, encoding := range []string{"UTF-16LE", "UTF-16BE"} {
		t.Run(encoding, func(t *testing.T) {
			each(t, func(t *testing.T, watch string) {
				r := newRig(t).with(watch)
				p := r.preallocated("a.log", 0)
				r.ok(p.f.Truncate(1 << 20))
				r.start()
				want := []string{}
				for _, line := range []string{"\ufeffone\n", "2026 \u0a0a\u000b\n", "\u0100\u0001\n", "last\n"} {
					p.write(encoded(t, line, encoding))
					want = append(want, line)
					r.whole(want...)
				}
				r.kill()
				p.write(encoded(t, "more\n", encoding))
				r.start()
				r.whole(append(want, "more\n")...)
			})
		})
	}
}

func TestRecordsOfSeveralLinesInAPreallocatedFile(t *testing.T) {
	eachKind(t, func(r *rig, p *inPlace, grow func(int64)) {
		r.cfg.RecordStart = config.Regexp{Regexp: regexp.MustCompile(`^\d{4}-`)}
		r.cfg.RecordTimeout = config.Duration(100 * time.Millisecond)
		grow(1 << 20)
		r.start()
		p.write(r.expect("2026-01-01 a failure\n\tat x\n2026-01-02 fine\n"))
		r.arrived()
		p.write(r.expect("2026-01-03 another\n\tat y\n"))
		r.arrived()
		r.exactly()
	})
}

func TestPreallocatedFileIsFollowedFromItsLastLine(t *testing.T) {
	eachKind(t, func(r *rig, p *inPlace, grow func(int64)) {
		r.cfg.Start = "end"
		p.write("old\nold\n")
		grow(1 << 20)
		blank := r.preallocated("b.log", 0)
		r.ok(blank.f.Truncate(1 << 20))
		r.start()
		r.until("the first start is not stored", func() bool { return len(r.rec.Known()) == 2 })
		p.write(r.lines(2))
		blank.write(r.lines(2))
		r.exactly()
	})
}

// TestHeadWithZerosOfAnOlderVersionIsKnown: it took the zeros at a file's end
// for its bytes.
func TestHeadWithZerosOfAnOlderVersionIsKnown(t *testing.T) {
	eachKind(t, func(r *rig, p *inPlace, grow func(int64)) {
		p.write(r.lines(3))
		grow(1 << 20)
		r.start()
		r.arrived()
		r.rec.Settle(r.a)
		r.stop()
		head, err := ident.ReadHead(p.f)
		r.ok(err)
		env := r.rec.Env()
		for _, k := range r.rec.Known() {
			if id, err := ident.Decode(k.Identity); err == nil && k.Source != marker {
				id.HeadLen, id.Head, id.Size = len(head), ident.Sum(head), 1<<20
				k.Identity = id.Encode()
				r.ok(env.Streams.Update(k))
			}
		}
		for range 2 {
			p.write(r.lines(2))
			r.start()
			r.exactly()
			p.write(r.lines(2))
			r.exactly()
			r.stop()
		}
		if n := len(r.rec.Streams()); n != 1 {
			r.t.Errorf("%d streams, want 1", n)
		}
	})
}

// TestPreallocatedFileThatIsFollowedFromItsEndAndEmptied: nothing of it was sent
// when all of it became zeros.
func TestPreallocatedFileThatIsFollowedFromItsEndAndEmptied(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.cfg.Start = "end"
		p := r.preallocated("a.log", 0)
		p.write("old\n")
		r.ok(p.f.Truncate(1 << 20))
		r.rec.FailOpen(fmt.Errorf("the disk is full"))
		r.start()
		r.until("the error is not shown", func() bool { return strings.Contains(r.a.Status().LastErr, "the disk is full") })
		r.ok(p.f.Truncate(0))
		r.ok(p.f.Truncate(1 << 20))
		p.at = 0
		r.rec.FailOpen(nil)
		p.write(r.lines(3))
		r.arrived()
		r.noNULs()
	})
}
