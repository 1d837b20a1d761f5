package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// Part is a part of a stream that a quarantined file has, as its index says.
type Part struct {
	Host   string `json:"host"`
	Source string `json:"source"`
	Stream string `json:"stream"`
	First  int64  `json:"first"`
	Last   int64  `json:"last"`
	Block  int    `json:"block"`
	CRC    uint32 `json:"-"`                // of its bytes
	Reason string `json:"reason,omitempty"` // why it is not in the table by this file; empty where it is
}

// Parts returns the data in the file as its index says, in the index's order. An
// error that is chunk.ErrInvalid says that the index itself is damaged: what the
// file had is not known.
func (e *Entry) Parts(ctx context.Context, st store.FS) ([]Part, error) {
	r, err := st.Open(ctx, e.Path)
	if err != nil {
		return nil, fmt.Errorf("open quarantined %s: %w", e.Path, err)
	}
	defer r.Close()
	sink, err := chunk.ReadSink(r, r.Size())
	if err != nil {
		return nil, fmt.Errorf("read index of quarantined %s: %w", e.Path, err)
	}
	why := e.reasons()
	var out []Part
	for i := range sink.Index.Blocks {
		for j := range sink.Index.Blocks[i].Entries {
			x := &sink.Index.Blocks[i].Entries[j]
			if x.Kind == chunk.Data {
				out = append(out, Part{x.Host, x.Source, x.Stream, x.First, x.Last, i, x.CRC, why.of(i, j)})
			}
		}
	}
	return out, nil
}

// reasons are a file's faults by block and chunk; -1 is all of the block.
type reasons map[[2]int]string

func (e *Entry) reasons() reasons {
	out := reasons{}
	for _, f := range e.Faults {
		at := [2]int{f.Block, f.Chunk}
		if out[at] == "" {
			out[at] = f.Reason
		}
	}
	return out
}

func (r reasons) of(block, at int) string {
	for _, key := range [][2]int{{block, at}, {block, -1}} {
		if why := r[key]; why != "" {
			return why
		}
	}
	return ""
}

// ErrTaken says that a release would replace another file.
var ErrTaken = errors.New("raw/ has a file of that name")

// Release moves a quarantined file back to raw/, where the next run of the demux
// takes what the table does not have. What is still wrong with it brings it back
// here. p is relative to the store's root. It returns where the file is now.
func Release(ctx context.Context, st store.FS, p string) (to string, err error) {
	to, err = target(p)
	if err != nil {
		return "", err
	}
	if _, err := st.Stat(ctx, p); err != nil {
		return "", fmt.Errorf("look at %s: %w", p, err)
	}
	switch _, err := st.Stat(ctx, to); {
	case err == nil:
		return "", fmt.Errorf("release %s: %w", p, ErrTaken)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("look at %s: %w", to, err)
	}
	if err := st.Rename(ctx, p, to); err != nil {
		return "", fmt.Errorf("move %s to %s: %w", p, to, err)
	}
	// After the file: a file in quarantine is never without its note. One that
	// is left behind by a crash is replaced when the file comes back.
	if err := st.Remove(ctx, noteOf(p)); err != nil {
		return to, fmt.Errorf("remove %s: %w", noteOf(p), err)
	}
	return to, nil
}

// target is where a quarantined file belongs in raw/.
func target(p string) (string, error) {
	dir, name, _ := strings.Cut(p, "/")
	dataType, _, _ := strings.Cut(name, "/")
	if dir != store.Quarantine || path.Clean(p) != p || !store.IsSink(p) || chunk.CheckType(dataType) != nil {
		return "", fmt.Errorf("%s is no sink file below %s/", p, store.Quarantine)
	}
	to := store.SinkPath(store.Raw, dataType, store.SegmentOf(p))
	if strings.TrimPrefix(to, store.Raw) != strings.TrimPrefix(p, store.Quarantine) {
		return "", fmt.Errorf("%s does not lie where its name says, in %s", p, path.Dir(to))
	}
	return to, nil
}
