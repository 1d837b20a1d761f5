package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store/storetest"
)

func run(t *testing.T, s *querytest.Store) audit.Report {
	t.Helper()
	r, err := audit.Run(t.Context(), s.FS, s.URI, s.Engine(t, query.Options{}), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ranges(list []audit.Range) string {
	var out []string
	for _, r := range list {
		out = append(out, fmt.Sprintf("%s[%d,%d)", r.Stream, r.First, r.Last))
	}
	return strings.Join(out, " ")
}

const ten = "123456789\n" // a line of 10 bytes

func data(stream string, first int64, lines int) chunk.Chunk {
	return querytest.Data("app", stream, first, strings.Repeat(ten, lines))
}

func fact(stream string, kind chunk.Kind, first, last int64) chunk.Chunk {
	return querytest.Fact("app", stream, kind, first, last)
}

func TestGapsAreWhatNeitherTablesNorSinkFilesNorFactsExplain(t *testing.T) {
	for name, c := range map[string]struct {
		table, sink         []chunk.Chunk
		gaps, lost, dropped string
		records, bytes      int64
		unpublished         int64
	}{
		"an empty store":                     {},
		"whole":                              {table: []chunk.Chunk{data("s", 0, 3), data("s", 30, 2)}, records: 5, bytes: 50},
		"a hole in the table":                {table: []chunk.Chunk{data("s", 0, 1), data("s", 30, 1)}, gaps: "s[10,30)", records: 2, bytes: 20},
		"two holes":                          {table: []chunk.Chunk{data("s", 10, 1), data("s", 30, 1)}, gaps: "s[0,10) s[20,30)", records: 2, bytes: 20},
		"a late start that nobody told":      {table: []chunk.Chunk{data("s", 50, 1)}, gaps: "s[0,50)", records: 1, bytes: 10},
		"a late start as told":               {table: []chunk.Chunk{fact("s", chunk.Begin, 50, 50), data("s", 50, 1)}, records: 1, bytes: 10},
		"told to start, something missing":   {table: []chunk.Chunk{fact("s", chunk.Begin, 50, 50), data("s", 70, 1)}, gaps: "s[50,70)", records: 1, bytes: 10},
		"a hole that a sink file fills":      {table: []chunk.Chunk{data("s", 0, 1), data("s", 30, 1)}, sink: []chunk.Chunk{data("s", 10, 2)}, records: 2, bytes: 20, unpublished: 20},
		"a sink file that opens a hole":      {table: []chunk.Chunk{data("s", 0, 1)}, sink: []chunk.Chunk{data("s", 20, 1)}, gaps: "s[10,20)", records: 1, bytes: 10, unpublished: 10},
		"a sink file that the table holds":   {table: []chunk.Chunk{data("s", 0, 3)}, sink: []chunk.Chunk{data("s", 10, 1)}, records: 3, bytes: 30},
		"a sink file that comes twice":       {sink: []chunk.Chunk{data("s", 0, 2), data("s", 10, 2)}, unpublished: 30},
		"a sink file of another stream":      {table: []chunk.Chunk{data("s", 0, 1)}, sink: []chunk.Chunk{data("t", 10, 1)}, gaps: "t[0,10)", records: 1, bytes: 10, unpublished: 10},
		"a fact that is only in a sink file": {table: []chunk.Chunk{data("s", 50, 1)}, sink: []chunk.Chunk{fact("s", chunk.Begin, 50, 50)}, records: 1, bytes: 10},
		"a missing end":                      {table: []chunk.Chunk{data("s", 0, 1), fact("s", chunk.End, 30, 30)}, gaps: "s[10,30)", records: 1, bytes: 10},
		"an end that was reached":            {table: []chunk.Chunk{data("s", 0, 3), fact("s", chunk.End, 30, 30)}, records: 3, bytes: 30},
		"lost is no gap":                     {table: []chunk.Chunk{data("s", 0, 1), fact("s", chunk.Lost, 10, 30), data("s", 30, 1)}, lost: "s[10,30)", records: 2, bytes: 20},
		"dropped is no gap":                  {table: []chunk.Chunk{data("s", 0, 1), fact("s", chunk.Dropped, 10, 30), data("s", 40, 1)}, gaps: "s[30,40)", dropped: "s[10,30)", records: 2, bytes: 20},
		"lost, and yet it came":              {table: []chunk.Chunk{data("s", 0, 2), fact("s", chunk.Lost, 10, 30)}, lost: "s[20,30)", records: 2, bytes: 20},
	} {
		t.Run(name, func(t *testing.T) {
			s := querytest.New(t)
			if len(c.table) > 0 {
				s.Commit(t, "raw", c.table...)
			}
			if len(c.sink) > 0 {
				s.Publish(t, c.sink...)
			}
			r := run(t, s)
			if got := ranges(r.Gaps); got != c.gaps {
				t.Errorf("gaps: got %s, want %s", got, c.gaps)
			}
			if got := ranges(r.Lost); got != c.lost {
				t.Errorf("lost: got %s, want %s", got, c.lost)
			}
			if got := ranges(r.Dropped); got != c.dropped {
				t.Errorf("dropped: got %s, want %s", got, c.dropped)
			}
			if r.Records != c.records || r.Bytes != c.bytes || r.Unpublished != c.unpublished {
				t.Errorf("got %d records, %d bytes, %d unpublished; want %d, %d, %d", r.Records, r.Bytes, r.Unpublished, c.records, c.bytes, c.unpublished)
			}
			if r.OK() != (c.gaps == "") {
				t.Errorf("OK: got %v with gaps %q", r.OK(), c.gaps)
			}
		})
	}
}

func TestRowsWrittenTwiceAreOverlaps(t *testing.T) {
	s := querytest.New(t)
	s.Commit(t, "raw", data("s", 0, 5))
	s.Commit(t, "raw", data("t", 0, 5))
	if r := run(t, s); !r.OK() || r.Streams != 2 {
		t.Errorf("before: got %+v", r)
	}
	s.Commit(t, "raw", data("s", 20, 2))
	s.Commit(t, "raw", data("t", 40, 1))
	s.Commit(t, "raw", data("t", 40, 1))
	r := run(t, s)
	if got, want := ranges(r.Overlaps), "s[20,30) s[30,40) t[40,41)"; got != want || r.OverlapsTotal != 3 || r.OK() {
		t.Errorf("got %s (%d), want %s", got, r.OverlapsTotal, want)
	}
	if o := r.Overlaps[0]; o.Host != "h1" || o.Source != "/var/log/s" || o.Type != "app" {
		t.Errorf("got %+v", o)
	}
}

func TestManyOverlapsAreCountedAndSomeListed(t *testing.T) {
	s := querytest.New(t)
	for range 2 {
		s.Commit(t, "raw", data("s", 0, audit.MaxOverlaps+500))
	}
	r := run(t, s)
	if len(r.Overlaps) != audit.MaxOverlaps || r.OverlapsTotal != audit.MaxOverlaps+500 {
		t.Errorf("got %d of %d, want %d of %d", len(r.Overlaps), r.OverlapsTotal, audit.MaxOverlaps, audit.MaxOverlaps+500)
	}
}

func TestTablesOfAllTypesAreAuditedAlsoAfterTheirColumnsChanged(t *testing.T) {
	s := querytest.New(t)
	a, b := `{"m":1}`+"\n", `{"m":1,"added":"x"}`+"\n"
	s.Commit(t, "json", querytest.Data("my-app", "j", 0, a))
	s.Commit(t, "json", querytest.Data("my-app", "j", int64(len(a)), b))
	s.Commit(t, "raw", data("s", 0, 5))
	s.Publish(t, querytest.Data("other", "o", 0, ten))
	r := run(t, s)
	if !r.OK() || r.Streams != 3 || r.Records != 7 || r.Bytes != int64(len(a)+len(b)+50) || r.Unpublished != 10 {
		t.Errorf("got %+v", r)
	}
}

func TestUnreadableSinkFilesAreListed(t *testing.T) {
	s := querytest.New(t)
	s.Publish(t, data("s", 0, 1))
	storetest.Put(t, s.FS, "raw/app/2026-03-01/20260301T100000.000000Z-c1-000099.avro", []byte("garbage"))
	storetest.Put(t, s.FS, "raw/app/2026-03-01/_20260301T100000.000000Z-c1-000098.avro.1.tmp", []byte("garbage"))
	r := run(t, s)
	if len(r.Unreadable) != 1 || !strings.HasSuffix(r.Unreadable[0], "-000099.avro") || r.Unpublished != 10 {
		t.Errorf("got %+v", r)
	}
}

// All that a file in another's place holds may be in the tables: what the other one
// held is not known.
func TestAFileInQuarantineInAnothersPlaceIsUnreadable(t *testing.T) {
	s := querytest.New(t)
	p := s.Publish(t, data("s", 0, 1))
	s.Commit(t, "raw", data("s", 0, 1))
	for want, segment := range []string{path.Base(p), "20260301T100000.000000Z-c1-000099.avro"} {
		to := "quarantine/app/2026-03-01/" + segment
		if err := s.FS.Rename(t.Context(), p, to); err != nil {
			t.Fatal(err)
		}
		p = to
		if r := run(t, s); len(r.Unreadable) != want || r.OK() != (want == 0) {
			t.Errorf("%s: unreadable: %v, want %d; OK: %v", segment, r.Unreadable, want, r.OK())
		}
	}
}

func TestTheJSONFormHasItsKeysAndNoNulls(t *testing.T) {
	s := querytest.New(t)
	r := run(t, s)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"streams":0,"records":0,"bytes":0,"gaps":[],"overlaps":[],"unpublished":0,"overlaps_total":0,"lost":[],"dropped":[],"unreadable":[],"dropped_total":0,"dropped_bytes":0,"filtered":[],"filtered_total":0,"filtered_bytes":0,"forks":[],"forks_total":0,"perhaps_doubled":[],"perhaps_doubled_total":0,"perhaps_doubled_bytes":0,"quarantined":[],"quarantined_total":0,"quarantined_bytes":0,"failing":[],"aside":[],"damaged":[],"hidden":[],"hidden_total":0,"uncovered":[],"uncovered_total":0,"checked_files":0,"checked_bytes":0,"notes":[]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	s.Commit(t, "raw", data("s", 10, 1))
	if b, err = json.Marshal(run(t, s).Gaps); err != nil {
		t.Fatal(err)
	}
	if want := `[{"host":"h1","source":"/var/log/s","stream":"s","first":0,"last":10}]`; string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestTheTextFormNamesWhatIsWrong(t *testing.T) {
	s := querytest.New(t)
	s.Commit(t, "raw", data("s", 10, 1), fact("u", chunk.Lost, 0, 2000), data("u", 2000, 1))
	s.Commit(t, "raw", data("s", 10, 1))
	r := run(t, s)
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 streams, 3 records, 20 bytes in the tables",
		"1 range (10 bytes) missing", "app h1 /var/log/s  stream s  bytes 0 to 10 (10 bytes)",
		"written twice", "1 range (2.0 KiB) lost",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
	if slices.Contains(strings.Split(b.String(), "\n"), "no gaps, no overlaps") {
		t.Errorf("it says that all is well:\n%s", b.String())
	}
}

func TestWhatFiltersDroppedWithinChunksIsToldAsASum(t *testing.T) {
	s := querytest.New(t)
	thinned := data("s", 30, 5)
	thinned.Body = nil
	for i := range int64(5) {
		if i%2 == 0 {
			thinned.AddDrop(30 + 10*i + 10)
		} else {
			thinned.Body = append(thinned.Body, ten...)
		}
	}
	thinned.Reason = "drop rule 1"
	s.Commit(t, "raw", data("s", 0, 3), thinned)
	late := data("s~1", 50, 1)
	late.Reason = coverage.LeftOut
	s.Commit(t, "raw", late)
	r := run(t, s)
	want := []audit.Filtered{{Type: "app", Host: r.Forks[0].Host, Source: r.Filtered[0].Source, Stream: "s", Bytes: 20, By: "drop rule 1"}}
	if !slices.Equal(r.Filtered, want) || r.FilteredTotal != 1 || r.FilteredBytes != 20 || r.DroppedBytes != 20 || r.DroppedTotal != 0 {
		t.Errorf("%+v, %d streams, %d bytes, %d dropped; want 30 bytes, of which 10 came later", r.Filtered, r.FilteredTotal, r.FilteredBytes, r.DroppedBytes)
	}
	if !r.OK() || r.Bytes != 60 || r.Records != 6 {
		t.Errorf("gaps %v, hidden %v, %d bytes, %d records; want no gap, 60 and 6", r.Gaps, r.Hidden, r.Bytes, r.Records)
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "20 bytes of 1 stream dropped by filters") || !strings.Contains(b.String(), "20 bytes by drop rule 1") {
		t.Errorf("%s (%v)", b.String(), err)
	}
}

// Every other line of a file is dropped by a filter, its collector sends some
// of it twice, and one kept line is missing: that alone is a gap.
func TestManyDroppedLinesAreToldFromTheOneThatIsMissing(t *testing.T) {
	const lines = 2*audit.MaxDropped + 500
	const missing = 700 // a kept line
	s := querytest.New(t)
	piece := func(from, to int) (chunks []chunk.Chunk) {
		for i := from; i < to; i++ {
			first := int64(i) * int64(len(ten))
			switch {
			case i == missing:
			case i%2 == 0:
				chunks = append(chunks, data("s", first, 1))
			default:
				f := fact("s", chunk.Dropped, first, first+int64(len(ten)))
				f.Reason = "drop rule 1"
				chunks = append(chunks, f)
			}
		}
		return chunks
	}
	s.Commit(t, "raw", piece(1000, lines)...) // parallel posts come in any order
	s.Commit(t, "raw", piece(0, 1000)...)
	s.Publish(t, piece(900, 1100)...) // again, and not demuxed yet
	r := run(t, s)
	if got, want := ranges(r.Gaps), "s[7000,7010)"; got != want {
		t.Errorf("gaps: got %.200s, want %s", got, want)
	}
	if want := int64(lines / 2); r.DroppedTotal != want || r.DroppedBytes != 10*want || len(r.Dropped) != audit.MaxDropped {
		t.Errorf("dropped: %d ranges, %d bytes, %d listed; want %d, %d and %d", r.DroppedTotal, r.DroppedBytes, len(r.Dropped), want, 10*want, audit.MaxDropped)
	}
	if r.Records != lines/2-1 || r.Unpublished != 0 || len(r.Lost) != 0 || r.OverlapsTotal != 0 {
		t.Errorf("%d records, %d unpublished, %d lost, %d overlaps; want %d and none", r.Records, r.Unpublished, len(r.Lost), r.OverlapsTotal, lines/2-1)
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d ranges (%.1f KiB) dropped by a filter", lines/2, float64(lines/2*10)/1024); !strings.Contains(b.String(), want) {
		t.Errorf("%q is not in:\n%.600s", want, b.String())
	}
}

func TestDroppedBytesThatCameLaterAreRowsAndNotDropped(t *testing.T) {
	s := querytest.New(t)
	s.Commit(t, "raw", fact("s", chunk.Dropped, 0, 30), data("s", 30, 1))
	s.Commit(t, "raw", data("s", 10, 1)) // the rule is gone, the stream was rewound
	r := run(t, s)
	if !r.OK() || r.DroppedBytes != 20 || r.Records != 2 {
		t.Errorf("got %+v, want 20 bytes dropped and two rows", r)
	}
}
