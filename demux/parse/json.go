package parse

import (
	"fmt"
	"strings"

	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// jsonFormat parses one JSON object a line. ts, time, timestamp or @timestamp
// gives the time, level or severity the level, message or msg the message: in
// this order, where several are there. Every other key becomes a column, nested
// ones with dots between; what can't be one goes to attributes. Arrays are
// kept as their text.
type jsonFormat struct {
	typed []schema.Column // columns with given types, in a metrics table

	scan   scanner
	root   *node
	nodes  int
	shape  []*node // of the record before: the next one is most often alike
	gen    *rows.Generation
	fields []field
}

// role is what a key is for.
type role uint8

const (
	roleColumn  role = iota
	roleTime         // and the next ones, in order of preference
	roleLevel   = roleTime + 4
	roleMessage = roleLevel + 2
	numRoles    = roleMessage + 2
)

// roleOf returns what a top-level key is for.
func roleOf(key string) role {
	switch key {
	case "ts":
		return roleTime
	case "time":
		return roleTime + 1
	case "timestamp":
		return roleTime + 2
	case "@timestamp":
		return roleTime + 3
	case "level":
		return roleLevel
	case "severity":
		return roleLevel + 1
	case "message":
		return roleMessage
	case "msg":
		return roleMessage + 1
	}
	return roleColumn
}

// node is a key at its place among the nested keys.
type node struct {
	parent *node
	key    string
	name   string // with those of its parents before it, dots between
	role   role
	col    *rows.Column     // nil: attributes
	gen    *rows.Generation // of the builder that col is from
	kids   map[string]*node
}

// maxNodes bounds the keys that are remembered.
const maxNodes = 10000

// kind is the kind of a value.
type kind uint8

const (
	kindString kind = iota
	kindLong
	kindDouble
	kindBool
	kindText // what has no type: an array, a number beyond all types
)

type field struct {
	node *node
	kind kind
	val  []byte // a string's content, or the value's text
	num  uint64
}

func newJSON(typed ...schema.Column) *jsonFormat {
	return &jsonFormat{typed: typed, root: &node{}}
}

func (f *jsonFormat) begin(r *reader) {
	if g := r.b.Generation(); g != f.gen {
		f.gen = g
		for _, c := range f.typed {
			r.b.Typed(c.Name, c.Type)
		}
	}
}

func (f *jsonFormat) record(r *reader, rec []byte) {
	if err := f.read(rec); err != nil {
		r.fail(rec, fmt.Sprintf("not JSON: %v", err))
		return
	}
	f.fill(r)
}

// read takes an object's fields.
func (f *jsonFormat) read(rec []byte) error {
	f.fields = f.fields[:0]
	return f.scan.object(f, rec)
}

// fill puts the fields that were read into a row.
func (f *jsonFormat) fill(r *reader) {
	r.row()
	var special [numRoles]*field
	f.shape = f.shape[:0]
	for i := range f.fields {
		d := &f.fields[i]
		n := d.node
		f.shape = append(f.shape, n)
		switch {
		case n.role == roleColumn:
			f.put(r, d)
		case special[n.role] == nil:
			special[n.role] = d
		default:
			r.b.Attr(n.name, d.val)
		}
	}
	f.time(r, special[roleTime:roleLevel])
	f.level(r, special[roleLevel:roleMessage])
	f.message(r, special[roleMessage:])
}

// put gives a value to its column.
func (f *jsonFormat) put(r *reader, d *field) {
	n := d.node
	if n.gen != f.gen {
		n.col, n.gen = r.b.Column(n.name), f.gen
	}
	c := n.col
	if c == nil {
		r.b.Attr(n.name, d.val)
		return
	}
	switch d.kind {
	case kindString:
		c.String(d.val)
	case kindLong:
		c.Long(int64(d.num))
	case kindDouble:
		c.Double(d.double(), d.val)
	case kindBool:
		c.Bool(d.num != 0)
	default:
		c.Text(d.val)
	}
}

// time takes the first that is a time; the others are kept in attributes.
func (f *jsonFormat) time(r *reader, fields []*field) {
	found := false
	for _, d := range fields {
		if d == nil {
			continue
		}
		if !found {
			t := instant{}
			switch d.kind {
			case kindLong:
				t = epochInt(int64(d.num))
			case kindDouble:
				t = epochFloat(d.double())
			case kindString:
				t = textTime(d.val, &r.zone)
			}
			r.setTime(t, d.node.name, d.val)
			found = t.ok && t.micros >= r.min && t.micros < r.max
			continue
		}
		r.b.Attr(d.node.name, d.val)
	}
}

func (f *jsonFormat) level(r *reader, fields []*field) {
	found := false
	for _, d := range fields {
		switch {
		case d == nil:
		case found:
			r.b.Attr(d.node.name, d.val)
		default:
			r.setLevel(d.val, d.node.name)
			found = levelOf(d.val) != rows.NoLevel
		}
	}
}

func (f *jsonFormat) message(r *reader, fields []*field) {
	found := false
	for _, d := range fields {
		switch {
		case d == nil:
		case found:
			r.b.Attr(d.node.name, d.val)
		default:
			r.b.Message(d.val)
			found = true
		}
	}
}

// child returns the node of a key below parent. guess is how many fields came
// before it: the key is most often the one that came there last time.
func (f *jsonFormat) child(parent *node, key []byte, guess int) *node {
	if guess < len(f.shape) {
		if n := f.shape[guess]; n.parent == parent && n.key == string(key) {
			return n
		}
	}
	if n := parent.kids[string(key)]; n != nil {
		return n
	}
	n := &node{parent: parent, key: string(key)}
	n.name = n.key
	if parent.parent != nil || parent.key != "" {
		n.name = parent.name + "." + n.key
	} else {
		n.role = roleOf(n.key)
	}
	if f.nodes >= maxNodes || len(n.name) > 1<<10 {
		return n // not remembered: there may be no end of them
	}
	f.nodes++
	if parent.kids == nil {
		parent.kids = map[string]*node{}
	}
	n.key = strings.Clone(n.key)
	parent.kids[n.key] = n
	return n
}

// add takes a value that the scanner has read.
func (f *jsonFormat) add(n *node, k kind, val []byte, num uint64) {
	f.fields = append(f.fields, field{node: n, kind: k, val: val, num: num})
}
