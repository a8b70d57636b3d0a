// Package server wires the rooms of the platform: store, driver, monitor, API. It starts them in order and ends them in the reverse one.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"flink-entrypoint/internal/platform/alert"
	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/cluster/kubernetes"
	"flink-entrypoint/internal/platform/cluster/process"
	"flink-entrypoint/internal/platform/document"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/forward"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/meter"
	"flink-entrypoint/internal/platform/monitor"
	"flink-entrypoint/internal/platform/outbound"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/web"
	"flink-entrypoint/internal/platform/workbench"
)

// Options are what a server needs to know.
type Options struct {
	DataDir    string
	Store      string   // URL of a PostgreSQL database; empty: SQLite in DataDir
	Listen     string   // address, e.g. 127.0.0.1:8088
	URL        string   // under which pods reach it; empty: made from Listen
	Entrypoint string   // the binary flink-entrypoint
	Home       string   // FLINK_HOME
	Homes      []string // of other versions, for scripts
	Self       []string // the command that runs process.Shim
	Env        []string
	Log        *slog.Logger
	// Driver makes the driver for the store's instance id; nil: of processes, or of Kubernetes.
	Driver func(instance string) cluster.Driver
	// Lease is how long a run, or the key of a request, that this server has claimed is its own; 0: 30 s.
	Lease time.Duration
	// Kubernetes, if not nil, is where clusters are made. What the server itself knows need not be set.
	Kubernetes *kubernetes.Options
	// ArchiveWait is how long the cluster of an ended run is kept for its archive; 0: 15 s.
	ArchiveWait time.Duration
	// Point, if not nil, is called at each place where a crash must do no harm. Tests kill the process there.
	Point   func(place string)
	Version string // of the program
	// Auth: requests need a token. Without it the server must be on loopback.
	Auth bool
	// Limits of one caller.
	Limits api.Limits
	// Keep says how long things are kept.
	Keep store.Lifetimes
	// Warm is how many JVMs are started ahead for debug runs.
	Warm int
	// Fetch fetches scripts that definitions name; nil: nothing is fetched.
	Fetch *outbound.Fetcher
	// StreamCheck is how often the rights of readers of streams are looked at again; 0: a minute.
	StreamCheck time.Duration
	// DebugSlots are how many debug runs there may be at the same time, and DebugQueue how many may wait; 0: the workbench's defaults.
	DebugSlots, DebugQueue int
	// DebugWall is whether code of users runs inside a wall; see workbench.Options.Wall.
	DebugWall string
	// DebugPolicy is what scripts may use of the outside; nil: nothing.
	DebugPolicy *workbench.Policy
	// Forward is the command that runs wall.Forward.
	Forward []string
	// Kafka gets the topic of jobs, JobsTopic; without brokers it is not written.
	Kafka     forward.Kafka
	JobsTopic string
	// Alerts gets what is wrong with jobs; nil: it is not sent.
	Alerts alert.Receiver
	// AlertAfter is how long each alert must have gone on before it is sent; nil: alert.DefaultAfter.
	AlertAfter map[jobstate.Alert]time.Duration
	// Workers check and try scripts of other versions of Flink. Without a Home the first one does it for scripts that name no version, too.
	Workers []*workbench.Worker
}

// A Server is one that runs.
type Server struct {
	URL   string
	Store *store.Store

	o        Options
	driver   cluster.Driver
	bench    *workbench.Workbench // nil: it cannot be opened
	rest     *flinkrest.Client
	http     *http.Server
	explains chan struct{} // taken while flink-entrypoint explain runs
	ending   context.CancelFunc
	running  sync.WaitGroup
	failed   chan error
}

// Start opens the store and begins to serve. Close ends it.
func Start(ctx context.Context, o Options) (*Server, error) {
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w%s", o.Listen, err, hintOfListen(err))
	}
	s, err := start(ctx, o, listener)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return s, nil
}

// hostOf is the host of a URL, with its port if the URL has one.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

func hintOfListen(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return ": another program, or another flink-platform, serves there; choose another port"
	}
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		return ": expected HOST:PORT such as 127.0.0.1:8088"
	}
	return ""
}

