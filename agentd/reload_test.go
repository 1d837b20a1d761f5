package agentd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// section is three adaptors: keep, drop and alter, of which each test changes
// some.
func section(dir string) string {
	return fmt.Sprintf(`allow_paths: [%[1]s]
adaptors:
  - {name: keep, kind: tail, type: keep, paths: [%[1]s/keep.log], rescan: 50ms}
  - {name: drop, kind: tail, type: drop, paths: [%[1]s/drop.log], rescan: 50ms}
  - {name: alter, kind: tail, type: alter, paths: [%[1]s/alter.log], rescan: 50ms}
`, dir)
}

func reloadConfig(t *testing.T, a *fileAgent, status int) configReply {
	t.Helper()
	got, body := a.do("POST", "/v1/config/reload", "")
	if got != status {
		t.Fatalf("reload: status %d, want %d: %s", got, status, body)
	}
	var v configReply
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReloadChangesOnlyWhatChangedAndGoesOnWithItsStreams(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	for _, name := range []string{"keep", "drop", "alter", "new"} {
		write(t, filepath.Join(dir, name+".log"), lines(0, 10))
	}
	a := startFile(t, dir, section(dir), c.URL)
	c.Wait("the files", holds(t, "keep", lines(0, 10)))
	c.Wait("the files", holds(t, "alter", lines(0, 10)))
	if status, body := a.do("POST", "/v1/adaptors", `{"name": "mine", "kind": "tail", "type": "mine", "paths": ["`+dir+`/new.log"]}`); status != 201 {
		t.Fatalf("add: %d %s", status, body)
	}
	if status, body := a.do("POST", "/v1/adaptors/keep/stop", ""); status != 200 {
		t.Fatalf("stop: %d %s", status, body)
	}

	a.section = strings.Replace(a.section, "type: alter,", "type: alter, tags: {x: y},", 1)
	a.section = strings.Replace(a.section, "name: drop", "name: fresh", 1)
	a.rewrite("switches: [{name: off, adaptor: nobody}]\n")
	v := reloadConfig(t, a, 200)
	if v.Generation != 2 || v.Changed == nil || !slices.Equal(v.Changed.Added, []string{"fresh"}) ||
		!slices.Equal(v.Changed.Removed, []string{"drop"}) || !slices.Equal(v.Changed.Changed, []string{"alter"}) ||
		!slices.Equal(v.Changed.Applied, []string{"switches"}) {
		t.Errorf("got generation %d and %+v; want 2, fresh added, drop removed, alter changed, switches applied", v.Generation, v.Changed)
	}
	if got, want := names(t, a.agent), "alter:running fresh:running keep:stopped mine:running"; got != want {
		t.Errorf("adaptors %q, want %q", got, want)
	}
	for name, want := range map[string]int{"keep": 1, "alter": 2, "fresh": 2, "mine": 1} {
		var got struct{ Generation int }
		_, body := a.do("GET", "/v1/adaptors/"+name, "")
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Generation != want {
			t.Errorf("%s: generation %d, want %d: %s", name, got.Generation, want, body)
		}
	}
	// The changed one goes on in its stream, and sends nothing again.
	write(t, filepath.Join(dir, "alter.log"), lines(10, 20))
	got := c.Wait("what was added", holds(t, "alter", lines(0, 20)))
	for _, g := range got {
		if g.Type == "alter" && g.First >= int64(len(lines(0, 10))) && g.Tags["x"] != "y" {
			t.Errorf("[%d,%d) has tags %v, want the new one", g.First, g.Last, g.Tags)
		}
	}
	// The same once more is no change.
	if v := reloadConfig(t, a, 200); v.Generation != 2 {
		t.Errorf("without a change: generation %d, want 2 still", v.Generation)
	}
}

func TestABadConfigIsRefusedWholeAndBothAreVisible(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := startFile(t, dir, section(dir), c.URL)
	first := a.waitConfig("there", func(v configReply) bool { return v.Generation == 1 })
	// One good change and one mistake: neither is applied. The watch sees it.
	bad := strings.Replace(strings.Replace(a.section, "name: drop", "name: fresh", 1), "kind: tail, type: alter", "kind: tial, type: alter", 1)
	a.write(a.base + bad)
	v := a.waitConfig("refused", func(v configReply) bool { return v.Refused != nil })
	if v.Generation != 1 || v.Hash != first.Hash || v.Refused.Hash == first.Hash || len(v.Refused.Hash) != 64 {
		t.Errorf("got %+v; want generation 1, its hash, and that of the refused one", v)
	}
	if len(v.Refused.Problems) != 1 || !strings.Contains(v.Refused.Problems[0], a.path+":9:") || !strings.Contains(v.Refused.Problems[0], `did you mean "tail"`) {
		t.Errorf("problems %q, want the place and what is meant", v.Refused.Problems)
	}
	if got, want := names(t, a.agent), "alter:running drop:running keep:running"; got != want {
		t.Errorf("adaptors %q, want %q as before", got, want)
	}
	metrics := func(want ...string) {
		t.Helper()
		_, body := a.do("GET", "/metrics", "")
		for _, w := range want {
			if !strings.Contains(body, w+"\n") {
				t.Errorf("%q is not in the metrics", w)
			}
		}
	}
	metrics("akupara_agent_config_generation 1", "akupara_agent_config_last_reload_successful 0",
		`akupara_agent_config_hash_info{hash="`+first.Hash+`"} 1`)
	if status, body := a.do("POST", "/v1/config/reload", ""); status != 400 || !strings.Contains(body, "problems") {
		t.Errorf("reload over REST: status %d, want 400 with the problems: %s", status, body)
	}
	if n := strings.Count(a.log.String(), "refused whole"); n != 2 {
		t.Errorf("it is logged %d times, want once by the watch and once by REST:\n%s", n, a.log)
	}

	a.write("")                        // the file is empty for a moment
	a.write(a.base + "adaptors: []\n") // and then right
	v = a.waitConfig("applied", func(v configReply) bool { return v.Generation == 2 })
	if v.Refused != nil {
		t.Errorf("refused is still %+v", v.Refused)
	}
	if got := names(t, a.agent); got != "" {
		t.Errorf("adaptors %q, want none", got)
	}
	metrics("akupara_agent_config_generation 2", "akupara_agent_config_last_reload_successful 1",
		`akupara_agent_config_hash_info{hash="`+v.Hash+`"} 1`)
}

func TestWhatOnlyARestartCanChangeIsRefusedByName(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := startFile(t, dir, "spool: {keep_free: 1%}\n"+section(dir), c.URL)
	for key, text := range map[string]string{
		"listen":          strings.Replace(a.base, "127.0.0.1:0", "127.0.0.1:1", 1) + a.section,
		"host":            strings.Replace(a.base, "host: h", "host: i", 1) + a.section,
		"receipts_every":  strings.Replace(a.base, "20ms", "30ms", 1) + a.section,
		"posts":           a.base + "posts: 7\n" + a.section,
		"spool.keep_free": a.base + strings.Replace(a.section, "1%", "2%", 1),
		"token_file":      a.base + "token_file: /nowhere\n" + a.section,
	} {
		a.write(text)
		status, body := a.do("POST", "/v1/config/reload", "")
		if status != 409 || !strings.Contains(body, key+": ") || !strings.Contains(body, "restart the agent") {
			t.Errorf("%s: status %d, want 409, the key, and what to do: %s", key, status, body)
		}
	}
	if _, body := a.do("GET", "/v1/config", ""); !strings.Contains(body, `"generation":1`) {
		t.Errorf("something was applied: %s", body)
	}
}

func TestReloadAtHangup(t *testing.T) {
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := startFile(t, dir, section(dir), c.URL)
	a.write(a.base + "adaptors: []\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	a.waitConfig("applied", func(v configReply) bool { return v.Generation == 2 })
	for deadline := time.Now().Add(time.Minute); !strings.Contains(a.log.String(), "SIGHUP"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the signal was not taken:\n%s", a.log)
		}
	}
}

func TestAnotherCollectorIsUsedAfterAReload(t *testing.T) {
	t.Parallel()
	dir, one, two := t.TempDir(), collectortest.New(t, "one"), collectortest.New(t, "two")
	write(t, filepath.Join(dir, "keep.log"), lines(0, 10))
	a := startFile(t, dir, section(dir), one.URL)
	one.Wait("the file", holds(t, "keep", lines(0, 10)))
	a.write(strings.Replace(a.base, one.URL, two.URL, 1) + a.section)
	if v := reloadConfig(t, a, 200); !slices.Equal(v.Changed.Applied, []string{"collectors"}) || len(v.Changed.Changed) > 0 {
		t.Errorf("changed %+v, want the collectors alone", v.Changed)
	}
	write(t, filepath.Join(dir, "keep.log"), lines(10, 20))
	two.Wait("what was added", func(all []chunk.Chunk) bool {
		return slices.ContainsFunc(all, func(c chunk.Chunk) bool { return c.Last == int64(len(lines(0, 20))) })
	})
}

func TestAnAdaptorOverRESTGoesBeforeTheConfigsUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	path := filepath.Join(dir, "keep.log")
	write(t, path, lines(0, 10))
	a := startFile(t, dir, section(dir), c.URL)
	c.Wait("the file", holds(t, "keep", lines(0, 10)))
	a.wait("keep", "settled", settled)
	entry := fmt.Sprintf(`{"name": "keep", "kind": "tail", "type": "keep", "paths": ["%s"], "rescan": "50ms", "tags": {"by": "rest"}}`, path)
	origin := func(want string) {
		t.Helper()
		if _, body := a.do("GET", "/v1/adaptors/keep", ""); !strings.Contains(body, `"origin":"`+want+`"`) {
			t.Errorf("want it to be from the %s: %s", want, body)
		}
	}
	if status, body := a.do("PUT", "/v1/adaptors/keep", entry); status != 200 {
		t.Fatalf("update: %d %s", status, body)
	}
	origin("rest")
	a.section = strings.Replace(a.section, "type: keep,", "type: keep, tags: {by: config},", 1)
	a.rewrite("")
	reloadConfig(t, a, 200)
	origin("rest")
	write(t, path, lines(10, 20))
	c.Wait("what was added", holds(t, "keep", lines(0, 20)))
	if status, body := a.do("DELETE", "/v1/adaptors/keep", ""); status != 204 {
		t.Fatalf("delete: %d %s", status, body)
	}
	origin("config")
	write(t, path, lines(20, 30))
	got := c.Wait("what was added then", holds(t, "keep", lines(0, 30)))
	by := map[string]bool{}
	for _, g := range got {
		by[g.Tags["by"]] = true
	}
	if !by[""] || !by["rest"] || !by["config"] {
		t.Errorf("tags by %v, want first none, then rest's, then the config's", by)
	}
	if status, _ := a.do("DELETE", "/v1/adaptors/keep", ""); status != 409 {
		t.Errorf("deleting the config's own: status %d, want 409", status)
	}
}

