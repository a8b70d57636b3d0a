package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// BinaryVariable names the environment variable that gives tests a program to test.
const BinaryVariable = "FLINK_ENTRYPOINT_BINARY"

// Binary returns the entrypoint under test: $FLINK_ENTRYPOINT_BINARY, else this tree's.
func Binary(t testing.TB) string {
	t.Helper()
	if b := os.Getenv(BinaryVariable); b != "" {
		return b
	}
	return Build(t, "cmd/flink-entrypoint")
}

// Build returns a program of this tree, named after the last part of its package's path. It is built once for all suites,
// as go build leaves alone what is up to date. Every user may execute it who may enter the test's directory.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	once, _ := builds.LoadOrStore(pkg, sync.OnceValues(func() (string, error) { return build(pkg) }))
	built, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	// A name of its own, so that a later build does not replace it while the test runs.
	b := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if err := os.Link(built, b); err != nil { // another file system
		content, err := os.ReadFile(built)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(b, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// builds has the result of each package that this process has built.
var builds sync.Map

// build brings a program below bin/test up to date and returns its path.
func build(pkg string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("cannot lock %s: %w", dir, err)
	}
	// go test repeats an old result unless something has changed that the test has looked at, so it looks at the sources.
	for _, part := range []string{"go.mod", "cmd", "internal", pkg} {
		err := filepath.WalkDir(filepath.Join(root, part), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	binary := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", binary, "./"+pkg)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// Root returns the directory of the tree, the nearest one above this test that holds a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("no go.mod above this directory")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
