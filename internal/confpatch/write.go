package confpatch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/flinkconf"
)

// A WriteError says which file could not be written, or read to be copied, and why.
type WriteError struct {
	Path string
	Err  error
}

// Error returns "cannot write PATH: CAUSE".
func (e *WriteError) Error() string { return "cannot write " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }

func writeError(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		err = le.Err
	}
	return &WriteError{path, err}
}

const (
	tempMark     = ".flink-entrypoint-"         // in the names of temporary files
	manifestName = ".flink-entrypoint-manifest" // what WriteDir made
	originalMark = ".flink-entrypoint-original" // the base kept by WriteInPlace
	recordMark   = ".flink-entrypoint-rendered" // digests of what WriteInPlace wrote
	lastMark     = ".flink-entrypoint-last"     // what WriteInPlace wrote last
	overwriting  = "overwriting"                // in the record: a file is being written without a rename
	privateMode  = fs.FileMode(0o600)           // a secret is inside
	groupMode    = fs.FileMode(0o640)           // the same in a set-gid directory
	dirMode      = fs.FileMode(0o755)
)

// WriteFile puts content into path by renaming a temporary file of the same directory, with exactly that
// mode. A file that holds content and mode already is left alone (changed is false, its time stays). After
// an error path is what it was and the temporary file is gone. The error is a [*WriteError].
func WriteFile(path string, content []byte, mode fs.FileMode) (changed bool, err error) {
	if same(path, content, mode) {
		return false, nil
	}
	dir, name := filepath.Split(path)
	temp := filepath.Join(dir, "."+name+tempMark+strconv.Itoa(os.Getpid()))
	err = create(temp, content, mode)
	if errors.Is(err, fs.ErrExist) { // left by a process of the same number that was killed
		os.Remove(temp)
		err = create(temp, content, mode)
	}
	if err != nil {
		os.Remove(temp)
		return false, writeError(path, err)
	}
	if err := unix.Rename(temp, path); err != nil {
		os.Remove(temp)
		return false, writeError(path, err)
	}
	return true, nil
}

func create(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if e := f.Chmod(mode); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func same(path string, content []byte, mode fs.FileMode) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != mode.Perm() || info.Size() != int64(len(content)) {
		return false
	}
	old, err := os.ReadFile(path)
	return err == nil && bytes.Equal(old, content)
}

// Overwrite is WriteFile for a file that may be a mount point of its own, which cannot be renamed over: then
// the content is written into the file that is there. A kill in between leaves it half-written.
func Overwrite(path string, content []byte, mode fs.FileMode) (changed bool, err error) {
	changed, err = WriteFile(path, content, mode)
	if !errors.Is(err, syscall.EBUSY) {
		return changed, err
	}
	if old, e := os.ReadFile(path); e == nil && bytes.Equal(old, content) {
		return false, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return false, writeError(path, err)
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
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return false, writeError(path, err)
	}
	return true, nil
}

// WriteDir makes out a complete conf dir: copies of base's files (links followed, as in Kubernetes' ..data
// layout; nothing whose name begins with a dot), extra files instead of or beside them, and rendered as
// confName. What an earlier call made and this one does not is removed; other files of out stay. secret
// says that rendered must not be readable by others. changed lists what was written or removed. Errors are
// [*WriteError].
func WriteDir(base, out, confName string, rendered []byte, secret bool, extra map[string][]byte) (changed []string, err error) {
	w := dirWriter{out: out, made: map[string]bool{}}
	if err := os.MkdirAll(out, dirMode); err != nil {
		return nil, writeError(out, err)
	}
	plan := map[string]source{}
	if err := collect(plan, base, "", 0); err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o644)
	if s, ok := plan[confName]; ok {
		mode = s.mode
	}
	plan[confName] = source{content: rendered, mode: confMode(out, mode, secret)}
	for name, content := range extra {
		mode := fs.FileMode(0o644)
		if s, ok := plan[name]; ok {
			mode = s.mode
		}
		plan[name] = source{content: content, mode: mode}
	}
	names := slices.Sorted(maps.Keys(plan))
	old := w.manifest()
	if err := w.writeManifest(append(slices.Clone(names), old...)); err != nil {
		return nil, err
	}
	RemoveStaleTemps(out, append(slices.Clone(names), old...)...)
	for _, name := range names {
		if err := w.put(name, plan[name]); err != nil {
			return w.changed, err
		}
	}
	for _, name := range old {
		if _, wanted := plan[name]; wanted {
			continue
		}
		if err := os.Remove(filepath.Join(out, name)); err == nil {
			w.changed = append(w.changed, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return w.changed, writeError(filepath.Join(out, name), err)
		}
		os.Remove(filepath.Dir(filepath.Join(out, name))) // fails unless it is an empty folder that we made
	}
	return w.changed, w.writeManifest(names)
}

