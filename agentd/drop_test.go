package agentd_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// told is what of the first n bytes of a type's only stream came as data and
// as dropped.
func told(dataType string, n int64, kept, dropped *chunk.Ranges) func([]chunk.Chunk) bool {
	return func(all []chunk.Chunk) bool {
		*kept, *dropped = nil, nil
		for _, c := range all {
			switch {
			case c.Type != dataType:
			case c.Kind == chunk.Data:
				*kept = kept.AddAll(c.Kept(c.Range()))
				*dropped = dropped.AddAll(c.DroppedRanges(c.Range()))
			case c.Kind == chunk.Dropped:
				*dropped = dropped.Add(c.Range())
			}
		}
		var both chunk.Ranges
		both = both.AddAll(*kept).AddAll(*dropped)
		return both.Contains(chunk.Range{First: 0, Last: n})
	}
}

// droppedOf is what an adaptor says that its filters left out.
func (a *agent) droppedOf(name string) (bytes, records int64, reasons map[string]any) {
	a.t.Helper()
	_, body := a.do("GET", "/v1/adaptors/"+name, "")
	var v struct {
		Dropped struct {
			Bytes, Records int64
			Reasons        map[string]any
		}
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		a.t.Fatal(err)
	}
	return v.Dropped.Bytes, v.Dropped.Records, v.Dropped.Reasons
}

func leveled(n int) (text string, dropped int64) {
	var b strings.Builder
	for i := range n {
		line := fmt.Sprintf("2026-01-02 03:04:05 INFO line %06d\n", i)
		if i%2 == 1 {
			line = fmt.Sprintf("2026-01-02 03:04:05 DEBUG line %06d\n", i)
			dropped += int64(len(line))
		}
		b.WriteString(line)
	}
	return b.String(), dropped
}

func TestDroppedRecordsBecomeFactsAndPositionsSettle(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	text, wantDropped := leveled(1000)
	write(t, path, text)
	section := fmt.Sprintf("adaptors:\n - {name: log, kind: tail, type: app, paths: [%s], rescan: 50ms, drop: [{level: debug}]}\n", path)
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)
	var kept, dropped chunk.Ranges
	all := c.Wait("data and facts", told("app", int64(len(text)), &kept, &dropped))
	if dropped.Len() != wantDropped || kept.Len() != int64(len(text))-wantDropped {
		t.Errorf("%d bytes kept, %d dropped; want %d dropped of %d", kept.Len(), dropped.Len(), wantDropped, len(text))
	}
	for _, g := range all {
		if g.Kind == chunk.Data && strings.Contains(string(g.Body), "DEBUG") {
			t.Fatalf("a dropped line came: %q", g.Body)
		}
		if g.Kind == chunk.Dropped && g.Reason != "drop rule 1" {
			t.Fatalf("reason %q", g.Reason)
		}
	}
	c.Settle()
	a.wait("log", "settled", settled)
	if bytes, records, reasons := a.droppedOf("log"); bytes != wantDropped || records != 500 || len(reasons) != 1 {
		t.Errorf("counted %d bytes, %d records, %v; want %d and 500 by one reason", bytes, records, reasons, wantDropped)
	}
	_, metrics := a.do("GET", "/metrics", "")
	if want := fmt.Sprintf(`akupara_agent_dropped_bytes_total{adaptor="log",reason="drop rule 1"} %d`, wantDropped); !strings.Contains(metrics, want) {
		t.Errorf("%q is not in the metrics", want)
	}
	// What a collector loses is decided again as before, and not counted again.
	write(t, path, text)
	c.Wait("the rest", told("app", 2*int64(len(text)), &kept, &dropped))
	before := len(c.Chunks())
	c.Lose()
	c.Wait("the rest again", func(all []chunk.Chunk) bool {
		var k, d chunk.Ranges
		told("app", 0, &k, &d)(all[before:])
		return k.Len()+d.Len() >= int64(len(text)) && d.Len() == wantDropped
	})
	if bytes, _, _ := a.droppedOf("log"); bytes != 2*wantDropped {
		t.Errorf("after the second sending %d bytes are counted, want %d", bytes, 2*wantDropped)
	}
	c.Settle()
	a.wait("log", "settled", settled)
	a.stop()
	n := len(c.Chunks())
	b := start(t, filepath.Join(dir, "agent"), section, c.URL)
	b.wait("log", "settled", settled)
	if again := c.Chunks()[n:]; len(again) > 0 {
		t.Errorf("%d chunks came again after all was settled", len(again))
	}
}

