package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestARenamedColumnKeepsItsIDAndItsKeys(t *testing.T) {
	cols, keys := Plan(nil, []Column{{Name: "a", Type: Long}, {Name: "b", Type: String}}, 0), Keys(nil)
	a, b := cols[10].ID, cols[11].ID
	do := func(c Change, want string) {
		t.Helper()
		var err error
		if cols, keys, err = Alter(cols, keys, c); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, c := range cols[10:] {
			got += fmt.Sprintf("%s=%d ", c.Name, c.ID)
		}
		if got += keys.String(); got != want {
			t.Errorf("after %+v: got %s, want %s", c, got, want)
		}
	}
	text := "what it is"
	do(Change{Column: "a", Name: "c"}, fmt.Sprintf(`c=%d b=%d {"a":%[1]d}`, a, b))
	do(Change{Column: "c", Name: "d"}, fmt.Sprintf(`d=%d b=%d {"a":%[1]d,"c":%[1]d}`, a, b))
	do(Change{Column: "d", Name: "a"}, fmt.Sprintf(`a=%d b=%d {"c":%[1]d,"d":%[1]d}`, a, b))
	do(Change{Column: "a", Name: "A"}, fmt.Sprintf(`A=%d b=%d {"a":%[1]d,"c":%[1]d,"d":%[1]d}`, a, b))
	do(Change{Column: "b", Name: "a.b"}, fmt.Sprintf(`A=%d a.b=%d {"a":%[1]d,"b":%[2]d,"c":%[1]d,"d":%[1]d}`, a, b))
	do(Change{Column: "A", Doc: &text}, fmt.Sprintf(`A=%d a.b=%d {"a":%[1]d,"b":%[2]d,"c":%[1]d,"d":%[1]d}`, a, b))
	do(Change{Column: "A", Drop: true}, fmt.Sprintf(`a.b=%d {"A":0,"a":0,"b":%[1]d,"c":0,"d":0}`, b))
	wanted := Plan(cols, []Column{{Name: "c", Type: Long}}, b)
	if got := keys.Revive(cols, wanted).String(); got != fmt.Sprintf(`{"A":0,"a":0,"b":%d,"d":0}`, b) {
		t.Errorf("after the config gave c again: got %s", got)
	}
	if keys.Revive(cols, cols).String() != keys.String() {
		t.Error("keys of no new column changed")
	}
}

func TestChangesOfColumnsThatCantBeSayWhy(t *testing.T) {
	cols := Plan(nil, []Column{{Name: "a", Type: Long}, {Name: "Größe", Type: String}}, 0)
	full := Keys{}
	for i := range MaxKeys {
		full[fmt.Sprint("k", i)] = 0
	}
	bell, long := "\a", strings.Repeat("x", MaxDoc+1)
	for _, c := range []struct {
		change  Change
		keys    Keys
		missing bool
		want    string
	}{
		{Change{Column: "b", Name: "c"}, nil, true, `no column "b"`},
		{Change{Column: "A", Name: "c"}, nil, true, `there is a`},
		{Change{Column: "ts", Name: "time"}, nil, false, "every table has"},
		{Change{Column: "attributes", Drop: true}, nil, false, "every table has"},
		{Change{Column: "a", Name: "Message"}, nil, false, "every table has"},
		{Change{Column: "a", Name: "a"}, nil, false, "has that name"},
		{Change{Column: "a"}, nil, false, "can't be a column's name"},
		{Change{Column: "a", Name: "_partition"}, nil, false, "can't be a column's name"},
		{Change{Column: "a", Name: strings.Repeat("x", 300)}, nil, false, "can't be a column's name"},
		{Change{Column: "a", Name: "GRÖSSE"}, nil, false, ""},
		{Change{Column: "a", Name: "gröẞe"}, nil, false, "there is a column Größe already"},
		{Change{Column: "a", Name: "GRÖßE"}, nil, false, "there is a column Größe already"},
		{Change{Column: "a", Doc: &bell}, nil, false, "no text"},
		{Change{Column: "a", Doc: &long}, nil, false, "at most 1000"},
		{Change{Column: "a", Drop: true}, full, false, "at most 1000"},
	} {
		_, _, err := Alter(cols, c.keys, c.change)
		var refused *ChangeError
		if c.want == "" && err == nil {
			continue
		}
		if !errors.As(err, &refused) || refused.Missing != c.missing || c.want == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.change, err, c.want)
		}
	}
}

func FuzzRename(f *testing.F) {
	for _, name := range []string{"b", "Status", "ts", "ts_hour", "größe", "a.b", "\x00", "a\"b`c", "名前", "tags.key", strings.Repeat("é", 200)} {
		f.Add(name, "b", false)
	}
	f.Add("x", "y", true)
	f.Fuzz(func(t *testing.T, name, then string, drop bool) {
		cols, keys := Plan(nil, []Column{{Name: "a", Type: Long}, {Name: "b", Type: String}}, 0), Keys(nil)
		before := slices.Clone(cols)
		for _, c := range []Change{{Column: "a", Name: name}, {Column: name, Name: then}, {Column: then, Drop: drop, Name: "a"}} {
			had := maps.Clone(keys)
			next, k, err := Alter(cols, keys, c)
			if !maps.Equal(keys, had) {
				t.Fatal("the keys of before changed")
			}
			if err != nil {
				continue
			}
			cols, keys = next, k
			names, ids := map[string]bool{}, map[int]bool{}
			for _, c := range cols {
				if names[Fold(c.Name)] || ids[c.ID] || !Fit(c.Name) {
					t.Fatalf("column %q, %d is there twice, or not fit", c.Name, c.ID)
				}
				names[Fold(c.Name)], ids[c.ID] = true, true
			}
			parsed, err := ParseKeys(keys.String())
			if err != nil || !maps.Equal(parsed, keys) {
				t.Fatalf("keys %v are read as %v, %v", keys, parsed, err)
			}
			for key, id := range keys {
				if id != 0 && !ids[id] {
					t.Fatalf("key %q goes to column %d, which is not there", key, id)
				}
			}
		}
		if before[10].Name != "a" {
			t.Fatal("the columns of before changed")
		}
	})
}
