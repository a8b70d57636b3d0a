package atomicfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func put(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// tree lists a directory: "name mode content", of a link "name -> target".
func tree(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if target, err := os.Readlink(path); err == nil {
			out = append(out, e.Name()+" -> "+target)
			continue
		}
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		content, _ := os.ReadFile(path)
		out = append(out, e.Name()+" "+st.Mode().String()+" "+string(content))
	}
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  got  %q\n  want %q", what, got, want)
	}
}

func TestWrite(t *testing.T) {
	for _, life := range []Lifetime{Passing, Lasting} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		if changed, err := Write(path, []byte("one"), 0o640, life); err != nil || !changed {
			t.Fatal(changed, err)
		}
		old := time.Now().Add(-time.Hour).Truncate(time.Second)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		if changed, err := Write(path, []byte("one"), 0o640, life); err != nil || changed {
			t.Fatal(changed, err)
		}
		if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(old) {
			t.Errorf("an unchanged file was touched: %v, %v", info.ModTime(), err)
		}
		if changed, err := Write(path, []byte("two"), 0o600, life); err != nil || !changed {
			t.Fatal(changed, err)
		}
		equal(t, "dir", tree(t, dir), []string{"f -rw------- two"})
	}
}

func TestWriteReplacesALink(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "target"), "t", 0o644)
	if err := os.Symlink("target", filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(filepath.Join(dir, "f"), []byte("new"), 0o644, Passing); err != nil {
		t.Fatal(err)
	}
	equal(t, "dir", tree(t, dir), []string{"f -rw-r--r-- new", "target -rw-r--r-- t"})
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "x", 0o644)
	for path, want := range map[string]error{filepath.Join(dir, "missing", "f"): syscall.ENOENT, filepath.Join(dir, "file", "f"): syscall.ENOTDIR, dir: syscall.EISDIR} {
		for name, do := range map[string]func() error{
			"write": func() error { _, err := Write(path, []byte("x"), 0o644, Passing); return err },
			"link":  func() error { _, err := Symlink("x", path, Passing); return err },
		} {
			err := do()
			var e *Error
			if !errors.As(err, &e) || e.Path != path || !strings.HasPrefix(err.Error(), "cannot write "+path+": ") || strings.Contains(err.Error(), mark) {
				t.Errorf("%s %s: error %v", name, path, err)
			}
			if name == "write" && !errors.Is(err, want) {
				t.Errorf("%s: error %v, want %v", path, err, want)
			}
		}
	}
	equal(t, "dir", tree(t, dir), []string{"file -rw-r--r-- x"})
}

func TestSymlink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "l")
	put(t, path, "a file", 0o644)
	for _, tt := range []struct {
		target  string
		changed bool
	}{{"a", true}, {"a", false}, {"b", true}} {
		if changed, err := Symlink(tt.target, path, Passing); err != nil || changed != tt.changed {
			t.Errorf("%s: %v, %v", tt.target, changed, err)
		}
		equal(t, "dir", tree(t, dir), []string{"l -> " + tt.target})
	}
}

// TestLongNames: a name that is as long as a file system takes has a temporary name too.
func TestLongNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("n", 255), strings.Repeat("ä", 127)} {
		if _, err := Write(filepath.Join(dir, name), nil, 0o644, Passing); err != nil {
			t.Error(err)
		}
		if temp := TempName(name); len(temp) > 255 || !isTemp(temp) {
			t.Errorf("temporary name %q", temp)
		}
	}
}

