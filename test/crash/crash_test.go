package crash

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/crash/trace"
	"flink-entrypoint/test/world"
)

// How many writing calls are between two that the quick test, and its short form, kill at; the flink tier kills at each.
const (
	quickStride = 37
	shortStride = 150
)

// TestKilledAnywhereQuick kills at some of the calls. The whole test is TestKilledAnywhere in the flink tier.
func TestKilledAnywhereQuick(t *testing.T) {
	binary, stride := world.Binary(t), quickStride
	if testing.Short() {
		stride = shortStride
	}
	for i, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			killEverywhere(t, binary, s, stride, i*13%quickStride)
		})
	}
}

// scenario is one start to disturb: what there is before, and how the program is called.
type scenario struct {
	name   string
	before func(w *machine)           // makes the state before the start; may run the program itself
	start  func(w *machine) *exec.Cmd // the start
}

// machine is a folder with a stub Flink home, a stub Java, and what the starts leave below state.
type machine struct {
	t      *testing.T
	binary string
	dir    string
}

func (w *machine) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *machine) write(path, content string, mode fs.FileMode) {
	w.t.Helper()
	world.File(w.t, w.path(path), content, mode)
}

// command is one call of the program with the run dir in state.
func (w *machine) command(version string, args ...string) *exec.Cmd {
	cmd := exec.Command(w.binary, append([]string{"--run-dir", w.path("state", "run")}, args...)...)
	cmd.Env = world.Env(w.dir, "FLINK_HOME="+w.path("flink-"+version), "FLINK_ENTRYPOINT_TERMINATION_LOG="+w.path("termination"), "CATALOG_PASSWORD=s3cr3t-words", "GOMAXPROCS=2")
	return cmd
}

// run executes a start to its end.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args[1:], err, out)
	}
}

