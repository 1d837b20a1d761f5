package demux

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/schema"
)

// templatesOf are the messages of all rows, ascending, each with its template and the
// template's id.
func templatesOf(t *testing.T, rows []map[string]string) (out []string) {
	t.Helper()
	for _, r := range rows {
		out = append(out, r[schema.Message]+" | "+r[schema.Template]+" | "+r[schema.TemplateID])
	}
	slices.Sort(out)
	return out
}

// What a message's template is does not depend on what came before it.
func TestTemplatesDoNotDependOnTheOrderOfArrival(t *testing.T) {
	var log logged
	var chunks []chunk.Chunk
	for i := range 40 {
		c := log.chunk(fmt.Sprintf("user u%d logged in from 10.0.0.%d", i, i), "disk full", fmt.Sprintf("took %d ms", i), "disk full")[0]
		c.Stream = fmt.Sprint("s", i%8)
		chunks = append(chunks, c)
	}
	var want []string
	for range 3 {
		st := testStore(t)
		d := configured(t, st, "{app: {parser: raw}}")
		for i := 0; i < len(chunks); i += 10 {
			publish(t, st, chunks[i:i+10])
			runOnce(t, d)
		}
		got := templatesOf(t, wholeTable(t, st))
		if want == nil {
			want = got
		}
		if len(got) != 160 || !slices.Equal(got, want) {
			t.Errorf("got %d rows\n%s\nwant\n%s", len(got), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		rand.Shuffle(len(chunks), func(i, j int) { chunks[i], chunks[j] = chunks[j], chunks[i] })
	}
	if want[0] != "disk full | disk full | 8c96d76f620269be" || !strings.HasPrefix(want[159], "user u9 logged in from 10.0.0.9 | user <*> logged in from <*> | ") {
		t.Errorf("got %s … %s", want[0], want[159])
	}
}

// A type's messages have templates unless they are off. Rows from before get theirs
// when they are made anew.
func TestATableGetsTemplatesWhenTheyAreOn(t *testing.T) {
	st := testStore(t)
	var log logged
	publish(t, st, log.chunk("took 1 ms"))
	runOnce(t, configured(t, st, "{app: {parser: raw, templates: off}}"))
	if got := ownColumns(openApp(t, st)); len(got) > 0 {
		t.Fatalf("got columns %v, want none", got)
	}
	d := configured(t, st, "{app: {parser: raw}}")
	publish(t, st, log.chunk("took 2 ms"))
	runOnce(t, d)
	if got, want := ownColumns(openApp(t, st)), []string{"template:string", "template_id:string"}; !slices.Equal(got, want) {
		t.Fatalf("got columns %v, want %v", got, want)
	}
	of := func() (out []string) {
		for _, r := range wholeTable(t, st) {
			out = append(out, r[schema.Template])
		}
		slices.Sort(out)
		return out
	}
	if got, want := of(), []string{"", "took <*>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if rep, err := d.Redo(t.Context(), Redo{Type: "app"}, 0); err != nil || rep.RowsAfter != 2 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	if got, want := of(), []string{"took <*>", "took <*>"}; !slices.Equal(got, want) {
		t.Errorf("made anew: got %q, want %q", got, want)
	}
	if _, err := openApp(t, st).Alter(t.Context(), schema.Change{Column: "template", Drop: true}); err == nil {
		t.Error("a column that is made of messages was dropped")
	}
}

// Records without messages have none, and what records call a template stays theirs.
func TestRecordsWithoutMessagesHaveNoTemplates(t *testing.T) {
	st := testStore(t)
	d := configured(t, st, "{app: {parser: json}}")
	var log logged
	publish(t, st, log.chunk(`{"cpu":1,"template":"home.html"}`))
	runOnce(t, d)
	wantValues(t, st, "attributes=template=home.html cpu=1")
	publish(t, st, log.chunk(`{"message":"took 5 ms","template":"home.html"}`))
	runOnce(t, d)
	got := wholeTable(t, st)
	i := slices.IndexFunc(got, func(r map[string]string) bool { return r[schema.Message] == "took 5 ms" })
	if r := got[i]; r[schema.Template] != "took <*>" || r[schema.Attributes] != "template=home.html " {
		t.Errorf("got %v", r)
	}
}

func TestColumnsOfTemplatesAreTheConfigsWhereItGivesThem(t *testing.T) {
	st := testStore(t)
	d := configured(t, st, "{app: {parser: json, columns: {template: long}}}")
	var log logged
	publish(t, st, log.chunk(`{"message":"took 5 ms","template":7}`))
	runOnce(t, d)
	wantValues(t, st, "template=7")
	for text, want := range map[string]string{
		"{app: {parser: json, templates: maybe}}":                         "on or off",
		"{app: {parser: json, templates: on, columns: {template: long}}}": "a column template is made of messages, unless templates are off",
	} {
		c := DefaultConfig()
		root, problems := config.Parse("f", []byte("types: "+text))
		problems = append(problems, config.Decode(root, &c)...)
		problems = append(problems, c.Validate(root)...)
		if !strings.Contains(fmt.Sprint(problems), want) {
			t.Errorf("%s: got %v, want %q", text, problems, want)
		}
	}
}
