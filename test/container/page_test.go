//go:build container

package container

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPage executes the sh blocks of docs/docker.md from top to bottom, with podman called docker, and the stand-ins under the names of
// the images that the page builds on. A command must succeed, or end as its comment says ("# ends with 24", "the container ends with 143").
// What asks a container that has just been started may be repeated.
func TestPage(t *testing.T) {
	const version = "2.2.1"
	if built[version] == nil {
		t.Fatalf("the page is about Flink %s: add it to FLINK_VERSIONS", version)
	}
	w := newWorld(t, version)
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute) // a page is more than other tests do
	t.Cleanup(cancel)
	w.ctx = ctx
	unlock, err := w.Lock("page") // its names are fixed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	text, err := os.ReadFile("../../docs/docker.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := shellCommands(string(text))
	_, hint, _ := strings.Cut(string(text), "\nhint: ")
	hint, _, _ = strings.Cut("hint: "+hint, "\n")
	clean := func() {
		for _, name := range []string{"jobmanager", "taskmanager", "job", "locked", "enough", "parts"} {
			w.remove("rm", "-f", "-i", "-t", "0", name)
		}
		w.remove("network", "rm", "flink")
		for _, name := range []string{"flink:2.2-java17", "eclipse-temurin:17-jdk", "flink-entrypoint:2.2", "flink-entrypoint:2.2-slim", "flink-platform", "flink-workbench:2.2"} {
			w.remove("untag", "localhost/"+name, "localhost/"+name) // with one word it would take all names of the image
		}
	}
	clean() // of a run that was killed
	t.Cleanup(clean)
	w.do("tag", w.Base, "localhost/flink:2.2-java17")
	w.do("tag", OSImage, "localhost/eclipse-temurin:17-jdk")
	bin := t.TempDir()
	shim := "#!/bin/sh\nif [ \"$1\" = run ]; then shift; exec podman run --label " + owner() + " \"$@\"; fi\nexec podman \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(shim), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		want := 0
		if _, comment, ok := strings.Cut(command, "# ends with "); ok {
			if want, err = strconv.Atoi(comment); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
		}
		began := time.Now()
		for {
			cmd := exec.CommandContext(w.ctx, "sh", "-c", command)
			cmd.Dir = "../.."
			cmd.Env = append(w.env, "BUILDAH_FORMAT=docker", "PATH="+bin+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			code := cmd.ProcessState.ExitCode()
			if code == want {
				if want == 24 && !strings.Contains(string(out), hint) {
					t.Errorf("%s\nprinted\n%s\nthe page says %q", command, out, hint)
				}
				t.Logf("%.1f s: %s", time.Since(began).Seconds(), command)
				break
			}
			if strings.HasPrefix(command, "docker exec ") && time.Since(began) < 3*time.Minute && w.ctx.Err() == nil {
				time.Sleep(200 * time.Millisecond) // a poll with the deadline above
				continue
			}
			t.Fatalf("%s\nended with %d, expected %d (%v)\n%s", command, code, want, err, out)
		}
	}
	if code := w.do("inspect", "--format", "{{.State.ExitCode}}", "taskmanager"); code != "143" {
		t.Errorf("the stopped container ended with %s, the page says 143", code)
	}
	if len(commands) < 15 {
		t.Errorf("only %d commands executed", len(commands))
	}
}

// shellCommands returns the commands of the sh blocks of a page; one goes on where a line ends with a backslash or inside quotes.
func shellCommands(page string) []string {
	var commands []string
	inside, open := false, false
	lines := bufio.NewScanner(strings.NewReader(page))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case inside && open:
			commands[len(commands)-1] += "\n" + line
		case inside && strings.TrimSpace(line) != "":
			commands = append(commands, line)
		default:
			continue
		}
		if inside && len(commands) > 0 {
			last := commands[len(commands)-1]
			open = strings.HasSuffix(last, "\\") || strings.Count(last, "'")%2 == 1
		}
	}
	return commands
}
