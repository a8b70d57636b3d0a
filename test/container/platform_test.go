//go:build container

package container

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/flinkhome/homes"
)

const platformProgram = "/usr/local/bin/flink-platform"

// platformImages are the images of the platform's server and of its worker for a version.
func (w *world) platformImages() PlatformBuilt {
	w.Helper()
	if binary := filepath.Join("..", "..", "bin", "flink-platform-linux-"+runtime.GOARCH); !exists(binary) {
		w.Fatalf("%s is missing: make build-platform-all", binary)
	}
	var said bytes.Buffer
	b, err := w.Platform(w.ctx, "../..", w.version, homes.Home(w.T, w.version), &said)
	if err != nil {
		w.Fatalf("%v\n%s", err, said.String())
	}
	return b
}

// TestPlatformImages: what the images of server and worker hold, and a script that a worker runs for a server, each locked down.
func TestPlatformImages(t *testing.T) {
	w := (&world{Podman: podman, version: newest()}).of(t)
	images := w.platformImages()
	w.Base = images.Base
	for _, of := range []struct {
		image, name string
		command     []string
		port        string
		components  []string
	}{
		{images.Server, "server", []string{"serve", "--listen", "0.0.0.0:8088", "--auth", "--data-dir", "/data"}, "8088/tcp", []string{"flink-entrypoint/cmd/flink-platform", "flink-entrypoint/cmd/flink-entrypoint", "github.com/jackc/pgx/v5", "modernc.org/sqlite", "go"}},
		{images.Worker, "worker", []string{"workbench", "--listen", "0.0.0.0:8089", "--token-file", "/run/secrets/workbench/token"}, "8089/tcp", []string{"flink-entrypoint/cmd/flink-platform", "pkg:maven/org.apache.flink/flink-dist@" + w.version}},
	} {
		var inspected []struct {
			Size   int64
			Config struct {
				User            string
				Entrypoint, Cmd []string
				ExposedPorts    map[string]any
			}
		}
		if err := json.Unmarshal([]byte(w.do("image", "inspect", of.image)), &inspected); err != nil {
			t.Fatal(err)
		}
		c := inspected[0].Config
		if _, port := c.ExposedPorts[of.port]; c.User != "9999:9999" || !slices.Equal(c.Entrypoint, []string{platformProgram}) || !slices.Equal(c.Cmd, of.command) || !port {
			t.Errorf("%s: %+v", of.name, c)
		}
		t.Logf("%s: %d MB", of.name, inspected[0].Size/1e6)
		prefix := filepath.Join(t.TempDir(), of.name)
		if err := w.Inventory(w.ctx, of.image, prefix); err != nil {
			t.Fatal(err)
		}
		var bom struct{ Components []component }
		text, err := os.ReadFile(prefix + ".cdx.json")
		if err == nil {
			err = json.Unmarshal(text, &bom)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range of.components {
			if !slices.ContainsFunc(bom.Components, func(c component) bool { return c.Name == want || c.PURL == want }) {
				t.Errorf("%s: the bill of materials lacks %s", of.name, want)
			}
		}
		if of.name == "server" {
			w.onlyServer(prefix + ".files")
			root := w.do("image", "mount", of.image)
			for _, name := range []string{"data", "tmp"} {
				info, err := os.Stat(filepath.Join(root, name))
				if err != nil {
					t.Fatal(err)
				}
				if s := info.Sys().(*syscall.Stat_t); s.Uid != 9999 || s.Gid != 9999 {
					t.Errorf("/%s is of %d:%d", name, s.Uid, s.Gid)
				}
			}
			w.do("image", "unmount", of.image)
		}
	}
	if out, code := w.once("--entrypoint", `["/bin/sh", "-c", "echo a shell"]`, images.Server); code != 127 {
		t.Errorf("a shell in the server's image ends with %d\n%s", code, out)
	}
	if out, code := w.once(images.Server, "help"); code != 0 || !strings.Contains(out, "flink-platform") {
		t.Errorf("help ends with %d\n%s", code, out)
	}

	// Both run locked down, as on a strict platform.
	locked := []string{"--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}
	dir := t.TempDir()
	home := filepath.Join(dir, "home", "lib") // of no Flink: clusters are elsewhere
	token := filepath.Join(dir, "token")
	script := filepath.Join(dir, "clicks.sql")
	example, err := os.ReadFile("../../examples/clicks.sql")
	if err == nil {
		err = os.WriteFile(script, example, 0o644)
	}
	if err == nil {
		err = os.MkdirAll(home, 0o755)
	}
	data := filepath.Join(dir, "data")
	if err == nil {
		err = os.Mkdir(data, 0o700)
	}
	if err == nil {
		err = os.Chown(data, 9999, 9999)
	}
	if err == nil {
		err = os.WriteFile(token, []byte("a-token-of-servers\n"), 0o644)
	}
	for at := dir; err == nil && at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		err = os.Chmod(at, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.join()
	worker := w.start("worker", nil, append(slices.Clone(locked), "-v", token+":/run/secrets/workbench/token:ro", "--memory", "3g", images.Worker)...)
	release := w.version[:strings.LastIndex(w.version, ".")]
	common := append(slices.Clone(locked), "-v", data+":/data", "-v", token+":/run/secrets/workbench/token:ro", "-v", filepath.Dir(home)+":/flink:ro", "-v", script+":/scripts/clicks.sql:ro")
	server := w.start("server", nil, append(common, "--entrypoint", `["`+platformProgram+`", "serve", "--listen", "127.0.0.1:8088", "--data-dir", "/data", "--flink-home", "/flink", "--workbench", "`+release+`=http://worker:8089", "--workbench-token-file", "/run/secrets/workbench/token"]`, images.Server)...)
	var out string
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Second) {
		if out, err = w.Do(w.ctx, "exec", server.name, platformProgram, "debug", "/scripts/clicks.sql", "--rows", "10", "--seed", "7", "--output", "json"); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v\n%s\n%s", err, server.tail(), worker.tail())
		}
	}
	if !strings.Contains(out, `"flink":"`+w.version+`"`) && !strings.Contains(out, `"flink": "`+w.version+`"`) || !strings.Contains(out, "clicks_per_page") || !strings.Contains(out, "finished") {
		t.Errorf("a debug run wrote\n%s", out)
	}
	if out := w.do("exec", server.name, platformProgram, "health"); !strings.Contains(out, "worker: Flink "+w.version) {
		t.Errorf("health: %s", out)
	}
	// The worker has nothing of the server, and ends as Kubernetes wants it.
	w.do("stop", "-t", "20", worker.name)
	if code := w.do("inspect", "--format", "{{.State.ExitCode}}", worker.name); code != "0" {
		t.Errorf("the worker ended with %s\n%s", code, worker.tail())
	}
	if out, err := w.Do(w.ctx, "exec", server.name, platformProgram, "validate", "/scripts/clicks.sql"); err == nil || !strings.Contains(err.Error(), "the worker for Flink "+release+" cannot be used") {
		t.Errorf("without its worker: %v\n%s", err, out)
	}
}

// onlyServer checks the list of files of the server's image: nothing but what it is for.
func (w *world) onlyServer(list string) {
	w.Helper()
	text, err := os.ReadFile(list)
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) != 3 {
			w.Fatalf("the line %q is not a mode, size and name", line)
		}
		if strings.ContainsAny(words[0][:len(words[0])-9], "ugt") || words[0][len(words[0])-2] == 'w' {
			w.Errorf("%s has the mode %s", words[2], words[0])
		}
		names = append(names, words[2])
	}
	want := []string{"/data/.keep", "/etc/group", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/tmp/.keep", "/usr/local/bin/flink-entrypoint", "/usr/local/bin/flink-platform"}
	// What a builder leaves for a container's mounts is empty.
	names = slices.DeleteFunc(names, func(name string) bool {
		return slices.Contains([]string{"dev", "proc", "sys", "run"}, strings.Split(name, "/")[1]) || path.Base(name) == ".wh..wh..opq"
	})
	slices.Sort(names)
	if !slices.Equal(names, want) {
		w.Errorf("the server's image has %q, want %q", names, want)
	}
}

