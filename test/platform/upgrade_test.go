//go:build platform

package platform

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/world"
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
		if now := step(waits, 60, "back"); now.Version != 2 || now.Upgrade.From != 4 || !strings.Contains(now.Upgrade.Reason, "it waits for slots: it needs 3, and its cluster has 1 (1 TaskManager); give it more TaskManagers") {
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

// TestUpgradeKilled kills the server at one of its places after an upgrade to a version that the entrypoint refuses was asked for, and starts it again:
// each step is done once, and the version before is back from its own savepoint.
func TestUpgradeKilled(t *testing.T) {
	kills, rnd := number(t, "KILLS", 12), seeded(t, 4)
	fake := world.Build(t, "test/platform/fakeflink")
	var reached places
	t.Run("places", func(t *testing.T) {
		for i := range kills {
			at := 1 + rnd.IntN(110)
			t.Run(fmt.Sprint(i, "-at-", at), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, fake)
				s.start(0)
				definition := func(name string) string { return "apiVersion: flink-entrypoint/v1\nname: " + name + "\n" + script }
				for _, c := range []struct{ method, path, body string }{{"PUT", "/v1/jobs/clicks", definition("endless")}, {"POST", "/v1/jobs/clicks/start", "{}"}, {"PUT", "/v1/jobs/clicks", definition("refused")}} {
					if code, err := s.call(c.method, c.path, c.body, nil); err != nil {
						t.Fatalf("%s %s: %d %v", c.method, c.path, code, err)
					}
				}
				first := s.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
				s.kill()
				s.start(at)
				// 409: the answer of an earlier try was lost.
				if code, err := s.call("POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{Within: 60}, nil); err != nil && code != http.StatusConflict {
					t.Fatalf("%d %v", code, err)
				}
				last := s.until("clicks", "back", func(r wire.Run) bool {
					return r.ID != first.ID && r.Upgrade != nil && r.Upgrade.State == "back" && r.Queue == "running" && r.Condition == ""
				})
				var all struct{ Runs []wire.Run }
				if _, err := s.call("GET", "/v1/jobs/clicks/runs", nil, &all); err != nil {
					t.Fatal(err)
				}
				if len(all.Runs) != 3 || all.Runs[2].ID != first.ID || all.Runs[2].Outcome != "stopped" || all.Runs[1].Outcome != "failed" || all.Runs[1].Upgrade.State != "failed" || all.Runs[0].ID != last.ID {
					t.Fatalf("%+v", all.Runs)
				}
				if save := all.Runs[2].Savepoint; save == "" || all.Runs[1].From != save || last.From != save || last.Version != 1 || !strings.Contains(last.Upgrade.Reason, "definition invalid") {
					t.Errorf("%+v %+v", all.Runs, last.Upgrade)
				}
				b, err := os.ReadFile(filepath.Join(s.home, "oracle"))
				if err != nil {
					t.Fatal(err)
				}
				truth := string(b) // the second version never began
				if strings.Count(truth, " start\n") != 2 || strings.Count(truth, " savepoint\n") != 1 || strings.Count(truth, "end FINISHED") != 1 || strings.Contains(truth, all.Runs[1].ID) {
					t.Errorf("the jobs wrote\n%s", truth)
				}
				reached.note(s)
			})
		}
	})
	reached.report(t, kills, min(kills/3, 20))
}
