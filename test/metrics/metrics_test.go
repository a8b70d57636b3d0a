//go:build metrics

// Package metrics follows metrics from real Flink processes to where people see them: endpoints and OTLP, dashboards and rules in a real
// Prometheus, alerts in a real Alertmanager, and the way by Kafka and Pushgateway.
package metrics

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/world"
)

// forEachVersion runs f with a cluster of each version.
func forEachVersion(t *testing.T, f func(t *testing.T, version string, c *cluster.Cluster)) {
	for _, version := range homes.Versions() {
		t.Run(version, func(t *testing.T) {
			c, err := cluster.New(world.Binary(t), homes.Home(t, version), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			c.Env = append(c.Env, cluster.ForJava17(version)...)
			f(t, version, c)
		})
	}
}

// runsSQL reports whether the entrypoint has a runner for SQL on a version.
func runsSQL(version string) bool { return version >= "1.15" }

// needsSQL skips a test that needs a job in SQL.
func needsSQL(t *testing.T, version string) {
	t.Helper()
	if !runsSQL(version) {
		t.Skip("no SQL before Flink 1.15")
	}
}

// write puts a definition beside a cluster.
func write(t *testing.T, c *cluster.Cluster, text string) string {
	t.Helper()
	path := filepath.Join(c.Dir, "definition.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts a JobManager and a TaskManager of a definition, and waits until the job runs.
func start(t *testing.T, c *cluster.Cluster, definition string) {
	t.Helper()
	var processes []*cluster.Process
	for name, words := range map[string][]string{
		"jm": {"--definition", definition, "--memory-limit", "1600m", "standalone-job"},
		"tm": {"--definition", definition, "--memory-limit", "1728m", "taskmanager"},
	} {
		p, err := c.Start(name, words[len(words)-1], words)
		if err != nil {
			t.Fatal(err)
		}
		processes = append(processes, p)
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(p.Tail(40))
			}
		})
	}
	poll(t, func() error {
		for _, p := range processes {
			select {
			case <-p.Done():
				return fmt.Errorf("%s has ended", p.Name)
			default:
			}
		}
		jobs, err := c.Jobs(t.Context())
		if err != nil {
			return err
		}
		if len(jobs) != 1 || jobs[0].State != "RUNNING" || jobs[0].Tasks["running"] != jobs[0].Tasks["total"] {
			return fmt.Errorf("%w: jobs %v", cluster.ErrNotYet, jobs)
		}
		return nil
	})
}

// poll waits until f succeeds.
func poll(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*time.Minute) // cleanups poll too
	defer cancel()
	if err := cluster.Poll(ctx, f); err != nil {
		t.Fatal(err)
	}
}

func readAll(res *http.Response) (string, error) {
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: %s: %s: %.200s", cluster.ErrNotYet, res.Request.URL, res.Status, body)
	}
	return string(body), err
}
