// Package steps changes what a parser makes of records before it is kept: keys get other
// names or are dropped, columns get constants, values are parsed by another parser, and
// what must not be kept is redacted.
package steps

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/redact"
	"github.com/akupara/akupara/demux/schema"
)

const (
	maxSteps    = 64
	maxNames    = 1000 // of one step
	maxPatterns = 64
)

// Steps are those of a data type, in order. They don't change; the zero value has none.
type Steps struct{ list []step }

// step is one of them: what is not nil of it.
type step struct {
	rename map[string]string // by the folded key
	drop   names
	set    []assignment
	parse  *parsing
	redact *redaction
}

// assignment gives a column a constant, or a tag's value.
type assignment struct {
	column string
	value  any // a string, an int, a float64 or a bool
	tag    string
}

// parsing parses a column's texts.
type parsing struct {
	column, prefix string
	keep           bool
	spec           parse.Spec
}

// redaction takes things out of columns.
type redaction struct {
	columns  names // nil: all
	kinds    []redact.Kind
	patterns []*regexp.Regexp
	key      []byte // of hashes; nil: masks
}

// whole reports whether whole values are taken out.
func (r *redaction) whole() bool { return len(r.kinds)+len(r.patterns) == 0 }

// section is a step as a config has it: one of its keys.
type section struct {
	Rename config.Node            `config:"rename"`
	Drop   []config.Value[string] `config:"drop"`
	Set    config.Node            `config:"set"`
	Parse  config.Node            `config:"parse"`
	Redact config.Node            `config:"redact"`
}

// Read reads the steps of a data type from their list. Keys of hashes are read from
// their files.
func Read(n config.Node) (*Steps, config.Problems) {
	s := &Steps{}
	if !n.Given() {
		return s, nil
	}
	items := n.Items()
	switch {
	case len(items) == 0 && (n.Text() != "" || len(n.Fields()) > 0):
		return s, config.Problems{n.Problemf("want a list of steps, each with one key: %s", kinds)}
	case len(items) > maxSteps:
		return s, config.Problems{n.Problemf("there are %d steps; at most %d are allowed", len(items), maxSteps)}
	}
	var problems config.Problems
	for _, item := range items {
		st, wrong := readStep(item)
		s.list = append(s.list, st)
		problems = append(problems, wrong...)
	}
	return s, problems
}

const kinds = "drop, parse, redact, rename or set"

func readStep(n config.Node) (st step, problems config.Problems) {
	var c section
	if problems = config.Decode(n, &c); len(problems) > 0 {
		return st, problems
	}
	if f := n.Fields(); len(f) != 1 {
		return st, config.Problems{n.Problemf("a step has one key, %s; this has %d", kinds, len(f))}
	}
	switch {
	case c.Rename.Given():
		st.rename, problems = readRename(c.Rename)
	case n.Get("drop").Given():
		st.drop, problems = readNames(n.Get("drop"), c.Drop)
	case c.Set.Given():
		st.set, problems = readSet(c.Set)
	case c.Parse.Given():
		st.parse, problems = readParse(c.Parse)
	default:
		st.redact, problems = readRedact(c.Redact)
	}
	return st, problems
}

func readRename(n config.Node) (map[string]string, config.Problems) {
	fields := n.Fields()
	if len(fields) == 0 || len(fields) > maxNames {
		return nil, config.Problems{n.Problemf("want keys and their new names, such as {usr: user.name}: from 1 to %d", maxNames)}
	}
	var problems config.Problems
	to := map[string]string{}
	for _, f := range fields {
		name := f.Value.Text()
		switch {
		case schema.IsCommon(f.Key):
			problems = append(problems, f.Value.Problemf("%s is a column of every table: it keeps its name", schema.Fold(f.Key)))
		case slices.Contains(roles, name):
		case to[schema.Fold(f.Key)] != "":
			problems = append(problems, f.Value.Problemf("%s is renamed already: keys differ in more than case", f.Key))
		default:
			problems = append(problems, checkColumn(f.Value, name)...)
		}
		to[schema.Fold(f.Key)] = name
	}
	return to, problems
}

