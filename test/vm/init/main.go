// Command init is process 1 of the virtual machine: it makes the cgroups of each case, runs the program in
// them, writes the results to the first serial line and turns the machine off.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/test/vm"
)

// tree is where the cgroup file systems are.
const tree = "/sys/fs/cgroup"

// inside is argv[0] of the process that becomes the program of a case.
const inside = "inside"

func main() {
	if os.Args[0] == inside {
		err := become(os.Args[1], os.Args[2] == "hybrid")
		fmt.Fprintln(os.Stderr, err) // become returns only then
		os.Exit(vmFailed)
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "error: this program is the first process of a virtual machine, and mounts and reboots")
		os.Exit(2)
	}
	err := run()
	if err != nil {
		fmt.Println("init:", err) // to the kernel's console
	}
	if err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART); err != nil {
		fmt.Println("init:", err)
	}
}

// vmFailed is the exit code of a program that could not be started.
const vmFailed = 125

func run() error {
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		if err := syscall.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.at, err)
		}
	}
	line, err := os.OpenFile("/dev/ttyS0", os.O_WRONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer unix.IoctlSetInt(int(line.Fd()), unix.TCSBRK, 1) // wait until all is out
	text, err := os.ReadFile(vm.PlanFile)
	if err != nil {
		return err
	}
	var plan vm.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return err
	}
	if err := mountTree(plan.Hybrid); err != nil {
		return err
	}
	for _, c := range plan.Cases {
		if err := json.NewEncoder(line).Encode(runCase(c, plan.Hybrid)); err != nil {
			return err
		}
	}
	return nil
}

// controllers of v1, by their directory.
func controllers() []string { return []string{"cpu,cpuacct", "cpuset", "memory"} }

// mountTree mounts v2 alone, or the layout of systemd's hybrid mode.
func mountTree(hybrid bool) error {
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	if !hybrid {
		return syscall.Mount("cgroup2", tree, "cgroup2", flags, "nsdelegate")
	}
	if err := syscall.Mount("tmpfs", tree, "tmpfs", flags, "mode=755"); err != nil {
		return err
	}
	mount := func(kind, dir, options string) error {
		at := filepath.Join(tree, dir)
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		return syscall.Mount(kind, at, kind, flags, options)
	}
	for _, c := range controllers() {
		if err := mount("cgroup", c, c); err != nil {
			return err
		}
	}
	for _, link := range []string{"cpu", "cpuacct"} {
		if err := os.Symlink("cpu,cpuacct", filepath.Join(tree, link)); err != nil {
			return err
		}
	}
	return errors.Join(mount("cgroup", "systemd", "none,name=systemd"), mount("cgroup2", "unified", ""))
}

// hierarchies returns the mount points of all hierarchies.
func hierarchies(hybrid bool) []string {
	if !hybrid {
		return []string{tree}
	}
	var all []string
	for _, name := range append(controllers(), "systemd", "unified") {
		all = append(all, filepath.Join(tree, name))
	}
	return all
}

func runCase(c vm.Case, hybrid bool) vm.Result {
	r := vm.Result{Name: c.Name}
	made, err := makeCgroups(c.Make, hybrid)
	defer removeCgroups(made)
	if err != nil {
		r.Failure = err.Error()
		return r
	}
	text, err := json.Marshal(c)
	if err != nil {
		r.Failure = err.Error()
		return r
	}
	mode := "v2"
	if hybrid {
		mode = "hybrid"
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{inside, string(text), mode}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		r.Failure = err.Error()
		return r
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if r.Exit = status.ExitStatus(); status.Signaled() {
		r.Exit = 128 + int(status.Signal())
	}
	r.Stdout, r.Stderr = stdout.String(), stderr.String()
	if r.Exit == vmFailed {
		r.Failure = r.Stderr
	}
	return r
}

// makeCgroups makes cgroups and what leads to them, and returns all directories made, parents first.
func makeCgroups(list []vm.Cgroup, hybrid bool) (made []string, err error) {
	for _, top := range hierarchies(hybrid) {
		if hybrid && filepath.Base(top) == "cpuset" {
			// A v1 cpuset starts without CPUs, and takes no process, unless it copies its parent's.
			if err := os.WriteFile(filepath.Join(top, "cgroup.clone_children"), []byte("1"), 0); err != nil {
				return made, err
			}
		}
		for _, g := range list {
			at := top
			names := strings.Split(strings.Trim(g.Path, "/"), "/")
			for i, name := range names {
				if !hybrid && !(g.Plain && i == len(names)-1) {
					if err := os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+memory +cpu +cpuset"), 0); err != nil {
						return made, err
					}
				}
				at = filepath.Join(at, name)
				if err := os.Mkdir(at, 0o755); err == nil {
					made = append(made, at)
				} else if !errors.Is(err, os.ErrExist) {
					return made, err
				}
			}
			for _, f := range g.Files {
				name, value, _ := strings.Cut(f, "=")
				if _, err := os.Stat(filepath.Join(at, name)); err != nil && hybrid {
					continue // another hierarchy's
				}
				if err := os.WriteFile(filepath.Join(at, name), []byte(value), 0); err != nil {
					return made, err
				}
			}
		}
	}
	return made, nil
}

// removeCgroups removes them again; the kernel needs a moment after the last process has left.
func removeCgroups(made []string) {
	slices.Reverse(made)
	for _, dir := range made {
		for range 200 {
			if err := syscall.Rmdir(dir); err != syscall.EBUSY {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// become turns this process into the program of a case, or says why it cannot.
func become(text string, hybrid bool) error {
	runtime.LockOSThread() // namespaces are a thread's, and exec is made by this one
	var c vm.Case
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	if c.In == "" {
		c.In = "/"
	}
	var leave []*os.File // opened while it may still be reached
	for _, top := range hierarchies(hybrid) {
		if err := os.WriteFile(filepath.Join(top, c.In, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
		if c.Leave != "" {
			f, err := os.OpenFile(filepath.Join(top, c.Leave, "cgroup.procs"), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			leave = append(leave, f)
		}
	}
	if err := setView(c, hybrid); err != nil {
		return err
	}
	for _, f := range leave {
		if _, err := f.WriteString("0"); err != nil {
			return err
		}
		f.Close()
	}
	for _, name := range c.Lock {
		if err := os.Chmod(name, 0); err != nil {
			return err
		}
	}
	if c.User != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(c.User), syscall.Setuid(c.User)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", c.Argv[0], syscall.Exec(c.Argv[0], c.Argv, c.Env))
}

func setView(c vm.Case, hybrid bool) error {
	flags := syscall.CLONE_NEWNS
	if c.View == vm.Private || c.View == vm.Both {
		flags |= syscall.CLONE_NEWCGROUP
	}
	if err := syscall.Unshare(flags); err != nil {
		return err
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	bind := func(from, to string) error { return syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, "") }
	switch c.View {
	case vm.Bound:
		for _, top := range hierarchies(hybrid) {
			if err := bind(filepath.Join(top, c.In), top); err != nil {
				return err
			}
		}
	case vm.Both, vm.Private:
		if c.View == vm.Both {
			if err := bind(tree, "/host/cgroup"); err != nil {
				return err
			}
		}
		if err := syscall.Unmount(tree, syscall.MNT_DETACH); err != nil {
			return err
		}
		return mountTree(hybrid)
	}
	return nil
}
