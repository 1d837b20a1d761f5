package merge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
)

// run is so many rows of one input on end.
type run struct {
	in   *input
	rows int
}

// slackPart of a row group's rows may be missing, or be too many.
const slackPart = 4

// compare orders rows by ts, and those of one ts by their inputs.
func compare(ts int64, order int, otherTS int64, otherOrder int) int {
	return cmp.Or(cmp.Compare(ts, otherTS), cmp.Compare(order, otherOrder))
}

// choose finds out which rows the next row group has, in which order: runs, ts
// and group. It has none where all inputs have ended, or a row group of the first
// one is to be copied. Inputs are opened when their first rows may be among them.
func (m *Merger) choose(ctx context.Context) error {
	m.runs, m.ts = m.runs[:0], m.ts[:0]
	for len(m.ts) < m.groupRows {
		for len(m.waiting) > 0 && (len(m.active) == 0 || m.waiting[0].MinTS <= m.active[0].head()) {
			if err := m.open(ctx, m.waiting[0]); err != nil {
				return err
			}
			m.waiting = m.waiting[1:]
		}
		if len(m.active) == 0 {
			break
		}
		in := m.active[0]
		at := in.next()
		if m.copyable(in, at) && (len(m.ts) == 0 || len(m.ts) >= m.groupRows/smallPart) {
			break
		}
		if in.rows == 0 {
			m.group = append(m.group, in)
		}
		left, room := in.left(at), m.groupRows-len(m.ts)
		if left > room {
			// Its pages are not to be parted, where the row group has about enough.
			if slack := m.groupRows / slackPart; left <= room+slack {
				room += slack
			} else if room <= slack {
				break
			}
		}
		n, err := m.runOf(in, min(room, left))
		if err != nil {
			return in.failed(err)
		}
		in.rows += n
		if k := len(m.runs); k > 0 && m.runs[k-1].in == in {
			m.runs[k-1].rows += n
		} else {
			m.runs = append(m.runs, run{in, n})
		}
		if in.ended {
			last := len(m.active) - 1
			m.active[0] = m.active[last]
			m.active = m.active[:last]
		}
		m.down(0)
	}
	return nil
}

// runOf takes the rows of the first input that go before all others' into ts, up
// to most of them, and at least one.
func (m *Merger) runOf(in *input, most int) (n int, err error) {
	m.now = in
	limit, order := int64(math.MaxInt64), math.MaxInt
	for i := 1; i < min(3, len(m.active)); i++ {
		if o := m.active[i]; compare(o.head(), o.order, limit, order) < 0 {
			limit, order = o.head(), o.order
		}
	}
	if len(m.waiting) > 0 && m.waiting[0].MinTS <= limit {
		limit, order = m.waiting[0].MinTS, -1 // it is to be opened first
	}
	for n < most {
		from := len(m.ts)
		for _, v := range in.times {
			ts := int64(v)
			if ts > limit || ts == limit && in.order > order || n == most {
				break
			}
			if ts < in.last {
				return n, errors.New("its rows are not sorted by ts")
			}
			in.last = ts
			m.ts = append(m.ts, v)
			n++
		}
		in.times = in.times[len(m.ts)-from:]
		if len(in.times) > 0 {
			return n, nil
		}
		if err := m.fill(in); err != nil || in.ended {
			return n, err
		}
	}
	return n, nil
}

// timesAtOnce is how many values of a ts column are decoded at a time.
const timesAtOnce = 8192

// fill reads the input's next times. It has none when it has ended.
func (m *Merger) fill(in *input) (err error) {
	n := int(min(in.unread, timesAtOnce))
	if n == 0 {
		in.ended = true
		m.give(in.ts)
		in.ts = nil
		return nil
	}
	in.unread -= int64(n)
	if in.buffer, m.def, err = in.ts.numbers(in.buffer[:0], m.def[:0], n); err != nil {
		return err
	}
	if len(in.buffer) != n {
		return errors.New("rows are without ts")
	}
	in.times = in.buffer
	return nil
}

// open opens an input and puts it among the active ones.
func (m *Merger) open(ctx context.Context, in *input) error {
	if len(m.active) >= maxActive {
		return fmt.Errorf("merge: more than %d files overlap in time", maxActive)
	}
	if err := m.start(ctx, in); err != nil {
		return err
	}
	if in.ended {
		m.close(in)
		return nil
	}
	if in.head() < in.MinTS {
		defer m.close(in)
		return in.failed(fmt.Errorf("its first row is of %d, the table says %d", in.head(), in.MinTS))
	}
	m.active = append(m.active, in)
	for i := len(m.active) - 1; i > 0; {
		up := (i - 1) / 2
		if !m.less(i, up) {
			break
		}
		m.active[i], m.active[up] = m.active[up], m.active[i]
		i = up
	}
	return nil
}

// maxActive bounds the inputs that are open at a time.
const maxActive = 1024

func (m *Merger) less(i, j int) bool {
	a, b := m.active[i], m.active[j]
	return compare(a.head(), a.order, b.head(), b.order) < 0
}

// down restores the heap after a change of the i-th.
func (m *Merger) down(i int) {
	for {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < len(m.active); k++ {
			if m.less(k, least) {
				least = k
			}
		}
		if least == i {
			return
		}
		m.active[i], m.active[least] = m.active[least], m.active[i]
		i = least
	}
}
