package cli

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// probeWorld is a Flink home of that version with a rendered configuration, as a started role leaves them.
func probeWorld(t *testing.T, version, confName, conf string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"flink/lib/flink-dist-" + version + ".jar": "",
		"flink/bin/config.sh":                      "",
		"flink/conf/" + confName:                   "",
		"run/conf/" + confName:                     conf,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"FLINK_HOME=" + filepath.Join(dir, "flink"), "FLINK_ENTRYPOINT_RUN_DIR=" + filepath.Join(dir, "run")}
}

func TestHealth(t *testing.T) {
	election := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"errors":["Service temporarily unavailable due to an ongoing leader election. Please refresh."]}`, http.StatusServiceUnavailable)
	})
	plain := httptest.NewServer(election)
	defer plain.Close()
	secure := httptest.NewTLSServer(election)
	defer secure.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts (the kernel does), never says anything
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

	for _, c := range []struct {
		name, role, version, file, conf string
		args                            []string
		code                            int
		want                            string
	}{
		{"a standby JobManager lives", "jobmanager", "2.2.1", "config.yaml",
			fmt.Sprintf("rest:\n  bind-address: 0.0.0.0\n  port: %s\n", port(plain.URL)), nil, 0, "answers with 503"},
		{"bind port beats port, in the legacy format too", "standalone-job", "1.17.2", "flink-conf.yaml",
			fmt.Sprintf("rest.port: 1\nrest.bind-port: %s\n", port(plain.URL)), nil, 0, "answers with 503"},
		{"an argument beats the file", "jobmanager", "2.2.1", "config.yaml", "rest.port: 1\n",
			[]string{"-Drest.port=" + port(plain.URL)}, 0, "answers with 503"},
		{"TLS", "jobmanager", "2.2.1", "config.yaml",
			fmt.Sprintf("rest.port: %s\nsecurity.ssl.rest.enabled: true\n", port(secure.URL)), nil, 0, "answers with 503"},
		{"a TaskManager accepts", "taskmanager", "2.2.1", "config.yaml",
			"taskmanager.rpc.port: " + port(silent.Addr().String()) + "\n", nil, 0, "accepts connections"},
		{"a JobManager that hangs is unhealthy", "jobmanager", "2.2.1", "config.yaml",
			"rest.port: " + port(silent.Addr().String()) + "\n", nil, 1, "deadline exceeded"},
		{"a broken file is unhealthy", "jobmanager", "2.2.1", "config.yaml", "rest.port: [\n", nil, 1, "unhealthy: "},
		{"a word for a port", "jobmanager", "2.2.1", "config.yaml", "rest.port: http\n", nil, 1, `found "http", expected a port`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			code := Main(System{Args: append([]string{"health", c.role}, c.args...), Env: probeWorld(t, c.version, c.file, c.conf), Stdout: &out, Stderr: &out})
			if code != c.code || !strings.Contains(out.String(), c.want) || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("found code %d and %q, expected %d and one line with %q", code, out.String(), c.code, c.want)
			}
		})
	}
}
