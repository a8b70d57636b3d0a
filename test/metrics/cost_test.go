//go:build metrics

package metrics

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/world"
)

// TestCost measures what metrics cost a job: in each round a bounded job runs without a reporter, with the endpoint for Prometheus, which is scraped
// each second, and with the reporter to a real Kafka, each second. It is a measurement, on the newest of the versions:
//
//	METRICS_COST=3 go test -tags metrics -count 1 -timeout 30m -run '^TestCost$' -v ./test/metrics
func TestCost(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("METRICS_COST"))
	if err != nil || rounds < 1 {
		t.Skip("a measurement: set METRICS_COST to the number of rounds")
	}
	c := cost{t: t, version: homes.Versions()[len(homes.Versions())-1], kafka: startKafka(t), plugin: reporterPlugin(t, filepath.Join(t.TempDir(), "plugin"))}
	ways := []string{"no reporter", "endpoint", "Kafka"}
	ratios := map[string][]float64{}
	for round := range rounds {
		took := map[string]time.Duration{}
		for i := range ways { // each is first in turn
			way := ways[(round+i)%len(ways)]
			r := c.run(way, fmt.Sprintf("%d-%d", round, i))
			took[way] = r.took
			t.Logf("round %d, %s: %s, %.0f rows/s, %d series, %.0f records/s", round+1, way, r.took, costRows/r.took.Seconds(), r.series, r.records)
		}
		for _, way := range ways[1:] {
			ratios[way] = append(ratios[way], took[way].Seconds()/took[ways[0]].Seconds())
		}
	}
	for _, way := range ways[1:] {
		slices.Sort(ratios[way])
		t.Logf("with %s the job takes %.3f of the time without a reporter (median), %.3f to %.3f", way, ratios[way][rounds/2], ratios[way][0], ratios[way][rounds-1])
	}
}

const costRows = 80_000_000

type cost struct {
	t       *testing.T
	version string
	kafka   *broker
	plugin  []string
}

// A measured is what one run gave.
type measured struct {
	took    time.Duration // of the job's task
	series  int           // of the endpoints of a JobManager and a TaskManager
	records float64       // a second, in Kafka
}

func (c cost) run(way, name string) measured {
	t := c.t
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	flink, err := cluster.New(world.Binary(t), homes.Home(t, c.version), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer flink.Close()
	var r measured
	reporter, port, topic := "", 0, "cost-"+name
	switch way {
	case "endpoint":
		port = contiguous(t)
		reporter = fmt.Sprintf("metrics: {prometheus: {port: %d-%d}}\n", port, port+1)
	case "Kafka":
		for _, jar := range c.plugin {
			reporter += fmt.Sprintf("  - {uri: %q, sha256: %s, to: plugins/metrics-kafka}\n", jar, digest(t, jar))
		}
		reporter = "artifacts:\n" + reporter
	}
	configuration := "configuration:\n  parallelism.default: 1\n  execution.shutdown-on-application-finish: false\n" // its times can be read when it has ended
	if way == "Kafka" {
		configuration += fmt.Sprintf("  metrics.reporter.kafka.factory.class: flinkentrypoint.metrics.KafkaReporterFactory\n  metrics.reporter.kafka.interval: 1 s\n"+
			"  metrics.reporter.kafka.bootstrap.servers: %q\n  metrics.reporter.kafka.topic: %s\n", c.kafka.address, topic)
	}
	start(t, flink, write(t, flink, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: cost
%s%ssql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '%[3]d', 'rows-per-second' = '%[3]d', 'fields.n.min' = '1');
    CREATE TABLE nothing (n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nothing SELECT n * 2 FROM numbers WHERE n > 0;
`, configuration, reporter, costRows)))
	before := int64(0)
	if way == "Kafka" {
		poll(t, func() (err error) {
			if before, err = c.records(topic); err != nil {
				err = fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
			}
			return err
		})
	}
	began := time.Now()
	next := began
	poll(t, func() error {
		if port > 0 && time.Now().After(next) {
			next = next.Add(time.Second)
			r.series = 0
			for _, p := range []int{port, port + 1} {
				all, err := scrape(fmt.Sprintf("http://127.0.0.1:%d/metrics", p))
				if err != nil {
					return err
				}
				r.series += len(all)
			}
		}
		jobs, err := flink.Jobs(t.Context())
		if err != nil {
			return err
		}
		if jobs[0].State != "FINISHED" {
			return fmt.Errorf("%w: the job is %s", cluster.ErrNotYet, jobs[0].State)
		}
		var job struct{ Vertices []struct{ Duration int64 } }
		if err := flink.Get(t.Context(), "/jobs/"+jobs[0].ID, &job); err != nil {
			return err
		}
		for _, v := range job.Vertices {
			r.took = max(r.took, time.Duration(v.Duration)*time.Millisecond)
		}
		return nil
	})
	if way == "Kafka" {
		after, err := c.records(topic)
		if err != nil {
			t.Fatal(err)
		}
		r.records = float64(after-before) / time.Since(began).Seconds()
	}
	return r
}

// records is how many a topic has.
func (c cost) records(topic string) (n int64, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.kafka.address))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(c.t.Context(), topic)
	if err == nil {
		err = ends.Error()
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n, err
}
