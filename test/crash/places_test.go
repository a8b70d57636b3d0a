package crash

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"flink-entrypoint/test/world"
)

// another is a user who is neither root nor the one that a start runs as.
const another = foreigner + 1

// directory makes a directory of a user and a group, with a mode.
func directory(t *testing.T, path string, uid, gid int, mode fs.FileMode) {
	t.Helper()
	err := os.Mkdir(path, 0o700)
	if err == nil {
		err = os.Chown(path, uid, gid)
	}
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("only root can give files away")
	}
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRunDirOfAll: where all may write, and no mount says that this is meant, others could swap our files. 0777 was once taken
// although 1777 was refused.
func TestRunDirOfAll(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	open(t, w)
	for _, tt := range []struct {
		name   string
		uid    int
		mode   fs.FileMode
		mount  string // kind of mount: "", tmpfs, bind
		reason string
	}{
		{"own", foreigner, 0o700, "", ""},
		{"own-for-all", foreigner, 0o777, "", "shared by all users (mode 0777)"},
		{"own-like-tmp", foreigner, 0o777 | fs.ModeSticky, "", "shared by all users (mode 1777)"},
		{"root-for-all", 0, 0o777, "", "shared by all users (mode 0777)"},
		{"root-like-tmp", 0, 0o777 | fs.ModeSticky, "", "shared by all users (mode 1777)"},
		{"root-write-only", 0, 0o773, "", "shared by all users (mode 0773)"},
		{"root-group", 0, 0o770, "", ""},
		{"root-group-setgid", 0, 0o775 | fs.ModeSetgid, "", ""},
		{"tmpfs-for-all", 0, 0o777, "tmpfs", ""},
		{"tmpfs-like-tmp", 0, 0o777 | fs.ModeSticky, "tmpfs", ""},
		{"bind-for-all", 0, 0o777, "bind", ""}, // on the device of its parent, as a hostPath may be
		{"bind-fsgroup", 0, 0o777 | fs.ModeSetgid, "bind", ""},
		{"bind-of-another", another, 0o777, "bind", "belongs to user"},
		{"another", another, 0o770, "", "belongs to user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := w.path(tt.name)
			directory(t, dir, tt.uid, 0, tt.mode)
			switch tt.mount {
			case "tmpfs":
				mount(t, "tmpfs", dir, "tmpfs", 0, "size=1m")
				if err := os.Chmod(dir, tt.mode); err != nil {
					t.Fatal(err)
				}
			case "bind":
				mount(t, dir, dir, "", unix.MS_BIND, "")
			}
			start := func() *exec.Cmd { return as(t, w.command("2.2.1", "--run-dir", dir, "taskmanager"), foreigner) }
			startsTwiceOrFails(t, start, dir, tt.reason)
		})
	}
}

// startsTwiceOrFails: with a reason, a start fails with it and leaves dir empty.
func startsTwiceOrFails(t *testing.T, start func() *exec.Cmd, dir, reason string) {
	t.Helper()
	if reason == "" {
		run(t, start())
		run(t, start())
		return
	}
	fails(t, start(), dir, reason)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("it holds %v, %v", entries, err)
	}
}

