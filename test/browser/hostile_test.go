//go:build browser

package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/server"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/platform/workbench"
	"flink-entrypoint/test/platform/simulate"
)

// evil is a text that does harm on a page that takes it for more than text: it ends attributes, scripts and texts, has elements and scripts, and
// characters that control terminals and the direction of text. Each of its elements has an attribute by which it is found.
const evil = `"'></script></pre></textarea></title><fp-evil data-fp-evil>x</fp-evil><img data-fp-evil src="/x" onerror="window.fpEvil=1"><script data-fp-evil>window.fpEvil=1</script><svg/data-fp-evil/onload=fpEvil=1>` +
	"\x1b[31m\x07\u202egnp.exe"

// printable is evil without what SQL and paths may not have.
var printable = strings.Map(func(c rune) rune {
	if c <= ' ' {
		return '_'
	}
	return c
}, evil)

// harmless checks that a page has evil as a text, and as nothing else.
func (s *person) harmless(where string, shows bool) {
	s.t.Helper()
	found, err := eval[[]string](s, `(() => {
		const found = [];
		for (const e of document.querySelectorAll("fp-evil, [data-fp-evil], [onerror], [onload]")) found.push("an element: " + e.outerHTML);
		if (window.fpEvil) found.push("a script ran");
		const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]|\p{Bidi_Control}/u;
		const all = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
		while (all.nextNode()) {
			const node = all.currentNode;
			if (node.nodeType === Node.TEXT_NODE && !node.parentElement.matches("textarea") && control.test(node.data)) found.push("a control character: " + JSON.stringify(node.data));
			for (const a of node.attributes ?? []) if (control.test(a.value)) found.push("a control character in " + a.name + ": " + JSON.stringify(a.value));
		}
		return found;
	})()`)
	if err != nil || len(found) > 0 {
		s.t.Errorf("%s: %s (%v)", where, strings.Join(found, "\n  "), err)
	}
	if shows {
		s.until(where+" shows the text", `[...document.querySelectorAll("body, input, textarea")].some((e) => (e.value ?? e.innerText).includes("<fp-evil"))`)
	}
}

// hostileSQL runs a script whose names, rows and faults have HTML, on a real Flink.
func hostileSQL(s *person) {
	const (
		source = "`<fp-evil data-fp-evil>`"
		sink   = "`<img data-fp-evil src=x onerror=fpEvil=1>`"
	)
	text := fmt.Sprintf("-- %s\nCREATE TABLE %s (`<b data-fp-evil>id` INT) WITH ('connector' = 'datagen');\nCREATE TABLE %s (`<i data-fp-evil>n` INT, `</td>t` STRING) WITH ('connector' = 'print');\n"+
		"INSERT INTO %s SELECT `<b data-fp-evil>id`, '<fp-evil data-fp-evil>x</fp-evil>' || U&'\\001b[31m\\0007\\202egnp.exe' FROM %s;\n", printable, source, sink, sink, source)
	s.signIn()
	s.open("/workbench")
	s.until("the editor is there", `document.querySelector(".cm-content")`)
	s.click(".cm-content")
	s.replace(text)
	s.until("no fault", `document.querySelector("#wb-status .wb-dot").dataset.state === "ok" && document.querySelectorAll("#wb-lineage .lineage-node").length === 2`)
	s.click("#wb-data summary")
	s.write("#wb-data textarea", "<b data-fp-evil>id\n1\n2\n<fp-evil data-fp-evil>\n")
	s.harmless("the preview of data", true)
	s.write("#wb-data textarea", strings.Repeat("\b", len("<fp-evil data-fp-evil>\n")))
	s.click("#wb-debug")
	s.until("a run has ended", runEnded)
	s.is("rows", `document.querySelectorAll("#wb-tables tbody tr").length === 2`)
	s.harmless("rows", true)
	s.look("hostile-rows")
	s.click(".cm-content")
	s.replace(strings.Replace(text, "SELECT `<b data-fp-evil>id`", "SELECT `<fp-evil data-fp-evil>no`", 1))
	s.until("a fault", `document.querySelectorAll("#wb-faults li").length === 1`)
	s.harmless("faults", true)
}

