package schema

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCommonColumnsHaveTheSameIDsInEachTable(t *testing.T) {
	cols := Plan(nil, []Column{{Name: "status", Type: Long, ID: 99, Required: true}, {Name: "TS", Type: Long}}, 0)
	want := Common()
	for i := range want {
		want[i].ID = i + 1
	}
	want[8].KeyID, want[8].ValueID = 10, 11
	want[9].ID, want[9].KeyID, want[9].ValueID = 12, 13, 14
	want = append(want, Column{ID: 15, Name: "status", Type: Long})
	if !slices.Equal(cols, want) {
		t.Errorf("got %+v\nwant %+v", cols, want)
	}
}

func TestAddedColumnsContinueAfterTheHighestID(t *testing.T) {
	old := Plan(nil, []Column{{Name: "a", Type: Long}}, 0)
	cols := Plan(old, []Column{{Name: "A", Type: Double}, {Name: "m", Type: Map}, {Name: "b", Type: String}, {Name: "b", Type: Long}, {Name: "tags.Key", Type: Long}}, 20)
	if !slices.Equal(cols[:len(old)], old) {
		t.Errorf("existing columns changed: got %+v, want %+v", cols[:len(old)], old)
	}
	want := []Column{{ID: 21, KeyID: 22, ValueID: 23, Name: "m", Type: Map}, {ID: 24, Name: "b", Type: String}}
	if got := cols[len(old):]; !slices.Equal(got, want) {
		t.Errorf("added columns: got %+v, want %+v", got, want)
	}
}

func TestStringBoundsEncloseTheString(t *testing.T) {
	runes := []rune{'a', 'z', 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, utf8.MaxRune}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		var b strings.Builder
		for range rnd.IntN(24) {
			b.WriteRune(runes[rnd.IntN(len(runes))])
		}
		s := b.String()
		lo, up := StringLower(s), StringUpper(s)
		if !utf8.Valid(lo) || !utf8.Valid(up) || len(lo) > MaxStringBound || len(up) > MaxStringBound+3 {
			t.Fatalf("%q: bounds %q and %q are no short UTF-8", s, lo, up)
		}
		if string(lo) > s || up != nil && string(up) < s {
			t.Fatalf("%q is not within [%q, %q]", s, lo, up)
		}
	}
	if got := StringUpper(strings.Repeat(string(utf8.MaxRune), 9)); got != nil {
		t.Errorf("upper bound of the highest characters: got %q, want none", got)
	}
	if got := StringUpper(strings.Repeat("\xff", 20)); got != nil {
		t.Errorf("upper bound of what is no UTF-8: got %q, want none", got)
	}
}
