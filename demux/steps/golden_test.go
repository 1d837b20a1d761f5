package steps_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/rows"
)

var update = flag.Bool("update", false, "write the golden files anew")

// parsed returns what a type's section makes of records, a map by column a row.
func parsed(t testing.TB, section, in string, tags map[string]string) []map[string]any {
	t.Helper()
	typ, problems := demux.ReadTypeText("test", section)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cfg := demux.DefaultConfig()
	p, o, err := cfg.Trial(typ, now)
	if err != nil {
		t.Fatal(err)
	}
	b := rows.NewBuilder(o)
	c := &chunk.Chunk{Type: "test", Host: "h", Source: "/s", Stream: "st", Time: now, Last: int64(len(in)), Body: []byte(in), Tags: tags}
	if err := p.Parse(context.Background(), c, nil, b); err != nil {
		t.Fatal(err)
	}
	b.Templates(0)
	return looked(b)
}

func looked(b *rows.Builder) (out []map[string]any) {
	for l := b.Look(); l.Next(); {
		row := map[string]any{"ts": time.UnixMicro(l.TS()).UTC().Format(time.RFC3339Nano)}
		put := func(name string, v rows.Value) {
			switch {
			case !v.Given():
			case v.Bytes != nil:
				row[name] = string(v.Bytes)
			case v.Type.String() == "double":
				row[name] = v.Double()
			case v.Type.String() == "boolean":
				row[name] = v.Bool()
			default:
				row[name] = v.Long()
			}
		}
		if lvl := l.Level(); lvl != rows.NoLevel {
			row["level"] = lvl.String()
		}
		put("message", l.Message())
		put("parse_error", l.ParseError())
		l.Own(put)
		l.Attributes(func(k, v []byte) { row["attributes."+string(k)] = string(v) })
		delete(row, "template_id")
		out = append(out, row)
	}
	return out
}

func TestStepsGiveWhatTheirGoldenFilesHave(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			part := strings.SplitN(string(data), "----\n", 3)
			var out strings.Builder
			for _, row := range parsed(t, part[0], part[1], map[string]string{"region": "eu-1", "mail": "ops@example.org"}) {
				line, err := json.Marshal(row)
				if err != nil {
					t.Fatal(err)
				}
				out.Write(append(line, '\n'))
			}
			if *update {
				data := part[0] + "----\n" + part[1] + "----\n" + out.String()
				if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if out.String() != part[2] {
				t.Errorf("got\n%s\nwant\n%s", out.String(), part[2])
			}
		})
	}
}

func TestWhatIsWrongWithStepsIsNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return at
	}
	short, open := write("short", "abc\n", 0o600), write("open", strings.Repeat("k", 32), 0o644)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ steps, want string }{
		{`{rename: {a: b}}`, `want a list of steps, each with one key: drop, parse, redact, rename or set`},
		{`[{renam: {a: b}}]`, `:1:25: steps[0]: key "renam" is not known; did you mean "rename"?; allowed: drop, parse, redact, rename, set`},
		{`[{rename: {a: b}, drop: [c]}]`, `a step has one key, drop, parse, redact, rename or set; this has 2`},
		{`[{rename: {host: b}}]`, `steps[0].rename.host: host is a column of every table: it keeps its name`},
		{`[{rename: {a: seq}}]`, `steps[0].rename.a: seq is a column of every table, and what it says is not the records'; those of them that keys may become: ts, level, message`},
		{`[{rename: {a: b, A: c}}]`, `A is renamed already: keys differ in more than case`},
		{`[{rename: {a: template}}]`, `a column template is made of messages`},
		{`[{drop: [message]}]`, `steps[0].drop: message is a column of every table: records that can't be parsed are kept there`},
		{`[{drop: [Stream]}]`, `steps[0].drop: stream is a column of every table: it says when and where a record was written, by which each is in the table exactly once`},
		{`[{drop: []}]`, `want a list of columns`},
		{`[{set: {a: [1]}}]`, `steps[0].set.a: want a text, a number, true or false, or a tag's value, {tag: NAME}`},
		{`[{set: {a: {tags: x}}}]`, `key "tags" is not known`},
		{`[{set: {ts: 1}}]`, `ts is a column of every table`},
		{`[{parse: {column: a}}]`, `key "parser" is missing; it is required`},
		{`[{parse: {column: host, parser: json}}]`, `want the name of a column that is the records', or message`},
		{`[{parse: {column: a, parser: jsn}}]`, `"jsn" is not known; did you mean json?`},
		{`[{parse: {column: a, parser: cri}}]`, `the parser cri reads whole records alone`},
		{`[{redact: {}}]`, `it says nothing of what to redact: want what (card, email, ip, token), a pattern, or columns whose values are redacted whole`},
		{`[{redact: {what: [emial]}}]`, `steps[0].redact.what[0]: "emial" is not known; did you mean "email"?; allowed: card, email, ip, token`},
		{`[{redact: {columns: [seq], what: [ip]}}]`, `steps[0].redact.columns: seq is a column of every table`},
		{`[{redact: {pattern: "("}}]`, `steps[0].redact.pattern: "(": missing closing )`},
		{`[{redact: {what: [ip], with: hide}}]`, `steps[0].redact.with: "hide" is not allowed; want one of mask, hash`},
		{`[{redact: {what: [ip], with: hash}}]`, `hashes want a key: key_file is missing`},
		{`[{redact: {what: [ip], with: hash, key_file: ` + filepath.Join(dir, "none") + `}}]`, `steps[0].redact.key_file: the key of hashes can't be read: stat ` + filepath.Join(dir, "none") + `: no such file or directory`},
		{`[{redact: {what: [ip], with: hash, key_file: ` + short + `}}]`, `short holds 3 bytes; want at least 16`},
		{`[{redact: {what: [ip], with: hash, key_file: ` + open + `}}]`, `others may read ` + open + `, or write it (mode 0644): chmod o= ` + open},
		{`[{redact: {what: [ip], key_file: ` + short + `}}]`, `masks have no key; it goes with: hash`},
	} {
		n, problems := config.Parse("f", []byte("{parser: json, steps: "+c.steps+"}"))
		if len(problems) > 0 {
			t.Fatal(c.steps, problems)
		}
		_, problems = demux.ReadType("test", n)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", c.steps, err, c.want)
		}
	}
}
