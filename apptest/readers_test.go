package apptest

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/store/storetest"
)

// documented is the config that the documentation shows.
const documented = `store: file:///var/lib/akupara/store
data_dir: /var/lib/akupara
agent:
  collectors: [http://127.0.0.1:9770]
  listen: 127.0.0.1:9771
  adaptors:
    - {name: hadoop, kind: tail, type: hadoop, paths: [/srv/logs/**/*.log*], record_start: '^\d{4}-\d\d-\d\d '}
    - {name: disk, kind: command, type: df, command: [df, -Pk], every: 60s}
    - {name: load, kind: metrics, every: 10s}
collector:
  listen: 127.0.0.1:9770
  seal: {bytes: 128MiB, age: 60s}
demux:
  schedule: "@every 1m"
  types:
    hadoop: {parser: log4j, timezone: UTC}
web:
  listen: 127.0.0.1:9772
`

// webHDFS is the REST API of the shared cluster.
const webHDFS = "http://127.0.0.1:9870/webhdfs/v1"

// traced is a record of several lines.
func traced(i int) string {
	return fmt.Sprintf("2026-02-03 04:%02d:%02d,%03d ERROR [worker-%d] com.example.Service: request %d failed\n"+
		"java.lang.IllegalStateException: no answer\n\tat com.example.Service.call(Service.java:%d)\n\n"+
		"Caused by: java.io.IOException: broken pipe\n\t... 12 more\n", i/60%60, i%60, i%1000, i%4, i, i)
}

