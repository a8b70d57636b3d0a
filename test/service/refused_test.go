package service

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/test/platform/served"
)

// TestPlatformIsRefused: a second server that cannot start says why and ends with 28; the first one goes on and has lost nothing.
func TestPlatformIsRefused(t *testing.T) {
	dir, listen := filepath.Join(t.TempDir(), "data"), served.FreeAddress(t)
	first := served.Start(t, served.Options{Dir: dir, Listen: listen})
	ask := func(method, content string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, first.URL+"/v1/jobs/clicks", strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if status := ask(http.MethodPut, definition); status != http.StatusCreated {
		t.Fatal(status)
	}
	for _, c := range []struct {
		name, dir, listen, says string
	}{
		{"a port in use", filepath.Join(t.TempDir(), "other"), listen, "--listen " + listen + ": "},
		{"a data directory in use", dir, served.FreeAddress(t), "data directory " + dir + " is used by another flink-platform"},
		{"an address that is not of this machine", filepath.Join(t.TempDir(), "other"), "192.0.2.1:8088", "--listen 192.0.2.1:8088: "},
	} {
		cmd := served.Command(t, c.dir, c.listen)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 28 || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %v, want exit code 28 and %q\n%s", c.name, err, c.says, &out)
		}
		if status := ask(http.MethodGet, ""); status != http.StatusOK {
			t.Errorf("%s: the first server answers with %d", c.name, status)
		}
	}
	if status := ask(http.MethodPut, definition+"#2\n"); status != http.StatusCreated {
		t.Errorf("the first server cannot write any more: %d", status)
	}
}
