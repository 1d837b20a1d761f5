package checkpoints

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/disk"
)

// oldFrame is a frame of versions 1 and 2, of fields as they wrote them.
func oldFrame(fields ...any) []byte {
	var body []byte
	for _, f := range fields {
		switch f := f.(type) {
		case op:
			body = append(body, byte(f))
		case string:
			body = appendText(body, f)
		case int64:
			body = binary.AppendVarint(body, f)
		case uint64:
			body = binary.AppendUvarint(body, f)
		case []byte:
			body = append(body, f...)
		}
	}
	frame := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	frame = binary.LittleEndian.AppendUint32(frame, crc32.Checksum(body, castagnoli))
	return append(frame, body...)
}

func oldStream(adaptor, id string) []byte {
	return oldFrame(opOpen, adaptor, id, "/log/"+id, "ident", int64(10), int64(20), int64(30), []byte("12345678"), []byte{1})
}

func TestStoresOfOlderVersionsAreRead(t *testing.T) {
	for v := int64(1); v <= 2; v++ {
		dir := t.TempDir()
		head := oldFrame(opHead, v, uint64(1), "agent", "")
		snapshot := append(append([]byte{}, head...), oldStream("logs", "one")...)
		snapshot = append(snapshot, oldFrame(opTail, int64(1))...)
		journal := append(append([]byte{}, head...), oldStream("gone", "two")...)
		journal = append(journal, oldFrame(opSettled, "one", int64(25))...)
		writeFile(t, filepath.Join(dir, "snapshot-1"), string(snapshot))
		writeFile(t, filepath.Join(dir, "journal-1"), string(journal))

		s, err := open(disk.Local{}, dir, filepath.Join(dir, "none"), quiet())
		if err != nil {
			t.Fatalf("version %d: %v", v, err)
		}
		if s.Damaged() != 0 || s.Fresh() {
			t.Errorf("version %d: %d files damaged, fresh %t, want none and not", v, s.Damaged(), s.Fresh())
		}
		if got := s.OfKind("tail"); len(got) != 0 {
			t.Errorf("version %d: streams of a kind before anybody said theirs: %+v", v, got)
		}
		s.Describe(Owner{Adaptor: "logs", Kind: "tail", Type: "syslog"})
		abandon(t, s) // what was said then is said again

		s = mustOpen(t, dir)
		s.Describe(Owner{Adaptor: "logs", Kind: "tail", Type: "syslog"})
		if err := s.Put("x", nil); err != nil {
			t.Fatal(err)
		}
		abandon(t, s) // and is stored by now

		s = mustOpen(t, dir)
		defer s.Close()
		got := s.Of(Owner{Adaptor: "logs", Kind: "tail"})
		if len(got) != 1 || got[0].Type != "syslog" || got[0].ID != "one" || got[0].Begin != 10 || got[0].Settled != 25 ||
			got[0].Sent != 30 || got[0].Tail != binary.LittleEndian.Uint64([]byte("12345678")) || !got[0].Ended {
			t.Errorf("version %d: got %+v", v, got)
		}
		if got := s.Streams("gone"); len(got) != 1 || got[0].Type != "" {
			t.Errorf("version %d: streams of an adaptor that is gone: %+v, want one without a type", v, got)
		}
	}
}

func TestMovedStreamIsAnotherAdaptorsAfterACrash(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	st := mustStream(t, s, "a", Stream{Source: "/x", Type: "syslog", Doubt: 7})
	if err := errors.Join(s.Settled(st.ID, 5), s.Move(st.ID, Owner{Adaptor: "b", Kind: "tail"})); err != nil {
		t.Fatal(err)
	}
	if err := s.Move("none", Owner{Adaptor: "b", Kind: "tail"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("move of a stream that is not there: got %v, want ErrUnknown", err)
	}
	for _, end := range []string{"crash", "close"} {
		if end == "crash" {
			abandon(t, s)
		} else if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, dir)
		got, ok := s.Owned(st.ID)
		if !ok || got.Of != (Owner{Adaptor: "b", Kind: "tail"}) || got.Settled != 5 || got.Type != "syslog" || got.Doubt != 7 {
			t.Errorf("after a %s: got %+v, want it as it was, of b", end, got)
		}
		if got := s.Streams("a"); len(got) != 0 {
			t.Errorf("after a %s: a has %+v, want none", end, got)
		}
	}
	s.Close()
}

