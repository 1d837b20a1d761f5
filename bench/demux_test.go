package bench

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
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

// peer is another engine that makes Parquet of a log, by a script of Python.
type peer struct{ name, script string }

// source is a log, how the demux parses it, and who does the same.
type source struct {
	name, spec string
	write      func(b *testing.B, path string, size int64) int64
	starts     func(line []byte) bool // reports whether a record starts with the line; nil: with each
	peers      []peer
}

// BenchmarkDemux turns logs into Parquet sorted by ts, from sink files, beside
// others that read the same lines from a plain file.
func BenchmarkDemux(b *testing.B) {
	for _, s := range []source{
		{name: "json", spec: "json", write: jsonLog, peers: []peer{{"DuckDB", duckdbJSON}}},
		{name: "access", spec: "combined", write: accessLog, peers: []peer{{"DuckDB", duckdbAccess}, {"Polars", polarsAccess}}},
		{name: "log4j", spec: "log4j", write: stackTraceLog, starts: startsWithYear, peers: []peer{{"DuckDB", duckdbLog4j}, {"Spark", sparkLog4j}}},
	} {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				s.measure(b)
			}
		})
	}
}

func (s *source) measure(b *testing.B) {
	dir := b.TempDir()
	log := filepath.Join(dir, "app.log")
	raw := s.write(b, log, megabytes(b)*1e6)
	var best usage
	for i, p := range s.peers {
		u := run(b, exec.Command(python(b), "-c", p.script, log, filepath.Join(dir, p.name+".parquet")))
		u.show(b, p.name+", a file", raw)
		if i == 0 || u.cpu < best.cpu {
			best = u
		}
		b.Logf("Parquet: %s %.1f MB", p.name, float64(parquetBytes(b, dir))/1e6)
		if err := os.RemoveAll(filepath.Join(dir, p.name+".parquet")); err != nil {
			b.Fatal(err)
		}
	}
	root := filepath.Join(dir, "store")
	ours := demuxLog(b, dir, root, log, s.spec, s.starts)
	ours.show(b, "demux, sink files", raw)
	b.Logf("Parquet: demux %.1f MB", float64(parquetBytes(b, root))/1e6)
	b.ReportMetric(ours.perCPU(raw)/best.perCPU(raw), "xbest/CPU")
	b.ReportMetric(best.wall.Seconds()/ours.wall.Seconds(), "xbest/s")
	b.ReportMetric(ours.perCPU(raw), "MB/CPUs")
	b.ReportMetric(float64(raw)/1e6/ours.wall.Seconds(), "MB/s")
	b.ReportMetric(float64(ours.rss)/1e6, "MB-RSS")
}

// demuxLog puts a log into a store as sink files, and runs the demux over them.
func demuxLog(b *testing.B, dir, root, log, spec string, starts func(line []byte) bool) usage {
	st, err := local.New(root)
	if err != nil {
		b.Fatal(err)
	}
	all, _ := framesAt(b, log, starts)
	publish(b, st, all)
	config := writeConfig(b, dir, fmt.Sprintf("store: file://%s\ndata_dir: %s/data\ndemux: {types: {app: {parser: %s}}}\n", root, dir, spec))
	return run(b, exec.Command(binary(b, "akupara"), "demux", "--once", "--config", config))
}

// python is the interpreter that has the peers.
func python(b *testing.B) string {
	p, err := filepath.Abs(filepath.Join("..", ".tools", "peers", "bin", "python"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(p); err != nil {
		b.Skipf("%v: run make .tools/peers/.complete first", err)
	}
	return p
}

// BenchmarkParquetSize compares the size of data files with what DuckDB writes of
// the same rows in the same order.
func BenchmarkParquetSize(b *testing.B) {
	for _, s := range []struct {
		name  string
		write func(b *testing.B, path string, size int64) int64
	}{
		{"app", jsonLog},
		{"repeating", keyedLog(func(r *rand.Rand) uint64 { return r.Uint64N(20_000) })},
		{"few", keyedLog(func(r *rand.Rand) uint64 { return r.Uint64N(3_000) })},
		{"random", keyedLog(func(r *rand.Rand) uint64 { return r.Uint64() >> 1 })},
		{"skewed", keyedLog(func(r *rand.Rand) uint64 { return uint64(1 / (1e-6 + r.Float64())) })},
	} {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				dir := b.TempDir()
				log, root, copied := filepath.Join(dir, "app.log"), filepath.Join(dir, "store"), filepath.Join(dir, "copy")
				s.write(b, log, megabytes(b)*1e6/4)
				demuxLog(b, dir, root, log, "json", nil)
				if err := os.Mkdir(copied, 0o755); err != nil {
					b.Fatal(err)
				}
				files := filepath.Join(root, "tables", "app", "data", "**", "*.parquet")
				run(b, exec.Command(python(b), "-c", duckdbCopy, files, filepath.Join(copied, "peer.parquet")))
				ours, peer := parquetBytes(b, root), parquetBytes(b, copied)
				b.Logf("DuckDB %.1f MB, ours %.1f MB", float64(peer)/1e6, float64(ours)/1e6)
				b.ReportMetric(float64(ours)/float64(peer), "xDuckDB-size")
			}
		})
	}
}
