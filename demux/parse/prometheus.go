package parse

import (
	"bytes"
	"math"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var prometheusParser = simple("prometheus", "Prometheus' text format and OpenMetrics: a sample a row", func() format { return newPrometheus() })

// prometheusFormat parses what Prometheus scrapes: its text format 0.0.4, and
// OpenMetrics 1.0, which differs in the unit of timestamps and in exemplars
// (prometheus.io/docs/instrumenting/exposition_formats; OpenMetrics, section
// "ABNF"). Each sample is a row: metric, metric_type and value;
// labels go to attributes, an exemplar too, as it is written. A sample without
// a time of its own has that of the chunk, a scrape.
//
// Comments are no records. A TYPE comment gives the metric_type of the samples
// that follow it in the chunk.
type prometheusFormat struct {
	gen                 *rows.Generation
	metric, kind, value *rows.Column
	types               map[string]string // of metrics, in this chunk
	name, lastType      []byte            // the metric of the sample before, and its type
	labels              [][2][]byte       // of the sample
	unescaped           []byte            // what labels had to be written anew
}

func newPrometheus() *prometheusFormat { return &prometheusFormat{types: map[string]string{}} }

func (f *prometheusFormat) begin(r *reader) {
	clear(f.types)
	f.name, f.lastType = f.name[:0], nil
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	f.metric = r.b.Typed("metric", schema.String)
	f.kind = r.b.Typed("metric_type", schema.String)
	f.value = r.b.Typed("value", schema.Double)
}

func (f *prometheusFormat) record(r *reader, rec []byte) {
	s := trimBlank(rec)
	if s[0] == '#' {
		f.comment(s)
		return
	}
	name, s, why := f.series(s)
	var value, stamp, exemplar []byte
	if why == "" {
		value, s = untilBlank(s)
		if len(s) > 0 && s[0] != '#' {
			stamp, s = untilBlank(s)
		}
		switch {
		case len(value) == 0:
			why = "there is no value"
		case len(s) > 0 && s[0] == '#':
			exemplar = trimBlank(s[1:])
		case len(s) > 0:
			why = "more follows its time"
		}
	}
	var number float64
	if why == "" {
		var ok bool
		if number, ok = sampleValue(value); !ok {
			why = "its value is no number"
		}
	}
	var at times.Instant
	if why == "" && len(stamp) > 0 {
		if at = sampleTime(stamp); !at.OK {
			why = "its time is no number"
		}
	}
	if why != "" {
		r.fail(rec, "not a Prometheus sample: "+why)
		return
	}
	r.row()
	if len(stamp) > 0 {
		r.setTime(at, "time", stamp)
	}
	f.metric.String(name)
	if t := f.typeOf(name); len(t) > 0 {
		f.kind.String(t)
	}
	f.value.Double(number, value)
	for _, l := range f.labels {
		r.b.Attr(string(l[0]), l[1])
	}
	if len(exemplar) > 0 {
		r.b.Attr("exemplar", exemplar)
	}
}

// maxTypes bounds the metrics of a chunk whose types are remembered.
const maxTypes = 100_000

// comment takes the type of a metric from "# TYPE name type".
func (f *prometheusFormat) comment(s []byte) {
	keyword, s := untilBlank(trimBlank(s[1:]))
	if string(keyword) != "TYPE" {
		return
	}
	var name []byte
	if len(s) > 0 && s[0] == '"' {
		var ok bool
		if name, s, ok = quoted(nil, s); !ok {
			return
		}
		s = trimBlank(s)
	} else {
		name, s = untilBlank(s)
	}
	kind, _ := untilBlank(s)
	if len(name) > 0 && len(kind) > 0 && len(f.types) < maxTypes {
		f.types[string(name)] = string(kind)
		f.name = f.name[:0]
	}
}

// suffixes of samples, which their metric's TYPE does not have.
var suffixes = [...]string{"_bucket", "_sum", "_count", "_total", "_created", "_info", "_gcount", "_gsum"}

func (f *prometheusFormat) typeOf(name []byte) []byte {
	if len(f.types) == 0 {
		return nil
	}
	if len(f.name) > 0 && bytes.Equal(name, f.name) {
		return f.lastType
	}
	f.name = append(f.name[:0], name...)
	t, ok := f.types[string(name)]
	for i := 0; !ok && i < len(suffixes); i++ {
		if family, cut := bytes.CutSuffix(name, []byte(suffixes[i])); cut {
			t, ok = f.types[string(family)]
		}
	}
	f.lastType = append(f.lastType[:0], t...)
	return f.lastType
}

// series takes the metric's name and its labels off s. What it gives is good
// until the next call.
func (f *prometheusFormat) series(s []byte) (name, rest []byte, why string) {
	f.labels, f.unescaped = f.labels[:0], f.unescaped[:0]
	n := 0
	for n < len(s) && s[n] != '{' && !blank(s[n]) {
		n++
	}
	name, s = s[:n], trimBlank(s[n:])
	if !metricName(name) && len(name) > 0 {
		return nil, nil, "its name is none of a metric"
	}
	if len(s) == 0 || s[0] != '{' {
		if len(name) == 0 {
			return nil, nil, "there is no name"
		}
		return name, s, ""
	}
	for s = trimBlank(s[1:]); ; {
		if len(s) == 0 {
			return nil, nil, "its labels do not end"
		}
		if s[0] == '}' {
			break
		}
		var key []byte
		var ok bool
		if s[0] == '"' { // a name with characters that names did not have once
			if key, s, ok = quoted(&f.unescaped, s); !ok {
				return nil, nil, "its labels do not end"
			}
		} else {
			n := 0
			for n < len(s) && s[n] != '=' && s[n] != ',' && s[n] != '}' && !blank(s[n]) {
				n++
			}
			if key = s[:n]; !labelName(key) {
				return nil, nil, "a label's name is none"
			}
			s = s[n:]
		}
		s = trimBlank(s)
		switch {
		case len(s) > 0 && s[0] == '=':
			s = trimBlank(s[1:])
			if len(s) == 0 || s[0] != '"' {
				return nil, nil, "a label's value is not in quotes"
			}
			var value []byte
			if value, s, ok = quoted(&f.unescaped, s); !ok {
				return nil, nil, "its labels do not end"
			}
			f.labels = append(f.labels, [2][]byte{key, value})
		case len(name) == 0 && ok: // the metric's name itself may stand there, in quotes
			name = key
		default:
			return nil, nil, "a label has no value"
		}
		s = trimBlank(s)
		if len(s) > 0 && s[0] == ',' {
			s = trimBlank(s[1:])
		} else if len(s) > 0 && s[0] != '}' {
			return nil, nil, "its labels are not parted by commas"
		}
	}
	if len(name) == 0 {
		return nil, nil, "there is no name"
	}
	return name, trimBlank(s[1:]), ""
}

// quoted takes the quoted text off s, which starts with a quote. Where it has
// escapes (\\, \" and \n) it is written anew, to the end of buf.
func quoted(buf *[]byte, s []byte) (text, rest []byte, ok bool) {
	end, escaped := 1, false
	for ; end < len(s) && s[end] != '"'; end++ {
		if s[end] == '\\' {
			escaped = true
			end++
		}
	}
	if end >= len(s) {
		return nil, nil, false
	}
	text, rest = s[1:end], s[end+1:]
	if !escaped {
		return text, rest, true
	}
	var own []byte
	if buf != nil {
		own = *buf
	}
	start := len(own)
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			switch text[i+1] {
			case 'n':
				own = append(own, '\n')
				i++
				continue
			case '\\', '"':
				i++
			}
		}
		own = append(own, text[i])
	}
	if buf != nil {
		*buf = own
	}
	return own[start:len(own):len(own)], rest, true
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

