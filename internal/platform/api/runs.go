package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

func runOf(r store.Run) wire.Run {
	s := r.State
	out := wire.Run{ID: s.ID, Job: r.Job, Version: r.Version, Revision: r.Revision, Queue: string(s.Queue), Condition: string(s.Condition), Since: s.Since,
		Desired: string(s.Desired), Reason: s.Reason, Outcome: string(s.Outcome), Evidence: string(s.Source), Created: r.Created, JobID: s.JobID, Attempt: s.Attempt,
		From: r.Asked.StartFrom, Session: r.Asked.Session, SessionOf: r.Asked.SessionRun, By: r.Asked.By, Restart: r.Asked.Restart}
	out.Upgrade = upgradeOf(r)
	for _, j := range s.Jobs {
		out.Jobs = append(out.Jobs, wire.FlinkJob{ID: j.ID, Status: string(j.Status)})
	}
	if s.Stop != nil {
		out.Savepoint = s.Stop.Path
	}
	if s.HasEnded() {
		out.Ended = &s.Ended
	}
	return out
}

// upgradeOf is what a run has to do with an upgrade; nil: nothing.
func upgradeOf(r store.Run) *wire.Upgrade {
	s := r.State
	switch {
	case s.Stop != nil && s.Stop.Then != nil:
		u := &wire.Upgrade{State: "stopping", From: r.Version, To: s.Stop.Then.Version}
		if s.HasEnded() {
			u.State = "not started"
			if s.Outcome == jobstate.IsStopped {
				u.State = "stopped"
			}
		}
		return u
	case r.Asked.Upgrade != nil:
		u := &wire.Upgrade{State: "done", From: r.Asked.Upgrade.From, To: r.Version}
		switch t := s.Trial; {
		case t == nil, s.Outcome == jobstate.IsFinished, s.Outcome == jobstate.IsStopped:
		case t.Failed || s.Outcome == jobstate.IsFailed && s.Desired == jobstate.WantRun:
			u.State = "failed"
		case s.HasEnded():
			u.State = "canceled"
		default:
			u.State, u.Until = "starting", &t.Until
		}
		return u
	case r.Asked.Back != nil:
		return &wire.Upgrade{State: "back", From: r.Asked.Back.From, To: r.Version, Reason: r.Asked.Back.Reason}
	}
	return nil
}

// listRuns: GET /v1/jobs/{job}/runs?after=ID&limit=
func (a *API) listRuns(w http.ResponseWriter, r *http.Request) error {
	j, err := a.job(r)
	if err != nil {
		return err
	}
	limit, err := number(r, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	after := r.URL.Query().Get("after")
	all, err := a.Store.Runs(r.Context(), j.Name, after, limit)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("run", after)
	}
	if err != nil {
		return err
	}
	runs := make([]wire.Run, len(all))
	for i, run := range all {
		runs[i] = runOf(run)
	}
	return answer(w, http.StatusOK, map[string]any{"runs": runs})
}

