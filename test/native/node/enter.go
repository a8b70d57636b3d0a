package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/distribution"
)

// root is the file system of a pod: this machine's, but /opt/flink, /docker-entrypoint.sh, /tmp, /run and what is mounted.
type root struct {
	Dir        string // an empty folder, which becomes the pod's root
	Hostname   string
	Home       string // becomes /opt/flink, but its conf, log and usrlib
	Entrypoint string
	Usrlib     string
	Hosts      string                       // the text of /etc/hosts
	Mounts     map[string]map[string]string // files by the path of their folder, read-only
	Empty      []string                     // folders
	Argv       []string
}

// enter makes the file system of a pod in this process's own mount namespace, and executes the pod's program.
func enter(spec string) error {
	var r root
	if err := json.Unmarshal([]byte(spec), &r); err != nil {
		return err
	}
	if err := os.Unsetenv(stepVariable); err != nil {
		return err
	}
	if err := r.build(); err != nil {
		return fmt.Errorf("the pod's file system: %w", err)
	}
	if err := unix.Sethostname([]byte(r.Hostname)); err != nil {
		return fmt.Errorf("hostname: %w", err)
	}
	if err := unix.Chroot(r.Dir); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := os.Chdir("/opt/flink"); err != nil { // WORKDIR of the official image
		return err
	}
	program, err := distribution.LookPath(r.Argv[0], os.Getenv("PATH"))
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", program, syscall.Exec(program, r.Argv, os.Environ()))
}

func (r root) build() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := tmpfs(r.Dir); err != nil {
		return err
	}
	if err := r.bindAll("/", "/", "opt", "tmp", "run", "docker-entrypoint.sh"); err != nil {
		return err
	}
	for _, dir := range []string{"/opt/flink/log", "/opt/flink/usrlib", "/tmp", "/run"} {
		if err := os.MkdirAll(r.Dir+dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(r.Dir+"/tmp", 0o1777|fs.ModeSticky); err != nil {
		return err
	}
	// A Java may be below /opt.
	if err := r.bindAll("/opt", "/opt", "flink"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.bindAll(r.Home, "/opt/flink", "conf", "log", "usrlib"); err != nil {
		return err
	}
	if err := bind(r.Usrlib, r.Dir+"/opt/flink/usrlib"); err != nil {
		return err
	}
	if err := r.bindFile(r.Entrypoint, "/docker-entrypoint.sh"); err != nil {
		return err
	}
	hosts := r.Dir + "/run/hosts"
	if err := os.WriteFile(hosts, []byte(r.Hosts), 0o644); err != nil {
		return err
	}
	if err := bind(hosts, r.Dir+"/etc/hosts"); err != nil {
		return err
	}
	for _, dir := range r.Empty {
		if err := os.MkdirAll(r.Dir+dir, 0o777); err != nil {
			return err
		}
	}
	for dir, files := range r.Mounts {
		if err := mount(r.Dir+dir, files); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	if r.Mounts["/opt/flink/conf"] != nil {
		return nil
	}
	// A client has the release's own.
	return os.CopyFS(r.Dir+"/opt/flink/conf", os.DirFS(filepath.Join(r.Home, "conf")))
}

// bindAll shows the entries of a folder in the pod's folder to, but some.
func (r root) bindAll(from, to string, but ...string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
next:
	for _, e := range entries {
		for _, name := range but {
			if e.Name() == name {
				continue next
			}
		}
		source, target := filepath.Join(from, e.Name()), r.Dir+filepath.Join(to, e.Name())
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(source)
			if err == nil {
				err = os.Symlink(link, target)
			}
			if err != nil {
				return err
			}
		case e.IsDir():
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			if err := bind(source, target); err != nil {
				return err
			}
		default:
			if err := r.bindFile(source, filepath.Join(to, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r root) bindFile(source, target string) error {
	if err := os.WriteFile(r.Dir+target, nil, 0o644); err != nil {
		return err
	}
	return bind(source, r.Dir+target)
}

func bind(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return &fs.PathError{Op: "bind " + source + " to", Path: target, Err: err}
	}
	return nil
}

func tmpfs(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		return &fs.PathError{Op: "mount tmpfs on", Path: dir, Err: err}
	}
	return nil
}

// mount shows files in a folder as Kubernetes does: no process can write there, not even one of root.
func mount(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := tmpfs(dir); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "mode=755")
}
