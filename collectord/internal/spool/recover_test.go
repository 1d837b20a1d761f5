package spool_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk/disktest"
)

func TestSegmentFoundOpenIsCutAfterItsLastWholeBatch(t *testing.T) {
	whole := batch(t, "app", "s", 0, "whole")
	next := batch(t, "app", "s", 5, "torn")
	for cut := range len(next.Frame) {
		dir := t.TempDir()
		write(t, dir, "app", "20260101T000000.000000Z-c0.1-000001.open", whole.Frame, next.Frame[:cut])
		r := start(t, options(t, dir))
		g := r.nextSealed(t)
		if got := blocks(t, g); len(got) != 1 || !bytes.Equal(got[0], whole.Block) {
			t.Fatalf("torn after %d bytes: %d blocks, want the one whole", cut, len(got))
		}
		if got := r.Status().Quarantined; got != int64(cut) {
			t.Errorf("torn after %d bytes: %d are in quarantine", cut, got)
		}
		r.stop()
	}
}

func TestDamageInTheMiddleSendsTheRestToQuarantine(t *testing.T) {
	frames := [][]byte{batch(t, "app", "s", 0, "one").Frame, batch(t, "app", "s", 3, "two").Frame, batch(t, "app", "s", 6, "three").Frame}
	for _, ext := range []string{".open", ".sealed"} {
		for at := range frames[1] {
			dir := t.TempDir()
			bad := bytes.Clone(frames[1])
			bad[at] ^= 0x10
			write(t, dir, "app", "20260101T000000.000000Z-c0.1-000001"+ext, frames[0], bad, frames[2])
			r := start(t, options(t, dir))
			g := r.nextSealed(t)
			if gone, err := r.Repair(g); gone || err != nil { // as who finds it while uploading does
				t.Fatalf("repair: gone %v, error %v", gone, err)
			}
			if got := blocks(t, g); len(got) != 1 {
				t.Fatalf("%s damaged at byte %d: %d blocks, want 1", ext, at, len(got))
			}
			if n, _ := r.Lookup("app", g.ID); n != 1 {
				t.Errorf("%s damaged at byte %d: %d blocks are answered for, want 1", ext, at, n)
			}
			want := int64(len(bad) + len(frames[2]))
			if st := r.Status(); st.Quarantined != want || st.Bytes != int64(len(frames[0])) {
				t.Errorf("%s damaged at byte %d: %d bytes in quarantine, %d in the spool; want %d and %d", ext, at, st.Quarantined, st.Bytes, want, len(frames[0]))
			}
			r.stop()
		}
	}
}

func TestStrangeFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app", "notes.txt", []byte("x"))
	write(t, dir, "app", "20260101T000000.000000Z-c0.1-000001.sealed", []byte("nothing of this is a batch"))
	write(t, dir, "NOT A TYPE", "20260101T000000.000000Z-c0.1-000001.sealed", batch(t, "app", "s", 0, "x").Frame)
	r := start(t, options(t, dir))
	r.take(t, batch(t, "app", "s", 0, "x"))
	if st := r.Status(); st.Open != 1 || st.Sealed != 0 {
		t.Errorf("the spool has %d open and %d sealed segments, want 1 and 0", st.Open, st.Sealed)
	}
	for _, name := range []string{"app/notes.txt", "NOT A TYPE/20260101T000000.000000Z-c0.1-000001.sealed"} {
		if _, err := os.Stat(filepath.Join(dir, "spool", name)); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}

func TestOpenSegmentDoesNotReplaceASealedOneOfItsName(t *testing.T) {
	dir := t.TempDir()
	const id = "20260101T000000.000000Z-c0.1-000001"
	write(t, dir, "app", id+".open", batch(t, "app", "s", 0, "x").Frame)
	two := []chunk.Batch{batch(t, "app", "s", 1, "y"), batch(t, "app", "s", 2, "z")}
	write(t, dir, "app", id+".sealed", two[0].Frame, two[1].Frame)
	r := start(t, options(t, dir))
	if g := r.nextSealed(t); len(blocks(t, g)) != 2 {
		t.Errorf("the sealed segment has %d blocks, want its own 2", len(blocks(t, g)))
	}
}

// Power is lost at every change of the disk; what was answered for must be
// there at the next start, in one segment each.
func TestWhatWasAnsweredForSurvivesACrashAtEveryChange(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	batches := make([]chunk.Batch, 8)
	for i := range batches {
		batches[i] = batch(t, []string{"app", "web"}[i%2], "s", int64(i), fmt.Sprintf("body %d", i))
	}
	late := batch(t, "app", "s", 100, "of the next life")
	for n := range 6 { // with and without a life of the process between crash and loss of power
		when, lives := disktest.When(n%3), n/3
		for k := 0; ; k++ {
			dir := t.TempDir()
			o := options(t, dir)
			o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
			o.Rules.SealBytes = int64(2 * len(batches[0].Frame))
			disk := o.Disk.(*disktest.Disk)
			disk.CrashAt(k, when)
			r, err := launch(t, o)
			if err != nil && !disk.Crashed() {
				t.Fatal(err)
			}
			acked := map[string]bool{}
			for i := range batches {
				if err != nil {
					break
				}
				ticket, err := r.Append(&batches[i])
				if err == nil && ticket.Wait(t.Context()) == nil {
					acked[string(batches[i].Block)] = true
				}
			}
			if err == nil {
				r.stop()
			}
			crashed := disk.Crashed()
			if lives > 0 {
				disk.Restart()
				o.Collector = "c1.2"
				next := start(t, o)
				next.take(t, late)
				acked[string(late.Block)] = true
				disk.LosePower(rnd)
				next.stop()
			}
			disk.LosePower(rnd)

			o.Disk, o.Collector = disktest.New(t.TempDir()), "c1.3"
			again := start(t, o)
			found := map[string]int{}
			for range again.Status().Sealed {
				for _, b := range blocks(t, again.nextSealed(t)) {
					found[string(b)]++
				}
			}
			for i, b := range append(slices.Clone(batches), late) {
				n := found[string(b.Block)]
				if n > 1 || acked[string(b.Block)] && n != 1 {
					t.Fatalf("crash %d (%v): batch %d, acked %v, is there %d times; changes:\n%v", k, when, i, acked[string(b.Block)], n, disk.Log())
				}
			}
			again.stop()
			if !crashed {
				if len(acked) != len(batches)+lives {
					t.Errorf("without a crash %d of %d batches were taken", len(acked), len(batches)+lives)
				}
				break
			}
		}
	}
}

func write(t testing.TB, dir, dataType, name string, parts ...[]byte) {
	t.Helper()
	folder := filepath.Join(dir, "spool", dataType)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), bytes.Join(parts, nil), 0o640); err != nil {
		t.Fatal(err)
	}
}
