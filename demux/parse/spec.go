package parse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/times"
)

// Spec is a parser with what a config says of it. Its zero value is the parser raw.
type Spec struct {
	def     definition
	options any   // of def
	message *Spec // of what its records frame; nil: the format's own choice
	times   times.Formats
	timeKey []string // under which the records have their time; nil: the usual ones
}

// Given reports whether it names a parser.
func (s Spec) Given() bool { return s.def.make != nil }

// Parser is the name of its parser.
func (s Spec) Parser() string { return s.definition().name }

// namer is implemented by options of parsers that take names of columns in the order
// of fields.
type namer interface{ takesNames() }

// TakesNames reports whether a section may list names of columns under the key
// columns, in the order of its parser's fields.
func (s Spec) TakesNames() bool {
	_, ok := s.options.(namer)
	return ok
}

func (s Spec) definition() definition {
	if !s.Given() {
		return rawParser
	}
	return s.def
}

// maxFrames bounds how deep specs of messages may stand in each other.
const maxFrames = 4

// common are the keys of every spec.
type common struct {
	Parser config.Value[string] `config:"parser"`
	// Message is the spec of what the records frame, or its parser's name alone.
	Message config.Node `config:"message"`
	// TimeFormat is how its times are written: a format, or several to try.
	TimeFormat config.Node `config:"time_format"`
	// Time is the key of its time, or those of date and time of day.
	Time config.Node `config:"time"`
}

// ReadSpec reads the spec that stands in a section, as below demux.types: the
// keys parser and message, and the options of that parser. Where no parser is
// named it is fallback. Other keys of the section belong to others, pointers to
// structs as config.Decode takes them.
func ReadSpec(section config.Node, fallback string, others ...any) (Spec, config.Problems) {
	return readSpec(section, fallback, maxFrames, others...)
}

// ReadText reads a spec as it is given outside of a config: a parser's name, or a
// section in YAML.
func ReadText(text string) (Spec, config.Problems) {
	n, problems := config.Parse("parser", []byte(text))
	if len(problems) > 0 {
		return Spec{}, problems
	}
	return ReadNode(n)
}

// ReadNode reads the spec that a value is: a parser's name, or a section.
func ReadNode(n config.Node) (Spec, config.Problems) { return readNode(n, maxFrames) }

func readNode(n config.Node, depth int) (Spec, config.Problems) {
	if name := n.Text(); name != "" {
		return named(name, n)
	}
	if !n.Get("parser").Given() {
		return Spec{}, config.Problems{n.Problemf("want the name of a parser, or a section with the key parser; parsers are %s", strings.Join(namesAt(depth), ", "))}
	}
	return readSpec(n, "", depth)
}

// named returns the spec of a parser that needs no options.
func named(name string, at config.Node) (Spec, config.Problems) {
	def, ok := lookup(name)
	if !ok {
		return Spec{}, config.Problems{unknownParser(at, name)}
	}
	s := Spec{def: def}
	if def.options != nil {
		s.options = def.options()
	}
	if _, err := s.format(); err != nil {
		return Spec{}, config.Problems{at.Problemf("%v", err)}
	}
	return s, nil
}

