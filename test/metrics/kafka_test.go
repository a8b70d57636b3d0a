//go:build metrics

package metrics

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/kgo"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// kafkaLibs are the jars of a Kafka, brought by Maven into the cache.
func kafkaLibs(t *testing.T) string {
	t.Helper()
	cache, err := homes.Cache()
	if err != nil {
		t.Fatal(err)
	}
	root, err := world.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "kafka-4.1.0")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	made := dir + ".new"
	if err := os.RemoveAll(made); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("mvn", "-q", "-B", "-f", filepath.Join(root, "test", "metrics", "kafka", "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+made)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("Kafka cannot be brought: %v\n%s", err, out)
	}
	if err := os.Rename(made, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A broker is a Kafka of one process.
type broker struct {
	*server
	address string
}

// startKafka starts a Kafka and waits until it answers.
func startKafka(t *testing.T) *broker {
	t.Helper()
	libs := kafkaLibs(t)
	dir := t.TempDir()
	address, controller := served.FreeAddress(t), served.FreeAddress(t)
	config := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(config, []byte(strings.Join([]string{"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@" + controller,
		"listeners=PLAINTEXT://" + address + ",CONTROLLER://" + controller, "advertised.listeners=PLAINTEXT://" + address, "controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "log.dirs=" + filepath.Join(dir, "logs"), "offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "group.initial.rebalance.delay.ms=0"}, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	java := []string{"-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libs, "*")}
	if out, err := exec.Command("java", append(java, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", config)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := &broker{newServer(t, "", "java", append(java, "kafka.Kafka", config)...), address}
	b.begin()
	return b
}

// begin starts the broker, also again.
func (b *broker) begin() {
	b.t.Helper()
	b.launch()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	poll(b.t, func() error {
		ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Second)
		defer cancel()
		if err := c.Ping(ctx); err != nil {
			return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
		}
		return nil
	})
}

// reporterPlugin makes the plugin for Kafka, and returns its jars.
func reporterPlugin(t *testing.T, dir string) []string {
	t.Helper()
	root, err := world.Root()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", "run", "./docker/metrics-kafka", "-flink", homes.Home(t, homes.Versions()[0]), dir)
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil || len(jars) != 2 {
		t.Fatal(jars, err)
	}
	return jars
}

// TestKafkaReporterIsReproducible: two builds have the same bytes, and a few KB.
func TestKafkaReporterIsReproducible(t *testing.T) {
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	var contents [][]byte
	for _, dir := range dirs {
		reporterPlugin(t, dir)
		content, err := os.ReadFile(filepath.Join(dir, "flink-entrypoint-metrics-kafka.jar"))
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, content)
	}
	if !bytes.Equal(contents[0], contents[1]) || len(contents[0]) > 16<<10 {
		t.Errorf("%d and %d bytes", len(contents[0]), len(contents[1]))
	}
}

// A record is one of the reporter.
type record struct {
	TS     int64
	Metric string
	Labels map[string]string
	Value  float64
}

// TestKafkaReporter: records of a real job are as the schema says; while the broker is dead the job goes on, and what is lost is counted; when it
// is back, records come again.
func TestKafkaReporter(t *testing.T) {
	root, err := world.Root()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(root, "docs", "metrics-record.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	plugin := reporterPlugin(t, filepath.Join(t.TempDir(), "plugin"))
	kafka := startKafka(t)
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		needsSQL(t, version)
		topic := "metrics-" + version
		definition := write(t, c, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: clicks-per-minute
configuration:
  metrics.reporter.kafka.factory.class: flinkentrypoint.metrics.KafkaReporterFactory
  metrics.reporter.kafka.interval: 1 s
  metrics.reporter.kafka.bootstrap.servers: %q
  metrics.reporter.kafka.topic: %s
  metrics.reporter.kafka.queue: 5000
  metrics.reporter.kafka.producer.delivery.timeout.ms: 2000
  metrics.reporter.kafka.producer.request.timeout.ms: 1500
  metrics.reporter.kafka.scope.variables.additional: "flink_job:clicks-per-minute"
artifacts:
  - {uri: %q, sha256: %s, to: plugins/metrics-kafka}
  - {uri: %q, sha256: %s, to: plugins/metrics-kafka}
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
    CREATE TABLE nothing (n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nothing SELECT n FROM numbers;
`, kafka.address, topic, plugin[0], digest(t, plugin[0]), plugin[1], digest(t, plugin[1])))
		start(t, c, definition)
		reader, err := kgo.NewClient(kgo.SeedBrokers(kafka.address), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		newest := map[string]record{} // by metric, of the TaskManager where both have it
		n := 0
		read := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				n++
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.Value))
				if err == nil {
					err = schema.Validate(value)
				}
				var x record
				if err == nil {
					err = json.Unmarshal(r.Value, &x)
				}
				if err != nil {
					t.Errorf("%s: %v", r.Value, err)
				}
				if _, isTM := x.Labels["tm_id"]; isTM || newest[x.Metric].Labels["tm_id"] == "" {
					newest[x.Metric] = x
				}
			})
		}
		fresh := func(metric string, after int64) record {
			t.Helper()
			poll(t, func() error {
				read()
				if x := newest[metric]; x.TS <= after {
					return fmt.Errorf("%w: no %s after %d among %d records", cluster.ErrNotYet, metric, after, n)
				}
				return nil
			})
			return newest[metric]
		}
		const records = "taskmanager.job.task.numRecordsOut"
		for _, metric := range []string{"jobmanager.job.numRestarts", "taskmanager.Status.JVM.Memory.Heap.Used", records} {
			if x := fresh(metric, 0); x.Labels["flink_job"] != "clicks-per-minute" {
				t.Errorf("%+v", x)
			}
		}
		before := fresh("reporter.lost", 0)
		kafka.kill()
		// The job goes on, for longer than the producer tries to send a record.
		began := int64(0)
		poll(t, func() error {
			var all struct {
				Jobs []struct {
					State    string
					Duration int64
				}
			}
			if err := c.Get(t.Context(), "/jobs/overview", &all); err != nil {
				return err
			}
			job := all.Jobs[0]
			if job.State != "RUNNING" {
				return fmt.Errorf("the job is %s", job.State)
			}
			if began = cmp.Or(began, job.Duration); job.Duration < began+6000 {
				return fmt.Errorf("%w: it has run for %d ms without Kafka", cluster.ErrNotYet, job.Duration-began)
			}
			return nil
		})
		down := time.Now().UnixMilli()
		kafka.begin()
		after := fresh("reporter.lost", down)
		if after.Value <= before.Value {
			t.Errorf("%g records were lost before the broker was killed, %g after", before.Value, after.Value)
		}
		x := fresh(records, down)
		t.Logf("%d records, %g lost while the broker was away, %g rows", n, after.Value-before.Value, x.Value)
	})
}

// digest is the sha256 of a file.
func digest(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command("sha256sum", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))[0]
}
