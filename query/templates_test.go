package query

import (
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/schema"
)

// The view of templates is made of the rows of all tables that have some, as the
// statement needs it.
func TestTemplatesOfAllTablesAreOneView(t *testing.T) {
	w := newWorld(t)
	cols := columns(schema.OfMessages()...)
	w.table("app", cols)
	w.table("other", cols)
	w.table("cpu", columns())
	w.table("web", columns(schema.Column{Name: "template", Type: schema.String})) // the records' own
	own := func(n string) map[string]string {
		return map[string]string{"template": "'word' || " + n + " || ' <*>'", "template_id": "'id' || " + n, "message": "'word' || " + n + " || ' ' || i"}
	}
	w.add("app", cols, day(1, 0), 10, own("(i % 2)"))
	w.add("app", cols, day(2, 0), 10, own("(i % 3)"))
	w.add("other", cols, day(2, 1), 4, map[string]string{"template": "if(i = 3, NULL, 'same <*>')", "template_id": "if(i = 3, NULL, 'id9')"})
	w.add("cpu", columns(), day(1, 0), 3, nil)
	w.add("web", w.tables.tables["web"].cols, day(1, 0), 3, map[string]string{"template": "'x'"})
	e := w.engine(Options{})
	for _, tc := range []struct{ sql, want string }{
		{"select type, template_id, template, first_seen, last_seen, count, example from templates where template_id in ('id0', 'id2', 'id9') order by all",
			`app,id0,word0 <*>,2026-03-01T00:00:00.000000Z,2026-03-02T00:00:09.000000Z,9,word0 9|` +
				`app,id2,word2 <*>,2026-03-02T00:00:02.000000Z,2026-03-02T00:00:08.000000Z,3,word2 8|` +
				`other,id9,same <*>,2026-03-02T01:00:00.000000Z,2026-03-02T01:00:02.000000Z,3,line 2`},
		{"select type, template from templates where first_seen >= timestamptz '2026-03-02' order by all", "app,word2 <*>|other,same <*>"},
		{"select template, count from templates where type = 'other'", "same <*>,3"},
		{"select count(*) from templates t join app a using (template_id) where t.type = 'app'", "20"},
		{"with templates as (select 1 as x) select * from templates", "1"},
		{"select count(*) from templates where type = 'cpu'", "0"},
	} {
		if got := lines(t, e, tc.sql); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.sql, got, tc.want)
		}
	}
	if got := ask(t, e, "csv", "explain select template from templates where type = 'other'"); strings.Contains(got, "app") {
		t.Errorf("a type that was not asked for is read: %s", got)
	}
	w.table("templates", columns())
	if got := lines(t, w.engine(Options{}), "select count(*) from templates"); got != "0" {
		t.Errorf("a table of that name has %s rows, want 0", got)
	}
}
