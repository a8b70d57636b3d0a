package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDebugFlags: a wrong flag is reported before anything runs.
func TestDebugFlags(t *testing.T) {
	dir := t.TempDir()
	path := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	job := path("job.sql", "CREATE TABLE a (n INT) WITH ('connector' = 'kafka');\nSELECT n FROM a;\n")
	csv := path("a.csv", "1\n")
	for _, c := range []struct {
		flags string
		code  int
		want  string
	}{
		{"--data a=" + csv, 0, ""},
		{"--rows-per-second 1", 0, ""},
		{"--rows-per-second 0", 20, "--rows and --rows-per-second: expected a number of at least 1"},
		{"--rows 0", 20, "--rows and --rows-per-second: expected a number of at least 1"},
		{"--data a", 20, `--data: found "a", expected TABLE=FILE`},
		{"--data a=" + csv + " --data a=" + job, 20, "--data: table a has two files"},
	} {
		var out, problems bytes.Buffer
		args := append([]string{"debug", "--show"}, append(strings.Fields(c.flags), job)...)
		if code := Main(System{Args: args, Stdout: &out, Stderr: &problems}); code != c.code || !strings.Contains(problems.String(), c.want) {
			t.Errorf("%s: ended with %d, expected %d and %q:\n%s", c.flags, code, c.code, c.want, problems.String())
		}
	}
}
