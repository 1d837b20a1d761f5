package audit_test

import (
	"os"
	"path"
	"strings"
	"testing"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store"
)

func TestADeepAuditFindsEachFlippedBit(t *testing.T) {
	s := querytest.New(t)
	s.Commit(t, "raw", data("s", 0, 30))
	raw := s.Publish(t, data("s", 300, 3))
	archived := strings.Replace(s.Publish(t, data("t", 0, 3)), store.Raw, store.Archive, 1)
	if err := s.FS.Rename(t.Context(), strings.Replace(archived, store.Archive, store.Raw, 1), archived); err != nil {
		t.Fatal(err)
	}
	told := 0
	deep := audit.Options{CacheDir: t.TempDir(), Deep: true, Progress: func(what string, done, total int64) {
		if told++; what == "" || done > total {
			t.Errorf("progress: %s, %d of %d", what, done, total)
		}
	}}
	shallow := audit.Options{CacheDir: deep.CacheDir}
	if r := runIn(t, s, deep); !r.OK() || r.CheckedFiles != 3 || r.CheckedBytes == 0 || told != 3 {
		t.Fatalf("told %d times, got %+v", told, r)
	}
	if r := runIn(t, s, shallow); !r.OK() || r.CheckedFiles != 0 {
		t.Fatalf("got %+v", r)
	}
	for _, p := range []string{dataFile(t, s), raw, archived} {
		whole, err := os.ReadFile(onDisk(s, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, 9, len(whole) / 3, len(whole) / 2, len(whole) - 20, len(whole) - 5} {
			b := append([]byte{}, whole...)
			b[at] ^= 1 << (at % 8)
			if err := os.WriteFile(onDisk(s, p), b, 0o644); err != nil {
				t.Fatal(err)
			}
			r := runIn(t, s, deep)
			named := len(r.Damaged) > 0 && r.Damaged[0].Path == p || len(r.Unreadable) > 0 && r.Unreadable[0] == p
			if r.OK() || !named {
				t.Errorf("%s, byte %d: got %+v %v", path.Base(p), at, r.Damaged, r.Unreadable)
			}
		}
		if err := os.WriteFile(onDisk(s, p), whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// A whole file in another's place.
	other := strings.Replace(archived, "-c1-", "-c2-", 1)
	b, err := os.ReadFile(onDisk(s, archived))
	if err == nil {
		err = os.WriteFile(onDisk(s, other), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := runIn(t, s, deep); r.OK() || len(r.Damaged) != 1 || r.Damaged[0].Path != other || !strings.Contains(r.Damaged[0].Why, "in another's place") {
		t.Errorf("got %+v", r.Damaged)
	}
}

func TestADeepAuditComparesRowsWithWhatTheirFileSays(t *testing.T) {
	for name, c := range map[string]struct {
		chunks            []chunk.Chunk
		say               func(chunk.Range) chunk.Range // what is said of a chunk
		damaged, overlaps string
	}{
		"all is right":         {chunks: []chunk.Chunk{data("s", 0, 3), data("s", 50, 2), data("t", 0, 1)}},
		"a row too many":       {chunks: []chunk.Chunk{data("s", 0, 3)}, say: func(r chunk.Range) chunk.Range { return chunk.Range{First: r.First, Last: 15} }, damaged: "it has 1 rows that its footer knows nothing of: stream s at byte 20"},
		"rows twice in it":     {chunks: []chunk.Chunk{data("s", 0, 3), data("t", 0, 1), data("s", 10, 1)}, overlaps: "s[10,20)"},
		"a stream not told":    {chunks: []chunk.Chunk{data("t", 0, 1), data("s", 5, 3)}, say: func(r chunk.Range) chunk.Range { return chunk.Range{First: r.First, Last: r.Last - 8*r.First} }, damaged: "footer knows nothing of: stream s at byte 5"},
		"two streams, one off": {chunks: []chunk.Chunk{data("t", 0, 3), data("s", 7, 3)}, say: func(r chunk.Range) chunk.Range { return chunk.Range{First: 0, Last: r.Last - r.First%2*20} }, damaged: "stream s at byte 27"},
	} {
		t.Run(name, func(t *testing.T) {
			s := querytest.New(t)
			s.Say = c.say
			s.Commit(t, "raw", c.chunks...)
			r := runIn(t, s, audit.Options{Deep: true})
			got := ""
			for _, d := range r.Damaged {
				if d.Kind == string(table.KindDataFile) {
					got = d.Why
				}
			}
			if !strings.Contains(got, c.damaged) || (got == "") != (c.damaged == "") {
				t.Errorf("damaged: got %q, want %q", got, c.damaged)
			}
			if got := ranges(r.Overlaps); got != c.overlaps {
				t.Errorf("overlaps: got %q, want %q", got, c.overlaps)
			}
		})
	}
}
