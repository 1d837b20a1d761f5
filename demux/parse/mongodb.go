package parse

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

var mongodbParser = simple("mongodb", "MongoDB's log: structured since 4.4, and the text of older versions", func() format { return newMongoDB() }).
	guessed(clue{sure: sureMongoDB.Match})

// mongodbFormat parses MongoDB's log messages ("Log Messages" in its manual): JSON,
// whose c and ctx are the columns component and thread; and before 4.4
//
//	2019-11-28T10:00:00.123+0000 I NETWORK  [listener] message
type mongodbFormat struct {
	json *jsonFormat
	own  typedColumns
}

func newMongoDB() *mongodbFormat {
	f := &mongodbFormat{json: newJSON(), own: newTyped(textColumn("component"), textColumn("thread"))}
	root := f.json.root
	for key, name := range map[string]string{"c": "component", "ctx": "thread"} {
		f.json.child(root, []byte(key), 0).name = name
	}
	return f
}

func (f *mongodbFormat) begin(r *reader) {
	f.own.begin(r)
	f.json.begin(r)
}

func (f *mongodbFormat) record(r *reader, rec []byte) {
	if rec[0] == '{' {
		if err := f.json.read(rec); err != nil {
			r.fail(rec, fmt.Sprintf("not mongodb: %v", err))
			return
		}
		if !f.json.fill(r) && r.format == f {
			r.noTime()
		}
		return
	}
	t, n := times.ISO(rec, &r.zone)
	if n == 0 {
		t, n = times.DateTime(rec, &r.zone)
	}
	if n == 0 || n == len(rec) || rec[n] != ' ' {
		r.fail(rec, "not mongodb: there is neither an object nor a time, at byte 0")
		return
	}
	s := rec[n+1:]
	var level, component []byte
	if len(s) > 2 && s[0] != '[' {
		level = words.First(s)
		if len(level) > 2 || levels.Of(level[:min(1, len(level))]) == 0 {
			r.fail(rec, fmt.Sprintf("not mongodb: there is no severity, at byte %d", n+1))
			return
		}
		s = bytes.TrimLeft(s[len(level):], " ")
		component = words.First(s)
		s = bytes.TrimLeft(s[len(component):], " ")
	}
	end := words.Brackets(s[:min(len(s), 512)])
	if end == 0 {
		r.fail(rec, fmt.Sprintf("not mongodb: there is no context in brackets, at byte %d", len(rec)-len(s)))
		return
	}
	r.row()
	r.setTime(t, "time", rec[:n])
	if level != nil {
		r.setLevel(level[:1], "level")
	}
	f.own.put(0, component)
	f.own.put(1, s[1:end-1])
	r.b.Message(bytes.TrimPrefix(s[end:], []byte(" ")))
}

var sureMongoDB = regexp.MustCompile(`^(\{"t":\{"\$date":|(\d{4}-\d\d-\d\dT\S+|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:.]+) ([DIWEF]\d? [A-Z-]+ +\[|\[(initandlisten|mongosMain|main|conn\d+|signalProcessingThread|rs[A-Z]\w*|\w*(Thread|Monitor|Handler|Sync|journal|Flush|Cursors)\w*)\] ))`)
