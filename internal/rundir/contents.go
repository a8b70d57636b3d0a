package rundir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/phase"
)

// contentsName is the file in the run dir that lists what starts have put there besides the configuration, each line
// "ROLE PATH". A path that this start does not need is removed: Flink takes every jar of usrlib and every folder of plugins,
// also the ones of an earlier definition.
const contentsName = ".flink-entrypoint-contents"

// File is one file to write below the run dir.
type File struct {
	Path    string
	Content []byte
	Mode    fs.FileMode
}

// NewFile is a file that everybody may read, or, where it holds a secret, only its owner.
func NewFile(path string, content []byte, hidden bool) File {
	mode := fs.FileMode(0o644)
	if hidden {
		mode = 0o600
	}
	return File{Path: path, Content: content, Mode: mode}
}

// Link is a symbolic link to make.
type Link struct{ Path, Target string }

// Contents are what a start writes besides the configuration.
type Contents struct {
	Artifacts []fetch.Item
	Files     []File
	Links     []Link
	Replaced  []Link // links that are not made, because one of our files or folders has their place
}

// Dir is a run dir and what a start puts there.
type Dir struct {
	Path    string
	Role    string
	Command bool // of a command that is not a role, which removes nothing of a role's
	Contents
}

// entry is a line of the list.
type entry struct{ role, path string } // path is relative to the run dir

// contents are the files, links and artifacts that this start puts below the run dir.
func (d Dir) contents() []entry {
	var all []entry
	for _, path := range d.paths() {
		if rest, err := filepath.Rel(d.Path, path); err == nil && filepath.IsLocal(rest) && rest != "." {
			all = append(all, entry{d.Role, rest})
		}
	}
	return all
}

// readContents returns what earlier starts have noted.
func (d Dir) readContents() []entry {
	text, err := os.ReadFile(filepath.Join(d.Path, contentsName))
	if err != nil {
		return nil
	}
	var all []entry
	for line := range strings.Lines(string(text)) {
		role, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if plain, err := strconv.Unquote(path); err == nil {
			path = plain
		}
		if ok && filepath.IsLocal(path) && path != "." && path != contentsName {
			all = append(all, entry{role, path})
		}
	}
	return all
}

// noteContents lists what may be in the run dir: before it is put there, so that a start that is killed in between leaves
// nothing that no later start would remove.
func (d Dir) noteContents(all []entry) error {
	lines := make([]string, 0, len(all))
	for _, e := range all {
		path := e.path
		if strings.Contains(path, "\n") || strings.HasPrefix(path, `"`) {
			path = strconv.Quote(path)
		}
		lines = append(lines, e.role+" "+path+"\n")
	}
	slices.Sort(lines)
	path := filepath.Join(d.Path, contentsName)
	if len(lines) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return phase.Fail(phase.Write, atomicfile.Failed(path, err), phase.WriteHint(err))
		}
		return nil
	}
	if _, err := atomicfile.Write(path, []byte(strings.Join(slices.Compact(lines), "")), sharedMode(path, 0o600), atomicfile.Passing); err != nil {
		return phase.Fail(phase.Write, err, phase.WriteHint(err))
	}
	return nil
}

// leftovers returns what earlier starts have put into the run dir and this one does not need, and what is to be noted when it
// is removed. What another process wrote beside those folders that Flink searches stays, for that may be running; a command
// removes nothing of a role.
func (d Dir) leftovers() (old []string, keep []entry) {
	wanted := map[string]bool{}
	keep = d.contents()
	for _, e := range keep {
		wanted[e.path] = true
	}
	for _, e := range d.readContents() {
		if wanted[e.path] || !sameProcess(e.role, d.Role) && (d.Command || !searched(e.path)) {
			keep = append(keep, e)
		} else {
			old = append(old, e.path)
		}
	}
	return old, keep
}

// sameProcess reports whether two roles are for one process: a cluster has a session or an application JobManager, not both.
func sameProcess(a, b string) bool {
	jobManager := func(role string) bool { return role == "jobmanager" || role == "standalone-job" }
	return a == b || jobManager(a) && jobManager(b)
}

