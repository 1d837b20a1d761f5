package agentd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// After a rewind the collector gets the same bytes again, as the same stream
// and under the same offsets: what a table holds already is not doubled.
func TestRewindSendsTheSameRangesAgain(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	one, two := filepath.Join(dir, "one.log"), filepath.Join(dir, "two.log")
	write(t, one, lines(0, 1000))
	write(t, two, lines(0, 10))
	a := start(t, filepath.Join(dir, "agent"), fmt.Sprintf(`adaptors:
 - {name: log, kind: tail, type: app, paths: [%s], rescan: 50ms}
 - {name: other, kind: tail, type: other, paths: [%s], rescan: 50ms}
 - {name: load, kind: metrics, only: [load], every: 1h}
`, one, two), c.URL)
	size := int64(len(lines(0, 1000)))
	first := c.Wait("the file", holds(t, "app", lines(0, 1000)))
	a.wait("log", "settled", settled)
	a.wait("other", "settled", settled)
	stream := ""
	for _, g := range first {
		if g.Type == "app" {
			stream = g.Stream
		}
	}

	again := func(body string, from int64) {
		t.Helper()
		before := len(c.Chunks())
		status, answer := a.do("POST", "/v1/adaptors/log/rewind", body)
		var got struct {
			Rewound []struct {
				Stream, Path string
				From, To     int64
			}
		}
		if err := json.Unmarshal([]byte(answer), &got); status != 200 || err != nil || len(got.Rewound) != 1 ||
			got.Rewound[0].Stream != stream || got.Rewound[0].From != size || got.Rewound[0].To != from || got.Rewound[0].Path != one {
			t.Fatalf("rewind %s: status %d, %v, want stream %s from %d to %d: %s", body, status, err, stream, size, from, answer)
		}
		var covered chunk.Ranges
		c.Wait("it again", func(all []chunk.Chunk) bool {
			covered = nil
			for _, g := range all[before:] {
				if g.Kind != chunk.Data {
					continue
				}
				if g.Type == "other" {
					t.Errorf("the other adaptor's [%d,%d) was sent again", g.First, g.Last)
				}
				if g.Stream != stream || g.First < from || g.Last > size || string(g.Body) != lines(0, 1000)[g.First:g.Last] {
					t.Errorf("got [%d,%d) of stream %s; want the same bytes of %s", g.First, g.Last, g.Stream, stream)
				}
				covered = covered.Add(g.Range())
			}
			return covered.Len() >= size-from
		})
		if want := (chunk.Ranges{{First: from, Last: size}}); !slices.Equal(covered, want) {
			t.Errorf("sent again %v, want %v", covered, want)
		}
		a.wait("log", "settled again", settled)
	}
	again(`{"all": true, "offset": "beginning"}`, 0)
	again(`{"all": true}`, 0)
	again(`{"stream": "`+stream+`", "offset": 2500}`, 2500)
	again(`{"path": "`+one+`", "offset": 25}`, 25)

	for body, want := range map[string]int{
		`{}`:                                   400,
		`{"all": true, "path": "/x"}`:          400,
		`{"all": true, "offset": -1}`:          400,
		`{"all": true, "offset": "end"}`:       400,
		`{"all": true, "offset": 1.5}`:         400,
		`{"all": true, "ofset": 1}`:            400,
		`{"all": true} {"all": true}`:          400,
		`{"path": "/nowhere"}`:                 404,
		`{"stream": "none", "offset": 0}`:      404,
		`{"all": true, "offset": 99999999999}`: 200, // nothing is settled so far: left alone
	} {
		if status, answer := a.do("POST", "/v1/adaptors/log/rewind", body); status != want {
			t.Errorf("%s: status %d, want %d: %s", body, status, want, answer)
		}
	}
	if status, answer := a.do("POST", "/v1/adaptors/load/rewind", `{"all": true}`); status != 409 || !strings.Contains(answer, "can't be read again") {
		t.Errorf("a kind that can't: status %d, want 409 and why: %s", status, answer)
	}
	// It goes on as if nothing had been.
	write(t, one, lines(1000, 1010))
	c.Wait("what was added", holds(t, "app", lines(0, 1010)))
}

