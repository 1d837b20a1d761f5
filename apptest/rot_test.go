package apptest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
)

// rot is a store of which one file after the other is damaged.
type rot struct {
	site
	whole string // a copy of the store
	rows  int    // that "app" has in the end
}

// newRot makes a store with a table of several commits, each with several data
// files, facts and a fork, with archived sink files and ones that wait.
func newRot(t *testing.T) *rot {
	r := &rot{}
	r.configure(t)
	r.collector = start(t, "collector", "akupara", "collector", "--config", r.config)
	ready(t, r.collectorAddr)
	send := func(chunks ...chunk.Chunk) {
		t.Helper()
		do(t, "POST", "http://"+r.collectorAddr+"/v1/batches", frame(t, chunks...)).want(t, "a batch", 200)
	}
	published := func() {
		t.Helper()
		eventually(t, slow, "all is published", func() bool { return r.collectorStatus(t).WaitingBytes == 0 })
	}
	at := time.Now().Add(-10 * time.Hour)
	lines := func(stream string, first int64, n int, hour int) chunk.Chunk {
		c := piece("app", stream, first, numbered(stream, int(first/numberedLen(stream)), int(first/numberedLen(stream))+n))
		c.Time = at.Add(time.Duration(hour) * time.Hour)
		return c
	}
	const n = waiting
	for i := range 5 {
		a, b := lines("a", int64(i)*n*numberedLen("a"), n, i), lines("b", int64(i)*n*numberedLen("b"), n, i+1)
		send(fact("app", "a", chunk.Begin, 0, 0), a, b)
		r.rows += 2 * n
		if i == 2 { // a log that lost its end and went on
			c := piece("app", "a", 0, strings.Repeat("x", int(numberedLen("a"))-1)+"\n")
			c.Time = at
			send(c)
			r.rows++
		}
		if i == 4 {
			send(fact("app", "b", chunk.End, 5*n*numberedLen("b"), 5*n*numberedLen("b")))
		}
		published()
		mustAkupara(t, "demux", "--once", "--config", r.config)
		if i == 0 {
			r.keepCoverage(t)
		}
	}
	// What was in a sink file that was damaged came again since.
	for _, broken := range []bool{true, false} {
		send(lines("a", 5*n*numberedLen("a"), n, 6))
		published()
		if broken {
			raw, err := filepath.Glob(filepath.Join(r.store, "raw/app/*/*.avro"))
			if err != nil || len(raw) != 1 {
				t.Fatalf("waiting sink files: %v, %v; want one", raw, err)
			}
			b := []byte(mustRead(t, raw[0]))
			b[len(b)-30] ^= 1
			if err := os.WriteFile(raw[0], b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		mustAkupara(t, "demux", "--once", "--config", r.config)
	}
	r.rows += n
	// The leases of a demux that was killed, while it was in trouble and did a job.
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	const noProcess = 1 << 30
	lease := fmt.Sprintf(`{"holder":"0a0b0c0d0e0f","host":%q,"pid":%d,"beat":3}`, host, noProcess)
	const failing = `{"since":"2026-01-02T03:04:05Z","times":3,"error":"it was so"}`
	for name, text := range map[string]string{
		"_lease": lease, "_job": lease, "_trouble.json": `{"failing":` + failing + `}`, "_jobs.json": `{"jobs":{"compact":` + failing + `}}`,
	} {
		writeFile(t, filepath.Join(r.store, "tables/app", name), text)
	}
	// One file of each of two types waits.
	send(lines("a", 6*n*numberedLen("a"), n, 7))
	send(piece("other", "o", 0, "one\n"))
	r.rows += n
	published()
	r.collector.stop()
	r.whole = filepath.Join(r.dir, "whole")
	copyTree(t, r.store, r.whole)
	return r
}

// waiting is how many lines of "app" are in a sink file that waits.
const waiting = 40

// numberedLen is the length of a line of numbered.
func numberedLen(prefix string) int64 { return int64(len(numbered(prefix, 0, 1))) }

func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

func (r *rot) restore(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(r.store); err != nil {
		t.Fatal(err)
	}
	copyTree(t, r.whole, r.store)
}

// olderCoverage is a copy of the first version's coverage, as seen from the store.
const olderCoverage = "../older.cov"

func (r *rot) keepCoverage(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.store, "tables/app/_coverage/*.cov"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the first version's coverage: %v, %v; want one file", files, err)
	}
	copyTree(t, files[0], filepath.Join(r.store, olderCoverage))
}

// rotting kinds of files.
const (
	rotMetadata    = "metadata"
	rotOldMetadata = "old metadata"
	rotHint        = "hint"
	rotList        = "manifest list"
	rotOldList     = "old manifest list"
	rotManifest    = "manifest"
	rotCoverage    = "coverage"
	rotData        = "data file"
	rotArchived    = "archived sink file"
	rotRaw         = "sink file"
	rotQuarantined = "quarantined sink file"
	rotNote        = "reasons of a quarantined sink file"
	rotLease       = "lease"
	rotJobLease    = "lease of a job"
	rotTrouble     = "trouble of runs"
	rotJobs        = "trouble of jobs"
	rotClaim       = "claim"
)

// kinds sorts all files of the store by what they are. A file of a kind that is
// not known fails the test: think of what its damage does.
func (r *rot) kinds(t *testing.T) map[string][]string {
	t.Helper()
	hint := strings.TrimSpace(mustRead(t, filepath.Join(r.whole, "tables/app/metadata/version-hint.text")))
	var meta struct {
		Current   int64 `json:"current-snapshot-id"`
		Snapshots []struct {
			ID   int64  `json:"snapshot-id"`
			List string `json:"manifest-list"`
		}
	}
	newest := "v" + hint + ".metadata.json"
	if err := json.Unmarshal([]byte(mustRead(t, filepath.Join(r.whole, "tables/app/metadata", newest))), &meta); err != nil {
		t.Fatal(err)
	}
	list := ""
	for _, s := range meta.Snapshots {
		if s.ID == meta.Current {
			list = filepath.Base(s.List)
		}
	}
	out := map[string][]string{}
	err := filepath.WalkDir(r.whole, func(p string, d os.DirEntry, err error) error {
		claim := filepath.Base(filepath.Dir(p)) == "_claims"
		if err != nil || d.IsDir() && !claim {
			return err
		}
		rel, base := strings.TrimPrefix(p, r.whole+"/"), filepath.Base(p)
		area, _, _ := strings.Cut(rel, "/")
		kind := ""
		switch {
		case claim:
			kind = rotClaim
		case area == "raw":
			kind = rotRaw
		case area == "archive":
			kind = rotArchived
		case area == "quarantine" && strings.HasSuffix(base, ".avro"):
			kind = rotQuarantined
		case area == "quarantine" && strings.HasSuffix(base, ".reason.json"):
			kind = rotNote
		case base == "_lease":
			kind = rotLease
		case base == "_job":
			kind = rotJobLease
		case base == "_trouble.json":
			kind = rotTrouble
		case base == "_jobs.json":
			kind = rotJobs
		case base == newest:
			kind = rotMetadata
		case strings.HasSuffix(base, ".metadata.json"):
			kind = rotOldMetadata
		case base == "version-hint.text":
			kind = rotHint
		case base == list:
			kind = rotList
		case strings.HasPrefix(base, "snap-"):
			kind = rotOldList
		case strings.HasSuffix(base, ".avro"):
			kind = rotManifest
		case strings.HasSuffix(base, ".cov"):
			kind = rotCoverage
		case strings.HasSuffix(base, ".parquet"):
			kind = rotData
		case base == "README.md":
			return nil // for people; it is written anew
		default:
			t.Errorf("%s is of no kind that this test knows", rel)
		}
		if !strings.HasPrefix(rel, "raw/other") {
			out[kind] = append(out[kind], rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}

// damages are what befalls a file. other is another of its kind.
func damages() map[string]func(t *testing.T, p, other string) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string]func(t *testing.T, p, other string){
		"a flipped bit": func(t *testing.T, p, _ string) {
			b := []byte(mustRead(t, p))
			b[len(b)/2] ^= 1
			must(t, os.WriteFile(p, b, 0o644))
		},
		"cut off": func(t *testing.T, p, _ string) { must(t, os.Truncate(p, int64(len(mustRead(t, p))/2))) },
		"empty":   func(t *testing.T, p, _ string) { must(t, os.Truncate(p, 0)) },
		"missing": func(t *testing.T, p, _ string) { must(t, os.RemoveAll(p)) },
		"another in its place": func(t *testing.T, p, other string) {
			must(t, os.WriteFile(p, []byte(mustRead(t, other)), 0o644))
		},
		"a folder in its place": func(t *testing.T, p, _ string) {
			must(t, os.Remove(p))
			must(t, os.Mkdir(p, 0o755))
		},
		"no rights": func(t *testing.T, p, _ string) { must(t, os.Chmod(p, 0)) },
	}
}

// akupara runs a command as a user whom rights bind, root or not.
func (r *rot) akupara(t *testing.T, args ...string) (string, int) {
	t.Helper()
	args = append(args, "--config", r.config)
	if os.Getuid() != 0 {
		return akupara(t, args...)
	}
	cmd := exec.Command("setpriv", append([]string{"--bounding-set=-dac_override,-dac_read_search", filepath.Join(bin, "akupara")}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("setpriv: %v", err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (r *rot) count(t *testing.T) string {
	t.Helper()
	out, _ := r.akupara(t, "query", "--format", "csv", "select count(*) || ' ' || count(distinct (stream, seq)) as n from app")
	for _, line := range strings.Split(out, "\n") {
		if len(line) > 0 && line[0] >= '0' && line[0] <= '9' {
			return line
		}
	}
	return out
}

// Every file of a store, damaged in every way: it is told by name, other types go
// on, so does this one where it can, a repair mends what can be mended, and then
// each record is in the table once.
func TestEachDamageOfAStoreIsToldContainedAndRepaired(t *testing.T) {
	t.Parallel()
	r := newRot(t)
	kinds := r.kinds(t)
	// These need no repair.
	notOurs := []string{rotHint, rotOldMetadata, rotOldList, rotArchived, rotRaw, rotQuarantined, rotNote, rotLease, rotJobLease, rotTrouble, rotJobs, rotClaim}
	for _, kind := range append([]string{rotMetadata, rotList, rotManifest, rotCoverage, rotData}, notOurs...) {
		list := kinds[kind]
		if len(list) == 0 {
			t.Errorf("the store has no %s", kind)
			continue
		}
		victim, other := list[len(list)-1], list[0]
		switch kind {
		case rotMetadata:
			other = kinds[rotOldMetadata][0]
		case rotList:
			other = kinds[rotOldList][0]
		case rotRaw:
			other = kinds[rotArchived][0]
		case rotQuarantined:
			other = kinds[rotArchived][len(kinds[rotArchived])-1]
		case rotCoverage:
			other = olderCoverage
		}
		for how, damage := range damages() {
			if how == "another in its place" && (other == victim || kind == rotClaim) {
				continue // a store has one file of that kind
			}
			if kind == rotClaim && how != "missing" && how != "no rights" {
				continue // it is an empty folder
			}
			t.Run(kind+"/"+how, func(t *testing.T) {
				r.restore(t)
				if kind != rotJobs { // no job runs here that would end what the file tells
					damages()["missing"](t, filepath.Join(r.store, kinds[rotJobs][0]), "")
				}
				damage(t, filepath.Join(r.store, victim), filepath.Join(r.store, other))
				said, code := r.akupara(t, "audit", "--deep")
				// What is gone without a trace, or was never asked for its bytes, can't be told.
				toldOf := true
				switch kind {
				case rotOldList, rotHint, rotNote, rotLease, rotJobLease, rotClaim:
					toldOf = false
				case rotTrouble, rotJobs:
					toldOf = how != "missing" && how != "a flipped bit" // which may be in a word
				case rotRaw:
					toldOf = how != "missing" && how != "a folder in its place"
				case rotArchived:
					toldOf = how != "missing" && how != "a folder in its place" && how != "another in its place"
				case rotQuarantined: // its damage is known; only its index matters
					toldOf = how == "empty" || how == "another in its place" || how == "no rights"
				}
				if !strings.Contains(said, " in the tables") {
					t.Errorf("audit --deep does not get to its end (exit code %d):\n%s", code, said)
				}
				if toldOf && !strings.Contains(said, filepath.Base(victim)) {
					t.Errorf("audit --deep does not name %s (exit code %d):\n%s", victim, code, said)
				}
				needed := !slices.Contains(notOurs, kind)
				if needed && code != 1 {
					t.Errorf("audit --deep: exit code %d, want 1", code)
				}
				ran, _ := r.akupara(t, "demux", "--once")
				if got, _ := r.akupara(t, "query", "--format", "csv", "select count(*) as n from other"); !strings.Contains(got, "\n1\n") {
					t.Errorf("the other type did not go on: %s\n%s", got, ran)
				}
				if needed {
					plan, code := r.akupara(t, "repair", "app", "--deep")
					if code != 1 || !strings.Contains(plan, filepath.Base(victim)) || !strings.Contains(plan, "--apply") {
						t.Errorf("repair: exit code %d, want 1 and a plan that names %s:\n%s", code, victim, plan)
					}
					if done, code := r.akupara(t, "repair", "app", "--deep", "--apply"); code != 0 {
						t.Fatalf("repair --apply: exit code %d\n%s", code, done)
					}
					if ran, code = r.akupara(t, "demux", "--once"); code != 0 {
						t.Errorf("demux --once after the repair: exit code %d\n%s", code, ran)
					}
				}
				want := fmt.Sprintf("%d %[1]d", r.rows)
				got := r.count(t)
				said, code = r.akupara(t, "audit", "--deep")
				if kind == rotRaw && got != want {
					want = fmt.Sprintf("%d %[1]d", r.rows-waiting) // its source has them still
					if code != 1 && how != "missing" && how != "a folder in its place" {
						t.Errorf("audit --deep: exit code %d, want 1\n%s", code, said)
					}
				}
				if got != want {
					t.Errorf("rows, and different ones: got %s, want %s\n%s", got, want, ran)
				}
				if needed && (code != 0 || !strings.Contains(said, "no gaps, no overlaps")) {
					t.Errorf("audit --deep after the repair: exit code %d\n%s", code, said)
				}
			})
		}
	}
	// Readers outside the project read a table that was repaired.
	r.restore(t)
	damages()["empty"](t, filepath.Join(r.store, kinds[rotMetadata][0]), "")
	if out, code := r.akupara(t, "repair", "app", "--apply"); code != 0 {
		t.Fatalf("repair --apply: exit code %d\n%s", code, out)
	}
	mustAkupara(t, "demux", "--once", "--config", r.config)
	rows := readTable(t, "file://"+filepath.Join(r.store, "tables/app"), "", "select count(*), count(distinct (stream, seq)) from t")
	if got := fmt.Sprint(rows); got != fmt.Sprintf("[[%d %[1]d]]", r.rows) {
		t.Errorf("PyIceberg reads %s, want %d rows", got, r.rows)
	}
}
