package chunk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// thinned is a chunk of a stream, from which a filter dropped what is lower case.
func thinned(first int64, all string) Chunk {
	c := Chunk{Type: "app", Host: "h", Source: "/log", Stream: "s", First: first, Time: time.UnixMicro(1e15).UTC()}
	for i := range len(all) {
		if all[i] >= 'a' && all[i] <= 'z' {
			c.AddDrop(first + int64(i) + 1)
			c.Reason = "drop rule 1"
		} else {
			c.Body = append(c.Body, all[i])
		}
	}
	c.Last = first + int64(len(all))
	return c
}

func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return -1
		}
		return r
	}, s)
}

func TestPartsOfAChunkAreWhatWasKeptOfThem(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b := make([]byte, 1+rnd.IntN(12))
		for i := range b {
			b[i] = "aA"[rnd.IntN(2)] + byte(i)
		}
		all, first := string(b), int64(rnd.IntN(3))
		c := thinned(first, all)
		if err := c.Check(); err != nil {
			t.Fatalf("%q: %v", all, err)
		}
		for i, k := 0, 0; i < len(all); i++ {
			if upper(all[i:i+1]) != "" {
				if got := c.Offset(k); got != first+int64(i) {
					t.Fatalf("%q: byte %d of the body is at %d, want %d", all, k, got, first+int64(i))
				}
				k++
			}
			for j := i; j <= len(all); j++ {
				r := Range{first + int64(i), first + int64(j)}
				want := upper(all[i:j])
				if got := string(c.Bytes(r)); got != want {
					t.Fatalf("%q %v: got %q, want %q", all, r, got, want)
				}
				if got := c.Dropped(r); got != int64(j-i-len(want)) {
					t.Fatalf("%q %v: %d bytes dropped, want %d", all, r, got, j-i-len(want))
				}
				if kept, dropped := c.Kept(r), c.DroppedRanges(r); kept.Len() != int64(len(want)) ||
					!r.Empty() && !reflect.DeepEqual(Ranges(nil).AddAll(kept).AddAll(dropped), Ranges{r}) {
					t.Fatalf("%q %v: kept %v, dropped %v", all, r, kept, dropped)
				}
				if got, want := c.Sum(r), thinned(r.First, all[i:j]); got != want.Sum(r) {
					t.Fatalf("%q %v: its sum is not that of the part as a chunk of its own", all, r)
				}
			}
		}
	}
}

func TestSumTellsWhereWasDropped(t *testing.T) {
	seen := map[uint32]string{}
	for _, s := range []string{"AAAA", "aAAAA", "AAAAa", "AAaAA", "aAAAAa", "AAaaAA", "AaAAaA"} {
		c := thinned(0, s)
		if other, twice := seen[c.Sum(c.Range())]; twice {
			t.Errorf("%s has the sum of %s", s, other)
		}
		seen[c.Sum(c.Range())] = s
	}
	plain := Chunk{Kind: Data, Last: 4, Body: []byte("AAAA")}
	if plain.Sum(plain.Range()) != CRC(plain.Body) {
		t.Error("without drops it is not the CRC of the body")
	}
}

