package server

import (
	"bytes"
	"crypto/sha256"
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

// available is the high availability of a cluster.
const available = "highAvailability: {type: zookeeper, clusterId: replaced, storageDir: 'file:/none', quorum: 'zk:2181'}\n"

// shared stores and starts the session cluster, and waits until it runs. more: lines of its definition.
func (f *fixture) shared(more ...string) wire.Run {
	f.t.Helper()
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster+strings.Join(more, ""), nil)
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
	began, polls := time.Now(), 0
	<-time.After(jobstate.EachRunning)
	f.until("shared", "asked", func(wire.Run) bool {
		f.session(cluster, func(s *simulate.Session) { polls = s.Polls - before })
		return polls > 0
	})
	f.session(cluster, func(s *simulate.Session) {
		watched := time.Since(began)
		if most := int(watched/(jobstate.EachRunning/2)) + 1; polls > most || s.Uploads != 1 {
			t.Errorf("%d requests for %d jobs in %s, want at most %d; %d uploads", polls, jobs, watched, most, s.Uploads)
		}
	})
}

// storeJar stores an artifact, and returns its digest.
func (f *fixture) storeJar(name, content string) string {
	f.t.Helper()
	digest := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	f.want(201, "PUT", "/v1/artifacts/"+name+"?sha256="+digest, content, nil)
	return digest
}

// jarJob is the definition of a jar job on the session cluster. more: fields of its jar.
func jarJob(uri, digest, more string) string {
	if digest != "" {
		digest = ", sha256: " + digest
	}
	return "apiVersion: flink-entrypoint/v1\nname: counts\nx-platform: {cluster: session shared}\njar: {uri: '" + uri + "'" + digest + more + "}\n"
}

// TestSessionJar: a stored jar is sent to a cluster once, whatever its jobs are called, and beside the jar that runs scripts; another content of the
// same origin is sent too. A main method that fails after its job was taken does not end the job.
func TestSessionJar(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	cluster := f.shared()
	one, other := f.storeJar("job.jar", "one"), f.storeJar("job-2.jar", "two")
	start := func(name, text string) wire.Run {
		f.want(201, "PUT", "/v1/jobs/"+name, text, nil)
		f.want(202, "POST", "/v1/jobs/"+name+"/start", wire.Start{}, nil)
		return f.until(name, "running", func(r wire.Run) bool { return r.Queue == "running" })
	}
	with := ", entryClass: com.example.Main, args: [--window, '60']}\nconfiguration: {parallelism.default: 2, 'x': 'y'"
	first := start("first", jarJob("http://localhost:1/v1/artifacts/job.jar", one, with))
	start("second", jarJob("https://platform.example.com/v1/artifacts/job.jar", one, ""))
	start("third", jarJob("http://localhost:1/v1/artifacts/job-2.jar", other, ""))
	start("script", onShared(""))
	f.session(cluster, func(s *simulate.Session) {
		if s.Uploads != 3 || len(s.Runs) != 4 {
			t.Fatalf("%d uploads, want 3; %d jobs", s.Uploads, len(s.Runs))
		}
		got := fmt.Sprint(s.Runs[0])
		want := fmt.Sprint(map[string]any{"jar": "1_job-" + one[:12] + ".jar", "jobId": first.JobID, "entryClass": "com.example.Main", "programArgsList": []string{"--window", "60"},
			"flinkConfiguration": map[string]any{"pipeline.name": "counts", "parallelism.default": "2", "x": "y"}})
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if r := s.Runs[1]; r["jar"] != s.Runs[0]["jar"] || r["entryClass"] != nil || fmt.Sprint(r["programArgsList"]) != "[]" {
			t.Errorf("%v", r)
		}
		if s.Runs[2]["jar"] != "1_job-2-"+other[:12]+".jar" {
			t.Errorf("%v", s.Runs[2])
		}
		s.Late = "org.apache.flink.util.FlinkRuntimeException: Cannot have more than one execute() or executeAsync() call in a single environment."
	})
	f.want(409, "DELETE", "/v1/artifacts/job.jar", nil, nil)
	start("two-jobs", jarJob("http://localhost:1/v1/artifacts/job.jar", one, ""))
	f.until("two-jobs", "known to have failed in part", func(wire.Run) bool {
		return bytes.Contains(f.want(200, "GET", "/v1/jobs/two-jobs/events", nil, nil), []byte("the session cluster shared has the job, and its main method failed after that: org.apache.flink.util.FlinkRuntimeException: Cannot have more than one execute()"))
	})
	f.session(cluster, func(s *simulate.Session) {
		s.Late = "x.DuplicateJobSubmissionException: Job has already been submitted."
	})
	start("two-environments", jarJob("http://localhost:1/v1/artifacts/job.jar", one, ""))
	f.until("two-environments", "known to have failed in part", func(wire.Run) bool {
		return bytes.Contains(f.want(200, "GET", "/v1/jobs/two-environments/events", nil, nil), []byte("its main method failed after that: it starts a second job, and Flink starts one from one request"))
	})
}

