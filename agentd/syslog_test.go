package agentd_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// A sender that ends its side of a connection and sees the agent end the other
// knows that its messages are stored: the agent is killed at that moment, again
// and again, while no collector can be reached, and every message comes once.
func TestSyslogThatWasAcknowledgedByTheEndOfItsConnectionSurvivesAKill(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	dir := t.TempDir()
	section := "adaptors:\n - {name: net, kind: syslog, type: messages, listen: ['tcp://" + address + "']}\n"
	const rounds, each = 4, 500
	for round := range rounds {
		agent := exec.Command(os.Args[0])
		agent.Env = append(os.Environ(), "AGENT_DIR="+filepath.Join(dir, "agent"), "AGENT_SECTION="+section, "AGENT_COLLECTOR=http://127.0.0.1:1")
		agent.Stderr = os.Stderr
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		conn := dialUntil(t, address)
		for i := range each {
			text := fmt.Sprintf("<13>message %06d\nof two lines", round*each+i)
			if _, err := fmt.Fprintf(conn, "%d %s", len(text), text); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadAll(conn); err != nil {
			t.Fatalf("wait for the end of the connection: %v", err)
		}
		if err := agent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = agent.Wait()
	}
	c := collectortest.New(t, "a")
	start(t, filepath.Join(dir, "agent"), section, c.URL)
	count := map[string]int{}
	got := c.Wait("every message", func(all []chunk.Chunk) bool {
		clear(count)
		for _, text := range assemble(t, all, "messages") {
			for _, m := range strings.SplitAfter(text, "lines") {
				if m != "" {
					count[m]++
				}
			}
		}
		return len(count) == rounds*each
	})
	for m, n := range count {
		if n != 1 {
			t.Errorf("%q came %d times, want once", m, n)
		}
	}
	for _, chk := range got {
		if chk.Type != "messages" || chk.Kind != chunk.Data {
			continue
		}
		for from, to := range chk.Records() {
			if m := string(chk.Body[from:to]); !strings.HasPrefix(m, "<13>message ") || !strings.HasSuffix(m, "of two lines") {
				t.Fatalf("a record is %q, want a whole message", m)
			}
		}
	}
}

func dialUntil(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // until the agent listens
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.(*net.TCPConn)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
