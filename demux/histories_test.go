package demux

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
)

// sender has a log, the beginning of which it may share with others.
type sender struct {
	host string
	log  []byte
}

func (s *sender) grow(rnd *rand.Rand, lines int) {
	if n := len(s.log); n > 0 && s.log[n-1] != '\n' { // it ends in a line, which stays alike
		s.log = append(append(s.log, strings.Repeat("b", rnd.IntN(3))...), '\n')
	}
	for range lines {
		// Short texts, so that the same comes about at the same place. None is the
		// end of another: where a chunk begins with one, it might be its rest.
		text := string(rune('A'+rnd.IntN(2))) + strings.Repeat("b", rnd.IntN(3))
		s.log = append(append(s.log, text...), '\n')
	}
}

// cut returns a chunk of whole lines of the log.
func (s *sender) cut(rnd *rand.Rand, stream string) chunk.Chunk {
	starts := []int{0}
	for i, b := range s.log {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	i := rnd.IntN(len(starts) - 1)
	j := i + 1 + rnd.IntN(min(12, len(starts)-1-i))
	return s.chunk(stream, starts[i], starts[j])
}

func (s *sender) chunk(stream string, first, last int) chunk.Chunk {
	c := lines(stream, 0, 0)
	c.Host, c.First, c.Last = s.host, int64(first), int64(last)
	c.Body = bytes.Clone(s.log[first:last])
	return c
}

// Senders of the same stream have logs that part at some place. They send pieces,
// again and again, cut anew, in any order; demuxes come and go. In the end each
// line is a row for every text that it has at its place, once.
func TestEveryRecordOfEveryHistoryIsARowOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	rounds := 20
	if testing.Short() {
		rounds = 8
	}
	for range rounds {
		historiesOnce(t, rnd)
		if t.Failed() {
			return
		}
	}
}

func historiesOnce(t *testing.T, rnd *rand.Rand) {
	st := testStore(t)
	senders := []*sender{{host: "h0"}}
	senders[0].grow(rnd, 20+rnd.IntN(20))
	for n := range rnd.IntN(4) {
		of := senders[rnd.IntN(len(senders))]
		s := &sender{host: fmt.Sprint("h", rnd.IntN(n+2))}
		s.log = bytes.Clone(of.log[:rnd.IntN(len(of.log))]) // in the middle of a line, too
		s.grow(rnd, 5+rnd.IntN(20))
		senders = append(senders, s)
	}
	want := map[string]int{}
	stream := "a"
	var sends []chunk.Chunk
	for _, s := range senders {
		for range 10 + rnd.IntN(20) {
			sends = append(sends, s.cut(rnd, stream))
		}
		sends = append(sends, s.chunk(stream, 0, len(s.log)))
		if rnd.IntN(2) == 0 {
			c := s.cut(rnd, stream)
			c.Stream += "~x-1"
			sends = append(sends, c)
		}
	}
	rnd.Shuffle(len(sends), func(i, j int) { sends[i], sends[j] = sends[j], sends[i] })
	for _, c := range sends {
		for first, last := range c.Records() {
			want[fmt.Sprint(stream, " ", c.First+int64(first), " ", strings.TrimSuffix(string(c.Body[first:last]), "\n"))] = 1
		}
	}
	d := testDemux(t, st, func(c *Config) { c.RunBytes = 100 })
	for len(sends) > 0 {
		var batches [][]chunk.Chunk
		for range 1 + rnd.IntN(4) {
			n := min(len(sends), 1+rnd.IntN(5))
			if n > 0 {
				batches = append(batches, sends[:n])
			}
			sends = sends[n:]
		}
		publish(t, st, batches...)
		if rnd.IntN(3) == 0 {
			runOnce(t, d)
		}
		if rnd.IntN(4) == 0 {
			d = testDemux(t, st, func(c *Config) { c.RunBytes = 1 << 20 })
		}
	}
	rep := runOnce(t, d)
	got := rowsOnce(t, tableRows(t, st))
	for text := range want {
		if got[text] != 1 {
			t.Errorf("%d rows %q, want 1", got[text], text)
		}
	}
	for text, n := range got {
		if want[text] == 0 {
			t.Errorf("%d rows %q, want none", n, text)
		}
	}
	if t.Failed() {
		for _, s := range senders {
			t.Logf("%s: %q", s.host, s.log)
		}
		t.Logf("%s; %+v", summary(cover(t, st)), rep)
	}
}

// Logs end in the middle of a line, too, which is sent when their file was renamed,
// and went on afterwards. Each line is a row then, or the rows of its pieces.
func TestLinesSentInPiecesAreRowsOfOneStream(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	rounds := 12
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		piecesOnce(t, rnd)
		if t.Failed() {
			return
		}
	}
}

func piecesOnce(t *testing.T, rnd *rand.Rand) {
	st := testStore(t)
	first := &sender{host: "h0"}
	first.grow(rnd, 30)
	senders := []*sender{first}
	for n := range 1 + rnd.IntN(3) {
		s := &sender{host: fmt.Sprint("h", rnd.IntN(2)), log: bytes.Clone(first.log[:rnd.IntN(len(first.log))])}
		s.grow(rnd, 10+n)
		senders = append(senders, s)
	}
	var sends []chunk.Chunk
	for _, s := range senders {
		for range 20 {
			c := s.cut(rnd, "a")
			if rnd.IntN(3) == 0 {
				n := 1 + rnd.Int64N(c.Last-c.First)
				c.Last, c.Body = c.First+n, c.Body[:n]
			}
			sends = append(sends, c)
		}
	}
	rnd.Shuffle(len(sends), func(i, j int) { sends[i], sends[j] = sends[j], sends[i] })
	for _, s := range senders {
		sends = append(sends, s.chunk("a", 0, len(s.log)))
	}
	for len(sends) > 0 {
		n := 1 + rnd.IntN(min(6, len(sends)))
		publish(t, st, sends[:n])
		sends = sends[n:]
		if rnd.IntN(3) == 0 {
			runOnce(t, testDemux(t, st, nil))
		}
	}
	runOnce(t, testDemux(t, st, nil))
	rows := tableRows(t, st)
	rowsOnce(t, rows)
	byStream := map[string]map[int64]string{}
	for _, r := range rows {
		if byStream[r.Stream] == nil {
			byStream[r.Stream] = map[int64]string{}
		}
		byStream[r.Stream][r.Seq] = *r.Message
	}
	for _, s := range senders {
		c := s.chunk("a", 0, len(s.log))
		for from, to := range c.Records() {
			if line := string(s.log[from : to-1]); !hasPieces(byStream, int64(from), line) {
				t.Errorf("%s: no stream has %q at %d", s.host, line, from)
			}
		}
	}
	if t.Failed() {
		for _, s := range senders {
			t.Logf("%s: %q", s.host, s.log)
		}
		for _, r := range rows {
			t.Logf("%s %d %s", r.Stream, r.Seq, *r.Message)
		}
	}
}

// hasPieces reports whether a stream has the line as a row, or in pieces.
func hasPieces(byStream map[string]map[int64]string, at int64, line string) bool {
	for _, rows := range byStream {
		for pos, rest := at, line; ; {
			piece, ok := rows[pos]
			if !ok || piece == "" || !strings.HasPrefix(rest, piece) {
				break
			}
			pos, rest = pos+int64(len(piece)), rest[len(piece):]
			if rest == "" {
				return true
			}
		}
	}
	return false
}
