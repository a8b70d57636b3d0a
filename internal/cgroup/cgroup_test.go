package cgroup

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// expectation is expect.json of a fixture. What it leaves out is not asked for.
type expectation struct {
	Memory        *int64
	MemoryShared  bool
	CPU           *float64
	MemoryHigh    *int64
	AbovePhysical *bool
	MemoryPath    string
	CPUPath       string
	Source        string
	Notes         []string // parts of notes
	Error         []string // parts of the error
}

func fixtures(t testing.TB) (dirs []string) {
	roots := []string{"testdata"}
	// More trees of the same form, kept outside of the repository.
	if more := os.Getenv("FLINK_ENTRYPOINT_VECTORS"); more != "" {
		roots = append(roots, filepath.Join(more, "cgroup"))
	}
	for _, root := range roots {
		found, err := filepath.Glob(filepath.Join(root, "*", "expect.json"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no fixtures in %s: %v", root, err)
		}
		for _, f := range found {
			dirs = append(dirs, filepath.Dir(f))
		}
	}
	return dirs
}

func TestFixtures(t *testing.T) {
	for _, dir := range fixtures(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want expectation
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			got, err := Detect(dir, Machine)
			if want.Error != nil {
				wantError(t, err, want.Error)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, want)
		})
	}
}

func wantError(t *testing.T, err error, parts []string) {
	t.Helper()
	var typed *Error
	if !errors.As(err, &typed) {
		t.Fatalf("error %v, want an *Error with %q", err, parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
}

func compare(t *testing.T, got Limits, want expectation) {
	t.Helper()
	if got.Memory == nil != (want.Memory == nil) || got.CPU == nil != (want.CPU == nil) {
		t.Fatalf("memory %+v, CPU %+v, want %+v", got.Memory, got.CPU, want)
	}
	var memoryPath, cpuPath, source string
	if m := got.Memory; m != nil {
		memoryPath, source = m.Path, m.Source
		if m.Bytes != *want.Memory || m.Shared != want.MemoryShared {
			t.Errorf("memory %+v, want %d shared %v", *m, *want.Memory, want.MemoryShared)
		}
	}
	if c := got.CPU; c != nil {
		cpuPath = c.Path
		if c.Cores != *want.CPU {
			t.Errorf("CPU %+v, want %v", *c, *want.CPU)
		}
	}
	for _, f := range []struct{ what, got, want string }{
		{"memory path", memoryPath, want.MemoryPath},
		{"CPU path", cpuPath, want.CPUPath},
		{"source", source, want.Source},
	} {
		if f.want != "" && f.got != f.want {
			t.Errorf("%s %q, want %q", f.what, f.got, f.want)
		}
	}
	if want.MemoryHigh != nil && (got.MemoryHigh == nil || got.MemoryHigh.Bytes != *want.MemoryHigh) {
		t.Errorf("memory.high %+v, want %d", got.MemoryHigh, *want.MemoryHigh)
	}
	if above := want.AbovePhysical != nil && *want.AbovePhysical; got.AbovePhysical != above {
		t.Errorf("above physical: %v, want %v", got.AbovePhysical, above)
	}
	notes := strings.Join(got.Notes, "\n")
	for _, n := range want.Notes {
		if !strings.Contains(notes, n) {
			t.Errorf("notes %q lack %q", notes, n)
		}
	}
}

// TestRunningSystem reads this machine, whatever it is.
func TestRunningSystem(t *testing.T) {
	got, err := Detect("/", Machine)
	if err != nil {
		t.Fatal(err)
	}
	if got.HostMemory <= 0 || got.HostCPUs <= 0 {
		t.Errorf("machine has %d bytes and %d CPUs", got.HostMemory, got.HostCPUs)
	}
	if m := got.Memory; m != nil && (m.Bytes <= 0 || !filepath.IsAbs(m.Path)) {
		t.Errorf("memory %+v", *m)
	}
}

// TestUnreadable: a file that exists and cannot be opened is not a missing limit.
func TestUnreadable(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/self/cgroup":         "0::/\n",
		"proc/self/mountinfo":      "30 24 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
		"sys/fs/cgroup/memory.max": "1\n",
	} {
		write(t, filepath.Join(root, name), text)
	}
	locked := filepath.Join(root, "sys/fs/cgroup/memory.max")
	for name, mode := range map[string]os.FileMode{locked: 0, filepath.Dir(root): 0o755} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() {
		// This thread, which dies with the goroutine, loses root's right to read everything.
		runtime.LockOSThread()
		syscall.Setfsuid(65534)
		_, err := Detect(root, Machine)
		done <- err
	}()
	err := <-done
	wantError(t, err, []string{locked, "permission denied", "a number of bytes or max"})
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v is not a permission error", err)
	}
}

// TestMissingSysroot: a mistyped path must not look like a machine without limits.
func TestMissingSysroot(t *testing.T) {
	_, err := Detect("testdata/no-such-capture", Machine)
	wantError(t, err, []string{"testdata/no-such-capture", "a directory with proc and sys"})
}

// TestHost: totals come from the caller, and its failure is the answer's.
func TestHost(t *testing.T) {
	root := filepath.Join("testdata", "v2-limited-cgroupns")
	got, err := Detect(root, func(string) (int64, int, error) { return 1 << 20, 1, nil })
	if err != nil || !got.AbovePhysical || got.HostMemory != 1<<20 || got.HostCPUs != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	broken := errors.New("no machine")
	if _, err := Detect(root, func(string) (int64, int, error) { return 0, 0, broken }); err != broken {
		t.Errorf("error %v", err)
	}
}

// TestMachineIgnoresEnvironment: gopsutil would follow a HOST_PROC of the container's.
func TestMachineIgnoresEnvironment(t *testing.T) {
	t.Setenv("HOST_PROC", filepath.Join("testdata", "v2-limited-cgroupns", "proc"))
	if memory, _, err := Machine(filepath.Join("testdata", "v1-path-with-colons")); err != nil || memory != 8<<30 {
		t.Errorf("%d, %v", memory, err)
	}
}

func TestJSON(t *testing.T) {
	got, err := Detect(filepath.Join("testdata", "v2-limited-cgroupns"), Machine)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(struct {
		Memory *Memory `json:"memory"`
		CPU    *CPU    `json:"cpu"`
	}{got.Memory, got.CPU})
	const want = `{"memory":{"bytes":536870912,"shared":false,"source":"cgroup v2","path":"/sys/fs/cgroup/memory.max"},` +
		`"cpu":{"cores":1.5,"source":"cgroup v2","path":"/sys/fs/cgroup/cpu.max"}}`
	if err != nil || string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
