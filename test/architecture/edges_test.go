// Package architecture pins how the rooms may depend on each other and on the world.
package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "flink-entrypoint/"

// edges lists, for every room, the rooms it may import. What two rooms must agree on is passed by boot, so
// a new edge is a sign that the work belongs there.
var edges = map[string][]string{
	"cmd/flink-entrypoint":                 {"internal/cli"},
	"internal/cli":                         {"internal/atomicfile", "internal/boot", "internal/environ", "internal/explain", "internal/fetch", "internal/health", "internal/jobdef", "internal/launch", "internal/localrun", "internal/nearest", "internal/phase", "internal/redact", "internal/scripts", "internal/validate", "internal/warmup"},
	"internal/explain":                     {"internal/boot", "internal/fetch", "internal/redact"},
	"internal/atomicfile":                  {},
	"internal/boot":                        {"internal/atomicfile", "internal/catalog", "internal/cgroup", "internal/classarchive", "internal/confpatch", "internal/distribution", "internal/environ", "internal/fetch", "internal/flinkconf", "internal/flinkoptions", "internal/flinkversion", "internal/initsql", "internal/jobdef", "internal/launch", "internal/limits", "internal/memory", "internal/native", "internal/phase", "internal/placement", "internal/privileges", "internal/redact", "internal/reporters", "internal/rundir", "internal/scripts", "internal/secret", "internal/settings", "internal/sqlrunner", "internal/sqltext", "internal/validate"},
	"internal/reporters":                   {"internal/flinkconf", "internal/flinkversion", "internal/jobdef", "internal/phase", "internal/secret", "internal/settings"},
	"internal/settings":                    {"internal/environ", "internal/flinkconf", "internal/phase", "internal/secret"},
	"internal/phase":                       {},
	"internal/jobdef":                      {"internal/nearest", "internal/secret", "internal/yaml"},
	"internal/fetch":                       {"internal/atomicfile"},
	"internal/nearest":                     {},
	"internal/cgroup":                      {},
	"internal/classarchive":                {"internal/distribution"},
	"internal/distribution":                {"internal/flinkversion"},
	"internal/javatext":                    {},
	"internal/flinkversion":                {},
	"internal/flinkconf":                   {"internal/flinkversion", "internal/javatext", "internal/secret", "internal/yaml"},
	"internal/yaml":                        {"internal/javatext"},
	"internal/confpatch":                   {"internal/atomicfile", "internal/flinkconf", "internal/flinkversion", "internal/javatext", "internal/secret", "internal/yaml"},
	"internal/memory":                      {"internal/flinkconf", "internal/flinkversion", "internal/javatext"},
	"internal/launch":                      {"internal/distribution", "internal/flinkconf", "internal/flinkversion"},
	"internal/scripts":                     {"internal/distribution", "internal/flinkversion"},
	"internal/redact":                      {"internal/flinkconf", "internal/secret"},
	"internal/sqltext":                     {"internal/flinkversion", "internal/javatext"},
	"internal/catalog":                     {"internal/flinkversion", "internal/javatext", "internal/secret", "internal/sqltext"},
	"internal/sqlrunner":                   {"internal/flinkversion", "internal/sqltext"},
	"internal/mock":                        {"internal/flinkversion", "internal/sqltext"},
	"internal/secret":                      {},
	"cmd/flink-platform":                   {"internal/platform/cli"},
	"internal/platform/alert":              {"internal/platform/jobstate", "internal/platform/mask", "internal/platform/store"},
	"internal/platform/api":                {"docs", "internal/jobdef", "internal/phase", "internal/platform/cluster", "internal/platform/flinkrest", "internal/platform/jobstate", "internal/platform/mask", "internal/platform/meter", "internal/platform/store", "internal/platform/wire", "internal/platform/workbench", "internal/validate"},
	"internal/platform/cli":                {"internal/localrun", "internal/nearest", "internal/platform/alert", "internal/platform/api", "internal/platform/client", "internal/platform/cluster/kubernetes", "internal/platform/cluster/process", "internal/platform/forward", "internal/platform/jobstate", "internal/platform/mask", "internal/platform/outbound", "internal/platform/server", "internal/platform/store", "internal/platform/wire", "internal/platform/workbench", "internal/platform/workbench/wall", "internal/validate"},
	"internal/platform/client":             {"internal/platform/wire"},
	"internal/platform/cluster":            {},
	"internal/platform/cluster/process":    {"internal/atomicfile", "internal/platform/cluster"},
	"internal/platform/document":           {"internal/catalog", "internal/flinkconf", "internal/flinkversion", "internal/initsql", "internal/jobdef", "internal/memory", "internal/nearest", "internal/platform/api", "internal/platform/store", "internal/platform/wire", "internal/redact", "internal/secret", "internal/sqlrunner", "internal/sqltext", "internal/validate", "internal/yaml"},
	"internal/platform/flinkrest":          {"internal/javatext", "internal/platform/jobstate"},
	"internal/platform/forward":            {"internal/platform/store"},
	"internal/platform/jobstate":           {},
	"internal/platform/mask":               {"internal/platform/jobstate", "internal/redact", "internal/secret"},
	"internal/platform/monitor":            {"internal/platform/cluster", "internal/platform/flinkrest", "internal/platform/jobstate", "internal/platform/mask", "internal/platform/meter", "internal/platform/store"},
	"internal/platform/server":             {"internal/flinkversion", "internal/platform/alert", "internal/platform/api", "internal/platform/cluster", "internal/platform/cluster/kubernetes", "internal/platform/cluster/process", "internal/platform/document", "internal/platform/flinkrest", "internal/platform/forward", "internal/platform/jobstate", "internal/platform/mask", "internal/platform/meter", "internal/platform/monitor", "internal/platform/outbound", "internal/platform/store", "internal/platform/web", "internal/platform/wire", "internal/platform/workbench", "internal/sqlrunner"},
	"internal/platform/store":              {"internal/platform/jobstate", "internal/platform/mask"},
	"internal/platform/meter":              {},
	"internal/platform/outbound":           {},
	"internal/platform/web":                {"examples", "internal/javatext", "internal/platform/client", "internal/platform/wire"},
	"internal/platform/wire":               {},
	"internal/platform/workbench":          {"internal/flinkversion", "internal/jobdef", "internal/localrun", "internal/mock", "internal/phase", "internal/platform/workbench/wall", "internal/sqlrunner", "internal/sqltext", "internal/validate", "internal/yaml"},
	"internal/platform/workbench/wall":     {},
	"internal/health":                      {"internal/boot"},
	"internal/warmup":                      {"internal/atomicfile", "internal/boot", "internal/classarchive", "internal/distribution", "internal/environ", "internal/launch", "internal/localrun", "internal/phase", "internal/privileges", "internal/rundir", "internal/sqlrunner"},
	"internal/limits":                      {"internal/cgroup", "internal/flinkconf", "internal/memory", "internal/phase"},
	"internal/native":                      {"internal/flinkconf", "internal/flinkversion", "internal/settings"},
	"internal/placement":                   {"internal/distribution", "internal/environ", "internal/fetch", "internal/jobdef", "internal/phase", "internal/rundir", "internal/sqlrunner"},
	"internal/initsql":                     {"internal/catalog", "internal/flinkconf", "internal/flinkversion", "internal/jobdef", "internal/phase", "internal/redact", "internal/rundir", "internal/secret"},
	"internal/rundir":                      {"internal/atomicfile", "internal/fetch", "internal/phase"},
	"internal/privileges":                  {"internal/environ", "internal/flinkversion", "internal/phase"},
	"internal/environ":                     {},
	"internal/validate":                    {"internal/fetch", "internal/flinkconf", "internal/flinkversion", "internal/jobdef", "internal/sqlrunner"},
	"internal/localrun":                    {"internal/boot", "internal/classarchive", "internal/confpatch", "internal/distribution", "internal/environ", "internal/fetch", "internal/flinkconf", "internal/flinkoptions", "internal/flinkversion", "internal/launch", "internal/mock", "internal/phase", "internal/placement", "internal/sqlrunner", "internal/sqltext", "internal/validate"},
	"internal/flinkoptions":                {"internal/confpatch", "internal/environ", "internal/flinkconf", "internal/flinkversion", "internal/javatext", "internal/phase", "internal/redact", "internal/secret"},
	"internal/platform/cluster/kubernetes": {"deploy", "internal/platform/cluster"},
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// sources calls f for every Go file of the rooms that is not a test.
func sources(t *testing.T, f func(room, path string)) {
	t.Helper()
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root(t), top), func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return filepath.SkipDir
			}
			if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				room, err := filepath.Rel(root(t), filepath.Dir(path))
				if err != nil {
					return err
				}
				f(filepath.ToSlash(room), path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// imported lists the rooms that a file imports.
func imported(t *testing.T, path string) (rooms []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, imp := range file.Imports {
		name, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if room, ok := strings.CutPrefix(name, module); ok {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

func TestRoomsImportOnlyTheirNeighbours(t *testing.T) {
	seen := map[string]bool{}
	sources(t, func(room, path string) {
		seen[room] = true
		allowed, ok := edges[room]
		if !ok {
			t.Errorf("%s is a room that this test does not know", room)
			return
		}
		for _, ours := range imported(t, path) {
			if !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s, which its room may not", path, ours)
			}
		}
	})
	for room := range edges {
		if !seen[room] {
			t.Logf("room %s holds nothing yet", room)
		}
	}
}

var compiled = regexp.MustCompile(`(?m)^(var )?\t?[a-zA-Z]+ += regexp\.MustCompile`)

// TestOutsideComesInAsParameters: below cli nothing reads the environment, and nothing runs before main.
func TestOutsideComesInAsParameters(t *testing.T) {
	sources(t, func(room, path string) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, forbidden := range []string{"os.Getenv(", "os.LookupEnv(", "os.Environ("} {
			if strings.Contains(string(src), forbidden) && !strings.HasPrefix(room, "cmd/") {
				t.Errorf("%s: %s) belongs into cmd", path, forbidden)
			}
		}
		if strings.Contains(string(src), "\nfunc init()") {
			t.Errorf("%s: an init function makes every start slower", path)
		}
		// ^[a-z]{1,127}$ alone was 0.3 ms of the 5 ms of a start.
		if compiled.Match(src) && !strings.HasPrefix(room, "internal/platform/") {
			t.Errorf("%s: a regular expression that is compiled before main makes every start slower: compile it where it is needed", path)
		}
	})
}

// TestVersionDifferencesAreTables: which release does what is a row of a table. A comparison with a release that is
// written at the place is one more place to look at when a release comes.
func TestVersionDifferencesAreTables(t *testing.T) {
	sources(t, func(room, path string) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && (calls(call, "Reaches") || calls(call, "Compare")) {
				for _, arg := range call.Args {
					if release, ok := arg.(*ast.CallExpr); ok && (calls(release, "Since") || calls(release, "Of")) {
						t.Errorf("%s: a comparison with a release; give the room's table a row", files.Position(call.Pos()))
					}
				}
			}
			return true
		})
	})
}

// calls reports whether a call is of a function or method of that name.
func calls(call *ast.CallExpr, name string) bool {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name == name
	case *ast.Ident:
		return f.Name == name
	}
	return false
}
