package config

import (
	"os"
	"strings"
	"testing"
	"time"
)

// sample has a field of each type.
type sample struct {
	Name     Value[string]     `config:"name,required"`
	Level    string            `config:"level" oneof:"low|high"`
	On       bool              `config:"on"`
	Count    int               `config:"count" min:"1" max:"10"`
	Port     uint16            `config:"port"`
	Ratio    float64           `config:"ratio"`
	Every    Duration          `config:"every" min:"1s"`
	Bytes    Size              `config:"bytes" max:"1GiB"`
	Free     Percent           `config:"free"`
	Start    Regexp            `config:"start"`
	Paths    []Glob            `config:"paths"`
	Listen   Addr              `config:"listen"`
	Peers    []URL             `config:"peers"`
	Schedule Schedule          `config:"schedule"`
	Command  []string          `config:"command"`
	Tags     map[string]string `config:"tags"`
	Inner    *inner            `config:"inner"`
	Types    map[string]inner  `config:"types"`
	Rest     Node              `config:"rest"`
	Untold   int
	common
}

type inner struct {
	Parser string   `config:"parser"`
	Age    Duration `config:"age"`
}

func (i *inner) SetDefaults() { i.Age = Duration(time.Minute) }

type common struct {
	Kind string `config:"kind"`
}

func (s *sample) Validate(n Node) Problems {
	if s.Name.V == "bad" {
		return Problems{s.Name.Problemf("the name %q is taken; the first is at line 1", s.Name.V)}
	}
	return nil
}

