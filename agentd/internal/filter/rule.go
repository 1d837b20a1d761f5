package filter

import (
	"strings"

	"github.com/akupara/akupara/config"
)

// Bounds on what a config may hold.
const (
	maxRules   = 64
	maxPattern = 4 << 10 // bytes of a regular expression
)

// Config is what one adaptor's entry says of filtering. Its zero value keeps
// everything.
type Config struct {
	Keep, Drop []Rule
	Sample     config.Percent // the share that is kept; 0: all
	Limit      Limit
}

// Limit bounds what an adaptor sends a second; 0 is no bound. Up to burst
// times as much may go at once after a while with less.
type Limit struct {
	Bytes    config.Size `config:"bytes" min:"1"`
	Records  int64       `config:"records" min:"1"`
	WhenOver string      `config:"when_over" oneof:"drop|wait"` // empty: the default of the kind
}

func (c *Config) samples() bool { return c.Sample > 0 && c.Sample < 100 }

func (l *Limit) given() bool { return l.Bytes > 0 || l.Records > 0 }

// Rule is one entry of keep or drop. All that is given must hold.
type Rule struct {
	text  *pattern
	level Level
}

// Keys of an adaptor's entry that Decode reads.
type Keys struct {
	Keep   config.Node `config:"keep"`
	Drop   config.Node `config:"drop"`
	Sample config.Node `config:"sample"`
	Limit  config.Node `config:"limit"`
}

// Decode reads what an adaptor's entry says. replayable tells that its sources
// can be read again, so that over a limit it waits unless told otherwise.
func Decode(k Keys, replayable bool) (Config, config.Problems) {
	var c Config
	var problems config.Problems
	read := func(n config.Node, into *[]Rule) {
		rules, p := decodeRules(n)
		*into, problems = rules, append(problems, p...)
	}
	read(k.Keep, &c.Keep)
	read(k.Drop, &c.Drop)
	if k.Sample.Given() {
		text := k.Sample.Text()
		if err := c.Sample.UnmarshalText([]byte(text)); err != nil || !strings.HasSuffix(strings.TrimSpace(text), "%") || c.Sample == 0 {
			problems = append(problems, k.Sample.Problemf("%q is no share; want a percentage above 0%% and up to 100%%, such as 10%%", text))
		}
	}
	if k.Limit.Given() {
		problems = append(problems, config.Decode(k.Limit, &c.Limit)...)
		if len(problems) == 0 && !c.Limit.given() {
			problems = append(problems, k.Limit.Problemf("it bounds nothing; want bytes, records or both, each a second"))
		}
	}
	if c.Limit.WhenOver == "" {
		c.Limit.WhenOver = "drop"
		if replayable {
			c.Limit.WhenOver = "wait"
		}
	}
	return c, problems
}

func decodeRules(n config.Node) ([]Rule, config.Problems) {
	const want = "want a list of regular expressions and of levels, such as [\"GET /health\", {level: debug}]"
	if !n.Given() {
		return nil, nil
	}
	items := n.Items()
	switch {
	case len(items) == 0:
		return nil, config.Problems{n.Problemf("it is no list, or an empty one; %s", want)}
	case len(items) > maxRules:
		return nil, config.Problems{n.Problemf("%d rules; at most %d are allowed", len(items), maxRules)}
	}
	var out []Rule
	var problems config.Problems
	for _, item := range items {
		r, p := decodeRule(item)
		out, problems = append(out, r), append(problems, p...)
	}
	return out, problems
}

func decodeRule(n config.Node) (Rule, config.Problems) {
	var r Rule
	match := n
	var problems config.Problems
	if len(n.Fields()) > 0 {
		var keys struct {
			Match config.Node `config:"match"`
			Level config.Node `config:"level"`
		}
		if p := config.Decode(n, &keys); len(p) > 0 {
			return r, p
		}
		if keys.Level.Given() {
			r.level, problems = decodeLevel(keys.Level)
		}
		if match = keys.Match; !match.Given() {
			return r, problems
		}
	}
	text := match.Text()
	switch {
	case text == "":
		return r, append(problems, match.Problemf("an empty rule; want a regular expression, or {level: debug}"))
	case len(text) > maxPattern:
		return r, append(problems, match.Problemf("a regular expression of %d bytes; at most %d are allowed", len(text), maxPattern))
	}
	p, err := newPattern(text)
	if err != nil {
		return r, append(problems, match.Problemf("%q is no regular expression (RE2 syntax): %v", text, err))
	}
	r.text = p
	return r, problems
}

func decodeLevel(n config.Node) (Level, config.Problems) {
	l := parseLevel([]byte(n.Text()))
	if l == Unknown {
		return l, config.Problems{n.Problemf("%q is no level; allowed: %s", n.Text(), strings.Join(levelNames[1:], ", "))}
	}
	return l, nil
}

// drops reports whether a drop rule meets the record: its level is the rule's or
// below. A record of unknown level is met by no level.
func (r *Rule) drops(rec *record) bool {
	if r.level != Unknown && (rec.levelOf() == Unknown || rec.levelOf() > r.level) {
		return false
	}
	return r.text == nil || r.text.match(rec.text)
}

// keeps reports whether a keep rule meets the record: its level is the rule's or
// above, or unknown.
func (r *Rule) keeps(rec *record) bool {
	if r.level != Unknown && rec.levelOf() != Unknown && rec.levelOf() < r.level {
		return false
	}
	return r.text == nil || r.text.match(rec.text)
}
