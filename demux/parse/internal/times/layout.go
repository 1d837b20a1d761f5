package times

import (
	"errors"
	"fmt"
	"strings"
)

// strptime compiles a format of strptime and its relatives in Python, Ruby and
// Go: %L are milliseconds, %f and %N fractions of any length.
func strptime(text string) (steps []timeStep, err error) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n':
			steps = append(steps, timeStep{part: partSpace})
			continue
		case c != '%':
			steps = literal(steps, text[i:i+1])
			continue
		}
		i++
		for i < len(text) && strings.IndexByte("-_0^#EO:123456789", text[i]) >= 0 {
			i++
		}
		if i == len(text) {
			return nil, errors.New("it ends with a %")
		}
		if long, ok := strptimeLong[text[i]]; ok {
			sub, err := strptime(long)
			if err != nil {
				return nil, err
			}
			steps = append(steps, sub...)
			continue
		}
		step, ok := strptimeParts[text[i]]
		if !ok {
			return nil, fmt.Errorf("%%%c is not known in it", text[i])
		}
		if step.part == partLiteral {
			steps = literal(steps, step.text)
		} else {
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// strptimeLong are letters that stand for several.
var strptimeLong = map[byte]string{
	'T': "%H:%M:%S", 'X': "%H:%M:%S", 'R': "%H:%M", 'F': "%Y-%m-%d", 'D': "%m/%d/%y", 'x': "%m/%d/%y",
	'r': "%I:%M:%S %p", 'c': "%a %b %e %H:%M:%S %Y", 'v': "%e-%b-%Y", '+': "%a %b %e %H:%M:%S %Z %Y",
}

var strptimeParts = map[byte]timeStep{
	'Y': digitStep(partYear, 4, 4), 'y': digitStep(partYear, 2, 2), 'G': digitStep(partYear, 4, 4),
	'm': digitStep(partMonth, 1, 2), 'b': {part: partMonthName}, 'B': {part: partMonthName}, 'h': {part: partMonthName},
	'd': digitStep(partDay, 1, 2), 'e': digitStep(partDay, 1, 2), 'j': digitStep(partYearDay, 1, 3),
	'a': {part: partWeekday}, 'A': {part: partWeekday}, 'u': digitStep(partWeekdayNumber, 1, 1), 'w': digitStep(partWeekdayNumber, 1, 1),
	'H': digitStep(partHour, 1, 2), 'k': digitStep(partHour, 1, 2), 'I': digitStep(partHour12, 1, 2), 'l': digitStep(partHour12, 1, 2),
	'M': digitStep(partMinute, 1, 2), 'S': digitStep(partSecond, 1, 2),
	'f': digitStep(partFraction, 1, 9), 'N': digitStep(partFraction, 1, 9), 'L': digitStep(partFraction, 3, 3),
	'p': {part: partHalf}, 'P': {part: partHalf}, 'z': {part: partZone}, 'Z': {part: partZone},
	's': {part: partEpoch}, 'Q': {part: partEpoch, min: 3},
	'%': {part: partLiteral, text: "%"}, 'n': {part: partSpace}, 't': {part: partSpace},
}

// goParts are what a Go layout is made of, longer ones before those that they
// start with.
var goParts = []struct {
	text string
	step timeStep
}{
	{"January", timeStep{part: partMonthName}}, {"Jan", timeStep{part: partMonthName}},
	{"Monday", timeStep{part: partWeekday}}, {"Mon", timeStep{part: partWeekday}},
	{"MST", timeStep{part: partZone}},
	{"2006", digitStep(partYear, 4, 4)}, {"002", digitStep(partYearDay, 3, 3)}, {"06", digitStep(partYear, 2, 2)},
	{"01", digitStep(partMonth, 2, 2)}, {"02", digitStep(partDay, 2, 2)}, {"03", digitStep(partHour12, 2, 2)},
	{"04", digitStep(partMinute, 2, 2)}, {"05", digitStep(partSecond, 2, 2)},
	{"15", digitStep(partHour, 2, 2)}, {"__2", digitStep(partYearDay, 1, 3)}, {"_2", digitStep(partDay, 1, 2)},
	{"1", digitStep(partMonth, 1, 2)}, {"2", digitStep(partDay, 1, 2)}, {"3", digitStep(partHour12, 1, 2)},
	{"4", digitStep(partMinute, 1, 2)}, {"5", digitStep(partSecond, 1, 2)},
	{"PM", timeStep{part: partHalf}}, {"pm", timeStep{part: partHalf}},
	{"-07:00:00", timeStep{part: partZone}}, {"-070000", timeStep{part: partZone}}, {"-07:00", timeStep{part: partZone}},
	{"-0700", timeStep{part: partZone}}, {"-07", timeStep{part: partZone}},
	{"Z07:00:00", timeStep{part: partZone}}, {"Z070000", timeStep{part: partZone}}, {"Z07:00", timeStep{part: partZone}},
	{"Z0700", timeStep{part: partZone}}, {"Z07", timeStep{part: partZone}},
}

// goLayout compiles a layout of Go's package time. As there, seconds may have a
// fraction although the layout has none.
func goLayout(text string) (steps []timeStep, err error) {
next:
	for i := 0; i < len(text); {
		if n := goFraction(text[i:]); n > 0 {
			if last := len(steps) - 1; last >= 0 && steps[last].part == partLoose {
				steps = steps[:last]
			}
			step := timeStep{part: partLoose}
			if text[i+1] == '0' {
				steps = append(steps, timeStep{part: partPoint})
				step = digitStep(partFraction, n-1, n-1)
			}
			steps = append(steps, step)
			i += n
			continue
		}
		for _, p := range goParts {
			if !strings.HasPrefix(text[i:], p.text) {
				continue
			}
			steps = append(steps, p.step)
			i += len(p.text)
			if p.step.part == partSecond {
				steps = append(steps, timeStep{part: partLoose})
			}
			continue next
		}
		if text[i] >= '0' && text[i] <= '9' {
			return nil, fmt.Errorf("%q at byte %d is no part of its reference time, Mon Jan 2 15:04:05 MST 2006", text[i:i+1], i)
		}
		steps = literal(steps, text[i:i+1])
		i++
	}
	return steps, nil
}

// goFraction returns the length of a fraction at the start of a layout: .000,
// .999, ,000 or ,999.
func goFraction(s string) int {
	if len(s) < 2 || s[0] != '.' && s[0] != ',' || s[1] != '0' && s[1] != '9' {
		return 0
	}
	n := 2
	for n < len(s) && s[n] == s[1] {
		n++
	}
	if n < len(s) && s[n] >= '0' && s[n] <= '9' {
		return 0
	}
	return n
}
