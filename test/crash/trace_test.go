package crash

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
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

// names maps the numbers of this machine's system calls that can change files.
func names() map[uint64]string {
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

// killAt runs a command and kills it as it enters its n-th writing system call, counted from 1, which then does not happen.
// It returns the name of that call; "" means that the command came to its end, or to its exec, with fewer calls, whose names
// are in seen. This thread must do nothing else meanwhile.
func killAt(cmd *exec.Cmd, n int) (at string, seen []string, err error) {
	runtime.LockOSThread() // the thread that starts a process is the one that may trace it
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	pid := cmd.Process.Pid
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return "", nil, err
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return "", nil, fmt.Errorf("ptrace: %w", err)
	}
	names, writable, opening := names(), map[uint64]bool{}, map[int]bool{}
	resume := func(tid, sig int) error {
		if err := unix.PtraceSyscall(tid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("ptrace: %w", err)
		}
		return nil
	}
	if err := resume(pid, 0); err != nil {
		return "", nil, err
	}
	killed := ""
	for {
		tid, err := unix.Wait4(-1, &ws, unix.WALL|noThread, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return killed, seen, nil
		case err != nil:
			return killed, seen, err
		}
		if ws.Exited() || ws.Signaled() {
			if tid == pid {
				if killed == "" && ws.ExitStatus() != 0 {
					return "", seen, fmt.Errorf("exit status %d", ws.ExitStatus())
				}
				return killed, seen, nil
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
			name := writing(names, &info, writable)
			if name == "" {
				break
			}
			if seen = append(seen, name); len(seen) == n {
				killed = name
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					return "", seen, err
				}
				continue
			}
			switch name {
			case "openat":
				opening[tid] = true
			case "close":
				delete(writable, info.args[0])
			}
		case ws.TrapCause() == unix.PTRACE_EVENT_EXEC:
			// It has become java; what that does is not ours.
			if err := unix.PtraceDetach(tid); err != nil {
				return "", seen, err
			}
			if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || ws.ExitStatus() != 0 {
				return "", seen, fmt.Errorf("after exec: exit status %d, %v", ws.ExitStatus(), err)
			}
			return "", seen, nil
		case stop == unix.SIGTRAP, stop == unix.SIGSTOP: // a new thread
		default:
			sig = int(stop)
		}
		if err := resume(tid, sig); err != nil {
			return "", seen, err
		}
	}
}
