package parse

import (
	"bytes"
	"regexp"

	"github.com/akupara/akupara/demux/parse/internal/colours"
)

var composeParser = outermost(simple("compose", "lines with their service before them, `web-1  | message`, as docker compose and foreman print them", func() format { return newCompose() })).
	guessed(clue{sure: likeCompose.Match, inner: composeTexts})

// newCompose makes a format whose lines have a name in front: a frame as that of
// containers' logs, without a time. The name is the attribute "service".
func newCompose() *criFormat {
	f := newCRI()
	f.line, f.key, f.kind = composeLine, "service", "docker compose's: it does not start with a service and a bar"
	return f
}

// maxService bounds the name of a service.
const maxService = 64

// composeLine takes a line apart: NAME, spaces, a bar, a space, the text. foreman and
// honcho have a time of day before the name, which the text's own is better than.
func composeLine(line []byte) (l criFrame, ok bool) {
	bar := bytes.IndexByte(line[:min(len(line), 2*maxService)], '|')
	if bar < 2 || line[bar-1] != ' ' && line[bar-1] != 'm' {
		return l, false
	}
	head := line[:bar]
	if bytes.IndexByte(head, colours.Escape) >= 0 {
		head = colours.Off(nil, head)
	}
	name := bytes.TrimRight(head, " ")
	if len(name) > 9 && name[2] == ':' && name[5] == ':' && name[8] == ' ' {
		name = bytes.TrimLeft(name[9:], " ")
	}
	if len(name) == 0 || len(name) > maxService || !isService(name) {
		return l, false
	}
	l.output, l.text = name, line[bar+1:]
	for n := colours.Sequence(l.text); n > 0; n = colours.Sequence(l.text) {
		l.text = l.text[n:]
	}
	l.text = bytes.TrimPrefix(l.text, []byte(" "))
	return l, true
}

// isService reports whether w may be a service's name.
func isService(w []byte) bool {
	for _, c := range w {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return w[0] > '9'
}

var likeCompose = regexp.MustCompile(`^(\d\d:\d\d:\d\d )?[A-Za-z][\w.-]{0,63} +\| `)

// composeTexts returns the texts that the lines have behind their services.
func composeTexts(text []byte) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		if l, ok := composeLine(trimLine(line)); ok {
			out = append(append(out, l.text...), '\n')
		}
	}
	return out
}
