package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/schema"
)

var auditdParser = simple("auditd", "Linux' audit.log: a record a row, its fields columns, hex decoded, enriched fields named NAME_name", func() format { return newAuditd() })

// auditdFormat parses records of the Linux audit system (auditd(8), its "Audit
// Record Fields"), those of log_format ENRICHED, too:
//
//	type=SYSCALL msg=audit(1700000000.123:456): arch=c000003e success=yes exe="/bin/cat"
//	type=USER_AUTH msg=audit(1700000000.123:456): pid=1 msg='op=login acct="root" res=success'
//
// Records of one event share the column serial. Values that programs chose are
// text, in quotes or in hexadecimal digits, which are decoded; what the enriched
// part says of a field has _name behind the field's name.
type auditdFormat struct {
	*keyed
	own  typedColumns
	buf  []byte // decoded values of the record
	name []byte
	typ  []byte // the record's
}

const (
	auditType = iota
	auditSerial
	auditNode
)

func newAuditd() *auditdFormat {
	return &auditdFormat{keyed: newKeyed(), own: newTyped(textColumn("type"), longColumn("serial"), textColumn("node"))}
}

func (f *auditdFormat) begin(r *reader) {
	f.own.begin(r)
	f.keyed.begin(r)
}

func (f *auditdFormat) record(r *reader, rec []byte) {
	s := rec
	var host []byte
	if rest, ok := bytes.CutPrefix(s, []byte("node=")); ok {
		host = words.First(rest)
		s = bytes.TrimLeft(rest[len(host):], " ")
	}
	rest, ok := bytes.CutPrefix(s, []byte("type="))
	if !ok {
		r.fail(rec, fmt.Sprintf("not auditd: there is no type, at byte %d", len(rec)-len(s)))
		return
	}
	f.typ = words.First(rest)
	s = rest[len(f.typ):]
	head, ok := bytes.CutPrefix(s, []byte(" msg=audit("))
	when, fields, closed := bytes.Cut(head, []byte("):"))
	stamp, serial, parted := bytes.Cut(when, []byte(":"))
	t := times.EpochSeconds(stamp)
	if !ok || !closed || !parted || !t.OK || !words.IsNumber(serial) {
		r.fail(rec, fmt.Sprintf("not auditd: there is no msg=audit(TIME:SERIAL), at byte %d", len(rec)-len(s)))
		return
	}
	f.reset()
	f.buf = f.buf[:0]
	plain, enriched, _ := bytes.Cut(fields, []byte{0x1d})
	f.pairs(plain, "")
	f.pairs(enriched, "_name")
	r.row()
	r.setTime(t, "time", stamp)
	f.own.put(auditType, f.typ)
	f.own.put(auditSerial, serial)
	f.own.put(auditNode, host)
	for i := range f.fields {
		f.give(r, &f.fields[i])
	}
}

// pairs takes fields; those without a name, as those of AVC, are the field avc.
func (f *auditdFormat) pairs(s []byte, suffix string) {
	for {
		s = bytes.TrimLeft(s, " ,(")
		if len(s) == 0 {
			return
		}
		n := 0
		for n < len(s) && s[n] > ' ' && s[n] != '=' {
			n++
		}
		if n == len(s) || s[n] != '=' || n == 0 {
			f.words(&s, n, suffix)
			continue
		}
		key := s[:n]
		s = s[n+1:]
		s = s[f.value(key, s, suffix):]
	}
}

// words takes words that are no pair.
func (f *auditdFormat) words(s *[]byte, n int, suffix string) {
	n = max(n, 1)
	w := (*s)[:n]
	*s = (*s)[n:]
	switch string(w) {
	case "}", "'", "for", "avc:", ":", ")":
		return
	}
	key := "text"
	switch string(w) {
	case "denied", "granted":
		key = "avc"
	case "{":
		if i := bytes.IndexByte((*s)[:min(len(*s), maxBraces)], '}'); i >= 0 {
			w = bytes.TrimSpace((*s)[:i])
			*s = (*s)[i+1:]
			key = "permissions"
		}
	}
	f.take([]byte(key), suffix, w)
}

