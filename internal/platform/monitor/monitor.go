// Package monitor looks after runs: five pools of workers, one for each queue, take the runs that are due, do what is to be done for them,
// look at their clusters, and write what the rule (jobstate) makes of it.
//
// Everything that it does outside may happen twice: after a crash the effects that a row still lists are done again.
package monitor

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/mask"
	"flink-entrypoint/internal/platform/meter"
	"flink-entrypoint/internal/platform/store"
)

// A Monitor is the pools and what they need.
type Monitor struct {
	Store  *store.Store
	Driver cluster.Driver
	REST   *flinkrest.Client
	Log    *slog.Logger
	// Spec says what a run's cluster is. An error that is a *cluster.Refusal fails the run.
	Spec func(ctx context.Context, r store.Run) (cluster.Spec, error)
	// StartPoint finds what "latest" means for a run: "" without an error if the job has nothing to start from.
	StartPoint func(ctx context.Context, r store.Run) (string, error)
	// Restart applies the restart policy to a run that has failed. done false without an error: its time has not come yet.
	Restart func(ctx context.Context, r store.Run) (done bool, err error)
	// Next starts the version that an ended run was stopped for.
	Next func(ctx context.Context, r store.Run) error
	// KeepArchive reports whether everything that the cluster of an ended run has to say is stored: only then it is deleted.
	KeepArchive func(ctx context.Context, r store.Run) (done bool, err error)
	// ResultStore reads the job result store of a run with high availability. nil observation: it cannot be read, or says nothing.
	ResultStore func(ctx context.Context, r store.Run) (jobstate.Observation, error)
	// FindSavepoint looks for a completed savepoint in a directory where only one stop of one run writes. "" without an error: it has none, or
	// cannot be read from here.
	FindSavepoint func(ctx context.Context, dir string) (string, error)
	// Session is the newest run of the session cluster that a run asks for. An error that is a *cluster.Refusal fails the run.
	Session func(ctx context.Context, r store.Run) (store.Run, error)
	// Program is what a session cluster of a version of Flink gets of a run. An error that is a *cluster.Refusal fails the run.
	Program func(ctx context.Context, r store.Run, flink string) (flinkrest.Submission, error)
	// Decide applies an observation to a run, whoever else writes.
	Decide func(ctx context.Context, run string, o jobstate.Observation) (store.Run, error)
	// Point, if not nil, is called at each place where a crash must do no harm, with the place and the run's queue. Tests kill the process there.
	Point func(place string)
	// Looks, if not nil, counts looks at runs.
	Looks *meter.Meter
	// Owner names this process in leases.
	Owner string
	Lease time.Duration // 0: 30 s

	polls   polls
	submits submits
}

// Pools and how many runs of each are looked at at the same time. A turn mostly waits for an answer; one that never comes takes 5 s.
var pools = []struct {
	queue   jobstate.Queue
	workers int
}{
	{jobstate.Accept, 32},
	{jobstate.Running, 256},
	{jobstate.Cancel, 32},
	{jobstate.Failed, 8},
	{jobstate.Finish, 8},
}

// idle is how long a pool waits when nothing is due, and gather how long runs that only change their due time wait for others, to be
// written in one transaction.
const (
	idle   = 200 * time.Millisecond
	gather = 20 * time.Millisecond
	batch  = 64
)

// Run works until ctx ends, then waits for turns that have begun.
func (m *Monitor) Run(ctx context.Context) {
	if m.Lease == 0 {
		m.Lease = 30 * time.Second
	}
	m.submits.life = ctx
	var all sync.WaitGroup
	for _, p := range pools {
		all.Go(func() { m.pool(ctx, p.queue, p.workers) })
	}
	all.Wait()
	m.submits.all.Wait()
}

