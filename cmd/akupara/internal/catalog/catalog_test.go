package catalog

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/config"
)

type rule struct {
	Level string `config:"level,required" oneof:"debug|info"`
	Next  *rule  `config:"next"`
}

func (r *rule) SetDefaults() { r.Level = "info" }

type embedded struct {
	Inner int `config:"inner" min:"1" max:"9"`
}

type all struct {
	Text   string               `config:"text,required"`
	Size   config.Size          `config:"size" min:"1KiB"`
	Wait   config.Duration      `config:"wait"`
	On     bool                 `config:"on"`
	Share  float64              `config:"share" max:"1"`
	Placed config.Value[string] `config:"placed"`
	Globs  []config.Glob        `config:"globs"`
	Seal   struct {
		Bytes config.Size `config:"bytes"`
	} `config:"seal"`
	Limit *embedded           `config:"limit"`
	Tags  map[string]string   `config:"tags"`
	Odd   config.Node         `config:"odd"`
	Rules []rule              `config:"rules"`
	Named map[string]embedded `config:"named"`
	Ours  string
	embedded
}

func TestEachKeyOfAConfigIsAnOption(t *testing.T) {
	c := all{Text: "never shown", Size: 1 << 20, Wait: config.Duration(90 * time.Second), Globs: []config.Glob{"/a", "/b"}}
	c.Inner = 3
	c.Placed.V = "here"
	c.Seal.Bytes = 128 << 20
	want := []string{
		`text  required=true list=false: text`,
		`size 1MiB required=false list=false: a size, at least 1KiB`,
		`wait 1m30s required=false list=false: a duration, such as 200ms, 60s, 1h30m or 7d`,
		`on false required=false list=false: true or false`,
		`share  required=false list=false: a number, at most 1`,
		`placed here required=false list=false: text`,
		`globs [/a, /b] required=false list=true: a list, each a path pattern, such as /var/log/**/*.log`,
		`seal.bytes 128MiB required=false list=false: a size, such as 64KiB, 128MiB, 10GB or a plain number of bytes`,
		`limit.inner  required=false list=false: a whole number, from 1 to 9`,
		`tags  required=false list=false: a mapping, each value text`,
		`odd  required=false list=false: a value or a list, as its documentation says`,
		`rules[].level  required=true list=false: one of debug, info`,
		`rules[].next.level  required=true list=false: one of debug, info`,
	}
	var got []string
	for _, o := range Options(&c) {
		got = append(got, fmt.Sprintf("%s %s required=%t list=%t: %s", o.Key, o.Default, o.Required, o.List, o.Want))
	}
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			t.Errorf("option %d:\ngot  %v\nwant %s", i, got[min(i, len(got)-1)], w)
		}
	}
	for _, w := range []string{
		`named.NAME.inner  required=false list=false: a whole number, from 1 to 9`,
		`inner 3 required=false list=false: a whole number, from 1 to 9`,
	} {
		if !slices.Contains(got, w) {
			t.Errorf("got %q, want %q in it", got, w)
		}
	}
}

func TestTheCommonKeysAreThoseThatTheAgentReads(t *testing.T) {
	var got []string
	for _, o := range Common() {
		got = append(got, o.Key)
	}
	if want := adaptors.CommonKeys(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheExampleIsTheFirstYAMLBlockOfAREADME(t *testing.T) {
	docs := fstest.MapFS{"httppoll/README.md": {Data: []byte("# x\n```yaml\n- name: a\n```\n```yaml\n- name: b\n```\n")}}
	if got := Example(Readme(docs, "http_poll")); got != "- name: a\n" {
		t.Errorf("got %q, want the first block", got)
	}
	if got := Readme(docs, "tail"); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	if got := Example("no block\n```yaml\nnot closed"); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}
