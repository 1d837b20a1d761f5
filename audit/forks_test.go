package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/query/querytest"
)

// of makes a chunk that of another source: forks have that of their stream.
func of(stream string, c chunk.Chunk) chunk.Chunk {
	c.Source = "/var/log/" + stream
	return c
}

func because(why string, c chunk.Chunk) chunk.Chunk {
	c.Reason = why
	return c
}

func TestAStreamAndItsForksAreJudgedTogether(t *testing.T) {
	for name, c := range map[string]struct {
		table, sink []chunk.Chunk
		gaps, lost  string
		forks       string
	}{
		"a fork among what its base holds": {
			table: []chunk.Chunk{data("s", 0, 9), data("s~1", 30, 2)}, forks: "s~1 of s from 30: 20",
		},
		"a fork with holes where its base has rows": {
			table: []chunk.Chunk{data("s", 0, 9), data("s~1", 30, 1), data("s~1", 60, 1)}, forks: "s~1 of s from 30: 20",
		},
		"a hole in the base that a fork fills": {
			table: []chunk.Chunk{data("s", 0, 3), data("s~1", 20, 4), data("s", 60, 1)}, forks: "s~1 of s from 20: 40",
		},
		"a hole in all of them": {
			table: []chunk.Chunk{data("s", 0, 3), data("s~1", 20, 2), data("s~1", 60, 1)}, gaps: "s[40,60)", forks: "s~1 of s from 20: 30",
		},
		"a hole that a fork's sink file fills": {
			table: []chunk.Chunk{data("s", 0, 3), data("s~1", 20, 2), data("s~1", 60, 1)}, sink: []chunk.Chunk{data("s~1", 40, 2)}, forks: "s~1 of s from 20: 50",
		},
		"a base that begins late, and nobody told": {
			table: []chunk.Chunk{data("s", 20, 3), fact("s~x-1", chunk.Begin, 30, 30), data("s~x-1", 30, 1)}, gaps: "s[0,20)", forks: "s~x-1 of s from 30: 10",
		},
		"a fork whose base no table knows": {
			table: []chunk.Chunk{fact("s~x-1", chunk.Begin, 30, 30), data("s~x-1", 30, 1), data("s~x-1~1", 30, 1)}, forks: "s~x-1 of s from 30: 10, s~x-1~1 of s~x-1 from 30: 10",
		},
		"an end of a fork that is missing": {
			table: []chunk.Chunk{data("s", 0, 3), fact("s~x-1", chunk.End, 50, 50)}, gaps: "s[30,50)", forks: "s~x-1 of s from 0: 0",
		},
		"lost by one, and another has it": {
			table: []chunk.Chunk{data("s", 0, 3), fact("s", chunk.Lost, 30, 60), data("s~1", 20, 2)}, lost: "s[40,60)", forks: "s~1 of s from 20: 20",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := querytest.New(t)
			s.Commit(t, "raw", c.table...)
			if len(c.sink) > 0 {
				s.Publish(t, c.sink...)
			}
			r := run(t, s)
			if got := ranges(r.Gaps); got != c.gaps {
				t.Errorf("gaps: got %s, want %s", got, c.gaps)
			}
			if got := ranges(r.Lost); got != c.lost {
				t.Errorf("lost: got %s, want %s", got, c.lost)
			}
			var forks []string
			for _, f := range r.Forks {
				forks = append(forks, fmt.Sprintf("%s of %s from %d: %d", f.Stream, f.Of, f.First, f.Bytes))
			}
			if got := strings.Join(forks, ", "); got != c.forks || int(r.ForksTotal) != len(forks) {
				t.Errorf("forks: got %s (%d), want %s", got, r.ForksTotal, c.forks)
			}
			if r.OK() != (c.gaps == "") {
				t.Errorf("OK: got %v with gaps %q", r.OK(), c.gaps)
			}
		})
	}
}

