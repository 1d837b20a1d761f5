package rows

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/schema"
)

// fakeTemplates takes the first word of a message as its template.
func fakeTemplates(calls *int) Templates {
	return Templates{
		Append: func(dst, message []byte) []byte {
			*calls++
			word, _, _ := strings.Cut(string(message), " ")
			return append(dst, word...)
		},
		None: func(message []byte) bool { return len(bytes.TrimSpace(message)) == 0 },
		// Those with an x have none that is known.
		Shape: func(dst, message []byte) ([]byte, bool) {
			word, _, _ := bytes.Cut(message, []byte(" "))
			return append(append(dst, word...), " y"...), !bytes.HasSuffix(message, []byte("x"))
		},
		ID: fakeID,
	}
}

func fakeID(template []byte) (id TemplateID) {
	copy(id[:], fmt.Sprintf("id-%.13s-------------", template))
	return id
}

// Each row that has a message gets its template, whether messages repeat or not and
// whichever Builder they were added to; a repeated one costs nothing.
func TestRowsGetTheTemplatesOfTheirMessages(t *testing.T) {
	for _, tc := range []struct {
		what     string
		message  func(i int) string
		atMost   int // calls
		siblings bool
	}{
		{"repeated", func(i int) string { return fmt.Sprintf("word%d x", i%7) }, 7, false},
		{"different", func(i int) string { return fmt.Sprintf("word%d %d", i%7, i) }, 7, false},
		{"different, of no shape", func(i int) string { return fmt.Sprintf("word%d %d x", i%7, i) }, 10_000, false},
		{"different templates", func(i int) string { return fmt.Sprintf("word%d x", i) }, 12_500, false},
		{"first repeated, then different", func(i int) string { return fmt.Sprintf("word%d x", max(i-6000, i%5)) }, 15_000, false},
		{"some", func(i int) string { return []string{"", "a b", "c d"}[i%3] }, 2, false},
		{"taken", func(i int) string { return fmt.Sprintf("word%d %d", i%7, i%11) }, 10_000, true},
		{"taken, different", func(i int) string { return fmt.Sprintf("word%d %d", i, i%11) }, 12_500, true},
		{"different, some of none", func(i int) string { return []string{" ", "", fmt.Sprintf("word%d %d", i, i%11)}[min(2, i%5)] }, 12_500, true},
		{"different ones of few messages, then few of many", func(i int) string { return fmt.Sprintf("word%d %d", i%max(3, 5000-i), i/2) }, 15_000, false},
	} {
		t.Run(tc.what, func(t *testing.T) {
			calls := 0
			b := NewBuilder(Options{Templates: fakeTemplates(&calls)})
			s := b.Sibling()
			const n = 10_000
			for from := 0; from < n; from += 500 {
				to := b
				if tc.siblings && from%1000 == 0 {
					s.Reset()
					to = s
				}
				first := to.Len()
				to.Origin("h", "/s", "x", nil)
				for i := from; i < from+500; i++ {
					to.Row(int64(i), int64(i))
					if m := tc.message(i); m != "" {
						to.Message([]byte(m))
					}
				}
				to.Templates(first)
				if to == s {
					b.Take(s)
				}
			}
			_, files := writeAll(t, b, plan(b), Layout{})
			i := 0
			for _, f := range files {
				for _, r := range read(t, f) {
					word, _, _ := strings.Cut(tc.message(i), " ")
					made := fakeID([]byte(word))
					id := string(made[:])
					if word == "" {
						word, id = "<null>", "<null>"
					}
					if r[schema.Template] != word || r[schema.TemplateID] != id {
						t.Fatalf("row %d, %q, has the template %q and the id %q", i, r[schema.Message], r[schema.Template], r[schema.TemplateID])
					}
					i++
				}
			}
			if i != n {
				t.Errorf("got %d rows, want %d", i, n)
			}
			if calls > tc.atMost {
				t.Errorf("%d templates were made, want at most %d", calls, tc.atMost)
			}
		})
	}
}

// What records call a template is theirs: it does not mix with what is made of messages.
func TestRecordsOwnTemplatesAreKept(t *testing.T) {
	calls := 0
	o := Options{Templates: fakeTemplates(&calls)}
	put := func(b *Builder) map[string]string {
		b.Origin("h", "/s", "x", nil)
		b.Row(1, 1)
		b.Message([]byte("a b"))
		if c := b.Column("template"); c != nil {
			c.String([]byte("own"))
		} else {
			b.Attr("template", []byte("own"))
		}
		b.Templates(0)
		_, files := writeAll(t, b, schema.Plan(b.opts.Existing, b.Columns(), 0), Layout{})
		return read(t, files[0])[0]
	}
	if r := put(NewBuilder(o)); r["template"] != "a" || r["template_id"] != "id-a------------" || r["attributes"] != "template=own " {
		t.Errorf("in a new table: got %v", r)
	}
	if b := NewBuilder(o); b.Typed("template_ID", schema.Long) != nil {
		t.Error("a format's own column is that of the ids")
	}

	o.Existing = schema.Plan(nil, []schema.Column{{Name: "template", Type: schema.String}}, 0)
	b := NewBuilder(o)
	if r := put(b); r["template"] != "own" || r["attributes"] != "" {
		t.Errorf("in a table that has the records': got %v", r)
	}
	if got, want := b.Conflicts(), []Conflict{{Key: "template", Type: schema.String, Column: "template", Has: schema.String, Made: true}}; !slices.Equal(got, want) {
		t.Errorf("got conflicts %+v, want %+v", got, want)
	}

	o.Existing, o.MaxColumns = nil, len(schema.Common())+1
	b = NewBuilder(o)
	if r := put(b); r["template"] != "own" || len(b.Conflicts()) != 1 {
		t.Errorf("without room: got %v and conflicts %+v", r, b.Conflicts())
	}
}

// Rows without messages are as they would be without templates.
func TestRowsWithoutMessagesGetNoColumnsOfTemplates(t *testing.T) {
	calls := 0
	b := NewBuilder(Options{Templates: fakeTemplates(&calls)})
	b.Origin("h", "/s", "x", nil)
	b.Row(1, 1)
	b.Column("cpu").Long(1)
	b.Templates(0)
	if got := b.Columns(); len(got) != 1 || calls > 0 {
		t.Errorf("got columns %v and %d templates, want cpu and none", got, calls)
	}
}

// A table keeps its columns of templates when its type makes none any more: what
// records have under their names is theirs.
func TestWithoutTemplatesKeysDontBecomeThem(t *testing.T) {
	b := NewBuilder(Options{Existing: schema.OfMessages()})
	b.Origin("h", "/s", "x", nil)
	b.Row(1, 1)
	b.Message([]byte("a b"))
	for _, key := range []string{schema.Template, schema.TemplateID} {
		if c := b.Column(key); c != nil {
			t.Errorf("the key %s has the column %s", key, c.Name())
		}
	}
}
