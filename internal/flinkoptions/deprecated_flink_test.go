//go:build flink

package flinkoptions

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/test/flinkhome/homes"
)

// TestDeprecatedKeys compares the table with what the options of the real jars declare, version by version.
func TestDeprecatedKeys(t *testing.T) {
	classes := t.TempDir()
	if out, err := exec.Command("javac", "-d", classes, "testdata/Options.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	for _, version := range homes.Versions() {
		t.Run(version, func(t *testing.T) {
			v, err := flinkversion.Parse(version)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("java", "-Xmx512m", "-cp", classes, "Options", homes.Home(t, version))
			out, err := cmd.Output() // stderr: Flink's classes find no logger
			if err != nil {
				t.Fatalf("java: %v", err)
			}
			real, options := map[string]bool{}, map[string]bool{}
			lines := bufio.NewScanner(bytes.NewReader(out))
			for lines.Scan() {
				switch f := strings.Fields(lines.Text()); {
				case f[0] == "KEY" && len(f) == 2:
					options[f[1]] = true
				case f[0] == "OLD" && f[1] != f[2] && f[1] != "taskmanager.network.retries": // an old spelling of itself
					real[f[1]+" "+f[2]] = true
				}
			}
			if len(real) < 50 {
				t.Fatalf("only %d deprecated keys found", len(real))
			}
			table := map[string]bool{}
			deprecations(v, func(string) bool { return true }, func(d deprecation) {
				if d.gone && options[d.key] {
					t.Errorf("%s is called gone, but Flink %s declares it", d.key, version)
				}
				if !d.gone && d.now != "" {
					table[d.key+" "+d.now] = true
				}
			})
			for row := range real {
				if !table[row] {
					t.Errorf("missing in the table: %s", row)
				}
			}
			for row := range table {
				if !real[row] {
					t.Errorf("not in Flink %s: %s", version, row)
				}
			}
			t.Logf("%d deprecated keys", len(real))
		})
	}
}