// TestPlatformOtherArchitecture: both images get the binaries of the architecture that they are for.
func TestPlatformOtherArchitecture(t *testing.T) {
	w := (&world{Podman: podman, version: newest()}).of(t)
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			w := w.of(t)
			for _, name := range []string{"flink-platform", "flink-entrypoint"} {
				if binary := "../../bin/" + name + "-linux-" + arch; !exists(binary) {
					t.Fatalf("%s is missing: make build-all build-platform-all", binary)
				}
			}
			var said bytes.Buffer
			// An image of that architecture with a bundle, of which nothing runs.
			dir, bundle, name := t.TempDir(), "-----BEGIN CERTIFICATE-----\n", prefix+"certificates-"+arch+":1"
			for file, text := range map[string]string{"Dockerfile": "FROM scratch\nCOPY bundle /etc/ssl/certs/ca-certificates.crt\n", "bundle": bundle} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			certificates, err := w.build(w.ctx, &said, "-t", name, "--platform", "linux/"+arch, dir)
			if err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			defer w.remove("rmi", "-f", certificates)
			image, err := w.build(w.ctx, &said, "-f", "../../docker/Dockerfile.platform", "--build-arg", "CERTIFICATES_IMAGE="+name, "--platform", "linux/"+arch, "../..")
			if err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			defer w.remove("rmi", "-f", image)
			root := w.do("image", "mount", image)
			defer w.remove("image", "unmount", image)
			if text, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")); err != nil || string(text) != bundle {
				t.Errorf("its certificates are %q, %v", text, err)
			}
			for _, name := range []string{platformProgram, entrypoint} {
				f, err := elf.Open(filepath.Join(root, name))
				if err != nil {
					t.Fatal(err)
				}
				if f.Machine != machine {
					t.Errorf("%s is for %s, expected %s", name, f.Machine, machine)
				}
				f.Close()
			}
			if got := w.do("image", "inspect", "--format", "{{.Architecture}}", image); got != arch {
				t.Errorf("the image is for %s", got)
			}
		})
	}
	text, err := os.ReadFile("../../docker/Dockerfile.workbench")
	if err != nil || !strings.Contains(string(text), "\nARG TARGETARCH\n") {
		t.Errorf("the worker's image must declare TARGETARCH without a default (%v)", err)
	}
}
