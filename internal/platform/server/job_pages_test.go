package server

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/simulate"
)

// A reader is a browser that is signed in and goes where it is led.
type reader struct{ *browser }

// readerAs makes a token of a team and a reader with it.
func (f *fixture) readerAs(name, team string, role store.Role) reader {
	f.t.Helper()
	return reader{f.browse(f.tokenOf(name, team, role))}
}

func (b reader) get(path string) (int, string) {
	b.f.t.Helper()
	resp, page := b.browser.get(path)
	return resp.StatusCode, page
}

// post sends a form and returns where it leads.
func (b reader) post(path string, form url.Values) (int, string) {
	b.f.t.Helper()
	resp, page := b.browser.post(path, form)
	if resp.StatusCode == http.StatusSeeOther {
		return b.get(resp.Header.Get("Location"))
	}
	return resp.StatusCode, page
}

var tags = regexp.MustCompile(`(?s)<script.*?</script>|<[^>]*>`)

// text is what a person reads of a page.
func text(page string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(page, " "))), " ")
}

// shows expects a page with texts.
func (b reader) shows(path string, texts ...string) string {
	b.f.t.Helper()
	status, page := b.get(path)
	if status != http.StatusOK {
		b.f.t.Errorf("GET %s: %d %s", path, status, text(page))
	}
	for _, want := range texts {
		if !strings.Contains(text(page), want) {
			b.f.t.Errorf("GET %s: no %q in: %s", path, want, text(page))
		}
	}
	return page
}

// hides expects that a page has none of some texts.
func (b reader) hides(path string, texts ...string) {
	b.f.t.Helper()
	_, page := b.get(path)
	for _, t := range texts {
		if strings.Contains(page, t) {
			b.f.t.Errorf("GET %s has %q", path, t)
		}
	}
}

// jobTabs are the pages of a job.
var jobTabs = []string{"", "/versions", "/versions/1", "/diff?old=1&new=1", "/runs", "/exceptions", "/checkpoints", "/logs", "/memory", "/lineage"}

// all expects that each page of a job is there, and returns them.
func (b reader) all(job string) map[string]string {
	b.f.t.Helper()
	pages := map[string]string{}
	for _, tab := range jobTabs {
		status, page := b.get("/jobs/" + job + tab)
		if status != http.StatusOK {
			b.f.t.Errorf("%s%s: %d %s", job, tab, status, text(page))
		}
		if !strings.Contains(page, "<h1>"+job+"</h1>") {
			b.f.t.Errorf("%s%s has no heading: %s", job, tab, text(page))
		}
		pages[tab] = page
	}
	return pages
}

// soon waits for a condition of a running job, which is looked at more often than usual.
func (f *fixture) soon(job, condition string) {
	f.t.Helper()
	f.until(job, condition, func(r wire.Run) bool {
		if err := f.s.Store.Wake(f.t.Context(), r.ID); err != nil {
			f.t.Fatal(err)
		}
		return r.Condition == condition
	})
}

// lostSoon is a definition whose run is lost soon after its cluster stops to answer.
var lostSoon = strings.Replace(definition, "sql:\n", "x-platform: {lostAfter: 100ms}\nsql:\n", 1)

