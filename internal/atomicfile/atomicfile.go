// Package atomicfile is the one way in which a file or a link is put in place. A reader sees the old one or the whole new
// one, even if the writer is killed or another process writes at the same time.
//
// Each is made under a temporary name of its own beside its place and renamed. The name is random: the process id would be 1
// in every container, and containers share volumes. A [Lock] lets one process at a time write to a directory, and tells
// which temporary names a killed process has left.
package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lifetime says whether a file must outlive a loss of power.
type Lifetime int

const (
	// Passing files are written again by the next start, so nothing waits for the disk.
	Passing Lifetime = iota
	// Lasting files are synced before the rename, and their directory after it.
	Lasting
)

// Error says which file could not be written, or read to be copied, and why.
type Error struct {
	Path string
	Err  error
}

// Error returns "cannot write PATH: CAUSE".
func (e *Error) Error() string { return "cannot write " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Failed returns an [Error] about path. Of errors that name a path themselves, a temporary one perhaps, it takes the cause.
func Failed(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		err = le.Err
	}
	return &Error{path, err}
}

// attempts is how often a writer tries: its temporary file may be removed by a process that does not see its lock, since
// some network file systems have none.
const attempts = 8

// Write puts content into path, with exactly that mode. A file that holds content and mode already is left alone (changed
// is false, its time stays). After an error path is what it was and the temporary file is gone. The error is an [*Error].
func Write(path string, content []byte, mode fs.FileMode, life Lifetime) (changed bool, err error) {
	if same(path, content, mode) {
		return false, nil
	}
	for n := 1; ; n++ {
		if err = write(path, content, mode, life); err == nil {
			return true, nil
		}
		if n == attempts || !errors.Is(err, fs.ErrNotExist) || !isDir(filepath.Dir(path)) {
			return false, Failed(path, err)
		}
	}
}

func write(path string, content []byte, mode fs.FileMode, life Lifetime) error {
	t, err := Create(path)
	if err != nil {
		return err
	}
	defer t.Discard()
	if _, err := t.Write(content); err != nil {
		return err
	}
	return t.Place(mode, life)
}

func same(path string, content []byte, mode fs.FileMode) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != mode.Perm() || info.Size() != int64(len(content)) {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	buffer := make([]byte, min(len(content)+1, 64<<10))
	for {
		n, err := f.Read(buffer)
		if n > len(content) || !bytes.Equal(buffer[:n], content[:n]) {
			return false
		}
		content = content[n:]
		if err != nil {
			return err == io.EOF && len(content) == 0
		}
	}
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// Overwrite is [Write] for a file that may be a mount point of its own, which cannot be renamed over: then the content is
// written into the file that is there. A kill in between leaves it half-written.
func Overwrite(path string, content []byte, mode fs.FileMode, life Lifetime) (changed bool, err error) {
	changed, err = Write(path, content, mode, life)
	if !errors.Is(err, syscall.EBUSY) {
		return changed, err
	}
	if old, e := os.ReadFile(path); e == nil && bytes.Equal(old, content) {
		return false, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return false, Failed(path, err)
	}
	if info, e := f.Stat(); e == nil && info.Mode().Perm() != mode.Perm() {
		err = f.Chmod(mode) // before a secret is inside
	}
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = f.Truncate(int64(len(content)))
	}
	if err == nil && life == Lasting {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return false, Failed(path, err)
	}
	return true, nil
}

// Symlink makes path a symbolic link to target, in place of another link or a file. A link to target is left alone. The
// error is an [*Error].
func Symlink(target, path string, life Lifetime) (changed bool, err error) {
	if have, err := os.Readlink(path); err == nil && have == target {
		return false, nil
	}
	dir, name := filepath.Split(path)
	for n := 1; ; n++ {
		temp := dir + TempName(name)
		if err = os.Symlink(target, temp); err == nil {
			if err = unix.Rename(temp, path); err == nil {
				if life == Lasting {
					err = syncDirectory(filepath.Dir(path))
				}
				if err != nil {
					return true, Failed(path, err)
				}
				return true, nil
			}
			os.Remove(temp)
		}
		if n == attempts || !errors.Is(err, fs.ErrNotExist) || !isDir(filepath.Dir(path)) {
			return false, Failed(path, err)
		}
	}
}

// IsMount reports whether path is a mount point: no rename can replace it, and only who may mount can have put it there.
func IsMount(path string) bool {
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st) == nil && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	}
	return inMountTable(path)
}
