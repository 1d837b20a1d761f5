package coverage

import (
	"context"
	"fmt"
	"io"
	"path"

	"github.com/akupara/akupara/store"
)

// Load reads the named files of a directory, a base and deltas, and merges
// them in that order. No names give an empty set.
func Load(ctx context.Context, fs store.FS, dir string, names []string) (Set, error) {
	set := Set{}
	for i, name := range names {
		s, err := load(ctx, fs, path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			set = s
		} else {
			set.Merge(s)
		}
	}
	return set, nil
}

func load(ctx context.Context, fs store.FS, p string) (Set, error) {
	r, err := fs.Open(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("open coverage: %w", err)
	}
	defer r.Close()
	if r.Size() > MaxCoded {
		return nil, fmt.Errorf("read %s: %d bytes, at most %d are allowed", p, r.Size(), MaxCoded)
	}
	b := make([]byte, r.Size())
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, r.Size()), b); err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	s, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return s, nil
}
