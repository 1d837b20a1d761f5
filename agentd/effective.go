package agentd

import (
	"encoding"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"

	"github.com/akupara/akupara/config"
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

// hideSecrets returns a config's value as it may be shown: values of keys and
// options that name secrets, headers, and passwords and tokens in URLs are left
// out. Names of files stay.
func hideSecrets(v any) any {
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
			out[key] = hideSecrets(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = hideSecrets(v[i])
			if text, ok := v[max(0, i-1)].(string); ok && i > 0 && option.MatchString(text) && !fileKey.MatchString(text) {
				out[i] = hidden
			}
		}
		return out
	case string:
		return assigned.ReplaceAllString(redactURL(v), "${1}"+hidden)
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

func redactURL(s string) string { return userInfo.ReplaceAllString(s, "://"+hidden+"@") }

// effective is a config with all its defaults as plain values, under the names
// of its keys.
func effective(c *Config) map[string]any {
	out, _ := plain(reflect.ValueOf(*c)).(map[string]any)
	return out
}

// plain turns what config.Decode fills into what JSON knows.
func plain(v reflect.Value) any {
	if n, ok := v.Interface().(config.Node); ok {
		return n.Any()
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

// fingerprint is a value's canonical text, to compare it by.
func fingerprint(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // plain values always marshal
		return err.Error()
	}
	return string(text)
}