// TestPagesOfAJobInEachState: every page of a job is there in every state, says how the job is and what can be done.
func TestPagesOfAJobInEachState(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}

	status, page := b.get("/jobs/clicks")
	if status != 404 || !strings.Contains(text(page), `Unknown job "clicks"`) {
		t.Errorf("no version yet: %d %s", status, text(page))
	}
	f.want(201, "PUT", "/v1/jobs/clicks?comment=first", lostSoon, nil)
	b.all("clicks")
	b.shows("/jobs/clicks", "This job was never started.", "No run yet", "Press Start", "newest version 1")
	b.shows("/jobs/clicks/runs", "No runs yet")
	b.shows("/jobs/clicks/exceptions", "The job was never started")
	b.shows("/jobs/clicks/checkpoints", "The job was never started")
	b.shows("/jobs/clicks/logs", "No logs yet")
	b.shows("/jobs/clicks/versions", "first", "ann", "newest")
	b.shows("/jobs/clicks/memory", "no Flink distribution")
	b.shows("/jobs/clicks/lineage", "this server has no workbench")

	// Starting.
	status, page = b.post("/jobs/clicks/start", url.Values{"version": {"1"}, "savepoint": {"definition"}})
	if status != 200 || !strings.Contains(text(page), "The job was asked to start.") {
		t.Errorf("start: %d %s", status, text(page))
	}
	r := f.until("clicks", "started", func(r wire.Run) bool { return r.Attempt != "" })
	b.all("clicks")
	b.shows("/jobs/clicks", "The cluster is starting.", "version 1 was asked to start", "by ann", "evidence: user", "attempt "+r.Attempt+" has started", "no state to save")
	b.shows("/jobs/clicks/runs/"+r.ID, r.ID[:8], "Attempts", r.Attempt, "alive, or not seen")
	b.shows("/jobs/clicks/checkpoints", "No Flink job yet")
	status, page = b.post("/jobs/clicks/start", url.Values{"version": {"1"}})
	if status != 409 || !strings.Contains(text(page), "the job clicks has a run that has not ended") || !strings.Contains(text(page), "Stop it first") {
		t.Errorf("start twice: %d %s", status, text(page))
	}

	// Running.
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
	b.all("clicks")
	b.shows("/jobs/clicks", "Every task runs.", "Stop with savepoint…", "Drain…", "Cancel…", "Start: there is a run that has not ended. Stop it first.", "Asked for run")
	b.shows("/jobs/clicks/versions", "runs")
	b.shows("/jobs/clicks/exceptions", "java.lang.ArithmeticException", "/ by zero", "Thrown because of it: 1 exception", "JobException: Recovery is suppressed")
	b.shows("/jobs/clicks/checkpoints", "the cluster does not answer, and has archived nothing")

	// Restarting.
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RESTARTING" })
	f.soon("clicks", "restarting")
	b.shows("/jobs/clicks", "Flink restarts the job after a failure.")
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Broken = "no leader" })

	// Lost.
	f.soon("clicks", "lost")
	b.all("clicks")
	b.shows("/jobs/clicks", "Nothing says how the run is", "Say how it ended…")
	b.shows("/jobs/clicks/runs/"+r.ID+"/resolve", "Deletes the cluster of the run first", "An ended run never changes again.")
	status, page = b.post("/jobs/clicks/runs/"+r.ID+"/resolve", url.Values{"as": {"failed"}, "reason": {" "}})
	if status != 400 || !strings.Contains(text(page), "the reason is missing") || !strings.Contains(page, `value="failed" required checked`) {
		t.Errorf("resolve without a reason: %d %s", status, text(page))
	}
	status, page = b.post("/jobs/clicks/runs/"+r.ID+"/resolve", url.Values{"as": {"failed"}, "reason": {"the machine burnt"}})
	if status != 200 || !strings.Contains(text(page), "The run ends as you said when its cluster is gone.") {
		t.Errorf("resolve: %d %s", status, text(page))
	}

	// Failed.
	f.until("clicks", "failed", func(r wire.Run) bool { return r.Outcome == "failed" })
	b.all("clicks")
	b.shows("/jobs/clicks", "The run has failed.", "the machine burnt", "known from: user", "Start…")
	b.shows("/jobs/clicks/runs", "failed", "the machine burnt")
	b.shows("/jobs/clicks/exceptions", "the cluster does not answer, and has archived nothing", "Look into the logs of this run")
	status, page = b.post("/jobs/clicks/stop", url.Values{"mode": {"savepoint"}})
	if status != 409 || !strings.Contains(text(page), "the run has ended (failed)") {
		t.Errorf("stop of an ended run: %d %s", status, text(page))
	}
	if status, page := b.post("/jobs/clicks/stop", url.Values{"mode": {"explode"}}); status != 400 || !strings.Contains(text(page), `unknown mode "explode"`) {
		t.Errorf("an unknown mode: %d %s", status, text(page))
	}

	// Finished, with an archive: exceptions and checkpoints are there after the end.
	if status, page := b.post("/jobs/clicks/start", url.Values{"version": {"1"}, "savepoint": {"none"}}); status != 200 {
		t.Errorf("start again: %d %s", status, text(page))
	}
	r = f.until("clicks", "started", func(n wire.Run) bool { return n.ID != r.ID && n.Attempt != "" })
	f.as(f.runToken(r.ID), func() {
		f.want(204, "PUT", "/v1/runs/"+r.ID+"/archive/a/"+r.JobID, archiveOf(r.JobID, "FINISHED"), nil)
	})
	f.until("clicks", "finished", func(r wire.Run) bool { return r.Outcome == "finished" })
	b.all("clicks")
	b.shows("/jobs/clicks", "The job has ended by itself", "known from: archive")
	b.shows("/jobs/clicks/checkpoints", "file:/nowhere", "Start from this…", "1 completed")
	b.shows("/jobs/clicks/exceptions", "c.D", "the cause", "a.B: wrapper")
}

