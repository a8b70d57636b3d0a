package wall

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// word begins the arguments of a program of these tests, so that it is known among all processes.
const word = "wall-program"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == word {
		program(os.Args[2], os.Args[3:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// seen is what a program finds.
type seen struct {
	UID          int
	Root, Temp   []string
	Env          []string
	Processes    []string
	Interfaces   []string
	Capabilities string
	NoNewRights  bool
	Hostname     string
	Errors       map[string]string
}

// program is what runs in a cell.
func program(name string, args []string) {
	self, err := os.Executable()
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	if err != nil {
		fail(err)
	}
	child := func(args ...string) *exec.Cmd { return exec.Command(self, append([]string{word}, args...)...) }
	switch name {
	case "look":
		look(args)
	case "forward":
		code, err := Forward(args)
		if err != nil {
			fail(err)
		}
		os.Exit(code)
	case "sleep": // and no signal but one ends it
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		fmt.Println("sleeps")
		time.Sleep(time.Hour)
	case "leave": // a child in another session, whose parent has ended
		c := child("between", args[0])
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err == nil {
			_, err = bufio.NewReader(out).ReadString('\n')
		}
		if err == nil {
			err = c.Wait()
		}
		if err != nil {
			fail(err)
		}
		fmt.Println("left")
		if len(args) > 1 { // stay
			time.Sleep(time.Hour)
		}
	case "between":
		c := child("sleep", args[0])
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		c.Stdout = os.Stdout
		if err := c.Start(); err != nil {
			fail(err)
		}
	case "fork":
		n := 0
		for ; ; n++ {
			c := child("sleep", args[0])
			if err = c.Start(); err != nil || n > 5000 {
				break
			}
		}
		fmt.Println(n, err)
	case "memory": // in several processes, each below the bound of one
		for range 3 {
			c := child("hold", args[0])
			if err := c.Start(); err != nil {
				fail(err)
			}
		}
		time.Sleep(time.Hour)
	case "hold":
		mib, _ := strconv.Atoi(args[0])
		held := make([]byte, mib<<20)
		for i := 0; i < len(held); i += 4096 {
			held[i] = 1
		}
		time.Sleep(time.Hour)
	case "disk":
		f, err := os.Create(filepath.Join(args[0], "file"))
		if err != nil {
			fail(err)
		}
		n := int64(0)
		block := make([]byte, 1<<20)
		for err == nil {
			var k int
			k, err = f.Write(block)
			n += int64(k)
		}
		fmt.Println(n, err)
	case "server": // a server that runs a program, and waits to be killed
		w, err := Build(context.Background(), options(args[0], self))
		if err != nil {
			fail(err)
		}
		c, err := w.Cell(CellOptions{})
		if err != nil {
			fail(err)
		}
		runtime.LockOSThread()
		cmd := child("leave", args[1], "stay")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err = c.Change(cmd); err == nil {
			if err = cmd.Start(); err == nil {
				err = c.Begin()
			}
		}
		if err != nil {
			fail(err)
		}
		time.Sleep(time.Hour)
	default:
		fail(fmt.Errorf("unknown program %q", name))
	}
}

// look reports what can be seen. args are files that must not be read, addresses that must not be reached, and directories that cannot be written to.
func look(args []string) {
	s := seen{UID: os.Getuid(), Env: os.Environ(), Errors: map[string]string{}}
	for dir, into := range map[string]*[]string{"/": &s.Root, Temp: &s.Temp} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			*into = append(*into, e.Name())
		}
	}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			s.Processes = append(s.Processes, e.Name())
		}
	}
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		s.Interfaces = append(s.Interfaces, i.Name)
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "CapEff":
			s.Capabilities = strings.TrimSpace(value)
		case "NoNewPrivs":
			s.NoNewRights = strings.TrimSpace(value) == "1"
		}
	}
	s.Hostname, _ = os.Hostname()
	for _, a := range args {
		var err error
		switch kind, what, _ := strings.Cut(a, "="); kind {
		case "read":
			_, err = os.ReadFile(what)
		case "write":
			err = os.WriteFile(filepath.Join(what, "x"), nil, 0o600)
		case "call":
			var c net.Conn
			if c, err = net.DialTimeout("tcp", what, time.Second); err == nil {
				c.Close()
			}
		}
		if err != nil {
			s.Errors[a] = err.Error()
		}
	}
	json.NewEncoder(os.Stdout).Encode(s)
}

