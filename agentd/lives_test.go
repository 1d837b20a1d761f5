package agentd_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// An adaptor that goes from one persona to another and back goes on where the
// other's collectors settled it, and a rewind holds for all of them.
func TestStreamsGoOnWhenTheirAdaptorChangesItsPersonaAndComesBack(t *testing.T) {
	t.Parallel()
	dir, c, d := t.TempDir(), collectortest.New(t, "a"), collectortest.New(t, "b")
	c.SettleAll(true)
	d.SettleAll(true)
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 100))
	entry := func(persona string) string {
		return fmt.Sprintf(`{name: log, kind: tail, type: app, paths: [%s], rescan: 50ms, persona: %s}`, path, persona)
	}
	a := start(t, filepath.Join(dir, "agent"), fmt.Sprintf("personas:\n  one: {collectors: [%s]}\n  two: {collectors: [%s]}\nadaptors:\n - %s\n",
		c.URL, d.URL, entry("one")), c.URL)
	take := func(persona string) {
		t.Helper()
		if status, answer := a.do("PUT", "/v1/adaptors/log", entry(persona)); status != 200 {
			t.Fatalf("persona %s: %d %s", persona, status, answer)
		}
	}
	upTo := func(n int) func(view) bool {
		return func(v view) bool {
			return v.State == "running" && len(v.Position) == 1 && v.Position[0].Settled == int64(len(lines(0, n)))
		}
	}
	a.wait("log", "settled by one", upTo(100))
	take("two")
	write(t, path, lines(100, 200))
	a.wait("log", "settled by two", upTo(200))
	take("one")
	write(t, path, lines(200, 300))
	a.wait("log", "settled by one again", upTo(300))

	// What one knows to be settled is to be sent again all the same.
	take("two")
	before := len(d.Chunks())
	if status, answer := a.do("POST", "/v1/adaptors/log/stop", ""); status != 200 {
		t.Fatalf("stop: %d %s", status, answer)
	}
	if status, answer := a.do("POST", "/v1/adaptors/log/rewind", `{"all": true}`); status != 200 {
		t.Fatalf("rewind: %d %s", status, answer)
	}
	take("one")
	sent := len(c.Chunks())
	if status, answer := a.do("POST", "/v1/adaptors/log/start", ""); status != 200 {
		t.Fatalf("start: %d %s", status, answer)
	}
	c.Wait("all of it again", func(all []chunk.Chunk) bool {
		var covered chunk.Ranges
		for _, g := range all[sent:] {
			covered = covered.Add(g.Range())
		}
		return covered.Contains(chunk.Range{Last: int64(len(lines(0, 300)))})
	})
	a.wait("log", "settled", upTo(300))
	if n := len(d.Chunks()); n != before {
		t.Errorf("%d chunks went to the other persona's collector", n-before)
	}
}
