package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

// damagedRuns is how many files of 10 rows the table has that TestDamage tries
// its damage on.
const damagedRuns = 7

// lived returns a table with a past: five commits, a rebuild (so that there are
// manifests that old snapshots alone name), and two commits; version 8. Truth
// is what it holds.
func lived(t testing.TB) (dir string, truth Content) {
	t.Helper()
	w := openLocal(t)
	tbl := grown(t, w, 5)
	files, _, err := tbl.ReadableFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tbl, err = Rebuild(t.Context(), w, w.uri, typ, tbl, Content{Files: files, Coverage: delta("s", 0, 500), Note: "a first time"})
	if err != nil {
		t.Fatal(err)
	}
	tbl.cover.tail = 1 // a file for each commit
	for i := 5; i < damagedRuns; i++ {
		tbl = mustCommit(t, w, tbl, runName(i), i)
	}
	wantHealthy(t, w, damagedRuns+1)
	if truth.Files, _, err = tbl.ReadableFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	truth.Columns, truth.Coverage = tbl.Columns(), delta("s", 0, damagedRuns*100)
	return strings.TrimPrefix(w.uri, "file://"), truth
}

// copied returns a copy of the store in dir, which has its location still.
func copied(t testing.TB, dir string) (w warehouse, at string) {
	t.Helper()
	at = storetest.FastDir(t)
	if err := os.CopyFS(at, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	l, err := local.New(at)
	if err != nil {
		t.Fatal(err)
	}
	return warehouse{FS: l, uri: "file://" + dir}, at
}

// subject is a file to be damaged.
type subject struct {
	name   string
	kind   Kind
	path   string // relative to the store's root
	other  string // another of its kind; "" where that makes no difference to Check
	needed bool
}

func subjects(t testing.TB, tbl *Table) []subject {
	t.Helper()
	io := tbl.io(t.Context())
	rel := func(uri string) string {
		p, err := io.rel(uri)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	all := tbl.meta.Snapshots()
	list := func(i int) string { return rel(all[i].ManifestList) }
	manifests := func(i int) []string {
		ms, err := manifestsOf(io, &all[i])
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, m := range ms {
			out = append(out, rel(m.FilePath()))
		}
		return out
	}
	now, old := len(all)-1, 2
	cur, past := manifests(now), manifests(old)
	cov, err := tbl.coverageFiles(t.Context())
	if err != nil || len(cov) != 3 {
		t.Fatalf("coverage files: got %v, %v, want three", cov, err)
	}
	files, err := tbl.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := tbl.Version()
	return []subject{
		{"metadata", KindMetadata, tbl.log.Path(v), tbl.log.Path(v - 1), true},
		{"old metadata", KindMetadata, tbl.log.Path(2), tbl.log.Path(1), false},
		{"list", KindManifestList, list(now), list(now - 1), true},
		{"old list", KindManifestList, list(old), "", false},
		{"manifest", KindManifest, cur[0], cur[1], true},
		{"manifest of the rebuild", KindManifest, cur[len(cur)-1], cur[0], true},
		{"old manifest", KindManifest, past[0], "", false},
		{"coverage's first file", KindCoverage, tbl.coveragePath(cov[0]), tbl.coveragePath(cov[1]), true},
		{"coverage's last file", KindCoverage, tbl.coveragePath(cov[2]), tbl.coveragePath(cov[1]), true},
		{"data file", KindDataFile, files[3].Path, "", true},
		{"hint", KindHint, tbl.log.HintPath(), "", false},
	}
}

// unreadable is a store with one file that can't be read.
type unreadable struct {
	store.FS
	path string
}

var errBroken = errors.New("input/output error")

func (u unreadable) Open(ctx context.Context, p string) (store.Reader, error) {
	if p == u.path {
		return nil, fmt.Errorf("open %s: %w", p, errBroken)
	}
	return u.FS.Open(ctx, p)
}

func TestDamageIsToldContainedAndRepaired(t *testing.T) {
	dir, truth := lived(t)
	w, _ := copied(t, dir)
	all := subjects(t, w.open(t, w))
	seed := rand.Uint64()
	for _, s := range all {
		for _, how := range []string{"flipped", "truncated", "empty", "missing", "swapped", "folder", "unreadable"} {
			if how == "swapped" && s.other == "" || how == "flipped" && s.kind == KindDataFile || how == "unreadable" && s.kind == KindDataFile {
				continue
			}
			t.Run(s.name+" "+how, func(t *testing.T) {
				t.Parallel()
				w, at := copied(t, dir)
				file := filepath.Join(at, filepath.FromSlash(s.path))
				damage(t, at, file, s, how, seed)
				if how == "unreadable" {
					w.FS = unreadable{w.FS, s.path}
				}
				wantDamage(t, w, s, how)
				if t.Failed() {
					t.Logf("seed %d", seed)
					return
				}
				wantGoesOn(t, w, s, how)
				wantRepaired(t, w, s, truth)
			})
		}
	}
}

func damage(t *testing.T, at, file string, s subject, how string, seed uint64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bits := rand.New(rand.NewPCG(seed, 0))
	switch how {
	case "flipped":
		b[bits.IntN(len(b))] ^= 1 << bits.IntN(8)
	case "truncated":
		b = b[:len(b)/2]
	case "empty":
		b = nil
	case "swapped":
		if b, err = os.ReadFile(filepath.Join(at, filepath.FromSlash(s.other))); err != nil {
			t.Fatal(err)
		}
	case "missing", "folder":
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if how == "folder" {
			if err := os.Mkdir(file, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return
	case "unreadable":
		return
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantDamage checks that Check names the file, and nothing else.
func wantDamage(t *testing.T, w warehouse, s subject, how string) {
	t.Helper()
	h, err := Check(t.Context(), w, w.uri, typ)
	if err != nil {
		t.Fatal(err)
	}
	if s.kind == KindHint && len(h.Damaged) == 0 && (how == "missing" || how == "flipped" || how == "truncated") {
		return // what it says may be a version, or nothing
	}
	if len(h.Damaged) != 1 || h.Damaged[0].Path != s.path || h.Damaged[0].Kind != s.kind || h.Damaged[0].Needed != s.needed {
		t.Errorf("damage: got %+v, want that of %s %s, needed %v", h.Damaged, s.kind, s.path, s.needed)
	}
	if h.Version != damagedRuns+1 {
		t.Errorf("version: got %d, want %d", h.Version, damagedRuns+1)
	}
	t.Log(h.Damaged)
}

// wantGoesOn checks that what does not need the file works, and that the rest
// says that it is damaged.
func wantGoesOn(t *testing.T, w warehouse, s subject, how string) {
	t.Helper()
	ctx := t.Context()
	wantErr := func(what string, err error, broken bool) {
		t.Helper()
		switch {
		case !broken && err != nil:
			t.Errorf("%s: got %v, want it done", what, err)
		case broken && how == "unreadable" && !errors.Is(err, errBroken):
			t.Errorf("%s: got %v, want the store's error", what, err)
		case broken && how != "unreadable" && (!errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist)):
			t.Errorf("%s: got %v, want ErrDamaged alone", what, err)
		case broken && how != "unreadable" && !strings.Contains(err.Error(), path.Base(s.path)) &&
			!(s.kind == KindMetadata && how == "missing"):
			t.Errorf("%s: %v does not name %s", what, err, s.path)
		}
	}
	if types, err := List(ctx, w); err != nil || !slices.Equal(types, []string{typ}) {
		t.Errorf("tables: got %v, %v, want %s", types, err, typ)
	}
	tbl, err := Open(ctx, w, w.uri, typ)
	wantErr("open", err, s.name == "metadata")
	if err != nil {
		return
	}
	tbl.Patient(0)
	_, err = tbl.Files(ctx, nil, nil)
	wantErr("files", err, s.name == "list" || s.kind == KindManifest && s.needed)
	_, err = tbl.Coverage(ctx)
	wantErr("coverage", err, s.kind == KindCoverage)
	data := storetest.Tree(t, w, "tables/"+typ+"/data")
	_, err = tbl.Sweep(ctx, orphansAlone)
	if blind := s.kind == KindManifest || s.kind == KindManifestList; blind != errors.Is(err, ErrDamaged) || !blind && err != nil {
		t.Errorf("sweep: got %v, want ErrDamaged: %v", err, blind)
	}
	if got := storetest.Tree(t, w, "tables/"+typ+"/data"); !slices.Equal(got, data) {
		t.Errorf("data files after a sweep: got %v, want %v", got, data)
	}
	if tbl, err = Open(ctx, w, w.uri, typ); err != nil {
		t.Fatal(err)
	}
	_, err = commitRows(t, w, tbl.Patient(0), "run-new", 20)
	wantErr("commit", err, s.name == "list")
}

// wantRepaired checks that a rebuild makes the table what it was, with the rows
// that were committed to the damaged one.
func wantRepaired(t *testing.T, w warehouse, s subject, truth Content) {
	t.Helper()
	ctx := t.Context()
	tbl, err := rescue(ctx, w, w, truth)
	if err != nil {
		t.Fatal(err)
	}
	n := damagedRuns
	if s.kind == KindDataFile {
		n--
	}
	if tbl.HasRun("run-new") || slices.ContainsFunc(must(tbl.Files(ctx, nil, nil)), func(f File) bool { return strings.Contains(f.Path, "run-new") }) {
		n++
	}
	wantFiles(t, tbl, n)
	tbl = mustCommit(t, w, w.open(t, w), "run-later", 30)
	wantFiles(t, tbl, n+1)
	set, err := tbl.Coverage(ctx)
	if err != nil || set["s"].Ranges.Len() < (damagedRuns+1)*100 {
		t.Errorf("coverage: got %v, %v, want %d bytes at least", set["s"], err, (damagedRuns+1)*100)
	}
	h, err := Check(ctx, w, w.uri, typ)
	if err != nil || len(h.Needed()) > 0 {
		t.Errorf("health: got %v, %v, want no damage that counts", h.Damaged, err)
	}
	if _, err := tbl.Sweep(ctx, orphansAlone); err != nil {
		t.Errorf("sweep after the repair: %v", err)
	}
	wantFiles(t, w.open(t, w), n+1)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// wantFiles checks that the table names n data files, all of them there.
func wantFiles(t *testing.T, tbl *Table, n int) {
	t.Helper()
	files, err := tbl.Files(t.Context(), nil, nil)
	if err != nil || len(files) != n {
		t.Fatalf("data files: got %d, %v, want %d", len(files), err, n)
	}
	for _, f := range files {
		if in, err := tbl.fs.Stat(t.Context(), f.Path); err != nil || in.Size != f.Size {
			t.Errorf("data file %s: %+v, %v", f.Path, in, err)
		}
	}
}

// rescue rebuilds the table from what can be read of it, with what truth adds.
func rescue(ctx context.Context, fsys store.FS, w warehouse, truth Content) (*Table, error) {
	base, _, err := Newest(ctx, fsys, w.uri, typ)
	if err != nil {
		return nil, err
	}
	c := Content{Note: "test", Columns: truth.Columns, Coverage: coverage.Set{}}
	var files []DataFile
	if base != nil {
		base.Patient(0)
		if files, _, err = base.ReadableFiles(ctx); err != nil {
			return nil, err
		}
		if c.Coverage, err = readable(ctx, base); err != nil {
			return nil, err
		}
		c.Columns = base.Columns()
	}
	named := map[string]bool{}
	for _, f := range slices.Concat(files, truth.Files) {
		in, err := fsys.Stat(ctx, f.Path)
		if err == nil && !named[f.Path] && !in.IsDir && in.Size == f.Stats.Size {
			named[f.Path] = true
			c.Files = append(c.Files, f)
		}
	}
	c.Coverage.Merge(truth.Coverage)
	return Rebuild(ctx, fsys, w.uri, typ, base, c)
}

func TestEachFlippedBitOfMetadataIsFound(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 2)
	good, err := tbl.log.Read(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if why := checkSeal(good, 2); why != "" {
		t.Fatalf("the file as it was written %s", why)
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if checkSeal(bad, 2) == "" {
				t.Fatalf("bit %d of byte %d is flipped, of …%s…, and it is not found", bit, i, good[max(0, i-20):min(len(good), i+20)])
			}
		}
	}
	if why := checkSeal(good, 3); !strings.Contains(why, "version 2 in the place of version 3") {
		t.Errorf("as version 3: got %q, want it told", why)
	}
}
