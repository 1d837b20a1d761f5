package parse

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/config"
)

var dissectParser = example(define("dissect", "lines by what stands between their fields: `%{ts} [%{thread}] %{level->} %{message}`", func() dissectOptions { return dissectOptions{} }, newDissect),
	`{parser: dissect, pattern: '%{ts} [%{thread}] %{level->} %{message}'}`)

// dissectOptions are the options of dissect.
type dissectOptions struct {
	// Pattern is a pattern, or several to try.
	Pattern config.Node `config:"pattern,required"`
	// AppendSeparator stands between the parts of %{+name}, in the place of the text
	// before each.
	AppendSeparator config.Value[string] `config:"append_separator"`
}

func newDissect(o *dissectOptions) (format, error) {
	f := &dissectFormat{keyed: newKeyed()}
	texts, err := givenPatterns(o.Pattern)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		p := &dissection{}
		if o.AppendSeparator.Given() {
			p.separator = &o.AppendSeparator.V
		}
		if err := p.compile(f.keyed, text); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		f.patterns = append(f.patterns, p)
	}
	return f, nil
}

// dissectFormat parses records by patterns of fields and the text between them. A
// field ends where the text behind it comes first.
type dissectFormat struct {
	*keyed
	patterns []*dissection
	buf      []byte
	values   [][]byte
}

// dissection is one pattern.
type dissection struct {
	first     string // before the first field
	fields    []dissected
	joined    []joined
	separator *string
	timed     bool
}

// dissected is a field.
type dissected struct {
	capture
	until string // the text behind it
	pad   bool   // that may come several times
	key   int    // the field whose text is the key of this one; -1: it has its own
	skip  bool
}

// joined is a field that is put together of several.
type joined struct {
	capture
	parts []joinedPart
}

type joinedPart struct {
	field, order int
	before       string
}

var dissectTypes = strings.Split("int integer long float double bool boolean string", " ")

// compile takes a pattern apart.
func (p *dissection) compile(k *keyed, text string) error {
	at := strings.Index(text, "%{")
	if at < 0 {
		return errors.New("it has no field; want some, such as %{message}")
	}
	p.first = text[:at]
	before := p.first
	keys, named, byName := map[string]int{}, map[string]bool{}, map[string]int{}
	for at < len(text) {
		end := strings.IndexByte(text[at:], '}')
		if end < 0 {
			return fmt.Errorf("the %%{ at byte %d is not closed", at)
		}
		name := text[at+2 : at+end]
		next := strings.Index(text[at+end:], "%{")
		d := dissected{key: -1, until: text[at+end+1:]}
		if next >= 0 {
			d.until = text[at+end+1 : at+end+next]
		}
		if d.until == "" && next >= 0 {
			return fmt.Errorf("nothing stands behind %%{%s} to tell where it ends", name)
		}
		if err := p.field(k, name, before, &d, keys, named, byName); err != nil {
			return err
		}
		p.fields = append(p.fields, d)
		before = d.until
		if next < 0 {
			break
		}
		at += end + next
	}
	for i := range p.joined {
		slices.SortStableFunc(p.joined[i].parts, func(a, b joinedPart) int { return a.order - b.order })
	}
	if len(p.fields) > 500 {
		return errors.New("it has more than 500 fields")
	}
	return nil
}

