package boot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/phase"
)

// TestJoinedLinesAreNamed: lines that a YAML ">" or a shell joined became a part of the first value, without a word.
func TestJoinedLinesAreNamed(t *testing.T) {
	for _, tt := range []struct {
		name, version, conf, properties, definition string
		warning                                     string
		phase                                       phase.Phase // of the error that the warning's text is
	}{
		{name: "FLINK_PROPERTIES folded", version: "2.2.1", properties: "rest.port: 8081 state.backend.type: rocksdb", warning: "rest.port (FLINK_PROPERTIES:1) holds state.backend.type as a part of its value: two keys on one line; each key needs a line of its own"},
		{name: "FLINK_PROPERTIES with \\n", version: "1.20.5", properties: `rest.port: 8081\nweb.submit.enable: false`, warning: `rest.port (FLINK_PROPERTIES:1) holds \n and web.submit.enable`},
		{name: "FLINK_PROPERTIES that begins with \\n", version: "2.2.1", properties: `\nrest.port: 8081`, warning: `\nrest.port (FLINK_PROPERTIES:1): the two characters \n`},
		{name: "FLINK_PROPERTIES that ends with \\n", version: "2.2.1", properties: `jobmanager.rpc.address: jm\n`, warning: `jobmanager.rpc.address (FLINK_PROPERTIES:1) holds \n`},
		{name: "a comment and \\n", version: "2.2.1", properties: `# ours\nrest.port: 8081`, warning: "rest.port is a part of a comment"},
		{name: "flink-conf.yaml", version: "1.18.1", conf: "# x\nrest.port: 8081, state.backend: rocksdb\n", warning: "rest.port (flink-conf.yaml:2) holds state.backend"},
		{name: "config.yaml", version: "2.2.1", conf: "rest.port: '8081 state.backend.type: rocksdb'\n", warning: "rest.port (config.yaml:2) holds state.backend.type"},
		{name: "definition", version: "2.2.1", definition: "configuration: {rest.port: '8081 state.backend.type: rocksdb'}", warning: "rest.port (job definition configuration) holds state.backend.type"},
		{name: "a size", version: "2.2.1", properties: "taskmanager.memory.process.size: 1728m taskmanager.numberOfTaskSlots: 2", phase: phase.Configuration, warning: "holds taskmanager.numberOfTaskSlots"},
		{name: "slots", version: "1.20.5", properties: `taskmanager.numberOfTaskSlots: 2\nrest.port: 1`, phase: phase.Configuration, warning: `holds \n and rest.port`},
		{name: "slots that end with \\n", version: "1.20.5", properties: `taskmanager.numberOfTaskSlots: 2\n`, phase: phase.Configuration, warning: `holds \n`},
		{name: "a size and a comment", version: "2.2.1", properties: "taskmanager.memory.process.size: 1728m # the container's", phase: phase.Configuration,
			warning: "taskmanager.memory.process.size (FLINK_PROPERTIES:1): the comment is a part of the value, which Flink cannot read; expected 1728m alone"},
		{name: "a fraction and a comment", version: "1.20.5", conf: "taskmanager.memory.managed.fraction: '0.4 # less'\n", phase: phase.Configuration, warning: "(config.yaml:2): the comment is a part of the value"},
		{name: "a size and a comment in the definition", version: "2.2.1", definition: "configuration: {taskmanager.memory.flink.size: '1g #x'}", phase: phase.Configuration, warning: "(job definition configuration): the comment"},
		{name: "not a size at all", version: "2.2.1", properties: "taskmanager.memory.process.size: much", phase: phase.Memory, warning: "Could not parse value 'much'"},
		{name: "options, URLs, lists, maps", version: "2.2.1", properties: "env.java.opts.taskmanager: -Xlog:gc:stdout -Dstate.x=y\npipeline.jars: file:/a.jar;file:/b.jar\n" +
			"my.delimiter: \\n\nkubernetes.taskmanager.labels: app:flink,team:x\npipeline.default-kryo-serializers: class:a.B,serializer:a.C"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, line := "config.yaml", moduleLine()
			if tt.version == "1.18.1" {
				name = "flink-conf.yaml"
				tt.conf = strings.TrimPrefix(tt.conf, "# x\n")
			}
			home, env := stubHome(t, tt.version, map[string]string{name: line + tt.conf})
			definition := ""
			if tt.definition != "" {
				definition = filepath.Join(t.TempDir(), "job.yaml")
				if err := os.WriteFile(definition, []byte("apiVersion: flink-entrypoint/v1\nname: job\n"+tt.definition+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			plan, err := gather(t, home, "taskmanager", append(env, "FLINK_PROPERTIES="+tt.properties), func(o *Options, _ *World) { o.Definition = definition })
			if tt.phase != "" {
				var e *phase.Error
				if !errors.As(err, &e) || e.Phase != tt.phase || !strings.Contains(e.Error(), tt.warning) {
					t.Errorf("got %v, want an error of %s with %q", err, tt.phase, tt.warning)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, w := range plan.Warnings {
				found = found || tt.warning != "" && strings.Contains(w, tt.warning)
				if tt.warning == "" && strings.Contains(w, "line of its own") {
					t.Errorf("warned: %s", w)
				}
			}
			if !found && tt.warning != "" {
				t.Errorf("warnings %q, want one with %q", plan.Warnings, tt.warning)
			}
		})
	}
}
