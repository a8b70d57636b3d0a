package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"flink-entrypoint/internal/atomicfile"
)

// place is where an artifact goes: a name in an open directory that was reached without following a link.
// All access goes through os.Root, so that a link planted in between cannot lead outside either.
type place struct {
	dir  *os.Root
	name string
	path string // for messages
}

// openPlace opens the directory of item.Path below item.Root and makes missing directories (0755).
func openPlace(display string, item Item) (*place, *Error) {
	bad := func(kind Kind, detail string, cause error) (*place, *Error) {
		return nil, &Error{URI: display, Kind: kind, Detail: detail, cause: cause}
	}
	if !filepath.IsAbs(item.Root) || !filepath.IsAbs(item.Path) || strings.ContainsRune(item.Path, 0) {
		return bad(KindPath, fmt.Sprintf("the artifact's path %q and root %q must be absolute", item.Path, item.Root), nil)
	}
	rel, err := filepath.Rel(filepath.Clean(item.Root), item.Path)
	if err != nil || !filepath.IsLocal(rel) || rel == "." || filepath.Clean(item.Path) != item.Path || hasDotDot(item.Path) {
		return bad(KindPath, fmt.Sprintf("the artifact's path %s leads out of %s", item.Path, item.Root), nil)
	}
	if err := os.MkdirAll(item.Root, 0o755); err != nil {
		return bad(KindWrite, "cannot make the directory "+item.Root+": "+plainCause(err).Error(), err)
	}
	dir, err := os.OpenRoot(item.Root)
	if err != nil {
		return bad(KindWrite, "cannot open the directory "+item.Root+": "+plainCause(err).Error(), err)
	}
	steps := strings.Split(rel, string(filepath.Separator))
	at := filepath.Clean(item.Root)
	for _, step := range steps[:len(steps)-1] {
		at = filepath.Join(at, step)
		err := dir.Mkdir(step, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			dir.Close()
			return bad(KindWrite, "cannot make the directory "+at+": "+plainCause(err).Error(), err)
		}
		st, err := dir.Lstat(step)
		if err != nil || !st.IsDir() {
			dir.Close()
			if err == nil && st.Mode()&fs.ModeSymlink != 0 {
				return bad(KindPath, at+" is a symbolic link, expected a directory", nil)
			}
			return bad(KindPath, at+" is not a directory", err)
		}
		next, err := dir.OpenRoot(step)
		dir.Close()
		if err != nil {
			return bad(KindWrite, "cannot open the directory "+at+": "+plainCause(err).Error(), err)
		}
		dir = next
	}
	return &place{dir: dir, name: steps[len(steps)-1], path: item.Path}, nil
}

func hasDotDot(path string) bool {
	for _, part := range strings.Split(path, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

func (p *place) close() { p.dir.Close() }

// existing returns the digest and size of the file at the place; "" if it does not exist.
func (p *place) existing(ctx context.Context, display string, buffer []byte) (sum string, size int64, e *Error) {
	st, err := p.dir.Lstat(p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", 0, nil
	case err != nil:
		return "", 0, p.writeError(display, err)
	case st.Mode()&fs.ModeSymlink != 0:
		return "", 0, &Error{URI: display, Kind: KindPath, Detail: p.path + " is a symbolic link, which is not followed: remove it"}
	case !st.Mode().IsRegular():
		return "", 0, &Error{URI: display, Kind: KindPath, Detail: p.path + " exists and is not a regular file"}
	}
	f, err := p.dir.Open(p.name)
	if err != nil {
		return "", 0, p.writeError(display, err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.CopyBuffer(h, untilDone{ctx, f}, buffer)
	if ctx.Err() != nil {
		return "", 0, contextError(display, ctx)
	}
	if err != nil {
		return "", 0, p.writeError(display, err)
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}

// Part is the name of the unfinished file of an artifact at path. It stays after a failure that a later start can go on from.
func Part(path string) string {
	dir, name := filepath.Split(path)
	return filepath.Join(dir, partName(name))
}

// IsPart reports whether a path has the name of an unfinished file.
func IsPart(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, partEnd)
}

const partEnd = ".part"

func partName(name string) string { return "." + name + partEnd }

// part opens the unfinished file beside the place. It keeps its bytes, so that a later start can resume
// them, unless another process is writing there, or locks cannot tell: then it has a name of its own.
func (p *place) part() (*os.File, string, error) {
	name := partName(p.name)
	if st, err := p.dir.Lstat(name); err == nil && !st.Mode().IsRegular() {
		if err := p.dir.Remove(name); err != nil {
			return nil, "", err
		}
	}
	f, err := p.dir.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err == nil {
		// The lock ends with the file descriptor. A file that was renamed or removed between open and lock is
		// no longer at its name.
		locked := atomicfile.TryLock(f)
		here, err1 := p.dir.Lstat(name)
		held, err2 := f.Stat()
		if locked == nil && err1 == nil && err2 == nil && os.SameFile(here, held) {
			return f, name, nil
		}
		f.Close()
		if locked != nil && !errors.Is(locked, syscall.EWOULDBLOCK) {
			_ = p.dir.Remove(name) // this place has no locks, so nothing will use it
		}
	} else if !errors.Is(err, fs.ErrPermission) { // else it is another user's
		return nil, "", err
	}
	own, err := atomicfile.CreateIn(p.dir, p.name)
	if err != nil {
		return nil, "", err
	}
	return own.File, filepath.Base(own.Name()), nil
}

// put moves a finished part to the place.
func (p *place) put(f *os.File, part string, mode fs.FileMode) error {
	return atomicfile.Adopt(p.dir, f, part, p.name).Place(mode, atomicfile.Lasting)
}

func (p *place) writeError(display string, err error) *Error {
	e := &Error{URI: display, Kind: KindWrite, Detail: "cannot write " + p.path + ": " + plainCause(err).Error(), cause: err}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Hint = "the volume is full: give it more space"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		e.Hint = fmt.Sprintf("uid %d must be able to write there: mount an emptyDir, or choose another place for the artifact", os.Getuid())
	}
	return e
}
