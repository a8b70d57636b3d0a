// Package cluster starts real Flink processes through the entrypoint on the loopback interface, watches what they
// print, and asks their REST API. The demo and the end-to-end tests share it.
package cluster

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"flink-entrypoint/test/freeport"
)

// Cluster is one Flink cluster on this machine: its ports, its directories, and its processes.
type Cluster struct {
	Binary string // the entrypoint
	Home   string // FLINK_HOME
	Dir    string // run dirs and logs are below it
	Env    []string
	Host   string // where the REST API is; "": this machine
	Rest   int    // REST port
	rpc    int
	blob   int

	mu        sync.Mutex
	processes []*Process
}

// New chooses free ports. Dir must exist.
func New(binary, home, dir string) (*Cluster, error) {
	ports, err := freeport.Ports(3)
	if err != nil {
		return nil, err
	}
	return &Cluster{Binary: binary, Home: home, Dir: dir, Rest: ports[0], rpc: ports[1], blob: ports[2]}, nil
}

// Properties are the FLINK_PROPERTIES that keep a cluster on the loopback interface and on its own ports.
func (c *Cluster) Properties(role string) string {
	p := fmt.Sprintf(`jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: %d
jobmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: %d
blob.server.port: %d
`, c.rpc, c.Rest, c.blob)
	if role == "taskmanager" {
		p += "taskmanager.host: 127.0.0.1\ntaskmanager.bind-host: 127.0.0.1\ntaskmanager.rpc.port: 0\n"
	}
	return p
}

// Environment is what a container of the official image would have, without the caller's own variables.
func (c *Cluster) Environment(role string, more ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "FLINK_HOME=" + c.Home,
		"FLINK_LOG_DIR=" + filepath.Join(c.Dir, "log"), "FLINK_PID_DIR=" + c.Dir, "DISABLE_JEMALLOC=true",
		"FLINK_PROPERTIES=" + c.Properties(role)}
	if v := os.Getenv("JAVA_HOME"); v != "" {
		env = append(env, "JAVA_HOME="+v)
	}
	env = append(env, c.Env...)
	return append(env, more...)
}

// RunDir is the run dir of a process of that name.
func (c *Cluster) RunDir(name string) string { return filepath.Join(c.Dir, name) }

// Start starts the entrypoint with words, e.g. flags, role and arguments, as the process name.
func (c *Cluster) Start(name, role string, words []string, env ...string) (*Process, error) {
	if err := os.MkdirAll(filepath.Join(c.Dir, "log"), 0o755); err != nil {
		return nil, err
	}
	args := append([]string{"--run-dir", c.RunDir(name)}, words...)
	p := &Process{Name: name, cmd: exec.Command(c.Binary, args...), done: make(chan struct{})}
	p.cmd.Env = c.Environment(role, env...)
	p.cmd.Dir = c.Dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing outlives a killed test
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.read(out, false) })
	readers.Go(func() { p.read(errs, true) })
	go func() {
		readers.Wait()
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	c.mu.Lock()
	c.processes = append(c.processes, p)
	c.mu.Unlock()
	return p, nil
}

// Close ends every process, TaskManagers and JobManagers alike: SIGTERM, then SIGKILL after a grace time.
func (c *Cluster) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.processes {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	grace := time.After(10 * time.Second)
	for _, p := range c.processes {
		select {
		case <-p.done:
		case <-grace:
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	c.processes = nil
}

// Process is one started entrypoint, later the JVM it became.
type Process struct {
	Name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu     sync.Mutex
	stdout []string
	stderr []string
	notify []chan struct{}
}

func (p *Process) read(r io.Reader, isErr bool) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		if isErr {
			p.stderr = append(p.stderr, lines.Text())
		} else {
			p.stdout = append(p.stdout, lines.Text())
		}
		for _, n := range p.notify {
			close(n)
		}
		p.notify = nil
		p.mu.Unlock()
	}
}

// Stdout returns the lines printed so far.
func (p *Process) Stdout() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.stdout...)
}

