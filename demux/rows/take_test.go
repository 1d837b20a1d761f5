package rows

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/schema"
)

// someRows makes n rows by steps that can be done on any Builder.
func someRows(rnd *rand.Rand, n int) (steps []func(b *Builder)) {
	seq, stream := int64(0), "s0"
	for i := range n {
		if i == 0 || rnd.IntN(20) == 0 {
			stream = fmt.Sprint("s", rnd.IntN(3))
		}
		var tags map[string]string
		if rnd.IntN(4) == 0 {
			tags = map[string]string{"pod": fmt.Sprint(rnd.IntN(3)), "zone": "eu"}
		}
		from := stream
		ts, at, kind, number := rnd.Int64N(7200_000_000), seq, rnd.IntN(12), rnd.Int64N(1000)
		unique, wide := rnd.Uint64(), rnd.IntN(40) == 0
		seq += 10
		steps = append(steps, func(b *Builder) {
			b.Origin("h", "/log", from, tags)
			row := b.Len()
			b.Row(ts, at)
			b.Message(fmt.Append(nil, "request ", unique))
			b.Column("id").String(fmt.Append(nil, unique))
			b.Column("verb").String(fmt.Append(nil, "verb ", number%5))
			b.Column("n").Long(number)
			if c := b.Column([...]string{"Case", "case", "CASE"}[number%3]); c != nil {
				c.Long(number)
			} else {
				b.Attr([...]string{"Case", "case", "CASE"}[number%3], fmt.Append(nil, number))
			}
			switch kind {
			case 0:
				b.SetLevel(Warn)
				b.Column("late").Long(number)
			case 1:
				b.Column("mixed").Long(number)
				b.Attr("k", fmt.Append(nil, number))
				b.Attr("k", []byte("again"))
			case 2:
				v := float64(number) + 0.5
				b.Column("mixed").Double(v, fmt.Appendf(nil, [...]string{"%.1f", "%.3f", "%e", "%g"}[number%4], v))
				b.Column("exact").Double(v, fmt.Appendf(nil, "%.2f", v))
			case 3:
				b.Column("ok").Bool(number%2 == 0)
			case 4:
				b.Fail("broken")
				b.Column(fmt.Sprint("rare", number%7)).String([]byte("x"))
			case 5:
				if wide {
					b.Column("ok").Long(number)
					b.Column("mixed").Long(1<<60 + number)
				}
			case 6:
				b.Message([]byte("twice"))
			}
			b.Covers(row, chunk.Ranges{{First: at, Last: at + 10}})
		})
	}
	return steps
}

// Rows that were added to Siblings and taken are those of one Builder, whatever the
// parts and however often the memory is used again.
func TestTakenRowsAreAsAdded(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	parts := NewBuilder(Options{})
	part := parts.Sibling()
	for range 4 {
		steps := someRows(rnd, 1+rnd.IntN(6_000))
		whole := NewBuilder(Options{})
		parts.Reset()
		for _, do := range steps {
			do(whole)
		}
		for len(steps) > 0 {
			n := min(len(steps), 1+rnd.IntN(3000))
			if rnd.IntN(4) == 0 { // some are added as they are
				for _, do := range steps[:n] {
					do(parts)
				}
			} else {
				part.Reset()
				if rnd.IntN(2) == 0 {
					part.Expect(parts)
				}
				for _, do := range steps[:n] {
					do(part)
				}
				parts.Take(part)
			}
			steps = steps[n:]
		}
		if got, want := parts.Columns(), whole.Columns(); !reflect.DeepEqual(got, want) {
			t.Fatalf("columns: got %v, want %v", got, want)
		}
		if parts.Failed() != whole.Failed() {
			t.Errorf("%d rows failed, want %d", parts.Failed(), whole.Failed())
		}
		_, got := writeAll(t, parts, plan(parts), Layout{GroupRows: 2000})
		_, want := writeAll(t, whole, plan(whole), Layout{GroupRows: 2000})
		if len(got) != len(want) {
			t.Fatalf("%d files, want %d", len(got), len(want))
		}
		for i := range got {
			a, b := read(t, got[i]), read(t, want[i])
			for j := range b {
				if !maps.Equal(a[j], b[j]) {
					t.Fatalf("row %d of %d is\n%v, want\n%v", j, len(b), a[j], b[j])
				}
			}
		}
	}
}

// What can be no column where it is taken to becomes attributes, as it would have.
func TestTakenColumnsWithoutAPlaceAreAttributes(t *testing.T) {
	table := schema.Plan(nil, []schema.Column{{Name: "old", Type: schema.Long}}, 0)
	b := NewBuilder(Options{MaxColumns: len(schema.Common()) + 2, Existing: table})
	p := b.Sibling()
	b.Origin("h", "/log", "s", nil)
	b.Row(1, 1)
	b.Column("Name").String([]byte("a"))
	p.Origin("h", "/log", "s", nil)
	p.Row(2, 2)
	p.Column("name").String([]byte("b")) // the same, folded
	p.Attr("k", []byte("v"))
	p.Row(3, 3)
	p.Column("old").Long(7)
	p.Row(4, 4)
	p.Column("name").String([]byte("c"))
	b.Take(p)
	_, files := writeAll(t, b, schema.Plan(table, b.Columns(), 100), Layout{})
	var got []string
	for _, r := range read(t, files[0]) {
		got = append(got, strings.TrimSpace(r["Name"]+" "+r["old"]+" "+r["attributes"]))
	}
	if want := []string{"a <null>", "<null> <null> name=b k=v", "<null> 7", "<null> <null> name=c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Taking costs no more memory than the rows take.
func TestBytesOfTakenRows(t *testing.T) {
	steps := someRows(rand.New(rand.NewPCG(1, 1)), 20_000)
	whole := NewBuilder(Options{})
	for _, do := range steps {
		do(whole)
	}
	b := NewBuilder(Options{})
	p := b.Sibling()
	for part := range slices.Chunk(steps, 5000) {
		p.Reset()
		for _, do := range part {
			do(p)
		}
		b.Take(p)
	}
	p.Reset()
	if got, want := b.Bytes(), whole.Bytes(); got > want*5/4 || got < want*3/4 {
		t.Errorf("taken, the rows take %d bytes; added, %d", got, want)
	}
}
