package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store/local"
)

// dayStart is when the rows of a filled table begin.
var dayStart = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// knownTrace is the trace_id of one row of a filled day, in its hour 15.
const knownTrace = "4bf92f3577b34da6a3ce929d0e0e4715"

// tableRows is how many rows tables for queries have.
func tableRows(b *testing.B) int {
	s := os.Getenv("AKUPARA_BENCH_ROWS")
	if s == "" {
		return 20_000_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 24 {
		b.Fatalf("AKUPARA_BENCH_ROWS: %q is not a number from 24 on", s)
	}
	return n
}

// fillDay makes the table app with that many rows of one day, an hour a commit, as
// a demux writes them. AKUPARA_BENCH_STORE names a folder where it stays, and is used
// as it is by the next run.
func fillDay(b *testing.B, n int) (root string) {
	root = os.Getenv("AKUPARA_BENCH_STORE")
	if root == "" {
		root = filepath.Join(b.TempDir(), "store")
	}
	if _, err := os.Stat(filepath.Join(root, "tables", "app")); err == nil {
		return root
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		b.Fatal(err)
	}
	st, err := local.New(root)
	if err != nil {
		b.Fatal(err)
	}
	t, err := table.New(st, (&url.URL{Scheme: "file", Path: root}).String(), "app")
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for hour := range 24 {
		build := rows.NewBuilder(rows.Options{Existing: t.Columns()})
		fillSpan(build, rnd, dayStart.Add(time.Duration(hour)*time.Hour), time.Hour, n/24)
		c := table.Commit{RunID: fmt.Sprintf("%08d-bench", t.Version()+1), Columns: build.Columns(), Delta: coverage.Set{}}
		create := func(ctx context.Context, hour int64, n int) (io.WriteCloser, string, error) {
			p := table.DataPath("app", table.Partition{N: int(hour)}, c.RunID, n)
			w, err := st.Create(ctx, p)
			return w, p, err
		}
		files, err := build.WriteFiles(b.Context(), create, t.PlanColumns(build.Columns()), rows.Layout{})
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range files {
			c.Files = append(c.Files, table.DataFile{Path: f.Path, Partition: table.Partition{N: int(f.Hour)}, Stats: f.Stats})
		}
		if t, err = t.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	return root
}

// fillMinutes makes the table app of n small files, a minute each, as a demux that
// commits every minute leaves them where nothing compacts; a thousand a commit here.
func fillMinutes(b *testing.B, root string, n int) {
	if _, err := os.Stat(filepath.Join(root, "tables", "app")); err == nil {
		return
	}
	st, err := local.New(root)
	if err != nil {
		b.Fatal(err)
	}
	t, err := table.New(st, (&url.URL{Scheme: "file", Path: root}).String(), "app")
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for at := 0; at < n; {
		c := table.Commit{RunID: fmt.Sprintf("%08d-bench", t.Version()+1), Delta: coverage.Set{}}
		var cols []schema.Column
		for end := min(n, at+1000); at < end; at++ {
			build := rows.NewBuilder(rows.Options{Existing: t.Columns()})
			fillSpan(build, rnd, dayStart.Add(time.Duration(at)*time.Minute), time.Minute, 20)
			if cols == nil {
				c.Columns, cols = build.Columns(), t.PlanColumns(build.Columns())
			}
			create := func(ctx context.Context, hour int64, _ int) (io.WriteCloser, string, error) {
				p := table.DataPath("app", table.Partition{N: int(hour)}, c.RunID, at)
				w, err := st.Create(ctx, p)
				return w, p, err
			}
			files, err := build.WriteFiles(b.Context(), create, cols, rows.Layout{})
			if err != nil {
				b.Fatal(err)
			}
			for _, f := range files {
				c.Files = append(c.Files, table.DataFile{Path: f.Path, Partition: table.Partition{N: int(f.Hour)}, Stats: f.Stats})
			}
		}
		if t, err = t.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}

// fillSpan adds n rows of a span of time, of twenty hosts.
func fillSpan(build *rows.Builder, rnd *rand.Rand, from time.Time, span time.Duration, n int) {
	trace, status, took := build.Typed("trace_id", schema.String), build.Typed("status", schema.Long), build.Typed("took_ms", schema.Double)
	step := span.Microseconds() / int64(n)
	var line []byte
	for i := range n {
		if host := i * 20 / n; i == 0 || host != (i-1)*20/n {
			build.Origin(fmt.Sprintf("web-%02d", host), "/var/log/app.json", fmt.Sprintf("s-%02d", host), nil)
		}
		// Each host's rows cover the whole hour.
		at := from.UnixMicro() + (int64(i)*20%int64(n))*step + int64(rnd.IntN(int(step)))
		build.Row(at, int64(i)*300)
		build.SetLevel([]rows.Level{rows.Info, rows.Info, rows.Info, rows.Info, rows.Debug, rows.Warn, rows.Error}[rnd.IntN(7)])
		line = fmt.Appendf(line[:0], "request %d handled by worker-%d of pool %d", rnd.IntN(1_000_000), rnd.IntN(32), rnd.IntN(7))
		build.Message(line)
		if id := fmt.Sprintf("%016x%016x", rnd.Uint64(), rnd.Uint64()); i != n/2 {
			trace.String([]byte(id))
		} else {
			trace.String([]byte(knownTrace[:len(knownTrace)-2] + from.Format("15")))
		}
		status.Long(int64(200 + 100*(rnd.IntN(10)/8)))
		took.Double(float64(rnd.IntN(1_000_000))/1000, nil)
	}
}

// queryScript runs a statement by hand.
const queryScript = `
import duckdb, glob, sys
files = sorted(glob.glob(sys.argv[1]))
db = duckdb.connect()
db.execute("SET TimeZone='UTC'")
db.execute("SET threads=2")
db.execute(f"CREATE VIEW app AS FROM read_parquet({files}, hive_partitioning=false)")
db.execute("SET enable_progress_bar=false")
db.execute(f"COPY ({sys.argv[2]}) TO '/dev/null' (FORMAT csv)")
`

// BenchmarkQuery asks what people ask of a compacted day of 20 million rows, beside
// DuckDB by hand over the same files: Python's newest one, and the one that Akupara
// bundles; over the hours before, which have no bloom filters, where one row is looked
// for. All figures are CPU seconds of whole processes.
func BenchmarkQuery(b *testing.B) {
	akupara, byHand := binary(b, "akupara"), binary(b, "byhand")
	python, err := filepath.Abs(filepath.Join("..", ".tools", "venv", "bin", "python"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		b.Skipf("%v: run make readers first", err)
	}
	root := fillDay(b, tableRows(b))
	compacted := compactedCopy(b, root)
	config := writeConfig(b, b.TempDir(), fmt.Sprintf("store: file://%s\ndata_dir: %s\n", compacted, b.TempDir()))
	for _, q := range []struct{ name, sql string }{
		{"newest-100", "select * from app order by ts desc limit 100"},
		{"newest-100-errors", "select * from app where level = 'ERROR' order by ts desc limit 100"},
		{"by-hour", "select date_trunc('hour', ts) h, count(*) from app group by all order by all"},
		{"by-minute-and-level", "select date_trunc('minute', ts) m, level, count(*) from app group by all order by all"},
		{"one-hour-of-24", "select level, count(*), sum(took_ms) from app where ts >= '2026-01-02 05:00:00' and ts < '2026-01-02 06:00:00' group by all"},
		{"message-like", "select count(*) from app where message like '%request 77777 %'"},
		{"trace-id", "select * from app where trace_id = '" + knownTrace + "'"},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				files := filepath.Join(compacted, "tables", "app", "data", "*", "*-day-*.parquet")
				if q.name == "trace-id" {
					files = filepath.Join(root, "tables", "app", "data", "*", "*.parquet")
				}
				peer := run(b, exec.Command(python, "-c", queryScript, files, q.sql))
				bundled := run(b, exec.Command(byHand, files, q.sql))
				ours := run(b, exec.Command(akupara, "query", "--format", "csv", "--config", config, q.sql))
				b.ReportMetric(ours.cpu.Seconds(), "CPUs")
				b.ReportMetric(peer.cpu.Seconds(), "DuckDB-CPUs")
				b.ReportMetric(peer.cpu.Seconds()/ours.cpu.Seconds(), "xDuckDB")
				b.ReportMetric(bundled.cpu.Seconds(), "bundled-CPUs")
				b.ReportMetric(bundled.cpu.Seconds()/ours.cpu.Seconds(), "xbundled")
			}
		})
	}
}

// compactedCopy copies a store and compacts its table. It stays beside a store that
// stays.
func compactedCopy(b *testing.B, root string) string {
	dir := filepath.Join(b.TempDir(), "compacted")
	if os.Getenv("AKUPARA_BENCH_STORE") != "" {
		dir = root + "-compacted"
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	if err := os.CopyFS(dir, os.DirFS(root)); err != nil {
		b.Fatal(err)
	}
	st, err := local.New(dir)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := compact.Run(b.Context(), compact.Options{FS: st, BaseURI: (&url.URL{Scheme: "file", Path: root}).String(), Type: "app"}); err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkQuerySmallFiles asks for the newest rows of a table of a fortnight of
// small files that nothing has compacted.
func BenchmarkQuerySmallFiles(b *testing.B) {
	akupara := binary(b, "akupara")
	root := filepath.Join(b.TempDir(), "store")
	if err := os.MkdirAll(root, 0o755); err != nil {
		b.Fatal(err)
	}
	fillMinutes(b, root, tableRows(b)/1000)
	config := writeConfig(b, b.TempDir(), fmt.Sprintf("store: file://%s\ndata_dir: %s\n", root, b.TempDir()))
	for b.Loop() {
		ours := run(b, exec.Command(akupara, "query", "--format", "csv", "--config", config, "select * from app order by ts desc limit 3"))
		b.ReportMetric(ours.cpu.Seconds(), "CPUs")
	}
}
