package apptest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// oddNames are keys that mean something to what reads a table, or can't be
// written everywhere.
var oddNames = []string{
	"", " ", "\t", "a b", "a.b", "a..b", ".", "..", "*", "?", "`", "\"", "'", "\\", "/", ";", "--", "a`b\"c'd", "a,b", "a(b)", "a=b", "{}", "[0]",
	"ts", "TS", "host", "Source", "stream", "seq", "level", "message", "parse_error", "tags", "attributes", "Attributes", "ts_hour", "TS_HOUR", "ts_hour.x",
	"tags.key", "tags.value", "attributes.key", "attributes.key_value.value", "key", "value", "element", "list", "map", "key_value", "bag", "array",
	"_file", "_pos", "_deleted", "_spec_id", "_partition", "_row_id", "_last_updated_sequence_number", "_change_type", "_change_ordinal", "_commit_snapshot_id",
	"_metadata", "_metadata.file_path", "_c0", "_1", "filename", "file_row_number", "rowid", "input_file_name", "partition", "spec", "schema", "table", "select", "null", "true", "NaN", "inf",
	"r1", "data_file", "status", "snapshot_id", "sequence_number", "1", "-1", "1e5", "İ", "i̇", "ı", "ß", "ẞ", "ss", "ΑΣ", "ας", "ασ", "K", "k", "ſ", "S",
	"名前", "이름", "имя", "اسم", "नाम", "ชื่อ", "😀", "👨‍👩‍👧", "e\u0301", "é", "\u200b", "\ufeff", "\u202e", "\ufffd", "\ufffe", "\U0010ffff", "\u0000", "\u001f", "\u007f", "\u0085", "\ue000",
	"time", "timestamp", "@timestamp", "severity", "msg", "metric", "type", "cpu", "user", "pid", "process", "client", "name", "labels", "__REALTIME_TIMESTAMP", "MESSAGE", "PRIORITY",
}

// oddRecords makes records of everything: names, types, depths, times, bytes. Each
// has a word of its own, "rec" and its number, as a value that is to be kept.
type oddRecords struct{ *rand.Rand }

func pick[T any](r oddRecords, list ...T) T { return list[r.IntN(len(list))] }

func (r oddRecords) name() string {
	switch r.IntN(12) {
	case 0:
		var b strings.Builder
		for range 1 + r.IntN(12) {
			b.WriteRune(rune(r.IntN(pick(r, 0x80, 0x800, 0x3000, 0x11000, 0x10ffff))))
		}
		return b.String()
	case 1:
		return strings.Repeat(pick(r, "n", "é", "名"), pick(r, 84, 85, 128, 255, 256, 257, 3000, 10_000))
	case 2:
		return fmt.Sprint("k", r.IntN(3000))
	}
	return pick(r, oddNames...)
}

func (r oddRecords) when() string {
	return pick(r, "2026-11-20T10:00:00Z", "2026-11-20T23:59:59.999999999+14:00", "2026-11-21 01:02:03,456", "1764500000", "1764500000.5", "1764500000000", "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-13-01", "Nov 20 10:00:00", "20/Nov/2026:10:00:00 +0000", "99999999999999999999", "-1", "", "soon")
}

func (r oddRecords) number() string {
	return pick(r, "0", "-0", "1", "-1", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e308", "1e309", "5e-324", "0.1", "1.0", "NaN", "Infinity", "-Infinity",
		"123456789012345678901234567890", strconv.FormatInt(int64(r.Uint64()), 10), strconv.FormatFloat(math.Float64frombits(r.Uint64()&^(1<<62)), 'g', -1, 64))
}

