//go:build flink

package boot

import (
	"strings"
	"testing"

	"flink-entrypoint/test/flinkhome/homes"
)

// TestStockConfigurationsAreQuiet: the distribution's own configuration gives no reason for a warning about its keys.
func TestStockConfigurationsAreQuiet(t *testing.T) {
	for _, version := range homes.Versions() {
		home := homes.Home(t, version)
		_, env := stubHome(t, version, nil)
		plan, err := gather(t, home, "taskmanager", append(env, "FLINK_HOME="+home), func(o *Options, _ *World) { o.Sysroot, o.MemoryLimit = t.TempDir(), "2g" })
		if err != nil {
			t.Errorf("%s: %v", version, err)
			continue
		}
		for _, w := range plan.Warnings {
			if !strings.Contains(w, "Java 17 is not supported") {
				t.Errorf("%s: %s", version, w)
			}
		}
	}
}
