package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReferencesMakeFilesPrivate: a file that holds the value of a secret reference is for its user alone, wherever in the
// definition the reference stands.
func TestReferencesMakeFilesPrivate(t *testing.T) {
	const reference = "{fromEnv: S}"
	for _, tt := range []struct {
		name, definition string
		conf             bool     // config.yaml holds the value
		files            []string // these do
	}{
		{name: "job parameters with high availability", conf: true, definition: "highAvailability: {type: zookeeper, clusterId: c, storageDir: /ha, quorum: 'zk:2181'}\nconfiguration: {pipeline.global-job-parameters: " + reference + "}\nsql: {script: INSERT INTO t SELECT 1;}\n"},
		{name: "jar of a function", files: []string{"init.sql", "job.sql"}, definition: "sql: {functions: [{name: f, class: a.B, jars: [" + reference + "]}], script: INSERT INTO t SELECT 1;}\n"},
		{name: "name of a catalog", files: []string{"init.sql", "job.sql"}, definition: "sql: {catalogs: [{name: " + reference + ", options: {type: generic_in_memory}}], script: INSERT INTO t SELECT 1;}\n"},
		{name: "name of a database", files: []string{"init.sql", "job.sql"}, definition: "sql: {use: {database: " + reference + "}, script: INSERT INTO t SELECT 1;}\n"},
		{name: "name of a module", files: []string{"init.sql", "job.sql"}, definition: "sql: {modules: [{name: " + reference + "}], script: INSERT INTO t SELECT 1;}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const value = "team:zq-secret"
			home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine()})
			file := filepath.Join(t.TempDir(), "job.yaml")
			if err := os.WriteFile(file, []byte("apiVersion: flink-entrypoint/v1\nname: job\n"+tt.definition), 0o600); err != nil {
				t.Fatal(err)
			}
			plan, err := gather(t, home, "standalone-job", append(env, "S="+value), func(o *Options, _ *World) { o.Definition, o.MemoryLimit = file, "2g" })
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(plan.Config.Rendered), "zq-secret"); got != tt.conf || got && !plan.Config.Secret {
				t.Errorf("the value is in the configuration: %v, expected %v; private: %v", got, tt.conf, plan.Config.Secret)
			}
			found := map[string]bool{}
			for _, f := range plan.Files {
				if strings.Contains(string(f.Content), "zq-secret") {
					found[filepath.Base(f.Path)] = true
					if f.Mode != 0o600 {
						t.Errorf("%s holds the value and has the mode %v", f.Path, f.Mode)
					}
				}
			}
			for _, name := range tt.files {
				if !found[name] {
					t.Errorf("%s does not hold the value", name)
				}
			}
		})
	}
}
