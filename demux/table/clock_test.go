package table

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// aheadBy makes the table one whose last commit was made by a clock that was
// ahead, and every one before it by the true clock.
func aheadBy(t testing.TB, w warehouse, tbl *Table, d time.Duration) *Table {
	t.Helper()
	b, err := tbl.log.Read(t.Context(), tbl.Version())
	if err != nil {
		t.Fatal(err)
	}
	meta, err := ice.ParseMetadataBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	last := meta.CurrentSnapshot().TimestampMs
	moved := strings.ReplaceAll(string(b), `"timestamp-ms":`+fmt.Sprint(last), `"timestamp-ms":`+fmt.Sprint(last+d.Milliseconds()))
	moved = strings.ReplaceAll(moved, `"last-updated-ms":`+fmt.Sprint(meta.LastUpdatedMillis()), `"last-updated-ms":`+fmt.Sprint(last+d.Milliseconds()))
	b = crcRE.ReplaceAll([]byte(moved), []byte(`"`+propCRC+`":"`+noCRC+`"`))
	if err := seal(b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(strings.TrimPrefix(w.uri, "file://"), filepath.FromSlash(tbl.MetadataPath()))
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return w.open(t, w)
}

func TestCommitsFollowOneByAClockThatWasAhead(t *testing.T) {
	for _, ahead := range []time.Duration{0, 50 * time.Second, 5 * time.Minute, 25 * time.Hour, 20 * 365 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			w := openLocal(t)
			tbl := aheadBy(t, w, grown(t, w, 3), ahead)
			if got := tbl.Ahead(); (ahead > time.Minute) != (got > 0) || got > ahead {
				t.Errorf("ahead: got %v, want %v, or 0 up to a minute", got, ahead)
			}
			wantRising(t, tbl)
			// Rows, facts alone, a sweep's commit, a new column, a rebuild, and rows again.
			tbl = mustCommit(t, w, tbl, "run-3", 3)
			wantRising(t, tbl)
			facts := coverage.Set{}
			facts.Stream("s", "h", "x").Tell(chunk.Begin, chunk.Range{})
			tbl, err := tbl.Commit(t.Context(), Commit{RunID: "facts", Delta: facts})
			if err != nil {
				t.Fatal(err)
			}
			wantRising(t, tbl)
			tbl, err = tbl.commit(t.Context(), tbl.columns, func(a *attempt) error {
				a.update(ice.NewSetPropertiesUpdate(iceberg.Properties{propSwept: "now"}))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			wantRising(t, tbl)
			files, _, err := tbl.ReadableFiles(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			set, err := tbl.Coverage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tbl, err = Rebuild(t.Context(), w, w.uri, typ, tbl, Content{Files: files, Coverage: set})
			if err != nil {
				t.Fatal(err)
			}
			wantRising(t, tbl)
			tbl = mustCommit(t, w, w.open(t, w), "run-4", 4)
			wantRising(t, tbl)
			wantRuns(t, w.open(t, w), 5)
			if h, err := Check(t.Context(), w, w.uri, typ); err != nil || len(h.Damaged) > 0 || (h.Ahead > 0) != (ahead > time.Minute) {
				t.Errorf("health: got %+v, %v, want no damage, and the clock told", h, err)
			}
		})
	}
}

// wantRising checks that the table's times rise with its commits.
func wantRising(t *testing.T, tbl *Table) {
	t.Helper()
	last := int64(0)
	for _, s := range tbl.meta.Snapshots() {
		if s.TimestampMs <= last {
			t.Errorf("snapshot %d is of %d, the one before of %d", s.SequenceNumber, s.TimestampMs, last)
		}
		last = s.TimestampMs
	}
	if got := tbl.meta.LastUpdatedMillis(); got < last {
		t.Errorf("last updated at %d, the last snapshot is of %d", got, last)
	}
	if prev := previous(tbl); tbl.meta.LastUpdatedMillis() <= prev {
		t.Errorf("last updated at %d, the version before at %d", tbl.meta.LastUpdatedMillis(), prev)
	}
}

// previous is when the version before was made.
func previous(tbl *Table) int64 {
	last := int64(0)
	for e := range tbl.meta.PreviousFiles() {
		last = e.TimestampMs
	}
	return last
}
