package stmt

import (
	"slices"
	"strings"
)

// A WHERE clause bounds the rows that a SELECT needs of a table when it is a
// conjunction in which ts of that very table is compared with a constant:
// whatever the other conditions and the joins, a row for which the comparison
// is not true, or that an outer join filled with nulls, is not in the result.
// So rows that cannot fulfil it need not be read, except where a join looks
// for the nearest row or the next one (ASOF, POSITIONAL), or hides its right
// side (SEMI, ANTI). Everything else is taken to need all rows.

// selectNode notes the tables in FROM with the bounds that WHERE sets.
func (w *walker) selectNode(o map[string]any) error {
	from := object(o["from_table"])
	leaves, ok := joined(from)
	if !ok || o["sample"] != nil {
		return w.children(o)
	}
	conds := conjuncts(object(o["where_clause"]), nil)
	for _, leaf := range leaves {
		if text(leaf["type"]) != "BASE_TABLE" {
			if err := w.walk(leaf); err != nil {
				return err
			}
			continue
		}
		w.noteNames(leaf)
		var bounds []Bound
		whole := len(conds) == 0
		if leaf["sample"] == nil && leaf["at_clause"] == nil && len(list(leaf["column_name_alias"])) == 0 {
			bounds, whole = boundsOf(leaf, leaves, from, conds)
		}
		if err := w.table(leaf, bounds); err != nil {
			return err
		}
		if len(leaves) == 1 && leaf["sample"] == nil && leaf["at_clause"] == nil && len(list(leaf["column_name_alias"])) == 0 {
			w.entry(text(leaf["table_name"])).texts = textsOf(conds)
		}
		if top, ok := topOf(o); ok {
			top.Filtered = !whole
			w.entry(text(leaf["table_name"])).top = &top
		}
	}
	// What joins the leaves: conditions, which may hold subqueries.
	if err := w.joinConditions(from); err != nil {
		return err
	}
	return w.children(o, "from_table")
}

// joined returns the leaves of a tree of plain joins.
func joined(from map[string]any) (leaves []map[string]any, ok bool) {
	switch {
	case from == nil:
		return nil, false
	case text(from["type"]) != "JOIN":
		return []map[string]any{from}, true
	case !slices.Contains([]string{"REGULAR", "CROSS"}, text(from["ref_type"])),
		!slices.Contains([]string{"INNER", "LEFT", "RIGHT", "FULL", "OUTER"}, text(from["join_type"])):
		return nil, false
	}
	left, ok := joined(object(from["left"]))
	if !ok {
		return nil, false
	}
	right, ok := joined(object(from["right"]))
	return append(left, right...), ok
}

func (w *walker) joinConditions(from map[string]any) error {
	if text(from["type"]) != "JOIN" {
		return nil
	}
	w.noteNames(from)
	for _, side := range []string{"left", "right"} {
		if err := w.joinConditions(object(from[side])); err != nil {
			return err
		}
	}
	return w.children(from, "left", "right")
}

func conjuncts(where map[string]any, out []map[string]any) []map[string]any {
	if where == nil {
		return out
	}
	if text(where["type"]) != "CONJUNCTION_AND" {
		return append(out, where)
	}
	for _, c := range list(where["children"]) {
		out = conjuncts(object(c), out)
	}
	return out
}

// boundsOf returns the comparisons of leaf's ts, and whether the conditions are
// these alone.
func boundsOf(leaf map[string]any, leaves []map[string]any, from map[string]any, conds []map[string]any) (out []Bound, whole bool) {
	alias := text(leaf["alias"])
	if alias == "" {
		alias = text(leaf["table_name"])
	}
	isTS := func(v any) bool {
		o := object(v)
		if text(o["type"]) != "COLUMN_REF" {
			return false
		}
		names := list(o["column_names"])
		switch len(names) {
		case 1:
			// With another table beside it DuckDB calls it ambiguous, unless
			// that one has no ts; USING merges two columns into one.
			return strings.EqualFold(text(names[0]), "ts") && (len(leaves) == 1 || !merges(from) && tables(leaves) == 1)
		case 2:
			return strings.EqualFold(text(names[0]), alias) && strings.EqualFold(text(names[1]), "ts")
		}
		return false
	}
	add := func(op string, value any) bool {
		var names []string
		e := object(value)
		if e == nil || !constant(e, &names) {
			return false
		}
		out = append(out, Bound{op, e, names})
		return true
	}
	whole = true
	for _, c := range conds {
		op, compares := comparisons[text(c["type"])]
		switch {
		case compares && isTS(c["left"]):
			whole = add(op, c["right"]) && whole
		case compares && isTS(c["right"]):
			whole = add(flipped[op], c["left"]) && whole
		case text(c["type"]) == "COMPARE_BETWEEN" && isTS(c["input"]):
			lower := add(">=", c["lower"])
			whole = add("<=", c["upper"]) && lower && whole
		default:
			whole = false
		}
	}
	return out, whole
}

