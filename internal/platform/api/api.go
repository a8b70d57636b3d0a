// Package api is the platform's HTTP interface: jobs and their versions, runs, events, catalogs, artifacts, tokens; and what clusters of
// runs ask and tell. docs/platform-api.yaml describes it, and a test holds each handler against that page.
//
// A token sees its team only: everything else is answered as if it did not exist.
package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/docs"
	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/meter"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/internal/platform/workbench"
)

// An API answers requests.
type API struct {
	Store  *store.Store
	Driver cluster.Driver
	REST   *flinkrest.Client
	Log    *slog.Logger
	// Prepare checks what a user sent and makes of it what pods get. name ends in .sql where it is a script alone; only then catalogs may be
	// chosen beside it.
	Prepare func(ctx context.Context, team, name string, source []byte, catalogs []string) (Document, error)
	// PrepareCluster does it for a session cluster.
	PrepareCluster func(name string, source []byte) (Document, error)
	// CheckCatalog says what is wrong with a CREATE CATALOG statement for a name.
	CheckCatalog func(name, statement string) Faults
	// Decide applies an observation to a run, whoever else writes; see monitor.
	Decide func(ctx context.Context, run string, o jobstate.Observation) (store.Run, error)
	// Begin starts a version as a new run.
	Begin func(ctx context.Context, job string, version int, asked store.Asked) (store.Run, error)
	// Memory explains how the processes of a definition divide their memory; nil: this server cannot. context.DeadlineExceeded: it took too long.
	Memory func(ctx context.Context, definition []byte) (wire.Memory, error)
	// Open: requests without a token are of a local user who may do everything. Only for a server on loopback.
	Open bool
	// Loopback: the server listens there, so it answers under the names of loopback alone. Host is one more, of a proxy on this machine that asks for
	// tokens; it does not count where the server is Open.
	Loopback bool
	Host     string
	// Observes: nothing is started or stopped (restored from a backup, not resumed).
	Observes func() bool
	// OneTeam: every cluster runs as the same user of one machine, where the jobs of one team can read those of another.
	OneTeam bool
	Limits  Limits
	// Version of the program.
	Version string
	// URL is the address under which clusters reach the server.
	URL string
	// Workbench tries and checks scripts; nil: this server does not.
	Workbench workbench.Bench
	// Pages answers what is not of the API, and problems of browsers; nil: problem documents do.
	Pages Pages
	// Secure: browsers reach the server by https, through a proxy. Their cookie is never sent without it.
	Secure bool
	// Polls is how many looks at runs there are a second.
	Polls func() float64
	// Owner names this process in reservations of keys, and Lease is how long one lasts unless it is renewed; 0: 30 s.
	Owner string
	Lease time.Duration
	// Point, if not nil, is called at each place where a crash must do no harm.
	Point func(place string)
	// StreamCheck is how often the rights of a reader of a stream are looked at again; 0: a minute.
	StreamCheck time.Duration

	usage    usage
	pushes   meter.Meter
	clusters seen
	keys     keys
	started  time.Time
	patterns []string
}

// A Document is a checked definition.
type Document struct {
	Document []byte
	Catalogs []store.UsedCatalog
	Warnings []string
	// Place is where a place of the script is in what the user sent. ok is false where that has not the script; then the place is the script's.
	Place func(line, column int) (sentLine, sentColumn int, ok bool)
	// Planned is what the workbench reads: the document with its catalogs, and with the script that sql.scriptUri names. nil: what the user sent.
	Planned []byte
	// NoScript is why the script of sql.scriptUri was not fetched; nil: it was, or the script is in the definition.
	NoScript error
}

// Faults is an error of Prepare: everything that is wrong with a definition.
type Faults []wire.Fault

func (f Faults) Error() string {
	if len(f) == 1 {
		return "one fault"
	}
	return fmt.Sprintf("%d faults", len(f))
}

// Bounds of what is taken.
const (
	maxDefinition = 16 << 20
	maxSmall      = 1 << 20
	maxArchive    = 64 << 20
	maxStatement  = 64 << 10 // of a catalog
)

// nameForm is what names of jobs, catalogs and tokens look like; artifacts may also have dots, underscores and capitals.
var (
	nameForm     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	artifactForm = regexp.MustCompile(`^[A-Za-z0-9]([-._A-Za-z0-9]{0,198}[A-Za-z0-9])?$`)
)

