package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/demux/table/internal/versions"
	"github.com/akupara/akupara/store"
)

// What bounds one step of a sweep, and by that its cost, whatever the table's
// age.
const (
	// recently is how far back the folders are looked at that have changed. What a
	// run leaves behind, it leaves in the newest.
	recently = 26 * time.Hour
	// foldersAtRandom is how many of the others are looked at: what was missed is
	// found in the end.
	foldersAtRandom = 8
	foldersAtOnce   = 400
	orphansAtOnce   = 10_000        // files
	claimAge        = 3 * time.Hour // how long claims stay at least, published or not
	// tempAge is how old a temporary file must be that a rename should have moved.
	tempAge = 10 * time.Minute
	// maxVacated bounds the folders that a table names as ones to be looked at.
	maxVacated = 512
)

// propVacated names the folders of data/ from which files were taken out of the
// table, and may lie there still.
const propVacated = "akupara.vacated"

// SweepOptions say what a sweep spares.
type SweepOptions struct {
	// Age is how old a file that nobody names must be at least.
	Age time.Duration
	// Grace is for how long files that were replaced can be read in older versions.
	Grace time.Duration
	// Replaced says that nothing but files that were replaced is looked for, and them
	// only where some are due: it costs a look at the metadata.
	Replaced bool
}

// Swept is what one step of a sweep removed.
type Swept struct {
	Data      int  `json:"data,omitempty"`      // files that were replaced, or that dead runs left
	Metadata  int  `json:"metadata,omitempty"`  // metadata, manifests, coverage
	Snapshots int  `json:"snapshots,omitempty"` // that were expired
	Claims    int  `json:"claims,omitempty"`    // of commits long ago
	Temporary int  `json:"temporary,omitempty"` // files that were to be renamed, and were not
	Folders   int  `json:"folders,omitempty"`   // of data files, that were empty
	More      bool `json:"more,omitempty"`      // there is more to be removed now: sweep again
}

// Removed returns how many files and claims were removed.
func (s Swept) Removed() int { return s.Data + s.Metadata + s.Claims + s.Temporary }

// Sweep removes what the table does not need any more, a bounded step of it: old
// snapshots that name replaced files, files that no version names, claims, temporary
// files, and folders of data files that are empty.
//
// Where there is something to remove it first commits, without rows: every commit
// that is still under way was planned from an older version and can only fail from
// then on, however long its process was stopped. So it never takes a file that a
// later commit names, whatever its age; but whoever works on the table must hold its
// lease, or the sweep makes its commit fail. ErrConflict says that the sweep was in
// the way itself: try again later.
//
// ErrDamaged says that a list or manifest can't be read, be it an old snapshot's.
// What only that may name stays then, all else is removed. Sweep is as patient as t.
func (t *Table) Sweep(ctx context.Context, o SweepOptions) (Swept, error) {
	cur, err := Open(ctx, t.fs, t.baseURI, t.dataType)
	if err != nil {
		return Swept{}, err
	}
	s := sweep{t: cur.Patient(t.log.Patience), now: time.Now(), o: o}
	err = s.step(ctx)
	if err != nil {
		err = fmt.Errorf("sweep table %s: %w", t.dataType, err)
	}
	return s.done, err
}

// sweep is one step.
type sweep struct {
	t   *Table
	now time.Time
	o   SweepOptions

	done    Swept
	vacated map[string]bool // folders that are to be looked at again
	empty   []string        // folders in which nothing is left after this step
	unread  error           // damage for which some files have to stay
}

func (s *sweep) step(ctx context.Context) error {
	expired := superseded(s.t.meta, s.now, s.o.Grace)
	if s.o.Replaced && len(expired) == 0 {
		return nil
	}
	if err := s.temporary(ctx); err != nil {
		return err
	}
	orphans, err := s.orphans(ctx, expired)
	if err != nil {
		return err
	}
	if len(orphans)+len(expired) > 0 {
		if err := s.commit(ctx, expired); err != nil {
			return err
		}
		s.done.Snapshots = len(expired)
		if err := s.remove(ctx, orphans); err != nil {
			return err
		}
	}
	if err := s.renameEmpty(ctx, s.empty); err != nil {
		return err
	}
	if s.done.Claims, err = s.t.log.Sweep(ctx, max(s.o.Age, claimAge)); err != nil {
		return err
	}
	if s.unread != nil {
		return fmt.Errorf("manifests and data files stay, as what names some of them can't be read: %w", s.unread)
	}
	return nil
}

// commit publishes a version from which on no file can be named that is about
// to be removed: runs that were planned before can only fail.
func (s *sweep) commit(ctx context.Context, expired []int64) error {
	next, err := s.t.commit(ctx, s.t.columns, func(a *attempt) error {
		a.update(ice.NewSetPropertiesUpdate(iceberg.Properties{
			propSwept: strconv.Itoa(s.t.version + 1), propVacated: formatVacated(s.vacated),
		}))
		if len(expired) > 0 {
			a.update(ice.NewRemoveSnapshotsUpdate(expired, false))
		}
		return nil
	})
	if err == nil {
		s.t = next
	}
	return err
}

