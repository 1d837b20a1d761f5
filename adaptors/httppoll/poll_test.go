package httppoll

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/adaptors/internal/fetch"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
)

const patience = time.Minute

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestConformance(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "fine") })
	adaptortest.Test(t, adaptortest.Kind{New: func(t *testing.T) adaptors.Adaptor {
		return mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms}", url))
	}})
}

func mustNew(t *testing.T, text string) *Adaptor {
	t.Helper()
	cfg := DefaultConfig()
	n, problems := config.Parse("f", []byte(text))
	if err := append(problems, config.Decode(n, &cfg)...).Err(); err != nil {
		t.Fatal(err)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sink passes on what is sent.
type sink chan chunk.Chunk

func (s sink) Send(ctx context.Context, c *chunk.Chunk) error {
	own := *c
	own.Body, own.Tags = bytes.Clone(c.Body), maps.Clone(c.Tags)
	select {
	case s <- own:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func start(t *testing.T, a *Adaptor) (out sink, stop func()) {
	t.Helper()
	out = make(sink)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, adaptors.Env{Log: slog.New(slog.DiscardHandler), Out: out}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
	})
	t.Cleanup(stop)
	return out, stop
}

func (s sink) next(t *testing.T) chunk.Chunk {
	t.Helper()
	select {
	case c := <-s:
		whole := c
		whole.Type, whole.Stream, whole.Last = "t", "s", int64(len(c.Body))
		if err := whole.Check(); err != nil {
			t.Fatal(err)
		}
		return c
	case <-time.After(patience):
		t.Fatal("no chunk came")
		return chunk.Chunk{}
	}
}

func (s sink) none(t *testing.T, what string, until func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !until(); {
		select {
		case c := <-s:
			t.Fatalf("%s: got %q, want no chunk", what, c.Body)
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: did not come about", what)
		}
	}
}

func TestExampleInTheReadmeScrapesAPrometheusEndpointIntoRows(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "took_seconds", Help: "How long it took."}, []string{"path"})
	reg.MustRegister(h)
	h.WithLabelValues("a\"b\\c\nd").Observe(0.3)
	url := serve(t, promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP)
	cfg := adaptortest.Example(t, Kind(), "http://127.0.0.1:9100/metrics", url+"/metrics?secret=1").(*Config)
	cfg.Every = config.Duration(200 * time.Millisecond)
	a, err := New(*cfg)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := start(t, a)
	c := out.next(t)
	if c.Source != url+"/metrics" || c.Tags["url"] != url+"/metrics" || c.Tags["status"] != "200" || c.Borders != nil || time.Since(c.Time) > time.Minute {
		t.Errorf("source %q, tags %v, borders %v, time %v", c.Source, c.Tags, c.Borders, c.Time)
	}
	samples := 0
	for line := range strings.Lines(string(c.Body)) {
		if !strings.HasPrefix(line, "#") {
			samples++
		}
	}
	p, err := parse.New(parse.MustSpec("prometheus"), parse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := rows.NewBuilder(rows.Options{})
	c.Type, c.Stream, c.Last = "t", "s", int64(len(c.Body))
	if err := p.Parse(t.Context(), &c, nil, b); err != nil {
		t.Fatal(err)
	}
	if samples < 40 || b.Len() != samples || b.Failed() != 0 {
		t.Errorf("%d rows, %d failed; want %d and none, of\n%s", b.Len(), b.Failed(), samples, c.Body)
	}
}

func TestWhatARecordIs(t *testing.T) {
	answer := "{\n \"data\": {\"items\": [ {\"a\": 1.50, \"b\": \"x y\"},\n 12345678901234567890, [ ], \"é\\n\" ]}, \"n\": null}\n"
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer) })
	for _, c := range []struct{ options, want, borders string }{
		{"", answer, fmt.Sprintf("[%d]", len(answer))},
		{", split: lines", answer, "[]"},
		{", split: array, items: data.items", "{\"a\":1.50,\"b\":\"x y\"}\n12345678901234567890\n[]\n\"é\\n\"\n", "[]"},
	} {
		out, stop := start(t, mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms%s}", url, c.options)))
		got := out.next(t)
		if string(got.Body) != c.want || fmt.Sprint(got.Borders) != c.borders {
			t.Errorf("%s: got %q with borders %v, want %q with %s", c.options, got.Body, got.Borders, c.want, c.borders)
		}
		stop()
	}
}

