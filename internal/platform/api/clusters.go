package api

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

var flinkID = regexp.MustCompile(`^[0-9a-f]{32}$`)

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
	if !flinkID.MatchString(p.JobID) || p.Attempt == "" || len(p.Attempt) > 200 || p.Sequence < 1 || len(p.Cause) > 64<<10 {
		return refuse(http.StatusBadRequest, "jobId, attempt and sequence are needed", "")
	}
	run, err := a.runOf(r, p.JobID)
	if errors.Is(err, store.ErrNotFound) { // a job of a session cluster that no run has; the cluster's own run names it
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	a.pushes.Add()
	_, err = a.Decide(r.Context(), run, jobstate.Push{Attempt: p.Attempt, Sequence: p.Sequence, JobID: p.JobID, Status: jobstate.Status(p.Status), Cause: flinkrest.Cause(p.Cause)})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// runOf is the run that a Flink job of the caller's cluster belongs to: the caller's, or, if that is a session cluster, the run whose job it
// is. ErrNotFound: no run has it.
func (a *API) runOf(r *http.Request, flinkJob string) (string, error) {
	run, err := a.Store.Run(r.Context(), who(r).run)
	if err == nil && run.State.Cluster {
		run, err = a.Store.RunOnSession(r.Context(), run.State.ID, flinkJob)
	}
	return run.State.ID, err
}

// archive: PUT /v1/runs/{run}/archive/NAME, by the file system plugin of a run's JobManager. It is stored before it counts.
func (a *API) archive(w http.ResponseWriter, r *http.Request) error {
	run := r.PathValue("run")
	if run != who(r).run {
		return refuse(http.StatusForbidden, "the token is of another run", "")
	}
	name := r.PathValue("name")
	job := path.Base(name)
	if !flinkID.MatchString(job) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%q is not the id of a job", job), "")
	}
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
	run = owner
	var end jobstate.Archived
	if !application {
		of, err := a.Store.Run(r.Context(), run)
		if err != nil {
			return err
		}
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
	if err := a.Store.PutArchive(r.Context(), run, stored, received); err != nil {
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
