package parse

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/rows/rowstest"
	"github.com/akupara/akupara/demux/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

var readTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func body(s string) *chunk.Chunk {
	return &chunk.Chunk{Type: "t", Host: "h", Source: "/s", Stream: "st", Last: int64(len(s)), Time: readTime, Body: []byte(s)}
}

func mustNew(t testing.TB, spec string, o Options) Parser {
	t.Helper()
	s, problems := ReadText(spec)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type memFile struct{ bytes.Buffer }

func (*memFile) Close() error { return nil }

// table writes b's rows and reads them back, in the order of seq. Columns that
// are null in a row are left out.
func table(t testing.TB, b *rows.Builder) []map[string]string {
	t.Helper()
	if b.Len() == 0 {
		return nil
	}
	var mem []*memFile
	_, err := b.WriteFiles(context.Background(), func(context.Context, int64, int) (io.WriteCloser, string, error) {
		mem = append(mem, &memFile{})
		return mem[len(mem)-1], "x", nil
	}, schema.Plan(nil, b.Columns(), 0), rows.Layout{})
	if err != nil {
		t.Fatalf("write files: %v", err)
	}
	var out []map[string]string
	for _, m := range mem {
		got, err := rowstest.Read(m.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, got...)
	}
	for _, r := range out {
		micros, _ := strconv.ParseInt(r["ts"], 10, 64)
		r["ts"] = time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.999999Z")
		maps.DeleteFunc(r, func(_, v string) bool { return v == rowstest.Null || v == "" })
	}
	slices.SortStableFunc(out, func(x, y map[string]string) int {
		i, _ := strconv.Atoi(x["seq"])
		j, _ := strconv.Atoi(y["seq"])
		return i - j
	})
	return out
}

// parsed returns the rows of one chunk.
func parsed(t testing.TB, name string, o Options, c *chunk.Chunk, keep chunk.Ranges) []map[string]string {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	b := rows.NewBuilder(rows.Options{NewTime: func() func([]byte) (int64, bool, bool) { return NewTime(time.UTC) }})
	if err := mustNew(t, name, o).Parse(t.Context(), c, keep, b); err != nil {
		t.Fatal(err)
	}
	return table(t, b)
}

// TestGolden parses testdata/PARSER.NAME.in as one chunk and compares the rows
// with testdata/PARSER.NAME.golden: the columns of each row that are not null. Where
// there is a testdata/PARSER.NAME.spec, that is the parser's spec.
func TestGolden(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.in")
	if len(files) < 5 {
		t.Fatalf("got %d inputs, want at least one for each parser", len(files))
	}
	for _, in := range files {
		t.Run(filepath.Base(in), func(t *testing.T) {
			raw, err := os.ReadFile(in)
			if err != nil {
				t.Fatal(err)
			}
			name, _, _ := strings.Cut(filepath.Base(in), ".")
			if spec, err := os.ReadFile(strings.TrimSuffix(in, ".in") + ".spec"); err == nil {
				name = string(spec)
			}
			c := body(string(raw))
			switch name {
			case "df", "columns", "top", "ps", "iostat", "vmstat", "netstat", "ss", "lsof": // the output of a run
				c.Borders = []int64{int64(len(raw))}
			}
			var got strings.Builder
			for _, r := range parsed(t, name, Options{}, c, nil) {
				for _, skip := range []string{"host", "source", "stream"} {
					delete(r, skip)
				}
				fmt.Fprintf(&got, "%s @%s\n", r["ts"], r["seq"])
				delete(r, "ts")
				delete(r, "seq")
				for _, k := range slices.Sorted(maps.Keys(r)) {
					fmt.Fprintf(&got, "    %s: %q\n", k, r[k])
				}
			}
			golden := strings.TrimSuffix(in, ".in") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", in, got.String(), want)
			}
		})
	}
}

