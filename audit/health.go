package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
)

// Failing is a data type whose runs fail, or on whose table a job does.
type Failing struct {
	Type string `json:"type"`
	Job  string `json:"job,omitempty"` // empty: its runs fail
	trouble.Failing
}

// Aside is a file that the runs of a data type leave alone for now.
type Aside struct {
	Type string `json:"type"`
	trouble.Aside
}

// Damaged is a file that is not what was written.
type Damaged struct {
	Type string `json:"type"`
	Path string `json:"path"` // relative to the store's root
	Kind string `json:"kind"` // what the file is: "metadata", "data file", "sink file" …
	Why  string `json:"why"`
}

// Kinds of damaged files, beside those that a table has.
const (
	kindTable   = "table"
	kindSink    = "sink file"
	kindTrouble = "trouble"
)

func (a *auditor) damage(dataType, p, kind string, why error) {
	a.damaged(Damaged{dataType, p, kind, why.Error()})
}

// damaged notes a file's damage; the first to tell of a file tells enough.
func (a *auditor) damaged(d Damaged) {
	if !a.isDamaged(d.Path) {
		a.Damaged = append(a.Damaged, d)
	}
}

func (a *auditor) isDamaged(p string) bool {
	return slices.ContainsFunc(a.Damaged, func(d Damaged) bool { return d.Path == p })
}

// types lists the data types that have a table, or whose runs are in trouble.
func (a *auditor) types(ctx context.Context) ([]string, error) {
	types, err := table.List(ctx, a.fs)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	dirs, err := a.fs.List(ctx, store.Tables)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", store.Tables, err)
	}
	for _, d := range dirs {
		if t := path.Base(d.Path); d.IsDir && chunk.CheckType(t) == nil && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return types, nil
}

// trouble takes in what keeps the runs of a data type from working.
func (a *auditor) trouble(ctx context.Context, dataType string) error {
	t, err := trouble.Read(ctx, a.fs, dataType)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		a.damage(dataType, trouble.Path(dataType), kindTrouble, err)
		return nil
	case t == nil:
		return nil
	}
	if t.Failing != nil {
		a.Failing = append(a.Failing, Failing{dataType, "", *t.Failing})
	}
	for _, job := range slices.Sorted(maps.Keys(t.Jobs)) {
		a.Failing = append(a.Failing, Failing{dataType, job, t.Jobs[job]})
	}
	for _, f := range t.Aside {
		a.Aside = append(a.Aside, Aside{dataType, f})
	}
	return nil
}

// table takes in one table, and judges its streams.
func (a *auditor) table(ctx context.Context, dataType string, published coverage.Set, aside []quarantined) error {
	switch err := a.health(ctx, dataType); {
	case errors.Is(err, fs.ErrNotExist): // none of its runs has gone through
		return a.judge(dataType, nothing, published, aside)
	case err != nil:
		return err
	}
	deep := a.opts.Deep
	defer func() { a.opts.Deep = deep }()
	for look := 1; ; look++ {
		before := a.Report
		t, err := a.version(ctx, dataType, published, aside)
		if err != nil {
			return err
		}
		damaged, moved := a.stillDamaged(ctx, t, a.Damaged[len(before.Damaged):])
		if !moved {
			return nil
		}
		if look == maxLooks {
			a.Damaged = slices.Concat(before.Damaged, damaged)
			a.note("%s: files of it were replaced while they were read, so that not all was compared", dataType)
			return nil
		}
		// What was read whole need not be read again.
		damaged = slices.DeleteFunc(damaged, func(d Damaged) bool { return d.Kind == kindTable })
		before.CheckedFiles, before.CheckedBytes, before.Damaged = a.CheckedFiles, a.CheckedBytes, slices.Concat(before.Damaged, damaged)
		a.Report, a.opts.Deep = before, false
	}
}

// maxLooks bounds how often a table is looked at that changes meanwhile.
const maxLooks = 3

// stillDamaged returns the damage that a look at t told without that of files which
// the table does not have any more. moved says whether there is such, or another
// reason to look at the newest version.
func (a *auditor) stillDamaged(ctx context.Context, t *table.Table, told []Damaged) (still []Damaged, moved bool) {
	if t == nil || len(told) == 0 {
		return told, false
	}
	newest, err := table.Open(ctx, a.fs, a.baseURI, t.Type())
	if err != nil || newest.Version() == t.Version() {
		return told, false
	}
	files, err := newest.Files(ctx, nil, nil)
	if err != nil {
		return told, false
	}
	for _, d := range told {
		there := slices.ContainsFunc(files, func(f table.File) bool { return f.Path == d.Path })
		gone := d.Kind == string(table.KindDataFile) && !there
		moved = moved || gone || d.Kind == kindTable
		if !gone {
			still = append(still, d)
		}
	}
	return still, moved
}

// version takes in the newest version of a table, and judges its streams. It returns
// nil where there is none that can be read.
func (a *auditor) version(ctx context.Context, dataType string, published coverage.Set, aside []quarantined) (*table.Table, error) {
	t, err := table.Open(ctx, a.fs, a.baseURI, dataType)
	if err != nil {
		t, err = nil, fmt.Errorf("open table %s: %w", dataType, err)
	} else {
		err = a.rows(ctx, t)
	}
	if err == nil {
		before := a.Report
		open := func() (coverage.Source, func(), error) { return t.CoverageSource(ctx) }
		if err = a.judge(dataType, open, published, aside); err != nil {
			a.Report = before
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		// Damage to one table, or a file of it that the store can't read, keeps no
		// other from being audited.
		if !slices.ContainsFunc(a.Damaged, func(d Damaged) bool { return d.Type == dataType && d.Kind != kindSink }) {
			a.damage(dataType, path.Join(store.Tables, dataType), kindTable, err)
		}
		a.note("%s: what its table holds is not known, and was not compared with what came", dataType)
	}
	return t, nil
}

// health looks at all files of a table but what is in its data files.
func (a *auditor) health(ctx context.Context, dataType string) error {
	h, err := table.Check(ctx, a.fs, a.baseURI, dataType)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		a.damage(dataType, path.Join(store.Tables, dataType), kindTable, err)
		return nil
	}
	for _, d := range h.Damaged {
		if d.Needed {
			a.damaged(Damaged{dataType, d.Path, string(d.Kind), d.Why})
		} else {
			a.note("%s: %v; only old snapshots need it", dataType, d)
		}
	}
	if h.Ahead > 0 {
		a.note("%s: its last commit lies %v ahead of this clock", dataType, h.Ahead.Round(time.Second))
	}
	return nil
}

// rows takes in the rows of a version of a table, which may be outdated already.
func (a *auditor) rows(ctx context.Context, t *table.Table) error {
	dataType := t.Type()
	files, err := t.Files(ctx, nil, nil)
	if err != nil {
		return fmt.Errorf("plan table %s: %w", dataType, err)
	}
	for _, f := range files {
		a.Records += f.Records
	}
	newest := a.engine
	a.engine = newest.At(t)
	defer func() { a.engine = newest }()
	if err := a.overlaps(ctx, dataType, t, files); err != nil {
		if unknown := (*unknownError)(nil); ctx.Err() != nil || errors.As(err, &unknown) {
			return err
		}
		a.damage(dataType, path.Join(store.Tables, dataType), kindTable, err)
	}
	return nil
}
