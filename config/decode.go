package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Validator is for checks of a struct beyond its single values: Decode calls
// it on each struct it has filled, innermost first, also when problems were
// found before; the fields concerned have their defaults then. n is the
// struct's mapping, to place problems by.
type Validator interface {
	Validate(n Node) Problems
}

// Defaulter sets the defaults of a struct that Decode itself makes: an element
// of a list or of a map, or what a pointer points to.
type Defaulter interface {
	SetDefaults()
}

// Decode fills one or several structs from one mapping: a key may belong to
// any of them, and one that belongs to none is a problem. into are pointers to
// structs that hold their defaults already; a key that is not given leaves
// them as they are. A list or map that is given replaces the default.
//
// Fields are named by their tag, config:"name" or config:"name,required"; the
// ones without a tag are left alone, but for embedded structs, whose fields
// count as the struct's own. More tags: min:"1" and max:"10GiB", in the syntax
// of the field's type, and oneof:"a|b" for text. They apply to each element of
// a list.
//
// Field types: text, booleans and numbers; the types of this package; whatever
// has UnmarshalText; structs, and pointers to, lists of, and maps by text of
// all these. A Node keeps its value for a later Decode, a Value its place.
func Decode(n Node, into ...any) Problems {
	return (&decoder{}).decode(n, into)
}

// DecodeKnown is Decode for a mapping of whose keys not all are known: it leaves
// alone those that belong to none of the structs.
func DecodeKnown(n Node, into ...any) Problems {
	return (&decoder{lenient: true}).decode(n, into)
}

func (d *decoder) decode(n Node, into []any) Problems {
	targets := make([]reflect.Value, len(into))
	for i, p := range into {
		targets[i] = reflect.ValueOf(p).Elem()
	}
	d.structs(n, targets)
	return d.problems
}

type decoder struct {
	problems Problems
	lenient  bool // about keys of the outermost mapping
	// bad are the places of values that could not be decoded: what a Validator
	// says about the default in their stead is not worth saying.
	bad map[Pos]bool
}

func (d *decoder) fail(p Problem) { d.problems = append(d.problems, p) }

func (d *decoder) failValue(n Node, format string, args ...any) {
	if d.bad == nil {
		d.bad = map[Pos]bool{}
	}
	d.bad[n.Pos()] = true
	d.fail(n.Problemf(format, args...))
}

// field is a struct's field with what its tags say.
type field struct {
	value    reflect.Value
	required bool
	limits   limits
}

type limits struct{ min, max, oneof string }

// fieldsOf collects the tagged fields of v and of the structs embedded in it.
func fieldsOf(v reflect.Value, into map[string]field) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("config")
		if !ok {
			if f.Anonymous && f.Type.Kind() == reflect.Struct {
				fieldsOf(v.Field(i), into)
			}
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if _, taken := into[name]; taken {
			panic(fmt.Sprintf("config: the key %q of %s belongs to two fields", name, t))
		}
		into[name] = field{v.Field(i), options == "required",
			limits{f.Tag.Get("min"), f.Tag.Get("max"), f.Tag.Get("oneof")}}
	}
}

func (d *decoder) structs(n Node, targets []reflect.Value) {
	if !n.isNull() && n.y.Kind != yaml.MappingNode {
		d.fail(n.Problemf("%s is not a mapping of keys to values", n.shown()))
		return
	}
	fields := map[string]field{}
	for _, t := range targets {
		fieldsOf(t, fields)
	}
	lenient := d.lenient
	d.lenient = false
	given := map[string]bool{}
	for _, kv := range n.Fields() {
		f, known := fields[kv.Key]
		if !known {
			if !lenient {
				d.fail(unknownKey(n, kv, fields))
			}
			continue
		}
		given[kv.Key] = true
		d.value(kv.Value, f.value, f.limits)
	}
	for _, name := range sortedKeys(fields) {
		if fields[name].required && !given[name] {
			d.fail(n.Problemf("key %q is missing; it is required", name))
		}
	}
	for _, t := range targets {
		if v, ok := t.Addr().Interface().(Validator); ok {
			for _, p := range v.Validate(n) {
				if !d.bad[p.Pos] {
					d.fail(p)
				}
			}
		}
	}
}

func unknownKey(n Node, kv Field, fields map[string]field) Problem {
	allowed := sortedKeys(fields)
	msg := fmt.Sprintf("key %q is not known", kv.Key)
	if n.path != "" {
		msg = n.path + ": " + msg
	}
	if v := kv.Value; !v.isNull() && v.y.Kind == yaml.ScalarNode {
		msg += " (its value is " + v.shown() + ")"
	}
	if near := Nearest(kv.Key, allowed); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	if len(allowed) == 0 {
		return kv.KeyPos.Problemf("%s; no keys are allowed here", msg)
	}
	return kv.KeyPos.Problemf("%s; allowed: %s", msg, strings.Join(allowed, ", "))
}

