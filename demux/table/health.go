package table

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"
	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/table/internal/versions"
	"github.com/akupara/akupara/store"
)

// Health is what a look at all files of a table found.
type Health struct {
	Version int           `json:"version"` // the newest that was published, which may be what is damaged
	Damaged []Damage      `json:"damaged,omitempty"`
	Ahead   time.Duration `json:"ahead,omitempty"` // as Table.Ahead
}

// Needed returns the damage that rows or coverage depend on.
func (h Health) Needed() []Damage {
	var out []Damage
	for _, d := range h.Damaged {
		if d.Needed {
			out = append(out, d)
		}
	}
	return out
}

// Check reads all of a table's metadata, also that of old snapshots, and its
// coverage, and looks whether the data files are there in their length. It
// reads nothing of a data file, and changes nothing. It fails with
// fs.ErrNotExist where there is no table, and otherwise only when the store
// does; damage is what it returns.
func Check(ctx context.Context, fsys store.FS, baseURI, dataType string) (Health, error) {
	const tries = 3 // files are removed while we look
	for i := range tries {
		h, err := checkOnce(ctx, fsys, baseURI, dataType)
		if err != nil {
			return h, fmt.Errorf("check table %s: %w", dataType, err)
		}
		if len(h.Damaged) == 0 || i == tries-1 {
			return h, nil
		}
		// What a newer version does not name may be gone by right.
		newest, err := versions.New(fsys, dir(dataType)).Newest(ctx)
		if err != nil {
			return h, fmt.Errorf("check table %s: %w", dataType, err)
		}
		if newest <= h.Version {
			return h, nil
		}
	}
	panic("unreachable")
}

func checkOnce(ctx context.Context, fsys store.FS, baseURI, dataType string) (Health, error) {
	t, err := New(fsys, baseURI, dataType)
	if err != nil {
		return Health{}, err
	}
	c := &checkup{t: t}
	ok, err := c.versions(ctx)
	if err != nil || !ok {
		return c.h, err
	}
	c.h.Ahead = t.Ahead()
	for _, look := range []func(context.Context) error{c.oldVersions, c.snapshots, c.coverage, c.dataFiles} {
		if err := look(ctx); err != nil {
			return c.h, err
		}
	}
	slices.SortFunc(c.h.Damaged, func(a, b Damage) int { return cmp.Compare(a.Path, b.Path) })
	return c.h, nil
}

// checkup is one Check of one version.
type checkup struct {
	t     *Table
	h     Health
	known sums // of manifests and lists, also of old ones

	mu    sync.Mutex // over h and files
	files []File     // that whole manifests of the current snapshot name
}

func (c *checkup) found(d Damage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.h.Damaged = append(c.h.Damaged, d)
}

// note takes in the error of reading one file. It returns it where it tells of
// the store.
func (c *checkup) note(ctx context.Context, kind Kind, p string, needed bool, err error) error {
	if err == nil {
		return nil
	}
	d, err := damageOf(ctx, c.t.fs, kind, p, err)
	if err != nil {
		return err
	}
	d.Needed = needed
	c.found(d)
	return nil
}

// versions checks the newest version and the hint. It reports whether there is
// more to look at.
func (c *checkup) versions(ctx context.Context) (bool, error) {
	log := c.t.log
	newest, err := log.Newest(ctx)
	if err != nil {
		return false, err
	}
	missing, err := log.Missing(ctx)
	if err != nil {
		return false, err
	}
	if newest == 0 && missing == 0 {
		return false, fs.ErrNotExist
	}
	c.h.Version = max(newest, missing)
	present, err := log.Present(ctx)
	if err != nil {
		return false, err
	}
	switch hint, err := log.Hint(ctx); {
	case err == nil && (hint == c.h.Version || slices.Contains(present, hint)):
	case err == nil:
		c.found(Damage{log.HintPath(), KindHint, fmt.Sprintf("names version %d, which is not there", hint), false})
	case errors.Is(err, versions.ErrHint):
		c.found(Damage{log.HintPath(), KindHint, fmt.Sprintf("is wrong: %v", err), false})
	default:
		if err := c.note(ctx, KindHint, log.HintPath(), false, err); err != nil {
			return false, err
		}
	}
	if missing > 0 {
		c.found(Damage{log.Path(missing), KindMetadata, "is missing, although it was published", true})
		return false, nil
	}
	err = c.t.load(ctx, newest)
	if err == nil {
		return true, nil
	}
	return false, c.note(ctx, KindMetadata, log.Path(newest), true, err)
}

// oldVersions checks the metadata files before the newest, which also tell what
// old snapshots' files were written with.
func (c *checkup) oldVersions(ctx context.Context) error {
	var err error
	c.known, err = c.t.history(ctx, func(p string, err error) error {
		return c.note(ctx, KindMetadata, p, false, err)
	})
	return err
}