func TestTheDocumentedConfigWorksOnHDFS(t *testing.T) {
	t.Parallel()
	store := storetest.SharedCluster(t)
	dir := t.TempDir()
	// As it stands, and with a store on HDFS.
	hdfs := strings.Replace(documented, "file:///var/lib/akupara/store", "hdfs://127.0.0.1:8020/akupara", 1)
	for i, config := range []string{documented, hdfs} {
		mustAkupara(t, "check", "--config", writeFile(t, filepath.Join(dir, fmt.Sprint("as-it-stands", i, ".yaml")), config))
	}
	python(t)

	logs := filepath.Join(dir, "srv", "logs")
	const traces, rows = 300, 500
	sources := map[string]string{} // path → what it holds
	var text strings.Builder
	for i := range traces {
		text.WriteString(traced(i))
	}
	sources[filepath.Join(logs, "svc.log")] = text.String()
	loghub := filepath.Join(filepath.Dir(repoRoot()), "shared", "data", "loghub", "Hadoop_2k.log")
	lines := 0
	if data, err := os.ReadFile(loghub); err == nil {
		lines = strings.Count(string(data), "\n")
		if len(data) > 0 && data[len(data)-1] != '\n' {
			data, lines = append(data, '\n'), lines+1
		}
		sources[filepath.Join(logs, "node-1", "deep", "Hadoop_2k.log.1")] = string(data)
	} else {
		t.Logf("SKIPPED: the real logs are not here: %v", err)
	}
	for path, content := range sources {
		writeFile(t, path, content)
	}
	appFile := filepath.Join(dir, "app", "app.json")
	text.Reset()
	for i := range rows {
		fmt.Fprintf(&text, `{"time":"2026-02-%02dT02:30:00Z","severity":"info","message":"m%d","n":%d}`+"\n", 3+i%5, i, i)
	}
	writeFile(t, appFile, text.String())

	s := &site{}
	s.dir, s.store, s.config = dir, store, filepath.Join(dir, "akupara.yaml")
	s.agentAddr, s.collectorAddr, s.webAddr = freeAddr(t), freeAddr(t), freeAddr(t)
	config := strings.NewReplacer(
		"file:///var/lib/akupara/store", store, "/var/lib/akupara", filepath.Join(dir, "data"), "/srv/logs", logs,
		"127.0.0.1:9770", s.collectorAddr, "127.0.0.1:9771", s.agentAddr, "127.0.0.1:9772", s.webAddr,
		"age: 60s", "age: 1s", "@every 1m", "@every 1s", "every: 60s", "every: 1s", "every: 10s", "every: 1s",
		"    - {name: disk,", fmt.Sprintf("    - {name: app, kind: tail, type: app, paths: [%s]}\n    - {name: disk,", appFile),
		"  types:\n", "  types:\n    app: {parser: json}\n",
	).Replace(documented)
	writeFile(t, s.config, config)
	s.startAll(t)
	s.becomes(t, slow, `select count(*) from hadoop`, fmt.Sprint(lines+traces))
	s.becomes(t, slow, `select count(*) from app`, fmt.Sprint(rows))
	// Another column, and another type of one that is there.
	var more strings.Builder
	for i := range 10 {
		fmt.Fprintf(&more, `{"time":"2026-02-08T02:30:00Z","severity":"fatal","message":"later","n":%d.5,"extra":{"who":"w%d"}}`+"\n", i, i)
	}
	appendFile(t, appFile, more.String())
	s.becomes(t, slow, `select count("extra.who") || ' ' || count(*) from app`, fmt.Sprintf("10 %d", rows+10))
	for _, table := range []string{"df", "cpu", "memory", "load", "disk", "network"} {
		s.becomes(t, slow, `select count(*) > 0 from "`+table+`"`, "true")
	}
	s.agent.stop()
	s.collector.stop()
	eventually(t, slow, "all is in the tables", func() bool {
		rep, code := audit(t, "--config", s.config)
		return code == 0 && rep.Unpublished == 0
	})
	s.demuxer.stop()

	t.Run("the command line answers", func(t *testing.T) {
		out := mustAkupara(t, "query", "--config", s.config, "--format", "csv",
			`select level, count(*) as n from hadoop where source like '%svc.log' group by all`)
		if want := fmt.Sprintf("level,n\nERROR,%d\n", traces); out != want {
			t.Errorf("got %q, want %q", out, want)
		}
		out = mustAkupara(t, "query", "--config", s.config, "--format", "jsonl", `
			select n, attributes['n'] as rest, message, "extra.who" as who from app where n = 4 or attributes['n'] = '3.5' order by n nulls last`)
		// What does not fit the column's type, which no table format widens
		// from integers to fractions, is kept in the attributes.
		want := "{\"n\":4,\"rest\":null,\"message\":\"m4\",\"who\":null}\n{\"n\":null,\"rest\":\"3.5\",\"message\":\"later\",\"who\":\"w3\"}\n"
		if out != want {
			t.Errorf("got %q, want %q", out, want)
		}
		if out := mustAkupara(t, "cat", store+"/archive/app"); out != mustRead(t, appFile) {
			t.Errorf("cat from HDFS: got %d bytes, want the %d of the file", len(out), len(mustRead(t, appFile)))
		}
		if out := mustAkupara(t, "cat", "--config", s.config, "--headers", "archive/app"); !strings.Contains(out, `"source":"`+appFile+`"`) || !strings.Contains(out, `"first":0`) {
			t.Errorf("cat --headers: got %s", out)
		}
		if out := mustAkupara(t, "query", "--config", s.config, "describe app"); !strings.Contains(out, "extra.who") {
			t.Errorf("describe: got %s", out)
		}
	})
	t.Run("conditions on ts prune files", func(t *testing.T) { pruned(t, s, config) })
	t.Run("PyIceberg reads it", func(t *testing.T) {
		got := readTable(t, store+"/tables/hadoop", webHDFS, `
			select message, thread, logger, level, strftime(ts, '%Y-%m-%d %H:%M:%S,%g') from t
			where source like '%svc.log' and parse_error is null order by seq`)
		if len(got) != traces {
			t.Fatalf("got %d stack traces, want %d", len(got), traces)
		}
		for i, row := range got {
			lines := strings.SplitN(strings.TrimSuffix(traced(i), "\n"), "Service: ", 2)
			want := fmt.Sprintf("[%s worker-%d com.example.Service ERROR %s]", lines[1], i%4, traced(i)[:23])
			if fmt.Sprint(row) != want {
				t.Fatalf("stack trace %d: got %v, want %s", i, row, want)
			}
		}
		if lines > 0 {
			compareTruth(t, store, loghub+"_structured.csv")
		}
		evolved := readTable(t, store+"/tables/app", webHDFS, `select count(*), count("extra.who"), sum(n), count(*) filter (level = 'FATAL'), count(distinct (stream, seq)) from t`)
		if want := fmt.Sprintf("[[%d 10 %g 10 %[1]d]]", rows+10, float64(rows*(rows-1)/2)); fmt.Sprint(evolved) != want {
			t.Errorf("rows, with the new column, sum, level, distinct: got %v, want %s", evolved, want)
		}
	})
	t.Run("Spark reads it", func(t *testing.T) {
		got := spark(t, store,
			`select count(*), count(distinct stream, seq), count(parse_error), count_if(level = 'ERROR' and message like 'request%12 more') from h.tables.hadoop`,
			"select count(*), count(`extra.who`), sum(n) from h.tables.app where ts >= timestamp'2026-02-07 00:00:00'",
			`select count(*) > 0 from h.tables.cpu`)
		want := fmt.Sprintf("[[[%d %[1]d 0 %d]] [[%d 10 %g]] [[true]]]", lines+traces, traces, rows/5+10, float64(rows/5*(4+rows-1)/2))
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
	t.Run("fastavro gives the files back", func(t *testing.T) {
		sources[appFile] = mustRead(t, appFile)
		root, err := url.Parse(store)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]struct {
			SHA256 string
			Bytes  int
			Fields []string
		}
		runPython(t, &got, filepath.Join("testdata", "sinks.py"), webHDFS, root.Path+"/archive/hadoop", root.Path+"/archive/app")
		for path, content := range sources {
			sum := sha256.Sum256([]byte(content))
			if g := got[path]; g.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("%s: got %d bytes with another sum, want the file's %d", path, g.Bytes, len(content))
			}
			for _, field := range []string{"host", "source", "stream", "first", "last", "body"} {
				if !strings.Contains(fmt.Sprint(got[path].Fields), field) {
					t.Errorf("%s: the records have no field %s", path, field)
				}
			}
		}
		if len(got) != len(sources) {
			t.Errorf("got %d sources, want %d", len(got), len(sources))
		}
	})
	t.Run("the store tells what it is", func(t *testing.T) {
		root, err := url.Parse(store)
		if err != nil {
			t.Fatal(err)
		}
		do(t, "GET", webHDFS+root.Path+"/README.md?op=OPEN", "").want(t, "README", 200, "raw/", "tables/", "archive/", "quarantine/")
		do(t, "GET", webHDFS+root.Path+"/tables/app/metadata/version-hint.text?op=OPEN", "").want(t, "version hint", 200)
	})
}

func TestOthersReadSourcesWithOddNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sources := map[string]string{}
	for _, name := range []string{"sp ace%20.log", "üñ.log", "quo'te\".log", "new\nline.log", "we[ir]d*?.log", "no\xff\xfeutf8.log"} {
		writeFile(t, filepath.Join(dir, "lo gs", name), name[:2]+" 1\n")
		sources[strings.ReplaceAll(filepath.Join(dir, "lo gs", name), "\xff\xfe", `\xff\xfe`)] = name[:2] + " 1\n"
	}
	s := &site{adaptors: fmt.Sprintf(`    - {name: odd, kind: tail, type: my-type, paths: ["%s/lo gs/*.log"]}`, dir)}
	s.configure(t)
	s.startAll(t)
	s.becomes(t, slow, `select count(*) from "my-type"`, "6")
	store := s.store
	want := map[string]bool{}
	for source := range sources {
		want[source] = true
	}
	for _, row := range readTable(t, "file://"+store+"/tables/my-type", "", `select source from t where parse_error is null`) {
		delete(want, fmt.Sprint(row[0]))
	}
	if len(want) > 0 {
		t.Errorf("PyIceberg finds no rows of %v", want)
	}
	eventually(t, slow, "the sink files are archived", func() bool { return len(files(t, filepath.Join(store, "raw"), "*.avro")) == 0 })
	var got map[string]struct{ SHA256 string }
	runPython(t, &got, filepath.Join("testdata", "sinks.py"), "local", filepath.Join(store, "archive"))
	for source, content := range sources {
		if sum := sha256.Sum256([]byte(content)); got[source].SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("fastavro does not give %q back", source)
		}
	}
	names := map[string]bool{}
	for _, p := range s.adaptor(t, "odd").Position {
		names[p.Path] = true
	}
	for source := range sources {
		if !names[source] {
			t.Errorf("the agent does not list %q but %v", source, names)
		}
	}
}

