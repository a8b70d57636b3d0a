package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/platform/wire"
)

var jobsPages = []page{
	{"GET /{$}", "view", (*visit).jobs},
	{"GET /jobs", "view", (*visit).jobs},
	{"GET /new-job", "edit", (*visit).newJob},
	{"POST /new-job", "edit", (*visit).makeJob},
}

// jobsOnPage is how many jobs a page lists.
const jobsOnPage = 100

// A jobState is a filter of the list: what people call a state.
type jobState struct {
	name, label, kind       string
	queue, condition, ended string // of GET /v1/jobs
	rare                    bool   // shown only where a job is in it
}

// jobStates in the order of the page. A job is in one of those that are not rare, and may be in rare ones, too.
var jobStates = []jobState{
	{name: "running", label: "running", kind: "ok", queue: "running"},
	{name: "starting", label: "starting", kind: "info", queue: "accept"},
	{name: "stopping", label: "stopping", kind: "info", queue: "cancel", ended: "false"},
	{name: "failed", label: "failed", kind: "bad", queue: "failed"},
	{name: "finished", label: "finished", kind: "ok", queue: "finish"},
	{name: "stopped", label: "stopped or canceled", kind: "idle", queue: "cancel", ended: "true"},
	{name: "never-started", label: "never started", kind: "idle", queue: "none"},
	{name: "lost", label: "lost", kind: "bad", condition: "lost", rare: true},
	{name: "parked", label: "parked", kind: "warn", condition: "parked", rare: true},
	{name: "restarting", label: "restarting", kind: "warn", condition: "restarting", rare: true},
	{name: "waiting", label: "waiting for slots", kind: "warn", condition: "waiting for slots", rare: true},
}

// has reports whether the jobs of a count are in a state.
func (s jobState) has(c wire.Count) bool {
	return (s.queue == "" || s.queue == c.Queue) && (s.condition == "" || s.condition == c.Condition) && (s.ended == "" || s.ended == strconv.FormatBool(c.Ended))
}

// A stateLink is a state with how many jobs are in it.
type stateLink struct {
	Label, Kind, Address string
	Jobs                 int
	Current              bool
}

// A jobsPage is what the page of all jobs shows.
type jobsPage struct {
	Name, State string // what was asked for
	Unknown     string // a state that does not exist
	All         stateLink
	States      []stateLink
	Jobs        []wire.Job
	Clusters    []wire.Job
	First, Next string // addresses of other pages of the list
	Total       int
}

// jobsAddress is the page with a state and name, after a job.
func jobsAddress(state, name, after string) string {
	q := url.Values{}
	for key, value := range map[string]string{"state": state, "name": name, "after": after} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}

func (v *visit) jobs() error {
	asked := v.r.URL.Query()
	p := jobsPage{Name: strings.TrimSpace(asked.Get("name")), State: asked.Get("state")}
	var counts struct{ Counts []wire.Count }
	if err := v.api.Do(v.ctx(), http.MethodGet, "/v1/counts", nil, &counts); err != nil {
		return err
	}
	for _, c := range counts.Counts {
		p.Total += c.Jobs
	}
	p.All = stateLink{Label: "all", Address: jobsAddress("", p.Name, ""), Jobs: p.Total, Current: p.State == ""}
	q := url.Values{"limit": {strconv.Itoa(jobsOnPage)}, "seen": {"true"}, "name": {p.Name}, "after": {asked.Get("after")}}
	known := p.State == ""
	for _, s := range jobStates {
		link := stateLink{Label: s.label, Kind: s.kind, Address: jobsAddress(s.name, p.Name, ""), Current: p.State == s.name}
		for _, c := range counts.Counts {
			if s.has(c) {
				link.Jobs += c.Jobs
			}
		}
		if link.Current {
			known = true
			q.Set("queue", s.queue)
			q.Set("condition", s.condition)
			q.Set("ended", s.ended)
		}
		if link.Jobs > 0 || link.Current || !s.rare {
			p.States = append(p.States, link)
		}
	}
	if !known {
		p.Unknown, p.State = p.State, ""
		p.All.Current = true
	}
	var list struct{ Jobs []wire.Job }
	if err := v.api.Do(v.ctx(), http.MethodGet, "/v1/jobs?"+q.Encode(), nil, &list); err != nil {
		return err
	}
	p.Jobs = list.Jobs
	if asked.Get("after") != "" {
		p.First = jobsAddress(p.State, p.Name, "")
	} else {
		clusters, err := v.api.Clusters(v.ctx())
		if err != nil {
			return err
		}
		if p.Name == "" && p.State == "" {
			p.Clusters = clusters
		}
	}
	if len(p.Jobs) == jobsOnPage {
		p.Next = jobsAddress(p.State, p.Name, p.Jobs[len(p.Jobs)-1].Name)
	}
	return v.render(http.StatusOK, "jobs", "Jobs", p, nav("jobs"), live("/v1/events", 15))
}

