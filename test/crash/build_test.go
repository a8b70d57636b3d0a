package crash

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// build returns the program under test: FLINK_ENTRYPOINT_BINARY, else one built for this run.
func build(t *testing.T) string {
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

// emptyZip is a jar that holds nothing.
func emptyZip() []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if _, err := z.Create("META-INF/"); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func fixedTime() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
