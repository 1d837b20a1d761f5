package table

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/schema"
)

// python returns the interpreter with the independent readers, which
// deploy/hadoop/readers.sh installs.
func python(t *testing.T) string {
	t.Helper()
	tools := os.Getenv("AKUPARA_TOOLS_DIR")
	if tools == "" {
		tools = filepath.Join("..", "..", ".tools")
	}
	p := filepath.Join(tools, "venv", "bin", "python")
	if _, err := os.Stat(filepath.Join(tools, "venv", ".complete")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the readers are not installed, run deploy/hadoop/readers.sh: %v", err)
		}
		t.Skipf("SKIPPED: no independent reader has read the table; run deploy/hadoop/readers.sh: %v", err)
	}
	return p
}

const readScript = `
import json, sys
from pyiceberg.table import StaticTable
t = StaticTable.from_metadata(sys.argv[1])
pruned = "ts >= '2026-03-01T10:10:00+00:00' and ts < '2026-03-01T10:30:00+00:00'"
arrow = t.scan().to_arrow()
con = t.scan().to_duckdb("t")
con.execute("SET enable_progress_bar = false") # it would go to stdout
rows = con.execute("""select count(*), count(distinct stream || '/' || seq), sum(seq)::bigint, count(ok), count(parse_error),
    count(*) filter (tags['key 0'] = 'value 0'), epoch_us(min(ts)), max(host) from t""").fetchone()
json.dump({
    "rows": arrow.num_rows,
    "files": len(list(t.scan().plan_files())),
    "pruned": len(list(t.scan(row_filter=pruned).plan_files())),
    "prunedRows": t.scan(row_filter=pruned).to_arrow().num_rows,
    "prunedByStream": len(list(t.scan(row_filter="stream == 'none'").plan_files())),
    "columns": [f.name for f in t.schema().fields],
    "partition": [f.name + ":" + str(f.transform) for f in t.spec().fields],
    "sorted": [str(f.transform) + ":" + str(f.source_id) for f in t.sort_order().fields],
    "format": t.metadata.format_version,
    "runs": [s.summary["akupara.run"] for s in t.metadata.snapshots],
    "old": t.scan(snapshot_id=t.metadata.snapshots[0].snapshot_id).to_arrow().num_rows,
    "duckdb": [str(v) for v in rows],
}, sys.stdout)
`

func TestPyIcebergAndDuckDBReadTheTable(t *testing.T) {
	py := python(t)
	w := openLocal(t)
	tbl := w.open(t, w)
	const n = 8
	var wantRuns []string
	for i := range n {
		var added []schema.Column
		if i >= n/2 { // a column that the first files do not have
			added = []schema.Column{{Name: "ok", Type: schema.Boolean}, {Name: "req.took", Type: schema.Double}}
		}
		run := fmt.Sprintf("run-%d", i)
		tbl = mustCommit(t, parquetStore{w}, tbl, run, i, added...)
		wantRuns = append(wantRuns, run)
	}
	got := readByOthers(t, py, w, tbl)
	sum := 0
	for i := range n {
		for j := range 10 {
			sum += i*100 + j*10
		}
	}
	for key, want := range map[string]any{
		"rows": 80, "files": 8, "pruned": 2, "prunedRows": 20, "prunedByStream": 0, "format": 2, "old": 10,
		"columns":   "[ts host source stream seq level message parse_error tags attributes ok req.took]",
		"partition": "[ts_hour:hour]",
		"sorted":    "[identity:1]",
		"runs":      fmt.Sprint(wantRuns),
		"duckdb":    fmt.Sprintf("[80 80 %d 40 0 1 %d host 90]", sum, start.UnixMicro()),
	} {
		if fmt.Sprint(got[key]) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", key, got[key], want)
		}
	}
}

// readByOthers returns what PyIceberg and DuckDB read.
func readByOthers(t *testing.T, py string, w warehouse, tbl *Table) map[string]any {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), py, "-c", readScript, w.uri+"/"+tbl.MetadataPath())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("read the table: %v", err)
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return got
}

