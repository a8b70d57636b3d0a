// Package warmup makes archives of shared classes while an image is built, from which a role or a local run starts faster.
//
// It starts each wanted process once, on the loopback interface and with a small job, waits until the process has loaded what
// a start and a job need, and stops it; the JVM then writes its archive. The facts about archives are in the room
// classarchive.
package warmup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/classarchive"
	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/privileges"
	"flink-entrypoint/internal/sqlrunner"
)

// Names returns what an archive can be made for: the roles, and local runs.
func Names() []string { return append(boot.Roles(), localrun.ArchiveName) }

// Warmup makes archives.
type Warmup struct {
	Options  boot.Options
	World    boot.World
	Quiet    *slog.Logger  // for the training runs, whose warnings concern no real start
	Timeout  time.Duration // for each training run
	Children func()        // is called before the first process is started
	Made     func(Archive) // is called for each archive that is in place
}

// Archive is one that was made.
type Archive struct {
	Name string // of the role, or "debug"
	File string
	Size int64 // in bytes
	Took time.Duration
}

// Run makes the archives of some [Names].
func (w Warmup) Run(ctx context.Context, names []string) error {
	world, err := becomeFlink(w.Options, w.World)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "flink-entrypoint-warmup-")
	if err != nil {
		return &phase.Error{Phase: phase.Write, Err: fmt.Errorf("cannot create a directory for this run: %w", err), Hint: "name a writable directory with TMPDIR"}
	}
	defer os.RemoveAll(dir)
	world.Log = w.Quiet
	p := preparation{dir: dir, opts: w.Options, world: world}
	defer p.discard()
	runs, err := p.runs(ctx, names)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if err := w.train(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// becomeFlink becomes the user flink where a start would, as Java is not for root, and gives that user the directory of the
// archives: an image is built as root, and its Flink home may be root's. It returns the world of the runs.
func becomeFlink(opts boot.Options, w boot.World) (boot.World, error) {
	home, err := boot.New(boot.Explain, "", opts, w).OpenHome()
	if err != nil {
		return w, err
	}
	file, off := classarchive.Place(opts.ClassArchive, home.Dir, localrun.ArchiveName)
	if !off && os.Getuid() == 0 && !privileges.RootStays(home.Version) {
		if err := giveToFlink(filepath.Dir(file)); err != nil {
			return w, archiveError(err)
		}
	}
	w.Env, _, err = privileges.Drop(home.Version, w.Env)
	return w, err
}

// giveToFlink makes a directory for archives, and the user flink its owner where it is root's and that user exists. One
// that holds anything else, such as /usr/lib, keeps its owner.
func giveToFlink(dir string) error {
	uid, gid, err := privileges.FlinkIDs()
	if err != nil {
		return nil // the next step says what is wrong
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	s, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || s.Uid != 0 || st.Mode().Perm()&0o002 != 0 {
		return nil // a link leads to a place that another user chose, and a directory like /tmp is for all
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); !strings.Contains(name, sqlrunner.JarName) && !classarchive.Belongs(name) {
			return nil
		}
	}
	return os.Lchown(dir, uid, gid)
}

// archiveError is the failure to write where the archives belong.
func archiveError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return phase.Fail(phase.Write, err, fmt.Sprintf("uid %d must be able to write there; --class-archive names another directory", os.Getuid()))
	}
	return phase.Fail(phase.Write, err, phase.WriteHint(err))
}
