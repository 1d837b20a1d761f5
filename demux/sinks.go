package demux

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// sinkFile is a published sink file with its index read.
type sinkFile struct {
	path string
	sink *chunk.Sink
	// data is all of a small file: nil for others, which are opened again for
	// their blocks, as an open file costs connections on HDFS.
	data []byte
	// faults say which of its blocks are damaged, and how.
	faults []quarantine.Fault
	used   int64 // bytes of it that became rows
	// done are the numbers of its blocks that the table holds, or will when the
	// run that is under way commits.
	done chunk.Ranges
	// fresh is how many chunks of it became rows of a run by tasks that is under way;
	// vouched says that these are all, and that their checksums are in its delta.
	fresh   int
	vouched bool
	// repeated are chunks that turned out to be in the table, of blocks of which
	// some is left to other runs, or left out.
	repeated map[spot]bool
}

// crc tells the file from any other of its name.
func (f *sinkFile) crc() uint32 {
	var b []byte
	for i := range f.sink.Index.Blocks {
		b = binary.LittleEndian.AppendUint32(b, f.sink.Index.Blocks[i].CRC)
	}
	return chunk.CRC(b)
}

// bytes is how many bytes of the streams the file holds.
func (f *sinkFile) bytes() (n int64) {
	for i := range f.sink.Index.Blocks {
		for j := range f.sink.Index.Blocks[i].Entries {
			if e := &f.sink.Index.Blocks[i].Entries[j]; e.Kind == chunk.Data {
				n += e.Range().Len() - e.Dropped
			}
		}
	}
	return n
}

// chunks is how many chunks with data the file has.
func (f *sinkFile) chunks() (n int) {
	for i := range f.sink.Index.Blocks {
		for j := range f.sink.Index.Blocks[i].Entries {
			if e := &f.sink.Index.Blocks[i].Entries[j]; e.Kind == chunk.Data && !e.Range().Empty() {
				n++
			}
		}
	}
	return n
}

// indexBytes is about how much memory the file takes.
func (f *sinkFile) indexBytes() int64 {
	const fileBytes, blockBytes, entryBytes = 1 << 10, 160, 96
	n := int64(fileBytes + len(f.data))
	for i := range f.sink.Index.Blocks {
		n += blockBytes + entryBytes*int64(len(f.sink.Index.Blocks[i].Entries))
	}
	return n
}

// partly reports whether the table holds, or will, some of the file's blocks and
// not all.
func (f *sinkFile) partly() bool {
	n := f.done.Len()
	return n > 0 && n < int64(len(f.sink.Index.Blocks))
}

func (f *sinkFile) blame(block int, reason string) {
	if !f.faulty(block) {
		f.faults = append(f.faults, quarantine.Fault{Block: block, Chunk: -1, Reason: reason})
	}
}

func (f *sinkFile) faulty(block int) bool {
	return slices.ContainsFunc(f.faults, func(x quarantine.Fault) bool { return x.Block == block && x.Chunk < 0 })
}

// blamed reports whether one chunk or fact is left out.
func (f *sinkFile) blamed(block, at int) bool {
	return slices.ContainsFunc(f.faults, func(x quarantine.Fault) bool { return x.Block == block && x.Chunk == at })
}

func (f *sinkFile) finish(block int) {
	f.done = f.done.Add(chunk.Range{First: int64(block), Last: int64(block) + 1})
}

// repeats marks a chunk of a block that can't be finished yet as in the table.
func (f *sinkFile) repeats(block, at int) {
	if f.repeated == nil {
		f.repeated = map[spot]bool{}
	}
	f.repeated[spot{f.path, int32(block), int32(at)}] = true
}

func (f *sinkFile) isDone(block int) bool {
	return f.done.Overlaps(chunk.Range{First: int64(block), Last: int64(block) + 1})
}

