package agentd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// TestWhatASourceDestroyedIsToldByOffsetEverywhere truncates a file while the
// agent is stopped, before anything of it was secured.
func TestWhatASourceDestroyedIsToldByOffsetEverywhere(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 100))
	n := int64(len(lines(0, 100)))
	a := start(t, filepath.Join(dir, "agent"), tail(path), "http://127.0.0.1:1") // nobody is there
	a.wait("log", "read", func(v view) bool { return len(v.Position) == 1 && v.Position[0].Read == n })
	a.stop()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, path, lines(100, 110))
	a = start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	var fact chunk.Chunk
	c.Wait("the loss", func(all []chunk.Chunk) bool {
		for _, k := range all {
			if k.Kind == chunk.Lost {
				fact = k
			}
		}
		return fact.Kind == chunk.Lost
	})
	if want := (chunk.Range{Last: n}); fact.Range() != want || fact.Source != path || fact.Reason == "" {
		t.Errorf("the collector was told that %v of %s is lost (%q), want %v of %s and a reason", fact.Range(), fact.Source, fact.Reason, want, path)
	}
	_, body := a.do("GET", "/v1/adaptors/log", "")
	var v struct {
		Lost struct {
			Bytes  int64
			Ranges []struct {
				Stream, Path, Reason string
				First, Last          int64
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	if v.Lost.Bytes != n || len(v.Lost.Ranges) != 1 || v.Lost.Ranges[0].First != 0 || v.Lost.Ranges[0].Last != n ||
		v.Lost.Ranges[0].Stream != fact.Stream || v.Lost.Ranges[0].Path != path || v.Lost.Ranges[0].Reason == "" {
		t.Errorf("REST tells of %+v, want %d bytes of %s", v.Lost, n, path)
	}
	_, body = a.do("GET", "/metrics", "")
	if want := fmt.Sprintf(`akupara_agent_lost_bytes_total{adaptor="log"} %d`, n); !strings.Contains(body, want) {
		t.Errorf("the metrics do not hold %q", want)
	}
}
