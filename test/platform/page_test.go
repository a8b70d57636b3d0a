//go:build platform

package platform

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/postgres"
)

// TestPage executes the flink-platform commands of docs/platform.md (platform.md), in their order, against servers with simulated clusters.
// A server's command runs until the end of its block; -f is left out where it would not end.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/platform.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(filepath.Join(dir, "home", "lib"), 0o700); err != nil {
		t.Fatal(err)
	}
	for out, pkg := range map[string]string{"flink-platform": "flink-entrypoint/cmd/flink-platform", "flink-entrypoint": "flink-entrypoint/test/platform/fakeflink"} {
		if b, err := exec.Command("go", "build", "-o", filepath.Join(bin, out), pkg).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	if err := os.Symlink(mustAbs(t, "../../examples"), filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	listen := served.FreeAddress(t)
	env := []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + dir, "FLINK_HOME=" + filepath.Join(dir, "home"), "FLINK_PLATFORM_SERVER=http://" + listen, "FLINK_PLATFORM_LISTEN=" + listen}
	const onThePage = "postgres://platform@db.example.com/platform"
	database := ""
	executed := 0
	for i, block := range strings.Split(string(page), "```sh\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		var servers []*exec.Cmd
		serve := func(command string) {
			s := exec.Command("/bin/sh", "-c", "exec "+command)
			s.Dir, s.Env = dir, env
			s.Stderr = os.Stderr
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			servers = append(servers, s)
			t.Cleanup(func() { s.Process.Kill(); s.Wait() })
			waitServer(t, listen)
		}
		started := func() {
			mustRun(t, dir, env, "flink-platform start clicks")
			for end := time.Now().Add(patience); !strings.Contains(mustRun(t, dir, env, "flink-platform jobs"), "running"); time.Sleep(50 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("it does not run")
				}
			}
		}
		for line := range strings.Lines(block) {
			command, _, _ := strings.Cut(strings.TrimSpace(line), "  #")
			command = strings.TrimSpace(command)
			if !strings.HasPrefix(command, "flink-platform ") {
				continue
			}
			if slices.Contains([]string{"validate", "debug", "lineage", "workbench"}, strings.Fields(command)[1]) || strings.Contains(block, "--workbench ") {
				continue // a real Flink plans and runs these: internal/platform/server has their tests
			}
			executed++
			// What is of another machine on the page is of this test here.
			command = strings.NewReplacer(" --flink-home /opt/flink", "", " --listen 0.0.0.0:8088", " --listen "+listen, "http://platform:8088", "http://"+listen, " -f", "", "submit examples/platform/clicks.yaml", "submit clicks.yaml").Replace(command)
			if strings.Contains(command, onThePage) {
				if database == "" {
					database = postgres.Start(t).Database(t)
				}
				command = strings.ReplaceAll(command, onThePage, "'"+database+"'")
			}
			if command == "flink-platform submit clicks.yaml --message \"first\"" {
				// The simulated cluster does what the definition's name says.
				b, err := os.ReadFile("../../examples/platform/clicks.yaml")
				if err != nil {
					t.Fatal(err)
				}
				text := strings.Replace(string(b), "name: clicks-per-minute\n", "name: finishes\n", 1)
				if err := os.WriteFile(filepath.Join(dir, "clicks.yaml"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if command == "flink-platform stop clicks --savepoint" {
				// What is stopped runs without an end, from a second version.
				b, err := os.ReadFile(filepath.Join(dir, "clicks.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "forever.yaml"), []byte(strings.Replace(string(b), "name: finishes\n", "name: forever\n", 1)), 0o600); err != nil {
					t.Fatal(err)
				}
				mustRun(t, dir, env, "flink-platform submit forever.yaml clicks")
				started()
				command += " --wait"
			}
			if strings.HasPrefix(command, "flink-platform upgrade") { // the server and the job of the first steps
				serve("flink-platform serve --data-dir data")
				started()
				command += " --wait"
			}
			if strings.HasPrefix(command, "flink-platform serve") {
				serve(command)
				continue
			}
			out := mustRun(t, dir, env, command)
			if strings.HasPrefix(command, "flink-platform token make") {
				if err := os.WriteFile(filepath.Join(dir, "token"), []byte(out), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if strings.Contains(block, "start clicks --savepoint latest") || strings.Contains(block, "flink-platform upgrade") {
			mustRun(t, dir, env, "flink-platform stop clicks --wait")
		}
		for _, s := range servers {
			s.Process.Signal(os.Interrupt)
			s.Wait()
		}
	}
	if executed < 19 {
		t.Errorf("only %d commands were found", executed)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	a, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustRun(t *testing.T, dir string, env []string, command string) string {
	t.Helper()
	c := exec.Command("/bin/sh", "-c", command)
	c.Dir, c.Env = dir, env
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	t.Logf("%s\n%s", command, out)
	return string(out)
}

func waitServer(t *testing.T, listen string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := exec.Command("curl", "-sf", fmt.Sprintf("http://%s/readyz", listen)).Run(); err == nil {
			return
		}
	}
	t.Fatal("the server does not answer")
}
