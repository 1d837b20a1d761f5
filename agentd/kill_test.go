package agentd_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// TestMain lets the test binary be an agent that can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("AGENT_DIR") != "" {
		beAgent()
		return
	}
	os.Exit(m.Run())
}

func beAgent() {
	var t testing.T
	cfg := decode(&t, os.Getenv("AGENT_SECTION"), os.Getenv("AGENT_COLLECTOR"))
	if socket := os.Getenv("AGENT_SOCKET"); socket != "" {
		cfg.Listen = config.Addr("unix:" + socket)
	}
	a, err := agentd.New(cfg, agentd.Deps{Dir: os.Getenv("AGENT_DIR"), Kinds: all.Kinds(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err == nil {
		err = a.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// An agent that is killed at random moments, while a file grows and rotates
// and a program talks, brings every byte of every stream, and contradicts
// itself at no offset.
func TestKilledAgentLosesNothing(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	section := "resend_after: 1s\nadaptors:\n" +
		" - {name: log, kind: tail, type: app, paths: [" + path + "*], rescan: 50ms}\n" +
		" - {name: date, kind: command, type: said, command: [date, +%s.%N], every: 100ms}\n"
	n := 0
	grow := func() {
		from := n
		n += 1 + random.IntN(2000)
		write(t, path, lines(from, n))
	}
	for round := range 8 {
		grow()
		agent := exec.Command(os.Args[0])
		agent.Env = append(os.Environ(), "AGENT_DIR="+filepath.Join(dir, "agent"), "AGENT_SECTION="+section, "AGENT_COLLECTOR="+c.URL)
		agent.Stderr = os.Stderr
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Duration(100+random.IntN(400)) * time.Millisecond); time.Now().Before(end); {
			grow()
			switch random.IntN(6) {
			case 0:
				c.Settle()
			case 1:
				c.Lose()
			case 2:
				if round%3 == 1 {
					_ = os.Rename(path, fmt.Sprintf("%s.%d-%d", path, round, n))
				}
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
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)
	got := c.Wait("every line", func(all []chunk.Chunk) bool { return missing(t, all, n) == 0 })
	c.SettleAll(true)
	a.wait("log", "settled", settled)
	checkSaid(t, got)
}

// missing puts the streams of the file together and counts the lines that
// are not in exactly one of them.
func missing(t *testing.T, chunks []chunk.Chunk, n int) int {
	t.Helper()
	count := map[string]int{}
	for id, s := range assemble(t, chunks, "app") {
		if !strings.HasPrefix(s, "line") {
			t.Errorf("stream %s starts with %.40q", id, s)
		}
		for line := range strings.Lines(s) {
			count[strings.TrimSpace(line)]++
		}
	}
	absent := 0
	for i := range n {
		switch line := fmt.Sprintf("line %06d of the log", i); count[line] {
		case 0:
			absent++
		case 1:
		default:
			t.Fatalf("%q is in %d streams or offsets", line, count[line])
		}
	}
	return absent
}

// assemble gives the text of each stream of a type, up to its first gap.
func assemble(t *testing.T, chunks []chunk.Chunk, dataType string) map[string]string {
	t.Helper()
	texts := map[string][]byte{}
	for progress := true; progress; {
		progress = false
		for _, c := range chunks {
			if c.Type != dataType || c.Kind != chunk.Data {
				continue
			}
			have := int64(len(texts[c.Stream]))
			if c.First <= have && c.Last > have {
				texts[c.Stream] = append(texts[c.Stream], c.Body[have-c.First:]...)
				progress = true
			}
		}
	}
	out := map[string]string{}
	for _, c := range chunks {
		if c.Type != dataType || c.Kind != chunk.Data {
			continue
		}
		text := texts[c.Stream]
		if c.Last <= int64(len(text)) && string(text[c.First:c.Last]) != string(c.Body) {
			t.Errorf("stream %s holds different bytes at %v", c.Stream, c.Range())
		}
		out[c.Stream] = string(text)
	}
	return out
}

// checkSaid looks for gaps in what the command said: each run is a record of
// its own in one stream.
func checkSaid(t *testing.T, chunks []chunk.Chunk) {
	t.Helper()
	seen := map[string]string{}
	for id, s := range assemble(t, chunks, "said") {
		for line := range strings.Lines(s) {
			if other, twice := seen[line]; twice {
				t.Errorf("%q is in stream %s and in %s", line, id, other)
			}
			seen[line] = id
		}
	}
	if len(seen) == 0 {
		t.Error("nothing of the command arrived")
	}
}

func TestAgentWaitsForTheOneBeforeItToBeGone(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	store, err := checkpoints.Open(filepath.Join(dir, "checkpoints"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	release := time.AfterFunc(300*time.Millisecond, func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	defer release.Stop()
	start(t, dir, "adaptors: []\n", c.URL)
}
