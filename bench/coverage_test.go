package bench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/klauspost/compress/zstd"
)

// streamID is the id of the i-th stream that a table has seen.
func streamID(i int) string { return fmt.Sprintf("%016x%018x", uint64(i)*0x9e3779b97f4a7c15, i) }

// seen commits n streams to the table of the store at root, as pods leave them:
// ended and complete.
func seen(b *testing.B, root string, n int) {
	b.Helper()
	st, err := local.New(root)
	if err != nil {
		b.Fatal(err)
	}
	t, err := table.New(st, "file://"+root, "app")
	if err != nil {
		b.Fatal(err)
	}
	const atOnce = 50_000
	for from := 0; from < n; from += atOnce {
		delta := coverage.Set{}
		for i := from; i < min(from+atOnce, n); i++ {
			s := delta.Stream(streamID(i), fmt.Sprintf("node-%d", i%200), fmt.Sprintf("/var/log/pods/shop_cart-%08x/cart/0.log", uint32(i)*2654435761))
			end := int64(1000 + i%50_000)
			s.Cover(chunk.Range{First: 0, Last: end / 2}, uint32(i))
			s.Cover(chunk.Range{First: end / 2, Last: end}, uint32(i)*7)
			s.Tell(chunk.Dropped, chunk.Range{First: 0, Last: end}) // no data file has rows of it
			s.Tell(chunk.Begin, chunk.Range{})
			s.Tell(chunk.End, chunk.Range{First: end, Last: end})
			s.Seen = time.Now().Add(-time.Duration(n-i) * time.Second)
		}
		if t, err = t.Commit(context.Background(), table.Commit{RunID: fmt.Sprint("run-", from), Delta: delta}); err != nil {
			b.Fatal(err)
		}
	}
}

// counting is a store that counts how it is read.
type counting struct {
	store.FS
	opens, reads, bytes atomic.Int64
}

func (c *counting) Open(ctx context.Context, p string) (store.Reader, error) {
	c.opens.Add(1)
	r, err := c.FS.Open(ctx, p)
	return countedReader{r, c}, err
}

type countedReader struct {
	store.Reader
	c *counting
}

func (r countedReader) ReadAt(b []byte, at int64) (int, error) {
	r.c.reads.Add(1)
	r.c.bytes.Add(int64(len(b)))
	return r.Reader.ReadAt(b, at)
}

// BenchmarkDemuxManyStreams runs the demux for 100 streams of a table that has seen
// few of them, and of one that has seen very many: new ones, the same again, and ones
// that were last seen long ago.
func BenchmarkDemuxManyStreams(b *testing.B) {
	few, many := 1000, int(number(b, "AKUPARA_BENCH_STREAMS", 5_000_000))
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	for b.Loop() {
		var got [2]map[string]usage
		for i, n := range []int{few, many} {
			dir := b.TempDir()
			root := filepath.Join(dir, "store")
			began := time.Now()
			seen(b, root, n)
			b.Logf("%d streams, committed within %v", n, time.Since(began).Round(time.Second))
			lookUp(b, root, n)
			got[i] = map[string]usage{}
			at := map[string]*int64{}
			for _, what := range []string{"first", "new", "again", "old"} {
				for j := range 100 {
					id := fmt.Sprintf("new-%s-%d", what, j)
					switch what {
					case "again":
						id = fmt.Sprintf("new-new-%d", j)
					case "old":
						id = streamID(j * (n / 100))
					}
					if at[id] == nil {
						at[id] = new(int64)
						if what == "old" {
							*at[id] = int64(1000 + j*(n/100)%50_000) // where it ended
						}
					}
					putSink(b, root, id, enc, at[id], [][]byte{line(j)})
				}
				got[i][what] = demuxOnce(b, dir, root)
			}
			config := writeConfig(b, dir, fmt.Sprintf("store: file://%s\ndata_dir: %s/data\n", root, dir))
			u := run(b, exec.Command(binary(b, "akupara"), "audit", "--config", config))
			b.Logf("audit, %d seen: %v CPU, %.0f MB RSS", n, u.cpu, float64(u.rss)/1e6)
		}
		for _, what := range []string{"new", "again", "old"} {
			x, y := got[0][what], got[1][what]
			b.Logf("100 streams, %s: %d seen: %v CPU, %.0f MB RSS; %d seen: %v CPU, %.0f MB RSS", what, few, x.cpu, float64(x.rss)/1e6, many, y.cpu, float64(y.rss)/1e6)
			b.ReportMetric(y.cpu.Seconds()/x.cpu.Seconds(), "xCPU-"+what)
			b.ReportMetric(float64(y.rss)/float64(x.rss), "xRSS-"+what)
		}
	}
}

// lookUp tells what looking up 100 streams reads.
func lookUp(b *testing.B, root string, n int) {
	b.Helper()
	st, err := local.New(root)
	if err != nil {
		b.Fatal(err)
	}
	c := &counting{FS: st}
	t, err := table.Open(context.Background(), c, "file://"+root, "app")
	if err != nil {
		b.Fatal(err)
	}
	for _, what := range []string{"new", "old"} {
		want := coverage.Want{}
		for i := range 100 {
			id := fmt.Sprint("new-", i)
			if what == "old" {
				id = streamID(i * (n / 100))
			}
			want.Add(id, chunk.Range{First: 0, Last: 1000})
		}
		c.opens.Store(0)
		c.reads.Store(0)
		c.bytes.Store(0)
		began := time.Now()
		if _, err := t.CoverageOf(context.Background(), want); err != nil {
			b.Fatal(err)
		}
		b.Logf("%d seen, looking up 100 %s streams: %d files, %d reads, %.1f MB, %v",
			n, what, c.opens.Load(), c.reads.Load(), float64(c.bytes.Load())/1e6, time.Since(began).Round(time.Microsecond))
	}
}
