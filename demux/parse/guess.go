package parse

import (
	"bytes"
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/akupara/akupara/demux/rows"
)

// clue is what a definition says for guessing, beside that its format parses a text.
// The zero clue is that of one program's format, whose lines no other text looks like.
type clue struct {
	kin kin
	// sure reports whether a line that starts a record is surely of the format; nil
	// where parsing it says so.
	sure func(line []byte) bool
	// likely reports whether a line may be of the format, where no format is surely that
	// of a text; nil where that takes sure lines alone.
	likely func(line []byte) bool
	// json is in the format's own JSON, where it takes any.
	json string
	// whole reports whether a text, cut after a line, may be of the format; nil where
	// its lines say so.
	whole func(text []byte) bool
	// lines returns the part of a text that ends with a whole record, and what the first
	// lines of its records match, where they have several lines in this text alone; nil
	// otherwise.
	lines func(text []byte) (whole []byte, start string)
	// heading must be in the text, where formats of one syntax differ by that.
	heading string
	// options returns the options that a text of the format asks for, as a section in
	// YAML has them behind the parser; nil where there are none.
	options func(text []byte) string
	// inner returns the messages of a text whose records frame them, to guess their
	// parser; nil where they are not guessed.
	inner func(text []byte) []byte
	// strict says that messages have a parser of their own only if that reads all of them.
	strict bool
	// names are of files that usually have the format, as path.Match has them.
	names []string
	// start matches the first line of a record, where records have several: adaptors
	// take it for record_start.
	start string
}

// kin is how many things share a format.
type kin uint8

const (
	kinOne   kin = iota // one program's
	kinMany             // many programs': JSON, syslog
	kinLoose            // text with separators
	kinNone             // it is not guessed
)

// guessed gives a definition its clue.
func (d definition) guessed(c clue) definition {
	d.clue = c
	return d
}

// Guess is a parser that fits a text.
type Guess struct {
	Parser string
	// Spec is the parser with the options that the text asks for, as a config has it.
	Spec string
	// Start matches the first line of a record, for an adaptor's record_start; empty
	// where a record is a line.
	Start string
	// Records is how many the text has, and Parsed how many of them are of the format.
	Records, Parsed int
	// Columns are the columns that the records have beside the message.
	Columns []string

	kin    kin
	headed int     // bytes of the format's heading, which the text has
	value  float64 // columns that a record has in the mean, less what fits none
}

// Loose reports whether it is of text with separators, which much else looks like.
func (g *Guess) Loose() bool { return g.kin == kinLoose }

func (g *Guess) share() float64 { return float64(g.Parsed) / float64(max(g.Records, 1)) }

// Bounds of what is parsed to guess.
const (
	GuessBytes = 16 << 10 // of a text are enough
	guessLines = 100
	fewLines   = 25 // on which most parsers give up
)

// A parser is guessed for a text if at least so much of it is parsed.
const (
	leastShare = 0.7
	// leastStarts is that of the lines which go on with no record before them: stack
	// traces may be most of a text.
	leastStarts = 0.1
	// likelyStarts is the same where the lines are not surely of the format.
	likelyStarts = 0.2
)

// prose are lines of no format: columns that a parser makes of them say nothing.
var prose = []string{
	"The quick brown fox jumps over the lazy dog.",
	"Setting up libc6:amd64 (2.36-9) ...",
	"connection to host=db1 failed: retry in 5 seconds, port=17, state=down",
	"2026-11-22 20:47:01 startup archives unpack",
	"Nov 22 20:47:01 something was done",
	"INFO: nothing happened",
	"a,b, and c",
}

// shared are lines of formats that many share: columns of them say nothing about the
// format of one program.
var shared = []string{
	`{"time":"2026-11-22T21:09:57Z","level":"info","msg":"hello","n":1}`,
	"Nov 22 21:09:57 web1 app[123]: hello",
	"<34>1 2026-11-22T22:14:15.003Z web1 app - ID47 - hello",
	"2026-11-22 21:09:57,123 ERROR [main] org.example.Main: hello",
	"level=info msg=hello n=1",
}