func mustRead(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// compareTruth holds the table against the columns that others took from the
// same lines.
func compareTruth(t *testing.T, store, truthFile string) {
	t.Helper()
	f, err := os.Open(truthFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	truth, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	got := readTable(t, store+"/tables/hadoop", webHDFS, `
		select strftime(ts, '%Y-%m-%d'), strftime(ts, '%H:%M:%S,%g'), level, thread, logger, message from t
		where source like '%Hadoop_2k.log.1' and parse_error is null order by seq`)
	if len(got) != len(truth)-1 {
		t.Fatalf("rows of the real log: got %d, want %d", len(got), len(truth)-1)
	}
	// LineId, Date, Time, Level, Process, Component, Content
	wrong := 0
	for i, row := range got {
		for k, want := range truth[i+1][1:7] {
			have := strings.Join(strings.Fields(fmt.Sprint(row[k])), " ") // the truth has no spaces at the ends
			if want = strings.Join(strings.Fields(want), " "); have != want {
				if wrong++; wrong <= 5 {
					t.Errorf("line %d, %s: got %q, want %q", i+1, truth[0][k+1], have, want)
				}
			}
		}
	}
	if wrong > 5 {
		t.Errorf("and %d more", wrong-5)
	}
}

// pruned counts the files that a query fetches into a cache that is empty.
func pruned(t *testing.T, s *site, config string) {
	t.Helper()
	fresh := *s
	fresh.webAddr = freeAddr(t)
	fresh.config = writeFile(t, filepath.Join(s.dir, "fresh.yaml"), strings.NewReplacer(s.webAddr, fresh.webAddr, filepath.Join(s.dir, "data"), filepath.Join(s.dir, "fresh")).Replace(config))
	fresh.startWeb(t)
	metric := regexp.MustCompile(`(?m)^akupara_web_query_fetched_files_total (\S+)$`)
	fetched := func(sql, want string) int {
		t.Helper()
		if got := fresh.value(t, sql); got != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
		m := metric.FindStringSubmatch(do(t, "GET", "http://"+fresh.webAddr+"/metrics", "").body)
		if m == nil {
			t.Fatal("there is no such metric")
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	all := decode[struct {
		Tables []struct {
			Name  string
			Files int
		}
	}](t, do(t, "GET", "http://"+fresh.webAddr+"/v1/tables", ""), 200)
	files := 0
	for _, table := range all.Tables {
		if table.Name == "app" {
			files = table.Files
		}
	}
	if files < 6 {
		t.Fatalf("the table has %d files, want one for each of its 6 days at least", files)
	}
	one := fetched(`select count(message) from app where ts >= timestamptz '2026-02-04 00:00:00+00' and ts < timestamptz '2026-02-05 00:00:00+00'`, "100")
	if one != 1 {
		t.Errorf("a condition on ts of one day fetches %d of %d files, want 1", one, files)
	}
	if every := fetched(`select count(distinct message) from app`, "501"); every != files {
		t.Errorf("without a condition: %d files are fetched in all, want %d", every, files)
	}
}

// spark returns the rows of each statement, as Spark reads them through a Hadoop
// catalog.
func spark(t *testing.T, warehouse string, statements ...string) []any {
	t.Helper()
	jar := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(python(t)))), "jars", "iceberg-spark-runtime.jar")
	if _, err := os.Stat(jar); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: Spark's Iceberg is not installed (make readers): %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python(t), append([]string{filepath.Join("testdata", "spark.py"), jar, warehouse}, statements...)...)
	cmd.WaitDelay = 5 * time.Second
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		log := errs.String()
		t.Fatalf("spark: %v\n%s", err, log[max(0, len(log)-4000):])
	}
	var results []any
	for line := range strings.Lines(string(out)) {
		rows, ok := strings.CutPrefix(line, "ROWS ")
		if !ok {
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(rows), &v); err != nil {
			t.Fatalf("spark: %v in %q", err, rows)
		}
		results = append(results, v)
	}
	return results
}
