package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Lock is the lock of a directory, which one process at a time holds while it writes there. It is the kernel's, of the
// directory itself: no file is made, and the end of the process, be it by exec, ends the lock. Containers that share a volume
// of one machine share it. Where a file system has no locks a process writes without, and what protects it are names of its own.
type Lock struct {
	dir *os.File // nil: not held
}

// BusyError says that another process held a lock too long.
type BusyError struct {
	Dir    string
	Waited time.Duration
}

// Error names the directory and how long it was waited for.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s has been locked by another process for more than %s", e.Dir, e.Waited)
}

// LockDir takes the lock of an existing directory and waits for it at most as long as patience, 0 for not at all. The error is a [*BusyError],
// or the cause of the context's end. The Lock is never nil: after an error, or where locks do not work, it is one that is not held.
func LockDir(ctx context.Context, dir string, patience time.Duration) (*Lock, error) {
	l := new(Lock)
	f, err := os.Open(dir)
	if err != nil {
		return l, nil // the error comes with the first write
	}
	switch err := TryLock(f); {
	case err == nil:
		l.dir = f
		return l, nil
	case !errors.Is(err, syscall.EWOULDBLOCK):
		f.Close()
		return l, nil
	case patience <= 0:
		f.Close()
		return l, &BusyError{dir, patience}
	}
	// The kernel lets processes have it in turn. A call that waits cannot be stopped, so it may go on alone.
	got := make(chan error, 1)
	go func() {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		for err == syscall.EINTR {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		}
		got <- err
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-got:
		if err != nil {
			f.Close()
			return l, nil
		}
		l.dir = f
		return l, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = &BusyError{dir, patience}
	}
	go func() {
		<-got
		f.Close()
	}()
	return l, err
}

// Release ends the lock.
func (l *Lock) Release() {
	if l.dir != nil {
		l.dir.Close()
		l.dir = nil
	}
}

// staleAge is how old a temporary file must be when no lock shows whether its writer still runs.
const staleAge = time.Hour

// RemoveStale removes from directories the temporary files, links and directories of writers that were killed: those that
// this package made, and others that the caller knows by name (also may be nil). The directories are the locked one and
// others whose writers hold the same lock. What a living process has locked stays. What is not locked goes at once where
// this process holds the lock and the file system is known to show it all locks there are; else when it is an hour old.
func (l *Lock) RemoveStale(also func(path string) bool, dirs ...string) {
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		sure, asked := false, false
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if !strings.HasPrefix(e.Name(), ".") || !isTemp(e.Name()) && (also == nil || !also(path)) {
				continue
			}
			if !asked {
				sure, asked = l.dir != nil && locksAreLocal(dir), true
			}
			l.removeStale(path, e.Type(), sure)
		}
	}
}

func (l *Lock) removeStale(path string, kind fs.FileMode, sure bool) {
	st, err := os.Lstat(path)
	if err != nil || st.Mode().Type() != kind {
		return
	}
	old := time.Since(st.ModTime()) > staleAge
	if !old && !sure {
		return
	}
	if kind.IsRegular() || kind.IsDir() {
		free, held := lockIsFree(path)
		if held != nil {
			defer held.Close() // after it is removed: nothing can take it in between
		}
		if !free && (held != nil || !old) {
			return
		}
	}
	if kind.IsDir() {
		os.RemoveAll(path)
		return
	}
	os.Remove(path)
}

// lockIsFree takes the lock of a temporary file or directory. held is nil where it cannot be opened or locked at all.
func lockIsFree(path string) (free bool, held *os.File) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, nil
	}
	err = TryLock(f)
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return false, nil
	}
	// A part may have become its file meanwhile, and the name be another process's part.
	here, err1 := os.Lstat(path)
	there, err2 := f.Stat()
	return err == nil && err1 == nil && err2 == nil && os.SameFile(here, there), f
}

// locksAreLocal reports whether all who can write to a directory are processes of this kernel, or at least whether their
// locks are seen here. Of a network file system that depends on how it is mounted.
func locksAreLocal(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
		unix.F2FS_SUPER_MAGIC, zfsMagic:
		return true
	}
	return false
}

const zfsMagic = 0x2fc12fc1 // include/sys/fs/zfs.h of OpenZFS

// inMountTable looks a path up in the mount table of this process: gVisor and kernels before 5.8 show a mount in no other way.
func inMountTable(path string) bool {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	quoted := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(abs)
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == quoted {
			return true
		}
	}
	return false
}
