package parse

import (
	"fmt"

	"github.com/akupara/akupara/demux/schema"
)

var jsonParser = simple("json", "one JSON object a line: keys become columns", func() format { return newJSON() })

// jsonFormat parses one JSON object a line into a keyed record. Arrays are kept
// as their text.
type jsonFormat struct {
	*keyed
	scan scanner
}

func newJSON(typed ...schema.Column) *jsonFormat { return &jsonFormat{keyed: newKeyed(typed...)} }

func (f *jsonFormat) record(r *reader, rec []byte) {
	if err := f.read(rec); err != nil {
		r.fail(rec, fmt.Sprintf("not JSON: %v", err))
		return
	}
	if !f.fill(r) && r.format == f && len(f.typed) == 0 {
		r.b.Fail(noTime)
	}
}

// noTime marks rows of formats whose records say when they were, where one does
// not.
const noTime = "there is no time in it: ts is when it was read"

// read takes an object's fields.
func (f *jsonFormat) read(rec []byte) error {
	f.reset()
	return f.scan.object(f.keyed, rec)
}
