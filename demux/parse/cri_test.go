package parse

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
)

func FuzzCRI(f *testing.F) {
	fuzz(f, "cri", "2026-02-28T10:00:00Z stdout P a\n2026-02-28T10:00:00Z stderr F b\n2026-02-28T10:00:00Z stdout F c\n",
		`{"log":"a","stream":"","time":""}`, "2026-02-28T10:00:00Z stdout F {\"a\":{}}\n")
}

const (
	stdout = "2026-02-28T10:00:00.5Z stdout "
	stderr = "2026-02-28T10:00:01.5Z stderr "
)

// rowsOf returns seq, stream, message and fault of each row.
func rowsOf(t *testing.T, o Options, c *chunk.Chunk, keep chunk.Ranges) []string {
	t.Helper()
	var out []string
	for _, r := range parsed(t, "cri", o, c, keep) {
		_, at, _ := strings.Cut(r["attributes"], "stream=")
		out = append(out, fmt.Sprintf("%s %s%q %s", r["seq"], at, r["message"], r["parse_error"]))
	}
	return out
}

func TestPartsOfInterleavedOutputsAreUntangled(t *testing.T) {
	lines := []string{stdout + "P one \n", stderr + "P bad \n", stdout + "P two \n", stderr + "F luck\n", stderr + "F again\n", stdout + "F three\n"}
	c := body(strings.Join(lines, "") + stdout + "F next\n")
	first := int64(len(strings.Join(lines, "")))
	c.Borders = []int64{first, c.Last}
	n := len(lines[0])
	want := []string{
		`0 stdout "one two three" `,
		fmt.Sprintf(`%d stderr "bad luck" `, n),
		fmt.Sprintf(`%d stderr "again" `, n+len(lines[1])+len(lines[2])+len(lines[3])),
		fmt.Sprintf(`%d stdout "next" `, first),
	}
	if got := rowsOf(t, Options{}, c, nil); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	got := rowsOf(t, Options{}, c, chunk.Ranges{{First: 10, Last: c.Last}})
	if len(got) != 2 || !strings.Contains(got[0], "part of a record") {
		t.Errorf("got %q, want the part that the table lacks, and the next record", got)
	}
}

func TestLinesOfAMultiLineRecordAreOneMessage(t *testing.T) {
	c := body(stdout + "F ERROR x\n" + stdout + "P \tat \n" + stderr + "F other\n" + stdout + "F y\n")
	c.Borders = []int64{c.Last}
	c.Tags = map[string]string{"multiline": "true"}
	got := rowsOf(t, Options{}, c, nil)
	if len(got) != 2 || got[0] != `0 stdout "ERROR x\n\tat y" ` || !strings.Contains(got[1], `stderr "other"`) {
		t.Errorf("got %q", got)
	}
}

func TestMessagesGoToTheParserOfTheConfig(t *testing.T) {
	c := body(stdout + "F 2026-02-28 09:00:00,123 ERROR [main] a.B: boom\n" + stdout + "F \tat a.B.c\n" + stdout + "F 2026-02-28 09:00:01,000 INFO [main] a.B: well\n")
	got := parsed(t, "{parser: cri, message: log4j}", Options{}, c, nil)
	if len(got) != 2 || got[0]["message"] != "boom\n\tat a.B.c" || got[0]["logger"] != "a.B" || got[0]["level"] != "ERROR" ||
		got[0]["ts"] != "2026-02-28T10:00:00.5Z" || !strings.Contains(got[0]["attributes"], "time=2026-02-28 09:00:00,123") {
		t.Errorf("got %v", got)
	}
	for _, name := range []string{"nothing", "cri"} {
		if _, problems := ReadText("{parser: cri, message: " + name + "}"); len(problems) == 0 {
			t.Errorf("a parser %q of messages was made", name)
		}
	}
}

func TestPartsOfACutRecordAreMarked(t *testing.T) {
	for part, want := range map[string]string{
		"first":  `0 stdout "{\"a\":" `,
		"middle": `0 stdout "{\"a\":" the middle part`,
		"last":   `0 stdout "{\"a\":" the last part`,
	} {
		c := body(stdout + "P {\"a\":\n")
		c.Tags = map[string]string{"part": part}
		if got := rowsOf(t, Options{}, c, nil); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: got %q, want %q", part, got, want)
		}
	}
	c := body("the rest of a line\n")
	c.Tags = map[string]string{"part": "last"}
	if got := rowsOf(t, Options{}, c, nil); len(got) != 1 || !strings.Contains(got[0], `"the rest of a line" the last part`) {
		t.Errorf("got %q", got)
	}
}