func options(dir, self string) Options {
	return Options{Dir: dir, Path: os.Getenv("PATH"), Program: []string{self, "-test.run", "^$"}, Visible: []string{self}, Memory: 256 << 20, Disk: 32 << 20, Processes: 60,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
}

// build is the wall of a test.
func build(t *testing.T) (*Wall, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("bwrap"); err != nil {
		t.Skip("bubblewrap is not installed")
	}
	w, err := Build(t.Context(), options(t.TempDir(), self))
	if err != nil {
		t.Skip("no wall can be built here: ", err)
	}
	t.Log(w.By())
	return w, self
}

// A run is a program in its cell.
type run struct {
	cell *Cell
	cmd  *exec.Cmd
	out  *bufio.Reader
	done chan error
}

// start starts a program of these tests in a cell.
func start(t *testing.T, w *Wall, o CellOptions, args ...string) *run {
	t.Helper()
	c, err := w.Cell(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{cell: c, cmd: exec.Command(self, append([]string{word}, args...)...), done: make(chan error, 1)}
	r.cmd.Env = []string{"LANG=C", "HOME=/root"}
	r.cmd.Stderr = t.Output()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stdout, r.out = in, bufio.NewReader(out)
	t.Cleanup(func() { out.Close() })
	if err := c.Change(r.cmd); err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		in.Close()
		started <- err
		if err == nil {
			r.done <- r.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(); err != nil {
		t.Fatal(err)
	}
	return r
}

// line is the next line that a program prints.
func (r *run) line(t *testing.T) string {
	t.Helper()
	line, err := r.out.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// BenchmarkStart is what a wall adds to the start of a program: "without" starts the same one.
func BenchmarkStart(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	w, err := Build(b.Context(), options(b.TempDir(), self))
	if err != nil {
		b.Skip("no wall can be built here: ", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, walled := range []bool{true, false} {
		b.Run(map[bool]string{true: "inside", false: "without"}[walled], func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(self, "-test.run", "^$")
				if !walled {
					if err := cmd.Run(); err != nil {
						b.Fatal(err)
					}
					continue
				}
				c, err := w.Cell(CellOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if err := errors.Join(c.Change(cmd), cmd.Start(), c.Begin(), cmd.Wait()); err != nil {
					b.Fatal(err)
				}
				c.Gone()
			}
		})
	}
}

// processes counts those that have a mark in their command line.
func processes(mark string) (n int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && slices.Contains(strings.Split(string(b), "\x00"), mark) {
			n++
		}
	}
	return n
}

// TestWallHides: a program sees its own, and nothing of the server.
func TestWallHides(t *testing.T) {
	w, _ := build(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o644); err != nil {
		t.Fatal(err)
	}
	given := filepath.Join(t.TempDir(), "given")
	if err := os.WriteFile(given, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	denied := []string{"read=" + secret, "read=/etc/shadow", "read=/root/.bashrc", "write=/", "write=/etc", "write=" + dir, "write=/usr/lib", "write=/dev", "write=/proc/sys/kernel",
		"call=" + l.Addr().String(), "call=192.0.2.1:80"}
	r := start(t, w, CellOptions{Visible: []string{given, dir}, At: map[string]string{"/given": given}}, append([]string{"look", "read=" + given, "read=/given", "write=" + Temp, "read=/etc/passwd", "read=/usr/lib/os-release"}, denied...)...)
	var s seen
	if err := json.Unmarshal([]byte(r.line(t)), &s); err != nil {
		t.Fatal(err)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.cell.Gone()
	for _, d := range denied {
		if s.Errors[d] == "" {
			t.Errorf("a program may %s", d)
		}
		delete(s.Errors, d)
	}
	if len(s.Errors) > 0 {
		t.Errorf("a program may not: %v", s.Errors)
	}
	if s.UID == 0 || s.UID == os.Getuid() && os.Getuid() != 1000 || s.Capabilities != "0000000000000000" || !s.NoNewRights || s.Hostname != "debug" {
		t.Errorf("it is %+v", s)
	}
	if slices.Contains(s.Root, "root") && slices.Contains(s.Root, "home") || !slices.Equal(s.Interfaces, []string{"lo"}) || len(s.Processes) > 3 {
		t.Errorf("it sees the directories %v, the interfaces %v, the processes %v", s.Root, s.Interfaces, s.Processes)
	}
	slices.Sort(s.Env)
	if s.Env = slices.DeleteFunc(s.Env, func(kv string) bool { return strings.HasPrefix(kv, "PWD=") }); !slices.Equal(s.Env, []string{"HOME=/tmp", "LANG=C"}) {
		t.Errorf("its environment is %v", s.Env)
	}
}

// TestWallLeavesNothing: what has left its session and its parent ends with the program, however that ends.
func TestWallLeavesNothing(t *testing.T) {
	w, _ := build(t)
	mark := fmt.Sprintf("mark-%d", os.Getpid())
	for _, stay := range []bool{false, true} {
		args := []string{"leave", mark}
		if stay {
			args = append(args, "stay")
		}
		r := start(t, w, CellOptions{}, args...)
		if got := r.line(t); got != "left" {
			t.Fatalf("it says %q", got)
		}
		if n := processes(mark); stay && n < 2 {
			t.Errorf("%d processes with the mark, expected the program and the one that has left", n)
		}
		if stay {
			if n := len(r.cell.Processes()); n < 3 {
				t.Errorf("the cell has %d processes", n)
			}
			if !r.cell.Kill() {
				t.Error("it cannot be killed")
			}
		}
		<-r.done
		r.cell.Gone()
		if n := processes(mark); n != 0 {
			t.Errorf("stay %v: %d processes are left", stay, n)
		}
	}
}

// TestWallBounds: processes, memory and files.
func TestWallBounds(t *testing.T) {
	w, _ := build(t)
	mark := fmt.Sprintf("bounds-%d", os.Getpid())
	r := start(t, w, CellOptions{}, "fork", mark)
	n, reason, _ := strings.Cut(r.line(t), " ")
	if n == "" { // Go ended it, which has no more threads
		reason = "resource temporarily unavailable"
		n = strconv.Itoa(processes(mark) + 1)
	}
	if forks, err := strconv.Atoi(n); err != nil || forks < 1 || forks > 60 || !strings.Contains(reason, "resource temporarily unavailable") {
		t.Errorf("%s processes, then: %s", n, reason)
	}
	<-r.done
	r.cell.Gone()
	if n := processes(mark); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	r = start(t, w, CellOptions{}, "memory", "120")
	select {
	case <-r.done:
	case <-time.After(30 * time.Second):
		t.Error("360 MiB are held where 256 may be")
	}
	if got := r.cell.Reason(); got != "its processes held more than 256 MiB of memory together, the most that a run may have here" {
		t.Errorf("the reason is %q", got)
	}
	r.cell.Gone()
	for dir, most := range map[string]int64{Temp: 32 << 20, "/dev/shm": 16 << 20} {
		r = start(t, w, CellOptions{}, "disk", dir)
		n, reason, _ = strings.Cut(r.line(t), " ")
		if bytes, err := strconv.ParseInt(n, 10, 64); err != nil || bytes > most || bytes < most/2 || !strings.Contains(reason, "no space left on device") {
			t.Errorf("%s bytes in %s, then: %s", n, dir, reason)
		}
		<-r.done
		r.cell.Gone()
	}
}

// TestWallEndsWithTheServer: a server that is killed leaves nothing, not even what has left its session.
func TestWallEndsWithTheServer(t *testing.T) {
	_, self := build(t)
	mark := fmt.Sprintf("server-%d", os.Getpid())
	cmd := exec.Command(self, word, "server", t.TempDir(), mark)
	cmd.Stderr = t.Output()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "left\n" {
		t.Fatalf("%v, it says %q", err, line)
	}
	if n := processes(mark); n < 3 {
		t.Errorf("%d processes, expected the server, the program and the one that has left", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
	for deadline := time.Now().Add(time.Minute); processes(mark) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes are left", processes(mark))
		}
	}
}

// TestWallForward: a program reaches a host of a route, on a port below 1024 too, and no other.
func TestWallForward(t *testing.T) {
	w, self := build(t)
	dir, err := os.MkdirTemp("", "net")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "0.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(filepath.Join(dir, "0.sock"), 0o666); err != nil {
		t.Fatal(err)
	}
	calls := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls <- struct{}{}
			c.Close()
		}
	}()
	hosts := filepath.Join(dir, "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n127.1.0.1 db.example.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"forward"}, Arguments([]Route{{"127.1.0.1:443", "/net/0.sock"}}, self, []string{word, "look", "call=db.example.com:443", "call=127.1.0.1:444", "call=example.org:443"})...)
	r := start(t, w, CellOptions{Hosts: hosts, At: map[string]string{"/net": dir}, LowPorts: true}, args...)
	var s seen
	if err := json.Unmarshal([]byte(r.line(t)), &s); err != nil {
		t.Fatal(err)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.cell.Gone()
	if len(s.Errors) != 2 || s.Errors["call=127.1.0.1:444"] == "" || s.Errors["call=example.org:443"] == "" || len(calls) != 1 {
		t.Errorf("%v, %d calls", s.Errors, len(calls))
	}
}

// TestWallOfAnotherUser runs these tests as a user without rights, where they are run as root: the way is another one.
func TestWallOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("these tests are run as another user already")
	}
	_, self := build(t)
	dir, err := os.MkdirTemp("", "wall")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "wall.test"), b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	const other = 65534
	temp := filepath.Join(dir, "tmp")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(temp, 0o700), os.Chown(temp, other, other)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(dir, "wall.test"), "-test.v", "-test.run", "^TestWall")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestWallHides") && !strings.Contains(string(out), "no wall can be built here") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// TestCgroup: a directory of cgroups is used where it was delegated, or where the server is alone in it.
func TestCgroup(t *testing.T) {
	tree := func(files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for what, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no controllers":  {map[string]string{"cgroup.controllers": "cpu\n"}, "has not the controllers memory and pids"},
		"other processes": {map[string]string{"cgroup.controllers": "memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": "1\n2\n"}, "has processes of others"},
		// The kernel makes the files of a new cgroup; here nothing does.
		"delegated": {map[string]string{"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "memory pids\n", "cgroup.procs": ""}, "memory.max: no such file"},
		"alone":     {map[string]string{"cgroup.controllers": "memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": "2\n"}, "server/cgroup.procs: no such file"},
	} {
		if g, err := delegated(tree(tt.files), 2); g != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", what, err, tt.want)
		}
	}
}

func TestParent(t *testing.T) {
	for stat, want := range map[string]int{"12 (a) S 7 12 12 0": 7, "12 (a ) S (b) R 1 2": 1, "12 (a": -1, "": -1, "12 (a) S": -1} {
		if got, ok := parentIn(stat); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v", stat, got, ok)
		}
	}
}
