package table

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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
