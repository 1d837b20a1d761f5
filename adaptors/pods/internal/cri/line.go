// Package cri reads the lines that container runtimes write to a pod's log, as
// far as an agent must: which output a line is of, whether it is a part of a
// longer one, and where its message starts.
package cri

import "bytes"

// Output is which output of a container a line was written to.
type Output uint8

const (
	Stdout Output = iota
	Stderr
	None // the line has no frame that is known
	numOutputs
)

// Line is what a line's frame tells. The format is CRI's (kubernetes,
// design-proposals/node/kubelet-cri-logging): TIME OUTPUT TAGS MESSAGE, with
// the first of the colon-separated tags P for a part of a line and F for its
// end; or docker's json-file, where a log that ends in no newline is a part.
type Line struct {
	Output  Output
	Partial bool
	// First and Last are where the message is in the line, without its line
	// end; a docker line's is still escaped as JSON has it.
	First, Last int
}

// Read reads a line, with or without its line end. A line without a known
// frame is its own message, whole.
func Read(line []byte) Line {
	end := len(line)
	if end > 0 && line[end-1] == '\n' {
		end--
	}
	none := Line{Output: None, Last: end}
	if end > 0 && line[0] == '{' {
		if l, ok := docker(line[:end]); ok {
			return l
		}
		return none
	}
	// 2006-01-02T15:04:05Z has 20 bytes, with nine digits and an offset 35.
	if end < 28 || line[4] != '-' || line[10] != 'T' {
		return none
	}
	at := bytes.IndexByte(line[19:min(end, 40)], ' ')
	if at < 0 {
		return none
	}
	at += 20
	rest := line[at:end]
	l := Line{Last: end}
	switch {
	case len(rest) < 8 || rest[6] != ' ':
		return none
	case string(rest[:6]) == "stdout":
	case string(rest[:6]) == "stderr":
		l.Output = Stderr
	default:
		return none
	}
	switch tag := rest[7]; {
	case tag == 'P':
		l.Partial = true
	case tag != 'F':
		return none
	}
	tags := bytes.IndexByte(rest[7:], ' ')
	switch {
	case tags < 0:
		l.First = end
	case tags > 1 && rest[8] != ':':
		return none
	default:
		l.First = at + 7 + tags + 1
	}
	return l
}

// docker reads {"log":"message\n","stream":"stdout","time":"…"}.
func docker(line []byte) (Line, bool) {
	const head = `{"log":"`
	if !bytes.HasPrefix(line, []byte(head)) {
		return Line{}, false
	}
	i := len(head)
	for {
		n := bytes.IndexAny(line[i:], `"\`)
		if n < 0 {
			return Line{}, false
		}
		if i += n; line[i] == '"' {
			break
		}
		i = min(i+2, len(line))
	}
	l := Line{First: len(head), Last: i, Partial: true}
	if bytes.HasSuffix(line[l.First:i], []byte(`\n`)) {
		l.Partial = false
		l.Last -= 2
	}
	if bytes.Contains(line[i:], []byte(`"stream":"stderr"`)) {
		l.Output = Stderr
	}
	return l, true
}

// Message returns the text of a record, which is one line or several: without
// frames, parts joined, lines of one output joined by newlines, and what was
// written to stdout before what was written to stderr. It is a part of the
// record where that is one line.
func Message(record []byte) []byte {
	n := bytes.IndexByte(record, '\n')
	if n < 0 || n == len(record)-1 {
		l := Read(record)
		return record[l.First:l.Last]
	}
	var text [numOutputs][]byte
	var open [numOutputs]bool // the last line was a part
	for rest := record; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		l := Read(rest[:n])
		t := &text[l.Output]
		if len(*t) > 0 && !open[l.Output] {
			*t = append(*t, '\n')
		}
		*t = append(*t, rest[l.First:l.Last]...)
		open[l.Output] = l.Partial
		rest = rest[n:]
	}
	out := text[Stdout]
	for _, t := range text[Stderr:] {
		if len(out) > 0 && len(t) > 0 {
			out = append(out, '\n')
		}
		out = append(out, t...)
	}
	return out
}
