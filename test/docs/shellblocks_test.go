package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/test/service"
	"flink-entrypoint/test/world"
)

// TestFetchingPage executes the sh blocks of the page about fetching, against a service of the kind that it describes.
func TestFetchingPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/fetching.md")
	if err != nil {
		t.Fatal(err)
	}
	definition, err := os.ReadFile("../../examples/clicks-per-minute.yaml")
	if err != nil {
		t.Fatal(err)
	}
	work, binary := t.TempDir(), world.Binary(t)
	world.Write(t, work, world.Files{"jobs/clicks.yaml": string(definition), "job.yaml": string(definition), "token": "t0ken"})
	s := &service.Service{Jobs: os.DirFS(filepath.Join(work, "jobs"))}
	url, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	executed := 0
	for _, block := range blocks(string(text), "sh") {
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			// Splay is a real wait of up to 20 s: the example is executed with a short one.
			command := strings.NewReplacer("http://127.0.0.1:8080", url, "--fetch-splay 20s", "--fetch-splay 20ms").Replace(line)
			if out, err := shell(t, binary, work, command); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
			executed++
		}
	}
	if executed < 6 {
		t.Errorf("only %d commands executed", executed)
	}
}

// TestDefinitionPage checks every example of the reference page: its definitions can be decoded, and the errors that it
// shows are the errors of this program.
func TestDefinitionPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/definition.md")
	if err != nil {
		t.Fatal(err)
	}
	work, binary := t.TempDir(), world.Binary(t)
	examples := blocks(string(text), "yaml")
	if len(examples) < 2 {
		t.Fatalf("only %d examples", len(examples))
	}
	for _, example := range examples {
		world.Write(t, work, world.Files{"definition.yaml": example})
		if out, err := shell(t, binary, work, "flink-entrypoint --definition definition.yaml validate"); err != nil {
			t.Errorf("%v\n%s\n%s", err, example, out)
		}
	}
	plain := blocks(string(text), "")
	if len(plain) < 2 {
		t.Fatalf("found %d blocks with the mistakes and their messages, expected 2", len(plain))
	}
	world.Write(t, work, world.Files{"definition.yaml": plain[0]})
	out, err := shell(t, binary, work, "flink-entrypoint --definition definition.yaml validate")
	if err == nil {
		t.Errorf("the mistakes are accepted:\n%s", plain[0])
	}
	if !strings.Contains(out, strings.TrimSpace(plain[1])) {
		t.Errorf("got\n%s\nthe page says\n%s", out, plain[1])
	}
}

// blocks returns the fenced blocks of a language, without the indentation of their fence.
func blocks(text, language string) []string {
	var out []string
	var block strings.Builder
	inside, wanted, indent := false, false, ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " ")
		if fence, ok := strings.CutPrefix(trimmed, "```"); ok {
			if inside && wanted {
				out = append(out, block.String())
			}
			inside, wanted = !inside, strings.TrimSpace(fence) == language
			indent = line[:len(line)-len(trimmed)]
			block.Reset()
			continue
		}
		if inside && wanted {
			block.WriteString(strings.TrimPrefix(line, indent))
		}
	}
	return out
}

// shell runs a command in work with a Flink home of empty jars, as the pages' readers would have it.
func shell(t *testing.T, binary, work, command string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(dir, "flink-entrypoint")); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "flink")
	java := stubHome(t, home, "2.2.1")
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = work
	cmd.Env = []string{"PATH=" + dir + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "HOSTNAME=host-1", "FLINK_HOME=" + home, "JAVA_HOME=" + java,
		"DISABLE_JEMALLOC=true", "FLINK_ENTRYPOINT_RUN_DIR=" + filepath.Join(dir, "run"), "FLINK_ENTRYPOINT_TERMINATION_LOG=/dev/null", "FLINK_ENTRYPOINT_MEMORY_LIMIT=2g"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
