package parse

import (
	"time"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

// bracketed makes one of the words from a bracket that stands alone to one that closes
// it, such as netstat's flags.
func bracketed(spans [][2]int, line []byte) [][2]int {
	out := spans[:0]
	for open := -1; len(spans) > 0; spans = spans[1:] {
		s := spans[0]
		if word := line[s[0]:s[1]]; open >= 0 {
			out[open][1] = s[1]
			if word[len(word)-1] == ']' {
				open = -1
			}
			continue
		} else if string(word) == "[" {
			open = len(out)
		}
		out = append(out, s)
	}
	return out
}

// closeTogether makes one of the words that less than gap spaces part.
func closeTogether(spans [][2]int, gap int) [][2]int {
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s[0]-out[n-1][1] < gap {
			out[n-1][1] = s[1]
			continue
		}
		out = append(out, s)
	}
	return out
}

// started makes one of the five words of a time that ps prints whole.
func started(spans [][2]int, line []byte) [][2]int {
	for i := 0; i+4 < len(spans); i++ {
		d := times.Words{S: line[spans[i][0]:spans[i+4][1]]}
		if d.Weekday(); d.I != 4 || d.Month() == 0 {
			continue
		}
		if t, n := times.DateTime(line[spans[i][0]:], &times.Zone{Loc: time.UTC, Read: times.Earliest}); t.OK && n == len(d.S) {
			spans[i][1] = spans[i+4][1]
			return append(spans[:i+1], spans[i+5:]...)
		}
		return spans
	}
	return spans
}

// place gives each word to the column that it stands below.
func (f *columnarFormat) place(r *reader, line []byte) {
	i, last := 0, len(f.columns)-1
	for k := 0; k < len(f.spans); {
		s := f.spans[k]
		for i < last && nearer(s, f.columns[i+1].span, f.columns[i].span) {
			i++
		}
		if i == last {
			f.put(r, i, line[s[0]:])
			return
		}
		end := s[1]
		for k++; k < len(f.spans) && !nearer(f.spans[k], f.columns[i+1].span, f.columns[i].span); k++ {
			end = f.spans[k][1] // the same column
		}
		f.put(r, i, line[s[0]:end])
		i++
	}
}

// nearer reports whether a word stands below the name a rather than below b.
func nearer(word, a, b [2]int) bool {
	apart := func(n [2]int) int { return max(n[0]-word[1]+1, word[0]-n[1]+1, 0) } // 0: the one is over the other
	da, db := apart(a), apart(b)
	if da == 0 && db == 0 {
		return min(word[1], a[1])-max(word[0], a[0]) > min(word[1], b[1])-max(word[0], b[0])
	}
	return da < db
}
