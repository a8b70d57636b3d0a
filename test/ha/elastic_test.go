//go:build ha

package ha

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
)

// TestReactiveMode adds a TaskManager to a running job and takes one away: the job's parallelism follows.
func TestReactiveMode(t *testing.T) {
	const version = "2.2.1"
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	g := newGroup(t, version)
	definition := g.write("elastic.yaml", `apiVersion: flink-entrypoint/v1
name: elastic
resources:
  taskManager: {slots: 1}
configuration:
  scheduler-mode: reactive
  heartbeat.interval: 1000
  heartbeat.timeout: 10000
  jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling: 1 s
  jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout: 1 s
  execution.checkpointing.interval: 2 s
  pekko.startup-timeout: 120 s
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
    CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nowhere SELECT n FROM numbers;
`)
	c, err := cluster.New(g.binary, g.home, g.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	start := func(name, role string, words ...string) member {
		p, err := c.Start(name, role, append(append([]string{"--definition", definition}, words...), role), "POD_NAME="+name, javaArgs)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(p.Tail(100))
			}
		})
		return member{p, c}
	}
	jm := start("jm", "standalone-job", "--memory-limit", "1600m")
	first := start("tm1", "taskmanager", "--memory-limit", "1728m")
	start("tm2", "taskmanager", "--memory-limit", "1728m")
	began := time.Now()
	parallel(t, ctx, jm, 2)
	t.Logf("two TaskManagers: parallelism 2, %.1f s after the start", time.Since(began).Seconds())

	began = time.Now()
	start("tm3", "taskmanager", "--memory-limit", "1728m")
	parallel(t, ctx, jm, 3)
	t.Logf("a third: parallelism 3 after %.1f s, most of it the start of its JVM", time.Since(began).Seconds())

	began = time.Now()
	if err := first.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	parallel(t, ctx, jm, 2)
	t.Logf("one leaves: parallelism 2 after %.1f s", time.Since(began).Seconds())
	if n := prints(jm, "switched from state RUNNING to FAILED"); n != 0 {
		t.Error("the job has failed in between")
	}
}

// parallel waits until every vertex of the job runs with that parallelism.
func parallel(t *testing.T, ctx context.Context, m member, want int) {
	t.Helper()
	if err := cluster.Poll(ctx, func() error {
		jobs, err := m.Jobs(ctx)
		if err != nil {
			return stillThere(m, err)
		}
		if len(jobs) != 1 {
			return fmt.Errorf("%w: %d jobs", cluster.ErrNotYet, len(jobs))
		}
		var job struct {
			State    string
			Vertices []struct {
				Parallelism int
				Tasks       map[string]int
			}
		}
		if err := m.Get(ctx, "/jobs/"+jobs[0].ID, &job); err != nil {
			return stillThere(m, err)
		}
		for _, v := range job.Vertices {
			if job.State != "RUNNING" || v.Parallelism != want || v.Tasks["RUNNING"] != want {
				return fmt.Errorf("%w: %+v, want parallelism %d", cluster.ErrNotYet, job, want)
			}
		}
		if len(job.Vertices) == 0 {
			return fmt.Errorf("%w: no vertices", cluster.ErrNotYet)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