func TestRecordsPartlyCoveredBecomeParts(t *testing.T) {
	c := body("first\nsecond line\nthird\n")
	c.First, c.Last = 100, 100+c.Last
	got := parsed(t, "raw", Options{}, c, chunk.Ranges{{First: 102, Last: 110}, {First: 118, Last: 124}})
	want := []string{
		"102 rst part of a record: bytes [102,106) of [100,106), the rest is in the table already",
		"106 seco part of a record: bytes [106,110) of [106,118), the rest is in the table already",
		"118 third ",
	}
	var have []string
	for _, r := range got {
		have = append(have, r["seq"]+" "+r["message"]+" "+r["parse_error"])
	}
	if !slices.Equal(have, want) {
		t.Errorf("got %q, want %q", have, want)
	}
}

// However a body is cut in two by what the table holds, no byte is lost or
// doubled: what both parses give is what one gives, but for the part rows.
func TestEveryCutKeepsEveryByte(t *testing.T) {
	text := "2026-01-01 00:00:00,000 INFO [main] a.B: one\n\tat x\n2026-01-01 00:00:01,000 WARN [main] a.B: two\n"
	for cut := int64(1); cut < int64(len(text)); cut++ {
		b := rows.NewBuilder(rows.Options{})
		p := mustNew(t, "log4j", Options{})
		if err := p.Parse(t.Context(), body(text), chunk.Ranges{{First: 0, Last: cut}}, b); err != nil {
			t.Fatal(err)
		}
		if err := p.Parse(t.Context(), body(text), chunk.Ranges{{First: cut, Last: int64(len(text))}}, b); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, r := range table(t, b) {
			if seen[r["seq"]] {
				t.Fatalf("cut at %d: two rows at %s", cut, r["seq"])
			}
			seen[r["seq"]] = true
		}
		if !seen["0"] || cut > 1 && len(seen) > 3 {
			t.Fatalf("cut at %d: got rows at %v", cut, slices.Sorted(maps.Keys(seen)))
		}
	}
}

func TestBordersAreTheRecords(t *testing.T) {
	c := body("a\nb\nc\nd\n")
	c.Borders = []int64{4, 8}
	got := parsed(t, "raw", Options{}, c, nil)
	if len(got) != 2 || got[0]["message"] != "a\nb" || got[1]["message"] != "c\nd" || got[1]["seq"] != "4" {
		t.Errorf("got %v, want two records of two lines", got)
	}
}

func TestRawKeepsEmptyLines(t *testing.T) {
	b := rows.NewBuilder(rows.Options{})
	if err := mustNew(t, "raw", Options{}).Parse(t.Context(), body("a\n\n\r\nb"), nil, b); err != nil {
		t.Fatal(err)
	}
	if b.Len() != 4 || b.Failed() != 0 {
		t.Errorf("got %d rows, %d failed; want 4 and none", b.Len(), b.Failed())
	}
}

func TestEncodingsAreDecoded(t *testing.T) {
	for _, tc := range []struct{ encoding, body, want string }{
		{"ISO-8859-1", "gr\xfc\xdfe\n", "grüße"},
		{"UTF-16LE", "g\x00r\x00\xfc\x00\n\x00", "grü"},
		{"UTF-16BE", "\x00g\x00r\x00\xfc\x00\n", "grü"},
		{"GBK", "\xc4\xe3\xba\xc3\n", "你好"},
		{"no-such", "gr\xfc\n", `gr\xfc`},
		{"", "gr\xfc\\\n", `gr\xfc\\`},
	} {
		c := body(tc.body)
		c.Encoding = tc.encoding
		got := parsed(t, "raw", Options{}, c, nil)
		if len(got) != 1 || got[0]["message"] != tc.want || (got[0]["parse_error"] != "") != strings.Contains(tc.want, `\x`) {
			t.Errorf("%s: got %v, want %q", tc.encoding, got, tc.want)
		}
	}
}

