package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

const accessLog = `10.0.0.1 - frank [30/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 2326
10.0.0.2 - - [30/Nov/2026:10:00:01 +0000] "GET /b HTTP/1.1" 404 -
`

func TestParsePrintsTheRowsAsTheDemuxMakesThem(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.log"), accessLog)
	out, errs, code := call(t, dir, "parse", "--parser", "combined", "a.log")
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) != 5 || !strings.HasPrefix(lines[0], "ts ") || !strings.Contains(lines[3], "10.0.0.2") ||
		errs != "(records: 2, parsed: 2, failed: 0, 100.0% parsed)\n" {
		t.Errorf("got %d, %q and\n%s", code, errs, out)
	}

	spec := "{parser: combined, columns: {size: double}, types: {status: string}}"
	out, errs, code = call(t, dir, "parse", "--parser", spec, "--format", "jsonl", "--limit", "1", "a.log")
	var row map[string]any
	if err := json.Unmarshal([]byte(out), &row); err != nil || code != 0 {
		t.Fatalf("got %d, %v, %q, %q", code, err, out, errs)
	}
	for k, want := range map[string]any{
		"ts": "2026-11-30T10:00:00.000000Z", "client": "10.0.0.1", "user": "frank", "status": "200", "size": 2326.0, "seq": 0.0,
		"path": "/a", "level": nil, "parse_error": nil, "attributes": nil, "source": filepath.Join(dir, "a.log"),
	} {
		if got, there := row[k]; !there || got != want {
			t.Errorf("%s: got %#v, want %#v", k, got, want)
		}
	}
}

func TestParseShowsTemplatesAsTheTableHasThem(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.log"), "2026-11-30 10:00:00,000 WARN [main] a.B: order 17 of <x> is late\n")
	out, errs, code := call(t, dir, "parse", "--parser", "log4j", "--format", "jsonl", "a.log")
	if want := `"template":"order <*> of <x> is late","template_id":"`; code != 0 || !strings.Contains(out, want) {
		t.Errorf("got %d, %q and %s, want %s", code, errs, out, want)
	}
	out, _, _ = call(t, dir, "parse", "--parser", "{parser: log4j, templates: off}", "--format", "jsonl", "a.log")
	if strings.Contains(out, "template") {
		t.Errorf("without templates: got %s", out)
	}
}

func TestParseListsWhatFailedAndWhere(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.json"), `{"ts":"2026-11-30T10:00:00Z","a":1}`+"\n\n"+`{"a":1} x`+"\n")
	out, errs, code := call(t, dir, "parse", "--parser", "json", "--format", "jsonl", "a.json")
	want := `line 3: not JSON: unexpected 'x' at byte 8
    {"a":1} x
            ^
(records: 2, parsed: 1, failed: 1, 50.0% parsed)
`
	if code != 1 || errs != want || strings.Count(out, "\n") != 2 {
		t.Errorf("got %d,\n%s\n%s, want 1 and\n%s", code, out, errs, want)
	}
}

func TestParseTakesStepsOfASpec(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.json"), `{"ts":"2026-11-30T10:00:00Z","usr":"bob@example.org"}`+"\n"+"cut { of bob@example.org\n")
	out, errs, code := call(t, dir, "parse", "--format", "jsonl", "a.json", "--parser", "{parser: json, steps: [{rename: {usr: user}}, {redact: {what: [email]}}]}")
	if code != 1 || !strings.Contains(out, `"user":"[email]"`) || strings.Contains(out+errs, "bob") {
		t.Errorf("got %d, %s and %s", code, out, errs)
	}
	_, errs, code = call(t, dir, "parse", "a.json", "--parser", "{parser: json, steps: [{redact: {what: [emial]}}]}")
	if code != 2 || !strings.Contains(errs, `steps[0].redact.what[0]: "emial" is not known; did you mean "email"?; allowed: card, email, ip, token`) {
		t.Errorf("got %d and %s", code, errs)
	}
}

func TestAFileThatIsNoTextIsNotGuessed(t *testing.T) {
	dir := t.TempDir()
	latin := "2026-11-30 10:00:00,000 WARN [main] a.B: caf\xe9\n"
	for content, want := range map[string]string{
		"PAR1\x15\x04\n": "a.log is no text: a Parquet file; --parser reads it all the same",
		"a\x00b\n":       "a.log is no text: binary; --parser reads it all the same",
		latin:            "",
	} {
		writeFile(t, filepath.Join(dir, "a.log"), content)
		out, errs, code := call(t, dir, "parse", "a.log")
		if want == "" {
			if code != 0 || !strings.Contains(out, "parser: log4j") {
				t.Errorf("%q: got %d, %q and %q, want log4j", content, code, out, errs)
			}
			continue
		}
		if code != 1 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%q: got %d, %q and %q, want 1 and %q", content, code, out, errs, want)
		}
	}
	if out, _, code := call(t, dir, "parse", "--parser", "raw", "a.log"); code > 1 || out == "" {
		t.Errorf("with --parser: got %d and %q, want rows", code, out)
	}
}

func TestParseTakesTheParserOfAConfig(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "c.yaml")
	writeFile(t, config, `store: file://`+dir+`/store
data_dir: `+dir+`/d
agent:
  collectors: [http://127.0.0.1:1]
  adaptors:
    - {name: app, kind: tail, type: app, paths: [/nowhere/x.log], record_start: '^\['}
demux:
  types:
    app: {parser: raw}
`)
	writeFile(t, filepath.Join(dir, "a.log"), "[1] one\n  more\n[2] two\n")
	out, errs, code := call(t, dir, "parse", "--config", config, "--type", "app", "--format", "jsonl", "a.log")
	if code != 0 || !strings.Contains(out, `"message":"[1] one\n  more"`) || !strings.HasPrefix(errs, "(records: 2,") {
		t.Errorf("got %d, %s, %s", code, out, errs)
	}
	for args, want := range map[string]string{
		"--config " + config + " --type nope a.log": "no such type under demux.types",
		"--parser jsno a.log":                       "did you mean json?",
		"--parser {parser:json} a.log":              "want the name of a parser",
		"--parser json --type app a.log":            "none of the others can be",
		"--parser json --format csv a.log":          "allowed are table, jsonl",
		"--parser json --limit -1 a.log":            "allowed are 0 and more",
		"--parser json --record-start ( a.log":      "missing closing )",
		"--parser json":                             "want one FILE",
	} {
		if out, errs, code := call(t, dir, append([]string{"parse"}, strings.Fields(args)...)...); code != 2 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: got %d, %q, %q, want 2 and %q", args, code, out, errs, want)
		}
	}
	if _, errs, code := call(t, dir, "parse", "--parser", "json", "nofile"); code != 1 || !strings.Contains(errs, "no such file") {
		t.Errorf("no file: got %d, %q", code, errs)
	}
}
