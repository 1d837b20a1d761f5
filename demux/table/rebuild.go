package table

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
)

// Content is all that a table will hold after a Rebuild.
type Content struct {
	Files    []DataFile
	Columns  []schema.Column // with the ids that the files have
	Coverage coverage.Set
	Source   coverage.Source // all of the coverage, where it is not in memory
	Note     string          // why; goes into the snapshot's summary as akupara.repaired
}

// Rebuild publishes a version with exactly this content, above every number
// that a version or a claim has. Base is the newest version that can be read,
// as Newest returns it; nil where there is none, and the table begins anew. Of
// base stay the name and history that readers know it by, and the snapshots
// that are whole. The caller must keep others from committing meanwhile.
//
// It fails as Commit does. What base names and the content does not is removed
// by no one but a later Sweep, when the snapshots have expired.
func Rebuild(ctx context.Context, fsys store.FS, baseURI, dataType string, base *Table, c Content) (*Table, error) {
	t := base
	if t == nil {
		var err error
		if t, err = New(fsys, baseURI, dataType); err != nil {
			return nil, err
		}
	}
	next, err := t.rebuild(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("rebuild table %s: %w", dataType, err)
	}
	return next, nil
}

func (t *Table) rebuild(ctx context.Context, c Content) (*Table, error) {
	top, err := t.log.Top(ctx)
	if err != nil {
		return nil, err
	}
	if len(c.Columns) == 0 {
		c.Columns = t.columns
	}
	if err := t.checkFiles(ctx, c.Files, c.Columns); err != nil {
		return nil, err
	}
	a, err := t.attempt(ctx, c.Columns)
	if err != nil {
		return nil, err
	}
	err = a.rebuilt(ctx, c)
	if err == nil {
		err = a.publishAbove(ctx, top)
	}
	if err != nil {
		a.undo(ctx, err)
		return nil, err
	}
	return a.next, nil
}

// publishAbove publishes version top+1, if top is the highest number still.
func (a *attempt) publishAbove(ctx context.Context, top int) error {
	if err := a.io.writeErr(); err != nil {
		return err
	}
	next, b, err := a.make(top + 1)
	if err != nil {
		return err
	}
	if now, err := a.base.log.Top(ctx); err != nil || now != top {
		return cmp.Or(err, fmt.Errorf("%w: the highest number of a version was %d and is %d", ErrConflict, top, now))
	}
	// A hint below a gap would lead readers to what lies below it.
	if err := a.base.fs.Remove(ctx, a.base.log.HintPath()); err != nil {
		return fmt.Errorf("remove version hint: %w", err)
	}
	return a.publish(ctx, next, b)
}

// rebuilt writes the content's manifests and coverage, and makes them the
// attempt's.
func (a *attempt) rebuilt(ctx context.Context, c Content) error {
	run := "repair-" + uuid.NewString()
	src := c.Source
	if src == nil {
		set := c.Coverage.Clone()
		set.Trim()
		src = coverage.SetSource(set, nil)
	}
	w := coverageWriter{a, run, a.base.cover.or()}
	g, err := w.group(&seenSource{src, time.Now()})
	if err != nil {
		return err
	}
	cover, err := w.finish(ctx, coverageTree{g})
	if err != nil {
		return err
	}
	a.update(ice.NewAddSchemaUpdate(icebergSchema(0, c.Columns)), ice.NewSetCurrentSchemaUpdate(-1),
		ice.NewSetPropertiesUpdate(iceberg.Properties{
			propCoverage: cover, propSinks: "", propRun: run,
		}))
	err = a.change(change{op: ice.OpOverwrite, add: c.Files, fresh: true, summary: map[string]string{
		propRun: run, propRepaired: cmp.Or(c.Note, "rebuilt"),
	}})
	if err != nil {
		return err
	}
	broken, err := a.brokenSnapshots(ctx)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		a.update(ice.NewRemoveSnapshotsUpdate(broken, false))
	}
	return nil
}

// seenSource is a source whose streams were seen now, unless they say when.
type seenSource struct {
	coverage.Source
	now time.Time
}

// Next implements coverage.Source.
func (s *seenSource) Next() (*coverage.Piece, error) {
	p, err := s.Source.Next()
	if err == nil && p.From == 0 && p.Seen.IsZero() {
		p.Seen = s.now
	}
	return p, err
}

func (a *attempt) metadataURI(name string) string {
	return a.io.uri(path.Join(dir(a.base.dataType), "metadata", name))
}

// brokenSnapshots returns the base's snapshots that have damage: they could
// never be read again.
func (a *attempt) brokenSnapshots(ctx context.Context) ([]int64, error) {
	t := a.base
	io := t.io(ctx)
	var err error
	if io.known, err = t.history(ctx, func(string, error) error { return nil }); err != nil {
		return nil, err
	}
	checked := map[string]error{}
	check := func(uri string, look func() error) error {
		err, ok := checked[uri]
		if ok {
			return err
		}
		if err = look(); err != nil {
			p, relErr := io.rel(uri)
			if relErr != nil {
				p = t.MetadataPath()
			}
			d, storeErr := damageOf(ctx, t.fs, kindOf(p), p, err)
			if storeErr != nil {
				return storeErr
			}
			err = &damageError{d}
		}
		checked[uri] = err
		return err
	}
	whole := func(s *ice.Snapshot) error {
		var ms []iceberg.ManifestFile
		err := check(s.ManifestList, func() (err error) { ms, err = manifestsOf(io, s); return err })
		for i := 0; i < len(ms) && err == nil; i++ {
			err = check(ms[i].FilePath(), func() error {
				return eachEntry(io, ms[i], func(iceberg.ManifestEntry) error { return nil })
			})
		}
		return err
	}
	var out []int64
	snapshots := t.meta.Snapshots()
	for i := range snapshots {
		if err := whole(&snapshots[i]); errors.Is(err, ErrDamaged) {
			out = append(out, snapshots[i].SnapshotID)
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// newSnapshotID returns a random positive number.
func newSnapshotID() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return int64(binary.LittleEndian.Uint64(b[:])>>1) | 1
}