// TestButtonsOfAJob: what each of them does.
func TestButtonsOfAJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}
	r := f.running("clicks")

	b.shows("/jobs/clicks/stop?mode=savepoint", "Asks Flink for a savepoint, and ends the job when it is complete.")
	b.shows("/jobs/clicks/stop?mode=drain", "Ends all event time first")
	b.shows("/jobs/clicks/stop?mode=cancel", "at once, without a savepoint")
	status, page := b.post("/jobs/clicks/stop", url.Values{"mode": {"savepoint"}})
	if status != 200 || !strings.Contains(text(page), "A stop with savepoint was asked for.") || !strings.Contains(text(page), "A savepoint is being made") {
		t.Errorf("stop: %d %s", status, text(page))
	}
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		c.Status, c.Savepoint = "FINISHED", `{"status":{"id":"COMPLETED"},"operation":{"location":"file:/savepoints/one"}}`
	})
	f.until("clicks", "stopped", func(r wire.Run) bool { return r.Outcome == "stopped" })
	b.shows("/jobs/clicks", "The run was stopped with a savepoint.", "file:/savepoints/one", "a stop with savepoint was asked for evidence: user · by ann")
	page = b.shows("/jobs/clicks/checkpoints", "Savepoints of stops", "file:/savepoints/one", "Start from this…")
	from := regexp.MustCompile(`href="(/jobs/clicks/start\?path=[^"]*)"`).FindStringSubmatch(page)
	if from == nil {
		t.Fatal("no link to start from the savepoint")
	}
	page = b.shows(html.UnescapeString(from[1]), "Start clicks", "a path")
	if !strings.Contains(page, `value="file:/savepoints/one"`) || !strings.Contains(page, `value="path" id="start-from-path" checked`) {
		t.Errorf("the form is not filled in: %s", page)
	}

	// From the path.
	if status, page := b.post("/jobs/clicks/start", url.Values{"version": {"1"}, "savepoint": {"path"}, "path": {" "}}); status != 400 || !strings.Contains(text(page), "the path of the savepoint or checkpoint is missing") {
		t.Errorf("without a path: %d %s", status, text(page))
	}
	if status, page := b.post("/jobs/clicks/start", url.Values{"version": {"x"}}); status != 400 || !strings.Contains(text(page), `"x" is not the number of a version`) {
		t.Errorf("a wrong version: %d %s", status, text(page))
	}
	if status, page := b.post("/jobs/clicks/start", url.Values{"version": {"7"}}); status != 404 || !strings.Contains(text(page), `nknown version "7" of clicks`) {
		t.Errorf("an unknown version: %d %s", status, text(page))
	}
	b.post("/jobs/clicks/start", url.Values{"version": {"1"}, "savepoint": {"path"}, "path": {"file:/savepoints/one"}})
	next := f.until("clicks", "started again", func(n wire.Run) bool { return n.ID != r.ID && n.Attempt != "" })
	if next.From != "file:/savepoints/one" || next.By != "ann" {
		t.Errorf("%+v", next)
	}
	b.shows("/jobs/clicks", "Started from file:/savepoints/one")

	// Cancel.
	if status, page := b.post("/jobs/clicks/stop", url.Values{"mode": {"cancel"}}); status != 200 || !strings.Contains(text(page), "The cancel was asked for.") {
		t.Errorf("cancel: %d %s", status, text(page))
	}
	f.until("clicks", "canceled", func(n wire.Run) bool { return n.Outcome == "canceled" })
	b.shows("/jobs/clicks", "The run was canceled.")

	// Drain, of a run that begins with the latest savepoint.
	b.post("/jobs/clicks/start", url.Values{"version": {"1"}, "savepoint": {"latest"}})
	third := f.until("clicks", "started a third time", func(n wire.Run) bool { return n.ID != next.ID && n.Attempt != "" })
	if third.From != "file:/savepoints/one" {
		t.Errorf("the latest savepoint is %q", third.From)
	}
	f.world.Of(third.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
	if status, page := b.post("/jobs/clicks/stop", url.Values{"mode": {"drain"}}); status != 200 || !strings.Contains(text(page), "A drain was asked for.") {
		t.Errorf("drain: %d %s", status, text(page))
	}
	run, err := f.s.Store.Run(t.Context(), third.ID)
	if err != nil || run.State.Stop == nil || !run.State.Stop.Drain {
		t.Errorf("%+v %v", run.State.Stop, err)
	}
}

