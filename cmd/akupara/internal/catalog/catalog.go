// Package catalog tells what a config may hold, from the config structs
// themselves: the options of each kind of adaptor with their defaults and
// bounds.
package catalog

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/akupara/akupara/config"
)

// Option is one key of a config.
type Option struct {
	Key      string `json:"key"`  // within lists and mappings: rules[].level, label.KEY
	Want     string `json:"want"` // what its value may be
	Default  string `json:"default"`
	Required bool   `json:"required"`
	List     bool   `json:"list"` // it takes a list of Want
}

// Common are the keys of every adaptor's entry, which the agent itself reads.
func Common() []Option {
	return []Option{
		{Key: "name", Want: "a name of letters, digits, _, . and -, at most 64", Required: true},
		{Key: "kind", Want: "one of the kinds", Required: true},
		{Key: "type", Want: "a data type, which names the table; required but for kinds that name their types themselves"},
		{Key: "persona", Want: "one of agent.personas"},
		{Key: "delivery", Want: "one of end_to_end, store_on_failure, best_effort", Default: "end_to_end"},
		{Key: "tags", Want: "a mapping of names to values, for all its records"},
		{Key: "when_full", Want: "one of block, drop_oldest; for sources that go through the agent's spool", Default: "block"},
		{Key: "keep", Want: "a rule, or a list of them: what meets none is dropped"},
		{Key: "drop", Want: "a rule, or a list of them: what meets one is dropped"},
		{Key: "sample", Want: "the share of the records that is kept"},
		{Key: "limit", Want: "bytes or records a second"},
	}
}

// Options are the keys of a config struct that holds its defaults, of those
// within it, too, in the order of its fields. cfg is a pointer to it.
func Options(cfg any) []Option {
	w := walker{}
	w.fields("", reflect.ValueOf(cfg).Elem(), 0)
	return w.out
}

const maxDepth = 4 // structs that hold themselves end somewhere

type walker struct{ out []Option }

func (w *walker) fields(prefix string, v reflect.Value, depth int) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("config")
		if !ok {
			if f.Anonymous && f.Type.Kind() == reflect.Struct {
				w.fields(prefix, v.Field(i), depth)
			}
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		w.value(Option{Key: prefix + name, Required: options == "required"}, v.Field(i), f.Tag, depth)
	}
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// value adds one option, or those within it.
func (w *walker) value(o Option, v reflect.Value, tag reflect.StructTag, depth int) {
	t := v.Type()
	if isPositioned(t) {
		w.value(o, v.FieldByName("V"), tag, depth)
		return
	}
	if t == reflect.TypeFor[config.Node]() {
		o.Want = "a value or a list, as its documentation says"
		w.out = append(w.out, o)
		return
	}
	if !reflect.PointerTo(t).Implements(textUnmarshaler) && depth < maxDepth {
		inner := t
		switch t.Kind() {
		case reflect.Pointer:
			w.value(o, reflect.New(t.Elem()).Elem(), tag, depth)
			return
		case reflect.Struct:
			w.fields(o.Key+".", v, depth+1)
			return
		case reflect.Slice:
			inner = t.Elem()
			o.List = true
			if isStruct(inner) {
				w.fields(o.Key+"[].", fresh(inner), depth+1)
				return
			}
		case reflect.Map:
			inner = t.Elem()
			if isStruct(inner) {
				w.fields(o.Key+".NAME.", fresh(inner), depth+1)
				return
			}
			o.Want = "a mapping, each value " + want(inner, tag)
			o.Default = text(v)
			w.out = append(w.out, o)
			return
		}
		if o.List {
			o.Want = "a list, each " + want(inner, tag)
		}
	}
	if o.Want == "" {
		o.Want = want(t, tag)
	}
	if !o.Required {
		o.Default = text(v)
	}
	w.out = append(w.out, o)
}

// isPositioned tells a config.Value, whose V is what is meant.
func isPositioned(t reflect.Type) bool {
	return t.PkgPath() == reflect.TypeFor[config.Node]().PkgPath() && strings.HasPrefix(t.Name(), "Value[")
}

func isStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !isPositioned(t) && t != reflect.TypeFor[config.Node]() && !reflect.PointerTo(t).Implements(textUnmarshaler)
}

// fresh is an element of a list as the config package makes it.
func fresh(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if d, ok := p.Interface().(config.Defaulter); ok {
		d.SetDefaults()
	}
	return p.Elem()
}

// want says what a value may be, as the config package's problems do.
func want(t reflect.Type, tag reflect.StructTag) string {
	if isPositioned(t) {
		f, _ := t.FieldByName("V")
		t = f.Type
	}
	s := "a value"
	if w, ok := reflect.New(t).Interface().(config.Wanter); ok {
		s = w.Want()
	} else {
		switch t.Kind() {
		case reflect.String:
			s = "text"
		case reflect.Bool:
			s = "true or false"
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			s = "a whole number"
		case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			s = "a whole number from 0 up"
		case reflect.Float32, reflect.Float64:
			s = "a number"
		}
	}
	low, high := tag.Get("min"), tag.Get("max")
	if low != "" || high != "" {
		s, _, _ = strings.Cut(s, ", such as") // the bounds show how it is written
	}
	switch {
	case tag.Get("oneof") != "":
		return "one of " + strings.ReplaceAll(tag.Get("oneof"), "|", ", ")
	case low != "" && high != "":
		return s + ", from " + low + " to " + high
	case low != "":
		return s + ", at least " + low
	case high != "":
		return s + ", at most " + high
	}
	return s
}

// text is a default as it would stand in a config, "" for what is not set.
func text(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	switch v.Kind() {
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = text(v.Index(i))
		}
		if len(parts) == 0 {
			return ""
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Map:
		if v.Len() == 0 {
			return ""
		}
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			return string(b)
		}
	}
	return fmt.Sprint(v.Interface())
}
