package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where to look again: beyond these a file wants to be two, a state in a
// struct wants a name.
const (
	maxLines   = 600 // of a file
	maxFunc    = 100 // lines of a function
	maxFields  = 25
	maxMethods = 30
)

// larger are the structs that are better so, with the reason.
var larger = map[string]string{
	"client.Stats":    "a snapshot to be printed reads best flat",
	"client.PeerInfo": "a snapshot to be printed reads best flat",
}

// TestSizes holds every file of the module, tests too, to these sizes.
func TestSizes(t *testing.T) {
	const root = "../.."
	files := 0
	methods := make(map[string]int)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		return sizesOf(t, path, methods)
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files read, %v", files, err)
	}
	for name, n := range methods {
		if n > maxMethods {
			t.Errorf("%s has %d methods", name, n)
		}
	}
}

func sizesOf(t *testing.T, path string, methods map[string]int) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, src, 0)
	if err != nil {
		return err
	}
	if n := set.Position(f.FileEnd).Line; n > maxLines+1 {
		t.Errorf("%s has %d lines", path, n)
	}
	lines := func(n ast.Node) int { return set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1 }
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if n := lines(d); n > maxFunc {
				t.Errorf("%s: %s has %d lines", path, d.Name.Name, n)
			}
			if name := receiver(d); name != "" && !strings.HasSuffix(path, "_test.go") {
				methods[filepath.Dir(path)+"."+name]++
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				checkFields(t, path, f.Name.Name, s)
			}
		}
	}
	return nil
}

func checkFields(t *testing.T, path, pkg string, s ast.Spec) {
	ts, ok := s.(*ast.TypeSpec)
	if !ok {
		return
	}
	st, ok := ts.Type.(*ast.StructType)
	if !ok || larger[pkg+"."+ts.Name.Name] != "" {
		return
	}
	if n := st.Fields.NumFields(); n > maxFields {
		t.Errorf("%s: %s has %d fields", path, ts.Name.Name, n)
	}
}

// receiver returns the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	x := d.Recv.List[0].Type
	if p, ok := x.(*ast.StarExpr); ok {
		x = p.X
	}
	if id, ok := x.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