// recall marks the files' blocks that the table holds, as it says itself.
func recall(files []*sinkFile, sinks []table.Sink) {
	if len(sinks) == 0 {
		return
	}
	known := make(map[store.Segment][]table.Sink, len(sinks))
	for _, s := range sinks {
		known[s.Segment] = append(known[s.Segment], s)
	}
	for _, f := range files {
		for _, s := range known[store.SegmentOf(f.path)] {
			if s.CRC == f.crc() {
				f.done = f.done.AddAll(s.Blocks)
			}
		}
	}
}

// listSinks returns the type's sink files in raw/, oldest first, and the days
// that can't be listed. It fails when none can.
func listSinks(ctx context.Context, st store.FS, dataType string) (sinks []store.Info, bad []fileError, err error) {
	days, err := st.List(ctx, path.Join(store.Raw, dataType))
	if err != nil {
		return nil, nil, fmt.Errorf("list sink files of %s: %w", dataType, err)
	}
	listed := 0
	for _, day := range days {
		if !day.IsDir {
			continue
		}
		files, err := st.List(ctx, day.Path)
		if err != nil {
			bad = append(bad, fileError{day.Path, fmt.Errorf("list sink files of %s: %w", dataType, err)})
			continue
		}
		listed++
		for _, f := range files {
			if !f.IsDir && store.IsSink(f.Path) {
				sinks = append(sinks, f)
			}
		}
	}
	if len(bad) > 0 && (listed == 0 || ctx.Err() != nil) {
		return nil, nil, bad[0].err
	}
	slices.SortFunc(sinks, func(a, b store.Info) int { return strings.Compare(path.Base(a.Path), path.Base(b.Path)) })
	return sinks, bad, nil
}

// smallSink is up to how many bytes a sink file is read at once, and kept in memory
// until it is done with: most of what more reads take is waiting.
const smallSink = 64 << 10

// openSink reads the index of a sink file. A file that left raw/ since it was
// listed is looked for under the same name in archive/. An error that is
// chunk.ErrInvalid means that the file is damaged beyond use.
func openSink(ctx context.Context, st store.FS, p string) (*sinkFile, error) {
	r, err := openRaw(ctx, st, p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f := &sinkFile{path: p}
	from := io.ReaderAt(r)
	if n := r.Size(); n <= smallSink {
		data := make([]byte, n)
		// What is missing, ReadSink finds out.
		got, err := r.ReadAt(data, 0)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("read sink file %s: %w", p, err)
		}
		f.data = data[:got]
		from = bytes.NewReader(f.data)
	}
	if f.sink, err = chunk.ReadSink(from, r.Size()); err != nil {
		return nil, fmt.Errorf("read sink file %s: %w", p, err)
	}
	if f.sink.Damage != nil {
		f.blame(-1, f.sink.Damage.Error())
	}
	return f, nil
}

func openRaw(ctx context.Context, st store.FS, p string) (store.Reader, error) {
	r, err := st.Open(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		r, err = st.Open(ctx, store.Archive+strings.TrimPrefix(p, store.Raw))
	}
	if err != nil {
		return nil, fmt.Errorf("open sink file %s: %w", p, err)
	}
	return r, nil
}

// body opens the file for its blocks.
func (f *sinkFile) body(ctx context.Context, st store.FS) (store.Reader, error) {
	if f.data != nil {
		return inMemory{bytes.NewReader(f.data)}, nil
	}
	return openRaw(ctx, st, f.path)
}

// inMemory is a file whose bytes are in memory.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// toArchive moves a sink file that the table holds out of the way.
func toArchive(ctx context.Context, st store.FS, dataType, p string) error {
	to := store.SinkPath(store.Archive, dataType, store.SegmentOf(p))
	return moveSink(ctx, st, p, to)
}

// moveSink renames; a file that is gone was moved by another demux.
func moveSink(ctx context.Context, st store.FS, from, to string) error {
	err := st.Rename(ctx, from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("move %s to %s: %w", from, to, err)
	}
	return nil
}
