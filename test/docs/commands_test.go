package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// elsewhere lists the commands of the pages that TestExamples does not execute, by how they begin: the test that does, or why
// none can. A line that is not used any more is an error, too.
var elsewhere = []struct{ page, command, test, why string }{
	{page: "README.md", command: "make run", why: "starts a cluster for a user to look at; test/e2e starts the same job and looks"},
	{page: "README.md", command: "make platform", why: "starts a cluster for a user to look at; test/platform starts the same server"},
	{page: "README.md", command: "make test", why: "is what runs this test"},
	{page: "quick-start.md", command: "make run", why: "as in the README"},
	{page: "quick-start.md", command: "flink-entrypoint --definition job.yaml ", why: "becomes a Flink process that does not end; test/e2e starts both roles"},
	{page: "fetching.md", command: "flink-entrypoint ", test: "test/docs/shellblocks_test.go"},
	{page: "platform.md", command: "make platform", why: "as in the README"},
	{page: "platform.md", command: "flink-platform ", test: "test/platform/page_test.go"},
	{page: "workbench.md", command: "flink-platform ", test: "test/browser"},
	{page: "platform-kubernetes.md", command: "kubectl ", why: "needs a cluster; internal/platform/cluster/kubernetes applies the same folder to a real API server (tag kubernetes)"},
	{page: "platform-kubernetes.md", command: "flink-platform ", why: "needs a cluster; internal/platform/cluster/kubernetes runs the driver on a real API server, internal/platform/cli reads the flags"},
	{page: "docker.md", command: "", test: "test/container/page_test.go"},
	{page: "high-availability.md", command: "", test: "test/ha"},
	{page: "start-up.md", command: "flink-entrypoint warmup ", why: "starts the roles of a real Flink; test/warmup (tag flink) does, and test/container in an image's build"},
	{page: "kubernetes.md", command: "kubectl ", why: "needs a cluster; test/deploy checks the manifests and plays them as pods"},
	{page: "operator.md", command: "kubectl ", why: "needs a cluster with the operator; test/deploy checks the examples"},
	{page: "kubernetes.md", command: "helm ", why: "needs a cluster; test/deploy renders the charts, and installs them on an API server (make test-kubernetes)"},
	{page: "platform-kubernetes.md", command: "helm ", why: "needs a cluster; test/deploy renders the charts, and installs them on an API server (make test-kubernetes)"},
	{page: "kubernetes.md", command: "JOB=", test: "test/deploy"},
	{page: "kubernetes.md", command: "REQUEST=", test: "test/deploy"},
	{page: "kubernetes.md", command: "curl ", test: "test/deploy"},
	{page: "start-up.md", command: "flink-entrypoint warmup ", test: "test/container/warm_test.go"},
	{page: "sql.md", command: "flink-entrypoint ", why: "needs Flink's jars, or becomes a Flink process; test/debug runs the example and definitions of these kinds on real Flink"},
}

// TestEveryCommandIsExecuted finds every command in a block of the pages: it is one of a console block, or in the list.
func TestEveryCommandIsExecuted(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	used := make([]bool, len(elsewhere))
	found := 0
	for _, path := range append(pages, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		page := filepath.Base(path)
		for _, command := range loose(string(text)) {
			found++
			listed := false
			for i, e := range elsewhere {
				if e.page == page && strings.HasPrefix(command, e.command) {
					listed, used[i] = true, true
				}
			}
			if !listed {
				t.Errorf("%s: nothing executes %q: make its block a console block, or say in the list above why it cannot be", page, command)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d commands found outside of console blocks", found)
	}
	for i, e := range elsewhere {
		if !used[i] {
			t.Errorf("%s has no command %q any more", e.page, e.command)
		}
		if e.test != "" && !mentions(t, "../../"+e.test, e.page) {
			t.Errorf("%s is said to execute the commands of %s, and does not mention the page", e.test, e.page)
		}
	}
}

// loose returns the commands in blocks other than console blocks: all of a sh block, and of a block without a language what
// begins as a command does.
func loose(page string) []string {
	var commands []string
	language, inside := "", false
	start := regexp.MustCompile(`^(\$ )?(flink-entrypoint|make|docker|podman|kubectl|go|pip|curl|apt-get|kustomize|helm) `)
	for line := range strings.Lines(strings.ReplaceAll(page, "\\\n", "")) {
		trimmed := strings.TrimSpace(line)
		if info, ok := strings.CutPrefix(trimmed, "```"); ok {
			language, inside = info, !inside
			continue
		}
		shell := language == "sh" || language == "bash" || language == "shell"
		if !inside || trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if shell || (language == "" || language == "text") && start.MatchString(line) {
			commands = append(commands, strings.TrimPrefix(trimmed, "$ "))
		}
	}
	return commands
}

// mentions reports whether a test file, or one of a folder of tests, names the page.
func mentions(t *testing.T, path, page string) bool {
	t.Helper()
	files := []string{path}
	if !strings.HasSuffix(path, ".go") {
		var err error
		if files, err = filepath.Glob(filepath.Join(path, "*_test.go")); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), page) {
			return true
		}
	}
	return false
}

// TestLinks: what a page links to or shows is there, headings included, and each picture is small and shown.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`(?:\]\(|src="|srcset=")([^)"\s]+)`)
	shown := map[string]bool{}
	for _, path := range append(pages, "../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md", "../../CHANGELOG.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			target := path
			if to != "" {
				target = filepath.Join(filepath.Dir(path), to)
			}
			content, err := os.ReadFile(target)
			if err != nil {
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s links to %s, which is not there", path, m[1])
				}
				continue
			}
			shown[filepath.Clean(target)] = true
			if anchor != "" && !headings(string(content))[anchor] {
				t.Errorf("%s links to %s, where no heading is called so", path, m[1])
			}
		}
	}
	pictures, err := filepath.Glob("../../docs/images/*")
	if err != nil || len(pictures) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	for _, p := range pictures {
		st, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if st.Size() > 100<<10 {
			t.Errorf("%s has %d bytes, at most 100 KiB are meant for a picture", p, st.Size())
		}
		if !shown[filepath.Clean(p)] {
			t.Errorf("no page shows %s", p)
		}
	}
}

// headings are the anchors that a Markdown page has on the usual sites.
func headings(page string) map[string]bool {
	all := map[string]bool{}
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for line := range strings.Lines(page) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			all[strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")] = true
		}
	}
	return all
}

// TestMigrationNamesItsTests: each difference that the page claims names a test that there is.
func TestMigrationNamesItsTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, top := range []string{"../../cmd", "../../internal", "../../test"} {
		err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			sources.Write(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := regexp.MustCompile("`(Test[A-Za-z]+|[a-z]+\\.txtar)`").FindAllStringSubmatch(string(text), -1)
	if len(names) < 20 {
		t.Errorf("only %d tests are named", len(names))
	}
	for _, m := range names {
		if strings.HasSuffix(m[1], ".txtar") {
			if _, err := os.Stat("../../cmd/flink-entrypoint/testdata/" + m[1]); err != nil {
				t.Errorf("%v", err)
			}
		} else if !strings.Contains(sources.String(), "func "+m[1]+"(") {
			t.Errorf("the test %s does not exist", m[1])
		}
	}
}
