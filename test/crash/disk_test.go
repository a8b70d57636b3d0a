package crash

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/test/world"
)

// foreigner is a user that no image knows, as OpenShift assigns them.
const foreigner = 1234567

// mount mounts for the time of a test.
func mount(t *testing.T, source, target, kind string, flags uintptr, options string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skipf("mount: %v; run as root, with docker --cap-add SYS_ADMIN", err)
		}
		t.Fatalf("mount %s: %v", target, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", target, err)
		}
	})
}

// as makes a command run as another user; only root can.
func as(t *testing.T, cmd *exec.Cmd, uid uint32) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: 0}}
	return cmd
}

// open lets every user into the temporary folder of a test.
func open(t *testing.T, w *machine) {
	t.Helper()
	for dir := w.dir; dir != os.TempDir() && len(dir) > 1; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// fails runs a start that must end with code 29 and an error that names path and reason.
func fails(t *testing.T, cmd *exec.Cmd, path, reason string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 29 {
		t.Errorf("ended with %v, want code 29\n%s", err, stderr.String())
	}
	lines := strings.Split(stderr.String(), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "error: ") })
	if i < 0 || !strings.Contains(lines[i], path) || !strings.Contains(lines[i], reason) {
		t.Errorf("no error line names %s and %q:\n%s", path, reason, stderr.String())
	}
}