// TestUpgradeOfAPage: a job is upgraded from its page, which shows how far it is, and what has become of it.
func TestUpgradeOfAPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}
	old := f.running("clicks")
	b.shows("/jobs/clicks", "Upgrade: there is only one version. Save another one first.")
	b.shows("/jobs/clicks/upgrade", "there is only one version")
	f.want(201, "PUT", "/v1/jobs/clicks", definition+"#2\n", nil)
	f.want(201, "PUT", "/v1/jobs/clicks", definition+"#3\n", nil)
	page := b.shows("/jobs/clicks", "Upgrade…", "Stops the job with a savepoint, and starts the chosen version from it.", "version 1 starts again from the same savepoint", "3 (newest)", "1 (runs now)")
	if !strings.Contains(page, `<option value="3" selected>`) || !strings.Contains(page, `name="within" value="5m"`) {
		t.Error("the form has no version and deadline to begin with")
	}
	page = b.shows("/jobs/clicks/versions/2", "Upgrade to this…")
	if !strings.Contains(page, `href="/jobs/clicks/upgrade?version=2"`) {
		t.Error("the page of a version has no link to the upgrade")
	}
	b.shows("/jobs/clicks/versions/1", "Start this…")
	if page := b.shows("/jobs/clicks/upgrade?version=2", "Upgrade clicks", "Stops the job with a savepoint", "Do nothing"); !strings.Contains(page, `<option value="2" selected>`) {
		t.Error("the version of the link is not chosen")
	}
	for _, c := range []struct {
		version, within string
		status          int
		want            string
	}{
		{"x", "5m", 400, `"x" is not the number of a version`},
		{"2", "soon", 400, `the deadline is "soon", expected a duration of at least 1s`},
		{"2", "100ms", 400, "expected a duration of at least 1s"},
		{"2", "48h", 400, "expected seconds from 1 to 86400"},
		{"7", "5m", 404, `nknown version "7"`},
	} {
		status, page := b.post("/jobs/clicks/upgrade", url.Values{"version": {c.version}, "within": {c.within}})
		if status != c.status || !strings.Contains(text(page), c.want) || !strings.Contains(page, `value="`+c.within+`"`) {
			t.Errorf("version %s within %s: %d %s", c.version, c.within, status, text(page))
		}
	}

	// It is stopped with a savepoint, and version 2 starts.
	status, page := b.post("/jobs/clicks/upgrade", url.Values{"version": {"2"}, "within": {"1m"}})
	if status != 200 || !strings.Contains(text(page), "The upgrade was asked for.") || !strings.Contains(text(page), "Upgrade from version 1 to version 2: it is stopped with a savepoint first.") {
		t.Errorf("upgrade: %d %s", status, text(page))
	}
	if status, page := b.post("/jobs/clicks/upgrade", url.Values{"version": {"2"}, "within": {"1m"}}); status != 409 || !strings.Contains(text(page), "the job clicks does not run") {
		t.Errorf("twice: %d %s", status, text(page))
	}
	f.world.Of(old.ID, func(c *simulate.Cluster) { c.Status, c.Savepoint = "FINISHED", saved })
	next := f.until("clicks", "the new version", func(r wire.Run) bool { return r.ID != old.ID && r.Attempt != "" })
	b.all("clicks")
	b.shows("/jobs/clicks", "it is done when every task of version 2 has run for 10 s", "version 1 starts again from the same savepoint", "Upgrade version 1 → 2: starting")
	b.shows("/jobs/clicks/runs/"+old.ID, "an upgrade from version 1 to version 2, which starts from its savepoint")

	// It fails: the version before is back, and the page says why.
	f.world.Of(next.ID, func(c *simulate.Cluster) { c.Status = "FAILED" })
	f.until("clicks", "back", func(r wire.Run) bool { return r.ID != next.ID && r.Attempt != "" })
	b.all("clicks")
	b.shows("/jobs/clicks", "Version 2 did not run, so version 1 was started again from the same savepoint.", "java.lang.ArithmeticException: / by zero", "Upgrade version 1 again, since version 2 did not run")
	b.shows("/jobs/clicks/runs/"+next.ID, "Upgrade version 1 → 2: failed")
	if status, page := f.readerAs("vic", "web", store.RoleView).get("/jobs/clicks"); status != 200 || strings.Contains(page, "action-upgrade") || !strings.Contains(text(page), "Version 2 did not run") {
		t.Errorf("who may only view: %d %s", status, text(page))
	}
}

