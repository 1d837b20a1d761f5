// Package wire holds what an agent and a collector say to each other over
// HTTP/1.1, beside the batches themselves (chunk.Batch.Frame). It has no
// behaviour: the daemons share these words and nothing else.
//
//	POST /v1/batches   one frame           → 200 Receipt
//	POST /v1/receipts  ReceiptsRequest     → 200 ReceiptsResponse
//
// Any other status carries an Error.
package wire

// Paths under a collector's base URL.
const (
	BatchesPath  = "/v1/batches"
	ReceiptsPath = "/v1/receipts"
)

// BatchContentType is the content type of a frame.
const BatchContentType = "application/vnd.akupara.batch"

// Bounds on what either side reads of the other.
const (
	MaxReceipts     = 4096     // receipts asked for in one request
	MaxReceiptsBody = 2 << 20  // bytes of a ReceiptsRequest or -Response
	MaxReceiptBody  = 16 << 10 // bytes of a Receipt or an Error
)

// State is what a collector knows of a batch.
type State string

const (
	// Spooled: the batch is fsynced in that collector's spool.
	Spooled State = "spooled"
	// Settled: the batch is in a published sink file. It is a fact about the
	// store, so that any collector can tell it of any segment.
	Settled State = "settled"
	// Unknown: the collector has nothing of it. From the collector that took
	// the batch it means that the batch must be sent again.
	Unknown State = "unknown"
)

// Receipt answers a batch: it is block Block, counted from 0, of that segment
// of the batch's data type.
type Receipt struct {
	Segment string `json:"segment"` // a store.Segment
	Block   int    `json:"block"`
	State   State  `json:"state"`
}

// Query names a batch taken before.
type Query struct {
	Type    string `json:"type"` // data type
	Segment string `json:"segment"`
	Block   int    `json:"block"` // Settled means that blocks 0 to Block are published
}

// ReceiptsRequest asks for the states of at most MaxReceipts batches. The
// highest block of each segment is enough.
type ReceiptsRequest struct {
	Receipts []Query `json:"receipts"`
}

// ReceiptsResponse gives the states, in the request's order.
type ReceiptsResponse struct {
	States []State `json:"states"`
}

// Error is the body of every answer that is not 200.
type Error struct {
	Error string `json:"error"`
	// Permanent says that the same bytes will be refused again: the sender
	// keeps them, tells people and does not send them in a tight loop.
	Permanent bool `json:"permanent"`
	// Reason is for programs; an agent that does not know it goes by Permanent.
	Reason Reason `json:"reason,omitempty"`
}

// Reason is why something was refused, where the sender acts by it.
type Reason string

// TooManyTypes says that the collector takes no more data types than it has.
// Batches of the one that was refused may be taken later; those of others are
// taken now.
const TooManyTypes Reason = "too_many_types"
