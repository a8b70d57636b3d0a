package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSameCommitSameBytes makes the artefacts of one commit twice, as two people would: in folders of different depth, with
// another umask, other settings of the go command, another time zone and language, and at another time. One architecture is
// what the quick tests have time for; make release-snapshot compares both. With -short one person makes them, so that nothing is compared.
func TestSameCommitSameBytes(t *testing.T) {
	arches := strings.Fields(os.Getenv("FLINK_ENTRYPOINT_RELEASE_ARCHES"))
	if len(arches) == 0 {
		arches = []string{"amd64"}
	}
	bin := filepath.Join(t.TempDir(), "release")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	goenv := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(goenv, []byte("GOFLAGS=-gcflags=all=-N\nGOAMD64=v3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var made [2]map[string][]byte
	for i, person := range []struct {
		folder, umask string
		env           []string
	}{
		{"clone", "022", nil},
		{"some/where/else entirely", "077", []string{"GOFLAGS=-ldflags=-X=main.a=b -tags=other", "GOENV=" + goenv, "TZ=Asia/Tokyo", "LC_ALL=C", "GOAMD64=v2", "GODEBUG=http2client=0"}},
	} {
		if i > 0 && testing.Short() {
			made[i] = made[0]
			break
		}
		dir := filepath.Join(t.TempDir(), person.folder)
		if out, err := exec.Command("git", "clone", "-q", "--no-hardlinks", "../..", dir).CombinedOutput(); err != nil {
			t.Skipf("git clone: %v; this test needs a clone, not an archive\n%s", err, out)
		}
		cmd := exec.Command("sh", "-c", `umask "$0" && exec "$@"`, person.umask, bin, "-out", "dist", "-version", "v0.0.1", "-arch", strings.Join(arches, " "))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), person.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("release: %v\n%s", err, out)
		}
		made[i] = files(t, filepath.Join(dir, "dist"))
	}
	want := []string{"checksums.txt", "flink-0.0.1.tgz", "platform-0.0.1.tgz"}
	for _, p := range programs {
		for _, arch := range arches {
			for _, suffix := range []string{"", ".spdx.json", ".tar.gz"} {
				want = append(want, p.name+"-linux-"+arch+suffix)
			}
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(made[0])); !slices.Equal(got, want) {
		t.Fatalf("the artefacts are %v, expected %v", got, want)
	}
	for name, content := range made[0] {
		if !bytes.Equal(content, made[1][name]) {
			t.Errorf("%s differs: %x, %x", name, sha256.Sum256(content), sha256.Sum256(made[1][name]))
		}
	}
	checksums(t, made[0])
	for _, name := range []string{"flink", "platform"} {
		chart(t, name, made[0][name+"-0.0.1.tgz"])
	}
	for _, p := range programs {
		for _, arch := range arches {
			name := p.name + "-linux-" + arch
			static(t, name, made[0][name], map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch])
			archive(t, p.name, name, made[0])
			bill(t, p.name, name, made[0])
		}
	}
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, e := range entries {
		if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// checksums: every artefact is in the list, with its own digest.
func checksums(t *testing.T, made map[string][]byte) {
	t.Helper()
	listed := 0
	for line := range strings.Lines(string(made["checksums.txt"])) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got := sha256.Sum256(made[name])
		if hex.EncodeToString(got[:]) != sum {
			t.Errorf("checksums.txt says %s of %q, which has %x", sum, name, got)
		}
		listed++
	}
	if listed != len(made)-1 {
		t.Errorf("checksums.txt lists %d artefacts of %d", listed, len(made)-1)
	}
}

func static(t *testing.T, name string, binary []byte, machine elf.Machine) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if f.Machine != machine {
		t.Errorf("%s is for %v, expected %v", name, f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has a segment %v", name, p.Type)
		}
	}
}

// members are the files of an archive, and their modes.
func members(t *testing.T, packed []byte) (content map[string][]byte, modes map[string]int64) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, modes = map[string][]byte{}, map[string]int64{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return content, modes
		}
		if err != nil {
			t.Fatal(err)
		}
		if content[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		modes[h.Name] = h.Mode
	}
}