func (m *Monitor) pool(ctx context.Context, queue jobstate.Queue, workers int) {
	returns := make(chan store.Return)
	var releasing, turns sync.WaitGroup
	releasing.Go(func() { m.release(context.WithoutCancel(ctx), returns) })
	free := make(chan struct{}, workers)
	for range workers {
		free <- struct{}{}
	}
	failing := false
	for ctx.Err() == nil {
		n := 0
		for n < batch {
			if n == 0 {
				select {
				case <-free:
					n++
					continue
				case <-ctx.Done():
				}
			} else {
				select {
				case <-free:
					n++
					continue
				default:
				}
			}
			break
		}
		if n == 0 {
			break
		}
		claimed, err := m.Store.Claim(ctx, queue, m.Owner, n, m.Lease)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing: // once, and not five times a second until the database is back
			m.Log.Error("claim failed", "queue", queue, "error", err)
		case err == nil && failing:
			m.Log.Info("runs can be claimed again", "queue", queue)
		}
		failing = err != nil
		for range n - len(claimed) {
			free <- struct{}{}
		}
		for _, c := range claimed {
			turns.Go(func() {
				defer func() { free <- struct{}{} }()
				// A turn that has begun is finished, also when the server ends: effects and their record belong together.
				if back, unchanged := m.turn(context.WithoutCancel(ctx), c); unchanged {
					returns <- back
				}
			})
		}
		if len(claimed) < n {
			select {
			case <-ctx.Done():
			case <-time.After(idle):
			}
		}
	}
	turns.Wait()
	close(returns)
	releasing.Wait()
}

// release gives runs back, in batches.
func (m *Monitor) release(ctx context.Context, returns <-chan store.Return) {
	var back []store.Return
	var flush <-chan time.Time
	write := func() {
		if err := m.Store.Release(ctx, m.Owner, back); err != nil {
			m.Log.Error("release failed", "error", err) // they are due again when their lease ends
		}
		back, flush = nil, nil
	}
	for {
		select {
		case r, ok := <-returns:
			if !ok {
				write()
				return
			}
			if back = append(back, r); len(back) >= batch {
				write()
			} else if flush == nil {
				flush = time.After(gather)
			}
		case <-flush:
			write()
		}
	}
}

// at is a place where a crash must do no harm.
func (m *Monitor) at(place string, r store.Run) {
	if m.Point != nil {
		m.Point(place + " in " + string(r.State.Queue) + "/" + string(r.State.Condition) + string(r.State.Outcome))
	}
}

// spread is by how much of it an interval is shorter or longer. What a look finds out late is late by at most the longest interval, so it is not
// larger than it has to be.
const spread = 0.1

// jitter spreads looks, so that clusters that started together are not asked together.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((2*rand.Float64()-1)*spread*float64(d))
}

// soon is when effects that are left are tried again.
const soon = time.Second