// run is the run that a request is about: the one of its path, or the job's newest.
func (a *API) run(r *http.Request) (store.Run, error) {
	j, err := a.job(r)
	if err != nil {
		return store.Run{}, err
	}
	id := r.PathValue("run")
	if id == "" {
		id = r.URL.Query().Get("run")
	}
	if id == "" {
		run, err := a.Store.NewestRun(r.Context(), j.Name)
		if errors.Is(err, store.ErrNotFound) {
			return run, refuse(http.StatusConflict, fmt.Sprintf("the job %s was never started", j.Name), "")
		}
		return run, err
	}
	run, err := a.Store.Run(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && run.Job != j.Name {
		return run, notFound("run", id)
	}
	return run, err
}

func (a *API) getRun(w http.ResponseWriter, r *http.Request) error {
	run, err := a.run(r)
	if err != nil {
		return err
	}
	out := runOf(run)
	attempts, err := a.Store.Attempts(r.Context(), run.State.ID)
	if err != nil {
		return err
	}
	for _, at := range attempts {
		x := wire.Attempt{ID: at.ID, Started: at.Started, Message: at.Message}
		if !at.Ended.IsZero() {
			x.Ended, x.Code = &at.Ended, &at.Code
		}
		out.Attempts = append(out.Attempts, x)
	}
	return answer(w, http.StatusOK, out)
}

// acts refuses what a restored server must not do yet.
func (a *API) acts() error {
	if a.Observes() {
		return refuse(http.StatusConflict, "this server was restored from a backup and only observes", "compare what runs with what it lists, then: flink-platform resume")
	}
	return nil
}

// trusts refuses to start jobs of several teams where one team's job could read another's.
func (a *API) trusts(ctx context.Context, team string) error {
	if !a.OneTeam {
		return nil
	}
	teams, err := a.Store.Teams(ctx)
	if len(teams) > 1 {
		teams = slices.DeleteFunc(teams, func(t string) bool { return t == team })
		// The other teams stay unnamed: a token sees its own team only.
		return refuse(http.StatusConflict, fmt.Sprintf("jobs of other teams are stored here (%d), and this server runs all clusters as one user", len(teams)), "run a server for each team")
	}
	return err
}

func (a *API) start(w http.ResponseWriter, r *http.Request) error {
	j, err := a.job(r)
	if err == nil {
		err = a.acts()
	}
	if err == nil {
		err = a.trusts(r.Context(), j.Team)
	}
	var in wire.Start
	if err == nil {
		err = read(w, r, &in)
	}
	if err != nil {
		return err
	}
	if err := savepointForm(in.Savepoint); err != nil {
		return err
	}
	if j.Kind == store.KindCluster && in.Savepoint != "" {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%s is a session cluster, which has no savepoint", j.Name), "start it without, and its jobs from theirs")
	}
	return a.once(w, r, fmt.Appendf(nil, "start %s %+v", j.Name, in), func(reservation string) (int, any, error) {
		in.Version = cmp.Or(in.Version, j.Newest)
		run, err := a.Begin(r.Context(), j.Name, in.Version, store.Asked{By: who(r).name, Savepoint: in.Savepoint, Reservation: reservation})
		switch {
		case errors.Is(err, store.ErrExists):
			return 0, nil, refuse(http.StatusConflict, fmt.Sprintf("the job %s has a run that has not ended", j.Name), "stop it first, or wait for its end")
		case errors.Is(err, store.ErrNotFound):
			return 0, nil, noVersion(j.Name, fmt.Sprint(in.Version))
		case err != nil:
			return 0, nil, err
		}
		return http.StatusAccepted, runOf(run), nil
	})
}

// savepointPath is an absolute path or a URI. It becomes a word of the command line of Flink, so it must not look like an option.
var savepointPath = regexp.MustCompile(`^(/|[A-Za-z][A-Za-z0-9+.-]*:)[^\x00-\x20\x7f]*$`)

func savepointForm(path string) error {
	if path == "" || path == "latest" || path == "none" || len(path) <= 2000 && savepointPath.MatchString(path) {
		return nil
	}
	return refuse(http.StatusBadRequest, fmt.Sprintf("%.200q is not the path of a savepoint", path), "latest, none, an absolute path, or a URI such as s3://bucket/savepoints/savepoint-1; without blanks")
}

// decide applies a user's wish to a run that has not ended.
func (a *API) decide(r *http.Request, run store.Run, o jobstate.Observation) (int, any, error) {
	if run.State.HasEnded() {
		return 0, nil, refuse(http.StatusConflict, fmt.Sprintf("the run has ended (%s)", run.State.Outcome), "")
	}
	if err := a.acts(); err != nil {
		return 0, nil, err
	}
	after, err := a.Decide(r.Context(), run.State.ID, o)
	return http.StatusAccepted, runOf(after), err
}

// decided is the run of a job that a request was applied to already: it is repeated, and the server that did it has not answered.
func (a *API) decided(ctx context.Context, job, reservation string) (store.Run, bool, error) {
	if reservation == "" {
		return store.Run{}, false, nil
	}
	const since = 20 // more runs do not begin while a request is repeated
	runs, err := a.Store.Runs(ctx, job, "", since)
	for _, run := range runs {
		if run.State.Request == reservation {
			return run, true, nil
		}
	}
	return store.Run{}, false, err
}

func (a *API) stop(w http.ResponseWriter, r *http.Request) error {
	j, err := a.job(r)
	var in wire.Stop
	if err == nil {
		err = read(w, r, &in)
	}
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"", "savepoint", "drain", "cancel"}, in.Mode) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("unknown mode %q", in.Mode), "savepoint, drain or cancel")
	}
	return a.once(w, r, fmt.Appendf(nil, "stop %s %+v", r.URL, in), func(reservation string) (int, any, error) {
		if run, decided, err := a.decided(r.Context(), j.Name, reservation); decided || err != nil {
			return http.StatusAccepted, runOf(run), err
		}
		var o jobstate.Observation = jobstate.AskStop{By: who(r).name, Drain: in.Mode == "drain", Request: reservation}
		if in.Mode == "cancel" {
			o = jobstate.AskCancel{By: who(r).name, Request: reservation}
		}
		run, err := a.run(r)
		if err == nil && run.State.Cluster {
			if in.Mode != "cancel" {
				return 0, nil, refuse(http.StatusConflict, fmt.Sprintf("%s is a session cluster, which has no savepoint", run.Job), "stop its jobs with savepoints, then cancel it")
			}
			err = a.unused(r)
		}
		if err != nil {
			return 0, nil, err
		}
		return a.decide(r, run, o)
	})
}

