package akupara

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestLogsCallAnErrorError: who looks for failures in the logs of all daemons
// looks for one key.
func TestLogsCallAnErrorError(t *testing.T) {
	seen := 0
	for _, p := range list(t, nil, "./...") {
		for _, file := range p.GoFiles {
			fset := token.NewFileSet()
			tree, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || !logs(call) {
					return true
				}
				for _, arg := range call.Args {
					lit, ok := arg.(*ast.BasicLit)
					if !ok {
						continue
					}
					switch key, _ := strconv.Unquote(lit.Value); key {
					case "error":
						seen++
					case "err", "Error":
						t.Errorf("%s: the log's key %q: call it \"error\"", fset.Position(lit.Pos()), key)
					}
				}
				return true
			})
		}
	}
	if seen < 50 {
		t.Errorf("%d log lines with an error were found; the test looks at the wrong calls", seen)
	}
}

// logs reports whether a call is one of a logger's: a method of its name on
// something called log or Log.
func logs(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	var of string
	switch x := sel.X.(type) {
	case *ast.Ident:
		of = x.Name
	case *ast.SelectorExpr:
		of = x.Sel.Name
	}
	if !strings.EqualFold(of, "log") && !strings.EqualFold(of, "logger") && of != "slog" {
		return false
	}
	switch sel.Sel.Name {
	case "Debug", "Info", "Warn", "Error", "With", "Log":
		return true
	}
	return false
}
