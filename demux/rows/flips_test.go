package rows_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store/local"
)

// dataFile writes one file of n rows below dir, and returns its path there.
func dataFile(t *testing.T, dir string, n int) (files *local.FS, path string) {
	t.Helper()
	files, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse.New("json", parse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var body []byte
	for i := range n {
		body = append(body, `{"ts":"2026-03-01T10:00:00Z","n":`+strconv.Itoa(i)+`,"id":"`+strconv.FormatUint(rnd.Uint64(), 36)+`","f":0.5,"ok":true,"msg":"hello"}`+"\n"...)
	}
	c := chunk.Chunk{Host: "h", Source: "/f", Stream: "s", Last: int64(len(body)), Body: body}
	b := rows.NewBuilder(rows.Options{})
	if err := p.Parse(t.Context(), &c, nil, b); err != nil {
		t.Fatal(err)
	}
	b.Covers(0, chunk.Ranges{c.Range()})
	path = "tables/app/data/ts_hour=2026-03-01-10/run-00000.parquet"
	_, err = b.WriteFiles(t.Context(), func(ctx context.Context, _ int64, _ int) (io.WriteCloser, string, error) {
		w, err := files.Create(ctx, path)
		return w, path, err
	}, schema.Plan(nil, b.Columns(), 0), rows.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	return files, path
}

// A flipped bit anywhere is found by Verify, and gives no other rows in engines
// outside the project: an error, or the same ones.
func TestFlippedBitsAreFound(t *testing.T) {
	python := os.Getenv("AKUPARA_PYTHON")
	if python == "" {
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		python = filepath.Join(wd, "../../.tools/venv/bin/python")
	}
	dir := t.TempDir()
	files, path := dataFile(t, dir, 3000)
	whole, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := datafile.Verify(t.Context(), files, path); err != nil {
		t.Fatalf("the whole file: %v", err)
	}
	rnd := rand.New(rand.NewPCG(rand.Uint64(), 7))
	flip := func(i int) []byte {
		bad := bytes.Clone(whole)
		at := rnd.IntN(len(bad))
		if i%4 == 0 { // the footer is small
			at = len(bad) - 1 - rnd.IntN(min(len(bad), 4000))
		}
		bad[at] ^= 1 << rnd.IntN(8)
		return bad
	}
	const n = 400
	for i := range n {
		bad := flip(i)
		if err := os.WriteFile(filepath.Join(dir, path), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := datafile.Verify(t.Context(), files, path); !errors.Is(err, datafile.ErrDamaged) {
			t.Errorf("flip %d: Verify gives %v", i, err)
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+".parquet"), bad, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "whole.parquet"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if exec.Command(python, "-c", "import duckdb, pyarrow.parquet").Run() != nil {
		t.Skip("no Python with duckdb and pyarrow: `make hdfs` installs one in .tools/venv")
	}
	out, err := exec.Command(python, "-c", `
import sys, hashlib, subprocess, os
# A reader may die of a damaged file: each part of them has a process of its own.
part = '''
import sys, duckdb, pyarrow.parquet as pq
def rows(f, engine):
    try:
        if engine == "duckdb":
            t = duckdb.connect().execute("select * from read_parquet(?) order by seq", [f]).fetchall()
        else:
            t = pq.read_table(f, page_checksum_verification=True).to_pylist()
        return hash(str(t))
    except BaseException as e:
        return None
d = sys.argv[1]
for engine in ("duckdb", "pyarrow"):
    want = rows(d + "/whole.parquet", engine)
    for i in range(int(sys.argv[2]), int(sys.argv[3])):
        got = rows("%s/%d.parquet" % (d, i), engine)
        if got is not None and got != want:
            print(engine, "other", i, flush=True)
        elif got is None:
            print(engine, "error", i, flush=True)
'''
env = dict(os.environ, PYTHONHASHSEED="0")
for i in range(0, int(sys.argv[2]), 50):
    r = subprocess.run([sys.executable, "-c", part, sys.argv[1], str(i), str(i + 50)], env=env, stdout=subprocess.PIPE)
    sys.stdout.write(r.stdout.decode())
`, dir, strconv.Itoa(n)).Output()
	if err != nil {
		t.Fatal(err)
	}
	// A Parquet footer has no checksum that engines know: a few of its bits
	// change what they see.
	for _, engine := range []string{"duckdb", "pyarrow"} {
		other, failed := strings.Count(string(out), engine+" other"), strings.Count(string(out), engine+" error")
		t.Logf("%s: %d flips are errors, %d give other rows", engine, failed, other)
		if failed < n/2 || other > n/25 {
			t.Errorf("%s: of %d flips %d are errors and %d give other rows", engine, n, failed, other)
		}
	}
}

func TestFileOfAnotherNameIsFound(t *testing.T) {
	dir := t.TempDir()
	files, path := dataFile(t, dir, 10)
	other := strings.Replace(path, "00000", "00001", 1)
	if err := os.Rename(filepath.Join(dir, path), filepath.Join(dir, other)); err != nil {
		t.Fatal(err)
	}
	if _, err := datafile.Read(t.Context(), files, other); !errors.Is(err, datafile.ErrDamaged) || !strings.Contains(err.Error(), "run-00000.parquet") {
		t.Errorf("got %v", err)
	}
}

// Files say what their rows cover: each byte that was kept, once.
func TestFilesTellWhatTheirRowsCover(t *testing.T) {
	p, err := parse.New("json", parse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	line := func(hour int) string { return `{"ts":"2026-03-01T1` + strconv.Itoa(hour) + `:00:00Z"}` + "\n" }
	l := int64(len(line(0)))
	for name, tt := range map[string]struct {
		body  string
		first int64
		keep  chunk.Ranges
		want  []chunk.Ranges // of each file, by hour
	}{
		"one hour":               {line(0) + line(0), 100, nil, []chunk.Ranges{{{First: 100, Last: 100 + 2*l}}}},
		"blank lines":            {"\n" + line(0) + "\n\n" + line(0) + "\n", 0, nil, []chunk.Ranges{{{First: 0, Last: 2*l + 4}}}},
		"hours in turn":          {line(0) + line(1) + line(0), 0, nil, []chunk.Ranges{{{First: 0, Last: l}, {First: 2 * l, Last: 3 * l}}, {{First: l, Last: 2 * l}}}},
		"parts":                  {line(0) + line(0) + line(0), 0, chunk.Ranges{{First: 0, Last: l}, {First: 2 * l, Last: 3 * l}}, []chunk.Ranges{{{First: 0, Last: l}, {First: 2 * l, Last: 3 * l}}}},
		"a part of a record":     {line(0) + line(0), 0, chunk.Ranges{{First: 5, Last: 2 * l}}, []chunk.Ranges{{{First: l, Last: 2 * l}}, {{First: 5, Last: l}}}},
		"a part without records": {line(0) + "\n\n" + line(0), 0, chunk.Ranges{{First: l, Last: l + 2}, {First: l + 2, Last: 2*l + 2}}, []chunk.Ranges{{{First: l, Last: 2*l + 2}}}},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := local.New(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			c := chunk.Chunk{Host: "h", Source: "/f", Stream: "s", First: tt.first, Last: tt.first + int64(len(tt.body)), Body: []byte(tt.body)}
			c.Time = c.Time.AddDate(2025, 2, 1)
			b := rows.NewBuilder(rows.Options{})
			if err := p.Parse(t.Context(), &c, tt.keep, b); err != nil {
				t.Fatal(err)
			}
			keep := tt.keep
			if keep == nil {
				keep = chunk.Ranges{c.Range()}
			}
			b.Covers(0, keep)
			got, err := b.WriteFiles(t.Context(), func(ctx context.Context, _ int64, n int) (io.WriteCloser, string, error) {
				p := "x/run-" + strconv.Itoa(n) + ".parquet"
				w, err := files.Create(ctx, p)
				return w, p, err
			}, schema.Plan(nil, b.Columns(), 0), rows.Layout{})
			if err != nil || len(got) != len(tt.want) {
				t.Fatalf("%d files, want %d; error: %v", len(got), len(tt.want), err)
			}
			for i, f := range got {
				info, err := datafile.Verify(t.Context(), files, f.Path)
				if err != nil {
					t.Fatal(err)
				}
				st := info.Ranges["s"]
				if st == nil || st.Host != "h" || st.Source != "/f" || !equal(st.Ranges, tt.want[i]) {
					t.Errorf("file %d covers %+v, want %v", i, st, tt.want[i])
				}
				if info.Stats.Records != f.Stats.Records || info.Stats.Size != f.Stats.Size || info.Stats.MinTS != f.Stats.MinTS || info.Stats.MaxTS != f.Stats.MaxTS {
					t.Errorf("file %d tells %+v, was written with %+v", i, info.Stats, f.Stats)
				}
			}
		})
	}
}

func equal(a, b chunk.Ranges) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
