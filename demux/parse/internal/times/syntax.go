package times

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/akupara/akupara/config"
)

// maxTimeFormats bounds the formats that are tried, those with and without
// optional sections among them.
const maxTimeFormats = 32

// ReadFormats reads the value of time_format: a format, or a list of them.
func ReadFormats(n config.Node) (Formats, config.Problems) {
	items := n.Items()
	if len(items) == 0 {
		items = []config.Node{n}
	}
	var out Formats
	var problems config.Problems
	for _, item := range items {
		formats, err := Compile(item.Text())
		if err != nil {
			problems = append(problems, item.Problemf("%v", err))
		}
		if out = append(out, formats...); len(out) > maxTimeFormats {
			return nil, append(problems, n.Problemf("there are more than %d formats", maxTimeFormats))
		}
	}
	return out, problems
}

// namedTimes are formats by their names.
var namedTimes = map[string]timeStep{
	"epoch": {part: partEpoch}, "epoch_s": {part: partEpoch}, "epoch_ms": {part: partEpoch, min: 3},
	"epoch_us": {part: partEpoch, min: 6}, "epoch_ns": {part: partEpoch, min: 9},
	"rfc3339": {part: partISO}, "iso8601": {part: partISO},
}

const timeSyntaxes = "want a Java pattern such as yyyy-MM-dd HH:mm:ss,SSS, strptime's such as %d/%b/%Y:%H:%M:%S %z, a Go layout such as 2006-01-02 15:04:05, or one of epoch, epoch_ms, epoch_us, epoch_ns, rfc3339"

// Compile compiles a format. What has a % is strptime's, else what has a digit
// outside of quotes is a Go layout, and all else is a Java pattern.
func Compile(text string) (Formats, error) {
	if text == "" || len(text) > 200 || !utf8.ValidString(text) {
		return nil, fmt.Errorf("it is empty, longer than 200 bytes or not UTF-8; %s", timeSyntaxes)
	}
	if step, ok := namedTimes[text]; ok {
		return Formats{{text: text, steps: []timeStep{step}}}, nil
	}
	var err error
	var syntax string
	var out Formats
	switch {
	case strings.ContainsRune(text, '%'):
		syntax = "strptime's, as it has a %"
		var f timeFormat
		if f.steps, err = strptime(text); err == nil {
			out = Formats{f}
		}
	case hasDigit(text):
		syntax = "a Go layout, as it has a digit"
		var f timeFormat
		if f.steps, err = goLayout(text); err == nil {
			out = Formats{f}
		}
	default:
		syntax = "a Java pattern, as it has neither a % nor a digit"
		out, err = javaPattern(text)
	}
	for i := range out {
		out[i].text = text
		if err == nil {
			err = out[i].finish()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%q is taken for %s: %w; %s", text, syntax, err, timeSyntaxes)
	}
	return out, nil
}

func hasDigit(text string) bool {
	quoted := false
	for _, c := range text {
		if c == '\'' {
			quoted = !quoted
		} else if !quoted && c >= '0' && c <= '9' {
			return true
		}
	}
	return false
}

// finish checks that the parts make a time, and sets how many digits each has.
func (f *timeFormat) finish() error {
	names := map[timePart]string{
		partYear: "a year", partMonth: "a month", partDay: "a day", partYearDay: "a day of the year", partHour: "an hour",
		partMinute: "a minute", partSecond: "a second", partFraction: "a fraction", partHalf: "AM or PM", partEpoch: "an epoch",
	}
	seen := map[timePart]bool{}
	for i := range f.steps {
		p := f.steps[i].part
		switch p {
		case partMonthName:
			p = partMonth
		case partHour12:
			p = partHour
		}
		if name := names[p]; name != "" && seen[p] {
			return fmt.Errorf("it has %s twice", name)
		}
		seen[p] = true
		f.finishFraction(i)
	}
	switch {
	case seen[partEpoch] || seen[partISO]:
		return nil
	case seen[partDay] && !seen[partMonth]:
		return fmt.Errorf("it has a day and no month")
	case seen[partMonth] && !seen[partDay] && !seen[partYear]:
		return fmt.Errorf("it has a month, and neither a day nor a year")
	case !seen[partDay] && !seen[partYearDay] && !seen[partHour] && !seen[partYear]:
		return fmt.Errorf("it has neither a day nor an hour")
	case seen[partMinute] && !seen[partHour]:
		return fmt.Errorf("it has minutes and no hour")
	}
	return nil
}

// finishFraction lets a fraction have any number of digits where none other
// follow, and a comma in the place of its point.
func (f *timeFormat) finishFraction(i int) {
	p := &f.steps[i]
	if last := i+1 == len(f.steps); !last && (p.part == partEpoch || p.part == partZone && strings.HasPrefix(f.steps[i+1].text, "[")) {
		if p.part == partZone {
			p.min = 1
		} else {
			p.max = 1
		}
	}
	if p.part != partFraction {
		return
	}
	if i+1 == len(f.steps) || !f.steps[i+1].digits() {
		p.min, p.max = 1, 40
	}
	if i == 0 || f.steps[i-1].part != partLiteral {
		return
	}
	before := &f.steps[i-1]
	if n := len(before.text); n == 1 && (before.text == "." || before.text == ",") {
		before.part = partPoint
	}
}

func (p *timeStep) digits() bool {
	switch p.part {
	case partYear, partMonth, partDay, partYearDay, partHour, partHour12, partMinute, partSecond, partFraction, partEpoch, partWeekdayNumber:
		return true
	}
	return false
}

// literal adds text to the steps. What is a point or a comma before a fraction
// stays alone.
func literal(steps []timeStep, text string) []timeStep {
	if n := len(steps); n > 0 && steps[n-1].part == partLiteral && text != "." && text != "," && steps[n-1].text != "." && steps[n-1].text != "," {
		steps[n-1].text += text
		return steps
	}
	return append(steps, timeStep{part: partLiteral, text: text})
}

// digitStep makes a step of digits: one at least where least is 1.
func digitStep(part timePart, least, most int) timeStep {
	return timeStep{part: part, min: least, max: most}
}
