//go:build container

package container

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
)

// The binary's path in both images.
const entrypoint = "/usr/local/bin/flink-entrypoint"

// world is a network of containers for one test.
type world struct {
	*testing.T
	*Podman
	ctx     context.Context
	version string
	network string
}

// newWorld makes sure that the images of the version are there (podman's cache makes a second time cheap).
func newWorld(t *testing.T, version string) *world {
	t.Helper()
	p, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if binary := filepath.Join(root, "bin", "flink-entrypoint-linux-"+runtime.GOARCH); !exists(binary) {
		t.Fatalf("%s is missing: make build-all", binary)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "build"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := p.Images(ctx, root, version, homes.Home(t, version), log); err != nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("%v\n%s", err, text)
	}
	return &world{T: t, Podman: p, ctx: ctx, version: version}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func forEachVersion(t *testing.T, f func(w *world)) {
	versions := []string{"1.20.5", "2.2.1"}
	if v := os.Getenv("FLINK_VERSIONS"); v != "" {
		versions = strings.Fields(v)
	}
	for _, v := range versions {
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

// join gives the test a bridge network of its own, and returns its gateway: this machine, as containers see it. A container that
// only waits keeps the bridge up.
func (w *world) join() (gateway string) {
	w.Helper()
	w.network = fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano())
	w.do("network", "create", w.network)
	w.Cleanup(func() { _, _ = w.Do(context.Background(), "network", "rm", "-f", "-t", "0", w.network) })
	w.start("keeper", nil, "--entrypoint", `["sleep", "3600"]`, OSImage)
	return w.do("network", "inspect", "--format", "{{(index .Subnets 0).Gateway}}", w.network)
}

// started is a running container.
type started struct {
	w    *world
	name string
}

// start runs a container in the background. Its name is unique; other containers reach it by alias. env are variables.
func (w *world) start(alias string, env []string, args ...string) *started {
	w.Helper()
	c := &started{w, fmt.Sprintf("%s-%d-%d", alias, os.Getpid(), time.Now().UnixNano())}
	words := []string{"run", "-d", "--name", c.name, "--hostname", alias}
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
		_, _ = w.Do(context.Background(), "rm", "-f", "-t", "0", c.name)
	})
	w.do(append(words, args...)...)
	return c
}

func (c *started) logs() string {
	out, _ := c.w.Command(context.Background(), "logs", c.name).CombinedOutput()
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

// exec runs the entrypoint inside and returns its output and exit code.
func (c *started) exec(args ...string) (string, int) {
	cmd := c.w.Command(c.w.ctx, append([]string{"exec", c.name}, args...)...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// proc reads a file of the container's first process.
func (c *started) proc(file string) string {
	c.w.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", c.w.do("inspect", "--format", "{{.State.Pid}}", c.name), file))
	if err != nil {
		c.w.Fatal(err)
	}
	return string(text)
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
	cmd := w.Command(w.ctx, append([]string{"run", "--rm"}, args...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !asExit(err, &exit) {
		w.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func asExit(err error, exit **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*exit = e
	return ok
}
