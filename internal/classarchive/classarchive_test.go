package classarchive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/distribution"
)

// world is an installed Java, two jars, and an archive that was made with them.
type world struct {
	java    distribution.Java
	jars    []string
	archive string
}

func sealed(t *testing.T) world {
	t.Helper()
	dir := t.TempDir()
	w := world{java: distribution.Java{Spec: 17, Version: "17.0.15", Installed: dir + "/java"}, jars: []string{dir + "/lib/a.jar", dir + "/lib/b.jar"}, archive: dir + "/class-archives/taskmanager.jsa"}
	for _, path := range append([]string{dir + "/java/lib/modules", dir + "/java/lib/server/libjvm.so", w.archive}, w.jars...) {
		write(t, path, "content of "+filepath.Base(path))
	}
	err := Seal(w.archive, w.java, w.jars, func(path string, content []byte) error { return os.WriteFile(path, content, 0o644) })
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	other := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, other, other); err != nil {
		t.Fatal(err)
	}
}

func TestMismatch(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, w *world)
		want   string // "" where the archive fits
	}{
		{"as it was made", func(*testing.T, *world) {}, ""},
		{"more at the end of the class path", func(_ *testing.T, w *world) { w.jars = append(w.jars, "/run/runner.jar", "/etc/hadoop") }, ""},
		{"a jar before it", func(_ *testing.T, w *world) { w.jars = append([]string{"/x.jar"}, w.jars...) }, "where the class path now has /x.jar"},
		{"a jar less", func(_ *testing.T, w *world) { w.jars = w.jars[:1] }, "b.jar, which is not on the class path"},
		{"another order", func(_ *testing.T, w *world) { w.jars[0], w.jars[1] = w.jars[1], w.jars[0] }, "where the class path now has"},
		{"a jar of the same size and another time", func(t *testing.T, w *world) { touch(t, w.jars[1]) }, "b.jar has changed"},
		{"a jar that grew", func(t *testing.T, w *world) { write(t, w.jars[0], "much longer than it was before") }, "a.jar has changed"},
		{"a jar that is gone", func(t *testing.T, w *world) { os.Remove(w.jars[0]) }, "no such file"},
		{"another version of Java", func(_ *testing.T, w *world) { w.java.Version = "21.0.4" }, "made by Java 17.0.15, this is 21.0.4"},
		{"a Java without a version", func(_ *testing.T, w *world) { w.java.Version = "" }, "this is of an unknown version"},
		{"the same version elsewhere", func(_ *testing.T, w *world) { w.java.Installed = "/opt/other" }, "made by another Java"},
		{"Java updated in its place", func(t *testing.T, w *world) { touch(t, w.java.Installed+"/lib/server/libjvm.so") }, "libjvm.so has changed"},
		{"half an archive", func(t *testing.T, w *world) { write(t, w.archive, "half") }, "taskmanager.jsa has changed"},
		{"no archive", func(t *testing.T, w *world) { os.Remove(w.archive) }, "no such file"},
		{"moved with its manifest", func(t *testing.T, w *world) {
			from, to := filepath.Dir(w.archive), filepath.Dir(w.archive)+"-2"
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
			w.archive = to + "/taskmanager.jsa"
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := sealed(t)
			test.change(t, &w)
			a, err := Open(w.archive)
			if err != nil {
				t.Fatal(err)
			}
			got := a.Mismatch(w.java, w.jars)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	w := sealed(t)
	whole, err := os.ReadFile(manifestOf(w.archive))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(w.archive + ".none.jsa"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no manifest: %v", err)
	}
	for name, text := range map[string]string{
		"empty": "", "another program's": "hello\n", "a later format": "flink-entrypoint class archive 2\n", "a line cut off": string(whole[:len(whole)-60]) + "\njar 12",
	} {
		write(t, manifestOf(w.archive), text)
		if a, err := Open(w.archive); err == nil {
			t.Errorf("%s: read as %+v", name, a)
		}
	}
	// Cut at a line's end, nothing is missing that a line could tell: the jars are then fewer.
	head, _, _ := strings.Cut(string(whole), "jvm ")
	write(t, manifestOf(w.archive), head)
	a, err := Open(w.archive)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Mismatch(w.java, w.jars); got != "its manifest is incomplete" {
		t.Errorf("without a jar: %q", got)
	}
	if err := Break(w.archive); err != nil {
		t.Error(err)
	}
	if _, err := Open(w.archive); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Break: %v", err)
	}
}

func TestDecided(t *testing.T) {
	for options, want := range map[string]string{
		"-Xmx1073741824 -XX:+UseG1GC -Xlog:gc -Dx=-Xshare:off": "",
		"-Xlog:class+load --add-opens=java.base/java.lang=X":   "",
		"-XX:+UseParallelGC -XX:+UseSerialGC":                  "",
		"-Xshare:off":                                          "-Xshare:off",
		"-Dx=y -XX:SharedArchiveFile=/my.jsa":                  "-XX:SharedArchiveFile=/my.jsa",
		"-XX:AOTCache=app.aot":                                 "-XX:AOTCache=app.aot",
		"-XX:+UseZGC":                                          "-XX:+UseZGC",
		"-javaagent:/prometheus.jar=9249:/c.yaml":              "-javaagent:/prometheus.jar=9249:/c.yaml",
		"-agentlib:jdwp=transport=dt_socket":                   "-agentlib:jdwp=transport=dt_socket",
		"-Xmx31g":                                              "",
		"-Xmx32g":                                              "-Xmx32g",
		"-Xmx34359738368":                                      "-Xmx34359738368",
		"-Xmx64g -Xmx8g":                                       "", // the last one holds
		"-XX:MaxHeapSize=40000M":                               "-XX:MaxHeapSize=40000M",
		"-Xmx1t":                                               "-Xmx1t",
	} {
		if got := decided(strings.Fields(options)); got != want {
			t.Errorf("%s: got %q, want %q", options, got, want)
		}
	}
}

func TestArchivable(t *testing.T) {
	w := sealed(t)
	got := Archivable(append(append([]string{}, w.jars...), t.TempDir(), w.jars[0]))
	if len(got) != 2 || got[1] != w.jars[1] {
		t.Errorf("got %v, want the jars before the directory", got)
	}
}

// BenchmarkMatch is what a start pays for an archive.
func BenchmarkMatch(b *testing.B) {
	dir := b.TempDir()
	java := distribution.Java{Version: "17", Installed: dir}
	paths := []string{dir + "/lib/modules", dir + "/lib/server/libjvm.so", dir + "/x.jsa"}
	var jars []string
	for i := range 14 {
		jars = append(jars, dir+"/lib/flink-some-module-2.2."+string(rune('a'+i))+".jar")
	}
	for _, p := range append(paths, jars...) {
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	if err := Seal(paths[2], java, jars, func(path string, content []byte) error { return os.WriteFile(path, content, 0o644) }); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		a, err := Open(paths[2])
		if err != nil {
			b.Fatal(err)
		}
		if reason := a.Mismatch(java, jars); reason != "" {
			b.Fatal(reason)
		}
	}
}
