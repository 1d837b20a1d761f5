package demux

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
)

// rowsShared is what tasks share that make rows of one table.
type rowsShared struct {
	Config  string          `json:"config"` // the section demux, as it was written
	Type    string          `json:"type"`
	Run     string          `json:"run"`
	Now     time.Time       `json:"now"`
	Table   []schema.Column `json:"table"` // its columns
	Keys    schema.Keys     `json:"keys"`
	Columns []schema.Column `json:"columns"` // that it will have, as far as is known
	// HashKeys tells the keys of the type's steps: those are not in the config.
	HashKeys string `json:"hash_keys,omitempty"`
}

// madeRows is what each such task tells.
type madeRows struct {
	// Wants are columns that Columns lacks, or has with a narrower type. Then there
	// are no files.
	Wants   []schema.Column  `json:"wants,omitempty"`
	Files   []table.DataFile `json:"files,omitempty"`
	Records int64            `json:"records,omitempty"`
	Failed  int64            `json:"failed,omitempty"` // rows with a parse_error
}

// demux is one that does a task, by the config of the one that planned it.
func (n node) demux(s *rowsShared) (*Demux, error) {
	cfg, err := configOf(s.Config)
	if err != nil {
		return nil, err
	}
	if t := cfg.Types[s.Type]; t.Steps.HashKeys() != s.HashKeys {
		return nil, fmt.Errorf("type %s: key_file of its steps holds another key here than where the run was planned", s.Type)
	}
	return New(cfg, n.fs, n.baseURI, n.log, prometheus.NewRegistry()), nil
}

// removeRows removes the files of rows that are not counted.
func (n node) removeRows(ctx context.Context, m *madeRows) {
	New(DefaultConfig(), n.fs, n.baseURI, n.log, prometheus.NewRegistry()).removeFiles(ctx, "", m.Files)
}

// options are those of a builder of a task's rows.
func (s *rowsShared) options(d *Demux) rows.Options {
	o := d.rowOptions(s.Type, s.Table, s.Keys)
	o.Begun = s.Columns[min(len(s.Table), len(s.Columns)):]
	return o
}

// take counts rows that have to be written, and notes which of their columns the table
// will not have: none of them may be written then.
func (m *madeRows) take(s *rowsShared, b *rows.Builder) (write bool) {
	for _, c := range b.Columns() {
		i := slices.IndexFunc(s.Columns, func(o schema.Column) bool { return schema.Fold(o.Name) == schema.Fold(c.Name) })
		if i >= 0 && (i < len(s.Table) || s.Columns[i].Type == c.Type) {
			continue
		}
		m.Wants = widen(m.Wants, []schema.Column{c})
	}
	if len(m.Wants) > 0 {
		return false
	}
	m.Records += int64(b.Len())
	m.Failed += b.Failed()
	return true
}

// tabling has tasks make rows of one table: tasks T, of each of which comes an R.
type tabling[T, R any] struct {
	*Demux
	kind    string
	table   *table.Table
	shared  rowsShared
	tasks   []T
	results []*R
	rows    func(*R) *madeRows
	wanted  []schema.Column // beside the table's
	surplus map[string]bool // columns that there was no room for, by the folded name
}

func newTabling[T, R any](d *Demux, kind, dataType, run string, t *table.Table, rows func(*R) *madeRows) tabling[T, R] {
	of := d.cfg.Types[dataType]
	return tabling[T, R]{
		Demux: d, kind: kind, table: t, rows: rows,
		shared: rowsShared{
			Config: d.cfg.text, Type: dataType, Run: run, Now: time.Now().UTC(),
			Table: t.Columns(), Keys: t.Keys(), Columns: t.PlanColumns(nil),
			HashKeys: of.Steps.HashKeys(),
		},
	}
}

// maxSpreads bounds how often tasks are done again because their rows need other
// columns: each time the columns are more, or wider.
const maxSpreads = 8