func TestEncodingIsThatOfTheAnswer(t *testing.T) {
	for kind, want := range map[string]string{
		"text/plain":                                     "",
		"text/plain; charset=utf-8":                      "",
		`text/plain; charset="ISO-8859-1"`:               "ISO-8859-1",
		"text/plain; charset=shift_jis":                  "SHIFT_JIS",
		"text/plain; charset=utf-16":                     "UTF-16LE",
		"text/plain; charset=UTF-16BE":                   "UTF-16BE",
		"text/plain; charset=\"a b\"":                    "",
		"text/plain; charset=":                           "",
		"; ":                                             "",
		"text/plain; charset=" + strings.Repeat("x", 50): "",
	} {
		a := &fetch.Answer{Header: http.Header{"Content-Type": {kind}}, Body: []byte("\xff\xfea\x00")}
		if got := encodingOf(a); got != want {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=iso-8859-1")
		fmt.Fprint(w, "gr\xfc\xdfe\n")
	})
	out, _ := start(t, mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms, split: lines}", url)))
	if c := out.next(t); c.Encoding != "ISO-8859-1" || string(c.Body) != "gr\xfc\xdfe\n" {
		t.Errorf("got %q in %q, want the bytes as they came", c.Body, c.Encoding)
	}
}

func TestURLsThatDifferInTheirQueryAreToldApart(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "b" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	a := mustNew(t, fmt.Sprintf("{urls: ['%[1]s/?a', '%[1]s/?b'], every: 100ms}", url))
	out, _ := start(t, a)
	out.none(t, "the second URL's failure", func() bool { return a.Status().LastErr == url+"/ (urls[1]): status 404" })
}

func TestPollThatFailsIsToldAndTriedAgain(t *testing.T) {
	var well atomic.Bool
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case well.Load():
			fmt.Fprint(w, `{"list": [1]}`)
		case r.URL.Path == "/status":
			http.Error(w, "out of order", http.StatusServiceUnavailable)
		case r.URL.Path == "/long":
			_, _ = w.Write(make([]byte, 2048))
		case r.URL.Path == "/key":
			fmt.Fprint(w, `{"lost": [1]}`)
		case r.URL.Path == "/object":
			fmt.Fprint(w, `{"list": {"a": 1}}`)
		default:
			fmt.Fprint(w, `[1`)
		}
	})
	for path, want := range map[string]string{
		"/status": `status 503, and "out of order`,
		"/long":   "longer than max_body, 1024 bytes",
		"/key":    `the answer has no key "list"`,
		"/object": `what "list" holds is no JSON array: it is a JSON object`,
		"/broken": `the answer is no JSON object with the key "list"`,
	} {
		t.Run(path, func(t *testing.T) {
			well.Store(false)
			a := mustNew(t, fmt.Sprintf("{urls: ['%s%s?secret'], every: 100ms, max_body: 1KiB, split: array, items: list}", url, path))
			out, stop := start(t, a)
			out.none(t, path, func() bool { return strings.Contains(a.Status().LastErr, want) })
			if got := a.Status().LastErr; strings.Contains(got, "secret") {
				t.Errorf("last error %q holds the query", got)
			}
			well.Store(true)
			if got := out.next(t); string(got.Body) != "1\n" {
				t.Errorf("got %q, want the list's element", got.Body)
			}
			out.next(t)
			if got := a.Status().LastErr; got != "" {
				t.Errorf("last error %q after an answer, want none", got)
			}
			stop()

			well.Store(false)
			a = mustNew(t, fmt.Sprintf("{urls: ['%s%s'], every: 100ms, max_body: 1KiB, split: array, items: list, report_errors: true}", url, path))
			out, stop = start(t, a)
			c := out.next(t)
			stop()
			var r struct {
				TS, URL, Error string
				Status         int
			}
			if err := json.Unmarshal(c.Body, &r); err != nil {
				t.Fatalf("%v in %q", err, c.Body)
			}
			if r.URL != url+path || !strings.Contains(r.Error, want) || r.TS != c.Time.Format("2006-01-02T15:04:05.000000Z07:00") || path == "/status" && (r.Status != 503 || c.Tags["status"] != "503") {
				t.Errorf("reported %s with tags %v, want why and where", c.Body, c.Tags)
			}
		})
	}
}

func TestOnlyWhatChangedIsARecord(t *testing.T) {
	for _, how := range []string{"ETag", "Last-Modified", "nothing"} {
		t.Run(how, func(t *testing.T) {
			var version, asked, unchanged atomic.Int64
			version.Store(1)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				v := version.Load()
				tag := fmt.Sprintf(`"%d"`, v)
				day := time.Date(2026, 1, int(v), 0, 0, 0, 0, time.UTC).Format(http.TimeFormat)
				switch {
				case how == "ETag" && r.Header.Get("If-None-Match") == tag, how == "Last-Modified" && r.Header.Get("If-Modified-Since") == day:
					unchanged.Add(1)
					w.WriteHeader(http.StatusNotModified)
					return
				case how == "ETag":
					w.Header().Set("ETag", tag)
				case how == "Last-Modified":
					w.Header().Set("Last-Modified", day)
				}
				fmt.Fprintf(w, "version %d", v)
			})
			out, _ := start(t, mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms, only_changed: true}", url)))
			for v := range 2 {
				version.Store(int64(v + 1))
				if got, want := string(out.next(t).Body), fmt.Sprintf("version %d", v+1); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
				from := asked.Load()
				out.none(t, "unchanged", func() bool { return asked.Load() >= from+3 })
			}
			if how != "nothing" && unchanged.Load() < 4 {
				t.Errorf("the server could say %d times that nothing changed, want it each time", unchanged.Load())
			}
		})
	}
}

