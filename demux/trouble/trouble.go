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
}

// Failing is a row of runs that failed.
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
func (t *Trouble) None() bool { return t.Failing == nil && len(t.Aside) == 0 && t.Ahead == "" }

// maxFile bounds the file, in bytes.
const maxFile = 16 << 20

// Path is where the trouble of a data type is written.
func Path(dataType string) string { return path.Join(store.Tables, dataType, "_trouble.json") }

// Read returns the trouble of a data type, nil when there is none. A file that
// can't be understood is an error: its writer had something to say.
func Read(ctx context.Context, st store.FS, dataType string) (*Trouble, error) {
	p := Path(dataType)
	r, err := st.Open(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.NewSectionReader(r, 0, min(r.Size(), maxFile)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	t := &Trouble{}
	if err := json.Unmarshal(data, t); err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	if t.None() {
		return nil, nil
	}
	return t, nil
}

// Write publishes the trouble of a data type, and removes what was published
// when there is none. attempt is an id that was never used before.
func Write(ctx context.Context, st store.FS, dataType, attempt string, t *Trouble) error {
	p := Path(dataType)
	if t == nil || t.None() {
		if err := st.Remove(ctx, p); err != nil {
			return fmt.Errorf("remove %s: %w", p, err)
		}
		return nil
	}
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the trouble of %s: %w", dataType, err)
	}
	return store.PublishBytes(ctx, st, store.Temp(p, attempt), p, append(data, '\n'))
}
