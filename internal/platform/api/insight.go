package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"

	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/workbench"
)

// versionIn is the version that a request names with ?version=, or the newest.
func (a *API) versionIn(r *http.Request) (store.Version, error) {
	j, err := a.job(r)
	if err != nil {
		return store.Version{}, err
	}
	n, err := number(r, "version", j.Newest, 1, math.MaxInt32)
	if err != nil {
		return store.Version{}, err
	}
	v, err := a.Store.Version(r.Context(), j.Name, n)
	if errors.Is(err, store.ErrNotFound) {
		return v, noVersion(j.Name, fmt.Sprint(n))
	}
	return v, err
}

// memory: GET /v1/jobs/{job}/memory?version=
func (a *API) memory(w http.ResponseWriter, r *http.Request) error {
	v, err := a.versionIn(r)
	if err != nil {
		return err
	}
	if a.Memory == nil {
		return refuse(http.StatusServiceUnavailable, "this server has no Flink distribution and no flink-entrypoint to explain with", "flink-entrypoint explain taskmanager does the same on your machine")
	}
	out, err := a.Memory(r.Context(), v.Document)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		a.Log.Warn("memory is not explained", "job", v.Job, "version", v.Number, "error", err)
		return refuse(http.StatusServiceUnavailable, "flink-entrypoint explain took too long", "try again; this machine may be busy")
	case err != nil:
		a.Log.Error("memory is not explained", "job", v.Job, "version", v.Number, "error", err, "requestId", w.Header().Get("X-Request-Id"))
		return refuse(http.StatusServiceUnavailable, "flink-entrypoint explain has failed", "the server's log has the reason under the request's id")
	}
	out.Version = v.Number
	return answer(w, http.StatusOK, out)
}

// jobLineage: GET /v1/jobs/{job}/lineage?version=
func (a *API) jobLineage(w http.ResponseWriter, r *http.Request) error {
	v, err := a.versionIn(r)
	if err != nil {
		return err
	}
	if a.Workbench == nil {
		return noWorkbench()
	}
	// What the user sent has the lines that the user knows, but not the catalogs that were written into the version.
	script := workbench.Script{Name: v.Job + ".yaml", Source: v.Document}
	if len(v.Catalogs) == 0 && string(v.Source) != string(v.Document) {
		script = workbench.Script{Name: v.Job + ".sql", Source: v.Source}
	}
	in := sent{Script: script, name: script.Name}
	if in.Sent = string(script.Source) == string(v.Source); !in.Sent { // the user has never seen its lines
		in.place = func(line, column int) (int, int, bool) { return line, column, false }
	}
	return a.answerLineage(w, r, in)
}
