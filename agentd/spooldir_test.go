package agentd_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// An agent that is killed at random moments, while files are put into a folder
// to be moved when they are settled, brings each file once and moves each once.
func TestKilledAgentReadsAndMovesEachFileOfAFolderOnce(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir, c := t.TempDir(), collectortest.New(t, "a")
	in, done := filepath.Join(dir, "in"), filepath.Join(dir, "done")
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	section := "resend_after: 1s\nadaptors:\n - {name: drops, kind: spool_dir, type: app, folders: [" + in + "], settle: 20ms, rescan: 50ms, after: move, move_to: " + done + "}\n"
	files, n := 0, 0
	put := func() {
		from := n
		n += 1 + random.IntN(3000)
		hidden := filepath.Join(in, ".new")
		write(t, hidden, lines(from, n))
		files++
		if err := os.Rename(hidden, filepath.Join(in, fmt.Sprintf("f%04d", files))); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		put()
		agent := exec.Command(os.Args[0])
		agent.Env = append(os.Environ(), "AGENT_DIR="+filepath.Join(dir, "agent"), "AGENT_SECTION="+section, "AGENT_COLLECTOR="+c.URL)
		agent.Stderr = os.Stderr
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Duration(150+random.IntN(350)) * time.Millisecond); time.Now().Before(end); {
			put()
			if random.IntN(2) == 0 {
				c.Settle()
			}
			time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond) // a writer's pace
		}
		if err := agent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = agent.Wait()
		if random.IntN(2) == 0 {
			c.Lose()
		}
	}
	start(t, filepath.Join(dir, "agent"), section, c.URL)
	c.SettleAll(true)
	got := c.Wait("every line", func(all []chunk.Chunk) bool { return missing(t, all, n) == 0 })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // between two looks
		left, err := os.ReadDir(in)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files were not moved", len(left))
		}
	}
	moved, err := os.ReadDir(done)
	if err != nil || len(moved) != files {
		t.Errorf("%d files were moved, %v; want %d", len(moved), err, files)
	}
	for _, chk := range got {
		if chk.Kind == chunk.Lost || strings.Contains(chk.Source, ".new") {
			t.Errorf("%v of %s: %s", chk.Kind, chk.Source, chk.Reason)
		}
	}
}
