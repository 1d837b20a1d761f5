package apptest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

// outsiders are Spark, PyIceberg and DuckDB, in one process that stays: Spark takes
// long to start.
type outsiders struct {
	in  io.Writer
	out *bufio.Scanner
	err string // path of what the process writes beside it
}

// startOutsiders starts them on the tables of a store on HDFS.
func startOutsiders(t *testing.T, store string) *outsiders {
	t.Helper()
	jar := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(python(t)))), "jars", "iceberg-spark-runtime.jar")
	if _, err := os.Stat(jar); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: Spark's Iceberg is not installed (make readers): %v", err)
	}
	o := &outsiders{err: filepath.Join(t.TempDir(), "readers.log")}
	log, err := os.Create(o.err)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python(t), filepath.Join("testdata", "readers.py"), jar, store, webHDFS)
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	o.in, o.out = in, bufio.NewScanner(out)
	o.out.Buffer(nil, 1<<20)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(10*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		in.Close() // they end then
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the readers: %v\n%s", err, tail(o.err, 40))
		}
		log.Close()
	})
	return o
}

// look is what a reader says of a table: its rows, its columns' types, and of each
// column the number of values, the least, the greatest, their sum.
type look map[string]any

// read has each of them read a table. sql is what Akupara is to be asked.
func (o *outsiders) read(t *testing.T, name string) (looks map[string]look, sql string) {
	t.Helper()
	if _, err := fmt.Fprintln(o.in, name); err != nil {
		t.Fatalf("the readers: %v\n%s", err, tail(o.err, 40))
	}
	for o.out.Scan() {
		said, ok := strings.CutPrefix(o.out.Text(), "READ ")
		if !ok {
			continue
		}
		var v struct {
			SQL     string
			Readers map[string]look
		}
		if err := json.Unmarshal([]byte(said), &v); err != nil {
			t.Fatal(err)
		}
		return v.Readers, v.SQL
	}
	t.Fatalf("the readers said nothing: %v\n%s", o.out.Err(), tail(o.err, 40))
	return nil, ""
}

// lore is what the rows of a table are known to be.
type lore struct {
	rows, n, who, sum int
	first, last       time.Time
}

// add returns lines of JSON from a time on, which it takes in: without, with and
// with more keys.
func (l *lore) add(at time.Time, lines, keys int) string {
	var b strings.Builder
	for i := range lines {
		ts := at.Add(time.Duration(i) * time.Minute).Truncate(time.Millisecond)
		fmt.Fprintf(&b, `{"ts":%q,"msg":"line %d","ok":%v,"took":%d.25`, ts.UTC().Format(time.RFC3339Nano), l.rows, i%2 == 0, i)
		switch {
		case keys > 1 && i%2 == 0: // the column stays one of integers
			fmt.Fprintf(&b, `,"n":%d.5`, i)
		case i%3 > 0:
			fmt.Fprintf(&b, `,"n":%d`, i)
			l.n++
			l.sum += i
		}
		if keys > 0 {
			fmt.Fprintf(&b, `,"extra":{"who":"w%d","list":[1,%d]}`, i%7, i)
			l.who++
		}
		if keys > 2 {
			fmt.Fprintf(&b, `,"late":%d.125`, i)
		}
		b.WriteString("}\n")
		if l.rows++; l.first.IsZero() || ts.Before(l.first) {
			l.first = ts
		}
		if ts.After(l.last) {
			l.last = ts
		}
	}
	return b.String()
}