func (s *sweep) remove(ctx context.Context, orphans []string) error {
	var failed error
	data := path.Join(dir(s.t.dataType), "data") + "/"
	for _, p := range orphans {
		if err := s.t.fs.Remove(ctx, p); err != nil {
			failed = errors.Join(failed, err)
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if strings.HasPrefix(p, data) {
			s.done.Data++
		} else {
			s.done.Metadata++
		}
	}
	return failed
}

// temporary removes temporary files beside the table's folders: leases' and
// others' that a rename should have moved.
func (s *sweep) temporary(ctx context.Context) error {
	infos, err := s.t.fs.List(ctx, dir(s.t.dataType))
	if err != nil {
		return fmt.Errorf("list %s: %w", dir(s.t.dataType), err)
	}
	limit := s.before(tempAge)
	for _, in := range infos {
		if in.IsDir || !isTemp(path.Base(in.Path)) || !in.Mod.Before(limit) {
			continue
		}
		if s.done.Temporary >= orphansAtOnce {
			s.done.More = true
			return nil
		}
		if err := s.t.fs.Remove(ctx, in.Path); err != nil {
			return fmt.Errorf("remove a temporary file: %w", err)
		}
		s.done.Temporary++
	}
	return nil
}

// isTemp reports whether a name is one that store.Temp gives.
func isTemp(base string) bool { return strings.HasPrefix(base, "_") && strings.HasSuffix(base, ".tmp") }

// orphans returns files that this version does not name without the expired snapshots,
// and that are old enough.
func (s *sweep) orphans(ctx context.Context, expired []int64) ([]string, error) {
	folders, err := s.folders(ctx)
	if err != nil {
		return nil, err
	}
	named, err := s.t.named(ctx, folders, expired)
	if err != nil {
		return nil, err
	}
	s.unread = named.unread
	var out []string
	add := func(p string) bool {
		if len(out) >= orphansAtOnce {
			s.done.More = true
			return false
		}
		out = append(out, p)
		return true
	}
	for _, d := range []struct {
		dir  string
		ours func(base string) bool
	}{
		{path.Join(dir(s.t.dataType), "metadata"), named.metadata(s.t.version)},
		{s.t.coverageDir(), named.coverage},
	} {
		infos, err := s.t.fs.List(ctx, d.dir)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", d.dir, err)
		}
		for _, in := range infos {
			if !in.IsDir && !named.paths[in.Path] && s.old(in) && d.ours(path.Base(in.Path)) && !add(in.Path) {
				for folder := range folders { // not looked at yet
					s.vacated[path.Base(folder)] = true
				}
				return out, nil
			}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		infos, err := s.t.fs.List(ctx, folder)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", folder, err)
		}
		stay := 0
		for _, in := range infos {
			if in.IsDir || named.current[in.Path] || !named.data(s.t.version)(path.Base(in.Path)) {
				stay++
				continue
			}
			// What old snapshots name, or is too young, goes in a later step.
			if named.paths[in.Path] || !s.old(in) || !add(in.Path) {
				s.vacated[path.Base(folder)] = true
				stay++
			}
		}
		if _, ours := folderPartition(path.Base(folder)); ours && stay == 0 {
			s.empty = append(s.empty, folder)
		}
	}
	return out, nil
}

func (s *sweep) old(in store.Info) bool { return in.Mod.Before(s.now.Add(-s.o.Age)) }

// folders returns the folders of data files that are to be looked at.
func (s *sweep) folders(ctx context.Context) (map[string]bool, error) {
	data := path.Join(dir(s.t.dataType), "data")
	infos, err := s.t.fs.List(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", data, err)
	}
	if err := s.removeEmptied(ctx, infos); err != nil {
		return nil, err
	}
	s.vacated = map[string]bool{}
	due := parseVacated(s.t.meta.Properties()[propVacated])
	var wanted, others []string
	for _, in := range infos {
		switch {
		case !in.IsDir || strings.HasPrefix(path.Base(in.Path), emptied):
		case due[path.Base(in.Path)] || !s.o.Replaced && s.now.Sub(in.Mod) < recently:
			wanted = append(wanted, in.Path)
		case !s.o.Replaced:
			others = append(others, in.Path)
		}
	}
	shuffle(wanted)
	shuffle(others)
	n := min(len(wanted), foldersAtOnce)
	for _, folder := range wanted[n:] {
		s.vacated[path.Base(folder)] = true
	}
	return setOf(slices.Concat(wanted[:n], others[:min(len(others), foldersAtRandom)])), nil
}

func shuffle(names []string) {
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
}

func setOf(names []string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, name := range names {
		out[name] = true
	}
	return out
}

func parseVacated(prop string) map[string]bool {
	out := setOf(strings.Split(prop, ","))
	delete(out, "")
	return out
}

// formatVacated leaves out what is too much: it is found at random.
func formatVacated(folders map[string]bool) string {
	names := slices.Sorted(maps.Keys(folders))
	return strings.Join(names[max(0, len(names)-maxVacated):], ",")
}

// vacate adds the folders of files that are taken out of the table to those to be
// looked at.
func (a *attempt) vacate(files []string) {
	if len(files) == 0 {
		return
	}
	folders := parseVacated(a.base.meta.Properties()[propVacated])
	for _, f := range files {
		folders[path.Base(path.Dir(f))] = true
	}
	a.update(ice.NewSetPropertiesUpdate(iceberg.Properties{propVacated: formatVacated(folders)}))
}

// The kinds of files of which those that nobody names are removed.

func (n *names) metadata(version int) func(base string) bool {
	return func(base string) bool {
		number := versions.Number(base)
		return n.unread == nil && strings.HasSuffix(base, ".avro") || number > 0 && number < version
	}
}

func (n *names) coverage(base string) bool { return strings.HasSuffix(base, ".cov") && !n.uncovered }

// data knows files by their runs: what one of a higher number left is of one that
// is still at work, or it is left to a later sweep.
func (n *names) data(version int) func(base string) bool {
	return func(base string) bool {
		number, _ := runNumber(base)
		return number <= version+1 && (isTemp(base) || strings.HasSuffix(base, ".tmp") ||
			strings.HasSuffix(base, ".parquet") && n.unread == nil)
	}
}
