//go:build linux

package launch

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestNoFileLimit: Go raises its own soft RLIMIT_NOFILE; the program it becomes gets the one this process came with.
func TestNoFileLimit(t *testing.T) {
	if os.Getenv("LAUNCH_TEST_EXEC") != "" {
		cmd := &Command{Path: "/bin/sh", Argv: []string{"sh", "-c", "ulimit -S -n"}, Env: []string{"PATH=/bin:/usr/bin"}}
		t.Fatal(cmd.Exec(syscall.Exec))
	}
	child := exec.Command("/bin/sh", "-c", `ulimit -S -n 61; exec "$0" -test.run '^TestNoFileLimit$'`, os.Args[0])
	child.Env = append(os.Environ(), "LAUNCH_TEST_EXEC=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != "61" {
		t.Errorf("the program starts with RLIMIT_NOFILE %s, want 61", got)
	}
}

// TestRedirect runs in a process of its own, whose output goes away.
func TestRedirect(t *testing.T) {
	if dir := os.Getenv("LAUNCH_TEST_REDIRECT"); dir != "" {
		cmd := &Command{Path: "/bin/sh", Argv: []string{"sh", "-c", "echo out; echo err >&2"}, Stdout: dir + "/x.out", Stderr: dir + "/x.err"}
		for _, err := range cmd.Redirect() {
			t.Error(err)
		}
		absent := &Command{Stdout: dir + "/absent/x.out"}
		if errs := absent.Redirect(); len(errs) != 1 || !strings.Contains(errs[0].Error(), "/absent/x.out: no such file") {
			t.Errorf("absent directory: %v", errs)
		}
		t.Fatal(cmd.Exec(syscall.Exec))
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/x.out", []byte("a longer text of an earlier start\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestRedirect$")
	child.Env = append(os.Environ(), "LAUNCH_TEST_REDIRECT="+dir)
	if out, err := child.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]string{"x.out": "out\n", "x.err": "err\n"} {
		if got, err := os.ReadFile(dir + "/" + name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
