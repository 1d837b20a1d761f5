package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/words"
)

// splitAddress takes a port off: 192.0.2.1:80, [2001:db8::1]:80, and AWS's
// 2001:db8::1:80 of eight groups and more. An IPv6 address keeps no brackets.
func splitAddress(v []byte) (host, port []byte) {
	host = v
	if i := bytes.LastIndexByte(v, ':'); i >= 0 && i+1 < len(v) && len(v)-i <= 6 && words.IsNumber(v[i+1:]) {
		if n := bytes.Count(v[:i], []byte(":")); n == 0 || v[i-1] == ']' || n >= 7 {
			host, port = v[:i], v[i+1:]
		}
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	return host, port
}

// request takes the line of a request apart; one that is none goes to attributes.
func (p *placed) request(r *reader, v []byte, whole bool) {
	v = bytes.TrimRight(v, " ")
	sp, last := bytes.IndexByte(v, ' '), bytes.LastIndexByte(v, ' ')
	switch {
	case string(v) == "- - -":
		return
	case sp <= 0 || !isMethod(v[:sp]):
		r.b.Attr("request", v)
		return
	case !isNull(v[:sp]):
		p.method.String(v[:sp])
	}
	target := v[sp+1:]
	if last > sp {
		if proto := v[last+1:]; bytes.HasPrefix(proto, []byte("HTTP/")) || isNull(proto) {
			target = v[sp+1 : last]
			if !isNull(proto) {
				p.protocol.String(proto)
			} else if whole {
				target = bytes.TrimSuffix(target, proto) // no path, behind the port
			}
		}
	}
	if isNull(target) {
		return
	}
	if whole {
		p.url.String(target)
		if target = pathOf(target); target == nil {
			return
		}
	}
	p.path.String(target)
}

// isMethod reports whether a request may begin with this: a word, or "-".
func isMethod(s []byte) bool {
	for _, c := range s {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// pathOf returns what follows the host of a URL; nil if there is nothing.
func pathOf(url []byte) []byte {
	if url[0] == '/' {
		return url
	}
	i := bytes.Index(url, []byte("://"))
	if i < 0 {
		return nil
	}
	rest := url[i+3:]
	if k := bytes.IndexAny(rest, "/?"); k >= 0 {
		return rest[k:]
	}
	return nil
}
