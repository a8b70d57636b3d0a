//go:build deploy

package deploy

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPackedCharts: the charts of a release are what "helm package" makes of the folders, and Helm renders them as it renders the folders.
func TestPackedCharts(t *testing.T) {
	program, home := helm(t, helmModule), t.TempDir()
	dist := filepath.Join(home, "dist")
	const version = "1.2.3-rc.1"
	pack := exec.CommandContext(t.Context(), "go", "run", "./test/release", "-out", dist, "-version", "v"+version, "-arch", "")
	pack.Dir = root
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("go run ./test/release: %v\n%s", err, out)
	}
	// The images and the place of savepoints have no default.
	values := map[string][]string{"flink": nil, "platform": {"--set", "clusters.stateDir=s3://bucket/flink,clusters.image=flink:2.2,adminToken.secretName=token"}}
	for name, set := range values {
		folder, packed := filepath.Join(root, "deploy", "chart", name), filepath.Join(dist, name+"-"+version+".tgz")
		run := func(args ...string) string {
			t.Helper()
			out, err := runHelm(t.Context(), program, home, args...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		run("package", folder, "--version", version, "--app-version", version, "--destination", home)
		ours, theirs := unpacked(t, packed), unpacked(t, filepath.Join(home, filepath.Base(packed)))
		if got, want := slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs)); !slices.Equal(got, want) {
			t.Errorf("%s has the files %v, helm package makes %v", packed, got, want)
		}
		for file, want := range theirs {
			if got := ours[file]; got != want && file != name+"/Chart.yaml" { // Helm sorts the keys of this one
				t.Errorf("%s: %s is another one than helm package's", packed, file)
			}
		}
		if got, want := run("show", "chart", packed), run("show", "chart", filepath.Join(home, filepath.Base(packed))); got != want || !strings.Contains(got, "\nversion: "+version+"\n") {
			t.Errorf("helm show chart:\n%s\nof the one that helm package makes:\n%s", got, want)
		}
		if out := run("lint", "--strict", packed); strings.Contains(out, "[WARNING]") || !strings.Contains(out, "0 chart(s) failed") {
			t.Error(out)
		}
		template := func(chart string) string {
			return run(slices.Concat([]string{"template", "prod", chart, "--kube-version", "1.31.0"}, set)...)
		}
		if got, want := template(packed), template(folder); got != want || strings.Count(got, "\nkind: ") < 3 {
			t.Errorf("the packed chart renders\n%s\nits folder\n%s", got, want)
		}
	}
}

// unpacked are the files of an archive.
func unpacked(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(b)
	}
}
