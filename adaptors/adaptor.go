// Package adaptors defines what every kind of adaptor is to the agent. An
// adaptor wraps sources of one kind and emits chunks; each kind lives in a
// folder of its own below, and adaptors/all names them all.
package adaptors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/akupara/akupara/chunk"
)

// Adaptor is one configured instance of a kind. Its constructor touches
// nothing outside and starts nothing.
type Adaptor interface {
	// Run collects until ctx is done and returns nil then. An error says why
	// it can't go on: the agent logs it, shows it as last_error and calls Run
	// again with backoff. When Run returns, nothing of it is left running.
	Run(ctx context.Context, env Env) error
	// Status is safe to call at any time, also while Run is not running.
	Status() Status
}

// Replayer is an Adaptor whose sources can be read again. The sources of one
// that is not are appended to the agent's spool first, and its chunks' Stream,
// First and Last are set there.
//
// The agent calls both methods from goroutines of its own, while Run runs;
// neither may block or call back.
type Replayer interface {
	Adaptor
	// Settled says that every byte of the stream below upTo is secured. It is
	// also called, with upTo as before, when a fact without length (Begin, End)
	// or one of doubt is secured: a stream is done only once its End is settled.
	Settled(stream string, upTo int64)
	// Resend asks that r, which is made of chunks sent before, be sent again:
	// nobody is known to hold it any more. An empty r asks for the facts that
	// were sent at its offset. What can't be read again is sent as a Lost fact.
	Resend(stream string, r chunk.Range)
}

// Env is what the agent gives a running adaptor.
type Env struct {
	Name    string // the adaptor's name in the config
	Type    string // data type of its chunks; empty where the kind sets its own
	Host    string
	Log     *slog.Logger
	Out     Output
	Streams Streams
	// Descriptors bounds the files that all adaptors keep open together; nil:
	// the adaptor has a bound of its own.
	Descriptors *Descriptors
	// Claims says which adaptor reads which file; nil: no other adaptor could.
	Claims *Claims
}

// Rereader is a Replayer whose sources may be there still when their streams
// have ended.
type Rereader interface {
	// CanReread reports whether all of a stream that has ended can be read
	// again. If it does, a Run that finds the stream Ended but settled only up
	// to S resumes reading at S. It is called while no Run is on.
	CanReread(s Stream) bool
}

// Lagger is an Adaptor that may have very many sources: Lag returns the LagBytes
// and the LastErr of Status, for less. The agent asks every few seconds.
type Lagger interface {
	Lag() (bytes int64, lastErr string)
}

// Output takes chunks.
type Output interface {
	// Send hands a chunk over, and blocks while downstream is slow or the
	// agent's byte budget is used up. The chunk and its body are the caller's
	// again when Send returns. After an error the chunk was not taken; the
	// error is ctx's, or says what is wrong with the chunk.
	Send(ctx context.Context, c *chunk.Chunk) error
}

// Streams keeps what must be known of the adaptor's streams after a crash. It
// is safe for concurrent use.
//
// A stream belongs to its source, and an adaptor holds it for as long as it
// reads that source: a stream goes to another adaptor of the same kind when its
// source does. An adaptor holds its stored streams from the moment it is added
// until it is stopped, removed or replaced.
type Streams interface {
	// Known returns the adaptor's own streams, as stored. It holds them. Those
	// that had the type of the adaptor's entry have the one it has now: they go
	// on as that, and begin anew where they are settled. Where the kind Retypes,
	// those that are not settled whole have the former one yet.
	Known() []Stream
	// Retype lets one of those go on as the type that the entry has now, and
	// begin anew where it is settled. All that was sent of it must be settled.
	Retype(id string) (Stream, error)
	// Others returns the streams that are stored of other adaptors of the same
	// kind, of whatever Type, whether these hold them or not: a source that has
	// a stream there must not get a second one of that type. The list may be
	// long; it changes with Claims.Version, and by what other adaptors open of
	// what they have claimed.
	Others() []Stream
	// Take makes a stream of Others, or one that the adaptor has released, the
	// adaptor's own, which holds it from then on. It returns the stream as it is
	// stored now. A HeldError, which is ErrHeld, says which adaptor holds it:
	// the source is that one's, until Claims.Version changes. ErrNoStream says
	// that the stream is gone; after any other error it is as it was, and may be
	// taken later.
	Take(id string) (Stream, error)
	// Release lets others take a stream whose source the adaptor does not find.
	// The stream stays the adaptor's until another takes it; the adaptor sends
	// and stores nothing of it before it has made it its own again by Take.
	Release(id string)
	// Open stores a new stream and gives it its id. It returns when that is
	// durable; concurrent calls share one sync. Nothing of a stream may be
	// sent before. A stream opened with Begin above 0 is settled up to there.
	Open(ctx context.Context, s Stream) (Stream, error)
	// Update stores a stream's new Source, Identity and Ended. It is durable
	// after a crash of the process, not of the machine.
	Update(s Stream) error
	// Sent journals, before a chunk is first sent, where it ends and the
	// fingerprint of the bytes before that end. It survives a crash of the
	// process and costs no sync.
	Sent(id string, end int64, fingerprint uint64) error
	// Forget drops a stream for good: nothing of it will be asked for again.
	Forget(id string) error
	// Fresh reports whether the agent's state began with this start of the agent,
	// or was damaged then: more may have been sent before than is known.
	Fresh() bool
}

// ErrNoStream says that a stream is not stored any more.
var ErrNoStream = errors.New("no such stream")

// ErrHeld says that another adaptor holds the stream.
var ErrHeld = errors.New("another adaptor holds the stream")

// HeldError is ErrHeld with the name of that adaptor.
type HeldError struct{ Adaptor string }

func (e HeldError) Error() string { return fmt.Sprintf("adaptor %q holds it", e.Adaptor) }

// Is reports whether target is ErrHeld.
func (HeldError) Is(target error) bool { return target == ErrHeld }

// Stream is what is stored of one stream.
type Stream struct {
	ID       string // unique over all hosts and times; set by Open
	Source   string // path or command
	Identity []byte // what the adaptor finds its source by; the adaptor's own format
	Begin    int64  // where the stream starts as told; above 0 a Begin fact is sent there
	Settled  int64  // every byte below is secured: after a start, reading goes on here
	Sent     int64  // end of the last chunk that was journalled, 0 if none
	Tail     uint64 // fingerprint of the bytes before Sent
	Ended    bool   // the source is finished; Sent is its length
	Type     string // data type of its chunks; set at Open, empty if the adaptor did not say
	Doubt    int64  // where above Begin, bytes below may be in the table under another stream; set at Open, a Doubtful fact is sent there

	// Origin is given to Open alone, where the source can be told from every
	// other on this machine: the id is then derived from it, the kind and Type,
	// so that the same source gets the same id again when the agent's state is
	// lost. If that id is taken, Open gives a unique one.
	Origin string
	// Fork is given to Open alone: the id of a stream that this one shares its
	// first bytes with. What equals that one's bytes at the same offsets is no
	// second record; all else is this stream's own.
	Fork string
}

// Status is what people see of an adaptor.
type Status struct {
	Sources  []Source  // bounded: the busiest ones where there are very many
	Skipped  []Skipped // what matched and is not read, each with the reason
	LastErr  string
	LagBytes int64 // bytes that are in the sources and not settled yet
}

// Source is the position in one stream.
type Source struct {
	Stream  string
	Path    string // or command
	Size    int64  // bytes there are, as last seen
	Read    int64  // bytes read and handed over
	Settled int64
}

// Skipped is something that matched and is not read.
type Skipped struct {
	Path   string
	Reason string
}
