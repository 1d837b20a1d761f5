package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/demux"
)

func TestAFileOfAnotherFormatThanGuessedIsToldOnce(t *testing.T) {
	dir := t.TempDir()
	changed, same := filepath.Join(dir, "a [1].log"), filepath.Join(dir, "b.log")
	writeFile(t, changed, strings.Repeat("Nov 22 21:09:57 web1 app[1]: x\n", 1000)+strings.Repeat(`{"time":"2026-11-22T21:09:57Z","msg":"x"}`+"\n", 1000))
	writeFile(t, same, strings.Repeat("Nov 22 21:09:57 web1 app[1]: x\n", 100))
	known := map[string]string{discover.Glob(changed): "syslog", discover.Glob(same): "syslog"}
	var out strings.Builder
	d := newDoubts()
	step := func(r demux.Report) string {
		out.Reset()
		d.add([]demux.Report{r, {ID: "0", Type: "syslog", Records: 10}})
		d.tell(&out, known)
		return out.String()
	}
	if got := step(demux.Report{ID: "1", Type: "syslog", Records: 5000, ParseErrors: 500}); got != "" {
		t.Errorf("few failures: got %q", got)
	}
	got := step(demux.Report{ID: "2", Type: "syslog", Records: 1000, ParseErrors: 1000})
	if !strings.Contains(got, "a [1].log looks like json by now") || strings.Contains(got, "b.log") || strings.Count(got, "looks like") != 1 {
		t.Errorf("many failures: got %q", got)
	}
	for _, id := range []string{"2", "3"} {
		if got := step(demux.Report{ID: id, Type: "syslog", Records: 1000, ParseErrors: 1000}); got != "" {
			t.Errorf("report %s: it was told again: %q", id, got)
		}
	}
}

func TestParseGuessesAFormatAndPrintsItsConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "Shop App.log.1")
	writeFile(t, file, "2026-11-30 10:00:00,000 WARN [main] a.B: it's x\n\tat a.B\n2026-11-30 10:00:01,000 WARN [main] a.B: y\n")
	out, errs, code := call(t, dir, "parse", file)
	for _, want := range []string{"# " + file + ": log4j, which reads 2 of its first 2 records, 100.0% parsed\n", "      record_start: '^(",
		"    - name: shop-app\n", "      type: shop-app\n", "Shop App.log{,[.-][0-9]*,[.-]old}']\n", "    shop-app: {parser: log4j}\n"} {
		if !strings.Contains(out, want) || code != 0 || errs != "" {
			t.Errorf("got %d, %q and\n%s, want %q", code, errs, out, want)
		}
	}
	config := filepath.Join(dir, "c.yaml")
	out = strings.Replace(out, "agent:\n", "agent:\n  collectors: [http://127.0.0.1:1]\n", 1)
	writeFile(t, config, "store: file://"+dir+"/store\ndata_dir: "+dir+"/d\n"+out)
	if out, errs, code := call(t, dir, "check", "--config", config); code != 0 {
		t.Errorf("check of what was printed: got %d, %s%s", code, out, errs)
	}
	writeFile(t, file, "\n")
	if _, errs, code := call(t, dir, "parse", file); code != 1 || !strings.Contains(errs, "has no lines") {
		t.Errorf("an empty file: got %d, %q", code, errs)
	}
}
