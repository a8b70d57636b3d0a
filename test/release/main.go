// Command release makes the release artefacts without any other tool: the static binaries of both programs for each
// architecture, an archive of each, a bill of materials (SPDX) of each, the packed Helm charts, and the checksums of all. Everything is a
// function of the commit and the Go version, so anybody can make the same bytes again.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A program is one that a release has.
type program struct {
	name    string
	ldflags string // with %[1]s for the version and %[2]s for the commit
	flags   string // a file with flags for the compiler
}

var programs = []program{
	{"flink-entrypoint", "-X flink-entrypoint/internal/cli.release=%[1]s -X flink-entrypoint/internal/cli.commit=%[2]s", "test/budget/gcflags.txt"},
	{"flink-platform", "-X flink-entrypoint/internal/platform/cli.release=%[1]s", ""},
}

func main() {
	out := flag.String("out", "dist", "folder for the artefacts; replaced")
	version := flag.String("version", "", "version to put into the binary (default: git describe)")
	arches := flag.String("arch", "amd64 arm64", "architectures; empty: only the charts")
	flag.Parse()
	r := release{root: ".", out: *out, version: *version, arches: strings.Fields(*arches)}
	if err := r.make(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// release is one set of artefacts.
type release struct {
	root, out, version string
	arches             []string
	commit             string
	when               time.Time // of the commit
	files              []string  // made so far, relative to out
}

func (r *release) make() (err error) {
	if r.commit, err = r.git("rev-parse", "HEAD"); err != nil {
		return err
	}
	if r.version == "" {
		if r.version, err = r.git("describe", "--tags", "--always", "--dirty"); err != nil {
			return err
		}
	}
	seconds, err := r.git("log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("the time of the commit: %w", err)
	}
	r.when = time.Unix(n, 0).UTC()
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	for _, arch := range r.arches {
		for _, p := range programs {
			if err := r.one(p, arch); err != nil {
				return fmt.Errorf("%s, linux/%s: %w", p.name, arch, err)
			}
		}
	}
	for _, name := range []string{"flink", "platform"} {
		if err := r.chart(name); err != nil {
			return fmt.Errorf("the chart %s: %w", name, err)
		}
	}
	return r.checksums()
}

func (r *release) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// one makes the artefacts of one program for one architecture.
func (r *release) one(p program, arch string) error {
	name := p.name + "-linux-" + arch
	binary := filepath.Join(r.out, name)
	if err := r.build(p, arch, binary); err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	sbom, err := r.sbom(name, content)
	if err != nil {
		return err
	}
	archive, err := r.archive(p, content, sbom)
	if err != nil {
		return err
	}
	r.files = append(r.files, name)
	for suffix, text := range map[string][]byte{".spdx.json": sbom, ".tar.gz": archive} {
		if err := os.WriteFile(filepath.Join(r.out, name+suffix), text, 0o644); err != nil {
			return err
		}
		r.files = append(r.files, name+suffix)
	}
	return nil
}

func (r *release) build(p program, arch, to string) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= " + fmt.Sprintf(p.ldflags, r.version, r.commit)}
	if p.flags != "" {
		flags, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(p.flags)))
		if err != nil {
			return err
		}
		for _, f := range strings.Fields(string(flags)) {
			args = append(args, "-gcflags="+f)
		}
	}
	cmd := exec.Command("go", append(args, "-o", to, "./cmd/"+p.name)...)
	cmd.Dir = r.root
	where, err := r.places()
	if err != nil {
		return err
	}
	// Nothing that a user has set, in the environment or with go env -w, may change the bytes.
	cmd.Env = slices.Concat(os.Environ(), where, []string{"GOENV=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off", "GODEBUG="})
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// places are the settings that say from where modules come and where they are kept, which a user may have made with go env -w.
func (r *release) places() ([]string, error) {
	cmd := exec.Command("go", "env", "-json", "GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOMODCACHE", "GOCACHE", "GOTOOLCHAIN")
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var values map[string]string
	if err := json.Unmarshal(out, &values); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var env []string
	for name, value := range values {
		env = append(env, name+"="+value)
	}
	return env, nil
}

// archive holds the binary with what belongs to it.
func (r *release) archive(p program, binary, sbom []byte) ([]byte, error) {
	var members []member
	for _, name := range []string{"CHANGELOG.md", "LICENSE", "README.md"} {
		content, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, 0o644, content})
	}
	return r.pack(append(members, member{p.name, 0o755, binary}, member{p.name + ".spdx.json", 0o644, sbom}))
}

// A member is a file of an archive.
type member struct {
	name    string
	mode    int64
	content []byte
}

