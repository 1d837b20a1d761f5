package bench

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// writeLog writes records one after the other until the file has the size, and
// gives the exact one. at goes on by up to 3 ms a record.
func writeLog(b *testing.B, path string, size int64, record func(w io.Writer, r *rand.Rand, at time.Time)) int64 {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	counted := &counter{w: bufio.NewWriterSize(f, 1<<20)}
	rnd := rand.New(rand.NewPCG(7, 7))
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for counted.n < size {
		at = at.Add(time.Duration(rnd.IntN(4)) * time.Millisecond)
		record(counted, rnd, at)
	}
	if counted.err == nil {
		counted.err = counted.w.Flush()
	}
	if err := f.Close(); err != nil || counted.err != nil {
		b.Fatal(err, counted.err)
	}
	return counted.n
}

type counter struct {
	w   *bufio.Writer
	n   int64
	err error
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

var agents = []string{
	"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
	"curl/8.14.1", "kube-probe/1.34", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
}

// accessLog writes an access log in the combined format.
func accessLog(b *testing.B, path string, size int64) int64 {
	methods := []string{"GET", "GET", "GET", "POST", "PUT"}
	return writeLog(b, path, size, func(w io.Writer, r *rand.Rand, at time.Time) {
		fmt.Fprintf(w, `%d.%d.%d.%d - %s [%s] "%s /shop/%d/item?id=%d&q=%x HTTP/1.1" %d %d "https://shop.example.com/page/%d" "%s"`+"\n",
			10+r.IntN(90), r.IntN(256), r.IntN(256), r.IntN(256), []string{"-", "-", "-", "anna"}[r.IntN(4)], at.Format("02/Jan/2006:15:04:05 -0700"),
			methods[r.IntN(len(methods))], r.IntN(50), r.IntN(100000), r.Uint32(), 200+100*(r.IntN(12)/9)+r.IntN(5), r.IntN(60000), r.IntN(500), agents[r.IntN(len(agents))])
	})
}

// stackTraceLog writes a log in the layout of Hadoop, one record in ten with a stack
// trace.
func stackTraceLog(b *testing.B, path string, size int64) int64 {
	levels := []string{"INFO", "INFO", "INFO", "WARN", "DEBUG", "ERROR"}
	return writeLog(b, path, size, func(w io.Writer, r *rand.Rand, at time.Time) {
		fmt.Fprintf(w, "%s %s [IPC Server handler %d on 8020] org.apache.hadoop.ipc.Server$%c: call %d from 10.0.%d.%d:%d took %d ms\n",
			at.Format("2006-01-02 15:04:05,000"), levels[r.IntN(len(levels))], r.IntN(64), 'A'+rune(r.IntN(8)), r.Uint32(), r.IntN(256), r.IntN(256), 1024+r.IntN(60000), r.IntN(900))
		if r.IntN(10) > 0 {
			return
		}
		fmt.Fprintf(w, "java.io.IOException: no room for block blk_%d\n", r.Uint32())
		for i := range 5 + r.IntN(20) {
			fmt.Fprintf(w, "\tat org.apache.hadoop.hdfs.server.blockmanagement.BlockManager.step%d(BlockManager.java:%d)\n", i, r.IntN(4000))
		}
	})
}

func startsWithYear(line []byte) bool { return len(line) > 1 && line[0] == '2' && line[1] == '0' }

// keyedLog writes JSON lines with a text, a number, a fraction and a user, each of
// which follows from a key that draw gives.
func keyedLog(draw func(r *rand.Rand) uint64) func(b *testing.B, path string, size int64) int64 {
	scatter := func(k uint64) uint64 { return k * 0x9E3779B97F4A7C15 }
	return func(b *testing.B, path string, size int64) int64 {
		return writeLog(b, path, size, func(w io.Writer, r *rand.Rand, at time.Time) {
			id := draw(r)
			fmt.Fprintf(w, `{"ts":"%s","id":"%016x%016x","number":%d,"fraction":%g,"user":"user-%d"}`+"\n", at.Format("2006-01-02T15:04:05.000Z"),
				scatter(id), scatter(id+1), scatter(draw(r))>>1, math.Sqrt(float64(draw(r))+0.5), draw(r))
		})
	}
}
