package steps

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/redact"
	"github.com/akupara/akupara/demux/rows"
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
	b.Through(p.steps, min(max(c.Time.UnixMicro(), p.steps.since), p.steps.until-1)) // as rows begin
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
	// raw redacts texts that may hold what was not parsed: what follows the keys whose
	// values are redacted whole. nil: there are none.
	raw  *redact.Redactor
	text []byte
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