// A caller is who asks.
type caller struct {
	name string
	role store.Role
	team string
	run  string
	// local: without a token, on a server on loopback.
	local bool
	// session is when the browser's session ends that the request came with; zero: it came without one.
	session time.Time
}

// key is the same for each request of a token: names are unique in the store.
func (c caller) key() string { return "token " + c.name }

type callerKey struct{}

func who(r *http.Request) caller { return r.Context().Value(callerKey{}).(caller) }

// a problem ends a handler.
type problem struct{ wire.Problem }

func (p *problem) Error() string { return p.Detail }

func refuse(status int, detail, hint string) error {
	return &problem{wire.Problem{Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint}}
}

func notFound(what, name string) error {
	return refuse(http.StatusNotFound, fmt.Sprintf("unknown %s %q", what, name), "")
}

func noVersion(job, n string) error {
	return refuse(http.StatusNotFound, fmt.Sprintf("unknown version %q of %s", n, job), "")
}

// Handler is all routes.
func (a *API) Handler() http.Handler {
	a.Limits = a.Limits.WithDefaults()
	a.started = time.Now()
	mux := http.NewServeMux()
	methods := map[string][]string{} // by path
	handle := func(pattern string, h http.Handler) {
		method, path, _ := strings.Cut(pattern, " ")
		if methods[path] = append(methods[path], method); method == http.MethodGet {
			methods[path] = append(methods[path], http.MethodHead)
		}
		a.patterns = append(a.patterns, pattern)
		mux.Handle(pattern, h)
	}
	route := func(pattern string, role store.Role, h func(w http.ResponseWriter, r *http.Request) error) {
		handle(pattern, a.guarded(role, h))
	}
	route("GET /v1/jobs", store.RoleView, a.listJobs)
	route("GET /v1/jobs/{job}", store.RoleView, a.getJob)
	route("PUT /v1/jobs/{job}", store.RoleEdit, a.putJob)
	route("DELETE /v1/jobs/{job}", store.RoleEdit, a.deleteJob)
	route("GET /v1/jobs/{job}/versions", store.RoleView, a.listVersions)
	route("GET /v1/jobs/{job}/versions/{n}", store.RoleRun, a.getVersion)
	route("POST /v1/jobs/{job}/start", store.RoleEdit, a.start)
	route("POST /v1/jobs/{job}/stop", store.RoleEdit, a.stop)
	route("POST /v1/jobs/{job}/upgrade", store.RoleEdit, a.upgrade)
	route("GET /v1/jobs/{job}/runs", store.RoleView, a.listRuns)
	route("GET /v1/jobs/{job}/runs/{run}", store.RoleView, a.getRun)
	route("POST /v1/jobs/{job}/runs/{run}/resolve", store.RoleEdit, a.resolve)
	route("GET /v1/jobs/{job}/exceptions", store.RoleView, a.exceptions)
	route("GET /v1/jobs/{job}/checkpoints", store.RoleView, a.checkpoints)
	route("GET /v1/jobs/{job}/memory", store.RoleView, a.memory)
	route("GET /v1/jobs/{job}/lineage", store.RoleView, a.jobLineage)
	route("GET /v1/jobs/{job}/logs", store.RoleView, a.logs)
	route("GET /v1/jobs/{job}/events", store.RoleView, a.events)
	route("GET /v1/events", store.RoleView, a.events)
	route("GET /v1/clusters", store.RoleView, a.listClusters)
	route("GET /v1/clusters/{job}", store.RoleView, a.getCluster)
	route("PUT /v1/clusters/{job}", store.RoleEdit, a.putCluster)
	route("DELETE /v1/clusters/{job}", store.RoleEdit, a.deleteCluster)
	route("GET /v1/catalogs", store.RoleView, a.listCatalogs)
	route("GET /v1/catalogs/{name}", store.RoleView, a.getCatalog)
	route("PUT /v1/catalogs/{name}", store.RoleEdit, a.putCatalog)
	route("DELETE /v1/catalogs/{name}", store.RoleEdit, a.deleteCatalog)
	route("POST /v1/catalogs/{name}/check", store.RoleEdit, a.checkCatalog)
	route("GET /v1/artifacts", store.RoleView, a.listArtifacts)
	route("GET /v1/artifacts/{name}", store.RoleRun, a.getArtifact)
	route("PUT /v1/artifacts/{name}", store.RoleEdit, a.putArtifact)
	route("DELETE /v1/artifacts/{name}", store.RoleEdit, a.deleteArtifact)
	route("GET /v1/tokens", store.RoleAdmin, a.listTokens)
	route("POST /v1/tokens", store.RoleAdmin, a.makeToken)
	route("DELETE /v1/tokens/{name}", store.RoleAdmin, a.deleteToken)
	route("GET /v1/health", store.RoleView, a.health)
	route("GET /metrics", store.RoleView, a.metrics)
	route("GET /v1/counts", store.RoleView, a.counts)
	route("GET /v1/me", store.RoleView, a.me)
	route("POST /v1/codes", store.RoleView, a.makeCode)
	handle("POST /v1/sessions", a.everybody(a.signIn))
	handle("DELETE /v1/session", a.everybody(a.signOut))
	route("POST /v1/validate", store.RoleEdit, a.validate)
	route("POST /v1/debug", store.RoleEdit, a.debug)
	route("POST /v1/lineage", store.RoleView, a.lineage)
	route("POST /v1/flink-events", roleOfRun, a.flinkEvent)
	route("PUT /v1/runs/{run}/archive/{name...}", roleOfRun, a.archive)
	handle("GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }))
	handle("GET /readyz", http.HandlerFunc(a.ready))
	handle("GET /openapi.yaml", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		io.WriteString(w, docs.API)
	}))
	for path, allowed := range methods { // a pattern with a method is preferred to the same path without one
		slices.Sort(allowed)
		mux.Handle(path, a.guarded("", wrongMethod(strings.Join(allowed, ", "))))
	}
	unknown := a.guarded("", func(_ http.ResponseWriter, r *http.Request) error {
		return refuse(http.StatusNotFound, "no such path: "+r.URL.Path, "GET /openapi.yaml lists the paths")
	})
	mux.Handle("/v1", unknown)
	mux.Handle("/v1/", unknown)
	if a.Pages != nil {
		mux.Handle("/", a.Pages)
	} else {
		mux.Handle("/", unknown)
	}
	return a.outer(mux)
}

