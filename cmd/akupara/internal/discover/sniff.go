package discover

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// logins are records of fixed size that login and its like keep.
var logins = []string{"wtmp", "btmp", "utmp", "lastlog", "faillog", "tallylog", "wtmpx", "btmpx"}

var packed = map[string]bool{".gz": true, ".xz": true, ".bz2": true, ".zst": true, ".lz4": true, ".zip": true, ".Z": true, ".lzma": true}

// notText says why a file with that name can't be read as text, "" if it can.
func notText(name string) string {
	base := name
	if i := strings.IndexAny(name, ".-"); i > 0 {
		base = name[:i]
	}
	switch {
	case slices.Contains(logins, base):
		return "binary records of logins"
	case strings.HasSuffix(name, ".journal") || strings.HasSuffix(name, ".journal~"):
		return "a journal of systemd, binary"
	case packed[path.Ext(name)]:
		return "compressed"
	case strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".swp") || strings.HasSuffix(name, ".tmp"):
		return "a temporary file"
	}
	return ""
}

var magics = map[string]string{
	"\x1f\x8b": "compressed", "\x28\xb5\x2f\xfd": "compressed", "\xfd7zXZ\x00": "compressed", "BZh": "compressed",
	"PK\x03\x04": "compressed", "\x04\x22\x4d\x18": "compressed", "LPKSHHRH": "a journal of systemd, binary",
	"SQLite format 3\x00": "a database", "\x7fELF": "a program", "Obj\x01": "an Avro file", "PAR1": "a Parquet file",
}

// NotText says why a file that starts like that is no text, "" if it is.
func NotText(head []byte) string {
	for magic, reason := range magics {
		if bytes.HasPrefix(head, []byte(magic)) {
			return reason
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return "binary"
	}
	// Latin-1 and its like are text, too: only many bytes that are no UTF-8
	// speak against it.
	bad := 0
	for b := head; len(b) > 0; {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && len(b) > utf8.UTFMax || n == 1 && b[0] < ' ' && !strings.ContainsRune("\t\n\r\x1b\f\b", rune(b[0])) {
			bad++
		}
		b = b[n:]
	}
	if bad*10 > len(head) {
		return "binary"
	}
	return ""
}

// rotated ends the name of a file that logrotate and its like moved away:
// .1, .12, -20260131, .2026-01-31, -20260131-1769817601.
var rotated = regexp.MustCompile(`([.-](\d{1,3}|\d{8}([.-]\d+)?|\d{4}-\d\d-\d\d([.-]\d+)?|old|\d{10}))+$`)

// Base is the name that a rotated file had before: /var/log/syslog of
// /var/log/syslog.1 and /var/log/syslog.2.gz.
func Base(name string) string {
	if packed[path.Ext(name)] {
		name = strings.TrimSuffix(name, path.Ext(name))
	}
	if base := rotated.ReplaceAllString(name, ""); path.Base(base) != "." && !strings.HasSuffix(base, "/") {
		return base
	}
	return name
}

var globSpecial = regexp.MustCompile(`[][{}*?\\]`)

// Glob matches the file and what it is called once it was rotated.
func Glob(base string) string {
	return globSpecial.ReplaceAllString(base, `\$0`) + rotations
}

// rotations matches what a name gets by rotation.
const rotations = "{,[.-][0-9]*,[.-]old}"

// Plain is the name that Glob made a pattern of.
func Plain(glob string) string {
	name := strings.TrimSuffix(glob, rotations)
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		b.WriteByte(name[i])
	}
	return b.String()
}
