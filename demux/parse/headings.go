package parse

import (
	"errors"
	"fmt"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

// headed is a format that learns from some lines how the lines after them are to be
// read. What it learned holds to the end of the chunk.
type headed interface {
	// skipped is called for a record that gives no row, as the table has it
	// already.
	skipped(r *reader, rec []byte)
}

const (
	maxHeading = 64 << 10 // bytes of a line that names fields
	maxFields  = 1000     // that a config names
	maxName    = 256      // bytes of a column's name
)

// fieldsOptions name the fields of records that don't name them themselves.
type fieldsOptions struct {
	// Fields are names of fields, in their order.
	Fields []string `config:"fields"`
}

func (o *fieldsOptions) check() error {
	if len(o.Fields) > maxFields {
		return fmt.Errorf("fields: there are %d; at most %d are allowed", len(o.Fields), maxFields)
	}
	for _, f := range o.Fields {
		if columnName([]byte(f)) == "" {
			return errors.New("fields: a name without a letter or a digit is no name")
		}
	}
	return nil
}

// countedFields says that a record has too many fields, or too few.
func countedFields(have, want, at int) string {
	return fmt.Sprintf("%d fields instead of %d, at byte %d", have, want, at)
}

// columnName makes a name of a field a column's: in lower case, an underscore for
// what is no letter and no digit, but none at the ends; "%" is "percent".
func columnName(field []byte) string {
	out := make([]byte, 0, len(field)+8)
	gap := false
	add := func(c ...byte) {
		if gap && len(out) > 0 {
			out = append(out, '_')
		}
		gap = false
		out = append(out, c...)
	}
	for _, c := range field {
		switch {
		case c >= 'A' && c <= 'Z':
			add(c + 'a' - 'A')
		case times.LetterOrDigit(c) || c >= 0x80:
			add(c)
		default:
			gap = true
		}
	}
	if len(field) > 0 && len(out) > 0 && (field[0] == '%' || field[len(field)-1] == '%') {
		out = append(out, "_percent"...)
	}
	return string(out)
}
