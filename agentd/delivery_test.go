package agentd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

var levels = []string{"end_to_end", "store_on_failure", "best_effort"}

func delivered(path, level string) string {
	return fmt.Sprintf("resend_after: 1s\ndrain: 100ms\nadaptors:\n"+
		" - {name: log, kind: tail, type: app, paths: [%s], rescan: 50ms, delivery: %s}\n", path, level)
}

// process starts an agent of its own, whose API is at a socket, and gives what
// kills it.
func process(t *testing.T, dir, section, collector, socket string) (kill func()) {
	t.Helper()
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), "AGENT_DIR="+dir, "AGENT_SECTION="+section, "AGENT_COLLECTOR="+collector, "AGENT_SOCKET="+socket)
	agent.Stderr = os.Stderr
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
	})
	t.Cleanup(kill)
	return kill
}

// waitSettled waits until the adaptor log of the agent at a socket has nothing
// that is not settled.
func waitSettled(t *testing.T, socket string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		resp, err := client.Get("http://localhost/v1/adaptors/log")
		if err != nil {
			continue // it starts
		}
		var v view
		err = json.NewDecoder(resp.Body).Decode(&v)
		resp.Body.Close()
		if err == nil && settled(v) {
			return
		}
	}
	t.Fatal("not settled within a minute")
}

// The collector's disk is lost, with what it had taken and not published. Only
// end_to_end brings it again; the lower levels have moved their positions.
func TestLossOfACollectorsDiskByDeliveryLevel(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), collectortest.New(t, "a")
			path := filepath.Join(dir, "app.log")
			write(t, path, lines(0, 1000))
			a := start(t, filepath.Join(dir, "agent"), delivered(path, level), c.URL)
			c.Wait("the file", holds(t, "app", lines(0, 1000)))
			if level != "end_to_end" {
				a.wait("log", "settled before anything is published", settled)
			} else if v := a.get("log"); v.LagBytes == 0 {
				t.Error("settled before anything is published")
			}
			before := len(c.Chunks())
			c.Lose()
			write(t, path, lines(1000, 1001))
			after := func(from int) func([]chunk.Chunk) bool {
				return func(all []chunk.Chunk) bool {
					var got chunk.Ranges
					for _, g := range all[before:] {
						got = got.Add(g.Range())
					}
					return got.Contains(chunk.Range{First: int64(len(lines(0, from))), Last: int64(len(lines(0, 1001)))})
				}
			}
			if level == "end_to_end" {
				c.Wait("all of it again", after(0))
				c.Settle()
				a.wait("log", "settled", settled)
				return
			}
			c.Wait("what came since", after(1000))
			a.wait("log", "settled", settled)
			if after(999)(c.Chunks()) {
				t.Error("what was lost came again, which its level does not promise; has the level no effect?")
			}
		})
	}
}

// The collector dies in the middle of a post and comes back with its disk: no
// level loses anything, since the agent lives and posts again.
func TestKilledCollectorLosesNothingAtAnyDeliveryLevel(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), collectortest.New(t, "a")
			path := filepath.Join(dir, "app.log")
			deaths := make(chan struct{}, 3)
			for range cap(deaths) {
				deaths <- struct{}{}
			}
			c.Answer(func(*chunk.Batch) (int, any) {
				select {
				case <-deaths:
					go c.CloseClientConnections() // which its connections show
					time.Sleep(50 * time.Millisecond)
					return 503, map[string]any{"error": "dying"}
				default:
					return 0, nil
				}
			})
			write(t, path, lines(0, 1000))
			a := start(t, filepath.Join(dir, "agent"), delivered(path, level), c.URL)
			c.Wait("the file", holds(t, "app", lines(0, 1000)))
			write(t, path, lines(1000, 2000))
			c.Wait("the rest", holds(t, "app", lines(0, 2000)))
			c.Settle()
			a.wait("log", "settled", settled)
		})
	}
}

// The agent is killed while a post is on its way that its collector never
// takes. best_effort has moved on by then; the others send it again.
func TestKilledAgentByDeliveryLevel(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			dir, stuck, c := t.TempDir(), collectortest.New(t, "stuck"), collectortest.New(t, "a")
			path := filepath.Join(dir, "app.log")
			arrived, release := make(chan struct{}, 64), make(chan struct{})
			stuck.Answer(func(*chunk.Batch) (int, any) {
				arrived <- struct{}{}
				<-release
				return 503, map[string]any{"error": "stuck"}
			})
			t.Cleanup(func() { close(release) })
			write(t, path, lines(0, 1000))
			section := delivered(path, level)
			socket := filepath.Join(dir, "s")
			kill := process(t, filepath.Join(dir, "agent"), section, stuck.URL, socket)
			select {
			case <-arrived:
			case <-time.After(time.Minute):
				t.Fatal("nothing was posted")
			}
			if level == "best_effort" {
				waitSettled(t, socket)
			}
			kill()
			write(t, path, lines(1000, 1010))
			b := start(t, filepath.Join(dir, "agent"), section, c.URL)
			if level != "best_effort" {
				c.Wait("all of it", holds(t, "app", lines(0, 1010)))
				c.Settle()
				b.wait("log", "settled", settled)
				return
			}
			c.Wait("what was written since", func(all []chunk.Chunk) bool {
				var got chunk.Ranges
				for _, g := range all {
					got = got.Add(g.Range())
				}
				return got.Contains(chunk.Range{First: int64(len(lines(0, 1000))), Last: int64(len(lines(0, 1010)))})
			})
			for _, g := range c.Chunks() {
				if g.First == 0 && g.Last > 0 {
					t.Errorf("%v came again, which best_effort does not promise; has it no effect?", g.Range())
				}
			}
		})
	}
}

// A spooled source keeps its level, too, and best_effort does without syncs.
func TestSpooledSourcesHaveDeliveryLevels(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), collectortest.New(t, "a")
			section := "adaptors:\n - {name: echo, kind: command, type: said, command: [echo, hello], every: 1h, delivery: " + level + "}\n"
			a := start(t, filepath.Join(dir, "agent"), section, c.URL)
			c.Wait("the run", holds(t, "said", "hello\n"))
			if level == "end_to_end" {
				if v := a.get("echo"); v.LagBytes != 6 {
					t.Errorf("lag %d before it is published, want 6", v.LagBytes)
				}
				c.Settle()
			}
			a.wait("echo", "settled", settled)
		})
	}
}

// Facts hold a position back at every level: what is dropped at a stream's end
// is secured like what is kept.
func TestFilteredFilesSettleAtEveryDeliveryLevel(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), collectortest.New(t, "a")
			path := filepath.Join(dir, "app.log")
			text, _ := leveled(200)
			write(t, path, text)
			section := strings.Replace(delivered(path, level), "delivery:", "drop: [DEBUG], delivery:", 1)
			a := start(t, filepath.Join(dir, "agent"), section, c.URL)
			var kept, dropped chunk.Ranges
			c.Wait("data and facts", told("app", int64(len(text)), &kept, &dropped))
			if level == "end_to_end" {
				c.Settle()
			}
			a.wait("log", "settled", settled)
		})
	}
}
