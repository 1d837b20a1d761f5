package demux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// sinkFile is a published sink file with its index read.
type sinkFile struct {
	path   string
	reader store.Reader
	sink   *chunk.Sink
	// faults say which of its blocks are damaged, and how.
	faults []quarantine.Fault
	used   int64 // bytes of it that became rows
	// done are the numbers of its blocks that the table holds, or will when the
	// run that is under way commits.
	done chunk.Ranges
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
				n += e.Range().Len()
			}
		}
	}
	return n
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
	f.repeated[spot{f.path, block, at}] = true
}

func (f *sinkFile) isDone(block int) bool {
	return f.done.Overlaps(chunk.Range{First: int64(block), Last: int64(block) + 1})
}

// recall marks the blocks that the table holds, as it says itself.
func (f *sinkFile) recall(sinks []table.Sink) {
	for _, s := range sinks {
		if s.Segment == store.SegmentOf(f.path) && s.CRC == f.crc() {
			f.done = f.done.AddAll(s.Blocks)
		}
	}
}

func (f *sinkFile) close() {
	if f.reader != nil {
		_ = f.reader.Close() // it was only read
		f.reader = nil
	}
}

// listSinks returns the paths of the type's sink files in raw/, oldest first.
func listSinks(ctx context.Context, st store.FS, dataType string) ([]string, error) {
	days, err := st.List(ctx, path.Join(store.Raw, dataType))
	if err != nil {
		return nil, fmt.Errorf("list sink files of %s: %w", dataType, err)
	}
	var paths []string
	for _, day := range days {
		if !day.IsDir {
			continue
		}
		files, err := st.List(ctx, day.Path)
		if err != nil {
			return nil, fmt.Errorf("list sink files of %s: %w", dataType, err)
		}
		for _, f := range files {
			if !f.IsDir && store.IsSink(f.Path) {
				paths = append(paths, f.Path)
			}
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return paths, nil
}

// openSink opens a sink file and reads its index. A file that left raw/ since
// it was listed is looked for under the same name in archive/. An error that is
// chunk.ErrInvalid means that the file is damaged beyond use.
func openSink(ctx context.Context, st store.FS, p string) (*sinkFile, error) {
	r, err := st.Open(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		r, err = st.Open(ctx, store.Archive+strings.TrimPrefix(p, store.Raw))
	}
	if err != nil {
		return nil, fmt.Errorf("open sink file %s: %w", p, err)
	}
	f := &sinkFile{path: p, reader: r}
	if f.sink, err = chunk.ReadSink(r, r.Size()); err != nil {
		f.close()
		return nil, fmt.Errorf("read sink file %s: %w", p, err)
	}
	if f.sink.Damage != nil {
		f.blame(-1, f.sink.Damage.Error())
	}
	return f, nil
}

// archive moves a sink file that the table holds out of the way.
func archive(ctx context.Context, st store.FS, dataType, p string) error {
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

// expireArchive removes the days of archive/TYPE that ended more than keep ago.
func expireArchive(ctx context.Context, st store.FS, dataType string, keep time.Duration, now time.Time) (days int, err error) {
	if keep <= 0 {
		return 0, nil
	}
	dirs, err := st.List(ctx, path.Join(store.Archive, dataType))
	if err != nil {
		return 0, fmt.Errorf("list archive of %s: %w", dataType, err)
	}
	for _, d := range dirs {
		day, err := time.Parse(time.DateOnly, path.Base(d.Path))
		if err != nil || now.Sub(day.AddDate(0, 0, 1)) <= keep {
			continue
		}
		if err := st.Remove(ctx, d.Path); err != nil {
			return days, fmt.Errorf("expire %s: %w", d.Path, err)
		}
		days++
	}
	return days, nil
}
