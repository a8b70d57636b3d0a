package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flink-entrypoint/test/world"
)

// TestExamples executes the examples on Flink homes of empty jars.
func TestExamples(t *testing.T) { testPages(t, stubHome) }

func testPages(t *testing.T, home func(t *testing.T, dir, version string) (javaHome string)) {
	binary := world.Binary(t)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	var executed atomic.Int64
	t.Cleanup(func() {
		if n := executed.Load(); n < 10 {
			t.Errorf("only %d commands executed", n)
		}
	})
	for _, path := range append(pages, "../../README.md") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel() // a page has a folder of its own
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := parse(string(text))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if slices.ContainsFunc(steps, func(s step) bool { return s.command != "" }) {
				p := newPage(t, path, binary, home)
				executed.Add(int64(p.execute(steps)))
			}
		})
	}
}

// page executes the steps of one page.
type page struct {
	t      *testing.T
	name   string
	dir    string
	binary string
	home   func(t *testing.T, dir, version string) string
	shown  []string // pairs: a path of this test, as the page calls it
	script strings.Builder
}

func newPage(t *testing.T, name, binary string, home func(*testing.T, string, string) string) *page {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, name: name, dir: dir, binary: binary, home: home}
	for _, d := range []string{"work", "bin"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary, filepath.Join(dir, "bin", "flink-entrypoint")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "work", "examples"), os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	p.shown = []string{filepath.Join(dir, "run"), "/tmp/flink-entrypoint", filepath.Join(dir, "work"), "/srv/flink"}
	return p
}

const mark = "@@@"

