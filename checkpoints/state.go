package checkpoints

import (
	"fmt"
	"slices"
)

// state is what the records add up to.
type state struct {
	streams map[string]*entry
	values  map[string][]byte
	orders  int64 // streams opened so far
}

type entry struct {
	Stream
	owner Owner // its Kind is empty if the stream comes from an old store
	order int64
}

func newState() state {
	return state{streams: map[string]*entry{}, values: map[string][]byte{}}
}

// apply adds a record; ErrUnknown says that its stream is not there, and that
// nothing has changed.
func (st *state) apply(r *record) error {
	switch r.op {
	case opOpen, opStream:
		st.orders++
		st.streams[r.stream.ID] = &entry{Stream: r.stream, owner: r.owner, order: st.orders}
		return nil
	case opPut:
		st.values[r.name] = r.value
		return nil
	case opDelete:
		delete(st.values, r.name)
		return nil
	}
	e := st.streams[r.stream.ID]
	if e == nil {
		return fmt.Errorf("stream %q: %w", r.stream.ID, ErrUnknown)
	}
	switch r.op {
	case opUpdate:
		e.Source, e.Identity, e.Ended = r.stream.Source, r.stream.Identity, r.stream.Ended
	case opMove:
		e.owner, e.Type = r.owner, r.stream.Type
		e.Begin = max(e.Begin, r.stream.Begin)
		e.Settled = max(e.Settled, e.Begin)
	case opSent:
		e.Sent, e.Tail = r.stream.Sent, r.stream.Tail
	case opSettled:
		e.Settled = max(e.Settled, r.stream.Settled)
	case opRewind:
		e.Settled = min(e.Settled, max(e.Begin, r.stream.Settled))
	case opForget:
		delete(st.streams, r.stream.ID)
	}
	return nil
}

// appendSnapshot serialises the whole state as a snapshot file.
func (st *state) appendSnapshot(b []byte, h head) []byte {
	b = appendFrame(b, &record{op: opHead, head: h})
	sorted := make([]*entry, 0, len(st.streams))
	for _, e := range st.streams {
		sorted = append(sorted, e)
	}
	slices.SortFunc(sorted, func(a, b *entry) int { return int(a.order - b.order) })
	n := int64(0)
	for _, e := range sorted {
		b = appendFrame(b, &record{op: opStream, owner: e.owner, stream: e.Stream})
		n++
	}
	for name, value := range st.values {
		b = appendFrame(b, &record{op: opPut, name: name, value: value})
		n++
	}
	return appendFrame(b, &record{op: opTail, count: n})
}

// readSnapshot is the reverse. A snapshot that is not whole gives errTorn.
func readSnapshot(b []byte) (state, head, error) {
	st := newState()
	h, b, err := readHead(b)
	if err != nil {
		return st, h, err
	}
	for n := int64(0); ; n++ {
		var body []byte
		if body, b, err = nextFrame(b); err != nil {
			return st, h, err
		}
		r, err := decode(body)
		switch {
		case err != nil:
			return st, h, err
		case r.op == opOpen || r.op == opStream || r.op == opPut:
			_ = st.apply(&r) // can't fail for these
		case r.op == opTail && r.count == n && len(b) == 0:
			return st, h, nil
		default:
			return st, h, fmt.Errorf("%w: op %d does not belong in a snapshot", errTorn, r.op)
		}
	}
}

func readHead(b []byte) (head, []byte, error) {
	body, rest, err := nextFrame(b)
	if err != nil {
		return head{}, b, err
	}
	r, err := decode(body)
	if err == nil && r.op != opHead {
		err = fmt.Errorf("%w: no header", errTorn)
	}
	return r.head, rest, err
}
