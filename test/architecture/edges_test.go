// Package architecture pins how the rooms may depend on each other and on the world.
package architecture

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "flink-entrypoint/"

// edges lists, for every room, the rooms it may import. What two rooms must agree on is passed by boot, so
// a new edge is a sign that the work belongs there.
var edges = map[string][]string{
	"cmd/flink-entrypoint":  {"internal/cli"},
	"internal/cli":          {"internal/boot", "internal/fetch", "internal/launch"},
	"internal/boot":         {"internal/catalog", "internal/cgroup", "internal/classarchive", "internal/confpatch", "internal/distribution", "internal/fetch", "internal/flinkconf", "internal/jobdef", "internal/launch", "internal/memory", "internal/mock", "internal/secret", "internal/sqlrunner", "internal/sqltext"},
	"internal/jobdef":       {"internal/secret"},
	"internal/fetch":        {},
	"internal/cgroup":       {},
	"internal/classarchive": {"internal/distribution"},
	"internal/distribution": {"internal/flinkconf"},
	"internal/flinkconf":    {"internal/secret"},
	"internal/confpatch":    {"internal/flinkconf", "internal/secret"},
	"internal/memory":       {"internal/flinkconf"},
	"internal/launch":       {"internal/distribution", "internal/flinkconf", "internal/memory"},
	"internal/sqltext":      {},
	"internal/catalog":      {"internal/sqltext", "internal/secret"},
	"internal/sqlrunner":    {"internal/sqltext"},
	"internal/mock":         {"internal/sqltext"},
	"internal/secret":       {},
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// sources calls f for every Go file of the rooms that is no test.
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

func TestRoomsImportOnlyTheirNeighbours(t *testing.T) {
	seen := map[string]bool{}
	sources(t, func(room, path string) {
		seen[room] = true
		allowed, ok := edges[room]
		if !ok {
			t.Errorf("%s is a room that this test does not know", room)
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range file.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if ours, ok := strings.CutPrefix(name, module); ok && !slices.Contains(allowed, ours) {
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

// TestOutsideComesInAsParameters: below cli nothing reads the environment, and nothing runs before main.
func TestOutsideComesInAsParameters(t *testing.T) {
	sources(t, func(room, path string) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, forbidden := range []string{"os.Getenv(", "os.LookupEnv(", "os.Environ("} {
			if strings.Contains(string(src), forbidden) && room != "cmd/flink-entrypoint" {
				t.Errorf("%s: %s) belongs into cmd", path, forbidden)
			}
		}
		if strings.Contains(string(src), "\nfunc init()") {
			t.Errorf("%s: an init function makes every start slower", path)
		}
	})
}
