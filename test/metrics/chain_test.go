//go:build metrics

package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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
	if out, err := exec.Command("mvn", "-q", "-B", "dependency:copy", "-Dartifact=org.apache.flink:flink-sql-connector-kafka:"+connector, "-DoutputDirectory="+jars).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
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
	addresses := []string{served.FreeAddress(t), served.FreeAddress(t)}
	program := served.Program(t)
	platform := newServer(t, "http://"+addresses[0], program, "serve", "--warm", "0", "--data-dir", filepath.Join(dir, "data"), "--listen", addresses[0], "--flink-home", home, "--entrypoint", world.Binary(t), "--kafka", kafka.address)
	platform.env = os.Environ()
	platform.start("/readyz")
	t.Cleanup(func() { // clusters outlive the server
		for _, job := range []string{"clicks", "flink-metrics"} {
			if res, err := http.Post(platform.url+"/v1/jobs/"+job+"/stop", "application/json", strings.NewReader(`{"mode":"cancel"}`)); err == nil {
				res.Body.Close()
			}
		}
		poll(t, func() error {
			for _, job := range []string{"clicks", "flink-metrics"} {
				if state := queueOf(platform.url, job); state != "cancel" && state != "failed" && state != "" {
					return fmt.Errorf("%w: %s is in %s", cluster.ErrNotYet, job, state)
				}
			}
			if err := served.NoneBelow(filepath.Join(dir, "data", "runs")); err != nil { // a run ends before its cluster is deleted
				return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
			}
			return nil
		})
	})
	artifact := func(file string) string {
		return fmt.Sprintf("{uri: %q, sha256: %s, to: plugins/metrics-kafka}", files.URL+"/"+filepath.Base(file), digest(t, file))
	}
	start := func(job, definition string) {
		t.Helper()
		call(t, http.MethodPut, platform.url+"/v1/jobs/"+job, definition)
		call(t, http.MethodPost, platform.url+"/v1/jobs/"+job+"/start", "{}")
		poll(t, func() error {
			if state := queueOf(platform.url, job); state != "running" {
				return fmt.Errorf("%w: %s is in %s", cluster.ErrNotYet, job, state)
			}
			return nil
		})
	}
	const sizes = "resources: {jobManager: {memory: 1000m}, taskManager: {memory: 1200m, slots: 1}}\n"
	start("clicks", fmt.Sprintf(`apiVersion: flink-entrypoint/v1
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
	start("flink-metrics", text+sizes)
	gateway := newServer(t, "http://"+addresses[1], tool(t, "pushgateway"), "--web.listen-address", addresses[1])
	gateway.start("/-/ready")
	forward := newServer(t, "", program, "forward", "--kafka", kafka.address, "--pushgateway", gateway.url)
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

// queueOf is the queue of a job's newest run, "" if it is not known.
func queueOf(platform, job string) string {
	var answer struct {
		Run struct{ Queue, Condition string }
	}
	if get(platform+"/v1/jobs/"+job, &answer) != nil || answer.Run.Condition != "" {
		return answer.Run.Condition
	}
	return answer.Run.Queue
}
