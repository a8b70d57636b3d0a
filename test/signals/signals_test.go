// Package signals stops the program at every moment before exec, as PID 1 and not, and looks at how it ends and what it
// leaves on the disk.
package signals

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/world"
)

func TestMain(m *testing.M) {
	// What is ignored here (SIGHUP under nohup, SIGINT and SIGQUIT in a shell's background) stays ignored in the program; what is
	// handled does not.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	os.Exit(m.Run())
}

// machine is a Flink home of empty jars, a Java that says that it was started, and a service.
type machine struct {
	t       *testing.T
	binary  string
	dir     string
	service *httptest.Server
	hang    string        // requests whose path begins so are answered never …
	half    bool          // … or by half
	arrived chan struct{} // one for each of those
	gone    chan struct{}
	env     []string
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, binary: world.Binary(t), dir: t.TempDir(), arrived: make(chan struct{}, 100), gone: make(chan struct{})}
	world.Write(t, m.dir, world.Stub("2.2.1", world.Sizes, "echo started\nexec sleep 60\n"))
	m.service = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(func() { close(m.gone); m.service.Close() })
	m.env = world.Env(m.dir)
	return m
}

func (m *machine) write(name, content string) string {
	m.t.Helper()
	return world.File(m.t, filepath.Join(m.dir, name), content, 0o755)
}

// jar is a zip file of some size.
func jar() []byte { return world.Jar(strings.Repeat("0123456789abcdef", 1<<14)) }

func (m *machine) serve(w http.ResponseWriter, r *http.Request) {
	var body []byte
	switch {
	case strings.HasPrefix(r.URL.Path, "/artifacts/"):
		body = jar()
	case r.URL.Path == "/down":
		m.arrived <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	default:
		body = fmt.Appendf(nil, "apiVersion: flink-entrypoint/v1\nname: clicks\nartifacts:\n  - uri: http://%s/artifacts/a.jar\n    sha256: %x\nsql:\n  script: |\n    CREATE TABLE t (n INT) WITH ('connector'='print');\n    INSERT INTO t VALUES (1);\n",
			r.Host, sha256.Sum256(jar()))
	}
	if m.hang == "" || !strings.HasPrefix(r.URL.Path, m.hang) {
		_, _ = w.Write(body)
		return
	}
	if m.half {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
	}
	m.arrived <- struct{}{}
	select {
	case <-r.Context().Done():
	case <-m.gone:
	}
}

// command makes a start of the program. asPID1 puts it into a PID namespace of its own.
func (m *machine) command(asPID1 bool, words ...string) *exec.Cmd {
	cmd := exec.Command(m.binary, append([]string{"--run-dir", filepath.Join(m.dir, "run"),
		"--termination-log", filepath.Join(m.dir, "termination"), "--log-level", "debug"}, words...)...)
	cmd.Env = m.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if asPID1 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		}
	}
	return cmd
}

// needPID1 skips a test where no PID namespace can be made.
func needPID1(t *testing.T) {
	t.Helper()
	cmd := newMachine(t).command(true, "version")
	if err := cmd.Run(); err != nil {
		t.Skipf("cannot make a PID namespace (%v): run the tests as root, or allow unprivileged user namespaces", err)
	}
}

// waited is how a process ended, as a shell gives it.
func waited(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return -1, err
}

