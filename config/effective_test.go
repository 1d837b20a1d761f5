package config_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/config"
)

func TestSecretsAreHiddenWhereverTheyStand(t *testing.T) {
	t.Parallel()
	shown := config.HideSecrets(map[string]any{
		"headers":     map[string]any{"X-Api-Key": "hush", "X-Auth": "hush"},
		"api-key":     "hush",
		"urls":        []any{"https://x.example/a?token=hush&b=c", "https://me:hush@x.example/"},
		"command":     []any{"mysql", "--password=hush", "--password", "hush", "-token", "hush", "--token-file", "kept", "last"},
		"bearer_file": "kept",
		"nested":      []any{map[string]any{"client_secret": "hush"}},
	})
	text, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hush") || strings.Count(string(text), "kept") != 2 || !strings.Contains(string(text), "last") ||
		!strings.Contains(string(text), "X-Api-Key") || !strings.Contains(string(text), "b=c") {
		t.Errorf("shown: %s", text)
	}
}

func TestDiffNamesTheKeysThatDiffer(t *testing.T) {
	t.Parallel()
	type limits struct {
		Bytes config.Size     `config:"bytes"`
		Age   config.Duration `config:"age"`
	}
	type section struct {
		Seal  limits                        `config:"seal"`
		Every config.Value[config.Schedule] `config:"every"`
		Types map[string]config.Node        `config:"types"`
		Names []string                      `config:"names"`
		made  int
	}
	decode := func(text string) map[string]any {
		n, problems := config.Parse("c.yaml", []byte(text))
		s := section{Seal: limits{Age: config.Duration(time.Minute)}, made: 7}
		if problems = append(problems, config.Decode(n, &s)...); len(problems) > 0 {
			t.Fatal(problems)
		}
		return config.Effective(&s)
	}
	before := decode("seal: {bytes: 1MiB}\nevery: '@hourly'\ntypes: {a: {parser: json}, b: {parser: csv}}\nnames: [x]\n")
	for text, want := range map[string]string{
		"# other words\nnames: [x]\nseal: {age: 60s, bytes: 1048576}\nevery: '@hourly'\ntypes: {b: {parser: csv}, a: {parser: json}}\n": "",
		"seal: {bytes: 2MiB}\nevery: '@daily'\ntypes: {a: {parser: raw}, c: {parser: csv}}\nnames: [x, y]\n":                            "every names seal.bytes types.a.parser types.b types.c",
	} {
		var keys []string
		for _, d := range config.Diff(before, decode(text)) {
			keys = append(keys, d.Key)
		}
		if !slices.IsSorted(keys) || strings.Join(keys, " ") != want {
			t.Errorf("got %v, want %s", keys, want)
		}
	}
}