// turn does one run's turn. unchanged: only its due time changes.
func (m *Monitor) turn(ctx context.Context, c store.Claimed) (back store.Return, unchanged bool) {
	whole, cancel := context.WithTimeout(ctx, m.Lease-m.Lease/10)
	defer cancel()
	// What does not answer must leave time to write that down.
	ctx, cancelLook := context.WithTimeout(whole, m.Lease-m.Lease/3)
	defer cancelLook()
	r := c.Run
	log := m.Log.With("job", r.Job, "run", r.State.ID)
	t := &turn{m: m, run: r, now: c.Now, began: time.Now()}
	m.at("claimed", r)
	for _, e := range r.Pending {
		m.at("before "+string(e), t.run)
		done, err := m.do(ctx, t, e)
		m.at("after "+string(e), t.run)
		if err != nil {
			log.Warn("effect failed", "effect", e, "error", err)
		}
		if !done {
			t.left = append(t.left, e)
		}
	}
	if !t.run.State.HasEnded() {
		m.look(ctx, t)
		m.at("looked", t.run)
		m.replace(ctx, t)
	}
	t.step(jobstate.Tick{})
	for _, e := range t.effects {
		if !slices.Contains(t.left, e) {
			t.left = append(t.left, e)
		}
	}
	next := jitter(t.next)
	switch {
	case len(t.effects) > 0:
		next = time.Millisecond // new ones are done at once
	case len(t.left) > 0:
		next = jitter(soon)
	}
	if !t.changed && slices.Equal(t.left, r.Pending) && Same(r.State, t.run.State) {
		return store.Return{ID: r.State.ID, Revision: r.Revision, Next: next}, true
	}
	change := store.Change{State: t.run.State, Events: t.events, Pending: t.left, Next: next, Started: t.attempt, Asked: t.asked}
	m.at("before transition", t.run)
	_, err := m.Store.Transition(whole, r.State.ID, r.Revision, c.Owner, change)
	m.at("after transition", t.run)
	if err != nil {
		if !errors.Is(err, store.ErrConflict) {
			log.Error("transition failed", "error", err)
			return store.Return{}, false
		}
		// Another wrote: the run is due again, and this look is repeated.
		if slices.Contains(r.Pending, jobstate.StartCluster) {
			m.startedTooLate(ctx, log, r)
		}
		return store.Return{}, false
	}
	for _, e := range t.events {
		log.Info(e.Text, "queue", e.Queue, "condition", e.Condition, "outcome", e.Outcome, "source", e.Source)
	}
	return store.Return{}, false
}

// startedTooLate deletes what a turn may have started after another server had ended the run and deleted its cluster: this server was frozen
// meanwhile.
func (m *Monitor) startedTooLate(ctx context.Context, log *slog.Logger, r store.Run) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.Lease) // the turn's time may be over
	defer cancel()
	now, err := m.Store.Run(ctx, r.State.ID)
	if err == nil && now.State.HasEnded() && !now.State.Session && !slices.Contains(now.Pending, jobstate.DeleteCluster) {
		_, err = m.Driver.Delete(ctx, r.State.ID)
	}
	if err != nil {
		log.Error("a cluster that may have been started after the end of its run is not deleted", "error", err)
	}
}

// A turn collects what happens in one.
type turn struct {
	m       *Monitor
	run     store.Run
	now     time.Time // the database's clock at began
	began   time.Time
	events  []jobstate.Event
	effects []jobstate.Effect
	left    []jobstate.Effect
	attempt *store.Attempt
	asked   *store.Asked
	changed bool
	next    time.Duration
}

// step applies one observation.
func (t *turn) step(o jobstate.Observation) {
	result := jobstate.Step(t.run.State, mask.Observation(o), t.now.Add(time.Since(t.began)))
	t.run.State, t.next = result.Run, result.Next
	t.events = append(t.events, result.Events...)
	for _, e := range result.Effects {
		// A turn asks drivers and stores, and replaces processes, anyway.
		if e != jobstate.ReplaceProcess && e != jobstate.AskProcesses && e != jobstate.AskResultStore && e != jobstate.LookForSave && !slices.Contains(t.effects, e) {
			t.effects = append(t.effects, e)
		}
	}
	t.changed = t.changed || len(result.Events) > 0
}

// follows is the end of an effect that starts a run after this one: what cannot be started however often it is tried is written down, and given up.
func (t *turn) follows(done bool, err error) (bool, error) {
	if refusal, ok := errors.AsType[*cluster.Refusal](err); ok {
		t.step(jobstate.NotFollowed{Reason: refusal.Error()})
		return true, nil
	}
	return done, err
}

