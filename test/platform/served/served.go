// Package served starts a real flink-platform for tests that ask it as pods do. Nothing is started by it: its Flink home is empty.
package served

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/freeport"
	"flink-entrypoint/test/world"
)

// Options of a server.
type Options struct {
	Dir       string // of its data; empty: a new one
	Listen    string // empty: a free port
	Auth      bool
	Arguments []string
}

// A Server is one that runs.
type Server struct {
	URL   string
	Token string // of an admin, with Auth
	Log   *bytes.Buffer
	cmd   *exec.Cmd
}

// Put sends content to a path as the admin; it is expected to be new.
func (s *Server) Put(t testing.TB, path string, content []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("PUT %s: %s %s %v", path, answer.Status, body, err)
	}
}

// Program is the built flink-platform.
func Program(t testing.TB) string { t.Helper(); return world.Build(t, "cmd/flink-platform") }

// Command is "serve" with what each server needs. Its data is in dir.
func Command(t testing.TB, dir, listen string, more ...string) *exec.Cmd {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "lib"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(Program(t), append([]string{"serve", "--warm", "0", "--data-dir", dir, "--listen", listen, "--flink-home", home, "--entrypoint", "/bin/true"}, more...)...)
	c.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + home}
	return c
}

// FreeAddress is a port of loopback where nothing listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return freeport.Address(t)
}

// Start starts a server and waits until it answers. It ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "data")
	}
	if o.Listen == "" {
		o.Listen = FreeAddress(t)
	}
	s := &Server{URL: "http://" + o.Listen, Log: &bytes.Buffer{}}
	if o.Auth {
		s.Token = MakeToken(t, o.Dir, "admin")
		o.Arguments = append(o.Arguments, "--auth")
	}
	s.cmd = Command(t, o.Dir, o.Listen, o.Arguments...)
	s.cmd.Stderr = s.Log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(s.URL + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Now().After(end) {
			s.Stop()
			t.Fatalf("the server does not answer: %v\n%s", err, s.Log)
		}
	}
}

// Stop ends the server.
func (s *Server) Stop() {
	if s.cmd.ProcessState == nil {
		s.cmd.Process.Signal(os.Interrupt)
		s.cmd.Wait()
	}
}

// MakeToken makes a token while no server runs.
func MakeToken(t testing.TB, dir, name string) string {
	t.Helper()
	out, err := exec.Command(Program(t), "token", "make", name, "--role", "admin", "--data-dir", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// NoneBelow looks for a process that has a directory in its arguments: the shims of processes of clusters have.
func NoneBelow(dir string) error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if args, err := os.ReadFile(file); err == nil && bytes.Contains(args, []byte(dir+"/")) { // else it has ended
			return fmt.Errorf("%s: %s", file, bytes.ReplaceAll(args, []byte{0}, []byte{' '}))
		}
	}
	return err
}