func TestWildTimesCountAsNone(t *testing.T) {
	o := Options{MinTime: readTime.Add(-24 * time.Hour), MaxTime: readTime.Add(time.Hour)}
	got := parsed(t, "json", o, body(`{"ts":"2199-01-01T00:00:00Z","a":1}`+"\n"+`{"ts":0,"time":"2026-03-01T11:00:00Z"}`+"\n"), nil)
	if got[0]["ts"] != "2026-03-01T12:00:00Z" || got[0]["attributes"] != "ts=2199-01-01T00:00:00Z " {
		t.Errorf("a time too late: got %v, want the chunk's and the record's own in attributes", got[0])
	}
	if got[1]["ts"] != "2026-03-01T11:00:00Z" || got[1]["attributes"] != "ts=0 " {
		t.Errorf("a time too early beside a good one: got %v, want the good one", got[1])
	}
	c := body("x\n")
	c.Time = time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := parsed(t, "raw", o, c, nil)[0]; got["ts"] != "2026-03-01T12:59:59.999999Z" || got["attributes"] != "read_time=2199-01-01T00:00:00Z " {
		t.Errorf("a chunk's own wild time: got %v, want the nearest sane one", got)
	}
}

func TestTimezoneIsThatOfTimesWithoutOne(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zone database: ", err)
	}
	for parser, line := range map[string]string{
		"log4j":  "2025-07-01 12:00:00,500 INFO [m] a.B: x",
		"json":   `{"time":"2025-07-01 12:00:00.5"}`,
		"syslog": "Jul  1 12:00:00.5 host app: x",
	} {
		got := parsed(t, parser, Options{Timezone: berlin}, body(line), nil)[0]
		if got["ts"] != "2025-07-01T10:00:00.5Z" {
			t.Errorf("%s: got %s, want 10:00 UTC", parser, got["ts"])
		}
	}
}

