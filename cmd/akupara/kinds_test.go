package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/cmd/akupara/internal/catalog"
	"github.com/akupara/akupara/config"
)

func TestEachKindSaysAllItsOptionsAndHasAnExampleThatTheAgentTakes(t *testing.T) {
	for _, k := range all.Kinds() {
		readme := catalog.Readme(adaptors.Docs, k.Name)
		if readme == "" {
			t.Errorf("kind %s has no README", k.Name)
			continue
		}
		for _, o := range catalog.Options(k.NewConfig()) {
			name := o.Key
			if i := strings.LastIndexAny(name, ".]"); i >= 0 {
				name = strings.TrimLeft(name[i+1:], ".")
			}
			if !strings.Contains(readme, name) {
				t.Errorf("the README of kind %s does not say what %s is", k.Name, o.Key)
			}
			if o.Want == "" {
				t.Errorf("kind %s, option %s: nothing says what is allowed", k.Name, o.Key)
			}
		}
		example := catalog.Example(readme)
		text := "agent:\n  collectors: [http://127.0.0.1:9770]\n  adaptors:\n"
		for line := range strings.Lines(example) {
			text += "    " + line
		}
		root, problems := config.Parse("example", []byte(text))
		if len(problems) == 0 {
			_, problems = agentd.Decode(root.Get("agent"), all.Kinds())
		}
		for _, p := range problems {
			t.Errorf("the example of kind %s: %v", k.Name, p)
		}
	}
}

func TestKindsAreListedForPeopleAndScripts(t *testing.T) {
	dir := t.TempDir()
	stdout, stderr, code := call(t, dir, "kinds")
	if code != 0 || stderr != "" {
		t.Errorf("kinds: exit code %d, %q", code, stderr)
	}
	for _, want := range append(kindNames(), "record_start", "regular expression", "when_full", "drop_oldest") {
		if !strings.Contains(stdout, want) {
			t.Errorf("kinds: %q is not in it\n%s", want, stdout)
		}
	}
	stdout, _, code = call(t, dir, "kinds", "tail")
	for _, want := range []string{"tail: follows files", "paths", "required", "max_record", "1MiB", "from 4KiB to 8MiB"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("kinds tail: exit code %d, want 0 and %q in\n%s", code, want, stdout)
		}
	}
	if strings.Contains(stdout, "command: runs") {
		t.Errorf("kinds tail shows other kinds, too:\n%s", stdout)
	}
	if stdout, _, code = call(t, dir, "kinds", "command"); code != 0 || !strings.Contains(stdout, "\n    - name: disk\n      kind: command\n") {
		t.Errorf("kinds command: exit code %d, want 0 and an example in\n%s", code, stdout)
	}
	if stdout, _, code = call(t, dir, "kinds", "command", "--readme"); code != 0 || !strings.HasPrefix(stdout, "# command\n") {
		t.Errorf("kinds command --readme: exit code %d, %.80q, want the README", code, stdout)
	}
	var list []kindInfo
	stdout, _, code = call(t, dir, "kinds", "--json")
	if err := json.Unmarshal([]byte(stdout), &list); code != 0 || err != nil || len(list) != len(kindNames()) {
		t.Fatalf("kinds --json: exit code %d, %v, %d kinds, want %d", code, err, len(list), len(kindNames()))
	}
	i := slices.IndexFunc(list, func(k kindInfo) bool { return k.Name == "tail" })
	if i < 0 || !list[i].Replayable || !slices.ContainsFunc(list[i].Options, func(o catalog.Option) bool { return o.Key == "paths" && o.Required && o.List }) {
		t.Errorf("kinds --json: got %+v, want tail with its required paths", list)
	}
	for args, want := range map[string]string{
		"kinds tial": "did you mean", "kinds a b": "one kind or none", "kinds --readme": "needs a KIND", "kinds tail --json --readme": "none of the others can be",
	} {
		if _, stderr, code := call(t, dir, strings.Fields(args)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d and %q, want 2 and %q", args, code, stderr, want)
		}
	}
}

func TestTheREADMEListsEachKindWithItsOptions(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if _, rest, ok := strings.Cut(line, "| [`"); ok {
			kind, _, _ := strings.Cut(rest, "`")
			rows[kind] = line
		}
	}
	for _, k := range all.Kinds() {
		var want []string
		for _, o := range catalog.Options(k.NewConfig()) {
			key, _, _ := strings.Cut(strings.ReplaceAll(o.Key, "[]", ""), ".")
			if word := "`" + key + "`"; !slices.Contains(want, word) {
				want = append(want, word)
			}
		}
		cells := strings.Split(rows[k.Name], "|")
		if len(cells) < 4 {
			t.Errorf("the README's table of kinds has no row for %s", k.Name)
			continue
		}
		if got := strings.Fields(cells[3]); !slices.Equal(got, want) {
			t.Errorf("the README's options of kind %s:\n got %v\nwant %v", k.Name, got, want)
		}
		if spooled := strings.Contains(cells[1], "*"); spooled == k.Replayable {
			t.Errorf("the README says of kind %s that it goes through the spool: %t", k.Name, spooled)
		}
	}
}
