package server

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/simulate"
)

const sessionCluster = "apiVersion: flink-entrypoint/v1\nname: shared\nconfiguration: {taskmanager.numberOfTaskSlots: 4}\n"

// onShared is the definition with fields of a job on the session cluster.
func onShared(more string) string {
	return strings.Replace(definition, "sql:\n", "x-platform: {cluster: session shared}\n"+more+"sql:\n", 1)
}

// shared stores and starts the session cluster, and waits until it runs.
func (f *fixture) shared() wire.Run {
	f.t.Helper()
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	f.want(202, "POST", "/v1/jobs/shared/start", wire.Start{}, nil)
	return f.until("shared", "running", func(r wire.Run) bool { return r.Queue == "running" && r.Condition == "" })
}

// startOn stores and starts a job on the session cluster.
func (f *fixture) startOn(job string) wire.Run {
	f.t.Helper()
	f.want(201, "PUT", "/v1/jobs/"+job, onShared(""), nil)
	return decode[wire.Run](f.t, f.want(202, "POST", "/v1/jobs/"+job+"/start", wire.Start{}, nil))
}

func (f *fixture) runningOn(job string) wire.Run {
	f.t.Helper()
	f.startOn(job)
	return f.until(job, "running", func(r wire.Run) bool { return r.Queue == "running" })
}

// session lets do read and change the simulated session cluster of a run.
func (f *fixture) session(run wire.Run, do func(*simulate.Session)) {
	f.world.Of(run.ID, func(c *simulate.Cluster) { do(&c.Session) })
}

// TestSessionCluster: jobs are submitted once each, with one upload; each ends by itself; the cluster goes on, and is not ended while it is
// used.
func TestSessionCluster(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	f.want(422, "PUT", "/v1/jobs/one", onShared(""), nil)
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	f.startOn("one")
	f.until("one", "waiting", func(r wire.Run) bool { return r.Reason == "the session cluster shared was never started" })
	f.want(202, "POST", "/v1/jobs/shared/start", wire.Start{}, nil)
	one := f.until("one", "running", func(r wire.Run) bool { return r.Queue == "running" })
	cluster := f.run("shared")
	if one.Session != "shared" || one.SessionOf != cluster.ID || one.Attempt != cluster.Attempt || cluster.Queue != "running" {
		t.Errorf("%+v on %+v", one, cluster)
	}
	two, three := f.runningOn("two"), f.runningOn("three")
	f.session(cluster, func(s *simulate.Session) {
		if s.Uploads != 1 || len(s.Runs) != 3 || len(s.Jobs) != 3 {
			t.Errorf("%d uploads, %d runs of the jar, jobs %v", s.Uploads, len(s.Runs), s.Jobs)
		}
		args := fmt.Sprint(s.Runs[0]["programArgsList"])
		if s.Runs[0]["jobId"] != one.JobID || s.Runs[0]["entryClass"] != "flinkentrypoint.SqlRunner" || !strings.HasPrefix(args, "[session ") || !strings.Contains(args, "INSERT INTO p SELECT id FROM s") || !strings.Contains(args, "conf\tpipeline.name\tclicks\n") {
			t.Errorf("%v", s.Runs[0])
		}
	})
	clusters := decode[struct{ Clusters []wire.Job }](t, f.want(200, "GET", "/v1/clusters", nil, nil)).Clusters
	if len(clusters) != 1 || clusters[0].Kind != "cluster" || !slices.Equal(clusters[0].Jobs, []string{"one", "three", "two"}) {
		t.Errorf("%+v", clusters)
	}
	if jobs := decode[struct{ Jobs []wire.Job }](t, f.want(200, "GET", "/v1/jobs", nil, nil)).Jobs; len(jobs) != 3 {
		t.Errorf("%d jobs, want the three without the cluster", len(jobs))
	}
	for _, body := range [][]byte{f.want(409, "POST", "/v1/jobs/shared/stop", wire.Stop{Mode: "cancel"}, nil), f.want(409, "DELETE", "/v1/clusters/shared", nil, nil)} {
		if p := decode[wire.Problem](t, body); p.Detail != "the session cluster shared has jobs that have not ended (3): one, three, two" {
			t.Errorf("%+v", p)
		}
	}
	f.want(409, "POST", "/v1/jobs/shared/stop", wire.Stop{Mode: "savepoint"}, nil)

	// The JobManager tells of all its jobs with the token of the cluster's run.
	f.as(f.runToken(cluster.ID), func() {
		push := wire.Push{Run: cluster.ID, Attempt: cluster.Attempt, Sequence: 1, JobID: two.JobID, Status: "FAILED", Cause: "c.D: the cause"}
		f.want(204, "POST", "/v1/flink-events", push, nil)
		push.JobID, push.Sequence = strings.Repeat("a", 32), 2
		f.want(204, "POST", "/v1/flink-events", push, nil)
		f.want(204, "PUT", "/v1/runs/"+cluster.ID+"/archive/"+three.JobID, archiveOf(three.JobID, "FINISHED"), nil)
		f.want(204, "PUT", "/v1/runs/"+cluster.ID+"/archive/"+push.JobID, archiveOf(push.JobID, "FINISHED"), nil)
		f.want(404, "GET", "/v1/jobs/one/versions/1", nil, nil)
	})
	if two = f.run("two"); two.Outcome != "failed" || two.Evidence != "push" || two.Reason != "c.D: the cause" {
		t.Errorf("%+v", two)
	}
	if three = f.run("three"); three.Outcome != "finished" || three.Evidence != "archive" {
		t.Errorf("%+v", three)
	}
	if got := f.want(200, "GET", "/v1/jobs/three/checkpoints", nil, nil); !bytes.Contains(got, []byte(three.JobID)) {
		t.Errorf("the archive is not the job's: %s", got)
	}
	f.want(202, "POST", "/v1/jobs/one/stop", wire.Stop{Mode: "cancel"}, nil)
	f.until("one", "canceled", func(r wire.Run) bool { return r.Outcome == "canceled" })
	if cluster = f.run("shared"); cluster.Queue != "running" {
		t.Errorf("%+v", cluster)
	}
	f.world.Of(cluster.ID, func(c *simulate.Cluster) {
		if c.Deletes != 0 || !c.Alive {
			t.Error("the end of a job ended the cluster")
		}
	})
	f.want(202, "POST", "/v1/jobs/shared/stop", wire.Stop{Mode: "cancel"}, nil)
	f.until("shared", "canceled", func(r wire.Run) bool { return r.Outcome == "canceled" })
	f.until("shared", "cleaned up", func(r wire.Run) bool {
		run, err := f.s.Store.Run(t.Context(), r.ID)
		return err == nil && len(run.Pending) == 0
	})
	f.want(204, "DELETE", "/v1/clusters/shared", nil, nil)
	f.want(202, "POST", "/v1/jobs/one/start", wire.Start{}, nil)
	f.until("one", "refused", func(r wire.Run) bool {
		return r.Reason == "the session cluster shared does not exist" && r.Outcome == "failed"
	})
}

