//go:build container

package container

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
)

// The binary's path in both images.
const entrypoint = "/usr/local/bin/flink-entrypoint"

// What the tests make carries this label with the id of the process that made it.
const ownerLabel = "flink-entrypoint.test"

// podman and built are shared by the tests of a run: images are made once for a version.
var (
	podman *Podman
	built  = map[string]func() (Built, error){}
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if podman, err = Open(); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			return 1
		}
		if err := sweep(); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			return 1
		}
		for _, v := range homes.Versions() {
			built[v] = sync.OnceValues(func() (Built, error) { return buildImages(v) })
		}
		return m.Run()
	}())
}

// newest is the version for tests that do not depend on it.
func newest() string {
	all := homes.Versions()
	return all[len(all)-1]
}

// sweep removes what earlier runs left that were killed before they could clean up.
func sweep() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "-a"}, []string{"rm", "-f", "-t", "0"}},
		{[]string{"network", "ls"}, []string{"network", "rm"}},
	} {
		text, err := podman.Do(ctx, append(kind.list, "--format", "json", "--filter", "label="+ownerLabel)...)
		if err != nil {
			return err
		}
		var found []struct {
			ID     string
			Labels map[string]string
		}
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			return fmt.Errorf("podman %s: %w in %q", strings.Join(kind.list, " "), err, text)
		}
		for _, f := range found {
			if pid, err := strconv.Atoi(f.Labels[ownerLabel]); err == nil && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				continue // a run beside this one
			}
			if _, err := podman.Do(ctx, append(kind.remove, f.ID)...); err != nil && !absent(err) {
				return err
			}
		}
	}
	return nil
}

// TestSweep: what a run left that was killed is removed, and nothing of a run that lives.
func TestSweep(t *testing.T) {
	w := newWorld(t, newest())
	killed := exec.Command("true")
	if err := killed.Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		owner int
		stays bool
	}{{killed.Process.Pid, false}, {os.Getpid(), true}} {
		name, label := unique("sweep"), fmt.Sprintf("%s=%d", ownerLabel, c.owner)
		w.Cleanup(func() { w.remove("rm", "-f", "-t", "0", name) })
		w.Cleanup(func() { w.remove("network", "rm", name) })
		w.do("network", "create", "--label", label, name)
		w.do("create", "--name", name, "--label", label, w.Slim)
		if err := sweep(); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"container", "network"} {
			if _, err := w.Do(w.ctx, kind, "exists", name); (err == nil) != c.stays {
				t.Errorf("the %s of process %d stays: %v, expected %v", kind, c.owner, err == nil, c.stays)
			}
		}
	}
}

func buildImages(version string) (Built, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	root, err := filepath.Abs("../..")
	if err != nil {
		return Built{}, err
	}
	if binary := filepath.Join(root, "bin", "flink-entrypoint-linux-"+runtime.GOARCH); !exists(binary) {
		return Built{}, fmt.Errorf("%s is missing: make build-all", binary)
	}
	folder, err := homes.Root()
	if err != nil {
		return Built{}, err
	}
	home := filepath.Join(folder, version)
	if _, err := os.Stat(filepath.Join(home, "lib")); err != nil {
		return Built{}, fmt.Errorf("no Flink %s in %s; bring it with: go run ./test/flinkhome %s", version, folder, version)
	}
	var said bytes.Buffer
	b, err := podman.Build(ctx, root, version, home, &said)
	if err != nil {
		return b, fmt.Errorf("%w\n%s", err, said.String())
	}
	return b, nil
}

// world is a network of containers for one test.
type world struct {
	*testing.T
	*Podman
	Built
	ctx     context.Context
	version string
	network string
}

// newWorld makes sure that the images of the version are there (podman's cache makes a second time cheap).
func newWorld(t *testing.T, version string) *world {
	t.Helper()
	b, err := built[version]()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Podman: podman, Built: b, version: version}
	return w.of(t)
}

// of is this world for a subtest, with a time of its own.
func (w *world) of(t *testing.T) *world {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	sub := *w
	sub.T, sub.ctx = t, ctx
	return &sub
}

func forEachVersion(t *testing.T, f func(w *world)) {
	for _, v := range homes.Versions() {
		t.Run(v, func(t *testing.T) { f(newWorld(t, v)) })
	}
}

func (w *world) do(args ...string) string {
	w.Helper()
	out, err := w.Do(w.ctx, args...)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func owner() string { return fmt.Sprintf("%s=%d", ownerLabel, os.Getpid()) }

// unique makes a name that no other run has.
func unique(name string) string {
	return fmt.Sprintf("%s-%d-%d", name, os.Getpid(), time.Now().UnixNano())
}

// join gives the test a bridge network of its own, and returns its gateway: this machine, as containers see it. A container that
// only waits keeps the bridge up.
func (w *world) join() (gateway string) {
	w.Helper()
	w.network = unique("test")
	w.Cleanup(func() { w.remove("network", "rm", "-f", "-t", "0", w.network) })
	w.do("network", "create", "--label", owner(), w.network)
	w.start("keeper", nil, "--entrypoint", `["sleep", "3600"]`, w.Base)
	return w.do("network", "inspect", "--format", "{{(index .Subnets 0).Gateway}}", w.network)
}

// remove cleans up; what cannot be removed fails the test, because the next one would find it.
func (w *world) remove(args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := w.Do(ctx, args...); err != nil && !absent(err) {
		w.Error(err)
	}
}

// absent tells whether podman found nothing to remove.
func absent(err error) bool {
	for _, said := range []string{"no such", "not found", "not known", "unable to find"} {
		if strings.Contains(err.Error(), said) {
			return true
		}
	}
	return false
}

// started is a running container.
type started struct {
	w    *world
	name string
}

// start runs a container in the background. Its name is unique; other containers reach it by alias. env are variables.
func (w *world) start(alias string, env []string, args ...string) *started {
	w.Helper()
	c := &started{w, unique(alias)}
	words := []string{"run", "-d", "--name", c.name, "--hostname", alias, "--label", owner()}
	if w.network != "" {
		words = append(words, "--network", w.network, "--network-alias", alias)
	}
	for _, e := range env {
		words = append(words, "-e", e)
	}
	w.Cleanup(func() {
		if w.Failed() {
			w.Logf("--- %s\n%s", alias, c.tail())
		}
		w.remove("rm", "-f", "-t", "0", c.name)
	})
	w.do(append(words, args...)...)
	return c
}

func (c *started) logs() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, _ := c.w.Command(ctx, "logs", c.name).CombinedOutput()
	return string(out)
}

