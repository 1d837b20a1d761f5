package config

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// hidden stands where a secret is.
const hidden = "(hidden)"

var (
	secretKey = regexp.MustCompile(`(?i)(passw|passphrase|secret|token|api[_-]?key|private[_-]?key|authorization|cookie|credential)`)
	fileKey   = regexp.MustCompile(`(?i)(_|-)?file$`)
	userInfo  = regexp.MustCompile(`://[^/?#\s]*@`)
	// A secret in a URL's query or a program's argument: token=…, --password=….
	assigned = regexp.MustCompile(`(?i)((?:passw|passphrase|secret|token|api[_-]?key|private[_-]?key|credential)[a-z0-9_-]*=)[^&\s]+`)
	// A program's option whose value is the next argument: --password ….
	option = regexp.MustCompile(`(?i)^--?[a-z0-9_-]*(passw|passphrase|secret|token|api[_-]?key|private[_-]?key|credential)[a-z0-9_-]*$`)
)

// headers is the key of a mapping whose values are all hidden: which of a
// request's headers are secret is not known.
const headers = "headers"

// HideSecrets returns a config's value as it may be shown: values of keys and
// options that name secrets, headers, and passwords and tokens in URLs are left
// out. Names of files stay.
func HideSecrets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			_, isText := value.(string)
			_, isList := value.([]any)
			_, isMap := value.(map[string]any)
			if secretKey.MatchString(key) && !fileKey.MatchString(key) && (isText && value != "" || isList || isMap) {
				out[key] = hidden
				continue
			}
			if m, ok := value.(map[string]any); ok && key == headers {
				out[key] = hideAll(m)
				continue
			}
			out[key] = HideSecrets(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = HideSecrets(v[i])
			if text, ok := v[max(0, i-1)].(string); ok && i > 0 && option.MatchString(text) && !fileKey.MatchString(text) {
				out[i] = hidden
			}
		}
		return out
	case string:
		return assigned.ReplaceAllString(RedactURL(v), "${1}"+hidden)
	}
	return v
}

func hideAll(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for key := range m {
		out[key] = hidden
	}
	return out
}

// RedactURL returns a text with the users and passwords of its URLs left out.
func RedactURL(s string) string { return userInfo.ReplaceAllString(s, "://"+hidden+"@") }

// Effective returns a daemon's config with all its defaults as plain values,
// under the names of its keys. c is a struct that Decode filled, or a pointer to
// one.
func Effective(c any) map[string]any {
	v := reflect.ValueOf(c)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	out, _ := plain(v).(map[string]any)
	return out
}

// Difference is a key of which two configs have different values; it is the
// key's path below the configs, with dots.
type Difference struct {
	Key    string
	Before any // as Effective has it; nil where there is none
}

// Diff returns the keys in which two values of Effective differ, each as deep as
// there are mappings on both sides.
func Diff(before, after map[string]any) []Difference {
	var out []Difference
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		was, is := before[key], after[key]
		inner, ok := was.(map[string]any)
		other, both := is.(map[string]any)
		if ok && both {
			for _, d := range Diff(inner, other) {
				out = append(out, Difference{key + "." + d.Key, d.Before})
			}
			continue
		}
		if Fingerprint(was) != Fingerprint(is) {
			out = append(out, Difference{key, was})
		}
	}
	return out
}

// Show writes a value of Effective for people, without its secrets.
func Show(v any) string { return Fingerprint(HideSecrets(v)) }

// wrapper is a Value, which is shown as what it holds.
type wrapper interface{ wrapped() any }

func (v Value[T]) wrapped() any { return v.V }

// plain turns what Decode fills into what JSON knows.
func plain(v reflect.Value) any {
	if n, ok := v.Interface().(Node); ok {
		return n.Any()
	}
	if i, ok := v.Interface().(wrapper); ok {
		return plain(reflect.ValueOf(i.wrapped()))
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plain(v.Index(i))
		}
		return out
	case reflect.Map:
		out := make(map[string]any, v.Len())
		for _, key := range v.MapKeys() {
			out[key.String()] = plain(v.MapIndex(key))
		}
		return out
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			if tag, ok := v.Type().Field(i).Tag.Lookup("config"); ok {
				name, _, _ := strings.Cut(tag, ",")
				out[name] = plain(v.Field(i))
			}
		}
		return out
	}
	return v.Interface()
}

// Fingerprint returns a value's canonical text, to compare it by.
func Fingerprint(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // plain values always marshal
		return err.Error()
	}
	return string(text)
}
