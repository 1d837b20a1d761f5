package syslog

import "bytes"

// structured returns the length of the structured data at the start of s.
func structured(s []byte) (n int, ok bool) {
	if len(s) > 0 && s[0] == '-' {
		return 1, len(s) == 1 || s[1] == ' '
	}
	if n = checkPoint(s); n > 0 {
		return n, true
	}
	for n < len(s) && s[n] == '[' {
		quoted, named := false, false // within a value, behind the id
		for n++; ; n++ {
			if n >= len(s) {
				return 0, false
			}
			if c := s[n]; c == '\\' && quoted {
				n++
			} else if c == '"' {
				if !quoted && s[n-1] != '=' {
					return 0, false
				}
				quoted = !quoted
			} else if c == '=' && !quoted && !named {
				return 0, false
			} else if c == ' ' {
				named = true
			} else if c == ']' && !quoted {
				n++
				break
			}
		}
	}
	return n, n > 0 && (n == len(s) || s[n] == ' ')
}

// checkPoint returns the length of what Check Point writes in place of structured
// data, [name:"value"; name:"value"; ], at the start of s; 0 if there is none.
func checkPoint(s []byte) int {
	if len(s) < 5 || s[0] != '[' {
		return 0
	}
	for n, pairs := 1, 0; ; pairs++ {
		for n < len(s) && s[n] == ' ' {
			n++
		}
		if n < len(s) && s[n] == ']' && pairs > 0 {
			if n++; n < len(s) && s[n] != ' ' {
				return 0
			}
			return n
		}
		k := bytes.IndexAny(s[n:], ` :;="]`)
		if k <= 0 || !bytes.HasPrefix(s[n+k:], []byte(`:"`)) {
			return 0
		}
		for n += k + 2; n < len(s) && s[n] != '"'; n++ {
			if s[n] == '\\' {
				n++
			}
		}
		if n++; n < len(s) && s[n] == ';' {
			n++
		}
		if n >= len(s) {
			return 0
		}
	}
}