// TestParkedRun: a person starts it without state.
func TestParkedRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	b.post("/jobs/clicks/start", url.Values{"version": {"1"}, "savepoint": {"latest"}})
	r := f.until("clicks", "parked", func(r wire.Run) bool { return r.Condition == "parked" })
	b.all("clicks")
	b.shows("/jobs/clicks", "The run waits for a decision", "Start without state…", "Starts the run without a savepoint.")
	if status, page := b.post("/jobs/clicks/runs/"+r.ID+"/resolve", url.Values{"as": {"empty"}}); status != 200 || !strings.Contains(text(page), "It starts without state.") {
		t.Errorf("%d %s", status, text(page))
	}
	f.until("clicks", "started", func(r wire.Run) bool { return r.Attempt != "" })
}

// TestPagesOfASessionCluster: it has no pages of what only a job has, and shows the jobs on it.
func TestPagesOfASessionCluster(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	b.all("shared")
	b.shows("/jobs/shared", "This session cluster was never started.")
	f.want(202, "POST", "/v1/jobs/shared/start", wire.Start{}, nil)
	f.until("shared", "running", func(r wire.Run) bool { return r.Queue == "running" && r.Condition == "" })
	f.runningOn("views")
	b.all("shared")
	b.all("views")
	page := b.shows("/jobs/shared", "session cluster", "The session cluster runs and takes jobs.", "Jobs on this cluster", "views", "Cancel: jobs use this cluster. Stop them first.")
	b.shows("/jobs/shared/upgrade", "a session cluster has no savepoint")
	for _, none := range []string{"Checkpoints", "Exceptions", "Lineage", "Stop with savepoint", "Upgrade"} {
		if strings.Contains(text(page), none) {
			t.Errorf("the page of a session cluster has %s", none)
		}
	}
	b.shows("/jobs/views", "Session cluster shared", "The session cluster and its other jobs go on.")
	if status, page := b.post("/jobs/shared/stop", url.Values{"mode": {"cancel"}}); status != 409 || !strings.Contains(text(page), "has jobs that have not ended (1): views") {
		t.Errorf("%d %s", status, text(page))
	}
}

// TestDeletePage: a job, and a session cluster, are deleted from their pages when nothing of them goes on; the list of events keeps who did it.
func TestDeletePage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	r := f.running("clicks")
	b := f.readerAs("kim", "web", store.RoleEdit)
	b.shows("/jobs/clicks", "Delete: there is a run that has not ended. Stop it first.")
	b.shows("/jobs/clicks/delete", "there is a run that has not ended", "Deletes this job with its version and all its runs", "Savepoints and checkpoints stay")
	if status, page := b.post("/jobs/clicks/delete", nil); status != 409 || !strings.Contains(text(page), "the job clicks has a run that has not ended") {
		t.Errorf("delete of a job that runs: %d %s", status, text(page))
	}
	f.want(202, "POST", "/v1/jobs/clicks/stop", wire.Stop{Mode: "cancel"}, nil)
	f.until("clicks", "canceled, and cleaned up", func(wire.Run) bool {
		run, err := f.s.Store.Run(t.Context(), r.ID)
		return err == nil && run.State.HasEnded() && len(run.Pending) == 0
	})
	b.shows("/jobs/clicks", "The run was canceled.", "Start…", "Delete…")
	if status, page := b.post("/jobs/clicks/delete", nil); status != 200 || !strings.Contains(text(page), "The job is deleted.") {
		t.Errorf("delete: %d %s", status, text(page))
	}
	if status, _ := b.get("/jobs/clicks"); status != 404 {
		t.Errorf("the page of a deleted job: %d", status)
	}
	f.want(404, "GET", "/v1/jobs/clicks", nil, nil)
	if events := string(f.want(200, "GET", "/v1/events?limit=100", nil, nil)); !strings.Contains(events, "it was deleted, with its versions up to 1") || !strings.Contains(events, `"by":"kim"`) {
		t.Errorf("the events are %s", events)
	}
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	b.shows("/jobs/shared/delete", "Deletes this session cluster with its version", "Jobs that name it cannot start")
	if status, page := b.post("/jobs/shared/delete", nil); status != 200 || !strings.Contains(text(page), "The job is deleted.") {
		t.Errorf("delete of a session cluster: %d %s", status, text(page))
	}
	f.want(404, "GET", "/v1/clusters/shared", nil, nil)
}

