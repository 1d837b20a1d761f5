package apptest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTypesBeyondTheBoundAreRefusedAlone sends 300 data types to a collector
// that takes 256.
func TestTypesBeyondTheBoundAreRefusedAlone(t *testing.T) {
	t.Parallel()
	const most, more, lines = 64, 16, 4000
	began := time.Now()
	alone := settle(t, sendTypes(t, most, most, lines), began, most, lines)
	began = time.Now()
	s := sendTypes(t, most, most+more, lines)
	type status struct {
		Types        int
		RefusedTypes []string `json:"refused_types"`
	}
	var st status
	eventually(t, 5*time.Minute, "64 types are taken and 16 refused", func() bool {
		st = decode[status](t, do(t, "GET", "http://"+s.collectorAddr+"/v1/status", ""), 200)
		return st.Types == most && len(st.RefusedTypes) == more
	})
	eventually(t, time.Minute, "the agent shows 16 refused types", func() bool {
		personas := decode[[]struct {
			Refused []struct{ Type, Reason string } `json:"refused_types"`
		}](t, do(t, "GET", s.agentURL("/v1/personas"), ""), 200)
		return len(personas) == 1 && len(personas[0].Refused) == more
	})
	do(t, "GET", s.agentURL("/metrics"), "").want(t, "the agent's metrics", 200, fmt.Sprintf("akupara_agent_refused_types %d\n", more))
	do(t, "GET", s.agentURL("/readyz"), "").want(t, "the agent", 200)
	for _, dataType := range st.RefusedTypes {
		eventually(t, time.Minute, "adaptor "+dataType+" shows the refusal", func() bool {
			last := s.adaptor(t, dataType).LastErr
			return strings.Contains(last, dataType) && strings.Contains(last, "max_types")
		})
	}
	if took := settle(t, s, began, most, lines); took > 4*alone+20*time.Second {
		t.Errorf("%d types beside %d that are refused took %v, alone %v", most, more, took, alone)
	}
	for _, dataType := range st.RefusedTypes {
		for _, p := range []*proc{s.agent, s.collector} {
			log, err := os.ReadFile(p.log.Name())
			if n := strings.Count(string(log), "type="+dataType+" "); err != nil || n != 1 {
				t.Errorf("%s: %d lines tell of %s, want one", p.name, n, dataType)
			}
		}
	}
	// Those that were taken have nothing more to send: their places become free.
	eventually(t, 5*time.Minute, "the refused types are taken", func() bool { return len(s.settledTypes(t, lines)) == most+more })
}

// sendTypes starts a site whose agent reads a file for each of n types, and whose
// collector takes so many at most. Their segments stay open until all of them have come,
// on a machine whose disk is slow, too.
func sendTypes(t *testing.T, most, n, lines int) *site {
	t.Helper()
	logs, entries := t.TempDir(), ""
	for i := range n {
		name := fmt.Sprintf("t%03d", i)
		writeFile(t, filepath.Join(logs, name+".log"), numbered(name, 0, lines))
		entries += fmt.Sprintf("    - {name: %s, kind: tail, type: %[1]s, paths: [%s/%[1]s.log]}\n", name, logs)
	}
	s := &site{adaptors: entries, sealAge: "60s, idle: 60s", collectorKey: fmt.Sprintf("  max_types: %d", most)}
	s.configure(t)
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	ready(t, s.collectorAddr)
	s.agent = start(t, "agentd", "agentd", "--config", s.config)
	return s
}

// settle returns how long it took until so many types were settled.
func settle(t *testing.T, s *site, began time.Time, types, lines int) time.Duration {
	t.Helper()
	eventually(t, 5*time.Minute, fmt.Sprint(types, " types are settled"), func() bool { return len(s.settledTypes(t, lines)) >= types })
	return time.Since(began)
}

// settledTypes are the adaptors all of whose lines are settled.
func (s *site) settledTypes(t *testing.T, lines int) []string {
	t.Helper()
	a := do(t, "GET", s.agentURL("/v1/adaptors"), "")
	if a.status != 200 {
		return nil
	}
	var out []string
	for _, v := range decode[[]view](t, a, 200) {
		if len(v.Position) == 1 && v.Position[0].Settled == int64(lines*(len(v.Name)+8)) {
			out = append(out, v.Name)
		}
	}
	return out
}
