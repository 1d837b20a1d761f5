package parse

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

// pattern is a layout of records, compiled: an automaton whose groups are the parts
// of a record.
type pattern struct {
	text  string // as the config has it
	auto  *automaton.Automaton
	parts []part // of the groups, in their order
	gen   *rows.Generation
	json  bool // its texts have the escapes of JSON
}

// part is what a group of a pattern is.
type part struct {
	name  string
	kind  partKind
	typ   schema.Type   // of its column
	times times.Formats // of a time
	zone  *times.Zone   // of a time that has one of its own; nil: the type's
	col   *rows.Column
}

type partKind uint8

const (
	partColumn partKind = iota
	partTime
	partLevel
	partMessage
	partMore    // what follows the message, as lines of its own
	partContext // keys and values of a diagnostic context
	partRequest // "METHOD path protocol"
	partList    // numbers of several servers that were asked one after another
	partLastOf  // the last of such a list counts
)

// patternBuilder puts a pattern's expression together.
type patternBuilder struct {
	expr  strings.Builder
	parts []part
}

// literal adds text.
func (b *patternBuilder) literal(s string) { b.expr.WriteString(regexp.QuoteMeta(s)) }

// add adds what is matched by an expression without groups. One whose name is there
// already is matched, and no more.
func (b *patternBuilder) add(p part, expr string) {
	for _, have := range b.parts {
		if have.name == p.name {
			b.expr.WriteString("(?:" + expr + ")")
			return
		}
	}
	b.parts = append(b.parts, p)
	b.expr.WriteString("(" + expr + ")")
}

// build compiles the expression.
func (b *patternBuilder) build(text string) (*pattern, error) {
	re, err := config.CompileRegexp("^" + b.expr.String() + "$")
	if err != nil {
		return nil, fmt.Errorf("compile pattern %q: %w", text, err)
	}
	return &pattern{text: text, auto: automaton.New(re), parts: b.parts}, nil
}

// begin gets the columns of the builder that rows go to now.
func (p *pattern) begin(r *reader) {
	for i := range p.parts {
		if z := p.parts[i].zone; z != nil {
			z.ReadAt(r.zone.Read)
		}
	}
	if p.gen == r.b.Generation() {
		return
	}
	p.gen = r.b.Generation()
	for i := range p.parts {
		if t := &p.parts[i]; t.typ != 0 {
			t.col = r.b.Typed(t.name, t.typ)
		}
	}
}

// time reads a part that is a time.
func (t *part) time(v []byte, z *times.Zone) times.Instant {
	if t.zone != nil {
		z = t.zone
	}
	if len(t.times) == 0 {
		return times.Text(v, z)
	}
	return t.times.Whole(v, z)
}

// at returns the text of the n'th part; nil where it is not there.
func at(rec []byte, found []int, n int) []byte {
	from, to := found[2*n+2], found[2*n+3]
	if from < 0 {
		return nil
	}
	return rec[from:to]
}

// patterns are several, of which the first that matches counts.
type patterns []*pattern

func (ps patterns) begin(r *reader) {
	for _, p := range ps {
		p.begin(r)
	}
}

// find returns the first pattern that matches, and where its parts are.
func (ps patterns) find(rec []byte) (*pattern, []int) {
	for _, p := range ps {
		if found := p.auto.Find(rec); found != nil {
			return p, found
		}
	}
	return nil, nil
}

// maxShown bounds the bytes of a record within which its failure is placed.
const maxShown = 64 << 10

// why tells why none matches: where the one stopped that came furthest.
func (ps patterns) why(rec []byte) string {
	best, want := -1, ""
	for _, p := range ps {
		if at, w := p.auto.Stopped(rec[:min(len(rec), maxShown)]); at > best {
			best, want = at, w
		}
	}
	return stopped(best, want)
}

func stopped(at int, want string) string {
	switch want {
	case "":
		return "the pattern doesn't match"
	case automaton.End:
		return fmt.Sprintf("the pattern ends at byte %d, the line goes on", at)
	}
	return fmt.Sprintf("at byte %d, want %s", at, want)
}

// patternTexts reads an option that is a pattern or a list of them.
func patternTexts(n config.Node) []string {
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

// maxPatterns bounds the patterns of a parser.
const maxPatterns = 32

// compilePatterns compiles each text of an option.
func compilePatterns(n config.Node, compile func(string) (*pattern, error)) (patterns, error) {
	texts := patternTexts(n)
	if len(texts) > maxPatterns {
		return nil, fmt.Errorf("pattern: %d patterns; at most %d are allowed", len(texts), maxPatterns)
	}
	var out patterns
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
