package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/akupara/akupara/store"
)

// ErrDamaged says that a file which the table needs holds other bytes than were
// written, or is gone. Trying again does not help; a repair does. It is neither
// fs.ErrNotExist nor a failure of the store.
var ErrDamaged = errors.New("damaged")

// Kind is what a file is to the table.
type Kind string

// The kinds of files that a table consists of.
const (
	KindMetadata     Kind = "metadata"
	KindManifestList Kind = "manifest list"
	KindManifest     Kind = "manifest"
	KindCoverage     Kind = "coverage"
	KindDataFile     Kind = "data file"
	KindHint         Kind = "hint"
)

// Damage is one file that is not what it should be.
type Damage struct {
	Path string `json:"path"` // relative to the store's root
	Kind Kind   `json:"kind"`
	Why  string `json:"why"`
	// Needed reports whether the table's rows or coverage depend on the file. An
	// old snapshot's does no harm: it expires with its snapshot.
	Needed bool `json:"needed"`
}

func (d Damage) String() string { return fmt.Sprintf("%s %s %s", d.Kind, d.Path, d.Why) }

// damageError is a Damage as an error, which is ErrDamaged.
type damageError struct{ Damage }

func (e *damageError) Error() string { return "damaged: " + e.String() }

func (e *damageError) Is(target error) bool { return target == ErrDamaged }

// damaged returns an error that is ErrDamaged. Why follows the file's name:
// "is missing", "has 5 bytes, should have 7".
func damaged(kind Kind, path, why string, args ...any) error {
	return &damageError{Damage{Path: path, Kind: kind, Why: fmt.Sprintf(why, args...), Needed: true}}
}

// readFile reads a whole file of at most maxLen bytes. What is no file, or is
// too long, is ErrDamaged; a missing one fs.ErrNotExist.
func readFile(ctx context.Context, fsys store.FS, kind Kind, p string, maxLen int64) ([]byte, error) {
	b, err := readWhole(ctx, fsys, kind, p, maxLen)
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
		if info, statErr := fsys.Stat(ctx, p); statErr == nil && info.IsDir {
			return nil, damaged(kind, p, "is a folder")
		}
	}
	return b, err
}

func readWhole(ctx context.Context, fsys store.FS, kind Kind, p string, maxLen int64) ([]byte, error) {
	r, err := fsys.Open(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	defer r.Close()
	if r.Size() > maxLen {
		return nil, damaged(kind, p, "has %d bytes, at most %d are allowed", r.Size(), maxLen)
	}
	b := make([]byte, r.Size())
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, r.Size()), b); err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return b, nil
}

// damageOf returns what err, of reading one file that should be there, says of
// the file. It returns err where the store is what failed: it no longer tells
// of the file either.
func damageOf(ctx context.Context, fsys store.FS, kind Kind, p string, err error) (Damage, error) {
	var d *damageError
	if errors.As(err, &d) {
		return d.Damage, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Damage{p, kind, "is missing", true}, nil
	}
	if ctx.Err() != nil {
		return Damage{}, err
	}
	if _, statErr := fsys.Stat(ctx, p); statErr != nil && !errors.Is(statErr, fs.ErrPermission) {
		return Damage{}, err
	}
	return Damage{p, kind, fmt.Sprintf("can't be read: %v", err), true}, nil
}