// Stderr returns the lines printed so far.
func (p *Process) Stderr() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.stderr...)
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns the exit code, as a shell would give it (128+n after signal n).
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-ctx.Done():
		return -1, fmt.Errorf("%s has not ended: %w\n%s", p.Name, ctx.Err(), p.Tail(30))
	case <-p.done:
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, p.err
}

// Lines waits until stdout holds n lines that match, and returns them.
func (p *Process) Lines(ctx context.Context, n int, match func(string) bool) ([]string, error) {
	for {
		changed := make(chan struct{})
		p.mu.Lock()
		var found []string
		for _, l := range p.stdout {
			if match(l) {
				found = append(found, l)
			}
		}
		p.notify = append(p.notify, changed)
		p.mu.Unlock()
		if len(found) >= n {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return found, fmt.Errorf("%s printed %d matching lines, expected %d: %w\n%s", p.Name, len(found), n, ctx.Err(), p.Tail(30))
		case <-p.done:
			return found, fmt.Errorf("%s ended after %d matching lines, expected %d\n%s", p.Name, len(found), n, p.Tail(30))
		case <-changed:
		}
	}
}

// Tail returns the last lines of stdout and stderr for a failure message.
func (p *Process) Tail(n int) string {
	last := func(l []string) string { return strings.Join(l[max(0, len(l)-n):], "\n") }
	return fmt.Sprintf("--- %s stdout\n%s\n--- %s stderr\n%s", p.Name, last(p.Stdout()), p.Name, last(p.Stderr()))
}

// ErrNotYet is what a poll function returns while the state it waits for has not come.
var ErrNotYet = errors.New("not yet")

// Poll calls f until it succeeds, fails for good, or ctx ends.
func Poll(ctx context.Context, f func() error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil || !errors.Is(err, ErrNotYet) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Get asks the REST API and decodes the answer. While no process listens, or no leader is elected, it returns ErrNotYet.
func (c *Cluster) Get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d%s", cmp.Or(c.Host, "127.0.0.1"), c.Rest, path), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotYet, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotYet, err)
	}
	if res.StatusCode >= 500 || res.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: GET %s: %s: %.200s", ErrNotYet, path, res.Status, body)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %.200s", path, res.Status, body)
	}
	return json.Unmarshal(body, into)
}

// Job is one line of /jobs/overview.
type Job struct {
	ID    string `json:"jid"`
	Name  string `json:"name"`
	State string `json:"state"`
	Tasks map[string]int
}

// Jobs returns the jobs that the cluster knows.
func (c *Cluster) Jobs(ctx context.Context) ([]Job, error) {
	var o struct{ Jobs []Job }
	err := c.Get(ctx, "/jobs/overview", &o)
	return o.Jobs, err
}

// TaskManager is what /taskmanagers says of one.
type TaskManager struct {
	ID       string `json:"id"`
	Slots    int    `json:"slotsNumber"`
	Hardware struct {
		CPUCores       int   `json:"cpuCores"`
		PhysicalMemory int64 `json:"physicalMemory"`
		FreeMemory     int64 `json:"freeMemory"`
		ManagedMemory  int64 `json:"managedMemory"`
	} `json:"hardware"`
	Memory map[string]json.Number `json:"memoryConfiguration"`
}

// TaskManagers waits until n are registered and have reported their slots.
func (c *Cluster) TaskManagers(ctx context.Context, n int) ([]TaskManager, error) {
	var o struct{ TaskManagers []TaskManager }
	err := Poll(ctx, func() error {
		if err := c.Get(ctx, "/taskmanagers", &o); err != nil {
			return err
		}
		ready := 0
		for _, tm := range o.TaskManagers {
			if tm.Slots > 0 { // 0 until its first report
				ready++
			}
		}
		if ready < n {
			return fmt.Errorf("%w: %d of %d TaskManagers are registered", ErrNotYet, ready, n)
		}
		return nil
	})
	return o.TaskManagers, err
}
