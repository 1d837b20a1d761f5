package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/disk/disktest"
)

func persona(name string) Key { return Key{Adaptor: "disk", Type: "df", Persona: name} }

func TestOnePersonaCannotFillTheSpoolForTheOthers(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, MaxBytes: 4000, SegmentBytes: 200, Shares: map[string]int64{"": 2000, "a": 1000, "b": 1000}}
	s := open(t, cfg)
	fill := func(s *Spool, k Key, full WhenFull) (stored int) {
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			err := s.Append(ctx, k, full, true, record("0123456789"))
			cancel()
			if err != nil {
				break
			}
			stored++
		}
		return stored
	}
	if n := fill(s, persona("a"), Block); n == 100 || n == 0 || s.Used("a") > 1000 {
		t.Fatalf("persona a stored %d records, %d bytes; want it to end within 1000 bytes", n, s.Used("a"))
	}
	fill(s, Key{Adaptor: "disk", Type: "df"}, DropOldest)
	if used := s.Used(""); used > 2000 || used < 1500 {
		t.Errorf("adaptors without a persona have %d bytes, want most of 2000", used)
	}
	if n := fill(s, persona("b"), Block); n == 0 {
		t.Error("persona b has no room although its share is empty")
	}
	s.Close()

	// The share is known after a restart, also for what an earlier start left.
	again, o := open(t, cfg), newOut()
	if n := fill(again, persona("a"), Block); n != 0 {
		t.Errorf("persona a stored %d more records after a restart", n)
	}
	keys := map[string]bool{}
	again.mu.Lock()
	for k := range again.queues {
		keys[k.Persona] = true
	}
	again.mu.Unlock()
	if !keys[""] || !keys["a"] || !keys["b"] {
		t.Errorf("personas %v are known, want all three", keys)
	}
	start(t, again, o)
	o.wait(t, "all three streams", ended(3))
	again.SetBounds(8000, map[string]int64{"a": 4000})
	if n := fill(again, persona("a"), Block); n == 0 {
		t.Error("no room in a share that grew")
	}
}

func dropped(n int64, reason string) *chunk.Chunk {
	return &chunk.Chunk{Kind: chunk.Dropped, Type: "df", Host: "h", Source: "df -Pk", Last: n, Reason: reason}
}

func TestWhatFiltersDroppedIsToldBeforeTheNextRecord(t *testing.T) {
	dir := t.TempDir()
	s, o := open(t, Config{Dir: dir}), newOut()
	stop := start(t, s, o)
	s.Drop(key, dropped(100, "drop rule 1"))
	s.Drop(key, dropped(20, "sample"))
	s.Drop(key, dropped(3, "drop rule 1"))
	add(t, s, Block, "kept")
	s.Drop(key, dropped(7, "limit"))
	got := o.wait(t, "the fact and the record", data(1))
	if len(got) != 2 || got[0].Kind != chunk.Dropped || got[0].Range() != (chunk.Range{First: 0, Last: 123}) ||
		got[0].Reason != "drop rule 1, sample" || got[1].Range() != (chunk.Range{First: 123, Last: 127}) {
		t.Fatalf("sent %+v, want one fact of 123 bytes and the record behind it", got)
	}
	if s.Stats().Dropped != 0 {
		t.Error("what a filter dropped counts as dropped by a full spool")
	}
	stop()
	s.Close() // writes what is pending

	again, o := open(t, Config{Dir: dir}), newOut()
	start(t, again, o)
	all := o.wait(t, "all of it", ended(1))
	var covered chunk.Ranges
	for _, c := range all {
		covered = covered.Add(c.Range())
	}
	if !covered.Contains(chunk.Range{First: 0, Last: 134}) {
		t.Errorf("told %s, want all of [0,134)", show(all))
	}
	id := all[0].Stream
	again.Resend(id, chunk.Range{First: 0, Last: 123})
	o.wait(t, "the fact again", func(c []chunk.Chunk) bool { return len(c) > len(all) && c[len(all)].Kind == chunk.Dropped })
	if !again.Settled(id, 134) {
		t.Error("the stream is not finished although all of it is settled")
	}
}

func TestDropOldestTellsWhatIsPendingWithTheRecord(t *testing.T) {
	s, o := open(t, Config{Dir: t.TempDir(), MaxBytes: 300}), newOut()
	start(t, s, o)
	s.Drop(key, dropped(50, "sample"))
	add(t, s, DropOldest, string(make([]byte, 1000)), "after")
	got := o.wait(t, "the fact and the record", data(1))
	if got[0].Kind != chunk.Dropped || got[0].Range() != (chunk.Range{First: 0, Last: 1050}) || got[1].First != 1050 {
		t.Errorf("sent %s, want [0,1050) dropped and the record", show(got))
	}
	if n := s.Stats().Dropped; n != 1000 {
		t.Errorf("%d bytes count as dropped by the full spool, want 1000", n)
	}
}