// execute runs the steps in one shell, compares, and returns how many commands there were.
func (p *page) execute(steps []step) int {
	sets := map[string]string{"home": "2.2.1"}
	made := map[string]bool{}
	line := func(format string, args ...any) { fmt.Fprintf(&p.script, format+"\n", args...) }
	line("exec 2>&1")
	line("export FLINK_ENTRYPOINT_RUN_DIR=%s FLINK_ENTRYPOINT_TERMINATION_LOG=/dev/null", filepath.Join(p.dir, "run"))
	home := ""
	use := func() {
		home = filepath.Join(p.dir, "flink-"+sets["home"])
		root := filepath.Join(p.dir, "root-"+sets["memory"]+"-"+sets["cpu"])
		if !made[home] {
			java := p.home(p.t, home, sets["home"])
			p.shown = append(p.shown, home, "/opt/flink", java, "/opt/java")
			line("export JAVA_HOME=%s", java)
		}
		if !made[root] {
			sysroot(p.t, root, sets["memory"], sets["cpu"])
		}
		made[home], made[root] = true, true
		line("export FLINK_HOME=%s FLINK_OPT_DIR=%s/opt FLINK_ENTRYPOINT_SYSROOT=%s", home, home, root)
	}
	use()
	var commands []step
	for _, s := range steps {
		switch {
		case s.set != nil:
			for k, v := range s.set {
				sets[k] = v
			}
			use()
		case s.file != "":
			path := strings.Replace(s.file, "/opt/flink", home, 1)
			line("mkdir -p '%s' && cat >'%s' <<'END-OF-FILE'\n%sEND-OF-FILE", filepath.Dir(path), path, s.content)
		default:
			line("%s", strings.NewReplacer("/opt/flink", home, "/tmp/flink-entrypoint", filepath.Join(p.dir, "run")).Replace(s.command))
			line("status=$?; printf '\\n%s %%d\\n' $status; (exit $status)", mark)
			commands = append(commands, s)
		}
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh")
	cmd.Stdin = strings.NewReader(p.script.String())
	cmd.Dir = filepath.Join(p.dir, "work")
	cmd.Env = []string{"PATH=" + filepath.Join(p.dir, "bin") + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + p.dir, "HOSTNAME=host-1", "LC_ALL=C", "DISABLE_JEMALLOC=true"}
	out, err := cmd.CombinedOutput()
	text := strings.NewReplacer(p.shown...).Replace(string(out))
	for i, s := range commands {
		printed, rest, ok := strings.Cut(text, "\n"+mark+" ")
		if !ok {
			p.t.Fatalf("%s:%d: the shell ended: %v\n%s", p.name, s.line, err, text)
		}
		status, rest, _ := strings.Cut(rest, "\n")
		text = rest
		code, _ := strconv.Atoi(status)
		p.check(s, printed, code)
		if p.t.Failed() {
			return i
		}
	}
	return len(commands)
}

func (p *page) check(s step, printed string, code int) {
	var got []string
	if printed != "" {
		got = strings.Split(strings.TrimSuffix(printed, "\n"), "\n")
	}
	got = slices.DeleteFunc(got, func(l string) bool { // the reader of the page is not root
		return strings.HasPrefix(l, "flink-entrypoint: warning: running as root") || strings.HasPrefix(l, "  ! running as root")
	})
	fails := slices.ContainsFunc(s.want, func(l string) bool { return strings.HasPrefix(l, "error: ") })
	if fails != (code != 0) {
		p.t.Errorf("%s:%d: %s\nended with %d and printed\n%s", p.name, s.line, s.command, code, strings.Join(got, "\n"))
	} else if s.want != nil && !matches(s.want, got) {
		p.t.Errorf("%s:%d: %s\nprinted\n%s\nbut the page says\n%s", p.name, s.line, s.command, strings.Join(got, "\n"), strings.Join(s.want, "\n"))
	}
}

// stubHome makes a Flink home of empty jars with the stock configuration, and a Java that prints its arguments.
func stubHome(t *testing.T, dir, version string) string {
	t.Helper()
	world.Write(t, dir, world.StubHome(version, world.Stock), world.StubJava("17.0.15", "for a; do echo \"$a\"; done\n").In("../java"))
	return filepath.Join(dir, "..", "java")
}

// sysroot makes the /proc and /sys of a container with these limits: memory as 2g, cpu in cores, "" for none.
func sysroot(t *testing.T, dir, memory, cpu string) {
	t.Helper()
	var gigabytes int64
	if number, ok := strings.CutSuffix(memory, "g"); ok {
		var err error
		if gigabytes, err = strconv.ParseInt(number, 10, 64); err != nil {
			t.Fatalf("memory=%s: %v", memory, err)
		}
	}
	cores, _ := strconv.ParseFloat(cpu, 64) // 0 if it is not a number
	world.Write(t, dir, world.Sysroot(gigabytes<<30, cores))
}

func TestMatches(t *testing.T) {
	lines := func(s string) []string { return strings.Split(s, "|") }
	for _, tt := range []struct {
		want, got string
		ok        bool
	}{
		{"a|b", "a|b", true}, {"a|b", "a", false}, {"a", "a|b", false}, {"…", "a|b", true}, {"…|b", "b", true}, {"a|…", "a", true},
		{"a|…|c", "a|x|y|c", true}, {"a|…|c", "a|x|c|d", false}, {"x … z", "x y z", true}, {"x …", "x ", false}, {"…z", "xyz", true}, {"x…z", "xy", false},
		{"a…a", "a", false}, {"… b … d", "a b c d", true},
	} {
		if matches(lines(tt.want), lines(tt.got)) != tt.ok {
			t.Errorf("matches(%q, %q) = %t", tt.want, tt.got, !tt.ok)
		}
	}
}

func TestParse(t *testing.T) {
	steps, err := parse("<!-- docs: home=1.20.5 memory=2g -->\n```yaml title=a.yaml\nx: 1\n```\ntext\n```yaml\nno\n```\n```console\n$ one \\\n>  two\n>\n> three\nout\n\n$ four\n```\n<!-- docs: skip -->\n```console\n$ no\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []step{{line: 1, set: map[string]string{"home": "1.20.5", "memory": "2g"}}, {line: 2, file: "a.yaml", content: "x: 1\n"},
		{line: 10, command: "one \\\n two\n\nthree", want: []string{"out", ""}}, {line: 16, command: "four"}}
	if fmt.Sprint(steps) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", steps, want)
	}
	for _, bad := range []string{"```console\n$ x\n", "```console\nx\n```\n"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}
