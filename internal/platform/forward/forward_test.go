package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
)

// broker is a Kafka of this process.
func broker(t testing.TB, topics ...string) Kafka {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return Kafka{Brokers: c.ListenAddrs()}
}

func client(t testing.TB, k Kafka, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(k.options(), more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A diary is a log that tests read while it is written.
type diary struct {
	mu   sync.Mutex
	text strings.Builder
}

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

func (d *diary) count(part string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.text.String(), part)
}

func quiet(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// A gateway is a Pushgateway as far as the forwarder uses it: groups by their path, to which pushes add texts.
type gateway struct {
	*httptest.Server
	mu     sync.Mutex
	groups map[string]map[string]string // by path, then by the name of the metric
	refuse string                       // the end of a path whose pushes are refused, "": none
	away   bool
	pushes int
}

func newGateway(t testing.TB) *gateway {
	g := &gateway{groups: map[string]map[string]string{}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil || g.away:
			http.Error(w, "away", http.StatusServiceUnavailable)
		case r.Method == http.MethodGet:
			var data []map[string]any
			for path := range g.groups {
				data = append(data, map[string]any{"labels": map[string]string{"job": "flink", "job_name": path[strings.LastIndex(path, "/")+1:]}})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
		case r.Method == http.MethodDelete:
			delete(g.groups, r.URL.Path)
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPost && g.refuse != "" && strings.HasSuffix(r.URL.Path, g.refuse):
			http.Error(w, "pushed metrics are invalid or inconsistent with existing metrics", http.StatusBadRequest)
		case r.Method == http.MethodPost:
			g.pushes++
			if g.groups[r.URL.Path] == nil {
				g.groups[r.URL.Path] = map[string]string{}
			}
			for line := range strings.Lines(string(body)) {
				if name, _, ok := strings.Cut(line, "{"); ok && line[0] != '#' {
					g.groups[r.URL.Path][name] = strings.TrimSpace(line)
				}
			}
		default:
			http.Error(w, r.Method, http.StatusMethodNotAllowed)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) line(job, name string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.groups["/metrics/job/flink/job_name/"+job][name]
}

func (g *gateway) has(job string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.groups["/metrics/job/flink/job_name/"+job] != nil
}

func (g *gateway) setAway(away bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = away
}

// write puts records into a topic.
func write(t *testing.T, c *kgo.Client, topic string, values ...any) {
	t.Helper()
	for _, v := range values {
		r := &kgo.Record{Topic: topic}
		var err error
		switch v := v.(type) {
		case Job:
			r.Key = []byte(v.Job)
			r.Value, err = json.Marshal(v)
		case Aggregate:
			r.Key = []byte(v.Metric)
			r.Value, err = json.Marshal(v)
		case string:
			r.Value = []byte(v)
		case nil:
			r.Key = []byte("x")
		}
		if err == nil {
			err = c.ProduceSync(t.Context(), r).FirstErr()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func aggregate(job, metric string, window int, v float64) Aggregate {
	return Aggregate{Window: fmt.Sprintf("2026-11-27 20:00:%02d.000", window), Metric: metric, Job: job, Team: "web", Version: 3, Avg: v, Max: 2 * v, Sum: 3 * v}
}

// forwarder starts one; end waits for its end.
func forwarder(t *testing.T, k Kafka, g *gateway) (m *Metrics, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m = &Metrics{Kafka: k, JobsTopic: "flink-jobs", MetricsTopic: "aggregated", Group: "forward", Gateway: g.URL, Log: quiet(t)}
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return m, end
}

const busy = "taskmanager.job.task.busyTimeMsPerSecond"

// TestMetrics: pushed, replaced by later windows, and removed with the end of the job, after which late windows bring nothing back.
func TestMetrics(t *testing.T) {
	k, g := broker(t, "flink-jobs", "aggregated"), newGateway(t)
	c := client(t, k)
	write(t, c, "flink-jobs", Job{Job: "clicks", Run: "r1", Created: 1}, Job{Job: "old", Run: "r0", Created: 1, Ended: true})
	g.groups["/metrics/job/flink/job_name/old"] = map[string]string{"x": "of a job that ended while no forwarder ran"}
	g.groups["/metrics/job/flink/job_name/gone"] = map[string]string{"x": "of a job that was deleted"}
	forwarder(t, k, g)
	write(t, c, "aggregated", aggregate("clicks", busy, 10, 5), "no JSON", nil, aggregate("old", busy, 10, 1), aggregate("unknown", busy, 10, 1), aggregate("clicks", busy, 20, 7))
	name := "flink_taskmanager_job_task_busyTimeMsPerSecond"
	until(t, "pushed", func() bool {
		return g.line("clicks", name+"_avg") == name+`_avg{team="web",version="3"} 7` && g.line("clicks", name+"_max") == name+`_max{team="web",version="3"} 14` && g.line("clicks", name+"_sum") == name+`_sum{team="web",version="3"} 21`
	})
	until(t, "removed", func() bool { return !g.has("old") && !g.has("gone") })
	write(t, c, "flink-jobs", Job{Job: "clicks", Run: "r1", Created: 1, Ended: true})
	until(t, "removed with its end", func() bool { return !g.has("clicks") })
	write(t, c, "aggregated", aggregate("clicks", busy, 30, 9))
	write(t, c, "flink-jobs", Job{Job: "clicks", Run: "r1", Created: 1}) // written twice, in another order
	write(t, c, "flink-jobs", Job{Job: "other", Run: "r5", Created: 5})
	until(t, "the other job", func() bool {
		write(t, c, "aggregated", aggregate("other", busy, 30, 1)) // one that is read before its job is left out
		return g.has("other")
	})
	if g.has("clicks") || g.has("old") || g.has("unknown") {
		t.Error("a late window has brought back the metrics of a job that has ended")
	}
	write(t, c, "flink-jobs", Job{Job: "clicks", Run: "r2", Created: 9})
	until(t, "the next run", func() bool {
		write(t, c, "aggregated", aggregate("clicks", busy, 40, 11))
		return g.has("clicks")
	})
}

// committed is how many records of aggregated metrics the forwarders are done with.
func committed(t testing.TB, c *kgo.Client) (n int64) {
	offsets, err := kadm.NewClient(c).FetchOffsets(t.Context(), "forward")
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		t.Fatal(err)
	}
	offsets.Each(func(o kadm.OffsetResponse) { n += max(o.At, 0) })
	return n
}

// TestGatewayIsAway: what was not pushed is pushed when it is back, also by the next forwarder; what was pushed is not read again.
func TestGatewayIsAway(t *testing.T) {
	k, g := broker(t, "flink-jobs", "aggregated"), newGateway(t)
	c := client(t, k)
	write(t, c, "flink-jobs", Job{Job: "clicks", Run: "r1", Created: 1})
	m, end := forwarder(t, k, g)
	write(t, c, "aggregated", aggregate("clicks", "a", 10, 1))
	until(t, "pushed", func() bool { return g.has("clicks") })
	until(t, "committed", func() bool { return committed(t, c) == 1 })
	g.setAway(true)
	write(t, c, "aggregated", aggregate("clicks", "b", 20, 2))
	write(t, c, "flink-jobs", Job{Job: "ended", Run: "r9", Created: 1, Ended: true})
	until(t, "read", func() bool { return m.forwarded.Load() == 2 })
	end() // killed while it waits
	if n := committed(t, c); n != 1 {
		t.Errorf("%d records are committed, 1 was pushed", n)
	}
	g.setAway(false)
	forwarder(t, k, g)
	until(t, "pushed by the next one", func() bool { return g.line("clicks", "flink_b_avg") == `flink_b_avg{team="web",version="3"} 2` })
	until(t, "committed", func() bool { return committed(t, c) == 2 })
	if g.line("clicks", "flink_a_avg") == "" {
		t.Error("a metric of an earlier push is gone")
	}
}

// TestOneJobIsNoHindrance: what one job calls its metrics, and a push that the Pushgateway refuses, do not keep the metrics of others back.
func TestOneJobIsNoHindrance(t *testing.T) {
	k, g := broker(t, "flink-jobs", "aggregated"), newGateway(t)
	c := client(t, k)
	write(t, c, "flink-jobs", Job{Job: "alike", Run: "r1", Created: 1}, Job{Job: "bad", Run: "r2", Created: 1}, Job{Job: "clicks", Run: "r3", Created: 1})
	g.refuse = "/bad"
	forwarder(t, k, g)
	write(t, c, "aggregated", aggregate("alike", "my.count", 10, 1), aggregate("alike", "my-count", 20, 2), aggregate("bad", "a", 10, 1), aggregate("clicks", "a", 10, 5))
	until(t, "the metrics of another job", func() bool { return g.line("clicks", "flink_a_avg") == `flink_a_avg{team="web",version="3"} 5` })
	until(t, "two names that are one for Prometheus", func() bool {
		return g.line("alike", "flink_my_count_avg") == `flink_my_count_avg{team="web",version="3"} 2`
	})
	until(t, "committed", func() bool { return committed(t, c) == 4 })
}

// TestUnknownJobs: who wonders where the metrics of a job are finds it in the log, once for each job.
func TestUnknownJobs(t *testing.T) {
	k, g := broker(t, "flink-jobs", "aggregated"), newGateway(t)
	c := client(t, k)
	write(t, c, "flink-jobs", Job{Job: "clicks", Run: "r1", Created: 1}, Job{Job: "old", Run: "r0", Created: 1, Ended: true})
	log := &diary{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	m := &Metrics{Kafka: k, JobsTopic: "flink-jobs", MetricsTopic: "aggregated", Group: "forward", Gateway: g.URL, Log: slog.New(slog.NewTextHandler(log, nil))}
	go func() { done <- m.Run(ctx) }()
	write(t, c, "aggregated", aggregate("unknown", "a", 10, 1), aggregate("unknown", "a", 20, 1), aggregate("old", "a", 10, 1), aggregate("clicks", "a", 10, 5))
	until(t, "read", func() bool { return committed(t, c) == 4 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if log.count("job=unknown") != 1 || log.count("job=old") != 0 || log.count("job=clicks") != 0 {
		t.Error(log.text.String())
	}
}

// TestJobsTopicWithoutRecords: a topic whose records are all gone (another policy than compact) has said everything.
func TestJobsTopicWithoutRecords(t *testing.T) {
	k, g := broker(t, "flink-jobs", "aggregated"), newGateway(t)
	c := client(t, k)
	write(t, c, "flink-jobs", Job{Job: "clicks", Run: "r1", Created: 1})
	admin := kadm.NewClient(c)
	ends, err := admin.ListEndOffsets(t.Context(), "flink-jobs")
	if err == nil {
		_, err = admin.DeleteRecords(t.Context(), ends.Offsets())
	}
	if err != nil {
		t.Fatal(err)
	}
	g.groups["/metrics/job/flink/job_name/gone"] = map[string]string{"x": "of a job that the topic does not know"}
	forwarder(t, k, g)
	until(t, "forwarding", func() bool { return !g.has("gone") })
}

// TestTopicThatExists: who may write to a topic, but not make one, uses the one that is there.
func TestTopicThatExists(t *testing.T) {
	const topic = 2 // of the kinds of what an ACL is for
	may := func(o kadm.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: topic, Name: "flink-jobs", Pattern: kadm.ACLPatternLiteral, Operation: o, Allow: true}
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "flink-jobs"), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.User("PLAIN", "platform", "s3cret", may(kadm.OpWrite), may(kadm.OpDescribe)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := client(t, Kafka{Brokers: cluster.ListenAddrs(), User: "platform", PasswordFile: password})
	if err := makeCompacted(t.Context(), c, "flink-jobs"); err != nil {
		t.Error(err)
	}
	write(t, c, "flink-jobs", Job{Job: "clicks", Run: "r1", Created: 1})
	if err := makeCompacted(t.Context(), c, "missing"); err == nil {
		t.Error("made a topic without the right to")
	}
}

// TestJobs: the topic has the newest state of each job, whatever is written how often.
func TestJobs(t *testing.T) {
	k := broker(t)
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.TellJobs = true
	start := func(job string) store.Run {
		t.Helper()
		if _, _, err := s.PutJob(t.Context(), "web", store.Version{Job: job, Document: []byte("a"), Source: []byte("a"), By: "ann"}, -1); err != nil {
			t.Fatal(err)
		}
		r, err := s.CreateRun(t.Context(), job, 1, store.Asked{By: "ann"}, func(id string, now time.Time) jobstate.Run {
			return jobstate.New(id, "", false, false, now, time.Minute)
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	clicks := start("clicks")
	jobs, err := NewJobs(k, "flink-jobs", s, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { jobs.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	c := client(t, k, kgo.ConsumeTopics("flink-jobs"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	have := map[string]*Job{}
	read := func(what string, ok func() bool) {
		t.Helper()
		until(t, what, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			c.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				have[string(r.Key)] = nil
				if r.Value != nil {
					have[string(r.Key)] = new(Job)
					if err := json.Unmarshal(r.Value, have[string(r.Key)]); err != nil {
						t.Error(err)
					}
				}
			})
			return ok()
		})
	}
	read("the job that was there before", func() bool {
		j := have["clicks"]
		return j != nil && *j == Job{Job: "clicks", Team: "web", Version: 1, Run: clicks.State.ID, Created: clicks.Created.UnixMilli()}
	})
	start("orders")
	read("a new one", func() bool { return have["orders"] != nil })
	clicks.State.Queue, clicks.State.Outcome, clicks.State.Ended = jobstate.Finish, jobstate.IsFinished, time.Now()
	if _, err := s.Transition(t.Context(), clicks.State.ID, clicks.Revision, "", store.Change{State: clicks.State}); err != nil {
		t.Fatal(err)
	}
	read("the end", func() bool { return have["clicks"] != nil && have["clicks"].Ended })
	if err := s.DeleteJob(t.Context(), "clicks"); err != nil {
		t.Fatal(err)
	}
	read("deleted", func() bool { return have["clicks"] == nil })
	until(t, "the outbox is empty", func() bool {
		waiting, err := s.Outbox(t.Context(), store.OutboxJob, 10, time.Nanosecond)
		return err == nil && len(waiting) == 0
	})
	configs, err := kadm.NewClient(c).DescribeTopicConfigs(t.Context(), "flink-jobs")
	if err != nil {
		t.Fatal(err)
	}
	compacted := false
	for _, entry := range configs[0].Configs {
		compacted = compacted || entry.Key == "cleanup.policy" && entry.MaybeValue() == "compact"
	}
	if !compacted {
		t.Errorf("the topic is not compacted: %+v", configs[0].Configs)
	}
}

func TestMetricNames(t *testing.T) {
	for name, want := range map[string]string{busy: "flink_taskmanager_job_task_busyTimeMsPerSecond", "KafkaConsumer.records-lag-max": "flink_KafkaConsumer_records_lag_max", "é": "flink__", "": ""} {
		if have := metricName(name); have != want {
			t.Errorf("%q: %q, want %q", name, have, want)
		}
	}
}

// TestAddressOfTheGateway: a wrong one ends at once, and no error has the password.
func TestAddressOfTheGateway(t *testing.T) {
	for _, address := range []string{"", "pushgateway:9091", "ftp://u:hunter2@h", "http://u:hunter2@"} {
		m := &Metrics{Gateway: address, Log: quiet(t)}
		if err := m.Run(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
	m := &Metrics{Gateway: "http://u:hunter2@127.0.0.1:1", HTTP: http.DefaultClient}
	if err := m.push(t.Context(), "clicks", map[string]Aggregate{"a": {Metric: "a"}}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}
