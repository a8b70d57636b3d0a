// Package phase names what a start was doing when it failed. Every phase has its own exit code, and an error of a phase says
// what the user can do about it.
package phase

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Phase names a step of the start-up. Each has its own exit code, so that a restart policy can tell
// failures that a retry may fix (definition service down) from those that it cannot fix (invalid definition).
type Phase string

// The phases, in the order in which they happen.
const (
	Usage             Phase = "usage"
	DefinitionFetch   Phase = "definition-fetch"
	DefinitionInvalid Phase = "definition"
	Limits            Phase = "limits"
	Memory            Phase = "memory"
	Configuration     Phase = "configuration"
	SQL               Phase = "sql"
	Artifact          Phase = "artifact"
	Distribution      Phase = "distribution"
	Write             Phase = "write"
	ExecNotExecutable Phase = "exec"
	ExecNotFound      Phase = "exec-not-found"
	Interrupted       Phase = "interrupted"
	Terminated        Phase = "terminated"
	HungUp            Phase = "hung-up"
	Quit              Phase = "quit"
	Aborted           Phase = "aborted"
	Privileges        Phase = "privileges"
	Command           Phase = "command"
	Internal          Phase = "internal" // a bug
)

// exitCodes is the contract with restart policies. None collides with what Flink's JVM returns (1, 2, 163, 165, 239).
var exitCodes = map[Phase]int{
	Usage: 20, DefinitionFetch: 21, DefinitionInvalid: 22, Limits: 23, Memory: 24, Configuration: 25, SQL: 26,
	Artifact: 27, Distribution: 28, Write: 29, ExecNotExecutable: 126, ExecNotFound: 127, Interrupted: 130, Terminated: 143, HungUp: 129, Quit: 131, Aborted: 134,
}

// ExitCode returns the process exit code of a failure in this phase.
func (p Phase) ExitCode() int {
	if c, ok := exitCodes[p]; ok {
		return c
	}
	return 70 // EX_SOFTWARE
}

// Error is a failure of one phase, with what a user can do about it.
type Error struct {
	Phase Phase
	Err   error
	Hint  string // may be empty
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail wraps err as a failure of phase p, unless it already belongs to a phase.
func Fail(p Phase, err error, hint string) error {
	if err == nil {
		return nil
	}
	var have *Error
	if errors.As(err, &have) {
		return err
	}
	return &Error{Phase: p, Err: err, Hint: hint}
}

// Failf is Fail with a formatted message and no hint.
func Failf(p Phase, format string, args ...any) error {
	return &Error{Phase: p, Err: fmt.Errorf(format, args...)}
}

// Of returns the phase of err and its hint.
func Of(err error) (Phase, string) {
	var e *Error
	if errors.As(err, &e) {
		return e.Phase, e.Hint
	}
	if w := (*fs.PathError)(nil); errors.As(err, &w) && w.Op == "write" { // a failed write to stdout; files have their own phase
		return Write, WriteHint(err)
	}
	return Internal, ""
}

// WriteHint returns what helps against the usual reasons why a file cannot be written.
func WriteHint(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "the file system is read-only: mount a volume (emptyDir) and name it with --run-dir"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the file system is full"
	case errors.Is(err, fs.ErrPermission):
		return "check the owner and mode of the directory, or choose another with --run-dir"
	}
	return ""
}
