package jolokia

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
)

// javaApp starts a Java application with a real Jolokia agent and gives the
// agent's URL.
func javaApp(t *testing.T, options string) string {
	t.Helper()
	tools := os.Getenv("AKUPARA_TOOLS_DIR")
	if tools == "" {
		tools = filepath.Join("..", "..", ".tools")
	}
	jar, err := filepath.Abs(filepath.Join(tools, "jars", "jolokia-agent.jar"))
	if err == nil {
		_, err = os.Stat(jar)
	}
	java, javaErr := exec.LookPath("java")
	if err != nil || javaErr != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("there is no Java with Jolokia, run deploy/hadoop/readers.sh: %v %v", err, javaErr)
		}
		t.Skipf("SKIPPED: nothing was read from a real Jolokia; run deploy/hadoop/readers.sh: %v %v", err, javaErr)
	}
	cmd := exec.Command(java, "-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-javaagent:"+jar+"=port=0,host=127.0.0.1"+options, "-cp", "testdata", "App")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(3*patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		stdin.Close() // it ends with its input
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	said := regexp.MustCompile(`started with URL (http://\S+)`)
	var all strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		fmt.Fprintln(&all, lines.Text())
		if m := said.FindStringSubmatch(lines.Text()); m != nil {
			go func() {
				for lines.Scan() {
				}
			}()
			return m[1]
		}
	}
	t.Fatalf("the Jolokia agent did not start:\n%s", all.String())
	return ""
}

func TestARealJolokia(t *testing.T) {
	url := javaApp(t, "")
	t.Run("IsReadByTheExampleInTheReadme", func(t *testing.T) { readExample(t, url) })
	t.Run("TellsErrorsThatHideNothing", func(t *testing.T) { readErrors(t, url) })
	t.Run("RefusesANameWhichHidesNoOther", func(t *testing.T) { readRefused(t, url) })
}