// Every reader sees the same rows and columns of a table on HDFS, whatever was done
// to it.
func TestAllReadersAgreeAfterEachJob(t *testing.T) {
	t.Parallel()
	python(t)
	s := &site{storeURI: storetest.SharedCluster(t), schedule: "@yearly"}
	s.types = "app: {parser: json, retention: {table: 30d}, jobs: {compact: off, expire: off, retain: off}}"
	o := startOutsiders(t, s.storeURI)
	s.configure(t)
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	s.demuxer = start(t, "demux", "akupara", "demux", "--config", s.config)
	ready(t, s.collectorAddr)
	ready(t, s.demuxAddr)

	at := map[string]int64{}
	send := func(stream, text string) {
		t.Helper()
		c := piece("app", stream, at[stream], text)
		at[stream] = c.Last
		do(t, "POST", "http://"+s.collectorAddr+"/v1/batches", frame(t, c)).want(t, "a batch", 200)
		eventually(t, time.Minute, "it is published", func() bool { return s.collectorStatus(t).WaitingBytes == 0 })
		eventually(t, time.Minute, "it is in the table", func() bool {
			_, code := akupara(t, "demux", "--once", "--config", s.config)
			return code == 0
		})
	}
	job := func(args ...string) string {
		t.Helper()
		return mustAkupara(t, append(append([]string{"jobs", "start"}, args...), "--type", "app", "--wait", "--config", s.config)...)
	}
	var before look
	// agree has all readers read the table; same says that no value may have changed.
	agree := func(after string, l lore, same bool) {
		t.Helper()
		looks, sql := o.read(t, "app")
		looks["Akupara"] = s.look(t, sql+"app", looks["DuckDB"])
		got := looks["Spark"]
		for name, other := range looks {
			for key, v := range got {
				if !reflect.DeepEqual(other[key], v) {
					t.Errorf("after %s: %s of %s: got %v, Spark says %v", after, key, name, other[key], v)
				}
			}
			if len(other) != len(got) {
				t.Errorf("after %s: %s has %d columns, Spark %d", after, name, len(other)-2, len(got)-2)
			}
		}
		want := fmt.Sprint([]any{l.rows, l.n, l.sum, l.who, l.first.UnixMicro(), l.last.UnixMicro(), 0})
		value := func(column string, i int) int {
			list, _ := got[column].([]any)
			if i >= len(list) {
				return 0
			}
			n, _ := list[i].(float64)
			return int(n)
		}
		rows, _ := got["rows"].(float64)
		if have := fmt.Sprint([]any{int(rows), value("n", 0), value("n", 3), value("extra.who", 0), value("ts", 1), value("ts", 2), value("parse_error", 0)}); have != want {
			t.Errorf("after %s: rows, values of n, their sum, values of who, first and last ts, errors: got %s, want %s", after, have, want)
		}
		if same && !reflect.DeepEqual(got, before) {
			t.Errorf("after %s: got %v, it was %v", after, got, before)
		}
		before = got
	}

	now := time.Now().Add(-48 * time.Hour).Truncate(24 * time.Hour)
	var all lore
	send("a", all.add(now.AddDate(0, 0, -40), 150, 0))
	old := all
	young := lore{}
	sendYoung := func(stream string, lines, keys int) {
		t.Helper()
		l := young
		text := l.add(now.Add(time.Duration(young.rows)*time.Minute), lines, keys)
		young = l
		send(stream, text)
		all = lore{
			rows: old.rows + l.rows, n: old.n + l.n, sum: old.sum + l.sum, who: l.who, first: old.first, last: l.last,
		}
	}
	sendYoung("b", 100, 0)
	sendYoung("a", 100, 1)
	agree("runs", all, false)
	job("compact")
	agree("compaction", all, true)
	sendYoung("b", 100, 2)
	sendYoung("a", 100, 3)
	agree("runs with new keys", all, false)
	job("compact")
	agree("compaction of files with and without columns", all, true)
	if out := job("redo", "--since", now.Format(time.DateOnly)); !strings.Contains(out, "again") {
		t.Errorf("redo says %s", out)
	}
	agree("a redo", all, true)
	if out := job("retain"); !strings.Contains(out, fmt.Sprintf("dropped %d rows", old.rows)) {
		t.Errorf("retain says %s", out)
	}
	agree("retention", young, false)
	job("expire")
	expireAll(t, s.storeURI, "app")
	agree("expiry", young, true)
	took := before["took"]
	mustAkupara(t, "table", "rename", "app", "took", "duration", "--config", s.config)
	mustAkupara(t, "table", "drop", "app", "late", "--yes", "--config", s.config)
	agree("a column was renamed, and one dropped", young, false)
	if got := before["duration"]; !reflect.DeepEqual(got, took) || before["took"] != nil || before["late"] != nil {
		t.Errorf("the renamed column has %v, want %v; the old names have %v, %v", got, took, before["took"], before["late"])
	}
	sendYoung("b", 100, 3)
	agree("a run with renamed keys", young, false)
	job("compact")
	agree("compaction across the renaming", young, true)
}

// look asks the program itself, in the form that a reader answers in.
func (s *site) look(t *testing.T, sql string, as look) look {
	t.Helper()
	out := mustAkupara(t, "query", "--config", s.config, "--format", "parquet", sql)
	var row []any
	runPython(t, &row, "-c", "import json, sys, duckdb\n"+
		"v = duckdb.execute(f\"from '{sys.argv[1]}'\").fetchone()\n"+
		"print(json.dumps([int(x) if isinstance(x, float) and x.is_integer() else x if x is None or isinstance(x, (int, float, str)) else str(x) for x in v]))",
		writeFile(t, filepath.Join(t.TempDir(), "look.parquet"), out))
	l := look{"rows": row[0], "types": as["types"]}
	types, _ := as["types"].([]any)
	rest := row[1:]
	for _, typ := range types {
		name, _, _ := strings.Cut(fmt.Sprint(typ), " ")
		values, _ := as[name].([]any)
		l[name], rest = rest[:len(values)], rest[len(values):]
	}
	return l
}

// expireAll removes all that a table does not need, as if it had been replaced long ago.
func expireAll(t *testing.T, uri, dataType string) {
	t.Helper()
	st, err := open.Open(uri, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		tbl, err := table.Open(t.Context(), st, uri, dataType)
		if err != nil {
			t.Fatal(err)
		}
		swept, err := tbl.Sweep(t.Context(), table.SweepOptions{Age: -time.Hour, Grace: -time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if !swept.More {
			return
		}
	}
}