func trimBlank(s []byte) []byte {
	for len(s) > 0 && blank(s[0]) {
		s = s[1:]
	}
	return s
}

// untilBlank takes what stands before the next blank off s.
func untilBlank(s []byte) (w, rest []byte) {
	n := 0
	for n < len(s) && !blank(s[n]) {
		n++
	}
	return s[:n], trimBlank(s[n:])
}

func metricName(s []byte) bool {
	for i, c := range s {
		if !letter(c) && c != ':' && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return len(s) > 0
}

func labelName(s []byte) bool { return metricName(s) && bytes.IndexByte(s, ':') < 0 }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

// sampleValue reads a number as Go's ParseFloat does, which both formats name.
func sampleValue(s []byte) (float64, bool) {
	if len(s) > 400 || bytes.IndexByte(s, '_') >= 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(s), 64)
	return v, err == nil || math.IsInf(v, 0)
}

// sampleTime reads milliseconds since 1970, or as OpenMetrics has it seconds,
// which are written with a point or are too few to be milliseconds.
func sampleTime(s []byte) times.Instant {
	if n, err := strconv.ParseInt(string(s), 10, 64); err == nil {
		return times.EpochInt(n)
	}
	if v, ok := sampleValue(s); ok {
		return times.EpochFloat(v)
	}
	return times.Instant{}
}
