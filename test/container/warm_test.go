//go:build container

package container

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWarm builds the page's image with archives of classes, on the shell-less one, and starts from them: locked down, and
// as another user than the one that made them.
func TestWarm(t *testing.T) {
	w := newWorld(t, newest())
	page, err := os.ReadFile("../../docs/start-up.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```dockerfile\nFROM flink-entrypoint:2.2-slim\n")
	recipe, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("docs/start-up.md has no image on flink-entrypoint:2.2-slim")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "Dockerfile")
	if err := os.WriteFile(file, []byte("FROM "+w.Slim+"\n"+recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	image, err := w.build(w.ctx, testLog{t}, "-f", file, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = w.Do(context.Background(), "rmi", "-f", image) })
	w.join()
	env := []string{"JOB_MANAGER_RPC_ADDRESS=jobmanager"}
	jm := w.start("jobmanager", env, append(slices.Clone(hardened), "--memory", "1600m", "-p", "127.0.0.1::8081", image, "jobmanager")...)
	tm := w.start("taskmanager", env, append(slices.Clone(hardened), "--memory", "1728m", image, "taskmanager")...)
	if _, err := jm.rest().TaskManagers(w.ctx, 1); err != nil {
		t.Fatal(err)
	}
	for role, c := range map[string]*started{"jobmanager": jm, "taskmanager": tm} {
		if maps := c.procText("maps"); !strings.Contains(maps, "/class-archives/"+role+".jsa") {
			t.Errorf("the %s did not start from its archive", role)
		}
		if log := c.logs(); strings.Contains(log, "class archive") || strings.Contains(log, "[cds]") {
			t.Errorf("the %s has something to say about its archive\n%s", role, log)
		}
	}
}

// testLog writes what a build says into the test's log.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}