func TestSyslogYearIsTheLastThatFits(t *testing.T) {
	for line, want := range map[string]string{
		"Mar  2 11:00:00 h a: x": "2026-03-02T11:00:00Z", // within a day after
		"Mar  2 13:00:00 h a: x": "2025-03-02T13:00:00Z",
		"Dec 31 23:59:59 h a: x": "2025-12-31T23:59:59Z",
		"Feb 29 01:00:00 h a: x": "2024-02-29T01:00:00Z",
	} {
		if got := parsed(t, "syslog", Options{}, body(line), nil)[0]["ts"]; got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	for typ, want := range map[string]string{"cpu": "cpu", "df": "df", "network": "network", "hadoop": "raw", "syslog": "syslog", "pods": "cri"} {
		if got := DefaultFor(typ); got != want {
			t.Errorf("%s: got %s, want %s", typ, got, want)
		}
		if !slices.Contains(Names(), DefaultFor(typ)) {
			t.Errorf("%s: its parser %s is not known", typ, DefaultFor(typ))
		}
	}
}

func TestMetricsTablesHaveAllColumnsAtOnce(t *testing.T) {
	b := rows.NewBuilder(rows.Options{})
	c := body(`{"ts":"2026-03-01T11:00:00Z","load1":1,"procs_total":7}` + "\n")
	if err := mustNew(t, "load", Options{}).Parse(t.Context(), c, nil, b); err != nil {
		t.Fatal(err)
	}
	if got := len(b.Columns()); got != 5 {
		t.Errorf("got %d columns, want the 5 of load", got)
	}
	if got := table(t, b)[0]; got["load1"] != "1" || got["procs_total"] != "7" || got["ts"] != "2026-03-01T11:00:00Z" || got["attributes"] != "" {
		t.Errorf("got %v", got)
	}
}

func TestAParserMayServeSeveralBuilders(t *testing.T) {
	p := mustNew(t, "json", Options{})
	x, y := rows.NewBuilder(rows.Options{}), rows.NewBuilder(rows.Options{})
	for range 2 {
		if err := p.Parse(t.Context(), body(`{"a":1}`), nil, x); err != nil {
			t.Fatal(err)
		}
		if err := p.Parse(t.Context(), body(`{"a":2}`), nil, y); err != nil {
			t.Fatal(err)
		}
		if a, b := table(t, x)[0]["a"], table(t, y)[0]["a"]; a != "1" || b != "2" {
			t.Errorf("got %s and %s, want 1 and 2", a, b)
		}
		x.Reset()
		y.Reset()
	}
}

// encoded write a text in some encodings that can say it.
var encoded = map[string]func(string) string{
	"":           func(s string) string { return s },
	"ISO-8859-1": func(s string) string { return strings.ReplaceAll(s, "é", "\xe9") },
	"UTF-16LE": func(s string) string {
		var b strings.Builder
		for _, c := range s {
			b.WriteByte(byte(c))
			b.WriteByte(0)
		}
		return b.String()
	},
}

// Objects behind each other are rows whose seq tells them apart, whatever the
// encoding, and below the next record's.
func TestObjectsBehindEachOtherAreRowsOfTheirOwn(t *testing.T) {
	for encoding, encode := range encoded {
		line := encode(`{"time":1772272800,"a":"ééééé"} {"time":1772272801,"a":"éé"}{"time":1772272802,"a":"é"}` + "\n")
		c := body(line + line)
		c.Encoding = encoding
		got := parsed(t, "json", Options{}, c, nil)
		if len(got) != 6 {
			t.Fatalf("%s: got %d rows, want 6", encoding, len(got))
		}
		last := -1
		for i, r := range got {
			seq, _ := strconv.Atoi(r["seq"])
			if seq <= last || (seq < len(line)) != (i < 3) || r["a"] != strings.Repeat("é", [...]int{5, 2, 1}[i%3]) || r["parse_error"] != "" {
				t.Errorf("%s: row %d is %v", encoding, i, r)
			}
			last = seq
		}
	}
}

// The rows of a record lie in it, one behind the other, whatever its encoding.
func TestRowsOfARecordHavePlacesInIt(t *testing.T) {
	const head = "2026-02-28T10:00:00Z std"
	df := "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
	for spec, lines := range map[string][]string{
		"csv":                         {"name,n\n", "é,1\n", "éé,2\n", "\"é\né\",3\n", "é,4\n"},
		"columns":                     {"name n\n", "é 1\n", "éé 2\n", "é 3\n", "é 4\n"},
		"df":                          {df, "é 1 1 1 1% /é\n", "é 1 1 1 1% /\n", "é 1 1 1 1% /\n", "é 1 1 1 1% /\n"},
		"json":                        {`{"a":"é"}`, ` {"a":"é"}`, `{"a":"éé"}`, `{"a":"éé"}` + "\n"},
		"postgres":                    {"2026-02-28 10:00:00 UTC [1] LOG:  é\n", "2026-02-28 10:00:00 UTC [2] LOG:  é\n", "2026-02-28 10:00:00 UTC [3] LOG:  é\n"},
		"cri":                         {head + "out F é\n", head + "err F é\n", "é\n", "é\n"},
		"{parser: cri, message: csv}": {head + "out F é,1\n", head + "err F é,1\n", head + "out F é,2\n", head + "err F éé,2\n"},
	} {
		for encoding, encode := range encoded {
			record := encode(strings.Join(lines, ""))
			c := body(record + record)
			c.Encoding, c.Borders, c.Tags = encoding, []int64{int64(len(record)), int64(2 * len(record))}, map[string]string{"multiline": "true"}
			p, b := mustNew(t, spec, Options{}), rows.NewBuilder(rows.Options{})
			if err := p.Parse(t.Context(), c, nil, b); err != nil {
				t.Fatal(err)
			}
			got := table(t, b)
			if len(got)%2 != 0 || len(got) < 4 {
				t.Fatalf("%s, %s: got %v", spec, encoding, got)
			}
			last := -1
			for i, row := range got {
				seq, _ := strconv.Atoi(row["seq"])
				if seq <= last || seq/len(record) != i/(len(got)/2) {
					t.Errorf("%s, %s: row %d of %d is at %d, behind %d, in records of %d", spec, encoding, i, len(got), seq, last, len(record))
				}
				last = seq
			}
		}
	}
}
