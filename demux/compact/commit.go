package compact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/akupara/akupara/demux/table"
)

// commitTries is how often a commit is tried: a run may commit in between where
// the lease is not respected.
const commitTries = 5

// commit puts what was made into the table, under its lease.
func (s *stage) commit(ctx context.Context) error {
	if len(s.made) == 0 {
		return nil
	}
	if s.Hold != nil {
		release, err := s.Hold(ctx)
		if err != nil {
			s.remove(ctx, s.made)
			return fmt.Errorf("take the lease: %w", err)
		}
		defer release()
	}
	var err error
	for range commitTries {
		if err = s.try(ctx); !errors.Is(err, table.ErrConflict) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	switch {
	case errors.Is(err, table.ErrUnknown): // its files may be the table's
		return err
	case err != nil:
		s.remove(ctx, s.made)
		return err
	}
	return nil
}

// try commits on top of the newest version what can be: where a file was replaced
// meanwhile, what was made of it is dropped.
func (s *stage) try(ctx context.Context) error {
	t, err := table.Open(ctx, s.FS, s.BaseURI, s.Type)
	if err != nil {
		return err
	}
	if s.Patience > 0 {
		t.Patient(s.Patience)
	}
	if err := s.dropGone(ctx, t); err != nil || len(s.made) == 0 {
		return err
	}
	r := table.Replacement{RunID: s.step.ID + "-compact", Kind: table.Compacted, Columns: t.Columns()}
	for _, m := range s.made {
		r.Files = append(r.Files, m.file)
		for _, f := range m.of {
			r.Remove = append(r.Remove, f.Path)
		}
	}
	if _, err := t.Replace(ctx, r); err != nil {
		return err
	}
	s.rep.Commits++
	for _, m := range s.made {
		s.rep.FilesIn += len(m.of)
		s.rep.FilesOut++
		s.rep.BytesIn += m.bytes
		s.rep.BytesOut += m.file.Stats.Size
		s.rep.Rows += m.file.Stats.Records
	}
	return nil
}

// dropGone drops what was made of files that were replaced meanwhile.
func (s *stage) dropGone(ctx context.Context, t *table.Table) error {
	if t.Version() == s.step.Version {
		return nil // it has what the step was planned from
	}
	files, err := t.Files(ctx, nil, nil)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, f := range files {
		has[f.Path] = true
	}
	var there, gone []made
	for _, m := range s.made {
		all := true
		for _, f := range m.of {
			all = all && has[f.Path]
		}
		if all {
			there = append(there, m)
		} else {
			gone = append(gone, m)
		}
	}
	s.rep.Lost += len(gone)
	s.remove(ctx, gone)
	s.made = there
	return nil
}
