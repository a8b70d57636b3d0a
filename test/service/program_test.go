package service

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"

	"flink-entrypoint/test/world"
)

// platform is a service that remembers what was asked, and a Flink home of empty jars beside it.
type platform struct {
	t        *testing.T
	binary   string
	dir, url string
	jobs     fstest.MapFS

	mu     sync.Mutex
	asked  []string // artifacts, with their Range
	damage int      // bytes after which the next artifact is cut; 0: none
}

func newPlatform(t *testing.T) *platform {
	p := &platform{t: t, binary: world.Binary(t), dir: t.TempDir(), jobs: fstest.MapFS{}}
	world.Write(t, p.dir, world.Stub("2.2.1", world.Sizes, "for a; do echo \"arg: $a\"; done\nenv | grep FLINK_ | grep -v INHERITED\n"), world.Files{"flink/plugins/own/own.jar": "", "flink/usrlib/own.jar": ""})
	s := &Service{Jobs: p.jobs, Artifacts: fstest.MapFS{"a.jar": {Data: world.Jar("a")}, "b.jar": {Data: world.Jar("b")}, "c.jar": {Data: world.Jar("c")}, "d.csv": {Data: []byte("1,2\n")},
		"page.jar": {Data: []byte("not a zip file")}, "big.jar": {Data: world.Jar(strings.Repeat("0123456789abcdef", 20000))}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		damage := p.damage
		if name, ok := strings.CutPrefix(r.URL.Path, "/artifacts/"); ok {
			p.asked = append(p.asked, strings.TrimSpace(name+" "+r.Header.Get("Range")))
			p.damage = 0
		} else {
			damage = 0
		}
		p.mu.Unlock()
		if damage > 0 {
			w = &cutWriter{w, damage}
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// cutWriter ends the connection after some bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if len(b) > c.left {
		_, _ = c.ResponseWriter.Write(b[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// define sets the artifacts of the job, each "NAME TO DIGEST".
func (p *platform) define(artifacts ...string) {
	d := "apiVersion: flink-entrypoint/v1\nname: clicks\nartifacts:\n"
	for _, a := range artifacts {
		words := strings.Fields(a)
		uri := words[0]
		if !strings.Contains(uri, ":") {
			uri = p.url + "/artifacts/" + uri
		}
		d += fmt.Sprintf("  - {uri: %q, to: %s", uri, words[1])
		if len(words) > 2 {
			d += ", sha256: " + words[2]
		}
		d += "}\n"
	}
	p.jobs["clicks.yaml"] = &fstest.MapFile{Data: []byte(d)}
}

func (p *platform) run(words ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	cmd := exec.Command(p.binary, append([]string{"--definition", p.url + "/jobs/clicks", "--run-dir", filepath.Join(p.dir, "run"),
		"--termination-log", filepath.Join(p.dir, "termination"), "--fetch-timeout", "10s"}, words...)...)
	cmd.Env = world.Env(p.dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// requests returns what was asked for since the last call.
func (p *platform) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.asked
	p.asked = nil
	slices.Sort(out)
	return out
}

// TestArtifactsOfAStart follows artifacts from the definition to the places where Flink looks, on both kinds of processes.
func TestArtifactsOfAStart(t *testing.T) {
	for _, role := range []string{"jobmanager", "taskmanager"} {
		t.Run(role, func(t *testing.T) {
			p := newPlatform(t)
			p.define("a.jar usrlib "+sum(world.Jar("a")), "b.jar lib "+sum(world.Jar("b")), "c.jar plugins/mine "+sum(world.Jar("c")), "d.csv run")
			if code, stdout, stderr := p.run("--output", "json", "explain", role); code != 0 || !strings.Contains(stdout, "/run/usrlib/a.jar") {
				t.Errorf("explain: exit code %d\n%s%s", code, stdout, stderr)
			}
			if asked := p.requests(); asked != nil {
				t.Errorf("explain asks for artifacts: %v", asked)
			}
			code, stdout, stderr := p.run(role)
			if code != 0 {
				t.Fatalf("exit code %d\n%s", code, stderr)
			}
			if asked := p.requests(); !slices.Equal(asked, []string{"a.jar", "b.jar", "c.jar", "d.csv"}) {
				t.Errorf("asked for %v", asked)
			}
			run := filepath.Join(p.dir, "run")
			for _, name := range []string{"usrlib/a.jar", "usrlib/own.jar", "extra-lib/b.jar", "plugins/mine/c.jar", "plugins/own", "artifacts/d.csv"} {
				if _, err := os.Stat(filepath.Join(run, name)); err != nil {
					t.Error(err)
				}
			}
			for _, want := range []string{"FLINK_LIB_DIR=" + filepath.Join(run, "lib"), "FLINK_PLUGINS_DIR=" + filepath.Join(run, "plugins"), filepath.Join(run, "extra-lib/b.jar")} {
				if !strings.Contains(stdout, want) {
					t.Errorf("the process lacks %s\n%s", want, stdout)
				}
			}
			if code, _, stderr := p.run(role); code != 0 {
				t.Errorf("the second start: %d\n%s", code, stderr)
			}
			if asked := p.requests(); !slices.Equal(asked, []string{"d.csv"}) {
				t.Errorf("the second start asks for %v, want only what has no digest", asked)
			}
			p.define("b.jar lib "+sum(world.Jar("b")), "a.jar usrlib "+sum(world.Jar("a")))
			if code, _, stderr := p.run(role); code != 0 || p.requests() != nil {
				t.Errorf("the third start: %d\n%s", code, stderr)
			}
		})
	}
}

func TestArtifactFailures(t *testing.T) {
	for _, c := range []struct {
		name      string
		artifacts []string
		code      int
		says      string
	}{
		{"another digest", []string{"a.jar usrlib " + strings.Repeat("0", 64)}, 27, "its sha256 is "},
		{"no digest for lib", []string{"a.jar lib"}, 22, "sha256"},
		{"no digest for plugins", []string{"a.jar plugins/x"}, 22, "sha256"},
		{"two of one name", []string{"a.jar usrlib", "a.jar usrlib"}, 22, "a.jar"},
		{"no zip", []string{"page.jar usrlib"}, 27, "it is not a zip file"},
		{"missing", []string{"none.jar usrlib"}, 27, "no file none.jar"},
		{"a path out", []string{"a.jar plugins/../x " + strings.Repeat("0", 64)}, 22, "to"},
		{"s3", []string{"s3://bucket/a.jar usrlib"}, 27, "hint: use the store's https: endpoint"},
		{"hdfs", []string{"hdfs://nn/a.jar usrlib"}, 27, "hint: use WebHDFS or HttpFS"},
		{"local", []string{"local:///opt/a.jar usrlib"}, 27, "hint: local: means a file of the image"},
		{"no file", []string{"file:///does/not/exist.jar usrlib"}, 27, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlatform(t)
			p.define(c.artifacts...)
			code, _, stderr := p.run("taskmanager")
			if code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("exit code %d, want %d and %q\n%s", code, c.code, c.says, stderr)
			}
			var left []string
			_ = filepath.WalkDir(filepath.Join(p.dir, "run"), func(path string, d fs.DirEntry, err error) error {
				if err == nil && (strings.HasSuffix(path, ".jar") || strings.HasSuffix(path, "config.yaml")) && d.Type().IsRegular() {
					left = append(left, path)
				}
				return nil
			})
			if left != nil {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// TestArtifactClash: a link at an artifact's place is not written through, whichever program made it.
func TestArtifactClash(t *testing.T) {
	p := newPlatform(t)
	p.define("a.jar usrlib")
	if err := os.MkdirAll(filepath.Join(p.dir, "run/usrlib"), 0o700); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(p.dir, "victim")
	if err := os.Symlink(target, filepath.Join(p.dir, "run/usrlib/a.jar")); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := p.run("taskmanager")
	if _, err := os.Stat(target); code != 27 || !strings.Contains(stderr, "symbolic link") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("exit code %d, want 27, and nothing written through the link (%v)\n%s", code, err, stderr)
	}
}

// TestArtifactResumed: what one attempt has left the next one continues.
func TestArtifactResumed(t *testing.T) {
	p := newPlatform(t)
	big := world.Jar(strings.Repeat("0123456789abcdef", 20000))
	p.define("big.jar usrlib " + sum(big))
	p.damage = 100000
	code, _, stderr := p.run("taskmanager")
	asked := p.requests()
	if code != 0 || len(asked) != 2 || asked[0] != "big.jar" || !strings.HasPrefix(asked[1], "big.jar bytes=") {
		t.Errorf("exit code %d, asked for %q\n%s", code, asked, stderr)
	}
	if got, err := os.ReadFile(filepath.Join(p.dir, "run/usrlib/big.jar")); err != nil || !bytes.Equal(got, big) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(big), err)
	}
}

// TestFullDisk: no room for an artifact is a failure to write (29), which another try does not fix.
func TestFullDisk(t *testing.T) {
	p := newPlatform(t)
	run := filepath.Join(p.dir, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", run, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skipf("cannot mount a small file system (%v): run the tests as root", err)
	}
	defer func() {
		if err := syscall.Unmount(run, 0); err != nil {
			t.Error(err)
		}
	}()
	p.define("big.jar usrlib")
	code, _, stderr := p.run("taskmanager")
	if code != 29 || !strings.Contains(stderr, "no space left on device") || !strings.Contains(stderr, "hint: ") {
		t.Errorf("exit code %d, want 29\n%s", code, stderr)
	}
	if entries, err := os.ReadDir(filepath.Join(run, "usrlib")); err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.Contains(e.Name(), "big.jar") }) {
		t.Errorf("left over: %v, %v", entries, err)
	}
}
