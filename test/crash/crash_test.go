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
	"slices"
	"strings"
	"syscall"
	"testing"

	"flink-entrypoint/test/program"
)

// quickStride is how many writing calls lie between two that the quick test kills at; the flink tier kills at each.
const quickStride = 37

// TestKilledAnywhereQuick kills at some of the calls. The whole test is TestKilledAnywhere in the flink tier.
func TestKilledAnywhereQuick(t *testing.T) {
	binary := program.Build(t)
	for i, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) { killEverywhere(t, binary, s, quickStride, i) })
	}
}

// scenario is one start to disturb: what there is before, and how the program is called.
type scenario struct {
	name   string
	before func(w *world)           // makes the state before the start; may run the program itself
	start  func(w *world) *exec.Cmd // the start
}

// world is a folder with a stub Flink home, a stub Java, and what the starts leave behind below state.
type world struct {
	t      *testing.T
	binary string
	dir    string
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *world) write(path, content string, mode fs.FileMode) {
	w.t.Helper()
	path = w.path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		w.t.Fatal(err)
	}
}

// command is one call of the program with the run dir in state.
func (w *world) command(version string, args ...string) *exec.Cmd {
	cmd := exec.Command(w.binary, append([]string{"--run-dir", w.path("state", "run")}, args...)...)
	cmd.Env = []string{"FLINK_HOME=" + w.path("flink-"+version), "JAVA_HOME=" + w.path("java"), "PATH=/usr/bin:/bin", "HOSTNAME=here", "DISABLE_JEMALLOC=true",
		"FLINK_ENTRYPOINT_SYSROOT=" + w.path("root"), "FLINK_ENTRYPOINT_TERMINATION_LOG=" + w.path("termination"), "CATALOG_PASSWORD=s3cr3t-words", "GOMAXPROCS=2"}
	return cmd
}

// run executes a start to its end.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args[1:], err, out)
	}
}

