package process

import (
	"slices"
	"testing"

	"flink-entrypoint/internal/platform/cluster"
)

// TestTeamIsALabel: of the metrics of every process, where the definition reports them.
func TestTeamIsALabel(t *testing.T) {
	d := &Driver{Dir: t.TempDir()}
	for _, name := range []string{"jobmanager-1", "taskmanager-1"} {
		for team, want := range map[string]bool{"web": true, "": false} {
			c := d.command(cluster.Spec{Run: "r", Team: team, JobManagers: 1, TaskManagers: 1}, ports{RPC: 1, Blob: 2, REST: []int{3}}, name, t.TempDir())
			i := slices.Index(c.Args, "--metrics")
			if has := i > 0 && c.Args[i+1] == "labels.team=web"; has != want {
				t.Errorf("%s of team %q: %q", name, team, c.Args)
			}
		}
	}
}
