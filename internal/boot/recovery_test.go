package boot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/rundir"
	"flink-entrypoint/internal/sqlrunner"
)

// TestJobsCarryTheirDefinition: what is in the configuration for a job that another JobManager may recover.
func TestJobsCarryTheirDefinition(t *testing.T) {
	const ha = "highAvailability: {type: zookeeper, clusterId: c, storageDir: file:///ha, quorum: 'zk:2181'}\n"
	const sql = "sql: {script: INSERT INTO t SELECT 1;}\n"
	const listener = "flinkentrypoint.DefinitionListener"
	const plain, prefixed, listeners = "pipeline.global-job-parameters", "pipeline.global-job-parameters.flink-entrypoint.definition", "execution.job-listeners"
	for _, tt := range []struct {
		name       string
		version    string // 2.2.1 unless said
		definition string
		role       string // standalone-job unless said
		pointer    string
		properties string
		usrlib     bool
		want       map[string]string // "" for none; D and S stand for the digests of the definition and of script.sql
		jars       int               // on the class path
	}{
		{name: "SQL", definition: ha + sql, want: map[string]string{prefixed: "D", listeners: listener, plain: ""}, jars: 1},
		{name: "no high availability", definition: sql, want: map[string]string{prefixed: "", listeners: ""}, jars: 1},
		{name: "high availability by the user", definition: sql, properties: "high-availability.type: zookeeper", want: map[string]string{prefixed: "D", listeners: listener}, jars: 1},
		{name: "a script elsewhere", definition: ha + "sql: {scriptUri: SCRIPT}\n",
			want: map[string]string{prefixed: "D", "pipeline.global-job-parameters.flink-entrypoint.script": "S", listeners: listener}, jars: 1},
		{name: "jar", definition: ha + "jar: {uri: /job.jar}\n", want: map[string]string{prefixed: "D", listeners: listener}, jars: 1},
		{name: "jar on 1.16", version: "1.16.3", definition: ha + "jar: {uri: /job.jar}\n", want: map[string]string{prefixed: "D", listeners: listener}, jars: 1},
		{name: "SQL in a usrlib of 1.16", version: "1.16.3", definition: ha + sql, usrlib: true, want: map[string]string{prefixed: "D", listeners: listener}, jars: 0},
		{name: "no job", definition: ha, want: map[string]string{prefixed: "D", listeners: listener}, jars: 1},
		{name: "1.14 has no runner", version: "1.14.6", definition: ha, want: map[string]string{prefixed: "", listeners: ""}},
		{name: "session cluster", role: "jobmanager", definition: ha, want: map[string]string{prefixed: "", listeners: ""}},
		{name: "TaskManager", role: "taskmanager", definition: ha + sql, want: map[string]string{prefixed: "", listeners: ""}},
		{name: "envelope", definition: `{"request": 17, "data": {"apiVersion": "flink-entrypoint/v1", "name": "job", "highAvailability": {"type": "zookeeper", "clusterId": "c", "storageDir": "/ha", "quorum": "zk:2181"}}}`,
			pointer: "/data", want: map[string]string{prefixed: digestOf([]byte(`{"apiVersion": "flink-entrypoint/v1", "name": "job", "highAvailability": {"type": "zookeeper", "clusterId": "c", "storageDir": "/ha", "quorum": "zk:2181"}}`))}, jars: 1},
		{name: "parameters in Flink's spelling", definition: ha + sql, properties: plain + ": team:clicks", want: map[string]string{plain: "team:clicks,flink-entrypoint.definition:D", prefixed: ""}, jars: 1},
		{name: "parameters in YAML's", definition: ha + sql, properties: plain + ": {team: clicks}", want: map[string]string{plain: "{team: clicks, flink-entrypoint.definition: D}", prefixed: ""}, jars: 1},
		{name: "no parameters in YAML's", definition: ha + sql, properties: plain + ": {}", want: map[string]string{plain: "{flink-entrypoint.definition: D}"}, jars: 1},
		{name: "empty parameters", definition: ha + sql, properties: "---\n" + plain + ": ''\n", want: map[string]string{plain: "flink-entrypoint.definition:D"}, jars: 1},
		{name: "parameters key by key", definition: ha + sql + "configuration: {pipeline.global-job-parameters: {team: clicks}}\n",
			want: map[string]string{plain + ".team": "clicks", prefixed: "D", plain: ""}, jars: 1},
		{name: "listeners", definition: ha + sql, properties: listeners + ": com.example.A;com.example.B", want: map[string]string{listeners: "com.example.A;com.example.B;" + listener}, jars: 1},
		{name: "listeners in YAML", definition: ha + sql, properties: "---\n" + listeners + ": [com.example.A]\n", want: map[string]string{listeners: "[com.example.A, " + listener + "]"}, jars: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.version == "" {
				tt.version = "2.2.1"
			}
			if tt.role == "" {
				tt.role = "standalone-job"
			}
			file := "config.yaml"
			if tt.version < "2" {
				file = "flink-conf.yaml"
			}
			home, env := stubHome(t, tt.version, map[string]string{file: moduleLine()})
			dir := t.TempDir()
			const script = "INSERT INTO t SELECT 1;"
			definition := strings.Replace(tt.definition, "SCRIPT", filepath.Join(dir, "script.sql"), 1)
			if tt.pointer == "" {
				definition = "apiVersion: flink-entrypoint/v1\nname: job\n" + definition
			}
			for path, content := range map[string]string{filepath.Join(dir, "job.yaml"): definition, filepath.Join(dir, "script.sql"): script} {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tt.usrlib {
				if err := os.Mkdir(filepath.Join(home, "usrlib"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if tt.properties != "" {
				env = append(env, "FLINK_PROPERTIES="+tt.properties)
			}
			plan, err := gather(t, home, tt.role, env, func(o *Options, _ *World) {
				o.Definition, o.DefinitionPointer = filepath.Join(dir, "job.yaml"), tt.pointer
			})
			if err != nil {
				t.Fatal(err)
			}
			digests := strings.NewReplacer("D", digestOf([]byte(definition)), "S", digestOf([]byte(script)))
			for key, want := range tt.want {
				if want == "D" || want == "S" || strings.HasSuffix(want, ":D") || strings.HasSuffix(want, ": D}") {
					want = digests.Replace(want)
				}
				if got := plan.Config.Effective.Text(key); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			jars := 0
			for _, argument := range plan.Command.Argv {
				jars += strings.Count(argument, sqlrunner.JarName)
			}
			if jars != tt.jars {
				t.Errorf("the jar is %d times on the class path, want %d", jars, tt.jars)
			}
			written := slices.ContainsFunc(plan.Files, func(f rundir.File) bool { return filepath.Base(f.Path) == sqlrunner.JarName })
			if want := tt.jars > 0 || tt.usrlib; written != want {
				t.Errorf("the jar is written: %t, want %t", written, want)
			}
		})
	}
}