func newWorld(t *testing.T, binary string) *world {
	w := &world{t: t, binary: binary, dir: t.TempDir()}
	for version, name := range map[string]string{"2.2.1": "config.yaml", "1.20.5": "flink-conf.yaml"} {
		home := "flink-" + version
		w.write(home+"/lib/flink-dist-"+version+".jar", "", 0o644)
		w.write(home+"/lib/flink-cep.jar", "", 0o644)
		w.write(home+"/opt/flink-s3-fs-hadoop.jar", "", 0o644)
		w.write(home+"/bin/config.sh", "", 0o644)
		w.write(home+"/plugins/README.txt", "", 0o644)
		w.write(home+"/conf/"+name, "# a comment\ntaskmanager.memory.process.size: 1728m\njobmanager.memory.process.size: 1600m\ntaskmanager.numberOfTaskSlots: 2\n", 0o644)
		for _, sibling := range []string{"log4j-cli.properties", "log4j-console.properties", "logback-console.xml", "masters", "workers", "zoo.cfg"} {
			w.write(home+"/conf/"+sibling, "# "+sibling+"\n", 0o640)
		}
		w.write(home+"/conf/hadoop/core-site.xml", "<configuration/>\n", 0o644)
	}
	w.write("java/release", "JAVA_VERSION=\"11.0.27\"\n", 0o644)
	w.write("java/bin/java", "#!/bin/sh\n", 0o755)
	w.write("root/proc/self/cgroup", "0::/\n", 0o644)
	w.write("root/proc/self/mountinfo", "24 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", 0o644)
	w.write("root/proc/meminfo", "MemTotal:       25165824 kB\n", 0o644)
	w.write("root/sys/fs/cgroup/cgroup.controllers", "cpu memory\n", 0o644)
	w.write("root/sys/fs/cgroup/memory.max", "2147483648\n", 0o644)
	if err := os.Mkdir(w.path("state"), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

func scenarios(t *testing.T) []scenario {
	service := serve(t)
	application := func(w *world, definition string) *exec.Cmd {
		return w.command("2.2.1", "--definition", service+"/"+definition, "--definition-cache", w.path("state", "cache", "definition.yaml"), "standalone-job")
	}
	return []scenario{
		{
			name:   "first start of a TaskManager",
			before: func(*world) {},
			start:  func(w *world) *exec.Cmd { return w.command("2.2.1", "taskmanager") },
		},
		{
			name: "start with another limit and another base",
			before: func(w *world) {
				run(w.t, w.command("2.2.1", "taskmanager"))
				w.write("flink-2.2.1/conf/workers", "other\n", 0o644)
				w.write("flink-2.2.1/conf/new.xml", "<new/>\n", 0o644)
				for _, gone := range []string{"zoo.cfg", "hadoop/core-site.xml"} {
					if err := os.Remove(w.path("flink-2.2.1", "conf", gone)); err != nil {
						w.t.Fatal(err)
					}
				}
			},
			start: func(w *world) *exec.Cmd { return w.command("2.2.1", "--memory-limit", "3g", "taskmanager") },
		},
		{
			name:   "first start of an application cluster",
			before: func(w *world) { w.mkdir("state/cache") },
			start:  func(w *world) *exec.Cmd { return application(w, "one") },
		},
		{
			name: "application cluster with another definition",
			before: func(w *world) {
				w.mkdir("state/cache")
				run(w.t, application(w, "one"))
			},
			start: func(w *world) *exec.Cmd { return application(w, "two") },
		},
		{
			name:   "in place, for the first time",
			before: func(w *world) { w.copyConf("flink-1.20.5/conf", "state/conf") },
			start: func(w *world) *exec.Cmd {
				return w.command("1.20.5", "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "taskmanager")
			},
		},
		{
			name: "in place, with another limit",
			before: func(w *world) {
				w.copyConf("flink-1.20.5/conf", "state/conf")
				run(w.t, w.command("1.20.5", "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "taskmanager"))
			},
			start: func(w *world) *exec.Cmd {
				return w.command("1.20.5", "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "--memory-limit", "3g", "--slots", "4", "taskmanager")
			},
		},
	}
}

func (w *world) mkdir(path string) {
	if err := os.MkdirAll(w.path(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) copyConf(from, to string) {
	if err := os.CopyFS(w.path(to), os.DirFS(w.path(from))); err != nil {
		w.t.Fatal(err)
	}
}

// serve answers with two definitions and the artifacts that they name.
func serve(t *testing.T) string {
	jars := map[string][]byte{"/udf.jar": emptyZip(), "/connector.jar": emptyZip()}
	sum := func(name string) string { s := sha256.Sum256(jars[name]); return hex.EncodeToString(s[:]) }
	var url string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if content, ok := jars[r.URL.Path]; ok {
			http.ServeContent(w, r, "", fixedTime(), bytes.NewReader(content))
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
	w := newWorld(t, binary)
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
	for path := range before {
		_, stays := after[path]
		if _, ok := now[path]; stays && !ok {
			t.Errorf("%s: %s is gone", when, path)
		}
	}
}

// tree describes what lies below a folder: path to mode and digest, or the target of a link.
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
			sum := sha256.Sum256(notWhen(content))
			text += fmt.Sprintf(" %d bytes %x", len(content), sum[:6])
		}
		name := strings.TrimPrefix(path, dir)
		if strings.HasPrefix(name, "/cache/.") {
			return nil // what is left of a last good copy has a random name, since several hosts may share that folder
		}
		out[name] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// notWhen cuts out when a last good copy was fetched, the only thing that differs between two starts.
func notWhen(content []byte) []byte {
	head, rest, found := bytes.Cut(content, []byte(`,"fetched":"`))
	if !found || !bytes.HasPrefix(head, []byte(`{"format":`)) {
		return content
	}
	_, rest, _ = bytes.Cut(rest, []byte(`"`))
	return slices.Concat(head, rest)
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
