// Command meter starts a program, waits for it, and prints what it took. It is a program of its own because the kernel
// counts the memory of the process that starts another one to the other's peak: this one is small.
package main

import (
	"encoding/json"
	"os"
	"syscall"
	"time"
)

// reading is what meter prints; the benchmark reads it.
type reading struct {
	Wall    int64 `json:"wall"`    // nanoseconds from before the fork until the program has ended
	CPU     int64 `json:"cpu"`     // nanoseconds, of the program and everything it waited for
	PeakKiB int64 `json:"peakKiB"` // of its largest process
	Exit    int   `json:"exit"`    // exit code, 128+n after signal n
}

func main() {
	if len(os.Args) < 3 {
		os.Stderr.WriteString("usage: meter OUTPUT-FILE PROGRAM [ARGS…]\n")
		os.Exit(2)
	}
	r, err := measure(os.Args[1], os.Args[2:])
	if err != nil {
		os.Stderr.WriteString("error: " + err.Error() + "\n")
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

func measure(output string, argv []string) (r reading, err error) {
	out, err := syscall.Open(output, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return r, &os.PathError{Op: "open", Path: output, Err: err}
	}
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, uintptr(out), uintptr(out)}}
	began := time.Now()
	pid, err := syscall.ForkExec(argv[0], argv, attr)
	if err != nil {
		return r, &os.PathError{Op: "exec", Path: argv[0], Err: err}
	}
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		_, err = syscall.Wait4(pid, &status, 0, &usage)
		if err != syscall.EINTR {
			break
		}
	}
	r.Wall = time.Since(began).Nanoseconds()
	if err != nil {
		return r, os.NewSyscallError("wait4", err)
	}
	r.CPU = usage.Utime.Nano() + usage.Stime.Nano()
	r.PeakKiB = usage.Maxrss
	r.Exit = status.ExitStatus()
	if status.Signaled() {
		r.Exit = 128 + int(status.Signal())
	}
	return r, nil
}