func start(ctx context.Context, o Options, listener net.Listener) (*Server, error) {
	address := listener.Addr().(*net.TCPAddr)
	if !address.IP.IsLoopback() && !o.Auth {
		return nil, fmt.Errorf("--listen %s is not an address of loopback: start it with --auth, and make a token first with: flink-platform token make NAME --role admin --data-dir DIR", o.Listen)
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, err
	}
	st, err := store.OpenURL(ctx, dir, o.Store)
	if err != nil {
		return nil, err
	}
	if st.AlertAfter = o.AlertAfter; st.AlertAfter == nil {
		st.AlertAfter = alert.DefaultAfter()
	}
	st.TellJobs = len(o.Kafka.Brokers) > 0
	s := &Server{URL: o.URL, Store: st, o: o, rest: flinkrest.New(nil), failed: make(chan error, 1), explains: make(chan struct{}, explainsAtOnce)}
	var watch func(context.Context)
	switch {
	case o.Driver != nil:
		s.driver = o.Driver(st.Instance())
	case o.Kubernetes != nil:
		k := *o.Kubernetes
		k.Instance, k.Keeper, k.Log, k.Changed, k.Point = st.Instance(), kept{st}, o.Log, s.wake, o.Point
		d, err := kubernetes.New(k)
		if err != nil {
			return nil, errors.Join(err, st.Close())
		}
		s.driver, s.rest, watch = d, flinkrest.Dialing(d.Dial), d.Run
	default:
		s.driver = &process.Driver{Dir: filepath.Join(dir, "runs"), Instance: st.Instance(), Entrypoint: o.Entrypoint, Home: o.Home, Self: o.Self, Env: o.Env, Point: o.Point, Ended: s.wake}
	}
	if s.o.ArchiveWait == 0 {
		s.o.ArchiveWait = 15 * time.Second
	}
	if s.URL == "" {
		s.URL = "http://" + address.String()
	}
	pages, looks := web.New(o.Log), new(meter.Meter)
	owner := "server-" + store.NewID()
	a := &api.API{Owner: owner, Lease: o.Lease, Point: o.Point, Pages: pages, Secure: strings.HasPrefix(s.URL, "https:"), Polls: looks.PerSecond, Store: st, Driver: s.driver, REST: s.rest, Log: o.Log, Open: !o.Auth, Observes: st.OnlyObserves, Decide: s.decide, Begin: s.begin,
		Prepare: s.prepare, PrepareCluster: document.PrepareCluster, CheckCatalog: document.CheckCatalog, Limits: o.Limits, Version: o.Version, OneTeam: o.Driver == nil && o.Kubernetes == nil, Loopback: address.IP.IsLoopback(), Host: hostOf(o.URL), StreamCheck: o.StreamCheck, URL: s.URL}
	if o.Home != "" && o.Entrypoint != "" {
		a.Memory = s.memory
	}
	if o.Home != "" {
		s.bench, err = workbench.Open(workbench.Options{Home: o.Home, Homes: o.Homes, Dir: filepath.Join(dir, "workbench"), Env: o.Env, Log: o.Log, Warm: o.Warm,
			Runs: o.DebugSlots, Queue: o.DebugQueue, Wall: o.DebugWall, Policy: o.DebugPolicy, Self: o.Forward})
		if err != nil {
			o.Log.Error("no workbench: debug, validate and lineage are not answered", "error", err)
			s.bench = nil
		}
	}
	switch {
	case len(o.Workers) > 0:
		a.Workbench = workbench.Routed{Own: s.bench, Workers: o.Workers}
	case s.bench != nil:
		a.Workbench = s.bench
	}
	pages.API = a.Handler()
	s.http = &http.Server{Handler: pages.API, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.ending = cancel
	s.http.BaseContext = func(net.Listener) context.Context { return working }
	s.running.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	})
	if watch != nil {
		s.running.Go(func() { watch(working) })
	}
	if st.OnlyObserves() {
		o.Log.Warn("restored from a backup: nothing is started or stopped until flink-platform resume")
		return s, nil
	}
	if err := s.orphans(working); err != nil {
		o.Log.Error("orphans", "error", err)
	}
	// Where others are at work, a look at every run tells little that is new: it may take its time.
	within := time.Duration(0)
	attended, err := st.Attended(working)
	if attended {
		within = wakeWithin
	}
	if err = errors.Join(err, st.WakeWithin(working, within)); err != nil {
		o.Log.Warn("open runs are looked at only when their time comes", "error", err)
	}
	m := &monitor.Monitor{Looks: looks, Store: st, Driver: s.driver, REST: s.rest, Log: o.Log, Owner: owner, Lease: o.Lease, Spec: s.spec, StartPoint: s.startPoint,
		Restart: s.restart, Next: s.next, KeepArchive: s.keepArchive, FindSavepoint: s.findSavepoint, ResultStore: s.resultStore,
		Session: s.session, Program: s.program, Decide: s.decide, Point: o.Point}
	s.running.Go(func() { m.Run(working) })
	s.running.Go(func() { s.retention().Run(working) })
	if st.TellJobs {
		jobs, err := forward.NewJobs(o.Kafka, o.JobsTopic, st, o.Log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--kafka: %w", err), s.Close())
		}
		s.running.Go(func() { jobs.Run(working) })
	}
	if o.Alerts != nil {
		sender := &alert.Sender{Store: st, Receiver: o.Alerts, Log: o.Log, URL: s.URL}
		s.running.Go(func() { sender.Run(working) })
	}
	return s, nil
}