// replace puts a text in the place of all that the editor has.
func (s *person) replace(text string) {
	s.t.Helper()
	// A click that comes while the page still moves hits something else, and the keys would be for the whole page.
	s.until("the editor has the focus", `(document.querySelector(".cm-content").focus(), document.activeElement.matches(".cm-content"))`)
	s.do("select all", chromedp.KeyEvent("a", chromedp.KeyModifiers(2))) // Ctrl
	s.paste(text)
}

// simulated starts a server whose clusters are simulated: their jobs, logs and exceptions are what the test says.
func (s *person) simulated() (*person, *simulate.World) {
	s.t.Helper()
	world := simulate.New(s.t)
	started, err := server.Start(context.Background(), server.Options{DataDir: filepath.Join(s.t.TempDir(), "data"), Listen: "127.0.0.1:0", Driver: func(string) cluster.Driver { return world },
		Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)), DebugWall: workbench.WallOff})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := started.Close(); err != nil {
			s.t.Error(err)
		}
	})
	other := *s
	other.p = client(s.t, started.URL)
	return &other, world
}

// send sends a request of the API that must succeed.
func (p *platform) send(method, path, kind, body string) []byte {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		p.t.Fatalf("%s %s: %s %s %v", method, path, answer.Status, content, err)
	}
	return content
}

