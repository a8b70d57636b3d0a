//go:build ha

package ha

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
)

// sequence is a job that writes 1, 2, 3, … exactly once into files, each finished by a checkpoint.
func (g *group) sequence(name, sink, more string) string {
	return g.write(name, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: sequence
highAvailability: {type: zookeeper, clusterId: %[1]s, storageDir: "file://%[2]s/ha", quorum: "%[3]s"}
configuration:
  high-availability.zookeeper.client.session-timeout: 6000
  high-availability.zookeeper.client.connection-timeout: 6000
  parallelism.default: 2
  taskmanager.numberOfTaskSlots: 1
  pipeline.global-job-parameters: "team:clicks"
  state.checkpoints.dir: file://%[2]s/checkpoints
  state.savepoints.dir: file://%[2]s/savepoints
  execution.checkpointing.interval: 2 s
  heartbeat.interval: 1000
  heartbeat.timeout: 10000
%[4]s
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '50',
      'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '60000');
    CREATE TABLE written (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'file://%[2]s/%[5]s', 'format' = 'csv');
    INSERT INTO written SELECT n FROM numbers;
`, g.clusterID, g.dir, g.quorum, more, sink))
}

const (
	leadership = "granted leadership"
	older      = "OLDER DEFINITION"
	same       = "runs the definition of this JobManager: {flink-entrypoint.definition="
)

// TestTakeover kills the leader twice, the second time with a successor that was given a changed definition, which the job
// must not follow but the successor must tell; then it goes the way that the warning names.
func TestTakeover(t *testing.T) {
	forEachVersion(t, func(t *testing.T, ctx context.Context, g *group) {
		first := g.sequence("first.yaml", "one", "")
		jm1 := g.start("jm1", "standalone-job", "127.0.0.2", first, "JOB_MANAGER_RPC_ADDRESS=flink-jobmanager")
		tms := []member{g.start("tm1", "taskmanager", "127.0.0.4", first), g.start("tm2", "taskmanager", "127.0.0.5", first)}
		onStderr(t, ctx, jm1, "JOB_MANAGER_RPC_ADDRESS=flink-jobmanager is ignored: with high availability each JobManager needs an address of its own (127.0.0.2)")
		job := running(t, ctx, jm1)
		line(t, ctx, jm1, same)
		jm2 := g.start("jm2", "standalone-job", "127.0.0.3", first)
		standby(t, ctx, jm2, job.ID)
		checkpointed(t, ctx, jm1, job.ID, 3)
		if n := prints(jm2, leadership); n != 0 {
			t.Fatalf("the standby was %s %d times beside the leader", leadership, n)
		}

		// 1. The leader dies, its standby takes over.
		takeover(t, ctx, "first takeover", jm1, jm2, job.ID, tms)
		line(t, ctx, jm2, same)

		// 2. A successor with a changed definition: the old job runs on, and a warning says so.
		jm3 := g.start("jm3", "standalone-job", "127.0.0.2", g.sequence("edited.yaml", "two", ""))
		standby(t, ctx, jm3, job.ID)
		takeover(t, ctx, "second takeover", jm2, jm3, job.ID, tms)
		line(t, ctx, jm3, older) // in Flink's log
		warning := onStderr(t, ctx, jm3, older)
		for _, want := range []string{"flink-entrypoint: warning: job " + job.ID, "definition sha256 " + digest(t, first) + " where this JobManager was given " + digest(t, filepath.Join(g.dir, "edited.yaml")),
			"savepoint", "highAvailability.clusterId"} {
			if !strings.Contains(warning, want) {
				t.Errorf("stderr says %q, which lacks %q", warning, want)
			}
		}
		var config struct {
			Execution struct {
				User map[string]string `json:"user-config"`
			} `json:"execution-config"`
		}
		pageCommand(t, ctx, jm3, "/config", &config, "JOB="+job.ID)
		if user := config.Execution.User; user["flink-entrypoint.definition"] != digest(t, first) || user["team"] != "clicks" {
			t.Errorf("the parameters of the job are %v, want the digest of the first definition, and the user's own", user)
		}
		if _, err := os.Stat(filepath.Join(g.dir, "two")); err == nil {
			t.Error("the changed definition's sink has been written to")
		}

		// 3. The upgrade: stop with a savepoint, then a new cluster id.
		jm4 := g.start("jm4", "standalone-job", "127.0.0.3", first)
		standby(t, ctx, jm4, job.ID)
		savepoint := stop(t, ctx, jm3, job.ID)
		g.ends(ctx, jm3, "127.0.0.2", first)
		g.standbyEnds(ctx, jm4, "127.0.0.3", first)
		for _, tm := range tms {
			_ = tm.Signal(syscall.SIGTERM)
			<-tm.Done()
		}
		one := numbers(t, filepath.Join(g.dir, "one"))
		t.Logf("%d numbers written before the upgrade", len(one))
		g.clusterID = "clicks-2"
		changed := g.sequence("changed.yaml", "two", "savepoint: {path: '"+savepoint+"'}")
		jm5 := g.start("jm5", "standalone-job", "127.0.0.2", changed)
		g.start("tm3", "taskmanager", "127.0.0.4", changed)
		g.start("tm4", "taskmanager", "127.0.0.5", changed)
		next := running(t, ctx, jm5)
		line(t, ctx, jm5, same)
		c := checkpointed(t, ctx, jm5, next.ID, 2)
		if c.Latest.Restored == nil || !c.Latest.Restored.IsSavepoint {
			t.Errorf("the new job was restored from %+v, want the savepoint", c.Latest.Restored)
		}
		stop(t, ctx, jm5, next.ID)
		g.ends(ctx, jm5, "127.0.0.2", changed)
		two := numbers(t, filepath.Join(g.dir, "two"))
		if len(two) == 0 {
			t.Error("the changed job has written nothing")
		}
		exactlyOnce(t, append(one, two...))
	})
}

// standby waits until a JobManager without leadership answers REST, with what the leader knows.
func standby(t *testing.T, ctx context.Context, m member, id string) {
	t.Helper()
	if err := cluster.Poll(ctx, func() error {
		jobs, err := m.Jobs(ctx)
		if err == nil && (len(jobs) != 1 || jobs[0].ID != id) {
			err = fmt.Errorf("%w: jobs %+v", cluster.ErrNotYet, jobs)
		}
		if err != nil {
			err = stillThere(m, err)
		}
		return err
	}); err != nil {
		t.Fatalf("%s does not stand by: %v", m.Name, err)
	}
}

// takeover kills the leader, and waits until its successor has restored the job from a checkpoint, on the same TaskManagers,
// and checkpoints again.
func takeover(t *testing.T, ctx context.Context, what string, leader, successor member, id string, tms []member) {
	t.Helper()
	began := time.Now()
	if err := leader.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-leader.Done()
	line(t, ctx, successor, leadership)
	led := time.Since(began)
	job := running(t, ctx, successor)
	if job.ID != id {
		t.Fatalf("the job is %s, before it was %s", job.ID, id)
	}
	runs := time.Since(began)
	c := checkpointed(t, ctx, successor, id, 1)
	t.Logf("%s: leadership after %.1f s, job running after %.1f s, next checkpoint after %.1f s", what, led.Seconds(), runs.Seconds(), time.Since(began).Seconds())
	if c.Counts.Restored != 1 || c.Latest.Restored == nil || c.Latest.Restored.ID < 1 || c.Latest.Restored.IsSavepoint {
		t.Errorf("%s: %d restores, the last from %+v, want one from a checkpoint", what, c.Counts.Restored, c.Latest.Restored)
	}
	registered, err := successor.TaskManagers(ctx, len(tms))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, tm := range registered {
		got = append(got, tm.ID)
	}
	for _, tm := range tms {
		want = append(want, tm.Name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s: TaskManagers %v are registered, want %v", what, got, want)
	}
}

// stop ends the job with a savepoint and returns its path.
func stop(t *testing.T, ctx context.Context, m member, id string) string {
	t.Helper()
	var trigger struct {
		ID string `json:"request-id"`
	}
	pageCommand(t, ctx, m, "/stop", &trigger, "JOB="+id)
	// A JobManager stays for rest.async.store-duration (5 min) after its job until a client has asked for the result.
	var s struct {
		Status    struct{ ID string }
		Operation struct {
			Location string
			Failure  struct {
				Class string
				Stack string `json:"stack-trace"`
			} `json:"failure-cause"`
		}
	}
	if err := cluster.Poll(ctx, func() error {
		pageCommand(t, ctx, m, "/savepoints/$REQUEST", &s, "JOB="+id, "REQUEST="+trigger.ID)
		if s.Status.ID != "COMPLETED" {
			return fmt.Errorf("%w: the savepoint is %s", cluster.ErrNotYet, s.Status.ID)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if s.Operation.Location == "" {
		t.Fatalf("the savepoint failed: %s", s.Operation.Failure.Stack)
	}
	return s.Operation.Location
}

// pageCommand executes the command of docs/high-availability.md that ends with the words, and decodes what it prints.
func pageCommand(t *testing.T, ctx context.Context, m member, end string, into any, env ...string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/high-availability.md")
	if err != nil {
		t.Fatal(err)
	}
	for command := range strings.Lines(string(page)) {
		command = strings.TrimSpace(command)
		if !strings.HasPrefix(command, "curl ") || !strings.HasSuffix(command, end) {
			continue
		}
		cmd := exec.CommandContext(ctx, "sh", "-c", strings.Replace(command, "jobmanager:8081", fmt.Sprintf("127.0.0.1:%d", m.Rest), 1))
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, into)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s\nhint: apt-get install curl, if it is missing", command, err, out)
		}
		return
	}
	t.Fatalf("the page has no command that ends with %s", end)
}

// exactlyOnce checks that the numbers are from two subtasks, one of the odd and one of the even ones, each without a gap.
func exactlyOnce(t *testing.T, got []int) {
	t.Helper()
	slices.Sort(got)
	last := map[int]int{1: -1, 0: 0}
	for _, n := range got {
		if n != last[n%2]+2 {
			t.Fatalf("%d follows %d: a row was lost or written twice (%d rows)", n, last[n%2], len(got))
		}
		last[n%2] = n
	}
	t.Logf("%d numbers, each once", len(got))
}

func digest(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("sha256sum", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	sum, _, _ := strings.Cut(string(out), " ")
	return sum
}
