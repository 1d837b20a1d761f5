package stmt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Counts says that a statement counts the rows of one table by texts and by spans of
// ts. It needs no row then, but of each span and each combination of texts one time
// and how many rows there are.
type Counts struct {
	Table string
	// Columns are those whose texts it looks at, in lower case; some may be aliases.
	Columns []string
	// Widths are what ts is cut into: each time only counts as the multiple of such
	// an interval that it is in.
	Widths []Expr
	Days   bool // it is cut into days, or what is made of whole ones
	tree   map[string]any
}

// Statement returns the statement for json_deserialize_sql, in which the number of
// rows is the sum of a column.
func (c *Counts) Statement(column string) (string, error) {
	b, err := json.Marshal(map[string]any{"error": false, "statements": []any{map[string]any{
		"node": summed(c.tree, column), "named_param_map": []any{},
	}}})
	if err != nil {
		return "", fmt.Errorf("encode statement: %w", err)
	}
	return string(b), nil
}

// countsOf returns what the root of a tree counts, in which these are aliases.
func countsOf(o map[string]any, aliases map[string]bool) (*Counts, bool) {
	leaf := object(o["from_table"])
	if text(o["type"]) != "SELECT_NODE" || text(leaf["type"]) != "BASE_TABLE" || leaf["sample"] != nil || leaf["at_clause"] != nil ||
		len(list(leaf["column_name_alias"])) > 0 || o["sample"] != nil || o["qualify"] != nil || len(list(object(o["cte_map"])["map"])) > 0 {
		return nil, false
	}
	w := counting{Counts: &Counts{Table: strings.ToLower(text(leaf["table_name"])), tree: o}, alias: text(leaf["alias"])}
	if w.alias == "" {
		w.alias = w.Table
	}
	for _, c := range conjuncts(object(o["where_clause"]), nil) {
		bounds, bound := boundsOf(leaf, []map[string]any{leaf}, leaf, []map[string]any{c})
		aliased := slices.ContainsFunc(bounds, func(b Bound) bool {
			return slices.ContainsFunc(b.Names, func(name string) bool { return aliases[name] })
		})
		if aliased || !bound && !w.expr(c) {
			return nil, false
		}
	}
	for _, e := range list(o["select_list"]) {
		if e := object(e); !isCount(e) && !w.expr(e) {
			return nil, false // a count within an expression would change its name
		}
		w.counts = w.counts || isCount(object(e))
	}
	rest := []any{o["group_expressions"], o["having"]}
	for _, m := range list(o["modifiers"]) {
		m := object(m)
		rest = append(rest, m["limit"], m["offset"], m["distinct_on_targets"])
		for _, order := range list(m["orders"]) {
			if !isAll(order) {
				rest = append(rest, object(order)["expression"])
			}
		}
	}
	w.inner = true
	return w.Counts, w.all(rest) && w.counts && (w.Days || len(w.Widths)+len(w.Columns) > 0)
}

type counting struct {
	*Counts
	alias  string // of the table
	counts bool
	inner  bool // counts are allowed within expressions
}

// all reports whether all parts are known to be of texts, spans and counts alone.
func (w *counting) all(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(x any) bool { return !w.all(x) })
	case map[string]any:
		return w.expr(v)
	}
	return false
}

func (w *counting) expr(e map[string]any) bool {
	switch text(e["class"]) {
	case "CONSTANT":
		return true
	case "COLUMN_REF":
		names := list(e["column_names"])
		name := ""
		if len(names) > 0 {
			name = strings.ToLower(text(names[len(names)-1]))
		}
		if name == "" || refersToTS(e, w.alias) || name == "ts" || len(names) > 2 || len(names) == 2 && !strings.EqualFold(text(names[0]), w.alias) {
			return false
		}
		w.Columns = append(w.Columns, name)
		return true
	case "FUNCTION":
		if text(e["schema"]) != "" || e["filter"] != nil || e["distinct"] == true || len(list(object(e["order_bys"])["orders"])) > 0 {
			return false
		}
		return w.inner && isCount(e) || w.cut(e) || slices.Contains(rowFunctions, strings.ToLower(text(e["function_name"]))) && w.all(e["children"])
	case "CAST":
		child := object(e["child"])
		if refersToTS(child, w.alias) && text(object(e["cast_type"])["id"]) == "DATE" {
			w.Days = true
			return true
		}
		return w.expr(child)
	case "OPERATOR", "CONJUNCTION":
		return w.all(e["children"])
	case "COMPARISON":
		return w.expr(object(e["left"])) && w.expr(object(e["right"]))
	}
	return false
}

