package compact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/akupara/akupara/demux/rows/merge"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// Step is what the tasks of one commit share.
type Step struct {
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Version int             `json:"version"` // of the table, that it was planned from
	Columns []schema.Column `json:"columns"`
	Bloom   []string        `json:"bloom,omitempty"` // as of Options, by the columns' names
}

// Task is to merge some files: into one, where they are all alike.
type Task struct {
	Level     level           `json:"level"`
	Partition table.Partition `json:"partition"`
	Files     []table.File    `json:"files"`
}

// Outcome is what came of a Task.
type Outcome struct {
	Made   []Made   `json:"made,omitempty"`
	Skip   []string `json:"skip,omitempty"` // files that can't be merged
	Faults []Fault  `json:"faults,omitempty"`
}

// Made is a data file, checked against those that it is to take the place of.
type Made struct {
	File table.DataFile `json:"file"`
	Of   []string       `json:"of"`
}

// Doer does tasks, one after the other. It is not safe for concurrent use.
type Doer struct {
	fs      store.FS
	baseURI string
	merger  *merge.Merger
}

// NewDoer makes a Doer on a store, which is to be closed.
func NewDoer(st store.FS, baseURI string) (*Doer, error) {
	m, err := merge.New()
	if err != nil {
		return nil, err
	}
	return &Doer{st, baseURI, m}, nil
}

// Close releases the Doer's memory.
func (d *Doer) Close() { d.merger.Close() }

// Do does a task. Its files have names that no other call uses. After an error it has
// removed them, as far as it could. ErrConflict of package table says that a sweep has
// removed files since the step was planned.
func (d *Doer) Do(ctx context.Context, s Step, t Task) (Outcome, error) {
	w := &doing{Doer: d, step: s, id: s.ID + "-" + store.NewID()}
	err := w.merge(ctx, batch{level: min(max(t.Level, fresh), daily), part: t.Partition, files: t.Files})
	if err != nil {
		Discard(ctx, d.fs, w.out)
		if errors.Is(err, fs.ErrNotExist) {
			err = cmp.Or(w.swept(ctx), err)
		}
		return Outcome{}, err
	}
	return w.out, nil
}

// removeLimit bounds the removal of files that were made for nothing.
const removeLimit = 30 * time.Second

// Discard removes the files of an outcome that are certainly in no version, also when
// ctx is done. What it can't remove is an orphan, which a sweep finds.
func Discard(ctx context.Context, st store.FS, o Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	for _, m := range o.Made {
		_ = st.Remove(ctx, m.File.Path)
	}
}

// doing is a task while it is done.
type doing struct {
	*Doer
	step Step
	id   string
	out  Outcome
	n    int // files that were begun
}

// swept fails with ErrConflict where a sweep has come since the step was planned: it
// may have removed files that another compaction replaced, and those of the step.
func (s *doing) swept(ctx context.Context) error {
	t, err := table.Open(ctx, s.fs, s.baseURI, s.step.Type)
	if err != nil {
		return err
	}
	if t.Swept() > s.step.Version {
		return fmt.Errorf("%w: a sweep has removed files since version %d", table.ErrConflict, s.step.Version)
	}
	return nil
}