func TestTemporaryNames(t *testing.T) {
	if a, b := TempName("f"), TempName("f"); a == b || !isTemp(a) || !isTemp(b) {
		t.Errorf("%s and %s", a, b)
	}
	for name, want := range map[string]bool{
		".f.flink-entrypoint-1":                       true, // of the first release
		".f.flink-entrypoint-999999999":               true,
		".flink-entrypoint-123456":                    true,
		".f.flink-entrypoint-0123456789abcdef":        true,
		".f.flink-entrypoint-0123456789abcdeg":        false,
		".f.flink-entrypoint-abc":                     false,
		".flink-entrypoint-manifest":                  false,
		".config.yaml.flink-entrypoint-original":      false,
		".config.yaml.flink-entrypoint-":              false,
		"f.flink-entrypoint-1":                        false,
		".flink-entrypoint":                           false,
		"":                                            false,
		".f.flink-entrypoint-0123456789abcdef.backup": false,
	} {
		if isTemp(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// TestManyWriters: a reader sees one writer's whole file, without any lock.
func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	path, linked := filepath.Join(dir, "f"), filepath.Join(dir, "l")
	contents := []string{strings.Repeat("a", 10_000), strings.Repeat("b", 20_000)}
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			if _, err := Write(path, []byte(contents[i%2]), 0o644, Passing); err != nil {
				t.Error(err)
			}
			if _, err := Symlink([]string{"x", "y"}[i%2], linked, Passing); err != nil {
				t.Error(err)
			}
			if got, err := os.ReadFile(path); err != nil || !slices.Contains(contents, string(got)) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	group.Wait()
	if left := tree(t, dir); len(left) != 2 {
		t.Errorf("left: %.300q", left)
	}
}

func lockDir(t *testing.T, dir string) *Lock {
	t.Helper()
	l, err := LockDir(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return l
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	first := lockDir(t, dir)
	var busy *BusyError
	for _, patience := range []time.Duration{0, time.Millisecond} {
		second, err := LockDir(t.Context(), dir, patience)
		if !errors.As(err, &busy) || busy.Dir != dir || second == nil || second.dir != nil {
			t.Errorf("patience %s: %v", patience, err)
		}
		second.Release()
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if _, err := LockDir(ctx, dir, time.Hour); err != gone {
		t.Errorf("ended while it waits: %v", err)
	}
	got := make(chan *Lock)
	go func() {
		l, err := LockDir(context.Background(), dir, time.Hour)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	first.Release()
	first.Release()
	(<-got).Release() // the waiting one, although others have given up before it
	last, err := LockDir(t.Context(), dir, time.Hour)
	if err != nil || last.dir == nil {
		t.Error(err)
	}
	last.Release()
}

// TestNoLock: where a directory cannot be locked, a writer goes on.
func TestNoLock(t *testing.T) {
	for _, dir := range []string{"/does/not/exist", "/proc/self"} {
		l, err := LockDir(t.Context(), dir, time.Hour)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		l.RemoveStale(nil, dir)
		l.Release()
	}
}

// TestRemoveStale: temporary names of this program without a living writer are removed, and no others.
func TestRemoveStale(t *testing.T) {
	const temp = ".flink-entrypoint-0123456789abcdef"
	old := time.Now().Add(-2 * staleAge)
	for _, tt := range []struct {
		name   string
		make   func(t *testing.T, dir string)
		locked bool // this process holds the lock of the directory
		goes   bool
	}{
		{"a file, with the lock", func(t *testing.T, dir string) { put(t, dir+"/.f"+temp, "half", 0o600) }, true, true},
		{"a file of the first release", func(t *testing.T, dir string) { put(t, dir+"/.f.flink-entrypoint-1", "half", 0o600) }, true, true},
		{"a link, with the lock", func(t *testing.T, dir string) { _ = os.Symlink("x", dir+"/.f"+temp) }, true, true},
		{"a directory, with the lock", func(t *testing.T, dir string) {
			_ = os.Mkdir(dir+"/.f"+temp, 0o700)
			put(t, dir+"/.f"+temp+"/f", "half", 0o600)
		}, true, true},
		{"a part", func(t *testing.T, dir string) { put(t, dir+"/.f.part", "half", 0o600) }, true, true},
		{"a part that is resumed", func(t *testing.T, dir string) { put(t, dir+"/.kept.part", "half", 0o600) }, true, false},
		{"a file that its writer has locked", func(t *testing.T, dir string) {
			f, err := Create(dir + "/f")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(f.Discard)
		}, true, false},
		{"an old one that its writer has locked", func(t *testing.T, dir string) {
			f, err := Create(dir + "/f")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(f.Discard)
			_ = os.Chtimes(f.Name(), old, old)
		}, false, false},
		{"a directory that its writer has locked", func(t *testing.T, dir string) {
			d, err := CreateDir(dir + "/f")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(d.Discard)
		}, true, false},
		{"a new file, without the lock", func(t *testing.T, dir string) { put(t, dir+"/.f"+temp, "half", 0o600) }, false, false},
		{"an old file, without the lock", func(t *testing.T, dir string) {
			put(t, dir+"/.f"+temp, "half", 0o600)
			_ = os.Chtimes(dir+"/.f"+temp, old, old)
		}, false, true},
		{"a new link, without the lock", func(t *testing.T, dir string) { _ = os.Symlink("x", dir+"/.f"+temp) }, false, false},
		{"names of the user's", func(t *testing.T, dir string) {
			put(t, dir+"/f"+temp, "mine", 0o600)
			_ = os.Chtimes(dir+"/f"+temp, old, old)
		}, true, false},
		{"our notes", func(t *testing.T, dir string) {
			put(t, dir+"/.flink-entrypoint-manifest", "f\n", 0o600)
			_ = os.Chtimes(dir+"/.flink-entrypoint-manifest", old, old)
		}, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.make(t, dir)
			before := tree(t, dir)
			if len(before) != 1 {
				t.Fatalf("made %q", before)
			}
			l := new(Lock)
			if tt.locked {
				l = lockDir(t, dir)
			}
			also := func(path string) bool { return strings.HasSuffix(path, ".part") && filepath.Base(path) != ".kept.part" }
			l.RemoveStale(also, dir, dir, dir+"/missing")
			if tt.goes {
				before = nil
			}
			equal(t, "left", tree(t, dir), before)
		})
	}
}

// TestCreateDir: another program makes the file, and only that is moved.
func TestCreateDir(t *testing.T) {
	dir := t.TempDir()
	d, err := CreateDir(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Place(Lasting); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a program that made nothing: %v", err)
	}
	put(t, d.File, "made", 0o444)
	put(t, filepath.Join(filepath.Dir(d.File), "other"), "", 0o600)
	if err := d.Place(Lasting); err != nil {
		t.Fatal(err)
	}
	d.Discard()
	equal(t, "dir", tree(t, dir), []string{"f -r--r--r-- made"})
}

func TestIsMount(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]bool{"/": true, "/proc": true, dir: false, "/does/not/exist": false} {
		if IsMount(path) != want || path != "/" && inMountTable(path) != want {
			t.Errorf("%s: %v, by the mount table %v, want %v", path, IsMount(path), inMountTable(path), want)
		}
	}
}

// TestTemporaryFileIsTaken: on a file system without locks another start may remove the temporary file of a living writer, which
// then tries again with another name.
func TestTemporaryFileIsTaken(t *testing.T) {
	dir := t.TempDir()
	var budget atomic.Int32 // how many more may be removed
	stop := make(chan bool)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				if isTemp(e.Name()) && budget.Add(-1) >= 0 {
					os.Remove(filepath.Join(dir, e.Name()))
				}
			}
		}
	})
	for i := range 200 {
		budget.Store(attempts - 1)
		if _, err := Write(dir+"/f", []byte(strings.Repeat("x", i)), 0o644, Passing); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	group.Wait()
}

// TestNothingIsInherited by a program that this process starts.
func TestNothingIsInherited(t *testing.T) {
	dir := t.TempDir()
	lockDir(t, dir)
	f, err := Create(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	out, err := exec.Command("/bin/sh", "-c", "ls -l /proc/$$/fd").Output()
	if err != nil || strings.Contains(string(out), dir) {
		t.Errorf("%v\n%s", err, out)
	}
}
