package agentd_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/chunk"
)

// until waits for a condition that other goroutines bring about.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute: %s", what)
		}
	}
}

func TestRemovedDataDirectoryIsNoticedAndMadeAnew(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(dir string) error{
		"removed":    os.RemoveAll,
		"moved away": func(dir string) error { return os.Rename(dir, dir+".away") },
		"replaced": func(dir string) error {
			other := dir + ".other"
			store, err := checkpoints.Open(filepath.Join(other, "checkpoints"), quietLog())
			if err != nil {
				return err
			}
			if err := store.Close(); err != nil {
				return err
			}
			if err := os.Rename(dir, dir+".away"); err != nil {
				return err
			}
			return os.Rename(other, dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), collectortest.New(t, "a")
			c.SettleAll(true)
			path := filepath.Join(dir, "app.log")
			section := "adaptors:\n" +
				" - {name: log, kind: tail, type: app, paths: [" + path + "], rescan: 50ms}\n" +
				" - {name: date, kind: command, type: said, command: [date, +%s.%N], every: 100ms}\n"
			write(t, path, lines(0, 1000))
			data := filepath.Join(dir, "data", "agent")
			a := start(t, data, section, c.URL)
			c.Wait("the first lines", func(all []chunk.Chunk) bool { return missing(t, all, 1000) == 0 && len(said(all)) == 1 })

			until(t, "the directory can't be removed", func() bool { return remove(data) == nil })
			unready := ""
			until(t, "readyz was never 503", func() bool {
				status, body := a.do("GET", "/readyz", "")
				if status == 503 {
					unready = body
				}
				return status == 503 || strings.Contains(a.log.String(), "was made anew")
			})
			if unready != "" && !strings.Contains(unready, "while the agent uses it") {
				t.Errorf("readyz says %q, want why", unready)
			}
			until(t, "it is not made anew", func() bool {
				status, _ := a.do("GET", "/readyz", "")
				return status == 200 && strings.Contains(a.log.String(), "was made anew")
			})
			if log := a.log.String(); !strings.Contains(log, "level=ERROR") {
				t.Errorf("nothing of it is an error in the log:\n%s", log)
			}
			if _, metrics := a.do("GET", "/metrics", ""); !strings.Contains(metrics, "akupara_agent_data_dir_mended_total 1") ||
				!strings.Contains(metrics, "akupara_agent_data_dir_whole 1") {
				t.Error("the metrics do not tell that it was made anew")
			}
			write(t, path, lines(1000, 1500))
			c.Wait("more lines", func(all []chunk.Chunk) bool { return missing(t, all, 1500) == 0 })
			a.wait("log", "settled", settled)
			a.stop()

			a = start(t, data, section, c.URL)
			write(t, path, lines(1500, 2000))
			got := c.Wait("lines after a start", func(all []chunk.Chunk) bool { return missing(t, all, 2000) == 0 && len(said(all)) == 2 })
			a.wait("log", "settled", settled)
			streams := map[string]bool{}
			for _, ch := range got {
				if ch.Type == "app" {
					streams[ch.Stream] = true
				}
			}
			if len(streams) != 1 {
				t.Errorf("the log came in %d streams, want one", len(streams))
			}
			checkSaid(t, got)
		})
	}
}

// said are the streams of what the command said.
func said(chunks []chunk.Chunk) map[string]bool {
	streams := map[string]bool{}
	for _, c := range chunks {
		if c.Type == "said" && c.Kind == chunk.Data {
			streams[c.Stream] = true
		}
	}
	return streams
}

// Another agent that was started on the directory made anew keeps it.
func TestDataDirectoryThatAnotherHoldsIsSaidToBe(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 10))
	data := filepath.Join(dir, "agent")
	a := start(t, data, "adaptors:\n - {name: log, kind: tail, type: app, paths: ["+filepath.Join(dir, "*.log")+"], rescan: 50ms}\n", c.URL)
	c.Wait("the lines", func(all []chunk.Chunk) bool { return missing(t, all, 10) == 0 })
	other := filepath.Join(dir, "other")
	store, err := checkpoints.Open(filepath.Join(other, "checkpoints"), quietLog())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(data, data+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, data); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		until(t, "readyz does not say who has it", func() bool {
			status, body := a.do("GET", "/readyz", "")
			return status == 503 && strings.Contains(body, "in use by another process")
		})
	}
	write(t, filepath.Join(dir, "new.log"), "line of a file that can't be stored\n")
	until(t, "no error is shown of a file that can't be opened", func() bool {
		return strings.Contains(a.get("log").LastError, "in use by another process")
	})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is not ready again", func() bool { status, _ := a.do("GET", "/readyz", ""); return status == 200 })
	c.Wait("the new file", func(all []chunk.Chunk) bool {
		for _, ch := range all {
			if strings.Contains(string(ch.Body), "can't be stored") {
				return true
			}
		}
		return false
	})
	if n := strings.Count(a.log.String(), "msg=\"the agent's data directory can't be made anew"); n != 1 {
		t.Errorf("the log says %d times that it can't be made anew, want once:\n%s", n, a.log)
	}
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
