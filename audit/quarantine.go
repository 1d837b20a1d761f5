package audit

import (
	"context"
	"errors"
	"io/fs"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/store"
)

// Quarantined is a part of a stream that is in a quarantined file, and that
// nothing else holds.
type Quarantined struct {
	DataType string `json:"type"`
	Range
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// quarantined is a file in quarantine with its index.
type quarantined struct {
	quarantine.Entry
	parts []quarantine.Part
	index *chunk.Index
}

// quarantine reads what is in quarantine, by data type.
func (a *auditor) quarantine(ctx context.Context) (map[string][]quarantined, error) {
	entries, err := quarantine.List(ctx, a.fs)
	if err != nil {
		return nil, err
	}
	out := map[string][]quarantined{}
	for _, e := range entries {
		parts, err := e.Parts(ctx, a.fs)
		var index *chunk.Index
		if err == nil {
			index, err = readIndex(ctx, a.fs, e.Path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // released meanwhile
		case errors.Is(err, chunk.ErrInvalid):
			a.Unreadable = append(a.Unreadable, e.Path)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			a.damage(e.Type, e.Path, kindSink, err)
		default:
			if index.Segment != "" && index.Segment != string(store.SegmentOf(e.Path)) {
				// It took another's place: what that one held is not known.
				a.Unreadable = append(a.Unreadable, e.Path)
			}
			out[index.Type] = append(out[index.Type], quarantined{e, parts, index})
		}
	}
	return out, nil
}

// tell adds what the file's index tells to a set: that its streams go on as far as
// its chunks did. What could be used of them is in the table, or came again
// since; the rest is missing, also where nothing that lies behind it has come.
func (q *quarantined) tell(set coverage.Set) {
	for i := range q.index.Blocks {
		for _, e := range q.index.Blocks[i].Entries {
			st := set.Stream(e.Stream, e.Host, e.Source)
			if e.Kind == chunk.Data {
				st.Tell(chunk.End, chunk.Range{First: e.Last, Last: e.Last})
			} else {
				st.Tell(e.Kind, e.Range())
			}
		}
	}
}

// missing lists what the file has of streams and nobody else: families are what
// tables and the sink files in raw/ hold of its families, by their roots.
func (a *auditor) missing(dataType string, q *quarantined, families map[string]chunk.Ranges) {
	for _, p := range q.parts {
		root := coverage.Root(p.Stream)
		missing := families[root].Missing(chunk.Range{First: p.First, Last: p.Last})
		// What comes twice in quarantine is missing once.
		families[root] = families[root].AddAll(missing)
		reason := p.Reason
		if reason == "" {
			reason = q.Reason()
		}
		for _, r := range missing {
			a.QuarantinedTotal++
			a.QuarantinedBytes += r.Len()
			if len(a.Quarantined) < MaxQuarantined {
				a.Quarantined = append(a.Quarantined, Quarantined{dataType, Range{dataType, p.Host, p.Source, p.Stream, r.First, r.Last}, q.Path, reason})
			}
		}
	}
}
