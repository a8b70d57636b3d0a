package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/test/platform/simulate"
)

// A fixture is a store, a world, and a monitor that can be restarted.
type fixture struct {
	*simulate.World
	t      *testing.T
	store  *store.Store
	stop   func()
	latest string
	mu     sync.Mutex
	found  map[string]string // the savepoint of a run's stop
	driver cluster.Driver    // nil: the world
	lease  time.Duration
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := &fixture{World: simulate.New(t), t: t, store: s}
	f.start()
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *fixture) start() {
	ctx, cancel := context.WithCancel(context.Background())
	driver := f.driver
	if driver == nil {
		driver = f.World
	}
	m := &Monitor{Store: f.store, Driver: driver, Lease: f.lease, REST: flinkrest.New(nil), Log: slog.New(slog.DiscardHandler), Owner: store.NewID(),
		Spec: func(_ context.Context, r store.Run) (cluster.Spec, error) {
			return cluster.Spec{Run: r.State.ID, JobID: r.State.JobID, Savepoint: r.Asked.StartFrom}, nil
		},
		StartPoint: func(context.Context, store.Run) (string, error) { return f.latest, nil },
		FindSavepoint: func(_ context.Context, dir string) (string, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			for run, path := range f.found {
				if strings.Contains(dir, run) {
					return path, nil
				}
			}
			return "", nil
		},
		Restart: func(context.Context, store.Run) (bool, error) { return true, nil }, KeepArchive: func(context.Context, store.Run) (bool, error) { return true, nil },
	}
	done := make(chan struct{})
	go func() { m.Run(ctx); close(done) }()
	f.stop = func() { cancel(); <-done }
}

func (f *fixture) run(asked store.Asked) string {
	f.t.Helper()
	job := "job-" + store.NewID()
	if _, _, err := f.store.PutJob(f.t.Context(), "team", store.Version{Job: job, Document: []byte("x"), Source: []byte("x")}, -1); err != nil {
		f.t.Fatal(err)
	}
	r, err := f.store.CreateRun(f.t.Context(), job, 1, asked, func(id string, now time.Time) jobstate.Run {
		return jobstate.New(id, jobstate.JobIDOf(id), false, false, now, time.Minute)
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return r.State.ID
}

// until waits until a run is as f says.
func (f *fixture) until(run string, what string, ok func(store.Run) bool) store.Run {
	f.t.Helper()
	var r store.Run
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if r, err = f.store.Run(f.t.Context(), run); err != nil {
			f.t.Fatal(err)
		}
		if ok(r) {
			return r
		}
	}
	events, _ := f.store.Events(f.t.Context(), store.EventFilter{Run: run})
	f.t.Fatalf("run is not %s: %+v\n%+v", what, r, events)
	return r
}

func ended(o jobstate.Outcome) func(store.Run) bool {
	return func(r store.Run) bool { return r.State.Outcome == o && len(r.Pending) == 0 }
}

func (f *fixture) running() string {
	f.t.Helper()
	id := f.run(store.Asked{})
	f.until(id, "started", func(r store.Run) bool { return r.State.Attempt != "" })
	f.Of(id, func(c *simulate.Cluster) { c.Status = "RUNNING" })
	f.until(id, "running", func(r store.Run) bool { return r.State.Queue == jobstate.Running })
	return id
}

// ask is what the API does with a user's wish.
func (f *fixture) ask(run string, o jobstate.Observation) {
	f.t.Helper()
	for {
		r, err := f.store.Run(f.t.Context(), run)
		if err != nil {
			f.t.Fatal(err)
		}
		result := jobstate.Step(r.State, o, time.Now())
		_, err = f.store.Transition(f.t.Context(), run, r.Revision, "", store.Change{State: result.Run, Events: result.Events, Pending: append(r.Pending, result.Effects...), Next: time.Millisecond})
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrConflict) {
			f.t.Fatal(err)
		}
	}
}