// Guesser guesses the formats of texts. It is not safe for concurrent use.
type Guesser struct {
	candidates []candidate
	likely     []candidate // for texts that none of the candidates fits
	b          *rows.Builder
}

type candidate struct {
	definition
	r *reader
	// anyway are the columns that lines of other formats get, too.
	anyway map[string]bool
	// json says that it takes any JSON: such lines say nothing.
	json bool
}

// NewGuesser makes a Guesser of all parsers that need no options.
func NewGuesser() *Guesser {
	g := &Guesser{b: rows.NewBuilder(rows.Options{})}
	for _, d := range definitions() {
		f := d.guessable()
		if f == nil {
			continue
		}
		c := candidate{definition: d, r: newReader(f, Options{})}
		if d.clue.sure == nil && d.clue.whole == nil && d.clue.heading == "" {
			g.tryOthers(&c)
		}
		g.candidates = append(g.candidates, c)
		if d.clue.likely != nil {
			c.clue.sure = d.clue.likely
			g.likely = append(g.likely, c)
		}
	}
	return g
}

// guessable makes the format of a parser that may be guessed; nil for those that need
// options, and for raw.
func (d definition) guessable() format {
	if d.clue.kin == kinNone || d.inner || d.name == rawParser.name {
		return nil
	}
	s := Spec{def: d}
	if d.options != nil {
		s.options = d.options()
	}
	f, err := s.format()
	if err != nil {
		return nil
	}
	return f
}

// Guess returns the parsers that fit a text, the best one first, and raw last; none for
// a text without a line. cut says that the text goes on.
func (g *Guesser) Guess(text []byte, cut bool) []Guess {
	text, lines := head(text, cut)
	if lines == 0 {
		return nil
	}
	out := g.fitting(g.candidates, text, lines)
	if len(out) == 0 {
		plain := plainLines(text)
		out = slices.DeleteFunc(g.fitting(g.likely, text, lines), func(x Guess) bool {
			return float64(x.Parsed) < likelyStarts*float64(plain) || x.Parsed == 1 && plain > 1 || !startsAll(x, text)
		})
	}
	return append(out, Guess{Parser: rawParser.name, Spec: "{parser: raw}", Records: lines, Parsed: lines})
}

// startsAll reports whether what a record starts with matches as many lines as there are
// records: else agents would glue them.
func startsAll(x Guess, text []byte) bool {
	start, err := regexp.Compile(x.Start)
	if err != nil {
		return false
	}
	n := 0
	for line := range bytes.Lines(text) {
		if start.Match(line) {
			n++
		}
	}
	return n >= x.Parsed
}

