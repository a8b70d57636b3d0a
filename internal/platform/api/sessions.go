package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

// Session clusters have versions, runs, events and logs as jobs have, under the same paths: /v1/jobs/NAME/….

// session is the session cluster that a request is about, if the caller may see it.
func (a *API) session(r *http.Request) (store.Job, error) {
	j, err := a.job(r)
	if p, ok := errors.AsType[*problem](err); ok && p.Status == http.StatusNotFound || err == nil && j.Kind != store.KindCluster {
		return j, notFound("session cluster", r.PathValue("job"))
	}
	return j, err
}

// listClusters: GET /v1/clusters?after=NAME&limit=
func (a *API) listClusters(w http.ResponseWriter, r *http.Request) error {
	n, err := limit(r)
	if err != nil {
		return err
	}
	lines, err := a.Store.Jobs(r.Context(), store.JobFilter{Team: who(r).team, Kind: store.KindCluster, After: r.URL.Query().Get("after"), Limit: n})
	if err != nil {
		return err
	}
	on, err := a.Store.JobsOnSessions(r.Context(), who(r).team)
	if err != nil {
		return err
	}
	clusters := make([]wire.Job, len(lines))
	for i, l := range lines {
		clusters[i] = jobOf(l)
		clusters[i].Jobs = on[l.Job.Name]
	}
	return answer(w, http.StatusOK, map[string]any{"clusters": clusters})
}

func (a *API) getCluster(w http.ResponseWriter, r *http.Request) error {
	j, err := a.session(r)
	if err != nil {
		return err
	}
	l, err := a.line(r.Context(), j)
	if err != nil {
		return err
	}
	on, err := a.Store.JobsOnSessions(r.Context(), j.Team)
	if err != nil {
		return err
	}
	out := jobOf(l)
	out.Jobs = on[j.Name]
	w.Header().Set("ETag", versionTag(j.Newest))
	return answer(w, http.StatusOK, out)
}

func (a *API) putCluster(w http.ResponseWriter, r *http.Request) error {
	return a.put(w, r, store.KindCluster, a.PrepareCluster)
}

func (a *API) deleteCluster(w http.ResponseWriter, r *http.Request) error {
	j, err := a.session(r)
	if err == nil {
		err = a.unused(r)
	}
	if err != nil {
		return err
	}
	err = a.Store.DeleteJob(r.Context(), j.Name)
	if errors.Is(err, store.ErrInUse) {
		return a.inUse(r, "the session cluster "+j.Name, j.Name)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// unused refuses what would end the session cluster of a request while jobs use it.
func (a *API) unused(r *http.Request) error {
	j, err := a.session(r)
	if err != nil {
		return err
	}
	on, err := a.Store.JobsOnSessions(r.Context(), j.Team)
	if err != nil {
		return err
	}
	jobs := on[j.Name]
	if len(jobs) == 0 {
		return nil
	}
	named := strings.Join(jobs[:min(len(jobs), 5)], ", ")
	if len(jobs) > 5 {
		named += ", …"
	}
	return refuse(http.StatusConflict, fmt.Sprintf("the session cluster %s has jobs that have not ended (%d): %s", j.Name, len(jobs), named), "stop them first")
}
