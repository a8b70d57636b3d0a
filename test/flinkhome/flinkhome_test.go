package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/test/flinkhome/homes"
)

func TestPick(t *testing.T) {
	for _, c := range []struct {
		args string
		want string // versions, or the start of the error
	}{
		{"2.2.1", "2.2.1"},
		{"2.2 1.20 2.2.1", "2.2.1 1.20.5"},
		{"1.1", `version "1.1": no digests`},
		{"2", `version "2": no digests`},
		{"1.20.1", `version "1.20.1": no digests`},
		{"", `version "": no digests`},
	} {
		picked, err := pick(strings.Split(c.args, " "))
		var got []string
		for _, r := range picked {
			got = append(got, r.Version)
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
		}
		if !strings.HasPrefix(text, c.want) {
			t.Errorf("pick(%s) = %s, want %s", c.args, text, c.want)
		}
	}
	if picked, err := pick([]string{"all"}); err != nil || !slices.Equal(picked, homes.Releases()) {
		t.Errorf("all is %v (%v)", picked, err)
	}
}

// TestSupportedReleases: tests run on every release that the program knows.
func TestSupportedReleases(t *testing.T) {
	var known []flinkversion.Release
	for _, r := range homes.Releases() {
		v, err := flinkversion.Parse(r.Version)
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, v.Release())
	}
	if !slices.IsSortedFunc(known, flinkversion.Release.Compare) || len(slices.Compact(slices.Clone(known))) != len(known) {
		t.Errorf("%v: expected one version of each release, oldest first", known)
	}
	if first, last := known[0], known[len(known)-1]; first != flinkversion.Oldest() || last != flinkversion.Newest() {
		t.Errorf("tests know %s to %s, the program %s to %s", first, last, flinkversion.Oldest(), flinkversion.Newest())
	}
}

func TestEveryReleaseHasPinnedDigests(t *testing.T) {
	for _, r := range homes.Releases() {
		text, err := requirements.ReadFile("requirements/" + r.Version + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for line := range strings.Lines(string(text)) {
			name, digest, _ := strings.Cut(strings.TrimSpace(line), "=="+r.Version+" --hash=sha256:")
			if len(digest) != 64 {
				t.Errorf("%s: %q is not one package of this version with a digest", r.Version, line)
			}
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "apache-flink apache-flink-libraries" {
			t.Errorf("%s pins %s", r.Version, got)
		}
	}
}

func TestUnpackTakesTheDistributionOnly(t *testing.T) {
	dir := t.TempDir()
	wheel := filepath.Join(dir, "p.whl")
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	for _, name := range []string{"pyflink/bin/flink", "pyflink/conf/a/b", "pyflink/table/x.py", "pyflink/README.txt", "deps/lib/no.jar", "pyflink/bin/"} {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "p.tar.gz")
	if err := os.WriteFile(wheel, z.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(source, sourcePackage(t, "n-1/deps/plugins/p/run.sh", "n-1/deps/lib/a.jar", "n-1/setup.py"), 0o644); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	for _, p := range []string{wheel, source} {
		if err := unpack(p, home); err != nil {
			t.Fatal(err)
		}
	}
	list, err := manifest(home)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(list)) {
		got = append(got, line[65:len(line)-1])
	}
	want := []string{"-  README.txt", "-  bin/flink", "-  conf/a/b", "-  lib/a.jar", "x  plugins/p/run.sh"}
	if !slices.Equal(got, want) {
		t.Errorf("unpacked %q, want %q", got, want)
	}
}

func TestUnpackStaysInside(t *testing.T) {
	dir := t.TempDir()
	for _, entry := range []string{"n/deps/lib/../../../out.jar", "/deps/lib/../../out.jar", "../deps/lib/out.jar"} {
		source := filepath.Join(dir, "p.tar.gz")
		if err := os.WriteFile(source, sourcePackage(t, entry), 0o644); err != nil {
			t.Fatal(err)
		}
		// Refused or not part of the distribution: both are fine, a file outside is not.
		_ = unpack(source, filepath.Join(dir, "home"))
		if left, _ := filepath.Glob(filepath.Join(dir, "*.jar")); left != nil {
			t.Errorf("%s wrote %v", entry, left)
		}
	}
}

func sourcePackage(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range names {
		mode := int64(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompare(t *testing.T) {
	got := compare([]byte("1 -  a\n2 x  b b\n3 -  c\n"), []byte("1 -  a\n2 -  b b\n4 -  d\n"))
	if want := []string{"changed b b", "missing c", "added d"}; !slices.Equal(got, want) {
		t.Errorf("compare() = %q, want %q", got, want)
	}
}

func TestEnsureLeavesACompleteHomeAlone(t *testing.T) {
	s, r := store{root: t.TempDir()}, homes.Releases()[0]
	for _, dir := range []string{filepath.Join(s.home(r), "lib"), s.keep()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.manifest(r), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.ensure(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := s.verify(r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.home(r), "lib", "x.jar"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.verify(r); err == nil || !strings.Contains(err.Error(), "added lib/x.jar") {
		t.Errorf("verify() = %v, want it to name lib/x.jar", err)
	}
}
