// Package english keeps the project's texts readable for people whose first language is not English: it counts phrases
// that readers stumbled over, in source files and pages, and fails where a file has more of them than counts.txt allows.
//
// A new file has none. After a file has lost some: go test ./test/english -update.
package english

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write counts.txt again")

// phrases are what readers stumbled over, each with what to write instead.
var phrases = []struct{ pattern, instead string }{
	{`\bbehind\b`, "after, following"},
	{`\b(stands|stand|lies|lie) (in|on|at|before|twice|below|above)\b`, "is in, is on, occurs twice"},
	{`\bis no (?:[a-km-z]|l[a-np-z]|lo[a-mo-z])[a-z]*\b`, "is not a"},
	{`\bis none\b`, "is not one"},
	{`\b([Nn]obody|[Ss]omebody)\b`, "not set, the user, another process"},
	{`\bmistakes? of (ours|this program)\b`, "internal error (a bug)"},
	{`\b[Mm]end(s|ed|ing)?\b`, "fix"},
	{`\b[Aa]new\b`, "again"},
	{`\b(is|are|was|were) told\b`, "is reported"},
	{`\b(that|those) of (the|a|an|its|their|Flink|Java)\b`, "repeat the noun"},
}

// TestNoNewOnes compares each file with counts.txt.
func TestNoNewOnes(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	allowed := readCounts(t)
	found := map[string]int{}
	for _, name := range files(t, root) {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		lines, advice := count(content)
		if len(lines) > 0 {
			found[name] = len(lines)
		}
		if !*update && len(lines) > allowed[name] {
			t.Errorf("%s has %d phrases that readers stumble over, %d are allowed:\n%s", name, len(lines), allowed[name], strings.Join(advice, "\n"))
		}
	}
	if *update {
		writeCounts(t, found)
		return
	}
	for name, n := range allowed {
		if found[name] < n {
			t.Errorf("%s has %d phrases, counts.txt allows %d: run go test ./test/english -update", name, found[name], n)
		}
	}
}

// TestCount: what is found, and what is not.
func TestCount(t *testing.T) {
	for text, want := range map[string]int{
		"what stands in the file": 1, "it is no longer here": 0, "it is no list": 1, "is no link, which is none": 2, "nobody chose it": 1,
		"the line after it": 0, "a standard file": 0, "Mend it, then start anew": 2, "recommended": 0, "that of the base file": 1, "it is not a list": 0,
	} {
		if lines, _ := count([]byte(text)); len(lines) != want {
			t.Errorf("%q: %d phrases, want %d", text, len(lines), want)
		}
	}
}

var compiled = func() []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, p := range phrases {
		all = append(all, regexp.MustCompile(p.pattern))
	}
	return all
}()

// count returns the line of each phrase in a text, and what to write instead.
func count(content []byte) (lines []int, advice []string) {
	for i, line := range bytes.Split(content, []byte("\n")) {
		for k, re := range compiled {
			for _, m := range re.FindAll(line, -1) {
				lines = append(lines, i+1)
				advice = append(advice, fmt.Sprintf("  line %d: %q; write: %s", i+1, m, phrases[k].instead))
			}
		}
	}
	return lines, advice
}

// files are the Go and Java files, pages and examples of the project, without this package and without test data.
func files(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch name = filepath.ToSlash(name); {
		case d.IsDir():
			if slices.Contains([]string{".git", "bin", "dist", "test/english"}, name) || d.Name() == "node_modules" || strings.HasPrefix(name, "internal/") && d.Name() == "testdata" {
				return filepath.SkipDir
			}
		case slices.Contains([]string{".go", ".java", ".md", ".txtar", ".yaml"}, filepath.Ext(name)):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readCounts(t *testing.T) map[string]int {
	t.Helper()
	content, err := os.ReadFile("counts.txt")
	if err != nil && !*update {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(content)) {
		number, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("counts.txt: %q", line)
		}
		counts[name] = n
	}
	return counts
}

func writeCounts(t *testing.T, counts map[string]int) {
	t.Helper()
	var names []string
	total := 0
	for name, n := range counts {
		names = append(names, name)
		total += n
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%d %s\n", counts[name], name)
	}
	if err := os.WriteFile("counts.txt", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d phrases in %d files", total, len(names))
}
