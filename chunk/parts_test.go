package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/twmb/avro/ocf"
)

// joined makes one file of several, as a regrouping does.
func joined(t testing.TB, files ...[]byte) []byte {
	t.Helper()
	index := Index{Type: "app", Segment: "m"}
	sinks, blocks := make([]*Sink, len(files)), make([][]int, len(files))
	for i, f := range files {
		var err error
		if sinks[i], err = ReadSink(bytes.NewReader(f), int64(len(f))); err != nil {
			t.Fatal(err)
		}
		if len(sinks[i].Index.Parts) == 0 {
			sinks[i].Index.Segment = fmt.Sprint("part", i)
		}
		if blocks[i], err = index.Join(sinks[i]); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	w, err := NewSinkWriter(&out, &index)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sinks {
		for _, n := range blocks[i] {
			data, err := s.ReadBlock(n, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.WriteBlock(data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestJoinedFilesGiveTheirPartsBack(t *testing.T) {
	chunks := sampleChunks()
	batches := []Batch{build(t, chunks[:2]...), build(t, chunks[2:4]...), build(t, chunks[4:]...)}
	file := joined(t, sinkFile(t, batches[0], batches[1]), sinkFile(t, batches[2]))
	s, err := ReadSink(bytes.NewReader(file), int64(len(file)))
	if err != nil || s.Damage != nil {
		t.Fatal(err, s.Damage)
	}
	if err := s.CheckSchema(); err != nil {
		t.Error(err)
	}
	x := &s.Index
	if got, want := fmt.Sprint(x.Parts), "[{part0 0 2} {part1 2 1}]"; got != want {
		t.Errorf("parts %s, want %s", got, want)
	}
	for i, want := range []string{"part0", "part0", "part1"} {
		if got, n := x.Origin(i); got != want || n != i%2 {
			t.Errorf("block %d is block %d of %s, want %d of %s", i, n, got, i%2, want)
		}
		data, err := s.ReadBlock(i, nil)
		if err != nil || !bytes.Equal(data, batches[i].Block) {
			t.Errorf("block %d is another one: %v", i, err)
		}
	}
	p, ok := x.Part("part1")
	if n := x.Holds(p, x.Blocks[2:]); !ok || n != 1 {
		t.Errorf("part1: %v, %d of its blocks are the same, want 1", ok, n)
	}
	if n := x.Holds(p, x.Blocks[:1]); n != 0 {
		t.Errorf("another's block is taken for one of part1")
	}
	if _, ok := x.Part("m"); ok {
		t.Error("the file's own id is no part of it")
	}
	r, err := ocf.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; err == nil; n++ {
		var record map[string]any
		err = r.Decode(&record)
	}
	if !errors.Is(err, io.EOF) || n-1 != len(chunks) {
		t.Errorf("another Avro library reads %d records (%v), want %d", n-1, err, len(chunks))
	}
}

// Files are joined with joined ones, too.
func TestAJoinedFileHasThePartsOfThoseItIsMadeOf(t *testing.T) {
	chunks := sampleChunks()
	batches := []Batch{build(t, chunks[:2]...), build(t, chunks[2:4]...), build(t, chunks[4:]...)}
	first := joined(t, sinkFile(t, batches[0], batches[1]), sinkFile(t, batches[2]))
	file := joined(t, first, sinkFile(t, batches[1]), sinkFile(t, batches[0]))
	x := &readSink(t, file).Index
	if got, want := fmt.Sprint(x.Parts), "[{part0 0 2} {part1 2 1} {part1 3 1} {part2 4 1}]"; got != want {
		t.Errorf("parts %s, want %s", got, want)
	}
	if got, n := x.Origin(1); got != "part0" || n != 1 {
		t.Errorf("block 1 is block %d of %s", n, got)
	}
	for i, b := range []Batch{batches[0], batches[1], batches[2], batches[1], batches[0]} {
		if x.Blocks[i].CRC != CRC(b.Block) {
			t.Errorf("block %d is another one", i)
		}
	}
}

func readSink(t testing.TB, file []byte) *Sink {
	t.Helper()
	s, err := ReadSink(bytes.NewReader(file), int64(len(file)))
	if err != nil || s.Damage != nil {
		t.Fatal(err, s.Damage)
	}
	return s
}

func TestOnlyFilesOfOneKindAreJoined(t *testing.T) {
	file := sinkFile(t, build(t, sampleChunks()...))
	read := func(file []byte) *Sink {
		s, err := ReadSink(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	older := read(file)
	older.schema = firstSchema
	for what, s := range map[string]*Sink{
		"a file that is cut off": read(file[:len(file)-1]), "another schema": older,
	} {
		x := Index{Type: "app"}
		if _, err := x.Join(read(file)); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Join(s); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	other := Index{Type: "other"}
	if _, err := other.Join(read(file)); err == nil {
		t.Error("another type was taken")
	}
}

func TestADamagedListOfPartsIsFound(t *testing.T) {
	good := appendParts(nil, []Part{{"a", 0, 2}, {"b", 2, 1}})
	if parts, err := parseParts(good, 3); err != nil || len(parts) != 2 {
		t.Fatal(parts, err)
	}
	for name, blocks := range map[string]int{"too few blocks": 2, "too many": 4} {
		if _, err := parseParts(good, blocks); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range good {
		if _, err := parseParts(good[:n], 3); !errors.Is(err, ErrInvalid) {
			t.Errorf("cut off at %d: %v", n, err)
		}
	}
}