// TestPagesForViewers: who may only look sees no buttons, and is refused what they do.
func TestPagesForViewers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	r := f.running("clicks")
	b := f.readerAs("vic", "web", store.RoleView)
	for tab, page := range b.all("clicks") {
		for _, form := range regexp.MustCompile(`<form method="post" action="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if form[1] != "/sign-out" {
				t.Errorf("%s has a form for %s", tab, form[1])
			}
		}
		for _, button := range []string{"Stop with savepoint", "Cancel…", "Start from this", "/start", "/delete"} {
			if strings.Contains(page, button) {
				t.Errorf("%s has %q", tab, button)
			}
		}
	}
	for _, path := range []string{"/jobs/clicks/start", "/jobs/clicks/stop", "/jobs/clicks/delete", "/jobs/clicks/runs/" + r.ID + "/resolve"} {
		if status, page := b.post(path, url.Values{"mode": {"cancel"}, "version": {"1"}, "as": {"failed"}, "reason": {"x"}}); status != 403 || !strings.Contains(text(page), "Your role is view, this page needs edit.") {
			t.Errorf("POST %s: %d %s", path, status, text(page))
		}
		if status, _ := b.get(path); status != 403 {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	if now := f.run("clicks"); now.Desired != "run" {
		t.Errorf("%+v", now)
	}
}

// TestPagesOfAnotherTeam: they do not exist.
func TestPagesOfAnotherTeam(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	r := f.running("clicks")
	b := f.readerAs("bob", "ads", store.RoleAdmin)
	paths := []string{"/runs/" + r.ID, "/logs/download", "/start", "/stop", "/delete", "/runs/" + r.ID + "/resolve"}
	for _, tab := range append(paths, jobTabs...) {
		if status, page := b.get("/jobs/clicks" + tab); status != 404 || !strings.Contains(text(page), `Unknown job "clicks"`) {
			t.Errorf("GET %s: %d %s", tab, status, text(page))
		}
	}
	for _, path := range []string{"/start", "/stop", "/delete", "/runs/" + r.ID + "/resolve"} {
		if status, _ := b.post("/jobs/clicks"+path, url.Values{"mode": {"cancel"}, "version": {"1"}, "as": {"failed"}, "reason": {"x"}}); status != 404 {
			t.Errorf("POST %s: %d", path, status)
		}
	}
	if now := f.run("clicks"); now.Desired != "run" {
		t.Errorf("%+v", now)
	}
}

// evil is a text that does harm on a page that does not escape it: HTML, an end of a script, of an attribute, control characters, a change of
// the direction of text.
const evil = `"'></script></pre><script>alert(1)</script><svg/onload=alert(2)>` + "\x1b[31m\x07\u202egnp.exe"

// harmless expects that a page shows the evil text and does nothing of it.
func harmless(t *testing.T, where, page string) {
	t.Helper()
	for _, bad := range []string{"<script>alert", "<svg/", "\x1b", "\x07", "\u202e", `"'></script>`} {
		if strings.Contains(page, bad) {
			t.Errorf("%s has %q", where, bad)
		}
	}
}

// TestHostileTexts: names, SQL, comments, reasons, log lines, exceptions and paths with HTML and control characters are shown and do nothing.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}
	printable := strings.Map(func(c rune) rune { // SQL comments and paths may have everything but control characters and, paths, blanks
		if c <= ' ' {
			return -1
		}
		return c
	}, evil)
	script := "-- " + printable + "\nCREATE TABLE p (id INT) WITH ('connector' = 'print');\nINSERT INTO p SELECT 1;\n"
	sql := header{"Content-Type": "application/sql"}
	f.want(201, "PUT", "/v1/jobs/clicks?comment="+url.QueryEscape(evil), script, sql)
	f.want(201, "PUT", "/v1/jobs/clicks?comment="+url.QueryEscape(evil), script+"-- more\n", sql)
	f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{Savepoint: "file:/" + printable}, nil)
	r := f.until("clicks", "started", func(r wire.Run) bool { return r.Attempt != "" })
	quoted, err := json.Marshal("a.B: " + evil + "\n\tat X.y(X.java:1)\n" + evil + "\nCaused by: c.D: " + evil + "\n\tat " + evil)
	if err != nil {
		t.Fatal(err)
	}
	path, err := json.Marshal("file:/" + evil)
	if err != nil {
		t.Fatal(err)
	}
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		c.Status = "RUNNING"
		c.Exceptions = fmt.Sprintf(`{"exceptionHistory":{"entries":[{"exceptionName":%[1]s,"stacktrace":%[1]s,"timestamp":1,"taskName":%[1]s}]}}`, quoted)
		c.Checkpoints = fmt.Sprintf(`{"counts":{},"latest":{"restored":{"id":1,"external_path":%[1]s}},"history":[{"id":2,"status":"COMPLETED","external_path":%[1]s},{"id":1,"status":"FAILED","failure_message":%[1]s}]}`, path)
		c.Logs = map[string]string{"jobmanager-1": "2026-01-01 00:00:00,000 ERROR a [] - " + evil + "\n" + evil + "\n"}
	})
	f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
	pages := b.all("clicks")
	for _, more := range []string{"/runs/" + r.ID, "/diff?old=1&new=2", "/diff?old=1&new=2&of=document", "/versions/2", "/logs?contains=" + url.QueryEscape(evil), "/logs?process=" + url.QueryEscape(evil),
		"/start?path=" + url.QueryEscape(evil), "/start?version=" + url.QueryEscape(evil), "/memory?version=" + url.QueryEscape(evil), "/runs/" + url.PathEscape(evil), "/versions/" + url.PathEscape(evil),
		"/exceptions?run=" + url.QueryEscape(evil), "/stop?mode=" + url.QueryEscape(evil)} {
		_, pages[more] = b.get("/jobs/clicks" + more)
	}
	_, pages["another job"] = b.get("/jobs/" + url.PathEscape(evil))
	_, pages["a refused start"] = b.post("/jobs/clicks/start", url.Values{"version": {evil}, "savepoint": {"path"}, "path": {evil}})
	_, pages["a refused stop"] = b.post("/jobs/clicks/stop", url.Values{"mode": {evil}})
	_, pages["a refused decision"] = b.post("/jobs/clicks/runs/"+r.ID+"/resolve", url.Values{"as": {evil}, "reason": {evil}})
	for where, page := range pages {
		harmless(t, where, page)
	}
	for where, want := range map[string]string{"/exceptions": "<script>alert(1)</script>", "/checkpoints": "<script>alert(1)</script>", "/logs": "<script>alert(1)</script>", "/versions": "<script>alert(1)</script>", "/versions/1": "<script>alert(1)</script>"} {
		if !strings.Contains(html.UnescapeString(pages[where]), want) {
			t.Errorf("%s does not show the text: %s", where, text(pages[where]))
		}
	}
	for _, file := range []string{"?", "?process=jobmanager-1"} {
		resp, body := b.send("GET", "/jobs/clicks/logs/download"+file, nil, nil)
		h := resp.Header
		if resp.StatusCode != 200 || h.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment; filename=\"clicks") || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(body, evil) {
			t.Errorf("download%s: %d %v %s", file, resp.StatusCode, h, body)
		}
	}
}