func TestDerivedIDIsTheSameAfterTheStateIsLost(t *testing.T) {
	ids := t.TempDir()
	writeFile(t, filepath.Join(ids, "one"), "11111111111111111111111111111111\n")
	writeFile(t, filepath.Join(ids, "two"), "22222222222222222222222222222222\n")
	derive := func(machine string, streams ...Stream) (out []string) {
		t.Helper()
		s, err := open(disk.Local{}, t.TempDir(), filepath.Join(ids, machine), quiet())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if !s.Fresh() {
			t.Error("a new store is not fresh")
		}
		for _, st := range streams {
			out = append(out, mustStream(t, s, "a", st).ID)
		}
		return out
	}
	for _, machine := range []string{"one", "none"} {
		first := derive(machine, Stream{Type: "x", Origin: "o"})[0]
		again := derive(machine, Stream{Type: "x", Origin: "p"}, Stream{Type: "x", Origin: "o"}, Stream{Type: "x", Origin: "o"}, Stream{Type: "y", Origin: "o"})
		if again[1] != first {
			t.Errorf("machine-id %s: got %s, want %s as before", machine, again[1], first)
		}
		seen := map[string]bool{}
		for _, id := range again {
			if seen[id] {
				t.Errorf("machine-id %s: the id %s was given twice", machine, id)
			}
			seen[id] = true
		}
		if strings.Contains(first, "~") || len(first) != 24 {
			t.Errorf("a derived id is %q, want 24 letters and digits", first)
		}
	}
	if a, b := derive("one", Stream{Origin: "o"})[0], derive("two", Stream{Origin: "o"})[0]; a == b {
		t.Errorf("two machines have the same id %s", a)
	}
}

func TestForkBeginsWithTheStreamThatItGoesOnFrom(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	first := mustStream(t, s, "a", Stream{})
	one, two := mustStream(t, s, "a", Stream{Fork: first.ID, Origin: "o"}), mustStream(t, s, "a", Stream{Fork: first.ID, Origin: "o"})
	for _, st := range []Stream{one, two} {
		if !strings.HasPrefix(st.ID, first.ID+"~") || st.Fork != "" || st.Origin != "" {
			t.Errorf("a fork of %s: %+v", first.ID, st)
		}
	}
	if one.ID == two.ID {
		t.Errorf("two forks are both %s", one.ID)
	}
	long := mustStream(t, s, "a", Stream{Fork: strings.Repeat("x", maxFork+1)})
	if strings.Contains(long.ID, "~") {
		t.Errorf("a fork of an id beyond the bound got %d bytes, want an id of its own", len(long.ID))
	}
}

func TestStoreIsFreshWhenNothingOfItIsLeft(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	abandon(t, s)
	s = mustOpen(t, dir)
	if s.Fresh() {
		t.Error("fresh at its second start")
	}
	s.Close()
	for gen := range uint64(9) {
		if path := filepath.Join(dir, fileName(snapshotFile, gen)); exists(path) {
			writeFile(t, path, "damaged")
		}
	}
	s = mustOpen(t, dir)
	defer s.Close()
	if !s.Fresh() || s.Damaged() == 0 {
		t.Errorf("without a whole snapshot: fresh %t, %d damaged, want fresh and some", s.Fresh(), s.Damaged())
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestRetypedStreamBeginsAnew(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	of := Owner{Adaptor: "a", Kind: "tail", Type: "x"}
	st, err := s.Open(t.Context(), of, Stream{Source: "/x", Type: "x"})
	if err != nil {
		t.Fatal(err)
	}
	of.Type = "y"
	if err := errors.Join(s.Sent(st.ID, 70, 7), s.Settled(st.ID, 50), s.Retype(st.ID, of, "y", 60)); err != nil {
		t.Fatal(err)
	}
	abandon(t, s)
	s = mustOpen(t, dir)
	defer s.Close()
	got, _ := s.Owned(st.ID)
	if got.Of != of || got.Type != "y" || got.Begin != 60 || got.Settled != 60 || got.Sent != 70 {
		t.Errorf("got %+v, want it as y from 60 on", got)
	}
}