// TestStoppedInAPhase stops a start where it waits for another process.
func TestStoppedInAPhase(t *testing.T) {
	definition := func(m *machine) []string { return []string{"--definition", m.service.URL + "/job.yaml"} }
	phases := []struct {
		name  string
		setup func(m *machine) []string                    // returns flags
		ready func(m *machine, stderr *bufio.Reader) error // nil: a request has arrived
	}{
		{"definition, no answer", func(m *machine) []string { m.hang = "/job"; return definition(m) }, nil},
		{"definition, half an answer", func(m *machine) []string { m.hang, m.half = "/job", true; return definition(m) }, nil},
		{"definition, between two attempts", func(m *machine) []string { return []string{"--definition", m.service.URL + "/down"} }, nil},
		{"artifact, no answer", func(m *machine) []string { m.hang = "/artifacts"; return definition(m) }, nil},
		{"artifact, half an answer", func(m *machine) []string { m.hang, m.half = "/artifacts", true; return definition(m) }, nil},
		{"splay", func(m *machine) []string { return append(definition(m), "--fetch-splay", "100s") }, func(_ *machine, stderr *bufio.Reader) error {
			for {
				line, err := stderr.ReadString('\n')
				if err != nil || strings.Contains(line, "waiting before the first request") {
					return err
				}
			}
		}},
		{"secret from a pipe that cannot be interrupted", func(m *machine) []string {
			return []string{"--definition", m.write("job.yaml", "apiVersion: flink-entrypoint/v1\nname: x\nconfiguration: {a.b: {fromFile: \""+m.pipe("secret")+"\"}}\n")}
		}, (*machine).opened},
	}
	for _, asPID1 := range []bool{false, true} {
		t.Run(fmt.Sprintf("pid1=%v", asPID1), func(t *testing.T) {
			if asPID1 {
				needPID1(t)
			}
			for i, p := range phases {
				signals := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGABRT}
				if testing.Short() {
					signals = signals[i%len(signals):][:1] // each phase one, each signal a phase
				}
				for _, sig := range signals {
					want := 128 + int(sig)
					t.Run(p.name+" "+sig.String(), func(t *testing.T) {
						m := newMachine(t)
						cmd := m.command(asPID1, append(p.setup(m), "standalone-job")...)
						stderr, err := cmd.StderrPipe()
						if err != nil {
							t.Fatal(err)
						}
						if err := cmd.Start(); err != nil {
							t.Fatal(err)
						}
						lines := bufio.NewReader(stderr)
						if p.ready != nil {
							if err := p.ready(m, lines); err != nil {
								t.Error(err)
							}
						} else {
							select {
							case <-m.arrived:
							case <-time.After(time.Minute):
								t.Error("no request has arrived")
							}
						}
						began := time.Now()
						if err := cmd.Process.Signal(sig); err != nil {
							t.Fatal(err)
						}
						rest, _ := io.ReadAll(lines)
						code, err := waited(cmd.Wait())
						if err != nil {
							t.Fatal(err)
						}
						if took := time.Since(began); took > 25*time.Second { // on a loaded machine; the program itself waits for longer
							t.Errorf("it took %v to end", took)
						}
						if code != want || !strings.Contains(string(rest), "error: stopped by a signal") {
							t.Errorf("exit code %d, want %d\n%s", code, want, rest)
						}
						if b, err := os.ReadFile(filepath.Join(m.dir, "termination")); err != nil || !strings.Contains(string(b), "stopped by a signal") {
							t.Errorf("termination message %q, %v", b, err)
						}
						if _, err := os.Stat(filepath.Join(m.dir, "run/conf/config.yaml")); err == nil {
							t.Error("the configuration was written, although the start was stopped before")
						}
						if _, err := os.Stat(filepath.Join(m.dir, "run/usrlib/a.jar")); err == nil {
							t.Error("half an artifact is at its place")
						}
					})
				}
			}
		})
	}
}

// TestIgnoredHangUpStaysIgnored: nohup has SIGHUP ignored. It must neither end the preparation nor the process of Flink.
func TestIgnoredHangUpStaysIgnored(t *testing.T) {
	m := newMachine(t)
	m.hang = "/job"
	start := m.command(false, "--definition", m.service.URL+"/job.yaml", "taskmanager")
	cmd := exec.Command("sh", append([]string{"-c", `trap "" HUP; exec "$@"`, "sh"}, start.Args...)...)
	cmd.Env, cmd.SysProcAttr = start.Env, start.SysProcAttr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.arrived:
	case <-time.After(time.Minute):
		t.Error("no request has arrived")
	}
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if code, err := waited(cmd.Wait()); err != nil || code != 143 {
		t.Errorf("exit code %d, want 143 of the SIGTERM that followed\n%v", code, err)
	}

	m.write("java/bin/java", "#!/bin/sh\nexec grep SigIgn /proc/self/status\n")
	start = m.command(false, "taskmanager")
	cmd = exec.Command("sh", append([]string{"-c", `trap "" HUP; exec "$@"`, "sh"}, start.Args...)...)
	cmd.Env = start.Env
	out, err := cmd.Output()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "1") { // the lowest bit is SIGHUP's
		t.Errorf("Java ignores the signals %s, want SIGHUP among them: %v", out, err)
	}
}

