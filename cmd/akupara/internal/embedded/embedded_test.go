package embedded

import (
	"slices"
	"testing"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/config"
)

var found = discover.Result{Sources: []discover.Source{
	{Glob: "/var/log/it's #1: [x]{,[.-][0-9]*}", Type: "raw"},
	{Glob: "/var/log/app.log{,[.-][0-9]*}", Type: "log4j"},
	{Glob: "/var/log/auth.log{,[.-][0-9]*}", Type: "syslog"},
	{Glob: "/var/log/syslog{,[.-][0-9]*}", Type: "syslog"},
}}

func TestTheConfigThatIsWrittenCanBeRead(t *testing.T) {
	for _, dir := range []string{"/data", "/tmp/it's a: #dir %41"} {
		data := Config(dir, 9770, "host", false, found)
		f, problems := config.ParseFile("akupara.yaml", data)
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, data)
		}
		if f.DataDir.V != dir || f.Store.V.Path != dir+"/store" {
			t.Errorf("data_dir %q and store %q, want them in %q", f.DataDir.V, f.Store.V.Path, dir)
		}
		if !IsOurs(data) {
			t.Errorf("the file does not start with the marker")
		}
		if got := len(f.Agent.Get("adaptors").Items()); got != 5 {
			t.Errorf("got %d adaptors, want one for each of 3 types, metrics and df:\n%s", got, data)
		}
	}
}

func TestTypesAreKnownFromTheConfigWrittenBefore(t *testing.T) {
	found := discover.Result{Sources: append(slices.Clone(found.Sources),
		discover.Source{Glob: discover.Glob("/l/p.json"), Type: "json", Start: `^\{\s*$`, Alone: true},
		discover.Source{Glob: discover.Glob("/l/it's.log"), Type: "log4j", Alone: true})}
	known := Known(Config("/data", 9770, "host", false, found))
	for _, s := range found.Sources {
		if known[s.Glob] != s {
			t.Errorf("%s: got %+v, want %+v", s.Glob, known[s.Glob], s)
		}
	}
	if got := Known([]byte("{broken")); len(got) != 0 {
		t.Errorf("got %v from a broken file, want nothing", got)
	}
}
