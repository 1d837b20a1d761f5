package demux

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/templates"
)

// Switch is on or off.
type Switch bool

// Want implements config.Wanter.
func (Switch) Want() string { return "on or off" }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Switch) UnmarshalText(text []byte) error {
	if t := string(text); t != "on" && t != "off" {
		return errors.New("it is neither on nor off")
	}
	*s = string(text) == "on"
	return nil
}

// templates returns what makes the templates of the type's messages.
func (t *TypeConfig) templates(declared []schema.Column) rows.Templates {
	off := t.Templates.Given() && !bool(t.Templates.V)
	if off || slices.ContainsFunc(declared, func(d schema.Column) bool { return schema.IsOfMessages(d.Name) }) {
		return rows.Templates{}
	}
	return rows.Templates{Append: templates.Append, None: templates.None, Shape: templates.Shape, ID: templates.ID}
}

// templating gives the rows of a parser their templates.
type templating struct{ parse.Parser }

// rowParser makes the parser of a type whose rows are for its table.
func (d *Demux) rowParser(dataType string, now time.Time) (parse.Parser, error) {
	parser := d.cfg.parser
	if d.parser != nil {
		parser = d.parser
	}
	p, err := parser(dataType, now)
	if err != nil {
		return nil, err
	}
	return templating{p}, nil
}

// Parse implements parse.Parser.
func (t templating) Parse(ctx context.Context, c *chunk.Chunk, keep chunk.Ranges, b *rows.Builder) error {
	from := b.Len()
	err := t.Parser.Parse(ctx, c, keep, b)
	b.Templates(from)
	return err
}
