package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"flink-entrypoint/internal/distribution"

	"golang.org/x/sys/unix"
)

// ExecFunc replaces the process; it returns only on failure. The real one is syscall.Exec, which also gives the
// new program the RLIMIT_NOFILE this process was started with (Go raises its own soft limit).
type ExecFunc func(path string, argv, env []string) error

// ExecError is a command that could not be started. Code is the exit code of a shell: 127 not found, 126 found but
// not executable.
type ExecError struct {
	Name string
	Code int
	Err  error
}

// Error names the command and the reason.
func (e *ExecError) Error() string { return fmt.Sprintf("%s: %v", e.Name, e.Err) }

// Unwrap returns the reason.
func (e *ExecError) Unwrap() error { return e.Err }

// Passthrough makes a command of any other command: args[0] is looked up in the PATH of env as a shell does.
// The error is an [ExecError].
func Passthrough(args, env []string) (*Command, error) {
	if len(args) == 0 || args[0] == "" {
		return nil, &ExecError{Name: `""`, Code: 127, Err: errors.New("command not found")}
	}
	var path string
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	found, err := distribution.LookPath(args[0], path)
	switch {
	case errors.Is(err, distribution.ErrNotExecutable):
		return nil, &ExecError{Name: args[0], Code: 126, Err: err}
	case err != nil && strings.Contains(args[0], "/"):
		return nil, &ExecError{Name: args[0], Code: 127, Err: errors.New("no such file or directory")}
	case err != nil:
		return nil, &ExecError{Name: args[0], Code: 127, Err: errors.New("command not found in PATH")}
	}
	return &Command{Path: found, Argv: args, Env: env, Changed: map[string]string{}}, nil
}

// Redirect sends stdout and stderr of this process to the files the command asks for. Like the scripts, a start
// goes on without: the errors are to be shown as warnings.
func (c *Command) Redirect() []error {
	var failed []error
	for fd, path := range map[int]string{1: c.Stdout, 2: c.Stderr} {
		if path == "" {
			continue
		}
		f, err := openForRedirect(path)
		if err == nil {
			err = unix.Dup3(int(f.Fd()), fd, 0)
			f.Close()
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// Exec becomes the command. It returns an [ExecError], and only on failure. A file without a known format is given
// to /bin/sh, as execvp and shells do.
func (c *Command) Exec(exec ExecFunc) error {
	err := exec(c.Path, c.Argv, c.Env)
	if errors.Is(err, syscall.ENOEXEC) {
		err = exec("/bin/sh", append([]string{c.Argv[0], c.Path}, c.Argv[1:]...), c.Env)
	}
	if err == nil {
		return nil
	}
	code := 126
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = 127
	case errors.Is(err, syscall.E2BIG):
		err = TooLong(c.Argv, c.Env)
	}
	return &ExecError{Name: c.Argv[0], Code: code, Err: err}
}

// longest is one more than the longest text that Linux takes as an argument or a variable (MAX_ARG_STRLEN, 32 pages).
func longest() int { return 32 * os.Getpagesize() }

// Fits reports whether Linux takes each argument and variable of the command, so that a plan can tell. It cannot tell about
// all of them together: how much Linux takes depends on the limits of the process. The error is an [ExecError].
func (c *Command) Fits() error {
	tooLong := func(text string) bool { return len(text) >= longest() }
	if slices.ContainsFunc(c.Argv, tooLong) || slices.ContainsFunc(c.Env, tooLong) {
		return &ExecError{Name: c.Argv[0], Code: 126, Err: TooLong(c.Argv, c.Env)}
	}
	return nil
}

// TooLong says which argument or variable made an exec fail with "argument list too long". It shows no value.
func TooLong(argv, env []string) error {
	what, most, total := "", 0, 0
	note := func(name, text string) {
		total += len(text) + 1
		if len(text) > most {
			what, most = name, len(text)
		}
	}
	for i, a := range argv {
		note(nameOf(argv, i), a)
	}
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		note("the environment variable "+name, kv)
	}
	if most >= longest() {
		return fmt.Errorf("argument list too long: %s has %d bytes, Linux takes at most %d", what, most, longest()-1)
	}
	return fmt.Errorf("argument list too long: arguments and environment have %d bytes, which is more than Linux takes; the longest is %s with %d", total, what, most)
}

// nameOf says which argument it is, as far as options tell: -Dkey=value, -D key=value, or -option value.
func nameOf(argv []string, i int) string {
	name := fmt.Sprintf("argument %d", i)
	option, _, assigned := strings.Cut(argv[i], "=")
	if before := argv[max(i-1, 0)]; i > 0 && strings.HasPrefix(before, "-") && !strings.HasPrefix(option, "-") && !strings.Contains(before, "=") {
		if before == "-D" && assigned {
			before += " " + option
		}
		option, assigned = before, true
	}
	const readable = 200
	if !assigned || !strings.HasPrefix(option, "-") || len(option) > readable {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, option)
}
