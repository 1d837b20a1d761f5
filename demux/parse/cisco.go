package parse

import "bytes"

// cisco passes over what Cisco's systems write between priority and time: a
// counter or two, each with a colon, the name of the system, and how long it is
// up. It returns the name, and how many bytes it passed over: 0 if there is no
// counter.
func cisco(s []byte) (origin []byte, n int) {
	counters := 0
	for range 4 {
		k := bytes.IndexByte(s[n:], ':')
		if k <= 0 || k > 64 || n+k+1 < len(s) && s[n+k+1] != ' ' {
			break
		}
		switch w := s[n : n+k]; {
		case isNumber(w):
			counters++
		case counters > 0 && len(origin) == 0 && bytes.IndexByte(w, ' ') < 0 && w[0] != '%' && !isUpTime(w):
			origin = w
		default:
			k = -1
		}
		if k < 0 {
			break
		}
		if n += k + 1; n < len(s) {
			n++
		}
	}
	if counters == 0 {
		return nil, 0
	}
	if k := bytes.IndexByte(s[n:], ' '); k > 1 && s[n+k-1] == ':' && isUpTime(s[n:n+k-1]) {
		n += k + 1
	}
	return origin, n
}

// isUpTime reports whether w is how long a system is up: 00:20:10, 1d04h, 2w3d.
func isUpTime(w []byte) bool {
	units := 0
	for i, c := range w {
		switch {
		case c >= '0' && c <= '9':
		case (c == ':' || c == 'y' || c == 'w' || c == 'd' || c == 'h' || c == 'm') && i > 0 && w[i-1] >= '0' && w[i-1] <= '9':
			units++
		default:
			return false
		}
	}
	return units > 0
}
