//go:build platform

package platform

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/zookeeper"
)

// available makes a definition one of high availability. A session of ZooKeeper ends 6 s after a leader was frozen. A leader that goes on gives
// up its TaskManagers, which fails the job once for the new leader too: it has a restart strategy.
func (r *real) available(job realJob, quorum string) string {
	return r.definition(job, append([]string{shortSession}, withRestarts...)...) + r.highAvailability(quorum)
}

const shortSession = "high-availability.zookeeper.client.session-timeout: 6000"

// withRestarts is the configuration of a job that restarts.
var withRestarts = []string{"restart-strategy.type: fixed-delay", "restart-strategy.fixed-delay.attempts: 100", "restart-strategy.fixed-delay.delay: 1 s"}

func (r *real) highAvailability(quorum string) string {
	return fmt.Sprintf("highAvailability: {type: zookeeper, clusterId: replaced, storageDir: 'file://%s', quorum: '%s'}\n", filepath.Join(r.dir, "ha"), quorum)
}

// logOf is the log of one process of a run.
func (r *real) logOf(run wire.Run, name string) []byte {
	b, _ := os.ReadFile(filepath.Join(r.dir, "data", "runs", run.ID, name, "log"))
	return b
}

// within waits for something that is not the platform's.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// process is a process of a run by the name of its directory.
func (r *real) process(run wire.Run, name string) int {
	r.t.Helper()
	for _, c := range r.children() {
		cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", c))
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", c))
		dir := filepath.Join(r.dir, "data", "runs", run.ID, name)
		if (cwd == dir || bytes.HasPrefix([]byte(cwd), []byte(dir+"/"))) && filepath.Base(exe) == "java" {
			return c
		}
	}
	r.t.Fatalf("no process %s of run %s", name, run.ID)
	return 0
}

// TestRealLeaders: with high availability, a leader that is frozen until the standby runs the job, and then goes on, changes nothing by what it
// says late. An end that no one saw is in the job result store.
func TestRealLeaders(t *testing.T) {
	eachVersion(t, func(t *testing.T, r *real) {
		quorum := zookeeper.Start(t, r.home)
		r.again()
		r.begin("canceled", r.available(jobOf("canceled"), quorum), wire.Start{})
		run := r.running("canceled")
		if run.Outcome != "" {
			t.Fatalf("it does not run: %+v", run)
		}
		r.wrote(run.ID, 5)
		runs := []byte("(" + run.JobID + ") switched from state CREATED to RUNNING")
		leader, standby := "jobmanager-1", "jobmanager-2"
		if !bytes.Contains(r.logOf(run, leader), runs) {
			leader, standby = standby, leader
		}
		frozen := r.process(run, leader)
		unix.Kill(frozen, unix.SIGSTOP)
		within(t, 2*time.Minute, "the standby runs the job", func() bool { return bytes.Contains(r.logOf(run, standby), runs) })
		before := len(r.lives()[run.ID].rows)
		r.wrote(run.ID, before+20)
		unix.Kill(frozen, unix.SIGCONT)
		within(t, 2*time.Minute, "the old leader knows that it leads no more", func() bool {
			log := r.logOf(run, leader)
			return bytes.Contains(log, []byte("revoked leadership")) || bytes.Contains(log, []byte("lost leadership")) || bytes.Contains(log, []byte("SUSPENDED"))
		})
		before = len(r.lives()[run.ID].rows)
		r.wrote(run.ID, before+100) // five seconds, in which it may say what it likes
		r.goesOn("canceled", "running", func(now wire.Run) bool { return now.Condition == "" })
		r.stop("canceled", "cancel")
		if end := r.ends("canceled"); end.Outcome != "canceled" || end.ID != run.ID {
			t.Errorf("%s by %s: %s", end.Outcome, end.Evidence, end.Reason)
		} else {
			t.Logf("canceled by %s", end.Evidence)
		}

		kept := realJob{"kept", "finished", 200, 1}
		r.begin("kept", r.available(kept, quorum), wire.Start{})
		run = r.running("kept")
		r.kill()
		within(t, 2*time.Minute, "every JobManager has ended", func() bool {
			return bytes.Contains(append(r.logOf(run, "jobmanager-1"), r.logOf(run, "jobmanager-2")...), []byte("("+run.JobID+") switched from state RUNNING to FINISHED")) && r.managersEnded(run)
		})
		r.again()
		end := r.ends("kept")
		r.judge(kept, true)
		if end.Evidence != "job result store" {
			t.Errorf("finished by %s, want the job result store", end.Evidence)
		}
		r.owned()
	})
}

// managersEnded reports whether both JobManagers of a run have ended.
func (r *real) managersEnded(run wire.Run) bool {
	for _, name := range []string{"jobmanager-1", "jobmanager-2"} {
		if _, err := os.Stat(filepath.Join(r.dir, "data", "runs", run.ID, name, "exit.json")); err != nil {
			return false
		}
	}
	return true
}

