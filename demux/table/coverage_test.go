package table

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// bare is a set without checksums, of which a table may keep fewer than a set.
func bare(set coverage.Set) map[string]string {
	out := map[string]string{}
	for id, st := range set {
		out[id] = fmt.Sprint(st.Host, st.Source, st.Ranges, st.Lost, st.Dropped, st.Doubtful, st.Begin, st.End, st.Cause, st.Seen.Unix())
	}
	return out
}

// additions are what a run adds: mostly to streams that are known, some of them
// with forks or many holes.
func additions(rnd *rand.Rand, families int) coverage.Set {
	set := coverage.Set{}
	for range 1 + rnd.IntN(20) {
		id := fmt.Sprintf("%06x", rnd.IntN(families)*1021)
		if rnd.IntN(20) == 0 {
			id += fmt.Sprintf("~%d", rnd.IntN(2))
		}
		st := set.Stream(id, "host", "/var/log/"+id)
		at := rnd.Int64N(20_000)
		n := rnd.IntN(5)
		if rnd.IntN(80) == 0 {
			n = rnd.IntN(3000)
		}
		for i := range n {
			r := chunk.Range{First: at, Last: at + 1 + rnd.Int64N(99)}
			if i%2 == 0 {
				st.Cover(r, rnd.Uint32())
			} else {
				st.Tell(chunk.Kind(rnd.IntN(6)), r)
			}
			at = r.Last
		}
		st.Seen = time.Unix(1+rnd.Int64N(1<<30), 0)
		if coverage.Base(id) != "" {
			st.Cause = "cut back"
		}
	}
	return set
}

// tellOnly commits facts and ranges without rows.
func tellOnly(t testing.TB, tbl *Table, run string, delta coverage.Set, known *coverage.Known) (*Table, error) {
	t.Helper()
	return tbl.Commit(t.Context(), Commit{RunID: run, Delta: delta, Known: known})
}