// do does an effect. done: it need not be done again.
func (m *Monitor) do(ctx context.Context, t *turn, e jobstate.Effect) (done bool, err error) {
	s := &t.run.State
	switch e {
	case jobstate.StartCluster:
		if s.HasEnded() || s.Desired != jobstate.WantRun {
			return true, nil
		}
		return m.start(ctx, t)
	case jobstate.DeleteCluster:
		if slices.Contains(t.left, jobstate.KeepArchive) {
			return false, nil
		}
		gone, err := m.Driver.Delete(ctx, s.ID)
		if gone && err == nil {
			t.step(jobstate.ClusterGone{})
		}
		return gone && err == nil, err
	case jobstate.TriggerStop:
		if s.HasEnded() || s.Stop == nil || s.Stop.State != jobstate.SavepointAsked {
			return true, nil
		}
		err := cluster.Ask(ctx, m.Driver, t.run.ClusterRun(), func(base string) error {
			return m.REST.Stop(ctx, base, m.jobID(t.run), s.Stop.Trigger, cluster.StopDir(m.Driver, s.ID, s.Stop.Trigger), s.Stop.Drain)
		})
		if refused, ok := errors.AsType[*flinkrest.Error](err); ok && refused.Status >= 400 && refused.Status < 500 && refused.Status != 404 {
			t.step(jobstate.SavepointSeen{State: jobstate.SavepointFailed, Cause: refused.Text})
			return true, nil
		}
		return err == nil, err
	case jobstate.CancelJob:
		if s.HasEnded() && !s.Session { // a session cluster can get the job after the run was given up
			return true, nil
		}
		if s.Session {
			return m.cancelOnSession(ctx, t.run)
		}
		err := cluster.Ask(ctx, m.Driver, s.ID, func(base string) error { return m.REST.Cancel(ctx, base, m.jobID(t.run)) })
		return err == nil, err
	case jobstate.ConsiderRestart:
		done, err := m.Restart(ctx, t.run)
		return t.follows(done, err)
	case jobstate.StartNext:
		err := m.Next(ctx, t.run)
		return t.follows(err == nil, err)
	case jobstate.KeepArchive:
		return m.KeepArchive(ctx, t.run)
	}
	return true, nil
}

// jobID is the job that stop and cancel are for.
func (m *Monitor) jobID(r store.Run) string {
	if r.State.JobID != "" {
		return r.State.JobID
	}
	for _, j := range r.State.Jobs {
		if !j.Status.Terminal() {
			return j.ID
		}
	}
	return ""
}

// replace starts a process in each place whose time has come. It is written down that a process ended before another has its place, so what
// fails, or is done by a server that is killed, is done again: the state asks for it until it is written down too.
func (m *Monitor) replace(ctx context.Context, t *turn) {
	replacer, ok := m.Driver.(cluster.Replacer)
	if !ok {
		return
	}
	for _, place := range t.run.State.ToReplace(t.now.Add(time.Since(t.began))) {
		name := t.run.State.Losses[place].Name
		if err := replacer.Replace(ctx, t.run.State.ID, name); err != nil {
			m.Log.Warn("a process is not replaced", "run", t.run.State.ID, "process", name, "error", err)
			continue
		}
		m.at("process replaced", t.run)
		t.step(jobstate.ProcessReplaced{Place: place, Name: name})
	}
}

func (m *Monitor) start(ctx context.Context, t *turn) (done bool, err error) {
	r := t.run
	if r.Asked.Savepoint == "latest" && r.Asked.StartFrom == "" && !r.State.Empty {
		from, err := m.StartPoint(ctx, r)
		if err != nil {
			return false, err
		}
		if from == "" {
			t.step(jobstate.NoStartPoint{Reason: "the job has no completed savepoint and no retained checkpoint"})
			return true, nil
		}
		asked := r.Asked
		asked.StartFrom = from
		t.run.Asked, t.asked, t.changed = asked, &asked, true
		return false, nil // first it is written down: a start that is repeated starts from the same
	}
	if r.State.Session {
		return m.submit(ctx, t)
	}
	spec, err := m.Spec(ctx, r)
	if err == nil {
		err = m.Driver.Start(ctx, spec)
	}
	if refusal, ok := errors.AsType[*cluster.Refusal](err); ok {
		t.step(jobstate.StartRefused{Reason: refusal.Error()})
		return true, nil
	}
	if err != nil {
		t.step(jobstate.StartHindered{Reason: err.Error()})
		return false, err
	}
	return true, nil
}