// roles are the common columns that a record's keys may become.
var roles = []string{schema.TS, schema.Level, schema.Message}

// checkColumn says what is wrong with the name of a column that a step makes.
func checkColumn(n config.Node, name string) config.Problems {
	switch {
	case schema.IsCommon(name):
		return config.Problems{n.Problemf("%s is a column of every table, and what it says is not the records'; those of them that keys may become: %s", schema.Fold(name), strings.Join(roles, ", "))}
	case schema.IsOfMessages(name):
		return config.Problems{n.Problemf("a column %s is made of messages", schema.Fold(name))}
	case !schema.Fit(name):
		return config.Problems{n.Problemf("%q can't be a column's name: it is empty, too long, not printable, or means something else in Iceberg or Parquet", name)}
	}
	return nil
}

// readNames reads names of columns that are not common, but for those that are allowed.
func readNames(n config.Node, list []config.Value[string], allowed ...string) (names, config.Problems) {
	if len(list) == 0 || len(list) > maxNames {
		return nil, config.Problems{n.Problemf("want a list of columns, such as [debug, \"tmp.*\"]: from 1 to %d", maxNames)}
	}
	var problems config.Problems
	out := make(names, 0, len(list))
	for _, v := range list {
		switch name := schema.Fold(v.V); {
		case name == "":
			problems = append(problems, v.Problemf("%s: a name is empty", n.Path()))
		case schema.IsCommon(name) && !slices.Contains(allowed, name):
			problems = append(problems, v.Problemf("%s: %s is a column of every table: %s", n.Path(), name, untouched[name]))
		default:
			out = append(out, strings.Split(name, "*"))
		}
	}
	return out, problems
}

// untouched says why steps leave common columns as they are.
var untouched = func() map[string]string {
	why := map[string]string{
		schema.Message: "records that can't be parsed are kept there", schema.ParseError: "it says what went wrong, and is redacted by each step that looks for something",
		schema.Attributes: "its pairs go by their own keys", schema.Level: "it is one of six words", schema.Tags: "they are the config's, not the records'",
	}
	for _, c := range schema.Common() {
		if why[c.Name] == "" {
			why[c.Name] = "it says when and where a record was written, by which each is in the table exactly once"
		}
	}
	return why
}()

func readSet(n config.Node) ([]assignment, config.Problems) {
	fields := n.Fields()
	if len(fields) == 0 || len(fields) > maxNames {
		return nil, config.Problems{n.Problemf("want columns and their values, such as {team: payments, region: {tag: region}}: from 1 to %d", maxNames)}
	}
	var problems config.Problems
	out := make([]assignment, 0, len(fields))
	for _, f := range fields {
		problems = append(problems, checkColumn(f.Value, f.Key)...)
		a := assignment{column: f.Key}
		if len(f.Value.Fields()) > 0 {
			var c struct {
				Tag string `config:"tag,required"`
			}
			problems = append(problems, config.Decode(f.Value, &c)...)
			a.tag = c.Tag
			out = append(out, a)
			continue
		}
		switch v := f.Value.Any().(type) {
		case string, int, float64, bool:
			a.value = v
		default:
			problems = append(problems, f.Value.Problemf("want a text, a number, true or false, or a tag's value, {tag: NAME}"))
		}
		out = append(out, a)
	}
	return out, problems
}

