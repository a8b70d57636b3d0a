//go:build browser

// Package browser does in a real Chromium what people do on the pages of flink-platform, with a real Flink.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/platform/served"
	"flink-entrypoint/test/world"
)

// version of Flink.
const version = "2.2.1"

// patience is for what JVMs do on a busy machine.
const patience = 5 * time.Minute

// A platform is a server that runs.
type platform struct {
	t       *testing.T
	url     string
	program string
	env     []string
}

// serve starts a server with a JVM ready for debug runs. At the end it stops the runs of the given jobs.
func serve(t *testing.T, jobs ...string) *platform {
	dir := t.TempDir()
	listen := served.FreeAddress(t)
	p := &platform{t: t, url: "http://" + listen, program: served.Program(t)}
	p.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "JAVA_HOME=" + os.Getenv("JAVA_HOME"), "FLINK_PLATFORM_SERVER=" + p.url}
	server := exec.Command(p.program, "serve", "--data-dir", filepath.Join(dir, "data"), "--listen", listen, "--flink-home", homes.Home(t, version), "--entrypoint", world.Binary(t), "--warm", "1")
	server.Env, server.Stderr = p.env, t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, job := range jobs {
			if out, err := p.run("stop", job, "--wait"); err != nil {
				t.Logf("stop %s: %v: %s", job, err, out) // it may have no run
			}
		}
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := p.run("health"); err == nil {
			return p
		} else if time.Now().After(end) {
			t.Fatalf("the server does not answer: %v", err)
		}
	}
}

func (p *platform) run(arguments ...string) (string, error) {
	c := exec.Command(p.program, arguments...)
	c.Env = p.env
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

// A person has a browser, signed in by a link.
type person struct {
	t   *testing.T
	p   *platform
	ctx context.Context
}

func (p *platform) person() *person {
	p.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1280, 900), chromedp.UserDataDir(p.t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	p.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	p.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context of the first call, so that one has no deadline
		p.t.Fatal(err)
	}
	someone := &person{t: p.t, p: p, ctx: ctx}
	link, err := p.run("link")
	if err != nil {
		p.t.Fatal(err)
	}
	someone.do("open the link", chromedp.Navigate(strings.TrimSpace(link)))
	someone.click("main form button")
	someone.until("signed in", `location.pathname === "/"`)
	return someone
}

func (s *person) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		s.t.Fatalf("%s: %v\n%s", what, err, s.seen())
	}
}

// holds evaluates a condition in the page.
func (s *person) holds(condition string) (bool, error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
}

// until waits for a condition in the page, which may be another one by then. (chromedp.Poll makes functions of texts, which the pages forbid.)
func (s *person) until(what, condition string) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var holds bool
		if holds, err = s.holds(condition); holds {
			return
		}
	}
	s.t.Fatalf("not after %s: %s (%v)\n%s", patience, what, err, s.seen())
}

// is checks a condition in the page.
func (s *person) is(what, condition string) {
	s.t.Helper()
	if holds, err := s.holds(condition); !holds {
		s.t.Errorf("not so: %s (%v)\n%s", what, err, s.seen())
	}
}

func (s *person) click(selector string) {
	s.t.Helper()
	s.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

func (s *person) write(selector, text string) {
	s.t.Helper()
	s.do("write into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (s *person) text(selector string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		s.t.Fatalf("read %s: %v\n%s", selector, err, s.seen())
	}
	return text
}

// paste puts a text where the focus is, as Ctrl-V does.
func (s *person) paste(text string) {
	s.t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		s.t.Fatal(err)
	}
	s.do("paste", chromedp.Evaluate[chromedp.Void](`(() => {
		const data = new DataTransfer();
		data.setData("text/plain", `+string(quoted)+`);
		document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
	})()`))
}

// press presses keys where the focus is.
func (s *person) press(keys ...string) {
	s.t.Helper()
	s.do("type", chromedp.KeyEvent(strings.Join(keys, "")))
}

// seen is what the page has, for the report of a failure. The picture is kept.
func (s *person) seen() string {
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil {
		return "the page cannot be read: " + err.Error()
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(90))
	if err != nil {
		return text
	}
	if dir := os.Getenv("BROWSER_PICTURES"); dir != "" {
		file := filepath.Join(dir, strings.ReplaceAll(s.t.Name(), "/", "-")+".png")
		if err := os.WriteFile(file, picture, 0o644); err == nil {
			text += "\npicture: " + file
		}
	}
	return text
}

const ends = `["ok", "bad", "warn"].includes(document.getElementById("wb-run").dataset.state)`