// A table that was rebuilt, above versions that are missing, after a commit by a
// clock that was ahead, is read as any other.
func TestOtherReadersReadARebuiltTable(t *testing.T) {
	py := python(t)
	w := openLocal(t)
	fsys := parquetStore{w}
	tbl := w.open(t, w)
	const n = 6
	added := []schema.Column{{Name: "ok", Type: schema.Boolean}}
	for i := range n {
		tbl = mustCommit(t, fsys, tbl, runName(i), i, added...)
	}
	truth := Content{Columns: tbl.Columns(), Coverage: delta("s", 0, n*100)}
	var err error
	if truth.Files, _, err = tbl.ReadableFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	aheadBy(t, w, w.open(t, w), 25*time.Hour)
	for _, v := range []int{n - 1, n} { // the newest two are lost
		if err := w.Remove(t.Context(), tbl.log.Path(v)); err != nil {
			t.Fatal(err)
		}
	}
	tbl, err = rescue(t.Context(), w, w, truth)
	if err != nil {
		t.Fatal(err)
	}
	tbl = mustCommit(t, fsys, tbl, runName(n), n, added...)
	const rows = 10 * (n + 1)
	sum := 0
	for i := range n + 1 {
		for j := range 10 {
			sum += i*100 + j*10
		}
	}
	got := readByOthers(t, py, w, tbl)
	for key, want := range map[string]any{
		"rows": rows, "files": n + 1, "pruned": 2, "prunedRows": 20, "prunedByStream": 0, "format": 2, "old": 10,
		"duckdb": fmt.Sprintf("[%d %[1]d %d %[1]d 0 1 %[3]d host 90]", rows, sum, start.UnixMicro()),
	} {
		if fmt.Sprint(got[key]) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", key, got[key], want)
		}
	}
	if got, want := sparkReads(t, py, w, ""), fmt.Sprintf("[[%d %[1]d %d]]", rows, sum); got != want {
		t.Errorf("Spark: got %v, want %v", got, want)
	}
}

// A table whose old hours were compacted into files of hours and of a day, which
// is in a partition spec of its own, is read as any other.
func TestOtherReadersReadHoursAndDays(t *testing.T) {
	py := python(t)
	w := openLocal(t)
	fsys := parquetStore{w}
	tbl := w.open(t, w)
	const n = 14
	added := []schema.Column{{Name: "ok", Type: schema.Boolean}}
	for i := range n {
		tbl = mustCommit(t, fsys, tbl, runName(i), i, added...)
	}
	for _, r := range []struct {
		day   bool
		first int
		last  int
	}{{false, 6, 11}, {true, 0, 11}} {
		var err error
		if tbl, err = tbl.Replace(t.Context(), compacted(t, fsys, tbl, r.day, r.first, r.last)); err != nil {
			t.Fatal(err)
		}
	}
	tbl = mustCommit(t, fsys, tbl, runName(n), n, added...)
	const rows = 10 * (n + 1)
	sum := 0
	for i := range n + 1 {
		for j := range 10 {
			sum += i*100 + j*10
		}
	}
	got := readByOthers(t, py, w, tbl)
	for key, want := range map[string]any{
		"rows": rows, "files": 4, "pruned": 0, "prunedByStream": 0, "format": 2, "old": 10, "partition": "[ts_hour:hour]",
		"duckdb": fmt.Sprintf("[%d %[1]d %d %[1]d 0 1 %[3]d host 990]", rows, sum, start.UnixMicro()),
	} {
		if fmt.Sprint(got[key]) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", key, got[key], want)
		}
	}
	if _, err := tbl.Alter(t.Context(), schema.Change{Column: "ok", Name: "fine"}); err != nil {
		t.Fatal(err)
	}
	if got, want := sparkReads(t, py, w, ", count(fine)"), fmt.Sprintf("[[%d %[1]d %d %[1]d]]", rows, sum); got != want {
		t.Errorf("Spark: got %v, want %v", got, want)
	}
}

const sparkScript = `
import sys
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    .config("spark.jars", sys.argv[1])
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.catalog.h", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.h.type", "hadoop")
    .config("spark.sql.catalog.h.warehouse", sys.argv[2])
    .getOrCreate())
row = spark.sql("select count(*), count(distinct stream, seq), sum(seq)" + sys.argv[3] + " from h.tables.hadoop").collect()[0]
print("ROW [[" + " ".join(str(v) for v in row) + "]]")
`

// sparkReads returns the rows, distinct rows, the sum of seq and more that Spark
// reads, through a Hadoop catalog.
func sparkReads(t *testing.T, py string, w warehouse, more string) string {
	t.Helper()
	jar := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(py))), "jars", "iceberg-spark-runtime.jar")
	if _, err := os.Stat(jar); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: Spark's Iceberg is not installed (make readers): %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, py, "-c", sparkScript, jar, w.uri, more)
	cmd.WaitDelay = 5 * time.Second
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		log := errs.String()
		t.Fatalf("spark: %v\n%s", err, log[max(0, len(log)-4000):])
	}
	_, row, _ := strings.Cut(string(out), "ROW ")
	return strings.TrimSpace(row)
}
