package steps_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/rows"
)

// BenchmarkSteps parses JSON without steps, with steps that find nothing, and with ones
// that find something in each fourth record.
func BenchmarkSteps(b *testing.B) {
	var body []byte
	for i := range 5000 {
		who := "the scheduler"
		if i%4 == 0 {
			who = fmt.Sprintf("user%d@example.org from 10.0.%d.%d", i, i%7, i%200)
		}
		body = fmt.Appendf(body, `{"ts":"2026-01-02T03:04:%02d.%03dZ","level":"info","logger":"com.example.shop.Cart","thread":"http-nio-%d","msg":"request %d of %s took %d ms and wrote /var/data/part-%05d","status":%d,"took":%d.5}`+"\n", i%60, i%1000, i%16, i, who, i%900, i, 200+i%4, i%90)
	}
	c := &chunk.Chunk{Type: "b", Host: "h", Source: "s", Stream: "s", Last: int64(len(body)), Body: body, Time: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)}
	for _, v := range []struct{ name, section string }{
		{"none", `{parser: json}`},
		{"rename", `{parser: json, steps: [{rename: {took: took_ms}}, {drop: [thread]}]}`},
		{"redact one column", `{parser: json, steps: [{redact: {columns: [nosuch], what: [email, card, token, ip]}}]}`},
		{"redact all", `{parser: json, steps: [{redact: {what: [email, card, token, ip]}}]}`},
		{"pattern", `{parser: json, steps: [{redact: {pattern: 'user\d+'}}]}`},
	} {
		b.Run(v.name, func(b *testing.B) {
			typ, problems := demux.ReadTypeText("b", v.section)
			if err := problems.Err(); err != nil {
				b.Fatal(err)
			}
			cfg := demux.DefaultConfig()
			p, o, err := cfg.Trial(typ, c.Time)
			if err != nil {
				b.Fatal(err)
			}
			r := rows.NewBuilder(o)
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				r.Reset()
				if err := p.Parse(context.Background(), c, nil, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
