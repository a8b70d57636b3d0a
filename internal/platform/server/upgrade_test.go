package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/simulate"
)

const saved = `{"status":{"id":"COMPLETED"},"operation":{"location":"file:/savepoints/one"}}`

// upgrading has a job that runs version 1, and whose upgrade to version 2 has stopped it with a savepoint. It returns the run of version 2.
func (f *fixture) upgrading(job string, within int) (before, next wire.Run) {
	f.t.Helper()
	before = f.running(job)
	f.want(201, "PUT", "/v1/jobs/"+job, strings.Replace(definition, "print", "blackhole", 1), nil)
	key := header{"Idempotency-Key": "upgrade " + job}
	stopping := decode[wire.Run](f.t, f.want(202, "POST", "/v1/jobs/"+job+"/upgrade", wire.UpgradeJob{Within: within}, key))
	if u := stopping.Upgrade; stopping.ID != before.ID || stopping.Desired != "stop" || u == nil || u.State != "stopping" || u.From != 1 || u.To != 2 {
		f.t.Errorf("%+v %+v", stopping, stopping.Upgrade)
	}
	f.want(409, "POST", "/v1/jobs/"+job+"/upgrade", wire.UpgradeJob{}, nil)
	f.world.Of(before.ID, func(c *simulate.Cluster) { c.Status, c.Savepoint = "FINISHED", saved })
	next = f.until(job, "started in the new version", func(r wire.Run) bool { return r.ID != before.ID && r.Attempt != "" })
	if u := next.Upgrade; next.Version != 2 || next.From != "file:/savepoints/one" || u == nil || u.State != "starting" || u.From != 1 || u.To != 2 || u.Until == nil {
		f.t.Errorf("%+v %+v", next, next.Upgrade)
	}
	// Who has not got the answer repeats it, and a version that was made meanwhile changes nothing.
	f.want(201, "PUT", "/v1/jobs/"+job, definition+"#3\n", nil)
	if again := decode[wire.Run](f.t, f.want(202, "POST", "/v1/jobs/"+job+"/upgrade", wire.UpgradeJob{Within: within}, key)); again.ID != before.ID || again.Revision != stopping.Revision {
		f.t.Errorf("%+v", again)
	}
	f.want(422, "POST", "/v1/jobs/"+job+"/stop", wire.Stop{}, key)
	if r := decode[wire.Run](f.t, f.want(200, "GET", "/v1/jobs/"+job+"/runs/"+before.ID, nil, nil)); r.Outcome != "stopped" || r.Upgrade.State != "stopped" {
		f.t.Errorf("%+v %+v", r, r.Upgrade)
	}
	return before, next
}

// back waits until version 1 is there again, and looks at what it starts from.
func (f *fixture) back(job string, failed wire.Run, reason string) {
	f.t.Helper()
	r := f.until(job, "back", func(r wire.Run) bool { return r.ID != failed.ID && r.Attempt != "" })
	if u := r.Upgrade; r.Version != 1 || r.From != "file:/savepoints/one" || u == nil || u.State != "back" || u.From != 2 || u.To != 1 || u.Reason != reason {
		f.t.Errorf("%+v %+v", r, r.Upgrade)
	}
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		if c.Spec.Savepoint != "file:/savepoints/one" || !strings.HasSuffix(c.Spec.Definition, "/versions/1") {
			f.t.Errorf("it started %s from %q", c.Spec.Definition, c.Spec.Savepoint)
		}
	})
	if r := decode[wire.Run](f.t, f.want(200, "GET", "/v1/jobs/"+job+"/runs/"+failed.ID, nil, nil)); r.Upgrade.State != "failed" {
		f.t.Errorf("%+v %+v", r, r.Upgrade)
	}
	want := fmt.Sprintf("version 1 is started again from savepoint file:/savepoints/one: version 2 did not run: %s", reason)
	events, err := f.s.Store.Events(f.t.Context(), store.EventFilter{Run: r.ID})
	if err != nil || len(events) == 0 || events[0].Text != want {
		f.t.Errorf("the timeline says %+v, want %q; %v", events, want, err)
	}
}

