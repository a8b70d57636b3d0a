package confpatch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/secret"
)

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// tree lists what a folder holds: "name mode content", temporary files and manifests included.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if name != manifestName {
			out = append(out, name+" "+info.Mode().String()+" "+string(content))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  got  %q\n  want %q", what, got, want)
	}
}

// locked calls f with a directory and its lock.
func locked(t *testing.T, dir string, f func(Place) ([]string, error)) ([]string, error) {
	t.Helper()
	l, err := atomicfile.LockDir(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	return f(Place{Dir: dir, Lock: l})
}

func writeDir(t *testing.T, base, out, confName string, rendered []byte, secret bool, extra map[string][]byte) ([]string, error) {
	t.Helper()
	_ = os.MkdirAll(out, 0o755) // before it can be locked
	return locked(t, out, func(to Place) ([]string, error) {
		return WriteDir(base, to, Rendered{Name: confName, Content: rendered, Secret: secret, Extra: extra, By: "taskmanager"}, Copying{})
	})
}

func TestWriteDirNamesWhatItCannotMake(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "x", 0o644)
	_, err := writeDir(t, dir, filepath.Join(dir, "file", "out"), "c", nil, false, nil)
	if !errors.Is(err, syscall.ENOTDIR) || !strings.HasPrefix(err.Error(), "cannot write "+filepath.Join(dir, "file", "out")+": ") {
		t.Errorf("error %v, want ENOTDIR", err)
	}
}

