package rows_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/rows/rowstest"
	"github.com/akupara/akupara/demux/schema"
)

// A number keeps the text that it was written with where its column turns out to be one
// of strings, in whatever part of the run that is.
func TestNumbersThatBecomeStringsKeepTheirTexts(t *testing.T) {
	texts := strings.Fields(`7 1.10 1.5 0.10 5.0 -0.0 -0 0 100 100.000 1e5 1E+05 2.50e-3 1e-7 0.0000001 0.00000010
		123456789.12345678 0.30000000000000004 1.7976931348623157e308 12345678901234567890 9007199254740993 1e400 NaN -Infinity`)
	for _, last := range []string{`"text"`, "[1, 2]", "true", "9007199254740993"} {
		for apart := range len(texts) + 1 {
			p, err := parse.New(parse.MustSpec("json"), parse.Options{})
			if err != nil {
				t.Fatal(err)
			}
			whole := rows.NewBuilder(rows.Options{})
			var want []string
			first := int64(0)
			for _, values := range [][]string{texts[:apart], append(texts[apart:len(texts):len(texts)], last)} {
				part := whole.Sibling()
				var body []byte
				for _, v := range values {
					body = append(body, `{"ts":"2026-03-01T10:00:00Z","n":`+v+"}\n"...)
					want = append(want, strings.Trim(v, `"`))
				}
				c := chunk.Chunk{Host: "h", Source: "/f", Stream: "s", First: first, Last: first + int64(len(body)), Body: body}
				first = c.Last
				if err := p.Parse(t.Context(), &c, nil, part); err != nil {
					t.Fatal(err)
				}
				whole.Take(part)
			}
			var out file
			_, err = whole.WriteFiles(t.Context(), func(context.Context, int64, int) (io.WriteCloser, string, error) {
				return &out, "x", nil
			}, schema.Plan(nil, whole.Columns(), 0), rows.Layout{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := rowstest.Read(out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range got {
				if r["n"] != want[i] {
					t.Errorf("parted at %d, before %s: got %s, want %s", apart, last, r["n"], want[i])
				}
			}
		}
	}
}
