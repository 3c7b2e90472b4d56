package layers

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const module = "github.com/seed1734be99/starling"

// allowed: what each package may import of ours. A package that is not here fails the test, unless it has test files
// alone.
var allowed = map[string][]string{
	"bencode":            {},
	"piece":              {},
	"choke":              {},
	"internal/block":     {},
	"internal/rate":      {},
	"internal/layers":    {},
	"internal/leakcheck": {},
	"internal/simnet":    {},
	"metainfo":           {"bencode"},
	"tracker":            {"metainfo", "bencode"},
	"peerwire":           {"metainfo", "bencode"},
	"storage":            {"metainfo"},
	"tracker/server":     {"tracker", "peerwire", "metainfo", "bencode"}, // peerwire: its NAT check
	"peerwire/mse":       {},                                             // it wraps a net.Conn
	"peerwire/utp":       {},                                             // it wraps a net.PacketConn

	"storage/storagetest": {"storage", "metainfo"},
	"choke/choketest":     {"choke", "metainfo"},

	"internal/swarm": {"piece", "choke", "peerwire", "metainfo", "internal/block", "internal/rate"},
	"choke/sim":      {"choke", "piece", "internal/swarm", "internal/rate", "internal/block", "peerwire", "metainfo"},

	"client/internal/conn":     {"internal/swarm", "internal/block", "peerwire", "peerwire/mse", "peerwire/utp", "metainfo"},
	"client/internal/disk":     {"storage", "metainfo", "piece", "internal/swarm", "internal/block"},
	"client/internal/udpmux":   {},
	"client/internal/discover": {"tracker", "peerwire", "metainfo"},

	"client": { // all above except the tracker's server, the simulator and the test suites
		"bencode", "piece", "choke", "internal/block", "internal/rate", "metainfo", "tracker", "peerwire", "storage",
		"peerwire/mse", "peerwire/utp", "internal/swarm",
		"client/internal/conn", "client/internal/disk", "client/internal/udpmux", "client/internal/discover",
	},
}

// testOnly: no file of a program or of the library imports these.
var testOnly = []string{"internal/simnet", "internal/leakcheck", "internal/layers"}

// modules: what the library may import besides the standard library and golang.org/x, and where. No entry: nowhere.
// The programs under examples are free in this, but no module is there for one of them alone without need.
var modules = map[string][]string{
	"github.com/zeebo/bencode":    {"bencode"},
	"github.com/anacrolix/dht/v2": {"client", "client/internal/discover"},
	"github.com/anacrolix/log":    {"client", "client/internal/discover"}, // the DHT's configuration asks for its logger
	"github.com/stretchr/testify": {"storage/storagetest", "choke/choketest"},
	"go.uber.org/goleak":          {"internal/leakcheck"},
}

// testModules: what test files may import besides.
var testModules = []string{"github.com/stretchr/testify", "go.uber.org/goleak"}

// Deciders do no I/O and have no clock and no randomness of their own, so what offers it is not for them.
var (
	deciders     = []string{"piece", "choke", "internal/rate", "internal/swarm"}
	notDeciding  = []string{"context", "crypto/rand", "io/fs", "log", "log/slog", "math/rand", "net", "net/http", "os", "syscall"}
	notAnywhere  = []string{"C", "plugin"} // pure Go
	notLibraries = []string{"expvar", "flag", "testing"}
	testingIsFor = []string{"storage/storagetest", "choke/choketest", "internal/leakcheck"}
)

func TestImportsPointDown(t *testing.T) {
	root := moduleRoot(t)
	faults, packages := check(os.DirFS(root))
	require.Contains(t, packages, "internal/layers", "the tree was walked")
	require.Empty(t, faults, "allowed imports are listed in internal/layers/layers_test.go:\n"+strings.Join(faults, "\n"))
}

// The table itself has no cycles and names only packages that have a line.
func TestTableHasNoCycles(t *testing.T) {
	done := make(map[string]bool)
	var visit func(pkg string, above []string)
	visit = func(pkg string, above []string) {
		require.Contains(t, allowed, pkg)
		require.NotContains(t, above, pkg, "a cycle")
		if done[pkg] {
			return
		}
		for _, next := range allowed[pkg] {
			visit(next, append(slices.Clone(above), pkg))
		}
		done[pkg] = true
	}
	for pkg := range allowed {
		visit(pkg, nil)
	}
}

