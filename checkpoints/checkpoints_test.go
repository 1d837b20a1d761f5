package checkpoints

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/disk/disktest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, quiet())
	if err != nil {
		t.Fatalf("open checkpoints: %v", err)
	}
	return s
}

func mustStream(t *testing.T, s *Store, adaptor string, st Stream) Stream {
	t.Helper()
	out, err := s.Open(context.Background(), Owner{Adaptor: adaptor, Kind: "tail"}, st)
	if err != nil {
		t.Fatalf("open stream: %v", err)
	}
	return out
}

// abandon leaves the store as SIGKILL would: nothing is written, the lock is
// free.
func abandon(t *testing.T, s *Store) {
	t.Helper()
	if err := s.unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestStateSurvivesCloseAndKill(t *testing.T) {
	for _, end := range []string{"close", "kill"} {
		t.Run(end, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			a := mustStream(t, s, "logs", Stream{Source: "/var/log/a", Identity: []byte{1, 0, 2}})
			b := mustStream(t, s, "logs", Stream{Source: "/var/log/b", Begin: 100})
			c := mustStream(t, s, "other", Stream{Source: "/var/log/c"})
			a.Source, a.Identity, a.Ended = "/var/log/a.1", []byte("new"), true
			for _, err := range []error{
				s.Update(a), s.Sent(a.ID, 50, 0xdeadbeefcafe1234), s.Settled(a.ID, 40), s.Settled(a.ID, 30),
				s.Forget(c.ID), s.Put("x", []byte("{}")), s.Put("y", []byte("1")), s.Delete("y"),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			a.Sent, a.Tail, a.Settled = 50, 0xdeadbeefcafe1234, 40
			if b.Settled != 100 {
				t.Errorf("a stream that begins at 100 is settled to %d, want 100", b.Settled)
			}
			agent := s.AgentID()
			if end == "close" {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				abandon(t, s)
			}
			s = mustOpen(t, dir)
			defer s.Close()
			b.Identity = nil
			got := s.Streams("logs")
			for i := range got {
				if len(got[i].Identity) == 0 {
					got[i].Identity = nil
				}
			}
			if want := []Stream{a, b}; !reflect.DeepEqual(got, want) {
				t.Errorf("streams after %s:\n got %+v\nwant %+v", end, got, want)
			}
			if got := s.Streams("other"); len(got) != 0 {
				t.Errorf("the forgotten stream is back: %+v", got)
			}
			if got := s.List(); len(got) != 1 || string(got["x"]) != "{}" {
				t.Errorf("values: got %q, want x alone", got)
			}
			if s.AgentID() != agent {
				t.Errorf("agent id: got %s, want %s as before", s.AgentID(), agent)
			}
			if s.Damaged() != 0 {
				t.Errorf("%d files were quarantined, want none", s.Damaged())
			}
		})
	}
}

func TestDirectoryIsUsedByOneProcessOnly(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if _, err := Open(dir, quiet()); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: got %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir).Close()
}

func TestStreamIDsAreNeverGivenTwice(t *testing.T) {
	dir := t.TempDir()
	seen := map[string]bool{}
	for range 5 {
		s := mustOpen(t, dir)
		for range 10 {
			id := mustStream(t, s, "a", Stream{}).ID
			if seen[id] {
				t.Fatalf("id %s was given twice", id)
			}
			seen[id] = true
		}
		abandon(t, s)
	}
}

func TestConcurrentOpensShareSyncs(t *testing.T) {
	d := quick(t)
	var syncs atomic.Int64
	d.FailWith(func(op, _ string) error {
		if op == "sync" {
			syncs.Add(1)
		}
		return nil
	})
	s, err := open(d, t.TempDir(), "", quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.syncMu.Lock() // all openers wait for the one that syncs
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := s.Open(context.Background(), Owner{Adaptor: "a", Kind: "tail"}, Stream{}); err != nil {
				t.Error(err)
			}
		})
	}
	for written := false; !written; {
		s.mu.Lock()
		written = len(s.st.streams) == 50
		s.mu.Unlock()
	}
	before := syncs.Load()
	s.syncMu.Unlock()
	wg.Wait()
	if n := syncs.Load() - before; n != 1 {
		t.Errorf("50 concurrent opens cost %d fsyncs, want 1", n)
	}
}