// TestUpgradesAtOnce: of two requests at the same time, for different versions, one is done, and the other gets 409.
func TestUpgradesAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	for round := range 4 {
		job := fmt.Sprintf("job-%d", round)
		f.running(job)
		f.want(201, "PUT", "/v1/jobs/"+job, strings.Replace(definition, "print", "blackhole", 1), nil)
		f.want(201, "PUT", "/v1/jobs/"+job, definition+"#3\n", nil)
		var done [2]int
		var both sync.WaitGroup
		for i := range done {
			both.Go(func() {
				resp, _ := f.call("POST", "/v1/jobs/"+job+"/upgrade", wire.UpgradeJob{Version: i + 2}, nil)
				done[i] = resp.StatusCode
			})
		}
		both.Wait()
		if done != [2]int{202, 409} && done != [2]int{409, 202} {
			t.Errorf("%s: %v", job, done)
		}
	}
}

// TestUpgrade: the new version runs from the savepoint of the old one. The server is another one in the middle.
func TestUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until an upgrade is decided")
	}
	t.Parallel()
	f := newFixture(t, false)
	f.want(404, "POST", "/v1/jobs/nothing/upgrade", wire.UpgradeJob{}, nil)
	_, next := f.upgrading("clicks", 60)
	f.stop()
	f.start()
	f.world.Of(next.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	r := f.until("clicks", "upgraded", func(r wire.Run) bool { return r.Upgrade.State == "done" })
	if r.ID != next.ID || r.Queue != "running" || r.Condition != "" {
		t.Errorf("%+v", r)
	}
	f.world.Of(next.ID, func(c *simulate.Cluster) { c.Status = "FAILED" })
	f.until("clicks", "failed, and not started again by the upgrade", func(r wire.Run) bool { return r.Outcome == "failed" })
	f.until("clicks", "cleaned up", func(wire.Run) bool {
		run, err := f.s.Store.Run(t.Context(), next.ID)
		return err == nil && len(run.Pending) == 0
	})
	if r := f.run("clicks"); r.ID != next.ID || r.Upgrade.State != "done" {
		t.Errorf("%+v", r)
	}
}

// TestUpgradeFails: a new version that fails makes place for the old one.
func TestUpgradeFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	_, next := f.upgrading("clicks", 60)
	f.world.Of(next.ID, func(c *simulate.Cluster) { c.Status = "FAILED" })
	f.back("clicks", next, "java.lang.ArithmeticException: / by zero")
}

// TestUpgradeIsStopped: what the user stops while its upgrade is not decided stays ended, also if it fails meanwhile.
func TestUpgradeIsStopped(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	_, next := f.upgrading("clicks", 60)
	f.world.Of(next.ID, func(c *simulate.Cluster) { c.Status, c.Savepoint = "RUNNING", `{"status":{"id":"IN_PROGRESS"}}` })
	f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
	f.want(202, "POST", "/v1/jobs/clicks/stop", wire.Stop{}, nil)
	f.world.Of(next.ID, func(c *simulate.Cluster) { c.Status = "FAILED" })
	f.until("clicks", "failed", func(r wire.Run) bool { return r.Outcome == "failed" })
	f.until("clicks", "cleaned up", func(wire.Run) bool {
		run, err := f.s.Store.Run(t.Context(), next.ID)
		return err == nil && len(run.Pending) == 0
	})
	if now := f.run("clicks"); now.ID != next.ID || now.Upgrade.State != "canceled" {
		t.Errorf("the user stopped the job, and version %d is there: %+v %+v", now.Version, now, now.Upgrade)
	}
}

// TestUpgradeTakesTooLong: a new version that does not run in time is ended first. The server is another one meanwhile.
func TestUpgradeTakesTooLong(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until an upgrade is decided")
	}
	t.Parallel()
	f := newFixture(t, false)
	_, next := f.upgrading("clicks", 3)
	f.stop()
	f.start()
	f.back("clicks", next, "its JobManager does not have the job yet")
	f.world.Of(next.ID, func(c *simulate.Cluster) {
		if c.Alive || c.Deletes == 0 {
			t.Error("the cluster of the new version still runs")
		}
	})
}

