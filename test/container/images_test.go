//go:build container

package container

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestImages looks at what the images hold and how they start.
func TestImages(t *testing.T) {
	forEachVersion(t, func(w *world) {
		var inspected []struct {
			Size   int64
			Config struct {
				User, WorkingDir string
				Entrypoint, Cmd  []string
				ExposedPorts     map[string]any
				Env              []string
			}
		}
		if err := json.Unmarshal([]byte(w.do("image", "inspect", w.Full, w.Slim)), &inspected); err != nil {
			w.Fatal(err)
		}
		for i, kind := range []struct{ name, user string }{{"full", ""}, {"slim", "9999:9999"}} {
			c := inspected[i].Config
			if c.User != kind.user || c.WorkingDir != "/opt/flink" || len(c.ExposedPorts) < 2 {
				w.Errorf("%s: user %q, working directory %q, ports %v", kind.name, c.User, c.WorkingDir, c.ExposedPorts)
			}
			if strings.Join(c.Entrypoint, " ") != "/docker-entrypoint.sh" || strings.Join(c.Cmd, " ") != "help" {
				w.Errorf("%s: starts %q %q", kind.name, c.Entrypoint, c.Cmd)
			}
			if env := strings.Join(c.Env, "\n"); !strings.Contains(env, "FLINK_HOME=/opt/flink") || !strings.Contains(env, "FLINK_CONF_DIR=/tmp/flink-entrypoint/conf") {
				w.Errorf("%s: variables %q", kind.name, c.Env)
			}
			w.Logf("%s: %d MB", kind.name, inspected[i].Size/1e6)
		}
		if inspected[1].Size >= inspected[0].Size {
			w.Errorf("the shell-less image has %d bytes, the other %d", inspected[1].Size, inspected[0].Size)
		}

		prefix := filepath.Join(w.T.TempDir(), "slim")
		if err := w.Inventory(w.ctx, w.Slim, prefix); err != nil {
			w.Fatal(err)
		}
		list, err := os.ReadFile(prefix + ".files")
		if err != nil {
			w.Fatal(err)
		}
		w.lists(string(list))
		w.bills(prefix + ".cdx.json")
		if out, code := w.once("--entrypoint", `["/bin/sh", "-c", "echo a shell"]`, w.Slim); code != 127 {
			w.Errorf("a shell in the shell-less image ends with %d\n%s", code, out)
		}
	})
}

// TestOtherArchitecture: an image for another architecture gets the binary for it (docker/buildx#510). The base is empty, since nothing of it
// runs.
func TestOtherArchitecture(t *testing.T) {
	w := newWorld(t, newest())
	for _, file := range []string{"../../docker/Dockerfile", "../../docker/Dockerfile.slim"} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "\nARG TARGETARCH\n") {
			t.Errorf("%s must declare TARGETARCH without a default, which BuildKit would prefer to the platform (%v)", file, err)
		}
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			w := w.of(t)
			if binary := "../../bin/flink-entrypoint-linux-" + arch; !exists(binary) {
				t.Fatalf("%s is missing: make build-all", binary)
			}
			var said bytes.Buffer
			image, err := w.build(w.ctx, &said, "-f", "../../docker/Dockerfile", "--build-arg", "FLINK_IMAGE=scratch", "--target", "plain", "--platform", "linux/"+arch, "../..")
			if err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			defer w.remove("rmi", image)
			root := w.do("image", "mount", image)
			defer w.remove("image", "unmount", image)
			f, err := elf.Open(filepath.Join(root, entrypoint))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Machine != machine {
				t.Errorf("the binary is for %s, expected %s", f.Machine, machine)
			}
			if got := w.do("image", "inspect", "--format", "{{.Architecture}}", image); got != arch {
				t.Errorf("the image is for %s", got)
			}
		})
	}
}

// lists checks the list of files: no shell, no package manager, nothing that gives rights, nothing that anybody may write.
func (w *world) lists(list string) {
	w.Helper()
	tools := map[string]bool{}
	for _, name := range strings.Fields("sh bash dash ash ksh zsh busybox toybox env perl python3 apt apt-get dpkg rpm apk gosu su sudo curl wget tar javac jlink jshell jdeps") {
		tools[name] = true
	}
	seen := map[string]string{}
	for line := range strings.Lines(list) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) != 3 {
			w.Fatalf("the line %q is not a mode, size and name", line)
		}
		mode, name := words[0], words[2]
		seen[name] = mode
		if tools[path.Base(name)] {
			w.Errorf("the shell-less image has %s", name)
		}
		if strings.ContainsAny(mode[:len(mode)-9], "ugt") { // Go's letters for set-uid, set-gid and sticky
			w.Errorf("%s gives rights: %s", name, mode)
		}
		if mode[0] != 'L' && mode[len(mode)-2] == 'w' {
			w.Errorf("anybody may write %s: %s", name, mode)
		}
	}
	for name, letter := range map[string]string{"/docker-entrypoint.sh": "L", entrypoint: "-", "/opt/java/bin/java": "-", "/opt/flink/lib/flink-dist-" + w.version + ".jar": "-", "/etc/passwd": "-"} {
		if !strings.HasPrefix(seen[name], letter) || seen[name] == "" {
			w.Errorf("%s is %q", name, seen[name])
		}
	}
	archive := false // of shared classes
	for name := range seen {
		archive = archive || path.Base(name) == "classes.jsa"
	}
	if !archive {
		w.Error("the Java runtime has no archive of shared classes")
	}
	w.Logf("slim: %s files", strconv.Itoa(len(seen)))
}

// bills checks the bill of materials.
func (w *world) bills(file string) {
	w.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		w.Fatal(err)
	}
	var bom struct {
		BOMFormat   string
		SpecVersion string
		Components  []component
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		w.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.5" {
		w.Errorf("the bill of materials is %s %s", bom.BOMFormat, bom.SpecVersion)
	}
	// Flink itself, one that is shaded into it and has no coordinates there, one that has, and one that is not a jar.
	want := map[string]bool{"pkg:maven/org.apache.flink/flink-dist@" + w.version: true, "commons-io": true, "log4j-core": true, "java": true, "go": true, "libjemalloc.so": true, "libc.so.6": true}
	for _, c := range bom.Components {
		if strings.HasSuffix(c.Name, ".jar") && len(c.Hashes) != 1 {
			w.Errorf("%s has no digest", c.Name)
		}
		if c.PURL != "" && (c.Version == "" || strings.Count(c.PURL, ":") != 1 || strings.Contains(c.PURL, " ")) {
			w.Errorf("%s is not a package URL", c.PURL)
		}
		delete(want, c.Name)
		delete(want, c.PURL)
	}
	for name := range want {
		w.Errorf("the bill of materials lacks %s", name)
	}
	w.Logf("slim: %d components", len(bom.Components))
}