// TestRealSessionLeaders: with high availability a job of a session cluster outlives its JobManagers, one of them and all of them: it goes on, in
// the same run under the same id, and each JobManager is replaced.
func TestRealSessionLeaders(t *testing.T) {
	eachVersion(t, func(t *testing.T, r *real) {
		quorum := zookeeper.Start(t, r.home)
		r.again()
		r.onShared = "canceled"
		r.startShared("  "+shortSession+"\n", r.highAvailability(quorum))
		r.begin("canceled", r.definition(jobOf("canceled"), withRestarts...), wire.Start{})
		run := r.running("canceled")
		if run.Outcome != "" {
			t.Fatalf("it does not run: %+v", run)
		}
		cluster := wire.Run{ID: run.SessionOf}
		r.wrote(cluster.ID, 5)
		goesOn := func(what string) {
			t.Helper()
			before := len(r.lives()[cluster.ID].rows)
			within(t, 3*time.Minute, "the job goes on "+what, func() bool { return len(r.lives()[cluster.ID].rows) >= before+20 })
			r.goesOn("canceled", "running "+what, func(now wire.Run) bool { return now.Condition == "" && now.ID == run.ID && now.JobID == run.JobID })
			r.goesOn("shared", "running "+what, func(now wire.Run) bool { return now.Condition == "" && now.ID == cluster.ID })
		}
		runs := []byte("(" + run.JobID + ") switched from state CREATED to RUNNING")
		leader, standby := "jobmanager-1", "jobmanager-2"
		if !bytes.Contains(r.logOf(cluster, leader), runs) {
			leader, standby = standby, leader
		}
		unix.Kill(r.process(cluster, leader), unix.SIGKILL)
		within(t, 2*time.Minute, "the standby runs the job", func() bool { return bytes.Contains(r.logOf(cluster, standby), runs) })
		goesOn("with the standby")
		started := func(name string) func() bool {
			return func() bool { return bytes.Contains(r.logOf(cluster, name), []byte("Rest endpoint listening")) }
		}
		within(t, 2*time.Minute, "another JobManager is in the place of the one that was killed", started(leader+".2"))
		for _, name := range []string{standby, leader + ".2"} {
			unix.Kill(r.process(cluster, name), unix.SIGKILL)
		}
		within(t, 2*time.Minute, "a JobManager comes back", func() bool { return started(leader+".3")() || started(standby+".2")() })
		goesOn("after both JobManagers were killed")
		r.stop("canceled", "cancel")
		if end := r.ends("canceled"); end.Outcome != "canceled" || end.ID != run.ID {
			t.Errorf("%s by %s: %s", end.Outcome, end.Evidence, end.Reason)
		}
		r.stopShared()
		r.owned()
	})
}

// TestRealLosses: the TaskManagers of a job's own cluster and of a session cluster are killed. Each is replaced, and the jobs go on from their
// checkpoints. A stop with savepoint that comes before every task runs again is kept until then.
func TestRealLosses(t *testing.T) {
	eachVersion(t, func(t *testing.T, r *real) {
		r.again()
		r.onShared = "stopped"
		r.startShared()
		names := []string{"canceled", "stopped"}
		runs := map[string]wire.Run{}
		for _, name := range names {
			r.begin(name, r.definition(jobOf(name), withRestarts...), wire.Start{})
		}
		for _, name := range names {
			runs[name] = r.running(name)
			r.wrote(clusterOf(runs[name]), 40)
			completed := func() int {
				return bytes.Count(r.logOf(wire.Run{ID: clusterOf(runs[name])}, "jobmanager-1"), []byte("Completed checkpoint "))
			}
			before := completed()
			within(t, time.Minute, name+" has a checkpoint that began after its 40th row", func() bool { return completed() >= before+2 })
		}
		for _, name := range names {
			unix.Kill(r.process(wire.Run{ID: clusterOf(runs[name])}, "taskmanager-1"), unix.SIGKILL)
		}
		for _, name := range names {
			of := clusterOf(runs[name])
			within(t, 2*time.Minute, name+" goes on in another process", func() bool { return len(r.lives()[of].opened) == 2 })
			before := len(r.lives()[of].rows)
			r.wrote(of, before+20)
			r.goesOn(name, "running", func(now wire.Run) bool { return now.Condition == "" && now.ID == runs[name].ID })
			rows := r.lives()[of].rows[before:]
			if first := rows[0]; first < 40 {
				t.Errorf("%s begins with row %d again: not from a checkpoint", name, first)
			}
			if texts := r.textsOf(of); !strings.Contains(texts, "taskmanager-1 ended with 137") || !strings.Contains(texts, "a process was started in the place of taskmanager-1") {
				t.Errorf("the timeline of %s does not say it:\n%s", name, texts)
			}
			if name == "stopped" { // Flink refuses a stop while tasks start; the platform keeps it
				restarts := func() int {
					return bytes.Count(r.logOf(wire.Run{ID: of}, "jobmanager-1"), []byte("switched from state RUNNING to RESTARTING"))
				}
				before := restarts()
				unix.Kill(r.process(wire.Run{ID: of}, "taskmanager-1.2"), unix.SIGKILL)
				within(t, time.Minute, name+" restarts", func() bool { return restarts() > before })
			}
			r.stop(name, modes[name])
			if end := r.ends(name); end.Outcome != jobOf(name).want || end.ID != runs[name].ID {
				t.Errorf("%s is %s by %s: %s", name, end.Outcome, end.Evidence, end.Reason)
			}
		}
		if texts := r.textsOf(runs["stopped"].ID); !strings.Contains(texts, "the stop failed because not every task runs") || !strings.Contains(texts, "every task runs; the stop with savepoint is asked for again") {
			t.Errorf("the stop did not fail, or was not kept:\n%s", texts)
		}
		r.stopShared()
		r.owned()
	})
}

// textsOf are the texts of a run's events, one a line.
func (r *real) textsOf(run string) string {
	r.t.Helper()
	var o struct{ Events []wire.Event }
	if _, err := r.call("GET", "/v1/events?run="+run, nil, &o); err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range o.Events {
		b.WriteString(e.Text + "\n")
	}
	return b.String()
}
