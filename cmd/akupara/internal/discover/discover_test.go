package discover

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/bmatcuk/doublestar/v4"
)

const (
	syslogLine     = "Nov 22 21:09:57 web1 sshd[123]: Accepted publickey for root\n"
	isoLine        = "2026-11-22T20:47:00.123456+00:00 web1 systemd[1]: Started cron.service.\n"
	rfc5424Line    = "<34>1 2026-11-22T22:14:15.003Z web1 su - ID47 - 'su root' failed\n"
	combinedLine   = `127.0.0.1 - - [22/Nov/2026:21:09:57 +0000] "GET / HTTP/1.1" 200 612 "-" "curl/7.88"` + "\n"
	log4jLine      = "2026-11-22 21:09:57,123 ERROR [main] org.example.Main: it broke\n"
	traceLine      = "\tat org.example.Main.run(Main.java:17)\n"
	jsonLine       = `{"time":"2026-11-22T21:09:57Z","level":"info","msg":"hello"}` + "\n"
	apacheLine     = "[Sun Dec 04 04:47:44 2005] [error] mod_jk child workerEnv in error state 6\n"
	apache24Line   = "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187] File does not exist: /favicon.ico\n"
	hdfsLine       = "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating\n"
	sparkLine      = "17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered signal handlers\n"
	nginxLine      = "2026/11/22 21:09:57 [error] 123#0: *1 open() \"/x\" failed (2: No such file or directory)\n"
	secondsLine    = "2026-11-22 21:09:57 WARN org.example.Main: no fraction\n"
	elasticLine    = "[2024-05-01T10:00:00,123][INFO ][o.e.n.Node] [node] started\n"
	tomcatLine     = "28-Nov-2026 10:00:00.123 INFO [main] org.apache.catalina.core.StandardService.startInternal Starting service\n"
	julLine        = "Nov 28, 2026 10:00:00 AM org.apache.catalina.core.StandardService startInternal\nINFO: Starting service\n"
	cassandraLine  = "INFO  [main] 2026-11-28 10:00:00,123 CassandraDaemon.java:155 - line\n"
	dropwizardLine = "INFO  [2026-11-28 10:00:00,123] org.eclipse.jetty.server.Server: line\n"
	clockLine      = "10:00:00.123 [main] INFO  c.e.Foo - hello\n"
	flinkLine      = "2026-11-28 10:00:00,123 INFO  org.apache.flink.runtime.Foo           [] - Received task\n"
	dpkgLine       = "2026-11-22 20:47:01 startup archives unpack\n"
)

var looking = finder{guesser: parse.NewGuesser()}

func sniff(head []byte) string { return looking.guess(head).Type }