// Patterns are the routes, as net/http writes them.
func Patterns() []string {
	var a API
	a.Handler()
	return a.patterns
}

// wrongMethod answers a request of a path that has only other methods.
func wrongMethod(allowed string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Allow", allowed)
		return refuse(http.StatusMethodNotAllowed, fmt.Sprintf("%s cannot be used with the path %s, expected %s", r.Method, r.URL.Path, allowed), "GET /openapi.yaml lists the methods of each path")
	}
}

// roleOfRun: only a run's own token.
const roleOfRun store.Role = "the run itself"

// outer is what holds for each request: which hosts are answered, an id, a log line, no panic that ends the server.
func (a *API) outer(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if len(id) > 100 || id == "" || strings.ContainsFunc(id, func(c rune) bool { return c < ' ' || c > '~' }) {
			id = store.NewID()
		}
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		began := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				a.Log.Error("internal error (a bug)", "panic", fmt.Sprint(p), "requestId", id, "stack", string(debug.Stack()))
				if sw.status == 0 {
					a.answerError(sw, r, errors.New("internal error (a bug)"))
				}
			}
			level := slog.LevelDebug
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				level = slog.LevelInfo
			}
			a.Log.Log(r.Context(), level, "request", "method", r.Method, "path", mask.Text(r.URL.Path), "status", sw.status, "duration", time.Since(began), "requestId", id)
		}()
		if (a.Open || a.Loopback) && !loopbackHost(r.Host) && (a.Open || a.Host == "" || !strings.EqualFold(r.Host, a.Host)) {
			// A page of another site can make a browser call this port under a name of its own (DNS rebinding).
			a.answerError(sw, r, refuse(http.StatusMisdirectedRequest, "this server answers for localhost only", "call it as http://localhost or http://127.0.0.1; a proxy on its machine may use the host of --url, with --auth"))
			return
		}
		if err := cross.Check(r); err != nil {
			a.answerError(sw, r, refuse(http.StatusForbidden, "a request of another site is refused", ""))
			return
		}
		next.ServeHTTP(sw, r)
	})
}

