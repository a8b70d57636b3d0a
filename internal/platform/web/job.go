package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/wire"
)

// jobPages are the pages of one job or session cluster.
var jobPages = []page{
	{"GET /jobs/{job}", "view", (*visit).job},
	{"GET /jobs/{job}/start", "edit", (*visit).askStart},
	{"POST /jobs/{job}/start", "edit", (*visit).startJob},
	{"GET /jobs/{job}/upgrade", "edit", (*visit).askUpgrade},
	{"POST /jobs/{job}/upgrade", "edit", (*visit).upgradeJob},
	{"GET /jobs/{job}/stop", "edit", (*visit).askStop},
	{"POST /jobs/{job}/stop", "edit", (*visit).stopJob},
	{"GET /jobs/{job}/delete", "edit", (*visit).askDelete},
	{"POST /jobs/{job}/delete", "edit", (*visit).deleteJob},
	{"GET /jobs/{job}/runs/{run}/resolve", "edit", (*visit).askResolve},
	{"POST /jobs/{job}/runs/{run}/resolve", "edit", (*visit).resolveRun},
	{"GET /jobs/{job}/versions", "view", (*visit).jobVersions},
	{"GET /jobs/{job}/versions/{n}", "view", (*visit).jobVersion},
	{"GET /jobs/{job}/diff", "view", (*visit).jobDiff},
	{"GET /jobs/{job}/runs", "view", (*visit).jobRuns},
	{"GET /jobs/{job}/runs/{run}", "view", (*visit).jobRun},
	{"GET /jobs/{job}/exceptions", "view", (*visit).jobExceptions},
	{"GET /jobs/{job}/checkpoints", "view", (*visit).jobCheckpoints},
	{"GET /jobs/{job}/logs", "view", (*visit).jobLogs},
	{"GET /jobs/{job}/logs/download", "view", (*visit).downloadLogs},
	{"GET /jobs/{job}/memory", "view", (*visit).jobMemory},
	{"GET /jobs/{job}/lineage", "view", (*visit).jobLineage},
}

// A tab is one page of a job.
type tab struct{ Name, Title, Path string }

// tabsOf lists the pages of a job. A session cluster has no job of its own, so nothing of one.
func tabsOf(j wire.Job) []tab {
	at := jobPath(j.Name)
	tabs := []tab{{"overview", "Overview", at}}
	for _, t := range []tab{{"versions", "Versions", ""}, {"runs", "Runs", ""}, {"exceptions", "Exceptions", ""}, {"checkpoints", "Checkpoints", ""}, {"logs", "Logs", ""}, {"memory", "Memory", ""}, {"lineage", "Lineage", ""}} {
		if j.Kind == kindCluster && slices.Contains([]string{"exceptions", "checkpoints", "lineage"}, t.Name) {
			continue
		}
		t.Path = at + "/" + t.Name
		tabs = append(tabs, t)
	}
	return tabs
}

func jobPath(name string) string { return "/jobs/" + url.PathEscape(name) }

// jobHead is what all pages of a job begin with.
type jobHead struct {
	Job    wire.Job
	Path   string
	Tabs   []tab
	Tab    string // the current one
	Saying saying
	// Upgrade is what its newest run has to do with one; Kind "": nothing to say.
	Upgrade saying
	Can     []action
	Cannot  []string
	Edit    bool
	// Numbers are the versions that a form offers, newest first.
	Numbers []int
}

func (h jobHead) Cluster() bool { return h.Job.Kind == kindCluster }

// Run is the newest run, nil if the job was never started.
func (h jobHead) Run() *wire.Run { return h.Job.Run }

// head reads the job of the request.
func (v *visit) head(tab string) (jobHead, error) {
	name := v.path("job")
	j, err := v.api.Job(v.ctx(), name)
	if err == nil && j.Kind == kindCluster {
		j, err = v.api.Cluster(v.ctx(), name)
	}
	if err != nil {
		return jobHead{}, err
	}
	h := jobHead{Job: j, Path: jobPath(name), Tabs: tabsOf(j), Tab: tab, Saying: sayingOf(j), Upgrade: upgradeOf(j.Run), Edit: v.may("edit")}
	h.Can, h.Cannot = actionsOf(j)
	for n := j.Newest; n > 0 && len(h.Numbers) < 200; n-- {
		h.Numbers = append(h.Numbers, n)
	}
	return h, nil
}