// TestNewDeveloper does what a new developer does: from a script with two mistakes to a job that was stopped with a savepoint and started from it.
func TestNewDeveloper(t *testing.T) {
	const script = `CREATE TABLE clicks (user_id BIGINT, page STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '5');
CREATE TABLE per_page (page STRING, clicks BIGINT) WITH ('connector' = 'print');
CREATE TABLE users (user_id BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO per_page SELECT pag, COUNT(*) FROM clicks GROUP BY page;
INSERT INTO users SELECT user_id FROM clickz;
`
	p := serve(t, "my-clicks")
	dev := p.person()
	dev.click(`nav a[href="/workbench"]`)
	dev.until("the example is there", `document.querySelectorAll("#workbench .tok-keyword").length > 5`)
	dev.click("#wb-note button") // start with an empty script
	dev.paste(script)

	// Two mistakes are seen at their places, and fixed there.
	dev.until("two faults", `document.querySelectorAll("#wb-faults li").length === 2 && document.querySelectorAll(".cm-lintRange-error").length === 2`)
	if faults := dev.text("#wb-faults"); !strings.Contains(faults, "4:29") || !strings.Contains(faults, "pag") || !strings.Contains(faults, "5:39") || !strings.Contains(faults, "clickz") {
		t.Errorf("faults: %s", faults)
	}
	dev.click("#wb-faults li:last-child button")
	dev.press(strings.Repeat(kb.ArrowRight, len("click")), kb.Delete, "s")
	dev.until("one fault", `document.querySelectorAll("#wb-faults li").length === 1`)
	dev.click("#wb-faults li button")
	dev.press(strings.Repeat(kb.ArrowRight, len("pag")), "e")
	dev.until("no fault", `document.querySelector("#wb-status .wb-dot").dataset.state === "ok"`)
	dev.until("lineage", `document.querySelectorAll("#wb-lineage .lineage-node").length === 3`)

	// Rows of generated data, then of pasted data.
	dev.click("#wb-debug")
	dev.until("a run has ended", ends)
	dev.is("it has finished", `document.getElementById("wb-run").dataset.state === "ok"`)
	dev.is("rows of both sinks", `document.querySelectorAll("#wb-tables section tbody tr").length > 10 && document.querySelectorAll("#wb-tables section").length === 2`)
	dev.click("#wb-data summary")
	dev.write("#wb-data textarea", "user_id,page\n7,<b>home</b>\n8,<b>home</b>\n")
	dev.is("a preview", `document.querySelectorAll("#wb-data tbody tr").length === 2`)
	dev.click("#wb-debug")
	dev.until("a run has ended", ends)
	dev.is("rows of the pasted data, as text", `[...document.querySelectorAll("#wb-tables section td")].some((td) => td.textContent === "<b>home</b>") && !document.querySelector("#wb-tables b")`)

	// The text survives a reload.
	dev.do("reload", chromedp.Reload())
	dev.until("the text and the data are there", `document.querySelector(".cm-content")?.textContent.includes("FROM clicks;") && document.querySelector("#wb-data summary")?.textContent.includes("2 rows pasted")`)

	// A version, and a run of it. Its states come without a reload.
	dev.click("#wb-save summary")
	dev.write("#wb-job", "my-clicks")
	dev.write("#wb-comment", "first")
	dev.click("#wb-save-button")
	dev.until("saved", `document.querySelector("#wb-note .note-ok")?.textContent.includes("Saved as version 1 of my-clicks")`)
	dev.click("#wb-start summary")
	dev.click("#wb-start-button")
	dev.until("the job's page", `location.pathname === "/jobs/my-clicks"`)
	dev.do("mark the page", chromedp.Evaluate[chromedp.Void]("window.sameDocument = true"))
	const badge = `document.querySelector('[data-part="job-head"] .badge')?.textContent`
	dev.until("it runs", badge+` === "running"`)
	dev.is("without a reload", "window.sameDocument === true")

	// A log line of its JobManager.
	dev.do("logs", chromedp.Navigate(p.url+"/jobs/my-clicks/logs"))
	dev.until("lines of the JobManager", `[...document.querySelectorAll("#log .log-source")].some((s) => s.textContent.startsWith("jobmanager"))`)

	// Stopped with a savepoint, and started from it.
	dev.do("the job's page", chromedp.Navigate(p.url+"/jobs/my-clicks"))
	dev.click("#action-savepoint summary")
	dev.click("#action-savepoint form button")
	dev.until("stopped", badge+` === "stopped"`)
	dev.until("the savepoint is shown", `[...document.querySelectorAll("dt")].some((dt) => dt.textContent === "Savepoint")`)
	dev.click("#action-start summary")
	dev.click(`#action-start input[value="latest"]`)
	dev.click("#action-start form button")
	dev.until("it runs again", badge+` === "running"`)
	dev.is("from the savepoint", `[...document.querySelectorAll("dt")].find((dt) => dt.textContent === "Started from")?.nextElementSibling.textContent.includes("savepoint")`)
}
