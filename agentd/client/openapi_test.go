package client_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/client"
	"go.yaml.in/yaml/v3"
)

type schema struct {
	Ref        string             `yaml:"$ref"`
	Type       string             `yaml:"type"`
	Enum       []string           `yaml:"enum"`
	Properties map[string]*schema `yaml:"properties"`
	Items      *schema            `yaml:"items"`
}

type document struct {
	Paths      map[string]map[string]any `yaml:"paths"`
	Components struct {
		Schemas map[string]*schema `yaml:"schemas"`
	} `yaml:"components"`
}

func openapi(t *testing.T) document {
	t.Helper()
	data, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := yaml.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheViewsHaveTheKeysOfTheAPI(t *testing.T) {
	d := openapi(t)
	for name, view := range map[string]any{
		"Adaptor": client.Adaptor{}, "Streams": client.Streams{}, "Switch": client.Switch{}, "Rewind": client.Rewind{},
		"Rewound": client.Rewound{}, "Config": client.Config{}, "Drain": client.Drain{},
	} {
		s := d.Components.Schemas[name]
		if s == nil {
			t.Errorf("the API has no schema %s", name)
			continue
		}
		d.compare(t, name, s, reflect.TypeOf(view))
	}
	states := d.Components.Schemas["Adaptor"].Properties["state"].Enum
	if got := client.States(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(states))) {
		t.Errorf("the states are %q, and the API's %q", got, states)
	}
}

// compare holds a struct's keys against a schema's, and those within.
func (d document) compare(t *testing.T, where string, s *schema, v reflect.Type) {
	if s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
	}
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice && s.Items == nil && len(s.Properties) > 0 {
		v = v.Elem()
	}
	switch {
	case s.Items != nil && v.Kind() == reflect.Slice:
		d.compare(t, where+"[]", s.Items, v.Elem())
	case len(s.Properties) > 0 && v.Kind() == reflect.Struct && v != reflect.TypeFor[time.Time]():
		got := fields(v)
		for key, p := range s.Properties {
			f, ok := got[key]
			if !ok {
				t.Errorf("%s has no field for the API's key %s", where, key)
				continue
			}
			d.compare(t, where+"."+key, p, f)
			delete(got, key)
		}
		for key := range got {
			t.Errorf("%s has the key %s, which the API has not", where, key)
		}
	}
}

func fields(v reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Anonymous {
			maps.Copy(out, fields(f.Type))
			continue
		}
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "-" {
			out[key] = f.Type
		}
	}
	return out
}

func TestEveryCallIsOneOfTheAPI(t *testing.T) {
	var got []string
	c := open(t, client.Options{Address: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, strings.ToLower(r.Method)+" "+r.URL.Path)
	})})
	ctx := t.Context()
	for _, call := range []func() ([]byte, error){
		func() ([]byte, error) { return c.Adaptors(ctx) },
		func() ([]byte, error) { return c.Adaptor(ctx, "{name}") },
		func() ([]byte, error) { return c.Add(ctx, []byte("{}")) },
		func() ([]byte, error) { return c.Update(ctx, "{name}", []byte("{}")) },
		func() ([]byte, error) { return c.Remove(ctx, "{name}") },
		func() ([]byte, error) { return c.Start(ctx, "{name}") },
		func() ([]byte, error) { return c.Stop(ctx, "{name}") },
		func() ([]byte, error) { return c.Rewind(ctx, "{name}", client.Rewind{All: true}) },
		func() ([]byte, error) { return c.Streams(ctx, client.Page{Adaptor: "a", Limit: 1, Offset: 1}) },
		func() ([]byte, error) { return c.Switches(ctx) },
		func() ([]byte, error) { return c.SetSwitch(ctx, "{name}", []byte("{}")) },
		func() ([]byte, error) { return c.RemoveSwitch(ctx, "{name}") },
		func() ([]byte, error) { return c.Reload(ctx) },
		func() ([]byte, error) { return c.Drained(ctx) },
		func() ([]byte, error) { return c.Drain(ctx, time.Second) },
		func() ([]byte, error) { return c.Resume(ctx) },
	} {
		if _, err := call(); err != nil {
			t.Error(err)
		}
	}
	if err := c.Healthy(ctx); err != nil {
		t.Error(err)
	}
	d := openapi(t)
	for _, call := range got {
		method, path, _ := strings.Cut(call, " ")
		if _, ok := d.Paths[path][method]; !ok {
			t.Errorf("the API has no %s", call)
		}
	}
	if want := 17; len(got) != want || len(slices.Compact(slices.Sorted(slices.Values(got)))) != want {
		t.Errorf("got %d calls, want %d that differ: %s", len(got), want, fmt.Sprint(got))
	}
}
