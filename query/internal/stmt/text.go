package stmt

import "strings"

// Cut returns the text of the first statement: without empty statements before
// it, its semicolon, and what follows, which is empty or a second statement.
func Cut(sql string) (first, rest string) {
	for {
		start := skip(sql)
		if start < len(sql) && sql[start] == ';' {
			sql = sql[start+1:]
			continue
		}
		break
	}
	for i := 0; i < len(sql); {
		if sql[i] == ';' {
			return strings.TrimSpace(sql[:i]), sql[i+1:]
		}
		i += token(sql[i:])
	}
	return strings.TrimSpace(sql), ""
}

// Blank reports whether a text holds no statement.
func Blank(sql string) bool {
	first, rest := Cut(sql)
	return skip(first) == len(first) && rest == ""
}

// Explain splits EXPLAIN and its options off a statement; prefix is empty
// where there is none.
func Explain(sql string) (prefix, rest string) {
	i := skip(sql)
	i, ok := word(sql, i, "explain")
	if !ok {
		return "", sql
	}
	i += skip(sql[i:])
	if j, ok := word(sql, i, "analyze"); ok {
		i = j
	} else if i < len(sql) && sql[i] == '(' {
		for i < len(sql) && sql[i] != ')' {
			i += token(sql[i:])
		}
		i = min(i+1, len(sql))
	}
	return sql[:i], sql[i:]
}

func word(sql string, i int, want string) (end int, ok bool) {
	end = i
	for end < len(sql) && isWord(sql[end]) {
		end++
	}
	return end, strings.EqualFold(sql[i:end], want)
}

// skip is the length of the white space and comments that a text starts with.
func skip(sql string) int {
	i := 0
	for i < len(sql) {
		if strings.IndexByte(" \t\r\n\f\v", sql[i]) >= 0 {
			i++
			continue
		}
		n := comment(sql[i:])
		if n == 0 {
			break
		}
		i += n
	}
	return i
}

// token is the length of the token, or of the single byte of one, that a text
// starts with; what is between quotes or in a comment is one.
func token(s string) int {
	switch c := s[0]; {
	case c == '\'' || c == '"':
		return quoted(s, 1, c, false)
	case (c == 'e' || c == 'E') && len(s) > 1 && s[1] == '\'':
		return quoted(s, 2, '\'', true)
	case c == '$':
		return dollar(s)
	case isWord(c):
		n := 1
		for n < len(s) && (isWord(s[n]) || s[n] == '$') {
			n++
		}
		return n
	}
	return max(1, comment(s))
}

func quoted(s string, i int, quote byte, escapes bool) int {
	for i < len(s) {
		switch {
		case escapes && s[i] == '\\':
			i += 2
		case s[i] != quote:
			i++
		case i+1 < len(s) && s[i+1] == quote:
			i += 2
		default:
			return i + 1
		}
	}
	return len(s)
}

// dollar is the length of a text between $tag$ and $tag$.
func dollar(s string) int {
	n := 1
	for n < len(s) && isWord(s[n]) {
		n++
	}
	if n == len(s) || s[n] != '$' || n > 1 && s[1] >= '0' && s[1] <= '9' {
		return 1
	}
	tag := s[:n+1]
	if end := strings.Index(s[len(tag):], tag); end >= 0 {
		return len(tag) + end + len(tag)
	}
	return len(s)
}

func comment(s string) int {
	switch {
	case strings.HasPrefix(s, "--"):
		if n := strings.IndexByte(s, '\n'); n >= 0 {
			return n + 1
		}
		return len(s)
	case strings.HasPrefix(s, "/*"):
		// They nest, as PostgreSQL's do.
		depth, i := 0, 0
		for i < len(s) {
			switch {
			case strings.HasPrefix(s[i:], "/*"):
				depth, i = depth+1, i+2
			case strings.HasPrefix(s[i:], "*/"):
				if depth, i = depth-1, i+2; depth == 0 {
					return i
				}
			default:
				i++
			}
		}
		return len(s)
	}
	return 0
}

func isWord(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