// fitting returns those of the candidates that fit a text of so many lines, the best one
// first.
func (g *Guesser) fitting(candidates []candidate, text []byte, lines int) (out []Guess) {
	few := text
	if lines > fewLines {
		few = firstLines(text, fewLines)
	}
	for i := range candidates {
		c := &candidates[i]
		if !bytes.Contains(text, []byte(c.clue.heading)) || c.clue.whole != nil && !c.clue.whole(text) {
			continue
		}
		text, few, start := text, few, c.clue.start
		if c.clue.lines != nil {
			if whole, s := c.clue.lines(text); s != "" {
				text, few, start = whole, whole, s
			}
		}
		if len(few) < len(text) && g.try(c, few).Parsed == 0 {
			continue
		}
		if x := g.try(c, text); x.Parsed > 0 && x.share() >= leastShare {
			x.Start = start
			x.Spec = c.spec(text)
			if c.clue.inner != nil {
				g.frames(&x, c, text)
			}
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(x, y Guess) int {
		return cmp.Or(cmp.Compare(y.rank(), x.rank()), cmp.Compare(y.headed, x.headed), cmp.Compare(y.value, x.value))
	})
	return out
}

// frames adds what parser the messages of a text have.
func (g *Guesser) frames(x *Guess, c *candidate, text []byte) {
	messages := c.clue.inner(text)
	if len(messages) == 0 {
		return
	}
	guesses := g.Guess(messages, false)
	// What is one program's must be most of them: else the others' are read as parts of
	// its records.
	lines := float64(plainLines(messages))
	guesses = slices.DeleteFunc(guesses, func(in Guess) bool {
		return in.kin == kinOne && in.Parser != rawParser.name && float64(in.Parsed) < leastShare*lines
	})
	in := guesses[0]
	if d, _ := lookup(in.Parser); d.outermost || in.Parser == rawParser.name {
		return
	}
	if strict := c.clue.strict; strict && (in.kin == kinLoose && in.Parser != logfmtParser.name || in.Parsed < in.Records) || !strict && in.Parser == jsonParser.name { // auto reads JSON
		return
	}
	x.Spec = "{parser: " + c.name + ", message: " + in.Spec + "}"
}

// spec returns the parser with the options that a text asks for.
func (c *candidate) spec(text []byte) string {
	options := ""
	if c.clue.options != nil {
		options = c.clue.options(text)
	}
	return "{parser: " + c.name + options + "}"
}

// maxNamed bounds the names that a spec lists.
const maxNamed = 200

// listed returns an option that lists names, as a section in YAML has it; "" where that
// would say nothing.
func listed(option string, names [][]byte) string {
	if len(names) == 0 || len(names) > maxNamed {
		return ""
	}
	var b strings.Builder
	for i, n := range names {
		if len(n) == 0 || !utf8.Valid(n) {
			return ""
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if plainName.Match(n) {
			b.Write(n)
		} else {
			b.WriteString("'" + strings.ReplaceAll(string(n), "'", "''") + "'")
		}
	}
	return ", " + option + ": [" + b.String() + "]"
}

// plainName matches what YAML takes for a text without quotes.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.()-]*$`)

// rank compares guesses: a format that few share wins, if it parses nearly as much.
func (g *Guess) rank() float64 {
	rank := g.share() - 0.1*float64(g.kin)
	if g.headed > 0 {
		rank += 0.1
	}
	return rank
}

// head returns the first lines of a text, whole ones, and how many are not empty.
func head(text []byte, cut bool) (_ []byte, lines int) {
	if len(text) > 4*GuessBytes {
		text, cut = text[:4*GuessBytes], true
	}
	if i := bytes.LastIndexByte(text, '\n'); cut && i >= 0 {
		text = text[:i+1]
	}
	text = firstLines(bytes.TrimPrefix(text, []byte("\ufeff")), guessLines)
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) > 0 {
			lines++
		}
	}
	return text, lines
}

// firstLines returns the first n lines that are not empty.
func firstLines(text []byte, n int) []byte {
	at := 0
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) > 0 {
			if n--; n < 0 {
				break
			}
		}
		at += len(line)
	}
	return text[:at]
}

// ForFile returns the parser for files of a name, where that says so, as long as they
// have no text; else "".
func ForFile(name string) string {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	for _, d := range definitions() {
		for _, pattern := range d.clue.names {
			if ok, _ := path.Match(pattern, base); ok { // patterns are our own
				return d.name
			}
		}
	}
	return ""
}

// Guessed are the names of the parsers that may be guessed, in the order in which to
// show them: raw comes last.
func Guessed() (out []string) {
	for _, d := range definitions() {
		if d.guessable() != nil {
			out = append(out, d.name)
		}
	}
	return append(out, rawParser.name)
}

// StartOf returns what the first line of a parser's records matches; "" where a record
// is a line.
func StartOf(parser string) string {
	d, _ := lookup(parser)
	return d.clue.start
}
