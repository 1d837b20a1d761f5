package agentd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// A source that was read to its end and is there still can be read again.
func TestRewindOfWhatHasEndedSendsItAgain(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(in, "kept.log")
	write(t, kept, lines(0, 100))
	a := start(t, filepath.Join(dir, "agent"), fmt.Sprintf(`adaptors:
 - {name: gen, kind: generate, type: gen, rate: 0, total: 64KiB}
 - {name: files, kind: spool_dir, type: files, folders: [%s], settle: 10ms, rescan: 50ms}
`, in), c.URL)
	done := func(v view) bool { // a file that is done is shown no more
		return v.LagBytes == 0 && (len(v.Position) == 0 || settled(v))
	}
	for _, kind := range []string{"gen", "files"} {
		ended := func(from int) func([]chunk.Chunk) bool {
			return func(all []chunk.Chunk) bool {
				for _, g := range all[from:] {
					if g.Type == kind && g.Kind == chunk.End {
						return true
					}
				}
				return false
			}
		}
		c.Wait("the end of "+kind, ended(0))
		a.wait(kind, "settled", done)
		before := len(c.Chunks())
		status, answer := a.do("POST", "/v1/adaptors/"+kind+"/rewind", `{"all": true, "offset": "beginning"}`)
		if status != 200 || !strings.Contains(answer, `"to":0`) {
			t.Fatalf("%s: status %d, want 200 and a stream set back to 0: %s", kind, status, answer)
		}
		c.Wait(kind+" again, from its first byte", func(all []chunk.Chunk) bool {
			for _, g := range all[before:] {
				if g.Type == kind && g.Kind == chunk.Data && g.First == 0 {
					return true
				}
			}
			return false
		})
		c.Wait("the end of "+kind+" again", ended(before))
	}
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	a.wait("files", "settled", done)
	status, answer := a.do("POST", "/v1/adaptors/files/rewind", `{"all": true, "offset": "beginning"}`)
	if status != 200 || strings.Contains(answer, `"to":0`) {
		t.Errorf("a file that was removed: status %d, want 200 and nothing set back: %s", status, answer)
	}
}
