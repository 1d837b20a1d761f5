package jolokia

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/adaptors/internal/procfs"
	"github.com/akupara/akupara/chunk"
)

// request is a read request (Jolokia's reference manual, "Reading attributes
// (read)").
type request struct {
	Type      string            `json:"type"`
	MBean     string            `json:"mbean"`
	Attribute any               `json:"attribute,omitempty"` // a name, or a list of them
	Path      string            `json:"path,omitempty"`
	Config    map[string]string `json:"config"`
}

func (c *Config) requests() []request {
	options := map[string]string{
		// Else one attribute that can't be read hides all the others.
		"ignoreErrors":      "true",
		"includeStackTrace": "false",
		"maxDepth":          strconv.Itoa(c.MaxDepth),
		"maxCollectionSize": strconv.Itoa(c.MaxCollection),
	}
	out := make([]request, len(c.MBeans))
	for i, m := range c.MBeans {
		out[i] = request{Type: "read", MBean: m.Name, Config: options}
		switch {
		case m.Path != "":
			out[i].Attribute, out[i].Path = m.Attributes[0], m.Path
		case len(m.Attributes) > 0:
			out[i].Attribute = m.Attributes
		}
	}
	return out
}

// response is what Jolokia answers to one request.
type response struct {
	Status  int             `json:"status"`
	Value   json.RawMessage `json:"value"`
	Error   string          `json:"error"`
	Request struct {
		MBean string `json:"mbean"`
	} `json:"request"`
}

// refusal is Jolokia's answer to a bulk request that is wrong as a whole: one
// name that is none is enough.
type refusal struct {
	status int
	why    string
}

func (e *refusal) Error() string { return fmt.Sprintf("Jolokia says status %d: %s", e.status, e.why) }

// decode reads the answer to n requests.
func decode(body []byte, n int) ([]response, error) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		var r response
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("what it answers is not as Jolokia's protocol has it: %w", err)
		}
		if r.Status == 0 {
			return nil, fmt.Errorf("what it answers is not Jolokia's: there is no status")
		}
		return nil, &refusal{r.Status, shorten(r.Error)}
	}
	var list []response
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("what it answers is not Jolokia's: %w", err)
	}
	if len(list) != n {
		return nil, fmt.Errorf("it answers %d requests, %d were made", len(list), n)
	}
	return list, nil
}

func shorten(s string) string { return procfs.Text([]byte(s), 512) }

// records appends a line for each MBean that a response is about. failed is
// what is wrong with it, for people.
func records(dst []byte, ts string, m *MBean, r *response) (out []byte, failed string) {
	name := r.Request.MBean
	if name == "" {
		name = m.Name
	}
	fail := func(status int, why string) ([]byte, string) {
		why = shorten(why)
		return appendRecord(dst, ts, name, map[string]json.RawMessage{"status": json.RawMessage(strconv.Itoa(status))}, why), why
	}
	if r.Status != 200 {
		return fail(r.Status, r.Error)
	}
	if m.Path != "" {
		value := r.Value
		if len(value) == 0 {
			value = json.RawMessage("null")
		}
		if text, wrong := trouble(value); wrong {
			return fail(r.Status, m.Attributes[0]+": "+text)
		}
		keys := append([]string{m.Attributes[0]}, strings.Split(strings.Trim(m.Path, "/"), "/")...)
		return appendSet(dst, ts, name, map[string]json.RawMessage{keys[0]: nest(keys[1:], value)})
	}
	if !m.pattern() {
		var set map[string]json.RawMessage
		if err := json.Unmarshal(r.Value, &set); err != nil {
			return fail(r.Status, "its attributes are no JSON object")
		}
		return appendSet(dst, ts, name, set)
	}
	var sets map[string]map[string]json.RawMessage
	if err := json.Unmarshal(r.Value, &sets); err != nil {
		return fail(r.Status, "what matches is no JSON object of MBeans")
	}
	for _, one := range slices.Sorted(maps.Keys(sets)) {
		var why string
		if dst, why = appendSet(dst, ts, one, sets[one]); why != "" {
			failed = why
		}
	}
	return dst, failed
}

// nest puts a value into objects of one key each.
func nest(keys []string, value json.RawMessage) json.RawMessage {
	for _, k := range slices.Backward(keys) {
		value = slices.Concat(json.RawMessage("{"), quote(k), json.RawMessage(":"), value, json.RawMessage("}"))
	}
	return value
}

// trouble tells what is wrong with an attribute that could not be read:
// Jolokia gives a text in its stead. As a value it would make a column of
// numbers one of texts.
func trouble(value json.RawMessage) (why string, wrong bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return "", false
	}
	if why, wrong = strings.CutPrefix(text, "ERROR: "); wrong {
		return why, true
	}
	return text, text == "Unsupported"
}

// maxError is how many bytes of errors a record holds.
const maxError = 2048

// appendSet appends the record of one MBean's attributes.
func appendSet(dst []byte, ts, name string, set map[string]json.RawMessage) (out []byte, failed string) {
	var wrong []string
	for _, a := range slices.Sorted(maps.Keys(set)) {
		if why, is := trouble(set[a]); is {
			wrong = append(wrong, a+": "+why)
			delete(set, a)
		}
	}
	failed = procfs.Text([]byte(strings.Join(wrong, "; ")), maxError)
	at := len(dst)
	dst = appendRecord(dst, ts, name, set, failed)
	if n := len(dst) - at; n > chunk.MaxBody {
		failed = fmt.Sprintf("its attributes have %d bytes, at most %d are allowed; name some of them", n, chunk.MaxBody)
		dst = appendRecord(dst[:at], ts, name, nil, failed)
	}
	return dst, failed
}

// appendRecord appends a JSON object on a line of its own: ts, mbean, the
// attributes by name, and what is wrong. An attribute that is named as one of
// these has an underscore behind.
func appendRecord(dst []byte, ts, name string, set map[string]json.RawMessage, wrong string) []byte {
	dst = append(dst, `{"ts":"`...)
	dst = append(dst, ts...)
	dst = append(dst, `","mbean":`...)
	dst = append(dst, quote(name)...)
	for _, a := range slices.Sorted(maps.Keys(set)) {
		key := a
		if a == "ts" || a == "mbean" || a == "error" {
			key += "_"
		}
		dst = append(dst, ',')
		dst = append(dst, quote(key)...)
		dst = append(dst, ':')
		compact := bytes.NewBuffer(dst)
		if err := json.Compact(compact, set[a]); err != nil {
			dst = append(dst, "null"...) // it was decoded before: it is JSON
			continue
		}
		dst = compact.Bytes()
	}
	if wrong != "" {
		dst = append(dst, `,"error":`...)
		dst = append(dst, quote(wrong)...)
	}
	return append(dst, "}\n"...)
}

func quote(s string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a text can always be encoded
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
