package table

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table/internal/versions"
)

// attempt is one try to publish the version after base.
type attempt struct {
	base    *Table
	io      *tableIO
	planned []schema.Column
	keys    schema.Keys
	shift   int64 // milliseconds by which base's times were moved back
	updates []ice.Update
	expires bool   // old snapshots are taken out
	next    *Table // once it is published
}

func (t *Table) attempt(ctx context.Context, planned []schema.Column) (*attempt, error) {
	base := *t
	var err error
	if t.version == 0 {
		if base.meta, err = t.create(planned); err != nil {
			return nil, err
		}
	}
	shift := shiftFor(base.meta)
	if base.meta, err = shifted(base.meta, -shift); err != nil {
		return nil, err
	}
	keys := t.keys.Revive(t.columns, planned)
	return &attempt{base: &base, io: base.io(ctx), planned: planned, keys: keys, shift: shift}, nil
}

// commit publishes what stage makes of t as the next version.
func (t *Table) commit(ctx context.Context, planned []schema.Column, stage func(*attempt) error) (*Table, error) {
	a, err := t.attempt(ctx, planned)
	if err != nil {
		return nil, err
	}
	a.expires = true
	a.setColumns()
	if err = stage(a); err == nil {
		a.setKeys()
		err = a.publishNext(ctx)
	}
	if a.next != nil { // published, whatever went wrong afterwards
		a.removeExpired(ctx)
		return a.next, nil
	}
	a.undo(ctx, err)
	return nil, a.cause(ctx, err)
}

func (a *attempt) update(u ...ice.Update) { a.updates = append(a.updates, u...) }

// setColumns makes the planned columns the current schema.
func (a *attempt) setColumns() {
	if a.base.version > 0 && !slices.Equal(a.planned, a.base.columns) {
		a.update(ice.NewAddSchemaUpdate(icebergSchema(0, a.planned)), ice.NewSetCurrentSchemaUpdate(-1))
	}
}

// change adds a snapshot, and takes old ones out where there are many.
func (a *attempt) change(c change) error {
	if specsOf(a.base.meta).day == nil && slices.ContainsFunc(c.add, func(f DataFile) bool { return f.Partition.Day }) {
		spec, err := newDaySpec(a.planned)
		if err != nil {
			return fmt.Errorf("make partition spec of days: %w", err)
		}
		a.update(ice.NewAddPartitionSpecUpdate(&spec, false))
	}
	meta := a.base.meta
	if slices.ContainsFunc(a.updates, changesManifests) {
		var err error
		if meta, err = ice.UpdateTableMetadata(a.base.meta, a.updates, ""); err != nil {
			return fmt.Errorf("make metadata: %w", err)
		}
	}
	s, err := a.newProducer(meta, c).snapshot()
	if err != nil {
		return err
	}
	a.update(ice.NewAddSnapshotUpdate(s), ice.NewSetSnapshotRefUpdate(ice.MainBranch, s.SnapshotID, ice.BranchRef, 0, 0, 0))
	a.vacate(c.remove)
	return nil
}

// changesManifests reports whether manifests look otherwise after an update.
func changesManifests(u ice.Update) bool {
	return u.Action() != ice.UpdateSetProperties
}

// undo removes what the attempt made, unless err says that it may have
// succeeded.
func (a *attempt) undo(ctx context.Context, err error) {
	if errors.Is(err, ErrUnknown) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	a.io.removeCreated(ctx)
}

// cause finds out whether damage is behind an attempt's error.
func (a *attempt) cause(ctx context.Context, err error) error {
	if errors.Is(err, ErrUnknown) || errors.Is(err, ErrConflict) || errors.Is(err, ErrDamaged) || ctx.Err() != nil {
		return err
	}
	// iceberg-go reads the current list and manifests, too. Where they have no
	// checksum, its error does not tell that they are at fault.
	if whole := a.base.whole(ctx); errors.Is(whole, ErrDamaged) {
		return whole
	}
	return a.base.judge(ctx, err)
}

// publishNext publishes the next version if base is still the newest.
func (a *attempt) publishNext(ctx context.Context) error {
	if err := a.io.writeErr(); err != nil {
		return err
	}
	base := a.base
	newest, err := base.log.Settle(ctx)
	if err != nil {
		return base.missing(err)
	}
	if newest != base.version {
		return fmt.Errorf("%w: it was version %d and is %d", ErrConflict, base.version, newest)
	}
	if err := base.unchanged(ctx); err != nil {
		return err
	}
	next, b, err := a.make(newest + 1)
	if err != nil {
		return err
	}
	if time.Since(base.opened) > maxAge {
		return fmt.Errorf("%w: it was opened %v ago", ErrConflict, time.Since(base.opened).Round(time.Second))
	}
	return a.publish(ctx, next, b)
}

