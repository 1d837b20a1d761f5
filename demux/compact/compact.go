// Package compact merges a table's data files: the many small ones that runs
// write into few of a size that readers like, sorted by ts, with bloom filters
// and page indexes. The rows stay the same.
//
// What is due follows from the list of the table's files alone. Files are merged
// without the table's lease, so runs are never held up; the commit takes it for a
// moment and requires that all files that were merged are still there. A crash
// leaves data files that nobody names, which a sweep removes.
package compact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// Options of a Run.
type Options struct {
	FS      store.FS
	BaseURI string // as in table.Open
	Type    string // the data type
	// Hold takes the table's lease for a commit, for less than a second where
	// nothing is in the way, and may wait for it. Nil: none is taken.
	Hold func(ctx context.Context) (release func(), err error)
	// Progress is told how many bytes of data files were read, of those that are
	// due. Nil: nobody wants to know.
	Progress func(done, total int64)
	// Bloom names columns that get bloom filters whatever is in them. Others of
	// strings get them where their values are many and short.
	Bloom []string
	// MaxBytes ends the Run when about so many bytes were read; 0 means no end
	// before all is done. The next Run goes on.
	MaxBytes int64
	// FileBytes is the size from which a file is left as it is; 0 means 128 MiB.
	FileBytes int64
	// Skip remembers which files can't be merged, from one Run to the next.
	Skip *Skip
	Now  func() time.Time // nil: time.Now
	// Away is where large steps are merged; nil: all are merged here.
	Away *Away
	// Patience is as of table.Patient; 0 means the table's own.
	Patience time.Duration
}

// Report is what a Run did.
type Report struct {
	Type     string  `json:"type"`
	Commits  int     `json:"commits"`
	FilesIn  int     `json:"files_in"`  // taken out of the table
	FilesOut int     `json:"files_out"` // put in their place
	BytesIn  int64   `json:"bytes_in"`
	BytesOut int64   `json:"bytes_out"`
	Rows     int64   `json:"rows"`
	Lost     int     `json:"lost,omitempty"` // merges for nothing: a file was replaced meanwhile
	Left     int     `json:"left,omitempty"` // files that are due still
	Faults   []Fault `json:"faults,omitempty"`
}

// Fault is a file that was left as it is, because of what is wrong with it.
type Fault struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// Skip remembers files that can't be merged. The zero value is ready; it is safe
// for concurrent use.
type Skip struct {
	mu    sync.Mutex
	files map[string]bool
}

func (s *Skip) add(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string]bool{}
	}
	s.files[path] = true
}

func (s *Skip) has(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[path]
}

// forget drops what the table does not have any more.
func (s *Skip) forget(files []table.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) == 0 {
		return
	}
	kept := map[string]bool{}
	for _, f := range files {
		if s.files[f.Path] {
			kept[f.Path] = true
		}
	}
	s.files = kept
}

const (
	defaultFileBytes = 128 << 20
	maxRounds        = 16 // in which what was merged is looked at again
)

// Run merges what is due of a table, in steps of one commit each, and reports
// what it did, also beside an error. A table that is not there, or of which
// nothing is due, is no error. Files that are damaged or missing are left, and
// told. ErrConflict of package table says that the table has moved on meanwhile,
// so that files were removed which the Run needed.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FileBytes <= 0 {
		o.FileBytes = defaultFileBytes
	}
	if o.Skip == nil {
		o.Skip = &Skip{}
	}
	r := &runner{Options: o, rep: Report{Type: o.Type}}
	defer r.close()
	if err := r.run(ctx); err != nil {
		return r.rep, fmt.Errorf("compact table %s: %w", o.Type, err)
	}
	return r.rep, nil
}

// run plans and merges until nothing is due any more.
func (r *runner) run(ctx context.Context) error {
	for range maxRounds {
		t, err := table.Open(ctx, r.FS, r.BaseURI, r.Type)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files, err := t.Files(ctx, nil, nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is long outdated
		}
		if err != nil {
			return err
		}
		r.Skip.forget(files)
		due := r.plan(files)
		r.rep.Left, r.due = filesOf(due), r.read+bytesOf(due)
		if len(due) == 0 {
			return nil
		}
		before := r.rep.Commits
		for len(due) > 0 {
			if r.MaxBytes > 0 && r.read >= r.MaxBytes {
				return nil
			}
			var now []batch
			now, due = r.next(due)
			if err := r.step(ctx, t.Version(), now); err != nil {
				return err
			}
			r.rep.Left = filesOf(due)
		}
		if r.rep.Commits == before {
			return nil // what is left can't be merged
		}
	}
	return nil
}

func filesOf(batches []batch) (n int) {
	for _, b := range batches {
		n += len(b.files)
	}
	return n
}

func bytesOf(batches []batch) (n int64) {
	for _, b := range batches {
		n += b.bytes
	}
	return n
}
