package architecture

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSafetyTable: test/README.md names tests for each sentence of "Safety" in docs/platform.md; each of them exists, so that none is removed or renamed
// unseen.
func TestSafetyTable(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root(t), "test/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(b), "## Which test shows which sentence of *Safety*\n")
	if !ok {
		t.Fatal("test/README.md has no table of the tests of Safety")
	}
	rows := 0
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "## ") {
			break
		}
		sentence, tests, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | `")
		if !ok {
			continue
		}
		rows++
		for group := range strings.SplitSeq("`"+tests, "; ") {
			room, names, _ := strings.Cut(strings.TrimPrefix(group, "`"), "` ")
			dir := filepath.Join(root(t), "internal/platform", room)
			if room == "redact" {
				dir = filepath.Join(root(t), "internal/redact")
			}
			code := sourcesOfTests(t, dir)
			all := regexp.MustCompile(`Test[A-Za-z]+`).FindAllString(names, -1)
			if len(all) == 0 {
				t.Errorf("%s: no test of %s is named", sentence, room)
			}
			for _, name := range all {
				if !strings.Contains(code, "\nfunc "+name+"(t *testing.T)") {
					t.Errorf("%s: %s has no %s", sentence, room, name)
				}
			}
		}
	}
	if rows < 15 {
		t.Errorf("the table has %d rows", rows)
	}
}

func sourcesOfTests(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no tests, %v", dir, err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("\n" + string(b))
	}
	return all.String()
}