// TestRequestsThatAreLost: the leader that took a stop or cancel leads no longer, and the next one does not know of it. It is asked for again, but not
// while a JobManager knows of it, or while tasks start. A job whose savepoint is complete is canceled.
// A stop that fails because a task does not run is asked for again when they do.
func TestRequestsThatAreLost(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until what was asked of Flink counts as lost, 10 s")
	}
	f := newFixture(t)
	stopped, canceled, known, starts, saved, refused := f.running(), f.running(), f.running(), f.running(), f.running(), f.running()
	f.Of(canceled, func(c *simulate.Cluster) { c.Forgets = 1 })
	f.Of(known, func(c *simulate.Cluster) { c.Savepoint = `{"status":{"id":"IN_PROGRESS"}}` })
	f.Of(starts, func(c *simulate.Cluster) { c.Tasks = 1 })
	f.Of(saved, func(c *simulate.Cluster) { c.Status = "RESTARTING" }) // the leader before has removed the checkpoints of the job that it had stopped
	f.mu.Lock()
	f.found = map[string]string{saved: "file:/savepoints/x/savepoint-2"}
	f.mu.Unlock()
	f.Of(refused, func(c *simulate.Cluster) {
		c.Savepoint = `{"status":{"id":"COMPLETED"},"operation":{"failure-cause":{"class":"x","stack-trace":"CheckpointException: Checkpoint triggering task is not being executed. Failure reason: Not all required tasks are currently running."}}}`
	})
	for _, id := range []string{known, starts, stopped, saved, refused} {
		f.ask(id, jobstate.AskStop{By: "ann"})
	}
	f.ask(canceled, jobstate.AskCancel{By: "ann"})
	r := f.until(refused, "refused", func(r store.Run) bool { return r.State.Stop != nil && r.State.Stop.Waits != "" })
	f.Of(refused, func(c *simulate.Cluster) { c.Savepoint = "" })
	f.until(refused, "asked again", func(r store.Run) bool { return r.State.Stop.Waits == "" && len(r.Pending) == 0 })
	f.Of(refused, func(c *simulate.Cluster) {
		if len(c.Stops) != 2 || c.Stops[0] == c.Stops[1] || c.Stops[1] != r.State.Stop.Trigger {
			t.Errorf("triggers %q, want another one, %s", c.Stops, r.State.Stop.Trigger)
		}
	})
	r = f.until(stopped, "asked again", func(r store.Run) bool { return !r.State.AskedAgain.IsZero() && len(r.Pending) == 0 })
	f.Of(stopped, func(c *simulate.Cluster) {
		if want := []string{r.State.Stop.Trigger, r.State.Stop.Trigger}; !slices.Equal(c.Stops, want) {
			t.Errorf("triggers %q, want %q", c.Stops, want)
		}
		c.Status, c.Savepoint = "FINISHED", `{"status":{"id":"COMPLETED"},"operation":{"location":"file:/savepoints/x/savepoint-1"}}`
	})
	f.until(stopped, "stopped", ended(jobstate.IsStopped))
	f.until(canceled, "canceled", ended(jobstate.IsCanceled))
	if r := f.until(saved, "stopped", ended(jobstate.IsStopped)); r.State.Stop.Path != "file:/savepoints/x/savepoint-2" {
		t.Errorf("stopped with %+v", r.State.Stop)
	}
	for _, id := range []string{stopped, canceled} {
		events, err := f.store.Events(t.Context(), store.EventFilter{Run: id})
		again := 0
		for _, e := range events {
			if strings.Contains(e.Text, "it is asked for again") {
				again++
			}
		}
		if err != nil || again != 1 {
			t.Errorf("%d times asked again: %+v, %v", again, events, err)
		}
	}
	for _, id := range []string{known, starts, saved} {
		f.Of(id, func(c *simulate.Cluster) {
			if len(c.Stops) != 1 {
				t.Errorf("triggers %q", c.Stops)
			}
		})
	}
}