// pack makes a .tar.gz of members in their order, with the time of the commit and no owner.
func (r *release) pack(members []member) ([]byte, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, m := range members {
		if err := t.WriteHeader(&tar.Header{Name: m.name, Mode: m.mode, Size: int64(len(m.content)), ModTime: r.when, Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := t.Write(m.content); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

const chartFile = "Chart.yaml"

// chart packs a Helm chart under the name that "helm package" gives it: the files of its folder, and the version of the release.
func (r *release) chart(name string) error {
	dir := filepath.Join(r.root, "deploy", "chart", name)
	version := chartVersion(r.version)
	var members []member
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if rel == chartFile {
			if content, err = withVersion(content, version); err != nil {
				return err
			}
		}
		members = append(members, member{path.Join(name, filepath.ToSlash(rel)), 0o644, content})
		return nil
	})
	if err != nil {
		return err
	}
	packed, err := r.pack(members)
	if err != nil {
		return err
	}
	file := name + "-" + version + ".tgz"
	r.files = append(r.files, file)
	return os.WriteFile(filepath.Join(r.out, file), packed, 0o644)
}

// semantic is what semver.org suggests for a version.
var semantic = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?$`)

// chartVersion is the version of the release as Helm takes it: a semantic one. What is built between releases sorts before all of them.
func chartVersion(version string) string {
	if v := strings.TrimPrefix(version, "v"); semantic.MatchString(v) {
		return v
	}
	return "0.0.0-g" + regexp.MustCompile(`[^0-9A-Za-z-]`).ReplaceAllString(version, "-")
}

// withVersion is Chart.yaml with a version, which is also the one of the program.
func withVersion(text []byte, version string) ([]byte, error) {
	line := regexp.MustCompile(`(?m)^version: .*$`)
	if n := len(line.FindAll(text, -1)); n != 1 {
		return nil, fmt.Errorf("%s has %d lines with a version, expected one", chartFile, n)
	}
	return line.ReplaceAll(text, fmt.Appendf(nil, "version: %q\nappVersion: %q", version, version)), nil
}

func (r *release) checksums() error {
	slices.Sort(r.files)
	var list strings.Builder
	for _, name := range r.files {
		content, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		fmt.Fprintf(&list, "%s  %s\n", hex.EncodeToString(sum[:]), name)
	}
	return os.WriteFile(filepath.Join(r.out, "checksums.txt"), []byte(list.String()), 0o644)
}

// spdxPackage is a package of an SPDX 2.3 document.
type spdxPackage struct {
	ID           string         `json:"SPDXID"`
	Name         string         `json:"name"`
	Version      string         `json:"versionInfo"`
	Download     string         `json:"downloadLocation"`
	FilesChecked bool           `json:"filesAnalyzed"`
	Checksums    []spdxChecksum `json:"checksums,omitempty"`
	Licence      string         `json:"licenseConcluded"`
	Declared     string         `json:"licenseDeclared"`
	Copyright    string         `json:"copyrightText"`
	Refs         []spdxRef      `json:"externalRefs,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelation struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

// sbom lists what is in the binary, as the binary itself says it.
func (r *release) sbom(name string, binary []byte) ([]byte, error) {
	built, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, fmt.Errorf("the binary does not say what is in it: %w", err)
	}
	const none = "NOASSERTION"
	sum := sha256.Sum256(binary)
	main := spdxPackage{ID: "SPDXRef-binary", Name: name, Version: r.version, Download: none, Licence: "Apache-2.0", Declared: "Apache-2.0", Copyright: none,
		Checksums: []spdxChecksum{{"SHA256", hex.EncodeToString(sum[:])}}}
	packages := []spdxPackage{main}
	relations := []spdxRelation{{"SPDXRef-DOCUMENT", "DESCRIBES", main.ID}}
	add := func(path, version, purl string) {
		p := spdxPackage{ID: "SPDXRef-" + identifier(path), Name: path, Version: version, Download: none, Licence: none, Declared: none, Copyright: none,
			Refs: []spdxRef{{"PACKAGE-MANAGER", "purl", purl}}}
		packages = append(packages, p)
		relations = append(relations, spdxRelation{main.ID, "STATIC_LINK", p.ID})
	}
	add("stdlib", strings.TrimPrefix(built.GoVersion, "go"), "pkg:golang/stdlib@"+strings.TrimPrefix(built.GoVersion, "go"))
	for _, m := range built.Deps {
		m = replaced(m)
		add(m.Path, m.Version, "pkg:golang/"+m.Path+"@"+m.Version)
	}
	document := struct {
		Version   string         `json:"spdxVersion"`
		Licence   string         `json:"dataLicense"`
		ID        string         `json:"SPDXID"`
		Name      string         `json:"name"`
		Namespace string         `json:"documentNamespace"`
		Creation  any            `json:"creationInfo"`
		Packages  []spdxPackage  `json:"packages"`
		Relations []spdxRelation `json:"relationships"`
	}{"SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT", name, "https://spdx.org/spdxdocs/" + name + "-" + hex.EncodeToString(sum[:16]),
		map[string]any{"created": r.when.Format(time.RFC3339), "creators": []string{"Tool: flink-entrypoint-release"}}, packages, relations}
	text, err := json.MarshalIndent(document, "", " ")
	return append(text, '\n'), err
}

func replaced(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// identifier keeps what SPDX allows in one.
func identifier(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, s)
}
