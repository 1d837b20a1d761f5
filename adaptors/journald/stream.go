package journald

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"slices"
	"strings"

	"github.com/akupara/akupara/adaptors/internal/replay"
)

// identity is what is stored of a stream: how its entries are asked for, and
// where in the journal some of its offsets are.
type identity struct {
	Number   int      `json:"number"` // the adaptor's first stream is 1; the one with the greatest is live
	Args     []string `json:"args"`
	MaxField int      `json:"max_field"`
	Pairs    []pair   `json:"pairs"` // by offset; the first is where the stream begins, the last one its end

	// Entries from before that time, in Unix microseconds, may be in the table
	// under another stream; once one from after it was read, DoubtEnd is up to
	// where.
	Before   int64 `json:"before,omitempty"`
	DoubtEnd int64 `json:"doubt_end,omitempty"`
}

// pair is a place in the journal at an offset.
type pair struct {
	Off    int64  `json:"o"`
	Cursor string `json:"c,omitempty"` // of the entry before; empty: the journal's beginning
	At     bool   `json:"a,omitempty"` // the cursor is that of the entry at Off itself
	Sum    uint64 `json:"s"`           // of all bytes before
}

// How many pairs are kept: of what is not settled, and of what is, for a stream
// that is set back.
const (
	maxUnsettled = 64
	maxSettled   = 16
)

func (id *identity) encode() []byte {
	b, err := json.Marshal(id)
	if err != nil {
		panic(fmt.Sprintf("journald: %v", err)) // plain fields only
	}
	return b
}

func decodeIdentity(b []byte) (identity, error) {
	var id identity
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("decode a stream's identity: %w", err)
	}
	if len(id.Pairs) == 0 || id.Pairs[0].Off < 0 || !slices.IsSortedFunc(id.Pairs, func(a, b pair) int { return int(min(max(a.Off-b.Off, -1), 1)) }) {
		return id, errors.New("decode a stream's identity: its offsets are not in order")
	}
	return id, nil
}

// add notes where the stream ends now, and thins out what is there.
func (id *identity) add(p pair, settled int64) {
	if n := len(id.Pairs); id.Pairs[n-1].Off == p.Off {
		return
	}
	id.Pairs = append(id.Pairs, p)
	split := id.before(settled) + 1
	low, high := thin(id.Pairs[:split], maxSettled), thin(id.Pairs[split:], maxUnsettled)
	id.Pairs = slices.Concat(low, high)
}

// thin leaves the first and the last, and every second of the others, where
// there are more than that many.
func thin(pairs []pair, most int) []pair {
	if len(pairs) <= most {
		return pairs
	}
	var out []pair
	for i, p := range pairs {
		if i%2 == 0 || i == len(pairs)-1 {
			out = append(out, p)
		}
	}
	return out
}

// before returns the index of the last pair at or below an offset.
func (id *identity) before(off int64) int {
	i := len(id.Pairs) - 1
	for i > 0 && id.Pairs[i].Off > off {
		i--
	}
	return i
}

func (id *identity) last() pair { return id.Pairs[len(id.Pairs)-1] }

var table = crc64.MakeTable(crc64.ECMA)

// sum goes on with a checksum.
func sum(before uint64, b []byte) uint64 { return crc64.Update(before, table, b) }

// stream is one stream of the adaptor.
type stream struct {
	out   *replay.Stream
	ident identity
}

// sameEntry reports whether two cursors are of the same entry, which may be in
// several files of the journal: they agree on its boot and times, and are not of
// two places in one file. A place alone says nothing: when a file lost its end
// with the power, the next entries may get the numbers of the lost ones.
func sameEntry(a, b string) bool {
	if a == b {
		return true
	}
	x, y := cursorParts(a), cursorParts(b)
	return same(x, y, "b", "m", "t") && (x["s"] != y["s"] || x["i"] == y["i"])
}

func same(x, y map[string]string, keys ...string) bool {
	for _, k := range keys {
		if x[k] == "" || x[k] != y[k] {
			return false
		}
	}
	return true
}

func cursorParts(c string) map[string]string {
	out := map[string]string{}
	for _, part := range strings.Split(c, ";") {
		if k, v, ok := strings.Cut(part, "="); ok {
			out[k] = v
		}
	}
	return out
}
