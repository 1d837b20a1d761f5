// Package trouble says of a data type what keeps its runs from doing all of
// their work, for as long as it does: a file beside the type's table that the
// demux writes and removes, and that the audit reads.
package trouble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// Trouble is all that is wrong with the runs of one data type.
type Trouble struct {
	// Failing says that runs fail, and none has succeeded in between.
	Failing *Failing `json:"failing,omitempty"`
	// Aside are files that can't be used for now: everything else goes on.
	Aside []Aside `json:"aside,omitempty"`
	// Ahead is how far the table's last commit lies ahead of the demux's clock,
	// as a duration; empty when it does not.
	Ahead string `json:"ahead,omitempty"`
	// Jobs are those that fail on the table, by name. They lie in a file of their
	// own: another process may run them.
	Jobs map[string]Failing `json:"jobs,omitempty"`
}

// Failing is a row of runs that failed, or of a job's.
type Failing struct {
	Since time.Time `json:"since"` // when the first of them failed
	Times int       `json:"times"`
	Error string    `json:"error"` // of the last one
}

// Aside is a file that is left alone until it is tried again.
type Aside struct {
	Path  string    `json:"path"` // relative to the store's root
	Since time.Time `json:"since"`
	Tries int       `json:"tries"`
	Error string    `json:"error"` // of the last try
	// Streams are what the file holds that the table does not, as far as its
	// index could be read; none: it could not.
	Streams []Stream `json:"streams,omitempty"`
}

// Stream is a part of a stream.
type Stream struct {
	Stream string       `json:"stream"`
	Host   string       `json:"host"`
	Source string       `json:"source"`
	Ranges chunk.Ranges `json:"ranges"`
}

// None reports whether nothing is wrong.
func (t *Trouble) None() bool {
	return t.Failing == nil && len(t.Aside) == 0 && t.Ahead == "" && len(t.Jobs) == 0
}

// maxFile bounds the file, in bytes.
const maxFile = 16 << 20

// Path is where the trouble of a data type is written.
func Path(dataType string) string { return path.Join(store.Tables, dataType, "_trouble.json") }

// Read returns the trouble of a data type, nil when there is none. A file that
// can't be understood is an error: its writer had something to say.
func Read(ctx context.Context, st store.FS, dataType string) (*Trouble, error) {
	t := &Trouble{}
	if err := read(ctx, st, Path(dataType), t); err != nil {
		return nil, err
	}
	jobs := &Trouble{}
	if err := read(ctx, st, jobsPath(dataType), jobs); err != nil {
		return nil, err
	}
	if t.Jobs = jobs.Jobs; t.None() {
		return nil, nil
	}
	return t, nil
}

// read reads one file; one that is not there says nothing.
func read(ctx context.Context, st store.FS, p string, into *Trouble) error {
	r, err := st.Open(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", p, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.NewSectionReader(r, 0, min(r.Size(), maxFile)))
	if err != nil {
		return fmt.Errorf("read %s: %w", p, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", p, err)
	}
	return nil
}

func jobsPath(dataType string) string { return path.Join(store.Tables, dataType, "_jobs.json") }

// WriteJob publishes that a job fails on a table, or with nil that it does not.
// attempt is an id that was never used before.
func WriteJob(ctx context.Context, st store.FS, dataType, attempt, job string, f *Failing) error {
	p := jobsPath(dataType)
	t := &Trouble{}
	damaged := read(ctx, st, p, t)
	if damaged != nil {
		t = &Trouble{} // it is written anew
	}
	if f == nil {
		if _, known := t.Jobs[job]; !known && damaged == nil {
			return nil
		}
		delete(t.Jobs, job)
	} else {
		if t.Jobs == nil {
			t.Jobs = map[string]Failing{}
		}
		t.Jobs[job] = *f
	}
	return write(ctx, st, p, attempt, &Trouble{Jobs: t.Jobs})
}

// Write publishes the trouble of a data type, and removes what was published
// when there is none. attempt is an id that was never used before.
func Write(ctx context.Context, st store.FS, dataType, attempt string, t *Trouble) error {
	return write(ctx, st, Path(dataType), attempt, t)
}

func write(ctx context.Context, st store.FS, p, attempt string, t *Trouble) error {
	if t == nil || t.None() {
		if err := st.Remove(ctx, p); err != nil {
			return fmt.Errorf("remove %s: %w", p, err)
		}
		return nil
	}
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", p, err)
	}
	return store.PublishBytes(ctx, st, store.Temp(p, attempt), p, append(data, '\n'))
}
