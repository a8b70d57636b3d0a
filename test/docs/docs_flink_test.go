//go:build flink

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"flink-entrypoint/test/flinkhome/homes"
)

// TestExamplesOnRealFlink executes the examples on the real homes, whose conf and plugins are copied, and the real Java.
func TestExamplesOnRealFlink(t *testing.T) {
	testPages(t, func(t *testing.T, dir, version string) string {
		home := homes.Home(t, version)
		for _, name := range []string{"lib", "opt", "bin"} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(home, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"conf", "plugins"} {
			if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(home, name))); err != nil {
				t.Fatal(err)
			}
		}
		java, err := exec.LookPath("java")
		if err != nil {
			t.Fatal(err)
		}
		if java, err = filepath.EvalSymlinks(java); err != nil {
			t.Fatal(err)
		}
		return filepath.Dir(filepath.Dir(java))
	})
}
