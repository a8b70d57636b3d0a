package rundir

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/phase"
)

// RemoveStale removes what starts that were killed left unfinished in the directories that this one writes to, and in those of
// the run dir where an earlier definition had its files. A download that this one can resume stays.
func (d Dir) RemoveStale(l *atomicfile.Lock) {
	dirs := []string{d.Path}
	for _, path := range d.paths() {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, sub := range []string{"usrlib", "artifacts", "extra-lib", "plugins", "catalog-store"} {
		_ = filepath.WalkDir(filepath.Join(d.Path, sub), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil // one that cannot be read is not cleaned up
		})
	}
	var resumed []string
	for _, a := range d.Artifacts {
		if a.SHA256 != "" {
			resumed = append(resumed, fetch.Part(a.Path))
		}
	}
	l.RemoveStale(func(path string) bool {
		return d.Contains(path) && fetch.IsPart(path) && !slices.Contains(resumed, path)
	}, dirs...)
}

// paths are the paths of the files and links that Apply makes besides the configuration.
func (d Dir) paths() []string {
	var paths []string
	for _, f := range d.Files {
		paths = append(paths, f.Path)
	}
	for _, l := range d.Links {
		paths = append(paths, l.Path)
	}
	for _, a := range d.Artifacts {
		paths = append(paths, a.Path)
	}
	return paths
}

// Contains reports whether a path is below the run dir.
func (d Dir) Contains(path string) bool {
	rest, err := filepath.Rel(d.Path, path)
	return err == nil && rest != "." && filepath.IsLocal(rest)
}

// SameDir reports whether two paths lead to one existing directory.
func SameDir(a, b string) bool {
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}

// SamePlace reports whether two paths are of one directory, which may be missing, by whatever links or relative paths.
func SamePlace(a, b string) bool {
	one, err1 := filepath.Abs(a)
	other, err2 := filepath.Abs(b)
	return err1 == nil && err2 == nil && one == other || SameDir(a, b)
}

// Lifetime of a file: the run dir is filled by each start, any other place is what the user keeps.
func (d Dir) Lifetime(path string) atomicfile.Lifetime {
	if d.Contains(path) {
		return atomicfile.Passing
	}
	return atomicfile.Lasting
}

// CheckPlaces refuses directories that another user could have prepared, to be handed secrets or to choose what Flink
// executes: those below the run dir, and --conf-out. A run dir that is a mount point may be writable by all, so what is
// below it needs a check of its own. What will be removed first is not looked at.
func (d Dir) CheckPlaces(removed []string, confDir, confFile string, inPlace bool) error {
	checked := map[string]bool{d.Path: true}
	for _, name := range removed {
		checked[filepath.Join(d.Path, name)] = true
	}
	for _, path := range append(d.paths(), confFile) {
		if !d.Contains(path) {
			continue
		}
		rest, _ := filepath.Rel(d.Path, filepath.Dir(path))
		dir := d.Path
		for _, step := range strings.Split(rest, string(filepath.Separator)) {
			dir = filepath.Join(dir, step)
			if checked[dir] {
				continue
			}
			checked[dir] = true
			if err := checkSubdirectory(dir); err != nil {
				return err
			}
		}
	}
	if !inPlace && !d.Contains(confDir) && !SameDir(confDir, d.Path) {
		return checkConfOut(confDir)
	}
	return nil
}

// checkSubdirectory checks one directory below the run dir; it may be missing.
func checkSubdirectory(dir string) error {
	const hint = "remove it, or choose another run dir with --run-dir"
	st, err := os.Lstat(dir)
	switch {
	case err != nil, !st.IsDir() && st.Mode()&fs.ModeSymlink == 0:
		return nil // the error comes when it is made or written to
	case st.Mode()&fs.ModeSymlink != 0:
		return phase.Fail(phase.Write, fmt.Errorf("%s in the run dir is a symbolic link, expected a directory", dir), hint)
	case !ownOrRoot(st):
		return phase.Fail(phase.Write, fmt.Errorf("%s in the run dir belongs to user %d, this process is user %d", dir, ownerOf(st), os.Geteuid()), hint)
	}
	return nil
}

// checkConfOut checks a --conf-out outside the run dir; it may be missing. In place it is not asked for: a base directory
// decides what Flink does anyway, whichever user owns it.
func checkConfOut(dir string) error {
	const hint = "choose another one with --conf-out"
	st, err := os.Lstat(dir)
	if err != nil {
		return nil // the error comes when it is made
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		if !ownOrRoot(st) {
			return phase.Fail(phase.Write, fmt.Errorf("--conf-out %s is a symbolic link of user %d, this process is user %d", dir, ownerOf(st), os.Geteuid()), hint)
		}
		if dir, err = filepath.EvalSymlinks(dir); err != nil {
			return nil
		}
		if st, err = os.Lstat(dir); err != nil {
			return nil
		}
	}
	if !st.IsDir() || ownOrRoot(st) || atomicfile.IsMount(dir) || ofRootGroup(st) {
		return nil
	}
	return phase.Fail(phase.Write, fmt.Errorf("--conf-out %s belongs to user %d, this process is user %d", dir, ownerOf(st), os.Geteuid()), hint)
}

// ownOrRoot reports whether a file is this user's or root's, who can read and write everything anyway.
func ownOrRoot(st fs.FileInfo) bool {
	uid := ownerOf(st)
	return uid == os.Geteuid() || uid == 0
}

func ownerOf(st fs.FileInfo) int {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return int(sys.Uid)
	}
	return os.Geteuid()
}

// ofRootGroup reports whether a directory is made for every user of group 0, and this process is one: images for OpenShift,
// which gives each namespace a user id of its own and the group 0, prepare their directories like that.
func ofRootGroup(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || sys.Gid != 0 || st.Mode().Perm()&0o022 != 0o020 {
		return false
	}
	groups, _ := os.Getgroups()
	return os.Getegid() == 0 || slices.Contains(groups, 0)
}
