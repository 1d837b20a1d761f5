package steps

import "strings"

// names are folded names of columns, each parted at its stars: a star stands for any
// text. A name stands for all keys that are nested below it, too.
type names [][]string

// has reports whether a folded name is one of them.
func (n names) has(name string) bool {
	for _, parts := range n {
		for end := len(name); end > 0; end = strings.LastIndexByte(name[:end], '.') {
			if like(name[:end], parts) {
				return true
			}
		}
	}
	return false
}

func like(name string, parts []string) bool {
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	last := len(parts) - 1
	for _, p := range parts[1:last] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, parts[last])
}

// exact are the names without stars.
func (n names) exact() (out []string) {
	for _, parts := range n {
		if len(parts) == 1 {
			out = append(out, parts[0])
		}
	}
	return out
}
