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
		opt := filepath.Join(dir, "opt")
		if err := os.MkdirAll(opt, 0o755); err != nil {
			t.Fatal(err)
		}
		jars, err := filepath.Glob(filepath.Join(home, "opt", "*.jar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, jar := range jars {
			if err := os.Symlink(jar, filepath.Join(opt, filepath.Base(jar))); err != nil {
				t.Fatal(err)
			}
		}
		// The images have it, the Python packages that the homes are made of do not; no example starts it.
		if err := os.WriteFile(filepath.Join(opt, "flink-sql-gateway-"+version+".jar"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"lib", "bin"} {
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
