package query_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

func csv(t *testing.T, e *query.Engine, sql string) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := e.Query(t.Context(), sql, "csv", &b); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	_, rows, _ := strings.Cut(b.String(), "\n")
	return strings.ReplaceAll(strings.TrimSuffix(rows, "\n"), "\n", "|")
}

func TestTablesThatADemuxCommittedAreRead(t *testing.T) {
	s := querytest.New(t)
	e := s.Engine(t, query.Options{})
	first := `{"ts":"2026-03-01T01:00:00Z","level":"warn","message":"one","user":{"name":"ann"},"n":1}
{"ts":"2026-03-01T02:00:00.5Z","level":"error","message":"two","n":2}
`
	s.Commit(t, "json", querytest.Data("my-app", "s1", 0, first))
	if got, want := csv(t, e, `select ts, level, message, "user.name", n, seq from "my-app" order by ts`),
		"2026-03-01T01:00:00.000000Z,WARN,one,ann,1,0|2026-03-01T02:00:00.500000Z,ERROR,two,,2,"+fmt.Sprint(strings.Index(first, "\n")+1); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// A column more, values that do not fit, lines that are none.
	s.Commit(t, "json", querytest.Data("my-app", "s2", 0, `{"ts":"2026-03-01T03:00:00Z","ok":true,"n":"many","HOST":"x"}
no json
`))
	if got, want := csv(t, e, `select ok, n, attributes['n'], attributes['HOST'], message, parse_error is null from "my-app" where stream = 's2' order by seq`),
		"true,,many,x,,true|,,,,no json,false"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := csv(t, e, `select count(*), count(ok), count("user.name"), sum(n) from "my-app"`), "4,1,1,3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := csv(t, e, "show tables"), "my-app,ok"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var b bytes.Buffer
	sum, err := e.Query(t.Context(), `select count(*) from "my-app" where ts between '2026-03-01 01:30:00' and '2026-03-01 02:30:00'`, "csv", &b)
	if err != nil || sum.Files != 1 || !strings.HasSuffix(b.String(), "\n1\n") {
		t.Errorf("got %q from %d files, %v; want 1 row from 1 file", b.String(), sum.Files, err)
	}
}

func TestAQueryDoesNotSeeWhatIsCommittedBesideIt(t *testing.T) {
	s := querytest.New(t)
	e := s.Engine(t, query.Options{})
	s.Commit(t, "raw", querytest.Data("app", "s1", 0, "one\ntwo\n"))
	rows := 0
	_, err := e.Each(t.Context(), "select message from app union all select message from app", func([]query.Column, []query.Cell) error {
		if rows++; rows == 1 {
			s.Commit(t, "raw", querytest.Data("app", "s1", 8, "three\n"))
		}
		return nil
	})
	if err != nil || rows != 4 {
		t.Errorf("got %d rows, %v; want 4", rows, err)
	}
	if got := csv(t, e, "select count(*) from app"); got != "3" {
		t.Errorf("afterwards: got %s rows, want 3", got)
	}
}

func TestTablesOnHDFSAreFetchedQueriedAndAudited(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a cluster")
	}
	uri := storetest.SharedCluster(t)
	fs, err := open.Open(uri, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := querytest.On(fs, uri)
	s.Commit(t, "json", querytest.Data("app", "s1", 0, `{"ts":"2026-03-01T01:00:00Z","n":1}`+"\n"+`{"ts":"2026-03-01T05:00:00Z","n":2}`+"\n"))
	s.Publish(t, querytest.Data("app", "s2", 10, "x\n"))
	e := s.Engine(t, query.Options{})
	for i, want := range []int{1, 0} {
		var b bytes.Buffer
		sum, err := e.Query(t.Context(), "select n from app where ts > '2026-03-01 04:00:00'", "csv", &b)
		if err != nil || b.String() != "n\n2\n" || sum.Fetched != want {
			t.Errorf("time %d: got %q with %d files fetched, %v; want %d", i, b.String(), sum.Fetched, err, want)
		}
	}
	r, err := audit.Run(t.Context(), fs, uri, e, audit.Options{})
	if err != nil || r.Records != 2 || r.Streams != 2 || r.Unpublished != 2 || len(r.Gaps) != 1 || r.Gaps[0].Stream != "s2" {
		t.Errorf("audit: got %+v, %v", r, err)
	}
	// The same through a cache that holds one of the two files.
	tbl, err := table.Open(t.Context(), fs, uri, "app")
	if err != nil {
		t.Fatal(err)
	}
	files, err := tbl.Files(t.Context(), nil, nil)
	if err != nil || len(files) != 2 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	small := s.Engine(t, query.Options{CacheBytes: max(files[0].Size, files[1].Size) * 3 / 2})
	if got, want := csv(t, small, "select n, message, ts from (from app) order by n"), "1,,2026-03-01T01:00:00.000000Z|2,,2026-03-01T05:00:00.000000Z"; got != want {
		t.Errorf("a stream: got %s, want %s", got, want)
	}
	r, err = audit.Run(t.Context(), fs, uri, small, audit.Options{Deep: true})
	if err != nil || r.Records != 2 || len(r.Overlaps)+len(r.Uncovered)+len(r.Hidden) > 0 {
		t.Errorf("a deep audit of a stream: got %+v, %v", r, err)
	}
}
