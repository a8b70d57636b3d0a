package boot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/phase"
)

// TestWhoWinsTheJobOptions: id, savepoint and class of the definition against what follows the role and in stronger layers.
func TestWhoWinsTheJobOptions(t *testing.T) {
	const jar = "id: 00000000000000000000000000000001\nsavepoint: {path: s3://definition}\njar: {uri: /job.jar, entryClass: a.Definition, args: [x]}\n"
	const sql = "savepoint: {path: s3://definition, allowNonRestoredState: true}\nsql: {script: INSERT INTO t SELECT 1;}\n"
	for _, tt := range []struct {
		name       string
		definition string
		properties string
		args       []string
		want       string // in the command line, in this order
		without    []string
		warning    string      // a part of one
		phase      phase.Phase // of the error
	}{
		{name: "definition", definition: jar, want: "--job-id 00000000000000000000000000000001 --fromSavepoint s3://definition --job-classname a.Definition x"},
		{name: "option", definition: jar, args: []string{"--fromSavepoint", "s3://option", "--job-id=2", "-j", "a.Option"}, without: []string{"s3://definition", "--job-classname"},
			want: "--fromSavepoint s3://option --job-id=2 -j a.Option x", warning: "--fromSavepoint after the role wins, not the definition's savepoint.path"},
		{name: "short option", definition: jar, args: []string{"-s", "s3://option"}, without: []string{"s3://definition"}, want: "-s s3://option", warning: "--fromSavepoint after the role"},
		{name: "an argument of the job", definition: jar, args: []string{"run", "--fromSavepoint", "mine"}, want: "--fromSavepoint s3://definition --job-classname a.Definition run --fromSavepoint mine x"},
		{name: "-D", definition: jar, args: []string{"-Dexecution.state-recovery.path=s3://d"}, without: []string{"s3://definition"}, warning: "execution.state-recovery.path (-D) wins"},
		{name: "FLINK_PROPERTIES", definition: sql, properties: "execution.savepoint.path: s3://p", without: []string{"s3://definition"}, warning: "execution.savepoint.path (FLINK_PROPERTIES:1) wins"},
		{name: "no savepoint", definition: sql, args: []string{"--fromSavepoint", ""}, without: []string{"--fromSavepoint", "s3://definition", "--allowNonRestoredState", ""}, want: "run", warning: "--fromSavepoint after the role wins, not the definition's savepoint.path"},
		{name: "no savepoint, joined", definition: jar, args: []string{"--job-id", "2", "-s=", "-Da=b", "run", "-s", "mine"}, without: []string{"s3://definition", "-s="}, want: "--job-id 2 -Da=b run -s mine x", warning: "--fromSavepoint after the role wins"},
		{name: "no savepoint and a key", definition: jar, properties: "execution.savepoint.path: s3://p", args: []string{"--fromSavepoint="}, without: []string{"s3://definition", "--fromSavepoint="}, want: "x", warning: "execution.savepoint.path (FLINK_PROPERTIES:1) has no effect"},
		{name: "configuration", definition: jar + "configuration: {execution.savepoint.path: s3://c}\n", want: "--fromSavepoint s3://definition", warning: "savepoint.path wins, not its configuration"},
		{name: "name and configuration", definition: jar + "configuration: {pipeline.name: other}\n", want: "--job-classname a.Definition x"},
		{name: "slots twice", definition: jar + "configuration: {taskmanager.numberOfTaskSlots: 4}\nresources: {taskManager: {slots: 3}}\n", want: "x", warning: "taskmanager.numberOfTaskSlots is set twice in the definition"},
		{name: "not restored state, once", definition: sql, args: []string{"-n"}, without: []string{"--allowNonRestoredState"}, want: "-n"},
		{name: "class of a SQL job", definition: sql, args: []string{"--job-classname", "a.B"}, phase: phase.Usage},
		{name: "argument of a SQL job", definition: sql, args: []string{"-D", "a=b", "extra", "-Drest.port=9999"}, phase: phase.Usage},
		{name: "options of a SQL job", definition: sql, args: []string{"-D", "a=b", "--restoreMode", "CLAIM", "-Drest.port=9999"}, want: "-D a=b --restoreMode CLAIM -Drest.port=9999 run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine()})
			if tt.properties != "" {
				env = append(env, "FLINK_PROPERTIES="+tt.properties)
			}
			file := filepath.Join(t.TempDir(), "job.yaml")
			if err := os.WriteFile(file, []byte("apiVersion: flink-entrypoint/v1\nname: job\n"+tt.definition), 0o600); err != nil {
				t.Fatal(err)
			}
			plan, err := gather(t, home, "standalone-job", env, func(o *Options, w *World) { o.Definition, o.MemoryLimit, w.Args = file, "2g", tt.args })
			if tt.phase != "" {
				var e *phase.Error
				if !errors.As(err, &e) || e.Phase != tt.phase {
					t.Fatalf("got %v, expected an error of %v", err, tt.phase)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			at := 0
			for _, word := range strings.Fields(tt.want) {
				i := slices.Index(plan.Command.Argv[at:], word)
				if i < 0 {
					t.Fatalf("%q is not in its place in %q", word, plan.Command.Argv)
				}
				at += i + 1
			}
			if conf := plan.Config.Rendered; strings.HasPrefix(tt.name, "no savepoint") && strings.Contains(string(conf), ".path: s3:") {
				t.Errorf("the configuration names a savepoint:\n%s", conf)
			}
			for _, word := range tt.without {
				if slices.Contains(plan.Command.Argv, word) {
					t.Errorf("%q is in %q", word, plan.Command.Argv)
				}
			}
			if warned := strings.Join(plan.Warnings, "\n"); !strings.Contains(warned, tt.warning) || tt.warning == "" && warned != "" {
				t.Errorf("warnings %q, expected one with %q", warned, tt.warning)
			}
		})
	}
}
