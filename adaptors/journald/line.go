package journald

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// cutKey is the field that says which fields were cut, and how many bytes they
// had.
const cutKey = "__CUT"

// line writes the entry: keys sorted, and of several values the values, too.
func (p *parser) line() []byte {
	items := slices.Clone(p.items)
	cut := field{key: cutKey}
	for _, f := range items {
		size := 0
		for _, v := range f.values {
			if v.size > len(v.kept) {
				size = max(size, v.size)
			}
		}
		if size > 0 {
			cut.values = append(cut.values, value{form: literal, kept: fmt.Appendf(appendText(nil, []byte(f.key)), ":%d", size)})
		}
	}
	if len(cut.values) > 0 {
		slices.SortFunc(cut.values, func(a, b value) int { return bytes.Compare(a.kept, b.kept) })
		items = append(items, cut)
	}
	slices.SortStableFunc(items, func(a, b field) int { return strings.Compare(a.key, b.key) })
	out := []byte{'{'}
	for i, f := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, []byte(f.key)), ':')
		out = f.append(out)
	}
	return append(out, '}', '\n')
}

func (f *field) append(out []byte) []byte {
	if f.key == cutKey {
		out = append(out, '{')
		for i, v := range f.values {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, v.kept...)
		}
		return append(out, '}')
	}
	if !f.many {
		return f.values[0].append(out)
	}
	texts := make([][]byte, len(f.values))
	for i := range f.values {
		texts[i] = f.values[i].append(nil)
	}
	slices.SortFunc(texts, bytes.Compare)
	return append(append(append(out, '['), bytes.Join(texts, []byte{','})...), ']')
}

func (v *value) append(out []byte) []byte {
	switch v.form {
	case literal:
		return append(out, v.kept...)
	case binary:
		out = append(out, '[')
		for i, b := range v.kept {
			if i > 0 {
				out = append(out, ',')
			}
			out = strconv.AppendUint(out, uint64(b), 10)
		}
		return append(out, ']')
	}
	kept := v.kept
	if v.size > len(kept) { // not within a character
		for i := 1; i < utf8.UTFMax && i <= len(kept); i++ {
			if c := kept[len(kept)-i]; utf8.RuneStart(c) {
				if !utf8.FullRune(kept[len(kept)-i:]) {
					kept = kept[:len(kept)-i]
				}
				break
			}
		}
	}
	return appendText(out, kept)
}

// appendText writes a string in the one form that it has here, whatever the
// library's escapes are.
func appendText(out, s []byte) []byte {
	const digits = "0123456789abcdef"
	out = append(out, '"')
	for _, c := range bytes.ToValidUTF8(s, []byte("\ufffd")) {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c == '\t':
			out = append(out, '\\', 't')
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