func TestWhatIsDroppedOfSpooledSourcesIsToldInTheirStreams(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	section := "adaptors:\n - {name: say, kind: command, type: said, command: [sh, -c, 'echo DEBUG $$'], every: 100ms, sample: 50%, drop: ['[02468]$']}\n"
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)
	var kept, dropped chunk.Ranges
	c.Wait("some kept and some dropped", func(all []chunk.Chunk) bool {
		told("said", 0, &kept, &dropped)(all)
		return len(kept) > 2 && len(dropped) > 2
	})
	var both chunk.Ranges
	both = both.AddAll(kept).AddAll(dropped)
	if len(both) != 1 {
		t.Errorf("kept %v and dropped %v do not join up", kept, dropped)
	}
	if bytes, _, _ := a.droppedOf("say"); bytes < dropped.Len() {
		t.Errorf("%d bytes are counted, at least %d were told", bytes, dropped.Len())
	}
}

func TestSwitchOfTheConfigLeavesOutAndCounts(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	text, wantDropped := leveled(100)
	write(t, path, text)
	section := fmt.Sprintf("switches:\n - {name: quiet, adaptor: 'l*', level: debug}\n - {name: other, type: web}\n"+
		"adaptors:\n - {name: log, kind: tail, type: app, paths: [%s], rescan: 50ms}\n", path)
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)
	var kept, dropped chunk.Ranges
	c.Wait("data and facts", told("app", int64(len(text)), &kept, &dropped))
	if dropped.Len() != wantDropped {
		t.Errorf("%d bytes dropped, want %d", dropped.Len(), wantDropped)
	}
	until(t, "what the switch dropped is counted", func() bool { // once it was sent
		status, body := a.do("GET", "/v1/switches/quiet", "")
		return status == 200 && strings.Contains(body, fmt.Sprintf(`"dropped_bytes":%d,"dropped_records":50`, wantDropped))
	})
	_, metrics := a.do("GET", "/metrics", "")
	for _, want := range []string{`akupara_agent_switch_off{switch="other"} 1`, fmt.Sprintf(`akupara_agent_switch_dropped_bytes_total{switch="quiet"} %d`, wantDropped)} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%q is not in the metrics", want)
		}
	}
}

// An agent that is killed again and again decides each record as it did before:
// no byte comes both as data and as dropped, and none is missing.
func TestKilledAgentDecidesAlikeWhatItSendsAgain(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	section := fmt.Sprintf("resend_after: 1s\nadaptors:\n - {name: log, kind: tail, type: app, paths: [%s], rescan: 50ms, drop: ['[37] of'], sample: 50%%}\n", path)
	n := 0
	for round := range 5 {
		kill := process(t, filepath.Join(dir, "agent"), section, c.URL, filepath.Join(dir, "s"))
		before := len(c.Chunks())
		for range 10 {
			write(t, path, lines(n, n+300))
			n += 300
		}
		c.Wait("something", func(all []chunk.Chunk) bool { return len(all) > before })
		kill()
		if round%2 == 0 {
			c.Lose()
		} else {
			c.Settle()
		}
	}
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)
	var kept, dropped chunk.Ranges
	c.Wait("all of it", told("app", int64(len(lines(0, n))), &kept, &dropped))
	for _, r := range dropped {
		if both := kept.Covered(r); len(both) > 0 {
			t.Fatalf("%v came both as data and as dropped", both)
		}
	}
	if share := float64(kept.Len()) / float64(len(lines(0, n))); share < 0.3 || share > 0.5 {
		t.Errorf("%.2f of all is kept, want half of four fifths", share)
	}
	c.SettleAll(true)
	a.wait("log", "settled", settled)
}
