package apptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site is an installation in processes of their own, of which a test may
// change each part of the config. The web part answers its queries.
type site struct {
	local
	web *proc

	// What goes into the config, set before configure.
	storeURI string // default: a folder
	adaptors string // lines of the list
	agentKey string // further keys of the agent's section, a line each
	sealAge  string // default 1s
	// collectorKey is a line of the collector's section.
	collectorKey string
	schedule     string // default @every 1s
	types        string // of the demux, as a flow mapping's content
	demuxKey     string // further keys of the demux's section, a line each
}

func (s *site) configure(t *testing.T) {
	t.Helper()
	s.dir = t.TempDir()
	s.store = filepath.Join(s.dir, "store")
	if s.storeURI == "" {
		s.storeURI = "file://" + s.store
	}
	if s.sealAge == "" {
		s.sealAge = "1s"
	}
	if s.schedule == "" {
		s.schedule = "@every 1s"
	}
	if s.adaptors == "" {
		s.adaptors = "[]"
	}
	s.agentAddr, s.collectorAddr, s.demuxAddr, s.webAddr = freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	s.config = filepath.Join(s.dir, "akupara.yaml")
	s.rewrite(t)
	mustAkupara(t, "check", "--config", s.config)
}

// rewrite writes the config anew, after a field was changed.
func (s *site) rewrite(t *testing.T) {
	t.Helper()
	adaptors := s.adaptors
	if strings.HasPrefix(strings.TrimSpace(adaptors), "-") {
		adaptors = "\n" + adaptors
	}
	writeFile(t, s.config, fmt.Sprintf(`
store: %s
data_dir: %s
agent:
  collectors: [http://%s]
  listen: %s
%s
  adaptors: %s
collector:
  listen: %s
  seal: {bytes: 128MiB, age: %s}
%s
demux:
  schedule: "%s"
  listen: %s
%s
  types: {%s}
web:
  listen: %s
  demux: %s
  agents: [{host: here, url: "http://%s"}]
`, s.storeURI, filepath.Join(s.dir, "data"), s.collectorAddr, s.agentAddr, s.agentKey, adaptors, s.collectorAddr, s.sealAge, s.collectorKey,
		s.schedule, s.demuxAddr, s.demuxKey, s.types, s.webAddr, s.demuxAddr, s.agentAddr))
}

func (s *site) startAll(t *testing.T) {
	t.Helper()
	s.local.start(t)
	s.startWeb(t)
}

func (s *site) startWeb(t *testing.T) {
	t.Helper()
	s.web = start(t, "web", "akupara", "web", "--config", s.config)
	ready(t, s.webAddr)
}

func ready(t *testing.T, addr string) {
	t.Helper()
	eventually(t, slow, addr+" is ready", func() bool {
		_, status := get("http://" + addr + "/readyz")
		return status == http.StatusOK
	})
}

// answer is a reply to one request.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends one request; header is names and values in turn, Host among them.
func do(t testing.TB, method, url, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{body: err.Error()}
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// want fails the test unless a has the status and each part in its body.
func (a answer) want(t testing.TB, what string, status int, parts ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: got %d %s, want %d", what, a.status, a.body, status)
		return
	}
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			t.Errorf("%s: got %d %s, want %q in it", what, a.status, a.body, part)
		}
	}
}

// decode is the body of an answer with the status, decoded.
func decode[T any](t testing.TB, a answer, status int) T {
	t.Helper()
	var v T
	if a.status != status {
		t.Fatalf("got %d %s, want %d", a.status, a.body, status)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return v
}

// sql asks the web part, and gives nil where it refuses: the table may not be
// there yet.
func (s *site) sql(t testing.TB, query string) []map[string]any {
	t.Helper()
	a := do(t, "POST", "http://"+s.webAddr+"/v1/query", query)
	if a.status != http.StatusOK {
		return nil
	}
	return decode[[]map[string]any](t, a, http.StatusOK)
}

// value is the one value that a query answers, as text; "-" before there is one.
func (s *site) value(t testing.TB, query string) string {
	t.Helper()
	rows := s.sql(t, query)
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "-"
	}
	for _, v := range rows[0] {
		return fmt.Sprint(v)
	}
	return "-"
}

// becomes waits until the query answers want.
func (s *site) becomes(t testing.TB, limit time.Duration, query, want string) {
	t.Helper()
	got := ""
	defer func() {
		if t.Failed() {
			t.Logf("%s: got %s at last, want %s", query, got, want)
		}
	}()
	eventually(t, limit, query+" = "+want, func() bool {
		got = s.value(t, query)
		return got == want
	})
}

// view is an adaptor as the agent shows it.
type view struct {
	Name     string
	Kind     string
	Type     string
	State    string
	LagBytes int64 `json:"lag_bytes"`
	Rate     float64
	LastErr  string `json:"last_error"`
	Position []struct {
		Path, Stream        string
		Read, Settled, Size int64
	}
	Skipped []struct{ Path, Reason string }
}

func (s *site) agentURL(path string) string { return "http://" + s.agentAddr + path }

// adaptor asks the agent; an empty view while it does not answer.
func (s *site) adaptor(t testing.TB, name string) view {
	t.Helper()
	a := do(t, "GET", s.agentURL("/v1/adaptors/"+name), "")
	if a.status != http.StatusOK {
		return view{}
	}
	return decode[view](t, a, http.StatusOK)
}

// numbered returns lines from first up to and without last.
func numbered(prefix string, first, last int) string {
	var b bytes.Buffer
	for i := first; i < last; i++ {
		fmt.Fprintf(&b, "%s %06d\n", prefix, i)
	}
	return b.String()
}

func appendFile(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
}

// files returns the paths below dir that match the pattern.
func files(t testing.TB, dir, pattern string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a daemon may take it away
			return err
		}
		if d == nil {
			return nil
		}
		if ok, _ := filepath.Match(pattern, filepath.Base(p)); ok && !d.IsDir() {
			out = append(out, p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
