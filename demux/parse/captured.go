package parse

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/automaton"
	"github.com/akupara/akupara/demux/parse/internal/layout"
	"github.com/akupara/akupara/demux/schema"
)

// capture is a named place in a pattern, and what its text becomes.
type capture struct {
	node *node
	as   schema.Type // 0: what it looks like
}

// captureTypes are the types that a place may have, by name.
var captureTypes = map[string]schema.Type{
	"int": schema.Long, "integer": schema.Long, "long": schema.Long, "float": schema.Double, "double": schema.Double,
	"bool": schema.Boolean, "boolean": schema.Boolean, "string": schema.String, "keyword": schema.String,
}

const captureTypeNames = "int, long, float, double, boolean, string"

// capture makes the capture of a name, and of a type's, which may be empty. A type
// that is given holds from the first row on, unless the name has a role.
func (k *keyed) capture(name, typ string) (capture, error) {
	c := capture{node: k.child(k.root, []byte(name), 1<<30)}
	if typ == "" {
		return c, nil
	}
	as, ok := captureTypes[strings.ToLower(typ)]
	if !ok {
		return c, fmt.Errorf("the type %q of %s is not known; allowed: %s", typ, name, captureTypeNames)
	}
	c.as = as
	if c.node.role() == roleColumn {
		k.typed = append(k.typed, schema.Column{Name: name, Type: as})
	}
	return c, nil
}

// take adds the text of a capture; an empty one is null.
func (k *keyed) take(c *capture, v []byte) {
	if len(v) == 0 {
		return
	}
	t, num := kindString, uint64(0)
	switch c.as {
	case 0:
		t, num = bareValue(v)
	case schema.Long:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			t, num = kindLong, uint64(n)
		}
	case schema.Double:
		if t, num = bareValue(v); t == kindBool {
			t = kindString
		}
	case schema.Boolean:
		switch {
		case bytes.EqualFold(v, []byte("true")):
			t, num = kindBool, 1
		case bytes.EqualFold(v, []byte("false")):
			t = kindBool
		}
	}
	k.add(c.node, t, v, num)
}

// expression is a regular expression with its captures.
type expression struct {
	auto     *automaton.Automaton
	captures []capture // by group; those without a node are not taken
	timed    bool      // it captures a time
}

// expressionFormat parses records by regular expressions, of which the first that
// matches counts: regex and grok.
type expressionFormat struct {
	*keyed
	name  string
	exprs []expression
}

func (f *expressionFormat) record(r *reader, rec []byte) {
	for i := range f.exprs {
		e := &f.exprs[i]
		found := e.auto.Find(rec)
		if found == nil {
			continue
		}
		f.reset()
		for n := range e.captures {
			if c := &e.captures[n]; c.node != nil && found[2*n+2] >= 0 {
				f.take(c, rec[found[2*n+2]:found[2*n+3]])
			}
		}
		before, after := rec[:found[0]], rec[found[1]:]
		after = f.goesOn(rec, after)
		if !f.fill(r) && e.timed && f.isOf(r) {
			f.untimed(r)
		}
		f.rest(r, before, after)
		return
	}
	r.fail(rec, fmt.Sprintf("not %s: %s", f.name, f.why(rec)))
}

// isOf reports whether the format is the reader's own, or what that one is made of.
func (f *expressionFormat) isOf(r *reader) bool {
	own, ok := r.format.(interface{ expressions() *expressionFormat })
	return ok && own.expressions() == f
}

func (f *expressionFormat) expressions() *expressionFormat { return f }

// goesOn lets a message that the match ends with go on over the lines behind the
// match, and returns what is left of these.
func (f *expressionFormat) goesOn(rec, after []byte) []byte {
	if len(after) == 0 || after[0] != '\n' && after[0] != '\r' {
		return after
	}
	end := len(rec) - len(after)
	for i := range f.fields {
		d := &f.fields[i]
		if d.node.role() != roleMessage || cap(d.val)-len(d.val) < len(after) {
			continue
		}
		// Captures are slices of the record: what they end at follows from what is
		// left behind them.
		if at := end - len(d.val); at >= 0 && &rec[at] == &d.val[0] {
			d.kind, d.val = kindString, rec[at:]
			return nil
		}
	}
	return after
}

// rest keeps what a match leaves over.
func (f *expressionFormat) rest(r *reader, before, after []byte) {
	if before = bytes.TrimSpace(before); len(before) > 0 {
		r.b.Attr("before", before)
	}
	if after = bytes.TrimSpace(after); len(after) > 0 {
		r.b.Attr("after", after)
	}
}

// why tells why no expression matches: where the one stopped that came furthest.
func (f *expressionFormat) why(rec []byte) string {
	best, want := -1, ""
	for i := range f.exprs {
		if at, w := f.exprs[i].auto.Stopped(rec[:min(len(rec), layout.MaxShown)]); at > best {
			best, want = at, w
		}
	}
	return layout.Stopped(best, want)
}