func TestWhatWasNotTakenIsNotTakenForUnchanged(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"1"`)
		fmt.Fprint(w, "once")
	})
	a := mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms, only_changed: true}", url))
	broken := fmt.Errorf("the spool is broken")
	err := a.Run(context.Background(), adaptors.Env{Log: slog.New(slog.DiscardHandler), Out: refuse{broken}})
	if err == nil || !strings.Contains(err.Error(), "the spool is broken") {
		t.Fatalf("Run: got %v, want the error of the spool", err)
	}
	out, _ := start(t, a)
	if got := string(out.next(t).Body); got != "once" {
		t.Errorf("got %q, want the answer that was not taken", got)
	}
}

type refuse struct{ err error }

func (r refuse) Send(context.Context, *chunk.Chunk) error { return r.err }

func TestURLsAreAskedSideBySide(t *testing.T) {
	hang := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-hang
		}
		fmt.Fprint(w, r.URL.Path)
	})
	t.Cleanup(func() { close(hang) })
	a := mustNew(t, fmt.Sprintf("{urls: ['%[1]s/slow', '%[1]s/a', '%[1]s/b'], every: 100ms, timeout: 1h}", url))
	out, _ := start(t, a)
	got := map[string]int{}
	for range 8 {
		c := out.next(t)
		if c.Source != "http_poll" || c.Tags["url"] != url+string(c.Body) {
			t.Errorf("source %q and tags %v for %q", c.Source, c.Tags, c.Body)
		}
		got[string(c.Body)]++
	}
	if got["/a"] < 3 || got["/b"] < 3 {
		t.Errorf("got %v, want both of the quick ones, round by round", got)
	}
}

func TestCompressedAndGuardedAnswersAreRead(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer abc" || r.Header.Get("X-Tenant") != "7" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "plain")
		z.Close()
	})
	out, _ := start(t, mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms, bearer_file: %s, headers: {X-Tenant: 7}}", url, token)))
	if got := string(out.next(t).Body); got != "plain" {
		t.Errorf("got %q, want plain", got)
	}
}

func TestEmptyAnswerIsNoRecord(t *testing.T) {
	var asked atomic.Int64
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	a := mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms}", url))
	out, _ := start(t, a)
	out.none(t, "an empty answer", func() bool { return asked.Load() >= 3 })
	if got := a.Status().LastErr; got != "" {
		t.Errorf("last error %q, want none", got)
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                 `"urls" is missing`,
		"{urls: []}":                         "from 1 to 100",
		"{urls: ['ftp://h']}":                "allowed: http, https",
		"{urls: ['http://h', 'http://h']}":   "given twice",
		"{urls: ['http://h'], split: words}": "whole, lines, array",
		"{urls: ['http://h'], items: a}":     "split: array",
		"{urls: ['http://h'], split: array, items: a..b}": "empty key",
		"{urls: ['http://h'], every: 1ms}":                "at least 100ms",
		"{urls: ['http://h'], tls: {cert: /x}}":           "go together",
		"{urls: ['http://h'], max_body: 100MiB}":          "from 1KiB to 16MiB",
	} {
		cfg := DefaultConfig()
		n, problems := config.Parse("f", []byte(text))
		if err := append(problems, config.Decode(n, &cfg)...).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	cfg := DefaultConfig()
	cfg.URLs, cfg.BearerFile = []fetch.URL{"http://h/?q"}, "/etc/shadow"
	cfg.SetRoots(adaptors.Roots{})
	if got := fmt.Sprint(cfg.Needs()); got != "[{url http://h/?q} {file /etc/shadow}]" {
		t.Errorf("needs %s, want the URL and the file", got)
	}
	a := mustNew(t, "{urls: ['http://127.0.0.1:1'], tls: {ca: /nonexistent}}")
	if err := a.Run(context.Background(), adaptors.Env{}); err == nil || !strings.Contains(err.Error(), "tls.ca") {
		t.Errorf("Run without the CA's file: got %v, want an error", err)
	}
}

func FuzzElements(f *testing.F) {
	f.Add([]byte(`{"a": {"b": [1, {"c" : "\n"}]}}`), "a.b")
	f.Add([]byte("\ufeff[null, [ ]]"), "")
	f.Fuzz(func(t *testing.T, body []byte, keys string) {
		out, err := elements(body, keys)
		if err != nil {
			return
		}
		if len(out) > len(body) {
			t.Errorf("%d bytes of elements of %d bytes", len(out), len(body))
		}
		for line := range bytes.Lines(out) {
			if !json.Valid(line) || line[len(line)-1] != '\n' {
				t.Errorf("%q of %q is no JSON", line, body)
			}
		}
	})
}