func (c *started) tail() string {
	lines := strings.Split(c.logs(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// wait returns the exit code.
func (c *started) wait() int {
	c.w.Helper()
	code, err := strconv.Atoi(c.w.do("wait", c.name))
	if err != nil {
		c.w.Fatal(err)
	}
	return code
}

// stopped sends a signal and returns the exit code and the time to the end.
func (c *started) stopped(signal string) (code int, took time.Duration) {
	c.w.Helper()
	begin := time.Now()
	c.w.do("kill", "-s", signal, c.name)
	return c.wait(), time.Since(begin)
}

// exec runs a command inside and returns its output and exit code.
func (c *started) exec(args ...string) (string, int) {
	cmd := c.w.Command(c.w.ctx, append([]string{"exec", c.name}, args...)...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// healthy waits until the probe of a role succeeds. A container that ends before fails the test.
func (c *started) healthy(role string) {
	c.w.Helper()
	said := ""
	err := cluster.Poll(c.w.ctx, func() error {
		var code int
		if said, code = c.exec(entrypoint, "health", role); code == 0 {
			return nil
		}
		if state := c.inspect("{{.State.Status}} {{.State.ExitCode}}"); !strings.HasPrefix(state, "running") && !strings.HasPrefix(state, "stopping") {
			return fmt.Errorf("the container is %s", state)
		}
		return cluster.ErrNotYet
	})
	if err != nil {
		c.w.Fatalf("the %s does not become healthy: %v\n%s", role, err, said)
	}
}

// says waits until the container has printed a text.
func (c *started) says(text string) {
	c.w.Helper()
	if err := cluster.Poll(c.w.ctx, func() error {
		if strings.Contains(c.logs(), text) {
			return nil
		}
		return cluster.ErrNotYet
	}); err != nil {
		c.w.Fatalf("it does not say %q: %v", text, err)
	}
}

func (c *started) inspect(format string) string {
	c.w.Helper()
	return c.w.do("inspect", "--format", format, c.name)
}

// proc is the place of a file of the container's first process.
func (c *started) proc(file string) string {
	c.w.Helper()
	return filepath.Join("/proc", c.inspect("{{.State.Pid}}"), file)
}

// procText reads it.
func (c *started) procText(file string) string {
	c.w.Helper()
	text, err := os.ReadFile(c.proc(file))
	if err != nil {
		c.w.Fatal(err)
	}
	return string(text)
}

// files describes everything below a folder of the container, seen from outside, since the image need not have tools: path → mode, owner
// and content.
func (c *started) files(folder string) map[string]string {
	c.w.Helper()
	out := map[string]string{}
	root := c.proc("root")
	err := filepath.WalkDir(root+folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%s %d", st.Mode(), st.Sys().(*syscall.Stat_t).Uid)
		switch {
		case st.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " -> " + to
		case st.Mode().IsRegular():
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			what += fmt.Sprintf(" %d bytes %x", st.Size(), h.Sum(nil))
		}
		out[strings.TrimPrefix(path, root)] = what
		return nil
	})
	if err != nil {
		c.w.Fatal(err)
	}
	return out
}

// rest is the REST API of a JobManager that was started with -p 127.0.0.1::8081.
func (c *started) rest() *cluster.Cluster {
	c.w.Helper()
	_, port, err := net.SplitHostPort(c.w.do("port", c.name, "8081/tcp"))
	if err != nil {
		c.w.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		c.w.Fatal(err)
	}
	return &cluster.Cluster{Rest: n}
}

// explained is the part of explain's answer that the tests compare.
type explained struct {
	Memory struct {
		Source      string
		ProcessSize int64
		Components  map[string]int64
	}
}

func (c *started) explain(role string) explained {
	c.w.Helper()
	var stderr strings.Builder
	cmd := c.w.Command(c.w.ctx, "exec", c.name, entrypoint, "--output", "json", "explain", role)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		c.w.Fatalf("explain: %v\n%s%s", err, out, stderr.String())
	}
	var e explained
	if err := json.Unmarshal(out, &e); err != nil {
		c.w.Fatal(err)
	}
	return e
}

// once runs a container to its end and returns what it printed and its exit code.
func (w *world) once(args ...string) (string, int) {
	w.Helper()
	name := unique("once")
	w.Cleanup(func() { w.remove("rm", "-f", "-t", "0", name) })
	cmd := w.Command(w.ctx, append([]string{"run", "--rm", "--name", name, "--label", owner()}, args...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