// A rewind is stored: after SIGKILL nothing of it is forgotten.
func TestRewindOfAStoppedAdaptorHoldsOverARestart(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 100))
	a := start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	c.Wait("the file", holds(t, "app", lines(0, 100)))
	a.wait("log", "settled", settled)
	a.do("POST", "/v1/adaptors/log/stop", "")
	if status, body := a.do("POST", "/v1/adaptors/log/rewind", `{"all": true, "offset": 50}`); status != 200 {
		t.Fatalf("rewind: %d %s", status, body)
	}
	a.wait("log", "set back, and stopped", func(v view) bool {
		return v.State == "stopped" && len(v.Position) == 1 && v.Position[0].Settled == 50 && v.LagBytes == int64(len(lines(0, 100)))-50
	})
	a.stop()
	before := len(c.Chunks())
	b := start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	if n := len(c.Chunks()); n != before {
		t.Errorf("the stopped adaptor sent %d chunks", n-before)
	}
	b.do("POST", "/v1/adaptors/log/start", "")
	b.wait("log", "settled", settled)
	var covered chunk.Ranges
	for _, g := range c.Chunks()[before:] {
		covered = covered.Add(g.Range())
	}
	if want := (chunk.Ranges{{First: 50, Last: int64(len(lines(0, 100)))}}); !slices.Equal(covered, want) {
		t.Errorf("sent %v, want %v", covered, want)
	}
}

func TestUpdateGoesOnWithTheStreams(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 10))
	a := start(t, filepath.Join(dir, "agent"), "allow_paths: ["+dir+"]\n", c.URL)
	entry := `{"name": "log", "kind": "tail", "type": "app", "paths": ["` + path + `"], "tags": {"v": "1"}}`
	a.do("POST", "/v1/adaptors", entry)
	c.Wait("the file", holds(t, "app", lines(0, 10)))
	a.wait("log", "settled", settled)
	for body, want := range map[string]int{
		strings.Replace(entry, `"log"`, `"lag"`, 1): 409,
		`{"name": "log", "kind": "metrics"}`:        409,
		strings.Replace(entry, "tags", "togs", 1):   400,
		strings.Replace(entry, dir, "/etc", 1):      403,
	} {
		if status, answer := a.do("PUT", "/v1/adaptors/log", body); status != want {
			t.Errorf("%s: status %d, want %d: %s", body, status, want, answer)
		}
	}
	if status, answer := a.do("PUT", "/v1/adaptors/log", strings.Replace(entry, `"1"`, `"2"`, 1)); status != 200 {
		t.Fatalf("update: %d %s", status, answer)
	}
	write(t, path, lines(10, 20))
	got := c.Wait("what was added", holds(t, "app", lines(0, 20)))
	for _, g := range got {
		if want := map[bool]string{true: "1", false: "2"}[g.First < int64(len(lines(0, 10)))]; g.Kind == chunk.Data && g.Tags["v"] != want {
			t.Errorf("[%d,%d) has tag v=%s, want %s: it was sent again, or by the old one", g.First, g.Last, g.Tags["v"], want)
		}
	}
	a.stop() // the update is stored
	b := start(t, filepath.Join(dir, "agent"), "allow_paths: ["+dir+"]\n", c.URL)
	if _, body := b.do("GET", "/v1/adaptors/log", ""); !strings.Contains(body, `"v":"2"`) {
		t.Errorf("after a restart: %s", body)
	}
}

