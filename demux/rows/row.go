package rows

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Level is a row's level; the zero value is null.
type Level uint8

// The levels that the table knows, ascending.
const (
	NoLevel Level = iota
	Trace
	Debug
	Info
	Warn
	Error
	Fatal
)

var levelNames = [...]string{"", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}

func (l Level) String() string { return levelNames[l] }

// Origin tells where the rows that follow come from.
func (b *Builder) Origin(host, source, stream string, tags map[string]string) {
	r := run{firstRow: b.Len()}
	r.host, r.source, r.stream = b.origin(host), b.origin(source), b.origin(stream)
	for k, v := range tags {
		r.tags = append(r.tags, tag{
			b.tagKeys.intern(b.mem, Escape(nil, []byte(k))),
			b.tagVals.intern(b.mem, Escape(nil, []byte(v))),
		})
	}
	slices.SortFunc(r.tags, func(x, y tag) int {
		return bytes.Compare(b.tagKeys.get(int(x.key)), b.tagKeys.get(int(y.key)))
	})
	b.begin(r)
}

// begin begins a run of rows and returns its number; one of the same origin goes on.
func (b *Builder) begin(r run) int {
	if n := len(b.runs); n > 0 && len(r.tags) == 0 {
		p := &b.runs[n-1]
		if p.host == r.host && p.source == r.source && p.stream == r.stream && len(p.tags) == 0 {
			return n - 1
		}
	}
	b.runs = append(b.runs, r)
	return len(b.runs) - 1
}

func (b *Builder) origin(v string) uint32 {
	return b.origins.intern(b.mem, Escape(nil, []byte(v)))
}

// Row begins a row: ts in microseconds, seq the offset in the stream. Every
// value goes to the row begun last. Origin comes before the first.
func (b *Builder) Row(ts, seq int64) {
	if b.stepping != nil && b.stepRow(ts) {
		return
	}
	if len(b.faults) > 0 {
		b.flushFaults()
	}
	b.n++
	b.ts.add(b.mem, &b.mem.longs, ts)
	b.seq.add(b.mem, &b.mem.longs, seq)
	b.level.add(b.mem, &b.mem.levels, NoLevel)
	if b.stepping != nil {
		b.stepping.Begin(b)
	}
}

// SetTS sets the current row's time, in microseconds.
func (b *Builder) SetTS(ts int64) {
	if b.stepping != nil && b.partTS(ts) {
		return
	}
	b.ts.set(b.Len()-1, ts)
}

// SetLevel sets the current row's level.
func (b *Builder) SetLevel(l Level) {
	if b.stepping != nil && b.partLevel(l) {
		return
	}
	b.level.set(b.Len()-1, l)
}

// TS returns the current row's time, in microseconds.
func (b *Builder) TS() int64 { return b.ts.at(b.Len() - 1) }

// Level returns the current row's level.
func (b *Builder) Level() Level { return b.level.at(b.Len() - 1) }

// Message sets the current row's message.
func (b *Builder) Message(v []byte) {
	if b.stepping != nil {
		b.steppedMessage(v)
		return
	}
	b.message.String(v)
}

// MessageASCII is Message of what is known to be ASCII.
func (b *Builder) MessageASCII(v []byte) {
	if b.stepping != nil {
		b.steppedMessage(v)
		return
	}
	b.message.ASCII(v)
}

// Fail sets the current row's parse_error; a second one is added to the first.
func (b *Builder) Fail(why string) {
	if b.stepping == nil || !b.stepping.fails(why) {
		b.fault(why)
	}
}

func (b *Builder) fault(why string) {
	if len(b.faults) > 0 {
		b.faults = append(b.faults, "; "...)
	}
	b.faults = Escape(b.faults, []byte(why)) // a key's name may stand in it
}

