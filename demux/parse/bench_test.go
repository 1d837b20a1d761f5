package parse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// jsonLines makes nested lines of some 312 bytes, as a web service writes them.
func jsonLines(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	t := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	levels := []string{"INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"}
	methods := []string{"GET", "GET", "POST", "PUT"}
	var b bytes.Buffer
	for i := range n {
		t = t.Add(time.Duration(rnd.IntN(20)) * time.Millisecond)
		fmt.Fprintf(&b, `{"ts":"%s","level":"%s","message":"handled request %d for customer %d in shard %d","service":"checkout-%d","trace_id":"%016x%016x","http":{"method":"%s","path":"/api/v1/orders/%d","status":%d,"bytes":%d,"duration_ms":%.3f},"user":{"id":%d,"country":"%s","premium":%v}}`+"\n",
			t.Add(-time.Duration(rnd.IntN(50))*time.Millisecond).Format("2006-01-02T15:04:05.000Z"), levels[rnd.IntN(len(levels))], i, rnd.IntN(100000), rnd.IntN(64),
			rnd.IntN(8), rnd.Uint64(), rnd.Uint64(), methods[rnd.IntN(4)], rnd.IntN(50000), 200+rnd.IntN(5)*50,
			rnd.IntN(100000), rnd.Float64()*500, rnd.IntN(1000000), []string{"DE", "FR", "US", "JP", "IN"}[rnd.IntN(5)], rnd.IntN(4) == 0)
	}
	return b.Bytes()
}

// cut makes chunks of whole lines.
func cut(body []byte, size int) []chunk.Chunk {
	var out []chunk.Chunk
	for at := 0; at < len(body); {
		end := min(at+size, len(body))
		if i := bytes.IndexByte(body[end:], '\n'); i >= 0 {
			end += i + 1
		} else {
			end = len(body)
		}
		out = append(out, chunk.Chunk{
			Type: "bench", Host: "host-1.example.org", Source: "/var/log/app/service.json", Stream: "0192f0c2a1b37c5d8e9f-7",
			First: int64(at), Last: int64(end), Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Body: body[at:end],
		})
		at = end
	}
	return out
}

type discard struct{ n int64 }

func (d *discard) Write(p []byte) (int, error) { d.n += int64(len(p)); return len(p), nil }
func (d *discard) Close() error                { return nil }

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkJSONToParquet reads zstd blocks of JSON lines and writes them as
// sorted Parquet: the demux's work without its store and table. With
// AKUPARA_KEEP_PARQUET=DIR the lines and the files are kept there, for a look
// by other engines.
func BenchmarkJSONToParquet(b *testing.B) {
	lines := jsonLines(400_000)
	chunks := cut(lines, 256<<10)
	enc, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	var blocks [][]byte
	for i := range chunks {
		blocks = append(blocks, enc.EncodeAll(chunks[i].Body, nil))
	}
	dec, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	p, err := New(MustSpec("json"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	builder := rows.NewBuilder(rows.Options{})
	var buf []byte
	run := func(create rows.Create) []rows.File {
		builder.Reset()
		for i := range chunks {
			if buf, err = dec.DecodeAll(blocks[i], buf[:0]); err != nil {
				b.Fatal(err)
			}
			c := chunks[i]
			c.Body = buf
			from := builder.Len()
			if err := p.Parse(b.Context(), &c, nil, builder); err != nil {
				b.Fatal(err)
			}
			builder.Covers(from, chunk.Ranges{c.Range()})
		}
		files, err := builder.WriteFiles(context.Background(), create, schema.Plan(nil, builder.Columns(), 0), rows.Layout{})
		if err != nil || builder.Failed() > 0 {
			b.Fatal(err, builder.Failed())
		}
		return files
	}
	if dir := os.Getenv("AKUPARA_KEEP_PARQUET"); dir != "" {
		_ = os.WriteFile(filepath.Join(dir, "lines.json"), lines, 0o644)
		run(func(_ context.Context, hour int64, n int) (io.WriteCloser, string, error) {
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("ours-%d.parquet", n)))
			return f, f.Name(), err
		})
	}
	b.SetBytes(int64(len(lines)))
	b.ReportAllocs()
	start := cpuTime()
	var size int64
	for b.Loop() {
		size = 0
		for _, f := range run(func(context.Context, int64, int) (io.WriteCloser, string, error) { return &discard{}, "x", nil }) {
			size += f.Stats.Size
		}
	}
	b.ReportMetric(float64(len(lines))*float64(b.N)/1e6/(cpuTime()-start).Seconds(), "MB/cpu-s")
	b.ReportMetric(float64(size)/400_000, "B/row")
	b.ReportMetric(float64(builder.Bytes())/400_000, "mem-B/row")
}

// BenchmarkParse parses each golden input over and over, without writing.
func BenchmarkParse(b *testing.B) {
	files, _ := filepath.Glob("testdata/*.in")
	for _, in := range files {
		name, _, _ := strings.Cut(filepath.Base(in), ".")
		raw, err := os.ReadFile(in)
		if err != nil {
			b.Fatal(err)
		}
		c := body(strings.Repeat(string(raw), 200))
		b.Run(name, func(b *testing.B) {
			p := mustNew(b, name, Options{})
			builder := rows.NewBuilder(rows.Options{})
			b.SetBytes(int64(len(c.Body)))
			b.ReportAllocs()
			for b.Loop() {
				builder.Reset()
				if err := p.Parse(b.Context(), c, nil, builder); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(builder.Len()), "rows/op")
		})
	}
}
