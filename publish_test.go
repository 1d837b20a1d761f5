package akupara

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// storeWriters are the functions that create or rename files of a store, beside
// those that implement one. Each has a reason to; all else is published.
var storeWriters = map[string]string{
	"store.Publish":                               "the routine itself",
	"demux/compact.doing.write":                   "merged data files keep the names of their run: a commit makes them visible",
	"demux/engine/yarn.claim":                     "the claim of a task's result: a directory's rename decides who wins",
	"demux.output.begin":                          "data files keep the names of their run: a commit makes them visible",
	"demux.simulated.Rename":                      "passes on what others do, in a benchmark's store",
	"demux.watched.Create":                        "passes on what others do, and counts what fails",
	"demux.watched.Rename":                        "passes on what others do, too",
	"demux.moveSink":                              "moves a sink file that is whole already",
	"demux/quarantine.Put":                        "moves a sink file to quarantine",
	"demux/quarantine.Release":                    "moves a sink file back",
	"demux/repair.Plan.Apply":                     "moves damaged files aside, and sink files that are whole back",
	"demux/table.tableIO.Create":                  "manifests and manifest lists: a commit makes them visible",
	"demux/table.sweep.renameEmpty":               "moves an empty folder out of the way",
	"demux/table.sweep.putBack":                   "moves data files back that came into it meanwhile",
	"demux/table/internal/versions.Log.write":     "what a committer claims a version with",
	"demux/table/internal/versions.Log.Publish":   "the claim: a directory's rename decides who wins",
	"demux/table/internal/versions.Log.publish":   "moves claimed metadata that is whole already",
	"demux/table/internal/versions.Log.settleGap": "moves another's claimed metadata, too",
	"demux/table/internal/versions.Log.help":      "moves another's claimed metadata",
}

// TestFilesOfTheStoreAreMadeByPublishAlone knows store.FS's methods by the
// number of their arguments, which os.Create and os.Rename don't have.
func TestFilesOfTheStoreAreMadeByPublishAlone(t *testing.T) {
	args := map[string]int{"Create": 2, "Rename": 3}
	used := map[string]bool{}
	for _, p := range list(t, nil, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if strings.HasSuffix(name, "test") || name == "store/local" || name == "store/hdfs" || strings.HasPrefix(name, "bench") {
			continue
		}
		for _, file := range p.GoFiles {
			fset := token.NewFileSet()
			tree, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range tree.Decls {
				ast.Inspect(d, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					sel, ok := call.Fun.(*ast.SelectorExpr)
					if !ok || args[sel.Sel.Name] == 0 || args[sel.Sel.Name] != len(call.Args) {
						return true
					}
					where := name + "." + declName(d)
					used[where] = true
					if storeWriters[where] == "" {
						t.Errorf("%s: %s calls %s: use store.Publish, or say in storeWriters why it can't", fset.Position(call.Pos()), where, sel.Sel.Name)
					}
					return true
				})
			}
		}
	}
	for where, why := range storeWriters {
		if !used[where] {
			t.Errorf("storeWriters names %s (%s), which changes no store", where, why)
		}
	}
}

func declName(d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	if !ok {
		return "(no function)"
	}
	if f.Recv == nil {
		return f.Name.Name
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	return fmt.Sprintf("%v.%s", typ, f.Name.Name)
}
