package demux

import (
	"fmt"
	"time"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// ReadTypeText reads what a config says of a data type as it is given elsewhere: a
// parser's name, or the type's section in YAML.
func ReadTypeText(name, text string) (TypeConfig, config.Problems) {
	section, problems := config.Parse(name, []byte(text))
	if len(problems) > 0 {
		return TypeConfig{}, problems
	}
	if section.Text() != "" || !section.Get("parser").Given() {
		spec, problems := parse.ReadNode(section)
		return TypeConfig{Spec: spec}, problems
	}
	return ReadType(name, section)
}

// Type returns what holds for a data type: what the config says, else its defaults.
func (c *Config) Type(name string) TypeConfig {
	t := c.Types[name]
	if !t.Spec.Given() {
		t.Spec = parse.MustSpec(parse.DefaultFor(name))
	}
	return t
}

// Trial returns what a run makes a data type's rows by, apart from any table: its
// parser, and the options of a Builder.
func (c *Config) Trial(t TypeConfig, now time.Time) (parse.Parser, rows.Options, error) {
	p, err := t.parser(c.bounds(now))
	return p, t.rowOptions(nil, nil), err
}

// bounds are the times that are believed.
func (c *Config) bounds(now time.Time) parse.Options {
	return parse.Options{MinTime: now.Add(-c.Oldest.Std()), MaxTime: now.Add(c.Future.Std())}
}

// parser makes the type's parser, with its steps behind it.
func (t *TypeConfig) parser(o parse.Options) (parse.Parser, error) {
	zone, err := time.LoadLocation(t.Timezone.V)
	if err != nil {
		return nil, fmt.Errorf("load time zone: %w", err)
	}
	o.Timezone = zone
	p, err := parse.New(t.Spec, o)
	if err != nil {
		return nil, err
	}
	return t.Steps.After(p, o)
}

// rowOptions are those of a Builder of rows for a table that has these columns and keys.
func (t *TypeConfig) rowOptions(existing []schema.Column, keys schema.Keys) rows.Options {
	zone, err := time.LoadLocation(t.Timezone.V)
	if err != nil {
		zone = time.UTC // the parser says what is wrong
	}
	declared, _ := t.declared() // Validate has told the problems
	return rows.Options{
		Existing: existing, Keys: keys, Declared: declared, Templates: t.templates(declared),
		NewTime: func() func([]byte) (int64, bool, bool) { return parse.NewTime(zone) },
	}
}
