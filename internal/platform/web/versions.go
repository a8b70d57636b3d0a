package web

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/wire"
)

// mostVersions and mostRuns are how many a page lists; older ones are on the next page.
const (
	mostVersions = 100
	mostRuns     = 50
)

// versionsPage lists versions.
type versionsPage struct {
	Head     jobHead
	Versions []wire.Version
	Running  int // number of the version that runs
	Old, New int // proposed to be compared
	Older    int // versions before this one follow on the next page; 0: none
}

func (v *visit) jobVersions() error {
	h, err := v.head("versions")
	if err != nil {
		return err
	}
	p := versionsPage{Head: h}
	var out struct{ Versions []wire.Version }
	path := fmt.Sprintf("/v1%s/versions?limit=%d", h.Path, mostVersions)
	if after, err := strconv.Atoi(v.r.URL.Query().Get("after")); err == nil && after > 0 {
		path += "&after=" + strconv.Itoa(after)
	}
	if err := v.api.Do(v.ctx(), http.MethodGet, path, nil, &out); err != nil {
		return err
	}
	p.Versions = out.Versions
	if len(p.Versions) == mostVersions {
		p.Older = p.Versions[len(p.Versions)-1].Number
	}
	if open(h.Run()) {
		p.Running = h.Run().Version
	}
	if len(p.Versions) > 1 {
		p.Old, p.New = p.Versions[1].Number, p.Versions[0].Number
	}
	return v.showJob(http.StatusOK, "job-versions", h, p)
}

// versionPage is one version.
type versionPage struct {
	Head     jobHead
	Version  wire.Version
	Document string // what pods get, where it is not what was sent
	Language string // of the source
	Running  bool
}

// Upgrades reports whether the job can be upgraded to it.
func (p versionPage) Upgrades() bool {
	j := p.Head.Job
	return !p.Head.Cluster() && open(j.Run) && j.Run.Version != p.Version.Number && j.Run.Desired == wantRun && notUpgraded(j) == ""
}

// Before is the number of the version before it.
func (p versionPage) Before() int { return p.Version.Number - 1 }

func (v *visit) jobVersion() error {
	h, err := v.head("versions")
	if err != nil {
		return err
	}
	n, err := versionNumber(v.path("n"))
	if err != nil {
		return err
	}
	p := versionPage{Head: h, Running: open(h.Run()) && h.Run().Version == n}
	if p.Version, err = v.api.Version(v.ctx(), h.Job.Name, n); err != nil {
		return err
	}
	document, err := v.api.Document(v.ctx(), h.Job.Name, n)
	if err != nil {
		return err
	}
	if p.Document = string(document); p.Document == p.Version.Source {
		p.Document = ""
	}
	p.Language = languageOf(p.Version.Source)
	return v.showJob(http.StatusOK, "job-version", h, p, bundle()...)
}

// versionNumber reads the number of a version in an address; what is not one does not exist.
func versionNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, noSuch(fmt.Sprintf("unknown version %q", text), "the page Versions of the job lists them")
	}
	return n, nil
}

// noSuch is the error of an address that names what is not there.
func noSuch(detail, hint string) error {
	return &client.Problem{Problem: wire.Problem{Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: detail, Hint: hint}}
}

// bundle are the scripts that draw lineage, and show differences and code.
func bundle() []option { return []option{style("editor.css"), script("editor.js"), styleNonce()} }

var aDefinition = regexp.MustCompile(`(?m)^\s*\{?\s*["']?apiVersion["']?\s*:`)

// languageOf says in which language a source is written: a definition, or a SQL script alone.
func languageOf(source string) string {
	if aDefinition.MatchString(source) {
		return "yaml"
	}
	return "sql"
}

// diffPage compares two versions.
type diffPage struct {
	Head     jobHead
	Old, New wire.Version
	Of       string // source or document
	Language string
	Texts    [2]string
	Lines    []diffLine
	Same     bool
	TooLong  bool
	Other    bool // the other kind of text differs, this one does not
}

// A diffLine is a line of a unified diff.
type diffLine struct {
	Kind string // hunk, same, add or del
	Old  int    // its number before, 0: it was not there
	New  int
	Text string
}

// maxDiff is how long two texts may be together to be compared, in bytes.
const maxDiff = 512 << 10

func (v *visit) jobDiff() error {
	h, err := v.head("versions")
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	numbers := [2]int{}
	for i, name := range []string{"old", "new"} {
		if numbers[i], err = versionNumber(q.Get(name)); err != nil {
			return err
		}
	}
	p := diffPage{Head: h, Of: "source"}
	if p.Old, err = v.api.Version(v.ctx(), h.Job.Name, numbers[0]); err != nil {
		return err
	}
	if p.New, err = v.api.Version(v.ctx(), h.Job.Name, numbers[1]); err != nil {
		return err
	}
	p.Texts = [2]string{p.Old.Source, p.New.Source}
	p.Language = languageOf(p.New.Source)
	if q.Get("of") == "document" {
		p.Of, p.Language = "document", "yaml"
		for i, n := range numbers {
			document, err := v.api.Document(v.ctx(), h.Job.Name, n)
			if err != nil {
				return err
			}
			p.Texts[i] = string(document)
		}
	}
	p.Same = p.Texts[0] == p.Texts[1]
	p.Other = p.Same && p.Of == "source" && p.Old.Digest != p.New.Digest
	if p.TooLong = len(p.Texts[0])+len(p.Texts[1]) > maxDiff; !p.TooLong {
		if p.Lines, err = unified(p.Texts[0], p.Texts[1]); err != nil {
			return err
		}
	}
	return v.showJob(http.StatusOK, "job-diff", h, p, bundle()...)
}

// unified is the unified diff of two texts, with three lines around each change.
func unified(before, after string) ([]diffLine, error) {
	d, err := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), udiff.DefaultContextLines)
	if err != nil {
		return nil, err
	}
	var lines []diffLine
	for _, h := range d.Hunks {
		from, to := h.FromLine, h.ToLine
		lines = append(lines, diffLine{Kind: "hunk", Old: from, New: to})
		for _, l := range h.Lines {
			text := strings.TrimSuffix(l.Content, "\n")
			switch l.Kind {
			case udiff.Delete:
				lines = append(lines, diffLine{Kind: "del", Old: from, Text: text})
				from++
			case udiff.Insert:
				lines = append(lines, diffLine{Kind: "add", New: to, Text: text})
				to++
			default:
				lines = append(lines, diffLine{Kind: "same", Old: from, New: to, Text: text})
				from, to = from+1, to+1
			}
		}
	}
	return lines, nil
}
