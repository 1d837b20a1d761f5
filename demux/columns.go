package demux

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// maxDeclared bounds the columns that the config gives a type: there is room for
// those of its parser.
const maxDeclared = 400

// columnConfig is a column that the config gives, where that is more than a type.
type columnConfig struct {
	Type config.Value[string] `config:"type,required"`
	Doc  config.Value[string] `config:"doc"`
}

// declared reads the columns of a data type, in the order that they are written in.
func (t *TypeConfig) declared() (cols []schema.Column, problems config.Problems) {
	listed := len(t.Columns.Items()) > 0 && t.Spec.TakesNames() // of its parser's fields, without types
	if t.Columns.Given() && !listed && len(t.Columns.Fields()) == 0 && len(t.Columns.Items())+len(t.Columns.Text()) > 0 {
		return nil, config.Problems{t.Columns.Problemf("want names of columns and their types, such as {status: long}")}
	}
	fields := slices.Concat(t.Columns.Fields(), t.ColumnTypes.Fields())
	if len(fields) > maxDeclared {
		return nil, config.Problems{t.Columns.Problemf("there are %d columns; at most %d are allowed", len(fields), maxDeclared)}
	}
	names := map[string]string{}
	for _, f := range fields {
		c := schema.Column{Name: f.Key}
		typ := config.Value[string]{V: f.Value.Text(), Pos: f.Value.Pos()}
		if len(f.Value.Fields()) > 0 {
			var long columnConfig
			if p := config.Decode(f.Value, &long); len(p) > 0 {
				problems = append(problems, p...)
				continue
			}
			typ, c.Doc = long.Type, long.Doc.V
			if err := schema.CheckDoc(c.Doc); err != nil {
				problems = append(problems, long.Doc.Problemf("%s.doc %v", f.Value.Path(), err))
			}
		}
		c.Type = schema.Declarable[typ.V]
		other := names[schema.Fold(c.Name)]
		switch {
		case schema.IsOfMessages(c.Name) && t.Templates.Given() && bool(t.Templates.V):
			problems = append(problems, f.Value.Problemf("a column %s is made of messages, unless templates are off", schema.Fold(c.Name)))
		case schema.IsCommon(c.Name):
			problems = append(problems, f.Value.Problemf("every table has a column %s, with a type of its own", schema.Fold(c.Name)))
		case !schema.Fit(c.Name):
			problems = append(problems, f.Value.Problemf("this can't be a column's name: it is empty, too long, not printable, or means something else in Iceberg or Parquet"))
		case other != "":
			problems = append(problems, f.Value.Problemf("there is %s already: names of columns differ in more than case", other))
		case c.Type == 0:
			problems = append(problems, typ.Problemf("%s: %q is not a type of a column; allowed: %s", f.Value.Path(), typ.V, oneOf(slices.Sorted(maps.Keys(schema.Declarable)))))
		}
		names[schema.Fold(c.Name)] = c.Name
		cols = append(cols, c)
	}
	return cols, problems
}

// declared returns the columns that the config gives a data type.
func (c *Config) declared(dataType string) []schema.Column {
	t := c.Types[dataType]
	cols, _ := t.declared() // Validate has told the problems
	return cols
}

// rowOptions are those of a Builder of rows for a table that has these columns and keys.
func (d *Demux) rowOptions(dataType string, existing []schema.Column, keys schema.Keys) rows.Options {
	t := d.cfg.Types[dataType]
	return t.rowOptions(existing, keys)
}

// told are the conflicts of declared columns that were told, each once.
type told struct {
	mu   sync.Mutex
	what map[string]bool
}

// conflicts tells the log which columns can't be as the config has them.
func (d *Demux) conflicts(dataType string, list []rows.Conflict) {
	d.told.mu.Lock()
	defer d.told.mu.Unlock()
	for _, c := range list {
		id := strings.Join([]string{dataType, c.Key, c.Type.String(), c.Column, c.Beside}, "\x00")
		if d.told.what[id] || len(d.told.what) > maxDeclared*maxHistory {
			continue
		}
		if d.told.what == nil {
			d.told.what = map[string]bool{}
		}
		d.told.what[id] = true
		switch {
		case c.Made && c.Column == "":
			d.log.Warn("messages get no templates: the table has no room for more columns", "type", dataType, "column", c.Key)
		case c.Made:
			d.log.Warn("messages get no templates: the table has a column of that name already, which akupara table rename gives another one",
				"type", dataType, "column", c.Column)
		case c.Column == "":
			d.log.Warn("a column of the config has no room in the table: its values go to attributes", "type", dataType, "column", c.Key, "wanted", c.Type)
		case c.Beside != "":
			d.log.Warn("a column has another type in the table than in the config: values go to a column beside it from now on",
				"type", dataType, "column", c.Column, "has", c.Has, "wanted", c.Type, "beside", c.Beside)
		default:
			d.log.Warn("a column has another type or another case in the table than in the config: what does not fit it goes to attributes",
				"type", dataType, "column", c.Column, "has", c.Has, "key", c.Key, "wanted", c.Type)
		}
	}
}