// pipe makes a pipe without a writer.
func (m *machine) pipe(name string) string {
	path := filepath.Join(m.dir, name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// opened waits until a process reads from the machine's pipe.
func (m *machine) opened(*bufio.Reader) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	return cluster.Poll(ctx, func() error {
		f, err := os.OpenFile(filepath.Join(m.dir, "secret"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if errors.Is(err, syscall.ENXIO) { // no reader
			return cluster.ErrNotYet
		}
		if err == nil {
			m.t.Cleanup(func() { f.Close() })
		}
		return err
	})
}

// files maps what is below a directory to its content; unfinished temporary files, whose names begin with a dot, are left out.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			out[path], err = os.Readlink(path)
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestStoppedAtAnyMoment stops starts after delays that grow from nothing to beyond exec. Whenever it happens, the
// program ends as after that signal, every file is whole or absent, and the next start succeeds.
func TestStoppedAtAnyMoment(t *testing.T) {
	for _, asPID1 := range []bool{false, true} {
		t.Run(fmt.Sprintf("pid1=%v", asPID1), func(t *testing.T) {
			if asPID1 {
				needPID1(t)
			}
			m := newMachine(t)
			run := filepath.Join(m.dir, "run")
			words := []string{"--definition", m.service.URL + "/job.yaml", "standalone-job"}
			start := func(delay time.Duration) (code int, started bool, took time.Duration, said string) {
				cmd := m.command(asPID1, words...)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				stdout, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				if delay >= 0 {
					<-time.After(delay)
					_ = cmd.Process.Signal(syscall.SIGTERM)
				}
				line, _ := bufio.NewReader(stdout).ReadString('\n')
				started, took = line != "", time.Since(began)
				if started {
					_ = cmd.Process.Kill() // PID 1 would not hear the signal without a handler
				}
				code, err = waited(cmd.Wait())
				if err != nil {
					t.Fatal(err)
				}
				return code, started, took, stderr.String()
			}
			_, started, whole, _ := start(-1)
			want := files(t, run)
			for range 3 { // the shortest is the one that no other process slowed down
				if err := os.RemoveAll(run); err != nil {
					t.Fatal(err)
				}
				_, _, took, _ := start(-1)
				whole = min(whole, took)
			}
			if !started || len(want) < 6 {
				t.Fatalf("started: %v, files: %d", started, len(want))
			}
			steps := 60
			if testing.Short() {
				steps = 20
			}
			before, lost, early := 0, 0, 0
			for i := range steps {
				if err := os.RemoveAll(run); err != nil {
					t.Fatal(err)
				}
				code, started, _, said := start(whole * time.Duration(i) / time.Duration(steps*3/4))
				switch {
				case started:
					lost++ // sent, or heard, after exec
				case code == 143:
					before++
				case asPID1 && code == 2:
					early++ // sent before main: the Go runtime tries to die of the signal, which PID 1 cannot, and exits with 2
				default:
					t.Errorf("step %d: exit code %d, want 143\n%s", i, code, said)
				}
				for path, content := range files(t, run) {
					if want[path] != content {
						t.Errorf("step %d: %s is neither absent nor whole: %d bytes, want %d", i, path, len(content), len(want[path]))
					}
				}
			}
			t.Logf("a start takes %v; of %d, %d were stopped before exec (%d before main), %d later", whole, steps, before+early, early, lost)
			if before+early == 0 { // how many depends on how much faster or slower the machine has become since the measurement
				t.Errorf("none of %d starts was stopped before exec", steps)
			}
			if _, started, _, _ := start(-1); !started {
				t.Error("the next start failed")
			}
			if got := files(t, run); len(got) != len(want) {
				t.Errorf("%d files after the next start, want %d", len(got), len(want))
			}
		})
	}
}

// TestDeadline: who waits longer than --fetch-timeout gives up with the code of what was fetched.
func TestDeadline(t *testing.T) {
	for path, want := range map[string]int{"/job": 21, "/artifacts": 27} {
		t.Run(path, func(t *testing.T) {
			for _, half := range []bool{false, true} {
				m := newMachine(t)
				m.hang, m.half = path, half
				cmd := m.command(false, "--fetch-timeout", "400ms", "--definition", m.service.URL+"/job.yaml", "standalone-job")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
				out, err := cmd.CombinedOutput()
				code, err := waited(err)
				if err != nil {
					t.Fatal(err)
				}
				if code != want || !strings.Contains(string(out), "with a longer --fetch-timeout") {
					t.Errorf("exit code %d, want %d\n%s", code, want, out)
				}
			}
		})
	}
}
