// Package stmt reads what a SQL statement does from DuckDB's own syntax tree
// of it (json_serialize_sql): which tables it names, which bounds on ts hold
// for each, and whether it calls what it may not.
package stmt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Statement is what the tree tells.
type Statement struct {
	// ShowTables is set for SHOW TABLES, which names no table.
	ShowTables bool
	// Tables are the names that the statement reads, in lower case. Those of
	// its own WITH clauses are among them: Local tells.
	Tables map[string]*Table
	// Functions are the names of the functions that it calls, in lower case.
	Functions map[string]bool
	// Words are all texts in it, in lower case. Where Named is set, it needs no column
	// of a table whose name is not among them.
	Words map[string]bool
	Named bool
	// Counts is set where it needs no more of its table than numbers of rows.
	Counts *Counts
}

// Table is what a statement asks of one name.
type Table struct {
	Local bool // a WITH clause defines the name
	// Bounded holds for every use of the table in the statement when not nil:
	// rows outside the bounds of all uses are not needed.
	uses      [][]Bound
	unbounded bool
	count     int // of its uses
	top       *Top
	texts     []Texts
}

// Texts says that a column of the table must have one of these texts.
type Texts struct {
	Column string // in lower case
	Any    []string
}

// Texts gives what the rows that are needed of the table fulfil, all of it; a name is
// meant for a column only as long as the table has one of that name.
func (t *Table) Texts() []Texts {
	if t.count != 1 || t.Local {
		return nil
	}
	return t.texts
}

// Top says which rows of the table alone are needed, nil where that is not known.
func (t *Table) Top() *Top {
	if t.count != 1 || t.Local {
		return nil
	}
	return t.top
}

// Bounds gives, for each use of the table, what its rows' ts must obey; nil
// means that there is a use without a bound.
func (t *Table) Bounds() [][]Bound {
	if t.unbounded || t.Local {
		return nil
	}
	return t.uses
}

// Also has the statement read a table whole, and columns of it, beside what it says
// itself.
func (st *Statement) Also(table string, columns ...string) {
	t := st.Tables[table]
	if t == nil {
		t = &Table{}
		st.Tables[table] = t
	}
	t.Local, t.unbounded, t.top, t.texts = false, true, nil, nil
	for _, c := range columns {
		st.Words[c] = true
	}
}

// Bound is one comparison of ts with an expression that has no columns in it.
type Bound struct {
	Op    string // one of <, <=, >, >=, =
	Value Expr
	// Names are words in the expression that mean the time only as long as no
	// column has that name.
	Names []string
}

// Expr is a part of the tree. SELECT of it is what Select gives.
type Expr map[string]any

// Select returns the tree of "SELECT expr", for json_deserialize_sql.
func (e Expr) Select() (string, error) {
	b, err := json.Marshal(map[string]any{
		"error": false,
		"statements": []any{map[string]any{"node": map[string]any{
			"type": "SELECT_NODE", "modifiers": []any{}, "cte_map": map[string]any{"map": []any{}},
			"select_list": []any{map[string]any(e)}, "from_table": map[string]any{"type": "EMPTY", "alias": "", "sample": nil, "query_location": 0},
			"where_clause": nil, "group_expressions": []any{}, "group_sets": []any{},
			"aggregate_handling": "STANDARD_HANDLING", "having": nil, "sample": nil, "qualify": nil,
		}, "named_param_map": []any{}}},
	})
	if err != nil {
		return "", fmt.Errorf("encode expression: %w", err)
	}
	return string(b), nil
}

// Text returns the text that the expression is, if it is a constant one.
func (e Expr) Text() (string, bool) { return literal(map[string]any(e)) }

// Refused is a statement that is understood and not allowed.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return e.Reason }

// ErrSyntax marks what DuckDB could not parse.
var ErrSyntax = errors.New("syntax error")

// Parse reads the tree. Its errors are a *Refused or an ErrSyntax.
func Parse(tree string) (*Statement, error) {
	var doc struct {
		Error      bool   `json:"error"`
		ErrorType  string `json:"error_type"`
		Message    string `json:"error_message"`
		Statements []struct {
			Node map[string]any `json:"node"`
		} `json:"statements"`
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(tree)))
	dec.UseNumber() // numbers must come back as they were
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode DuckDB's syntax tree: %w", err)
	}
	switch {
	case doc.Error && doc.ErrorType == "not implemented":
		return nil, &Refused{onlyReads}
	case doc.Error:
		return nil, fmt.Errorf("%w: %s", ErrSyntax, doc.Message)
	case len(doc.Statements) != 1:
		return nil, &Refused{"exactly one statement is allowed"}
	}
	w := walker{st: &Statement{Tables: map[string]*Table{}, Functions: map[string]bool{}}, aliases: map[string]bool{}}
	node := doc.Statements[0].Node
	if from := object(node["from_table"]); from != nil && isShowTables(from) {
		w.st.ShowTables = true
		return w.st, nil
	}
	if err := w.walk(node); err != nil {
		return nil, err
	}
	w.finish()
	w.st.Words, w.st.Named = wordsOf(node)
	if c, ok := countsOf(node, w.aliases); ok && w.st.Named && w.st.Tables[c.Table] != nil && w.st.Tables[c.Table].count == 1 && len(w.st.Tables) == 1 {
		w.st.Counts = c
	}
	if _, ok := topOf(node); ok {
		if t := w.entry(text(object(node["from_table"])["table_name"])); t.top != nil {
			t.top.Root = true
		}
	}
	return w.st, nil
}

