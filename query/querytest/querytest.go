// Package querytest fills stores for tests of what reads them: sink files as a
// collector publishes them, and tables as a demux commits them.
package querytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/chunktest"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

// Store is a store to be filled.
type Store struct {
	FS  store.FS
	URI string
	// Silent makes data files that don't say what their rows cover, as those of
	// older versions.
	Silent bool
	// Say makes them say something else than what a chunk's rows cover; an empty
	// range is not said.
	Say func(chunk.Range) chunk.Range
	n   int
}

// On is a store that is there already.
func On(fs store.FS, uri string) *Store { return &Store{FS: fs, URI: uri} }

// New makes an empty store on the local disk.
func New(t testing.TB) *Store {
	t.Helper()
	dir := t.TempDir()
	l, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return On(l, (&url.URL{Scheme: "file", Path: dir}).String())
}

// Engine opens a query engine over the store.
func (s *Store) Engine(t testing.TB, opts query.Options) *query.Engine {
	t.Helper()
	if opts.CacheDir == "" {
		opts.CacheDir = t.TempDir()
	}
	e, err := query.Open(s.FS, s.URI, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close engine: %v", err)
		}
	})
	return e
}

// Start is the time that chunks are read at unless they say their own.
var Start = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// Data makes a chunk of lines that starts at the given offset.
func Data(dataType, stream string, first int64, body string) chunk.Chunk {
	return chunk.Chunk{
		Type: dataType, Host: "h1", Source: "/var/log/" + stream, Stream: stream,
		First: first, Last: first + int64(len(body)), Time: Start, Body: []byte(body),
	}
}

// Fact makes a chunk without a body.
func Fact(dataType, stream string, kind chunk.Kind, first, last int64) chunk.Chunk {
	return chunk.Chunk{
		Type: dataType, Kind: kind, Host: "h1", Source: "/var/log/" + stream, Stream: stream,
		First: first, Last: last, Time: Start, Reason: "told",
	}
}

// Commit parses the chunks and commits their rows and facts to the table of
// their type, in one run. It does not ask what the table holds already: the
// same chunk twice gives its rows twice. The reason of a fork's chunk becomes the
// fork's cause; a stream is committed at the time of its chunks.
func (s *Store) Commit(t testing.TB, parser string, chunks ...chunk.Chunk) *table.Table {
	t.Helper()
	dataType := chunks[0].Type
	tbl, err := table.Open(t.Context(), s.FS, s.URI, dataType)
	if errors.Is(err, fs.ErrNotExist) {
		tbl, err = table.New(s.FS, s.URI, dataType)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse.New(parse.MustSpec(parser), parse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := rows.NewBuilder(rows.Options{Existing: tbl.Columns()})
	delta := coverage.Set{}
	for i := range chunks {
		c := &chunks[i]
		st := delta.Stream(c.Stream, c.Host, c.Source)
		st.Seen = c.Time
		if coverage.Base(c.Stream) != "" {
			st.Cause = c.Reason
		}
		if c.Kind != chunk.Data {
			st.Tell(c.Kind, c.Range())
			continue
		}
		from := b.Len()
		if err := p.Parse(t.Context(), c, nil, b); err != nil {
			t.Fatal(err)
		}
		r := c.Range()
		if s.Say != nil {
			r = s.Say(r)
		}
		if !s.Silent {
			b.Covers(from, chunk.Ranges(nil).Add(r))
		}
		st.Cover(c.Range(), c.Sum(c.Range()))
		st.Filter(c.Dropped(c.Range()), c.Reason)
	}
	s.n++
	commit := table.Commit{RunID: fmt.Sprintf("run-%d", s.n), Columns: b.Columns(), Delta: delta}
	if b.Len() > 0 {
		create := func(ctx context.Context, hour int64, n int) (io.WriteCloser, string, error) {
			path := table.DataPath(dataType, table.Partition{N: int(hour)}, commit.RunID, n)
			w, err := s.FS.Create(ctx, path)
			return w, path, err
		}
		files, err := b.WriteFiles(t.Context(), create, tbl.PlanColumns(b.Columns()), rows.Layout{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			commit.Files = append(commit.Files, table.DataFile{Path: f.Path, Partition: table.Partition{N: int(f.Hour)}, Stats: f.Stats})
		}
	}
	if tbl, err = tbl.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	return tbl
}

// Publish writes a sink file of the chunks to raw/, a batch each, and gives its
// path.
func (s *Store) Publish(t testing.TB, chunks ...chunk.Chunk) string {
	t.Helper()
	s.n++
	segment := store.NewSegment(Start, "c1", uint64(s.n))
	var batches [][]chunk.Chunk
	for _, c := range chunks {
		batches = append(batches, []chunk.Chunk{c})
	}
	path := store.SinkPath(store.Raw, chunks[0].Type, segment)
	storetest.Put(t, s.FS, path, chunktest.Sink(t, string(segment), batches...))
	return path
}