// hostileTexts looks at pages whose names, comments, paths, logs, exceptions and reasons are hostile, and at states that a real Flink seldom has.
func hostileTexts(s *person) {
	s, world := s.simulated()
	p := s.p
	const sql, yaml, form = "application/sql", "application/yaml", "application/json"
	text := "-- " + printable + "\nCREATE TABLE `" + strings.ReplaceAll(printable, "`", "") + "` (id INT) WITH ('connector' = 'print');\nINSERT INTO `" + strings.ReplaceAll(printable, "`", "") + "` SELECT 1;\n"
	definition := func(more string) string {
		return "apiVersion: flink-entrypoint/v1\nname: x\n" + more + "sql:\n  script: |\n    CREATE TABLE p (id INT) WITH ('connector' = 'print');\n    INSERT INTO p SELECT 1;\n"
	}
	asJSON := func(v any) string {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(v); err != nil {
			s.t.Fatal(err)
		}
		return strings.TrimSpace(b.String())
	}
	p.send("PUT", "/v1/catalogs/ods", form, asJSON(map[string]string{"statement": "CREATE CATALOG ods WITH ('type' = 'generic_in_memory', 'default-database' = '" + strings.ReplaceAll(printable, "'", "''") + "')"}))
	p.send("PUT", "/v1/jobs/clicks?catalog=ods&comment="+url.QueryEscape(evil), sql, text)
	p.send("PUT", "/v1/jobs/clicks?comment="+url.QueryEscape(evil), sql, text+"-- more\n")
	p.send("POST", "/v1/jobs/clicks/start", form, asJSON(wire.Start{Savepoint: "file:/" + printable}))
	p.send("PUT", "/v1/jobs/silent", yaml, definition("x-platform: {lostAfter: 100ms}\n"))
	p.send("POST", "/v1/jobs/silent/start", form, "{}")
	p.send("PUT", "/v1/jobs/parked", yaml, definition(""))
	p.send("POST", "/v1/jobs/parked/start", form, asJSON(wire.Start{Savepoint: "latest"}))
	p.send("PUT", "/v1/clusters/shared", yaml, "apiVersion: flink-entrypoint/v1\nname: shared\n")
	for job, change := range map[string]func(*simulate.Cluster){
		"clicks": func(c *simulate.Cluster) {
			path, trace := asJSON("file:/"+evil), asJSON("a.B: "+evil+"\n\tat X.y(X.java:1)\n"+evil+"\nCaused by: c.D: "+evil+"\n\tat "+evil)
			c.Status = "RUNNING"
			c.Exceptions = fmt.Sprintf(`{"exceptionHistory":{"entries":[{"exceptionName":%[1]s,"stacktrace":%[1]s,"timestamp":1,"taskName":%[1]s}]}}`, trace)
			c.Checkpoints = fmt.Sprintf(`{"counts":{},"latest":{"restored":{"id":1,"external_path":%[1]s}},"history":[{"id":2,"status":"COMPLETED","external_path":%[1]s},{"id":1,"status":"FAILED","failure_message":%[1]s}]}`, path)
			c.Logs = map[string]string{"jobmanager-1": "2026-01-01 00:00:00,000 ERROR a [] - " + evil + "\n" + evil + "\n"}
		},
		"silent": func(c *simulate.Cluster) { c.Status = "RUNNING" },
	} {
		p.until(job+" has a cluster", func() (err error) {
			world.Of(s.run(job).ID, func(c *simulate.Cluster) {
				if c == nil {
					err = fmt.Errorf("it is not started")
					return
				}
				change(c)
			})
			return err
		})
	}
	p.until("clicks runs", s.reaches("clicks", "running", ""))
	p.until("silent runs", s.reaches("silent", "running", ""))
	world.Of(s.run("silent").ID, func(c *simulate.Cluster) { c.Broken = evil })
	p.until("parked is parked", s.reaches("parked", "accept", "parked"))
	world.Mu.Lock()
	world.Refuse = evil
	world.Mu.Unlock()
	p.send("PUT", "/v1/jobs/refused", yaml, definition(""))
	p.send("POST", "/v1/jobs/refused/start", form, "{}")
	p.until("refused has failed", s.becomes("refused", "failed"))

	s.signIn()
	clicks, silent := s.run("clicks").ID, s.run("silent").ID
	for _, page := range []struct {
		path  string
		shows bool
		look  string
	}{
		{"/", true, "hostile-jobs"},
		{"/jobs/clicks", true, "hostile-job"},
		{"/jobs/parked", false, "job-parked"},
		{"/jobs/shared", false, "cluster"},
		{"/jobs/refused", true, "hostile-refused"},
		{"/jobs/clicks/versions", true, "hostile-versions"},
		{"/jobs/clicks/versions/1", true, ""},
		{"/jobs/clicks/diff?old=1&new=2", true, "hostile-diff"},
		{"/jobs/clicks/runs", true, ""},
		{"/jobs/clicks/runs/" + clicks, true, ""},
		{"/jobs/clicks/exceptions", true, "hostile-exceptions"},
		{"/jobs/clicks/checkpoints", true, "hostile-checkpoints"},
		{"/jobs/clicks/logs", true, "hostile-logs"},
		{"/jobs/clicks/logs?contains=" + url.QueryEscape(evil), true, ""},
		{"/jobs/clicks/lineage", false, "hostile-lineage"},
		{"/jobs/clicks/memory", false, ""},
		{"/jobs/clicks/start?path=" + url.QueryEscape(evil), true, ""},
		{"/jobs/" + url.PathEscape(evil), false, "hostile-error"},
		{"/?state=" + url.QueryEscape(evil) + "&name=" + url.QueryEscape(evil), true, ""},
		{"/catalogs/ods", true, "hostile-catalog"},
		{"/catalogs", false, ""},
		{"/sign-in?to=" + url.QueryEscape("/"+evil), false, ""},
		{"/workbench?job=clicks&version=1", true, "hostile-workbench"},
		{"/workbench?job=" + url.QueryEscape(evil), false, ""},
		{"/jobs/silent", false, "job-lost"}, // looked at every 10 s
		{"/jobs/silent/runs/" + silent + "/resolve", false, "job-resolve"},
	} {
		if page.look == "job-lost" {
			p.until("silent is lost", s.reaches("silent", "running", "lost"))
		}
		s.open(page.path)
		s.until("the page is there", `document.readyState === "complete" && document.querySelector("main h1")`)
		s.harmless(page.path, page.shows)
		if page.look != "" {
			s.look(page.look)
		}
	}
}

// reaches has an error until the newest run of a job is in a queue, in a condition.
func (s *person) reaches(job, queue, condition string) func() error {
	return func() error {
		if r := s.run(job); r.Queue != queue || r.Condition != condition {
			return fmt.Errorf("it is in %s %q", r.Queue, r.Condition)
		}
		return nil
	}
}