const onlyReads = "only statements that read are allowed: SELECT, WITH, VALUES, FROM, DESCRIBE, SUMMARIZE, SHOW TABLES, EXPLAIN"

// allowed are the table functions that touch nothing outside the statement.
// The list is of what is known to be harmless, as DuckDB has others that take
// raw pointers, file names or settings.
var allowed = []string{"generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"}

// forbidden are scalar functions that tell of, or touch, the process.
var forbidden = []string{
	"current_setting", "getenv", "getvariable", "json_execute_serialized_sql", "json_serialize_plan",
	"parse_duckdb_log_message", "read_blob", "read_text", "write_log",
}

type walker struct {
	st      *Statement
	aliases map[string]bool // every name that the statement gives to anything
}

// walk goes over a part of the tree of which nothing is understood but tables,
// functions and SELECTs.
func (w *walker) walk(v any) error {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if err := w.walk(x); err != nil {
				return err
			}
		}
	case map[string]any:
		return w.object(v)
	}
	return nil
}

func (w *walker) object(o map[string]any) error {
	w.noteNames(o)
	switch text(o["type"]) {
	case "BASE_TABLE":
		return w.table(o, nil)
	case "TABLE_FUNCTION":
		name := strings.ToLower(text(object(o["function"])["function_name"]))
		if !slices.Contains(allowed, name) {
			return &Refused{fmt.Sprintf("the table function %s is not allowed; these are: %s", name, strings.Join(allowed, ", "))}
		}
	case "SHOW_REF":
		if o["query"] == nil {
			return &Refused{"of SHOW, only SHOW TABLES is supported; DESCRIBE needs the name of a table"}
		}
	case "FUNCTION":
		name := strings.ToLower(text(o["function_name"]))
		if slices.Contains(forbidden, name) {
			return &Refused{fmt.Sprintf("the function %s is not allowed", name)}
		}
		w.st.Functions[name] = true
	case "SELECT_NODE":
		return w.selectNode(o)
	}
	return w.children(o)
}

func (w *walker) children(o map[string]any, but ...string) error {
	for k, v := range o {
		if !slices.Contains(but, k) {
			if err := w.walk(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// noteNames keeps every name that an object defines.
func (w *walker) noteNames(o map[string]any) {
	if a := text(o["alias"]); a != "" {
		w.aliases[strings.ToLower(a)] = true
	}
	for _, key := range []string{"column_name_alias", "expected_names", "aliases"} {
		for _, a := range list(o[key]) {
			w.aliases[strings.ToLower(text(a))] = true
		}
	}
	for _, e := range list(object(o["cte_map"])["map"]) {
		if name := text(object(e)["key"]); name != "" {
			w.local(name)
		}
	}
	if name := text(o["cte_name"]); name != "" {
		w.local(name)
	}
}

func (w *walker) local(name string) {
	w.entry(name).Local = true
}

func (w *walker) entry(name string) *Table {
	name = strings.ToLower(name)
	t := w.st.Tables[name]
	if t == nil {
		t = &Table{}
		w.st.Tables[name] = t
	}
	return t
}

// table notes one use of a table, of whose rows only those within bounds are
// looked at.
func (w *walker) table(o map[string]any, bounds []Bound) error {
	name := text(o["table_name"])
	if text(o["schema_name"]) != "" || text(o["catalog_name"]) != "" {
		full := strings.Trim(text(o["catalog_name"])+"."+text(o["schema_name"])+"."+name, ".")
		return &Refused{fmt.Sprintf("there is no table %s: tables have no schema before their name", full)}
	}
	t := w.entry(name)
	t.count++
	if len(bounds) == 0 {
		t.unbounded = true
	} else {
		t.uses = append(t.uses, bounds)
	}
	return w.children(o)
}

func isShowTables(o map[string]any) bool {
	return text(o["type"]) == "SHOW_REF" && o["query"] == nil &&
		strings.EqualFold(strings.Trim(text(o["table_name"]), `"`), "tables")
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
