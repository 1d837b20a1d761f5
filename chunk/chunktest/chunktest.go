// Package chunktest makes sink files for tests.
package chunktest

import (
	"bytes"
	"testing"

	"github.com/akupara/akupara/chunk"
)

// Batch makes a batch of chunks of one data type.
func Batch(t testing.TB, chunks ...chunk.Chunk) chunk.Batch {
	t.Helper()
	enc, err := chunk.NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	b := chunk.NewBuilder("agent", chunks[0].Type)
	for i := range chunks {
		if err := b.Add(&chunks[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Finish(enc, nil)
}

// Sink makes the sink file of a segment, with a batch for each group of chunks. They
// are of one data type.
func Sink(t testing.TB, segment string, groups ...[]chunk.Chunk) []byte {
	t.Helper()
	batches := make([]chunk.Batch, len(groups))
	for i, chunks := range groups {
		batches[i] = Batch(t, chunks...)
	}
	return SinkOf(t, groups[0][0].Type, segment, batches...)
}

// SinkOf makes the sink file of a segment from batches, as a collector does.
func SinkOf(t testing.TB, dataType, segment string, batches ...chunk.Batch) []byte {
	t.Helper()
	index := chunk.Index{Type: dataType, Segment: segment}
	for i := range batches {
		index.Add(&batches[i])
	}
	var file bytes.Buffer
	w, err := chunk.NewSinkWriter(&file, &index)
	if err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		if err := w.WriteBlock(batches[i].Block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}
