//go:build browser

package browser

import (
	"context"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keyboard walks through pages with the Tab key: each element that takes the focus is seen, shows that it has it, and comes in the order of the
// page. What opens closes with Escape, and gives the focus back.
func keyboard(s *person) {
	for _, path := range []string{"/", "/jobs/clicks-per-page", "/jobs/clicks-per-page/versions", "/jobs/clicks-per-page/logs", "/catalogs/clickstream", "/new-job", "/health"} {
		s.open(path)
		s.until("the page is live", `document.getElementById("live").dataset.state === "on" || !document.body.dataset.live`)
		s.walk(path)
	}

	// What opens on a job's page.
	s.open("/jobs/clicks-per-page")
	s.do("focus", chromedp.Focus(chromedp.CSS("#action-cancel summary")))
	s.press(kb.Enter)
	s.is("it is open", `document.getElementById("action-cancel").open`)
	s.press(kb.Tab)
	s.is("the focus is inside", `document.getElementById("action-cancel").contains(document.activeElement) && document.activeElement.matches("button")`)
	s.press(kb.Escape)
	s.is("Escape closes it", `!document.getElementById("action-cancel").open && document.activeElement.matches("#action-cancel summary")`)

	// The workbench: the editor takes Tab, Escape and Tab leave it; all of the work is done by keys.
	s.open("/workbench?job=clicks-per-page")
	s.until("the editor is there and the script checked", `document.querySelector(".cm-content") && document.querySelector("#wb-status .wb-dot").dataset.state === "ok"`)
	s.walk("/workbench", ".cm-content")
	s.do("focus", chromedp.Focus(chromedp.CSS(".cm-content")))
	s.press(kb.Home, kb.Tab) // the first key after Escape ends what Escape began
	s.is("Tab indents", `document.activeElement.matches(".cm-content") && document.querySelector(".cm-line").textContent.startsWith("  SET")`)
	s.do("undo", chromedp.KeyEvent("z", chromedp.KeyModifiers(2)))
	s.press(kb.Escape, kb.Tab)
	s.is("Escape and Tab leave the editor", `!document.activeElement.matches(".cm-content")`)
	s.do("focus", chromedp.Focus(chromedp.CSS(".cm-content")))
	s.do("Ctrl-Enter", chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(2)))
	s.until("a run has ended", runEnded)
	s.is("the focus stays", `document.activeElement.matches(".cm-content")`)
	s.do("Ctrl-S", chromedp.KeyEvent("s", chromedp.KeyModifiers(2)))
	s.until("the form for saving is open, with the focus", `document.getElementById("wb-save").contains(document.activeElement)`)
	s.press(kb.Escape)
	s.is("Escape closes it", `!document.getElementById("wb-save").open && document.activeElement.matches("#wb-save summary")`)
}