// A newJobPage is the form for a new job.
type newJobPage struct {
	Name, Kind, Source, Comment string
	Problem                     *wire.Problem
	Lines                       []faultLine // lines of the source that a fault names
}

// A faultLine is a line of a text with what is wrong in it.
type faultLine struct {
	Number int
	Line   string
	Faults []wire.Fault
}

func (v *visit) newJob() error {
	return v.render(http.StatusOK, "new-job", "New job", newJobPage{Kind: "sql", Source: exampleScript}, nav("jobs"))
}

// exampleScript is a job that runs without anything else.
const exampleScript = `CREATE TABLE numbers (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1');
CREATE TABLE shown (id BIGINT) WITH ('connector' = 'print');
INSERT INTO shown SELECT id FROM numbers;
`

func (v *visit) makeJob() error {
	if err := v.form(); err != nil {
		return err
	}
	f := v.r.PostForm
	// Browsers end the lines of a form with CR LF.
	p := newJobPage{Name: strings.TrimSpace(f.Get("name")), Kind: f.Get("kind"), Comment: f.Get("comment"), Source: strings.ReplaceAll(f.Get("source"), "\r\n", "\n")}
	if p.Name == "" {
		p.Problem = &wire.Problem{Title: "The job has no name", Status: http.StatusBadRequest, Hint: "small letters, digits and hyphens, at most 63"}
		return v.render(p.Problem.Status, "new-job", "New job", p, nav("jobs"))
	}
	made, err := v.api.Make(v.ctx(), p.Name, []byte(p.Source), p.Kind == "sql", p.Comment)
	if problem := v.problem(err); problem != nil {
		p.Problem, p.Lines = problem, faultLines(p.Source, problem.Faults)
		if problem.Status == http.StatusPreconditionFailed {
			p.Problem = &wire.Problem{Title: "Not new", Status: http.StatusConflict, Detail: fmt.Sprintf("there is a job %s", p.Name), Hint: "choose another name, or make a version of that job on its page"}
		}
		return v.render(p.Problem.Status, "new-job", "New job", p, nav("jobs"))
	}
	if err != nil {
		return err
	}
	if f.Get("then") == "start" {
		if _, err := v.api.Start(v.ctx(), made.Job, wire.Start{Version: made.Number}); err != nil {
			return err
		}
		return v.done("/jobs/"+url.PathEscape(made.Job), "started")
	}
	return v.done("/jobs/"+url.PathEscape(made.Job), "version")
}

// faultLines are the lines that faults name, each once.
func faultLines(source string, faults []wire.Fault) (out []faultLine) {
	lines := strings.Split(source, "\n")
	for _, f := range faults {
		if f.Line < 1 || f.Line > len(lines) {
			continue
		}
		i := slices.IndexFunc(out, func(l faultLine) bool { return l.Number == f.Line })
		if i < 0 {
			i = len(out)
			out = append(out, faultLine{Number: f.Line, Line: cut(lines[f.Line-1])})
		}
		out[i].Faults = append(out[i].Faults, f)
	}
	return out
}

// cut shortens a line that is too long to show.
func cut(line string) string {
	if r := []rune(line); len(r) > 200 {
		return string(r[:200]) + " …"
	}
	return line
}
