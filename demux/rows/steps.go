package rows

import (
	"time"

	"github.com/akupara/akupara/demux/schema"
)

// Steps change what a parser gives a Builder before it keeps anything of it. Each is
// used by one parser.
type Steps interface {
	// Path says what becomes of the values of a key, of the message under its name.
	Path(key string) *Path
	// Fault changes what parse_error says.
	Fault(why []byte) []byte
	// Begin is called when a row was begun, and End when it has all its values:
	// both may give it more.
	Begin(b *Builder)
	End(b *Builder)
}

// Path is what becomes of the values of a key.
type Path struct {
	// Key is that of the column, and in attributes; schema.Message is the row's message.
	Key string
	// Drop says that nothing is kept of them.
	Drop bool
	// Edit changes a value's text; Attr, before it, one that the parser has no column
	// for. nil: it does not. What they return is valid until they are called again.
	Edit, Attr func(v []byte) (out []byte, changed bool)
	// Take takes a text, instead of the column, and reports whether it did. Numbers
	// and truth values are offered by their texts where TakesAll is set.
	Take     func(v []byte) bool
	TakesAll bool
	// Else is the path of what Take leaves; nil: this one goes on.
	Else *Path
}

// plain reports whether the values of a key are kept as they come.
func (p *Path) plain(key string) bool {
	return !p.Drop && p.Key == key && p.Edit == nil && p.Take == nil
}

// stepping is a Builder's state while values come through Steps.
type stepping struct {
	Steps
	open    bool   // there is a row
	now     int64  // what a row's time is where nothing says it
	failed  bool   // the row's parser said so
	timed   bool   // the row has a time of its own
	untimed string // what parse_error says if it has none
	leveled bool   // the row has a level
	part    *part  // nil: values are the row's own
}

// part is a value of a row that is being parsed.
type part struct {
	prefix  string
	rows    int
	failed  []byte
	message []byte
	given   bool // the message is
}

// Through has all that comes go through steps, until Done; nil: through none. now is
// what rows have for a time where nothing says it, in microseconds.
func (b *Builder) Through(s Steps, now int64) {
	if b.stepping == nil {
		b.stepping = &stepping{}
	}
	*b.stepping = stepping{Steps: s, now: now}
}

// Done ends the last row, and what Through began.
func (b *Builder) Done() {
	s := b.stepping
	if s == nil {
		return
	}
	b.endRow()
	b.stepping = nil
}

// endRow ends the row that is open.
func (b *Builder) endRow() {
	if s := b.stepping; s != nil && s.open {
		s.End(b)
		if s.open = false; s.untimed != "" && !s.timed {
			b.fault(s.untimed)
		}
		if len(b.faults) > 0 {
			b.flushFaults()
		}
	}
}

// stepRow is Row where values come through steps. It reports whether there is to be
// no row.
func (b *Builder) stepRow(ts int64) (none bool) {
	s := b.stepping
	if s.part != nil {
		s.part.rows++
		return true
	}
	b.endRow()
	*s = stepping{Steps: s.Steps, now: s.now, open: true, timed: ts != s.now}
	return false
}

// Within has do add the values of a part of the current row: its keys get a prefix. What
// do gives for time and level is the row's where it has none. failed is why the part
// can't be parsed, valid until the next call; nil: it was.
func (b *Builder) Within(prefix string, do func()) (failed []byte) {
	s := b.stepping
	p := &part{prefix: prefix}
	s.part = p
	do()
	s.part = nil
	switch {
	case p.failed != nil:
		return p.failed
	case p.given && prefix == "":
		b.Message(p.message)
	case p.given:
		b.Put(prefix+schema.Message, p.message)
	}
	if p.rows > 1 {
		return []byte("it is more than one record")
	}
	return nil
}

// Put gives the current row a text by its key.
func (b *Builder) Put(key string, v []byte) {
	if c := b.Column(key); c != nil {
		c.String(v)
		return
	}
	b.Attr(key, v)
}

// FailUntimed is Fail for a row that has no time, unless a step gives it one.
func (b *Builder) FailUntimed(why string) {
	if s := b.stepping; s != nil && s.part == nil {
		s.untimed = why
		return
	}
	b.Fail(why)
}

// FailedRow reports whether the parser says that it can't parse the current row. It is
// for Steps.
func (b *Builder) FailedRow() bool { return b.stepping.failed }

// fails notes that the row, or a part of it, can't be parsed. It reports whether that is
// all that is to be done.
func (s *stepping) fails(why string) bool {
	if s.part == nil {
		s.failed = true
		return false
	}
	if len(s.part.failed) > 0 {
		s.part.failed = append(s.part.failed, "; "...)
	}
	s.part.failed = append(s.part.failed, why...)
	return true
}

// partTS and partLevel take the time and the level of a part of a row. They report
// whether it is not the row's.
func (b *Builder) partTS(ts int64) bool {
	s := b.stepping
	if s.part == nil || !s.timed {
		s.timed = true
		return false
	}
	b.Put(schema.TS, time.UnixMicro(ts).UTC().AppendFormat(nil, time.RFC3339Nano))
	return true
}

func (b *Builder) partLevel(l Level) bool {
	s := b.stepping
	if s.part == nil || !s.leveled {
		s.leveled = true
		return false
	}
	b.Put(schema.Level, []byte(l.String()))
	return true
}

// stepKey returns a key with the prefix of the part that it is of.
func (b *Builder) stepKey(key string) string {
	if p := b.stepping.part; p != nil {
		return p.prefix + key
	}
	return key
}

// steppedColumn is Column, or Typed where t is a type, for values that go through steps.
func (b *Builder) steppedColumn(key string, t schema.Type) *Column {
	key = b.stepKey(key)
	p := b.stepping.Path(key)
	if p.plain(key) {
		return b.typedColumn(key, t)
	}
	return b.gateTo(p, t)
}

func (b *Builder) typedColumn(key string, t schema.Type) *Column {
	switch {
	case key == schema.Message:
		return b.message
	case t == 0 || schema.IsCommon(key):
		return b.column(key)
	}
	return b.typed(key, t)
}

// steppedMessage gives the row a message that goes through steps.
func (b *Builder) steppedMessage(v []byte) {
	if p := b.stepping.part; p != nil {
		if p.given {
			b.Attr(schema.Message, v)
			return
		}
		p.message, p.given = append(p.message, v...), true
		return
	}
	b.steppedText(b.stepping.Path(schema.Message), v, b.message.String)
}

// steppedAttr gives attributes a pair that goes through steps.
func (b *Builder) steppedAttr(key string, v []byte) {
	key = b.stepKey(key)
	p := b.stepping.Path(key)
	if p.Attr != nil {
		v, _ = p.Attr(v)
	}
	b.steppedText(p, v, nil)
}

// steppedText has a text go its path, at whose end it is put; nil: into attributes.
func (b *Builder) steppedText(p *Path, v []byte, put func(v []byte)) {
	for ; ; p = p.Else {
		if p.Edit != nil {
			v, _ = p.Edit(v)
		}
		if p.Drop || p.Take != nil && p.Take(v) {
			return
		}
		if p.Else == nil {
			break
		}
	}
	if put == nil {
		b.attribute(p.Key, v)
		return
	}
	put(v)
}
