package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

var metrics2Parser = simple("metrics2", "Hadoop's metrics2 as its FileSink writes them: tags and metrics become columns", func() format {
	return &metrics2Format{keyed: newKeyed(), own: newTyped(textColumn("context"), textColumn("record"))}
})

// metrics2Format parses lines of Hadoop's FileSink (org.apache.hadoop.metrics2.sink):
//
//	1700000000000 jvm.JvmMetrics: Context=jvm, ProcessName=NameNode, Hostname=nn1, MemHeapUsedM=51.2
//
// Tags and metrics have the columns of their names; the tag Context is left out
// where it says what stands before the record's name.
type metrics2Format struct {
	*keyed
	own typedColumns
}

func (f *metrics2Format) begin(r *reader) {
	f.own.begin(r)
	f.keyed.begin(r)
}

func (f *metrics2Format) record(r *reader, rec []byte) {
	f.reset()
	t := words.First(rec[:min(len(rec), 32)])
	at := times.Epoch(t)
	if len(t) < 12 || !words.IsNumber(t) || len(t) == len(rec) {
		r.fail(rec, "not metrics2: there are no milliseconds since 1970, at byte 0")
		return
	}
	n := len(t) + 1
	colon := bytes.Index(rec[n:], []byte(": "))
	name := rec[n : n+max(colon, 0)]
	dot := bytes.IndexByte(name, '.')
	if dot < 0 || bytes.IndexByte(name, ' ') >= 0 || bytes.IndexByte(name, '=') >= 0 {
		r.fail(rec, fmt.Sprintf("not metrics2: there is no context.record, at byte %d", n))
		return
	}
	context := name[:dot]
	for n += colon + 2; n < len(rec); {
		pair := rec[n:]
		if i := bytes.Index(pair, []byte(", ")); i >= 0 {
			pair = pair[:i]
		}
		key, v, ok := bytes.Cut(pair, []byte("="))
		if !ok || len(key) == 0 {
			r.fail(rec, fmt.Sprintf("not metrics2: there is no name=value, at byte %d", n))
			return
		}
		n += len(pair) + 2
		switch {
		case string(v) == "null", string(key) == "Context" && string(v) == string(context):
			continue
		case string(key) == "Hostname":
			key = []byte("hostname")
		}
		kind, num := bareValue(v)
		f.add(f.child(f.root, key, len(f.fields)), kind, v, num)
	}
	r.row()
	r.setTime(at, "time", t)
	f.own.put(0, context)
	f.own.put(1, name[dot+1:])
	for i := range f.fields {
		f.put(r, &f.fields[i])
	}
}
