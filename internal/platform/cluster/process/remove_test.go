package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/cluster"
)

// ended makes the directory of a run that was started by a platform, has ended and was deleted.
func ended(t *testing.T, d *Driver, run, instance string) {
	t.Helper()
	s := spec(run)
	s.Instance, s.Token = instance, nil
	err := os.MkdirAll(d.run(run), 0o700)
	for path, v := range map[string]any{specFile: s, portsFile: ports{}} {
		err = errors.Join(err, writeJSON(filepath.Join(d.run(run), path), v))
	}
	err = errors.Join(err, writeFile(filepath.Join(d.run(run), deletedFile), instance))
	for _, name := range names(s) {
		dir := filepath.Join(d.run(run), name)
		err = errors.Join(err, os.Mkdir(dir, 0o700), writeJSON(filepath.Join(dir, stateFile), state{Started: time.Now()}), writeJSON(filepath.Join(dir, exitFile), exit{}), writeFile(filepath.Join(dir, logFile), "a line\n"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func gone(t *testing.T, d *Driver, run string) {
	t.Helper()
	if entries, err := os.ReadDir(d.run(run)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is there: %v %v", entries, err)
	}
}

// TestRemoveIsRepeated: a removal that ends at any of its places is found by Runs, and can be repeated.
func TestRemoveIsRepeated(t *testing.T) {
	places := 0
	for crash := 1; ; crash++ {
		d := &Driver{Dir: t.TempDir(), Instance: "i1"}
		ended(t, d, "r1", "i1")
		n := 0
		d.Point = func(place string) {
			if n++; n == crash {
				panic(place)
			}
		}
		place := func() (place any) {
			defer func() { place = recover() }()
			if err := d.Remove(t.Context(), "r1"); err != nil {
				t.Error(err)
			}
			return nil
		}()
		d = &Driver{Dir: d.Dir, Instance: d.Instance}
		if place == nil {
			gone(t, d, "r1")
			break
		}
		places++
		if runs, err := d.Runs(t.Context()); err != nil || len(runs) != 1 {
			t.Errorf("%s: %v %v", place, runs, err)
		}
		if err := d.Remove(t.Context(), "r1"); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		gone(t, d, "r1")
	}
	if places < 4 {
		t.Errorf("only %d places", places)
	}
}

// TestRemoveTouchesNothingElse: what is another platform's, another program's or alive stays.
func TestRemoveTouchesNothingElse(t *testing.T) {
	d := &Driver{Dir: filepath.Join(t.TempDir(), "runs"), Instance: "i1"}
	ended(t, d, "other", "i2")
	ended(t, d, "waits", "i1")
	ended(t, d, "alive", "i1")
	beside := filepath.Join(d.Dir, "..", "beside")
	errs := errors.Join(os.Remove(filepath.Join(d.run("waits"), deletedFile)), os.Remove(filepath.Join(d.run("waits"), "jobmanager-1", stateFile)),
		os.MkdirAll(filepath.Join(d.run("unknown"), "src"), 0o700), os.Mkdir(beside, 0o700), os.Remove(filepath.Join(d.run("alive"), "jobmanager-1", exitFile)))
	lock, err := tryLock(filepath.Join(d.run("alive"), "jobmanager-1", lockFile))
	if errs = errors.Join(errs, err); errs != nil {
		t.Fatal(errs)
	}
	defer lock.Close()
	for run, want := range map[string]string{"other": "belongs to another platform (i2)", "unknown": "may be of another program", "../beside": "is not the id of a run", "": "is not the id of a run",
		"waits": cluster.ErrAlive.Error(), "alive": cluster.ErrAlive.Error()} {
		if err := d.Remove(t.Context(), run); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", run, err, want)
		}
		if _, err := os.Stat(d.run(run)); err != nil {
			t.Errorf("%q: %v", run, err)
		}
	}
	if logs, err := filepath.Glob(filepath.Join(d.Dir, "*", "*", logFile)); err != nil || len(logs) != 6 {
		t.Errorf("%v %v, want 6 logs", logs, err)
	}
	// One that was deleted before it was ever started has only the mark.
	if _, err := d.Delete(t.Context(), "never"); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), "never"); err != nil {
		t.Error(err)
	}
	gone(t, d, "never")
}