func newMachine(t *testing.T, binary string) *machine {
	w := &machine{t: t, binary: binary, dir: t.TempDir()}
	for _, version := range []string{"2.2.1", "1.20.5"} {
		home := "flink-" + version
		world.Write(t, w.path(home), world.StubHome(version, "# a comment\n"+world.Sizes+"taskmanager.numberOfTaskSlots: 2\n"), world.Files{"lib/flink-cep.jar": "", "opt/flink-s3-fs-hadoop.jar": "", "plugins/metrics/metrics.jar": ""})
		for _, sibling := range []string{"log4j-cli.properties", "log4j-console.properties", "logback-console.xml", "masters", "workers", "zoo.cfg"} {
			w.write(home+"/conf/"+sibling, "# "+sibling+"\n", 0o640)
		}
		w.write(home+"/conf/hadoop/core-site.xml", "<configuration/>\n", 0o644)
	}
	world.Write(t, w.dir, world.StubJava("11.0.27", "").In("java"), world.Sysroot(2<<30, 0).In("sysroot"))
	if err := os.Mkdir(w.path("state"), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

func scenarios(t *testing.T) []scenario {
	service := serve(t)
	application := func(w *machine, definition string) *exec.Cmd {
		return w.command("2.2.1", "--definition", service+"/"+definition, "--definition-cache", w.path("state", "cache", "definition.yaml"), "standalone-job")
	}
	return []scenario{
		{
			name:   "first start of a TaskManager",
			before: func(*machine) {},
			start:  func(w *machine) *exec.Cmd { return w.command("2.2.1", "taskmanager") },
		},
		{
			name: "start with another limit and another base",
			before: func(w *machine) {
				run(w.t, w.command("2.2.1", "taskmanager"))
				w.write("flink-2.2.1/conf/workers", "other\n", 0o644)
				w.write("flink-2.2.1/conf/new.xml", "<new/>\n", 0o644)
				for _, gone := range []string{"zoo.cfg", "hadoop/core-site.xml"} {
					if err := os.Remove(w.path("flink-2.2.1", "conf", gone)); err != nil {
						w.t.Fatal(err)
					}
				}
			},
			start: func(w *machine) *exec.Cmd { return w.command("2.2.1", "--memory-limit", "3g", "taskmanager") },
		},
		{
			name:   "first start of an application cluster",
			before: func(w *machine) { w.mkdir("state/cache") },
			start:  func(w *machine) *exec.Cmd { return application(w, "one") },
		},
		{
			name: "application cluster with another definition",
			before: func(w *machine) {
				w.mkdir("state/cache")
				run(w.t, application(w, "one"))
			},
			start: func(w *machine) *exec.Cmd { return application(w, "two") },
		},
		{
			name: "application cluster with other artifacts, one in a plugin of the image, and without SQL",
			before: func(w *machine) {
				w.mkdir("state/cache")
				run(w.t, application(w, "one"))
			},
			start: func(w *machine) *exec.Cmd { return application(w, "three") },
		},
		{
			name: "session cluster after an application cluster",
			before: func(w *machine) {
				w.mkdir("state/cache")
				run(w.t, application(w, "one"))
			},
			start: func(w *machine) *exec.Cmd { return w.command("2.2.1", "jobmanager") },
		},
		{
			name:   "in place, for the first time",
			before: func(w *machine) { w.copyConf("flink-1.20.5/conf", "state/conf") },
			start: func(w *machine) *exec.Cmd {
				return w.command("1.20.5", "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "taskmanager")
			},
		},
		{
			name: "in place, with another limit",
			before: func(w *machine) {
				w.copyConf("flink-1.20.5/conf", "state/conf")
				run(w.t, w.command("1.20.5", "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "taskmanager"))
			},
			start: func(w *machine) *exec.Cmd {
				return w.command("1.20.5", "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "--memory-limit", "3g", "--slots", "4", "taskmanager")
			},
		},
	}
}

func (w *machine) mkdir(path string) {
	if err := os.MkdirAll(w.path(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

func (w *machine) copyConf(from, to string) {
	if err := os.CopyFS(w.path(to), os.DirFS(w.path(from))); err != nil {
		w.t.Fatal(err)
	}
}

// serve answers with three definitions and the artifacts that they name.
func serve(t *testing.T) string {
	jars := map[string][]byte{"/udf.jar": world.Jar(""), "/udf-2.jar": world.Jar(""), "/connector.jar": world.Jar("")}
	sum := func(name string) string { s := sha256.Sum256(jars[name]); return hex.EncodeToString(s[:]) }
	var url string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if content, ok := jars[r.URL.Path]; ok {
			http.ServeContent(w, r, "", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), bytes.NewReader(content))
			return
		}
		if r.URL.Path == "/three" {
			fmt.Fprintf(w, `apiVersion: flink-entrypoint/v1
name: crash
artifacts:
  - {uri: "%s/udf-2.jar", sha256: "%s", to: usrlib}
  - {uri: "%s/connector.jar", sha256: "%s", to: plugins/metrics}
`, url, sum("/udf-2.jar"), url, sum("/connector.jar"))
			return
		}
		level, script := "INFO", "INSERT INTO t VALUES (1)"
		if r.URL.Path == "/two" {
			level, script = "DEBUG", "INSERT INTO t VALUES (2), (3)"
		}
		fmt.Fprintf(w, `apiVersion: flink-entrypoint/v1
name: crash
configuration: {state.backend.type: hashmap, s3.secret-key: {fromEnv: CATALOG_PASSWORD}}
logging: {level: %s}
artifacts:
  - {uri: "%s/udf.jar", sha256: "%s", to: usrlib}
  - {uri: "%s/connector.jar", sha256: "%s", to: plugins/connector}
sql:
  catalogs:
    - {name: c, options: {type: jdbc, password: {fromEnv: CATALOG_PASSWORD}}}
  script: |
    CREATE TABLE t (a INT) WITH ('connector' = 'print');
    %s;
`, level, url, sum("/udf.jar"), url, sum("/connector.jar"), script)
	}))
	t.Cleanup(server.Close)
	url = server.URL
	return url
}

// killEverywhere kills the start of a scenario at every stride-th writing call from the first-th on.
func killEverywhere(t *testing.T, binary string, s scenario, stride, first int) (kills int, calls map[string]int) {
	w := newMachine(t, binary)
	s.before(w)
	saved := w.path("saved")
	if err := copyTree(w.path("state"), saved); err != nil {
		t.Fatal(err)
	}
	before := tree(t, w.path("state"))
	run(t, s.start(w))
	after := tree(t, w.path("state"))
	if slices.Equal(list(before), list(after)) {
		t.Fatal("the start changes nothing")
	}
	calls = map[string]int{}
	for n := 1 + first%stride; ; n += stride {
		if err := os.RemoveAll(w.path("state")); err != nil {
			t.Fatal(err)
		}
		if err := copyTree(saved, w.path("state")); err != nil {
			t.Fatal(err)
		}
		cmd := s.start(w)
		at, seen, err := killAt(cmd, n)
		if errors.Is(err, syscall.EPERM) {
			t.Skipf("%v: a debugger is not allowed here; with docker, run with --cap-add SYS_PTRACE", err)
		}
		if err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
		if at == "" {
			if len(seen) < 20 {
				t.Fatalf("only %d writing calls seen: %v", len(seen), seen)
			}
			break
		}
		kills++
		calls[at]++
		checkRemains(t, fmt.Sprintf("killed at call %d (%s)", n, at), before, after, tree(t, w.path("state")))
		again := 1 + n*7%40 // the next start may be killed too
		switch second, _, err := killAt(s.start(w), again); {
		case err != nil:
			t.Fatalf("call %d, then call %d: %v", n, again, err)
		case second != "":
			kills++
			calls[second]++
			checkRemains(t, fmt.Sprintf("killed at call %d (%s), then at call %d (%s)", n, at, again, second), before, after, tree(t, w.path("state")))
		}
		run(t, s.start(w))
		if got := tree(t, w.path("state")); !slices.Equal(list(got), list(after)) {
			t.Errorf("killed at call %d (%s): the next start gives\n%s\nundisturbed it gives\n%s", n, at, strings.Join(differ(got, after), "\n"), strings.Join(differ(after, got), "\n"))
		}
		if t.Failed() {
			return kills, calls
		}
	}
	return kills, calls
}

// checkRemains holds what a killed start left against the states before and after an undisturbed one. Names that begin with a
// dot are temporary files and the writer's own notes; the next start must clear those up.
func checkRemains(t *testing.T, when string, before, after, now map[string]string) {
	t.Helper()
	for path, content := range now {
		if strings.Contains(path, "/.") {
			continue
		}
		old, hadOld := before[path]
		fresh, hasNew := after[path]
		if (!hadOld || content != old) && (!hasNew || content != fresh) {
			t.Errorf("%s: %s is neither old nor new: %s", when, path, content)
		}
	}
	for path, old := range before {
		fresh, stays := after[path]
		if stays && old[0] != fresh[0] {
			continue // a link gives way to a directory before there is something to put into that
		}
		if _, ok := now[path]; stays && !ok {
			t.Errorf("%s: %s is gone", when, path)
		}
	}
}

// tree describes what is below a folder: path to mode and digest, or the target of a link.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + target
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(sameOf(content))
			text += fmt.Sprintf(" %d bytes %x", len(content), sum[:6])
		}
		out[strings.TrimPrefix(path, dir)] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// whenAndSalt are the members of a last good copy's first line that differ between two starts: when it was fetched, and what is drawn
// for it.
var whenAndSalt = regexp.MustCompile(`"(fetched|salt|key)":"[^"]*"`)

// sameOf cuts them out.
func sameOf(content []byte) []byte {
	head, rest, _ := bytes.Cut(content, []byte("\n"))
	if !bytes.HasPrefix(head, []byte(`{"format":`)) {
		return content
	}
	return slices.Concat(whenAndSalt.ReplaceAll(head, nil), []byte("\n"), rest)
}

func list(tree map[string]string) []string {
	var out []string
	for path, text := range tree {
		out = append(out, path+" "+text)
	}
	slices.Sort(out)
	return out
}

// differ lists what a has and b has not.
func differ(a, b map[string]string) []string {
	var out []string
	for _, line := range list(a) {
		if path, text, _ := strings.Cut(line, " "); b[path] != text {
			out = append(out, "  "+line)
		}
	}
	return out
}

// copyTree copies a folder with modes and links.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			if err := os.Mkdir(target, 0o700); err != nil {
				return err
			}
			return os.Chmod(target, info.Mode())
		case info.Mode()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, content, 0o600); err != nil {
			return err
		}
		return os.Chmod(target, info.Mode())
	})
}

// killAt runs a command and kills it as it enters its n-th writing system call, counted from 1, which then does not happen.
// It returns the name of that call; "" means that the command came to its end, or to its exec, with fewer calls, whose names
// are in seen.
func killAt(cmd *exec.Cmd, n int) (at string, seen []string, err error) {
	_, err = trace.Run(cmd, trace.Writing(), func(c trace.Call) bool {
		if !c.Writes {
			return false
		}
		if seen = append(seen, c.Name); len(seen) == n {
			at = c.Name
		}
		return len(seen) == n
	})
	return at, seen, err
}
