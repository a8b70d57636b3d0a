// Command pictures makes the pictures of docs/images: pages of "explain --output html" for containers of some sizes, as a
// headless chromium shows them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"flink-entrypoint/test/picture"
	"flink-entrypoint/test/world"
)

func main() {
	binary := flag.String("binary", "bin/flink-entrypoint", "the entrypoint")
	home := flag.String("home", "", "a Flink home")
	out := flag.String("out", "docs/images", "folder for the pictures")
	flag.Parse()
	for _, p := range []page{
		{"memory-taskmanager", 2 << 30, 545, []string{"explain", "taskmanager"}},
		{"memory-jobmanager", 2 << 30, 410, []string{"explain", "jobmanager"}},
		{"memory-ratio", 2 << 30, 545, []string{"--memory-ratio", "0.85", "explain", "taskmanager"}},
	} {
		if err := p.make(*binary, *home, *out); err != nil {
			fmt.Fprintf(os.Stderr, "error: %s: %v\n", p.name, err)
			os.Exit(1)
		}
	}
}

type page struct {
	name   string
	memory int64 // limit of the container
	height int
	args   []string
}

func (p page) make(binary, home, out string) error {
	dir, err := os.MkdirTemp("", "pictures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := world.Sysroot(p.memory, 0).In(dir).Write(); err != nil {
		return err
	}
	explain := exec.Command(binary, append([]string{"--output", "html", "--sysroot", dir, "--log-level", "error"}, p.args...)...)
	explain.Env = append(os.Environ(), "FLINK_HOME="+home, "HOSTNAME=host-1", "FLINK_CONF_DIR=")
	explain.Stderr = os.Stderr
	html, err := explain.Output()
	if err != nil {
		return err
	}
	// Neither the machine that makes the picture nor its reader's taste for darkness shows.
	text := strings.NewReplacer(home, "/opt/flink", "prefers-color-scheme:dark", "prefers-color-scheme:none").Replace(string(html))
	page, shot := filepath.Join(dir, "page.html"), filepath.Join(dir, "shot.png")
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	chromium := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+filepath.Join(dir, "profile"),
		fmt.Sprintf("--window-size=1040,%d", p.height), "--screenshot="+shot, "file://"+page)
	if said, err := chromium.CombinedOutput(); err != nil {
		return fmt.Errorf("chromium: %w\n%s", err, said)
	}
	content, err := os.ReadFile(shot)
	if err != nil {
		return err
	}
	small, err := picture.Shrink(content)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, p.name+".png"), small, 0o644)
}