// Bounds of the time in which a new version has to run, in seconds.
const (
	usualWithin = 300
	mostWithin  = 24 * 60 * 60
)

// upgrade: POST /v1/jobs/{job}/upgrade: a stop with savepoint, and the start of another version from it.
func (a *API) upgrade(w http.ResponseWriter, r *http.Request) error {
	j, err := a.job(r)
	var in wire.UpgradeJob
	if err == nil {
		err = read(w, r, &in)
	}
	if err != nil {
		return err
	}
	return a.once(w, r, fmt.Appendf(nil, "upgrade %s %+v", r.URL, in), func(reservation string) (int, any, error) {
		if run, decided, err := a.decided(r.Context(), j.Name, reservation); decided || err != nil {
			return http.StatusAccepted, runOf(run), err
		}
		run, err := a.run(r)
		if err != nil {
			return 0, nil, err
		}
		within := cmp.Or(in.Within, usualWithin)
		if within < 1 || within > mostWithin {
			return 0, nil, refuse(http.StatusBadRequest, fmt.Sprintf("within is %d, expected seconds from 1 to %d", within, mostWithin), "")
		}
		then := jobstate.Upgrade{Version: cmp.Or(in.Version, j.Newest), Within: time.Duration(within) * time.Second, By: who(r).name}
		if err := a.upgradable(r.Context(), run, then.Version); err != nil {
			return 0, nil, err
		}
		if in.Version == 0 && run.Version == j.Newest {
			return 0, nil, refuse(http.StatusConflict, fmt.Sprintf("the job %s runs its newest version, %d, already", run.Job, run.Version), "submit the next version first; an upgrade that names the version restarts the job with a savepoint")
		}
		status, answer, err := a.decide(r, run, jobstate.AskStop{By: then.By, Drain: in.Drain, Then: &then, Request: reservation})
		if after, ok := answer.(wire.Run); err == nil && ok && (after.Upgrade == nil || after.Upgrade.State != "stopping" || after.Upgrade.To != then.Version) {
			return 0, nil, refuse(http.StatusConflict, fmt.Sprintf("the job %s is being stopped by another request, which came first", run.Job), "look at the job, and upgrade it when it runs again")
		}
		return status, answer, err
	})
}

// upgradable refuses an upgrade that cannot begin.
func (a *API) upgradable(ctx context.Context, run store.Run, version int) error {
	if _, err := a.Store.Version(ctx, run.Job, version); errors.Is(err, store.ErrNotFound) {
		return noVersion(run.Job, fmt.Sprint(version))
	} else if err != nil {
		return err
	}
	s := run.State
	switch {
	case s.Cluster:
		return refuse(http.StatusConflict, fmt.Sprintf("%s is a session cluster, which has no savepoint", run.Job), "upgrade its jobs, or stop and start it")
	case s.HasEnded():
		return refuse(http.StatusConflict, fmt.Sprintf("the job %s does not run: its newest run has ended (%s)", run.Job, s.Outcome), "start the version, with savepoint latest")
	case s.Queue != jobstate.Running || s.Desired != jobstate.WantRun:
		return refuse(http.StatusConflict, fmt.Sprintf("the job %s does not run: its run is in the queue %s", run.Job, s.Queue), "wait until it runs, or cancel it and start the version")
	case s.Trial != nil:
		return refuse(http.StatusConflict, fmt.Sprintf("the upgrade from version %d is not decided yet", s.Trial.From), "wait, or stop the job")
	}
	return nil
}

func (a *API) resolve(w http.ResponseWriter, r *http.Request) error {
	run, o, err := a.resolution(w, r)
	if err != nil {
		return err
	}
	status, after, err := a.decide(r, run, o)
	if err != nil {
		return err
	}
	return answer(w, status, after)
}

// resolution is the run that a person decides about, and how.
func (a *API) resolution(w http.ResponseWriter, r *http.Request) (store.Run, jobstate.Observation, error) {
	run, err := a.run(r)
	var in wire.Resolve
	if err == nil {
		err = read(w, r, &in)
	}
	if err != nil {
		return run, nil, err
	}
	as := jobstate.Outcome(in.As)
	switch as {
	case jobstate.IsFinished, jobstate.IsFailed, jobstate.IsCanceled:
	case "empty":
		if run.State.Condition != jobstate.Parked {
			return run, nil, refuse(http.StatusConflict, "only a parked run is started without state", "")
		}
		return run, jobstate.AskStartEmpty{By: who(r).name}, nil
	default:
		return run, nil, refuse(http.StatusBadRequest, fmt.Sprintf("unknown outcome %q", in.As), "finished, failed or canceled; empty starts a parked run without state")
	}
	if strings.TrimSpace(in.Reason) == "" {
		return run, nil, refuse(http.StatusBadRequest, "the reason is missing", "the timeline shows it to those who ask later")
	}
	if c := run.State.Condition; c != jobstate.Lost && c != jobstate.Parked && c != jobstate.Ending {
		return run, nil, refuse(http.StatusConflict, "only a run that is lost, parked or ending is resolved by a person; this one answers", "stop it instead")
	}
	return run, jobstate.AskResolve{By: who(r).name, As: as, Reason: in.Reason}, nil
}