func readParse(n config.Node) (*parsing, config.Problems) {
	var c struct {
		Column config.Value[string] `config:"column,required"`
		Parser config.Node          `config:"parser,required"`
		Prefix config.Value[string] `config:"prefix"`
		Keep   bool                 `config:"keep"`
	}
	problems := config.Decode(n, &c)
	if len(problems) > 0 {
		return nil, problems
	}
	p := &parsing{column: c.Column.V, prefix: c.Prefix.V, keep: c.Keep}
	if p.column == "" || schema.IsCommon(p.column) && p.column != schema.Message {
		problems = append(problems, c.Column.Problemf("%s.column: want the name of a column that is the records', or message", n.Path()))
	}
	if p.prefix != "" && !schema.Fit(p.prefix+"x") {
		problems = append(problems, c.Prefix.Problemf("%s.prefix: %q can't begin a column's name", n.Path(), p.prefix))
	}
	spec, wrong := parse.ReadNode(c.Parser)
	p.spec = spec
	if len(wrong) == 0 && !spec.ReadsValues() {
		wrong = config.Problems{c.Parser.Problemf("the parser %s reads whole records alone; parsers of columns are %s", spec.Parser(), strings.Join(parse.MessageNames(), ", "))}
	}
	return p, append(problems, wrong...)
}

func readRedact(n config.Node) (*redaction, config.Problems) {
	var c struct {
		Columns []config.Value[string] `config:"columns"`
		What    []config.Value[string] `config:"what"`
		Pattern config.Node            `config:"pattern"`
		With    string                 `config:"with" oneof:"mask|hash"`
		KeyFile config.Value[string]   `config:"key_file"`
	}
	problems := config.Decode(n, &c)
	if len(problems) > 0 {
		return nil, problems
	}
	r := &redaction{}
	if columns := n.Get("columns"); columns.Given() {
		r.columns, problems = readNames(columns, c.Columns, schema.Message)
	}
	for i, v := range c.What {
		if slices.Contains(redact.Kinds, redact.Kind(v.V)) {
			r.kinds = append(r.kinds, redact.Kind(v.V))
			continue
		}
		problems = append(problems, v.Problemf("%s.what[%d]: %q is not known%s; allowed: %s", n.Path(), i, v.V, near(v.V), strings.Join(known(), ", ")))
	}
	patterns, wrong := readPatterns(c.Pattern)
	r.patterns = patterns
	problems = append(problems, wrong...)
	if r.whole() && !c.Pattern.Given() && len(c.What) == 0 && r.columns == nil && !n.Get("columns").Given() {
		problems = append(problems, n.Problemf("it says nothing of what to redact: want what (%s), a pattern, or columns whose values are redacted whole", strings.Join(known(), ", ")))
	}
	switch {
	case c.With == "hash" && !c.KeyFile.Given():
		problems = append(problems, n.Problemf("hashes want a key: key_file is missing, the path of a file with one, such as from: openssl rand -hex 32"))
	case c.With != "hash" && c.KeyFile.Given():
		problems = append(problems, c.KeyFile.Problemf("%s.key_file: masks have no key; it goes with: hash", n.Path()))
	case c.KeyFile.Given():
		key, err := redact.ReadKey(c.KeyFile.V)
		if err != nil {
			problems = append(problems, c.KeyFile.Problemf("%s.key_file: the key of hashes can't be read: %v", n.Path(), err))
		}
		r.key = key
	}
	return r, problems
}

func known() []string {
	out := make([]string, 0, len(redact.Kinds))
	for _, k := range redact.Kinds {
		out = append(out, string(k))
	}
	slices.Sort(out)
	return out
}

func near(name string) string {
	if n := config.Nearest(name, known()); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}

// readPatterns reads one pattern, or a list.
func readPatterns(n config.Node) (out []*regexp.Regexp, problems config.Problems) {
	if !n.Given() {
		return nil, nil
	}
	items := n.Items()
	if len(items) == 0 {
		items = []config.Node{n}
	}
	if len(items) > maxPatterns {
		return nil, config.Problems{n.Problemf("there are %d patterns; at most %d are allowed", len(items), maxPatterns)}
	}
	for _, item := range items {
		re, err := config.CompileRegexp(item.Text())
		switch {
		case item.Text() == "":
			problems = append(problems, item.Problemf("want a regular expression (RE2); of one with groups, what these match is redacted"))
		case err != nil:
			problems = append(problems, item.Problemf("%q: %v", item.Text(), err))
		default:
			out = append(out, re)
		}
	}
	return out, problems
}
