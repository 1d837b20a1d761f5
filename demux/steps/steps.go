package steps

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/redact"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// Given reports whether there is a step.
func (s *Steps) Given() bool { return s != nil && len(s.list) > 0 }

// HashKeys tells which keys the steps have for hashes, without telling them: it is equal
// where they are.
func (s *Steps) HashKeys() (ids string) {
	if s == nil {
		return ""
	}
	for _, st := range s.list {
		if st.redact != nil && st.redact.key != nil {
			ids += string(redact.NewHasher(st.redact.key).Append(nil, []byte("which key this is")))
		}
	}
	return ids
}

// After returns a parser whose rows are those of p behind the steps, with their columns'
// own parsers by these options.
func (s *Steps) After(p parse.Parser, o parse.Options) (parse.Parser, error) {
	if !s.Given() {
		return p, nil
	}
	r, err := s.start(o)
	if err != nil {
		return nil, err
	}
	return &stepped{Parser: p, steps: r}, nil
}

// stepped is a parser with steps behind it.
type stepped struct {
	parse.Parser
	steps *running
}

// Parse implements parse.Parser.
func (p *stepped) Parse(ctx context.Context, c *chunk.Chunk, keep chunk.Ranges, b *rows.Builder) error {
	p.steps.tags = c.Tags
	p.steps.begin(b)
	b.Through(p.steps, c.Time.UnixMicro())
	err := p.Parser.Parse(ctx, c, keep, b)
	b.Done()
	return err
}

// running are the steps of one parser: what they need to be done.
type running struct {
	of    []step
	tags  map[string]string // of the chunk
	zone  func(text []byte) (micros int64, exact, ok bool)
	since int64 // times that are believed
	until int64

	// stage is 1 more than the step that values go on with; 0 is where records come in.
	stage int
	paths []map[string]*rows.Path // by stage
	b     *rows.Builder
	gen   *rows.Generation

	redactors []*redact.Redactor // by step; nil: it redacts nothing
	values    []*value           // by step; nil: it parses nothing
	sets      [][]*rows.Column   // by step, of gen
	// raw redacts records that could not be parsed: what follows the keys whose values
	// are redacted whole. nil: there are none.
	raw     *redact.Redactor
	message held // where raw is to look at it
	text    []byte
}

// held is a text that waits for its row's end.
type held struct {
	text []byte
	is   bool
}

func (h *held) take(v []byte) bool {
	if h.is {
		return false
	}
	h.text, h.is = append(h.text[:0], v...), true
	return true
}

// value is a column's text that is parsed at its row's end.
type value struct {
	held
	parser *parse.Value
}

// start makes what the steps need.
func (s *Steps) start(o parse.Options) (*running, error) {
	n := len(s.list)
	r := &running{
		of: s.list, zone: parse.NewTime(o.Timezone), paths: make([]map[string]*rows.Path, n+2),
		redactors: make([]*redact.Redactor, n), values: make([]*value, n), sets: make([][]*rows.Column, n),
	}
	r.since, r.until = o.MinTime.UnixMicro(), o.MaxTime.UnixMicro()
	var whole []string
	for i := range s.list {
		switch st := &s.list[i]; {
		case st.redact != nil:
			r.redactors[i] = st.redact.start()
			if st.redact.whole() {
				whole = append(whole, st.redact.columns.exact()...)
			}
		case st.parse != nil:
			p, err := parse.NewValue(st.parse.spec, o)
			if err != nil {
				return nil, fmt.Errorf("step %d: %w", i+1, err)
			}
			r.values[i] = &value{parser: p}
		case st.set != nil:
			r.sets[i] = make([]*rows.Column, len(st.set))
		}
	}
	if len(whole) > 0 {
		r.raw = redact.New(nil, nil, nil)
		r.raw.Names(ends(whole))
	}
	return r, nil
}

// ends are names, and the last parts of those with dots: a record has nested keys so.
func ends(list []string) []string {
	out := list
	for _, name := range list {
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			out = append(out, name[i+1:])
		}
	}
	return out
}

func (r *redaction) start() *redact.Redactor {
	var hash *redact.Hasher
	if r.key != nil {
		hash = redact.NewHasher(r.key)
	}
	patterns := make([]redact.Pattern, 0, len(r.patterns))
	for _, re := range r.patterns {
		patterns = append(patterns, redact.Pattern{Regexp: re, Match: parse.NewMatch(re)})
	}
	return redact.New(r.kinds, patterns, hash)
}

// begin is called before a chunk is parsed into a Builder.
func (r *running) begin(b *rows.Builder) {
	r.b, r.stage = b, 0
	if g := b.Generation(); g != r.gen {
		r.gen = g
		for _, cols := range r.sets {
			clear(cols)
		}
	}
}

// maxPaths bounds the keys that are remembered of one stage.
const maxPaths = 10000

// Path implements rows.Steps.
func (r *running) Path(key string) *rows.Path {
	known := r.paths[r.stage]
	if p := known[key]; p != nil {
		return p
	}
	if known == nil {
		known = map[string]*rows.Path{}
		r.paths[r.stage] = known
	}
	var p *rows.Path
	if r.stage == 0 && key == schema.Message && r.raw != nil {
		p = &rows.Path{Key: key, Take: r.message.take}
	} else {
		p = r.path(max(r.stage-1, 0), key)
	}
	if len(known) < maxPaths {
		known[strings.Clone(key)] = p
	}
	return p
}

