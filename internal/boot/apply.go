package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"flink-entrypoint/internal/confpatch"
)

// Apply writes what the plan says: artifacts, SQL, the runner, and the configuration last. Every file appears by rename, and one
// that would not change is not touched. It returns the paths that did change.
func (p *Plan) Apply(ctx context.Context, log *slog.Logger) ([]string, error) {
	began := time.Now()
	defer func() { p.spend(Write, time.Since(began)) }()
	for _, w := range p.Warnings {
		log.Warn(w)
	}
	if err := prepareRunDir(p.runDir); err != nil {
		return nil, err
	}
	if err := p.fetchArtifacts(ctx, log); err != nil {
		return nil, err
	}
	var changed []string
	confpatch.RemoveStaleTemps(p.runDir, p.fileNames()...)
	for _, f := range p.Files {
		if err := ctx.Err(); err != nil {
			return changed, err
		}
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return changed, fail(Write, err, "")
		}
		did, err := confpatch.WriteFile(f.Path, f.Content, sharedMode(f.Path, f.Mode))
		if err != nil {
			return changed, fail(Write, err, writeHint(err))
		}
		if did {
			changed = append(changed, f.Path)
		}
	}
	if err := ctx.Err(); err != nil {
		return changed, err
	}
	for _, l := range p.Links {
		did, err := link(l)
		if err != nil {
			return changed, fail(Write, err, writeHint(err))
		}
		if did {
			changed = append(changed, l.Path)
		}
	}
	conf, err := p.writeConfiguration()
	if err != nil {
		return changed, fail(Write, err, writeHint(err))
	}
	changed = append(changed, conf...)
	if err := p.inForce(); err != nil {
		return changed, err
	}
	log.Info("configuration written", "phase", "write", "file", p.Config.OutFile, "changed", len(changed) > 0)
	return changed, nil
}

// inForce makes sure that Flink will read what was written: where a person laid a flink-conf.yaml into the directory, 1.19 and
// 1.20 would prefer that one, in silence.
func (p *Plan) inForce() error {
	c := &p.Config
	name, _, _ := confpatch.InForce(p.Home.Version, func(name string) bool {
		st, err := os.Stat(filepath.Join(c.OutDir, name))
		return err == nil && !st.IsDir()
	})
	if name == filepath.Base(c.OutFile) {
		return nil
	}
	return fail(Write, fmt.Errorf("Flink %s would read %s instead of %s", p.Home.Version.MinorString(), filepath.Join(c.OutDir, name), c.OutFile),
		"remove that file, or choose another directory with --conf-out")
}

// fileNames returns the names of what Apply writes besides the configuration, relative to the run dir.
func (p *Plan) fileNames() []string {
	var names []string
	for _, f := range p.Files {
		if name, err := filepath.Rel(p.runDir, f.Path); err == nil {
			names = append(names, name)
		}
	}
	return names
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

// prepareRunDir makes the run dir, for this user alone. In a world-writable /tmp somebody else could have put it there
// first, to be handed secrets or to choose what Flink executes; so a link or another user's directory is refused.
func prepareRunDir(dir string) error {
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
		hint := writeHint(err)
		if hint == "" {
			hint = "choose another one with --run-dir"
		}
		return fail(Write, fmt.Errorf("cannot create the run dir: %w", err), hint)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return fail(Write, fmt.Errorf("cannot look at the run dir: %w", err), "")
	}
	const elsewhere = "choose another one with --run-dir"
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		return fail(Write, fmt.Errorf("the run dir %s is a symbolic link", dir), elsewhere)
	case !st.IsDir():
		return fail(Write, fmt.Errorf("the run dir %s is no directory", dir), elsewhere)
	}
	// An emptyDir volume belongs to root, who needs no trick to get at what lies in it.
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Geteuid() && sys.Uid != 0 {
		return fail(Write, fmt.Errorf("the run dir %s belongs to user %d, this process is user %d", dir, sys.Uid, os.Geteuid()), elsewhere)
	}
	if st.Mode()&fs.ModeSticky != 0 && st.Mode().Perm()&0o002 != 0 && !isMountPoint(dir, st) {
		return fail(Write, fmt.Errorf("the run dir %s is shared by all users", dir), elsewhere)
	}
	return nil
}

// isMountPoint reports whether a directory is a file system of its own, e.g. docker's --tmpfs, whose mode is that of /tmp
// although it serves one container alone.
func isMountPoint(dir string, st fs.FileInfo) bool {
	parent, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return false
	}
	own, ok1 := st.Sys().(*syscall.Stat_t)
	above, ok2 := parent.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && own.Dev != above.Dev
}

// writeHint says what helps against the usual reasons why a file cannot be written.
func writeHint(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "the file system is read-only: mount a volume (emptyDir) and name it with --run-dir"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the file system is full"
	case errors.Is(err, fs.ErrPermission):
		return "check the owner and mode of the directory, or choose another with --run-dir"
	}
	return ""
}

// link makes a symbolic link, replacing one that points elsewhere.
func link(l Link) (changed bool, err error) {
	if have, err := os.Readlink(l.Path); err == nil && have == l.Target {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o755); err != nil {
		return false, err
	}
	temp := filepath.Join(filepath.Dir(l.Path), "."+filepath.Base(l.Path)+".new")
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.Symlink(l.Target, temp); err != nil {
		return false, err
	}
	if err := os.Rename(temp, l.Path); err != nil {
		os.Remove(temp)
		return false, err
	}
	return true, nil
}

// writeConfiguration writes the complete conf dir.
func (p *Plan) writeConfiguration() ([]string, error) {
	c := &p.Config
	if c.inPlace() {
		return confpatch.WriteInPlace(c.BaseDir, filepath.Base(c.OutFile), c.base, c.Rendered, c.Secret, c.siblings)
	}
	return confpatch.WriteDir(c.BaseDir, c.OutDir, filepath.Base(c.OutFile), c.Rendered, c.Secret, c.siblings)
}

// fetchArtifacts brings the artifacts to their places.
func (p *Plan) fetchArtifacts(ctx context.Context, log *slog.Logger) error {
	if len(p.Artifacts) == 0 {
		return nil
	}
	results, err := p.client.Artifacts(ctx, p.Artifacts, p.progress)
	if err != nil {
		return fetchError(Artifact, err)
	}
	said := slices.Clone(p.Warnings)
	for _, r := range results {
		for _, w := range r.Warnings {
			if !slices.Contains(said, w) { // the definition and each artifact of one service have the same
				log.Warn(w)
				said = append(said, w)
			}
		}
	}
	return nil
}
