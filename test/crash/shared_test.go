package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/world"
)

// Starts of containers that share a run dir or a --conf-out once made their temporary names from the process id, which is 1 in
// each of them, and those of links from nothing at all: one renamed the half file of another into place, and of 300 starts some
// failed with "no such file or directory".

// quickStarts is how many starts share a directory in the quick tier; the flink tier takes allStarts.
const (
	quickStarts = 60
	allStarts   = 300
	atOnce      = 16
)

func TestProcessesOfNumberOneShareDirectoriesQuick(t *testing.T) {
	if testing.Short() {
		shareDirectories(t, atOnce)
		return
	}
	shareDirectories(t, quickStarts)
}

// asFirst makes a command process 1 of a process id namespace of its own, as in a container.
func asFirst(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// needNamespaces skips a test where process id namespaces cannot be made.
func needNamespaces(t *testing.T) {
	t.Helper()
	if err := asFirst(exec.Command("/bin/true")).Run(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("a process id namespace: %v; run as root, with docker --cap-add SYS_ADMIN", err)
	}
	out, err := asFirst(exec.Command("/bin/sh", "-c", "echo $$")).Output()
	if err != nil || strings.TrimSpace(string(out)) != "1" {
		t.Fatalf("process %q in a namespace of its own, %v", out, err)
	}
}

// reader is a java that prints a checksum of each file that Flink would read.
const reader = `#!/bin/sh
for f in "$FLINK_CONF_DIR"/* "%[1]s"/*.sql "%[1]s"/usrlib/* "%[1]s"/plugins/*/*; do
  if [ -f "$f" ]; then cksum "$f"; fi
done
`

func shareDirectories(t *testing.T, starts int) {
	needNamespaces(t)
	binary := world.Binary(t)
	service := serve(t)
	definition := func(w *machine, name string, args ...string) *exec.Cmd {
		args = append([]string{"--definition", service + "/" + name, "--definition-cache", w.path("state", "cache", name)}, args...)
		return w.command("2.2.1", append(args, "standalone-job")...)
	}
	for _, s := range []struct {
		name  string
		start func(w *machine, i int) *exec.Cmd
		kinds int // start i does the same as start i+kinds
	}{
		{"a run dir", func(w *machine, i int) *exec.Cmd { return definition(w, "one") }, 1},
		{"a run dir, with different definitions", func(w *machine, i int) *exec.Cmd { return definition(w, [...]string{"one", "two"}[i%2]) }, 2},
		{"a conf-out", func(w *machine, i int) *exec.Cmd {
			return w.command("2.2.1", "--run-dir", w.path(fmt.Sprintf("own/%d", i)), "--conf-out", w.path("state/conf"), "taskmanager")
		}, 1},
		{"a conf-out, with different definitions", func(w *machine, i int) *exec.Cmd {
			return definition(w, [...]string{"one", "two"}[i%2], "--run-dir", w.path(fmt.Sprintf("own/%d", i)), "--conf-out", w.path("state/conf"))
		}, 2},
		{"the base itself, with different limits", func(w *machine, i int) *exec.Cmd {
			limit := [...]string{"2g", "3g", "4g"}[i%3]
			return w.command("1.20.5", "--run-dir", w.path(fmt.Sprintf("own/%d", i)), "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "--memory-limit", limit, "taskmanager")
		}, 3},
	} {
		t.Run(s.name, func(t *testing.T) {
			w := newMachine(t, binary)
			w.write("java/bin/java", fmt.Sprintf(reader, w.path("state/run")), 0o755)
			w.copyConf("flink-1.20.5/conf", "state/conf")
			w.mkdir("own")
			w.mkdir("state/cache")
			// What each kind of start gives when it is alone.
			seen, ends := map[string]bool{}, []map[string]string{}
			empty := w.path("empty")
			if err := copyTree(w.path("state"), empty); err != nil {
				t.Fatal(err)
			}
			again := func() {
				for from, to := range map[string]string{empty: w.path("state"), "": w.path("own")} {
					if err := os.RemoveAll(to); err != nil {
						t.Fatal(err)
					}
					if from == "" {
						w.mkdir("own")
					} else if err := copyTree(from, to); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i := range s.kinds {
				again()
				for range 2 {
					out, err := asFirst(s.start(w, i)).Output()
					if err != nil {
						t.Fatal(err)
					}
					for line := range strings.Lines(string(out)) {
						seen[line] = true
					}
				}
				ends = append(ends, shared(t, w))
			}
			again()
			var lines sync.Map
			var group sync.WaitGroup
			slots := make(chan struct{}, atOnce)
			for i := range starts {
				slots <- struct{}{}
				group.Go(func() {
					defer func() { <-slots }()
					cmd := asFirst(s.start(w, i))
					var stderr bytes.Buffer
					cmd.Stderr = &stderr
					out, err := cmd.Output()
					if err != nil {
						t.Errorf("start %d: %v\n%s", i, err, stderr.String())
					}
					if bytes.Contains(stderr.Bytes(), []byte("locked by another process")) {
						t.Errorf("start %d did not get the lock:\n%s", i, stderr.String())
					}
					for line := range strings.Lines(string(out)) {
						lines.Store(line, i)
					}
				})
			}
			group.Wait()
			lines.Range(func(line, i any) bool {
				if !seen[line.(string)] {
					t.Errorf("start %d read a file that no start makes: %s", i, line)
				}
				return true
			})
			end := shared(t, w)
			if !slices.ContainsFunc(ends, func(alone map[string]string) bool { return maps.Equal(alone, end) }) {
				t.Errorf("what is left is a mixture of two starts; it differs from the first kind in\n%s", strings.Join(differ(end, ends[0]), "\n"))
			}
		})
	}
}

// temporary is the name of a file on its way.
var temporary = regexp.MustCompile(`^\..*(\.flink-entrypoint-[0-9a-f]+|\.part|\.new)$`)

// shared describes what the starts have left in the directories that they share, without the last good copies, of which each
// definition has its own.
func shared(t *testing.T, w *machine) map[string]string {
	t.Helper()
	out := tree(t, w.path("state"))
	maps.DeleteFunc(out, func(path, _ string) bool { return path == "" || strings.HasPrefix(path, "/cache/") })
	noneTemporary(t, w.path("state"))
	return out
}

// noneTemporary fails where a file on its way is left.
func noneTemporary(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && temporary.MatchString(d.Name()) {
			t.Errorf("left: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLocksEndWithTheStart: the process that Flink becomes has no directory open, and with it no lock.
func TestLocksEndWithTheStart(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	w.write("java/bin/java", "#!/bin/sh\nls -l /proc/$$/fd\n", 0o755)
	w.mkdir("state/cache")
	out, err := w.command("2.2.1", "--definition", serve(t)+"/one", "--definition-cache", w.path("state/cache/copy"), "--conf-out", w.path("state/conf"), "standalone-job").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), w.path("state")) || !strings.Contains(string(out), " 1 -> ") {
		t.Errorf("open in Java:\n%s", out)
	}
}

// hold takes the lock of a directory as another process would.
func hold(t *testing.T, dir string) (release func()) {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { d.Close() }
}

// waitsForLock returns when a process waits for a lock.
func waitsForLock(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 20_000 {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, " -> FLOCK ") && strings.Contains(line, fmt.Sprintf(" %d ", pid)) {
				return
			}
		}
		<-tick.C
	}
	t.Fatalf("process %d does not wait for a lock", pid)
}

// TestStoppedWhileItWaitsForALock: a signal ends a start that waits for another one which hangs.
func TestStoppedWhileItWaitsForALock(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	run(t, w.command("2.2.1", "taskmanager"))
	for _, dir := range []string{"state/run", "state/run/conf"} {
		release := hold(t, w.path(dir))
		cmd := w.command("2.2.1", "taskmanager")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitsForLock(t, cmd.Process.Pid)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 143 {
			t.Errorf("%s: %v, want exit status 143\n%s", dir, err, stderr.String())
		}
		release()
	}
}

// TestGoesOnWithoutTheLock of a process that keeps it.
func TestGoesOnWithoutTheLock(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a start waits ten seconds for a lock")
	}
	w := newMachine(t, world.Binary(t))
	run(t, w.command("2.2.1", "taskmanager"))
	defer hold(t, w.path("state/run"))()
	defer hold(t, w.path("state/run/conf"))()
	shortest := time.Hour
	for range 3 { // a busy machine may add as much as a second wait would
		began := time.Now()
		out, err := w.command("2.2.1", "--memory-limit", "3g", "taskmanager").CombinedOutput()
		shortest = min(shortest, time.Since(began))
		if err != nil || strings.Count(string(out), "locked by another process for more than 10s") != 1 {
			t.Fatalf("%v, after %s\n%s", err, shortest, out)
		}
		if shortest < 20*time.Second {
			break
		}
	}
	if shortest >= 20*time.Second {
		t.Errorf("it took %s, want ten seconds for both locks together", shortest)
	}
	if text, err := os.ReadFile(w.path("state/run/conf/config.yaml")); err != nil || !bytes.Contains(text, []byte("taskmanager.memory.process.size: 3g\n")) {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestKilledDownloads: what a start had downloaded when it was killed is removed by a later one, whatever its definition.
func TestKilledDownloads(t *testing.T) {
	jar := world.Jar("")
	asked := make(chan bool, 10)
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow.jar" {
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(jar)
			w.(http.Flusher).Flush()
			asked <- true
			<-r.Context().Done()
			return
		}
		fmt.Fprintf(w, "apiVersion: flink-entrypoint/v1\nname: downloads\nsql: {script: SELECT 1}\n")
		if to, ok := strings.CutPrefix(r.URL.Path, "/slow/"); ok {
			fmt.Fprintf(w, "artifacts: [{uri: '%s/slow.jar', to: '%s', sha256: %064d}]\n", server.URL, to, 0)
		}
	}))
	t.Cleanup(server.Close)
	binary := world.Binary(t)
	for _, to := range []string{"usrlib", "run", "lib", "plugins/slow"} {
		t.Run(to, func(t *testing.T) {
			w := newMachine(t, binary)
			start := func(path string) *exec.Cmd {
				return w.command("2.2.1", "--definition", server.URL+path, "standalone-job")
			}
			var killed []*exec.Cmd
			for range 2 { // the second finds the first at work and has a part of its own
				cmd := start("/slow/" + to)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				<-asked
				killed = append(killed, cmd)
			}
			for _, cmd := range killed {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
			}
			left := 0
			for path := range tree(t, w.path("state")) {
				if temporary.MatchString(filepath.Base(path)) {
					left++
				}
			}
			if left != 2 {
				t.Fatalf("%d parts are left by the killed starts, want 2", left)
			}
			run(t, start("/without"))
			noneTemporary(t, w.path("state"))
		})
	}
}