// work has the tasks done, until all of their rows are in files. After an error there
// are none.
func (s *tabling[T, R]) work(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			s.discard(ctx)
		}
	}()
	s.results = make([]*R, len(s.tasks))
	todo := make([]int, len(s.tasks))
	for i := range todo {
		todo[i] = i
	}
	for round := 1; len(todo) > 0; round++ {
		if round > maxSpreads {
			return fmt.Errorf("the columns of %s %s are others each time", s.kind, s.shared.Run)
		}
		tasks := make([]T, len(todo))
		for k, i := range todo {
			tasks[k] = s.tasks[i]
		}
		results, err := doTasks[T, R](ctx, s.Demux, work{s.kind, s.shared.Type, s.shared.Run, round}, &s.shared, tasks)
		for k, i := range todo {
			s.results[i] = results[k]
		}
		if err != nil {
			return err
		}
		todo = s.again(ctx, todo)
	}
	return nil
}

// again returns which tasks have to be done again, with the columns that those need
// that were done.
func (s *tabling[T, R]) again(ctx context.Context, done []int) (todo []int) {
	before, known := s.shared.Columns, len(s.wanted)
	for _, i := range done {
		m := s.rows(s.results[i])
		if len(m.Wants) == 0 {
			continue
		}
		s.wanted = widen(s.wanted, m.Wants)
		todo = append(todo, i)
		if len(m.Files) > 0 {
			s.removeFiles(ctx, s.shared.Type, m.Files)
		}
		s.results[i] = nil
	}
	s.fit(known)
	s.shared.Columns = s.table.PlanColumns(s.wanted)
	if len(s.shared.Columns) < len(before) || !slices.Equal(s.shared.Columns[:len(before)], before) {
		// Files have columns with types that those will not have.
		s.discard(ctx)
		todo = todo[:0]
		for i := range s.tasks {
			todo = append(todo, i)
		}
	}
	return todo
}

// fit takes out of the wanted columns, of which so many were known before, those that
// there is no room for: what comes under their keys goes to attributes. Those that
// tasks want all the same can't do without a column.
func (s *tabling[T, R]) fit(known int) {
	room := schema.MaxColumns - len(s.table.PlanColumns(nil))
	if len(s.wanted) <= room {
		return
	}
	fresh := slices.Clone(s.wanted[known:])
	ofMessages := func(c schema.Column) bool {
		return slices.ContainsFunc(schema.OfMessages(), func(d schema.Column) bool { return c.Name == d.Name && c.Doc == d.Doc })
	}
	first := slices.DeleteFunc(slices.Clone(fresh), func(c schema.Column) bool { return !ofMessages(c) })
	s.wanted = s.wanted[:known]
	for _, c := range append(first, slices.DeleteFunc(fresh, ofMessages)...) {
		switch name := schema.Fold(c.Name); {
		case len(s.wanted) < room, s.surplus[name]:
			s.wanted = append(s.wanted, c)
		case s.surplus == nil:
			s.surplus = map[string]bool{name: true}
		default:
			s.surplus[name] = true
		}
	}
}

// made sums up what the tasks made.
func (s *tabling[T, R]) made() (sum madeRows) {
	for _, r := range s.results {
		if r != nil {
			m := s.rows(r)
			sum.Files = append(sum.Files, m.Files...)
			sum.Records += m.Records
			sum.Failed += m.Failed
		}
	}
	return sum
}

// discard removes what the tasks made.
func (s *tabling[T, R]) discard(ctx context.Context) {
	if files := s.made().Files; len(files) > 0 {
		s.removeFiles(ctx, s.shared.Type, files)
	}
	for i := range s.results {
		s.results[i] = nil
	}
	s.orphaned.add(s.shared.Type) // attempts that failed may have left some, too
}

// widen adds columns to others; those of one name become as wide as both.
func widen(to, columns []schema.Column) []schema.Column {
	if slices.Equal(to, columns) { // as the tasks of a run mostly say
		return to
	}
	for _, c := range columns {
		i := slices.IndexFunc(to, func(o schema.Column) bool { return schema.Fold(o.Name) == schema.Fold(c.Name) })
		switch {
		case i < 0:
			to = append(to, schema.Column{Name: c.Name, Type: c.Type, Doc: c.Doc})
		case to[i].Type == c.Type, to[i].Name != c.Name: // what is spelled otherwise goes to attributes
		case numbers(to[i].Type) && numbers(c.Type):
			to[i].Type = schema.Double
		default:
			to[i].Type = schema.String
		}
	}
	return to
}

func numbers(t schema.Type) bool { return t == schema.Long || t == schema.Double }