var comparisons = map[string]string{
	"COMPARE_EQUAL": "=", "COMPARE_LESSTHAN": "<", "COMPARE_LESSTHANOREQUALTO": "<=",
	"COMPARE_GREATERTHAN": ">", "COMPARE_GREATERTHANOREQUALTO": ">=",
}

var flipped = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func merges(from map[string]any) bool {
	if text(from["type"]) != "JOIN" {
		return false
	}
	return len(list(from["using_columns"])) > 0 || merges(object(from["left"])) || merges(object(from["right"]))
}

func tables(leaves []map[string]any) int {
	n := 0
	for _, l := range leaves {
		if text(l["type"]) == "BASE_TABLE" {
			n++
		}
	}
	return n
}

var (
	constantFunctions = []string{
		"+", "-", "*", "now", "get_current_timestamp", "current_timestamp", "transaction_timestamp", "today", "current_date",
		"date_trunc", "datetrunc", "to_timestamp", "epoch_ms", "make_timestamp", "make_timestamptz", "make_date",
		"to_microseconds", "to_milliseconds", "to_seconds", "to_minutes", "to_hours", "to_days",
		"to_weeks", "to_months", "to_quarters", "to_years", "trunc", "timezone",
	}
	constantWords = []string{"current_timestamp", "current_date", "now", "today"}
	constantCasts = []string{
		"TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE", "INTERVAL", "DOUBLE", "INTEGER", "BIGINT",
	}
)

// constant reports whether an expression has the same value for all rows of a
// transaction, and is made of nothing but what is known here.
func constant(e map[string]any, names *[]string) bool {
	switch text(e["class"]) {
	case "CONSTANT":
		return true
	case "COLUMN_REF":
		n := list(e["column_names"])
		if len(n) != 1 || !slices.Contains(constantWords, strings.ToLower(text(n[0]))) {
			return false
		}
		*names = append(*names, strings.ToLower(text(n[0])))
		return true
	case "CAST":
		child := object(e["child"])
		return child != nil && slices.Contains(constantCasts, text(object(e["cast_type"])["id"])) && constant(child, names)
	case "FUNCTION":
		if !slices.Contains(constantFunctions, strings.ToLower(text(e["function_name"]))) || text(e["schema"]) != "" {
			return false
		}
		for _, c := range list(e["children"]) {
			if o := object(c); o == nil || !constant(o, names) {
				return false
			}
		}
		return e["filter"] == nil && len(list(object(e["order_bys"])["orders"])) == 0
	}
	return false
}

// textsOf returns what the conditions say of columns that are equal to texts.
func textsOf(conds []map[string]any) (out []Texts) {
	for _, c := range conds {
		var column any
		var values []any
		switch text(c["type"]) {
		case "COMPARE_EQUAL":
			column, values = c["left"], []any{c["right"]}
			if text(object(column)["type"]) != "COLUMN_REF" {
				column, values = c["right"], []any{c["left"]}
			}
		case "COMPARE_IN":
			if children := list(c["children"]); len(children) > 1 {
				column, values = children[0], children[1:]
			}
		}
		names := list(object(column)["column_names"])
		if text(object(column)["type"]) != "COLUMN_REF" || len(names) != 1 {
			continue
		}
		t := Texts{Column: strings.ToLower(text(names[0]))}
		for _, v := range values {
			s, ok := literal(v)
			if !ok {
				t.Any = nil
				break
			}
			t.Any = append(t.Any, s)
		}
		if t.Any != nil {
			out = append(out, t)
		}
	}
	return out
}

// literal returns the text that a constant is.
func literal(v any) (string, bool) {
	value := object(object(v)["value"])
	s, ok := value["value"].(string)
	return s, ok && text(object(v)["class"]) == "CONSTANT" && text(object(value["type"])["id"]) == "VARCHAR" && value["is_null"] != true
}

// finish drops the bounds whose words may be columns.
func (w *walker) finish() {
	for _, t := range w.st.Tables {
		t.texts = slices.DeleteFunc(t.texts, func(c Texts) bool { return w.aliases[c.Column] })
		if w.aliases["ts"] {
			t.top = nil // ORDER BY may mean that one
		}
		for i, use := range t.uses {
			t.uses[i] = slices.DeleteFunc(use, func(b Bound) bool {
				return slices.ContainsFunc(b.Names, func(n string) bool { return w.aliases[n] })
			})
			if t.top != nil && len(t.uses[i]) < len(use) {
				t.top.Filtered = true
			}
			if len(t.uses[i]) == 0 {
				t.unbounded = true
			}
		}
	}
}