// exceptions are of the cluster while it answers, and of the archive after it.
func (a *API) exceptions(w http.ResponseWriter, r *http.Request) error {
	run, err := a.run(r)
	if err != nil {
		return err
	}
	out := []wire.Exception{}
	add := func(all []flinkrest.Exception) {
		for _, x := range all {
			stack := mask.Text(x.Text)
			e := wire.Exception{Name: x.Name, Cause: flinkrest.Cause(stack), Task: x.Task, Stack: stack}
			if !x.At.IsZero() {
				e.At = x.At.Format("2006-01-02T15:04:05.000Z07:00")
			}
			out = append(out, e)
		}
	}
	for _, j := range run.State.Jobs {
		if archived, err := a.archived(r.Context(), run.State.ID, j.ID, "/jobs/"+j.ID+"/exceptions"); err == nil {
			all, err := flinkrest.ExceptionsOf(archived)
			if err != nil {
				return err
			}
			add(all)
			continue
		}
		err := a.asked(r.Context(), run, func(base string) error {
			all, err := a.REST.Exceptions(r.Context(), base, j.ID)
			add(all)
			return err
		})
		if err != nil {
			return refuse(http.StatusServiceUnavailable, "the cluster does not answer, and has archived nothing: "+err.Error(), "the log may have the cause")
		}
	}
	return answer(w, http.StatusOK, map[string]any{"exceptions": out})
}

func (a *API) checkpoints(w http.ResponseWriter, r *http.Request) error {
	run, err := a.run(r)
	if err != nil {
		return err
	}
	out := map[string]wire.Checkpoints{}
	for _, j := range run.State.Jobs {
		if archived, err := a.archived(r.Context(), run.State.ID, j.ID, "/jobs/"+j.ID+"/checkpoints"); err == nil {
			c, err := flinkrest.CheckpointsOf(archived)
			if err != nil {
				return err
			}
			out[j.ID] = checkpointsOf(c)
			continue
		}
		err := a.asked(r.Context(), run, func(base string) error {
			c, err := a.REST.Checkpoints(r.Context(), base, j.ID)
			if err == nil {
				out[j.ID] = checkpointsOf(c)
			}
			return err
		})
		if err != nil {
			return refuse(http.StatusServiceUnavailable, "the cluster does not answer, and has archived nothing: "+err.Error(), "")
		}
	}
	return answer(w, http.StatusOK, map[string]any{"jobs": out})
}

func checkpointsOf(c flinkrest.Checkpoints) wire.Checkpoints {
	one := func(c *flinkrest.Checkpoint) *wire.Checkpoint {
		if c == nil {
			return nil
		}
		out := wire.Checkpoint{ID: c.ID, Savepoint: c.IsSavepoint, Status: c.Status, Type: c.Type, Triggered: time.UnixMilli(c.Trigger).UTC(), Size: c.StateSize,
			Duration: float64(c.Duration) / 1000, Failure: mask.Text(c.Failure), Discarded: c.Discarded}
		if !strings.HasPrefix(c.Path, "<") { // <checkpoint-not-externally-addressable>: its state is in the JobManager's memory
			out.Path = c.Path
		}
		return &out
	}
	out := wire.Checkpoints{Counts: wire.CheckpointCounts(c.Counts), History: []wire.Checkpoint{},
		Latest: wire.LatestCheckpoint{Completed: one(c.Latest.Completed), Savepoint: one(c.Latest.Savepoint), Failed: one(c.Latest.Failed)}}
	if r := c.Latest.Restored; r != nil {
		out.Latest.Restored = r.Path
	}
	for i := range c.History {
		out.History = append(out.History, *one(&c.History[i]))
	}
	return out
}

// asked asks the JobManagers of a run, one after the other.
func (a *API) asked(ctx context.Context, run store.Run, f func(base string) error) error {
	if run.State.HasEnded() {
		return errors.New("the run has ended")
	}
	return cluster.Ask(ctx, a.Driver, run.ClusterRun(), f)
}

// archived is one answer of REST that a job's archive keeps.
func (a *API) archived(ctx context.Context, run, job, path string) ([]byte, error) {
	content, err := a.Store.Archive(ctx, run, job)
	if err != nil {
		return nil, err
	}
	return flinkrest.Archived(content, path)
}