// TestLogsPage: the lines of each source, those with a text, and what a reader asks for that is not there.
func TestLogsPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}
	r := f.running("clicks")
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		c.Logs = map[string]string{"jobmanager-1": strings.Repeat("2026-01-01 00:00:00,000 INFO  a [] - filler\n", 7000) + "2026-01-01 00:00:01,000 ERROR a [] - trouble\n", "taskmanager-1": "2026-01-01 00:00:02,000 WARN  a [] - slow\n"}
	})
	page := b.shows("/jobs/clicks/logs", "jobmanager-1 2026-01-01 00:00:01,000 ERROR a [] - trouble", "taskmanager-1 2026-01-01 00:00:02,000 WARN a [] - slow", "Follow")
	if !strings.Contains(page, `data-level="ERROR"`) || !strings.Contains(page, `data-stream="/v1/jobs/clicks/logs?run=`+r.ID+`"`) {
		t.Error("no levels, or no stream")
	}
	if n := strings.Count(b.shows("/jobs/clicks/logs?tail=999999"), `class="log-line"`); n != 5000 {
		t.Errorf("%d lines, want at most 5000", n)
	}
	page = b.shows("/jobs/clicks/logs?process=taskmanager-1", "2026-01-01 00:00:02,000 WARN a [] - slow")
	if strings.Contains(page, "trouble") || strings.Count(page, `class="log-line"`) != 1 {
		t.Errorf("%s", text(page))
	}
	page = b.shows("/jobs/clicks/logs?contains=TROUBLE", "trouble", "1 line, the newest at the end")
	if strings.Contains(page, "filler") {
		t.Error("other lines are shown")
	}
	b.shows("/jobs/clicks/logs?contains=nothing+has+this", "No line has this text.")
	if status, page := b.get("/jobs/clicks/logs?run=x"); status != 404 || !strings.Contains(text(page), `Unknown run "x"`) {
		t.Errorf("%d %s", status, text(page))
	}
	if status, page := b.get("/jobs/clicks/logs/download?run=x"); status != 404 || !strings.Contains(text(page), `Unknown run "x"`) {
		t.Errorf("%d %s", status, text(page))
	}
}