// wakeWithin is longer than most runs wait for their next look anyway.
const wakeWithin = 15 * time.Second

func (s *Server) retention() *monitor.Retention {
	return &monitor.Retention{Store: s.Store, Driver: s.driver, Log: s.o.Log, Keep: s.o.Keep, Needed: s.needed, Point: s.o.Point}
}

// wake makes a run due. Where that fails, it is looked at when its time comes.
func (s *Server) wake(run string) {
	if err := s.Store.Wake(context.Background(), run); err != nil {
		s.o.Log.Warn("a run is not looked at earlier", "run", run, "error", err)
	}
}

// Failed says that the server cannot go on.
func (s *Server) Failed() <-chan error { return s.failed }

// Close lets what has begun end, for at most 10 s, and leaves clusters running: the next start finds them.
func (s *Server) Close() error {
	s.ending()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.running.Wait()
	if s.bench != nil {
		s.bench.Close()
	}
	return errors.Join(err, s.Store.Close())
}

// decide applies an observation to a run, whoever else writes at the same time.
func (s *Server) decide(ctx context.Context, run string, o jobstate.Observation) (store.Run, error) {
	for {
		r, err := s.Store.Run(ctx, run)
		if err != nil {
			return r, err
		}
		now, err := s.Store.Now(ctx)
		if err != nil {
			return r, err
		}
		result := jobstate.Step(r.State, mask.Observation(o), now)
		pending := r.Pending
		for _, e := range result.Effects {
			if !slices.Contains(pending, e) {
				pending = append(slices.Clone(pending), e)
			}
		}
		next := result.Next
		if len(pending) > 0 || len(result.Effects) > 0 {
			next = time.Millisecond
		}
		if len(result.Events) == 0 && slices.Equal(pending, r.Pending) && monitor.Same(r.State, result.Run) {
			return r, nil
		}
		change := store.Change{State: result.Run, Events: result.Events, Pending: pending, Next: next}
		if result.Run.Attempt != r.State.Attempt { // its JobManager was faster than what its driver reports
			change.Started = &store.Attempt{ID: result.Run.Attempt}
		}
		s.at("before a decision", result.Run)
		r, err = s.Store.Transition(ctx, run, r.Revision, "", change)
		if !errors.Is(err, store.ErrConflict) {
			s.at("after a decision", result.Run)
			return r, err
		}
	}
}

func (s *Server) at(place string, r jobstate.Run) {
	if s.o.Point != nil {
		s.o.Point(place + " in " + string(r.Queue) + "/" + string(r.Condition) + string(r.Outcome))
	}
}

// begin makes a run of a version. Its job id is new, so that nothing of an earlier run can be taken for this one's.
func (s *Server) begin(ctx context.Context, job string, version int, asked store.Asked) (store.Run, error) {
	j, err := s.Store.Job(ctx, job)
	if err != nil {
		return store.Run{}, err
	}
	v, err := s.Store.Version(ctx, job, version)
	if err != nil {
		return store.Run{}, err
	}
	settings, err := document.SettingsOf(j.Kind, v.Document)
	if err != nil {
		return store.Run{}, &cluster.Refusal{Err: err}
	}
	asked.Session = settings.Session
	switch asked.Savepoint {
	case "", "none", "latest":
	default:
		asked.StartFrom = asked.Savepoint
	}
	return s.Store.CreateRun(ctx, job, version, asked, func(id string, now time.Time) jobstate.Run {
		jobID := ""
		if settings.OneJob {
			jobID = jobstate.JobIDOf(id)
		}
		r := jobstate.New(id, jobID, settings.HighAvailability, settings.Session != "", now, settings.StartWithin)
		r.LostAfter = settings.LostAfter
		r.SessionName, r.Cluster = settings.Session, j.Kind == store.KindCluster
		if u := asked.Upgrade; u != nil {
			r.Deadline = now.Add(u.Within)
			r.Trial = &jobstate.Trial{From: u.From, Until: r.Deadline}
		}
		return r
	})
}

