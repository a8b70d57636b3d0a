// Package program gives tests the program that they test.
package program

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build returns the entrypoint under test: FLINK_ENTRYPOINT_BINARY, else one built for this test.
func Build(t testing.TB) string {
	t.Helper()
	if b := os.Getenv("FLINK_ENTRYPOINT_BINARY"); b != "" {
		return b
	}
	b := filepath.Join(t.TempDir(), "flink-entrypoint")
	cmd := exec.Command("go", "build", "-o", b, "flink-entrypoint/cmd/flink-entrypoint")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return b
}