// Damage anywhere in the last segment costs the records that it hits, told as
// lost, and no other; and it is told again after a restart, until it is settled.
func TestDamageInTheLastSegmentIsToldAndTheRestIsSent(t *testing.T) {
	whole := t.TempDir()
	s := open(t, Config{Dir: whole})
	names := []string{"record 0", "record 1", "record 2", "record 3"}
	add(t, s, Block, names...)
	s.Close()
	path := files(t, whole)[0]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	frame := len(b) / 4
	for at := 0; at < len(b); at += 3 {
		damaged := slices.Clone(b)
		damaged[at] ^= 0x41
		dir := t.TempDir()
		to := strings.Replace(path, whole, dir, 1)
		if err := errors.Join(os.MkdirAll(to[:strings.LastIndexByte(to, '/')], 0o700), os.WriteFile(to, damaged, 0o600)); err != nil {
			t.Fatal(err)
		}
		want := slices.Delete(slices.Clone(names), at/frame, at/frame+1)
		for round := range 2 {
			s, o := open(t, Config{Dir: dir}), newOut()
			stop := start(t, s, o)
			got := o.wait(t, fmt.Sprintf("byte %d", at), ended(1))
			stop()
			s.Close()
			if !slices.Equal(bodies(got), want) {
				t.Fatalf("byte %d, start %d: sent %q, want %q", at, round, bodies(got), want)
			}
			var lost chunk.Ranges
			for _, c := range got {
				if c.Kind == chunk.Lost {
					lost = lost.Add(c.Range())
				}
			}
			hit := chunk.Range{First: int64(8 * (at / frame)), Last: int64(8*(at/frame) + 8)}
			// The last record's length can't be told from a torn write's when it is
			// the length that is damaged.
			if torn := at/frame == 3 && at%frame < 4; !torn && !lost.Contains(hit) {
				t.Fatalf("byte %d, start %d: lost %v, want %v in it", at, round, lost, hit)
			}
			if q := s.Stats().Quarantined; round == 0 && q == 0 {
				t.Fatalf("byte %d: nothing is in quarantine", at)
			}
		}
	}
}

// failing is a disk whose changes fail as fail says, by the kind of change.
func failing(t *testing.T, fail func(op string) error) disk.Disk {
	d := disktest.New(t.TempDir())
	d.FailWith(func(op, _ string) error { return fail(op) })
	return d
}

func TestDiskThatFailsIsTriedAgainAndNoRecordIsLost(t *testing.T) {
	var failures atomic.Int32
	for _, op := range []string{"create", "write", "sync"} {
		failures.Store(3)
		cfg := Config{Dir: t.TempDir(), Retry: time.Millisecond, Disk: failing(t, func(name string) error {
			if name == op && failures.Add(-1) >= 0 {
				return errors.New("input/output error")
			}
			return nil
		})}
		s, o := open(t, cfg), newOut()
		start(t, s, o)
		add(t, s, Block, "one", "two")
		if got := bodies(o.wait(t, op, data(2))); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("%s: sent %q, want each once", op, got)
		}
	}
}

func TestDropOldestDropsTheRecordThatADiskKeepsFailing(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	cfg := Config{Dir: t.TempDir(), Retry: time.Millisecond, Disk: failing(t, func(name string) error {
		if name == "write" && broken.Load() {
			return errors.New("input/output error")
		}
		return nil
	})}
	s, o := open(t, cfg), newOut()
	start(t, s, o)
	add(t, s, DropOldest, "one")
	broken.Store(false)
	add(t, s, DropOldest, "two")
	got := o.wait(t, "the second record", data(1))
	if got[0].Kind != chunk.Dropped || got[0].Range() != (chunk.Range{First: 0, Last: 3}) || string(got[1].Body) != "two" {
		t.Errorf("sent %s, want the first told as dropped", show(got))
	}
}

func TestWithoutSyncNoSyncIsMade(t *testing.T) {
	var syncs atomic.Int32
	cfg := Config{Dir: t.TempDir(), Disk: failing(t, func(name string) error {
		if name == "sync" {
			syncs.Add(1)
		}
		return nil
	})}
	s, o := open(t, cfg), newOut()
	start(t, s, o)
	if err := s.Append(t.Context(), key, Block, false, record("x")); err != nil {
		t.Fatal(err)
	}
	o.wait(t, "it", data(1))
	if n := syncs.Load(); n != 0 {
		t.Errorf("%d syncs", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{true, false} {
		b.Run(fmt.Sprintf("sync=%t", sync), func(b *testing.B) {
			s, err := Open(Config{Dir: b.TempDir(), MaxBytes: 1 << 40}, discard)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			c := record(strings.Repeat("x", 1000))
			b.SetBytes(1000)
			for b.Loop() {
				if err := s.Append(context.Background(), key, Block, sync, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A spool smaller than many segments is not emptied when it is full: the oldest
// records are dropped, and counted by adaptor.
func TestSmallSpoolDropsItsOldestRecordsAlone(t *testing.T) {
	for name, cfg := range map[string]Config{
		"small":         {MaxBytes: 1 << 20},
		"a small share": {MaxBytes: 1 << 30, Shares: map[string]int64{"": 1 << 20}},
	} {
		s, o := open(t, Config{Dir: t.TempDir(), MaxBytes: cfg.MaxBytes, Shares: cfg.Shares}), newOut()
		body := string(make([]byte, 10_000))
		for range 250 {
			add(t, s, DropOldest, body)
			if used, n := s.Stats().Bytes, s.Stats().Dropped; used > 1<<20 || n > 0 && used < 1<<20*3/4 {
				t.Fatalf("%s: %d bytes are left in the spool once %d were dropped, want most of a full one", name, used, n)
			}
		}
		n := s.DroppedBy(key.Adaptor)
		if n.Bytes != s.Stats().Dropped || n.Bytes != 10_000*n.Records || n.Records < 100 {
			t.Errorf("%s: counted %+v, want the %d bytes that were dropped and their records", name, n, s.Stats().Dropped)
		}
		if lag := s.Lag(key.Adaptor); lag != 250*10_000-n.Bytes {
			t.Errorf("%s: %d bytes wait, want those that are not dropped", name, lag)
		}
		start(t, s, o)
		o.wait(t, "what is left", data(250-int(n.Records)))
		add(t, s, DropOldest, strings.Repeat("x", 2<<20)) // which never fits
		if more := s.DroppedBy(key.Adaptor); more.Bytes != n.Bytes+2<<20 || more.Records != n.Records+1 {
			t.Errorf("%s: counted %+v after %+v, want one record more: the others were sent", name, more, n)
		}
	}
}
