//go:build metrics

package metrics

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// monitoring is a file below deploy/monitoring.
func monitoring(t *testing.T, name ...string) string {
	t.Helper()
	root, err := world.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root, "deploy", "monitoring"}, name...)...)
}

// TestRules lets promtool check the rules and run their tests.
func TestRules(t *testing.T) {
	promtool := tool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", monitoring(t, "rules.yml")}, {"test", "rules", monitoring(t, "rules.test.yml")}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// A prometheus is one that scrapes.
type prometheus struct {
	*server
	t *testing.T
}

// startPrometheus starts Prometheus with the rules, and these targets.
func startPrometheus(t *testing.T, targets ...string) prometheus {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n  - {job_name: flink, static_configs: [{targets: [%s]}]}\n", monitoring(t, "rules.yml"), strings.Join(targets, ", "))
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	address := served.FreeAddress(t)
	s := newServer(t, "http://"+address, tool(t, "prometheus"), "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address,
		"--web.enable-otlp-receiver", "--enable-feature=otlp-deltatocumulative")
	s.start("/-/ready")
	return prometheus{s, t}
}

// query returns the series of an expression.
func (p prometheus) query(expr string) ([]map[string]string, error) {
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := get(p.url+"/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	var series []map[string]string
	for _, r := range answer.Data.Result {
		series = append(series, r.Metric)
	}
	return series, nil
}

// selectors are the names of the metrics in an expression.
var selectors = regexp.MustCompile(`\bflink_(jobmanager|taskmanager|platform)_[A-Za-z0-9_]+`)

// expressions are the queries of the dashboards and of the rules, by where they are.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob(monitoring(t, "dashboards", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var board struct {
			Title  string
			Panels []struct {
				Title   string
				Targets []struct{ Expr, RefID string }
			}
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &board)
		}
		if err != nil {
			t.Fatal(file, err)
		}
		for _, p := range board.Panels {
			for _, q := range p.Targets {
				all[board.Title+" / "+p.Title+" "+q.RefID] = strings.NewReplacer("$job", ".*", "$team", ".*").Replace(q.Expr)
			}
		}
	}
	if len(all) < 60 {
		t.Fatalf("%d queries", len(all))
	}
	return all
}

// without are the panels that a job without Kafka and without a fault has no series for.
var without = map[string]string{
	"Kafka":                "the job reads no topic",
	"Late records dropped": "no operator has a window",
	"Watermark":            "the job has no event time",
	"Alerts A":             "the job has no alert",
	"by condition":         "no run is lost or restarts",
	"Runs in queues":       "the platform has no run",
	"Delay of queues":      "the platform has no run",
}

// TestBoards evaluates each query of each dashboard in a Prometheus that scrapes a real job and the platform.
func TestBoards(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		first := contiguous(t)
		definition := write(t, c, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: clicks-per-minute
metrics:
  prometheus: {port: %d-%d}
  labels: {team: web}
configuration: {execution.checkpointing.interval: 500 ms, state.backend.type: rocksdb, state.backend: rocksdb}
sql:
  script: |
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
    CREATE TABLE nothing (k BIGINT, n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nothing SELECT MOD(n, 10), COUNT(*) FROM numbers GROUP BY MOD(n, 10);
`, first, first+1))
		start(t, c, definition)
		platform := served.Start(t, served.Options{})
		call(t, "PUT", platform.URL+"/v1/jobs/clicks", "apiVersion: flink-entrypoint/v1\nname: clicks\nsql: {script: \"CREATE TABLE s (a INT) WITH ('connector'='blackhole'); INSERT INTO s VALUES (1);\"}\n")
		p := startPrometheus(t, fmt.Sprintf("'127.0.0.1:%d', '127.0.0.1:%d', '%s'", first, first+1, strings.TrimPrefix(platform.URL, "http://")))
		for where, expr := range expressions(t) {
			missing := ""
			for part, reason := range without {
				if strings.Contains(where, part) {
					missing = reason
				}
			}
			for _, name := range selectors.FindAllString(expr, -1) {
				if reason := since(version, name); reason != "" {
					missing = reason
				}
			}
			if missing != "" {
				if series, err := p.query(expr); err != nil || len(series) > 0 && strings.HasPrefix(missing, "Flink") {
					t.Errorf("%s should have no series (%s), and has %d: %s %v", where, missing, len(series), expr, err)
				}
				continue
			}
			poll(t, func() error {
				series, err := p.query(expr)
				if err == nil && len(series) == 0 {
					err = fmt.Errorf("%w: %s has no series: %s", cluster.ErrNotYet, where, expr)
				}
				return err
			})
		}
		// The rules are loaded and none of them is broken.
		var rules struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError string }
				}
			}
		}
		if err := get(p.url+"/api/v1/rules", &rules); err != nil {
			t.Fatal(err)
		}
		all, err := p.query(`count by (instance) ({__name__=~"flink_(jobmanager|taskmanager)_.*"})`)
		if err != nil || len(all) != 2 {
			t.Errorf("%v %v", all, err)
		}
		n := 0
		for _, g := range rules.Data.Groups {
			for _, r := range g.Rules {
				if n++; r.Health == "err" {
					t.Errorf("%s: %s", r.Name, r.LastError)
				}
			}
		}
		if n < 10 {
			t.Errorf("%d rules", n)
		}
	})
}

// since is why a version has no metric of that name: the table of docs/monitoring.md.
func since(version, name string) string {
	for part, release := range map[string]string{"lastCheckpointCompletedTimestamp": "2", "numRescales": "2", "GarbageCollector_All_": "1.19", "FileDescriptor_": "2"} {
		if strings.Contains(name, part) && version < release {
			return "Flink " + release + " and later"
		}
	}
	return ""
}
