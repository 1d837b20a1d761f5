package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk/disktest"
)

// Whatever was acknowledged must be sent after a crash at any change of the
// disk and a restart, once per offset, and nothing else but what was being
// appended: also where the power fails, and takes what was not synced.
func TestCrashAtEveryChangeLosesNothingThatWasAcknowledged(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, power := range []fate{killed, dark, killedThenDark} {
		for _, when := range []disktest.When{disktest.Before, disktest.After, disktest.Torn} {
			for k, crashed := 0, true; crashed; k++ {
				crashed = crashAt(t, k, when, power, rnd)
			}
		}
	}
}

// fate is what becomes of a machine.
type fate int

const (
	killed         fate = iota // the process alone
	dark                       // the power fails
	killedThenDark             // the power fails in the next life of the process
)

func (f fate) String() string {
	return [...]string{"killed", "the power lost", "killed, and the power lost in the next life"}[f]
}

// crashAt crashes a spool at its k-th change of the disk, and reports whether
// there are so many.
func crashAt(t *testing.T, k int, when disktest.When, power fate, rnd *rand.Rand) bool {
	const records = 6
	dir := t.TempDir()
	d := disktest.New(t.TempDir())
	ctx, crash := context.WithCancel(context.Background())
	defer crash()
	d.OnCrash(crash)
	d.CrashAt(k, when)
	var acked []string
	if s, err := Open(Config{Dir: filepath.Join(dir, "spool"), SegmentBytes: 120, MaxBytes: 1 << 20, Disk: d}, discard); err == nil {
		for i := range records {
			body := fmt.Sprintf("record %d", i)
			if err := s.Append(ctx, key, Block, true, record(body)); err != nil {
				break
			}
			acked = append(acked, body)
		}
		defer s.Close() // a crash closes no segment, but the test's files
	}
	crashed, inFlight := d.Crashed(), fmt.Sprintf("record %d", len(acked))
	switch power {
	case dark:
		d.LosePower(rnd)
	case killedThenDark:
		d.Restart()
		next := open(t, Config{Dir: filepath.Join(dir, "spool"), Disk: d})
		add(t, next, Block, "next")
		acked = append(acked, "next")
		d.LosePower(rnd)
		defer next.Close()
	}
	again, o := open(t, Config{Dir: filepath.Join(dir, "spool")}), newOut()
	stop := start(t, again, o)
	add(t, again, Block, "new")
	want := append(slices.Clone(acked), "new")
	got := bodies(o.wait(t, fmt.Sprintf("k=%d", k), func(all []chunk.Chunk) bool { return slices.Contains(bodies(all), "new") }))
	stop()
	got = slices.DeleteFunc(got, func(b string) bool { return b == inFlight && len(got) == len(want)+1 })
	if !slices.Equal(got, want) {
		t.Fatalf("%v change %d, %v: sent %q, want %q; changes:\n%s", when, k, power, got, want, strings.Join(d.Log(), "\n"))
	}
	return crashed
}

// A torn tail of any length is quarantined, and all before it is sent.
func TestTornTailIsQuarantinedAtEveryLength(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	add(t, s, Block, "first", "second", "third")
	s.Close()
	path := files(t, dir)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	frames := []int{0}
	for pos := 0; pos < len(whole); {
		n, err := frameLen(whole[pos:])
		if err != nil {
			t.Fatal(err)
		}
		pos += frameHead + n
		frames = append(frames, pos)
	}
	records := []string{"first", "second", "third"}
	for cut := range len(whole) + 1 {
		dir := t.TempDir()
		to := filepath.Join(dir, "disk", "df", filepath.Base(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, whole[:cut], 0o600)); err != nil {
			t.Fatal(err)
		}
		n := 0
		for n < 3 && frames[n+1] <= cut {
			n++
		}
		s, o := open(t, Config{Dir: dir}), newOut()
		stop := start(t, s, o)
		want := records[:n]
		if n > 0 {
			o.wait(t, fmt.Sprintf("cut at %d", cut), ended(1))
		}
		stop()
		if got := bodies(o.chunks); !slices.Equal(got, want) {
			t.Fatalf("cut at %d: sent %q, want %q", cut, got, want)
		}
		if got, want := s.Stats().Quarantined, int64(cut-frames[n]); got != want {
			t.Errorf("cut at %d: %d bytes in quarantine, want %d", cut, got, want)
		}
	}
}

// Damage in a segment that is not the last is found when it is sent.
func TestDamagedSegmentIsToldAsLostAndTheRestIsSent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, SegmentBytes: 100})
	for i := range 6 { // two to a segment
		add(t, s, Block, fmt.Sprintf("record %d", i))
	}
	s.Close()
	names := files(t, dir)
	b, err := os.ReadFile(names[1])
	if err != nil {
		t.Fatal(err)
	}
	b[frameHead+20] ^= 1
	if err := os.WriteFile(names[1], b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, o := open(t, Config{Dir: dir}), newOut()
	start(t, s, o)
	got := o.wait(t, "the rest and its End", ended(1))
	var lost, kept chunk.Ranges
	for _, c := range got {
		switch c.Kind {
		case chunk.Lost:
			lost = lost.Add(c.Range())
		case chunk.Data:
			kept = kept.Add(c.Range())
		}
	}
	if lost.Len() == 0 || lost.Len()+kept.Len() != 48 || kept.Len() == 0 {
		t.Errorf("kept %v, lost %v; want them to share 48 bytes", kept, lost)
	}
	if s.Stats().Quarantined == 0 {
		t.Error("nothing is in quarantine")
	}
}

func FuzzRecord(f *testing.F) {
	for _, c := range []*chunk.Chunk{record("body\n"), record(""), {Kind: chunk.Dropped, First: 1, Last: 9, Reason: "full"}} {
		f.Add(appendFrame(nil, c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < frameHead {
			return
		}
		n, err := frameLen(b)
		if err != nil || len(b) < frameHead+n {
			return
		}
		// The CRC is not the fuzzer's to find.
		head := make([]byte, frameHead)
		copy(head, appendCRC(b[frameHead:frameHead+n]))
		c, err := parsePayload(head, b[frameHead:frameHead+n])
		if err != nil {
			return
		}
		again := appendFrame(nil, &c)
		d, err := parsePayload(again, again[frameHead:])
		if err != nil || fmt.Sprint(c) != fmt.Sprint(d) {
			t.Errorf("%+v became %+v: %v", c, d, err)
		}
	})
}

// A segment file of any bytes is opened, sent and ended without a panic.
func FuzzSegmentFile(f *testing.F) {
	r := record("body\n")
	r.Last = 5
	f.Add(appendFrame(nil, r))
	f.Add([]byte("junk"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "disk", "df", segmentName("00000000000000000000000000000000000000", 0))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{Dir: dir, MaxBytes: 1 << 20}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if len(s.streams) == 0 {
			return
		}
		o := newOut()
		stop := start(t, s, o)
		defer stop()
		o.wait(t, "the End", ended(1))
	})
}

// appendCRC makes the head of a frame with this payload.
func appendCRC(payload []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
	return binary.LittleEndian.AppendUint32(b, chunk.CRC(payload))
}
