package bench

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
)

// publish writes batches as sink files of about 128 MiB, as a collector does.
func publish(b *testing.B, st store.FS, frames [][]byte) {
	var batches []chunk.Batch
	size, n := 0, uint64(0)
	flush := func() {
		n++
		segment := store.NewSegment(time.Now(), "bench", n)
		index := chunk.Index{Type: "app", Segment: string(segment)}
		for i := range batches {
			index.Add(&batches[i])
		}
		var file bytes.Buffer
		w, err := chunk.NewSinkWriter(&file, &index)
		if err != nil {
			b.Fatal(err)
		}
		for i := range batches {
			if err := w.WriteBlock(batches[i].Block); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Finish(); err != nil {
			b.Fatal(err)
		}
		f, err := st.Create(context.Background(), store.SinkPath(store.Raw, "app", segment))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Write(file.Bytes()); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		batches, size = nil, 0
	}
	for _, f := range frames {
		batch, err := chunk.ParseFrame(f)
		if err != nil {
			b.Fatal(err)
		}
		batches = append(batches, batch)
		if size += len(batch.Block); size > 128<<20 {
			flush()
		}
	}
	if len(batches) > 0 {
		flush()
	}
}

// parquetBytes is the size of all Parquet files below dir.
func parquetBytes(b *testing.B, dir string) int64 { return bytesBelow(b, dir, ".parquet") }

// bytesBelow is the size of all files below dir whose names end so.
func bytesBelow(b *testing.B, dir, ext string) (n int64) {
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(p) == ext {
			info, ierr := d.Info()
			if ierr != nil {
				return ierr
			}
			n += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}

const duckdbScript = `
import duckdb, sys
db = duckdb.connect()
db.execute("SET TimeZone='UTC'")
db.execute("SET threads=2")
db.execute(f"""COPY (SELECT * FROM read_json('{sys.argv[1]}', format='newline_delimited') ORDER BY ts)
  TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)""")
`

// BenchmarkDemux turns JSON lines into Parquet sorted by ts, from sink files,
// beside DuckDB reading the same lines from a plain file.
func BenchmarkDemux(b *testing.B) {
	akupara := binary(b, "akupara")
	python, err := filepath.Abs(filepath.Join("..", ".tools", "venv", "bin", "python"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		b.Skipf("%v: run make readers first", err)
	}
	for b.Loop() {
		dir := b.TempDir()
		log := filepath.Join(dir, "app.json")
		raw := jsonLog(b, log, megabytes(b)*1e6)
		root := filepath.Join(dir, "store")
		st, err := local.New(root)
		if err != nil {
			b.Fatal(err)
		}
		all, _ := frames(b, log)
		publish(b, st, all)

		peer := run(b, exec.Command(python, "-c", duckdbScript, log, filepath.Join(dir, "peer.parquet")))
		config := writeConfig(b, dir, fmt.Sprintf("store: file://%s\ndata_dir: %s/data\ndemux: {types: {app: {parser: json}}}\n", root, dir))
		ours := run(b, exec.Command(akupara, "demux", "--once", "--config", config))

		peerSize, ourSize := parquetBytes(b, dir)-parquetBytes(b, root), parquetBytes(b, root)
		peer.show(b, "DuckDB, JSON file", raw)
		ours.show(b, "demux, sink files", raw)
		b.Logf("Parquet: DuckDB %.1f MB, demux %.1f MB", float64(peerSize)/1e6, float64(ourSize)/1e6)
		b.ReportMetric(ours.perCPU(raw)/peer.perCPU(raw), "xDuckDB/CPU")
		b.ReportMetric(float64(ourSize)/float64(peerSize), "xDuckDB-size")
		b.ReportMetric(ours.perCPU(raw), "MB/CPUs")
		b.ReportMetric(float64(raw)/1e6/ours.wall.Seconds(), "MB/s")
		b.ReportMetric(float64(ours.rss)/1e6, "MB-RSS")
	}
}
