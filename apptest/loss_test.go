package apptest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUpSurvivesKills(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	file := filepath.Join(logs, "a.log")
	s := &site{adaptors: fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/*.log*"]}
    - {name: load, kind: metrics, every: 100ms}
    - {name: said, kind: command, type: said, command: [seq, "20"], every: 200ms}`, logs)}
	s.configure(t)
	up := start(t, "up", "akupara", "up", "--config", s.config)
	const kills, lines = 2, 1000
	for i := range kills {
		appendFile(t, file, numbered(fmt.Sprint("round", i), 0, lines/2))
		// A moment at which there is something in every place.
		s.becomes(t, slow, `select count(*) >= `+fmt.Sprint(i*lines+lines/2)+` from plain`, "true")
		appendFile(t, file, numbered(fmt.Sprint("round", i), lines/2, lines))
		up.kill()
		if err := os.Rename(file, fmt.Sprintf("%s.%d", file, i)); err != nil {
			t.Fatal(err)
		}
		up.start()
	}
	s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from plain`, fmt.Sprintf("%d %[1]d", kills*lines))
	s.becomes(t, slow, `select count(*) > 0 from load`, "true")
	if code := up.stop(); code != 0 {
		t.Errorf("up: exit code %d after SIGTERM, want 0", code)
	}
	mustAkupara(t, "demux", "--once", "--config", s.config)
	rep, code := audit(t, "--config", s.config)
	if code != 0 || rep.Unpublished != 0 {
		t.Errorf("audit: exit code %d, %+v, want 0 and nothing unpublished", code, rep)
	}
	out := mustAkupara(t, "query", "--config", s.config, "--format", "csv", `
		select (select count(*) - count(distinct (stream, seq)) from said) as said, (select count(*) - count(distinct (stream, seq)) from load) as load,
			(select count(*) filter (parse_error is not null) from load) as wrong,
			(select count(*) filter (len(string_split(message, chr(10))) <> 20) from said) as torn`)
	if want := "said,load,wrong,torn\n0,0,0,0\n"; out != want {
		t.Errorf("rows written twice, and damaged ones: got %q, want %q", out, want)
	}
}

func TestACollectorThatNeverComesBackLosesNothing(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	file := writeFile(t, filepath.Join(logs, "a.log"), numbered("a", 0, 3000))
	s := &site{
		adaptors: fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/*.log"]}`, logs),
		agentKey: "  resend_after: 1s", sealAge: "10m",
	}
	s.configure(t)
	first := start(t, "first", "akupara", "collector", "--config", s.config)
	// The agent knows both; the other is not there yet.
	other := *s
	other.collectorAddr, other.config, other.dir = freeAddr(t), filepath.Join(s.dir, "other.yaml"), filepath.Join(s.dir, "other")
	other.sealAge = "1s"
	other.rewrite(t)
	text := mustRead(t, s.config)
	agentConfig := writeFile(t, filepath.Join(s.dir, "agent.yaml"), strings.Replace(text, "collectors: [", "collectors: [http://"+other.collectorAddr+", ", 1))
	ready(t, s.collectorAddr)
	s.agent = start(t, "agentd", "agentd", "--config", agentConfig)
	eventually(t, slow, "the first collector has it all in its spool", func() bool {
		v := s.adaptor(t, "plain")
		return len(v.Position) == 1 && v.Position[0].Read == 3000*9 && s.collectorStatus(t).OpenSegments == 1
	})
	first.kill()
	if err := os.RemoveAll(filepath.Join(s.dir, "data", "collector")); err != nil {
		t.Fatal(err)
	}
	other.collector = start(t, "other", "akupara", "collector", "--config", other.config)
	appendFile(t, file, numbered("a", 3000, 3100))
	s.demuxer = start(t, "demux", "akupara", "demux", "--config", s.config)
	s.startWeb(t)
	s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from plain`, "3100 3100")
	eventually(t, slow, "all is settled", func() bool {
		v := s.adaptor(t, "plain")
		return v.Name != "" && v.LagBytes == 0
	})
	if rep, code := audit(t, "--config", s.config); code != 0 {
		t.Errorf("audit: exit code %d, %+v", code, rep)
	}
}

// TestAFullDiskHoldsUpAndLosesNothing puts the collector's spool and the store
// on a file system that is too small, until it is made larger.
func TestAFullDiskHoldsUpAndLosesNothing(t *testing.T) {
	t.Parallel()
	small := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("SKIPPED: a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(small, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	logs := t.TempDir()
	// Nothing that can be made smaller, and about twice the disk.
	const lines = 36_000
	var text strings.Builder
	noise := make([]byte, 768)
	for i := range lines {
		_, _ = rand.Read(noise) // never fails
		fmt.Fprintf(&text, "%06d %s\n", i, base64.StdEncoding.EncodeToString(noise))
	}
	writeFile(t, filepath.Join(logs, "a.log"), text.String())
	s := &site{
		storeURI: "file://" + filepath.Join(small, "store"),
		adaptors: fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/*.log"]}`, logs),
	}
	s.configure(t)
	s.store = filepath.Join(small, "store")
	// The agent has a disk of its own.
	collector := writeFile(t, filepath.Join(s.dir, "collector.yaml"),
		strings.Replace(mustRead(t, s.config), "data_dir: "+filepath.Join(s.dir, "data"), "data_dir: "+filepath.Join(small, "data"), 1))
	s.collector = start(t, "collector", "akupara", "collector", "--config", collector)
	s.agent = start(t, "agentd", "agentd", "--config", s.config)
	s.demuxer = start(t, "demux", "akupara", "demux", "--config", s.config)
	s.startWeb(t)
	reason := ""
	eventually(t, slow, "the collector takes no more, and says why", func() bool {
		a := do(t, "GET", "http://"+s.collectorAddr+"/readyz", "")
		reason = a.body
		return a.status == 503 && strings.Contains(a.body, "free")
	})
	t.Logf("readyz: %s", reason)
	do(t, "GET", "http://"+s.collectorAddr+"/healthz", "").want(t, "it is alive", 200)
	// After a second without progress an adaptor counts as waiting.
	if v := s.adaptor(t, "plain"); v.State != "running" && v.State != "waiting" || v.LagBytes == 0 {
		t.Errorf("the agent: got %+v, want it to run or to wait, with a lag", v)
	}
	if err := unix.Mount("tmpfs", small, "tmpfs", unix.MS_REMOUNT, "size=400m"); err != nil {
		t.Fatal(err)
	}
	s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from plain`, fmt.Sprintf("%d %[1]d", lines))
	eventually(t, slow, "all is settled", func() bool {
		v := s.adaptor(t, "plain")
		return v.Name != "" && v.LagBytes == 0
	})
	rep, code := audit(t, "--config", s.config)
	if code != 0 || rep.Records != lines || rep.Bytes != int64(text.Len()) {
		t.Errorf("audit: exit code %d, %+v; want 0, %d records, %d bytes", code, rep, lines, text.Len())
	}
	if out, code := akupara(t, "cat", "--config", s.config, filepath.Join(s.store, "quarantine")); code == 0 && out != "" {
		t.Errorf("quarantine holds %d bytes", len(out))
	}
}
