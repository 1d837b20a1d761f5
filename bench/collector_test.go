package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

// bareServer is the plain net/http server: it copies each body to a file, with
// no check, no sync and no upload.
func bareServer(args []string) error {
	return intoFile(args, func(f *os.File, r *http.Request) error {
		_, err := io.Copy(f, r.Body)
		return err
	})
}

// tunedServer does the same with one read and one write for each body, through
// buffers that are used again: the least that can be done.
func tunedServer(args []string) error {
	var buf []byte
	return intoFile(args, func(f *os.File, r *http.Request) error {
		if int64(cap(buf)) < r.ContentLength {
			buf = make([]byte, r.ContentLength)
		}
		body := buf[:r.ContentLength]
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return err
		}
		_, err := f.Write(body)
		return err
	})
}

func intoFile(args []string, take func(f *os.File, r *http.Request) error) error {
	f, err := os.Create(args[1])
	if err != nil {
		return err
	}
	var mu sync.Mutex
	return http.ListenAndServe(args[0], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := take(f, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
}

// frames makes batches of about 1 MiB of raw log each, of one agent's stream,
// cut at line ends.
func frames(b *testing.B, path string) (out [][]byte, raw int64) { return framesAt(b, path, nil) }

// framesAt is frames for a log whose records are several lines: a chunk ends before
// a line with which one starts.
func framesAt(b *testing.B, path string, starts func(line []byte) bool) (out [][]byte, raw int64) {
	log, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	enc, err := chunk.NewEncoder()
	if err != nil {
		b.Fatal(err)
	}
	builder := chunk.NewBuilder("bench", "app")
	for len(log) > 0 {
		n := min(len(log), 1<<20)
		for n = bytes.LastIndexByte(log[:n], '\n') + 1; starts != nil && n < len(log) && !starts(log[n:]); {
			n = bytes.LastIndexByte(log[:n-1], '\n') + 1
		}
		c := chunk.Chunk{Type: "app", Host: "h", Source: path, Stream: "s", First: raw, Last: raw + int64(n), Time: time.Now(), Body: log[:n]}
		if err := builder.Add(&c); err != nil {
			b.Fatal(err)
		}
		out = append(out, builder.Finish(enc, nil).Frame)
		raw += int64(n)
		log = log[n:]
	}
	return out, raw
}

// post sends all frames on several connections.
func post(b *testing.B, url string, frames [][]byte) {
	next := make(chan []byte)
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for f := range next {
				resp, err := client.Post(url, wire.BatchContentType, bytes.NewReader(f))
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Errorf("status %d", resp.StatusCode)
				}
			}
		})
	}
	for _, f := range frames {
		next <- f
	}
	close(next)
	senders.Wait()
}

// BenchmarkCollector takes batches, with spool, fsync, seal and upload to a
// local store, beside servers that read the same bodies and write them once to
// a file.
func BenchmarkCollector(b *testing.B) {
	akupara := binary(b, "akupara")
	for b.Loop() {
		dir := b.TempDir()
		log := filepath.Join(dir, "app.log")
		jsonLog(b, log, megabytes(b)*1e6)
		all, raw := frames(b, log)

		peer := func(name string) usage {
			addr, file := freeAddr(b), filepath.Join(dir, name)
			srv := serve(b, addr, role(name, addr, file))
			post(b, "http://"+addr, all)
			u := srv.end(b)
			// The pages of its file go back to the system: memory that was
			// never touched is several times as slow, and the peers come first.
			if err := os.Remove(file); err != nil {
				b.Fatal(err)
			}
			return u
		}
		bare, tuned := peer("bare-server"), peer("tuned-server")

		addr := freeAddr(b)
		config := writeConfig(b, dir, fmt.Sprintf(`
store: file://%s/store
data_dir: %s/data
collector: {listen: %s, seal: {bytes: 32MiB, age: 1s}}
`, dir, dir, addr))
		collector := serve(b, addr, exec.Command(akupara, "collector", "--config", config))
		post(b, "http://"+addr+wire.BatchesPath, all)
		published := func() (n int64) {
			sinks, err := filepath.Glob(filepath.Join(dir, "store", "raw", "app", "*", "*.avro"))
			if err != nil {
				b.Fatal(err)
			}
			for _, s := range sinks {
				if info, err := os.Stat(s); err == nil {
					n += info.Size()
				}
			}
			return n
		}
		var blocks int64
		for _, f := range all {
			frame, err := chunk.ParseFrame(f)
			if err != nil {
				b.Fatal(err)
			}
			blocks += int64(len(frame.Block))
		}
		until(b, "all is published", func() bool { return published() >= blocks })
		ours := collector.end(b)
		bare.show(b, "bare net/http server", raw)
		tuned.show(b, "the same, tuned", raw)
		ours.show(b, "collector", raw)
		b.ReportMetric(100*ours.perCPU(raw)/bare.perCPU(raw), "%ofbare/CPU")
		b.ReportMetric(100*ours.perCPU(raw)/tuned.perCPU(raw), "%oftuned/CPU")
		b.ReportMetric(ours.perCPU(raw), "MB/CPUs")
		b.ReportMetric(float64(ours.rss)/1e6, "MB-RSS")
	}
}
