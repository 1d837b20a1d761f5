// Package versions keeps the numbered metadata files of one Iceberg table as a
// Hadoop catalog lays them out, and publishes each number exactly once, with
// nothing but the renames that a local disk and HDFS have in common.
//
//	metadata/vN.metadata.json   version N; N counts from 1 without a hole
//	metadata/version-hint.text  the newest N; may lag behind
//	_claims/tmp-ID/ID/metadata.json   what committer ID wants to publish
//	_claims/vN/ID/metadata.json       ID owns version N; not published yet
//	_claims/vN/ID/                    version N is published
//	_claims/hint-ID                   the next version-hint.text
//
// A claim is made by renaming a directory that is not empty: of many, one
// succeeds, and the directory's child names the winner, also to one whose reply
// was lost. From then on the version is decided; publishing it is a rename that
// anybody may do, so a committer that dies or stalls blocks nobody. A claim is
// never empty, is never emptied, and is removed in one step: no rename can
// replace it while it is there, and nobody sees it half removed.
package versions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"time"

	"github.com/akupara/akupara/store"
)

var (
	// ErrLost says that another's version N stands, and nothing of ours is left.
	ErrLost = errors.New("another committer was first")
	// ErrUnknown says that the version may be published, now or later.
	ErrUnknown = errors.New("outcome unknown")
	// ErrMissing says that a version was published and is gone, and that there
	// is no newer one.
	ErrMissing = errors.New("it was published and is missing")
)

// MaxMetadata bounds what is read of one metadata file, in bytes.
const MaxMetadata = 256 << 20

// Log is the sequence of versions of one table. It is safe for concurrent use,
// by any number of processes.
type Log struct {
	fs  store.FS
	dir string // the table's directory
	// Patience is how long Publish looks into an unclear outcome before it
	// gives up as ErrUnknown, also after its caller's context is done.
	Patience time.Duration
}

// New returns the log of the table in dir. It touches nothing.
func New(fs store.FS, dir string) *Log { return &Log{fs: fs, dir: dir, Patience: 30 * time.Second} }

// Path is where version n lies, relative to the store's root.
func (l *Log) Path(n int) string { return path.Join(l.dir, Name(n)) }

// Name is version n's name below the table's directory.
func Name(n int) string { return fmt.Sprintf("metadata/v%d.metadata.json", n) }

var nameRE = regexp.MustCompile(`^v([1-9][0-9]{0,17})\.metadata\.json$`)

// Number returns n of the base name vN.metadata.json; 0 for any other.
func Number(base string) int {
	m := nameRE.FindStringSubmatch(base)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func (l *Log) claims() string              { return path.Join(l.dir, "_claims") }
func (l *Log) claim(n int) string          { return path.Join(l.claims(), fmt.Sprintf("v%d", n)) }
func (l *Log) temp(kind, id string) string { return path.Join(l.claims(), kind+"-"+id) }

const claimed = "metadata.json"

// Read returns the bytes of version n; fs.ErrNotExist when it is not there (any
// more).
func (l *Log) Read(ctx context.Context, n int) ([]byte, error) {
	return readFile(ctx, l.fs, l.Path(n), MaxMetadata)
}

func readFile(ctx context.Context, fsys store.FS, p string, maxLen int64) ([]byte, error) {
	r, err := fsys.Open(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	defer r.Close()
	if r.Size() > maxLen {
		return nil, fmt.Errorf("read %s: %d bytes, at most %d are allowed", p, r.Size(), maxLen)
	}
	b := make([]byte, r.Size())
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, r.Size()), b); err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return b, nil
}

// writeHint may fail or write an older number than another has: readers go
// upward from it.
func (l *Log) writeHint(ctx context.Context, n int) {
	_ = store.PublishBytes(ctx, l.fs, l.temp("hint", store.NewID()), l.HintPath(), strconv.AppendInt(nil, int64(n), 10))
}

func (l *Log) write(ctx context.Context, p string, data []byte) error {
	w, err := l.fs.Create(ctx, p)
	if err != nil {
		return fmt.Errorf("create %s: %w", p, err)
	}
	_, err = io.Copy(w, bytes.NewReader(data))
	if err != nil {
		_ = w.Close()
		return fmt.Errorf("write %s: %w", p, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write %s: %w", p, err)
	}
	return nil
}

func (l *Log) exists(ctx context.Context, p string) (bool, error) {
	_, err := l.fs.Stat(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", p, err)
	}
	return true, nil
}
