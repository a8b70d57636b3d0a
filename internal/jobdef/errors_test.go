package jobdef_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"flink-entrypoint/internal/jobdef"
)

var update = flag.Bool("update", false, "rewrite golden files and generated pages")

// golden compares a file with what it should hold.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range w {
		if i >= len(g) || g[i] != w[i] {
			t.Fatalf("%s is not up to date (go test -update), line %d:\n got %s\nwant %s", file, i+1, strings.Join(g[i:min(i+1, len(g))], ""), w[i])
		}
	}
	t.Fatalf("%s is not up to date (go test -update): it ends too early", file)
}

// TestErrors holds every message with its place against testdata/errors.txt: documents, each followed by what is
// wrong with it.
func TestErrors(t *testing.T) {
	b, err := os.ReadFile("testdata/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	count := 0
	for _, section := range strings.Split(string(b), "=== ")[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		document, _, _ := strings.Cut(rest, "---> ")
		def, err := jobdef.Decode("d.yaml", []byte(document))
		var all *jobdef.Errors
		if !errors.As(err, &all) || def != nil || len(all.List) == 0 {
			t.Errorf("%s: got %v, %v, want errors", name, def, err)
			continue
		}
		count++
		got.WriteString("=== " + name + "\n" + document)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			got.WriteString("---> " + line + "\n")
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: a value is shown: %v", name, err)
		}
	}
	golden(t, "testdata/errors.txt", got.String())
	if count < 60 {
		t.Errorf("%d cases, want at least 60", count)
	}
}
