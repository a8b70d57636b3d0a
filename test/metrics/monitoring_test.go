//go:build metrics

package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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

// startPrometheus starts Prometheus with the rules, and these targets. alertmanager is where alerts go, "" for nowhere.
func startPrometheus(t *testing.T, alertmanager string, targets ...string) prometheus {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n  - {job_name: flink, static_configs: [{targets: ['%s']}]}\n", monitoring(t, "rules.yml"), strings.Join(targets, "', '"))
	if alertmanager != "" {
		config += fmt.Sprintf("alerting: {alertmanagers: [{static_configs: [{targets: ['%s']}]}]}\n", alertmanager)
	}
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

// A series is what Prometheus answers: one value of an instant query, several of a range.
type series struct {
	Metric map[string]string
	Value  point
	Values []point
}

// A point is a time in seconds and a value, which is NaN for none.
type point struct{ at, value float64 }

func (p *point) UnmarshalJSON(text []byte) error {
	var value string
	err := json.Unmarshal(text, &[]any{&p.at, &value})
	if err == nil {
		p.value, err = strconv.ParseFloat(value, 64)
	}
	return err
}

// query returns the series of an expression.
func (p prometheus) query(expr string) ([]series, error) {
	return p.ask("query?query=" + url.QueryEscape(expr))
}

func (p prometheus) ask(path string) ([]series, error) {
	var answer struct{ Data struct{ Result []series } }
	if err := get(p.url+"/api/v1/"+path, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return answer.Data.Result, nil
}

// await waits until each expression, by where it is, has had a series that is a number.
func (p prometheus) await(expressions map[string]string) {
	p.t.Helper()
	left := maps.Clone(expressions)
	poll(p.t, func() error {
		for where, expr := range left {
			all, err := p.query(expr)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(all, series.isNumber) {
				delete(left, where)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%w: no number for %q", cluster.ErrNotYet, left)
		}
		return nil
	})
}

// isNumber reports whether the value of an instant query is one.
func (s series) isNumber() bool { return !math.IsNaN(s.Value.value) }

// healthy checks that the rules are loaded, and none of them is broken.
func (p prometheus) healthy() {
	p.t.Helper()
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	if err := get(p.url+"/api/v1/rules", &rules); err != nil {
		p.t.Fatal(err)
	}
	n := 0
	for _, g := range rules.Data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health == "err" {
				p.t.Errorf("%s: %s", r.Name, r.LastError)
			}
		}
	}
	if n < 10 {
		p.t.Errorf("%d rules", n)
	}
}

// selectors are the names of the metrics in an expression.
var selectors = regexp.MustCompile(`\bflink_(jobmanager|taskmanager|platform)_[A-Za-z0-9_]+`)

// A dashboard is one of deploy/monitoring/dashboards.
type dashboard struct {
	file   string
	Title  string
	Panels []struct {
		Title       string
		FieldConfig struct {
			Defaults struct {
				Unit       string
				Min, Max   *float64
				Thresholds struct {
					Steps []struct {
						Color string
						Value *float64
					}
				}
			}
		}
		Targets []target
	}
}

// A target is a query of a panel.
type target struct{ Expr, LegendFormat, RefID string }

// all is the query with all teams and jobs.
func (q target) all() string {
	return strings.NewReplacer("$job", ".*", "$team", ".*").Replace(q.Expr)
}

// dashboards reads the dashboards.
func dashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob(monitoring(t, "dashboards", "*.json"))
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	boards := make([]dashboard, len(files))
	for i, file := range files {
		boards[i].file = strings.TrimSuffix(filepath.Base(file), ".json")
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &boards[i])
		}
		if err != nil || len(boards[i].Panels) < 8 {
			t.Fatal(file, len(boards[i].Panels), err)
		}
	}
	return boards
}

// TestBoards evaluates the queries of the dashboards in a Prometheus that scrapes a job of each version. The job has no Kafka: TestAllBoards
// evaluates those queries, and the platform's.
func TestBoards(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		needsSQL(t, version)
		first := contiguous(t)
		definition := write(t, c, fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: clicks-per-minute
metrics:
  prometheus: {port: %d-%d}
  labels: {team: web}
configuration: {execution.checkpointing.interval: 500 ms, state.backend.type: rocksdb, state.backend: rocksdb}
sql:
  script: |
    CREATE TABLE numbers (n BIGINT, event_time AS CURRENT_TIMESTAMP, WATERMARK FOR event_time AS event_time) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
    CREATE TABLE nothing (k BIGINT, n BIGINT) WITH ('connector' = 'blackhole');
    INSERT INTO nothing SELECT MOD(n, 10), COUNT(*) FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(event_time), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, MOD(n, 10);
`, first, first+1))
		start(t, c, definition)
		p := startPrometheus(t, "", fmt.Sprintf("127.0.0.1:%d", first), fmt.Sprintf("127.0.0.1:%d", first+1))
		expected := map[string]string{}
		for _, board := range dashboards(t) {
			if board.file == "kafka" || board.file == "platform" {
				continue
			}
			for _, panel := range board.Panels {
				for _, q := range panel.Targets {
					expr, where, missing := q.all(), board.Title+" / "+panel.Title+" "+q.RefID, ""
					if strings.Contains(expr, "flink_platform_") {
						continue
					}
					for _, name := range selectors.FindAllString(expr, -1) {
						if reason := since(version, name); reason != "" {
							missing = reason
						}
					}
					if missing == "" {
						expected[where] = expr
					} else if all, err := p.query(expr); err != nil || len(all) > 0 {
						t.Errorf("%s should have no series (%s), and has %d: %s %v", where, missing, len(all), expr, err)
					}
				}
			}
		}
		if len(expected) < 40 {
			t.Errorf("%d queries", len(expected))
		}
		p.await(expected)
		p.healthy()
	})
}

// since is why a version has no metric of that name: the table of docs/monitoring.md.
func since(version, name string) string {
	for part, release := range map[string]string{"lastCheckpointCompletedTimestamp": "2", "numRescales": "2", "GarbageCollector_All_": "1.19", "FileDescriptor_": "2.1"} {
		if strings.Contains(name, part) && version < release {
			return "Flink " + release + " and later"
		}
	}
	return ""
}