// archive: what is packed is what is beside it, with modes that do not depend on who packs.
func archive(t *testing.T, program, name string, made map[string][]byte) {
	t.Helper()
	content, modes := members(t, made[name+".tar.gz"])
	for inside, beside := range map[string]string{program: name, program + ".spdx.json": name + ".spdx.json"} {
		if !bytes.Equal(content[inside], made[beside]) {
			t.Errorf("%s.tar.gz holds another %s than the one beside it", name, inside)
		}
	}
	want := map[string]int64{program: 0o755, program + ".spdx.json": 0o644, "LICENSE": 0o644, "README.md": 0o644, "CHANGELOG.md": 0o644}
	if !maps.Equal(modes, want) {
		t.Errorf("%s.tar.gz holds %v, expected %v", name, modes, want)
	}
}

// chart: the files of the folder, with the version of the release. test/deploy holds it against what Helm packs.
func chart(t *testing.T, name string, packed []byte) {
	t.Helper()
	content, _ := members(t, packed)
	dir := filepath.Join("..", "..", "deploy", "chart", name)
	found := 0
	err := filepath.WalkDir(dir, func(file string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		got, ok := content[name+"/"+filepath.ToSlash(rel)]
		switch {
		case !ok:
			t.Errorf("the chart %s does not hold %s", name, rel)
		case rel == chartFile && !strings.Contains(string(got), "\nversion: \"0.0.1\"\nappVersion: \"0.0.1\"\n"):
			t.Errorf("the version of the chart %s is not the one of the release:\n%s", name, got)
		case rel != chartFile && !bytes.Equal(got, want):
			t.Errorf("the chart %s holds another %s than its folder", name, rel)
		}
		found++
		return nil
	})
	if err != nil || found != len(content) {
		t.Errorf("the chart %s holds %d files, its folder %d; %v", name, len(content), found, err)
	}
}

// TestChartVersion: Helm takes semantic versions only.
func TestChartVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3":                   "1.2.3",
		"v1.2.3-rc.1":              "1.2.3-rc.1",
		"v1.2.3-14-g66b0b7c":       "1.2.3-14-g66b0b7c",
		"v1.2.3-14-g66b0b7c-dirty": "1.2.3-14-g66b0b7c-dirty",
		"66b0b7c":                  "0.0.0-g66b0b7c",
		"0123456":                  "0.0.0-g0123456",
		"v1.2":                     "0.0.0-gv1-2",
		"v1.02.3":                  "0.0.0-gv1-02-3",
	} {
		if got := chartVersion(version); got != want {
			t.Errorf("%s is %s, expected %s", version, got, want)
		}
	}
}

// bill: the bill of materials names the binary by its digest, and every module that is linked into it.
func bill(t *testing.T, program, name string, made map[string][]byte) {
	t.Helper()
	var document struct {
		SPDXVersion string
		Packages    []struct {
			SPDXID, Name, VersionInfo string
			Checksums                 []struct{ ChecksumValue string }
		}
		Relationships []struct{ SpdxElementID, RelationshipType, RelatedSpdxElement string }
	}
	if err := json.Unmarshal(made[name+".spdx.json"], &document); err != nil {
		t.Fatalf("%s.spdx.json: %v", name, err)
	}
	sum := sha256.Sum256(made[name])
	if document.SPDXVersion != "SPDX-2.3" || len(document.Packages) == 0 || document.Packages[0].Checksums[0].ChecksumValue != hex.EncodeToString(sum[:]) {
		t.Fatalf("%s.spdx.json does not describe the binary: %+v", name, document)
	}
	listed := map[string]bool{}
	for _, p := range document.Packages {
		listed[p.Name] = true
		if p.VersionInfo == "" {
			t.Errorf("%s.spdx.json: %s has no version", name, p.Name)
		}
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "../../cmd/"+program).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	modules := strings.Fields(string(out))
	if len(modules) == 0 {
		t.Fatal("go list names no module")
	}
	for _, m := range append(modules, "stdlib") {
		if !listed[m] {
			t.Errorf("%s.spdx.json does not name %s, which is in the binary", name, m)
		}
	}
	if len(document.Relationships) != len(document.Packages) {
		t.Errorf("%s.spdx.json has %d relationships for %d packages", name, len(document.Relationships), len(document.Packages))
	}
}