func TestFindsFaults(t *testing.T) {
	file := func(imports ...string) *fstest.MapFile {
		s := "package x\n"
		for _, i := range imports {
			s += "import _ \"" + i + "\"\n"
		}
		return &fstest.MapFile{Data: []byte(s)}
	}
	for _, c := range []struct {
		path, imports string
		fault         string // empty: fine
	}{
		{"metainfo/a.go", module + "/bencode", ""},
		{"bencode/a.go", module + "/metainfo", "bencode may not import metainfo"},
		{"bencode/a_test.go", module + "/metainfo", ""},
		{"bencode/a_windows.go", module + "/metainfo", "bencode may not import metainfo"},
		{"bencode/a.go", module, "bencode may not import"},
		{"client/a.go", module + "/tracker/server", "client may not import tracker/server"},
		{"client/a.go", module + "/internal/simnet", "for tests alone"},
		{"client/a_test.go", module + "/internal/simnet", ""},
		{"bencode/a.go", "github.com/zeebo/bencode", ""},
		{"metainfo/a.go", "github.com/zeebo/bencode", "metainfo may not import github.com/zeebo/bencode"},
		{"client/internal/discover/a.go", "github.com/anacrolix/dht/v2/krpc", ""},
		{"client/a.go", "github.com/anacrolix/dht", "may not import"},
		{"client/a.go", "golang.org/x/time/rate", ""},
		{"client/a.go", "github.com/stretchr/testify/require", "may not import"},
		{"client/a_test.go", "github.com/stretchr/testify/require", ""},
		{"client/a_test.go", "github.com/somebody/mock", "may not import"},
		{"choke/choketest/a.go", "testing", ""},
		{"choke/a.go", "testing", "is not for libraries"},
		{"choke/a.go", "net", "a decider"},
		{"choke/a.go", "net/netip", ""},
		{"choke/a.go", "math/rand/v2", ""},
		{"choke/a_test.go", "os", ""},
		{"storage/a.go", "C", "pure Go"},
		{"util/a.go", "fmt", "no line in the table"},
		{"a.go", "fmt", "no line in the table"},
		{"client/interop/a_test.go", module + "/client", ""},
		{"client/interop/a_test.go", "github.com/somebody/mock", "may not import"},
		{"examples/download/main.go", module + "/client", ""},
		{"examples/download/main.go", module + "/internal/swarm", "public packages only"},
		{"examples/download/main.go", module + "/client/internal/conn", "public packages only"},
		{"examples/download/main.go", module + "/internal/simnet", "for tests alone"},
		{"examples/download/main.go", module + "/examples/download/data", ""},
		{"examples/download/main.go", "github.com/vbauerster/mpb/v8", ""},
		{"examples/download/main_test.go", module + "/internal/leakcheck", ""},
		{"metainfo/testdata/a.go", "C", ""},
		{".cache/a.go", "C", ""},
	} {
		t.Run(c.path+"/"+path.Base(c.imports), func(t *testing.T) {
			faults, _ := check(fstest.MapFS{c.path: file(c.imports)})
			if c.fault == "" {
				require.Empty(t, faults)
				return
			}
			require.Len(t, faults, 1)
			require.Contains(t, faults[0], c.fault)
		})
	}
	faults, _ := check(fstest.MapFS{"choke/a.go": {Data: []byte("no go")}})
	require.Len(t, faults, 1, "what does not parse")
}

// check reads every Go file of a module and says what is not allowed, and which packages there are.
func check(fsys fs.FS) (faults, packages []string) {
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (base == "testdata" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil && name != "." {
				return fs.SkipDir // a module of its own
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		pkg := path.Dir(name)
		if !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
		imports, err := importsOf(fsys, name)
		if err != nil {
			faults = append(faults, err.Error())
			return nil
		}
		for _, imported := range imports {
			if why := refuse(pkg, imported, strings.HasSuffix(name, "_test.go")); why != "" {
				if fault := name + ": " + why; !slices.Contains(faults, fault) {
					faults = append(faults, fault)
				}
			}
		}
		return nil
	})
	if err != nil {
		faults = append(faults, err.Error())
	}
	return faults, packages
}

func importsOf(fsys fs.FS, name string) ([]string, error) {
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		imports = append(imports, imported)
	}
	return imports, nil
}

// refuse says why a package may not import something; empty when it may.
func refuse(pkg, imported string, test bool) string {
	example := under(pkg, "examples")
	if _, known := allowed[pkg]; !known && !example && !test {
		return pkg + " has no line in the table"
	}
	if slices.Contains(notAnywhere, imported) {
		return fmt.Sprintf("%q: the module is pure Go", imported)
	}
	if ours, ok := strings.CutPrefix(imported, module); ok {
		return refuseOurs(pkg, strings.TrimPrefix(ours, "/"), test)
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return refuseStandard(pkg, imported, test || example)
	}
	if example || under(imported, "golang.org/x") {
		return ""
	}
	for name, where := range modules {
		if under(imported, name) && slices.Contains(where, pkg) {
			return ""
		}
	}
	for _, name := range testModules {
		if test && under(imported, name) {
			return ""
		}
	}
	return pkg + " may not import " + imported
}

func refuseOurs(pkg, imported string, test bool) string {
	switch {
	case test:
		return ""
	case slices.Contains(testOnly, imported):
		return imported + " is for tests alone"
	case under(pkg, "examples"):
		if slices.Contains(strings.Split(imported, "/"), "internal") && !under(imported, "examples") {
			return "examples use public packages only, not " + imported
		}
		return ""
	case !slices.Contains(allowed[pkg], imported):
		return pkg + " may not import " + imported
	}
	return ""
}

func refuseStandard(pkg, imported string, free bool) string {
	switch {
	case free:
		return ""
	case slices.Contains(deciders, pkg) && slices.Contains(notDeciding, imported):
		return fmt.Sprintf("%s is a decider: it does not import %s", pkg, imported)
	case slices.Contains(notLibraries, imported) && !slices.Contains(testingIsFor, pkg):
		return imported + " is not for libraries, here " + pkg
	}
	return ""
}

// under says that a path is the folder or something in it.
func under(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

func moduleRoot(t *testing.T) string {
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		require.NotEqual(t, parent, dir, "no go.mod above this package")
		dir = parent
	}
}
