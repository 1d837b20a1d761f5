package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store/local"
)

// dayStart is when the rows of a filled table begin.
var dayStart = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

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
		fillHour(build, rnd, dayStart.Add(time.Duration(hour)*time.Hour), n/24)
		c := table.Commit{RunID: fmt.Sprintf("%08d-bench", t.Version()+1), Columns: build.Columns(), Delta: coverage.Set{}}
		create := func(ctx context.Context, hour int64, n int) (io.WriteCloser, string, error) {
			p := table.DataPath("app", int(hour), c.RunID, n)
			w, err := st.Create(ctx, p)
			return w, p, err
		}
		files, err := build.WriteFiles(b.Context(), create, t.PlanColumns(build.Columns()), rows.Layout{})
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range files {
			c.Files = append(c.Files, table.DataFile{Path: f.Path, Hour: int(f.Hour), Stats: f.Stats})
		}
		if t, err = t.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	return root
}

// fillHour adds n rows of one hour, of twenty hosts.
func fillHour(build *rows.Builder, rnd *rand.Rand, from time.Time, n int) {
	trace, status, took := build.Typed("trace_id", schema.String), build.Typed("status", schema.Long), build.Typed("took_ms", schema.Double)
	step := time.Hour.Microseconds() / int64(n)
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
		trace.String(fmt.Appendf(nil, "%016x%016x", rnd.Uint64(), rnd.Uint64()))
		status.Long(int64(200 + 100*(rnd.IntN(10)/8)))
		took.Double(float64(rnd.IntN(1_000_000))/1000, nil)
	}
}

func BenchmarkFill(b *testing.B) { fillDay(b, tableRows(b)) }
