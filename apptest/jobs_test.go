package apptest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Rows that are too old are dropped by a job that is started by hand, and by
// nothing else; what is dropped is not missing, and does not come back.
func TestOldRowsAreDroppedAndNotMissed(t *testing.T) {
	logs := t.TempDir()
	const lines = 1000
	var text strings.Builder
	now := time.Now().UTC()
	for i := range lines {
		at := now.AddDate(0, 0, -100*(i%2)).Add(-time.Duration(i) * time.Second)
		fmt.Fprintf(&text, `{"ts":%q,"msg":"line %d"}`+"\n", at.Format(time.RFC3339Nano), i)
	}
	writeFile(t, filepath.Join(logs, "app.json"), text.String())
	l := &local{}
	l.writeConfig(t, fmt.Sprintf(`    - {name: app, kind: tail, type: app, paths: ["%s/*.json"]}
`, logs), `app: {parser: json, retention: {table: 30d, archive: 2w}, jobs: {retain: off}}`)
	l.start(t)
	eventually(t, 60*time.Second, "all lines are in the table", func() bool {
		rows := l.query(t, `select count(*) as n from app`)
		return len(rows) == 1 && rows[0]["n"] == float64(lines)
	})

	out := mustAkupara(t, "jobs", "start", "retain", "--type", "app", "--wait", "--config", l.config)
	if !strings.Contains(out, fmt.Sprintf("retain of app: dropped %d rows", lines/2)) {
		t.Errorf("retain says %q, want %d rows dropped", out, lines/2)
	}
	want := fmt.Sprintf("[[%d %d %d]]", lines/2, lines/2, lines/2)
	count := func(when string) {
		t.Helper()
		rows := readTable(t, "file://"+l.store+"/tables/app", "", `select count(*), count(distinct (stream, seq)), count(*) filter (ts > now() - interval 30 days) from t`)
		if got := fmt.Sprint(rows); got != want {
			t.Errorf("%s: rows, distinct ones, new ones: got %s, want %s", when, got, want)
		}
		for _, args := range [][]string{{"--config", l.config}, {"--deep", "--config", l.config}} {
			if rep, code := audit(t, args...); code != 0 || rep.Records != lines/2 {
				t.Errorf("%s: audit %v: exit code %d, %+v", when, args, code, rep)
			}
		}
	}
	count("after retain")
	mustAkupara(t, "jobs", "start", "expire", "--wait", "--config", l.config)
	mustAkupara(t, "adaptor", "rewind", "app", "--config", l.config)
	eventually(t, 60*time.Second, "what was sent again is settled", func() bool {
		return strings.Contains(mustAkupara(t, "drain", "--status", "--config", l.config), "all that was read is settled")
	})
	mustAkupara(t, "demux", "--once", "--config", l.config)
	count("after everything came again")

	list := mustAkupara(t, "jobs", "--config", l.config)
	for _, part := range []string{"retain  app   idle", fmt.Sprintf("dropped %d rows", lines/2), "off", "expire"} {
		if !strings.Contains(list, part) {
			t.Errorf("jobs lists\n%swant %q in it", list, part)
		}
	}
	for _, wrong := range [][]string{{"jobs", "start"}, {"jobs", "halt"}, {"jobs", "start", "retain", "--type", "No"}} {
		if _, code := akupara(t, append(wrong, "--config", l.config)...); code != 2 {
			t.Errorf("%v: exit code %d, want 2", wrong, code)
		}
	}
	if _, code := akupara(t, "jobs", "start", "none", "--config", l.config); code != 1 {
		t.Errorf("a job that is none: exit code %d, want 1", code)
	}
}
