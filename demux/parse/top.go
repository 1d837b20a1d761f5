package parse

import (
	"bytes"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/schema"
)

// topFormat has a sample of top's for a record.
type topFormat struct{ *columnarFormat }

// starts implements grouper.
func (topFormat) starts(line []byte) bool { return bytes.HasPrefix(line, []byte("top - ")) }

// topLine reads the lines above top's table into one row: load1, load5, load15, and the
// numbers by what stands before them and behind each, as tasks_running, cpu_us, mem_free.
func topLine(f *columnarFormat, r *reader, line []byte, add bool) bool {
	first := bytes.HasPrefix(line, []byte("top - "))
	head, rest, ok := bytes.Cut(line, []byte(":"))
	prefix := summaryPrefix(head)
	if !first && (!ok || prefix == "") {
		return false
	}
	if first {
		f.at, f.stamp = times.Instant{}, f.stamp[:0]
		if t, n := times.Clock(line[len("top - "):], &r.zone); n > 0 {
			f.at, f.stamp = t, append(f.stamp, line[len("top - "):len("top - ")+n]...)
		}
	}
	if !add {
		return true
	}
	if first || !f.summary {
		r.row()
		if f.at.OK {
			r.setTime(f.at, "time", f.stamp)
		}
		r.b.Message(line)
		f.summary = true
	}
	if first {
		loads(r, line)
		return true
	}
	for len(rest) > 0 {
		var part []byte
		part, rest, _ = bytes.Cut(rest, []byte(","))
		for len(part) > 0 { // "0.0 used.   7345.1 avail Mem"
			var one []byte
			one, part, _ = bytes.Cut(part, []byte(". "))
			counted(r, prefix, one)
		}
	}
	return true
}

// counted reads a number and what it counts.
func counted(r *reader, prefix string, s []byte) {
	num, name, _ := bytes.Cut(bytes.TrimSpace(s), []byte(" "))
	if i := bytes.IndexByte(num, '%'); i > 0 { // "1.0%us" and "8061556k total", of top up to 3.2
		num, name = num[:i], num[i+1:]
	}
	num = bytes.TrimSuffix(num, []byte("k"))
	name = bytes.TrimSuffix(bytes.TrimSpace(name), []byte("."))
	if k, _ := bareValue(num); k != kindLong && k != kindDouble {
		r.b.Attr(prefix, s)
		return
	}
	n := prefix + "_" + columnName(name)
	if string(name) == "avail Mem" {
		n = "mem_avail"
	}
	if c := r.b.Column(n); c != nil {
		putBare(c, num)
	} else {
		r.b.Attr(n, num)
	}
}

// kibibytes returns what top writes of memory as a number of KiB.
func kibibytes(v []byte) []byte {
	var unit float64
	switch v[len(v)-1] {
	case 'm':
		unit = 1 << 10
	case 'g':
		unit = 1 << 20
	case 't':
		unit = 1 << 30
	default:
		return v
	}
	n, err := strconv.ParseFloat(string(v[:len(v)-1]), 64)
	if err != nil || n < 0 || n > 1<<20 {
		return v
	}
	return strconv.AppendInt(nil, int64(n*unit+0.5), 10)
}

// summaryPrefix returns what the names of a summary's numbers begin with.
func summaryPrefix(head []byte) string {
	h := bytes.TrimSpace(head)
	switch {
	case string(h) == "Tasks", string(h) == "Threads":
		return columnName(h)
	case bytes.HasPrefix(h, []byte("%Cpu")), bytes.HasPrefix(h, []byte("Cpu")):
		n := bytes.TrimSuffix(bytes.TrimPrefix(h, []byte("%")), []byte("(s)"))
		return columnName(n)
	case bytes.HasSuffix(h, []byte("Mem")) && len(h) <= 8:
		return "mem"
	case bytes.HasSuffix(h, []byte("Swap")) && len(h) <= 9:
		return "swap"
	}
	return ""
}

// loads reads users and load averages of top's first line.
func loads(r *reader, line []byte) {
	if i := bytes.Index(line, []byte(" user")); i >= 0 {
		n := bytes.LastIndexByte(line[:i], ' ') + 1
		putLong(r.b.Typed("users", schema.Long), line[n:i])
	}
	_, list, ok := bytes.Cut(line, []byte("load average: "))
	if !ok {
		return
	}
	for _, name := range [...]string{"load1", "load5", "load15"} {
		var v []byte
		v, list, _ = bytes.Cut(list, []byte(", "))
		if len(v) > 0 {
			putDouble(r.b.Typed(name, schema.Double), v)
		}
	}
}
