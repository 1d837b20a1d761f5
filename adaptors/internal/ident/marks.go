package ident

import "io"

const (
	markEvery = 1 << 20 // bytes between two marks, at least
	maxMarks  = 32
)

// Mark is the fingerprint of the bytes before an offset, as Window reads them.
type Mark struct {
	At  int64  `json:"at"`
	Sum uint64 `json:"sum"`
}

// Marks are those of one file, by their offsets. They are at most maxMarks, at
// equal distances more or less, however large the file is.
type Marks []Mark

// Add adds a mark behind the others, if it is far enough from them; it reports
// whether the list has changed.
func (m *Marks) Add(at int64, sum uint64) bool {
	list := *m
	every := int64(markEvery)
	if len(list) > 0 {
		every = max(every, list[0].At)
	}
	if at < every*int64(len(list)+1) {
		return false
	}
	if len(list) == maxMarks { // every second one remains: the first is twice as far then
		for i := range maxMarks / 2 {
			list[i] = list[2*i+1]
		}
		list = list[:maxMarks/2]
	}
	*m = append(list, Mark{at, sum})
	return true
}

// Last returns the offset of the last mark at or below upTo that is in the file;
// 0 if there is none.
func (m Marks) Last(f io.ReaderAt, upTo int64) (int64, error) {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i].At > upTo {
			continue
		}
		if same, err := SameTail(f, m[i].At, m[i].Sum); same || err != nil {
			return m[i].At, err
		}
	}
	return 0, nil
}

// Below returns the marks at or below an offset.
func (m Marks) Below(at int64) Marks {
	n := len(m)
	for n > 0 && m[n-1].At > at {
		n--
	}
	return append(Marks(nil), m[:n]...)
}
