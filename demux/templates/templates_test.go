package templates

import (
	"bytes"
	"encoding/csv"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden file anew")

// TestTemplates compares with testdata/templates.golden: a message, and below it its
// template.
func TestTemplates(t *testing.T) {
	const path = "testdata/templates.golden"
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(string(golden), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		message := lines[i]
		got := string(Append(nil, []byte(message)))
		out.WriteString(message + "\n\t" + got + "\n")
		if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\t") {
			i++
			if want := lines[i][1:]; got != want && !*update {
				t.Errorf("%s\n got %s\nwant %s", message, got, want)
			}
		} else if !*update {
			t.Errorf("line %d has no template below it", i+1)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheFirstLineWithTextCounts(t *testing.T) {
	long := strings.Repeat("word ", 300)
	for message, want := range map[string]string{
		"":                             "",
		" \n\t\r\n ":                   "",
		"\n\n a 1\njava.lang.X\n\tat":  "a <*>",
		"a\t \tb  \r\nc":               "a b",
		long:                           strings.Repeat("word ", 205) + Variable,
		"x " + long[:1020] + "7":       "x " + strings.Repeat("word ", 204) + Variable,
		long[:1020] + "seventeen":      long[:1020] + Variable,
		strings.Repeat("é", 700):       Variable,
		strings.Repeat("1", 5000):      Variable,
		"a " + strings.Repeat("b", 65): "a " + Variable,
	} {
		if got := string(Append(nil, []byte(message))); got != want {
			t.Errorf("%.40q: got %q, want %q", message, got, want)
		}
	}
}

func TestTheIDIsTheBeginOfTheSHA256(t *testing.T) {
	// printf 'a <*>' | sha256sum
	if got, want := ID([]byte("a <*>")), "d4514bf5585958aa"; string(got[:]) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzAppend tests that a template depends on nothing but the message, and that it is
// bounded, and text if the message is.
func FuzzAppend(f *testing.F) {
	golden, err := os.ReadFile("testdata/templates.golden")
	if err != nil {
		f.Fatal(err)
	}
	for l := range strings.Lines(string(golden)) {
		f.Add([]byte(l))
	}
	f.Add([]byte("a='\"=(=<1=.=.. ..' ::1 a:\\ x:// @a ?/? é\xff\x00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		given := bytes.Clone(message)
		got := Append(nil, message)
		if !bytes.Equal(message, given) {
			t.Fatal("the message was changed")
		}
		if again := Append([]byte("<*> "), append(bytes.Clone(message), "\n1 more"...)[:len(message)]); string(again) != "<*> "+string(got) {
			t.Fatalf("got %q behind another text, and %q", again, got)
		}
		if len(got) > 3*maxScan+len(Variable)+1 {
			t.Fatalf("a template of %d bytes", len(got))
		}
		if utf8.Valid(message) && !utf8.Valid(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		blank := len(bytes.TrimFunc(message, func(r rune) bool { return r <= ' ' || r == 0x7f })) == 0
		if blank != (len(got) == 0) || blank != None(message) {
			t.Fatalf("got the template %q, and None says %v", got, None(message))
		}
	})
}

// FuzzShape tests that messages of one shape have one template: that of the shape.
func FuzzShape(f *testing.F) {
	golden, err := os.ReadFile("testdata/templates.golden")
	if err != nil {
		f.Fatal(err)
	}
	for l := range strings.Lines(string(golden)) {
		f.Add([]byte(l))
	}
	for _, s := range []string{"12:\\x 1:\\y", "a <1 sec <22:3> x=1 = 22", "took 1234 ms 5 MB 12Jan 3 Feb", "'1' \"22\": 333", "k8s n1.n22.n333 ::1 ::12 1.. 22.", "\n 1\n22"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		shape, known := Shape([]byte("before"), message)
		if !known {
			return
		}
		shape, ok := bytes.CutPrefix(shape, []byte("before"))
		if !ok || len(shape) > len(message) {
			t.Fatalf("got the shape %q", shape)
		}
		if got, want := string(Append(nil, shape)), string(Append(nil, message)); got != want {
			t.Fatalf("the template of the shape %q is %q, that of the message %q", shape, got, want)
		}
	})
}

func TestMessagesThatDifferInNumbersHaveOneShape(t *testing.T) {
	for message, want := range map[string]string{
		"request 1234 of worker-7 took 12.5 ms": "request 00 of worker-0 took 00.0 ms",
		"\n  at 99\n77":                         "at 00",
		`he said "7"`:                           "",
		"a " + strings.Repeat("word ", 300):     "",
	} {
		if shape, known := Shape(nil, []byte(message)); known != (want != "") || known && string(shape) != want {
			t.Errorf("%.40q has the shape %q (%v), want %q", message, shape, known, want)
		}
	}
}

// loghub finds the loghub collection: below AKUPARA_TEST_DATA, or beside the
// checkout in shared/data.
func loghub(t *testing.T) string {
	dirs := []string{os.Getenv("AKUPARA_TEST_DATA"), "../../../shared/data"}
	for _, d := range dirs {
		if st, err := os.Stat(filepath.Join(d, "loghub")); d != "" && err == nil && st.IsDir() {
			return filepath.Join(d, "loghub")
		}
	}
	t.Skip("the loghub collection is not there: set AKUPARA_TEST_DATA to the folder that holds it")
	return ""
}

// TestGroupingAccuracy compares which messages have the same template with the groups
// that people made of the same messages: the share of messages in a group that equals
// the true one exactly.
func TestGroupingAccuracy(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(loghub(t), "*_structured.csv"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	var sum float64
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		column := map[string]int{}
		for i, name := range rows[0] {
			column[name] = i
		}
		groups, pairs, truth := map[string]int{}, map[[2]string]int{}, map[string]int{}
		for _, r := range rows[1:] {
			tpl, id := string(Append(nil, []byte(r[column["Content"]]))), r[column["EventId"]]
			groups[tpl]++
			truth[id]++
			pairs[[2]string{tpl, id}]++
		}
		right := 0
		for pair, n := range pairs {
			if groups[pair[0]] == n && truth[pair[1]] == n {
				right += n
			}
		}
		accuracy := float64(right) / float64(len(rows)-1)
		sum += accuracy
		t.Logf("%-40s %.3f: %d templates, truly %d", filepath.Base(path), accuracy, len(groups), len(truth))
	}
	if mean := sum / float64(len(files)); mean < 0.95 {
		t.Errorf("the mean is %.3f, want at least 0.95", mean)
	}
}