func (r oddRecords) text() string {
	b, _ := json.Marshal(pick(r, "", "x", r.when(), r.number(), "a\nb", "\u0000", strings.Repeat("long ", r.IntN(400)), r.name(), `{"a":1}`, "\\x41", `\`, "INFO", "warn"))
	return string(b)
}

func (r oddRecords) value(depth int) string {
	switch r.IntN(9) {
	case 0:
		return "null"
	case 1:
		return pick(r, "true", "false")
	case 2, 3:
		return r.number()
	case 4:
		return "[" + strings.Repeat(r.number()+",", r.IntN(5)) + r.text() + "]"
	case 5, 6:
		if depth < 20 {
			return r.object(depth+1, "")
		}
	}
	return r.text()
}

// object is an object with word as the value of one of its keys.
func (r oddRecords) object(depth int, word string) string {
	n := r.IntN(5)
	var parts []string
	for range n {
		key, _ := json.Marshal(r.name())
		parts = append(parts, string(key)+": "+r.value(depth))
		if r.IntN(8) == 0 {
			parts = append(parts, string(key)+":"+r.value(depth))
		}
	}
	if word != "" {
		key, _ := json.Marshal(r.name())
		inner := strconv.Quote(word)
		for range r.IntN(4) * r.IntN(8) {
			outer, _ := json.Marshal(r.name())
			inner = "{" + string(outer) + ":" + inner + "}"
		}
		parts = append(parts, string(key)+":"+inner)
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (r oddRecords) bytes() string {
	b := make([]byte, r.IntN(60))
	for i := range b {
		if b[i] = byte(r.Uint32()); b[i] == '\n' || b[i] == '\r' || b[i] == '#' {
			b[i] = 0xff
		}
	}
	return string(b)
}

// record is the i-th one, on one line.
func (r oddRecords) record(i int) string {
	word := fmt.Sprintf("rec%dx", i)
	flat := func(s string) string { return strings.NewReplacer("\n", " ", "\r", " ", "\u0085", " ").Replace(s) }
	switch r.IntN(12) {
	case 0, 1, 2, 3, 4:
		return r.object(0, word)
	case 5:
		return flat(fmt.Sprintf(`<%d>1 %s %s app %s id [%s %s="%s"] %s`, r.IntN(300), r.when(), pick(r, "h", "-", "::1"), pick(r, "1", "-"), pick(r, "a@1", "b", strings.Repeat("i", 300)), pick(r, "k", "ts_hour", "tags.key"), word, r.bytes()))
	case 6:
		return flat(fmt.Sprintf("%s %s [%s] %s: %s %s", r.when(), pick(r, "INFO", "WARN", "odd"), pick(r, "main", "x y"), pick(r, "a.B", "?"), word, r.bytes()))
	case 7:
		return flat(fmt.Sprintf(`%s - %s [%s] "GET /%s HTTP/1.1" %s %s "-" "%s"`, pick(r, "1.2.3.4", "::1", "a, b"), pick(r, "-", "u"), r.when(), word, r.number(), r.number(), flat(r.bytes())))
	case 8:
		return flat(fmt.Sprintf(`%s{%s="%s",le="%s"} %s`, pick(r, "m", "m_total", "9"), pick(r, "a", "ts_hour", "tags.key", "a.b"), word, r.number(), r.number()))
	case 9:
		return "2026-11-20T10:00:00.000000001Z " + pick(r, "stdout", "stderr") + " " + pick(r, "F", "P", "X") + " " + pick(r, r.object(0, word), word+flat(r.bytes()))
	case 10:
		return fmt.Sprintf(`{"__REALTIME_TIMESTAMP":"%d","MESSAGE":%s,"PRIORITY":%s,%q:%q}`, r.Uint64(), pick(r, `"x"`, "[120,255]", "null"), r.number(), pick(r, "_PID", "ts_hour", "X"), word)
	}
	return "x " + word + " " + r.bytes()
}

// Whatever records hold, each is in its table, and engines outside the project
// read the same of it.
func TestAnyRecordEndsInATableThatOthersRead(t *testing.T) {
	t.Parallel()
	const n, perChunk = 10_000, 250
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := oddRecords{rand.New(rand.NewPCG(seed, 9))}
	records := make([]string, n)
	for i := range records {
		records[i] = r.record(i)
	}
	parsers := []string{"json", "raw", "syslog", "log4j", "combined", "df", "cri", "journald", "prometheus", "cpu"}
	var types []string
	for _, p := range parsers {
		types = append(types, fmt.Sprintf("any-%s: {parser: %s}", p, p))
	}
	s := &site{types: strings.Join(types, ", ")}
	s.configure(t)
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	ready(t, s.collectorAddr)
	for half := range 2 {
		for _, p := range parsers {
			at := int64(0)
			for from := half * n / 2; from < (half+1)*n/2; from += perChunk {
				c := piece("any-"+p, fmt.Sprint("s", half), at, strings.Join(records[from:from+perChunk], "\n")+"\n")
				c.Encoding = [...]string{"", "", "", "windows-1252"}[from/perChunk%4]
				at = c.Last
				do(t, "POST", "http://"+s.collectorAddr+"/v1/batches", frame(t, c)).want(t, "a batch", http.StatusOK)
			}
		}
		eventually(t, 2*time.Minute, "all is published", func() bool { return s.collectorStatus(t).WaitingBytes == 0 })
		mustAkupara(t, "demux", "--once", "--config", s.config)
	}
	if rep, code := audit(t, "--config", s.config); code != 0 || len(rep.Gaps)+len(rep.Overlaps) > 0 {
		t.Errorf("audit: exit code %d, %+v", code, rep)
	}
	const sums = "count(*), count(distinct stream || ' ' || cast(seq as string)), coalesce(sum(length(message)), 0), count(parse_error), coalesce(sum(%s), 0)"
	var statements []string
	for _, p := range parsers {
		statements = append(statements, "select "+fmt.Sprintf(sums, "size(map_keys(attributes))")+" from h.tables.`any-"+p+"` where attributes is not null")
	}
	for _, p := range parsers { // all columns
		statements = append(statements, "select count(*) from h.tables.`any-"+p+"` where length(to_json(struct(*))) > 2")
	}
	inSpark := spark(t, "file://"+s.store, statements...)
	for i, p := range parsers {
		var seen struct {
			Rows, Distinct int64
			Words          []int
			Sums           []any
		}
		runPython(t, &seen, filepath.Join("testdata", "words.py"), "file://"+s.store+"/tables/any-"+p, strings.ReplaceAll(fmt.Sprintf(sums, "cardinality(attributes)"), "string", "varchar"))
		missing := 0
		for j, rec := range records {
			if seen.Words[j] != 1 && !(p == "prometheus" && strings.HasPrefix(strings.TrimSpace(rec), "#")) {
				if missing++; missing <= 3 {
					t.Errorf("%s: record %d is in %d rows: %q", p, j, seen.Words[j], rec)
				}
			}
		}
		if missing > 0 || seen.Rows != seen.Distinct || seen.Rows == 0 {
			t.Errorf("%s: %d records are not in one row each; %d rows, %d different", p, missing, seen.Rows, seen.Distinct)
		}
		out := mustAkupara(t, "query", "--config", s.config, "--format", "csv", "select "+strings.ReplaceAll(fmt.Sprintf(sums, "cardinality(attributes)"), "string", "varchar")+` from "any-`+p+`" where attributes is not null`)
		ours := strings.Split(strings.TrimSpace(out), "\n")
		want, _ := json.Marshal(seen.Sums)
		if got := "[" + ours[len(ours)-1] + "]"; got != strings.ReplaceAll(string(want), " ", "") {
			t.Errorf("%s: DuckDB here sees %s, PyIceberg %s", p, got, want)
		}
		rows, _ := json.Marshal(inSpark[i])
		if got := strings.Trim(string(rows), "[]"); got != strings.Trim(string(want), "[]") {
			t.Errorf("%s: Spark sees %s, PyIceberg %s", p, got, want)
		}
		if got := fmt.Sprint(inSpark[len(parsers)+i]); got != fmt.Sprintf("[[%d]]", seen.Rows) {
			t.Errorf("%s: Spark reads %s rows with all columns, want %d", p, got, seen.Rows)
		}
	}
}