// configMap lays out a folder as Kubernetes mounts a ConfigMap.
func configMap(t *testing.T, dir string, files map[string]string) {
	for name, content := range files {
		write(t, filepath.Join(dir, "..2026_01_01", name), content, 0o644)
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("..2026_01_01", filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

func TestWriteDir(t *testing.T) {
	base, out := t.TempDir(), filepath.Join(t.TempDir(), "run", "conf")
	configMap(t, base, map[string]string{"config.yaml": "a: 1\n", "log4j-console.properties": "x = 1\n", "masters": "localhost\n"})
	write(t, filepath.Join(base, "hadoop", "core-site.xml"), "<x/>", 0o640)
	write(t, filepath.Join(base, ".hidden", "f"), "no", 0o644)
	os.Symlink("nowhere", filepath.Join(base, "dangling"))
	extra := map[string][]byte{"log4j-console.properties": []byte("x = 2\n")}
	changed, err := writeDir(t, base, out, "config.yaml", []byte("a: 2\n"), true, extra)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"config.yaml -rw------- a: 2\n", "hadoop/core-site.xml -rw-r----- <x/>", "log4j-console.properties -rw-r--r-- x = 2\n", "masters -rw-r--r-- localhost\n"}
	equal(t, "out", tree(t, out), want)
	equal(t, "changed", changed, []string{"config.yaml", "hadoop/core-site.xml", "log4j-console.properties", "masters"})
	if changed, err = writeDir(t, base, out, "config.yaml", []byte("a: 2\n"), true, extra); err != nil || len(changed) > 0 {
		t.Errorf("a second time: %v, %v", changed, err)
	}
	write(t, filepath.Join(out, "mine"), "keep", 0o644)
	write(t, filepath.Join(out, ".config.yaml"+".flink-entrypoint-999999999"), "left by a kill", 0o600)
	os.Remove(filepath.Join(base, "masters"))
	os.RemoveAll(filepath.Join(base, "hadoop"))
	if changed, err = writeDir(t, base, out, "config.yaml", []byte("a: 2\n"), false, extra); err != nil {
		t.Fatal(err)
	}
	equal(t, "changed", changed, []string{"config.yaml", "hadoop/core-site.xml", "masters"})
	equal(t, "out", tree(t, out), []string{"config.yaml -rw-r--r-- a: 2\n", "log4j-console.properties -rw-r--r-- x = 2\n", "mine -rw-r--r-- keep"})
	if _, err := os.Stat(filepath.Join(out, "hadoop")); err == nil {
		t.Error("the folder that only we filled is still there")
	}
}

func TestSecretInASetGIDFolder(t *testing.T) {
	base, out := t.TempDir(), t.TempDir()
	if err := os.Chmod(out, 0o2770|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if _, err := writeDir(t, base, out, "config.yaml", []byte("a: 2\n"), true, nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "out", tree(t, out), []string{"config.yaml -rw-r----- a: 2\n"})
}

func TestInPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	write(t, path, "a: 1\n", 0o644)
	start := func(limit string) []string {
		t.Helper()
		base, err := ReadBase(dir, "config.yaml", Standard, flinkversion.Of(2, 2, 0), true)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := locked(t, dir, func(at Place) ([]string, error) {
			return WriteInPlace(at.Lock, dir, base, Rendered{Name: "config.yaml", Content: append(base, "size: "+limit+"\n"...)})
		})
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	content := func() string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	start("1g")
	if got := content(); got != "a: 1\nsize: 1g\n" {
		t.Errorf("after the first start: %q", got)
	}
	before := tree(t, dir)
	if changed := start("1g"); len(changed) > 0 {
		t.Errorf("a second start changed %v", changed)
	}
	equal(t, "a second start", tree(t, dir), before)
	start("2g")
	if got := content(); got != "a: 1\nsize: 2g\n" {
		t.Errorf("after a changed limit: %q", got)
	}
	write(t, path, "a: 3\n", 0o644)
	start("2g")
	if got := content(); got != "a: 3\nsize: 2g\n" {
		t.Errorf("after a user's edit: %q", got)
	}
	start("3g")
	if got := content(); got != "a: 3\nsize: 3g\n" {
		t.Errorf("after the edit and a changed limit: %q", got)
	}
	// Killed between the record and the rename: the old file is still ours.
	record := beside(dir, "config.yaml", recordMark)
	write(t, record, digest([]byte("a: 3\nsize: 4g\n"))+"\n"+digest([]byte("a: 3\nsize: 3g\n"))+"\n", 0o600)
	start("5g")
	if got := content(); got != "a: 3\nsize: 5g\n" {
		t.Errorf("after a kill: %q", got)
	}
	// Killed while a mount point was overwritten: the content is not a user's edit.
	write(t, record, digest([]byte("a: 3\nsize: 6g\n"))+"\n"+overwriting+"\n", 0o600)
	write(t, path, "a: 3\nsi", 0o644)
	start("6g")
	if got := content(); got != "a: 3\nsize: 6g\n" {
		t.Errorf("after a kill in the middle of a write: %q", got)
	}
}

// TestEditAfterRender: the user's edit wins, key by key, in the user's own lines and in generated lines.
func TestEditAfterRender(t *testing.T) {
	const name = "config.yaml"
	v := flinkversion.Of(2, 2, 0)
	original := "# mine\nsize: 1g\nhost: localhost\ndir: /a\nslots: 2\n"
	f, err := Parse(name, Standard, v, []byte(original))
	if err != nil {
		t.Fatal(err)
	}
	change := func(key, value string) Change { return Change{Key: key, Value: secret.Public(value), Source: "test"} }
	rendered, err := f.Render([]Change{change("size", "2g"), {Key: "host", Delete: true}, change("port", "6124"), change("dir", "/b")}, "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"nothing but a comment", "# mine", "# theirs", "# theirs\nslots: 2\ndir: /a\nsize: 1g\nhost: localhost\n"},
		{"their line", "slots: 2", "slots: 4", "# mine\nslots: 4\ndir: /a\nsize: 1g\nhost: localhost\n"},
		{"our line", "port: 6124", "port: 7000", "# mine\nslots: 2\ndir: /a\nport: 7000\nsize: 1g\nhost: localhost\n"},
		{"our line for theirs", "size: 2g", "size: 3g", "# mine\nslots: 2\ndir: /a\nsize: 3g\nhost: localhost\n"},
		{"a line added above", "# mine\n", "# mine\nsize: 3g\n", "# mine\nsize: 3g\nslots: 2\ndir: /a\nhost: localhost\n"},
		{"our deletion undone", "# mine\n", "# mine\nhost: h\n", "# mine\nhost: h\nslots: 2\ndir: /a\nsize: 1g\n"},
		{"our line deleted", "port: 6124\n", "", "# mine\nslots: 2\ndir: /a\nsize: 1g\nhost: localhost\n"},
		{"their line deleted", "slots: 2\n", "", "# mine\ndir: /a\nsize: 1g\nhost: localhost\n"},
		{"broken", "# mine", "a: [", ""},
	} {
		edited := strings.Replace(string(rendered), tt.old, tt.new, 1)
		if edited == string(rendered) {
			t.Fatalf("%s: nothing replaced in %q", tt.name, rendered)
		}
		got := string(mergeEdit(name, Standard, v, []byte(original), rendered, []byte(edited)))
		if tt.want == "" {
			tt.want = edited
		}
		if sorted(got) != sorted(tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
		if again := string(mergeEdit(name, Standard, v, []byte(got), rendered, []byte(edited))); again != got {
			t.Errorf("%s: a second time gives %q", tt.name, again)
		}
	}
	handed := adopt(name, Standard, v, rendered)
	if want := "# mine\nslots: 2\n# test\ndir: /b\n# test\nport: 6124\n# test\nsize: 2g\n"; sorted(string(handed)) != sorted(want) {
		t.Errorf("adopted: %q", handed)
	}
	if got := dropped(name, Standard, v, rendered); string(got) != "# mine\nslots: 2\n" {
		t.Errorf("dropped: %q", got)
	}
}

// sorted orders the lines of a text, since the order of keys does not matter.
func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
