package agentd_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// personaOf is a persona as the API shows it.
func (a *agent) personaOf(name string) (v struct {
	Name       string
	Adaptors   []string
	Collectors []string
	QuotaUsed  int64 `json:"quota_used"`
	UsedUp     bool  `json:"quota_used_up"`
	Spool      int64 `json:"spool_bytes"`
}) {
	a.t.Helper()
	_, body := a.do("GET", "/v1/personas", "")
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		a.t.Fatalf("%v: %s", err, body)
	}
	for _, raw := range list {
		if err := json.Unmarshal(raw, &v); err != nil {
			a.t.Fatal(err)
		}
		if v.Name == name {
			return v
		}
	}
	a.t.Fatalf("persona %q is not in %s", name, body)
	return v
}

func TestPersonasHaveTheirOwnCollectorsAndTags(t *testing.T) {
	t.Parallel()
	dir, c, d := t.TempDir(), collectortest.New(t, "a"), collectortest.New(t, "b")
	c.SettleAll(true)
	d.SettleAll(true)
	pay, shop := filepath.Join(dir, "pay.log"), filepath.Join(dir, "shop.log")
	write(t, pay, lines(0, 100))
	write(t, shop, lines(0, 100))
	section := fmt.Sprintf(`personas:
  payments: {collectors: [%s], tags: {team: money, cost: "7"}}
  other: {}
adaptors:
 - {name: pay, kind: tail, type: pay, paths: [%s], rescan: 50ms, persona: payments, tags: {team: own}}
 - {name: said, kind: command, type: said, command: [echo, hello], every: 1h, persona: payments}
 - {name: shop, kind: tail, type: shop, paths: [%s], rescan: 50ms}
`, d.URL, pay, shop)
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)
	c.Wait("the file without a persona", holds(t, "shop", lines(0, 100)))
	got := d.Wait("the persona's", func(all []chunk.Chunk) bool {
		return holds(t, "pay", lines(0, 100))(all) && holds(t, "said", "hello\n")(all)
	})
	for _, g := range got {
		if g.Kind != chunk.Data {
			continue
		}
		if team := map[string]string{"pay": "own", "said": "money"}[g.Type]; g.Tags["persona"] != "payments" || g.Tags["cost"] != "7" || g.Tags["team"] != team {
			t.Errorf("%s has the tags %v; want persona payments, cost 7 and team %s", g.Type, g.Tags, team)
		}
	}
	for _, g := range c.Chunks() {
		if g.Type != "shop" || g.Tags["persona"] != "" {
			t.Errorf("%s with tags %v came to the agent's own collector", g.Type, g.Tags)
		}
	}
	for _, name := range []string{"pay", "said", "shop"} {
		a.wait(name, "settled", settled)
	}
	if v := a.personaOf("payments"); strings.Join(v.Adaptors, " ") != "pay said" || len(v.Collectors) != 1 || v.Collectors[0] != d.URL || v.Spool == 0 {
		t.Errorf("payments is shown as %+v", v)
	}
	if v := a.personaOf(""); strings.Join(v.Adaptors, " ") != "shop" {
		t.Errorf("the one without a name is shown as %+v", v)
	}
	a.stop()
	// What the spool holds of a persona goes its way after a restart as well.
	n := len(c.Chunks())
	start(t, filepath.Join(dir, "agent"), strings.Replace(section, "echo, hello", "echo, again", 1), c.URL)
	d.Wait("the next run", func(all []chunk.Chunk) bool {
		for _, g := range all {
			if string(g.Body) == "again\n" {
				return true
			}
		}
		return false
	})
	for _, g := range c.Chunks()[n:] {
		if g.Type != "shop" {
			t.Errorf("%v of %s came to the agent's own collector", g.Kind, g.Type)
		}
	}
}

// A persona whose collector hangs, refuses or is away, and that has far more to
// send than its buffer holds, delays no other: what others write is there as
// soon as if it were alone.
func TestAPersonaThatIsStuckOrFloodsStarvesNoOther(t *testing.T) {
	for name, trouble := range map[string]func(c *collectortest.Collector) (release func()){
		"hangs": func(c *collectortest.Collector) func() {
			hold := make(chan struct{})
			c.Answer(func(*chunk.Batch) (int, any) { <-hold; return 0, nil })
			return func() { close(hold) }
		},
		"is away": func(c *collectortest.Collector) func() { c.CloseClientConnections(); c.Close(); return func() {} },
		"refuses": func(c *collectortest.Collector) func() {
			c.Answer(func(*chunk.Batch) (int, any) { return 400, map[string]any{"error": "no", "permanent": true} })
			return func() {}
		},
		"floods": func(c *collectortest.Collector) func() { c.Discard(); return func() {} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, good, bad := t.TempDir(), collectortest.New(t, "good"), collectortest.New(t, "bad")
			good.SettleAll(true)
			t.Cleanup(trouble(bad)) // before the collector's own, which waits for its handlers
			flood, calm := filepath.Join(dir, "flood.log"), filepath.Join(dir, "calm.log")
			write(t, flood, strings.Repeat(lines(0, 1000), 1300)) // 30 MB
			section := fmt.Sprintf(`drain: 100ms
personas:
  a: {collectors: [%s], buffer: 4MiB}
  b: {buffer: 4MiB}
adaptors:
 - {name: flood, kind: tail, type: flood, paths: [%s], rescan: 50ms, persona: a}
 - {name: date, kind: command, type: talk, command: [date, +%%s.%%N], every: 100ms, persona: a}
 - {name: calm, kind: tail, type: calm, paths: [%s], rescan: 50ms, persona: b}
 - {name: own, kind: command, type: said, command: [echo, hello], every: 1h}
`, bad.URL, flood, calm)
			a := start(t, filepath.Join(dir, "agent"), section, good.URL)
			if name != "floods" {
				a.wait("flood", "waiting", func(v view) bool { return v.State == "waiting" })
			}
			slowest := time.Duration(0)
			for i := range 20 {
				write(t, calm, lines(i, i+1))
				before := time.Now()
				good.Wait("a line", holds(t, "calm", lines(0, i+1)))
				slowest = max(slowest, time.Since(before))
			}
			t.Logf("the slowest of 20 lines took %v", slowest.Round(time.Millisecond))
			good.Wait("the adaptor without a persona", holds(t, "said", "hello\n"))
			a.wait("calm", "settled", settled)
		})
	}
}