func TestEveryProblemNamesPlaceKeyValueAndWhatIsAllowed(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"unknown key", "name: a\nlisten: 127.0.0.1:1\ncoun: 3\n",
			`f:3:1: key "coun" is not known (its value is "3"); did you mean "count"?; allowed: bytes, command, count, every, free, inner, kind, level, listen, name, on, paths, peers, port, ratio, rest, schedule, start, tags, types`},
		{"unknown key within", "name: a\ninner: {\n  parse: json}\n", `f:3:3: inner: key "parse" is not known (its value is "json"); did you mean "parser"?; allowed: age, parser`},
		{"unknown key without a near one", "name: a\ninner:\n  zzz: [1]\n", `f:3:3: inner: key "zzz" is not known; allowed: age, parser`},
		{"missing key", "on: true\n", `f:1:1: key "name" is missing; it is required`},
		{"not a number", "name: a\ncount: many\n", `f:2:8: count: "many" is not a whole number, from 1 to 10`},
		{"a number in quotes", "name: a\ncount: \"3\"\n", `f:2:8: count: "3" is not a whole number, from 1 to 10`},
		{"a fraction", "name: a\ncount: 3.5\n", `f:2:8: count: "3.5" is not a whole number, from 1 to 10`},
		{"out of range", "name: a\ncount: 11\n", `f:2:8: count: "11" is not allowed; want a whole number, from 1 to 10`},
		{"too large for its type", "name: a\nport: 65536\n", `f:2:7: port: "65536" is not a whole number from 0 up`},
		{"not a boolean", "name: a\non: 1\n", `f:2:5: on: "1" is not true or false`},
		{"a boolean as text", "name: true\n", `f:1:7: name: "true" is not text; put it in quotes if it is meant`},
		{"a list as text", "name: [a]\n", `f:1:7: name: a list is not text`},
		{"nothing as text", "name:\n", `f:1:6: name: nothing is not text`},
		{"text as a list", "name: a\ncommand: df\n", `f:2:10: command: "df" is not a list; want [text, …]`},
		{"text as a mapping", "name: a\ntags: x\n", `f:2:7: tags: "x" is not a mapping of keys to values`},
		{"text as a struct", "name: a\ninner: x\n", `f:2:8: inner: "x" is not a mapping of keys to values`},
		{"choice", "name: a\nlevel: mid\n", `f:2:8: level: "mid" is not allowed; want one of low, high`},
		{"duration without unit", "name: a\nevery: 60\n", `f:2:8: every: "60" is not a duration, such as 200ms, 60s, 1h30m or 7d: the unit is missing`},
		{"bad duration", "name: a\nevery: 1x\n", `f:2:8: every: "1x" is not a duration, such as 200ms, 60s, 1h30m or 7d: unknown unit "x" in duration "1x"`},
		{"negative duration", "name: a\nevery: -1s\n", `f:2:8: every: "-1s" is not a duration, such as 200ms, 60s, 1h30m or 7d: it is negative`},
		{"short duration", "name: a\nevery: 10ms\n", `f:2:8: every: "10ms" is not allowed; want a duration, such as 200ms, 60s, 1h30m or 7d, at least 1s`},
		{"bad size", "name: a\nbytes: 12 apples\n", `f:2:8: bytes: "12 apples" is not a size, such as 64KiB, 128MiB, 10GB or a plain number of bytes: "12 apples" is no number of bytes; units are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB`},
		{"large size", "name: a\nbytes: 2GiB\n", `f:2:8: bytes: "2GiB" is not allowed; want a size, such as 64KiB, 128MiB, 10GB or a plain number of bytes, at most 1GiB`},
		{"bad percentage", "name: a\nfree: 101%\n", `f:2:7: free: "101%" is not a percentage from 0% to 100%: it is out of range`},
		{"bad regex", "name: a\nstart: 'a('\n", `f:2:8: start: "a(" is not a regular expression in Go's syntax (RE2): missing closing ): ` + "`a(`"},
		{"long regex", "name: a\nstart: '" + strings.Repeat("a{0,999}", 11) + "'\n", `f:2:8: start: "` + strings.Repeat("a{0,999}", 10) + `"… is not a regular expression in Go's syntax (RE2): its repetitions make it too large: written out it has more than 10000 parts`},
		{"bad glob", "name: a\npaths: [/a, '/b/[c']\n", `f:2:13: paths[1]: "/b/[c" is not a path pattern, such as /var/log/**/*.log: its [, {, or \ is not closed; known are *, **, ?, [a-z], {a,b} and \`},
		{"many braces", "name: a\npaths: ['/x/{a,b}{c,{d,e}}" + strings.Repeat("{f,g}", 8) + "']\n", `f:2:9: paths[0]: "/x/{a,b}{c,{d,e}}` + strings.Repeat("{f,g}", 8) + `" is not a path pattern, such as /var/log/**/*.log: its braces stand for more than 1000 patterns`},
		{"bad address", "name: a\nlisten: 9770\n", `f:2:9: listen: "9770" is not an address, such as 127.0.0.1:9770 or unix:/run/akupara.sock: it has no port, or brackets are missing around an IPv6 address`},
		{"bad port", "name: a\nlisten: localhost:99999\n", `f:2:9: listen: "localhost:99999" is not an address, such as 127.0.0.1:9770 or unix:/run/akupara.sock: the port "99999" is no number from 0 to 65535`},
		{"bad url", "name: a\npeers: [ftp://x]\n", `f:2:9: peers[0]: "ftp://x" is not a URL, such as http://127.0.0.1:9770: its scheme is "ftp"; allowed: http, https`},
		{"bad schedule", "name: a\nschedule: TZ=UTC\n", `f:2:11: schedule: "TZ=UTC" is not a schedule, such as "@every 1m", "@hourly" or "*/5 * * * *": nothing follows TZ=UTC`},
		{"schedule never due", "name: a\nschedule: 0 0 30 2 *\n", `f:2:11: schedule: "0 0 30 2 *" is not a schedule, such as "@every 1m", "@hourly" or "*/5 * * * *": it is never due`},
		{"deep in a map", "name: a\ntypes:\n  x: {age: never}\n", `f:3:12: types.x.age: "never" is not a duration, such as 200ms, 60s, 1h30m or 7d: invalid duration "never"`},
		{"cross-field", "on: true\nname: bad\n", `f:2:7: the name "bad" is taken; the first is at line 1`},
		{"duplicate key", "name: a\non: true\nname: b\n", `f:3:1: key "name" is given twice; the first is at line 1`},
		{"alias", "name: &x a\nlevel: *x\n", "f:1:7: the anchor &x: anchors are not allowed\nf:2:8: the alias *x: aliases are not allowed, write the value again"},
		{"tag", "name: !!str 3\n", `f:1:7: the tag !!str: tags are not allowed`},
		{"two documents", "name: a\n---\nname: b\n", `f:2:1: a second YAML document; only one is allowed`},
		{"tab", "name: a\ninner:\n\tparser: x\n", `f:3:1: a tab in the indentation; YAML allows only spaces there`},
		{"broken YAML", "name: a\ninner: {\n", `f:2:1: not valid YAML: did not find expected node content`},
		{"a list at the top", "- a\n", `f:1:1: a list is not a mapping of keys to values`},
		{"key that is no text", "name: a\n? [x]\n: y\n", `f:2:3: a key that is not plain text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, problems := Parse("f", []byte(c.in))
			if len(problems) == 0 {
				problems = Decode(n, &sample{})
			}
			if got := problems.Error(); got != c.want {
				t.Errorf("problems of %q:\n got %s\nwant %s", c.in, got, c.want)
			}
		})
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	n, _ := Parse("f", []byte("naem: a\ncount: x\nevery: y\npaths: ['[', ok, '{']\n"))
	problems := Decode(n, &sample{})
	want := []string{"f:1:1:", "f:2:8:", "f:3:8:", "f:4:9:", "f:4:18:", "f:1:1:"}
	if len(problems) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%v", len(problems), len(want), problems)
	}
	for i, p := range problems {
		if !strings.HasPrefix(p.String(), want[i]) {
			t.Errorf("problem %d is %q, want it at %s", i, p, want[i])
		}
	}
}

func TestValuesOfEveryTypeAreDecoded(t *testing.T) {
	const in = `
name: web
level: high
on: true
count: 7
port: 8020
ratio: 0.5
every: 1d12h
bytes: 1.5MiB
free: 5%
start: '^\d+ '
paths: [/srv/**/*.log*]
listen: "[::1]:0"
peers: [http://a:1/, https://b]
schedule: "@every 1m"
command: [sleep, 5]
tags: {a: b}
inner: {parser: json}
types: {x: {}, y: {age: 1s}}
rest: {anything: [1, two]}
kind: tail
`
	n, problems := Parse("f", []byte(in))
	s := sample{Untold: 3}
	if problems = append(problems, Decode(n, &s)...); len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct{ name, got, want string }{
		{"name's place", s.Name.Pos.String(), "f:2:7"},
		{"every", s.Every.String(), "36h0m0s"},
		{"bytes", s.Bytes.String(), "1536KiB"},
		{"free", s.Free.String(), "5%"},
		{"peer", s.Peers[0].String(), "http://a:1"},
		{"argument", s.Command[1], "5"},
		{"default of a made struct", s.Inner.Age.String(), "1m0s"},
		{"default of a map's element", s.Types["x"].Age.String(), "1m0s"},
		{"value of a map's element", s.Types["y"].Age.String(), "1s"},
		{"embedded", s.Kind, "tail"},
		{"rest", s.Rest.Get("anything").Items()[1].Text(), "two"},
		{"rest's path", s.Rest.Get("anything").Items()[1].Path(), "rest.anything[1]"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
	if s.Untold != 3 || !s.On || s.Count != 7 || !s.Start.MatchString("12 x") || !s.Paths[0].Match("/srv/a.log.1") {
		t.Errorf("decoded wrongly: %+v", s)
	}
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got := s.Schedule.Next(from); got.Sub(from) != time.Minute {
		t.Errorf("the schedule's next time after %v is %v, want a minute later", from, got)
	}
}

func TestTwoStructsShareAMapping(t *testing.T) {
	n, _ := Parse("f", []byte("kind: tail\nparser: raw\nage: 3s\n"))
	var c common
	var i inner
	if problems := Decode(n, &c, &i); len(problems) > 0 {
		t.Fatal(problems)
	}
	if c.Kind != "tail" || i.Age != Duration(3*time.Second) {
		t.Errorf("got %+v and %+v, want both filled", c, i)
	}
	n, _ = Parse("f", []byte("kynd: tail\n"))
	const want = `f:1:1: key "kynd" is not known (its value is "tail"); did you mean "kind"?; allowed: age, kind, parser`
	if got := Decode(n, &c, &i).Error(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestADefaultStaysWhereTheValueIsBad(t *testing.T) {
	n, _ := Parse("f", []byte("name: a\nevery: x\ncount: 99\n"))
	s := sample{Every: Duration(time.Hour), Count: 5}
	if got := len(Decode(n, &s)); got != 2 {
		t.Errorf("got %d problems, want 2", got)
	}
	if s.Every != Duration(time.Hour) || s.Count != 5 {
		t.Errorf("got every %v and count %d, want the defaults 1h and 5", s.Every, s.Count)
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	deeper := strings.Repeat("[", 400_000)
	many := "[" + strings.Repeat("1,", maxNodes) + "]"
	for name, c := range map[string]struct{ in, want string }{
		"bytes":  {strings.Repeat("#", MaxBytes+1), "at most 1048576 are allowed"},
		"depth":  {deep, "nested more than 32 levels deep"},
		"deeper": {deeper, "not valid YAML"},
		"values": {many, "more than 50000 values"},
	} {
		_, problems := Parse("f", []byte(c.in))
		if len(problems) == 0 || !strings.Contains(problems[0].Message, c.want) {
			t.Errorf("%s: got %v, want a problem with %q", name, problems, c.want)
		}
	}
}

func TestTheSampleFilesParse(t *testing.T) {
	files, err := os.ReadDir("../deploy/config")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, problems, err := Load("../deploy/config/" + f.Name()); err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %v", f.Name(), problems, err)
		}
	}
}

func TestStoreAndDataDirHaveNoDefault(t *testing.T) {
	_, problems := ParseFile("f", []byte("web: {}\n"))
	const want = `f:1:1: key "data_dir" is missing; it is required` + "\n" + `f:1:1: key "store" is missing; it is required`
	if got := problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, problems := ParseFile("f", nil); len(problems) != 2 {
		t.Errorf("an empty file: got %v, want the same two problems", problems)
	}
}

func TestStoreURIs(t *testing.T) {
	for in, want := range map[string]string{
		"file:///var/lib/a":           "file:///var/lib/a",
		"file:///var//lib/a/":         "file:///var/lib/a",
		"hdfs://127.0.0.1:8020/aku":   "hdfs://127.0.0.1:8020/aku",
		"hdfs://a:8020,b:8020/x":      "hdfs://a:8020,b:8020/x",
		"hdfs://cluster/x":            "hdfs://cluster/x",
		"hdfs://a,b:8020/x":           `NameNode "a": it has no port, or brackets are missing around an IPv6 address`,
		"file://var/lib":              `a host, "var", is not allowed with file://; a path starts with a third slash`,
		"file:///":                    "it has no path; a store has a folder of its own",
		"/var/lib":                    "it must start with file:// or hdfs://",
		"s3://bucket/x":               "it must start with file:// or hdfs://",
		"hdfs:///x":                   `NameNode "": it has no port, or brackets are missing around an IPv6 address`,
		"hdfs://127.0.0.1:8020/x?y=1": "it must not have a query or a fragment",
		"hdfs://user@host:8020/x":     `NameNode "user@host:8020": the host "user@host" has characters that no host has`,
	} {
		var s Store
		var got string
		if err := s.UnmarshalText([]byte(in)); err != nil {
			got = err.Error()
		} else {
			got = s.String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestJSONIsYAML(t *testing.T) {
	const in = "{\n\t\"store\": \"file:///s\",\n\t\"data_dir\": \"/d\",\n\t\"agent\": {\"listen\": \"127.0.0.1:1\"}\n}\n"
	f, problems := ParseFile("f.json", []byte(in))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := f.Agent.Get("listen").Pos().String(); got != "f.json:4:22" {
		t.Errorf("agent.listen is at %s, want f.json:4:22", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name: a\nevery: 1d\n")
	f.Add(`{"name": "x", "paths": ["/a/**"], "schedule": "TZ=UTC"}`)
	f.Add("a: &a [*a]\n")
	f.Add("<<: {x: 1}\n? {}\n: y\n")
	f.Fuzz(func(t *testing.T, in string) {
		n, problems := Parse("f", []byte(in))
		problems = append(problems, Decode(n, &sample{})...)
		_, more := ParseFile("f", []byte(in))
		for _, p := range append(problems, more...) {
			if p.Line < 1 || p.Column < 1 || strings.Contains(p.String(), "\n") {
				t.Errorf("problem %q of %q has no place, or more than one line", p, in)
			}
		}
	})
}
