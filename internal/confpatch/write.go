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
	"strings"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/flinkversion"
)

const (
	manifestName = ".flink-entrypoint-manifest" // what WriteDir made
	contentsName = ".flink-entrypoint-contents" // what a start put into a run dir
	originalMark = ".flink-entrypoint-original" // the base kept by WriteInPlace
	recordMark   = ".flink-entrypoint-rendered" // digests of what WriteInPlace wrote
	lastMark     = ".flink-entrypoint-last"     // what WriteInPlace wrote last
	overwriting  = "overwriting"                // in the record: a file is being written without a rename
	privateMode  = fs.FileMode(0o600)           // a secret is inside
	groupMode    = fs.FileMode(0o640)           // the same in a set-gid directory
	dirMode      = fs.FileMode(0o755)
)

// A Place is a directory to write to: its lock, and whether it must outlive a loss of power.
type Place struct {
	Dir  string
	Lock *atomicfile.Lock
	Life atomicfile.Lifetime
}

// Rendered is a configuration to write.
type Rendered struct {
	Name    string // of the configuration file
	Content []byte
	Secret  bool              // Content must not be readable by others
	Extra   map[string][]byte // other files that are changed
	By      string            // the role that it is for
}

// Copying says how the other files of a base directory are taken over.
type Copying struct {
	// LinkLogs makes unchanged files of log4j and logback links to the base's, so that an edit of a mounted ConfigMap
	// reaches a running process (Flink's files have a monitorInterval).
	LinkLogs bool
	// Without is a directory that is left out, as the one that is written to is: a copy of a copy would grow at each start.
	Without string
}

// WriteDir makes to a complete conf dir: the files of base (links followed, as in Kubernetes' ..data layout; nothing whose name
// begins with a dot), r's files instead of or beside them. What an earlier call made and this one does not is removed;
// other files of the directory stay. changed lists what was written or removed. Errors are [*atomicfile.Error].
func WriteDir(base string, to Place, r Rendered, how Copying) (changed []string, err error) {
	out := to.Dir
	w := dirWriter{out: out, life: to.Life, by: r.By}
	if err := os.MkdirAll(out, dirMode); err != nil {
		return nil, atomicfile.Failed(out, err)
	}
	plan, err := collect(base, out, how)
	if err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o644)
	if s, ok := plan[r.Name]; ok {
		mode = s.mode
	}
	plan[r.Name] = source{content: r.Content, mode: confMode(out, mode, r.Secret)}
	for name, content := range r.Extra {
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
	removeStale(to, append(slices.Clone(names), old...))
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
			return w.changed, atomicfile.Failed(filepath.Join(out, name), err)
		}
		os.Remove(filepath.Dir(filepath.Join(out, name))) // fails unless it is an empty folder that we made
	}
	return w.changed, w.writeManifest(names)
}

// removeStale removes temporary files from the folders of the named files.
func removeStale(at Place, names []string) {
	folders := []string{at.Dir}
	for _, name := range names {
		folders = append(folders, filepath.Join(at.Dir, filepath.Dir(name)))
	}
	at.Lock.RemoveStale(nil, folders...)
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

// A source is a file to write: content, or the file to copy or to link to.
type source struct {
	path    string
	link    bool
	content []byte
	mode    fs.FileMode
}

const maxFolders = 8 // of folders in folders; a link that leads in a circle ends there

// collector finds the files of a base directory.
type collector struct {
	plan     map[string]source
	base     string
	without  []fs.FileInfo // directories that we write to: a copy of a copy would grow at each start
	linkLogs bool
}

// collect finds what of a base directory goes to out.
func collect(base, out string, how Copying) (map[string]source, error) {
	c := collector{plan: map[string]source{}, base: base, linkLogs: how.LinkLogs}
	for _, dir := range []string{out, how.Without} {
		if info, err := os.Stat(dir); err == nil && dir != "" {
			c.without = append(c.without, info)
		}
	}
	return c.plan, c.collect("", 0)
}

// Linked returns the names of the files that [WriteDir] makes links, if r does not change them.
func Linked(base, out string, r Rendered, how Copying) []string {
	plan, err := collect(base, out, how)
	if err != nil {
		return nil // WriteDir reports it
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(plan)) {
		if _, changed := r.Extra[name]; plan[name].link && !changed && name != r.Name {
			names = append(names, name)
		}
	}
	return names
}

// isLogging reports whether a file is one that a logging framework reads again when it changes.
func isLogging(name string) bool {
	return strings.HasPrefix(filepath.Base(name), "log4j") || strings.HasPrefix(filepath.Base(name), "logback")
}

func (c *collector) collect(below string, depth int) error {
	dir := filepath.Join(c.base, below)
	entries, err := os.ReadDir(dir)
	if err != nil {
		if depth == 0 && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return atomicfile.Failed(dir, err)
	}
	// Below the base there may be other directories that we wrote, e.g. of another process. The base itself may be one: an
	// initContainer has rendered it.
	if depth > 0 && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == manifestName || e.Name() == contentsName }) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := filepath.Join(below, e.Name())
		path := filepath.Join(c.base, name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // a dangling link
		case err != nil:
			return atomicfile.Failed(path, err)
		case info.IsDir() && slices.ContainsFunc(c.without, func(w fs.FileInfo) bool { return os.SameFile(w, info) }):
		case info.IsDir() && depth < maxFolders:
			if err := c.collect(name, depth+1); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			c.plan[name] = source{path: path, link: c.linkLogs && isLogging(name), mode: info.Mode().Perm()}
		}
	}
	return nil
}

type dirWriter struct {
	out     string
	by      string
	life    atomicfile.Lifetime
	changed []string
}

