package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/applog"
	"github.com/akupara/akupara/demux/parse/internal/colours"
	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
)

var autoParser = inner(simple("auto", "JSON where it is an object, else as it is", func() format { return newAuto() }))

// autoFormat takes a message for JSON where it is an object, and else as it
// is. A level is looked for where programs write it.
type autoFormat struct {
	json *jsonFormat
	seen times. // for times of which it matters only that they are there
		Zone
}

func newAuto() *autoFormat { return &autoFormat{json: newJSON(), seen: times.AnyZone()} }

func (f *autoFormat) begin(r *reader) { f.json.begin(r) }

func (f *autoFormat) record(r *reader, rec []byte) {
	text := rec
	if bytes.IndexByte(rec, colours.Escape) >= 0 {
		text = colours.Off(nil, rec)
	}
	if len(text) > 0 && text[0] == '{' && f.json.read(text) == nil {
		f.json.fill(r)
		return
	}
	r.row()
	r.b.Message(rec)
	if l := levelIn(text, &f.seen); l != rows.NoLevel {
		r.b.SetLevel(l)
	}
}

// levelIn looks for a message's level: in logfmt (level=info), in klog's head
// (I0102 15:04:05), and as a word in capitals or brackets, after a time or
// before everything.
func levelIn(msg []byte, z *times.Zone) rows.Level {
	msg = msg[:min(len(msg), 256)]
	if len(msg) >= 14 && msg[5] == ' ' && words.IsNumber(msg[1:5]) && msg[8] == ':' && msg[11] == ':' {
		switch msg[0] {
		case 'I', 'W', 'E', 'F':
			return levels.Of(msg[:1])
		}
	}
	for _, key := range []string{"level=", "lvl="} {
		if i := bytes.Index(msg, []byte(key)); i == 0 || i > 0 && msg[i-1] == ' ' {
			return levels.Of(bytes.Trim(words.First(msg[i+len(key):]), `"`))
		}
	}
	rest := msg
	if _, n := applog.Time(msg, z); n > 0 {
		rest = bytes.TrimLeft(msg[n:], " \t-|")
	}
	if len(rest) > 0 && rest[0] == '[' {
		n := words.Brackets(rest)
		if n == 0 {
			return rows.NoLevel
		}
		if in := bytes.TrimSpace(rest[1 : n-1]); levels.Is(in) {
			return levels.Of(in)
		} else if !words.IsNumber(in) {
			return rows.NoLevel
		}
		rest = bytes.TrimLeft(rest[n:], " ") // PostgreSQL's process id
	}
	w := rest
	if i := bytes.IndexAny(rest, " \t"); i >= 0 {
		w = rest[:i]
	}
	w = bytes.TrimRight(w, ":]|")
	if len(w) < 3 || !bytes.Equal(w, bytes.ToUpper(w)) || !levels.Is(w) {
		return rows.NoLevel
	}
	return levels.Of(w)
}
