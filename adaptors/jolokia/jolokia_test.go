package jolokia

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

const patience = time.Minute

// answers serves what f gives for the requests of a bulk.
func answers(t *testing.T, f func(reqs []request) string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var reqs []request
		if err := json.Unmarshal(body, &reqs); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %q: %v", r.Method, body, err)
		}
		fmt.Fprint(w, f(reqs))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestConformance(t *testing.T) {
	url := answers(t, func([]request) string { return `[{"status":200,"value":{"A":1}}]` })
	adaptortest.Test(t, adaptortest.Kind{New: func(t *testing.T) adaptors.Adaptor {
		return mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms, mbeans: [{mbean: 'a:b=c'}]}", url))
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

// decodeLines returns the records of a body by MBean, the last of each.
func decodeLines(t *testing.T, body []byte) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for line := range bytes.Lines(body) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil || line[len(line)-1] != '\n' {
			t.Fatalf("%v in %q", err, line)
		}
		out[r["mbean"].(string)] = r
	}
	return out
}

func TestRequestsAreAsTheProtocolHasThem(t *testing.T) {
	got := make(chan string, 100)
	url := answers(t, func(reqs []request) string {
		b, _ := json.Marshal(reqs)
		got <- string(b)
		return `[]`
	})
	start(t, mustNew(t, fmt.Sprintf("{urls: ['%s'], every: 100ms, max_depth: 3, max_collection: 10, mbeans: [{mbean: 'a:b=c'}, {mbean: 'a:*', attributes: [X]}, {mbean: 'a:d=e', attributes: [X], path: y/z}]}", url)))
	const options = `"config":{"ignoreErrors":"true","includeStackTrace":"false","maxCollectionSize":"10","maxDepth":"3"}`
	want := `[{"type":"read","mbean":"a:b=c",` + options + `},{"type":"read","mbean":"a:*","attribute":["X"],` + options +
		`},{"type":"read","mbean":"a:d=e","attribute":"X","path":"y/z",` + options + `}]`
	select {
	case have := <-got:
		if have != want {
			t.Errorf("got\n%s\nwant\n%s", have, want)
		}
	case <-time.After(patience):
		t.Fatal("nothing was asked")
	}
}

func TestWhatIsNoJolokiaIsToldAndTriedAgain(t *testing.T) {
	var answer atomic.Value
	answer.Store("")
	url := answers(t, func([]request) string { return answer.Load().(string) })
	a := mustNew(t, fmt.Sprintf("{urls: ['%s/?secret'], every: 100ms, mbeans: [{mbean: 'a:b=c'}]}", url))
	out, _ := start(t, a)
	for said, want := range map[string]string{
		"<html>":                                "is not Jolokia's",
		"{}":                                    "there is no status",
		"[]":                                    "answers 0 requests, 1 were made",
		`{"status":500,"error":"out of order"}`: "Jolokia says status 500: out of order",
		`[{"status":200,"value":`:               "is not Jolokia's",
	} {
		answer.Store(said)
		out.none(t, said, func() bool { return strings.Contains(a.Status().LastErr, want) })
		if got := a.Status().LastErr; strings.Contains(got, "secret") {
			t.Errorf("last error %q holds the query", got)
		}
	}
	answer.Store(`[{"status":200,"value":{"A":"1"}}]`)
	if got := decodeLines(t, out.next(t).Body)["a:b=c"]; got["A"] != "1" {
		t.Errorf("got %v, want the attribute", got)
	}
	out.next(t)
	if got := a.Status().LastErr; got != "" {
		t.Errorf("last error %q, want none", got)
	}
}

func TestShapesThatAreNotAsAskedForAreRecordsWithAnError(t *testing.T) {
	const ts = "2026-01-01T00:00:00.000000Z"
	for _, c := range []struct {
		m           MBean
		answer      string
		want, wrong string
	}{
		{MBean{Name: "a:b=c"}, `{"status":200,"value":7}`, `{"ts":"` + ts + `","mbean":"a:b=c","status":200,"error":"its attributes are no JSON object"}`, "no JSON object"},
		{MBean{Name: "a:*"}, `{"status":200,"value":{"a:b=c":7}}`, `{"ts":"` + ts + `","mbean":"a:*","status":200,"error":"what matches is no JSON object of MBeans"}`, "of MBeans"},
		{MBean{Name: "a:*"}, `{"status":200,"value":{"a:y=1":{"V":1},"a:x=1":{"V":"ERROR: no"}}}`,
			`{"ts":"` + ts + `","mbean":"a:x=1","error":"V: no"}` + "\n" + `{"ts":"` + ts + `","mbean":"a:y=1","V":1}`, "V: no"},
		{MBean{Name: "a:b=c", Attributes: []string{"A"}, Path: "b/c"}, `{"status":200,"value": [1, 2]}`, `{"ts":"` + ts + `","mbean":"a:b=c","A":{"b":{"c":[1,2]}}}`, ""},
		{MBean{Name: "a:b=c", Attributes: []string{"A"}, Path: "b"}, `{"status":200}`, `{"ts":"` + ts + `","mbean":"a:b=c","A":{"b":null}}`, ""},
		{MBean{Name: "a:b=c"}, `{"status":403,"error":"` + strings.Repeat("x", 2000) + `"}`, `{"ts":"` + ts + `","mbean":"a:b=c","status":403,"error":"` + strings.Repeat("x", 512) + `"}`, "xxx"},
		{MBean{Name: "a:b=c"}, `{"status":200,"value":{"mbean":1,"error":{"x": 2},"N":null}}`, `{"ts":"` + ts + `","mbean":"a:b=c","N":null,"error_":{"x":2},"mbean_":1}`, ""},
	} {
		list, err := decode([]byte("["+c.answer+"]"), 1)
		if err != nil {
			t.Fatal(err)
		}
		got, wrong := records(nil, ts, &c.m, &list[0])
		if string(got) != c.want+"\n" || !strings.Contains(wrong, c.wrong) || (wrong == "") != (c.wrong == "") {
			t.Errorf("%s: got %s and %q, want %s and %q", c.answer, got, wrong, c.want, c.wrong)
		}
	}
}

func TestAttributesBeyondAChunkAreToldNotSent(t *testing.T) {
	long := json.RawMessage(`"` + strings.Repeat("x", chunk.MaxBody) + `"`)
	got, wrong := appendSet(nil, "t", "a:b=c", map[string]json.RawMessage{"A": long})
	if len(got) > 1000 || !strings.Contains(wrong, "name some of them") || !json.Valid(got) {
		t.Errorf("%d bytes and %q, want a record with an error", len(got), wrong)
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                             `"mbeans" is missing`,
		"{urls: [], mbeans: []}":                         "0 URLs; from 1 to 100",
		"{urls: ['http://h'], mbeans: []}":               "0 entries; from 1 to 200",
		"{urls: ['http://h'], mbeans: [{}]}":             `"mbean" is missing`,
		"{urls: ['http://h'], mbeans: [{mbean: x}]}":     "want an object name",
		"{urls: ['http://h'], mbeans: [{mbean: 'a:b'}]}": `"b" is no key with a value`,
		"{urls: ['http://h'], mbeans: [{mbean: 'a:b=c', attributes: ['']}]}":            "from 1 to 1024 bytes",
		"{urls: ['http://h'], mbeans: [{mbean: 'a:b=c', path: x}]}":                     "0 are named",
		"{urls: ['http://h'], mbeans: [{mbean: 'a:b=*', attributes: [A], path: x}]}":    "may be several",
		"{urls: ['http://h'], mbeans: [{mbean: 'a:b=c', attributes: [A], path: x//y}]}": "single slashes",
		"{urls: ['http://h'], mbeans: [{mbean: 'a:b=c'}], max_depth: 0}":                "from 1 to 15",
		"{urls: ['http://h'], mbeans: [{mbean: 'a:b=c'}], every: 1ms}":                  "at least 100ms",
	} {
		cfg := DefaultConfig()
		n, problems := config.Parse("f", []byte(text))
		if err := append(problems, config.Decode(n, &cfg)...).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(`[{"status":200,"value":{"a:b=c":{"A":"ERROR: x","B":[1 ]}},"request":{"mbean":"a:*"}}]`), "a:*", "")
	f.Add([]byte(`{"status":400,"error":"\ud800"}`), "a:b=c", "x/y")
	f.Fuzz(func(t *testing.T, body []byte, name, path string) {
		list, err := decode(body, 1)
		if err != nil {
			return
		}
		m := MBean{Name: name, Attributes: []string{"A"}, Path: path}
		out, _ := records(nil, "2026-01-01T00:00:00.000000Z", &m, &list[0])
		for line := range bytes.Lines(out) {
			if !json.Valid(line) || line[len(line)-1] != '\n' {
				t.Errorf("%q gives %q, which is no JSON", body, line)
			}
		}
	})
}
