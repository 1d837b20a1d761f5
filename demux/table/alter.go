package table

import (
	"context"
	"fmt"
	"slices"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/demux/schema"
)

// Keys say which record keys' values go to a column of another name, or to
// attributes, after columns were renamed or dropped.
func (t *Table) Keys() schema.Keys { return t.keys }

// Named returns the names of the columns that these keys of records have; names are
// keys, too.
func (t *Table) Named(keys []string) []string {
	var out []string
	for _, key := range keys {
		id, renamed := t.keys[key]
		i := slices.IndexFunc(t.columns, func(c schema.Column) bool { return renamed && c.ID == id })
		if i < 0 {
			out = append(out, key)
			continue
		}
		out = append(out, t.columns[i].Name)
	}
	return out
}

// LastColumnID is the highest field id that the table has given.
func (t *Table) LastColumnID() int {
	if t.meta == nil {
		return 0
	}
	return t.meta.LastColumnID()
}

// Alter renames, drops or documents a column, on top of exactly t, and gives the new
// version. No data file is touched: they are read by field ids. It fails with a
// *schema.ChangeError where the change can't be, else as Commit does.
func (t *Table) Alter(ctx context.Context, c schema.Change) (*Table, error) {
	cols, keys, err := schema.Alter(t.columns, t.keys, c)
	if err != nil {
		return nil, err
	}
	if slices.Equal(cols, t.columns) && keys.String() == t.keys.String() {
		return t, nil
	}
	next, err := t.commit(ctx, cols, func(a *attempt) error {
		a.keys = keys
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("alter table %s: %w", t.dataType, err)
	}
	return next, nil
}

// setKeys makes the attempt's keys the table's.
func (a *attempt) setKeys() {
	if text := a.keys.String(); text != a.base.meta.Properties()[propKeys] {
		a.update(ice.NewSetPropertiesUpdate(iceberg.Properties{propKeys: text}))
	}
}

// Nulls returns how many rows have no value of each column, by its field id: of the
// columns that manifests tell of. It reads manifests, never data files.
func (t *Table) Nulls(ctx context.Context) (rows int64, nulls map[int]int64, err error) {
	nulls = map[int]int64{}
	if t.meta == nil || t.meta.CurrentSnapshot() == nil {
		return 0, nulls, nil
	}
	io := t.io(ctx)
	manifests, err := manifestsOf(io, t.meta.CurrentSnapshot())
	if err != nil {
		return 0, nil, fmt.Errorf("table %s: read manifest list: %w", t.dataType, t.judge(ctx, err))
	}
	told := t.columns[:min(len(t.columns), maxDescribed)]
	for _, m := range manifests {
		err := eachEntry(io, m, func(e iceberg.ManifestEntry) error {
			d := e.DataFile()
			rows += d.Count()
			values, without := d.ValueCounts(), d.NullValueCounts()
			for i := range told {
				id := told[i].ID
				switch _, has := values[id]; {
				case told[i].Type == schema.Map:
				case has:
					nulls[id] += without[id]
				default: // the file was written before the column was added
					nulls[id] += d.Count()
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return 0, nil, fmt.Errorf("table %s: read manifest: %w", t.dataType, t.judge(ctx, err))
		}
	}
	return rows, nulls, nil
}
