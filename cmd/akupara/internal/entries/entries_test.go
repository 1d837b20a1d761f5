package entries

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/akupara/akupara/config"
)

func TestSettingsAreTextUnlessTheyAreWrittenOtherwise(t *testing.T) {
	for arg, want := range map[string]any{
		"a=b": "b", "a=": "", "a=b=c": "b=c", "a=60s": "60s", "a=64KiB": "64KiB", "a=5": 5, "a=1.5": 1.5, "a=true": true,
		"a=[x, y]": []any{"x", "y"}, "a={k: v}": map[string]any{"k": "v"}, `a="5"`: "5", "a='x: y'": "x: y",
		"a=x: y": "x: y", "a=*": "*", "a=&x": "&x", "a=null": "null", "a=~": "~", "a=# no": "# no", `a=^\d{4}-`: `^\d{4}-`, "a=- x": "- x", "a= b": " b",
	} {
		key, got, err := setting(arg)
		if err != nil || key != "a" || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q %#v %v, want %#v", arg, key, got, err, want)
		}
	}
	for _, arg := range []string{"a", "", "=b", "a=[x", "a={x: *y}"} {
		if _, got, err := setting(arg); err == nil {
			t.Errorf("%q: got %#v, want an error", arg, got)
		}
	}
}

func TestSettingsOfGroupsAreMappings(t *testing.T) {
	entry := map[string]any{"name": "x"}
	err := Set(entry, []string{"label.app.io/name=web", "feature.tag.a.b=c", "feature.logger=org.x", "tags.z=1", "labels=2"},
		[]string{"label", "feature.tag", "feature", "tags"})
	got, _ := json.Marshal(entry)
	const want = `{"feature":{"logger":"org.x","tag":{"a.b":"c"}},"label":{"app.io/name":"web"},"labels":2,"name":"x","tags":{"z":1}}`
	if err != nil || string(got) != want {
		t.Errorf("got %s %v, want %s", got, err, want)
	}
	for _, args := range [][]string{{"a=1", "a=2"}, {"name=y"}, {"label.a=1", "label.a=2"}} {
		if err := Set(map[string]any{"name": "x"}, args, []string{"label"}); err == nil {
			t.Errorf("%q: taken, want that it is set twice", args)
		}
	}
}

// FuzzEntriesKeepTheirPlaces: whatever a list of entries looks like, each entry
// is sent as it is, and where it can be, in its place.
func FuzzEntriesKeepTheirPlaces(f *testing.F) {
	for _, s := range []string{
		"- name: a\n  x: 1\n- name: b\n", "[{name: a}, {name: b}]", "-\n  name: a\n\n-   name: b\n    y: |\n      text\n\n      more\n# end\n",
		"- {name: a,\n   x: 1}\n- {name: b}", "---\n- a: 1\n...\n", `[{"a": "\u00e9"}]`, "  - a: é\n  - b: 1\n", "- - x\n  - y\n- 5\n-\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 {
			return // YAML knows no keys of more than 1024 bytes in braces
		}
		root, problems := config.Parse("x", []byte(text))
		if len(problems) > 0 || root.Items() == nil {
			return
		}
		list, err := Read("x", strings.NewReader(text))
		if err != nil {
			return
		}
		for i, item := range root.Items() {
			got, problems := config.Parse("x", list[i].Body)
			if a, b := fmt.Sprintf("%#v", got.Any()), fmt.Sprintf("%#v", item.Any()); len(problems) > 0 || a != b {
				t.Fatalf("entry %d of %q: sent as %q, which is %s %v, want %s", i, text, list[i].Body, a, problems, b)
			}
			if item.Any() != nil && got.Pos().Line != item.Pos().Line {
				t.Errorf("entry %d of %q: sent at line %d, want %d", i, text, got.Pos().Line, item.Pos().Line)
			}
		}
	})
}