// TestVersionPages: who made which version, what it changed, and that a catalog has a newer revision.
func TestVersionPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, true, Options{Limits: api.Limits{Requests: 1e6}})
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}
	catalog := func(kind string) {
		f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory','default-database'='" + kind + "')"}, nil)
	}
	catalog("a")
	with := strings.Replace(definition, "sql:\n", "x-platform: {catalogs: [ods]}\nsql:\n", 1)
	f.want(201, "PUT", "/v1/jobs/clicks?comment=first", with, nil)
	f.want(201, "PUT", "/v1/jobs/clicks?comment=second", strings.Replace(with, "SELECT id FROM s", "SELECT id + 1 FROM s", 1), nil)
	b.hides("/jobs/clicks/versions", "newer revision exists")
	catalog("b")
	b.shows("/jobs/clicks/versions", "first", "second", "ann", "ods revision 1", "newer revision exists", "Compare")
	b.shows("/jobs/clicks/versions/1", "Version 1", "newer revision 2 exists", "What pods get", "SELECT id FROM s")
	page := b.shows("/jobs/clicks/diff?old=1&new=2", "Version 1 → 2", "INSERT INTO p SELECT id FROM s;", "INSERT INTO p SELECT id + 1 FROM s;")
	if !strings.Contains(page, `class="diff-del"`) || !strings.Contains(page, `class="diff-add"`) || strings.Count(page, `class="diff-add"`) != 1 || !strings.Contains(page, "data-diff data-language=\"yaml\"") {
		t.Error("no diff")
	}
	f.want(201, "PUT", "/v1/jobs/clicks", strings.Replace(with, "SELECT id FROM s", "SELECT id + 1 FROM s", 1), nil) // the catalog has changed
	b.shows("/jobs/clicks/diff?old=2&new=3", "The same text was sent", "a catalog that is written into it was changed")
	b.shows("/jobs/clicks/diff?old=2&new=3&of=document", "default-database")
	b.shows("/jobs/clicks/diff?old=2&new=2", "No difference")
	for _, query := range []string{"old=1&new=9", "old=x&new=1", "old=1", ""} {
		if status, page := b.get("/jobs/clicks/diff?" + query); status != 404 || !strings.Contains(text(page), "Unknown version") {
			t.Errorf("%s: %d %s", query, status, text(page))
		}
	}
}

// TestMemoryAndLineagePages: as tables, which the drawings only repeat.
func TestMemoryAndLineagePages(t *testing.T) {
	t.Parallel()
	f := explaining(t)
	f.auth = true
	f.stop()
	f.start()
	f.token = f.tokenOf("ann", "web", store.RoleEdit)
	b := reader{f.browse(f.token)}
	f.want(201, "PUT", "/v1/jobs/clicks", strings.Replace(definition, "sql:\n", "resources: {jobManager: {memory: 1600m}, taskManager: {memory: 2g}}\nsql:\n", 1), nil)
	page := b.shows("/jobs/clicks/memory", "JobManager", "1.6 GiB in all", "TaskManager", "2.0 GiB in all", "Managed memory", "2 147 483 648", "100 %")
	if strings.Count(page, `aria-hidden="true" focusable="false"><rect class="part-`) == 0 || !strings.Contains(page, `class="memory-bar"`) {
		t.Error("no bar")
	}
	page = b.shows("/jobs/clicks/lineage", "What feeds what", "s datagen → p print", "statement 3", "source", "sink")
	if !strings.Contains(page, `<figure class="panel lineage" data-lineage>`) || !strings.Contains(page, `"edges":[`) {
		t.Errorf("no drawing: %s", page)
	}
	f.want(201, "PUT", "/v1/jobs/clicks", strings.Replace(definition, "sql:\n", "resources: {jobManager: {memory: 1600m}, taskManager: {memory: 200m}}\nsql:\n", 1), nil)
	b.shows("/jobs/clicks/memory?version=2", "A TaskManager of this version would not start:", "smallest size that would work")
	b.shows("/jobs/clicks/memory?version=1", "2.0 GiB in all")
}
