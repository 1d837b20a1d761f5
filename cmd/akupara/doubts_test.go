package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/demux"
)

func TestAFileOfAnotherFormatThanGuessedGetsItOnce(t *testing.T) {
	dir := t.TempDir()
	changed, same := filepath.Join(dir, "a [1].log"), filepath.Join(dir, "b.log")
	writeFile(t, changed, strings.Repeat("Nov 22 21:09:57 web1 app[1]: x\n", 1000)+strings.Repeat(`{"time":"2026-11-22T21:09:57Z","msg":"x"}`+"\n", 1000))
	writeFile(t, same, strings.Repeat("Nov 22 21:09:57 web1 app[1]: x\n", 100))
	for _, was := range []string{"syslog", "raw"} {
		known := map[string]discover.Source{discover.Glob(changed): {Glob: discover.Glob(changed), Type: was}, discover.Glob(same): {Glob: discover.Glob(same), Type: "syslog"}}
		d := newDoubts()
		step := func(id string, failed int64) string {
			var out strings.Builder
			if was == "raw" {
				d.add([]demux.Report{{ID: id, Type: was, Records: failed}, {ID: "0", Type: was}})
			} else {
				d.add([]demux.Report{{ID: id, Type: was, Records: 5000, ParseErrors: failed}, {ID: "0", Type: was, Records: 10}})
			}
			for _, c := range d.changes(known) {
				if want := (discover.Source{Glob: discover.Glob(changed), Type: "json", Alone: true}); c.to != want {
					t.Errorf("%s: got the change %+v, want %+v", was, c.to, want)
				}
				d.done(c)
				c.tell(&out)
			}
			return out.String()
		}
		if got := step("1", 99); got != "" {
			t.Errorf("%s, few failures: got %q", was, got)
		}
		if got := step("2", 1000); strings.Count(got, "a [1].log looks like json by now") != 1 || strings.Contains(got, "b.log") {
			t.Errorf("%s, many failures: got %q", was, got)
		}
		for _, id := range []string{"2", "3"} {
			if got := step(id, 1000); got != "" {
				t.Errorf("%s, report %s: it changed again: %q", was, id, got)
			}
		}
	}
}

func TestParseGuessesAFormatAndPrintsItsConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "Shop App.log.1")
	writeFile(t, file, "2026-11-30 10:00:00,000 WARN [main] a.B: it's x\n\tat a.B\n2026-11-30 10:00:01,000 WARN [main] a.B: y\n")
	out, errs, code := call(t, dir, "parse", file)
	for _, want := range []string{"# " + file + ": log4j, which reads 2 of its first 2 records, 100.0% parsed\n", "      record_start: '^(",
		"    - name: shop-app\n", "      type: shop-app\n", "Shop App.log{,[.-][0-9]*,[.-]old}']\n", "    shop-app: {parser: log4j}\n",
		"# its rows: akupara parse --parser '{parser: log4j}' '" + file + "'\n"} {
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
