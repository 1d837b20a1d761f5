package rows

import (
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
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := os.WriteFile(path, mem[0].Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	var f float64
	for i := 0; i < n; i += 3 {
		f += float64(i) / 4
	}
	want := fmt.Sprintf("%d %d %.2f %d %d %d %d %d", n, n*(n-1)/2, f, (n+2)/3, n/5, n/2, n/5, n)
	for module, script := range map[string]string{
		"duckdb": `
import duckdb, sys
print("%d %d %.2f %d %d %d %d %d" % duckdb.connect().execute("""select count(*), sum(n), sum(f), count(word), count(ok),
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
	} {
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
