package demux

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// opens counts how often archived files are opened.
type opens struct {
	store.FS
	archived atomic.Int64
}

func (o *opens) Open(ctx context.Context, path string) (store.Reader, error) {
	if strings.HasPrefix(path, store.Archive+"/") {
		o.archived.Add(1)
	}
	return o.FS.Open(ctx, path)
}

// After a collector's death thousands of ranges come again, cut anew: what they
// are held against is known by checksums, and each archived file is opened once.
func TestRepetitionsCutAnewOpenEachArchivedFileOnce(t *testing.T) {
	st := &opens{FS: testStore(t)}
	d := testDemux(t, st, nil)
	const files, perFile = 20, 30
	at := int64(0)
	for range files {
		var chunks []chunk.Chunk
		for range perFile {
			chunks = append(chunks, lines("a", at, 1))
			at += lineLen
		}
		publish(t, st, chunks)
		runOnce(t, d)
	}
	for round := range int64(4) {
		publish(t, st, []chunk.Chunk{lines("a", round*lineLen, int(files*perFile-round))})
		if rep := runOnce(t, d); rep.Quarantined != 0 || rep.Records != 0 {
			t.Errorf("round %d: got %+v, want the repetition to be dropped", round, rep)
		}
	}
	// Each of the repetitions is in the archive by then, too.
	if n := st.archived.Load(); n > files+4 {
		t.Errorf("archived files were opened %d times, want %d times at most", n, files+4)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": files * perFile})
}