// history returns what the manifests and lists were written with that t and
// the versions before it name, as far as these are there. It calls bad, from
// several goroutines, with those that are damaged or can't be read.
func (t *Table) history(ctx context.Context, bad func(p string, err error) error) (sums, error) {
	io := t.io(ctx)
	out := maps.Clone(t.sums)
	var mu sync.Mutex // over out
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for prev := range t.meta.PreviousFiles() {
		p, err := io.rel(prev.MetadataFile)
		if err != nil {
			continue
		}
		g.Go(func() error {
			known, err := readSums(gctx, t.fs, p)
			if err != nil {
				return bad(p, err)
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(out, known)
			return nil
		})
	}
	return out, g.Wait()
}

// readSums reads a metadata file for what it says of manifests alone.
func readSums(ctx context.Context, fsys store.FS, p string) (sums, error) {
	b, err := readFile(ctx, fsys, KindMetadata, p, versions.MaxMetadata)
	if err != nil {
		return nil, err
	}
	if why := checkSeal(b, versions.Number(path.Base(p))); why != "" {
		return nil, damaged(KindMetadata, p, "%s", why)
	}
	var doc struct{ Properties map[string]string }
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, damaged(KindMetadata, p, "can't be parsed: %v", err)
	}
	known, err := parseSums(doc.Properties[propManifests])
	if err != nil {
		return nil, damaged(KindMetadata, p, "is wrong: %v", err)
	}
	return known, nil
}

// snapshots checks the lists and manifests of all snapshots, the current one's
// first.
func (c *checkup) snapshots(ctx context.Context) error {
	cur := c.t.meta.CurrentSnapshot()
	seen := map[string]bool{}
	if cur != nil {
		if err := c.snapshot(ctx, cur, true, seen); err != nil {
			return err
		}
	}
	all := c.t.meta.Snapshots()
	for i := range all {
		if cur != nil && all[i].SnapshotID == cur.SnapshotID {
			continue
		}
		if err := c.snapshot(ctx, &all[i], false, seen); err != nil {
			return err
		}
	}
	return nil
}

func (c *checkup) snapshot(ctx context.Context, s *ice.Snapshot, needed bool, seen map[string]bool) error {
	io := c.t.io(ctx)
	io.known = c.known
	ms, err := manifestsOf(io, s)
	if err != nil {
		p, relErr := io.rel(s.ManifestList)
		if relErr != nil {
			p = c.t.MetadataPath()
		}
		return c.note(ctx, KindManifestList, p, needed, err)
	}
	ts := c.t.tsID()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, m := range ms {
		if seen[m.FilePath()] {
			continue
		}
		seen[m.FilePath()] = true
		g.Go(func() error {
			var files []File
			err := eachEntry(io, m, func(e iceberg.ManifestEntry) error {
				f, err := c.t.file(io, m, e.DataFile(), ts)
				files = append(files, f)
				return err
			})
			if err == nil && needed {
				c.mu.Lock()
				c.files = append(c.files, files...)
				c.mu.Unlock()
			}
			p, relErr := io.rel(m.FilePath())
			if relErr != nil {
				return relErr
			}
			return c.note(gctx, KindManifest, p, needed, err)
		})
	}
	return g.Wait()
}

func (c *checkup) coverage(ctx context.Context) error {
	files, err := c.t.coverageFiles(ctx)
	if err != nil && len(files) == 0 {
		return c.note(ctx, KindMetadata, c.t.MetadataPath(), true, err)
	}
	for _, f := range files {
		err := c.t.checkCoverage(ctx, f)
		if err := c.note(ctx, KindCoverage, c.t.coveragePath(f), true, err); err != nil {
			return err
		}
	}
	return nil
}

// dataFiles checks that the data files are there, by listing their folders.
func (c *checkup) dataFiles(ctx context.Context) error {
	folders := map[string][]File{}
	for _, f := range c.files {
		folders[path.Dir(f.Path)] = append(folders[path.Dir(f.Path)], f)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for folder, files := range folders {
		g.Go(func() error {
			infos, err := c.t.fs.List(gctx, folder)
			if errors.Is(err, fs.ErrPermission) {
				c.found(Damage{folder, KindDataFile, fmt.Sprintf("can't be listed: %v", err), true})
				return nil
			}
			if err != nil {
				return fmt.Errorf("list %s: %w", folder, err)
			}
			there := make(map[string]store.Info, len(infos))
			for _, in := range infos {
				there[in.Path] = in
			}
			for _, f := range files {
				in, ok := there[f.Path]
				why := ""
				switch {
				case !ok:
					why = "is missing"
				case in.IsDir:
					why = "is a folder"
				case in.Size != f.Size:
					why = fmt.Sprintf("has %d bytes, should have %d", in.Size, f.Size)
				}
				if why != "" {
					c.found(Damage{f.Path, KindDataFile, why, true})
				}
			}
			return nil
		})
	}
	return g.Wait()
}
