package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"flink-entrypoint/examples"
	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/wire"
)

var workbenchPages = []page{
	{"GET /workbench", "edit", (*visit).workbench},
}

// A workbenchPage is what the script of the page begins with, as JSON.
type workbenchPage struct {
	User     string   `json:"user"` // whose drafts the browser keeps
	Job      string   `json:"job,omitempty"`
	Version  int      `json:"version,omitempty"` // that is edited
	Newest   int      `json:"newest,omitempty"`
	Source   string   `json:"source,omitempty"` // what was sent for the version
	SQL      bool     `json:"sql"`              // the source is a script alone
	Chosen   []string `json:"chosen"`           // catalogs of the version
	Catalogs []string `json:"catalogs"`         // all that are stored
	Example  string   `json:"example,omitempty"`
}

// MarshalJSON writes characters that change the direction of text as escapes: the page itself has none.
func (p workbenchPage) MarshalJSON() ([]byte, error) {
	type fields workbenchPage
	text, err := json.Marshal(fields(p))
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, c := range string(text) {
		if unicode.Is(unicode.Cf, c) || c >= 0x7f && c < 0xa0 {
			for _, unit := range utf16.AppendRune(nil, c) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
			continue
		}
		b.WriteRune(c)
	}
	return []byte(b.String()), nil
}

// definitionForm is the field that each definition begins with, and no SQL statement.
var definitionForm = regexp.MustCompile(`(?m)^\s*\{?\s*["']?apiVersion["']?\s*:`)

// workbench: GET /workbench?job=&version=. Without a job it is for a new script, without a version for the newest one.
func (v *visit) workbench() error {
	p := workbenchPage{User: v.me.Team + "/" + v.me.Name, SQL: true, Chosen: []string{}, Catalogs: []string{}}
	catalogs, err := v.api.Catalogs(v.ctx())
	if err != nil {
		return err
	}
	for _, c := range catalogs {
		p.Catalogs = append(p.Catalogs, c.Name)
	}
	q := v.r.URL.Query()
	if p.Job = q.Get("job"); p.Job == "" {
		p.Example = examples.Clicks
		return v.renderWorkbench("Workbench", p)
	}
	job, err := v.api.Job(v.ctx(), p.Job)
	if err != nil {
		return err
	}
	p.Version, p.Newest = job.Newest, job.Newest
	if text := q.Get("version"); text != "" {
		if p.Version, err = strconv.Atoi(text); err != nil || p.Version < 1 {
			return &client.Problem{Problem: wire.Problem{Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: "the job " + p.Job + " has no version " + strconv.Quote(text),
				Hint: "its newest one is at /workbench?job=" + url.QueryEscape(p.Job)}}
		}
	}
	version, err := v.api.Version(v.ctx(), p.Job, p.Version)
	if err != nil {
		return err
	}
	p.Source, p.SQL = version.Source, !definitionForm.MatchString(version.Source)
	if p.SQL { // a definition names its catalogs itself
		for _, c := range version.Catalogs {
			p.Chosen = append(p.Chosen, c.Name)
		}
	}
	return v.renderWorkbench(p.Job+", workbench", p)
}

func (v *visit) renderWorkbench(title string, p workbenchPage) error {
	return v.render(http.StatusOK, "workbench", title, p, nav("workbench"), wide(), styleNonce(), style("editor.css", "workbench.css"), script("editor.js"))
}
