package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

func makeSwitch(t testing.TB, name, text string) Switch {
	t.Helper()
	n, problems := config.Parse("test", []byte(text))
	sw, more := DecodeSwitch(name, n)
	if err := append(problems, more...).Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return sw
}

func pod(body string) *chunk.Chunk {
	c := data(0, body)
	c.Tags = map[string]string{"namespace": "shop", "pod": "cart-5d9c", "container": "app", "label.app": "cart", "team": "a"}
	return c
}

func TestSwitchesMeetWhatTheyName(t *testing.T) {
	const lines = "2026 DEBUG [t] com.acme.cart.Pay - a\n2026 INFO [t] com.acme.Home - b\n"
	first := `dropped[0,37)(switch s) "2026 INFO [t] com.acme.Home - b\n"`
	all, none := "dropped[0,69)(switch s)", fmt.Sprintf("%q", lines)
	for text, expected := range map[string]string{
		`namespace: shop`: all,
		`{namespace: shop, pod: "cart-*", container: app}`: all,
		`{namespace: shop, pod: "home-*"}`:                 none,
		`namespace: [other, "sh?p"]`:                       all,
		`label: {app: cart}`:                               all,
		`label: {app: cart, tier: "*"}`:                    none,
		`{adaptor: app, kind: tail, type: "*"}`:            all,
		`adaptor: other`:                                   none,
		`persona: "*"`:                                     none,
		`level: debug`:                                     first,
		`{level: info, namespace: shop}`:                   all,
		`{level: debug, namespace: other}`:                 none,
		`feature: {tag: {team: a}}`:                        all,
		`feature: {tag: {team: b}}`:                        none,
		`feature: {logger: com.acme.cart}`:                 first,
		`feature: {logger: com.acme}`:                      all,
		`feature: {logger: "*.Pay"}`:                       first,
		`feature: {logger: com.ac}`:                        none,
		`feature: {prefix: a}`:                             first,
		`feature: {prefix: "2026 DEBUG"}`:                  first,
		`{off: false, namespace: shop}`:                    none,
	} {
		e := env(nil)
		if err := e.Switches.Put(makeSwitch(t, "s", text)); err != nil {
			t.Fatal(err)
		}
		s := through(t, New(Config{}, e), pod(lines))
		if got := s.show(); got != expected {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, expected)
		}
		dropped := int64(0)
		for _, c := range s.chunks {
			if dropped += c.Dropped(c.Range()); c.Kind == chunk.Dropped {
				dropped += c.Last - c.First
			}
		}
		if v, _ := e.Switches.Get("s"); v.DroppedBytes != dropped || (v.DroppedRecords > 0) != (dropped > 0) {
			t.Errorf("%s: counted %d bytes and %d records, want %d bytes", text, v.DroppedBytes, v.DroppedRecords, dropped)
		}
	}
}

func TestSwitchesWorkAtOnceAndKeepTheirCounts(t *testing.T) {
	e := env(nil)
	f := New(Config{}, e)
	e.Switches.Configure([]Switch{makeSwitch(t, "", "{name: quiet, level: debug}")})
	at := int64(0)
	send := func(want string) {
		t.Helper()
		c := data(at, "DEBUG a\n")
		at += 8
		if got := through(t, f, c).show(); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	counted := func(bytes, records int64, origin string) {
		t.Helper()
		v, err := e.Switches.Get("quiet")
		if err != nil || v.DroppedBytes != bytes || v.DroppedRecords != records || v.Origin != origin {
			t.Errorf("%+v (%v), want %d bytes, %d records, of %s", v, err, bytes, records, origin)
		}
	}
	send("dropped")
	if err := e.Switches.Put(makeSwitch(t, "quiet", "{off: false, level: debug}")); err != nil {
		t.Fatal(err)
	}
	send(`"DEBUG`)
	counted(8, 1, "rest")
	if err := e.Switches.Remove("quiet"); err != nil {
		t.Fatal(err)
	}
	send("dropped")
	counted(16, 2, "config")
	if err := e.Switches.Remove("quiet"); !errors.Is(err, ErrSwitchInConfig) {
		t.Errorf("removing the config's: %v", err)
	}
	e.Switches.Configure(nil)
	send(`"DEBUG`)
	if err := e.Switches.Remove("quiet"); !errors.Is(err, ErrNoSwitch) || len(e.Switches.List()) != 0 {
		t.Errorf("removing one that is gone: %v, %v left", err, e.Switches.List())
	}
}

func TestSwitchesAreShownWithTheirEntries(t *testing.T) {
	s := NewSwitches()
	if err := s.Put(makeSwitch(t, "a", `{"level": "debug", "feature": {"tag": {"team": "x"}}}`)); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s.List())
	want := `[{"dropped_bytes":0,"dropped_records":0,"feature":{"tag":{"team":"x"}},"level":"debug","name":"a","off":true,"origin":"rest"}]`
	if err != nil || string(b) != want {
		t.Errorf("got  %s (%v)\nwant %s", b, err, want)
	}
}

func TestSwitchesMayChangeWhileChunksPass(t *testing.T) {
	e := env(nil)
	var wg sync.WaitGroup
	on, off := makeSwitch(t, "s", "{off: false, level: debug}"), makeSwitch(t, "s", "level: debug")
	for range 2 {
		wg.Go(func() {
			for range 300 {
				_ = e.Switches.Put(on)
				_ = e.Switches.Put(off)
				_ = e.Switches.List()
			}
		})
	}
	for i := range 2 {
		wg.Go(func() {
			f := New(Config{}, e)
			for n := range int64(300) {
				c := data(n*8, "DEBUG a\n")
				c.Stream = fmt.Sprint(i)
				through(t, f, c)
			}
		})
	}
	wg.Wait()
}

func TestBadSwitchesAreRefusedByName(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                         "names no condition",
		`{off: true}`:                "names no condition",
		`{level: loud}`:              "no level",
		`{names: x}`:                 "not known",
		`{name: other, level: info}`: "another name",
		`{namespace: ""}`:            "want a name",
		`{namespace: {a: b}}`:        "want a name",
		`{feature: checkout}`:        "feature",
		`{feature: {tags: {a: b}}}`:  "tags",
		`{off: maybe, level: info}`:  "off",
		`[1]`:                        "not a mapping",
	} {
		n, _ := config.Parse("test", []byte(text))
		_, problems := DecodeSwitch("s", n)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	n, _ := config.Parse("test", []byte("level: info"))
	if _, problems := DecodeSwitch("", n); problems.Err() == nil {
		t.Error("a switch without a name is taken")
	}
	if _, problems := DecodeSwitch("../x", n); problems.Err() == nil {
		t.Error("the name ../x is taken")
	}
	s := NewSwitches()
	for i := range MaxSwitches {
		if err := s.Put(makeSwitch(t, fmt.Sprint(i), "level: info")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(makeSwitch(t, "more", "level: info")); !errors.Is(err, ErrManySwitches) {
		t.Errorf("one more: %v, want ErrManySwitches", err)
	}
}
