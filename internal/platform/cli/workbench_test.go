package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWorkersAreRefused: what is wrong with the flags of workers is said before anything starts, and shows no secret.
func TestWorkersAreRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.MkdirAll(filepath.Join(dir, "flink", "lib"), 0o700); err != nil {
		t.Fatal(err)
	}
	token, short, home := file("token", "a-token-of-servers\n"), file("short", "hunter2\n"), filepath.Join(dir, "flink")
	serve := []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data"), "--entrypoint", "/bin/true", "--flink-home", home}
	worker := []string{"workbench", "--listen", "127.0.0.1:0", "--dir", filepath.Join(dir, "workbench")}
	for _, c := range []struct {
		args []string
		want string
	}{
		{append(serve, "--workbench", "1.20=http://worker:8089"), "--workbench-token-file is missing"},
		{append(serve, "--workbench", "1.20=http://worker:8089", "--workbench-token-file", short), "the token has 7 characters, expected at least 16"},
		{append(serve, "--workbench", "1.20=http://worker:8089", "--workbench-token-file", filepath.Join(dir, "none")), "none: no such file"},
		{append(serve, "--workbench", "http://worker:8089", "--workbench-token-file", token), `--workbench http://worker:8089: the version "http://worker:8089"`},
		{append(serve, "--workbench", "1.20", "--workbench-token-file", token), "expected http://HOST:PORT or https://HOST:PORT"},
		{append(serve, "--workbench", "1.20=http://me:hunter2@worker", "--workbench-token-file", token), "expected http://HOST:PORT or https://HOST:PORT"},
		{append(serve, "--workbench", "1.20=http://a:1", "--workbench", "1.20=http://b:1", "--workbench-token-file", token), "--workbench 1.20 is there twice"},
		{append(worker, "--flink-home", home), "--token-file is missing"},
		{append(worker, "--token-file", token), "no Flink distribution"},
		{append(worker, "--token-file", token, "--flink-home", home, "--flink-home", home), "a worker is for one version"},
		{append(worker, "--token-file", token, "--flink-home", home, "--warm", "99"), "--warm is 99"},
		{append(worker, "--token-file", token, "--flink-home", home, "--debug-wall", "high"), `--debug-wall is "high"`},
	} {
		var out, errs bytes.Buffer
		code := Main(append([]string{"flink-platform"}, c.args...), nil, nil, &out, &errs)
		if code != exitUsage || !strings.Contains(errs.String(), c.want) || strings.Contains(errs.String(), "hunter2") {
			t.Errorf("%q: %d %s, want %q", c.args[len(c.args)-2:], code, errs.String(), c.want)
		}
	}
}
