package architecture

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "draw docs/development/rooms.svg again (needs dot, of graphviz)")

const picture = "docs/development/rooms.svg"

// TestPictureIsFresh: the picture of the rooms shows the imports that the code has. The first line of the picture
// holds the digest of the graph that it was drawn from, so that this test needs no graphviz.
func TestPictureIsFresh(t *testing.T) {
	graph := graphOfRooms(t)
	mark := fmt.Sprintf("<!-- rooms of the code, graph sha256 %x -->\n", sha256.Sum256([]byte(graph)))
	path := filepath.Join(root(t), picture)
	if *update {
		dot := exec.Command("dot", "-Tsvg")
		dot.Stdin = strings.NewReader(graph)
		dot.Stderr = os.Stderr
		svg, err := dot.Output()
		if err != nil {
			t.Fatalf("dot: %v (apt-get install graphviz)", err)
		}
		_, body, _ := strings.Cut(string(svg), "<svg")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(mark+"<svg"+body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	svg, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(svg), mark) {
		t.Errorf("%s does not show today's rooms: run go test ./test/architecture -update", picture)
	}
}

// graphOfRooms is the import graph in the language of graphviz, without the edges that a longer way implies.
func graphOfRooms(t *testing.T) string {
	t.Helper()
	imports := map[string]map[string]bool{}
	sources(t, func(room, path string) {
		if imports[room] == nil {
			imports[room] = map[string]bool{}
		}
		for _, ours := range imported(t, path) {
			imports[room][ours] = true
		}
	})
	var reaches func(from, to string) bool
	reaches = func(from, to string) bool {
		for next := range imports[from] {
			if next == to || reaches(next, to) {
				return true
			}
		}
		return false
	}
	var b strings.Builder
	b.WriteString("digraph rooms {\n  rankdir=TB; ranksep=0.5; nodesep=0.25; bgcolor=\"transparent\";\n" +
		"  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f3f6fb\", color=\"#51709c\", fontname=\"Helvetica\", fontsize=13];\n" +
		"  edge [color=\"#7a8aa0\", arrowsize=0.7];\n")
	var rooms []string
	for room := range imports {
		rooms = append(rooms, room)
	}
	slices.Sort(rooms)
	for _, room := range rooms {
		fmt.Fprintf(&b, "  %q [label=%q];\n", room, strings.TrimPrefix(room, "internal/"))
	}
	for _, room := range rooms {
		var direct []string
		for to := range imports[room] {
			direct = append(direct, to)
		}
		slices.Sort(direct)
		for _, to := range direct {
			implied := slices.ContainsFunc(direct, func(other string) bool { return other != to && reaches(other, to) })
			if !implied {
				fmt.Fprintf(&b, "  %q -> %q;\n", room, to)
			}
		}
	}
	b.WriteString("}\n")
	return b.String()
}
