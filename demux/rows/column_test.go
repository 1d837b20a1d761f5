package rows

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/schema"
)

func TestTypesWiden(t *testing.T) {
	put := map[string]func(c *Column){
		"1": func(c *Column) { c.Long(1) }, "1.5": func(c *Column) { c.Double(1.5, []byte("1.5")) },
		"2.0": func(c *Column) { c.Double(2, []byte("2.0")) }, "x": func(c *Column) { c.String([]byte("x")) },
		"true": func(c *Column) { c.Bool(true) }, "big": func(c *Column) { c.Long(math.MaxInt64) },
		"text": func(c *Column) { c.Text([]byte("[1,2]")) },
	}
	for _, tc := range []struct {
		puts string
		typ  schema.Type
		want string
	}{
		{"1 1", schema.Long, "1 1"},
		{"1 1.5", schema.Double, "1 1.5"},
		{"1.5 1", schema.Double, "1.5 1"},
		{"1 2.0", schema.Double, "1 2"},
		{"big 1.5", schema.String, "9223372036854775807 1.5"},
		{"1.5 big", schema.String, "1.5 9223372036854775807"},
		{"1 x", schema.String, "1 x"},
		{"x 1", schema.String, "x 1"},
		{"true 1", schema.String, "true 1"},
		{"1 true", schema.String, "1 true"},
		{"true true", schema.Boolean, "true true"},
		{"1 text", schema.String, "1 [1,2]"},
		{"1.5 x 1 true", schema.String, "1.5 x 1 true"},
		{"1 2.0 1 x 2.0", schema.String, "1 2.0 1 x 2.0"},
		{"1.5 2.0 big", schema.String, "1.5 2.0 9223372036854775807"},
	} {
		b := NewBuilder(Options{})
		b.Origin("h", "s", "x", nil)
		for i, p := range strings.Fields(tc.puts) {
			b.Row(int64(i), int64(i))
			put[p](b.Column("c"))
		}
		cols := b.Columns()
		if len(cols) != 1 || cols[0].Type != tc.typ {
			t.Errorf("%s: got %+v, want a %v", tc.puts, cols, tc.typ)
		}
		_, mem := writeAll(t, b, plan(b), Layout{})
		var got []string
		for _, r := range read(t, mem[0]) {
			got = append(got, r["c"])
			if r["attributes"] != "" {
				t.Errorf("%s: attributes are %v, want none", tc.puts, r["attributes"])
			}
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%s: got %q, want %q", tc.puts, s, tc.want)
		}
	}
}

func TestWhatDoesNotFitATablesColumnGoesToAttributes(t *testing.T) {
	b := NewBuilder(Options{Existing: schema.Plan(nil, []schema.Column{{Name: "n", Type: schema.Long}, {Name: "b", Type: schema.Boolean}}, 0)})
	b.Origin("h", "s", "x", nil)
	for i, put := range []func(){
		func() { b.Column("n").Double(1.5, []byte("1.5")) },
		func() { b.Column("n").String([]byte("x")) },
		func() { b.Column("n").Double(3, []byte("3.0")) },
		func() { b.Column("b").Long(4) },
		func() { b.Column("n").Long(5); b.Column("n").Long(6) },
	} {
		b.Row(int64(i), 0)
		put()
	}
	for _, name := range []string{"N", "TS", "Host", "message", "attributes", "", "a\nb", "x\xff"} {
		if c := b.Column(name); c != nil {
			t.Errorf("column %q: got one, want none", name)
		}
	}
	_, mem := writeAll(t, b, plan(b), Layout{})
	var got []string
	for _, r := range read(t, mem[0]) {
		got = append(got, r["n"]+" "+r["b"]+" "+r["attributes"])
	}
	want := []string{"<null> <null> n=1.5 ", "<null> <null> n=x ", "3 <null> ", "<null> <null> b=4 ", "5 <null> n=6 "}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
