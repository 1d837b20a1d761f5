package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
	"github.com/klauspost/compress/zstd"
)

// putSink writes a sink file of a batch for each group of bodies; each body is a
// chunk, at is how far its stream has come.
func putSink(b *testing.B, root, stream string, enc *zstd.Encoder, at *int64, batches ...[][]byte) {
	b.Helper()
	putSinks++
	segment := store.NewSegment(time.Now(), "bench", putSinks)
	index := chunk.Index{Type: "app", Segment: string(segment)}
	var blocks [][]byte
	for _, bodies := range batches {
		builder := chunk.NewBuilder("agent", "app")
		for _, body := range bodies {
			c := chunk.Chunk{
				Type: "app", Host: "host", Source: "/log/" + stream, Stream: stream,
				First: *at, Last: *at + int64(len(body)), Time: time.Now(), Body: body,
			}
			if err := builder.Add(&c); err != nil {
				b.Fatal(err)
			}
			*at = c.Last
		}
		batch := builder.Finish(enc, nil)
		index.Add(&batch)
		blocks = append(blocks, batch.Block)
	}
	var file bytes.Buffer
	w, err := chunk.NewSinkWriter(&file, &index)
	if err != nil {
		b.Fatal(err)
	}
	for _, block := range blocks {
		if err := w.WriteBlock(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		b.Fatal(err)
	}
	p := filepath.Join(root, store.SinkPath(store.Raw, "app", segment))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(p, file.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
}

var putSinks uint64

// demuxOnce runs the demux over the store at root.
func demuxOnce(b *testing.B, dir, root string) usage {
	b.Helper()
	config := writeConfig(b, dir, fmt.Sprintf("store: file://%s\ndata_dir: %s/data\ndemux: {types: {app: {parser: json}}}\n", root, dir))
	return run(b, exec.Command(binary(b, "akupara"), "demux", "--once", "--config", config))
}

// line is a JSON line of about 100 bytes.
func line(i int) []byte {
	return fmt.Appendf(nil, `{"ts":"2026-01-02T%02d:%02d:%02d.%06dZ","level":"INFO","msg":"request %d was handled","took_ms":%d}`+"\n",
		i/36e5%24, i/6e4%60, i/1e3%60, i%1000*1000, i, i%977)
}

// BenchmarkDemuxSmallFiles brings many sink files of about 1 kB into a table, as a
// collector publishes them that waits for nothing.
func BenchmarkDemuxSmallFiles(b *testing.B) {
	files := number(b, "AKUPARA_BENCH_FILES", 100_000)
	enc, err := chunk.NewEncoder()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		dir := b.TempDir()
		root := filepath.Join(dir, "store")
		at := make([]int64, 100)
		for i := range int(files) {
			s := i % len(at)
			body := append(append(line(3*i), line(3*i+1)...), line(3*i+2)...)
			putSink(b, root, fmt.Sprint("stream-", s), enc, &at[s], [][]byte{body})
		}
		u := demuxOnce(b, dir, root)
		b.Logf("%d sink files: %v, %v of processor time, %.0f MB peak RSS", files, u.wall.Round(time.Millisecond), u.cpu.Round(time.Millisecond), float64(u.rss)/1e6)
		b.ReportMetric(u.cpu.Seconds()*1e3/float64(files), "ms-CPU/file")
		b.ReportMetric(float64(u.rss)/1e6, "MB-RSS")
	}
}

// BenchmarkDemuxSingleLines brings sink files into a table whose every line is a
// chunk of its own, as a filter makes them that drops every other line.
func BenchmarkDemuxSingleLines(b *testing.B) {
	files := number(b, "AKUPARA_BENCH_LINE_FILES", 16)
	enc, err := chunk.NewEncoder()
	if err != nil {
		b.Fatal(err)
	}
	const perBatch, batches = 1 << 15, 8
	for b.Loop() {
		dir := b.TempDir()
		root := filepath.Join(dir, "store")
		var raw, at int64
		for i := range int(files) {
			var all [][][]byte
			for j := range batches {
				bodies := make([][]byte, perBatch)
				for k := range bodies {
					bodies[k] = line((i*batches+j)*perBatch + k)
					raw += int64(len(bodies[k]))
				}
				all = append(all, bodies)
			}
			putSink(b, root, "stream", enc, &at, all...)
		}
		u := demuxOnce(b, dir, root)
		u.show(b, fmt.Sprint("single lines, ", files, " files"), raw)
		b.ReportMetric(u.perCPU(raw), "MB/CPUs")
		b.ReportMetric(float64(u.rss)/1e6, "MB-RSS")
	}
}
