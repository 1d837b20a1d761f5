package all

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Somebody new to a kind finds its options and its adaptor where those of every
// other kind are.
func TestKindsHaveOnePlanOfFiles(t *testing.T) {
	folders, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for _, f := range folders {
		if !f.IsDir() || slices.Contains([]string{"adaptortest", "all", "internal"}, f.Name()) {
			continue
		}
		kinds++
		for file, names := range map[string][]string{
			f.Name() + ".go": {"package comment", "Config", "DefaultConfig", "Kind"},
			"adaptor.go":     {"Adaptor", "New"},
		} {
			has := declared(t, filepath.Join("..", f.Name(), file))
			for _, name := range names {
				if !has[name] {
					t.Errorf("%s/%s has no %s, which each kind has there", f.Name(), file, name)
				}
			}
		}
	}
	if kinds != len(Kinds()) {
		t.Errorf("%d folders are kinds, %d kinds are named", kinds, len(Kinds()))
	}
}

// declared returns the names of a file's functions and types.
func declared(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Error(err)
		return nil
	}
	out := map[string]bool{"package comment": file.Doc != nil}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				out[d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if s, ok := s.(*ast.TypeSpec); ok {
					out[s.Name.Name] = true
				}
			}
		}
	}
	return out
}
