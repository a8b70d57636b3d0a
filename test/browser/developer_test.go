//go:build browser

package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"flink-entrypoint/internal/platform/wire"
)

// emptyPages looks at what a new user sees: each page says what to do next.
func emptyPages(s *person) {
	s.open("/")
	s.until("asked to sign in", `location.pathname === "/sign-in"`)
	s.look("sign-in")
	s.write("#token", "fp_wrong")
	s.press(kb.Enter)
	s.until("refused", `document.querySelector("main [role=alert]")`)
	s.look("sign-in-refused")
	s.signIn()
	s.until("live", `document.getElementById("live").dataset.state === "on"`)
	s.is("the page says what to do", `document.querySelector(".empty a[href='/workbench']") && document.querySelector(".empty a[href='/new-job']")`)
	s.look("jobs-empty")
	s.open("/catalogs")
	s.is("the page says what to do", `document.querySelector(".empty a[href='/new-catalog']")`)
	s.look("catalogs-empty")
	s.open("/jobs/unknown")
	s.is("a way out", `document.querySelector("main a[href='/']")`)
	s.look("error")
}

// The developer's script has two statements with a fault each, as Flink names the first of a statement set only.
const (
	script = `SET 'execution.checkpointing.interval' = '2 s';

CREATE TABLE clicks (
  user_id INT,
  page    STRING
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '5',
  'fields.user_id.min' = '1',
  'fields.user_id.max' = '3',
  'fields.page.length' = '1'
);
CREATE TABLE clicks_per_page (page STRING, clicks BIGINT) WITH ('connector' = 'print');
CREATE TABLE visits (user_id INT, page STRING) WITH ('connector' = 'blackhole');

INSERT INTO clicks_per_page
SELECT pag, COUNT(*) FROM clicks GROUP BY page;

INSERT INTO visits
SELECT user_id, page FROM clickz;
`
	runEnded = `["ok", "bad", "warn"].includes(document.getElementById("wb-run").dataset.state)`
	state    = `document.querySelector('[data-part="job-head"] .badge')?.textContent`
)

