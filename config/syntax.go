package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// maxPattern bounds regexes and globs, in bytes.
const maxPattern = 4096

// Regexp is a regular expression in Go's syntax (RE2). The zero value is none.
type Regexp struct{ *regexp.Regexp }

// Want implements Wanter.
func (Regexp) Want() string { return "a regular expression in Go's syntax (RE2)" }

// MarshalText implements encoding.TextMarshaler.
func (r Regexp) MarshalText() ([]byte, error) {
	if r.Regexp == nil {
		return nil, nil
	}
	return []byte(r.Regexp.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Regexp) UnmarshalText(text []byte) error {
	re, err := CompileRegexp(string(text))
	if err != nil {
		return err
	}
	r.Regexp = re
	return nil
}

// Glob is a path pattern: * and ? stay within a folder, ** matches any number
// of folders, also none; [a-z] and {a,b} are known.
type Glob string

// Want implements Wanter.
func (Glob) Want() string { return "a path pattern, such as /var/log/**/*.log" }

// Match reports whether the whole path matches.
func (g Glob) Match(path string) bool { return doublestar.MatchUnvalidated(string(g), path) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *Glob) UnmarshalText(text []byte) error {
	switch s := string(text); {
	case s == "":
		return fmt.Errorf("it is empty")
	case len(s) > maxPattern:
		return fmt.Errorf("it has %d bytes; at most %d are allowed", len(s), maxPattern)
	case alternatives(s) > maxAlternatives:
		return fmt.Errorf("its braces stand for more than %d patterns", maxAlternatives)
	case !doublestar.ValidatePattern(s):
		return fmt.Errorf("its [, {, or \\ is not closed; known are *, **, ?, [a-z], {a,b} and \\")
	default:
		*g = Glob(s)
		return nil
	}
}

// maxAlternatives bounds the patterns that one with braces stands for: each is
// looked for, and matching tries them all.
const maxAlternatives = 1000

// alternatives counts the patterns that a pattern with braces stands for, up to
// one more than are allowed.
func alternatives(s string) int {
	type group struct{ before, sum int } // patterns before the brace; those of its alternatives so far
	var open []group
	count := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			open = append(open, group{before: count})
			count = 1
		case ',':
			if len(open) > 0 {
				open[len(open)-1].sum += count
				count = 1
			}
		case '}':
			if n := len(open); n > 0 {
				count = open[n-1].before * (open[n-1].sum + count)
				open = open[:n-1]
			}
		}
		if count = min(count, maxAlternatives+1); len(open) > 0 {
			open[len(open)-1].sum = min(open[len(open)-1].sum, maxAlternatives+1)
		}
	}
	return count
}

// Addr is where a server listens: host:port, or unix:/path of a socket. Port
// 0 takes any free one.
type Addr string

// Want implements Wanter.
func (Addr) Want() string { return "an address, such as 127.0.0.1:9770 or unix:/run/akupara.sock" }

// Split returns what net.Listen takes: "tcp" or "unix", and the address.
func (a Addr) Split() (network, address string) {
	if path, ok := strings.CutPrefix(string(a), "unix:"); ok {
		return "unix", path
	}
	return "tcp", string(a)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Addr) UnmarshalText(text []byte) error {
	s := string(text)
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if !strings.HasPrefix(path, "/") || len(path) > 107 {
			return fmt.Errorf("the socket's path must start with / and have at most 107 bytes")
		}
		*a = Addr(s)
		return nil
	}
	if err := checkHostPort(s); err != nil {
		return err
	}
	*a = Addr(s)
	return nil
}

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("it has no port, or brackets are missing around an IPv6 address")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("the port %q is no number from 0 to 65535", port)
	} else if strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("the port %q is not written plainly", port)
	}
	if strings.ContainsAny(host, "/ \t@?#") {
		return fmt.Errorf("the host %q has characters that no host has", host)
	}
	return nil
}

// URL is the address of a daemon: http or https, host and port.
type URL struct{ *url.URL }

// Want implements Wanter.
func (URL) Want() string { return "a URL, such as http://127.0.0.1:9770" }

// MarshalText implements encoding.TextMarshaler.
func (u URL) MarshalText() ([]byte, error) {
	if u.URL == nil {
		return nil, nil
	}
	return []byte(u.URL.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *URL) UnmarshalText(text []byte) error {
	v, err := url.Parse(string(text))
	switch {
	case err != nil:
		if cause := new(url.Error); errors.As(err, &cause) {
			err = cause.Err
		}
		return err
	case v.Scheme != "http" && v.Scheme != "https":
		return fmt.Errorf("its scheme is %q; allowed: http, https", v.Scheme)
	case v.Hostname() == "":
		return fmt.Errorf("it has no host")
	case v.RawQuery != "" || v.Fragment != "":
		return fmt.Errorf("it must not have a query or a fragment")
	}
	v.Path = strings.TrimSuffix(v.Path, "/")
	u.URL = v
	return nil
}