// live are the options of a page of a job: its events make it read itself again.
func (h jobHead) live(seconds int) option {
	return live("/v1/jobs/"+url.PathEscape(h.Job.Name)+"/events", seconds)
}

func (v *visit) showJob(status int, name string, h jobHead, data any, more ...option) error {
	title := h.Job.Name
	for _, t := range h.Tabs {
		if t.Name == h.Tab && t.Name != "overview" {
			title = t.Title + " of " + h.Job.Name
		}
	}
	return v.render(status, name, title, data, append([]option{nav("jobs"), style("job.css"), script("job.js")}, more...)...)
}

// overview is the data of a job's first page.
type overview struct {
	Head       jobHead
	Timeline   []moment
	Earlier    int              // events that the page of the run has, and this one has not
	Checkpoint *wire.Checkpoint // the newest completed one
	Failed     int              // checkpoints
	Newer      int              // versions that are newer than the one that runs
	Start      startForm
	Upgrade    upgradeForm
}

// A moment is an event as the timeline shows it.
type moment struct {
	wire.Event
	Moved bool // the state is another one than before
}

// moments puts events into the order of the page: the newest first.
func moments(events []wire.Event) []moment {
	out := make([]moment, len(events))
	before := ""
	for i, e := range events {
		state := e.Queue + "/" + e.Condition + "/" + e.Outcome
		out[len(events)-1-i] = moment{e, state != before}
		before = state
	}
	return out
}

// mostMoments is how many events the first page of a job shows.
const mostMoments = 100

// quick is the time that a page waits for what a cluster has to answer.
const quick = 2 * time.Second

func (v *visit) job() error {
	h, err := v.head("overview")
	if err != nil {
		return err
	}
	o := overview{Head: h, Start: startForm{Version: h.Job.Newest, Savepoint: usual(h.Run())}, Upgrade: upgradeForm{usualUpgrade(h.Job), usualWithin}}
	if r := h.Run(); r != nil {
		events, err := v.api.Events(v.ctx(), h.Job.Name, r.ID)
		if err != nil {
			return err
		}
		o.Timeline = moments(events)
		if extra := len(o.Timeline) - mostMoments; extra > 0 {
			o.Timeline, o.Earlier = o.Timeline[:mostMoments], extra
		}
		o.Newer = h.Job.Newest - r.Version
		if !h.Cluster() && (r.Queue == queueRunning || !open(r)) {
			ctx, cancel := context.WithTimeout(v.ctx(), quick)
			defer cancel()
			if all, err := v.api.Checkpoints(ctx, h.Job.Name, r.ID); err == nil { // else the page of checkpoints says why not
				for _, c := range all {
					o.Failed += c.Counts.Failed
					if l := c.Latest.Completed; l != nil && (o.Checkpoint == nil || l.Triggered.After(o.Checkpoint.Triggered)) {
						o.Checkpoint = l
					}
				}
			}
		}
	}
	return v.showJob(http.StatusOK, "job", h, o, h.live(30))
}

// A startForm is what a person fills in to start a job.
type startForm struct {
	Version   int
	Savepoint string // definition, latest, none or path
	Path      string
}

// actionPage is a page that asks before something is done, or says why it was not done.
type actionPage struct {
	Head    jobHead
	Action  action
	Problem *wire.Problem
	Start   startForm
	Upgrade upgradeForm
	Run     *wire.Run
	As      string
	Reason  string
}

// usual is what a start begins with unless the person chooses: who stops with a savepoint goes on from it.
func usual(newest *wire.Run) string {
	if newest != nil && newest.Outcome == outcomeStopped {
		return "latest"
	}
	return "definition"
}

func (v *visit) askStart() error {
	h, err := v.head("")
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	form := startForm{Version: h.Job.Newest, Savepoint: cmp.Or(q.Get("savepoint"), usual(h.Run())), Path: q.Get("path")}
	if n, err := strconv.Atoi(q.Get("version")); err == nil {
		form.Version = n
	}
	if form.Path != "" {
		form.Savepoint = "path"
	}
	return v.showStart(http.StatusOK, h, form, nil)
}

func (v *visit) showStart(status int, h jobHead, form startForm, p *wire.Problem) error {
	return v.showJob(status, "job-start", h, actionPage{Head: h, Action: startAction(h.Job), Start: form, Problem: p})
}

