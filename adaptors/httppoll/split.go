package httppoll

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"

	"github.com/akupara/akupara/adaptors/internal/fetch"
)

// encodingOf is the encoding of an answer's text as its Content-Type has it,
// empty for UTF-8 (RFC 9110, section 8.3.2). UTF-16 that does not say which of
// its bytes comes first has a byte order mark, or is big-endian (RFC 2781,
// section 4.3).
func encodingOf(a *fetch.Answer) string {
	_, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	switch name := strings.ToUpper(params["charset"]); {
	case name == "UTF-8" || name == "UTF8" || name == "US-ASCII":
		return ""
	case name == "UTF-16" && bytes.HasPrefix(a.Body, []byte{0xff, 0xfe}):
		return "UTF-16LE"
	case name == "UTF-16":
		return "UTF-16BE"
	case len(name) > 40 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:.+()") != "":
		return "" // the name of none
	default:
		return name
	}
}

// elements returns the elements of the array that an answer holds, each on a line
// of its own: as they are, but for the blanks between their parts. keys, with
// dots between, lead to the array from the answer's object; empty: the answer
// is the array.
func elements(body []byte, keys string) ([]byte, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	array := json.RawMessage(body)
	at := "the answer"
	for keys != "" {
		var key string
		key, keys, _ = strings.Cut(keys, ".")
		var object map[string]json.RawMessage
		if err := json.Unmarshal(array, &object); err != nil {
			return nil, fmt.Errorf("%s is no JSON object with the key %q: %w", at, key, jsonError(err))
		}
		next, found := object[key]
		if !found {
			return nil, fmt.Errorf("%s has no key %q", at, key)
		}
		array, at = next, fmt.Sprintf("what %q holds", key)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(array, &list); err != nil {
		return nil, fmt.Errorf("%s is no JSON array: %w", at, jsonError(err))
	}
	var out bytes.Buffer
	out.Grow(len(array) + len(list))
	for _, e := range list {
		if err := json.Compact(&out, e); err != nil {
			return nil, fmt.Errorf("compact an element: %w", err)
		}
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// jsonError is an error of the JSON decoder without the types of ours.
func jsonError(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return fmt.Errorf("it is a JSON %s", typ.Value)
	}
	return err
}
