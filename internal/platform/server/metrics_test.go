package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
)

// TestMetrics: what Prometheus gets is what the store has, of the team that its token is for.
func TestMetrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	web, ads := f.tokenOf("ann", "web", store.RoleAdmin), f.tokenOf("bob", "ads", store.RoleView)
	f.token = web
	r := f.running("clicks")
	has := func(token, line string, want bool) {
		t.Helper()
		f.as(token, func() {
			if text := string(f.want(200, "GET", "/metrics", nil, nil)); strings.Contains(text, line) != want {
				t.Errorf("%q: %t, want %t:\n%s", line, !want, want, text)
			}
		})
	}
	running := `flink_platform_jobs{condition="",ended="false",queue="running",team="web"} 1`
	has(web, running, true)
	has(web, `flink_platform_queue_runs{queue="running"} 1`, true)
	has(web, "flink_platform_alerts_overdue 0", true)
	has(web, "go_goroutines", true)
	has(ads, running, false)
	// The run is lost, whatever its cluster says.
	for {
		run, err := f.s.Store.Run(context.Background(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		run.State.Condition, run.State.Since = jobstate.Lost, time.Now()
		if _, err := f.s.Store.Transition(context.Background(), r.ID, run.Revision, "", store.Change{State: run.State, Next: time.Hour}); err == nil {
			break
		}
	}
	lost := `flink_platform_alert{alert="FlinkJobLost",job_name="clicks",team="web"} 1`
	has(web, lost, true)
	has(ads, lost, false)
}
