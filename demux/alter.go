package demux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
)

// TableColumns are the columns of a table as people see them.
type TableColumns struct {
	Type    string        `json:"type"`
	Rows    int64         `json:"rows"`
	Columns []TableColumn `json:"columns"`
	// Dropped are the keys of records whose values go to attributes, as their column
	// was dropped.
	Dropped []string `json:"dropped_keys,omitempty"`
}

// TableColumn is a column of TableColumns.
type TableColumn struct {
	ID       int      `json:"id"`
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Required bool     `json:"required,omitempty"`
	Nulls    *int64   `json:"nulls,omitempty"` // rows without a value, where the table's manifests tell
	Keys     []string `json:"keys,omitempty"`  // of records, beside the name, whose values it takes
	Doc      string   `json:"doc,omitempty"`
}

// ErrNoTable says that there is no table of a data type.
var ErrNoTable = errors.New("there is no table")

// Columns returns the columns of a table.
func (d *Demux) Columns(ctx context.Context, dataType string) (TableColumns, error) {
	t, err := d.open(ctx, dataType)
	if err != nil {
		return TableColumns{}, noTable(dataType, err)
	}
	rows, nulls, err := t.Nulls(ctx)
	if err != nil {
		return TableColumns{}, err
	}
	return tableColumns(dataType, t.Columns(), t.Keys(), rows, nulls), nil
}

func noTable(dataType string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w %s", ErrNoTable, dataType)
	}
	return err
}

func tableColumns(dataType string, cols []schema.Column, keys schema.Keys, rows int64, nulls map[int]int64) TableColumns {
	out := TableColumns{Type: dataType, Rows: rows, Dropped: keys.Of(0)}
	for _, c := range cols {
		x := TableColumn{ID: c.ID, Name: c.Name, Type: c.Type.String(), Required: c.Required, Keys: keys.Of(c.ID), Doc: c.Doc}
		if n, ok := nulls[c.ID]; ok {
			x.Nulls = &n
		}
		out.Columns = append(out.Columns, x)
	}
	return out
}

// Alter renames, drops or documents a column of a table, and returns the columns
// after that; dry says that nothing is changed. It waits for a run that is at work on
// the table. Its error is a *schema.ChangeError where the change can't be, and
// ErrNoTable where there is none.
func (d *Demux) Alter(ctx context.Context, dataType string, c schema.Change, dry bool) (out TableColumns, err error) {
	do := func(ctx context.Context, t *table.Table) error {
		if err := d.allows(t, c); err != nil {
			return err
		}
		rows, nulls, err := t.Nulls(ctx)
		if err != nil {
			return err
		}
		cols, keys, err := schema.Alter(t.Columns(), t.Keys(), c)
		if err != nil {
			return err
		}
		if !dry {
			if t, err = t.Patient(d.patience).Alter(ctx, c); err != nil {
				return err
			}
			cols, keys = t.Columns(), t.Keys()
		}
		out = tableColumns(dataType, cols, keys, rows, nulls)
		return nil
	}
	if dry {
		t, err := d.open(ctx, dataType)
		if err == nil {
			err = do(ctx, t)
		}
		return out, noTable(dataType, err)
	}
	if err = d.change(ctx, dataType, do); err == nil {
		d.log.Info("a table's column was changed", "type", dataType, "column", c.Column, "name", c.Name, "dropped", c.Drop)
	}
	return out, noTable(dataType, err)
}

// allows refuses a change that the next run would undo, as the config says otherwise.
func (d *Demux) allows(t *table.Table, c schema.Change) error {
	d = d.now()
	if !c.Drop && c.Doc == nil {
		return nil
	}
	own := d.cfg.Types[t.Type()]
	names := map[int]string{}
	for _, x := range t.Columns() {
		names[x.ID] = x.Name
	}
	for _, given := range d.cfg.declared(t.Type()) {
		at := given.Name
		if id, ok := t.Keys()[at]; ok && names[id] != "" {
			at = names[id]
		}
		same := at == c.Column || rows.SiblingName(at, given.Type) == c.Column
		where := config.Value[string]{Pos: own.Columns.Get(given.Name).Pos()}.Problemf("it gives column %s", given.Name)
		switch {
		case same && c.Drop:
			return schema.Refuse("column %s would come back, as the config gives it: remove it there first (%v)", c.Column, where)
		case same && given.Doc != "" && *c.Doc != given.Doc:
			return schema.Refuse("the doc of column %s is in the config: change it there (%v)", c.Column, where)
		}
	}
	return nil
}
