package apptest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// collectorKinds are the kinds of files of a collector's data directory.
var collectorKinds = map[string]*regexp.Regexp{
	"lock":     regexp.MustCompile(`^lock$`),
	"identity": regexp.MustCompile(`^identity\.json$`),
	"open":     regexp.MustCompile(`^spool/[^/]+/[^/]+\.open$`),
	"sealed":   regexp.MustCompile(`^spool/[^/]+/[^/]+\.sealed$`),
}

// TestDamagedCollectorsDataDir damages each kind of file of a collector's data
// directory while the collector is down: the agent is told that what is gone
// is unknown, and sends it again.
func TestDamagedCollectorsDataDir(t *testing.T) {
	t.Parallel()
	w := newTown(t, "")
	for damage, apply := range dataDirDamages {
		for _, kind := range []string{"identity", "open", "sealed"} {
			t.Run(kind+"/"+damage, func(t *testing.T) {
				t.Parallel()
				damagedCollector(t, w, kind, damage, apply)
			})
		}
	}
}

func damagedCollector(t *testing.T, w *town, kind, damage string, apply func(*testing.T, string, []byte)) {
	own := *w
	own.collectorAddr = freeAddr(t)
	m := own.machine(t, "of-"+kind+"-"+damage)
	m.keys = "  resend_after: 1s\n  receipts_every: 200ms\n"
	m.configure(t, m.tail("logs", "logs/*.log"))
	data, config := m.at("collected"), m.at("collector.yaml")
	configure := func(age string) {
		writeFile(t, config, fmt.Sprintf("store: file://%s\ndata_dir: %s\ncollector:\n  listen: %s\n  seal: {bytes: 128MiB, age: %s, idle: %[4]s}\n",
			m.store, data, m.collectorAddr, age))
	}
	configure("10m")
	collector := start(t, "collector-"+kind+"-"+damage, "akupara", "collector", "--config", config)
	ready(t, m.collectorAddr)
	m.write(t, 100, "logs/a.log", "logs/b.log")
	m.start(t)
	s := &site{local: local{collectorAddr: m.collectorAddr, agentAddr: m.addr}}
	taken := func() {
		t.Helper()
		eventually(t, slow, "the collector has all of it", func() bool {
			want := int64(0)
			for _, name := range []string{"logs/a.log", "logs/b.log"} {
				want += int64(len(mustRead(t, m.at(name))))
			}
			got := int64(0)
			for _, p := range m.adaptor(t, "logs").Position {
				got += p.Read
			}
			return got == want && s.collectorStatus(t).OpenSegments == 1 && strings.Contains(metrics(m.addr), "akupara_agent_buffer_bytes 0\n")
		})
	}
	taken()
	before := map[string][]byte{}
	for name, p := range collectorFiles(t, data) {
		before[name] = []byte(mustRead(t, p))
	}
	m.write(t, 100, "logs/a.log", "logs/b.log")
	taken()
	collector.kill()
	path := collectorFiles(t, data)[kind]
	if kind == "sealed" {
		open := collectorFiles(t, data)["open"]
		path = strings.TrimSuffix(open, ".open") + ".sealed"
		if err := os.Rename(open, path); err != nil {
			t.Fatal(err)
		}
		before[kind] = before["open"]
	}
	apply(t, path, before[kind])
	configure("300ms")
	collector.start()
	ready(t, m.collectorAddr)
	m.write(t, 10, "logs/a.log")
	m.arrives(t)
	m.complete(t)
	if kind == "identity" || damage == "older" || damage == "missing" || damage == "empty" {
		return // nothing is damaged that is there, and nothing lost
	}
	if log := mustRead(t, collector.log.Name()); !strings.Contains(log, "damage") && !strings.Contains(log, "left alone") {
		t.Errorf("the collector says nothing of %s", path)
	}
}

func metrics(addr string) string {
	body, _ := get("http://" + addr + "/metrics")
	return body
}

// collectorFiles returns a file of each kind.
func collectorFiles(t *testing.T, data string) map[string]string {
	t.Helper()
	root, out := filepath.Join(data, "collector"), map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		for kind, re := range collectorKinds {
			if re.MatchString(rel) {
				out[kind] = path
				return err
			}
		}
		t.Errorf("%s is of no kind that this test knows: what does its damage cost?", rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
