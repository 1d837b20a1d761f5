package agentd_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/config"
)

func TestAdaptorsThatWantTheSameFilesAreWarnedOf(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "one", "app.log"), "x\n")
	if err := os.Symlink("../one/app.log", filepath.Join(dir, "two", "app.log")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ section, want string }{
		"the same path": {`
 - {name: a, kind: tail, type: x, paths: [/srv/app.log]}
 - {name: b, kind: tail, type: x, paths: [/srv/other.log, /srv/*.log]}`, `adaptor "b", by "/srv/*.log", matches files that adaptor "a" of the same type matches, too, such as /srv/app.log:`},
		"all below": {`
 - {name: a, kind: tail, type: x, paths: [/srv/**/*.log]}
 - {name: b, kind: tail, type: x, paths: [/srv/app/*.log]}`, `adaptor "b", by "/srv/app/*.log"`},
		"other types": {`
 - {name: a, kind: tail, type: x, paths: [/srv/*.log]}
 - {name: b, kind: tail, type: y, paths: [/srv/*.log]}`, ""},
		"excluded": {`
 - {name: a, kind: tail, type: x, paths: [/srv/**/*.log], exclude: ['/srv/app/**']}
 - {name: b, kind: tail, type: x, paths: [/srv/app/*.log]}`, ""},
		"a link": {`
 - {name: a, kind: tail, type: x, paths: [` + dir + `/one/*.log]}
 - {name: b, kind: tail, type: x, paths: [` + dir + `/two/*.log]}`, dir + "/two/app.log, which is " + dir + "/one/app.log"},
		"a file that is there": {`
 - {name: a, kind: tail, type: x, paths: [` + dir + `/*/*.log]}
 - {name: b, kind: tail, type: x, paths: [` + dir + `/one/a*]}`, dir + "/one/app.log, which is there"},
		"folders": {`
 - {name: a, kind: tail, type: x, paths: [/srv/in/*.csv]}
 - {name: b, kind: spool_dir, type: x, folders: [/srv/in]}`, `adaptor "b", by "/srv/in/*"`},
		"folders' names": {`
 - {name: a, kind: spool_dir, type: x, folders: [/srv/in], include: ['*.csv']}
 - {name: b, kind: spool_dir, type: x, folders: [/srv/in], include: ['*.json']}`, ""},
		"pods": {`
 - {name: a, kind: pods, type: x}
 - {name: b, kind: pods, type: x, namespaces: [kube-system]}`, `adaptor "b", by "/var/log/pods/kube-system_`},
		"pods of other namespaces": {`
 - {name: a, kind: pods, type: x, namespaces: [default, 'team-*']}
 - {name: b, kind: pods, type: x, namespaces: ['kube-*']}`, ""},
		"pods but those": {`
 - {name: a, kind: pods, type: x, exclude_namespaces: ['kube-*']}
 - {name: b, kind: pods, type: x, namespaces: ['kube-*']}`, ""},
		"pods' containers": {`
 - {name: a, kind: pods, type: x, containers: [app]}
 - {name: b, kind: pods, type: x, containers: [proxy, app]}`, `adaptor "b"`},
		"pods by labels": {`
 - {name: a, kind: pods, type: x, labels: {app: a}, metadata: {from: kubelet}}
 - {name: b, kind: pods, type: x, labels: {app: b}, metadata: {from: kubelet}}`, ""},
	} {
		cfg := decode(t, "adaptors:"+test.section, "http://127.0.0.1:1")
		got := slices.DeleteFunc(cfg.Warnings(), func(p config.Problem) bool { return strings.Contains(p.Message, "no file that this user can see") })
		switch {
		case test.want == "" && len(got) > 0:
			t.Errorf("%s: got %v, want no warning", name, got)
		case test.want != "" && (len(got) != 1 || !strings.Contains(got[0].String(), test.want) || !strings.Contains(got[0].String(), "warning: ")):
			t.Errorf("%s: got %v, want %s", name, got, test.want)
		case test.want != "" && got[0].Line != 7:
			t.Errorf("%s: got line %d, want that of the second adaptor", name, got[0].Line)
		}
	}
}

func TestReloadWarnsOfAdaptorsThatWantTheSameFiles(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	entry := func(name string) string {
		return " - {name: " + name + ", kind: tail, type: x, paths: [" + dir + "/*.log]}\n"
	}
	a := startFile(t, dir, "allow_paths: ["+dir+"]\nadaptors:\n"+entry("one"), c.URL)
	warnings := func() int { return strings.Count(a.log.String(), "two adaptors of one type match the same files") }
	if n := warnings(); n != 0 {
		t.Errorf("%d warnings at the start, want none:\n%s", n, a.log)
	}
	a.write(a.base + "allow_paths: [" + dir + "]\nadaptors:\n" + entry("one") + entry("two"))
	reloadConfig(t, a, 200)
	if n := warnings(); n != 1 || !strings.Contains(a.log.String(), "adaptor=two other=one") {
		t.Errorf("%d warnings after the reload, want one of two and one:\n%s", n, a.log)
	}
	if status, body := a.do("POST", "/v1/adaptors", `{"name": "three", "kind": "tail", "type": "x", "paths": ["`+dir+`/a.log"]}`); status != 201 {
		t.Fatalf("add: status %d: %s", status, body)
	}
	if n := strings.Count(a.log.String(), "adaptor=three other=one"); n != 1 {
		t.Errorf("%d warnings of the third adaptor, want one:\n%s", n, a.log)
	}
}