// look learns how a run is: from the driver, then from Flink, then from what high availability keeps.
func (m *Monitor) look(ctx context.Context, t *turn) {
	if m.Looks != nil {
		m.Looks.Add()
	}
	id := t.run.ClusterRun()
	if id == "" {
		t.step(jobstate.NotSubmitted{})
		return
	}
	status, err := m.Driver.Observe(ctx, id)
	switch {
	case errors.Is(err, cluster.ErrUnknown):
		status = cluster.Status{}
		if t.run.State.Session && t.run.State.HighAvailability {
			m.sessionEnded(ctx, t)
		} else if !slices.Contains(t.left, jobstate.StartCluster) && t.run.State.Condition != jobstate.Parked {
			t.step(jobstate.ClusterGone{})
		}
	case err != nil:
		m.Log.Warn("driver", "run", id, "error", err)
	default:
		m.processes(t, status)
		if t.run.State.Session && t.run.State.HighAvailability && leader(status) == "" {
			m.sessionEnded(ctx, t)
		}
	}
	if t.run.State.HasEnded() {
		return
	}
	var answer jobstate.Answer
	if len(status.REST) > 0 {
		ask := m.jobs
		switch {
		case t.run.State.Cluster:
			ask = m.cluster
		case t.run.State.Session:
			ask = m.onSession
		}
		if o := ask(ctx, t, status); o != nil {
			answer, _ = o.(jobstate.Answer)
			t.step(o)
		}
	}
	s := &t.run.State
	if s.HasEnded() {
		return
	}
	lost := false
	if s.Stop != nil && (s.Stop.State == jobstate.SavepointAsked || s.Stop.State == jobstate.SavepointCompleted && s.Desired == jobstate.WantStop) &&
		!slices.Contains(t.left, jobstate.TriggerStop) && !slices.Contains(t.left, jobstate.CancelJob) {
		unknown := 0 // to how many JobManagers: up to Flink 1.14 only the one that was asked knows, then all that know the leader do
		for _, base := range status.REST {
			seen, err := m.REST.Savepoint(ctx, base, m.jobID(t.run), s.Stop.Trigger)
			if flinkrest.IsNotFound(err) {
				unknown++
			}
			if err == nil && seen.State != jobstate.SavepointAsked {
				t.step(seen)
				break
			}
		}
		lost = unknown > 0 && unknown == len(status.REST) && goesOn(answer, s.JobID, canBeCanceled)
	}
	if s.Stop != nil && s.Stop.State == jobstate.SavepointAsked && (s.Claim != nil || s.Exit != nil || lost) && m.FindSavepoint != nil {
		if path, err := m.FindSavepoint(ctx, cluster.StopDir(m.Driver, s.ID, s.Stop.Trigger)); err != nil {
			m.Log.Warn("the savepoint cannot be looked for", "run", id, "error", err)
		} else if path != "" {
			t.step(jobstate.SavepointSeen{State: jobstate.SavepointCompleted, Path: path, Source: jobstate.FromDriver})
		}
	}
	if lost {
		t.step(jobstate.RequestLost{Whole: goesOn(answer, s.JobID, canBeStopped)})
	}
	if s.Desired == jobstate.WantCancel && !slices.Contains(t.left, jobstate.CancelJob) && !slices.Contains(t.left, jobstate.DeleteCluster) &&
		goesOn(answer, s.JobID, canBeCanceled) {
		t.step(jobstate.RequestLost{})
	}
	if s.HasEnded() {
		return
	}
	if s.HighAvailability && !s.Cluster && (s.Claim != nil || s.Condition == jobstate.Lost) && m.ResultStore != nil {
		if o, err := m.ResultStore(ctx, t.run); err == nil && o != nil {
			t.step(o)
		}
	}
}

func canBeStopped(j jobstate.Seen) bool {
	return j.Status == jobstate.StRunning && j.Tasks.All()
}

