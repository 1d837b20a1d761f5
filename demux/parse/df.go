package parse

import (
	"bytes"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var dfParser = simple("df", "the output of df", func() format { return &dfFormat{} }).guessed(clue{heading: "Filesystem"})

// dfFormat parses what `df -Pk` prints (POSIX, df, "Output"): a record is the
// output of one run, and gives a row for each file system, at the time of the
// run. The header gives none.
type dfFormat struct {
	gen                    *rows.Generation
	filesystem, mountpoint *rows.Column
	numbers                [4]*rows.Column
	spans                  [][2]int
}

func (f *dfFormat) begin(r *reader) {
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	f.filesystem = r.b.Typed("filesystem", schema.String)
	for i, name := range [...]string{"size_kb", "used_kb", "available_kb", "capacity_percent"} {
		f.numbers[i] = r.b.Typed(name, schema.Long)
	}
	f.mountpoint = r.b.Typed("mountpoint", schema.String)
}

func (f *dfFormat) record(r *reader, rec []byte) {
	for at := 0; at < len(rec); {
		n := bytes.IndexByte(rec[at:], '\n') + 1
		if n == 0 {
			n = len(rec) - at
		}
		line := trimLine(rec[at : at+n])
		r.further(at)
		if len(bytes.TrimSpace(line)) > 0 && !header(line) {
			f.line(r, line)
		}
		at += n
	}
}

func header(line []byte) bool {
	return bytes.HasPrefix(line, []byte("Filesystem ")) && bytes.Contains(line, []byte("Mounted"))
}

func (f *dfFormat) line(r *reader, line []byte) {
	// The names at both ends may have spaces: the numbers are looked for.
	f.spans = fields(f.spans[:0], line)
	spans := f.spans
	for i := 1; i+4 < len(spans); i++ {
		var vals [4][]byte
		ok := true
		for k := range vals {
			vals[k] = line[spans[i+k][0]:spans[i+k][1]]
			if k == 3 {
				vals[k] = bytes.TrimSuffix(vals[k], []byte("%"))
			}
			ok = ok && (words.IsNumber(bytes.TrimPrefix(vals[k], []byte("-"))) || string(vals[k]) == "-")
		}
		if !ok {
			continue
		}
		r.row()
		f.filesystem.String(line[:spans[i-1][1]])
		for k, v := range vals {
			if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
				f.numbers[k].Long(n)
			} else if string(v) != "-" {
				f.numbers[k].String(v)
			}
		}
		f.mountpoint.String(line[spans[i+4][0]:])
		return
	}
	r.fail(line, "not a line of df -Pk")
}

// fields appends where the words of a line start and end.
func fields(out [][2]int, line []byte) [][2]int {
	start := -1
	for i, c := range line {
		space := c == ' ' || c == '\t'
		if !space && start < 0 {
			start = i
		}
		if space && start >= 0 {
			out = append(out, [2]int{start, i})
			start = -1
		}
	}
	if start >= 0 {
		out = append(out, [2]int{start, len(line)})
	}
	return out
}