func readSpec(section config.Node, fallback string, depth int, others ...any) (Spec, config.Problems) {
	name := section.Get("parser").Text()
	if name == "" {
		name = fallback
	}
	def, known := lookup(name)
	var head common
	s, into := Spec{def: def}, append([]any{&head}, others...)
	if known && def.options != nil {
		s.options = def.options()
		into = append(into, s.options)
	}
	if !known { // what its options are is not known
		return Spec{}, append(config.DecodeKnown(section, into...), unknownParser(section.Get("parser"), name))
	}
	problems := config.Decode(section, into...)
	if len(problems) > 0 {
		return Spec{}, problems
	}
	if head.Message.Given() {
		if s.message, problems = readMessage(head.Message, def, depth); len(problems) > 0 {
			return Spec{}, problems
		}
	}
	if head.TimeFormat.Given() {
		if s.times, problems = times.ReadFormats(head.TimeFormat); len(problems) > 0 {
			return Spec{}, problems
		}
	}
	if head.Time.Given() {
		if s.timeKey, problems = readTimeKeys(head.Time); len(problems) > 0 {
			return Spec{}, problems
		}
	}
	f, err := s.format()
	if err != nil {
		return Spec{}, config.Problems{section.Problemf("%v", err)}
	}
	if _, ok := f.(timeKeyed); !ok && head.Time.Given() {
		return Spec{}, config.Problems{head.Time.Problemf("records of the parser %s have their time in one place alone", def.name)}
	}
	if _, ok := f.(timed); !ok && head.TimeFormat.Given() {
		return Spec{}, config.Problems{head.TimeFormat.Problemf("the parser %s reads times in one form alone", def.name)}
	}
	return s, nil
}

// readTimeKeys reads the value of time: a key, or a list of two.
func readTimeKeys(n config.Node) (keys []string, _ config.Problems) {
	items := n.Items()
	if len(items) == 0 {
		items = []config.Node{n}
	}
	for _, item := range items {
		keys = append(keys, item.Text())
	}
	if len(keys) > 2 || slices.Contains(keys, "") {
		return nil, config.Problems{n.Problemf("want the key of the time, with dots for nested ones, or a list of the keys of date and time of day")}
	}
	return keys, nil
}

func readMessage(n config.Node, outer definition, depth int) (*Spec, config.Problems) {
	switch {
	case !outer.frames:
		return nil, config.Problems{n.Problemf("only the parsers %s have messages for another one; its parser is %s", strings.Join(FramingNames(), ", "), outer.name)}
	case depth == 0:
		return nil, config.Problems{n.Problemf("messages within messages: %d levels are allowed", maxFrames)}
	}
	s, problems := readNode(n, depth-1)
	if len(problems) == 0 && s.def.outermost {
		problems = config.Problems{n.Problemf("the parser %s reads whole records alone; parsers of messages are %s", s.def.name, strings.Join(MessageNames(), ", "))}
	}
	return &s, problems
}

func unknownParser(at config.Node, name string) config.Problem {
	near := ""
	if n := config.Nearest(name, Names()); n != "" {
		near = fmt.Sprintf("; did you mean %s?", n)
	}
	return at.Problemf("%q is not known%s; allowed: %s", name, near, strings.Join(Names(), ", "))
}

// namesAt returns what a spec may name at a depth of messages.
func namesAt(depth int) []string {
	if depth == maxFrames {
		return Names()
	}
	return MessageNames()
}

// format makes the format.
func (s Spec) format() (format, error) {
	def := s.definition()
	f, err := def.make(s.options)
	if err != nil {
		return nil, err
	}
	if t, ok := f.(timed); ok && len(s.times) > 0 {
		t.timeFormats(s.times)
	}
	if t, ok := f.(timeKeyed); ok && len(s.timeKey) > 0 {
		t.timeKeys(s.timeKey)
	}
	if s.message == nil {
		return f, nil
	}
	inner, err := s.message.format()
	if err != nil {
		return nil, err
	}
	f.(framer).frame(inner)
	return f, nil
}

// MustSpec is ReadText for specs that a program itself has: it panics where one is wrong.
func MustSpec(text string) Spec {
	s, problems := ReadText(text)
	if len(problems) > 0 {
		panic(problems.Error())
	}
	return s
}

// DefaultFor names the parser of a data type for which the config names none:
// the one of the same name, cri for pods, and raw for everything else.
func DefaultFor(dataType string) string {
	if dataType == "pods" {
		return "cri"
	}
	if d, ok := lookup(dataType); ok && !d.inner && d.example == "" {
		return dataType
	}
	return "raw"
}
