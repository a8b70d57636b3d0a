//go:build flink

package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"flink-entrypoint/test/world"
)

// TestKilledAnywhere kills starts of every kind at each of their writing system calls.
func TestKilledAnywhere(t *testing.T) {
	binary := world.Binary(t)
	var one sync.Mutex
	total, byName := 0, map[string]int{}
	t.Run("start", func(t *testing.T) { // ends when all of them have ended
		for _, s := range scenarios(t) {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				kills, calls := killEverywhere(t, binary, s, 1, 0)
				one.Lock()
				defer one.Unlock()
				total += kills
				for name, n := range calls {
					byName[name] += n
				}
				t.Logf("%d kills", kills)
			})
		}
	})
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, byName[name]))
	}
	t.Logf("%d kills: %s", total, strings.Join(parts, ", "))
	if total < 400 && !t.Failed() && !t.Skipped() {
		t.Errorf("only %d kills", total)
	}
}

// TestProcessesOfNumberOneShareDirectories is the whole of its quick form.
func TestProcessesOfNumberOneShareDirectories(t *testing.T) { shareDirectories(t, allStarts) }
