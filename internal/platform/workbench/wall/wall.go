// Package wall runs programs that reach nothing of this machine but what they were given: the code of users of a server.
//
// A program has namespaces of its own (processes, mounts, network, IPC, host name, cgroups). It sees its own files, the system's libraries,
// both read-only, a directory for temporary files whose size is bounded, and of the network a loopback of its own. Everything that it
// starts is in its process namespace, and ends with the first process of that, whatever it does: setsid, two forks, ignored signals. That
// first process ends with the server, also where the server is killed.
//
// The tool is bubblewrap (bwrap), which has done this for years, in the place of clone flags of our own: one mount that is
// forgotten is a hole. Two ways are tried, each by running Java in it:
//
//   - As root, bwrap makes the namespaces with root's rights, so that the user's files need not be readable for others on their way, and
//     setpriv then gives up all of root's rights: each program is a user id of its own that nothing else has, cannot get rights
//     again, and its number of processes is counted by the kernel for that id.
//   - As another user, or as root of a container without CAP_SYS_ADMIN, with a user namespace, where the kernel lets such users make
//     one. Root of a container also needs a cgroup there: the kernel does not count root's processes.
//
// In most containers neither works: the runtime denies namespaces, or hides parts of /proc, after which the kernel refuses to mount it.
// Then [Build] says why, and the server does without.
//
// Memory, processes and the size of files are bounded by a cgroup (v2), where the server may make one, exactly. Elsewhere each process
// is bounded by the kernel, and what all of a program hold together is looked at four times a second.
package wall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options are what a wall needs to know.
type Options struct {
	Dir     string   // for files of the wall's own; it exists
	Path    string   // where bwrap and setpriv are looked for, as in PATH
	Program []string // that must run in it: a trial, with its arguments
	Visible []string // files and directories that every program sees, beside the system's libraries
	// Bounds of one program; 0 is the default.
	Memory    int64 // bytes of all its processes together: 1.5 GiB
	Disk      int64 // bytes of its temporary files, which are in memory: 512 MiB
	Processes int   // processes and threads: 512, and 8 more for each processor
	Log       *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Memory == 0 {
		o.Memory = 1536 << 20
	}
	if o.Disk == 0 {
		o.Disk = 512 << 20
	}
	if o.Processes == 0 {
		o.Processes = 512 + 8*runtime.NumCPU()
	}
	return o
}

// Temp is the directory for temporary files inside, which is also the home and the first working directory.
const Temp = "/tmp"

// firstUser is the first of the user ids that programs get where the server is root. No distribution gives these to people or services.
const firstUser = 62000

// A Wall runs programs.
type Wall struct {
	o       Options
	bwrap   string
	setpriv string   // "": with a user namespace
	unshare []string // of the way that works
	group   *group   // nil: no cgroup

	mu    sync.Mutex
	cells map[*Cell]bool
	watch bool // a goroutine looks at the memory of cells
}

// Build looks for a way that works here. The error says in a sentence why none does.
func Build(ctx context.Context, o Options) (*Wall, error) {
	w := &Wall{o: o.withDefaults(), cells: map[*Cell]bool{}}
	var err error
	if w.bwrap, err = find("bwrap", o.Path); err != nil {
		return nil, errors.New("bubblewrap is not installed (the program bwrap, Debian's package bubblewrap)")
	}
	if err := w.files(); err != nil {
		return nil, err
	}
	w.group = openGroup(o.Log)
	var tried []string
	for _, way := range w.ways() {
		if err := way(); err != nil {
			tried = append(tried, err.Error())
			continue
		}
		err := w.try(ctx)
		if err == nil {
			return w, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		tried = append(tried, err.Error())
	}
	return nil, errors.New(strings.Join(tried, "; "))
}

// find looks a program up in a PATH.
func find(name, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 && filepath.IsAbs(file) {
			return file, nil
		}
	}
	return "", exec.ErrNotFound
}

// noUserns keeps programs from making user namespaces, with the rights of one in it.
const noUserns = "--disable-userns"

// ways set up the wall in one way each. An error: it cannot be that one.
func (w *Wall) ways() []func() error {
	userspace := func(more ...string) func() error {
		return func() error {
			w.setpriv = ""
			w.unshare = append([]string{"--unshare-user"}, more...)
			if os.Geteuid() == 0 && w.group == nil {
				return errors.New("a user namespace of root has no bound of processes without a cgroup")
			}
			return nil
		}
	}
	ways := []func() error{userspace(noUserns), userspace()}
	if os.Geteuid() != 0 {
		return ways
	}
	return append([]func() error{func() (err error) {
		w.unshare = nil
		if w.setpriv, err = find("setpriv", w.o.Path); err != nil {
			return errors.New("setpriv is not installed (Debian's package util-linux)")
		}
		return readable(w.o.Visible)
	}}, ways...)
}

