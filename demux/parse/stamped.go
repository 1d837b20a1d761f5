package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/applog"
)

var stampedParser = outermost(simple("stamped", "lines with a time before them, as `kubectl logs --timestamps` and `docker logs -t` print them", func() format { return newStamped() })).
	guessed(clue{whole: likeStamped, inner: stampedTexts})

// newStamped makes a format whose lines have a time in front: a frame as that of
// containers' logs, without an output.
func newStamped() *criFormat {
	f := newCRI()
	f.line, f.key, f.kind = stampedLine, "", "of a log with timestamps: it does not start with a time as in 2006-01-02T15:04:05.999999999Z"
	return f
}

// stampedLine takes a line apart: the time, a space, the text.
func stampedLine(line []byte) (l criFrame, ok bool) {
	l.time, l.text, ok = bytes.Cut(line, []byte(" "))
	if !ok || len(l.time) < len("2006-01-02T15:04:05Z") || l.time[4] != '-' || l.time[10] != 'T' || l.time[13] != ':' {
		return l, false
	}
	l.output = l.time[:0] // there is none
	return l, true
}

// likeStamped reports whether what a text's lines have behind their times are records of
// formats with heads of their own: others are an application's, whose time it is.
func likeStamped(text []byte) bool {
	n, like := 0, 0
	for line := range bytes.Lines(text) {
		l, ok := stampedLine(trimLine(line))
		if n++; ok && (applog.IsGlog(l.text) || sureCombined.Match(l.text) || surePairs(l.text)) {
			like++
		}
	}
	return float64(like) >= leastShare*float64(n) && n > 0
}

// stampedTexts returns the texts that the lines have behind their times.
func stampedTexts(text []byte) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		if l, ok := stampedLine(trimLine(line)); ok {
			out = append(append(out, l.text...), '\n')
		}
	}
	return out
}