// TestSessionClusterDies: its JobManager is killed. The platform starts it again, and its jobs have failed with the cause.
func TestSessionClusterDies(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	cluster := f.shared()
	f.runningOn("one")
	f.world.Of(cluster.ID, func(c *simulate.Cluster) { c.Alive, c.Code, c.Ended = false, 137, time.Now() })
	if err := f.s.Store.Wake(t.Context(), cluster.ID); err != nil { // as the driver does when a JobManager ends
		t.Fatal(err)
	}
	one := f.until("one", "failed", func(r wire.Run) bool { return r.Outcome == "failed" })
	if want := "the session cluster shared lost its JobManager (exit code 137), and without high availability its jobs with it"; one.Reason != want || one.Evidence != "exit code" {
		t.Errorf("%s by %s, want %s", one.Reason, one.Evidence, want)
	}
	next := f.until("shared", "running again", func(r wire.Run) bool { return r.ID != cluster.ID && r.Queue == "running" })
	if next.Restart != 1 {
		t.Errorf("%+v", next)
	}
	f.want(202, "POST", "/v1/jobs/one/start", wire.Start{}, nil)
	if again := f.until("one", "running on the new one", func(r wire.Run) bool { return r.ID != one.ID && r.Queue == "running" }); again.SessionOf != next.ID {
		t.Errorf("%+v", again)
	}
}

