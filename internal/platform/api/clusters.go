package api

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

// What a run's pods send is stored, so it has a form.
var (
	flinkID     = regexp.MustCompile(`^[0-9a-f]{32}$`)
	attemptForm = regexp.MustCompile(`^[!-~]{1,200}$`)
	statusForm  = regexp.MustCompile(`^[A-Z_]{1,40}$`)
)

// flinkEvent: POST /v1/flink-events, by the status listener of a run's JobManager. 204 also where the event changes nothing: it is not
// sent again.
func (a *API) flinkEvent(w http.ResponseWriter, r *http.Request) error {
	var p wire.Push
	if err := read(w, r, &p); err != nil {
		return err
	}
	if p.Run != who(r).run {
		return refuse(http.StatusForbidden, "the token is of another run", "")
	}
	if !flinkID.MatchString(p.JobID) || !attemptForm.MatchString(p.Attempt) || !statusForm.MatchString(p.Status) || p.Sequence < 1 || len(p.Cause) > 64<<10 {
		return refuse(http.StatusBadRequest, "jobId, attempt, sequence and status are needed, and a cause of at most 64 KiB", "")
	}
	run, err := a.runOf(r, p.JobID)
	if errors.Is(err, store.ErrNotFound) { // a job of a session cluster that no run has; the cluster's own run names it
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	status := jobstate.Status(p.Status)
	if len(run.State.Jobs) >= maxJobs && !slices.ContainsFunc(run.State.Jobs, func(j jobstate.Job) bool { return j.ID == p.JobID }) {
		return tooMany(w, time.Hour, fmt.Sprintf("the run has %d Flink jobs, which is the limit", maxJobs))
	}
	if run.Revision >= a.Limits.Reported && !(status.Terminal() && p.JobID == run.State.JobID) {
		return tooMany(w, time.Hour, fmt.Sprintf("the run has changed %d times: only the end of its job is taken; everything else is asked of its JobManager", run.Revision))
	}
	a.pushes.Add()
	_, err = a.Decide(r.Context(), run.State.ID, jobstate.Push{Attempt: p.Attempt, Sequence: p.Sequence, JobID: p.JobID, Status: status, Cause: flinkrest.Cause(p.Cause)})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// maxJobs is how many Flink jobs of a run are noted: its row is written with each change, and has them all.
const maxJobs = 1000

// runOf is the run that a Flink job of the caller's cluster belongs to: the caller's, or, if that is a session cluster, the run whose job it
// is. ErrNotFound: no run has it.
func (a *API) runOf(r *http.Request, flinkJob string) (store.Run, error) {
	run, err := a.Store.Run(r.Context(), who(r).run)
	if err == nil && run.State.Cluster {
		run, err = a.Store.RunOnSession(r.Context(), run.State.ID, flinkJob)
	}
	return run, err
}

// archive: PUT /v1/runs/{run}/archive/NAME, by the file system plugin of a run's JobManager. It is stored before it counts.
func (a *API) archive(w http.ResponseWriter, r *http.Request) error {
	if r.PathValue("run") != who(r).run {
		return refuse(http.StatusForbidden, "the token is of another run", "")
	}
	name := r.PathValue("name")
	job := path.Base(name)
	if !flinkID.MatchString(job) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%q is not the id of a job", job), "")
	}
	leave, err := a.uploading(w, r)
	if err != nil {
		return err
	}
	defer leave()
	received, err := a.Store.Receive(http.MaxBytesReader(w, r.Body, maxArchive))
	if err != nil {
		return err
	}
	defer received.Close()
	// Flink 2.3 also archives the application, which says nothing about a job that the jobs' own archives do not say.
	application := path.Base(path.Dir(name)) == "applications"
	owner, err := a.runOf(r, job)
	if errors.Is(err, store.ErrNotFound) { // of a session cluster: an application, or a job that no run has
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	run, of := owner.State.ID, owner
	var end jobstate.Archived
	if !application {
		savepoints := a.Driver.SavepointDir(run)
		if of.State.Stop != nil {
			savepoints = cluster.StopDir(a.Driver, run, of.State.Stop.Trigger)
		}
		content, err := received.Open()
		if err != nil {
			return err
		}
		if end, err = flinkrest.EndOf(content, job, savepoints); err != nil {
			return refuse(http.StatusUnprocessableEntity, err.Error(), "")
		}
	}
	stored := job
	if application {
		stored = "applications/" + job
	}
	if err := a.Store.PutArchive(r.Context(), run, stored, received); errors.Is(err, store.ErrArchives) {
		return refuse(http.StatusInsufficientStorage, err.Error(), "each job is archived once")
	} else if err != nil {
		return err
	}
	if application {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	a.pushes.Add()
	if _, err := a.Decide(r.Context(), run, end); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