// withoutState reports whether a run starts without state, whatever its definition says. A run that found nothing to start from, and that a person
// started all the same, is one too.
func withoutState(r store.Run) bool { return r.Asked.Savepoint != "" && r.Asked.StartFrom == "" }

// spec says what the cluster of a run is.
func (s *Server) spec(ctx context.Context, r store.Run) (cluster.Spec, error) {
	v, err := s.Store.Version(ctx, r.Job, r.Version)
	if err != nil {
		return cluster.Spec{}, err
	}
	j, err := s.Store.Job(ctx, r.Job)
	if err != nil {
		return cluster.Spec{}, err
	}
	settings, err := document.SettingsOf(j.Kind, v.Document)
	if err != nil {
		return cluster.Spec{}, &cluster.Refusal{Err: err}
	}
	spec := cluster.Spec{Run: r.State.ID, Session: r.State.Cluster, Definition: fmt.Sprintf("%s/v1/jobs/%s/versions/%d", s.URL, r.Job, r.Version), Digest: v.Digest, Events: s.URL + "/v1/flink-events", Token: func(ctx context.Context) (string, error) { return s.Store.NewRunToken(ctx, j.Team, r.State.ID) },
		JobID: r.State.JobID, Savepoint: r.Asked.StartFrom, NoSavepoint: withoutState(r), JobManagers: 1, TaskManagers: settings.TaskManagers, KeepMemory: !settings.Sized,
		Job: r.Job, Team: j.Team, Flink: settings.Flink, JobManager: cluster.Size(settings.JobManager), TaskManager: cluster.Size(settings.TaskManager), Secrets: settings.Secrets}
	if settings.HighAvailability {
		spec.ClusterID, spec.JobManagers, spec.Election = jobstate.ClusterIDOf(r.State.ID), settings.JobManagers, settings.Election
		if spec.Session && !settings.ResultsChosen { // the entrypoint does it for a job's own cluster
			spec.Arguments = append(spec.Arguments, "-D"+document.KeepResults+"=false")
		}
	}
	spec.Arguments = append(spec.Arguments, "-Dexecution.checkpointing.savepoint-dir="+s.driver.SavepointDir(r.State.ID))
	return spec, nil
}

// orphans ends clusters that the store knows nothing of, or whose runs have ended, as they are after a crash between two effects.
func (s *Server) orphans(ctx context.Context) error {
	runs, err := s.driver.Runs(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range runs {
		r, err := s.Store.Run(ctx, id)
		if err == nil && (!r.State.HasEnded() || len(r.Pending) > 0) {
			continue
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			errs = append(errs, err)
			continue
		}
		if gone, err := s.driver.Delete(ctx, id); err != nil {
			errs = append(errs, err)
		} else if !gone {
			s.o.Log.Warn("a cluster without an open run is ended", "run", id)
		}
	}
	return errors.Join(errs...)
}

// prepare checks a definition and writes the chosen catalogs into it.
func (s *Server) prepare(ctx context.Context, team, name string, source []byte, catalogs []string) (api.Document, error) {
	return document.Prepare(name, source, document.Known{
		Chosen:  catalogs,
		Catalog: func(name string) (store.Catalog, error) { return s.Store.Catalog(ctx, team, name) },
		Clusters: func() ([]string, error) {
			all, err := s.Store.Jobs(ctx, store.JobFilter{Team: team, Kind: store.KindCluster})
			names := make([]string, len(all))
			for i, c := range all {
				names[i] = c.Job.Name
			}
			return names, err
		},
		Script:   func(uri string) (string, error) { return s.o.Fetch.Text(ctx, uri) },
		Artifact: func(name string) (store.Artifact, error) { return s.Store.Artifact(ctx, team, name) },
	})
}