func TestLives(t *testing.T) {
	f := newFixture(t)
	t.Run("finishes", func(t *testing.T) {
		t.Parallel()
		id := f.running()
		f.Of(id, func(c *simulate.Cluster) { c.Status = "FINISHED" })
		f.ask(id, jobstate.Tick{})
		r := f.until(id, "finished", ended(jobstate.IsFinished))
		f.Of(id, func(c *simulate.Cluster) {
			if c.Starts != 1 || !c.Deleted || r.State.Source != jobstate.FromREST {
				t.Errorf("%+v %+v", c, r.State)
			}
		})
		attempts, err := f.store.Attempts(t.Context(), id)
		if err != nil || len(attempts) != 1 {
			t.Errorf("attempts %+v, %v", attempts, err)
		}
	})
	t.Run("fails", func(t *testing.T) {
		t.Parallel()
		id := f.running()
		f.Of(id, func(c *simulate.Cluster) { c.Status = "FAILED" })
		f.ask(id, jobstate.Tick{})
		if r := f.until(id, "failed", ended(jobstate.IsFailed)); r.State.Reason != "java.lang.ArithmeticException: / by zero" {
			t.Errorf("reason %q", r.State.Reason)
		}
	})
	t.Run("is canceled", func(t *testing.T) {
		t.Parallel()
		id := f.running()
		f.ask(id, jobstate.AskCancel{By: "ann"})
		f.until(id, "canceled", ended(jobstate.IsCanceled))
	})
	t.Run("is stopped", func(t *testing.T) {
		t.Parallel()
		id := f.running()
		f.ask(id, jobstate.AskStop{By: "ann"})
		f.Of(id, func(c *simulate.Cluster) {
			c.Status, c.Savepoint = "FINISHED", `{"status":{"id":"COMPLETED"},"operation":{"location":"file:/savepoints/x/savepoint-1"}}`
		})
		if r := f.until(id, "stopped", ended(jobstate.IsStopped)); r.State.Stop.Path != "file:/savepoints/x/savepoint-1" {
			t.Errorf("%+v", r.State.Stop)
		}
	})
	t.Run("ends unseen", func(t *testing.T) {
		if testing.Short() {
			t.Skip("waits for seconds: leave out -short")
		}
		t.Parallel()
		id := f.running()
		f.Of(id, func(c *simulate.Cluster) { c.Alive, c.Code, c.Ended = false, 137, time.Now() })
		f.ask(id, jobstate.Tick{})
		if r := f.until(id, "failed", ended(jobstate.IsFailed)); r.State.Source != jobstate.FromExit {
			t.Errorf("%+v", r.State)
		}
	})
	t.Run("is lost and back", func(t *testing.T) {
		if testing.Short() {
			t.Skip("waits for seconds: leave out -short")
		}
		t.Parallel()
		id := f.running()
		f.Of(id, func(c *simulate.Cluster) { c.Broken = "database is locked" })
		f.ask(id, jobstate.Tick{})
		f.until(id, "lost", func(r store.Run) bool { return r.State.Condition == jobstate.Lost && r.State.Queue == jobstate.Running })
		f.Of(id, func(c *simulate.Cluster) { c.Broken = "" })
		f.until(id, "back", func(r store.Run) bool { return r.State.Condition == jobstate.None })
	})
	t.Run("has nothing to start from", func(t *testing.T) {
		t.Parallel()
		id := f.run(store.Asked{Savepoint: "latest"})
		f.until(id, "parked", func(r store.Run) bool { return r.State.Condition == jobstate.Parked })
		f.ask(id, jobstate.AskCancel{By: "ann"})
		f.until(id, "canceled", ended(jobstate.IsCanceled))
	})
	t.Run("is refused", func(t *testing.T) {
		f.Mu.Lock()
		f.Refuse = "no Flink home"
		f.Mu.Unlock()
		defer func() { f.Mu.Lock(); f.Refuse = ""; f.Mu.Unlock() }()
		id := f.run(store.Asked{})
		if r := f.until(id, "failed", ended(jobstate.IsFailed)); r.State.Reason != "no Flink home" {
			t.Errorf("%+v", r.State)
		}
	})
}

// TestRestarted: a monitor that ends and comes back finds every run as it is.
func TestRestarted(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it waits for the polls of five runs")
	}
	f := newFixture(t)
	var ids []string
	for range 5 {
		ids = append(ids, f.running())
	}
	f.stop()
	want := []jobstate.Outcome{jobstate.IsFinished, jobstate.IsFailed, jobstate.IsCanceled, jobstate.Open, jobstate.IsFinished}
	for i, status := range []string{"FINISHED", "FAILED", "CANCELED", "RUNNING", "FINISHED"} {
		f.Of(ids[i], func(c *simulate.Cluster) { c.Status = status })
		if err := f.store.Wake(t.Context(), ids[i]); err != nil {
			t.Fatal(err)
		}
	}
	f.start()
	for i, id := range ids {
		if want[i] != jobstate.Open {
			f.until(id, string(want[i]), ended(want[i]))
		}
		f.Of(id, func(c *simulate.Cluster) {
			if c.Starts != 1 {
				t.Errorf("run %d was started %d times", i, c.Starts)
			}
		})
	}
	if r, err := f.store.Run(t.Context(), ids[3]); err != nil || r.State.HasEnded() {
		t.Errorf("%+v, %v", r, err)
	}
	events, err := f.store.Events(t.Context(), store.EventFilter{Run: ids[0]})
	if err != nil || !slices.ContainsFunc(events, func(e store.Event) bool { return e.Outcome == jobstate.IsFinished }) {
		t.Errorf("%+v, %v", events, err)
	}
}

// TestStoppedUnseen: the JobManager ended while no one looked, with 0. The savepoint of this stop says that the job was stopped.
func TestStoppedUnseen(t *testing.T) {
	f := newFixture(t)
	id := f.running()
	f.mu.Lock()
	f.found = map[string]string{id: "file:/savepoints/x/savepoint-1"}
	f.mu.Unlock()
	f.Of(id, func(c *simulate.Cluster) { c.Alive, c.Ended = false, time.Now() })
	f.ask(id, jobstate.AskStop{By: "ann"})
	if r := f.until(id, "stopped", ended(jobstate.IsStopped)); r.State.Stop.Path != f.found[id] || r.State.Source != jobstate.FromExit {
		t.Errorf("%+v", r.State)
	}
}