func TestDrainWaitsUntilAllIsSettled(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 100))
	a := start(t, filepath.Join(dir, "agent"), tail(path)+" - {name: echo, kind: command, type: said, command: [echo, hello], every: 1h}\n", c.URL)
	c.Wait("the file", holds(t, "app", lines(0, 100)))
	c.Wait("the run", holds(t, "said", "hello\n"))
	type drained struct {
		Draining, Settled bool
		Left              int64 `json:"left_bytes"`
		Unread            int64 `json:"unread_bytes"`
		Waited            float64
		Adaptors          []struct{ Name string }
	}
	drain := func(method, body string) (d drained) {
		t.Helper()
		status, answer := a.do(method, "/v1/drain", body)
		if err := json.Unmarshal([]byte(answer), &d); status != 200 || err != nil {
			t.Fatalf("drain: %d %v %s", status, err, answer)
		}
		return d
	}
	size := int64(len(lines(0, 100)))
	if d := drain("POST", `{"timeout": "100ms"}`); !d.Draining || d.Settled || d.Left != size+6 || len(d.Adaptors) != 2 {
		t.Errorf("while nothing settles: %+v, want %d bytes of two adaptors left", d, size+6)
	}
	a.wait("log", "draining", func(v view) bool { return v.State == "draining" })
	write(t, path, lines(100, 200)) // nobody reads it
	c.SettleAll(true)
	c.Settle()
	if d := drain("POST", `{"timeout": "20s"}`); !d.Settled || d.Left != 0 {
		t.Errorf("once it settles: %+v, want nothing left", d)
	}
	if holds(t, "app", lines(0, 200))(c.Chunks()) {
		t.Error("it was read on while drained")
	}
	if status, body := a.do("DELETE", "/v1/drain", ""); status != 204 {
		t.Fatalf("resume: %d %s", status, body)
	}
	c.Wait("what was written meanwhile", holds(t, "app", lines(0, 200)))
	if d := drain("GET", ""); d.Draining {
		t.Errorf("after it: %+v, want no drain", d)
	}
}

func TestStreamsAndCheckpointsAreListed(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	for i := range 5 {
		write(t, filepath.Join(dir, fmt.Sprintf("%d.log", i)), lines(0, 10))
	}
	a := start(t, filepath.Join(dir, "agent"), fmt.Sprintf(`adaptors:
 - {name: log, kind: tail, type: app, paths: [%s/*.log]}
 - {name: echo, kind: command, type: said, command: [echo, hello], every: 1h}
`, dir), c.URL)
	a.wait("log", "settled", func(v view) bool { return len(v.Position) == 5 && settled(v) })
	type list struct {
		Agent      string
		Generation int
		Total      int
		Streams    []struct {
			Adaptor, Stream, Source string
			Settled, Sent, Size     int64
			Ended, Live             bool
		}
	}
	get := func(path string) (l list) {
		t.Helper()
		status, body := a.do("GET", path, "")
		if err := json.Unmarshal([]byte(body), &l); status != 200 || err != nil {
			t.Fatalf("%s: %d %v %s", path, status, err, body)
		}
		return l
	}
	size := int64(len(lines(0, 10)))
	stored := get("/v1/checkpoints")
	if stored.Total != 5 || len(stored.Streams) != 5 || stored.Agent == "" || stored.Generation == 0 {
		t.Errorf("checkpoints %+v, want five streams, the agent's id and a generation", stored)
	}
	for i, s := range stored.Streams {
		if s.Source != filepath.Join(dir, fmt.Sprintf("%d.log", i)) || s.Settled != size || s.Sent != size || s.Stream == "" {
			t.Errorf("stream %d: %+v", i, s)
		}
	}
	if l := get("/v1/checkpoints?limit=2&offset=3"); l.Total != 5 || len(l.Streams) != 2 || l.Streams[0].Stream != stored.Streams[3].Stream {
		t.Errorf("a page of two from the fourth: %+v", l)
	}
	if l := get("/v1/checkpoints?adaptor=nobody"); l.Total != 0 || l.Streams == nil {
		t.Errorf("of nobody: %+v", l)
	}
	if l := get("/v1/streams?adaptor=log"); l.Total != 5 || !l.Streams[4].Live || l.Streams[4].Size != size {
		t.Errorf("streams %+v, want five that live", l)
	}
	if l := get("/v1/streams"); l.Total < 5 {
		t.Errorf("streams of all: %+v", l)
	}
	for _, bad := range []string{"limit=0", "limit=1000000", "limit=x", "offset=-1"} {
		if status, body := a.do("GET", "/v1/streams?"+bad, ""); status != 400 || !strings.Contains(body, "want a number") {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
}

func TestSwitchesOverRESTSurviveARestart(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	section := "switches: [{name: base, adaptor: nobody}]\n"
	a := start(t, dir, section, c.URL)
	if status, body := a.do("PUT", "/v1/switches/mine", `{"type": "noise"}`); status != 200 || !strings.Contains(body, `"origin":"rest"`) {
		t.Fatalf("put: %d %s", status, body)
	}
	a.do("PUT", "/v1/switches/base", `{"off": false, "adaptor": "nobody"}`)
	a.stop()
	b := start(t, dir, section, c.URL)
	_, body := b.do("GET", "/v1/switches", "")
	var list []struct {
		Name, Origin string
		Off          bool
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || fmt.Sprint(list) != "[{base rest false} {mine rest true}]" {
		t.Errorf("after a restart: %v %s", err, body)
	}
	if status, _ := b.do("DELETE", "/v1/switches/base", ""); status != 204 {
		t.Errorf("delete: %d", status)
	}
	if _, body := b.do("GET", "/v1/switches/base", ""); !strings.Contains(body, `"origin":"config"`) {
		t.Errorf("the config's own is not back: %s", body)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	a := start(t, t.TempDir(), "", collectortest.New(t, "a").URL)
	large := `{"x": "` + strings.Repeat("x", 100_000) + `"}`
	for _, to := range []string{"POST /v1/adaptors", "PUT /v1/switches/a", "POST /v1/adaptors/a/rewind", "POST /v1/drain"} {
		method, path, _ := strings.Cut(to, " ")
		if status, body := a.do(method, path, large); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d, want 413: %.100s", to, status, body)
		}
	}
	// PUT of an adaptor that is not there answers so before or after the size.
	if status, _ := a.do("PUT", "/v1/adaptors/a", large); status != http.StatusRequestEntityTooLarge {
		t.Errorf("PUT /v1/adaptors/a: status %d, want 413", status)
	}
}

func TestLagIsTheAgeOfTheOldestUnsettledByte(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 100))
	began := time.Now()
	a := start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	c.Wait("the file", holds(t, "app", lines(0, 100)))
	type lag struct {
		LagSeconds float64 `json:"lag_seconds"`
		Rates      struct {
			Bytes, Records map[string]float64
		}
	}
	var v lag
	for deadline := time.Now().Add(time.Minute); v.LagSeconds < 1; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("lag %v after %v, want it to grow", v.LagSeconds, time.Since(began))
		}
		_, body := a.do("GET", "/v1/adaptors/log", "")
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
	}
	if most := time.Since(began).Seconds(); v.LagSeconds > most {
		t.Errorf("lag %v, want %v at most", v.LagSeconds, most)
	}
	for _, over := range []string{"1m", "5m", "15m"} {
		if b, r := v.Rates.Bytes[over], v.Rates.Records[over]; r <= 0 || b/r < 22 || b/r > 24 {
			t.Errorf("over %s: %v bytes and %v records a second, want 23 bytes a record", over, b, r)
		}
	}
	c.SettleAll(true)
	c.Settle()
	a.wait("log", "settled", settled)
	_, body := a.do("GET", "/v1/adaptors/log", "")
	if !strings.Contains(body, `"lag_seconds":0,`) {
		t.Errorf("settled: want no lag: %s", body)
	}
}