func TestReadOnlyRootAndAnyUser(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	open(t, w)
	if err := os.Chown(w.path("state"), foreigner, 0); err != nil {
		t.Skip("only root can give files away")
	}
	before := tree(t, w.path("flink-2.2.1"))
	for range 2 {
		run(t, as(t, w.command("2.2.1", "taskmanager"), foreigner))
	}
	if _, err := os.Stat(w.path("state/run/conf/config.yaml")); err != nil {
		t.Error(err)
	}
	if !slices.Equal(list(before), list(tree(t, w.path("flink-2.2.1")))) {
		t.Error("the home has changed")
	}
	t.Run("EROFS", func(t *testing.T) {
		if err := os.Mkdir(w.path("readonly"), 0o755); err != nil {
			t.Fatal(err)
		}
		mount(t, "tmpfs", w.path("readonly"), "tmpfs", unix.MS_RDONLY, "size=64k")
		fails(t, w.command("2.2.1", "--run-dir", w.path("readonly/run"), "taskmanager"), w.path("readonly/run"), "read-only file system")
		fails(t, w.command("2.2.1", "--run-dir", w.path("state/own"), "--conf-out", w.path("readonly/conf"), "taskmanager"), w.path("readonly/conf"), "read-only file system")
	})
	t.Run("EROFS in place", func(t *testing.T) {
		w.copyConf("flink-1.20.5/conf", "place")
		was := tree(t, w.path("place"))
		mount(t, w.path("place"), w.path("place"), "", unix.MS_BIND, "")
		if err := unix.Mount("", w.path("place"), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		fails(t, w.command("1.20.5", "--run-dir", w.path("state/own"), "--conf-dir", w.path("place"), "--conf-out", w.path("place"), "taskmanager"), w.path("place"), "read-only file system")
		if !slices.Equal(list(was), list(tree(t, w.path("place")))) {
			t.Error("it has changed")
		}
		// The same directory as a base only is fine.
		run(t, w.command("1.20.5", "--run-dir", w.path("state/other"), "--conf-dir", w.path("place"), "taskmanager"))
	})
	t.Run("EACCES", func(t *testing.T) {
		fails(t, as(t, w.command("2.2.1", "--run-dir", w.path("mine/run"), "taskmanager"), foreigner), w.path("mine"), "permission denied")
		if _, err := os.Lstat(w.path("mine")); err == nil {
			t.Error("something was made")
		}
	})
	t.Run("another user's run dir", func(t *testing.T) {
		if err := os.Mkdir(w.path("theirs"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(w.path("theirs"), foreigner+1, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(w.path("theirs"), 0o777); err != nil {
			t.Fatal(err)
		}
		fails(t, as(t, w.command("2.2.1", "--run-dir", w.path("theirs"), "taskmanager"), foreigner), w.path("theirs"), "belongs to user")
		if entries, err := os.ReadDir(w.path("theirs")); err != nil || len(entries) > 0 {
			t.Errorf("it holds %v, %v", entries, err)
		}
	})
}

func TestNoPlaceToWrite(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	w.write("file", "x", 0o644)
	if err := os.Symlink(w.path("state"), w.path("link")); err != nil {
		t.Fatal(err)
	}
	fails(t, w.command("2.2.1", "--run-dir", w.path("file"), "taskmanager"), w.path("file"), "is not a directory")
	fails(t, w.command("2.2.1", "--run-dir", w.path("file/run"), "taskmanager"), w.path("file"), "not a directory")
	fails(t, w.command("2.2.1", "--run-dir", w.path("link"), "taskmanager"), w.path("link"), "symbolic link")
	fails(t, w.command("2.2.1", "--conf-out", w.path("file"), "taskmanager"), w.path("file"), "not a directory")
	// A folder is where a file must go.
	w.mkdir("state/run/conf/config.yaml/x")
	if err := os.Chmod(w.path("state/run"), 0o700); err != nil {
		t.Fatal(err)
	}
	fails(t, w.command("2.2.1", "taskmanager"), w.path("state/run/conf/config.yaml"), "is a directory")
	if entries, err := os.ReadDir(w.path("state")); err != nil || len(entries) != 1 {
		t.Errorf("state holds %v, %v", entries, err)
	}
}

// TestFullDisk fills a small file system up to the last byte and the last inode.
func TestFullDisk(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	w.write("flink-2.2.1/conf/large.xml", strings.Repeat("x", 40<<10), 0o644)
	for _, tt := range []struct{ name, options, enough string }{
		{"bytes", "size=48k", "size=1m"},
		{"inodes", "size=1m,nr_inodes=8", "size=1m,nr_inodes=100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := w.path("small-" + tt.name)
			w.mkdir("small-" + tt.name)
			mount(t, "tmpfs", dir, "tmpfs", 0, tt.options)
			args := []string{"--run-dir", dir, "taskmanager"}
			fails(t, w.command("2.2.1", args...), dir, "no space left on device")
			checkWhole(t, dir, w)
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT, tt.enough); err != nil {
				t.Fatal(err)
			}
			run(t, w.command("2.2.1", args...))
			good := tree(t, dir)
			// Full again, and another limit: what is there stays whole.
			if err := os.WriteFile(filepath.Join(dir, "ballast"), bytes.Repeat([]byte("b"), 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
			if tt.name == "bytes" {
				fails(t, w.command("2.2.1", append([]string{"--memory-limit", "3g"}, args...)...), dir, "no space left on device")
				now := tree(t, dir)
				delete(now, "/ballast")
				if !slices.Equal(list(good), list(now)) {
					t.Errorf("changed:\n%s\nto\n%s", strings.Join(differ(good, now), "\n"), strings.Join(differ(now, good), "\n"))
				}
				run(t, w.command("2.2.1", args...)) // nothing to write
			}
			if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
				t.Fatal(err)
			}
			run(t, w.command("2.2.1", args...))
			if now := tree(t, dir); !slices.Equal(list(good), list(now)) {
				t.Errorf("with room again: %s", strings.Join(differ(now, good), "\n"))
			}
		})
	}
}

// checkWhole fails where a file of the rendered directory is not the whole file, or a temporary one is left.
func checkWhole(t *testing.T, dir string, w *machine) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name := strings.TrimPrefix(path, filepath.Join(dir, "conf"))
		if strings.HasPrefix(d.Name(), ".") {
			if d.Name() != ".flink-entrypoint-manifest" {
				t.Errorf("left over: %s", path)
			}
			return nil
		}
		got, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(w.path("flink-2.2.1/conf", name))
		if d.Name() != "config.yaml" && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("half-written: %s, %d bytes of %d", path, len(got), len(want))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMountedFile renders in place where the configuration is a mount point of its own, which nothing can be renamed over.
func TestMountedFile(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	w.copyConf("flink-1.20.5/conf", "state/conf")
	w.write("volume/flink-conf.yaml", "# on the volume\ntaskmanager.memory.process.size: 1728m\n", 0o644)
	target := w.path("state/conf/flink-conf.yaml")
	mount(t, w.path("volume/flink-conf.yaml"), target, "", unix.MS_BIND, "")
	start := func(limit string) {
		t.Helper()
		run(t, w.command("1.20.5", "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "--memory-limit", limit, "taskmanager"))
	}
	says := func(want string) {
		t.Helper()
		got, err := os.ReadFile(w.path("volume/flink-conf.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(got), "process.size:"); n != 1 || !strings.Contains(string(got), "\ntaskmanager.memory.process.size: "+want+"\n") {
			t.Errorf("want one size, %s, have\n%s", want, got)
		}
	}
	start("2g")
	says("2g")
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(target, old, old); err != nil {
		t.Fatal(err)
	}
	start("2g")
	if info, err := os.Stat(target); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("a second start touched it: %v, %v", info.ModTime(), err)
	}
	start("3g")
	says("3g")
	// The container is created again: the notes beside the file are gone, the volume is not.
	for _, note := range []string{"original", "rendered", "last"} {
		if err := os.Remove(w.path("state/conf/.flink-conf.yaml.flink-entrypoint-" + note)); err != nil {
			t.Fatal(err)
		}
	}
	start("4g")
	says("4g")
	w.write("volume/flink-conf.yaml", "# by a person\ntaskmanager.memory.process.size: 1900m\n", 0o644)
	start("4g")
	says("1900m")
	start("5g")
	says("1900m")
}
