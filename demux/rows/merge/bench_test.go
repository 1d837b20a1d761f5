package merge_test

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/rows/merge"
)

// minute adds a minute's file of n JSON lines, of which the last late share lie in
// the next minute.
func (s *shop) minute(p parse.Parser, no, n int, overlap int64) {
	rnd := rand.New(rand.NewPCG(uint64(no), 5))
	var body []byte
	from := start + int64(no)*60_000_000
	levels := []string{"INFO", "INFO", "INFO", "WARN", "ERROR", "DEBUG"}
	for i := range n {
		ts := time.UnixMicro(from + int64(i)*(60_000_000+overlap)/int64(n)).UTC()
		body = append(body, `{"ts":"`+ts.Format("2006-01-02T15:04:05.000000Z")+`","level":"`+levels[rnd.IntN(6)]+`","msg":"request `+strconv.Itoa(no*n+i)+
			` handled by worker `+strconv.Itoa(rnd.IntN(64))+` in the pool of the service, took `+strconv.Itoa(rnd.IntN(90000))+` us","trace_id":"`...)
		body = fmt.Appendf(body, `%x","user":"u%d","status":%d,"bytes":%d,"dur":%.3f,"path":"/api/v1/items/%d"}`+"\n",
			md5.Sum(fmt.Append(nil, no, i/3)), rnd.IntN(5000), []int{200, 200, 200, 404, 500}[rnd.IntN(5)], rnd.IntN(100000), rnd.Float64()*100, rnd.IntN(20000))
	}
	c := chunk.Chunk{Host: "host-1", Source: "/var/log/app.log", Stream: fmt.Sprint("s", no), Last: int64(len(body)), Time: time.UnixMicro(from), Body: body}
	b := rows.NewBuilder(rows.Options{Existing: s.cols})
	if err := p.Parse(s.t.Context(), &c, nil, b); err != nil {
		s.t.Fatal(err)
	}
	b.Covers(0, chunk.Ranges{c.Range()})
	s.add(b, rows.Layout{})
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkMerge(b *testing.B) {
	for _, overlap := range []int64{0, 2_000_000} {
		b.Run(fmt.Sprintf("overlap-%ds", overlap/1e6), func(b *testing.B) {
			s := newShop(b)
			p, err := parse.New(parse.MustSpec("json"), parse.Options{})
			if err != nil {
				b.Fatal(err)
			}
			size := int64(0)
			for i := range 40 {
				s.minute(p, i, 20_000, overlap)
			}
			for _, f := range s.files {
				size += f.Stats.Size
			}
			before, n := cpu(b), 0
			for b.Loop() {
				n++
				res, _ := s.merge(merge.Options{})
				b.ReportMetric(float64(res.Stats.Size)/float64(size), "size")
				if err := s.fs.Remove(b.Context(), outPath); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)*float64(n)/1e6/(cpu(b)-before).Seconds(), "MB/CPUs")
		})
	}
}

func BenchmarkMergeAgain(b *testing.B) {
	s := newShop(b)
	p, err := parse.New(parse.MustSpec("json"), parse.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 6 {
		n := len(s.files)
		for k := range 10 {
			s.minute(p, 10*i+k, 20_000, 0)
		}
		s.mergeFrom(n, merge.Options{})
	}
	size := int64(0)
	for _, f := range s.files {
		size += f.Stats.Size
	}
	before, n := cpu(b), 0
	for b.Loop() {
		n++
		s.merge(merge.Options{})
	}
	b.ReportMetric(float64(size)*float64(n)/1e6/(cpu(b)-before).Seconds(), "MB/CPUs")
}
