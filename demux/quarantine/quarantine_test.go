package quarantine_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

func put(t *testing.T, s *querytest.Store, attempt string, faults ...quarantine.Fault) (from string) {
	t.Helper()
	from = s.Publish(t, querytest.Data("app", "s", 0, "one\n"), querytest.Data("app", "t", 4, "two\n"))
	if err := quarantine.Put(t.Context(), s.FS, "app", from, attempt, faults); err != nil {
		t.Fatal(err)
	}
	return from
}

func list(t *testing.T, s *querytest.Store) []quarantine.Entry {
	t.Helper()
	entries, err := quarantine.List(t.Context(), s.FS)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestAQuarantinedFileIsListedWithItsReasonsAndReleased(t *testing.T) {
	s := querytest.New(t)
	if got := list(t, s); len(got) != 0 {
		t.Fatalf("got %v in an empty quarantine", got)
	}
	from := put(t, s, "a1", quarantine.Fault{Block: 1, Chunk: -1, Reason: "its CRC is wrong"})
	entries := list(t, s)
	if len(entries) != 1 {
		t.Fatalf("got %d entries, want 1", len(entries))
	}
	e := entries[0]
	if e.Type != "app" || e.From != from || e.At.IsZero() || e.Reason() != "its CRC is wrong" {
		t.Errorf("got %+v", e)
	}
	parts, err := e.Parts(t.Context(), s.FS)
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) != 2 || parts[0].Reason != "" || parts[1].Reason != "its CRC is wrong" || parts[1].Stream != "t" || parts[1].First != 4 || parts[1].Last != 8 {
		t.Errorf("got parts %+v", parts)
	}
	to, err := quarantine.Release(t.Context(), s.FS, e.Path)
	if err != nil || to != from {
		t.Fatalf("released to %s (%v), want %s", to, err, from)
	}
	if got := list(t, s); len(got) != 0 {
		t.Errorf("still in quarantine: %v", got)
	}
	if left, err := s.FS.List(t.Context(), strings.TrimSuffix(e.Path, "/"+string(store.SegmentOf(e.Path))+store.SinkExt)); err != nil || len(left) != 0 {
		t.Errorf("left beside it: %v (%v)", left, err)
	}
}

func TestAChunkAtFaultIsTheOnlyOneWithAReason(t *testing.T) {
	s := querytest.New(t)
	put(t, s, "a1", quarantine.Fault{Block: 0, Chunk: 0, Reason: "a panic", Stream: "s", Range: &chunk.Range{First: 0, Last: 4}})
	e := list(t, s)[0]
	parts, err := e.Parts(t.Context(), s.FS)
	if err != nil {
		t.Fatal(err)
	}
	if parts[0].Reason != "a panic" || parts[1].Reason != "" {
		t.Errorf("got parts %+v", parts)
	}
}

func TestWhatANoteFailsToSayHidesNoFile(t *testing.T) {
	for name, text := range map[string]string{"missing": "", "no JSON": "{", "of something else": `{"faults": 3}`} {
		t.Run(name, func(t *testing.T) {
			s := querytest.New(t)
			put(t, s, "a1", quarantine.Fault{Block: -1, Chunk: -1, Reason: "damaged"})
			e := list(t, s)[0]
			note := e.Path + ".reason.json"
			if err := s.FS.Remove(t.Context(), note); err != nil {
				t.Fatal(err)
			}
			if text != "" {
				storetest.Put(t, s.FS, note, []byte(text))
			}
			entries := list(t, s)
			if len(entries) != 1 || entries[0].Path != e.Path || entries[0].Reason() == "" || entries[0].Reason() == "damaged" {
				t.Errorf("got %+v", entries)
			}
		})
	}
}

func TestAReleaseReplacesNothingAndTakesNothingElse(t *testing.T) {
	s := querytest.New(t)
	from := put(t, s, "a1", quarantine.Fault{Block: -1, Chunk: -1, Reason: "damaged"})
	e := list(t, s)[0]
	storetest.Put(t, s.FS, from, []byte("another"))
	if _, err := quarantine.Release(t.Context(), s.FS, e.Path); !errors.Is(err, quarantine.ErrTaken) {
		t.Errorf("over a file in raw/: got %v, want ErrTaken", err)
	}
	if got := list(t, s); len(got) != 1 {
		t.Errorf("got %d entries, want the one that could not be released", len(got))
	}
	for _, p := range []string{
		from, "raw/app/../../" + e.Path, "quarantine/app/x.avro", e.Path + ".reason.json", "quarantine", "", "tables/app/metadata/v1.metadata.json",
	} {
		if _, err := quarantine.Release(t.Context(), s.FS, p); err == nil {
			t.Errorf("released %q", p)
		}
	}
	missing := strings.Replace(e.Path, "-c1-", "-c2-", 1)
	if _, err := quarantine.Release(t.Context(), s.FS, missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a file that is not there: got %v, want fs.ErrNotExist", err)
	}
}

func TestPuttingTwiceIsPuttingOnce(t *testing.T) {
	s := querytest.New(t)
	from := put(t, s, "a1", quarantine.Fault{Block: -1, Chunk: -1, Reason: "first"})
	if err := quarantine.Put(t.Context(), s.FS, "app", from, "a2", []quarantine.Fault{{Block: -1, Chunk: -1, Reason: "second"}}); err != nil {
		t.Fatal(err)
	}
	if got := list(t, s); len(got) != 1 || got[0].Reason() != "second" {
		t.Errorf("got %+v", got)
	}
}
