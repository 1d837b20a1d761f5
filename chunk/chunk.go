// Package chunk holds the words that travel: a chunk is a piece of one stream,
// a batch is several chunks of one data type compressed as one Avro block, and
// a sink file is many such blocks behind one header with an index. The package
// defines their formats and nothing about who moves them.
package chunk

import (
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"time"
)

// Bounds on what is taken in from outside. Whoever builds a chunk or a batch
// keeps within them; whoever receives one refuses what does not.
const (
	MaxBody        = 16 << 20 // bytes of one chunk's body
	MaxBatchRaw    = 32 << 20 // bytes of a batch's block, decompressed
	MaxBatchBlock  = 32 << 20 // bytes of a batch's block, compressed
	MaxBatchHeader = 4 << 20  // bytes of a batch's header
	MaxBatchChunks = 65536    // chunks in a batch
	MaxString      = 64 << 10 // bytes of a host, source, stream, tag or reason
	MaxTags        = 64       // tags of a chunk
	MaxDrops       = 65536    // dropped ranges within a chunk
	MaxBatchDrops  = 1 << 20  // of all chunks of a batch
)

// Kind says what a chunk tells of its range. All but Data are facts: they have
// no body, and travel so that the audit knows why a range holds no records.
type Kind uint8

const (
	Data    Kind = iota // the bytes of [First, Last), but for those that a filter dropped
	Begin               // the stream starts at First, as the adaptor was told; Last == First
	End                 // the stream is finished, its length is First; Last == First
	Lost                // the source destroyed [First, Last) before it could be read
	Dropped             // a filter or a full spool dropped [First, Last)
	// Doubtful: [First, Last) may be in the table already under another stream,
	// as its agent does not know what was sent before. Its bytes are sent all the
	// same.
	Doubtful
	numKinds
)

var kindNames = [numKinds]string{"data", "begin", "end", "lost", "dropped", "doubtful"}

func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Chunk is a piece of one stream that holds whole records only, so that no
// chunk needs its neighbour to be parsed.
type Chunk struct {
	Type   string // data type; a batch holds chunks of one type
	Kind   Kind
	Host   string            // the machine the records come from
	Source string            // what the stream reads: a path, a command
	Stream string            // the stream's id, unique over all hosts and times
	First  int64             // offset in the stream of the body's first byte
	Last   int64             // offset just past the body's last byte
	Time   time.Time         // when the body was read or sampled; microseconds
	Tags   map[string]string // constant for the chunk; may be nil
	// Encoding of the body's text, an IANA name; empty means UTF-8. The body
	// itself is always the source's own bytes.
	Encoding string
	// Borders are the offsets in Body just past each record, ascending, the
	// last one len(Body), where records are not single lines: multi-line
	// events, runs of a command, samples. Nil means that records are lines.
	Borders []int64
	// Drops are what a filter dropped within a Data chunk: whole records, which
	// Body is without. Ascending; they do not touch.
	Drops  []Drop
	Reason string // why, for a fact, or what the drops are by
	// Body is source bytes, newlines included: for Data, all of [First, Last) but
	// Drops.
	Body []byte
}

// Range is the part of the stream that the chunk tells of.
func (c *Chunk) Range() Range { return Range{c.First, c.Last} }

// entry is what an index tells of the chunk.
func (c *Chunk) entry() Entry {
	e := Entry{Kind: c.Kind, Host: c.Host, Source: c.Source, Stream: c.Stream, First: c.First, Last: c.Last}
	if c.Kind == Data {
		e.CRC, e.Dropped = c.Sum(c.Range()), c.Dropped(c.Range())
	}
	return e
}

// TypePattern is what a data type's name must match.
const TypePattern = `[a-z0-9][a-z0-9_-]{0,63}`

var typeRE = regexp.MustCompile(`^` + TypePattern + `$`)

// CheckType reports whether a data type's name is allowed.
func CheckType(name string) error {
	if !typeRE.MatchString(name) {
		return fmt.Errorf("data type %q: must match %s", name, TypePattern)
	}
	return nil
}

// ErrInvalid marks what breaks a rule of the formats here: a damaged or lying
// batch, block or file. It is permanent: the same bytes will never be valid.
var ErrInvalid = errors.New("invalid")

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Check holds the chunk against the rules of its format.
func (c *Chunk) Check() error {
	if err := CheckType(c.Type); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c.checkFields()
}

// checkFields is Check but for the data type, which a batch's chunks share.
func (c *Chunk) checkFields() error {
	if c.Kind >= numKinds {
		return invalidf("kind %d is not known", c.Kind)
	}
	if c.Stream == "" {
		return invalidf("the stream's id is empty")
	}
	if c.First < 0 || c.Last < c.First {
		return invalidf("stream %s: range %v", c.Stream, c.Range())
	}
	if len(c.Tags) > MaxTags {
		return invalidf("stream %s: %d tags, at most %d are allowed", c.Stream, len(c.Tags), MaxTags)
	}
	for k, v := range c.Tags {
		if len(k) > MaxString || len(v) > MaxString {
			return invalidf("stream %s: a tag is longer than %d bytes", c.Stream, MaxString)
		}
	}
	for _, s := range [...]string{c.Host, c.Source, c.Stream, c.Encoding, c.Reason} {
		if len(s) > MaxString {
			return invalidf("a text field has %d bytes, at most %d are allowed", len(s), MaxString)
		}
	}
	if c.Kind != Data {
		if len(c.Body) != 0 || c.Borders != nil || c.Drops != nil {
			return invalidf("stream %s: a fact (%v) has a body", c.Stream, c.Kind)
		}
		return nil
	}
	if err := c.checkDrops(); err != nil {
		return err
	}
	if dropped := c.Dropped(c.Range()); int64(len(c.Body)) != c.Last-c.First-dropped {
		return invalidf("stream %s: range %v, of which %d bytes were dropped, has a body of %d bytes", c.Stream, c.Range(), dropped, len(c.Body))
	}
	if len(c.Body) > MaxBody {
		return invalidf("stream %s: a body of %d bytes, at most %d are allowed", c.Stream, len(c.Body), MaxBody)
	}
	return c.checkBorders()
}

func (c *Chunk) checkBorders() error {
	if c.Borders == nil {
		return nil
	}
	prev := int64(0)
	for _, b := range c.Borders {
		if b <= prev {
			return invalidf("stream %s: record borders do not ascend", c.Stream)
		}
		prev = b
	}
	if prev != int64(len(c.Body)) {
		return invalidf("stream %s: record borders end at %d, the body at %d", c.Stream, prev, len(c.Body))
	}
	borders := c.Borders
	for i := range c.Drops {
		n, found := slices.BinarySearch(borders, c.Drops[i].Body)
		if borders = borders[n:]; !found && c.Drops[i].Body > 0 {
			return invalidf("stream %s: what was dropped at %d is within a record", c.Stream, c.Drops[i].First)
		}
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC is the CRC-32C that guards bodies, blocks and headers.
func CRC(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// AddCRC returns the CRC of the bytes that crc is of with b behind them.
func AddCRC(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }
