package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/platform/wire"
)

// runsPage lists runs.
type runsPage struct {
	Head  jobHead
	Runs  []*wire.Run
	Older string // runs before this one follow on the next page
}

func (v *visit) jobRuns() error {
	h, err := v.head("runs")
	if err != nil {
		return err
	}
	p := runsPage{Head: h}
	var out struct{ Runs []*wire.Run }
	q := url.Values{"limit": {fmt.Sprint(mostRuns)}}
	if after := v.r.URL.Query().Get("after"); after != "" {
		q.Set("after", after)
	}
	if err := v.api.Do(v.ctx(), http.MethodGet, "/v1"+h.Path+"/runs?"+q.Encode(), nil, &out); err != nil {
		return err
	}
	p.Runs = out.Runs
	if len(p.Runs) == mostRuns {
		p.Older = p.Runs[len(p.Runs)-1].ID
	}
	return v.showJob(http.StatusOK, "job-runs", h, p, h.live(0))
}

// runPage is one run.
type runPage struct {
	Head     jobHead
	Run      *wire.Run
	Saying   saying
	Upgrade  saying
	Newest   bool
	Timeline []moment
}

func (v *visit) jobRun() error {
	h, err := v.head("runs")
	if err != nil {
		return err
	}
	p := runPage{Head: h}
	r, err := v.api.Run(v.ctx(), h.Job.Name, v.path("run"))
	if err != nil {
		return err
	}
	p.Run, p.Newest = &r, h.Run() != nil && h.Run().ID == r.ID
	of := h.Job
	of.Run = &r
	p.Saying, p.Upgrade = sayingOf(of), upgradeOf(&r)
	events, err := v.api.Events(v.ctx(), h.Job.Name, p.Run.ID)
	if err != nil {
		return err
	}
	p.Timeline = moments(events)
	return v.showJob(http.StatusOK, "job-run", h, p, h.live(0))
}

// runChoice lets a person look at an earlier run.
type runChoice struct {
	Runs   []wire.Run
	Chosen string // its id; "": the job was never started
	Newest bool
	Run    *wire.Run
}

// Unlisted reports whether the run is older than those that a form offers.
func (c runChoice) Unlisted() bool {
	return c.Chosen != "" && !slices.ContainsFunc(c.Runs, func(r wire.Run) bool { return r.ID == c.Chosen })
}

// choose reads ?run= of a request. Without it, it is the newest run.
func (v *visit) choose(h jobHead) (runChoice, error) {
	c := runChoice{Newest: true}
	if h.Run() == nil {
		return c, nil
	}
	c.Chosen, c.Run = h.Run().ID, h.Run()
	if id := v.r.URL.Query().Get("run"); id != "" && id != c.Chosen {
		r, err := v.api.Run(v.ctx(), h.Job.Name, id)
		if err != nil {
			return c, err
		}
		c.Chosen, c.Newest, c.Run = r.ID, false, &r
	}
	var err error
	c.Runs, err = v.api.Runs(v.ctx(), h.Job.Name, 20)
	return c, err
}

// exceptionsPage lists failures of a run.
type exceptionsPage struct {
	Head     jobHead
	Choice   runChoice
	Failures []failure
	Problem  *wire.Problem // why they cannot be listed
}

// A failure is an exception with its cause before what was thrown around it.
type failure struct {
	At    time.Time
	Task  string
	Cause javatext.Throwable
	Outer []javatext.Throwable // the nearest one first
	Whole string
}

// failureOf turns a stack trace over: what failed comes first, and the wrappers that were thrown because of it after it.
func failureOf(x wire.Exception) failure {
	f := failure{Task: x.Task, Whole: x.Stack}
	f.At, _ = time.Parse(time.RFC3339, x.At)
	all := javatext.Trace(x.Stack)
	if len(all) == 0 {
		f.Cause = javatext.Throwable{Class: x.Name, Message: x.Cause}
		return f
	}
	f.Cause = all[len(all)-1]
	for i := len(all) - 2; i >= 0; i-- {
		f.Outer = append(f.Outer, all[i])
	}
	return f
}

func (v *visit) jobExceptions() error {
	h, err := v.head("exceptions")
	if err != nil {
		return err
	}
	p := exceptionsPage{Head: h}
	if p.Choice, err = v.choose(h); err != nil {
		return err
	}
	if p.Choice.Run != nil && !h.Cluster() {
		all, err := v.api.Exceptions(v.ctx(), h.Job.Name, p.Choice.Chosen)
		if err != nil {
			if p.Problem = v.problem(err); p.Problem == nil {
				return err
			}
		}
		for _, x := range all {
			p.Failures = append(p.Failures, failureOf(x))
		}
	}
	return v.showJob(http.StatusOK, "job-exceptions", h, p, h.live(0))
}

// checkpointsPage lists checkpoints and savepoints of a run, and the savepoints that stops of earlier runs have made.
type checkpointsPage struct {
	Head    jobHead
	Choice  runChoice
	Jobs    []checkpointsOfJob
	Stops   []wire.Run // that ended with a savepoint
	Problem *wire.Problem
}

type checkpointsOfJob struct {
	ID string
	wire.Checkpoints
}

func (v *visit) jobCheckpoints() error {
	h, err := v.head("checkpoints")
	if err != nil {
		return err
	}
	p := checkpointsPage{Head: h}
	if p.Choice, err = v.choose(h); err != nil {
		return err
	}
	for _, r := range p.Choice.Runs {
		if r.Savepoint != "" {
			p.Stops = append(p.Stops, r)
		}
	}
	if p.Choice.Run != nil && !h.Cluster() {
		all, err := v.api.Checkpoints(v.ctx(), h.Job.Name, p.Choice.Chosen)
		if err != nil {
			if p.Problem = v.problem(err); p.Problem == nil {
				return err
			}
		}
		for _, j := range p.Choice.Run.Jobs { // in the order in which Flink ran them
			if c, ok := all[j.ID]; ok {
				p.Jobs = append(p.Jobs, checkpointsOfJob{j.ID, c})
			}
		}
	}
	return v.showJob(http.StatusOK, "job-checkpoints", h, p, h.live(10))
}
