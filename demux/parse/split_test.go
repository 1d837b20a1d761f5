package parse

import (
	"bytes"
	"testing"
)

func TestRecordOfTooManyFieldsIsRefusedWithoutKeepingThem(t *testing.T) {
	p := newPlaced(1, place{name: "a"})
	if why := p.split(bytes.Repeat([]byte{'\t'}, 1<<20), '\t', noQuotes); why != "more than 1000 fields, at byte 1001" {
		t.Errorf("split says %q", why)
	}
	if len(p.vals) > maxFields+1 {
		t.Errorf("it kept %d fields", len(p.vals))
	}
}