func TestQuotaHoldsOverARestartAndTellsThatItIsUsedUp(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	path := filepath.Join(dir, "pay.log")
	write(t, path, lines(0, 100))
	section := fmt.Sprintf("personas:\n  pay: {quota: {bytes: 1KiB, per: 31d}, when_over: drop}\n"+
		"adaptors:\n - {name: pay, kind: tail, type: pay, paths: [%s], rescan: 50ms, persona: pay}\n", path)
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)
	var kept, dropped chunk.Ranges
	n := int64(len(lines(0, 100)))
	c.Wait("what the quota lets pass", told("pay", n, &kept, &dropped))
	if got := kept.Len(); got < 1024 || got > 1024+int64(len(lines(0, 1))) {
		t.Errorf("%d bytes came, want the quota of 1024 and a rest of a line at most", got)
	}
	if v := a.personaOf("pay"); !v.UsedUp || v.QuotaUsed != kept.Len() {
		t.Errorf("shown as %+v, want used up", v)
	}
	if _, metrics := a.do("GET", "/metrics", ""); !strings.Contains(metrics, `akupara_agent_persona_quota_used_up{persona="pay"} 1`) {
		t.Error("the metrics do not tell that the quota is used up")
	}
	if !strings.Contains(a.log.String(), "quota is used up") {
		t.Error("the log does not tell that the quota is used up")
	}
	a.wait("pay", "settled", settled)
	a.stop()
	was := kept.Len()
	b := start(t, filepath.Join(dir, "agent"), section, c.URL)
	write(t, path, lines(100, 200))
	c.Wait("more, all of it dropped", told("pay", n+int64(len(lines(100, 200))), &kept, &dropped))
	if kept.Len() != was {
		t.Errorf("after a restart %d bytes more came, want none: the quota was used up", kept.Len()-was)
	}
	if v := b.personaOf("pay"); v.QuotaUsed != was {
		t.Errorf("after a restart %d bytes count as used, want %d", v.QuotaUsed, was)
	}
}

func TestBadPersonasAreRefusedByName(t *testing.T) {
	for section, want := range map[string]string{
		"personas: {A: {}}":                                           "must match",
		"personas: {a: {colectors: []}}":                              `did you mean "collectors"`,
		"personas: {a: {collectors: []}}":                             "leave the key out",
		"personas: {a: {buffer: 1MiB}}":                               "buffer",
		"personas: {a: {quota: {per: 1h}}}":                           "bytes",
		"personas: {a: {quota: {bytes: 1GiB, per: 1s}}}":              "per",
		"personas: {a: {when_over: cry}}":                             "wait|drop",
		"personas: {a: {tags: {persona: b}}}":                         "sets this tag itself",
		"personas: {a: {spool: 10GiB}}":                               "spool",
		"adaptors: [{name: x, kind: metrics, persona: gone}]":         "no persona",
		"switches: [{name: a, level: info}, {name: a, level: debug}]": "used twice",
	} {
		n, problems := config.Parse("test", []byte("collectors: [http://127.0.0.1:1]\n"+section))
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		_, problems = agentd.Decode(n, all.Kinds())
		if err := problems.Err(); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), ", ", "|"), want) && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", section, err, want)
		}
	}
}

// What was taken in for a persona that is gone from the config is not kept for
// collectors that nobody names any more.
func TestWhatAPersonaLeftBehindGoesToTheAgentsOwnCollectors(t *testing.T) {
	t.Parallel()
	dir, c, d := t.TempDir(), collectortest.New(t, "a"), collectortest.New(t, "b")
	c.SettleAll(true)
	d.CloseClientConnections()
	d.Close()
	a := startFile(t, dir, fmt.Sprintf(`personas: {two: {collectors: [%s]}}
adaptors:
 - {name: said, kind: command, type: said, command: [echo, hello], every: 1h, persona: two}
`, d.URL), c.URL)
	a.wait("said", "spooled", func(v view) bool { return v.LagBytes > 0 })
	var drained struct{ Settled bool }
	_, body := a.do("POST", "/v1/drain", `{"timeout": "100ms"}`)
	if err := json.Unmarshal([]byte(body), &drained); err != nil || drained.Settled {
		t.Errorf("drained while a collector is away: %s", body)
	}
	a.section = ""
	a.rewrite("")
	reloadConfig(t, a, 200)
	c.Wait("the run", holds(t, "said", "hello\n"))
	_, body = a.do("POST", "/v1/drain", `{"timeout": "20s"}`)
	if err := json.Unmarshal([]byte(body), &drained); err != nil || !drained.Settled {
		t.Errorf("want it drained: %s", body)
	}
}