// field reads what stands in a field's braces.
func (p *dissection) field(k *keyed, name, before string, d *dissected, keys map[string]int, named map[string]bool, byName map[string]int) (err error) {
	full := name
	name, d.pad = strings.CutSuffix(name, "->")
	name, typ := dissectType(name)
	n := len(p.fields)
	switch {
	case name == "":
		d.skip = true
	case name[0] == '?' || name[0] == '*':
		keys[name[1:]] = n
		d.skip = true
	case name[0] == '&':
		key, known := keys[name[1:]]
		if !known {
			return fmt.Errorf("%%{%s} has no %%{?%s} before it", full, name[1:])
		}
		d.key = key
	case name[0] == '+':
		d.skip = true
		name, order, ordered := strings.Cut(name[1:], "/")
		part := joinedPart{field: n, before: before}
		if ordered {
			if part.order, err = strconv.Atoi(order); err != nil || part.order < 0 || part.order > 1000 {
				return fmt.Errorf("%%{%s}: the order behind / is no number from 0 to 1000", full)
			}
		}
		i, known := byName[name]
		if !known {
			j := joined{}
			if j.capture, err = k.capture(name, typ); err != nil {
				return err
			}
			for q := range p.fields { // a part without + before
				if f := &p.fields[q]; !f.skip && f.node == j.node {
					f.skip = true
					j.parts = append(j.parts, joinedPart{field: q})
				}
			}
			i = len(p.joined)
			byName[name] = i
			p.joined = append(p.joined, j)
			p.timed = p.timed || j.node.role() == roleTime
		}
		p.joined[i].parts = append(p.joined[i].parts, part)
	default:
		if named[name] {
			return fmt.Errorf("%%{%s} stands twice; %%{+%s} appends", full, name)
		}
		named[name] = true
		if d.capture, err = k.capture(name, typ); err != nil {
			return err
		}
		p.timed = p.timed || d.node.role() == roleTime
	}
	return nil
}

// dissectType takes a type off a field's name: name|integer or name:int.
func dissectType(name string) (string, string) {
	if i := strings.LastIndexAny(name, "|:"); i > 0 && (name[i] == '|' || slices.Contains(dissectTypes, name[i+1:])) {
		return name[:i], name[i+1:]
	}
	return name, ""
}

func (f *dissectFormat) record(r *reader, rec []byte) {
	best, want := -1, ""
	for _, p := range f.patterns {
		rest, at, text := f.match(p, rec)
		if text != "" {
			if at > best {
				best, want = at, text
			}
			continue
		}
		f.reset()
		f.take(p)
		if !f.fill(r) && p.timed && r.format == f {
			f.untimed(r)
		}
		if len(rest) > 0 {
			r.b.Attr("after", rest)
		}
		return
	}
	r.fail(rec, fmt.Sprintf("not the pattern: at byte %d, want %q", best, want))
}

// match finds the fields' values, and returns what is left behind them; or where the
// pattern stopped, and the text that it wanted there.
func (f *dissectFormat) match(p *dissection, rec []byte) (rest []byte, at int, want string) {
	f.values = f.values[:0]
	if !bytes.HasPrefix(rec, []byte(p.first)) {
		return nil, 0, p.first
	}
	s := rec[len(p.first):]
	for i := range p.fields {
		d := &p.fields[i]
		if d.until == "" {
			f.values = append(f.values, s)
			return nil, 0, ""
		}
		if d.pad && i > 0 { // padding may stand before a field that is aligned to the right
			for len(d.until) > 0 && bytes.HasPrefix(s, []byte(d.until)) {
				s = s[len(d.until):]
			}
		}
		n := bytes.Index(s, []byte(d.until))
		if n < 0 {
			return nil, len(rec) - len(s), d.until
		}
		f.values = append(f.values, s[:n])
		s = s[n+len(d.until):]
		for d.pad && bytes.HasPrefix(s, []byte(d.until)) {
			s = s[len(d.until):]
		}
	}
	return s, 0, ""
}

// take takes the values of a pattern that matched.
func (f *dissectFormat) take(p *dissection) {
	f.buf = f.buf[:0]
	for i := range p.fields {
		d := &p.fields[i]
		switch {
		case d.skip:
		case d.key >= 0:
			if key := f.values[d.key]; len(key) > 0 {
				c := capture{node: f.child(f.root, key, len(f.fields))}
				f.keyed.take(&c, f.values[i])
			}
		default:
			f.keyed.take(&d.capture, f.values[i])
		}
	}
	for i := range p.joined {
		j := &p.joined[i]
		at := len(f.buf)
		for n, part := range j.parts {
			if n > 0 && p.separator != nil {
				f.buf = append(f.buf, *p.separator...)
			} else if n > 0 {
				f.buf = append(f.buf, part.before...)
			}
			f.buf = append(f.buf, f.values[part.field]...)
		}
		f.keyed.take(&j.capture, f.buf[at:len(f.buf):len(f.buf)])
	}
}