// value takes the value that s starts with, and returns its length.
func (f *auditdFormat) value(key, s []byte, suffix string) int {
	if len(s) == 0 {
		return 0
	}
	switch s[0] {
	case '"':
		end := bytes.IndexByte(s[1:], '"')
		if end < 0 {
			end = len(s) - 1
		}
		f.take(key, suffix, s[1:1+end])
		return min(len(s), end+2)
	case '\'': // fields in a field
		end := bytes.LastIndexByte(s[1:], '\'')
		if end < 0 {
			end = len(s) - 1
		}
		in := s[1 : 1+end]
		if bytes.IndexByte(in, '=') < 0 || suffix == inField {
			f.take(key, suffix, in)
		} else {
			f.pairs(in, inField)
		}
		return min(len(s), end+2)
	case '{': // SADDR={ saddr_fam=inet laddr=192.0.2.1 lport=22 }
		if end := bytes.IndexByte(s[:min(len(s), maxBraces)], '}'); end > 0 && suffix == "_name" {
			f.pairs(s[1:end], inField)
			return end + 1
		}
	}
	n := bytes.IndexByte(s, ' ')
	if n < 0 {
		n = len(s)
	}
	v := s[:n]
	if v = bytes.TrimSuffix(v, []byte(",")); bytes.IndexByte(v, '(') < 0 { // of old versions: (hostname=?, res=success)
		v = bytes.TrimSuffix(v, []byte(")"))
	}
	switch string(v) {
	case "?", "(null)", "(none)", "":
		return n
	}
	if suffix != "_name" && f.encodes(key) && len(v)%2 == 0 && words.IsHex(v) {
		v = f.decode(v)
	}
	f.take(key, suffix, v)
	return n
}

// maxBraces bounds how far off the end of braces is looked for.
const maxBraces = 1 << 10

// inField is the suffix of fields in fields: none, and no deeper ones.
const inField = "\x00"

// take adds a field. Keys of the enriched part are in capitals.
func (f *auditdFormat) take(key []byte, suffix string, v []byte) {
	f.name = append(f.name[:0], key...)
	if suffix == "_name" {
		f.name = append(bytes.ToLower(f.name), suffix...)
	}
	n := f.child(f.root, f.name, len(f.fields))
	f.add(n, kindString, v, 0)
}

// encodes reports whether a field's value may be in hexadecimal digits.
func (f *auditdFormat) encodes(key []byte) bool {
	switch string(key) {
	case "acct", "cgroup", "cmd", "comm", "cwd", "data", "dir", "exe", "file", "grp", "key", "name", "new_group",
		"ocomm", "path", "proctitle", "root_dir", "sw", "unit", "vm", "vm-ctx", "watch":
		return true
	}
	return len(key) > 1 && key[0] == 'a' && key[1] >= '0' && key[1] <= '9' && string(f.typ) == "EXECVE"
}

// decode returns what hexadecimal digits stand for. Zeros between arguments and
// what parts keys become spaces.
func (f *auditdFormat) decode(v []byte) []byte {
	from := len(f.buf)
	for i := 0; i+1 < len(v); i += 2 {
		c := byte(words.HexDigit(v[i])<<4 | words.HexDigit(v[i+1]))
		if c <= 1 {
			c = ' '
		}
		f.buf = append(f.buf, c)
	}
	return bytes.TrimRight(f.buf[from:len(f.buf):len(f.buf)], " ")
}

// give puts a field into its column.
func (f *auditdFormat) give(r *reader, d *field) {
	n := d.node
	if n.gen != f.gen {
		n.gen = f.gen
		if isAuditNumber(n.name) {
			n.col = r.b.Typed(n.name, schema.Long)
		} else {
			n.col = r.b.Column(n.name)
		}
	}
	switch {
	case n.col == nil:
		r.b.Attr(n.name, d.val)
	case isAuditNumber(n.name):
		if v, ok := wholeNumber(d.val); ok {
			n.col.Long(v)
			return
		}
		n.col.String(d.val)
	default:
		n.col.String(d.val)
	}
}

// isAuditNumber reports whether a field's values are decimal numbers.
func isAuditNumber(name string) bool {
	switch name {
	case "argc", "auid", "egid", "euid", "exit", "fd", "fp", "fsgid", "fsuid", "gid", "id", "inode", "ino", "item", "items", "oauid",
		"ogid", "old-auid", "old-ses", "opid", "oses", "ouid", "pid", "ppid", "ses", "sgid", "sig", "suid", "syscall", "uid", "lport", "capability":
		return true
	}
	return false
}