// TestSessionSubmit: what the main method throws ends the run with its cause; a submission that takes long is not repeated; a job that
// comes after its run was canceled is canceled.
func TestSessionSubmit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	cluster := f.shared()
	f.session(cluster, func(s *simulate.Session) { s.Reject = "statement 3, line 3: Column 'x' not found" })
	f.startOn("wrong")
	wrong := f.until("wrong", "failed", func(r wire.Run) bool { return r.Outcome == "failed" })
	if wrong.Reason != "the session cluster shared refused it: statement 3, line 3: Column 'x' not found" {
		t.Errorf("%+v", wrong)
	}
	slow := make(chan struct{})
	f.session(cluster, func(s *simulate.Session) { s.Reject, s.Slow = "", slow })
	f.startOn("slow")
	two := f.startOn("unwanted")
	f.until("slow", "on its way", func(wire.Run) bool {
		n := 0
		f.session(cluster, func(s *simulate.Session) { n = len(s.Runs) })
		return n == 3
	})
	f.want(202, "POST", "/v1/jobs/unwanted/stop", wire.Stop{Mode: "cancel"}, nil)
	time.AfterFunc(4*time.Second, func() { close(slow) }) // longer than a turn waits
	f.until("slow", "running", func(r wire.Run) bool { return r.Queue == "running" })
	f.until("unwanted", "canceled", func(r wire.Run) bool { return r.Outcome == "canceled" })
	f.session(cluster, func(s *simulate.Session) {
		if len(s.Runs) != 3 || s.Jobs[two.JobID] != "CANCELED" {
			t.Errorf("%d runs of the jar, jobs %v", len(s.Runs), s.Jobs)
		}
		s.Slow = nil
		s.Jobs[two.JobID] = "RUNNING" // a server that was killed did not see it come
		s.Jobs[strings.Repeat("a", 32)] = "RUNNING"
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		status := ""
		f.session(cluster, func(s *simulate.Session) { status = s.Jobs[two.JobID] })
		if status == "CANCELED" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a job that runs after the end of its run goes on")
		}
		if err := f.s.Store.Wake(t.Context(), cluster.ID); err != nil {
			t.Fatal(err)
		}
	}
	f.until("shared", "told", func(r wire.Run) bool {
		return bytes.Contains(f.want(200, "GET", "/v1/jobs/shared/events", nil, nil), []byte("it runs a job that the platform did not submit, "+strings.Repeat("a", 32)))
	})
}

// TestSessionPolls: one request for all jobs of a cluster, however many there are.
func TestSessionPolls(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it watches 40 jobs for 10 s")
	}
	t.Parallel()
	f := newFixture(t, false)
	cluster := f.shared()
	const jobs = 40
	for i := range jobs {
		f.startOn(fmt.Sprint("job-", i))
	}
	for i := range jobs {
		f.until(fmt.Sprint("job-", i), "running", func(r wire.Run) bool { return r.Queue == "running" })
	}
	before := 0
	f.session(cluster, func(s *simulate.Session) { before = s.Polls })
	watched := 10 * time.Second
	<-time.After(watched)
	f.session(cluster, func(s *simulate.Session) {
		most := int(watched/(jobstate.EachRunning/2)) + 1
		if n := s.Polls - before; n > most || n == 0 || s.Uploads != 1 {
			t.Errorf("%d requests for %d jobs in %s, want 1 to %d; %d uploads", n, jobs, watched, most, s.Uploads)
		}
	})
}