func TestRecordsEndWhereSomethingWasDropped(t *testing.T) {
	c := thinned(0, "A\nBbC\nD")
	var got []string
	for first, last := range c.Records() {
		got = append(got, string(c.Body[first:last]))
	}
	if want := []string{"A\n", "B", "C\n", "D"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDropsThatDoNotFitAreRefused(t *testing.T) {
	good := Chunk{Type: "app", Stream: "s", First: 10, Last: 20, Body: []byte("ab\ncd\n"), Borders: []int64{3, 6}, Drops: []Drop{{Range{13, 17}, 3}}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *Chunk){
		"beyond the chunk": func(c *Chunk) { c.Drops = []Drop{{Range{13, 17}, 3}, {Range{20, 21}, 6}} },
		"empty":            func(c *Chunk) { c.Drops = []Drop{{Range{13, 13}, 3}} },
		"out of order":     func(c *Chunk) { c.Drops = []Drop{{Range{15, 19}, 3}} },
		"touching":         func(c *Chunk) { c.Drops = []Drop{{Range{13, 15}, 3}, {Range{15, 17}, 3}} },
		"before the body":  func(c *Chunk) { c.Drops = []Drop{{Range{9, 13}, -1}} },
		"too few":          func(c *Chunk) { c.Drops = []Drop{{Range{13, 16}, 3}} },
		"in a record":      func(c *Chunk) { c.Drops = []Drop{{Range{14, 18}, 4}} },
		"of a fact":        func(c *Chunk) { c.Kind, c.Body, c.Borders = Dropped, nil, nil },
		"too many":         func(c *Chunk) { c.Drops = make([]Drop, MaxDrops+1) },
	} {
		c := good
		change(&c)
		if err := c.Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

// The format stays: what is written here was, and is read for good.
func TestThinnedChunkIsWrittenAsEver(t *testing.T) {
	c := thinned(7, "aaA\nbbbB\n")
	const record = "000268082f6c6f6702730e20" + "8080b4ccd4dfc603" + "0000" + // kind to range, time, tags and encoding
		"0400" + "0800040406" + "00" + // borders: the record, null; four lengths
		"1664726f702072756c652031" + "08410a420a"
	if got := hex.EncodeToString(appendChunk(nil, &c)); got != record {
		t.Errorf("record:\n got %s\nwant %s", got, record)
	}
	e := c.entry()
	const entry = "02" + "60" + "0268082f6c6f6702730e12" + "aa1e885a" + "0a"
	if got := hex.EncodeToString(appendEntries(nil, []Entry{e})); got != entry {
		t.Errorf("entry: got %s, want %s", got, entry)
	}
	if e.Dropped != 5 || e.Kind != Data {
		t.Errorf("%+v", e)
	}
}

// A file from before there were drops, and one by an agent from then in a file from
// now, are the same bytes.
func TestChunksWithoutDropsAreWrittenAsBefore(t *testing.T) {
	c := sampleChunks()[2]
	raw := appendChunk(nil, &c)
	at := bytes.Index(raw, append([]byte("\x14iso-8859-1"), 2, 4)) // the union's array, of two
	if at < 0 {
		t.Errorf("borders are not where they were: %q", raw)
	}
	for _, schema := range []string{Schema, secondSchema, firstSchema} {
		if err := (&Sink{schema: schema}).CheckSchema(); err != nil {
			t.Error(err)
		}
	}
	if secondSchema == Schema || firstSchema == secondSchema {
		t.Error("two schemas are the same")
	}
}

// FuzzDrops decodes a record; what passes is written and read again as it is.
func FuzzDrops(f *testing.F) {
	for _, c := range sampleChunks() {
		f.Add(appendChunk(nil, &c))
	}
	c := thinned(7, "aaA\nbbbB\n")
	f.Add(appendChunk(nil, &c))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := decoder{b: raw}
		c := Chunk{Type: "app"}
		if d.chunk(&c); d.err != nil || c.Check() != nil {
			return
		}
		if len(c.Drops) > len(raw) || len(c.Drops) > MaxDrops {
			t.Fatalf("%d drops of %d bytes", len(c.Drops), len(raw))
		}
		if c.Dropped(c.Range())+int64(len(c.Body)) != c.Last-c.First && c.Kind == Data {
			t.Fatalf("%+v does not add up", c)
		}
		again := Chunk{Type: "app"}
		d = decoder{b: appendChunk(nil, &c)}
		if d.chunk(&again); d.err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v\ncame back as %+v (%v)", c, again, d.err)
		}
		if c.entry() != again.entry() {
			t.Fatalf("%+v has another entry when it is read again", c)
		}
	})
}
