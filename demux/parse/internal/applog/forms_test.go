package applog

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

// What a form says of itself must hold: agents cut records where start matches, the demux
// where Starts says so.
func TestEachFormsExamplesAreReadAsItSays(t *testing.T) {
	start := regexp.MustCompile(Start)
	r := NewReader()
	z := times.Zone{Loc: time.UTC}
	z.ReadAt(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	for _, forms := range [][]form{timeForms, oddForms} {
		for _, f := range forms {
			if len(f.examples) == 0 || (f.read == nil) != (f.first == "") {
				t.Errorf("form %q: want an example, and first where it has a function", f.start)
			}
			for _, e := range f.examples {
				line, _, _ := bytes.Cut([]byte(e), []byte("\n"))
				if !r.Starts(line) || !start.Match(line) {
					t.Errorf("%q: Starts says %v, Start matches: %v, want both", line, r.Starts(line), start.Match(line))
				}
				if f.start != "" && !regexp.MustCompile(`^(`+f.start+`)`).Match(line) {
					t.Errorf("%q: its own start does not match", line)
				}
				if (f.sure != "" || f.withLevel != "") && !Sure(line) {
					t.Errorf("%q is not sure, want it to be", line)
				}
				h, why := r.Read([]byte(e), &z)
				if h == nil {
					t.Errorf("%q: %s", e, why)
				} else if !bytes.HasSuffix(h.Message, []byte("message")) || h.Time != nil && !h.At.OK {
					t.Errorf("%q: time %q and message %q", e, h.Time, h.Message)
				}
			}
		}
	}
}
