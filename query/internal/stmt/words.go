package stmt

import (
	"slices"
	"strings"
)

// understood are the kinds of FROM of which it is known that columns are named
// where they are used.
var understood = []string{"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST", "COLUMN_DATA", "CTE"}

// wordsOf returns every text in the tree, in lower case, among which is the name of
// every column that the statement needs; ok is false where it may need columns that
// it doesn't name: by *, as a whole row, or in a way that is not understood.
func wordsOf(tree any) (words map[string]bool, ok bool) {
	c := collector{words: map[string]bool{}, rows: map[string]bool{}, ok: true}
	c.collect(tree)
	for _, name := range c.single {
		c.ok = c.ok && !c.rows[name]
	}
	return c.words, c.ok
}

type collector struct {
	words  map[string]bool
	rows   map[string]bool // names of what FROM names
	single []string        // names without another before them
	ok     bool
}

func (c *collector) collect(v any) {
	switch v := v.(type) {
	case string:
		c.words[strings.ToLower(v)] = true
	case []any:
		for _, x := range v {
			c.collect(x)
		}
	case map[string]any:
		c.object(v)
		for k, x := range v {
			if k == "orders" {
				x = slices.DeleteFunc(slices.Clone(list(x)), isAll)
			}
			c.collect(x)
		}
	}
}

// isAll reports whether an order is that of ORDER BY ALL: of what is selected.
func isAll(order any) bool {
	e := object(object(order)["expression"])
	return text(e["class"]) == "STAR" && e["expr"] == nil
}

func (c *collector) object(o map[string]any) {
	if from := object(o["from_table"]); from != nil {
		c.from(from)
	}
	names := list(o["column_names"])
	switch {
	case text(o["class"]) == "STAR" || text(o["class"]) == "POSITIONAL_REFERENCE" || text(o["ref_type"]) == "NATURAL":
		c.ok = false
	case text(o["class"]) == "COLUMN_REF" && len(names) == 1:
		c.single = append(c.single, strings.ToLower(text(names[0])))
	}
}

// from notes the names of a tree of joins.
func (c *collector) from(o map[string]any) {
	if !slices.Contains(understood, text(o["type"])) {
		c.ok = false
	}
	for _, key := range []string{"alias", "table_name"} {
		if name := text(o[key]); name != "" {
			c.rows[strings.ToLower(name)] = true
		}
	}
	c.ok = c.ok && len(list(o["column_name_alias"])) == 0
	for _, side := range []string{"left", "right"} {
		if child := object(o[side]); child != nil {
			c.from(child)
		}
	}
}
