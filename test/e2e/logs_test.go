//go:build flink

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
)

// TestEditOfAMountedLogConfiguration: Kubernetes replaces a ConfigMap by a swap of the link ..data, and Flink's log
// configurations have a monitorInterval. The process had a copy, so that an edit did not reach it.
func TestEditOfAMountedLogConfiguration(t *testing.T) {
	forEachVersion(t, func(t *testing.T, _ string, c *cluster.Cluster) {
		ctx := timeout(t)
		mount := filepath.Join(t.TempDir(), "conf")
		began := time.Now().Add(-time.Hour)
		for i, level := range []string{"INFO", "DEBUG"} {
			dir := filepath.Join(mount, fmt.Sprintf("..v%d", i+1))
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(c.Home, "conf"))); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "log4j-console.properties")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			edited := regexp.MustCompile(`(?m)^(monitorInterval|rootLogger.level) *=.*$`).ReplaceAllString(string(text), "") +
				"\nmonitorInterval = 1\nrootLogger.level = " + level + "\n"
			if err := os.WriteFile(file, []byte(edited), 0o644); err != nil {
				t.Fatal(err)
			}
			at := began.Add(time.Duration(i) * time.Minute)
			if err := os.Chtimes(file, at, at); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := os.ReadDir(filepath.Join(mount, "..v1"))
		if err != nil {
			t.Fatal(err)
		}
		link := func(target, name string) {
			t.Helper()
			if err := os.Symlink(target, filepath.Join(mount, name)); err != nil {
				t.Fatal(err)
			}
		}
		link("..v1", "..data")
		for _, e := range entries {
			link(filepath.Join("..data", e.Name()), e.Name())
		}
		p, err := c.Start("jobmanager", "jobmanager", []string{"--conf-dir", mount, "--memory-limit", "1600m", "jobmanager"})
		if err != nil {
			t.Fatal(err)
		}
		debug := func(line string) bool { return strings.Contains(line, " DEBUG ") }
		if _, err := p.Lines(ctx, 1, func(line string) bool { return strings.Contains(line, "granted leadership") }); err != nil {
			t.Fatal(err)
		}
		for _, line := range p.Stdout() {
			if debug(line) {
				t.Fatalf("the level is DEBUG before the edit: %s", line)
			}
		}
		link("..v2", "..data_tmp")
		if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Lines(ctx, 1, debug); err != nil {
			t.Error(err)
		}
	})
}