// newDeveloper does what a new developer does: from a script with two mistakes to a job that was stopped with a savepoint and started from it.
func newDeveloper(s *person) {
	s.open("/")
	s.click(`nav a[href="/workbench"]`)
	s.until("the example is there", `document.querySelectorAll("#workbench .tok-keyword").length > 5`)
	s.until("it is checked", `document.querySelector("#wb-status .wb-dot").dataset.state === "ok"`)
	s.look("workbench")
	s.click("#wb-note button") // start with an empty script
	s.until("the script is empty", `document.getElementById("wb-status-text").textContent.includes("empty")`)
	s.look("workbench-empty")
	s.click(".cm-content")
	s.paste(script)

	// Two mistakes are seen at their places, and fixed there.
	s.until("two faults", `document.querySelectorAll("#wb-faults li").length === 2 && document.querySelectorAll(".cm-lintRange-error").length === 2`)
	if faults := s.text("#wb-faults"); !strings.Contains(faults, "17:8") || !strings.Contains(faults, "pag") || !strings.Contains(faults, "20:27") || !strings.Contains(faults, "clickz") {
		s.t.Errorf("faults: %s", faults)
	}
	s.look("workbench-faults")
	s.click("#wb-faults li:last-child button")
	s.press(strings.Repeat(kb.ArrowRight, len("click")), kb.Delete, "s")
	s.until("one fault", `document.querySelectorAll("#wb-faults li").length === 1`)
	s.click("#wb-faults li button")
	s.press(strings.Repeat(kb.ArrowRight, len("pag")), "e")
	s.until("no fault", `document.querySelector("#wb-status .wb-dot").dataset.state === "ok"`)
	s.until("lineage", `document.querySelectorAll("#wb-lineage .lineage-node").length === 3`)

	// Rows of generated data, then of pasted data.
	s.click("#wb-debug")
	s.until("a run has ended", runEnded)
	s.is("it has finished", `document.getElementById("wb-run").dataset.state === "ok"`)
	s.is("rows of both sinks", `document.querySelectorAll("#wb-tables section tbody tr").length > 10 && document.querySelectorAll("#wb-tables section").length === 2`)
	s.click("#wb-data summary")
	s.write("#wb-data textarea", "user_id,page\n7,home\n8,prices\n7,<b>home</b>\n7,home\n")
	s.is("a preview", `document.querySelectorAll("#wb-data tbody tr").length === 4`)
	if *pictures != "" { // the picture has the usual time of the first row
		s.p.until("a JVM is ready", s.warm)
	}
	s.click("#wb-debug")
	s.until("a run has ended", runEnded)
	s.is("the counts of the pasted data", `[...document.querySelectorAll("#wb-tables section:first-child tbody tr:last-child td")].map((td) => td.textContent).join(" ") === "+U home 2"`)
	s.is("text, not HTML", `[...document.querySelectorAll("#wb-tables td")].some((td) => td.textContent === "<b>home</b>") && !document.querySelector("#wb-tables b")`)
	s.look("workbench-rows")

	// The text survives a reload.
	s.do("reload", chromedp.Reload())
	s.until("the text and the data are there", `document.querySelector(".cm-content")?.textContent.includes("FROM clicks;") && document.querySelector("#wb-data summary")?.textContent.includes("4 rows pasted")`)

	// A version, and a run of it. Its states come without a reload.
	s.click("#wb-save summary")
	s.write("#wb-job", "clicks-per-page")
	s.write("#wb-comment", "the first version")
	s.look("workbench-save")
	s.click("#wb-save-button")
	s.until("saved", `document.querySelector("#wb-note .note-ok")?.textContent.includes("Saved as version 1 of clicks-per-page")`)
	s.click("#wb-note .actions button") // start it
	s.until("the form for starting is open", `document.getElementById("wb-start").open`)
	s.look("workbench-start")
	s.click("#wb-start-button")
	s.until("the job's page", `location.pathname === "/jobs/clicks-per-page"`)
	s.do("mark the page", chromedp.Evaluate[chromedp.Void]("window.sameDocument = true"))
	s.until("it runs", state+` === "running"`)
	s.is("without a reload", "window.sameDocument === true")

	// A log line of its JobManager, found by a text, and more lines as they come.
	s.click(`nav.tabs a[href$="/logs"]`)
	s.until("it is live", `document.getElementById("log-follow")?.getAttribute("aria-pressed") === "true"`)
	s.write("#log-contains", "to RUNNING")
	s.press(kb.Enter)
	s.until("lines of the JobManager with the text", `(() => {
		const lines = [...document.querySelectorAll("#log .log-line")];
		return location.search.includes("contains=to+RUNNING") && lines.some((l) => l.textContent.startsWith("jobmanager")) && lines.every((l) => l.textContent.includes("to RUNNING"));
	})()`)

	// Stopped with a savepoint, and started from it.
	s.open("/jobs/clicks-per-page")
	s.click("#action-savepoint summary")
	s.click("#action-savepoint form button")
	s.until("stopped", state+` === "stopped"`)
	s.until("the savepoint is shown", `[...document.querySelectorAll("dt")].some((dt) => dt.textContent === "Savepoint")`)
	s.click("#action-start summary")
	s.click(`#action-start input[value="latest"]`)
	s.click("#action-start form button")
	s.until("it runs again", state+` === "running"`)
	s.is("from the savepoint", `[...document.querySelectorAll("dt")].find((dt) => dt.textContent === "Started from")?.nextElementSibling.textContent.includes("savepoint-")`)
}

// warm has an error until a JVM waits for a debug run.
func (s *person) warm() error {
	var h wire.Health
	if err := json.Unmarshal([]byte(s.p.must("health", "--output", "json")), &h); err != nil {
		return err
	}
	if h.Workbench == nil || h.Workbench.Warm == 0 {
		return fmt.Errorf("%+v", h.Workbench)
	}
	return nil
}

// commandsOfThePage executes the commands of docs/workbench.md (workbench.md). "serve" and "link" are how each person here begins.
func commandsOfThePage(s *person) {
	page, err := os.ReadFile("../../docs/workbench.md")
	if err != nil {
		s.t.Fatal(err)
	}
	data := s.p.file("clicks.csv", "user_id,page,ts\n1,/home,1767225600000\n2,/home,1767225601000\n")
	executed := 0
	for block := range strings.SplitSeq(string(page), "```sh\n") {
		commands, _, sh := strings.Cut(block, "```")
		for line := range strings.Lines(commands) {
			arguments, client := strings.CutPrefix(strings.TrimSpace(line), "flink-platform ")
			if !sh || !client || strings.HasPrefix(arguments, "serve ") || strings.HasPrefix(arguments, "link ") {
				continue
			}
			c := exec.Command(s.p.program, strings.Fields(strings.Replace(arguments, "clicks.csv", data, 1))...)
			c.Env, c.Dir = s.p.env, "../.."
			if out, err := c.CombinedOutput(); err != nil {
				s.t.Errorf("%s: %v\n%s", arguments, err, out)
			}
			executed++
		}
	}
	if executed == 0 {
		s.t.Error("no command was executed")
	}
}
