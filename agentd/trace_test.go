package agentd_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// A stack trace is written line by line, and the agent is killed after each of
// them, with some of it written and the rest not: it arrives as one record.
func TestStackTraceSplitByKillsIsOneRecord(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	section := "adaptors:\n - {name: log, kind: tail, type: app, paths: [" + path + "], record_start: '^\\d{4}-', record_timeout: 1h}\n"
	want := []string{
		"2026-01-01 started\n",
		"2026-01-02 failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n\tat a.D.e(D.java:2)\nCaused by: why\n\tat f.G\n",
		"2026-01-03 stopped\n",
	}
	var mark strings.Builder // a second file, by which it is known that the agent reads
	for i, line := range slices.Collect(strings.Lines(strings.Join(want, "") + "2026-\n")) {
		write(t, path, line)
		other := filepath.Join(dir, "seen.log")
		mark.WriteString(strings.Repeat("x", i+1) + "\n")
		write(t, other, strings.Repeat("x", i+1)+"\n")
		agent := exec.Command(os.Args[0])
		agent.Env = append(os.Environ(), "AGENT_DIR="+filepath.Join(dir, "agent"), "AGENT_COLLECTOR="+c.URL,
			"AGENT_SECTION="+section+" - {name: seen, kind: tail, type: seen, paths: ["+other+"]}\n")
		agent.Stderr = os.Stderr
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		c.Wait("the other file", func(all []chunk.Chunk) bool {
			for _, text := range assemble(t, all, "seen") {
				return text == mark.String()
			}
			return false
		})
		if err := agent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = agent.Wait()
		if i%2 == 0 {
			c.Settle()
		}
	}
	start(t, filepath.Join(dir, "agent"), section, c.URL)
	records := func(all []chunk.Chunk) []string {
		at := map[int64]string{}
		for _, ch := range all {
			for first, last := range ch.Records() {
				if ch.Type == "app" {
					at[ch.First+int64(first)] = string(ch.Body[first:last])
				}
			}
		}
		var out []string
		for _, first := range slices.Sorted(maps.Keys(at)) {
			out = append(out, at[first])
		}
		return out
	}
	all := c.Wait("the last record", func(all []chunk.Chunk) bool { return len(records(all)) >= len(want) })
	if got := records(all); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
