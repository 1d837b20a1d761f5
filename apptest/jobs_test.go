package apptest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Rows that are too old are dropped by a job that is started by hand, and by
// nothing else; what is dropped is not missing, and does not come back.
func TestOldRowsAreDroppedAndNotMissed(t *testing.T) {
	t.Parallel()
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
	eventually(t, slow, "all lines are in the table", func() bool {
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
	eventually(t, slow, "what was sent again is settled", func() bool {
		return strings.Contains(mustAkupara(t, "drain", "--status", "--config", l.config), "all that was read is settled")
	})
	mustAkupara(t, "demux", "--once", "--config", l.config)
	count("after everything came again")

	list := strings.Join(strings.Fields(mustAkupara(t, "jobs", "--config", l.config)), " ")
	for _, part := range []string{"retain app idle", fmt.Sprintf("dropped %d rows", lines/2), "off", "expire"} {
		if !strings.Contains(list, part) {
			t.Errorf("jobs lists %s, want %q in it", list, part)
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

// A type that had no parser yet gets one: its rows are parsed again.
func TestRowsAreRedoneByTodaysParser(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	const lines = 1000
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, `{"ts":"2026-01-02T%02d:00:00Z","level":"error","msg":"line %d","n":%d}`+"\n", i%5, i, i)
	}
	writeFile(t, filepath.Join(logs, "app.json"), text.String())
	l := &local{}
	adaptor := fmt.Sprintf(`    - {name: app, kind: tail, type: app, paths: ["%s/*.json"]}
`, logs)
	l.writeConfig(t, adaptor, "")
	l.start(t)
	eventually(t, slow, "all lines are in the table", func() bool {
		rows := l.query(t, `select count(*) as n from app`)
		return len(rows) == 1 && rows[0]["n"] == float64(lines)
	})
	l.demuxer.stop()
	config, err := os.ReadFile(l.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, l.config, strings.Replace(string(config), "types: {}", "types: {app: {parser: json}}", 1))
	redo := []string{"demux", "--redo", "app", "--since", "2020-01-01", "--config", l.config}
	rows := func() string {
		return fmt.Sprint(readTable(t, "file://"+l.store+"/tables/app", "", `select count(*), count(distinct (stream, seq)), min(seq), max(seq) from t`))
	}
	before := rows()
	out := mustAkupara(t, append(redo, "--dry-run")...)
	if want := fmt.Sprintf("%d rows of 1 data files would be parsed again: %d rows of 5 data files", lines, lines); !strings.Contains(out, want) ||
		!strings.Contains(out, `after   level="ERROR" message="line 0" n="0" template="line <*>" template_id="4a651374dfa31668" ts="2026-01-02T00:00:00Z"`) {
		t.Errorf("a dry run says\n%swant %q in it, and a row", out, want)
	}
	if got := l.query(t, `describe app`); strings.Contains(fmt.Sprint(got), "name:n ") {
		t.Errorf("after a dry run there is a new column: %v", got)
	}
	out = mustAkupara(t, redo...)
	if want := fmt.Sprintf("%d rows of 1 data files parsed again", lines); !strings.Contains(out, want) {
		t.Errorf("it says %q, want %q in it", out, want)
	}
	if got := rows(); got != before {
		t.Errorf("rows, distinct ones, first and last offset: got %s, they were %s", got, before)
	}
	got := fmt.Sprint(readTable(t, "file://"+l.store+"/tables/app", "", `select sum(n), count(*) filter (level = 'ERROR'), count(distinct ts) from t`))
	if want := fmt.Sprintf("[[%d %d 5]]", lines*(lines-1)/2, lines); got != want {
		t.Errorf("sums by the new parser: got %s, want %s", got, want)
	}
	for _, args := range [][]string{{"--config", l.config}, {"--deep", "--config", l.config}} {
		if rep, code := audit(t, args...); code != 0 || rep.Records != lines {
			t.Errorf("audit %v: exit code %d, %+v", args, code, rep)
		}
	}
	for _, wrong := range [][]string{{"--redo", "app"}, {"--since", "2020-01-01"}, {"--redo", "app", "--since", "soon"}, {"--redo", "app", "--since", "2021-01-01", "--until", "2020-01-01"}} {
		if _, code := akupara(t, append(append([]string{"demux"}, wrong...), "--config", l.config)...); code != 2 {
			t.Errorf("%v: exit code %d, want 2", wrong, code)
		}
	}
}