// Removed returns the paths in the run dir that this start removes.
func (d Dir) Removed() []string {
	old, _ := d.leftovers()
	for i, name := range old {
		old[i] = filepath.Join(d.Path, name)
	}
	slices.Sort(old)
	return slices.Compact(old)
}

// InTheWay returns what of the run dir cannot stay until the new things are in place: a file where a folder will be, a folder
// where a file will be, and a link of this program where an artifact will be, which is not written through a link.
func (d Dir) InTheWay() (names []string) {
	files, folders := map[string]bool{}, map[string]bool{}
	for _, e := range d.contents() {
		files[e.path] = true
		for _, above := range ancestors(e.path) {
			folders[above] = true
		}
	}
	old, _ := d.leftovers()
	for _, name := range old {
		if folders[name] || slices.ContainsFunc(ancestors(name), func(above string) bool { return files[above] }) {
			names = append(names, name)
		}
	}
	noted := d.readContents()
	for _, a := range d.Artifacts {
		if name, err := filepath.Rel(d.Path, a.Path); err == nil && slices.ContainsFunc(noted, func(e entry) bool { return e.path == name }) && isLink(a.Path) {
			names = append(names, name)
		}
	}
	for _, l := range d.Replaced { // an older release noted nothing
		if target, err := os.Readlink(l.Path); err == nil && target == l.Target && d.Contains(l.Path) {
			name, _ := filepath.Rel(d.Path, l.Path)
			names = append(names, name)
		}
	}
	return names
}

// ClearWay notes what is to come and removes what is in its way. All else stays until that is in place: a start that fails
// leaves what the next one may need, e.g. an artifact that cannot be downloaded at the moment.
func (d Dir) ClearWay(names []string) (changed []string, err error) {
	old, all := d.leftovers()
	for _, name := range old {
		all = append(all, entry{d.Role, name})
	}
	if err := d.noteContents(all); err != nil {
		return nil, err
	}
	return d.remove(names)
}

// RemoveOld removes what this start does not need, when what it needs is in place.
func (d Dir) RemoveOld() (changed []string, err error) {
	old, keep := d.leftovers()
	if changed, err = d.remove(old); err != nil {
		return changed, err
	}
	return changed, d.noteContents(keep)
}

// remove removes files of the run dir, what is left of their downloads, and the folders that are empty then.
func (d Dir) remove(names []string) (changed []string, err error) {
	for _, name := range names {
		if slices.ContainsFunc(ancestors(name), func(above string) bool { return !isDirectory(filepath.Join(d.Path, above)) }) {
			continue // something else has the place of its folder: a file, or a link that leads to the image's
		}
		path := filepath.Join(d.Path, name)
		if err := os.Remove(path); err == nil {
			changed = append(changed, path)
		} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) && !isDirectory(path) {
			return changed, phase.Fail(phase.Write, atomicfile.Failed(path, err), phase.WriteHint(err))
		}
		_ = os.Remove(fetch.Part(path))
		for dir := filepath.Dir(path); dir != d.Path && os.Remove(dir) == nil; dir = filepath.Dir(dir) { // fails unless it is empty
			continue
		}
	}
	return changed, nil
}

// ancestors returns the folders above a relative name, the nearest first.
func ancestors(name string) []string {
	var out []string
	for above := filepath.Dir(name); above != "."; above = filepath.Dir(above) {
		out = append(out, above)
	}
	return out
}

// searched reports whether a path of the run dir is in a folder that Flink searches, or that a definition fills.
func searched(path string) bool {
	top, _, _ := strings.Cut(path, string(filepath.Separator))
	return slices.Contains([]string{"usrlib", "plugins", "extra-lib", "artifacts", "lib", "catalog-store"}, top)
}

func isLink(path string) bool {
	st, err := os.Lstat(path)
	return err == nil && st.Mode()&fs.ModeSymlink != 0
}

func isDirectory(path string) bool {
	st, err := os.Lstat(path)
	return err == nil && st.IsDir()
}
