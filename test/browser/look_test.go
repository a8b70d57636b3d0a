//go:build browser

package browser

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"flink-entrypoint/test/picture"
)

var (
	pictures = flag.String("pictures", "", "folder for pictures of the pages in both themes")
	all      = flag.Bool("all-pictures", false, "with -pictures: also those that the documentation does not have")
)

// documented are the pictures of docs/workbench.md.
var documented = []string{"sign-in", "jobs-empty", "jobs", "jobs-phone", "job", "job-failed", "job-versions", "job-diff", "job-runs", "job-exceptions", "job-checkpoints", "job-logs", "job-memory", "job-lineage",
	"workbench", "workbench-faults", "workbench-rows", "workbench-rows-phone", "workbench-save", "catalogs", "catalog", "health", "error"}

// A screen is how wide and high a window is.
type screen struct {
	name          string
	width, height int64
	mobile        bool
}

var (
	desktop = screen{name: "", width: 1120, height: 800}
	phone   = screen{name: "-phone", width: 390, height: 844, mobile: true}
)

// emulate changes the size of the window and the theme of the system. Nothing moves, so that pictures are alike.
func (s *person) emulate(on screen, theme string) {
	s.t.Helper()
	var options []chromedp.EmulateViewportOption
	if on.mobile {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}
	s.do("emulate "+theme+on.name, chromedp.EmulateViewport(on.width, on.height, options...), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, media)
		return err
	}))
}

// look checks the page as it is now, in both themes, on a desktop and on a phone: it is accessible, is as wide as the window, with no panel above
// another, and has one heading. With -pictures it makes pictures of it.
func (s *person) look(name string) {
	s.t.Helper()
	for _, on := range []screen{desktop, phone} {
		for _, theme := range []string{"light", "dark"} {
			s.emulate(on, theme)
			where := name + on.name + ", " + theme
			// Editors and drawings measure themselves after a change.
			if _, err := eval[bool](s, `new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(() => go(true))))`); err != nil {
				s.t.Fatalf("%s: %v", where, err)
			}
			s.accessible(where, theme == "dark")
			s.fits(where)
			if *pictures != "" && (*all || slices.Contains(documented, name+on.name)) {
				s.picture(name+on.name+"-"+theme, on)
			}
		}
	}
	s.emulate(desktop, "light")
}

// A finding is a violation that axe found.
type finding struct {
	ID, Impact, Help, HelpURL string
	Nodes                     []struct{ Target, HTML, Summary string }
}

// accessible lets axe-core look at the page. Only colours depend on the theme.
func (s *person) accessible(where string, colours bool) {
	s.t.Helper()
	if there, err := s.holds("window.axe"); err != nil {
		s.t.Fatalf("%s: %v", where, err)
	} else if !there {
		s.do("load axe", chromedp.Evaluate[chromedp.Void](axe(s.t)))
	}
	options := `{resultTypes: ["violations"]}`
	if colours {
		options = `{resultTypes: ["violations"], runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}}`
	}
	found, err := eval[[]finding](s, `axe.run(document, `+options+`).then((r) => r.violations.map((v) => ({ID: v.id, Impact: v.impact ?? "", Help: v.help, HelpURL: v.helpUrl,
		Nodes: v.nodes.map((n) => ({Target: n.target.flat().join(" "), HTML: n.html, Summary: n.failureSummary ?? ""}))})))`)
	if err != nil {
		s.t.Fatalf("%s: axe: %v\n%s", where, err, s.seen())
	}
	for _, f := range found {
		var report strings.Builder
		for _, n := range f.Nodes {
			report.WriteString("\n  " + n.Target + "\n    " + n.HTML + "\n    " + strings.ReplaceAll(n.Summary, "\n", "\n    "))
		}
		if f.Impact == "serious" || f.Impact == "critical" {
			s.t.Errorf("%s: %s (%s): %s%s\n  %s", where, f.ID, f.Impact, f.Help, report.String(), f.HelpURL)
		} else {
			s.t.Logf("%s: %s (%s): %s%s", where, f.ID, f.Impact, f.Help, report.String())
		}
	}
}

// axe is axe-core, whose version is in the lock file of the pages' packages.
func axe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../internal/platform/web/bundle/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is missing; bring it with: npm ci --prefix internal/platform/web/bundle (%v)", err)
	}
	return string(text)
}

// fits checks that nothing is wider than the window but what scrolls by itself, and that the page has one heading that is seen.
func (s *person) fits(where string) {
	s.t.Helper()
	wide, err := eval[[]string](s, `(() => {
		const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return [];
		const scrolls = (e) => e && e !== document.documentElement && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
		return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 0.5 && !scrolls(e.parentElement))
			.map((e) => e.cloneNode(false).outerHTML + " ends at " + Math.round(e.getBoundingClientRect().right) + " of " + width);
	})()`)
	if err != nil || len(wide) > 0 {
		s.t.Errorf("%s: wider than the window: %s (%v)", where, strings.Join(wide, "\n  "), err)
	}
	over, err := eval[[]string](s, `(() => {
		const panels = [...document.querySelectorAll(".panel")].filter((p) => p.checkVisibility()).map((p) => [p, p.getBoundingClientRect()]);
		return panels.flatMap(([a, x], i) => panels.slice(i + 1).filter(([b, y]) => !a.contains(b) && x.right > y.left + 1 && y.right > x.left + 1 && x.bottom > y.top + 1 && y.bottom > x.top + 1)
			.map(([b]) => a.cloneNode(false).outerHTML + " and " + b.cloneNode(false).outerHTML));
	})()`)
	if err != nil || len(over) > 0 {
		s.t.Errorf("%s: panels above each other: %s (%v)", where, strings.Join(over, "\n  "), err)
	}
	s.is(where+": one heading", `[...document.querySelectorAll("h1")].filter((h) => h.checkVisibility()).length === 1`)
}

// picture makes a picture of the page, from its head to the end of its content.
func (s *person) picture(name string, on screen) {
	s.t.Helper()
	for from, to := range s.p.private {
		s.do("hide what is of this machine", chromedp.Evaluate[chromedp.Void](`(() => {
			const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
			while (all.nextNode()) if (all.currentNode.data.includes(`+quoted(from)+`)) all.currentNode.data = all.currentNode.data.replaceAll(`+quoted(from)+`, `+quoted(to)+`);
		})()`))
	}
	height, err := eval[float64](s, `Math.min(Math.max(document.querySelector("main").getBoundingClientRect().bottom + scrollY - 24, 300), innerWidth < 600 ? 1300 : 1500)`)
	if err != nil {
		s.t.Fatal(err)
	}
	beyond := true
	shot, err := chromedp.Run(s.ctx, chromedp.Action[[]byte](func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		r, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond, Clip: &page.Viewport{Width: float64(on.width), Height: height, Scale: 1}})
		return r.Data, err
	}))
	if err != nil {
		s.t.Fatal(err)
	}
	small, err := picture.Shrink(shot)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*pictures, name+".png"), small, 0o644); err != nil {
		s.t.Fatal(err)
	}
}
