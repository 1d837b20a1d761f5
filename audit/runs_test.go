package audit_test

import (
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/query/querytest"
)

// What the demux writes is what the audit expects, whatever comes: bytes again, with
// other borders, within lines and records, without a record, in any order.
func TestDataFilesOfRunsAndTheirCoverageAgree(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var text strings.Builder
	for text.Len() < 20_000 {
		switch rnd.IntN(4) {
		case 0:
			text.WriteString(strings.Repeat("\n", 1+rnd.IntN(40)))
		case 1:
			text.WriteString(`{"a":` + strings.Repeat("1", 1+rnd.IntN(30)) + ",\n")
		default:
			text.WriteString(`{"ts":"2026-03-01T1` + string(rune('0'+rnd.IntN(10))) + ":00:00Z\",\"m\":\"" + strings.Repeat("x", rnd.IntN(100)) + "\"}\n")
		}
	}
	body := text.String()
	s := querytest.New(t)
	d := demux.New(demux.DefaultConfig(), s.FS, s.URI, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	opts := audit.Options{CacheDir: t.TempDir()}
	check := func() audit.Report {
		t.Helper()
		if err := d.RunOnce(t.Context(), "", 0, func(demux.Report) {}); err != nil {
			t.Fatal(err)
		}
		r := runIn(t, s, opts)
		if len(r.Hidden)+len(r.Uncovered)+len(r.Overlaps)+len(r.Damaged) > 0 {
			_, text := forms(t, r)
			t.Fatalf("seed %d: the audit says:\n%s", seed, text)
		}
		return r
	}
	blank := querytest.Data("json", "blank", 0, strings.Repeat("\n", 30))
	s.Publish(t, blank)
	check() // a run without any row
	for _, stream := range []string{"s", "t"} {
		for range 12 {
			for range 1 + rnd.IntN(3) {
				first := rnd.IntN(len(body))
				last := first + 1 + rnd.IntN(min(6000, len(body)-first))
				s.Publish(t, querytest.Data("json", stream, int64(first), body[first:last]))
			}
			check()
		}
		s.Publish(t, querytest.Data("json", stream, 0, body))
	}
	if r := check(); !r.OK() || r.Bytes != int64(2*len(body)+30) {
		_, text := forms(t, r)
		t.Errorf("seed %d: %d bytes in the table, want %d:\n%s", seed, r.Bytes, 2*len(body)+30, text)
	}
}
