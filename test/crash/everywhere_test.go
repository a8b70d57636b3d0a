//go:build flink

package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/test/program"
)

// TestKilledAnywhere kills starts of every kind at each of their writing system calls.
func TestKilledAnywhere(t *testing.T) {
	binary := program.Build(t)
	total, byName := 0, map[string]int{}
	for _, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			kills, calls := killEverywhere(t, binary, s, 1, 0)
			total += kills
			for name, n := range calls {
				byName[name] += n
			}
			t.Logf("%d kills", kills)
		})
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, byName[name]))
	}
	t.Logf("%d kills: %s", total, strings.Join(parts, ", "))
	if total < 400 && !t.Failed() && !t.Skipped() {
		t.Errorf("only %d kills", total)
	}
}