// TestSessionDefinitions: what a job of a session cluster, and a session cluster, cannot have is a fault at its place.
func TestSessionDefinitions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	f.want(201, "PUT", "/v1/clusters/shared", sessionCluster, nil)
	stored := f.storeJar("job.jar", "one")
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
		{"jobs", "apiVersion: flink-entrypoint/v1\nname: x\nx-platform: {cluster: session shared}\n", 3, "sql: a job of a session cluster needs a script, or a jar", ""},
		{"jobs", jarJob("file:///etc/shadow", stored, ""), 4, "jar.uri: the jar of a job of a session cluster is an artifact of the platform (…/v1/artifacts/NAME)", ""},
		{"jobs", jarJob("http://x/v1/artifacts/job.jar?a", stored, ""), 4, "jar.uri: the jar of a job of a session cluster is an artifact of the platform (…/v1/artifacts/NAME)", ""},
		{"jobs", jarJob("http://x/v1/artifacts/other.jar", stored, ""), 4, `jar.uri: unknown artifact "other.jar"`, ""},
		{"jobs", jarJob("http://x/v1/artifacts/job.jar", "", ""), 4, "jar.sha256: the jar of a job of a session cluster needs its digest", ""},
		{"jobs", jarJob("http://x/v1/artifacts/job.jar", strings.Repeat("0", 64), ""), 4, "jar.sha256: the artifact job.jar has " + stored + ", expected " + strings.Repeat("0", 64), ""},
		{"jobs", jarJob("http://x/v1/artifacts/job.jar", stored, ", args: [{fromEnv: X}]"), 4, "jar.args[0] is {fromEnv: X}, which only a pod can read: a job of a session cluster cannot have secrets", ""},
		{"clusters", definition, 4, "sql: a session cluster has no job of its own", ""},
		{"clusters", sessionCluster + "x-platform: {jobManagers: 3}\n", 4, `x-platform: unknown field "jobManagers"`, "known: lostAfter, restart, secrets, startWithin, taskManagers"},
		{"jobs", strings.Replace(onShared(""), "cluster: session shared", "taskManagers: many", 1), 3, `x-platform.taskManagers: found "many", expected a whole number from 1 to 1000`, ""},
		{"jobs", onShared(available), 4, "highAvailability: a job of a session cluster cannot have it", "say it in the definition of the cluster: then its jobs outlive their JobManager"},
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
				t.Errorf("%d losses are in the timeline, want 2: the end of the cluster is not one\n%s", n, text())
			}
		})
	}
}

// TestSessionHighAvailability: the JobManagers of a session cluster end, one of them and all of them. They are replaced in the same run, and its
// jobs go on; what a JobManager says last of a job is a claim. When the run of the cluster ends, its jobs end with the cause.
func TestSessionHighAvailability(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it waits until a cluster is lost")
	}
	t.Parallel()
	f := newFixture(t, false)
	cluster := f.shared(available, "x-platform: {lostAfter: 1 s}\n")
	f.world.Of(cluster.ID, func(c *simulate.Cluster) {
		if s := c.Spec; s.JobManagers != 2 || s.ClusterID != jobstate.ClusterIDOf(cluster.ID) || !slices.Contains(s.Arguments, "-Djob-result-store.delete-on-commit=false") {
			t.Errorf("%+v", s)
		}
	})
	one, two := f.runningOn("one"), f.runningOn("two")
	lose := func(full string, places ...string) {
		f.world.Of(cluster.ID, func(c *simulate.Cluster) {
			for _, p := range places {
				c.Lose(p)
			}
			c.Full = full
		})
		if err := f.s.Store.Wake(t.Context(), cluster.ID); err != nil {
			t.Fatal(err)
		}
	}
	runs := func(r wire.Run) bool { return r.Queue == "running" && r.Condition == "" }
	text := func(name string) string { return string(f.want(200, "GET", "/v1/jobs/"+name+"/events", nil, nil)) }

	lose("", "jobmanager-1")
	f.until("shared", "without its first JobManager", func(wire.Run) bool {
		return strings.Contains(text("shared"), "a process was started in the place of jobmanager-1")
	})
	f.until("one", "with the standby", func(r wire.Run) bool { return runs(r) && r.Attempt == cluster.ID+"-jobmanager-2" })

	lose("no port is free", "jobmanager-1", "jobmanager-2")
	f.until("shared", "lost", func(r wire.Run) bool { return r.Condition == "lost" })
	push := func(attempt, status string) {
		f.as(f.runToken(cluster.ID), func() {
			f.want(204, "POST", "/v1/flink-events", wire.Push{Run: cluster.ID, Attempt: cluster.ID + attempt, Sequence: 1, JobID: one.JobID, Status: status}, nil)
		})
	}
	push("-jobmanager-2", "FAILED")
	f.until("one", "said to have ended", func(r wire.Run) bool { return r.Condition == "ending" && r.Outcome == "" })
	lose("")
	f.until("shared", "back", runs)
	f.until("one", "back", runs)
	if !strings.Contains(text("one"), "FAILED by push is refuted: the leader says that the job goes on") {
		t.Errorf("the claim of a JobManager that ended: %s", text("one"))
	}
	f.session(cluster, func(s *simulate.Session) { s.Jobs[one.JobID] = "FINISHED" })
	push("-jobmanager-2.2", "FINISHED")
	if one = f.until("one", "finished", func(r wire.Run) bool { return r.Outcome != "" }); one.Outcome != "finished" || one.Evidence != "REST" {
		t.Errorf("%+v", one)
	}
	if now := f.run("shared"); now.ID != cluster.ID {
		t.Errorf("the cluster has another run, %s", now.ID)
	}

	lose("no port is free", "jobmanager-1", "jobmanager-2")
	f.until("shared", "lost", func(r wire.Run) bool { return r.Condition == "lost" })
	f.until("two", "going on", func(r wire.Run) bool { return r.Outcome == "" && r.ID == two.ID })
	f.want(202, "POST", "/v1/jobs/shared/runs/"+cluster.ID+"/resolve", wire.Resolve{As: "failed", Reason: "its machine burned"}, nil)
	two = f.until("two", "failed", func(r wire.Run) bool { return r.Outcome != "" })
	if want := "the session cluster shared has ended, and its jobs with it: its machine burned"; two.Outcome != "failed" || two.Reason != want {
		t.Errorf("%s: %s, want %s", two.Outcome, two.Reason, want)
	}
}
