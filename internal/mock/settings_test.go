package mock

import "testing"

// TestClusterSettings: which keys are for a cluster, and where their SET is left out.
func TestClusterSettings(t *testing.T) {
	for _, c := range []struct {
		key              string
		blanked, leftOut bool
	}{
		{"execution.checkpointing.interval", true, true},
		{"state.checkpoints.dir", true, true},
		{"state.checkpoint-storage", false, true},
		{"restart-strategy.type", true, true},
		{"parallelism.default", false, true},
		{"taskmanager.numberOfTaskSlots", false, true},
		{"pipeline.jars", true, false},
		{"pipeline.name", false, false},
		{"table.exec.state.ttl", false, false},
		{"execution.runtime-mode", false, false},
		{"", false, false},
	} {
		if Blanked(c.key) != c.blanked || leftOut(c.key) != c.leftOut {
			t.Errorf("%s is blanked: %t, left out: %t; want %t, %t", c.key, Blanked(c.key), leftOut(c.key), c.blanked, c.leftOut)
		}
	}
}
