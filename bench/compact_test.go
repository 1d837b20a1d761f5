package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store/local"
)

// compactRole compacts the table app of the store in args[0], at the time args[1],
// and writes its report to args[2].
func compactRole(args []string) error {
	fs, err := local.New(args[0])
	if err != nil {
		return err
	}
	now, err := time.Parse(time.RFC3339, args[1])
	if err != nil {
		return err
	}
	rep, err := compact.Run(context.Background(), compact.Options{
		FS: fs, BaseURI: "file://" + args[0], Type: "app", Now: func() time.Time { return now },
	})
	if err != nil {
		return err
	}
	out, err := json.Marshal(rep)
	if err != nil {
		return err
	}
	return os.WriteFile(args[2], out, 0o600)
}

// minuteOf makes a minute's JSON lines, each up to two seconds late, and one of so
// many others up to two minutes, if any.
func minuteOf(rnd *rand.Rand, from time.Time, n, late int) []byte {
	var b bytes.Buffer
	levels := []string{"INFO", "INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"}
	for i := range n {
		ts := from.Add(time.Duration(i) * time.Minute / time.Duration(n)).Add(-time.Duration(rnd.IntN(2000)) * time.Millisecond)
		if late > 0 && rnd.IntN(late) == 0 {
			ts = ts.Add(-time.Duration(rnd.IntN(120_000)) * time.Millisecond)
		}
		fmt.Fprintf(&b, `{"ts":"%s","level":"%s","msg":"request %d handled by worker-%d","logger":"com.example.http.Server",`+
			`"http":{"method":"GET","path":"/api/v1/users/%d","status":%d,"bytes":%d},"user":{"id":%d,"session":"%016x"},"took_ms":%.3f,"trace":"%016x%016x"}`+"\n",
			ts.Format("2006-01-02T15:04:05.000000Z"), levels[rnd.IntN(len(levels))], i, rnd.IntN(32), rnd.IntN(10000),
			200+100*(rnd.IntN(10)/8), rnd.IntN(100000), rnd.IntN(1000000), rnd.Uint64(), rnd.ExpFloat64()*20, rnd.Uint64(), rnd.Uint64())
	}
	return b.Bytes()
}

const needleScript = `
import duckdb, sys
db = duckdb.connect(config={"threads": 2})
print(db.execute("SELECT * REPLACE (ts::varchar AS ts) FROM read_parquet('%s/**/*.parquet', union_by_name = true, hive_partitioning = false) WHERE trace = '%s'" % (sys.argv[1], sys.argv[2])).fetchall(), file=sys.stderr)
`

// load is what a table is filled with: minutes of some hours, a commit each.
type load struct {
	hours, perHour int
	streams        int
	late           int // one of so many lines comes up to two minutes after its time; 0 for none
}

// loads are one file that is followed, and hosts whose lines come between each
// other's, of which some are late: each data file overlaps those after it.
var loads = []struct {
	name string
	load load
}{
	{"sample", load{hours: 6, perHour: 8, streams: 1}},
	{"fleet", load{hours: 3, perHour: 60, streams: 40, late: 100}},
}

// fill commits about the given bytes of lines, and returns the trace of the last.
func (l load) fill(b *testing.B, s *querytest.Store, size int64) (needle string) {
	rnd := rand.New(rand.NewPCG(3, 3))
	rows := int(size / 320 / int64(l.hours*l.perHour*l.streams))
	at := make([]int64, l.streams)
	for m := range l.hours * l.perHour {
		from := querytest.Start.Add(time.Duration(m/l.perHour)*time.Hour + time.Duration(m%l.perHour)*time.Minute)
		if l.perHour < 60 {
			from = from.Add(time.Minute)
		}
		var chunks []chunk.Chunk
		for i := range at {
			body := minuteOf(rnd, from, max(1, rows), l.late)
			c := chunk.Chunk{
				Type: "app", Host: fmt.Sprintf("h%d", i), Source: "/f", Stream: fmt.Sprintf("s%d", i),
				First: at[i], Last: at[i] + int64(len(body)), Time: from, Body: body,
			}
			at[i] = c.Last
			chunks = append(chunks, c)
			line := string(body[bytes.LastIndexByte(body[:len(body)-1], '\n')+1:])
			needle = line[strings.Index(line, `"trace":"`)+9:][:32]
		}
		s.Commit(b, "json", chunks...)
	}
	return needle
}

// BenchmarkCompact merges the files of hours of which each minute that has rows was
// a commit: into hours, as they are when the last one is over, and days later into a
// day. Figures are MB of Parquet read. Then DuckDB looks for one trace by hand: in
// what runs wrote, and in what was made of it.
func BenchmarkCompact(b *testing.B) {
	for _, l := range loads {
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				s := querytest.New(b)
				needle := l.load.fill(b, s, megabytes(b)*1e6)
				compacted(b, strings.TrimPrefix(s.URI, "file://"), needle)
			}
		})
	}
}

// compacted merges the table of the store in root, and looks for the needle.
func compacted(b *testing.B, root, needle string) {
	before := filepath.Join(b.TempDir(), "before")
	if err := os.CopyFS(before, os.DirFS(filepath.Join(root, "tables", "app", "data"))); err != nil {
		b.Fatal(err)
	}
	compactAt(b, root, "minutes into hours", "hours-MB/CPUs", 6*time.Hour+30*time.Minute)
	compactAt(b, root, "hours into a day", "day-MB/CPUs", 72*time.Hour)
	python, err := filepath.Abs(filepath.Join("..", ".tools", "venv", "bin", "python"))
	if err == nil {
		_, err = os.Stat(python)
	}
	if err != nil {
		b.Logf("%v: run make readers first", err)
		return
	}
	files, err := filepath.Glob(filepath.Join(root, "tables", "app", "data", "ts_day=*"))
	if err != nil || len(files) != 1 {
		b.Fatalf("files of the day: %v, %v", files, err)
	}
	nothing := run(b, exec.Command(python, "-c", "import duckdb; duckdb.connect()"))
	plain := run(b, exec.Command(python, "-c", needleScript, before, needle))
	found := run(b, exec.Command(python, "-c", needleScript, files[0], needle))
	b.Logf("DuckDB finds one trace in %v CPU, before in %v, beside %v to start", found.cpu-nothing.cpu, plain.cpu-nothing.cpu, nothing.cpu)
	b.ReportMetric(float64(plain.cpu-nothing.cpu)/float64(max(time.Millisecond, found.cpu-nothing.cpu)), "x-needle")
}

// compactAt compacts the table some time after its start.
func compactAt(b *testing.B, root, name, unit string, after time.Duration) {
	out := filepath.Join(b.TempDir(), "report")
	u := run(b, role("compact", root, querytest.Start.Add(after).Format(time.RFC3339), out))
	var rep compact.Report
	text, err := os.ReadFile(out)
	if err == nil {
		err = json.Unmarshal(text, &rep)
	}
	if err != nil || rep.FilesIn == 0 || len(rep.Faults) > 0 {
		b.Fatalf("%s: %v, %s", name, err, text)
	}
	u.show(b, name, rep.BytesIn)
	b.Logf("%d rows: %d files of %.1f MB become %d of %.1f MB", rep.Rows, rep.FilesIn, float64(rep.BytesIn)/1e6, rep.FilesOut, float64(rep.BytesOut)/1e6)
	b.ReportMetric(u.perCPU(rep.BytesIn), unit)
	b.ReportMetric(float64(u.rss)/1e6, unit+"-MB-RSS")
}