func (v *visit) startJob() error {
	if err := v.form(); err != nil {
		return err
	}
	h, err := v.head("")
	if err != nil {
		return err
	}
	form := startForm{Savepoint: v.r.PostForm.Get("savepoint"), Path: strings.TrimSpace(v.r.PostForm.Get("path"))}
	in := wire.Start{}
	switch form.Savepoint {
	case "latest", "none":
		in.Savepoint = form.Savepoint
	case "path":
		in.Savepoint = form.Path
	}
	form.Version, err = strconv.Atoi(v.r.PostForm.Get("version"))
	in.Version = form.Version
	var wrong *wire.Problem
	switch {
	case err != nil || form.Version < 1:
		wrong = &wire.Problem{Title: "It was not started", Status: http.StatusBadRequest, Detail: fmt.Sprintf("%q is not the number of a version", v.r.PostForm.Get("version")), Hint: "choose one of the list"}
	case form.Savepoint == "path" && (form.Path == "" || form.Path == "latest" || form.Path == "none"):
		wrong = &wire.Problem{Title: "It was not started", Status: http.StatusBadRequest, Detail: "the path of the savepoint or checkpoint is missing", Hint: "e.g. s3://bucket/savepoints/savepoint-1a2b3c; the page Checkpoints lists those of this job"}
	default:
		_, err := v.api.Start(v.ctx(), h.Job.Name, in)
		if err == nil {
			return v.done(h.Path, "started")
		}
		if wrong = v.problem(err); wrong == nil {
			return err
		}
	}
	return v.showStart(wrong.Status, h, form, wrong)
}

// An upgradeForm is what a person fills in to upgrade a job.
type upgradeForm struct {
	Version int
	Within  string // a duration
}

func (v *visit) askUpgrade() error {
	h, err := v.head("")
	if err != nil {
		return err
	}
	form := upgradeForm{usualUpgrade(h.Job), usualWithin}
	if n, err := strconv.Atoi(v.r.URL.Query().Get("version")); err == nil {
		form.Version = n
	}
	var p *wire.Problem
	if h.Cluster() {
		p = &wire.Problem{Title: "Not a session cluster", Status: http.StatusConflict, Detail: "a session cluster has no savepoint", Hint: "upgrade its jobs, or stop and start it"}
	} else if !open(h.Run()) {
		p = &wire.Problem{Title: "Nothing to upgrade", Status: http.StatusConflict, Detail: "this job has no run that goes on", Hint: "start the version"}
	} else if why := notUpgraded(h.Job); why != "" {
		p = &wire.Problem{Title: "Not now", Status: http.StatusConflict, Detail: strings.TrimSuffix(why, "."), Hint: "its page shows how it is"}
	}
	return v.showUpgrade(http.StatusOK, h, form, p)
}

func (v *visit) showUpgrade(status int, h jobHead, form upgradeForm, p *wire.Problem) error {
	return v.showJob(status, "job-upgrade", h, actionPage{Head: h, Action: upgradeAction(h.Job), Upgrade: form, Run: h.Run(), Problem: p})
}

func (v *visit) upgradeJob() error {
	if err := v.form(); err != nil {
		return err
	}
	h, err := v.head("")
	if err != nil {
		return err
	}
	form := upgradeForm{Within: strings.TrimSpace(v.r.PostForm.Get("within"))}
	var noVersion error
	form.Version, noVersion = strconv.Atoi(v.r.PostForm.Get("version"))
	within, noDuration := time.ParseDuration(form.Within)
	var wrong *wire.Problem
	switch {
	case noVersion != nil || form.Version < 1:
		wrong = &wire.Problem{Title: "It was not upgraded", Status: http.StatusBadRequest, Detail: fmt.Sprintf("%q is not the number of a version", v.r.PostForm.Get("version")), Hint: "choose one of the list"}
	case noDuration != nil || within < time.Second:
		wrong = &wire.Problem{Title: "It was not upgraded", Status: http.StatusBadRequest, Detail: fmt.Sprintf("the deadline is %q, expected a duration of at least 1s", form.Within), Hint: "e.g. 90s, 5m or 1h"}
	default:
		_, err := v.api.Upgrade(v.ctx(), h.Job.Name, wire.UpgradeJob{Version: form.Version, Within: int(within.Seconds())})
		if err == nil {
			return v.done(h.Path, "upgrading")
		}
		if wrong = v.problem(err); wrong == nil {
			return err
		}
	}
	return v.showUpgrade(wrong.Status, h, form, wrong)
}

