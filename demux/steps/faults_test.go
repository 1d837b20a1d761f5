package steps_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/parse"
)

// No parser of columns is given a blank text, which none of them knows.
func TestBlankColumnsAreNotParsed(t *testing.T) {
	for _, name := range parse.MessageNames() {
		if name == "regex" || name == "grok" || name == "dissect" || name == "columns" || name == "csv" || name == "tsv" || name == "ssv" || name == "psv" {
			continue // they have options that must be given
		}
		section := fmt.Sprintf("{parser: json, steps: [{parse: {column: x, parser: %s}}]}", name)
		got := parsed(t, section, `{"a":1,"x":""}`+"\n"+`{"a":2,"x":"  "}`+"\n", nil)
		if len(got) != 2 || fmt.Sprint(got[0]["a"]) != "1" || fmt.Sprint(got[1]["a"]) != "2" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Nothing that is redacted stays in what was not parsed, nor in a second message.
func TestWhatIsRedactedIsNowhere(t *testing.T) {
	const ssn, mail = "078-05-1120", "bob@example.org"
	for _, c := range []struct{ section, in string }{
		{`{parser: kv, steps: [{redact: {columns: [ssn]}}, {redact: {what: [email]}}]}`, "mail to " + mail + " ssn=" + ssn + " msg=ok\n"},
		{`{parser: json, steps: [{redact: {columns: [ssn]}}, {redact: {what: [email]}}]}`, `{"message":"` + mail + `","message":"` + mail + `","ssn":"` + ssn + "\"}\n"},
		{`{parser: raw, steps: [{parse: {column: message, parser: json}}, {redact: {columns: [ssn]}}]}`, `{"user":"u","ssn":"` + ssn + `","cut` + "\n"},
		{`{parser: json, steps: [{parse: {column: payload, parser: json}}, {redact: {columns: [ssn]}}]}`, `{"payload":"{\"ssn\":\"` + ssn + `\",\"cut"}` + "\n"},
	} {
		if got := fmt.Sprint(parsed(t, c.section, c.in, nil)); strings.Contains(got, ssn) || strings.Contains(got, mail) {
			t.Errorf("%s: %s", c.section, got)
		}
	}
}

// A step that fails does not keep another from parsing the message.
func TestAStepThatFailsLeavesOthers(t *testing.T) {
	got := parsed(t, `{parser: json, steps: [{parse: {column: payload, parser: json}}, {parse: {column: message, parser: kv}}]}`,
		`{"message":"took=5 of=7","payload":"{cut"}`+"\n", nil)
	if len(got) != 1 || fmt.Sprint(got[0]["took"]) != "5" {
		t.Errorf("got %v", got)
	}
}