func canBeCanceled(j jobstate.Seen) bool {
	return j.Status == jobstate.StRunning || j.Status == jobstate.StRestarting
}

// goesOn reports whether an answer that is not disputed says of each job of a run that it goes on.
func goesOn(a jobstate.Answer, job string, on func(jobstate.Seen) bool) bool {
	jobs := 0
	for _, j := range a.Jobs {
		if job != "" && j.ID != job || j.Status.Terminal() {
			continue
		}
		if !on(j) {
			return false
		}
		jobs++
	}
	return jobs > 0 && !a.Disputed
}

// processes turns what the driver knows into observations.
func (m *Monitor) processes(t *turn, status cluster.Status) {
	others := slices.ContainsFunc(status.Processes, func(p cluster.Process) bool { return p.JobManager && p.Alive })
	for _, p := range status.Processes {
		s := &t.run.State
		if p.Attempt == "" && !p.Ended.IsZero() { // nothing is left that says which one it was: the newest one
			if p.Attempt = s.Attempt; s.Attempt == "" {
				p.Attempt = p.Name
			}
		}
		if !p.JobManager || p.Attempt == "" {
			continue
		}
		if s.Attempt == "" || p.Attempt != s.Attempt && (p.Alive && !alive(status, s.Attempt) || !others && !known(status, s.Attempt)) {
			t.attempt = &store.Attempt{ID: p.Attempt, Started: p.Started}
			t.step(jobstate.ClusterStarted{Attempt: p.Attempt})
		}
		if !p.Alive && (s.Exit == nil || s.Exit.Attempt != p.Attempt) && p.Attempt == s.Attempt {
			t.attempt = &store.Attempt{ID: p.Attempt, Started: p.Started, Ended: p.Ended, Code: p.Code, Message: p.Message}
			t.step(jobstate.Exited{Attempt: p.Attempt, Code: p.Code, Message: p.Message, Others: others})
		}
	}
	if len(status.Processes) > 0 && !slices.ContainsFunc(status.Processes, func(p cluster.Process) bool { return p.JobManager && (p.Alive || p.Waits != "") }) && !t.run.State.Gone {
		t.step(jobstate.ClusterGone{})
	}
	m.ended(t, status)
	for _, p := range status.Processes { // JobManagers come first
		if p.Stuck && !t.run.State.Session {
			role := "a TaskManager"
			if p.JobManager {
				role = "the JobManager"
			}
			t.step(jobstate.Waits{Reason: role + " does not run yet, because " + p.Waits})
			break
		}
	}
}

// ended turns the ends of processes that have to be replaced into observations.
func (m *Monitor) ended(t *turn, status cluster.Status) {
	_, replaces := m.Driver.(cluster.Replacer)
	for i, p := range status.Processes {
		if p.Returns && !p.JobManager && dead(p) && !t.run.State.Session && !slices.ContainsFunc(status.Processes[i+1:], func(q cluster.Process) bool { return q.Place == p.Place && dead(q) }) {
			t.step(jobstate.ProcessEnded{Place: p.Place, Name: p.Name, Code: p.Code, Message: p.Message, Lived: p.Ended.Sub(p.Started), Returns: true})
		}
		if !replaces || p.Returns || t.run.State.Session {
			continue
		}
		if p.Alive || p.Waits != "" || p.Replaced || p.Ended.IsZero() || p.JobManager && !(t.run.State.Cluster && t.run.State.HighAvailability) {
			continue
		}
		t.step(jobstate.ProcessEnded{Place: p.Place, Name: p.Name, Code: p.Code, Message: p.Message, Lived: p.Ended.Sub(p.Started)})
	}
}

func dead(p cluster.Process) bool { return !p.Alive && !p.Ended.IsZero() }

// known reports whether the driver knows an attempt.
func known(status cluster.Status, attempt string) bool {
	return slices.ContainsFunc(status.Processes, func(p cluster.Process) bool { return p.Attempt == attempt })
}

