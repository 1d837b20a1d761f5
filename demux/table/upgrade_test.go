package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/store/storetest"
)

// unsealed makes the table one that an older version wrote, which knew no
// checksums.
func unsealed(t testing.TB, w warehouse, tbl *Table) *Table {
	t.Helper()
	b, err := tbl.log.Read(t.Context(), tbl.Version())
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var props map[string]string
	if err := json.Unmarshal(doc["properties"], &props); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{propVersion, propCRC, propManifests} {
		if props[p] == "" {
			t.Fatalf("the table has no property %s", p)
		}
		delete(props, p)
	}
	set, err := tbl.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	base, err := set.Encode()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, w, tbl.coverageDir()+"/base-older.cov", base)
	props[propCoverage] = fmt.Sprintf("base-older.cov:%d", len(base))
	if doc["properties"], err = json.Marshal(props); err != nil {
		t.Fatal(err)
	}
	if b, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(onDisk(w, tbl.MetadataPath()), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return w.open(t, w)
}

func onDisk(w warehouse, p string) string {
	return filepath.Join(strings.TrimPrefix(w.uri, "file://"), filepath.FromSlash(p))
}

func TestTableOfAnOlderVersionGetsChecksumsWithItsNextCommit(t *testing.T) {
	w := openLocal(t)
	tbl := unsealed(t, w, grown(t, w, 4))
	wantRuns(t, tbl, 4)
	wantHealthy(t, w, 4)
	if len(tbl.sums) != 0 {
		t.Fatalf("the older table knows %d checksums", len(tbl.sums))
	}
	tbl = mustCommit(t, w, tbl, "run-4", 4)
	wantRuns(t, w.open(t, w), 5)
	wantHealthy(t, w, 5)
	if len(tbl.sums) != 6 { // a list and five manifests
		t.Errorf("checksums of manifests: got %d, want 6", len(tbl.sums))
	}
	files, err := tbl.coverageFiles(t.Context())
	if err != nil || len(files) != 2 || !files[0].hasCRC || !files[1].hasCRC || files[0].set() {
		t.Errorf("coverage files: got %+v, %v, want two of today, with checksums", files, err)
	}
}

// What has no checksum is decoded by a library that does not expect damage.
func TestDamageWithoutChecksumsNeitherPanicsNorIsTakenForMissing(t *testing.T) {
	w := openLocal(t)
	tbl := unsealed(t, w, grown(t, w, 4))
	seed := rand.Uint64()
	bits := rand.New(rand.NewPCG(seed, 0))
	found := 0
	for _, s := range current(t, tbl) {
		good, err := os.ReadFile(onDisk(w, s))
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			bad := append([]byte(nil), good...)
			at := bits.IntN(len(bad))
			bad[at] ^= 1 << bits.IntN(8)
			if bits.IntN(10) == 0 {
				bad = bad[:at]
			}
			if err := os.WriteFile(onDisk(w, s), bad, 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := Open(t.Context(), w, w.uri, typ)
			if err == nil {
				_, err = got.Files(t.Context(), nil, nil)
			}
			if err != nil && (!errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist)) &&
				!strings.HasSuffix(s, ".json") { // a flipped path is of a file that is not there
				t.Errorf("seed %d: %s with a flipped byte %d: got %v, want ErrDamaged", seed, s, at, err)
			}
			if err != nil {
				found++
			}
			if _, err := Check(t.Context(), w, w.uri, typ); err != nil {
				t.Errorf("seed %d: check of %s with a flipped byte %d: %v", seed, s, at, err)
			}
		}
		if err := os.WriteFile(onDisk(w, s), good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d were found", found)
	wantRuns(t, w.open(t, w), 4)
}

// current are the current metadata, list and a manifest.
func current(t testing.TB, tbl *Table) []string {
	t.Helper()
	io := tbl.io(t.Context())
	s := tbl.meta.CurrentSnapshot()
	ms, err := manifestsOf(io, s)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, uri := range []string{s.ManifestList, ms[0].FilePath()} {
		p, err := io.rel(uri)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return append(out, tbl.MetadataPath())
}

func TestDamageAfterATableWasOpenedIsNoConflict(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 3)
	older, err := tbl.log.Read(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	good, err := tbl.log.Read(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)/2] ^= 4
	for name, bad := range map[string][]byte{"flipped": flipped, "older": older, "empty": nil} {
		if err := os.WriteFile(onDisk(w, tbl.MetadataPath()), bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := commitRows(t, w, tbl, "run-3", 3); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrConflict) {
			t.Errorf("commit on a version that is %s: got %v, want ErrDamaged", name, err)
		}
	}
	if err := os.Remove(onDisk(w, tbl.MetadataPath())); err != nil {
		t.Fatal(err)
	}
	if _, err := commitRows(t, w, tbl, "run-3", 3); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrConflict) {
		t.Errorf("commit on a version that is gone: got %v, want ErrDamaged", err)
	}
	if err := os.WriteFile(onDisk(w, tbl.MetadataPath()), good, 0o644); err != nil {
		t.Fatal(err)
	}
	wantRuns(t, mustCommit(t, w, tbl, "run-3", 3), 4)
}
