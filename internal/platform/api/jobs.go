package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

// job is the job that a request is about, if the caller may see it.
func (a *API) job(r *http.Request) (store.Job, error) {
	name := r.PathValue("job")
	j, err := a.Store.Job(r.Context(), name)
	if errors.Is(err, store.ErrNotFound) || err == nil && j.Team != who(r).team {
		return j, notFound("job", name)
	}
	return j, err
}

func jobOf(l store.JobLine) wire.Job {
	j := wire.Job{Name: l.Job.Name, Kind: string(l.Job.Kind), Team: l.Job.Team, Newest: l.Job.Newest, Created: l.Job.Created, CreatedBy: l.Job.CreatedBy}
	if l.Run != nil {
		r := runOf(*l.Run)
		j.Run = &r
	}
	return j
}

// queues are the states by which jobs are asked for.
var queues = []string{string(jobstate.Accept), string(jobstate.Running), string(jobstate.Cancel), string(jobstate.Failed), string(jobstate.Finish), "none"}

// listJobs: GET /v1/jobs?queue=&condition=&ended=&name=&after=&limit=&seen=
func (a *API) listJobs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := store.JobFilter{Team: who(r).team, Kind: store.KindJob, Queue: q.Get("queue"), Condition: q.Get("condition"), Name: q.Get("name"), After: q.Get("after")}
	if f.Queue != "" && !slices.Contains(queues, f.Queue) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("unknown queue %q", f.Queue), "expected one of: "+strings.Join(queues, ", "))
	}
	if !knownCondition(f.Condition) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("unknown condition %q", f.Condition), "expected one of: "+strings.Join(conditions, ", "))
	}
	if text := q.Get("ended"); text != "" {
		ended, err := strconv.ParseBool(text)
		if err != nil {
			return refuse(http.StatusBadRequest, fmt.Sprintf("ended is %q, expected true or false", text), "")
		}
		f.Ended = &ended
	}
	var err error
	if f.Limit, err = limit(r); err != nil {
		return err
	}
	ask := q.Get("seen") == "true"
	if ask && f.Limit > maxSeen {
		return refuse(http.StatusBadRequest, fmt.Sprintf("the clusters of at most %d jobs are asked at once, limit is %d", maxSeen, f.Limit), "")
	}
	lines, err := a.Store.Jobs(r.Context(), f)
	if err != nil {
		return err
	}
	jobs := make([]wire.Job, len(lines))
	for i, l := range lines {
		jobs[i] = jobOf(l)
	}
	if ask {
		var runs []*store.Run
		for _, l := range lines {
			if l.Run != nil {
				runs = append(runs, l.Run)
			}
		}
		said := a.see(r.Context(), runs)
		for i := range jobs {
			if run := jobs[i].Run; run != nil {
				if x, ok := said[run.ID]; ok {
					run.Seen = &x
				}
			}
		}
	}
	return answer(w, http.StatusOK, map[string]any{"jobs": jobs})
}

// limit is how many entries of a list a request wants. The next page is asked for with after=, which is the last entry of this one.
func limit(r *http.Request) (int, error) { return number(r, "limit", 1000, 1, 10000) }

// number reads a whole number of the query.
func number(r *http.Request, key string, otherwise, least, most int) (int, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, refuse(http.StatusBadRequest, fmt.Sprintf("%s is %q, expected a whole number from %d to %d", key, text, least, most), "")
	}
	return n, nil
}

func (a *API) getJob(w http.ResponseWriter, r *http.Request) error {
	j, err := a.job(r)
	if err != nil {
		return err
	}
	l, err := a.line(r.Context(), j)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", versionTag(j.Newest))
	return answer(w, http.StatusOK, jobOf(l))
}

// line is a job or session cluster with its newest run, if it has one.
func (a *API) line(ctx context.Context, j store.Job) (store.JobLine, error) {
	run, err := a.Store.NewestRun(ctx, j.Name)
	if errors.Is(err, store.ErrNotFound) {
		return store.JobLine{Job: j}, nil
	}
	return store.JobLine{Job: j, Run: &run}, err
}

