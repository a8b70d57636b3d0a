//go:build metrics

package metrics

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"flink-entrypoint/internal/platform/forward"
	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/platform/served"
)

// TestForward brings aggregated metrics from a simulated Kafka to a real Pushgateway by the program: they are there, come again after the
// Pushgateway and the forwarder were killed, and the group is removed when the job ends.
func TestForward(t *testing.T) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "flink-jobs", "flink-metrics-aggregated"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	write := func(topic, key string, value any) {
		t.Helper()
		content, err := json.Marshal(value)
		if err == nil {
			err = client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte(key), Value: content}).FirstErr()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	address := served.FreeAddress(t)
	gateway := newServer(t, "http://"+address, tool(t, "pushgateway"), "--web.listen-address", address)
	gateway.start("/-/ready")
	forwarder := newServer(t, "", served.Program(t), "forward", "--kafka", kafka.ListenAddrs()[0], "--pushgateway", gateway.url)
	forwarder.env = os.Environ()
	forwarder.launch()
	has := func(line string, want bool) {
		t.Helper()
		poll(t, func() error {
			res, err := http.Get(gateway.url + "/metrics")
			if err != nil {
				return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
			}
			defer res.Body.Close()
			body, err := readAll(res)
			if err == nil && strings.Contains(body, line) != want {
				err = fmt.Errorf("%w: %q is there: %t", cluster.ErrNotYet, line, !want)
			}
			return err
		})
	}
	window := func(n int) forward.Aggregate {
		return forward.Aggregate{Window: fmt.Sprintf("2026-11-27 20:00:%02d.000", n), Metric: "taskmanager.job.task.numRecordsOut", Job: "clicks", Team: "web", Version: 3, Sum: float64(n)}
	}
	line := func(n int) string {
		return fmt.Sprintf("flink_taskmanager_job_task_numRecordsOut_sum{instance=\"\",job=\"flink\",job_name=\"clicks\",team=\"web\",version=\"3\"} %d\n", n)
	}
	job := forward.Job{Job: "clicks", Team: "web", Version: 3, Run: "r1", Created: 1}
	write("flink-jobs", "clicks", job)
	write("flink-metrics-aggregated", "a", window(10))
	has(line(10), true)
	gateway.kill() // it keeps nothing
	write("flink-metrics-aggregated", "a", window(20))
	forwarder.kill()
	forwarder.launch()
	gateway.start("/-/ready")
	has(line(20), true)
	job.Ended = true
	write("flink-jobs", "clicks", job)
	has(`job_name="clicks"`, false)
}
