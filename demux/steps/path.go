package steps

import (
	"slices"
	"strings"

	"github.com/akupara/akupara/demux/redact"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

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
	p := r.path(max(r.stage-1, 0), key)
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
	if p.Key == schema.Message && r.raw != nil {
		p.Edit = behind(p.Edit, r.raw.Redact) // it may have what was not parsed, or not all of it
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