// TestSubdirectoriesOfTheRunDir: in a volume that all may write to, another user's usrlib or conf, or a link in its place, would
// choose what Flink executes, or be handed secrets.
func TestSubdirectoriesOfTheRunDir(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	open(t, w)
	service := serve(t)
	w.mkdir("elsewhere")
	if err := os.Chmod(w.path("elsewhere"), 0o777); err != nil {
		t.Fatal(err)
	}
	root := func(path string) { directory(t, path, 0, 0, 0o775) }
	for _, tt := range []struct {
		name   string
		sub    string
		make   func(path string)
		reason string
	}{
		{"conf of another", "conf", func(path string) { directory(t, path, another, 0, 0o777) }, "belongs to user"},
		{"usrlib of another", "usrlib", func(path string) { directory(t, path, another, 0, 0o777) }, "belongs to user"},
		{"plugins of another", "plugins", func(path string) { directory(t, path, another, 0, 0o777) }, "belongs to user"},
		{"one plugin of another", "plugins/connector", func(path string) {
			directory(t, filepath.Dir(path), foreigner, 0, 0o755)
			directory(t, path, another, 0, 0o777)
		}, "belongs to user"},
		{"conf is a link", "conf", func(path string) { symlink(t, w.path("elsewhere"), path) }, "symbolic link"},
		{"conf is a link that leads nowhere", "conf", func(path string) { symlink(t, w.path("missing"), path) }, "symbolic link"},
		{"usrlib is a link", "usrlib", func(path string) { symlink(t, w.path("elsewhere"), path) }, "symbolic link"},
		{"plugins is a link", "plugins", func(path string) { symlink(t, w.path("elsewhere"), path) }, "symbolic link"},
		{"conf of root", "conf", root, ""}, // made by an image, or by a container that runs as root
		{"usrlib of root", "usrlib", root, ""},
		{"own", "conf", func(path string) { directory(t, path, foreigner, 0, 0o755) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := w.path(strings.ReplaceAll(tt.name, " ", "-"))
			directory(t, dir, 0, 0, 0o777)
			mount(t, dir, dir, "", unix.MS_BIND, "")
			tt.make(filepath.Join(dir, tt.sub))
			before := tree(t, dir)
			start := as(t, w.command("2.2.1", "--run-dir", dir, "--definition", service+"/one", "standalone-job"), foreigner)
			if tt.reason == "" {
				run(t, start)
				return
			}
			fails(t, start, filepath.Join(dir, tt.sub), tt.reason)
			if now := differ(tree(t, dir), before); len(now) > 0 {
				t.Errorf("something was written: %q", now)
			}
			if entries, err := os.ReadDir(w.path("elsewhere")); err != nil || len(entries) > 0 {
				t.Errorf("where the link leads is %v, %v", entries, err)
			}
		})
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// TestOwnerOfConfOut: in a shared directory another user could have made what --conf-out names.
func TestOwnerOfConfOut(t *testing.T) {
	w := newMachine(t, world.Binary(t))
	open(t, w)
	if err := os.Chown(w.path("state"), foreigner, 0); err != nil {
		t.Skip("only root can give files away")
	}
	for _, tt := range []struct {
		name   string
		make   func(dir string)
		reason string
	}{
		{"own", func(dir string) { directory(t, dir, foreigner, 0, 0o755) }, ""},
		{"root", func(dir string) { directory(t, dir, 0, 0, 0o775) }, ""},
		{"fsgroup", func(dir string) { directory(t, dir, 0, 0, 0o775|fs.ModeSetgid) }, ""},
		{"image-for-any-user", func(dir string) { directory(t, dir, another, 0, 0o775) }, ""}, // chgrp 0, chmod g=u
		{"volume-of-another", func(dir string) {
			directory(t, dir, another, 0, 0o777)
			mount(t, dir, dir, "", unix.MS_BIND, "")
		}, ""},
		{"own-link", func(dir string) {
			directory(t, dir+"-target", foreigner, 0, 0o755)
			symlink(t, dir+"-target", dir)
			if err := os.Lchown(dir, foreigner, 0); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"another", func(dir string) { directory(t, dir, another, 0, 0o777) }, "belongs to user"},
		{"another-of-another-group", func(dir string) { directory(t, dir, another, another, 0o777) }, "belongs to user"},
		{"link-of-another", func(dir string) {
			directory(t, dir+"-target", foreigner, 0, 0o755)
			symlink(t, dir+"-target", dir)
			if err := os.Lchown(dir, another, 0); err != nil {
				t.Fatal(err)
			}
		}, "symbolic link of user"},
		{"link-to-another", func(dir string) {
			directory(t, dir+"-target", another, 0, 0o777)
			symlink(t, dir+"-target", dir)
		}, "belongs to user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := w.path("out-" + tt.name)
			tt.make(dir)
			start := func() *exec.Cmd { return as(t, w.command("2.2.1", "--conf-out", dir, "taskmanager"), foreigner) }
			startsTwiceOrFails(t, start, dir, tt.reason)
		})
	}
	t.Run("in place", func(t *testing.T) { // an image's own, which decides what Flink does anyway
		w.copyConf("flink-1.20.5/conf", "place")
		if err := errors.Join(os.Chown(w.path("place"), another, 0), os.Chmod(w.path("place"), 0o775)); err != nil {
			t.Fatal(err)
		}
		run(t, as(t, w.command("1.20.5", "--conf-dir", w.path("place"), "--conf-out", w.path("place"), "taskmanager"), foreigner))
	})
}

// TestRunDirAfterPrivilegesAreDropped: root becomes flink before the run dir is looked at, so one that flink made before is its own,
// and one that root made for flink's group is as good.
func TestRunDirAfterPrivilegesAreDropped(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has privileges to drop")
	}
	w := newMachine(t, world.Binary(t))
	open(t, w)
	if err := os.Chown(w.path("state"), foreigner, foreigner); err != nil {
		t.Fatal(err)
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	w.write("passwd", string(passwd)+"flink:x:1234567:1234567::/:/bin/sh\n", 0o644)
	directory(t, w.path("prepared"), 0, foreigner, 0o775)
	siblings, _ := filepath.Glob(w.path("flink-2.2.1/conf/*.*"))
	for _, path := range append(siblings, w.path("flink-2.2.1/conf/masters"), w.path("flink-2.2.1/conf/workers")) {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	start := func(dir string) *exec.Cmd {
		cmd := w.command("2.2.1", "--run-dir", w.path(dir), "taskmanager")
		cmd.Args = append([]string{"/bin/sh", "-c", `mount --bind "$0" /etc/passwd && exec "$@"`, w.path("passwd")}, cmd.Args...)
		cmd.Path = "/bin/sh"
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		return cmd
	}
	if err := start("state/run").Run(); errors.Is(err, syscall.EPERM) {
		t.Skipf("a mount namespace: %v; with docker, run with --cap-add SYS_ADMIN", err)
	}
	for _, dir := range []string{"state/run", "state/run", "prepared", "prepared"} {
		run(t, start(dir))
	}
	for _, dir := range []string{"state/run", "state/run/conf", "prepared/conf"} {
		if st, err := os.Stat(w.path(dir)); err != nil || st.Sys().(*syscall.Stat_t).Uid != foreigner {
			t.Errorf("%s is not of the user flink: %v", dir, err)
		}
	}
}