// cut reports whether a call cuts ts into spans.
func (w *counting) cut(e map[string]any) bool {
	args := list(e["children"])
	if len(args) != 2 || !refersToTS(object(args[1]), w.alias) {
		return false
	}
	switch strings.ToLower(text(e["function_name"])) {
	case "date_trunc", "datetrunc":
		part, ok := literal(args[0])
		if !ok {
			return false
		}
		switch part := strings.ToLower(part); part {
		case "second", "seconds", "minute", "minutes", "hour", "hours":
			w.Widths = append(w.Widths, interval("1 "+part))
		case "day", "days", "week", "weeks", "month", "months", "quarter", "quarters", "year", "years":
			w.Days = true
		default:
			return false
		}
		return true
	case "time_bucket":
		var names []string
		width := object(args[0])
		w.Widths = append(w.Widths, width)
		return constant(width, &names) && len(names) == 0
	}
	return false
}

// interval is the expression of an interval.
func interval(s string) Expr {
	varchar := map[string]any{"id": "VARCHAR", "type_info": nil}
	return Expr{
		"class": "CAST", "type": "OPERATOR_CAST", "alias": "", "query_location": 0, "try_cast": false,
		"cast_type": map[string]any{"id": "INTERVAL", "type_info": nil},
		"child":     map[string]any{"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": 0, "value": map[string]any{"type": varchar, "is_null": false, "value": s}},
	}
}

// isCount reports whether an expression is count(*).
func isCount(e map[string]any) bool {
	return text(e["class"]) == "FUNCTION" && strings.EqualFold(text(e["function_name"]), "count_star") && text(e["schema"]) == "" &&
		e["filter"] == nil && e["distinct"] != true && e["export_state"] != true && len(list(e["children"])) == 0
}

// summed returns a copy of a part of the tree in which each count of rows is a sum, of
// the name that the count has.
func summed(v any, column string) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = summed(v[i], column)
		}
		return out
	case map[string]any:
		if isCount(v) {
			return sumOf(column, text(v["alias"]))
		}
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = summed(x, column)
		}
		if l := list(v["select_list"]); l != nil {
			for i, e := range l {
				if e := object(e); isCount(e) && text(e["alias"]) == "" {
					out["select_list"].([]any)[i] = sumOf(column, "count_star()")
				}
			}
		}
		return out
	}
	return v
}

// sumOf is CAST(coalesce(sum(column), 0) AS BIGINT) AS alias.
func sumOf(column, alias string) map[string]any {
	bigint := map[string]any{"id": "BIGINT", "type_info": nil}
	sum := map[string]any{
		"class": "FUNCTION", "type": "FUNCTION", "alias": "", "query_location": 0, "function_name": "sum", "schema": "", "catalog": "",
		"children": []any{map[string]any{"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "query_location": 0, "column_names": []any{column}}},
		"filter":   nil, "order_bys": map[string]any{"type": "ORDER_MODIFIER", "orders": []any{}}, "distinct": false, "is_operator": false, "export_state": false,
	}
	zero := map[string]any{"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": 0, "value": map[string]any{"type": bigint, "is_null": false, "value": 0}}
	return map[string]any{
		"class": "CAST", "type": "OPERATOR_CAST", "alias": alias, "query_location": 0, "try_cast": false, "cast_type": bigint,
		"child": map[string]any{"class": "OPERATOR", "type": "OPERATOR_COALESCE", "alias": "", "query_location": 0, "children": []any{sum, zero}},
	}
}