// stops are the ways to end a run, by the mode of the API.
func stopOf(j wire.Job, mode string) (action, bool) {
	switch mode {
	case "savepoint":
		return stopAction, true
	case "drain":
		return drainAction, true
	case "cancel":
		return cancelAction(j), true
	}
	return action{}, false
}

func (v *visit) askStop() error {
	h, err := v.head("")
	if err != nil {
		return err
	}
	a, ok := stopOf(h.Job, v.r.URL.Query().Get("mode"))
	if !ok {
		a = stopAction
		if h.Cluster() {
			a = cancelAction(h.Job)
		}
	}
	p := actionPage{Head: h, Action: a, Run: h.Run()}
	if !open(h.Run()) {
		p.Problem = &wire.Problem{Title: "Nothing to stop", Status: http.StatusConflict, Detail: "this job has no run that goes on", Hint: "start it first"}
	}
	return v.showJob(http.StatusOK, "job-stop", h, p)
}

func (v *visit) stopJob() error {
	if err := v.form(); err != nil {
		return err
	}
	h, err := v.head("")
	if err != nil {
		return err
	}
	mode := v.r.PostForm.Get("mode")
	a, ok := stopOf(h.Job, mode)
	var wrong *wire.Problem
	if ok {
		_, err = v.api.Stop(v.ctx(), h.Job.Name, mode)
		if err == nil {
			return v.done(h.Path, map[string]string{"savepoint": "stopping", "drain": "draining", "cancel": "canceling"}[mode])
		}
		if wrong = v.problem(err); wrong == nil {
			return err
		}
	} else {
		a, wrong = stopAction, &wire.Problem{Title: "Nothing was done", Status: http.StatusBadRequest, Detail: fmt.Sprintf("unknown mode %q", mode), Hint: "savepoint, drain or cancel"}
	}
	return v.showJob(wrong.Status, "job-stop", h, actionPage{Head: h, Action: a, Run: h.Run(), Problem: wrong})
}

func (v *visit) askDelete() error {
	h, err := v.head("")
	if err != nil {
		return err
	}
	p := actionPage{Head: h, Action: deleteAction(h.Job)}
	if open(h.Run()) {
		p.Problem = &wire.Problem{Title: "Not now", Status: http.StatusConflict, Detail: "there is a run that has not ended", Hint: "stop it first"}
	}
	return v.showJob(http.StatusOK, "job-delete", h, p)
}

func (v *visit) deleteJob() error {
	h, err := v.head("")
	if err != nil {
		return err
	}
	stored := "/v1/jobs/"
	if h.Cluster() {
		stored = "/v1/clusters/"
	}
	err = v.api.Do(v.ctx(), http.MethodDelete, stored+url.PathEscape(h.Job.Name), nil, nil)
	if err == nil {
		return v.done("/", "job-deleted")
	}
	wrong := v.problem(err)
	if wrong == nil {
		return err
	}
	return v.showJob(wrong.Status, "job-delete", h, actionPage{Head: h, Action: deleteAction(h.Job), Problem: wrong})
}

func (v *visit) askResolve() error {
	h, err := v.head("")
	if err != nil {
		return err
	}
	r, err := v.api.Run(v.ctx(), h.Job.Name, v.path("run"))
	if err != nil {
		return err
	}
	return v.showJob(http.StatusOK, "job-resolve", h, actionPage{Head: h, Action: resolveAction, Run: &r})
}

func (v *visit) resolveRun() error {
	if err := v.form(); err != nil {
		return err
	}
	h, err := v.head("")
	if err != nil {
		return err
	}
	in := wire.Resolve{As: v.r.PostForm.Get("as"), Reason: strings.TrimSpace(v.r.PostForm.Get("reason"))}
	r, err := v.api.Run(v.ctx(), h.Job.Name, v.path("run"))
	if err != nil {
		return err
	}
	_, err = v.api.Resolve(v.ctx(), h.Job.Name, r.ID, in)
	if err == nil {
		if in.As == "empty" {
			return v.done(h.Path, "started-empty")
		}
		return v.done(h.Path, "resolving")
	}
	wrong := v.problem(err)
	if wrong == nil {
		return err
	}
	return v.showJob(wrong.Status, "job-resolve", h, actionPage{Head: h, Action: resolveAction, Run: &r, As: in.As, Reason: in.Reason, Problem: wrong})
}