// alive reports whether an attempt is alive.
func alive(status cluster.Status, attempt string) bool {
	return slices.ContainsFunc(status.Processes, func(p cluster.Process) bool { return p.Alive && p.Attempt == attempt })
}

// jobs asks the JobManagers of a cluster, all at the same time: one of several can be frozen. A standby answers what it hears from the leader;
// one that was the leader can say for a moment what it still believes. So the answer counts by which the job goes on, and what only one of
// several says is disputed.
func (m *Monitor) jobs(ctx context.Context, t *turn, status cluster.Status) jobstate.Observation {
	answers, errs := m.ask(ctx, status.REST)
	s := &t.run.State
	best, heard, away := -1, map[jobstate.Status]bool{}, 0
	for i := range answers {
		if errs[i] != nil {
			away++
			continue
		}
		heard[own(answers[i], s.JobID)] = true
		if best < 0 || weight(own(answers[i], s.JobID)) > weight(own(answers[best], s.JobID)) {
			best = i
		}
	}
	if best < 0 {
		return jobstate.NoAnswer{Reason: reasons(errs)}
	}
	jobs, base := answers[best], status.REST[best]
	a := jobstate.Answer{Disputed: len(heard) > 1 || len(answers) > 1 && away > len(answers)-jobManagers(status)}
	for _, j := range jobs {
		a.Jobs = append(a.Jobs, m.seen(ctx, base, j))
	}
	if len(jobs) == 0 && s.JobID == "" || len(jobs) == 0 && s.Queue == jobstate.Accept {
		if failed, err := m.REST.Applications(ctx, base); err == nil {
			a.ApplicationFailed = failed // Flink 2.3 and later keep the JobManager for a while
		}
	}
	return a
}

// ask asks JobManagers for their jobs, all at the same time.
func (m *Monitor) ask(ctx context.Context, bases []string) (answers [][]flinkrest.Job, errs []error) {
	answers, errs = make([][]flinkrest.Job, len(bases)), make([]error, len(bases))
	var requests sync.WaitGroup
	for i, base := range bases {
		requests.Go(func() { answers[i], errs[i] = m.REST.Jobs(ctx, base) })
	}
	requests.Wait()
	return answers, errs
}

// reasons are errors as one text, the same for the same errors in whatever order.
func reasons(errs []error) string {
	var why []string
	for _, err := range errs {
		if err != nil {
			why = append(why, err.Error())
		}
	}
	slices.Sort(why)
	return strings.Join(slices.Compact(why), "; ")
}

// seen is a job of an answer, with the cause if it has failed, and the slots if it may wait for some.
func (m *Monitor) seen(ctx context.Context, base string, j flinkrest.Job) jobstate.Seen {
	seen := j.Seen()
	if seen.Status == jobstate.StFailed {
		if x, err := m.REST.Exceptions(ctx, base, j.ID); err == nil && len(x) > 0 {
			seen.Cause = flinkrest.Cause(x[0].Text)
		}
	}
	if seen.MayWait() {
		if slots, err := m.REST.Slots(ctx, base, j.ID); err == nil { // else a later look knows them
			seen.Slots = &slots
		}
	}
	return seen
}

// jobManagers is how many are alive.
func jobManagers(status cluster.Status) int {
	n := 0
	for _, p := range status.Processes {
		if p.JobManager && p.Alive {
			n++
		}
	}
	return n
}

// own is how a run's job is in an answer; "": it is not in it.
func own(jobs []flinkrest.Job, id string) jobstate.Status {
	for _, j := range jobs {
		if j.ID == id || id == "" {
			return j.State
		}
	}
	return ""
}

// weight orders what several JobManagers say: a job that goes on, an end, a job that was given back, nothing.
func weight(s jobstate.Status) int {
	switch {
	case s == "":
		return 0
	case s == jobstate.Suspended, s == jobstate.Reconciling:
		return 1
	case s.Terminal():
		return 2
	}
	return 3
}
