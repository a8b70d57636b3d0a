//go:build flink

package canary

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/world"
)

// TestFlinkLogsNoSecret runs jobs with secrets in their SQL on real Flink, one that ends well and some whose exceptions would
// quote what they were given, and searches what JobManager and TaskManager print and write.
func TestFlinkLogsNoSecret(t *testing.T) {
	for _, version := range homes.Versions() {
		if version < "1.18" {
			continue // Java 17 needs options there that are not the subject here
		}
		t.Run(version, func(t *testing.T) {
			home := homes.Home(t, version)
			for _, c := range []struct {
				name, catalogs, script string
				fails                  bool
			}{
				{"a job that ends well", "[{name: mem, options: {type: generic_in_memory, default-database: {fromFile: %[1]q}}}]", "", false},
				{"options that the catalog does not know", "[{name: mem, options: {type: generic_in_memory, my.password: {fromFile: %[1]q}, other: {fromEnv: CATALOG}}}]", "", true},
				{"a stored statement that fails", "[{createStatement: {fromFile: %[2]q}}]", "", true},
				{"a table whose connector does not know an option", "[]", "CREATE TABLE broken (n INT) WITH ('connector' = 'print', 'my.password' = %[3]s);\n    INSERT INTO broken VALUES (1);\n", true},
			} {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					cl, err := cluster.New(world.Binary(t), home, t.TempDir())
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(cl.Close)
					canaries := []Canary{New("catalog"), New("other"), New("stored"), New("set"), New("configuration"), New("script")}
					write := func(name, content string) string {
						path := filepath.Join(t.TempDir(), name)
						if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
							t.Fatal(err)
						}
						return path
					}
					stored := write("stored", "CREATE CATALOG s WITH ('type'='generic_in_memory', 'x'="+sqlQuoted(canaries[2].Value)+")")
					script := "CREATE TABLE t (n INT) WITH ('connector'='print');\n    INSERT INTO t VALUES (1);\n"
					if c.script != "" {
						script = strings.ReplaceAll(c.script, "%[3]s", sqlQuoted(canaries[5].Value))
					}
					catalogs := strings.NewReplacer("%[1]q", fmt.Sprintf("%q", write("catalog", canaries[0].Value)), "%[2]q", fmt.Sprintf("%q", stored)).Replace(c.catalogs)
					definition := write("job.yaml", fmt.Sprintf("apiVersion: flink-entrypoint/v1\nname: secrets\nconfiguration:\n  parallelism.default: 1\n  my.secret-key: {fromEnv: CONFIGURATION}\nsql:\n  set: {my.setting: {fromEnv: SETTING}, my.token: {fromEnv: SETTING}}\n  catalogs: %s\n  script: |\n    %s", catalogs, script))
					env := []string{"CATALOG=" + canaries[1].Value, "SETTING=" + canaries[3].Value, "CONFIGURATION=" + canaries[4].Value}
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
					defer cancel()
					jm, err := cl.Start("jm", "standalone-job", []string{"--definition", definition, "--memory-limit", "1600m", "standalone-job"}, env...)
					if err != nil {
						t.Fatal(err)
					}
					tm := jm
					if !c.fails {
						if tm, err = cl.Start("tm", "taskmanager", []string{"--definition", definition, "--memory-limit", "1728m", "taskmanager"}, env...); err != nil {
							t.Fatal(err)
						}
					}
					code, err := jm.Wait(ctx)
					if err != nil {
						t.Fatal(err)
					}
					if (code != 0) != c.fails {
						t.Errorf("the JobManager ended with %d\n%s", code, jm.Tail(40))
					}
					cl.Close()
					output := strings.Join(append(append(jm.Stdout(), jm.Stderr()...), append(tm.Stdout(), tm.Stderr()...)...), "\n")
					if c.fails && !strings.Contains(output, "******") {
						t.Errorf("the failure masks nothing, so the test proves nothing\n%s", jm.Tail(60))
					}
					for _, canary := range canaries {
						if found := canary.Found(output); found != "" {
							t.Errorf("the output shows %s: %s", canary.Name, found)
						}
					}
					err = filepath.WalkDir(cl.Dir, func(path string, d fs.DirEntry, err error) error {
						if err != nil || !d.Type().IsRegular() {
							return err
						}
						content, err := os.ReadFile(path)
						if err != nil {
							return err
						}
						info, err := d.Info()
						for _, canary := range canaries {
							if found := canary.Found(string(content)); found != "" && info.Mode().Perm() != 0o600 {
								t.Errorf("%s (%v) holds %s: %s", path, info.Mode(), canary.Name, found)
							}
						}
						return err
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
