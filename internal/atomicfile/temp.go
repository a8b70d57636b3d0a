package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mark is in each temporary name, between the name of what it becomes and a random number.
const mark = ".flink-entrypoint-"

const (
	randomBytes = 8
	maxName     = 255 - len(".") - len(mark) - 2*randomBytes // of the name that a temporary one repeats
)

// TempName returns a new temporary name for a file or link that will have a name in the same directory.
func TempName(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	var b [randomBytes]byte
	rand.Read(b[:])
	return "." + name + mark + hex.EncodeToString(b[:])
}

// isTemp reports whether TempName made a name, or this program's first release, which had a decimal number at its end.
func isTemp(name string) bool {
	i := strings.LastIndex(name, mark)
	if i < 0 || name[0] != '.' {
		return false
	}
	number := name[i+len(mark):]
	digits := "0123456789"
	if len(number) == 2*randomBytes {
		digits += "abcdef"
	}
	return number != "" && strings.Trim(number, digits) == ""
}

// Temp is a file on its way to its place. It holds a lock while it is open, so that no other start takes it for one of a killed process.
type Temp struct {
	*os.File
	dir      *os.Root
	ownDir   bool
	name, to string
	gone     bool // placed or discarded
}

// Create opens an empty temporary file, mode 0600, for a file that will be at path.
func Create(path string) (*Temp, error) {
	parent, name := filepath.Split(path)
	if parent == "" {
		parent = "."
	}
	dir, err := os.OpenRoot(parent)
	if err != nil {
		return nil, err
	}
	t, err := CreateIn(dir, name)
	if err != nil {
		dir.Close()
		return nil, err
	}
	t.ownDir = true
	return t, nil
}

// CreateIn is Create for a name in an open directory.
func CreateIn(dir *os.Root, name string) (*Temp, error) {
	for n := 1; ; n++ {
		temp := TempName(name)
		f, err := dir.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		// Before it was locked, another start may have taken it for one of a killed process.
		err = TryLock(f)
		here, err1 := dir.Lstat(temp)
		held, err2 := f.Stat()
		taken := errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err1, fs.ErrNotExist) || err1 == nil && err2 == nil && !os.SameFile(here, held)
		if !taken || n == attempts {
			return Adopt(dir, f, temp, name), nil
		}
		f.Close()
	}
}

// Adopt makes a Temp of a file that the caller has opened and locked under a name of its own, so that a later start finds it
// and goes on.
func Adopt(dir *os.Root, f *os.File, name, to string) *Temp {
	return &Temp{File: f, dir: dir, name: name, to: to}
}

// Place renames the file to its place, with exactly that mode, and closes it.
func (t *Temp) Place(mode fs.FileMode, life Lifetime) error {
	if err := t.Chmod(mode); err != nil {
		return err
	}
	// Some file systems tell only now that the disk is full. A sync tells so too, and lets the lock last until the rename.
	ready := t.Close
	if life == Lasting {
		ready = t.Sync
	}
	if err := ready(); err != nil {
		return err
	}
	if err := t.dir.Rename(t.name, t.to); err != nil {
		if st, e := t.dir.Lstat(t.to); e == nil && st.IsDir() {
			return syscall.EISDIR // os says "file exists"
		}
		return err
	}
	t.gone = true
	var err error
	if life == Lasting {
		err = syncRoot(t.dir)
	}
	t.close()
	return err
}

// Discard removes the file unless it is at its place.
func (t *Temp) Discard() {
	if !t.gone {
		t.gone = true
		t.dir.Remove(t.name)
		t.close()
	}
}

func (t *Temp) close() {
	t.Close()
	if t.ownDir {
		t.dir.Close()
	}
}

// TempDir is a temporary directory beside the place of a file that another program makes. It holds a lock while it is open.
type TempDir struct {
	File string // to be made by the other program
	dir  *os.File
	to   string
}

// CreateDir makes a temporary directory, mode 0700, for a file that will be at path.
func CreateDir(path string) (*TempDir, error) {
	parent, name := filepath.Split(path)
	dir := parent + TempName(name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	d, err := os.Open(dir)
	if err != nil {
		os.Remove(dir)
		return nil, err
	}
	_ = TryLock(d)
	return &TempDir{File: filepath.Join(dir, name), dir: d, to: path}, nil
}

// Place moves the file to its place as it is.
func (t *TempDir) Place(life Lifetime) error {
	if life == Lasting {
		f, err := os.Open(t.File)
		if err != nil {
			return err
		}
		err = f.Sync()
		f.Close()
		if err != nil {
			return err
		}
	}
	if err := unix.Rename(t.File, t.to); err != nil {
		return &os.LinkError{Op: "rename", Old: t.File, New: t.to, Err: err}
	}
	t.Discard()
	if life != Lasting {
		return nil
	}
	return syncDirectory(filepath.Dir(t.to))
}

func syncDirectory(path string) error {
	dir, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return syncRoot(dir)
}

// Discard removes the directory and what is still in it.
func (t *TempDir) Discard() {
	os.RemoveAll(t.dir.Name())
	t.dir.Close()
}

// syncRoot makes renames in a directory outlive a loss of power. A file system that cannot sync a directory is left to its own
// ways.
func syncRoot(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// TryLock locks an open file or directory for this process, until it is closed or the process ends or becomes another
// program. An error that is EWOULDBLOCK says that another process has it; any other says that this place has no locks.
func TryLock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EINTR {
			return err
		}
	}
}