func TestDeliveryChangesWithoutARestart(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "keep.log")
	write(t, path, lines(0, 10))
	a := startFile(t, dir, section(dir), c.URL)
	c.Wait("the file", holds(t, "keep", lines(0, 10)))
	before := len(c.Chunks())
	a.section = strings.Replace(a.section, "type: keep,", "type: keep, delivery: store_on_failure,", 1)
	a.rewrite("")
	if v := reloadConfig(t, a, 200); !slices.Equal(v.Changed.Changed, []string{"keep"}) {
		t.Errorf("changed %v, want keep", v.Changed.Changed)
	}
	// What the collector took counts now, and nothing is sent again.
	a.wait("keep", "settled", settled)
	if _, body := a.do("GET", "/v1/adaptors/keep", ""); !strings.Contains(body, `"delivery":"store_on_failure"`) {
		t.Errorf("want the new level: %s", body)
	}
	write(t, path, lines(10, 20))
	c.Wait("what was added", holds(t, "keep", lines(0, 20)))
	for _, g := range c.Chunks()[before:] {
		if g.Type == "keep" && g.First < int64(len(lines(0, 10))) {
			t.Errorf("[%d,%d) was sent again: it was restarted", g.First, g.Last)
		}
	}
}

// A reload that adds an adaptor whose source is not there is applied: that one
// fails, is tried again, and the others go on.
func TestAnAdaptorThatFailsAtAReloadStopsNoOther(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	write(t, filepath.Join(dir, "keep.log"), lines(0, 10))
	a := startFile(t, dir, section(dir), c.URL)
	c.Wait("the file", holds(t, "keep", lines(0, 10)))
	a.section += "  - {name: bad, kind: command, type: x, command: [" + dir + "/program], every: 1h}\n"
	a.rewrite("")
	if v := reloadConfig(t, a, 200); !slices.Equal(v.Changed.Added, []string{"bad"}) {
		t.Errorf("changed %+v, want bad added", v.Changed)
	}
	a.wait("bad", "failed", func(v view) bool { return v.State == "failed" && strings.Contains(v.LastError, "program") })
	write(t, filepath.Join(dir, "keep.log"), lines(10, 20))
	c.Wait("what was added", holds(t, "keep", lines(0, 20)))
	if err := os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/sh\necho at last\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.Wait("the program's run", holds(t, "x", "at last\n"))
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := startFile(t, dir, "allow_urls: ['http://x.example/']\nadaptors:\n  - {name: s, kind: command, type: x, command: [curl, 'http://me:hush@x.example/'], every: 1h, tags: {password: hush, team: a}}\n", c.URL)
	for _, path := range []string{"/v1/config", "/v1/adaptors/s", "/v1/adaptors"} {
		if _, body := a.do("GET", path, ""); strings.Contains(body, "hush") || path != "/v1/adaptors" && !strings.Contains(body, "(hidden)") {
			t.Errorf("%s tells a secret: %s", path, body)
		}
	}
}