// knownOf looks up what a run that adds this would.
func knownOf(t testing.TB, tbl *Table, delta coverage.Set) *coverage.Known {
	t.Helper()
	want := coverage.Want{}
	for id, st := range delta {
		want.Add(id, chunk.Range{First: 0, Last: 1})
		for _, r := range slices.Concat(st.Ranges, st.Lost, st.Dropped, st.Doubtful) {
			want.Add(id, r)
		}
	}
	known, err := tbl.CoverageOf(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// wantCoverage compares all that the table tells with a set, and some that it is
// asked for.
func wantCoverage(t testing.TB, rnd *rand.Rand, tbl *Table, model coverage.Set) {
	t.Helper()
	got, err := tbl.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(bare(got), bare(model)) {
		t.Fatalf("version %d: got %d streams, want %d as the model has them", tbl.Version(), len(got), len(model))
	}
	want := coverage.Want{}
	for id := range model {
		if first := rnd.Int64N(25_000); rnd.IntN(4) == 0 {
			want.Add(id, chunk.Range{First: first, Last: first + rnd.Int64N(1000)})
		}
	}
	want.Add("unknown", chunk.Range{First: 0, Last: 10})
	known, err := tbl.CoverageOf(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if !known.All("unknown") {
		t.Errorf("of a stream that there is not, it is not known that there is nothing")
	}
	for id, st := range model {
		near, asked := want[coverage.Root(id)]
		if !asked {
			if known.Set[id] != nil {
				t.Errorf("stream %s is told, and was not asked for", id)
			}
			continue
		}
		got := known.Set[id]
		if got == nil {
			t.Fatalf("stream %s is not told", id)
		}
		clip := func(st *coverage.Stream) coverage.Set {
			st = st.Clone()
			if !known.All(id) && coverage.Base(id) == "" {
				near := chunk.Range{First: near.First - 1, Last: near.Last}
				st.Ranges, st.Lost, st.Dropped, st.Doubtful = st.Ranges.Covered(near), st.Lost.Covered(near), st.Dropped.Covered(near), st.Doubtful.Covered(near)
			}
			return coverage.Set{id: st}
		}
		if a, b := bare(clip(got)), bare(clip(st)); !maps.Equal(a, b) {
			t.Fatalf("stream %s near %v: got %v, want %v", id, near, a, b)
		}
	}
}

func TestCoverageIsWhatCommitsAdded(t *testing.T) {
	for seed := range uint64(1) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := openLocal(t)
		tbl := w.open(t, w)
		tbl.cover = coverageLimits{tail: 2000, part: 4000, text: 400}
		model := coverage.Set{}
		listed, merging, most := 0, 0, 0
		for i := range 70 {
			delta := additions(rnd, 20+i*8)
			var known *coverage.Known
			if rnd.IntN(4) > 0 {
				known = knownOf(t, tbl, delta)
			}
			model.Merge(delta)
			next, err := tellOnly(t, tbl, runName(i), delta, known)
			if err != nil {
				t.Fatal(err)
			}
			tbl = next
			tree, list, err := tbl.coverageTree(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if list != nil {
				listed++
			}
			if slices.ContainsFunc(tree, func(g coverageGroup) bool { return g.from != "" }) {
				merging++
			}
			most = max(most, len(tree))
			if i%6 == 0 || i == 69 {
				wantCoverage(t, rnd, tbl, model)
			}
		}
		t.Logf("seed %d: at most %d groups, %d times in the midst of a merge, %d times listed in a file", seed, most, merging, listed)
		if most > 24 || merging == 0 || listed == 0 {
			t.Errorf("seed %d: %d groups at most, %d times in the midst of a merge, %d times listed: want few, and both", seed, most, merging, listed)
		}
		if _, err := tbl.Sweep(t.Context(), orphansAlone); err != nil {
			t.Fatal(err)
		}
		wantOnlyNamed(t, w)
		wantCoverage(t, rnd, w.open(t, w), model)
		wantHealthy(t, w, tbl.Version()+1)
	}
}

// merging returns a store whose next commit merges, in the midst of which it is, and
// lists its files in a file; with what the table holds.
func merging(t testing.TB) (dir string, model coverage.Set, limits coverageLimits) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(5, 6))
	w := openLocal(t)
	tbl := w.open(t, w)
	tbl.cover = coverageLimits{tail: 2000, part: 3000, text: 300}
	model = coverage.Set{}
	for i := range 200 {
		delta := additions(rnd, 20+i*8)
		model.Merge(delta)
		next, err := tellOnly(t, tbl, runName(i), delta, knownOf(t, tbl, delta))
		if err != nil {
			t.Fatal(err)
		}
		tbl = next
		tree, list, err := tbl.coverageTree(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i > 8 && list != nil && tree[len(tree)-1].bytes() <= 2000 && slices.ContainsFunc(tree, func(g coverageGroup) bool { return g.from != "" }) {
			return strings.TrimPrefix(w.uri, "file://"), model, tbl.cover
		}
	}
	t.Fatal("no merge took several commits")
	return "", nil, coverageLimits{}
}

func TestACrashAtAnyWriteOfCoverageCostsNothing(t *testing.T) {
	dir, model, limits := merging(t)
	rnd := rand.New(rand.NewPCG(7, 8))
	delta := additions(rnd, 100)
	after := model.Clone()
	after.Merge(delta)
	for _, when := range []storetest.When{storetest.After, storetest.Torn} {
		for k := 0; ; k++ {
			w, _ := copied(t, dir)
			f := storetest.NewFaulty(w)
			tbl := w.open(t, f)
			tbl.cover = limits
			known := knownOf(t, tbl, delta)
			f.CrashAt(k, when)
			_, err := tellOnly(t, tbl.Patient(0), "run-crash", delta, known)
			if !f.Crashed() {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			tbl = w.open(t, w)
			want := model
			if tbl.HasRun("run-crash") {
				want = after
			}
			wantCoverage(t, rnd, tbl, want)
			tbl.cover = limits
			if tbl, err = tellOnly(t, tbl, "run-again", delta, knownOf(t, tbl, delta)); err != nil {
				t.Fatal(err)
			}
			wantCoverage(t, rnd, tbl, after)
			if h, err := Check(t.Context(), w, w.uri, typ); err != nil || len(h.Needed()) > 0 {
				t.Fatalf("%s write %d: health %v, %v", when, k, h.Damaged, err)
			}
		}
	}
}

// Each file of the coverage, damaged: what is told is the truth or ErrDamaged, the
// check names the file, commits go on, and what can be read is no lie.
func TestDamagedCoverageIsNeverBelieved(t *testing.T) {
	dir, model, limits := merging(t)
	rnd := rand.New(rand.NewPCG(9, 10))
	base, _ := copied(t, dir)
	files, err := base.open(t, base).coverageFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, how := range []string{"flipped", []string{"truncated", "missing", "swapped"}[rnd.IntN(3)]} {
			w, at := copied(t, dir)
			tbl := w.open(t, w)
			tbl.cover = limits
			p := tbl.coveragePath(f)
			damage(t, at, filepath.Join(at, filepath.FromSlash(p)), subject{other: tbl.coveragePath(files[rnd.IntN(len(files))])}, how, rnd.Uint64())
			if b, err := os.ReadFile(filepath.Join(at, filepath.FromSlash(p))); err == nil && sumOf(b) == sumOf(must(os.ReadFile(filepath.Join(dir, filepath.FromSlash(p))))) {
				continue // swapped with itself
			}
			h, err := Check(t.Context(), w, w.uri, typ)
			if err != nil || len(h.Damaged) != 1 || h.Damaged[0].Path != p || h.Damaged[0].Kind != KindCoverage {
				t.Errorf("%s %s: check tells %v, %v", f.name, how, h.Damaged, err)
			}
			got, err := tbl.Coverage(t.Context())
			if err == nil && !maps.Equal(bare(got), bare(model)) || err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s %s: got %d streams, %v, want the truth or ErrDamaged", f.name, how, len(got), err)
			}
			some, err := readable(t.Context(), tbl)
			if err != nil {
				t.Fatal(err)
			}
			for id, st := range some {
				for _, r := range st.Ranges {
					if model[id] == nil || !model[id].Ranges.Contains(r) {
						t.Errorf("%s %s: readable is %v of %s, which the table does not hold", f.name, how, r, id)
					}
				}
			}
			if strings.HasPrefix(f.name, listPrefix) {
				continue // no commit could name the others
			}
			if _, err := tellOnly(t, tbl, "run-new", additions(rnd, 50), nil); err != nil {
				t.Errorf("%s %s: commit: %v", f.name, how, err)
			}
		}
	}
}

// older makes the coverage of a table that of a version that knew no trees.
func older(t testing.TB, fsys store.FS, tbl *Table, sets ...coverage.Set) *Table {
	t.Helper()
	var entries []string
	for i, set := range sets {
		b, err := set.Encode()
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("delta-%d.cov", i)
		if i == 0 {
			name = "base-0.cov"
		}
		storetest.Put(t, fsys, tbl.coverageDir()+"/"+name, b)
		s := sumOf(b)
		entries = append(entries, coverageFile{name: name, bytes: s.size, crc: s.crc, hasCRC: true}.String())
	}
	next := *tbl
	meta, err := withProperty(tbl, propCoverage, strings.Join(entries, ","))
	if err != nil {
		t.Fatal(err)
	}
	next.meta = meta
	return &next
}

func TestAnOldCoverageBecomesATreeInSteps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	base := coverage.Set{}
	for i := range 12_000 {
		id := fmt.Sprintf("%08x", uint32(i)*2654435761)
		st := base.Stream(id, "host", "/var/log/"+strings.Repeat(id, 90))
		st.Cover(chunk.Range{First: 0, Last: int64(i + 1)}, uint32(i))
		st.Seen = time.Unix(int64(i+1), 0)
	}
	d1, d2 := additions(rnd, 1000), additions(rnd, 1000)
	model := base.Clone()
	model.Merge(d1)
	model.Merge(d2)
	w := openLocal(t)
	first, err := tellOnly(t, w.open(t, w), "run-0", delta("s", 0, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	tbl := older(t, w, first, base, d1, d2)
	wantCoverage(t, rnd, tbl, model)
	tbl.cover = coverageLimits{part: 60_000}
	steps := 0
	for i := 1; ; i++ {
		delta := additions(rnd, 1000)
		next, err := replaced(t, w, tbl, delta)
		if err != nil {
			t.Fatal(err)
		}
		tbl = next
		model.Merge(delta)
		tree, _, err := tbl.coverageTree(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if steps++; steps%4 == 1 {
			wantCoverage(t, rnd, tbl, model)
		}
		if !slices.ContainsFunc(tree, func(g coverageGroup) bool { return g.set() }) {
			break
		}
		if i > 100 {
			t.Fatalf("after %d commits the old files are still there: %s", i, tree)
		}
	}
	wantCoverage(t, rnd, tbl, model)
	t.Logf("%d steps", steps)
	if steps < 3 {
		t.Errorf("it took %d steps, want some", steps)
	}
}

// replaced writes what a commit of the delta would, without publishing it.
func replaced(t testing.TB, w warehouse, tbl *Table, delta coverage.Set) (*Table, error) {
	t.Helper()
	a, err := tbl.attempt(t.Context(), tbl.columns)
	if err != nil {
		return nil, err
	}
	text, err := a.writeCoverage(t.Context(), "run-x", delta, knownOf(t, tbl, delta))
	if err != nil {
		return nil, err
	}
	next := *tbl
	next.meta, err = withProperty(tbl, propCoverage, text)
	return &next, err
}

func withProperty(tbl *Table, key, value string) (ice.Metadata, error) {
	return ice.UpdateTableMetadata(tbl.meta, []ice.Update{ice.NewSetPropertiesUpdate(iceberg.Properties{key: value})}, "")
}
