package times

import (
	"errors"
	"fmt"
	"strings"
)

// javaPattern compiles a pattern of java.time.format.DateTimeFormatter or
// java.text.SimpleDateFormat. One with optional sections in brackets becomes as
// many formats as there are ways to have them.
func javaPattern(text string) (Formats, error) {
	all, err := javaSections(text)
	if err != nil {
		return nil, err
	}
	var out Formats
	for _, t := range all {
		steps, err := javaSteps(t)
		if err != nil {
			return nil, err
		}
		out = append(out, timeFormat{steps: steps})
	}
	return out, nil
}

// javaSections writes out the optional sections of a pattern, the longest form
// first.
func javaSections(text string) ([]string, error) {
	quoted, open := false, -1
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '[':
			open = i
		case c == ']' && open < 0:
			return nil, errors.New("a ] has no [ before it")
		case c == ']':
			with, err := javaSections(text[:open] + text[open+1:i] + text[i+1:])
			if err != nil {
				return nil, err
			}
			without, err := javaSections(text[:open] + text[i+1:])
			if out := append(with, without...); len(out) <= maxTimeFormats {
				return out, err
			}
			return nil, errors.New("it has too many optional sections")
		}
	}
	if open >= 0 {
		return nil, errors.New("a [ is not closed")
	}
	return []string{text}, nil
}

func javaSteps(text string) (steps []timeStep, err error) {
	for i := 0; i < len(text); {
		c := text[i]
		if c == '\'' {
			end := strings.IndexByte(text[i+1:], '\'')
			switch {
			case end < 0:
				return nil, errors.New("its quote ' is not closed")
			case end == 0:
				steps = literal(steps, "'")
			default:
				steps = literal(steps, text[i+1:i+1+end])
			}
			i += end + 2
			continue
		}
		if !LetterOrDigit(c) {
			steps = literal(steps, text[i:i+1])
			i++
			continue
		}
		n := 1
		for i+n < len(text) && text[i+n] == c {
			n++
		}
		step, ok := javaLetter(c, n)
		if !ok {
			return nil, fmt.Errorf("the letter %c is not known in it; text stands in quotes ''", c)
		}
		steps = append(steps, step)
		i += n
	}
	return steps, nil
}

// javaLetter returns the step of a letter that stands n times.
func javaLetter(c byte, n int) (step timeStep, ok bool) {
	two := func(part timePart) (timeStep, bool) { return digitStep(part, min(n, 2), 2), n <= 2 }
	switch c {
	case 'y', 'u', 'Y':
		if n == 2 {
			return digitStep(partYear, 2, 2), true
		}
		return digitStep(partYear, 4, 4), n <= 4
	case 'M', 'L':
		if n >= 3 {
			return timeStep{part: partMonthName}, n <= 4
		}
		return two(partMonth)
	case 'd':
		return two(partDay)
	case 'D':
		return digitStep(partYearDay, n, 3), n <= 3
	case 'E', 'e', 'c':
		if c != 'E' && n <= 2 {
			return digitStep(partWeekdayNumber, 1, 1), true
		}
		return timeStep{part: partWeekday}, true
	case 'H', 'k':
		return two(partHour)
	case 'h', 'K':
		return two(partHour12)
	case 'm':
		return two(partMinute)
	case 's':
		return two(partSecond)
	case 'S', 'n':
		return digitStep(partFraction, n, n), n <= 9
	case 'a':
		return timeStep{part: partHalf}, true
	case 'G':
		return timeStep{part: partEra}, true
	case 'z', 'Z', 'X', 'x', 'O', 'V', 'v':
		return timeStep{part: partZone}, true
	}
	return step, false
}
