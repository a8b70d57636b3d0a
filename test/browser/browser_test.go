//go:build browser

// Package browser does in a real Chromium what people do on the pages of flink-platform, with a real Flink. Its pages are checked in both
// themes, on a desktop and on a phone; "make pictures" makes the pictures of docs/workbench.md with it.
package browser

import "testing"

// TestBrowser has one server and one browser for all that people do: from the empty pages to jobs that ran, failed and were stopped.
func TestBrowser(t *testing.T) {
	p := serve(t, "clicks-per-page", "payments")
	s := p.person(t)
	whole := true // until a part ends early; most parts need what earlier ones leave
	for _, part := range []struct {
		name  string
		test  func(*person)
		alone bool
	}{
		{"an empty platform", emptyPages, false},
		{"a new developer", newDeveloper, false},
		{"pages of jobs", pagesOfJobs, false},
		{"keyboard", keyboard, true},
		{"commands of docs/workbench.md", commandsOfThePage, true},
		{"hostile SQL", hostileSQL, true},
		{"hostile texts", hostileTexts, true},
		{"without scripts", withoutScripts, true},
		{"an upgrade without scripts", upgradeWithoutScripts, false},
	} {
		if !whole && !part.alone {
			continue
		}
		ended := false
		t.Run(part.name, func(t *testing.T) {
			part.test(s.in(t))
			ended = true
		})
		whole = whole && ended
	}
}
