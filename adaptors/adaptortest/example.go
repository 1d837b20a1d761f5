package adaptortest

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/config"
)

// Example returns the config of the example that stands in the README.md of the
// kind's folder, which is the test's own: the first yaml block is a list of
// adaptors' entries, and the first of them that is of the kind counts. replace
// are pairs of old and new text, for paths and addresses that a test has
// elsewhere; each old one must stand in the example.
func Example(t *testing.T, k adaptors.Kind, replace ...string) (cfg any) {
	t.Helper()
	text := yamlBlock(t, "README.md")
	for i := 0; i+1 < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("README.md: the example does not hold %q", replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	list, problems := config.Parse("README.md", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, n := range list.Items() {
		if n.Get("kind").Text() != k.Name {
			continue
		}
		cfg = k.NewConfig()
		if err := config.Decode(own(t, n), cfg).Err(); err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	t.Fatalf("README.md: the example has no adaptor of kind %s", k.Name)
	return nil
}

func yamlBlock(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(data), "```yaml\n")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("%s has no yaml block", path)
	}
	return block
}

// own is an entry without the keys that the agent reads itself.
func own(t *testing.T, n config.Node) config.Node {
	t.Helper()
	var lines []string
	common := adaptors.CommonKeys()
	for _, f := range n.Fields() {
		if !slices.Contains(common, f.Key) {
			lines = append(lines, jsonText(t, f.Key)+": "+jsonText(t, f.Value.Any()))
		}
	}
	only, problems := config.Parse("README.md", []byte("{"+strings.Join(lines, ", ")+"}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return only
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