// walk goes through a page with Tab, from its beginning to its end. Where an element keeps Tab for itself, Escape is pressed before.
func (s *person) walk(where string, keeps ...string) {
	s.t.Helper()
	s.do("begin", chromedp.Evaluate[chromedp.Void](`document.querySelector("a.skip").focus(), window.walked = [document.activeElement]`))
	s.is(where+": the link to the content is seen when it has the focus", `document.activeElement.matches(".skip") && document.activeElement.getBoundingClientRect().left >= 0`)
	const step = `(() => {
		const e = document.activeElement;
		if (!e || e === document.body || walked.includes(e)) return "end";
		const name = e.cloneNode(false).outerHTML;
		const box = e.getBoundingClientRect();
		const wrong = [];
		if (!e.checkVisibility() || box.width === 0) wrong.push("is not seen");
		if (box.bottom < 0 || box.top > innerHeight) wrong.push("is out of the window");
		const shown = (x) => x && x !== document.body && (getComputedStyle(x).outlineStyle !== "none" && parseFloat(getComputedStyle(x).outlineWidth) >= 2 || x.matches(".lineage-node") && parseFloat(getComputedStyle(x.querySelector("rect")).strokeWidth) >= 2);
		const editor = e.closest(".cm-editor");
		if (!shown(e) && !(editor && parseFloat(getComputedStyle(editor, "::after").borderTopWidth) >= 2)) wrong.push("does not show its focus");
		const last = walked.at(-1);
		if (last && document.contains(last) && !(last.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)) wrong.push("is earlier in the page than what had the focus before");
		const at = document.elementFromPoint(Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1), Math.min(Math.max(box.top + box.height / 2, 0), innerHeight - 1));
		if (at && at.closest(".site-head") && !e.closest(".site-head")) wrong.push("is hidden by the head of the page");
		walked.push(e);
		return wrong.length ? name + " " + wrong.join(", ") : "";
	})()`
	steps := 0
	for ; steps < 200; steps++ {
		for _, selector := range keeps {
			if there, _ := s.holds(`document.activeElement.matches(` + quoted(selector) + `)`); there {
				s.press(kb.Escape)
			}
		}
		s.press(kb.Tab)
		// The editor notes a moment later that it has the focus.
		s.until("the editor knows it", `(document.activeElement.closest(".cm-editor:not(.cm-focused)") === null)`)
		wrong, err := eval[string](s, step)
		if err != nil {
			s.t.Fatalf("%s: %v", where, err)
		}
		if wrong == "end" {
			break
		}
		if wrong != "" {
			s.t.Errorf("%s: %s", where, strings.TrimSpace(wrong))
		}
	}
	if steps < 5 || steps == 200 {
		s.t.Errorf("%s: %d elements take the focus", where, steps)
	}
}

// withoutScripts looks at the pages in a browser that executes no script: each has its heading, and the workbench says what to use instead.
func withoutScripts(s *person) {
	s.signIn()
	s.scripts(false)
	defer s.scripts(true)
	for path, text := range map[string]string{"/": "Jobs", "/workbench": "The workbench needs JavaScript", "/health": "Every queue"} {
		s.open(path)
		s.fits(path + " without scripts")
		s.is(path+" has its text", `document.body.innerText.includes(`+quoted(text)+`)`)
		s.is(path+" has nothing that needs a script", `[...document.querySelectorAll("main button")].every((b) => !b.checkVisibility() || b.form)`)
		if *pictures != "" && *all {
			s.picture("without-scripts-"+strings.Trim(path, "/"), desktop)
		}
	}
}

// upgradeWithoutScripts upgrades a job that runs version 1 to its newest version, 2.
func upgradeWithoutScripts(s *person) {
	s.scripts(false)
	defer s.scripts(true)
	s.open("/jobs/clicks-per-page")
	s.click("#action-upgrade summary")
	s.is("the newest version and a deadline", `document.getElementById("upgrade-version").value === "2" && document.getElementById("upgrade-within").value === "5m"`)
	before := s.run("clicks-per-page")
	s.click("#action-upgrade form button")
	s.until("it was asked for", `document.body.innerText.includes("The upgrade was asked for.") && document.body.innerText.includes("Upgrade from version 1 to version 2")`)
	s.p.until("version 2 starts", func() error {
		if r := s.run("clicks-per-page"); r.ID == before.ID || r.Version != 2 || r.Upgrade == nil || r.Upgrade.State != "starting" || r.From == "" {
			return fmt.Errorf("the newest run is %+v", r)
		}
		return nil
	})
	s.open("/jobs/clicks-per-page")
	s.is("the page says how it goes on", `document.body.innerText.includes("it is done when every task of version 2 has run for 10 s") && document.body.innerText.includes("version 1 starts again from the same savepoint")`)
	s.p.must("stop", "clicks-per-page", "--wait")
}

// scripts lets the page execute its scripts, or not.
func (s *person) scripts(enabled bool) {
	s.t.Helper()
	s.do("scripts", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !enabled})
		return err
	}))
}