// versionTag is what If-Match of a PUT is compared with: the number of the newest version.
func versionTag(n int) string { return `"v` + strconv.Itoa(n) + `"` }

// ifMatch is the newest version that the caller has seen: -1 if it does not matter, 0 if the job must not exist yet.
func ifMatch(r *http.Request, prefix string) (int, error) {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case none == "*":
		return 0, nil
	case match == "" || match == "*":
		return -1, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(match, `"`+prefix), `"`))
	if err != nil || n < 1 {
		return 0, refuse(http.StatusPreconditionFailed, fmt.Sprintf("If-Match is %s, which never was an ETag of this", match), "")
	}
	return n, nil
}

func (a *API) putJob(w http.ResponseWriter, r *http.Request) error {
	return a.put(w, r, store.KindJob, func(name string, source []byte) (Document, error) {
		return a.Prepare(r.Context(), who(r).team, name, source, chosen(r))
	})
}

// put makes a version of what is sent. With an Idempotency-Key the same request is answered alike.
func (a *API) put(w http.ResponseWriter, r *http.Request, kind store.Kind, prepare func(name string, source []byte) (Document, error)) error {
	c, name := who(r), r.PathValue("job")
	if !nameForm.MatchString(name) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%q is not a name of a %s", name, kind), "small letters, digits and hyphens, at most 63")
	}
	source, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDefinition))
	if err != nil {
		return err
	}
	seen, err := ifMatch(r, "v")
	if err != nil {
		return err
	}
	return a.once(w, r, append([]byte(r.Method+r.URL.String()+"\n"+r.Header.Get("If-Match")+"\n"), source...), func(reservation string) (int, any, error) {
		d, err := prepare(fileName(name, r), source)
		if err != nil {
			return 0, nil, err
		}
		sum := sha256.Sum256(d.Document)
		v, made, err := a.Store.PutJobWithin(r.Context(), c.team, store.Version{Job: name, Kind: kind, Document: d.Document, Digest: hex.EncodeToString(sum[:]), Source: source,
			Catalogs: d.Catalogs, Comment: r.URL.Query().Get("comment"), By: c.name, Reservation: reservation}, seen, a.Limits.Definitions)
		switch {
		case errors.Is(err, store.ErrDefinitions):
			return 0, nil, refuse(http.StatusInsufficientStorage, err.Error(), "delete jobs that are not needed any more, or ask an operator for more (--max-definitions)")
		case errors.Is(err, store.ErrConflict):
			if r.Header.Get("If-Match") == "" {
				return 0, nil, refuse(http.StatusPreconditionFailed, fmt.Sprintf("the %s %s exists", kind, name), "without If-None-Match, this is its next version")
			}
			return 0, nil, refuse(http.StatusPreconditionFailed, fmt.Sprintf("the %s has another version by now", kind), "read it again, and decide whether your change still fits")
		case errors.Is(err, store.ErrExists):
			return 0, nil, refuse(http.StatusConflict, fmt.Sprintf("the name %q is taken", name), "choose another one; jobs and session clusters share their names")
		case err != nil:
			return 0, nil, err
		}
		out, err := a.versionOf(r, c.team, v)
		out.Warnings = d.Warnings
		status := http.StatusOK
		if made {
			status = http.StatusCreated
		}
		w.Header().Set("ETag", versionTag(v.Number))
		return status, out, err
	})
}

// chosen are the catalogs of a script alone: ?catalog=NAME, as often as needed.
func chosen(r *http.Request) []string { return r.URL.Query()["catalog"] }

// fileName is what faults call the definition of a job; a script alone is sent as application/sql.
func fileName(job string, r *http.Request) string {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/sql" {
		return job + ".sql"
	}
	return job + ".yaml"
}

