package rows

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// python finds an interpreter that has the given module: that of
// AKUPARA_PYTHON, or the one that `make hdfs` installs.
func python(t *testing.T, module string) string {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{os.Getenv("AKUPARA_PYTHON"), filepath.Join(wd, "../../.tools/venv/bin/python")} {
		if p != "" && exec.Command(p, "-c", "import "+module).Run() == nil {
			return p
		}
	}
	t.Skipf("no Python with the module %s: `make hdfs` installs one in .tools/venv", module)
	return ""
}

// messy makes rows of all types, full and sparse columns, repeating and unique
// strings, tags and attributes.
func messy(rnd *rand.Rand, n int) *Builder {
	b := NewBuilder(Options{})
	for i := range n {
		if i%50 == 0 {
			tags := map[string]string{"pod": fmt.Sprint("p", i%7), "i": strconv.Itoa(i)}
			if i%100 == 0 {
				tags = nil
			}
			b.Origin("h", "/f", fmt.Sprint("s", i%13), tags)
		}
		b.Row(1_772_272_800_000_000+rnd.Int64N(hourMicros), int64(i))
		b.Column("n").Long(int64(i))
		b.Column("few").Long(rnd.Int64N(5))
		b.Column("uniq").String(fmt.Appendf(nil, "%x", rnd.Uint64()))
		if i%3 == 0 {
			b.Column("f").Double(float64(i)/4, nil)
			b.Column("word").String(fmt.Appendf(nil, "w%d", rnd.IntN(20)))
			b.SetLevel(Level(1 + i%6))
		}
		if i%5 == 0 {
			b.Column("ok").Bool(i%2 == 0)
			b.Attr("x", fmt.Append(nil, i))
			b.Attr("y", nil)
		}
		b.Column(fmt.Sprint("rare", i%97)).Long(1)
		b.Message([]byte(strings.Repeat("long ", rnd.IntN(50))))
	}
	return b
}

// Two engines outside the project see in the files what was put into them.
func TestOtherEnginesReadTheSame(t *testing.T) {
	const n = 5000
	b := messy(rand.New(rand.NewPCG(3, 4)), n)
	_, mem := writeAll(t, b, plan(b), Layout{GroupRows: 1700})
	var f float64
	for i := 0; i < n; i += 3 {
		f += float64(i) / 4
	}
	want := fmt.Sprintf("%d %d %.2f %d %d %d %d %d", n, n*(n-1)/2, f, (n+2)/3, n/5, n/2, n/5, n)
	engines(t, mem[0].Bytes(), want, map[string]string{
		"duckdb": `
import duckdb, sys
db = duckdb.connect()
db.execute("SET enable_progress_bar = false") # it would go to stdout
print("%d %d %.2f %d %d %d %d %d" % db.execute("""select count(*), sum(n), sum(f), count(word), count(ok),
	count(tags['pod']), count(*) filter (attributes['x'] = n::varchar and attributes['y'] = ''), count(distinct uniq)
	from read_parquet(?)""", [sys.argv[1]]).fetchone())`,
		"pyarrow": `
import pyarrow.parquet, sys
rows = pyarrow.parquet.read_table(sys.argv[1]).to_pylist()
count = lambda f: sum(1 for r in rows if f(r))
assert rows == sorted(rows, key=lambda r: (r["ts"], r["stream"], r["seq"]))
print("%d %d %.2f %d %d %d %d %d" % (len(rows), sum(r["n"] for r in rows), sum(r["f"] or 0 for r in rows),
	count(lambda r: r["word"]), count(lambda r: r["ok"] is not None), count(lambda r: r["tags"] and dict(r["tags"])["pod"]),
	count(lambda r: r["attributes"] == [("x", str(r["n"])), ("y", "")]), len({r["uniq"] for r in rows})))`,
	})
}

// Identifiers and bounded numbers are compressed by our own encoder: whether
// the frames are right is for others to say.
func TestOtherEnginesReadIdentifiersOfOneWidth(t *testing.T) {
	const n = 40_000
	b := NewBuilder(Options{})
	b.Origin("h", "/f", "s", nil)
	for i := range n {
		b.Row(1_772_272_800_000_000, int64(i))
		b.Column("id").String(fmt.Appendf(nil, "%x", md5.Sum(strconv.AppendInt(nil, int64(i), 10))))
		b.Column("num").Long(int64(i) * 7919 % 1_000_003)
		if i%4 != 0 {
			b.Column("part").String(fmt.Appendf(nil, "id-%x", md5.Sum(strconv.AppendInt(nil, int64(i)+1, 10))))
		}
	}
	files, mem := writeAll(t, b, plan(b), Layout{})
	size := map[string]int64{}
	for i, c := range plan(b)[10:] {
		size[c.Name] = files[0].Stats.Columns[12+i].Size
	}
	if size["id"] > 17*n || size["part"] > 18*n*3/4 || size["num"] > 3*n {
		t.Errorf("columns take %v bytes of %d rows: they were not compressed as rows of one width", size, n)
	}
	engines(t, mem[0].Bytes(), fmt.Sprint(n, n*3/4), map[string]string{
		"duckdb": `
import duckdb, sys
db = duckdb.connect()
db.execute("SET enable_progress_bar = false") # it would go to stdout
print("%d %d" % db.execute("""select count(*) filter (id = md5(seq::varchar) and num = seq * 7919 % 1000003),
	count(*) filter (part = 'id-' || md5((seq+1)::varchar)) from read_parquet(?)""", [sys.argv[1]]).fetchone())`,
		"pyarrow": `
import pyarrow.parquet, sys
from hashlib import md5
rows = pyarrow.parquet.read_table(sys.argv[1]).to_pylist()
hex = lambda n: md5(str(n).encode()).hexdigest()
print(sum(r["id"] == hex(r["seq"]) and r["num"] == r["seq"] * 7919 % 1000003 for r in rows),
	sum(r["part"] == "id-" + hex(r["seq"] + 1) for r in rows))`,
	})
}

// engines runs a script for each Python module on a Parquet file: it is to
// print want.
func engines(t *testing.T, parquet []byte, want string, scripts map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := os.WriteFile(path, parquet, 0o644); err != nil {
		t.Fatal(err)
	}
	for module, script := range scripts {
		t.Run(module, func(t *testing.T) {
			cmd := exec.Command(python(t, module), "-c", script, path)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", module, err)
			}
			if got := strings.TrimSpace(string(out)); got != want {
				t.Errorf("%s: got %s, want %s", module, got, want)
			}
		})
	}
}