// TestSeveralJobManagers: what one of several says counts as the rule for leaders wants it.
func TestSeveralJobManagers(t *testing.T) {
	job := jobstate.JobIDOf("r1")
	for _, c := range []struct {
		name, one, two string // a status; empty: no job; "away": an error
		dead           bool   // the second process
		want           jobstate.Status
		disputed       bool
	}{
		{"the leader and its standby", "RUNNING", "RUNNING", false, "RUNNING", false},
		{"a frozen one", "away", "RUNNING", false, "RUNNING", true},
		{"an end that one says", "FAILED", "away", false, "FAILED", true},
		{"an end, and the other is dead", "FINISHED", "away", true, "FINISHED", false},
		{"one that was the leader says that it failed", "FAILED", "RUNNING", false, "RUNNING", true},
		{"one that was the leader gave it back", "SUSPENDED", "RUNNING", false, "RUNNING", true},
		{"a leader that has no job yet", "SUSPENDED", "", false, "SUSPENDED", true},
		{"the same end", "FINISHED", "FINISHED", false, "FINISHED", false},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			status := cluster.Status{Processes: []cluster.Process{{JobManager: true, Alive: true}, {JobManager: true, Alive: !c.dead}}}
			for _, says := range []string{c.one, c.two} {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					switch says {
					case "away":
						w.WriteHeader(http.StatusServiceUnavailable)
					case "":
						io.WriteString(w, `{"jobs":[]}`)
					default:
						fmt.Fprintf(w, `{"jobs":[{"jid":%q,"state":%q}]}`, job, says)
					}
				}))
				defer s.Close()
				status.REST = append(status.REST, s.URL)
			}
			m := &Monitor{REST: flinkrest.New(nil)}
			o := m.jobs(t.Context(), &turn{m: m, run: store.Run{State: jobstate.Run{JobID: job, HighAvailability: true}}}, status)
			a, ok := o.(jobstate.Answer)
			if !ok || a.Disputed != c.disputed || len(a.Jobs) != 1 || a.Jobs[0].Status != c.want {
				t.Errorf("%+v, want %s, disputed %v", o, c.want, c.disputed)
			}
		})
	}
}

// A hooked driver does something before a start, and says where JobManagers answer.
type hooked struct {
	*simulate.World
	before func(run string)
	rest   string
}

func (h *hooked) Start(ctx context.Context, s cluster.Spec) error {
	if h.before != nil {
		h.before(s.Run)
	}
	return h.World.Start(ctx, s)
}

func (h *hooked) Observe(ctx context.Context, run string) (cluster.Status, error) {
	status, err := h.World.Observe(ctx, run)
	if h.rest != "" && len(status.REST) > 0 {
		status.REST = []string{h.rest}
	}
	return status, err
}

// TestStartedTooLate: a server that was frozen as it started a cluster goes on after another one has ended the run. What it starts is deleted.
func TestStartedTooLate(t *testing.T) {
	f := newFixture(t)
	f.stop()
	var once sync.Once
	f.driver = &hooked{World: f.World, before: func(run string) {
		once.Do(func() {
			r, err := f.store.Run(t.Context(), run)
			if err != nil {
				t.Error(err)
				return
			}
			r.State.Queue, r.State.Condition, r.State.Outcome, r.State.Ended = jobstate.Cancel, jobstate.None, jobstate.IsCanceled, time.Now()
			if _, err := f.store.Transition(t.Context(), run, r.Revision, "", store.Change{State: r.State}); err != nil {
				t.Error(err)
			}
		})
	}}
	f.start()
	run := f.run(store.Asked{})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		starts, alive, deleted := 0, false, false
		f.Of(run, func(c *simulate.Cluster) {
			if c != nil {
				starts, alive, deleted = c.Starts, c.Alive, c.Deleted
			}
		})
		if deleted {
			if starts != 1 || alive {
				t.Errorf("%d starts, alive: %t", starts, alive)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the cluster of an ended run is left: %d starts, alive: %t", starts, alive)
		}
	}
	if r, err := f.store.Run(t.Context(), run); err != nil || r.State.Outcome != jobstate.IsCanceled || r.Revision != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestNoAnswerIsWrittenDown: what was seen before is written down, also where the lease is shorter than the wait for an answer.
func TestNoAnswerIsWrittenDown(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	f := newFixture(t)
	f.stop()
	f.driver, f.lease = &hooked{World: f.World, rest: silent.URL}, 900*time.Millisecond
	f.start()
	f.until(f.run(store.Asked{}), "written down", func(r store.Run) bool { return r.State.Attempt != "" })
	f.stop()
	f.stop = func() {}
}
