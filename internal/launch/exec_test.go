package launch

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestPassthrough(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"run": 0o755, "plain": 0o644} {
		if err := os.WriteFile(dir+"/"+name, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir+"/first/run", 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + dir + "/first:" + dir, "X=1"}
	for _, test := range []struct {
		args []string
		path string
		code int
	}{
		{[]string{"run", "a b", ""}, dir + "/run", 0},
		{[]string{dir + "/run"}, dir + "/run", 0},
		{[]string{"plain"}, "", 126},
		{[]string{dir + "/plain"}, "", 126},
		{[]string{dir}, "", 126},
		{[]string{"absent"}, "", 127},
		{[]string{dir + "/absent"}, "", 127},
		{[]string{""}, "", 127},
		{nil, "", 127},
	} {
		cmd, err := Passthrough(test.args, env)
		var e *ExecError
		if test.code != 0 {
			if !errors.As(err, &e) || e.Code != test.code {
				t.Errorf("%q: %v, want code %d", test.args, err, test.code)
			}
			continue
		}
		if err != nil || cmd.Path != test.path || !slices.Equal(cmd.Argv, test.args) || !slices.Equal(cmd.Env, env) {
			t.Errorf("%q: %+v, %v", test.args, cmd, err)
		}
	}
	if _, err := Passthrough([]string{"plain"}, nil); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("without PATH: %v", err)
	}
}

func TestExec(t *testing.T) {
	for _, test := range []struct {
		fails []error
		code  int
		calls string
	}{
		{nil, 0, "/x/cmd[cmd a]"},
		{[]error{syscall.ENOENT}, 127, "/x/cmd[cmd a]"},
		{[]error{syscall.EACCES}, 126, "/x/cmd[cmd a]"},
		{[]error{syscall.ENOEXEC}, 0, "/x/cmd[cmd a] /bin/sh[cmd /x/cmd a]"},
		{[]error{syscall.ENOEXEC, syscall.ENOENT}, 127, "/x/cmd[cmd a] /bin/sh[cmd /x/cmd a]"},
	} {
		var calls []string
		cmd := &Command{Path: "/x/cmd", Argv: []string{"cmd", "a"}, Env: []string{"A=1"}}
		err := cmd.Exec(func(path string, argv, env []string) error {
			calls = append(calls, path+"["+strings.Join(argv, " ")+"]")
			if !slices.Equal(env, cmd.Env) {
				t.Errorf("environment %q", env)
			}
			if len(test.fails) >= len(calls) {
				return test.fails[len(calls)-1]
			}
			return nil
		})
		var e *ExecError
		if errors.As(err, &e) != (test.code != 0) || e != nil && e.Code != test.code {
			t.Errorf("%v: %v, want code %d", test.fails, err, test.code)
		}
		if got := strings.Join(calls, " "); got != test.calls {
			t.Errorf("%v: calls %s, want %s", test.fails, got, test.calls)
		}
	}
}

// TestTooLong: "argument list too long" did not say which one, and a dry run did not tell at all.
func TestTooLong(t *testing.T) {
	long := strings.Repeat("x", longest())
	for _, test := range []struct {
		name      string
		argv, env []string
		want      string
	}{
		{"a property", []string{"java", "-Dsome.key=" + long}, nil, "argument 1 (-Dsome.key) has "},
		{"a dynamic property", []string{"java", "-D", "some.key=" + long}, nil, "argument 2 (-D some.key) has "},
		{"the value of an option", []string{"java", "-classpath", long}, nil, "argument 2 (-classpath) has "},
		{"a word", []string{"java", "a.Main", long}, nil, "argument 2 has "},
		{"a word after a property", []string{"java", "-Da=b", long}, nil, "argument 2 has "},
		{"an option of that length", []string{"java", "-" + long + "=1"}, nil, "argument 1 has "},
		{"a variable", []string{"java"}, []string{"A=1", "SOME_NAME=" + long}, "the environment variable SOME_NAME has "},
	} {
		cmd := &Command{Path: "/java", Argv: test.argv, Env: test.env}
		err := cmd.Fits()
		var e *ExecError
		if !errors.As(err, &e) || e.Code != 126 || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "xxx") {
			t.Errorf("%s: %.300v, want code 126 and %q", test.name, err, test.want)
		}
		if real := cmd.Exec(func(string, []string, []string) error { return syscall.E2BIG }); real.Error() != err.Error() {
			t.Errorf("%s: a start says %.300v, a dry run %.300v", test.name, real, err)
		}
	}
	// All together are judged by the kernel alone.
	cmd := &Command{Path: "/java", Argv: []string{"java", "-Da=" + long[:len(long)/2], "b"}, Env: []string{"C=" + long[:len(long)-10]}}
	if err := cmd.Fits(); err != nil {
		t.Error(err)
	}
	if err := cmd.Exec(func(string, []string, []string) error { return syscall.E2BIG }); err == nil || !strings.Contains(err.Error(), "the longest is the environment variable C with ") {
		t.Errorf("%v", err)
	}
}