func readExample(t *testing.T, url string) {
	cfg := adaptortest.Example(t, Kind(), "http://127.0.0.1:8778/jolokia/", url).(*Config)
	cfg.Every = config.Duration(200 * time.Millisecond)
	cfg.Timeout = config.Duration(patience)
	a, err := New(*cfg)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := start(t, a)
	c := out.next(t)
	list := decodeLines(t, c.Body)
	memory, _ := list["java.lang:type=Memory"]["HeapMemoryUsage"].(map[string]any)
	if used, ok := memory["used"].(float64); !ok || used < 1<<20 || used > 64<<20 {
		t.Errorf("memory %v, want from 1 to 64 MiB used", memory)
	}
	collectors := 0
	for name, r := range list {
		if strings.Contains(name, "GarbageCollector") {
			collectors++
			if _, ok := r["CollectionCount"].(float64); !ok {
				t.Errorf("collector %s: %v, want a number of collections", name, r)
			}
		}
		if r["error"] != nil || r["ts"] != c.Time.Format("2006-01-02T15:04:05.000000Z07:00") {
			t.Errorf("%s: %v, want the chunk's time and no error", name, r)
		}
	}
	if n, ok := list["java.lang:type=Threading"]["ThreadCount"].(float64); collectors != 2 || len(list) != 5 || !ok || n < 2 {
		t.Errorf("got %v, want five MBeans, two of them collectors", list)
	}
	if c.Source != url || c.Tags["url"] != url || a.Status().LastErr != "" {
		t.Errorf("source %q, tags %v, last error %q", c.Source, c.Tags, a.Status().LastErr)
	}
	p, err := parse.New(parse.MustSpec("json"), parse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := rows.NewBuilder(rows.Options{})
	c.Type, c.Stream, c.Last = "t", "s", int64(len(c.Body))
	if err := p.Parse(t.Context(), &c, nil, b); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, col := range b.Columns() {
		names[col.Name] = fmt.Sprint(col.Type)
	}
	if b.Len() != 5 || b.Failed() != 0 || names["HeapMemoryUsage.used"] != "long" || names["CollectionCount"] != "long" {
		t.Errorf("%d rows, %d failed, columns %v; want 5, none and numbers", b.Len(), b.Failed(), names)
	}
}

func readErrors(t *testing.T, url string) {
	const sample = `akupara:name="a b",type=Sample`
	a := mustNew(t, fmt.Sprintf(`{urls: ['%s'], every: 200ms, timeout: 20s, mbeans: [
		{mbean: 'akupara:type=Sample,*'},
		{mbean: 'akupara:type=Sample,name="a b"', attributes: [Count, Nope]},
		{mbean: 'java.lang:type=Memory', attributes: [HeapMemoryUsage], path: used},
		{mbean: 'java.lang:type=Memory', attributes: [HeapMemoryUsage], path: no/such},
		{mbean: 'java.lang:type=MemoryPool,name=*', attributes: [Usage, CollectionUsageThresholdCount]},
		{mbean: 'java.lang:type=Threading'},
		{mbean: 'no:type=Such'},
		{mbean: 'no:type=*'}]}`, url))
	out, stop := start(t, a)
	body := out.next(t).Body
	last := a.Status().LastErr
	stop()
	lines := strings.SplitAfter(string(body), "\n")
	if want := `"mbean":"akupara:name=\"a b\",type=Sample","Count":9007199254740993,"Rate":0.25,"Text":"say \"hi\" <é>\n","ts_":7,"error":"Broken: `; !strings.Contains(lines[0], want) {
		t.Errorf("got %s, want %s", lines[0], want)
	}
	if want := `"mbean":"akupara:name=\"a b\",type=Sample","Count":9007199254740993,"error":"Nope: No such attribute: Nope`; !strings.Contains(lines[1], want) {
		t.Errorf("got %s, want %s", lines[1], want)
	}
	if want := `"mbean":"java.lang:type=Memory","HeapMemoryUsage":{"used":`; !strings.Contains(lines[2], want) {
		t.Errorf("got %s, want %s", lines[2], want)
	}
	if want := `"mbean":"java.lang:type=Memory","HeapMemoryUsage":{"no":{"such":null}}}`; !strings.Contains(lines[3], want) {
		t.Errorf("got %s, want %s", lines[3], want)
	}
	list := decodeLines(t, body)
	if r := list["java.lang:type=Threading"]; r["ThreadCount"] == nil || len(r) < 10 {
		t.Errorf("threading: %v, want all its attributes", r)
	}
	unsupported := 0
	for name, r := range list {
		if strings.Contains(name, "MemoryPool") && r["error"] == "CollectionUsageThresholdCount: Unsupported" && r["CollectionUsageThresholdCount"] == nil && r["Usage"] != nil {
			unsupported++
		}
	}
	if unsupported == 0 {
		t.Errorf("got %s, want a pool without a threshold", body)
	}
	for _, name := range []string{"no:type=Such", "no:type=*"} {
		if r := list[name]; r["status"] != 404.0 || !strings.Contains(fmt.Sprint(r["error"]), "InstanceNotFoundException") {
			t.Errorf("%s: %v, want status 404 and why", name, r)
		}
	}
	if list[sample] == nil || !strings.Contains(last, "InstanceNotFoundException") {
		t.Errorf("last error %q, want what is not there", last)
	}
}

func readRefused(t *testing.T, url string) {
	a := mustNew(t, fmt.Sprintf(`{urls: ['%s'], every: 200ms, timeout: 20s, mbeans: [{mbean: 'a:b=c,d'}, {mbean: 'java.lang:type=Runtime', attributes: [Uptime]}]}`, url))
	out, _ := start(t, a)
	list := decodeLines(t, out.next(t).Body)
	if r := list["a:b=c,d"]; r["status"] != 400.0 || r["error"] == nil {
		t.Errorf("got %v, want that the name is refused", r)
	}
	if r := list["java.lang:type=Runtime"]; r["Uptime"] == nil {
		t.Errorf("got %v, want the other's attribute", list)
	}
}

func TestARealJolokiaWithAPasswordIsRead(t *testing.T) {
	url := javaApp(t, ",user=me,password=s3cret")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := mustNew(t, fmt.Sprintf(`{urls: ['%s'], every: 200ms, timeout: 20s, basic: {user: me, password_file: %s}, mbeans: [{mbean: 'java.lang:type=Runtime', attributes: [Uptime]}]}`, url, file))
	out, _ := start(t, a)
	out.none(t, "a wrong password", func() bool { return strings.Contains(a.Status().LastErr, "status 401") })
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := decodeLines(t, out.next(t).Body)["java.lang:type=Runtime"]; r["Uptime"] == nil {
		t.Errorf("got %v, want the attribute", r)
	}
}
