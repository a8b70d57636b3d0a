//go:build metrics

package metrics

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/world"
)

// TestCost measures what the endpoint for Prometheus costs a job: a bounded job without it and with it, scraped each second, in turn. It is a
// measurement: METRICS_COST=1 go test -tags metrics -run TestCost -v ./test/metrics
func TestCost(t *testing.T) {
	if os.Getenv("METRICS_COST") == "" {
		t.Skip("a measurement: set METRICS_COST=1")
	}
	const rows = 20_000_000
	version := homes.Versions()[len(homes.Versions())-1]
	run := func(name string, port int) (took time.Duration, samples int) {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		c, err := cluster.New(world.Binary(t), homes.Home(t, version), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		metrics := "{}"
		if port > 0 {
			metrics = fmt.Sprintf("{prometheus: {port: %d-%d}}", port, port+1)
		}
		start(t, c, write(t, c, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: cost
metrics: %s
configuration: {parallelism.default: 1}
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '%d', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '%d');
    CREATE TABLE nothing (n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nothing SELECT n * 2 FROM numbers WHERE n > 0;
`, metrics, rows, rows)))
		next := time.Now()
		poll(t, func() error {
			if port > 0 && time.Now().After(next) {
				next = next.Add(time.Second)
				samples = 0
				for _, p := range []int{port, port + 1} {
					all, err := scrape(fmt.Sprintf("http://127.0.0.1:%d/metrics", p))
					if err != nil {
						return nil // the processes end
					}
					samples += len(all)
				}
			}
			var all struct{ Jobs []struct{ Duration int64 } }
			if err := c.Get(t.Context(), "/jobs/overview", &all); err != nil {
				return nil // the job has ended, and its cluster with it
			}
			took = time.Duration(all.Jobs[0].Duration) * time.Millisecond
			return fmt.Errorf("%w: it has run for %s", cluster.ErrNotYet, took)
		})
		return took, samples
	}
	best := map[bool]time.Duration{}
	for i := range 3 {
		for _, on := range []bool{false, true} {
			port := 0
			if on {
				port = contiguous(t)
			}
			took, samples := run(fmt.Sprintf("%d-%t", i, on), port)
			if best[on] == 0 || took < best[on] {
				best[on] = took
			}
			t.Logf("endpoint %t: %s, %.0f rows/s, %d series of a JobManager and a TaskManager", on, took, rows/took.Seconds(), samples)
		}
	}
	t.Logf("the job with the endpoint takes %.3f of the time without", best[true].Seconds()/best[false].Seconds())
}