// TestUpgradeIsNotBegun: what cannot be stopped with a savepoint goes on as it is, and a later stop is only a stop.
func TestUpgradeIsNotBegun(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	f.want(409, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{}, nil) // never started
	f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil)
	f.want(409, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{}, nil) // it does not run yet
	r := f.until("clicks", "started", func(r wire.Run) bool { return r.Attempt != "" })
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	f.until("clicks", "running", func(r wire.Run) bool { return r.Queue == "running" })
	f.want(404, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{Version: 7}, nil)
	// Who submitted the next version under another name does not stop the job for nothing.
	if p := decode[wire.Problem](t, f.want(409, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{}, nil)); p.Detail != "the job clicks runs its newest version, 1, already" {
		t.Errorf("%+v", p)
	}
	f.want(400, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{Within: -1}, nil)
	f.want(400, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{Within: 1 << 62}, nil)
	f.want(202, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{Version: 1}, nil)
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		c.Savepoint = `{"status":{"id":"COMPLETED"},"operation":{"failure-cause":{"class":"x.CheckpointException","stack-trace":"x.CheckpointException: no space\n\tat y"}}}`
	})
	r = f.until("clicks", "running again", func(r wire.Run) bool { return r.Desired == "run" })
	if r.Upgrade != nil || r.Queue != "running" {
		t.Errorf("%+v %+v", r, r.Upgrade)
	}
	f.want(202, "POST", "/v1/jobs/clicks/stop", wire.Stop{}, nil)
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status, c.Savepoint = "FINISHED", saved })
	f.until("clicks", "stopped", func(r wire.Run) bool { return r.Outcome == "stopped" })
	f.until("clicks", "cleaned up", func(wire.Run) bool {
		run, err := f.s.Store.Run(t.Context(), r.ID)
		return err == nil && len(run.Pending) == 0
	})
	if now := f.run("clicks"); now.ID != r.ID {
		t.Errorf("something was started: %+v", now)
	}
}

// TestUpgradeIsNotFollowed: a version that cannot be started, or that another run has taken the place of, is given up with a line in the timeline. It is
// not tried for ever.
func TestUpgradeIsNotFollowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	says := func(run, want string) {
		t.Helper()
		f.until("clicks", "at rest", func(wire.Run) bool {
			r, err := f.s.Store.Run(t.Context(), run)
			return err == nil && r.State.HasEnded() && len(r.Pending) == 0
		})
		events, err := f.s.Store.Events(t.Context(), store.EventFilter{Run: run})
		if err != nil || !slices.ContainsFunc(events, func(e store.Event) bool { return strings.HasPrefix(e.Text, want) }) {
			t.Errorf("%+v, %v, want %q", events, err, want)
		}
	}
	r := f.running("clicks")
	f.want(201, "PUT", "/v1/jobs/clicks", definition+"#2\n", nil)
	f.want(202, "POST", "/v1/jobs/clicks/upgrade", wire.UpgradeJob{}, nil)
	// As one of a later flink-platform would be.
	if _, err := f.database().Exec("UPDATE versions SET document = ? WHERE job = 'clicks' AND number = 2", []byte("flink: {")); err != nil {
		t.Fatal(err)
	}
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Status, c.Savepoint = "FINISHED", saved })
	says(r.ID, "version 2 is not started: ")
	if now := f.run("clicks"); now.ID != r.ID || now.Outcome != "stopped" {
		t.Errorf("%+v", now)
	}
	if _, err := f.database().Exec("UPDATE versions SET document = (SELECT document FROM versions WHERE job = 'clicks' AND number = 1) WHERE job = 'clicks' AND number = 2"); err != nil {
		t.Fatal(err)
	}
	// A user who starts the job between the stop and the start of the next version.
	f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{Version: 1}, nil)
	between := f.run("clicks")
	stopped, err := f.s.Store.Run(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *cluster.Refusal
	if err := f.s.next(t.Context(), stopped); !errors.As(err, &refusal) || err.Error() != "version 2 is not started: run "+between.ID+" was started first" {
		t.Errorf("%v", err)
	}
}
