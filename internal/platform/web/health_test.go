package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/wire"
)

// healthSite is the pages of a server that is as h says.
func healthSite(h wire.Health) *Site {
	s := New(nil)
	s.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		expires := time.Now().Add(time.Hour)
		var out any = h
		if r.URL.Path == "/v1/me" {
			out = wire.Me{Name: "ann", Role: "view", Team: "web", Expires: &expires}
		}
		json.NewEncoder(w).Encode(out)
	})
	return s
}

// TestHealthStates: what the page says of each state of a server.
func TestHealthStates(t *testing.T) {
	for name, c := range map[string]struct {
		health wire.Health
		want   []string
	}{
		"late":     {wire.Health{Queues: []wire.Queue{{Name: "running", Runs: 12345, Overdue: 61}}}, []string{"Runs wait longer than they should</strong> in running", "1 min 01 s", "12\u202f345"}},
		"observes": {wire.Health{Observes: true}, []string{"This server only observes", "flink-platform resume", "Every queue keeps up."}},
		"ready": {wire.Health{Workbench: &wire.WorkbenchState{Flink: "2.2.1", Versions: []string{"2.2.1", "1.20.5"}, Warm: 1, Wanted: 1, Planner: true, Slots: 4, Running: 2, Waiting: 3, Wall: wire.Wall{On: true, By: "bubblewrap", Cgroup: true}}},
			[]string{"Flink 2.2.1, 1.20.5", "1 of 1", "ready", "2 of 4", "<dd>3</dd>", "bubblewrap", "memory and processes bounded"}},
		"starting": {wire.Health{Workbench: &wire.WorkbenchState{Flink: "2.2.1", Wanted: 2, Wall: wire.Wall{Reason: "<b>no</b> bwrap"}}}, []string{"0 of 2", "starting", "&lt;b&gt;no&lt;/b&gt; bwrap"}},
		"workers": {wire.Health{Workbench: &wire.WorkbenchState{Flink: "2.2.1", Workers: []wire.WorkerState{{Flink: "1.20.5", Slots: 2, Running: 1}, {Flink: "1.18", Reason: "it <b>is</b> away"}}}},
			[]string{"Worker for Flink 1.20.5", "1 of 2 debug runs", "without a wall", "The worker for Flink 1.18 cannot be used: it &lt;b&gt;is&lt;/b&gt; away"}},
		"cold": {wire.Health{Workbench: &wire.WorkbenchState{Flink: "2.2.1"}}, []string{"--warm 0"}},
	} {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/health", nil)
		r.Header.Set("Accept", "text/html")
		healthSite(c.health).ServeHTTP(answer, r)
		for _, text := range c.want {
			if !strings.Contains(answer.Body.String(), text) {
				t.Errorf("%s: no %q in\n%s", name, text, answer.Body)
			}
		}
		if answer.Code != http.StatusOK {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
}