func TestStoredEntriesThatAreNotAllowedAnyMoreStayStored(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 10))
	allowed := "allow_paths: [" + dir + "]\n"
	a := startFile(t, dir, allowed, c.URL)
	if status, body := a.do("POST", "/v1/adaptors", `{"name": "log", "kind": "tail", "type": "app", "paths": ["`+path+`"]}`); status != 201 {
		t.Fatalf("add: %d %s", status, body)
	}
	a.write(a.base)
	if v := reloadConfig(t, a, 200); !slices.Equal(v.Changed.Removed, []string{"log"}) {
		t.Errorf("changed %+v, want log removed: its folder is not allowed any more", v.Changed)
	}
	a.write(a.base + allowed)
	if v := reloadConfig(t, a, 200); !slices.Equal(v.Changed.Added, []string{"log"}) {
		t.Errorf("changed %+v, want log back", v.Changed)
	}
	a.write(a.base)
	reloadConfig(t, a, 200)
	for _, want := range []int{204, 404} { // it can be removed while it is not allowed
		if status, body := a.do("DELETE", "/v1/adaptors/log", ""); status != want {
			t.Errorf("remove: %d %s, want %d", status, body, want)
		}
	}
	a.write(a.base + allowed)
	if v := reloadConfig(t, a, 200); len(v.Changed.Added) != 0 {
		t.Errorf("changed %+v, want nothing: log was removed", v.Changed)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
}