func (w *dirWriter) put(name string, s source) error {
	path := filepath.Join(w.out, name)
	if s.link {
		changed, err := atomicfile.Symlink(s.path, path, w.life)
		if errors.Is(err, fs.ErrNotExist) {
			if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
				return atomicfile.Failed(filepath.Dir(path), err)
			}
			changed, err = atomicfile.Symlink(s.path, path, w.life)
		}
		if changed {
			w.changed = append(w.changed, name)
		}
		return err
	}
	if s.path != "" {
		content, err := os.ReadFile(s.path)
		if err != nil {
			return atomicfile.Failed(s.path, err)
		}
		s.content = content
	}
	changed, err := atomicfile.Write(path, s.content, s.mode, w.life)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
			return atomicfile.Failed(filepath.Dir(path), err)
		}
		changed, err = atomicfile.Write(path, s.content, s.mode, w.life)
	}
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
	return slices.DeleteFunc(names, func(name string) bool {
		return !filepath.IsLocal(name) || name == manifestName || strings.HasPrefix(name, byMark)
	})
}

// byMark begins the line of a manifest or record that says for which role a directory was rendered.
const byMark = "#role="

// RenderedFor returns the role for which the configuration file of a directory was rendered last, "" if it was not, or if
// the file has been edited since.
func RenderedFor(dir, confName string) string {
	current, err := os.ReadFile(filepath.Join(dir, confName))
	if err != nil {
		return ""
	}
	record, err := os.ReadFile(beside(dir, confName, recordMark))
	if err == nil { // in place
		if lines := strings.Fields(string(record)); !slices.Contains(lines, digest(current)) || slices.Contains(lines, overwriting) {
			return ""
		}
		return roleIn(record)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return ""
	}
	return roleIn(manifest)
}

func roleIn(text []byte) string {
	for line := range strings.Lines(string(text)) {
		if role, ok := strings.CutPrefix(strings.TrimSpace(line), byMark); ok {
			return role
		}
	}
	return ""
}

// writeManifest notes the names before files are made and after stale ones are gone, so that a kill between
// leaves nothing that no later call would remove.
func (w *dirWriter) writeManifest(names []string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	text := byMark + w.by + "\n" + strings.Join(names, "\n") + "\n"
	_, err := atomicfile.Write(filepath.Join(w.out, manifestName), []byte(text), 0o644, w.life)
	return err
}

// ReadBase returns the configuration file of a conf dir that [WriteInPlace] may have written: the original
// that it kept. Where a user has edited the file since, it is their text less the generated lines that they left
// alone. Of a file that we rendered but nothing is known of, the generated lines count as ours if it is written
// in place again, else as the file's own: it was handed on, e.g. by an initContainer.
func ReadBase(dir, confName string, format Format, v flinkversion.Version, inPlace bool) ([]byte, error) {
	var current, original, record []byte
	var err error
	for range maxReads {
		record, err = os.ReadFile(beside(dir, confName, recordMark))
		if err == nil {
			original, err = os.ReadFile(beside(dir, confName, originalMark))
		}
		var e error
		if current, e = os.ReadFile(filepath.Join(dir, confName)); e != nil {
			return nil, e
		}
		if after, _ := os.ReadFile(beside(dir, confName, recordMark)); bytes.Equal(record, after) {
			break
		}
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

// maxReads is how often ReadBase starts over because another process, which shares the directory, is writing in place: its
// file beside an older record would look like a user's edit.
const maxReads = 100

func beside(dir, confName, mark string) string { return filepath.Join(dir, "."+confName+mark) }

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// WriteInPlace puts r into dir/r.Name itself. base, what [ReadBase] gave, is kept beside it first,
// with a record of what was written, so that the next start can tell a user's edit from our own work.
// A file that is a mount point is written without a rename. Errors are [*atomicfile.Error].
func WriteInPlace(lock *atomicfile.Lock, dir string, base []byte, r Rendered) (changed []string, err error) {
	confName, rendered, extra := r.Name, r.Content, r.Extra
	by := byMark + r.By + "\n"
	path := filepath.Join(dir, confName)
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	mode = confMode(dir, mode, r.Secret)
	current, _ := os.ReadFile(path)
	record := beside(dir, confName, recordMark)
	removeStale(Place{Dir: dir, Lock: lock}, slices.Collect(maps.Keys(extra)))
	if _, err := atomicfile.Write(beside(dir, confName, originalMark), base, privateMode, atomicfile.Lasting); err != nil {
		return nil, err
	}
	if _, err := atomicfile.Write(beside(dir, confName, lastMark), rendered, privateMode, atomicfile.Lasting); err != nil {
		return nil, err
	}
	if !bytes.Equal(current, rendered) {
		// Either digest means "ours" until the file is in place.
		state := by + digest(rendered) + "\n"
		if ours, _ := os.ReadFile(record); strings.Contains(string(ours), digest(current)) || bytes.Equal(current, base) {
			state += digest(current) + "\n"
		}
		if atomicfile.IsMount(path) {
			state += overwriting + "\n"
		}
		if _, err := atomicfile.Write(record, []byte(state), privateMode, atomicfile.Lasting); err != nil {
			return nil, err
		}
	}
	wrote, err := atomicfile.Overwrite(path, rendered, mode, atomicfile.Lasting)
	if err != nil {
		return nil, err
	}
	if wrote {
		changed = append(changed, confName)
	}
	if _, err := atomicfile.Write(record, []byte(by+digest(rendered)+"\n"), privateMode, atomicfile.Lasting); err != nil {
		return changed, err
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		path := filepath.Join(dir, name)
		mode := fs.FileMode(0o644)
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
		wrote, err := atomicfile.Overwrite(path, extra[name], mode, atomicfile.Lasting)
		if err != nil {
			return changed, err
		}
		if wrote {
			changed = append(changed, name)
		}
	}
	return changed, nil
}