// Attr puts a pair into the current row's attributes. A key that the row has
// already gets a number: nothing is dropped.
func (b *Builder) Attr(key string, v []byte) {
	if b.stepping != nil {
		b.steppedAttr(key, v)
		return
	}
	b.attribute(key, v)
}

// attribute is Attr of what goes through no steps, or has gone.
func (b *Builder) attribute(key string, v []byte) { b.attr(key, b.clean(key, v)) }

func (b *Builder) attr(key string, v []byte) {
	k := append(b.key[:0], key...)
	if !utf8.Valid(k) {
		k = Escape(nil, k)
	}
	b.pair(b.Len()-1, k, v)
}

// pair adds a pair to a row's attributes. k is the Builder's scratch.
func (b *Builder) pair(row int, k, v []byte) {
	k = b.rowKeys.add(&b.attrs, row, k)
	b.key = k
	a := &b.attrs
	a.rows.add(b.mem, &b.mem.ids, uint32(row))
	a.keys.add(b.mem, k)
	a.vals.add(b.mem, v)
}

// rowKeys finds a free key for each pair of one row: by a look at all of them
// while they are few, by a set when they are many.
type rowKeys struct {
	row   int            // whose keys these are
	first int            // its first pair in attributes
	next  map[string]int // of each key, the least number that may be free; nil while they are few
}

const fewKeys = 16

// add returns key, with a number behind it if the row has it already.
func (r *rowKeys) add(a *attributes, row int, key []byte) []byte {
	end := a.rows.len()
	if r.row != row || end < r.first || end == 0 {
		*r = rowKeys{row: row, first: end}
	}
	if r.next == nil && end-r.first >= fewKeys {
		r.next = make(map[string]int, 4*fewKeys)
		for i := r.first; i < end; i++ {
			r.next[string(a.keys.get(a.keys.entry(i)))] = 2
		}
	}
	n := len(key)
	i, taken := r.number(a, end, key)
	if taken {
		for repeated := true; repeated; i++ {
			key = strconv.AppendInt(append(key[:n], '#'), int64(i), 10)
			_, repeated = r.number(a, end, key)
		}
	}
	if r.next != nil {
		if taken {
			r.next[string(key[:n])] = i
		}
		r.next[string(key)] = 2
	}
	return key
}

// number reports whether the row has the key, and from which number on one may be
// free then.
func (r *rowKeys) number(a *attributes, end int, key []byte) (n int, taken bool) {
	if r.next != nil {
		n, taken = r.next[string(key)]
		return n, taken
	}
	for i := end - 1; i >= r.first; i-- {
		if string(a.keys.get(a.keys.entry(i))) == string(key) {
			return 2, true
		}
	}
	return 0, false
}

// clean makes v valid UTF-8, and says so in parse_error where it was not.
func (b *Builder) clean(name string, v []byte) []byte {
	if utf8.Valid(v) {
		return v
	}
	if len(b.faults) < 1<<10 {
		b.fault(string(Escape(nil, []byte(name))) + ` is not UTF-8: its bytes that are none stand as \xNN, its backslashes doubled`)
	}
	b.clean1 = Escape(b.clean1[:0], v)
	return b.clean1
}

// Escape appends v as UTF-8. Where v is none, each byte that is not part of a
// character becomes \xNN and each backslash two, so that v can be had back.
func Escape(dst, v []byte) []byte {
	if utf8.Valid(v) {
		return append(dst, v...)
	}
	const hex = "0123456789abcdef"
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, '\\', 'x', hex[v[0]>>4], hex[v[0]&15])
		case r == '\\':
			dst = append(dst, '\\', '\\')
		default:
			dst = append(dst, v[:n]...)
		}
		v = v[n:]
	}
	return dst
}

// flushFaults ends the current row's parse_error.
func (b *Builder) flushFaults() {
	v := b.faults
	b.faults = b.faults[:0]
	if b.stepping != nil {
		v = b.stepping.Fault(v)
	}
	b.parseError.String(v)
}
