// Package layout compiles the layouts that configs have of their logs, Apache's LogFormat,
// nginx' log_format and the patterns of log4j, log4j2 and logback, into patterns that
// take a record apart.
package layout

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/automaton"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// Pattern is a layout of records, compiled: an automaton whose groups are the parts
// of a record.
type Pattern struct {
	Parts []Part // of the groups, in their order
	JSON  bool   // its texts have the escapes of JSON

	auto *automaton.Automaton
	gen  *rows.Generation
}

// Part is what a group of a pattern is.
type Part struct {
	Name  string
	Kind  Kind
	Type  schema.Type   // of its column
	Times times.Formats // of a time
	Zone  *times.Zone   // of a time that has one of its own; nil: the type's
	// Column is that of the builder that Begin got; nil where the type is 0.
	Column *rows.Column
}

// Kind is what becomes of a part's text.
type Kind uint8

const (
	Plain Kind = iota // its column
	Time
	Level
	Message
	More    // what follows the message, as lines of its own
	Context // keys and values of a diagnostic context
	Request // "METHOD path protocol"
	List    // numbers of several servers that were asked one after another
	LastOf  // the last of such a list counts
)

// builder puts a pattern's expression together.
type builder struct {
	expr  strings.Builder
	parts []Part
}

// literal adds text.
func (b *builder) literal(s string) { b.expr.WriteString(regexp.QuoteMeta(s)) }

// add adds what is matched by an expression without groups. One whose name is there
// already is matched, and no more.
func (b *builder) add(p Part, expr string) {
	for _, have := range b.parts {
		if have.Name == p.Name {
			b.expr.WriteString("(?:" + expr + ")")
			return
		}
	}
	b.parts = append(b.parts, p)
	b.expr.WriteString("(" + expr + ")")
}

// build compiles the expression.
func (b *builder) build(text string) (*Pattern, error) {
	re, err := config.CompileRegexp("^" + b.expr.String() + "$")
	if err != nil {
		return nil, fmt.Errorf("compile pattern %q: %w", text, err)
	}
	return &Pattern{auto: automaton.New(re), Parts: b.parts}, nil
}

// Begin gets the columns of the builder that rows go to now. read is when the chunk
// was, which times of a pattern's own zones follow from.
func (p *Pattern) Begin(b *rows.Builder, read time.Time) {
	for i := range p.Parts {
		if z := p.Parts[i].Zone; z != nil {
			z.ReadAt(read)
		}
	}
	if p.gen == b.Generation() {
		return
	}
	p.gen = b.Generation()
	for i := range p.Parts {
		if t := &p.Parts[i]; t.Type != 0 {
			t.Column = b.Typed(t.Name, t.Type)
		}
	}
}

// Read reads the text of a part that is a time.
func (t *Part) Read(v []byte, z *times.Zone) times.Instant {
	if t.Zone != nil {
		z = t.Zone
	}
	if len(t.Times) == 0 {
		return times.Text(v, z)
	}
	return t.Times.Whole(v, z)
}

// At returns the text of the n'th part; nil where it is not there.
func At(rec []byte, found []int, n int) []byte {
	from, to := found[2*n+2], found[2*n+3]
	if from < 0 {
		return nil
	}
	return rec[from:to]
}

// Patterns are several, of which the first that matches counts.
type Patterns []*Pattern

// Begin begins all.
func (ps Patterns) Begin(b *rows.Builder, read time.Time) {
	for _, p := range ps {
		p.Begin(b, read)
	}
}

// Find returns the first pattern that matches, and where its parts are.
func (ps Patterns) Find(rec []byte) (*Pattern, []int) {
	for _, p := range ps {
		if found := p.auto.Find(rec); found != nil {
			return p, found
		}
	}
	return nil, nil
}

// MaxShown bounds the bytes of a record within which its failure is placed.
const MaxShown = 64 << 10

// Why tells why none matches: where the one stopped that came furthest.
func (ps Patterns) Why(rec []byte) string {
	best, want := -1, ""
	for _, p := range ps {
		if at, w := p.auto.Stopped(rec[:min(len(rec), MaxShown)]); at > best {
			best, want = at, w
		}
	}
	return Stopped(best, want)
}

// Stopped says where a pattern stopped, which wanted what is named.
func Stopped(at int, want string) string {
	switch want {
	case "":
		return "the pattern doesn't match"
	case automaton.End:
		return fmt.Sprintf("the pattern ends at byte %d, the line goes on", at)
	}
	return fmt.Sprintf("at byte %d, want %s", at, want)
}

// Texts reads an option that is a pattern or a list of them.
func Texts(n config.Node) []string {
	if !n.Given() {
		return nil
	}
	items := n.Items()
	if len(items) == 0 {
		items = []config.Node{n}
	}
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = item.Text()
	}
	return out
}

// MaxPatterns bounds the patterns of a parser.
const MaxPatterns = 32

// Compile compiles each text of an option.
func Compile(n config.Node, compile func(string) (*Pattern, error)) (Patterns, error) {
	texts := Texts(n)
	if len(texts) > MaxPatterns {
		return nil, fmt.Errorf("pattern: %d patterns; at most %d are allowed", len(texts), MaxPatterns)
	}
	var out Patterns
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("pattern: want text, or a list of texts")
		}
		p, err := compile(text)
		if err != nil {
			return nil, fmt.Errorf("pattern: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

// zoneNamed returns the zone of a name that a pattern has.
func zoneNamed(name string) (*times.Zone, error) {
	loc, err := time.LoadLocation(strings.TrimSpace(name))
	if err != nil {
		return nil, fmt.Errorf("the time zone %q is not known", name)
	}
	return &times.Zone{Loc: loc}, nil
}
