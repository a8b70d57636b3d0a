package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommitted: the dashboards are what this program writes.
func TestCommitted(t *testing.T) {
	files, err := filepath.Glob("../dashboards/*.json")
	if err != nil || len(files) != len(boards()) {
		t.Errorf("%d files, %d boards, %v", len(files), len(boards()), err)
	}
	for _, b := range boards() {
		want, err := b.json()
		if err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(filepath.Join("../dashboards", b.file)); err != nil || string(have) != string(want) {
			t.Errorf("%s is not up to date (%v): go run ./deploy/monitoring/boards", b.file, err)
		}
		if !json.Valid(want) {
			t.Errorf("%s is not JSON", b.file)
		}
	}
}

// TestPanels: what a reader of a dashboard needs.
func TestPanels(t *testing.T) {
	units := []string{"short", "bytes", "percent", "percentunit", "ms", "ns", "s", "ops", "Bps"}
	for _, b := range boards() {
		titles := map[string]bool{}
		for _, p := range b.panels {
			if titles[p.title] || !strings.HasSuffix(p.about, ".") || !slices.Contains(units, p.unit) || len(p.queries) == 0 || p.bad != 0 && p.bad <= p.warn {
				t.Errorf("%s: %+v", b.file, p)
			}
			titles[p.title] = true
			for _, q := range p.queries {
				if q.legend == "" || strings.Count(q.expr, "(") != strings.Count(q.expr, ")") || strings.Contains(q.selected(), "JOB") || strings.Contains(q.selected(), "TEAM") || strings.Contains(q.selected(), "CLUSTER") {
					t.Errorf("%s: %s: %+v", b.file, p.title, q)
				}
				if !b.platform && !strings.Contains(q.expr, "flink_platform_") && strings.Count(q.expr, "flink_")-strings.Count(q.expr, "flink_job,")-strings.Count(q.expr, "flink_job)") != strings.Count(q.expr, "{JOB}")+strings.Count(q.expr, "{CLUSTER}") {
					t.Errorf("%s: %s: a metric without the variables of the board: %s", b.file, p.title, q.expr)
				}
			}
		}
	}
}

// notInTheScrape are metrics of panels that the recorded scrape of a job with Kafka has not.
var notInTheScrape = map[string]string{
	"flink_taskmanager_job_task_operator_numLateRecordsDropped": "only operators with windows have it",
}

var name = regexp.MustCompile(`flink_(jobmanager|taskmanager)_[A-Za-z0-9_]+`)

// TestNames: every metric of a panel or rule is one that a Flink 2.2 with a Kafka source and sink has, by its recorded scrape.
func TestNames(t *testing.T) {
	recorded, err := os.ReadFile("testdata/names-2.2.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Fields(string(recorded))
	used := map[string]bool{}
	for _, b := range boards() {
		for _, p := range b.panels {
			for _, q := range p.queries {
				for _, n := range name.FindAllString(q.expr, -1) {
					used[n] = true
				}
			}
		}
	}
	rules, err := os.ReadFile("../rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range name.FindAllString(string(rules), -1) {
		used[n] = true
	}
	for n := range used {
		if !slices.Contains(known, n) && notInTheScrape[n] == "" {
			t.Errorf("no metric %s", n)
		}
	}
	for n := range notInTheScrape {
		if !used[n] || slices.Contains(known, n) {
			t.Errorf("%s is listed as missing for nothing", n)
		}
	}
	if len(used) < 60 {
		t.Errorf("%d metrics", len(used))
	}
}

// TestRules: each rule says how long, how bad and what to do, and has a test in which it fires and one before and after in which it does not.
// promtool runs them in make test-metrics.
func TestRules(t *testing.T) {
	rules, err := os.ReadFile("../rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../rules.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(string(rules), "- alert: ")[1:]
	for _, rule := range all {
		alert, _, _ := strings.Cut(rule, "\n")
		for _, part := range []string{"\n        expr: ", "\n        for: ", "\n        labels: {severity: ", "\n          summary: ", "\n          runbook: "} {
			if strings.Count(rule, part) != 1 {
				t.Errorf("%s: %d times %q", alert, strings.Count(rule, part), strings.TrimSpace(part))
			}
		}
		fires := strings.Count(string(tests), "\n        alertname: "+alert+"\n        exp_alerts:\n")
		silent := strings.Count(string(tests), "alertname: "+alert+"}\n")
		if fires != 1 || silent != 2 {
			t.Errorf("%s: %d tests in which it fires, %d in which it does not", alert, fires, silent)
		}
	}
	if len(all) < 10 {
		t.Errorf("%d rules", len(all))
	}
}
