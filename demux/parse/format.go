package parse

import "github.com/akupara/akupara/demux/parse/internal/times"

// format is what tells one parser from another.
type format interface {
	// begin is called before a chunk's first record.
	begin(r *reader)
	// record fills the row that r has begun for it: the bytes of the record
	// without its line end. It is never empty, unless the format wants empty
	// records.
	record(r *reader, rec []byte)
}

// grouper is a format whose records may be several lines.
type grouper interface {
	// starts reports whether a line starts a record.
	starts(line []byte) bool
}

// quoter is a format whose records may have line ends in quotes.
type quoter interface {
	// unclosed reports whether quotes are open at the end of a line; open says that
	// they are so before it.
	unclosed(line []byte, open bool) bool
}

// reopener is a quoter that knows lines with which records begin, although the quotes of
// the one before are open: that one broke off.
type reopener interface {
	reopens(line []byte) bool
}

// parter is a format that reads a record's middle and last part as it does whole
// records. The others' parts become messages as they are.
type parter interface{ parts() }

// framer is a format whose records frame messages for another format.
type framer interface {
	// frame makes inner the format of the messages. It is called once, before
	// the first chunk.
	frame(inner format)
}

// timed is a format whose times are in whatever form a config says.
type timed interface {
	// timeFormats gives the forms, at least one, in place of the usual ones. It is
	// called once, before the first chunk.
	timeFormats(times.Formats)
}

// emptier is a format whose empty records are rows, too.
type emptier interface{ wantsEmpty() }
