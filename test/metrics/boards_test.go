//go:build metrics

package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/platform/served"
)

// without are queries that have no number in TestAllBoards, and why.
var without = map[string]string{}

// TestAllBoards evaluates each query of each dashboard, and each metric of the rules, in a Prometheus that scrapes a platform and its jobs: one reads
// Kafka and writes to it, one restarts again and again, one has failed. Of the last Alertmanager hears by a rule of Prometheus.
// With -pictures it makes pictures of the dashboards.
func TestAllBoards(t *testing.T) {
	if !slices.Contains(homes.Versions(), chainVersion) {
		t.Skipf("it runs on Flink %s", chainVersion)
	}
	dir := t.TempDir()
	jar := connectorJar(t, dir)
	files := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(files.Close)
	kafka := startKafka(t)
	produce(t, kafka.address)
	platform := startPlatform(t, homes.Home(t, chainVersion), "--alert-after", "failed=0s")
	targets := []string{strings.TrimPrefix(platform.url, "http://")}
	run := func(job, configuration, artifacts, script string) {
		t.Helper()
		first := contiguous(t)
		for i := range 2 {
			targets = append(targets, fmt.Sprintf("127.0.0.1:%d", first+i))
		}
		platform.start(job, fmt.Sprintf("apiVersion: flink-entrypoint/v1\nname: %s\nmetrics: {prometheus: {port: %d-%d}}\n%sconfiguration: {%s}\nartifacts: [%s]\nsql:\n  script: |\n    %s",
			job, first, first+1, sizes, configuration, artifacts, strings.ReplaceAll(strings.TrimSpace(script), "\n", "\n    ")))
	}
	run("clicks-per-page", "execution.checkpointing.interval: 5 s, state.backend.type: rocksdb", fmt.Sprintf("{uri: %q}", files.URL+"/"+filepath.Base(jar)), fmt.Sprintf(`
CREATE TABLE clicks (page STRING, event_time TIMESTAMP_LTZ(3), WATERMARK FOR event_time AS event_time - INTERVAL '1' SECOND) WITH (
  'connector' = 'kafka', 'topic' = 'clicks', 'properties.bootstrap.servers' = '%[1]s', 'properties.group.id' = 'clicks',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');
CREATE TABLE per_page (w TIMESTAMP_LTZ(3), page STRING, n BIGINT) WITH (
  'connector' = 'kafka', 'topic' = 'clicks-per-page', 'properties.bootstrap.servers' = '%[1]s', 'format' = 'json');
INSERT INTO per_page SELECT window_end, page, COUNT(*) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(event_time), INTERVAL '2' SECOND)) GROUP BY window_start, window_end, page;
`, kafka.address))
	// It fails after some seconds.
	run("payments", "restart-strategy.type: fixed-delay, restart-strategy.fixed-delay.attempts: 1000000, restart-strategy.fixed-delay.delay: 10 s", "", `
CREATE TABLE payments (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '5', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000');
CREATE TABLE nothing (n INT) WITH ('connector' = 'blackhole');
INSERT INTO nothing SELECT 1000 / (100 - n) FROM payments;
`)
	run("orders", "", "", `
CREATE TABLE orders (n INT) WITH ('connector' = 'a connector that is missing');
CREATE TABLE nothing (n INT) WITH ('connector' = 'blackhole');
INSERT INTO nothing SELECT n FROM orders;
`)
	platform.awaitRunning("clicks-per-page")
	address := served.FreeAddress(t)
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, []byte("route: {receiver: none}\nreceivers: [{name: none}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	manager := newServer(t, "http://"+address, tool(t, "alertmanager"), "--config.file", config, "--storage.path", filepath.Join(dir, "am"), "--web.listen-address", address, "--cluster.listen-address=")
	manager.start("/-/ready")
	p := startPrometheus(t, address, targets...)
	boards, expected := dashboards(t), map[string]string{}
	for _, board := range boards {
		for _, panel := range board.Panels {
			for _, q := range panel.Targets {
				where := board.Title + " / " + panel.Title + " " + q.RefID
				reason, missing := without[where]
				if !missing {
					expected[where] = q.all()
				} else if all, err := p.query(q.all()); err != nil || slices.ContainsFunc(all, series.isNumber) {
					t.Errorf("%s should have no number (%s): %v %v", where, reason, all, err)
				}
			}
		}
	}
	rules, err := os.ReadFile(monitoring(t, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range selectors.FindAllString(string(rules), -1) {
		expected["rules.yml "+name] = name
	}
	if len(expected) < 90 {
		t.Errorf("%d queries", len(expected))
	}
	p.await(expected)
	p.healthy()
	alerts := func(n int) {
		t.Helper()
		poll(t, func() error {
			var all []struct{ Labels map[string]string }
			if err := get(manager.url+"/api/v2/alerts?filter=alertname=FlinkJobFailed", &all); err != nil {
				return err
			}
			if len(all) != n || n > 0 && (all[0].Labels["job_name"] != "orders" || all[0].Labels["team"] != "default" || all[0].Labels["severity"] != "critical") {
				return fmt.Errorf("%w: %d alerts wanted, %v", cluster.ErrNotYet, n, all)
			}
			return nil
		})
	}
	alerts(1)
	if *pictures != "" {
		p.pictures(boards)
	}
	call(t, http.MethodDelete, platform.url+"/v1/jobs/orders", "")
	alerts(0)
}

// produce sends clicks to Kafka until the test ends. Their number rises and falls, and one in a hundred comes late.
func produce(t *testing.T, kafka string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.DefaultProduceTopic("clicks"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kadm.NewClient(client).CreateTopics(t.Context(), 1, 1, nil, "clicks", "clicks-per-page"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
		client.Close()
	})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				for range 50 + int(30*math.Sin(2*math.Pi*float64(now.Unix()%120)/120)) {
					at := now
					if n++; n%100 == 0 {
						at = now.Add(-time.Minute)
					}
					value, err := json.Marshal(map[string]string{"page": fmt.Sprintf("page-%d", n%7), "event_time": at.UTC().Format("2006-01-02T15:04:05.000Z")})
					if err != nil {
						t.Error(err)
						return
					}
					client.Produce(ctx, &kgo.Record{Value: value}, nil)
				}
			}
		}
	}()
}