// readable finds what another user could not read.
func readable(visible []string) error {
	for _, root := range visible {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st, err := d.Info()
			if err != nil {
				return nil // it was removed
			}
			need := fs.FileMode(0o004)
			if d.IsDir() {
				need = 0o005
			}
			if st.Mode()&fs.ModeSymlink == 0 && st.Mode().Perm()&need != need {
				return fmt.Errorf("%s is not readable for other users: programs are none of the server's user", path)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// files writes what programs see as files of the system.
func (w *Wall) files() error {
	dir := filepath.Join(w.o.Dir, "etc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var passwd strings.Builder
	passwd.WriteString("root:x:0:0:root:/:/nonexistent\ndebug:x:1000:1000:debug:/tmp:/nonexistent\n")
	for id := firstUser; id < firstUser+maxUsers; id++ {
		fmt.Fprintf(&passwd, "debug%d:x:%d:%d:debug:/tmp:/nonexistent\n", id-firstUser, id, id)
	}
	for name, content := range map[string]string{
		"passwd": passwd.String(), "group": "root:x:0:\ndebug:x:1000:\n", "hosts": "127.0.0.1 localhost debug\n::1 localhost\n", "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}

// maxUsers bounds the programs of a server at the same time, where it is root.
const maxUsers = 500

// users are the ids that programs have now, of all walls of this process.
var users struct {
	sync.Mutex
	taken map[int]bool
}

// takeUser takes an id that no program has.
func takeUser() (int, error) {
	users.Lock()
	defer users.Unlock()
	if users.taken == nil {
		users.taken = map[int]bool{}
	}
	for id := firstUser; id < firstUser+maxUsers; id++ {
		if !users.taken[id] {
			users.taken[id] = true
			return id, nil
		}
	}
	return 0, fmt.Errorf("%d programs run at the same time", maxUsers)
}

func freeUser(id int) {
	users.Lock()
	defer users.Unlock()
	delete(users.taken, id)
}

// system are the files of the system that programs see: libraries, what Java reads of its own from there, and times of the world.
func system() []string {
	out := []string{"/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/local/lib", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ssl/certs", "/etc/pki/java",
		"/etc/pki/ca-trust/extracted", "/etc/crypto-policies", "/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"}
	for _, pattern := range []string{"/etc/java-*", "/etc/java"} {
		found, _ := filepath.Glob(pattern) // the patterns are good
		out = append(out, found...)
	}
	return out
}

// arguments are those of bwrap up to the program: what it makes, and what is seen.
func (w *Wall) arguments(c *Cell) []string {
	out := []string{"--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "debug", "--die-with-parent"}
	for _, flag := range w.unshare {
		// The flag moves a program into one more user namespace, which has no rights on the network of the first.
		if flag != noUserns || !c.o.LowPorts {
			out = append(out, flag)
		}
	}
	if w.setpriv == "" {
		id := "1000"
		if c.o.LowPorts {
			id = "0" // of the namespace: only then the one capability outlives the start of a program
		}
		out = append(out, "--uid", id, "--gid", id)
	}
	made := map[string]bool{"/": true, Temp: true}
	// bwrap makes the directories above a file for its own user alone.
	above := func(at string) {
		var dirs []string
		for dir := filepath.Dir(at); !made[dir]; dir = filepath.Dir(dir) {
			made[dir] = true
			dirs = append(dirs, dir)
		}
		for _, dir := range slices.Backward(dirs) {
			out = append(out, "--perms", "0755", "--dir", dir)
		}
	}
	for _, path := range system() {
		above(path)
		out = append(out, "--ro-bind-try", path, path)
	}
	out = append(out, "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", strconv.Itoa(16<<20), "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
		"--perms", "1777", "--size", strconv.FormatInt(w.o.Disk, 10), "--tmpfs", Temp)
	bind := func(from, at string) {
		above(at)
		out = append(out, "--ro-bind", from, at)
	}
	for _, path := range append(append([]string{}, w.o.Visible...), c.o.Visible...) {
		bind(path, path)
	}
	for _, at := range slices.Sorted(maps.Keys(c.o.At)) {
		bind(c.o.At[at], at)
	}
	for _, name := range []string{"passwd", "group", "hosts", "nsswitch.conf"} {
		from := filepath.Join(w.o.Dir, "etc", name)
		if name == "hosts" && c.o.Hosts != "" {
			from = c.o.Hosts
		}
		bind(from, "/etc/"+name)
	}
	if w.setpriv != "" {
		bind(w.setpriv, w.setpriv)
	}
	chdir := c.o.WorkingDir
	if chdir == "" {
		chdir = Temp
	}
	if c.o.LowPorts && w.setpriv == "" {
		out = append(out, "--cap-add", "CAP_NET_BIND_SERVICE")
	}
	out = append(out, "--remount-ro", "/", "--chdir", chdir, "--info-fd", "3", "--block-fd", "4", "--")
	if w.setpriv != "" {
		id, keep := strconv.Itoa(c.user), ""
		if c.o.LowPorts {
			keep = ",+net_bind_service"
		}
		out = append(out, w.setpriv, "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps=-all"+keep, "--ambient-caps=-all"+keep, "--bounding-set=-all"+keep, "--no-new-privs", "--")
	}
	return out
}

// environment is what a program gets.
func environment(env []string) []string {
	var out []string
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); name != "HOME" && name != "PWD" && name != "TMPDIR" {
			out = append(out, kv)
		}
	}
	return append(out, "HOME="+Temp)
}

// By names the tool, for people.
func (w *Wall) By() string {
	if w.setpriv != "" {
		return "bubblewrap as root, a user id for each program"
	}
	return "bubblewrap with user namespaces"
}

// Cgroup reports whether a cgroup bounds programs.
func (w *Wall) Cgroup() bool { return w.group != nil }

// Bounds are those of one program.
func (w *Wall) Bounds() (memory, disk int64, processes int) {
	return w.o.Memory, w.o.Disk, w.o.Processes
}

// try runs the program of the options.
func (w *Wall) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := w.Cell(CellOptions{})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, w.o.Program[0], w.o.Program[1:]...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = 10 * time.Second
	if err := c.Change(cmd); err != nil {
		c.Gone()
		return err
	}
	runtime.LockOSThread() // the death of the thread that starts a child would end it
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		c.Gone()
		return fmt.Errorf("cannot start %s: %w", w.bwrap, err)
	}
	if err = c.Begin(); err != nil && !c.Kill() {
		cmd.Process.Kill()
	}
	if e := cmd.Wait(); e != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(w.bwrap), e, lastLine(said.String()))
	}
	c.Gone()
	return err
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
