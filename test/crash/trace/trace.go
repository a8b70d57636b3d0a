// Package trace runs a program under ptrace and kills it as it enters a system call, which then does not happen.
package trace

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syscallInfo is struct ptrace_syscall_info of linux/ptrace.h at a system call's entry; at its exit args[0]'s place, nr,
// holds the result.
type syscallInfo struct {
	op   uint8 // 1 entry, 2 exit
	_    [3]byte
	arch uint32
	ip   uint64
	sp   uint64
	nr   uint64 // of an exit: the result
	args [6]uint64
	_    uint64
}

const (
	ptraceGetSyscallInfo = 0x420e
	opEntry, opExit      = 1, 2
	noThread             = 0x20000000 // __WNOTHREAD: only what this thread traces
)

// A Call is a system call that a program is about to make.
type Call struct {
	Name string
	Args [6]uint64
	// Writes: it changes a file: one that the program has opened for that, or the tree.
	Writes bool
	pid    int
}

// File is what a call is about: the path of its descriptor or of its argument, "" where it has neither.
func (c Call) File() string {
	switch c.Name {
	case "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fchmod", "fchown", "sendto", "connect", "flock", "close":
		path, _ := os.Readlink("/proc/" + strconv.Itoa(c.pid) + "/fd/" + strconv.FormatUint(c.Args[0], 10))
		return path
	case "openat", "mkdirat", "unlinkat", "fchmodat", "renameat", "renameat2", "linkat", "symlinkat":
		return c.text(c.Args[1], 4096, true)
	case "mkdir", "unlink", "rmdir", "rename", "link", "chmod":
		return c.text(c.Args[0], 4096, true)
	}
	return ""
}

// Text is what a write is about to write, at most 1,000 bytes of it.
func (c Call) Text() string { return c.text(c.Args[1], int(min(c.Args[2], 1000)), false) }

// text reads the program's memory, as far as it is there.
func (c Call) text(address uint64, n int, terminated bool) string {
	b := make([]byte, n)
	// A page at a time: what follows the text may not be there.
	have := 0
	for have < n {
		step := min(n-have, os.Getpagesize()-int(address+uint64(have))%os.Getpagesize())
		local := []unix.Iovec{{Base: &b[have], Len: uint64(step)}}
		got, err := unix.ProcessVMReadv(c.pid, local, []unix.RemoteIovec{{Base: uintptr(address) + uintptr(have), Len: step}}, 0)
		if err != nil || got <= 0 {
			break
		}
		have += got
		if end := bytes.IndexByte(b[:have], 0); terminated && end >= 0 {
			return string(b[:end])
		}
	}
	return string(b[:have])
}

// writing returns the name of a system call that changes files, "" for others. writable holds the descriptors that were opened
// for writing.
func writing(names map[uint64]string, i *syscallInfo, writable map[uint64]bool) string {
	name := names[i.nr]
	switch name {
	case "openat":
		if i.args[2]&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC) == 0 {
			return ""
		}
	case "write", "pwrite64", "close", "ftruncate", "fchmod", "copy_file_range":
		fd := i.args[0]
		if name == "copy_file_range" {
			fd = i.args[2]
		}
		if !writable[fd] {
			return ""
		}
	}
	return name
}

// Writing are the system calls of this machine that can change files, by number.
func Writing() map[uint64]string {
	m := map[uint64]string{
		unix.SYS_OPENAT: "openat", unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_RENAMEAT: "renameat", unix.SYS_RENAMEAT2: "renameat2",
		unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_CLOSE: "close", unix.SYS_MKDIRAT: "mkdirat", unix.SYS_SYMLINKAT: "symlinkat",
		unix.SYS_LINKAT: "linkat", unix.SYS_UNLINKAT: "unlinkat", unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_TRUNCATE: "truncate", unix.SYS_FCHMOD: "fchmod",
		unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FCHOWN: "fchown", unix.SYS_FCHOWNAT: "fchownat", unix.SYS_UTIMENSAT: "utimensat", unix.SYS_COPY_FILE_RANGE: "copy_file_range",
	}
	for nr, name := range oldNames() {
		m[nr] = name
	}
	return m
}

// Reaching are those by which a program reaches others: connections, signals, new processes (and threads).
func Reaching() map[uint64]string {
	return map[uint64]string{unix.SYS_CONNECT: "connect", unix.SYS_SENDTO: "sendto", unix.SYS_CLONE: "clone", unix.SYS_PIDFD_SEND_SIGNAL: "pidfd_send_signal", unix.SYS_KILL: "kill"}
}

// ForksProcess reports whether a clone makes a process and not a thread.
func (c Call) ForksProcess() bool { return c.Name == "clone" && c.Args[0]&unix.CLONE_THREAD == 0 }

// Run runs a command to its end, or to its exec, and asks at about each of the calls. The first time that at is true, the command is killed
// and the call does not happen. An exit code but 0 of a command that was not killed so is an error. Nothing else may start processes with
// this thread meanwhile.
func Run(cmd *exec.Cmd, calls map[uint64]string, at func(Call) bool) (killed bool, err error) {
	runtime.LockOSThread() // the thread that starts a process is the one that may trace it
	defer runtime.UnlockOSThread()
	// A process group of its own tells its threads from processes that this thread has started for others, who wait for them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	pid := cmd.Process.Pid
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return false, err
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return false, fmt.Errorf("ptrace: %w", err)
	}
	writable, opening := map[uint64]bool{}, map[int]bool{}
	resume := func(tid, sig int) error {
		if err := unix.PtraceSyscall(tid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("ptrace: %w", err)
		}
		return nil
	}
	if err := resume(pid, 0); err != nil {
		return false, err
	}
	for {
		tid, err := unix.Wait4(-pid, &ws, unix.WALL|noThread, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return killed, nil
		case err != nil:
			return killed, err
		}
		if ws.Exited() || ws.Signaled() {
			if tid == pid {
				if !killed && ws.ExitStatus() != 0 {
					return false, fmt.Errorf("exit status %d", ws.ExitStatus())
				}
				return killed, nil
			}
			continue
		}
		sig := 0
		switch stop := ws.StopSignal(); {
		case stop == unix.SIGTRAP|0x80:
			var info syscallInfo
			_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
			if errno != 0 {
				break // it died meanwhile
			}
			if info.op == opExit {
				if opening[tid] && int64(info.nr) >= 0 {
					writable[info.nr] = true
				}
				delete(opening, tid)
				break
			}
			name := calls[info.nr]
			if name == "" || killed {
				break
			}
			writes := writing(calls, &info, writable) != ""
			if at(Call{Name: name, Args: info.args, Writes: writes, pid: pid}) {
				killed = true
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					return false, err
				}
				continue
			}
			switch {
			case !writes:
			case name == "openat":
				opening[tid] = true
			case name == "close":
				delete(writable, info.args[0])
			}
		case ws.TrapCause() == unix.PTRACE_EVENT_EXEC:
			// It has become java; what that does is not ours.
			if err := unix.PtraceDetach(tid); err != nil {
				return false, err
			}
			if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || ws.ExitStatus() != 0 {
				return false, fmt.Errorf("after exec: exit status %d, %v", ws.ExitStatus(), err)
			}
			return false, nil
		case stop == unix.SIGTRAP, stop == unix.SIGSTOP: // a new thread
		default:
			sig = int(stop)
		}
		if err := resume(tid, sig); err != nil {
			return false, err
		}
	}
}
