package adaptortest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/akupara/akupara/chunk"
)

// own returns the ranges of a stream whose lines are rows: of a fork, those that
// are not at the same offsets in a stream that it goes on from.
func (r *Recorder) own(id string) chunk.Ranges {
	rec := r.streams[id]
	out := rec.have
	for base, _, more := cutFork(id); more; base, _, more = cutFork(base) {
		of := r.streams[base]
		if of == nil {
			continue
		}
		for _, h := range rec.have {
			at := h.First
			for line := range bytes.Lines(rec.data[h.First:h.Last]) {
				rg := chunk.Range{First: at, Last: at + int64(len(line))}
				at = rg.Last
				if len(of.have.Missing(rg)) == 0 && bytes.Equal(of.data[rg.First:rg.Last], line) {
					out = slices.Clone(out).Remove(rg)
				}
			}
		}
	}
	return out
}

// cutFork parts the id of a fork from that of the stream it goes on from.
func cutFork(id string) (base, fork string, ok bool) {
	if n := strings.LastIndexByte(id, '~'); n >= 0 {
		return id[:n], id[n+1:], true
	}
	return id, "", false
}
