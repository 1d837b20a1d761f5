package filter

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
)

// jsonLines are some 256 KiB of JSON lines of about 320 bytes, one of ten at
// debug.
func jsonLines() string {
	var b strings.Builder
	for i := 0; b.Len() < 256<<10; i++ {
		level := "info"
		if i%10 == 0 {
			level = "debug"
		}
		fmt.Fprintf(&b, `{"ts":"2026-01-02T03:04:%02d.%03dZ","level":"%s","logger":"com.acme.orders.Checkout","host":"web-%02d","msg":"request done","method":"GET","path":"/api/v1/orders/%d/items","status":%d,"took_ms":%d.5,"ctx":{"user":"u-%d","ip":"10.0.0.%d","agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},"trace":"%016x%016x"}`+"\n",
			i%60, i%1000, level, i%40, i*7919, 200+i%5, i%900, i%5000, i%250, i*2654435761, i*40503)
	}
	return b.String()
}

// The path of a record through a filter: what CPU a byte costs, whatever is
// behind it.
func BenchmarkFilter(b *testing.B) {
	body := jsonLines()
	for _, bench := range []struct{ name, keys string }{
		{"none", `{}`},
		{"drop literal", `drop: ['"level":"debug"']`},
		{"drop regex", `drop: ['"path":"/api/v1/health[a-z]*"', '"status":5\d\d']`},
		{"drop regex that meets each", `drop: ['"status":20[5-9]']`},
		{"drop any case", `drop: ['(?i)healthcheck|heartbeat']`},
		{"drop regex without literals", `drop: ['[0-9]{3}-[0-9]{4}']`},
		{"drop level", `drop: [{level: debug}]`},
		{"sample", `sample: 10%`},
		{"limit", `limit: {bytes: 100GiB}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			f := New(decode(b, bench.keys, true), env(nil))
			c := data(0, body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				_ = f.Send(context.Background(), c, func(context.Context, *chunk.Chunk) error { n++; return nil })
				c.First += int64(len(body))
				c.Last += int64(len(body))
			}
			b.ReportMetric(float64(n)/float64(b.N), "chunks/op")
		})
	}
}

// What a dropped range costs on the wire and in a collector's spool, where every
// other line is dropped: that is the worst there is.
func BenchmarkEveryOtherLineOnTheWire(b *testing.B) {
	enc, err := chunk.NewEncoder()
	if err != nil {
		b.Fatal(err)
	}
	body := jsonLines()
	for i, line := 0, 0; i < len(body); line++ {
		n := strings.IndexByte(body[i:], '\n') + 1
		if line%2 == 1 {
			body = body[:i] + strings.Replace(body[i:i+n], `"level":"info"`, `"level":"none"`, 1) + body[i+n:]
		}
		i += n
	}
	var frame []byte
	for _, keys := range []string{`{}`, `drop: ["\"level\":\"none\""]`} {
		b.Run(keys, func(b *testing.B) {
			f := New(decode(b, keys, true), env(nil))
			b.SetBytes(int64(len(body)))
			wire, facts := 0, 0
			for b.Loop() {
				builder := chunk.NewBuilder("agent-00000000000000000000000000000001", "app")
				c := data(0, body)
				c.Stream, c.Source, c.Host = "00000000000000000000000000000000000001", "/var/log/pods/shop_cart-5d9c_0/app/0.log", "node-1"
				_ = f.Send(context.Background(), c, func(_ context.Context, c *chunk.Chunk) error {
					if c.Kind == chunk.Dropped {
						facts++
					}
					return builder.Add(c)
				})
				batch := builder.Finish(enc, frame)
				frame, wire = batch.Frame, wire+len(batch.Frame)
			}
			b.ReportMetric(float64(wire)/float64(b.N), "wire-bytes/op")
			if facts > 0 {
				b.ReportMetric(float64(facts)/float64(b.N), "facts/op")
			}
		})
	}
}
