package boot

import (
	"strings"
	"testing"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/launch"
)

// TestInheritedLogsHoldEveryWarning: those that are found last too.
func TestInheritedLogsHoldEveryWarning(t *testing.T) {
	const name = "FLINK_INHERITED_LOGS"
	place := "\nfrom outside\n\n" + summaryPlace + "\n"
	g := newGatherer(Explain, "taskmanager", Options{}, World{})
	g.plan.Home = &distribution.Home{Version: flinkconf.Version{Major: 2, Minor: 2, Patch: 1}}
	g.plan.Warnings = []string{"the last warning"}
	g.plan.Command = &launch.Command{Env: []string{"A=b", name + "=" + place}, Changed: map[string]string{name: place}}
	g.inheritLogs()
	got := newEnvironment(g.plan.Command.Env)[name]
	if !strings.HasPrefix(got, "\nfrom outside\n\nflink-entrypoint: taskmanager on Flink 2.2.1") || !strings.Contains(got, "warning: the last warning\n") || strings.Contains(got, summaryPlace) {
		t.Errorf("%s=%q", name, got)
	}
	if g.plan.Command.Changed[name] != got {
		t.Errorf("changed says %q, the environment %q", g.plan.Command.Changed[name], got)
	}
}
