package parse

import (
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/rows"
)

// BenchmarkLayouts parses the same records by a built-in format and by the pattern
// that says the same.
func BenchmarkLayouts(b *testing.B) {
	access := usualPatterns[0].record + "\n"
	line := "2025-10-10 13:55:36,123 INFO  [main-thread-7] org.apache.hadoop.hdfs.DataNode - Receiving block blk_123 src: /10.0.0.1:5010\n"
	for _, tc := range []struct{ name, spec, line string }{
		{"combined", "combined", access},
		{"combined pattern", `{parser: combined, pattern: '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'}`, access},
		{"log4j", "log4j", line},
		{"log4j pattern", `{parser: log4j, pattern: '%d{ISO8601} %-5p [%t] %c - %m%n'}`, line},
	} {
		b.Run(tc.name, func(b *testing.B) {
			p := mustNew(b, tc.spec, Options{})
			c := body(strings.Repeat(tc.line, 1000))
			builder := rows.NewBuilder(rows.Options{})
			b.SetBytes(int64(len(c.Body)))
			b.ReportAllocs()
			best := time.Duration(1 << 62)
			for b.Loop() {
				builder.Reset()
				start := time.Now()
				if err := p.Parse(b.Context(), c, nil, builder); err != nil || builder.Failed() > 0 {
					b.Fatal(err, builder.Failed())
				}
				best = min(best, time.Since(start))
			}
			b.ReportMetric(float64(best.Nanoseconds())/1000, "ns/record")
		})
	}
}
