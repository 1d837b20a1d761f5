package query_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/query/querytest"
)

func TestShowTablesSaysWhatIsWrongWithEach(t *testing.T) {
	s := querytest.New(t)
	for _, name := range []string{"fine", "gone", "hurt", "slow", "poor"} {
		s.Commit(t, "raw", querytest.Data(name, "s", 0, "one\n"))
	}
	root := strings.TrimPrefix(s.URI, "file://")
	files := func(pattern string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(root, "tables", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		return found[len(found)-1]
	}
	if err := os.Remove(files("gone/data/*/*.parquet")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files("hurt/metadata/v*.metadata.json"), 20); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]trouble.Trouble{
		"slow": {Failing: &trouble.Failing{Times: 3, Error: "it does not work"}},
		"poor": {Aside: []trouble.Aside{{Path: "raw/poor/x.avro", Error: "no bytes"}, {Path: "raw/poor/y.avro"}}},
	} {
		if err := trouble.Write(t.Context(), s.FS, name, "a", &x); err != nil {
			t.Fatal(err)
		}
	}
	e := s.Engine(t, query.Options{})
	states := map[string]string{}
	for _, line := range strings.Split(csv(t, e, "show tables"), "|") {
		name, state, _ := strings.Cut(line, ",")
		states[name] = state
	}
	for name, want := range map[string][]string{
		"fine": {"ok"},
		"gone": {"damaged: data file tables/gone/data/", "is missing", "akupara repair gone"},
		"hurt": {"damaged: metadata tables/hurt/metadata/", "akupara repair hurt"},
		"slow": {"its runs fail since", "it does not work"},
		"poor": {"raw/poor/x.avro can't be used for now and 1 more: no bytes"},
	} {
		for _, part := range want {
			if !strings.Contains(states[name], part) {
				t.Errorf("%s: the state is %q, want %q in it", name, states[name], part)
			}
		}
	}
	if got := csv(t, e, "select count(*) from fine"); got != "1" {
		t.Errorf("the table with which nothing is wrong has %s rows, want 1", got)
	}
}
