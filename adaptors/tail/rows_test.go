package tail

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/ianaindex"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/charset"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/rows/rowstest"
	"github.com/akupara/akupara/demux/schema"
)

type parquet struct{ bytes.Buffer }

func (*parquet) Close() error { return nil }

// rows returns the rows that the table gets of what came, in the order of their
// offsets. What came twice is left out, as the demux does.
func (r *rig) rows() []map[string]string {
	r.t.Helper()
	b := rows.NewBuilder(rows.Options{})
	p, err := parse.New(parse.MustSpec("raw"), parse.Options{})
	r.ok(err)
	have := map[string]chunk.Ranges{}
	for _, c := range r.rec.Chunks() {
		if c.Kind != chunk.Data {
			continue
		}
		c.Body = r.rec.Bytes(c.Stream)[c.First:c.Last]
		held := have[c.Stream]
		if missing := held.Missing(c.Range()); len(missing) > 0 {
			if err := p.Parse(r.t.Context(), &c, missing, b); err != nil {
				r.t.Fatal(err)
			}
		}
		have[c.Stream] = held.Add(c.Range())
	}
	var files []*parquet
	_, err = b.WriteFiles(context.Background(), func(context.Context, int64, int) (io.WriteCloser, string, error) {
		files = append(files, &parquet{})
		return files[len(files)-1], "x", nil
	}, schema.Plan(nil, b.Columns(), 0), rows.Layout{})
	r.ok(err)
	var out []map[string]string
	for _, f := range files {
		got, err := rowstest.Read(f.Bytes())
		r.ok(err)
		out = append(out, got...)
	}
	slices.SortFunc(out, func(x, y map[string]string) int {
		i, _ := strconv.Atoi(x["seq"])
		j, _ := strconv.Atoi(y["seq"])
		return i - j
	})
	return out
}

// TestFilesOfEveryEncodingBecomeTheirText writes a file in pieces that mind
// neither lines nor characters, with a kill in between, and reads the rows.
func TestFilesOfEveryEncodingBecomeTheirText(t *testing.T) {
	type sample struct{ choice, encoding, mark string }
	files := []sample{{"auto", "", ""}, {"auto", "", "\ufeff"}, {"auto", "UTF-16LE", "\ufeff"}, {"auto", "UTF-16BE", "\ufeff"}, {"utf-16", "UTF-16BE", "\ufeff"}}
	for _, name := range charset.Names() {
		files = append(files, sample{choice: strings.ToLower(name), encoding: name})
	}
	for i, f := range files {
		t.Run(f.choice+f.mark+f.encoding, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			rng := rand.New(rand.NewPCG(seed, 1))
			t.Logf("seed %d", seed)
			r := newRig(t).with([]string{"auto", "poll"}[i%2])
			r.cfg.Encoding = charset.Choice(f.choice)
			r.cfg.MaxRecord = 4 << 10
			r.cfg.RecordIndented, r.cfg.RecordTimeout = i%3 == 0, config.Duration(20*time.Millisecond)
			word := sayable(t, f.encoding, "äöéЯжñ€漢字ソ表中文한국𝄞ע")
			want := []string{"first " + word, word + "\tx", strings.Repeat(word+" ", 1+6000/len(word)), "last " + word}
			text := encoded(t, f.mark+strings.Join(want, "\r\n")+"\r\n", f.encoding)
			kill := len(text)/3 + rng.IntN(len(text)/2)
			r.start()
			for at := 0; at < len(text); {
				n := min(1+rng.IntN(700), len(text)-at)
				r.write("a.log", text[at:at+n])
				if at += n; at > kill {
					kill = len(text)
					r.until("nothing came", func() bool { return r.rec.Content() != "" })
					r.kill()
					r.start()
				}
			}
			r.until("not all came", func() bool { return r.rec.Content() == text })
			r.stop()
			var got []string
			for _, row := range r.rows() {
				if row["parse_error"] != rowstest.Null {
					t.Errorf("%q: parse_error %s", row["message"], row["parse_error"])
				}
				if strings.Contains(row["tags"], "middle") || strings.Contains(row["tags"], "last") {
					got[len(got)-1] += row["message"]
				} else {
					got = append(got, row["message"])
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got  %.200q\nwant %.200q", got, want)
			}
		})
	}
}

// sayable returns what of the text an encoding can say.
func sayable(t *testing.T, name, text string) string {
	t.Helper()
	if name == "" {
		return text
	}
	e, err := ianaindex.IANA.Encoding(name)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, c := range text {
		if _, err := e.NewEncoder().String(string(c)); err == nil {
			out.WriteRune(c)
		}
	}
	if out.Len() == 0 {
		return "ascii"
	}
	return out.String()
}
