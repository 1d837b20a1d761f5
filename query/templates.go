package query

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/query/internal/stmt"
)

// overviewName names a view of all templates of all tables, unless there is a table of
// that name. It is made of the rows that there are, so it is exact at any moment.
const overviewName = "templates"

// addTemplated adds the tables whose messages have templates to those that the
// statement reads, and plans the view over them. overview is what the statement asks
// of that one.
func (q *session) addTemplated(ctx context.Context, st *stmt.Statement, overview *stmt.Table, snaps map[string]snapshot) error {
	names, err := q.e.tables.List(ctx)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, t := range overview.Texts() {
		if t.Column == "type" {
			names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(t.Any, name) })
		}
	}
	example := !st.Named || st.Words["example"]
	read := []string{schema.TS, schema.Template, schema.TemplateID}
	if example {
		read = append(read, schema.Message)
	}
	var parts []string
	for _, name := range names {
		snap := snaps[name]
		if snap == nil {
			switch snap, err = q.e.tables.Open(ctx, name); {
			case errors.Is(err, fs.ErrNotExist): // it went meanwhile
				continue
			case err != nil:
				return fmt.Errorf("open table %s (`where type = '…'` leaves it out): %w", name, err)
			}
		}
		if !hasTemplates(snap.Columns()) {
			continue
		}
		snaps[name] = snap
		st.Also(name, read...)
		part := "SELECT " + quote(name) + " AS type, template_id, any_value(template) AS template, min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS count"
		if example {
			part += ", arg_max(message, ts) AS example"
		}
		parts = append(parts, part+" FROM "+ident(name)+" WHERE template_id IS NOT NULL GROUP BY template_id")
	}
	if len(parts) == 0 {
		parts = []string{"SELECT '' AS type, '' AS template_id, '' AS template, now() AS first_seen, now() AS last_seen, 0::BIGINT AS count, '' AS example WHERE false"}
	}
	q.overview = "CREATE OR REPLACE TEMP VIEW " + overviewName + " AS " + strings.Join(parts, " UNION ALL ")
	return nil
}

// hasTemplates reports whether a table has the columns that are made of messages.
func hasTemplates(cols []schema.Column) bool {
	for _, want := range schema.OfMessages() {
		if !slices.ContainsFunc(cols, func(c schema.Column) bool { return c.Name == want.Name && c.Doc == want.Doc }) {
			return false
		}
	}
	return true
}