// confMode is the mode of the configuration file: the base's, or a private one where a secret is inside.
func confMode(dir string, mode fs.FileMode, secret bool) fs.FileMode {
	if !secret {
		return mode
	}
	if info, err := os.Stat(dir); err == nil && info.Mode()&fs.ModeSetgid != 0 {
		return groupMode
	}
	return privateMode
}

// A source is a file to write: content, or the file to copy.
type source struct {
	path    string
	content []byte
	mode    fs.FileMode
}

const maxFolders = 8 // of folders in folders; a link that leads in a circle ends there

// collect finds the files below base.
func collect(plan map[string]source, base, below string, depth int) error {
	dir := filepath.Join(base, below)
	entries, err := os.ReadDir(dir)
	if err != nil {
		if depth == 0 && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return writeError(dir, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := filepath.Join(below, e.Name())
		path := filepath.Join(base, name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // a dangling link
		case err != nil:
			return writeError(path, err)
		case info.IsDir() && depth < maxFolders:
			if err := collect(plan, base, name, depth+1); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			plan[name] = source{path: path, mode: info.Mode().Perm()}
		}
	}
	return nil
}

type dirWriter struct {
	out     string
	made    map[string]bool
	changed []string
}

func (w *dirWriter) put(name string, s source) error {
	path := filepath.Join(w.out, name)
	if dir := filepath.Dir(name); dir != "." && !w.made[dir] {
		if err := os.MkdirAll(filepath.Join(w.out, dir), dirMode); err != nil {
			return writeError(filepath.Join(w.out, dir), err)
		}
		w.made[dir] = true
	}
	if s.path != "" {
		content, err := os.ReadFile(s.path)
		if err != nil {
			return writeError(s.path, err)
		}
		s.content = content
	}
	changed, err := WriteFile(path, s.content, s.mode)
	if changed {
		w.changed = append(w.changed, name)
	}
	return err
}

// manifest returns the names that an earlier call made.
func (w *dirWriter) manifest() []string {
	text, err := os.ReadFile(filepath.Join(w.out, manifestName))
	if err != nil {
		return nil
	}
	names := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
	return slices.DeleteFunc(names, func(name string) bool { return !filepath.IsLocal(name) || name == manifestName })
}

// writeManifest notes the names before files are made and after stale ones are gone, so that a kill between
// leaves nothing that no later call would remove.
func (w *dirWriter) writeManifest(names []string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	_, err := WriteFile(filepath.Join(w.out, manifestName), []byte(strings.Join(names, "\n")+"\n"), 0o644)
	return err
}

// RemoveStaleTemps removes temporary files that [WriteFile] left when it was killed from dir and from the folders
// below it that hold the named files.
func RemoveStaleTemps(dir string, names ...string) {
	done := map[string]bool{}
	for _, name := range append(names, ".") {
		if folder := filepath.Join(dir, filepath.Dir(name)); !done[folder] {
			done[folder] = true
			removeStaleTempsOf(folder)
		}
	}
}

func removeStaleTempsOf(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		i := strings.LastIndex(e.Name(), tempMark)
		if i < 0 {
			continue
		}
		pid, err := strconv.Atoi(e.Name()[i+len(tempMark):])
		if err == nil && pid > 0 && (pid == os.Getpid() || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// ReadBase returns the configuration file of a conf dir that [WriteInPlace] may have written: the original
// that it kept. Where a person has edited the file since, it is their text less the generated lines that they left
// alone. Of a file that we rendered but nothing is known of, the generated lines count as ours if it is written
// in place again, else as the file's own: it was handed on, e.g. by an initContainer.
func ReadBase(dir, confName string, format Format, v flinkconf.Version, inPlace bool) ([]byte, error) {
	current, err := os.ReadFile(filepath.Join(dir, confName))
	if err != nil {
		return nil, err
	}
	original, err := os.ReadFile(beside(dir, confName, originalMark))
	var record []byte
	if err == nil {
		record, err = os.ReadFile(beside(dir, confName, recordMark))
	}
	if err != nil {
		if inPlace {
			return dropped(confName, format, v, current), nil
		}
		return adopt(confName, format, v, current), nil
	}
	lines := strings.Fields(string(record))
	if slices.Contains(lines, overwriting) || slices.Contains(lines, digest(current)) {
		return original, nil
	}
	last, err := os.ReadFile(beside(dir, confName, lastMark))
	if err != nil {
		return adopt(confName, format, v, current), nil
	}
	return mergeEdit(confName, format, v, original, last, current), nil
}

func beside(dir, confName, mark string) string { return filepath.Join(dir, "."+confName+mark) }

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// WriteInPlace puts rendered into dir/confName itself. base, what [ReadBase] gave, is kept beside it first,
// with a record of what was written, so that the next start can tell a person's edit from our own work.
// A file that is a mount point is written without a rename. Errors are [*WriteError].
func WriteInPlace(dir, confName string, base, rendered []byte, secret bool, extra map[string][]byte) (changed []string, err error) {
	path := filepath.Join(dir, confName)
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	mode = confMode(dir, mode, secret)
	current, _ := os.ReadFile(path)
	record := beside(dir, confName, recordMark)
	RemoveStaleTemps(dir, slices.Collect(maps.Keys(extra))...)
	if _, err := WriteFile(beside(dir, confName, originalMark), base, privateMode); err != nil {
		return nil, err
	}
	if _, err := WriteFile(beside(dir, confName, lastMark), rendered, privateMode); err != nil {
		return nil, err
	}
	if !bytes.Equal(current, rendered) {
		// Either digest means "ours" until the file is in place.
		state := digest(rendered) + "\n"
		if ours, _ := os.ReadFile(record); strings.Contains(string(ours), digest(current)) || bytes.Equal(current, base) {
			state += digest(current) + "\n"
		}
		if isMount(path) {
			state += overwriting + "\n"
		}
		if _, err := WriteFile(record, []byte(state), privateMode); err != nil {
			return nil, err
		}
	}
	wrote, err := Overwrite(path, rendered, mode)
	if err != nil {
		return nil, err
	}
	if wrote {
		changed = append(changed, confName)
	}
	if _, err := WriteFile(record, []byte(digest(rendered)+"\n"), privateMode); err != nil {
		return changed, err
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		path := filepath.Join(dir, name)
		mode := fs.FileMode(0o644)
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
		wrote, err := Overwrite(path, extra[name], mode)
		if err != nil {
			return changed, err
		}
		if wrote {
			changed = append(changed, name)
		}
	}
	return changed, nil
}

// isMount reports whether a file lies on another device than its folder or cannot be told apart from a
// mount: a bind mount of one file on the same device is found by the mount table alone.
func isMount(path string) bool {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	quoted := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(abs)
	for _, line := range strings.Split(string(table), "\n") {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == quoted {
			return true
		}
	}
	return false
}