func TestStreamsKeepTheirIDsUnderAnotherMachineID(t *testing.T) {
	dir, ids := t.TempDir(), t.TempDir()
	reopen := func(machine string) *Store {
		t.Helper()
		if machine != "" {
			writeFile(t, filepath.Join(ids, machine), strings.Repeat(machine, 32)+"\n")
		}
		s, err := open(disk.Local{}, dir, filepath.Join(ids, machine), quiet())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := reopen("0")
	agent := s.AgentID()
	st := mustStream(t, s, "logs", Stream{Source: "/x"})
	if err := errors.Join(s.Sent(st.ID, 70, 7), s.Settled(st.ID, 60), s.Close()); err != nil {
		t.Fatal(err)
	}
	st.Sent, st.Tail, st.Settled = 70, 7, 60
	seen := map[string]bool{agent: true}
	for start := range 5 { // as a container has it
		s = reopen(fmt.Sprint(start + 1))
		if id := s.AgentID(); seen[id] {
			t.Errorf("start %d on another machine: the agent is still %s", start+1, id)
		}
		seen[s.AgentID()] = true
		got := s.Streams("logs")
		if len(got) != 1 {
			t.Fatalf("start %d: %d streams, want one", start+1, len(got))
		}
		if got[0].Identity = nil; !reflect.DeepEqual(got[0], st) {
			t.Errorf("start %d: got %+v, want %+v as stored", start+1, got[0], st)
		}
		if s.Fresh() {
			t.Errorf("start %d: the store says that it is fresh", start+1)
		}
		agent = s.AgentID()
		s.Close()
	}
	for _, machine := range []string{"", "5"} { // no machine-id is no proof of another machine
		s = reopen(machine)
		if s.AgentID() != agent {
			t.Errorf("machine-id %q: the agent became %s, want %s as before", machine, s.AgentID(), agent)
		}
		s.Close()
	}
}

func TestUnknownStreamIsAnError(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	for name, err := range map[string]error{
		"Sent": s.Sent("x", 1, 1), "Settled": s.Settled("x", 1), "Update": s.Update(Stream{ID: "x"}), "Forget": s.Forget("x"),
	} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v, want ErrUnknown", name, err)
		}
	}
}

func TestTooLargeTextsAreRefused(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	if _, err := s.Open(context.Background(), Owner{Adaptor: "a", Kind: "tail"}, Stream{Source: strings.Repeat("x", MaxText+1)}); err == nil {
		t.Error("a source beyond the bound was stored")
	}
	if err := s.Put("a", make([]byte, MaxValue+1)); err == nil {
		t.Error("a value beyond the bound was stored")
	}
	if err := s.Put("a", make([]byte, MaxValue)); err != nil {
		t.Errorf("a value at the bound: %v", err)
	}
}

func TestJournalRollsIntoASnapshot(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	s.minRoll, s.rollAt = 2000, 2000
	st := mustStream(t, s, "a", Stream{})
	for i := range 1000 {
		if err := s.Sent(st.ID, int64(i), uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if s.gen < 10 {
		t.Errorf("1000 records of 40 bytes made %d generations, want at least 10", s.gen)
	}
	abandon(t, s)
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 6 { // lock, quarantine, two generations of two files
		t.Errorf("files left: %v, want two generations", names)
	}
	s = mustOpen(t, dir)
	defer s.Close()
	if got := s.Streams("a")[0].Sent; got != 999 {
		t.Errorf("sent: got %d, want 999", got)
	}
}

func TestFailedWriteIsCutOffAgain(t *testing.T) {
	dir := t.TempDir()
	d := quick(t)
	s, err := open(d, dir, "", quiet())
	if err != nil {
		t.Fatal(err)
	}
	st := mustStream(t, s, "a", Stream{})
	d.FailWith(func(op, _ string) error {
		if op == "write" {
			return disktest.ErrTorn
		}
		return nil
	})
	if err := s.Sent(st.ID, 5, 5); err == nil {
		t.Fatal("the failed write was not reported")
	}
	d.FailWith(nil)
	if got := s.Streams("a")[0].Sent; got != 0 {
		t.Errorf("sent after the failure: got %d, want 0", got)
	}
	if err := s.Sent(st.ID, 6, 6); err != nil {
		t.Fatal(err)
	}
	abandon(t, s)
	s = mustOpen(t, dir)
	defer s.Close()
	if got := s.Streams("a")[0].Sent; got != 6 || s.Damaged() != 0 {
		t.Errorf("after a start: sent %d, want 6; %d quarantined, want 0", got, s.Damaged())
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func ExampleStore() {
	dir, _ := os.MkdirTemp("", "checkpoints")
	defer os.RemoveAll(dir)
	s, _ := Open(dir, quiet())
	st, _ := s.Open(context.Background(), Owner{Adaptor: "logs", Kind: "tail"}, Stream{Source: "/var/log/app.log"})
	_ = s.Sent(st.ID, 1000, 42)
	_ = s.Settled(st.ID, 1000)
	fmt.Println(s.Streams("logs")[0].Settled)
	_ = s.Close()
	// Output: 1000
}