// unchanged fails unless t's metadata file holds what it held when it was read.
func (t *Table) unchanged(ctx context.Context) error {
	if t.version == 0 {
		return nil
	}
	b, err := readFile(ctx, t.fs, KindMetadata, t.MetadataPath(), versions.MaxMetadata)
	if err != nil {
		return t.judge(ctx, err)
	}
	if chunk.CRC(b) == t.crc {
		return nil
	}
	other := *t
	if err := other.set(t.version, b); err != nil {
		return err
	}
	return fmt.Errorf("%w: version %d was replaced", ErrConflict, t.version)
}

// make returns version n, which the updates make of base, and its bytes.
func (a *attempt) make(n int) (*Table, []byte, error) {
	loc := ""
	if a.base.version > 0 {
		loc = a.base.Location() + "/" + versions.Name(a.base.version)
	}
	meta, err := ice.UpdateTableMetadata(a.base.meta, a.updates, loc)
	if err != nil {
		return nil, nil, fmt.Errorf("make metadata: %w", err)
	}
	if a.expires {
		a.retain(meta)
	}
	if err := checkPlanned(meta.CurrentSchema(), a.planned); err != nil {
		return nil, nil, err
	}
	known, err := a.sums(meta.CurrentSnapshot())
	if err != nil {
		return nil, nil, err
	}
	a.update(ice.NewSetPropertiesUpdate(iceberg.Properties{
		propVersion: strconv.Itoa(n), propCRC: noCRC, propManifests: known.String(),
	}))
	if meta, err = ice.UpdateTableMetadata(a.base.meta, a.updates, loc); err != nil {
		return nil, nil, fmt.Errorf("make metadata: %w", err)
	}
	b, err := encode(meta)
	if err != nil {
		return nil, nil, err
	}
	if b, err = shiftTimes(b, a.shift); err != nil {
		return nil, nil, err
	}
	if err := seal(b); err != nil {
		return nil, nil, err
	}
	next := *a.base
	next.opened = time.Now()
	if a.shift == 0 { // to parse what was just written is half of the work
		err = next.become(n, b, meta)
	} else {
		err = next.set(n, b)
	}
	if err != nil {
		return nil, nil, err
	}
	return &next, b, nil
}

// sums returns what the files of the snapshot that will be the current one were
// written with.
func (a *attempt) sums(s *ice.Snapshot) (sums, error) {
	out := sums{}
	if s == nil {
		return out, nil
	}
	if cur := a.base.meta.CurrentSnapshot(); cur != nil && cur.SnapshotID == s.SnapshotID && len(a.base.sums) > 0 {
		return a.base.sums, nil
	}
	ms, err := manifestsOf(a.io, s) // what was written arrived, too
	if err != nil {
		return nil, err
	}
	uris := []string{s.ManifestList}
	for _, m := range ms {
		uris = append(uris, m.FilePath())
	}
	for _, uri := range uris {
		p, err := a.io.rel(uri)
		if err != nil {
			return nil, err
		}
		known, ok := a.io.sum(p)
		if !ok {
			// A manifest of an older version. If it can't be read, the check of
			// the table says so; this commit does not need it.
			b, err := a.io.read(p)
			if err != nil {
				continue
			}
			known = sumOf(b)
		}
		out[path.Base(p)] = known
	}
	return out, nil
}

// publish publishes next.
func (a *attempt) publish(ctx context.Context, next *Table, b []byte) error {
	switch err := next.log.Publish(ctx, next.version, b); {
	case errors.Is(err, versions.ErrLost):
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case errors.Is(err, versions.ErrUnknown):
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	case err != nil:
		return err
	}
	a.next = next
	return nil
}

// whole fails with ErrDamaged where the current snapshot's manifest list or a
// manifest is damaged or missing.
func (t *Table) whole(ctx context.Context) error {
	if t.meta == nil || t.meta.CurrentSnapshot() == nil {
		return nil
	}
	io := t.io(ctx)
	ms, err := manifestsOf(io, t.meta.CurrentSnapshot())
	if err != nil {
		return t.judge(ctx, err)
	}
	for _, m := range ms {
		if err := eachEntry(io, m, func(iceberg.ManifestEntry) error { return nil }); err != nil {
			return t.judge(ctx, err)
		}
	}
	return nil
}

// judge tells, after a file was not found that t names, whether t is outdated,
// which fs.ErrNotExist stands for, or damaged.
func (t *Table) judge(ctx context.Context, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	newest, newestErr := t.log.Newest(ctx)
	if newestErr != nil || newest > t.version {
		return err
	}
	return fmt.Errorf("%w: %v", ErrDamaged, err) //nolint:errorlint // it is fs.ErrNotExist no more
}
