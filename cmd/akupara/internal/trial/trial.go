// Package trial parses a file as a run of the demux parses what was collected, for
// people who look for the right parser.
package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
)

// chunkBytes is how much is parsed at a time: as much as agents send in one batch.
const chunkBytes = 1 << 20

// Trial is one file and how to parse it.
type Trial struct {
	Parser  parse.Parser
	Options rows.Options
	// Start matches the first line of a record, as an adaptor's record_start; nil:
	// records are what the parser takes for such.
	Start        *regexp.Regexp
	Host, Source string
	Now          time.Time
	Limit        int64 // of records; 0: none
}

// Row is a row with its place in the file.
type Row struct {
	*rows.Look
	Line int64  // the first one is 1
	Text []byte // of that line
}

// Counts are those of the rows.
type Counts struct{ Rows, Failed int64 }

// Run parses r to its end and gives each row to show, in their order in the file.
// Memory does not grow with the file.
func (t *Trial) Run(ctx context.Context, r io.Reader, show func(Row) error) (n Counts, err error) {
	b := rows.NewBuilder(t.Options)
	in := input{r: r, t: t, line: 1}
	for !t.done(n) {
		c, err := in.next()
		if c == nil || err != nil {
			return n, err
		}
		o := t.Options
		o.Begun = b.Begun()
		b.ResetTo(o)
		if err := t.Parser.Parse(ctx, c, nil, b); err != nil {
			return n, err
		}
		at := int64(0)
		for l := b.Look(); !t.done(n) && l.Next(); {
			if to := l.Seq() - c.First; to > at {
				in.line += int64(bytes.Count(c.Body[at:to], []byte("\n")))
				at = to
			}
			n.Rows++
			if l.ParseError().Given() {
				n.Failed++
			}
			if err := show(Row{l, in.line, lineAt(c.Body, at)}); err != nil {
				return n, err
			}
		}
		in.line += int64(bytes.Count(c.Body[at:], []byte("\n")))
	}
	return n, nil
}

// lineAt returns the line that begins at a byte, without its end.
func lineAt(body []byte, at int64) []byte {
	line, _, _ := bytes.Cut(body[min(at, int64(len(body))):], []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}

func (t *Trial) done(n Counts) bool { return t.Limit > 0 && n.Rows >= t.Limit }

// input cuts a file into chunks of whole records.
type input struct {
	r     io.Reader
	t     *Trial
	first int64  // in the file, of buf
	buf   []byte // read, and not in a chunk yet
	used  int    // of buf, by the last chunk
	ended bool
	line  int64
}

// next returns the next chunk, valid until the next call; nil at the end.
func (in *input) next() (*chunk.Chunk, error) {
	in.buf = in.buf[:copy(in.buf, in.buf[in.used:])]
	in.first += int64(in.used)
	in.used = 0
	for want := chunkBytes; ; want = len(in.buf) + chunkBytes {
		if err := in.fill(min(want, chunk.MaxBody)); err != nil {
			return nil, err
		}
		if len(in.buf) == 0 {
			return nil, nil
		}
		c := &chunk.Chunk{
			Type: "trial", Host: in.t.Host, Source: in.t.Source, Stream: "trial", Time: in.t.Now,
			First: in.first, Last: in.first + int64(len(in.buf)), Body: in.buf,
		}
		if in.whole(c) || in.ended || len(in.buf) >= chunk.MaxBody {
			in.used = len(c.Body)
			return c, nil
		}
	}
}

func (in *input) fill(want int) error {
	for !in.ended && len(in.buf) < want {
		if cap(in.buf) < want {
			in.buf = append(make([]byte, 0, want), in.buf...)
		}
		n, err := in.r.Read(in.buf[len(in.buf):want])
		in.buf = in.buf[:len(in.buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			in.ended = true
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
	}
	return nil
}

// whole cuts a chunk so that it ends with a record, and reports whether it could. The
// last record of what was read may go on.
func (in *input) whole(c *chunk.Chunk) bool {
	if !in.ended {
		end := bytes.LastIndexByte(c.Body, '\n') + 1
		in.cut(c, end)
	}
	if in.t.Start != nil {
		c.Borders = borders(c.Body, in.t.Start)
	}
	if in.ended || len(c.Body) == 0 {
		return in.ended
	}
	last := int64(0)
	if n := len(c.Borders); n > 1 {
		last = c.Borders[n-2]
		c.Borders = c.Borders[:n-1]
	} else if in.t.Start == nil {
		if records := in.t.Parser.Records(c); len(records) > 1 {
			last = records[len(records)-1].First - c.First
		}
	}
	if last == 0 {
		c.Borders = nil
		in.cut(c, len(in.buf))
		return false
	}
	in.cut(c, int(last))
	return true
}

func (in *input) cut(c *chunk.Chunk, n int) {
	c.Body, c.Last = in.buf[:n], c.First+int64(n)
}

// borders cuts a text before each line that start matches.
func borders(body []byte, start *regexp.Regexp) (out []int64) {
	for at := 0; at < len(body); {
		line := body[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		if at > 0 && start.Match(bytes.TrimRight(line, "\r\n")) {
			out = append(out, int64(at))
		}
		at += len(line)
	}
	return append(out, int64(len(body)))
}
