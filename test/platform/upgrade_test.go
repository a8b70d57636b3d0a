//go:build platform

package platform

import (
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/wire"
)

// TestRealUpgrade: a version that runs, one that fails, and one that does not get its slots follow each other. Together the runs of the versions that
// ran wrote each number once: what a version that was given up wrote is written again by the version before.
func TestRealUpgrade(t *testing.T) {
	eachVersion(t, func(t *testing.T, r *real) {
		r.again()
		job := jobOf("stopped")
		r.begin("stopped", r.definition(job), wire.Start{})
		run := r.running("stopped")
		var kept []string // runs of versions that ran
		step := func(definition string, within int, want string) wire.Run {
			t.Helper()
			r.wrote(run.ID, 5)
			kept = append(kept, run.ID)
			if code, err := r.call("PUT", "/v1/jobs/stopped", definition, nil); err != nil {
				t.Fatalf("%d %v", code, err)
			}
			if code, err := r.call("POST", "/v1/jobs/stopped/upgrade", wire.UpgradeJob{Within: within}, nil); err != nil {
				t.Fatalf("%d %v", code, err)
			}
			before := run.ID
			run = r.untilWithin(5*time.Minute, "stopped", "the upgrade is "+want, func(now wire.Run) bool {
				return now.ID != before && now.Upgrade != nil && now.Upgrade.State == want && now.Queue == "running" && now.Condition == ""
			})
			return run
		}
		good := r.definition(job, "restart-strategy.type: fixed-delay")
		if now := step(good, 240, "done"); now.Version != 2 || now.Upgrade.From != 1 {
			t.Errorf("%+v %+v", now, now.Upgrade)
		}
		r.kill() // the next server goes on with what this one began
		r.again()
		fails := strings.Replace(good, "SELECT note(", "SELECT 1 / (id - id) + note(", 1)
		if now := step(fails, 240, "back"); now.Version != 2 || now.Upgrade.From != 3 {
			t.Errorf("%+v %+v", now, now.Upgrade)
		}
		waits := strings.Replace(good, "configuration:\n", "x-platform: {taskManagers: 1}\nconfiguration:\n  parallelism.default: 3\n", 1)
		if now := step(waits, 20, "back"); now.Version != 2 || now.Upgrade.From != 4 || !strings.Contains(now.Upgrade.Reason, "waits for slots") {
			t.Errorf("%+v %+v", now, now.Upgrade)
		}
		r.wrote(run.ID, 5)
		kept = append(kept, run.ID)
		r.stop("stopped", "savepoint")
		if end := r.ends("stopped"); end.Outcome != "stopped" {
			t.Errorf("%+v", end)
		}
		var rows []int
		lives := r.lives()
		for _, id := range kept {
			rows = append(rows, lives[id].rows...)
		}
		slices.Sort(rows)
		for i, n := range rows {
			if n != i+1 {
				t.Fatalf("the runs %v wrote %v: number %d is missing or there twice", kept, rows, i+1)
			}
		}
		t.Logf("%d numbers by %d runs", len(rows), len(kept))
		r.owned()
	})
}