// path finds out what becomes of a key's values from a step on.
func (r *running) path(from int, key string) *rows.Path {
	p := &rows.Path{Key: key}
	for i := from; i < len(r.of); i++ {
		st, name := &r.of[i], schema.Fold(p.Key)
		message := p.Key == schema.Message
		switch {
		case st.rename != nil && !message:
			p.Key = st.renamed(p.Key)
		case st.drop.has(name) && !message:
			p.Drop = true
			return p
		case st.redact != nil:
			r.redacts(p, i, message || len(st.redact.columns) == 0 || st.redact.columns.has(name))
		case st.parse != nil && schema.Fold(st.parse.column) == name:
			p.Take, p.Else = r.values[i].take, r.path(i+1, p.Key)
			return p
		}
	}
	if p.Key != key {
		switch p.Key {
		case schema.TS:
			p.Take, p.TakesAll = r.takeTime, true
		case schema.Level:
			p.Take, p.TakesAll = r.takeLevel, true
		}
	}
	return p
}

// renamed returns a key's name behind the step: that of a nested one follows from the
// nearest key above it.
func (st *step) renamed(key string) string {
	for end := len(key); end > 0; end = strings.LastIndexByte(key[:end], '.') {
		if to := st.rename[schema.Fold(key[:end])]; to != "" {
			return to + key[end:]
		}
	}
	return key
}

// redacts has values go through a step that redacts them, if it is for their column. Its
// name is looked at, too.
func (r *running) redacts(p *rows.Path, i int, meant bool) {
	st, red := r.of[i].redact, r.redactors[i]
	if st.whole() {
		if len(st.columns) > 0 && st.columns.has(schema.Fold(p.Key)) {
			p.Edit = behind(p.Edit, func(v []byte) ([]byte, bool) { return red.Whole(v), true })
		}
		return
	}
	if !schema.IsCommon(p.Key) {
		if name, found := red.Redact([]byte(p.Key)); found {
			p.Key = string(name)
		}
	}
	if meant && slices.Contains(st.kinds, redact.Token) && redact.IsSecret(p.Key) && p.Key != schema.Message {
		p.Edit = behind(p.Edit, red.Secret)
	}
	if meant {
		p.Edit = behind(p.Edit, red.Redact)
	} else {
		p.Attr = behind(p.Attr, red.Redact)
	}
}

// behind returns an edit that does one after another.
func behind(first, then func([]byte) ([]byte, bool)) func([]byte) ([]byte, bool) {
	if first == nil {
		return then
	}
	return func(v []byte) ([]byte, bool) {
		v, changed := first(v)
		v, also := then(v)
		return v, changed || also
	}
}

// takeTime takes a text as the row's time.
func (r *running) takeTime(v []byte) bool {
	t, exact, ok := r.zone(v)
	if !ok || t < r.since || t >= r.until {
		return false
	}
	r.b.SetTS(t)
	return exact // what is finer is kept in attributes as well
}

// takeLevel takes a text as the row's level.
func (r *running) takeLevel(v []byte) bool {
	l, ok := parse.LevelOf(v)
	if ok {
		r.b.SetLevel(l)
	}
	return ok
}

// Fault implements rows.Steps.
func (r *running) Fault(why []byte) []byte {
	if r.raw != nil {
		why, _ = r.raw.Redact(why)
	}
	for i, red := range r.redactors {
		if red != nil && !r.of[i].redact.whole() {
			why, _ = red.Redact(why)
		}
	}
	return why
}

// Begin implements rows.Steps: it gives the row its constants.
func (r *running) Begin(b *rows.Builder) {
	for i := range r.of {
		if len(r.of[i].set) > 0 {
			r.stage = i + 2
			r.assign(b, i)
		}
	}
	r.stage = 0
}

func (r *running) assign(b *rows.Builder, i int) {
	for n := range r.of[i].set {
		a, col := &r.of[i].set[n], r.sets[i][n]
		v := a.value
		if a.tag != "" {
			tag, ok := r.tags[a.tag]
			if !ok {
				continue
			}
			v = tag
		}
		if col == nil {
			if col = b.Column(a.column); col == nil {
				b.Attr(a.column, fmt.Append(nil, v))
				continue
			}
			r.sets[i][n] = col
		}
		switch v := v.(type) {
		case string:
			r.text = append(r.text[:0], v...)
			col.String(r.text)
		case int:
			col.Long(int64(v))
		case float64:
			col.Double(v, strconv.AppendFloat(nil, v, 'g', -1, 64))
		case bool:
			col.Bool(v)
		}
	}
}

// End implements rows.Steps: it parses what waits for that.
func (r *running) End(b *rows.Builder) {
	if m := &r.message; m.is {
		m.is = false
		v := m.text
		if b.FailedRow() {
			v, _ = r.raw.Redact(v)
		}
		r.stage = 1
		b.Message(v)
	}
	for i, v := range r.values {
		if v == nil || !v.is {
			continue
		}
		v.is = false
		r.stage = i + 2
		r.parse(b, i, v)
	}
	r.stage = 0
}

// parse parses a column's text. One that can't be parsed stays in the column.
func (r *running) parse(b *rows.Builder, i int, v *value) {
	st := r.of[i].parse
	message := st.column == schema.Message
	keep := st.keep
	if !message || !b.FailedRow() {
		why := b.Within(st.prefix, func() { v.parser.Parse(v.text, b) })
		if why != nil {
			b.Fail(fmt.Sprintf("step %d, parse %s: %s", i+1, st.column, why))
			keep = true
		}
	} else {
		keep = true
	}
	switch {
	case !keep:
	case message:
		b.Message(v.text)
	default:
		b.Put(st.column, v.text)
	}
}