func TestForksAreNamedWithTheirCauses(t *testing.T) {
	s := querytest.New(t)
	s.Commit(t, "raw", data("s", 0, 3), because("host b sent other bytes than host a: a clone", of("s", data("s~1", 10, 2))))
	r := run(t, s)
	b, err := json.Marshal(r.Forks)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"type":"app","host":"h1","source":"/var/log/s","stream":"s~1","of":"s","first":10,"bytes":20,"cause":"host b sent other bytes than host a: a clone"}]`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 fork has other bytes (20 bytes)", "app h1 /var/log/s  stream s~1  from byte 10 on (20 bytes): host b sent other", "no gaps, no overlaps",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in:\n%s", want, text.String())
		}
	}
}

func TestManyForksAreCountedAndSomeListed(t *testing.T) {
	s := querytest.New(t)
	const n = audit.MaxForks + 5
	chunks := []chunk.Chunk{data("s", 0, 1)}
	for i := range n {
		chunks = append(chunks, data(fmt.Sprint("s~", i+1), 0, 1))
	}
	s.Commit(t, "raw", chunks...)
	r := run(t, s)
	if len(r.Forks) != audit.MaxForks || r.ForksTotal != n || !r.OK() {
		t.Errorf("got %d of %d forks, OK: %v", len(r.Forks), r.ForksTotal, r.OK())
	}
}

func TestDoubtfulRangesAreListedWhereAnOlderStreamHasTheSameSource(t *testing.T) {
	doubtful := func(stream string, first, last int64) chunk.Chunk {
		return of("log", fact(stream, chunk.Doubtful, first, last))
	}
	later := func(c chunk.Chunk) chunk.Chunk {
		c.Time = c.Time.Add(time.Hour)
		return c
	}
	rows := func(stream string, first int64, lines int) chunk.Chunk { return of("log", data(stream, first, lines)) }
	named := func(name string, c chunk.Chunk) chunk.Chunk {
		c.Source = name
		return c
	}
	for name, c := range map[string]struct {
		first, then []chunk.Chunk
		want        string
	}{
		"an older stream of the source":  {[]chunk.Chunk{rows("s", 0, 3)}, []chunk.Chunk{doubtful("t", 0, 50), rows("t", 0, 4)}, "t[0,40)"},
		"where rows are, only":           {[]chunk.Chunk{rows("s", 0, 3)}, []chunk.Chunk{doubtful("t", 10, 20), rows("t", 0, 4)}, "t[10,20)"},
		"of the same age":                {[]chunk.Chunk{rows("s", 0, 3), doubtful("t", 0, 50), rows("t", 0, 4)}, nil, "t[0,40)"},
		"a younger stream of the source": {[]chunk.Chunk{doubtful("t", 0, 50), rows("t", 0, 4)}, []chunk.Chunk{later(rows("u", 0, 3)), later(rows("t", 40, 1))}, ""},
		"no other stream":                {[]chunk.Chunk{doubtful("t", 0, 50), rows("t", 0, 4)}, nil, ""},
		"an older stream of what a rotation copied": {
			[]chunk.Chunk{named("/var/log/app.log", rows("s", 0, 3))},
			[]chunk.Chunk{named("/var/log/app.log.2", doubtful("t", 0, 50)), named("/var/log/app.log.2", rows("t", 0, 4))}, "t[0,40)",
		},
		"an older stream of what a rotation copied by date": {
			[]chunk.Chunk{named("/var/log/app.log", rows("s", 0, 3))},
			[]chunk.Chunk{named("/var/log/app-20260131.log", doubtful("t", 0, 50)), named("/var/log/app-20260131.log", rows("t", 0, 4))}, "t[0,40)",
		},
		"of another source":                  {[]chunk.Chunk{data("s", 0, 3)}, []chunk.Chunk{doubtful("t", 0, 50), rows("t", 0, 4)}, ""},
		"of a fork that can't be compared":   {[]chunk.Chunk{rows("s", 0, 3)}, []chunk.Chunk{rows("s~1", 10, 2), doubtful("s~1", 10, 20)}, "s~1[10,20)"},
		"its own fork is no other":           {[]chunk.Chunk{doubtful("s", 0, 50), rows("s", 0, 3), rows("s~1", 10, 1)}, nil, ""},
		"a stream that told of doubts alone": {[]chunk.Chunk{doubtful("s", 0, 50)}, []chunk.Chunk{doubtful("t", 0, 50), rows("t", 0, 4)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := querytest.New(t)
			s.Commit(t, "raw", c.first...)
			if c.then != nil {
				s.Commit(t, "raw", c.then...)
			}
			r := run(t, s)
			if got := ranges(r.PerhapsDoubled); got != c.want || !r.OK() {
				t.Errorf("got %s, want %s; OK: %v", got, c.want, r.OK())
			}
			if int(r.PerhapsDoubledTotal) != len(r.PerhapsDoubled) || (r.PerhapsDoubledBytes > 0) != (c.want != "") {
				t.Errorf("got %d ranges, %d bytes", r.PerhapsDoubledTotal, r.PerhapsDoubledBytes)
			}
			var text bytes.Buffer
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text.String(), "perhaps doubled") != (c.want != "") {
				t.Errorf("the text says:\n%s", text.String())
			}
		})
	}
}