func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	switch strings.Trim(host, "[]") {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(code int) {
	if s.status == 0 {
		s.status = code
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *statusWriter) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// guarded lets callers with enough rights through, and answers errors as problem documents.
func (a *API) guarded(role store.Role, h func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := a.caller(r)
		if own, ok := errors.AsType[*problem](err); ok && own.Status == http.StatusUnauthorized {
			err = cmp.Or(a.unknown(w, r), err)
		}
		if err == nil {
			err = a.limited(w, r, c)
		}
		if err == nil {
			err = allowed(c, role)
		}
		if err == nil {
			ctx := context.WithValue(r.Context(), callerKey{}, c)
			if c.run == "" {
				ctx = store.ByUser(ctx, c.name)
			}
			err = h(w, r.WithContext(ctx))
		}
		if err != nil {
			a.answerError(w, r, err)
		}
	})
}

func (a *API) caller(r *http.Request) (caller, error) {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, b, err := a.browserSession(r)
		switch {
		case err == nil:
			return sessionCaller(b), nil
		case !errors.Is(err, store.ErrNotFound):
			return caller{}, err
		case a.Open:
			return localUser(), nil
		}
		return caller{}, refuse(http.StatusUnauthorized, "a bearer token is needed", "Authorization: Bearer TOKEN; an admin makes one with: flink-platform token make NAME")
	}
	t, err := a.Store.TokenOf(r.Context(), secret)
	if errors.Is(err, store.ErrNotFound) {
		return caller{}, refuse(http.StatusUnauthorized, "the bearer token is not valid, or no longer", "")
	}
	return callerOf(t), err
}

// DefaultTeam is the team of a server that has one only.
const DefaultTeam = "default"

func allowed(c caller, need store.Role) error {
	rank := map[store.Role]int{store.RoleView: 1, store.RoleEdit: 2, store.RoleAdmin: 3}
	switch {
	case need == "":
		return nil
	case need == roleOfRun && c.run != "", need == store.RoleRun: // which run, or which team, is the handler's question
		return nil
	case need != roleOfRun && c.run == "" && rank[c.role] >= rank[need]:
		return nil
	}
	return refuse(http.StatusForbidden, fmt.Sprintf("the token %s has the role %s, this needs %s", c.name, c.role, need), "")
}

func (a *API) answerError(w http.ResponseWriter, r *http.Request, err error) {
	p := wire.Problem{Status: http.StatusInternalServerError, Title: "Internal error", Detail: "it is in the server's log under the request's id"}
	var own *problem
	var faults Faults
	var tooLarge *http.MaxBytesError
	err = a.Store.Explain(err) // of what was read
	switch {
	case errors.As(err, &own):
		p = own.Problem
	case errors.As(err, &faults):
		p = wire.Problem{Status: http.StatusUnprocessableEntity, Title: "the text is wrong", Detail: faults.Error(), Faults: faults}
	case errors.As(err, &tooLarge):
		p = wire.Problem{Status: http.StatusRequestEntityTooLarge, Title: "Too large", Detail: fmt.Sprintf("the body is longer than %d bytes", tooLarge.Limit)}
	case errors.Is(err, store.ErrNotFound):
		p = wire.Problem{Status: http.StatusNotFound, Title: "Not found", Detail: "it does not exist"}
	case errors.Is(err, store.ErrBusy):
		a.Log.Error("request failed", "path", r.URL.Path, "error", err, "requestId", w.Header().Get("X-Request-Id"))
		w.Header().Set("Retry-After", "5")
		p = wire.Problem{Status: http.StatusServiceUnavailable, Title: "Busy", Detail: "another process has locked the server's database; nothing was changed", Hint: "try again; an operator finds the process in the server's log"}
	case errors.Is(err, store.ErrAway):
		a.Log.Error("request failed", "path", r.URL.Path, "error", err, "requestId", w.Header().Get("X-Request-Id"))
		w.Header().Set("Retry-After", "5")
		p = wire.Problem{Status: http.StatusServiceUnavailable, Title: "The database is away", Detail: "the server's database does not answer", Hint: "try again; what was asked for may have been done, so look first, or send an Idempotency-Key"}
	case errors.Is(err, store.ErrFull):
		a.Log.Error("request failed", "path", r.URL.Path, "error", err, "requestId", w.Header().Get("X-Request-Id"))
		p = wire.Problem{Status: http.StatusInsufficientStorage, Title: "No room", Detail: "the server's data directory is full; nothing was changed", Hint: "an operator makes room; running jobs are not affected"}
	case errors.Is(err, store.ErrMany):
		p = wire.Problem{Status: http.StatusInsufficientStorage, Title: "Too many", Detail: err.Error(), Hint: "delete what is not needed any more"}
	case errors.Is(err, context.Canceled):
		return // the caller is gone
	default:
		a.Log.Error("request failed", "path", r.URL.Path, "error", err, "requestId", w.Header().Get("X-Request-Id"))
	}
	if r.ProtoMajor == 1 && (r.ContentLength < 0 || r.ContentLength > 64<<10) {
		// net/http would otherwise first receive up to 256 KiB of a body that was not wanted: a slow sender would not hear that it was refused.
		w.Header().Set("Connection", "close")
	}
	if a.Pages == nil || !a.Pages.Problem(w, r, p) {
		p.Write(w)
	}
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) // a caller that is gone hears nothing
	return nil
}

