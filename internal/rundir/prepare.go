package rundir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/phase"
)

// Put writes the files and makes the links. It returns the paths that did change.
func (d Dir) Put(ctx context.Context) (changed []string, err error) {
	for _, f := range d.Files {
		if err := ctx.Err(); err != nil {
			return changed, err
		}
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return changed, phase.Fail(phase.Write, err, "")
		}
		did, err := atomicfile.Write(f.Path, f.Content, sharedMode(f.Path, f.Mode), d.Lifetime(f.Path))
		if err != nil {
			return changed, phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
		if did {
			changed = append(changed, f.Path)
		}
	}
	if err := ctx.Err(); err != nil {
		return changed, err
	}
	for _, l := range d.Links {
		if err := os.MkdirAll(filepath.Dir(l.Path), 0o755); err != nil {
			return changed, phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
		did, err := atomicfile.Symlink(l.Target, l.Path, d.Lifetime(l.Path))
		if err != nil {
			return changed, phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
		if did {
			changed = append(changed, l.Path)
		}
	}
	return changed, nil
}

// sharedMode widens a secret's 0600 to 0640 where the directory hands its group on (set-gid): that is how an initContainer
// with one user leaves files to a container with another (fsGroup).
func sharedMode(path string, mode fs.FileMode) fs.FileMode {
	if mode.Perm() != 0o600 {
		return mode
	}
	if st, err := os.Stat(filepath.Dir(path)); err == nil && st.Mode()&fs.ModeSetgid != 0 {
		return 0o640
	}
	return mode
}

// Prepare makes the run dir, for this user alone. In a world-writable /tmp another user could have put it there
// first, to be handed secrets or to choose what Flink executes; so a link or another user's directory is refused.
func Prepare(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(dir), 0o755); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrExist) {
		hint := phase.WriteHint(err)
		if hint == "" {
			hint = "choose another one with --run-dir"
		}
		return phase.Fail(phase.Write, fmt.Errorf("cannot create the run dir: %w", err), hint)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return phase.Fail(phase.Write, fmt.Errorf("cannot read the run dir: %w", err), "")
	}
	const elsewhere = "choose another one with --run-dir"
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		return phase.Fail(phase.Write, fmt.Errorf("the run dir %s is a symbolic link", dir), elsewhere)
	case !st.IsDir():
		return phase.Fail(phase.Write, fmt.Errorf("the run dir %s is not a directory", dir), elsewhere)
	}
	// An emptyDir volume belongs to root.
	if !ownOrRoot(st) {
		return phase.Fail(phase.Write, fmt.Errorf("the run dir %s belongs to user %d, this process is user %d", dir, ownerOf(st), os.Geteuid()), elsewhere)
	}
	// A user who may write there can replace the files of this start. A mount point, e.g. an emptyDir or docker's --tmpfs, may
	// have the mode of /tmp although it serves one container alone.
	if st.Mode().Perm()&0o002 != 0 && !atomicfile.IsMount(dir) {
		return phase.Fail(phase.Write, fmt.Errorf("the run dir %s is shared by all users (mode %04o)", dir, unixMode(st.Mode())), elsewhere+", or remove the write permission of other users (chmod o-w)")
	}
	return nil
}

// unixMode is a mode as chmod writes it.
func unixMode(mode fs.FileMode) fs.FileMode {
	bits := mode.Perm()
	for bit, value := range map[fs.FileMode]fs.FileMode{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&bit != 0 {
			bits |= value
		}
	}
	return bits
}
