package audit_test

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store/local"
)

// BenchmarkAudit audits a table of AUDIT_ROWS rows (a million) in the folder
// AUDIT_STORE, which is filled when it is empty: a second run measures the memory
// of the audit alone. AUDIT_SILENT=1 makes data files of an older version, whose
// rows are grouped.
func BenchmarkAudit(b *testing.B) {
	rows := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("AUDIT_ROWS")); err == nil {
		rows = n
	}
	dir := os.Getenv("AUDIT_STORE")
	if dir == "" {
		dir = b.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	fs, err := local.New(dir)
	if err != nil {
		b.Fatal(err)
	}
	s := querytest.On(fs, (&url.URL{Scheme: "file", Path: dir}).String())
	s.Silent = os.Getenv("AUDIT_SILENT") != ""
	if list, err := fs.List(b.Context(), "tables/app"); err != nil {
		b.Fatal(err)
	} else if len(list) == 0 {
		fill(b, s, rows)
	}
	for name, opts := range map[string]audit.Options{
		"first": {}, "again": {CacheDir: b.TempDir()}, "deep": {Deep: true},
	} {
		b.Run(name, func(b *testing.B) {
			e := s.Engine(b, query.Options{})
			for i := -1; i < b.N; i++ {
				if i == 0 {
					b.ResetTimer()
				} else if i < 0 && name != "again" {
					continue // what it remembers comes from one before
				}
				before := cpu(b)
				r, err := audit.Run(b.Context(), fs, s.URI, e, opts)
				if err != nil || !r.OK() || r.Records != int64(rows) {
					b.Fatalf("got %d rows, %v", r.Records, err)
				}
				b.ReportMetric(cpu(b)-before, "cpu-s/op")
			}
			b.ReportMetric(rss(b), "rss-MB")
		})
	}
}

func fill(b *testing.B, s *querytest.Store, rows int) {
	const streams, perRun = 40, 500_000
	line := strings.Repeat("x", 60) + "\n"
	at := make([]int64, streams)
	for done := 0; done < rows; done += perRun {
		var chunks []chunk.Chunk
		for i := range streams {
			c := querytest.Data("app", "s"+strconv.Itoa(i), at[i], strings.Repeat(line, perRun/streams))
			c.Time = c.Time.Add(time.Duration(done/perRun) * 20 * time.Minute)
			at[i] = c.Last
			chunks = append(chunks, c)
		}
		s.Commit(b, "raw", chunks...)
	}
}

// cpu returns the seconds of processor time that the process has used.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// rss returns the most memory that the process has had, in megabytes.
func rss(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Maxrss) / 1024
}
