package boot

import (
	"strings"
	"testing"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/redact"
)

// TestInheritedLogsHoldEveryWarning: those that are found last too.
func TestInheritedLogsHoldEveryWarning(t *testing.T) {
	const name = "FLINK_INHERITED_LOGS"
	place := "\nfrom outside\n\n" + summaryPlace + "\n"
	p := &Plan{Role: "taskmanager"}
	p.Home = &distribution.Home{Version: flinkversion.Of(2, 2, 1)}
	p.Warnings = []string{"the last warning"}
	p.Command = &launch.Command{Env: []string{"A=b", name + "=" + place}, Changed: map[string]string{name: place}}
	p.inheritLogs(new(redact.Redactor))
	got := environ.Of(p.Command.Env)[name]
	if !strings.HasPrefix(got, "\nfrom outside\n\nflink-entrypoint: taskmanager on Flink 2.2.1") || !strings.Contains(got, "warning: the last warning\n") || strings.Contains(got, summaryPlace) {
		t.Errorf("%s=%q", name, got)
	}
	if p.Command.Changed[name] != got {
		t.Errorf("changed says %q, the environment %q", p.Command.Changed[name], got)
	}
}
