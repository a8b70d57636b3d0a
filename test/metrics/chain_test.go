//go:build metrics

package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// connector is the version of Flink that the chain runs on, and its connector for Kafka.
const (
	chainVersion = "2.2.1"
	connector    = "5.0.0-2.2"
)

// TestKafkaWay follows metrics from a job by Kafka, a Flink SQL job and the forwarder to Pushgateway, all run by the platform: they come with the
// team and version, come again after the Pushgateway was killed, and are gone when the job has ended.
func TestKafkaWay(t *testing.T) {
	if !slices.Contains(homes.Versions(), chainVersion) {
		t.Skipf("it runs on Flink %s", chainVersion)
	}
	home := homes.Home(t, chainVersion)
	root, err := world.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	jars := filepath.Join(dir, "jars")
	plugin := reporterPlugin(t, jars)
	connectorJar(t, jars)
	files := httptest.NewServer(http.FileServer(http.Dir(jars)))
	t.Cleanup(files.Close)
	kafka := startKafka(t)
	admin, err := kgo.NewClient(kgo.SeedBrokers(kafka.address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	if _, err := kadm.NewClient(admin).CreateTopics(t.Context(), 1, 1, nil, "flink-metrics", "flink-metrics-aggregated"); err != nil {
		t.Fatal(err)
	}
	platform := startPlatform(t, home, "--kafka", kafka.address)
	artifact := func(file string) string {
		return fmt.Sprintf("{uri: %q, sha256: %s, to: plugins/metrics-kafka}", files.URL+"/"+filepath.Base(file), digest(t, file))
	}
	platform.start("clicks", fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: clicks
%sconfiguration:
  metrics.reporter.kafka.factory.class: flinkentrypoint.metrics.KafkaReporterFactory
  metrics.reporter.kafka.interval: 1 s
  metrics.reporter.kafka.bootstrap.servers: %q
  metrics.reporter.kafka.scope.variables.additional: "flink_job:clicks"
artifacts:
  - %s
  - %s
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
    CREATE TABLE nothing (n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nothing SELECT n FROM numbers;
`, sizes, kafka.address, artifact(plugin[0]), artifact(plugin[1])))
	example, err := os.ReadFile(filepath.Join(root, "examples", "metrics", "aggregate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("kafka:9092", kafka.address, "https://repo1.maven.org/maven2/org/apache/flink/flink-sql-connector-kafka/"+connector, files.URL).Replace(string(example))
	if strings.Contains(text, "maven") {
		t.Fatalf("the example has another connector than %s", connector)
	}
	platform.start("flink-metrics", text+sizes)
	platform.awaitRunning("clicks", "flink-metrics")
	address := served.FreeAddress(t)
	gateway := newServer(t, "http://"+address, tool(t, "pushgateway"), "--web.listen-address", address)
	gateway.start("/-/ready")
	forward := newServer(t, "", served.Program(t), "forward", "--kafka", kafka.address, "--pushgateway", gateway.url)
	forward.env = os.Environ()
	forward.launch()
	const sum = `flink_taskmanager_job_task_numRecordsOut_sum{`
	has := func(want bool) {
		t.Helper()
		poll(t, func() error {
			res, err := http.Get(gateway.url + "/metrics")
			if err != nil {
				return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
			}
			defer res.Body.Close()
			body, err := readAll(res)
			if err != nil {
				return err
			}
			line := ""
			for l := range strings.Lines(body) {
				if strings.HasPrefix(l, sum) {
					line = l
				}
			}
			if (line != "") != want {
				return fmt.Errorf("%w: %q", cluster.ErrNotYet, line)
			}
			for _, label := range []string{`job="flink"`, `job_name="clicks"`, `team="default"`, `version="1"`} {
				if want && !strings.Contains(line, label) {
					return fmt.Errorf("no %s in %s", label, line)
				}
			}
			return nil
		})
	}
	has(true)
	gateway.kill() // it keeps nothing
	gateway.start("/-/ready")
	has(true)
	call(t, http.MethodPost, platform.url+"/v1/jobs/clicks/stop", `{"mode":"cancel"}`)
	has(false)
}
