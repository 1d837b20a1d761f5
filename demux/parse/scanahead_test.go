package parse

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestScanAhead tests that a scanner which knows what came in thousands of records
// reads others as one that knows nothing: whole ones, and such as are damaged.
func TestScanAhead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	knowing := newJSON()
	for range 5_000 {
		rec := []byte(randomObject(r, 0))
		for range r.IntN(3) {
			rec = mutated(r, rec)
		}
		if got, want := scanned(knowing, rec), scanned(newJSON(), rec); got != want {
			t.Fatalf("%s\nis read as\n%s\nand by a scanner that knows nothing as\n%s", rec, got, want)
		}
	}
	if got := scanned(knowing, []byte(`{"a":"é long enough for words","b":"\xff"}`)); strings.Contains(got, "is not") {
		t.Error(got)
	}
	if len(knowing.root.followers) == 0 {
		t.Error("it knows nothing")
	}
}

// scanned tells all that a scanner finds in a record.
func scanned(f *jsonFormat, rec []byte) string {
	n, err := f.next(rec)
	if err != nil {
		return err.Error()
	}
	out := fmt.Sprintf("%d bytes:", n)
	for i := range f.fields {
		d := &f.fields[i]
		out += fmt.Sprintf(" %q %d %q %x", d.node.name, d.kind, d.val, d.num)
		if d.ascii && !isASCII(d.val) {
			out += " which is not ASCII"
		}
	}
	return out
}

func isASCII(s []byte) bool {
	return !slices.ContainsFunc(s, func(c byte) bool { return c >= utf8.RuneSelf })
}

// randomObject makes objects of few keys, any of which may be missing, in one of few
// ways to write them.
func randomObject(r *rand.Rand, depth int) string {
	comma, colon, open := ",", ":", "{"
	switch r.IntN(6) {
	case 0:
		comma, colon = ", ", ": "
	case 1:
		open, colon = "{ ", " :\t"
	}
	var members []string
	for _, key := range []string{"a", "b", `c\u0064`, "e", "long-key-0123456789"} {
		if r.IntN(4) > 0 {
			members = append(members, `"`+key+`"`+colon+randomValue(r, depth))
		}
	}
	return open + strings.Join(members, comma) + "}"
}

func randomValue(r *rand.Rand, depth int) string {
	if depth < 3 && r.IntN(4) == 0 {
		return randomObject(r, depth+1)
	}
	values := []string{
		`""`, `"x"`, `"a \"quoted\" text, and more"`, `"{\"a\":1}"`, `"é\ud83d\ude00"`, "0", "-17", "1.5e3", "123456789012345678901234567890",
		"0.1234567890123456", "-0.0", "12345678901234567", "NaN", "-Infinity", "true", "false", "null", "{}", "{ }", "[]", `[1,{"a":"}"}]`,
	}
	return values[r.IntN(len(values))]
}

// mutated changes a record somewhere: a byte, a part that is left out or comes twice.
func mutated(r *rand.Rand, rec []byte) []byte {
	const bytes = "{}[]\",:\\ \t\n0123456789-.eEtfnNIua\xff\x00"
	i, c := r.IntN(len(rec)+1), bytes[r.IntN(len(bytes))]
	j := min(i+r.IntN(8), len(rec))
	switch r.IntN(4) {
	case 0:
		rec = slices.Insert(rec, i, c)
	case 1:
		rec = slices.Delete(rec, i, j)
	case 2:
		rec = slices.Insert(rec, j, rec[i:j]...)
	case 3:
		rec = slices.Replace(rec, i, min(i+1, len(rec)), c)
	}
	if len(rec) == 0 {
		return []byte{c}
	}
	return rec
}
