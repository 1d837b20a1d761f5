package stmt

import (
	"encoding/json"
	"slices"
	"strings"
)

// Top says that a SELECT takes the newest or oldest rows of a table, in the
// order of ts: of all rows that fulfil its conditions, the first Skip + Limit.
// What sorts behind them is not looked at, so whoever knows rows that many of
// which fulfil the conditions needs none behind them.
type Top struct {
	Newest      bool // else the oldest
	Limit, Skip int64
	// Filtered is set where it has other conditions than the table's bounds.
	Filtered bool
	// Root is set where the SELECT is the whole statement: as many rows as Limit
	// come out of it if that many fulfil the conditions.
	Root bool
}

// maxTop is the most rows that are taken for few.
const maxTop = 1_000_000

// topOf returns what an object of the tree takes, for a SELECT ... FROM one table
// ORDER BY ts ... LIMIT n, in which each row of the table gives one of the result.
func topOf(o map[string]any) (top Top, ok bool) {
	leaf := object(o["from_table"])
	modifiers := list(o["modifiers"])
	if text(leaf["type"]) != "BASE_TABLE" || leaf["sample"] != nil || o["sample"] != nil || leaf["at_clause"] != nil ||
		len(list(leaf["column_name_alias"])) > 0 || o["having"] != nil || o["qualify"] != nil || len(list(o["group_expressions"])) > 0 ||
		len(list(o["group_sets"])) > 0 || text(o["aggregate_handling"]) != "STANDARD_HANDLING" || len(modifiers) != 2 {
		return Top{}, false
	}
	order, limit := object(modifiers[0]), object(modifiers[1])
	if text(order["type"]) != "ORDER_MODIFIER" || text(limit["type"]) != "LIMIT_MODIFIER" || len(list(order["orders"])) == 0 {
		return Top{}, false
	}
	alias := text(leaf["alias"])
	if alias == "" {
		alias = text(leaf["table_name"])
	}
	first := object(list(order["orders"])[0])
	if !refersToTS(object(first["expression"]), alias) {
		return Top{}, false
	}
	switch text(first["type"]) {
	case "DESCENDING":
		top.Newest = true
	case "ASCENDING", "ORDER_DEFAULT":
	default:
		return Top{}, false
	}
	for _, e := range list(o["select_list"]) {
		if !oneRow(object(e), alias) {
			return Top{}, false
		}
	}
	if top.Limit, ok = number(limit["limit"]); !ok || top.Limit < 1 {
		return Top{}, false
	}
	if limit["offset"] != nil {
		if top.Skip, ok = number(limit["offset"]); !ok {
			return Top{}, false
		}
	}
	return top, top.Limit+top.Skip <= maxTop
}

// refersToTS reports whether an expression is the column ts of a table.
func refersToTS(e map[string]any, alias string) bool {
	names := list(e["column_names"])
	switch {
	case text(e["type"]) != "COLUMN_REF":
		return false
	case len(names) == 1:
		return strings.EqualFold(text(names[0]), "ts")
	}
	return len(names) == 2 && strings.EqualFold(text(names[0]), alias) && strings.EqualFold(text(names[1]), "ts")
}

// number is a whole number from 0 to maxTop.
func number(v any) (int64, bool) {
	c := object(v)
	n, ok := object(c["value"])["value"].(json.Number)
	if text(c["class"]) != "CONSTANT" || !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil && i >= 0 && i <= maxTop
}

// rowFunctions are functions of a row's own values that give one each: no
// aggregates, and nothing that makes rows.
var rowFunctions = []string{
	"+", "-", "*", "/", "//", "%", "||", "~~", "!~~", "~~*", "!~~*", "^", "array_extract", "element_at", "map_extract", "map_extract_value",
	"struct_extract", "json_extract", "json_extract_string", "->>", "->", "abs", "round", "floor", "ceil", "lower", "upper", "trim", "ltrim", "rtrim",
	"length", "len", "substring", "substr", "left", "right", "replace", "concat", "concat_ws", "contains", "starts_with", "prefix", "suffix",
	"split_part", "regexp_extract", "regexp_matches", "regexp_replace", "date_trunc", "datetrunc", "time_bucket", "date_part", "strftime",
	"epoch", "epoch_ms", "epoch_us", "timezone", "hour", "minute", "second", "now", "least", "greatest", "hash", "md5", "cardinality",
}

// oneRow reports whether an expression of a SELECT list is known to give one
// value for each row, under no name that ORDER BY ts could mean.
func oneRow(e map[string]any, alias string) bool {
	switch text(e["class"]) {
	case "CONSTANT":
		return true
	case "COLUMN_REF":
		names := list(e["column_names"])
		return len(names) > 0 && (!strings.EqualFold(text(names[len(names)-1]), "ts") || refersToTS(e, alias))
	case "STAR":
		return e["columns"] == false && e["expr"] == nil && len(list(e["replace_list"])) == 0 && len(list(e["rename_list"])) == 0
	case "FUNCTION":
		return slices.Contains(rowFunctions, strings.ToLower(text(e["function_name"]))) && text(e["schema"]) == "" && e["filter"] == nil && each(e["children"], alias)
	case "CAST":
		return oneRow(object(e["child"]), alias)
	case "OPERATOR", "CONJUNCTION":
		return each(e["children"], alias)
	case "COMPARISON":
		return oneRow(object(e["left"]), alias) && oneRow(object(e["right"]), alias)
	}
	return false
}

func each(children any, alias string) bool {
	return !slices.ContainsFunc(list(children), func(c any) bool { return !oneRow(object(c), alias) })
}
