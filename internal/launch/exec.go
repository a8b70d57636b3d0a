package launch

import (
	"errors"
	"fmt"
	"io/fs"
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

// Passthrough makes a command of anything that is no role: args[0] is looked up in the PATH of env as a shell does.
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
	if errors.Is(err, fs.ErrNotExist) {
		code = 127
	}
	return &ExecError{Name: c.Argv[0], Code: code, Err: err}
}