// TestSessionDefinitions: what a job of a session cluster, and a session cluster, cannot have is a fault at its place.
func TestSessionDefinitions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	for _, c := range []struct {
		path, text string
		line       int
		want, hint string
	}{
		{"jobs", strings.Replace(onShared(""), "shared", "shard", 1), 3, `x-platform.cluster: unknown session cluster "shard"`, "did you mean shared?"},
		{"jobs", strings.Replace(onShared(""), "session shared", "shared", 1), 3, "x-platform.cluster: expected: session NAME", ""},
		{"jobs", strings.Replace(onShared(""), "}", ", taskManagers: 2}", 1), 3, "x-platform.taskManagers: the job runs on a session cluster, which has its own", ""},
		{"jobs", onShared("resources: {taskManager: {memory: 2g}}\n"), 4, "resources: a job of a session cluster cannot have it", ""},
		{"jobs", onShared("artifacts: [{uri: 'http://x/a.jar'}]\n"), 4, "artifacts: a job of a session cluster cannot have it", "name them in the definition of the cluster, with to: lib"},
		{"jobs", onShared("configuration: {taskmanager.numberOfTaskSlots: 3}\n"), 4, "taskmanager.numberOfTaskSlots is of the cluster: a job of a session cluster cannot set it", ""},
		{"jobs", onShared("configuration: {a.b: {fromEnv: X}}\n"), 4, "configuration.a.b is {fromEnv: X}, which only a pod can read: a job of a session cluster cannot have secrets", ""},
		{"jobs", strings.Replace(onShared("configuration: {execution.runtime-mode: batch}\n"), "FROM s;\n", "FROM s;\n    INSERT INTO p SELECT id FROM s;\n", 1), 10, "statement 4: the script starts 2 jobs, this is the second: a fixed job id allows one", ""},
		{"jobs", "apiVersion: flink-entrypoint/v1\nname: x\nx-platform: {cluster: session shared}\n", 3, "sql: a job of a session cluster needs a script", ""},
		{"clusters", definition, 4, "sql: a session cluster has no job of its own", ""},
		{"clusters", sessionCluster + "highAvailability: {type: kubernetes, clusterId: x, storageDir: 'file:/x'}\n", 4, "highAvailability: a session cluster with high availability is not supported", ""},
		{"clusters", sessionCluster + "x-platform: {cluster: session shared}\n", 4, `x-platform: unknown field "cluster"`, ""},
	} {
		p := decode[wire.Problem](t, f.want(http.StatusUnprocessableEntity, "PUT", "/v1/"+c.path+"/one", c.text, nil))
		if len(p.Faults) != 1 || p.Faults[0].Line != c.line || p.Faults[0].Message != c.want || c.hint != "" && p.Faults[0].Hint != c.hint {
			t.Errorf("%s\n%+v, want line %d: %s", c.text, p, c.line, c.want)
		}
	}
}

// TestTaskManagerDies: its process ends. Another one is started in its place, once, also when the server ends in between, and by a driver that
// cannot at first; the job and the cluster go on, and the timeline says what happened.
func TestTaskManagerDies(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"session", "application"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, false)
			name, run := "shared", wire.Run{}
			if kind == "session" {
				run = f.shared()
			} else {
				name = "one"
				run = f.running(name)
			}
			text := func() string { return string(f.want(200, "GET", "/v1/jobs/"+name+"/events", nil, nil)) }
			wake := func() {
				if err := f.s.Store.Wake(t.Context(), run.ID); err != nil { // as the driver does when a process ends
					t.Fatal(err)
				}
			}
			f.world.Of(run.ID, func(c *simulate.Cluster) { c.Lose("taskmanager-1"); c.Full = "no port is free" })
			wake()
			f.until(name, "noticed", func(wire.Run) bool {
				return strings.Contains(text(), "taskmanager-1 ended with 137: killed; another one is started in 1s")
			})
			f.stop()
			f.world.Of(run.ID, func(c *simulate.Cluster) { c.Full = "" })
			f.start()
			f.until(name, "replaced", func(wire.Run) bool {
				return strings.Contains(text(), "a process was started in the place of taskmanager-1")
			})
			f.world.Of(run.ID, func(c *simulate.Cluster) { c.Lose("taskmanager-1") })
			wake()
			f.until(name, "replaced again", func(wire.Run) bool {
				return strings.Contains(text(), "taskmanager-1.2 ended with 137: killed; another one is started in 2s") && strings.Contains(text(), "a process was started in the place of taskmanager-1.2")
			})
			now := f.until(name, "running", func(r wire.Run) bool { return r.Queue == "running" && r.Condition == "" })
			f.world.Of(run.ID, func(c *simulate.Cluster) {
				if c.Replaced["taskmanager-1"] != 2 || c.Deletes != 0 || c.Starts != 1 || now.ID != run.ID {
					t.Errorf("%v replaced, %d deletes, %d starts; run %s, was %s", c.Replaced, c.Deletes, c.Starts, now.ID, run.ID)
				}
			})
			f.want(202, "POST", "/v1/jobs/"+name+"/stop", wire.Stop{Mode: "cancel"}, nil)
			f.until(name, "canceled", func(r wire.Run) bool { return r.Outcome == "canceled" })
			if n := strings.Count(text(), "another one is started"); n != 2 {
				t.Errorf("%d losses are told, want 2: the end of the cluster is not one\n%s", n, text())
			}
		})
	}
}