// read reads a JSON body strictly. An empty one is the zero value.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSmall))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil && d.More() {
		err = errors.New("something follows the value")
	}
	if err != nil {
		if t, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return t
		}
		return refuse(http.StatusBadRequest, "the body is not the JSON that was expected: "+jsonFault(err), "GET /openapi.yaml describes it")
	}
	return nil
}

// jsonFault says what is wrong with a JSON text, without the names of Go.
func jsonFault(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		what := "the value"
		if t.Field != "" {
			what = t.Field
		}
		kind := map[reflect.Kind]string{reflect.String: "a string", reflect.Bool: "true or false", reflect.Slice: "a list", reflect.Map: "an object", reflect.Struct: "an object"}[t.Type.Kind()]
		if kind == "" {
			kind = "a number"
		}
		return fmt.Sprintf("%s is of the type %s, expected %s", what, t.Value, kind)
	}
	if t, ok := errors.AsType[*time.ParseError](err); ok {
		return fmt.Sprintf("%q is not a time, expected one such as 2026-01-31T12:00:00Z", strings.Trim(t.Value, `"`))
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func (a *API) ready(w http.ResponseWriter, r *http.Request) {
	if _, err := a.Store.Now(r.Context()); err != nil {
		http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ok\n")
}

func (a *API) health(w http.ResponseWriter, r *http.Request) error {
	team := who(r).team
	if who(r).local {
		team = "" // the local user may see all
	}
	depths, err := a.Store.Depths(r.Context(), team)
	if err != nil {
		return err
	}
	h := wire.Health{Version: a.Version, Queues: []wire.Queue{}, Observes: a.Observes(), Started: a.started.UTC(), Polls: a.Polls(), Pushes: a.pushes.PerSecond()}
	if a.Workbench != nil {
		s := a.Workbench.State()
		h.Workbench = &wire.WorkbenchState{Flink: s.Flink, Versions: s.Versions, Warm: s.Warm, Wanted: s.Wanted, Planner: s.Planner, Slots: s.Slots, Running: s.Running, Waiting: s.Waiting,
			Wall: wire.Wall{On: s.Wall.By != "", By: s.Wall.By, Cgroup: s.Wall.Cgroup, Reason: s.Wall.Reason}}
		for _, x := range s.Workers {
			h.Workbench.Workers = append(h.Workbench.Workers, wire.WorkerState{Flink: x.Flink, Reason: mask.Text(x.Reason), Warm: x.State.Warm, Wanted: x.State.Wanted, Slots: x.State.Slots, Running: x.State.Running,
				Waiting: x.State.Waiting, Wall: wire.Wall{On: x.State.Wall.By != "", By: x.State.Wall.By, Cgroup: x.State.Wall.Cgroup, Reason: x.State.Wall.Reason}})
		}
	}
	for _, d := range depths {
		h.Queues = append(h.Queues, wire.Queue{Name: string(d.Queue), Runs: d.Runs, Leased: d.Leased, Overdue: d.Oldest.Seconds()})
	}
	return answer(w, http.StatusOK, h)
}
