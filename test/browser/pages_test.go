//go:build browser

package browser

import (
	"encoding/json"
	"fmt"
	"strings"

	"flink-entrypoint/internal/platform/wire"
)

// payments fails as soon as it runs.
const payments = `CREATE TABLE payments (id INT, cents INT) WITH ('connector' = 'datagen', 'number-of-rows' = '10', 'fields.id.kind' = 'sequence', 'fields.id.start' = '0', 'fields.id.end' = '9');
CREATE TABLE shares (id INT, share INT) WITH ('connector' = 'print');
INSERT INTO shares SELECT id, 100 / (id - 5) FROM payments;
`

// reports does not start: its memory is too small for Flink.
const reports = `apiVersion: flink-entrypoint/v1
name: reports
configuration:
  jobmanager.memory.process.size: 300m
sql:
  script: |
    CREATE TABLE t (n INT) WITH ('connector' = 'print');
    INSERT INTO t VALUES (1);
`

// pagesOfJobs looks at all pages of jobs that ran, failed, were refused and were never started.
func pagesOfJobs(s *person) {
	p := s.p
	p.must("submit", p.file("payments.sql", payments), "payments", "--start", "--message", "shares of each payment")
	p.must("submit", p.file("reports.yaml", reports), "--start")
	p.must("catalog", "put", "clickstream", "../../examples/platform/clickstream.sql")
	p.must("submit", "../../examples/platform/clicks.yaml", "clicks-per-minute", "--message", "clicks per minute")
	second := strings.Replace(strings.Replace(strings.ReplaceAll(script, "clickz", "clicks"), "pag,", "page,", 1), "'rows-per-second' = '5'", "'rows-per-second' = '50'", 1)
	p.must("submit", p.file("second.sql", second), "clicks-per-page", "--message", "ten times as many clicks")
	p.until("payments has failed", s.becomes("payments", "failed"))
	p.until("reports was refused", s.becomes("reports", "failed"))

	s.open("/")
	s.until("live", `document.getElementById("live").dataset.state === "on"`)
	s.until("a checkpoint", `[...document.querySelectorAll("tr")].some((tr) => tr.textContent.includes("clicks-per-page") && tr.querySelector("td[data-label='Last checkpoint'] time"))`)
	s.is("all jobs", `document.querySelectorAll("[data-part=jobs] tbody tr").length === 4`)
	s.look("jobs")
	for _, page := range []struct{ name, path, ready string }{
		{"job", "/jobs/clicks-per-page", `document.querySelectorAll(".timeline li").length > 2`},
		{"job-failed", "/jobs/payments", `document.querySelector(".saying.note-bad")`},
		{"job-refused", "/jobs/reports", `document.querySelector(".saying.note-bad")`},
		{"job-new", "/jobs/clicks-per-minute", `document.querySelector(".empty")`},
		{"job-start", "/jobs/clicks-per-minute/start", `document.querySelector("form[method=post]")`},
		{"job-stop", "/jobs/clicks-per-page/stop?mode=savepoint", `document.querySelector("form[method=post]")`},
		{"job-upgrade", "/jobs/clicks-per-page/upgrade", `document.querySelector("form[method=post]")`},
		{"job-delete", "/jobs/clicks-per-minute/delete", `document.querySelector("form[method=post]")`},
		{"job-versions", "/jobs/clicks-per-page/versions", `document.querySelectorAll("tbody tr").length === 2`},
		{"job-version", "/jobs/clicks-per-page/versions/1", `document.querySelector(".tok-keyword")`},
		{"job-diff", "/jobs/clicks-per-page/diff?old=1&new=2", `document.querySelector(".cm-changedText, .diff-add")`},
		{"job-runs", "/jobs/clicks-per-page/runs", `document.querySelectorAll("tbody tr").length === 2`},
		{"job-exceptions", "/jobs/payments/exceptions", `document.querySelector(".failure-message")?.textContent === "/ by zero"`},
		{"job-checkpoints", "/jobs/clicks-per-page/checkpoints", `document.querySelectorAll("tbody tr").length > 1`},
		{"job-logs", "/jobs/clicks-per-page/logs", `document.getElementById("log-follow")?.getAttribute("aria-pressed") === "true" && document.querySelectorAll(".log-line").length > 20`},
		{"job-memory", "/jobs/clicks-per-page/memory", `document.querySelectorAll(".memory-bar").length === 2`},
		{"job-lineage", "/jobs/clicks-per-page/lineage", `document.querySelectorAll(".lineage-node").length === 3`},
		{"new-job", "/new-job", `document.getElementById("source")`},
		{"catalogs", "/catalogs", `document.querySelector("tbody tr")`},
		{"catalog", "/catalogs/clickstream", `document.getElementById("check")`},
		{"new-catalog", "/new-catalog", `document.getElementById("statement")`},
		{"health", "/health", `document.getElementById("queues")`},
	} {
		s.open(page.path)
		s.until(page.name+" is there", page.ready)
		s.look(page.name)
	}
	s.open("/jobs/clicks-per-page")
	s.click("#action-savepoint summary")
	s.look("job-action")
	s.click("#action-upgrade summary")
	s.look("job-upgrade-form")
	s.open("/jobs/clicks-per-minute")
	s.click("#action-start summary")
	s.look("job-start-form")
	run := s.run("clicks-per-page")
	s.open("/jobs/clicks-per-page/runs/" + run.ID)
	s.look("job-run")
	s.open("/catalogs/clickstream")
	s.click("#check button")
	s.until("the check has ended", `document.querySelector("#checked .note-ok")`)
}

// run is the newest run of a job.
func (s *person) run(job string) wire.Run {
	s.t.Helper()
	out := s.p.must("job", job, "--output", "json")
	var j struct{ Job wire.Job }
	if err := json.Unmarshal([]byte(out), &j); err != nil || j.Job.Run == nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return *j.Job.Run
}

// becomes has an error until the newest run of a job has an outcome.
func (s *person) becomes(job, outcome string) func() error {
	return func() error {
		if r := s.run(job); r.Outcome != outcome {
			return fmt.Errorf("it is %s %s, outcome %q: %s", r.Queue, r.Condition, r.Outcome, r.Reason)
		}
		return nil
	}
}