func TestFilesGetTheTypeOfTheirFirstLines(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"RFC 3164":             {strings.Repeat(syslogLine, 3), "syslog"},
		"syslog with ISO time": {strings.Repeat(isoLine, 3), "syslog"},
		"RFC 5424":             {rfc5424Line, "syslog"},
		"combined":             {combinedLine, "combined"},
		"log4j":                {log4jLine, "log4j"},
		"log4j, mostly traces": {log4jLine + strings.Repeat(traceLine, 7), "log4j"},
		"log4j, seconds only":  {secondsLine, "log4j"},
		"Apache's errors":      {apacheLine, "log4j"},
		"Apache 2.4's errors":  {strings.Repeat(apache24Line, 3), "log4j"},
		"nginx's errors":       {nginxLine, "log4j"},
		"HDFS":                 {strings.Repeat(hdfsLine, 3), "log4j"},
		"Spark":                {sparkLine, "log4j"},
		"Elasticsearch":        {elasticLine, "log4j"},
		"Tomcat":               {tomcatLine, "log4j"},
		"java.util.logging":    {julLine, "log4j"},
		"level first":          {cassandraLine, "log4j"},
		"level and [time]":     {dropwizardLine, "log4j"},
		"time of day":          {clockLine, "log4j"},
		"Flink":                {flinkLine, "log4j"},
		"numbers, no time":     {"081399 203615 148 INFO x\n991332 101010 WARN\n", "raw"},
		"JSON":                 {jsonLine, "json"},
		"JSON that is broken":  {"{not json\n", "raw"},
		"a time, no level":     {dpkgLine, "log4j"},
		"a mix":                {syslogLine + jsonLine + combinedLine, "raw"},
		"no newline yet":       {strings.TrimSuffix(syslogLine, "\n"), "syslog"},
		"CRLF":                 {strings.ReplaceAll(jsonLine, "\n", "\r\n"), "json"},
		"nothing":              {"", ""},
		"only blank lines":     {"\n\n \n", ""},
		"cut at the end":       {strings.Repeat(jsonLine, parse.GuessBytes/len(jsonLine)+1)[:parse.GuessBytes], "json"},
	} {
		if got := sniff([]byte(c.in)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestTheParserTakesWhatWasTakenForItsFormat(t *testing.T) {
	for _, line := range []string{syslogLine, isoLine, rfc5424Line, combinedLine, log4jLine, log4jLine + traceLine, jsonLine, dpkgLine,
		apacheLine, apache24Line, hdfsLine, sparkLine, nginxLine, secondsLine, elasticLine,
		tomcatLine, julLine, cassandraLine, dropwizardLine, clockLine, flinkLine} {
		format := sniff([]byte(line))
		p, err := parse.New(parse.MustSpec(format), parse.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b := rows.NewBuilder(rows.Options{})
		body := []byte(line)
		if err := p.Parse(t.Context(), &chunk.Chunk{
			Type: "x", Stream: "s", Last: int64(len(body)), Body: body, Borders: []int64{int64(len(body))},
			Time: time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC),
		}, nil, b); err != nil {
			t.Fatal(err)
		}
		if starts := regexp.MustCompile(parse.StartOf("log4j")).MatchString(line); format == "log4j" && !starts {
			t.Errorf("%q is log4j, and its start does not match it", line)
		}
		if b.Len() != 1 || b.Failed() != 0 {
			t.Errorf("%q as %s: %d rows, %d of them failed, want one that is good", line, format, b.Len(), b.Failed())
		}
	}
}

// TestRealLogsGetTheTypeWhoseParserReadsThem looks at the loghub collection:
// below AKUPARA_TEST_DATA, or beside the checkout in shared/data.
func TestRealLogsGetTheTypeWhoseParserReadsThem(t *testing.T) {
	dir := os.Getenv("AKUPARA_TEST_DATA")
	if dir == "" {
		dir = "../../../../../shared/data"
	}
	if _, err := os.Stat(filepath.Join(dir, "loghub")); err != nil {
		t.Skip("the loghub collection is not there: set AKUPARA_TEST_DATA to the folder that holds it")
	}
	for name, want := range map[string]string{
		"Apache": "log4j", "HDFS": "log4j", "Hadoop": "log4j", "Zookeeper": "log4j", "Linux": "syslog", "OpenSSH": "syslog",
	} {
		log, err := os.ReadFile(filepath.Join(dir, "loghub", name+"_2k.log"))
		if err != nil {
			t.Fatal(err)
		}
		if got := sniff(log[:min(len(log), parse.GuessBytes)]); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func write(t *testing.T, root, name, content string) string {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func find(t *testing.T, o Options) (types map[string]string, skipped map[string]string) {
	t.Helper()
	r, err := Find(o)
	if err != nil {
		t.Fatal(err)
	}
	types, skipped = map[string]string{}, map[string]string{}
	for _, s := range r.Sources {
		types[strings.TrimPrefix(s.Glob, o.Root+"/")] = s.Type
	}
	for _, s := range r.Skipped {
		skipped[strings.TrimPrefix(s.Path, o.Root+"/")] = s.Reason
	}
	return types, skipped
}

func equal(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s %s: got %q, want %q", what, k, got[k], v)
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s %s: got %q, want it not to be there", what, k, v)
		}
	}
}

func TestALogFolderIsSortedIntoTypesAndSkippedFiles(t *testing.T) {
	root := t.TempDir()
	write(t, root, "syslog", syslogLine)
	write(t, root, "syslog.1", syslogLine)
	write(t, root, "syslog.2.gz", "\x1f\x8b...")
	write(t, root, "auth.log", "")
	write(t, root, "nginx/access.log", "")
	write(t, root, "nginx/access.log.1", combinedLine)
	write(t, root, "app/server.log", log4jLine)
	write(t, root, "app/events [x].json", jsonLine)
	write(t, root, "messages-20260131", syslogLine)
	write(t, root, "dpkg.log", dpkgLine)
	write(t, root, "wtmp", "")
	write(t, root, "btmp.1", "\x00\x01")
	write(t, root, "lastlog", "")
	write(t, root, "journal/abc/system.journal", "LPKSHHRH")
	write(t, root, "core.dat", "abc\x00def")
	write(t, root, "disguised.log", "\x28\xb5\x2f\xfdabc")
	write(t, root, "new.log", "")
	write(t, root, "akupara/store/raw/x.log", jsonLine)
	own := write(t, root, "own.log", jsonLine)
	if err := os.Symlink(own, filepath.Join(root, "link.log")); err != nil {
		t.Fatal(err)
	}
	ownFile, err := os.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer ownFile.Close()

	types, skipped := find(t, Options{Root: root, Exclude: []string{filepath.Join(root, "akupara")}, Own: []*os.File{ownFile}})
	equal(t, "type of", types, map[string]string{
		`syslog{,[.-][0-9]*,[.-]old}`:                "syslog",
		`auth.log{,[.-][0-9]*,[.-]old}`:              "syslog",
		`nginx/access.log{,[.-][0-9]*,[.-]old}`:      "combined",
		`app/server.log{,[.-][0-9]*,[.-]old}`:        "log4j",
		`app/events \[x\].json{,[.-][0-9]*,[.-]old}`: "json",
		`messages{,[.-][0-9]*,[.-]old}`:              "syslog",
		`dpkg.log{,[.-][0-9]*,[.-]old}`:              "log4j",
	})
	equal(t, "reason for", skipped, map[string]string{
		"syslog.2.gz":   "compressed",
		"wtmp":          "binary records of logins",
		"btmp.1":        "binary records of logins",
		"lastlog":       "binary records of logins",
		"journal":       "journals of systemd, binary",
		"core.dat":      "binary",
		"disguised.log": "compressed",
		"new.log":       "empty: it is looked at again from time to time",
		"own.log":       "written by akupara itself",
		"link.log":      "a link",
	})
}

func TestAKnownFileKeepsItsType(t *testing.T) {
	root := t.TempDir()
	path := write(t, root, "a.log", dpkgLine)
	types, _ := find(t, Options{Root: root, Known: map[string]Source{Glob(path): {Type: "json"}}})
	equal(t, "type of", types, map[string]string{"a.log{,[.-][0-9]*,[.-]old}": "json"})
}

// Agents cut objects over several lines by what these begin with: such files have an
// adaptor of their own, as its others would not end a record there.
func TestFilesOfObjectsOverSeveralLinesAreReadAlone(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a.json", jsonLine)
	write(t, root, "p.json", strings.Repeat("{\n  \"time\": \"2026-11-22T21:09:57Z\",\n  \"a\": {\n    \"b\": 1\n  }\n}\n", 5))
	r, err := Find(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Sources) != 2 || r.Sources[0].Alone || r.Sources[0].Type != "json" {
		t.Fatalf("got %+v, want two sources, the first one beside others", r.Sources)
	}
	p := r.Sources[1]
	if start := regexp.MustCompile(p.Start); p.Type != "json" || !p.Alone || !start.MatchString("{") || start.MatchString(`  "a": {`) || start.MatchString("}") {
		t.Errorf("got %+v, want json read alone, whose records begin with braces", p)
	}
}

func TestOnlyNewFilesAreFoundAfterTheFirstLook(t *testing.T) {
	root := t.TempDir()
	known := map[string]Source{Glob(write(t, root, "a.log", dpkgLine)): {Type: "raw"}, Glob(write(t, root, "b.log", jsonLine)): {Type: "json"}}
	write(t, root, "a.log.1", jsonLine)
	write(t, root, "new/c.log", hdfsLine)
	write(t, root, "empty.log", "")
	types, skipped := find(t, Options{Root: root, Known: known, OnlyNew: true})
	equal(t, "type of", types, map[string]string{"new/c.log{,[.-][0-9]*,[.-]old}": "log4j"})
	equal(t, "reason for", skipped, map[string]string{"empty.log": "empty: it is looked at again from time to time"})
}

func TestTheGlobMatchesTheFileAndItsRotatedNames(t *testing.T) {
	for name, want := range map[string]bool{
		"/l/a[1].log": true, "/l/a[1].log.1": true, "/l/a[1].log-20260131": true, "/l/a[1].log.2.gz": true,
		"/l/a[1].logx": false, "/l/a[1].log-errors.json": false, "/l/a[1].log.old": true, "/l/a1.log": false, "/l/a[1].log.d/x": false,
	} {
		if got, err := doublestar.Match(Glob("/l/a[1].log"), name); err != nil || got != want {
			t.Errorf("%s: got %v %v, want %v", name, got, err, want)
		}
	}
}

func TestAMissingFolderHasNoFiles(t *testing.T) {
	types, skipped := find(t, Options{Root: filepath.Join(t.TempDir(), "none")})
	if len(types)+len(skipped) > 0 {
		t.Errorf("got %v and %v, want nothing", types, skipped)
	}
}

func FuzzSniff(f *testing.F) {
	for _, s := range []string{syslogLine, isoLine, combinedLine, log4jLine, jsonLine, "\x00", "{", "\xff\xfe"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		NotText(head)
		if got := sniff(head); got == "" && strings.TrimSpace(string(head)) != "" {
			t.Errorf("%q has no type", head)
		}
	})
}
