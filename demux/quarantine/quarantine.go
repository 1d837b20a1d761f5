// Package quarantine keeps the sink files that a demux could not use whole, each
// with the reasons beside it, until somebody has mended the cause and sends them
// through again. All that could be used of them is in the tables.
package quarantine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// Fault is a part of a sink file that was left out, and why.
type Fault struct {
	Block  int    `json:"block"` // -1: the file is not whole
	Chunk  int    `json:"chunk"` // of the block; -1: all of it
	Reason string `json:"reason"`
	// What the chunk is of, where it is one that is at fault.
	Host   string       `json:"host,omitempty"`
	Source string       `json:"source,omitempty"`
	Stream string       `json:"stream,omitempty"`
	Range  *chunk.Range `json:"range,omitempty"`
}

// note is what lies beside a file: why it is here.
type note struct {
	From   string    `json:"from"`
	At     time.Time `json:"at"`
	Faults []Fault   `json:"faults"`
}

// maxNote bounds a note, in bytes.
const maxNote = 64 << 20

// noteOf is where the note of a quarantined file is.
func noteOf(p string) string { return p + ".reason.json" }

// Put moves a sink file to quarantine/, with the faults beside it. attempt is an
// id that was never used before. A file that is gone was moved by another demux.
func Put(ctx context.Context, st store.FS, dataType, from, attempt string, faults []Fault) error {
	to := store.SinkPath(store.Quarantine, dataType, store.SegmentOf(from))
	text, err := json.MarshalIndent(note{from, time.Now().UTC(), faults}, "", "  ")
	if err != nil {
		return fmt.Errorf("describe quarantined %s: %w", from, err)
	}
	// The reasons first: a file in quarantine is never without them.
	if err := store.PublishBytes(ctx, st, store.Temp(noteOf(to), attempt), noteOf(to), append(text, '\n')); err != nil {
		return err
	}
	if err := st.Rename(ctx, from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("move %s to %s: %w", from, to, err)
	}
	return nil
}

// Entry is a file in quarantine.
type Entry struct {
	Type string `json:"type"`
	Path string `json:"path"` // relative to the store's root
	Size int64  `json:"size"`
	// At is when it came here, and From where from; zero where the note beside
	// the file can't be read.
	At     time.Time `json:"at,omitzero"`
	From   string    `json:"from,omitempty"`
	Faults []Fault   `json:"faults"`
}

// Reason says why the file is here, in the words of its first fault.
func (e *Entry) Reason() string {
	for _, f := range e.Faults {
		if f.Reason != "" {
			return f.Reason
		}
	}
	return "nobody said why"
}

// List returns the files in quarantine, sorted by their paths. It reads nothing
// of them but the notes beside them.
func List(ctx context.Context, st store.FS) ([]Entry, error) {
	var out []Entry
	types, err := st.List(ctx, store.Quarantine)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", store.Quarantine, err)
	}
	for _, t := range types {
		if !t.IsDir {
			continue
		}
		days, err := st.List(ctx, t.Path)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", t.Path, err)
		}
		for _, d := range days {
			if !d.IsDir {
				continue
			}
			files, err := st.List(ctx, d.Path)
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", d.Path, err)
			}
			for _, f := range files {
				if !store.IsSink(f.Path) {
					continue
				}
				e, err := entry(ctx, st, f)
				if err != nil {
					return nil, err
				}
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// entry describes a file. What its note fails to say does not hide the file.
func entry(ctx context.Context, st store.FS, f store.Info) (Entry, error) {
	e := Entry{Type: path.Base(path.Dir(path.Dir(f.Path))), Path: f.Path, Size: f.Size, Faults: []Fault{}}
	text, err := read(ctx, st, noteOf(f.Path))
	switch {
	case ctx.Err() != nil:
		return e, ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return e, nil
	}
	var n note
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil {
		e.Faults = append(e.Faults, Fault{-1, -1, fmt.Sprintf("the note beside it can't be read: %v", err), "", "", "", nil})
		return e, nil
	}
	e.At, e.From = n.At, n.From
	e.Faults = append(e.Faults, n.Faults...)
	return e, nil
}

func read(ctx context.Context, st store.FS, p string) ([]byte, error) {
	r, err := st.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Size() > maxNote {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are allowed", p, r.Size(), maxNote)
	}
	var b bytes.Buffer
	_, err = io.Copy(&b, io.NewSectionReader(r, 0, r.Size()))
	return b.Bytes(), err
}