func (a *API) deleteJob(w http.ResponseWriter, r *http.Request) error {
	j, err := a.job(r)
	if err != nil {
		return err
	}
	if j.Kind != store.KindJob {
		return refuse(http.StatusConflict, fmt.Sprintf("%s is a session cluster", j.Name), "delete it as one: flink-platform cluster delete "+j.Name)
	}
	err = a.Store.DeleteJob(r.Context(), j.Name)
	if errors.Is(err, store.ErrInUse) {
		return a.inUse(r, "the job "+j.Name, j.Name)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// inUse refuses to delete a job or cluster that has a run which goes on, or whose end still leaves something to do.
func (a *API) inUse(r *http.Request, what, name string) error {
	run, err := a.Store.NewestRun(r.Context(), name)
	if err == nil && run.State.HasEnded() {
		return refuse(http.StatusConflict, what+" has a run that has ended, and whose logs and archive are still collected", "try again in some seconds")
	}
	return refuse(http.StatusConflict, what+" has a run that has not ended", "stop it first")
}

func (a *API) versionOf(r *http.Request, team string, v store.Version) (wire.Version, error) {
	out := wire.Version{Job: v.Job, Number: v.Number, Digest: v.Digest, Comment: v.Comment, Created: v.Created, By: v.By}
	for _, used := range v.Catalogs {
		u := wire.UsedCatalog{Name: used.Name, Revision: used.Revision}
		c, err := a.Store.Catalog(r.Context(), team, used.Name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return out, err
		}
		u.Newest = c.Revision
		out.Catalogs = append(out.Catalogs, u)
	}
	return out, nil
}

// listVersions: GET /v1/jobs/{job}/versions?after=NUMBER&limit=
func (a *API) listVersions(w http.ResponseWriter, r *http.Request) error {
	j, err := a.job(r)
	if err != nil {
		return err
	}
	n, err := limit(r)
	if err != nil {
		return err
	}
	after, err := number(r, "after", 0, 1, math.MaxInt32)
	if err != nil {
		return err
	}
	all, err := a.Store.Versions(r.Context(), j.Name, after, n)
	if err != nil {
		return err
	}
	versions := make([]wire.Version, len(all))
	for i, v := range all {
		if versions[i], err = a.versionOf(r, j.Team, v); err != nil {
			return err
		}
	}
	return answer(w, http.StatusOK, map[string]any{"versions": versions})
}

// getVersion is what pods ask for: the document itself, as docs/definition-service.yaml describes. With ?view=info it is what the platform
// knows about it, with what the user sent.
func (a *API) getVersion(w http.ResponseWriter, r *http.Request) error {
	c, name := who(r), r.PathValue("job")
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 1 {
		return noVersion(name, r.PathValue("n"))
	}
	if c.run != "" {
		// A run's token reads the one version that the run has.
		run, err := a.Store.Run(r.Context(), c.run)
		if err != nil {
			return err
		}
		if run.Job != name || run.Version != n {
			return notFound("job", name)
		}
	} else if _, err := a.job(r); err != nil {
		return err
	}
	v, err := a.Store.Version(r.Context(), name, n)
	if errors.Is(err, store.ErrNotFound) {
		return noVersion(name, r.PathValue("n"))
	}
	if err != nil {
		return err
	}
	if r.URL.Query().Get("view") == "info" {
		out, err := a.versionOf(r, c.team, v)
		out.Source = string(v.Source)
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, out)
	}
	// The compressed form has the same content but other bytes, so it has a weak tag and a digest of its own (RFC 9110, 9530).
	tag, body, zipped := `"`+v.Digest[:32]+`"`, v.Document, acceptsGzip(r.Header.Values("Accept-Encoding"))
	h := w.Header()
	h.Set("ETag", tag)
	if zipped {
		h.Set("ETag", "W/"+tag)
	}
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Vary", "Accept-Encoding")
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if zipped {
		h.Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(body)
		z.Close()
		body = b.Bytes()
	}
	sum := sha256.Sum256(body)
	h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	h.Set("Content-Type", contentType(v.Document))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
	return nil
}

// acceptsGzip reports whether a request wants gzip: it is named, and not with the weight 0.
func acceptsGzip(header []string) bool {
	for one := range strings.SplitSeq(strings.Join(header, ","), ",") {
		coding, parameters, _ := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(parameters), "q="), 64)
			return err != nil || weight > 0
		}
	}
	return false
}

func contentType(document []byte) string {
	if t := bytes.TrimSpace(document); len(t) > 0 && t[0] == '{' {
		return "application/json"
	}
	return "application/yaml"
}

// matches reports whether If-None-Match names a tag.
func matches(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}