var (
	nodeType        = reflect.TypeFor[Node]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// positioned is implemented by *Value alone.
type positioned interface{ place(Pos) reflect.Value }

func (d *decoder) value(n Node, v reflect.Value, lim limits) {
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if p, ok := v.Addr().Interface().(positioned); ok {
		d.value(n, p.place(n.Pos()), lim)
		return
	}
	if reflect.PointerTo(v.Type()).Implements(textUnmarshaler) {
		d.text(n, v, lim)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := newElem(v.Type().Elem())
		d.value(n, p.Elem(), lim)
		v.Set(p)
	case reflect.Struct:
		d.structs(n, []reflect.Value{v})
	case reflect.Slice:
		d.list(n, v, lim)
	case reflect.Map:
		d.mapping(n, v, lim)
	default:
		d.scalar(n, v, lim)
	}
}

func newElem(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if def, ok := p.Interface().(Defaulter); ok {
		def.SetDefaults()
	}
	return p
}

func (d *decoder) list(n Node, v reflect.Value, lim limits) {
	if !n.isNull() && n.y.Kind != yaml.SequenceNode {
		d.failValue(n, "%s is not a list; want [%s, …]", n.shown(), wants(v.Type().Elem(), lim))
		return
	}
	items := n.Items()
	out := reflect.MakeSlice(v.Type(), 0, len(items))
	for _, item := range items {
		p := newElem(v.Type().Elem())
		d.value(item, p.Elem(), lim)
		out = reflect.Append(out, p.Elem())
	}
	v.Set(out)
}

func (d *decoder) mapping(n Node, v reflect.Value, lim limits) {
	if !n.isNull() && n.y.Kind != yaml.MappingNode {
		d.failValue(n, "%s is not a mapping of keys to values", n.shown())
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, kv := range n.Fields() {
		p := newElem(v.Type().Elem())
		d.value(kv.Value, p.Elem(), lim)
		out.SetMapIndex(reflect.ValueOf(kv.Key).Convert(v.Type().Key()), p.Elem())
	}
	v.Set(out)
}

func (d *decoder) text(n Node, v reflect.Value, lim limits) {
	if n.isNull() || n.y.Kind != yaml.ScalarNode {
		d.failValue(n, "%s is not %s", n.shown(), wants(v.Type(), lim))
		return
	}
	// The value is set only where all is well, so that a default stays.
	p := reflect.New(v.Type())
	if err := p.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.y.Value)); err != nil {
		d.failValue(n, "%s is not %s: %s", n.shown(), wants(v.Type(), limits{}), oneLine(err))
		return
	}
	if !lim.hold(n.y.Value, p.Elem()) {
		d.failValue(n, "%s is not allowed; want %s", n.shown(), wants(v.Type(), lim))
		return
	}
	v.Set(p.Elem())
}

func (d *decoder) scalar(n Node, v reflect.Value, lim limits) {
	bad := func() { d.failValue(n, "%s is not %s", n.shown(), wants(v.Type(), lim)) }
	if n.isNull() || n.y.Kind != yaml.ScalarNode {
		bad()
		return
	}
	p := reflect.New(v.Type())
	if v.Kind() == reflect.String {
		// A number is good as text, as in command: [sleep, 5]; true is not:
		// it is more often meant for another key.
		if n.y.ShortTag() == "!!bool" {
			d.failValue(n, "%s is not text; put it in quotes if it is meant", n.shown())
			return
		}
		p.Elem().SetString(n.y.Value)
	} else if !fits(n.y.ShortTag(), v) || n.y.Decode(p.Interface()) != nil {
		bad()
		return
	}
	if !lim.hold(n.y.Value, p.Elem()) {
		d.failValue(n, "%s is not allowed; want %s", n.shown(), wants(v.Type(), lim))
		return
	}
	v.Set(p.Elem())
}

// fits reports whether a value of that YAML type may be decoded into v: the YAML
// package would cut 3.5 to 3.
func fits(tag string, v reflect.Value) bool {
	switch {
	case v.Kind() == reflect.Bool:
		return tag == "!!bool"
	case v.CanFloat():
		return tag == "!!int" || tag == "!!float"
	}
	return tag == "!!int"
}

func sortedKeys(m map[string]field) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
