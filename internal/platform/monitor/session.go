package monitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/internal/platform/flinkrest"
	"flink-entrypoint/internal/platform/jobstate"
	"flink-entrypoint/internal/platform/store"
)

// polls are the newest answers of session clusters. One answer is for every run that has its job there.
type polls struct {
	mu sync.Mutex
	of map[string]*poll // by the cluster's run
}

// A poll is one request for the jobs of a session cluster, to each of its JobManagers.
type poll struct {
	began time.Time
	done  chan struct{} // closed when the others are there
	err   error
	sessionAnswer
}

// A sessionAnswer is what the JobManagers of a session cluster answer.
type sessionAnswer struct {
	jobs     map[string]flinkrest.Job
	disputed map[string]bool // jobs of which another JobManager that is alive did not say the same
	base     string          // of one that answered
}

// get returns an answer to a request that began at a time or later, and asks if it has no such answer. Callers that come while it is asked wait for
// the same answer.
func (p *polls) get(ctx context.Context, cluster string, since time.Time, ask func(context.Context) (sessionAnswer, error)) (*poll, error) {
	for {
		p.mu.Lock()
		last := p.of[cluster]
		if last == nil || last.began.Before(since) && last.over() {
			last = &poll{began: time.Now(), done: make(chan struct{})}
			if p.of == nil || len(p.of) > 1000 { // of runs that ended long ago
				p.of = map[string]*poll{}
			}
			p.of[cluster] = last
			go last.ask(context.WithoutCancel(ctx), ask)
		}
		p.mu.Unlock()
		select {
		case <-last.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !last.began.Before(since) {
			return last, last.err
		}
	}
}

func (p *poll) ask(ctx context.Context, ask func(context.Context) (sessionAnswer, error)) {
	defer close(p.done)
	p.sessionAnswer, p.err = ask(ctx)
}

func (p *poll) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// sessionJobs is what a session cluster says of its jobs, at a time or later.
func (m *Monitor) sessionJobs(ctx context.Context, run string, status cluster.Status, since time.Time) (*poll, error) {
	return m.polls.get(ctx, run, since, func(ctx context.Context) (sessionAnswer, error) { return m.askSession(ctx, reachable(status)) })
}

// askSession asks each JobManager of a session cluster. With high availability there are several, and what they say of a job counts as for a job
// of an application cluster (see jobs).
func (m *Monitor) askSession(ctx context.Context, bases []string) (sessionAnswer, error) {
	answers, errs := m.ask(ctx, bases)
	all := sessionAnswer{jobs: map[string]flinkrest.Job{}, disputed: map[string]bool{}}
	for i, jobs := range answers {
		if errs[i] != nil {
			continue
		}
		if all.base == "" {
			all.base = bases[i]
		}
		for _, j := range jobs {
			if have, ok := all.jobs[j.ID]; !ok || weight(j.State) > weight(have.State) {
				all.jobs[j.ID] = j
			}
		}
	}
	if all.base == "" {
		return all, errors.New(reasons(errs))
	}
	for id, j := range all.jobs {
		for i := range answers {
			if errs[i] != nil || own(answers[i], id) != j.State {
				all.disputed[id] = true
			}
		}
	}
	return all, nil
}

// reachable are the addresses of the JobManagers that are alive: another cluster can have the port of one that has ended.
func reachable(status cluster.Status) []string {
	var places []string
	alive := map[string]bool{}
	for _, p := range status.Processes {
		if !p.JobManager {
			continue
		}
		if !slices.Contains(places, p.Place) {
			places = append(places, p.Place)
		}
		alive[p.Place] = alive[p.Place] || p.Alive
	}
	if len(places) != len(status.REST) { // the driver's addresses are not those of single processes
		return status.REST
	}
	var bases []string
	for i, base := range status.REST {
		if alive[places[i]] {
			bases = append(bases, base)
		}
	}
	return bases
}

// fresh is the age at most of an answer that counts for a look now: half the interval between two. What was asked before an end was claimed does
// not refute it.
func fresh(s jobstate.Run) time.Time {
	if s.Claim != nil {
		return time.Now()
	}
	if s.Queue == jobstate.Running && s.Condition == jobstate.None {
		return time.Now().Add(-jobstate.EachRunning / 2)
	}
	return time.Now().Add(-jobstate.SoonAgain / 2)
}

// onSession is how a run's job on a session cluster is. nil: it is on its way there.
func (m *Monitor) onSession(ctx context.Context, t *turn, status cluster.Status) jobstate.Observation {
	s, run := &t.run.State, t.run.ClusterRun()
	if leader(status) == "" {
		return jobstate.NoAnswer{Reason: noLeader}
	}
	p, err := m.sessionJobs(ctx, run, status, fresh(*s))
	if err == nil && p.jobs[s.JobID].ID == "" {
		if m.submits.running(s.ID) {
			return nil // the cluster can have it a moment later
		}
		p, err = m.sessionJobs(ctx, run, status, time.Now()) // what it does not have counts only now
	}
	if err != nil {
		return jobstate.NoAnswer{Reason: err.Error()}
	}
	a := jobstate.Answer{Attempt: leader(status), Disputed: p.disputed[s.JobID]}
	if j, ok := p.jobs[s.JobID]; ok {
		a.Jobs = []jobstate.Seen{m.seen(ctx, p.base, j)}
	}
	return a
}

// sessionEnded says so if the run of a session cluster with high availability has ended: as long as it has not, its JobManagers come back.
func (m *Monitor) sessionEnded(ctx context.Context, t *turn) {
	on, err := m.Store.Run(ctx, t.run.ClusterRun())
	if err != nil && !errors.Is(err, store.ErrNotFound) || err == nil && !on.State.HasEnded() {
		return
	}
	if m.ResultStore != nil { // it can know more
		if o, err := m.ResultStore(ctx, t.run); err == nil && o != nil {
			t.step(o)
		}
	}
	t.step(jobstate.SessionEnded{Reason: on.State.Reason})
}

const noLeader = "no JobManager of the session cluster runs"

// leader is the attempt of the JobManager that is alive; the first of several.
func leader(status cluster.Status) string {
	for _, p := range status.Processes {
		if p.JobManager && p.Alive {
			return p.Attempt
		}
	}
	return ""
}

// cluster is how a session cluster itself is. Jobs that run there after the end of their run are reported to those runs.
func (m *Monitor) cluster(ctx context.Context, t *turn, status cluster.Status) jobstate.Observation {
	run := t.run.State.ID
	if leader(status) == "" { // another cluster can have its port by now
		return jobstate.NoAnswer{Reason: noLeader}
	}
	p, err := m.sessionJobs(ctx, run, status, fresh(t.run.State))
	if err != nil {
		return jobstate.NoAnswer{Reason: err.Error()}
	}
	overview, err := m.REST.Overview(ctx, p.base)
	if err != nil {
		return jobstate.NoAnswer{Reason: err.Error()}
	}
	a := jobstate.Answer{TaskManagers: overview.TaskManagers}
	open, err := m.Store.OpenOnSession(ctx, run)
	if err != nil {
		m.Log.Warn("jobs of a session cluster", "run", run, "error", err)
		return a
	}
	for id, j := range p.jobs {
		if j.State.Terminal() || slices.Contains(open, id) {
			continue
		}
		of, err := m.Store.RunOnSession(ctx, run, id)
		if errors.Is(err, store.ErrNotFound) {
			a.Jobs = append(a.Jobs, j.Seen())
			continue
		}
		// The run can have ended, and its job with it, since the answer: what counts is one that began later.
		if p, e := m.sessionJobs(ctx, run, status, time.Now()); e != nil || p.jobs[id].ID == "" || p.jobs[id].State.Terminal() {
			continue
		}
		if err == nil && of.State.HasEnded() {
			_, err = m.Decide(ctx, of.State.ID, jobstate.Answer{Jobs: []jobstate.Seen{j.Seen()}})
		}
		if err != nil {
			m.Log.Warn("a job of a session cluster without an open run", "run", run, "flinkJob", id, "error", err)
		}
	}
	return a
}

// cancelOnSession asks for the cancellation of a run's job on a session cluster.
func (m *Monitor) cancelOnSession(ctx context.Context, r store.Run) (done bool, err error) {
	id := r.ClusterRun()
	if id == "" {
		return true, nil
	}
	status, err := m.Driver.Observe(ctx, id)
	if errors.Is(err, cluster.ErrUnknown) || err == nil && leader(status) == "" {
		return !r.State.HighAvailability || r.State.HasEnded(), nil // its jobs are gone with it
	}
	if err != nil {
		return false, err
	}
	for _, base := range reachable(status) {
		if err = m.REST.Cancel(ctx, base, r.State.JobID); err == nil {
			break
		}
	}
	if answer, ok := errors.AsType[*flinkrest.Error](err); ok && r.State.HasEnded() && (answer.Status == http.StatusNotFound || answer.Status == http.StatusConflict) {
		return true, nil // the cluster does not have it, or it has ended
	}
	return err == nil, err
}

// submits are the submissions on their way. One takes as long as the main method of a job; a turn does not wait for it, and no other
// turn of the same run begins a second one.
type submits struct {
	life context.Context // of the monitor
	all  sync.WaitGroup
	mu   sync.Mutex
	of   map[string]*submission // by run
	// first are runs whose cluster was chosen by this process, and that were not submitted since: no other server can have tried it.
	first map[string]bool
}

type submission struct {
	done  chan struct{} // closed when the others are set
	ended time.Time
	err   error
}

func (x *submission) over() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// running reports whether a run's submission is on its way.
func (s *submits) running(run string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[run] != nil && !s.of[run].over()
}

// begin begins a run's submission unless it is on its way, and returns it.
func (s *submits) begin(run string, do func(context.Context) error) *submission {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.of[run]; x != nil {
		return x
	}
	if s.of == nil {
		s.of = map[string]*submission{}
	}
	maps.DeleteFunc(s.of, func(_ string, x *submission) bool { // of runs that were canceled meanwhile
		return x.over() && time.Since(x.ended) > time.Minute
	})
	x := &submission{done: make(chan struct{})}
	s.of[run] = x
	s.all.Go(func() {
		x.err = do(s.life)
		x.ended = time.Now()
		close(x.done)
	})
	return x
}

// chosen notes that no try of a run can be on its way.
func (s *submits) chosen(run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil || len(s.first) > 1000 { // of runs that were canceled before
		s.first = map[string]bool{}
	}
	s.first[run] = true
}

// isFirst reports whether the try that begins is the first one of a run.
func (s *submits) isFirst(run string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.first[run]
	delete(s.first, run)
	return first
}

func (s *submits) forget(run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, run)
}

// aTurn is how long a turn waits for a submission.
const aTurn = 3 * time.Second

// submit brings a run's job to its session cluster. The cluster's run is written down first, so that however often this is repeated, also
// by a server that starts after a crash, the job goes to the same JobManager under the same id, which takes it once.
func (m *Monitor) submit(ctx context.Context, t *turn) (done bool, err error) {
	r := t.run
	if r.Asked.SessionRun == "" {
		return m.chooseSession(ctx, t)
	}
	status, err := m.Driver.Observe(ctx, r.Asked.SessionRun)
	if err == nil && leader(status) == "" {
		return false, nil // the look says so
	}
	if err != nil {
		return false, err
	}
	x := m.submits.begin(r.State.ID, func(ctx context.Context) error { return m.send(ctx, r, reachable(status)) })
	select {
	case <-x.done:
	case <-ctx.Done():
		return false, nil
	case <-time.After(aTurn):
		return false, nil
	}
	m.submits.forget(r.State.ID)
	refusal, refused := errors.AsType[*cluster.Refusal](x.err)
	rejected, no := errors.AsType[*flinkrest.Rejected](x.err)
	switch {
	case x.err == nil:
		return true, nil
	case refused:
		t.step(jobstate.StartRefused{Reason: refusal.Error()})
		return true, nil
	case no:
		t.step(jobstate.StartRefused{Reason: fmt.Sprintf("the session cluster %s refused it: %s", r.Asked.Session, rejected)})
		return true, nil
	}
	t.step(jobstate.StartHindered{Reason: x.err.Error()})
	return false, x.err
}

// chooseSession writes down which run of the session cluster gets the job, once that takes jobs.
func (m *Monitor) chooseSession(ctx context.Context, t *turn) (done bool, err error) {
	name := t.run.Asked.Session
	on, err := m.Session(ctx, t.run)
	refusal, refused := errors.AsType[*cluster.Refusal](err)
	switch {
	case refused:
		t.step(jobstate.StartRefused{Reason: refusal.Error()})
		return true, nil
	case errors.Is(err, store.ErrNotFound):
		t.step(jobstate.StartHindered{Reason: fmt.Sprintf("the session cluster %s was never started", name)})
		return false, nil
	case err != nil:
		return false, err
	case on.State.HasEnded():
		t.step(jobstate.StartHindered{Reason: fmt.Sprintf("the session cluster %s does not run: its last run is %s", name, on.State.Outcome)})
		return false, nil
	case on.State.Queue != jobstate.Running || on.State.Condition != jobstate.None:
		t.step(jobstate.StartHindered{Reason: fmt.Sprintf("the session cluster %s does not take jobs yet: it is in %s (%s)", name, on.State.Queue, on.State.Condition)})
		return false, nil
	}
	asked := t.run.Asked
	asked.SessionRun = on.State.ID
	t.run.Asked, t.asked, t.changed = asked, &asked, true
	m.submits.chosen(t.run.State.ID)
	t.step(jobstate.SessionChosen{HighAvailability: on.State.HighAvailability})
	return false, nil
}

// send submits a run's job to the first of several JobManagers that answers: each of them passes it on to the leader.
func (m *Monitor) send(ctx context.Context, r store.Run, bases []string) error {
	var overview flinkrest.Overview
	base, err := "", errors.New(noLeader)
	for _, base = range bases {
		if overview, err = m.REST.Overview(ctx, base); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	s, err := m.Program(ctx, r, overview.Version)
	if err != nil {
		return err
	}
	s.JobID, s.First = r.State.JobID, m.submits.isFirst(r.State.ID)
	s.Point = func(place string) { m.at(place, r) }
	late, err := m.REST.Submit(ctx, base, s)
	if err != nil || late == nil {
		return err
	}
	// Its job runs, and a push of it can have changed the run since this turn began, or ended it.
	if _, err := m.Decide(ctx, r.State.ID, jobstate.MainFailed{Cause: late.Cause}); err != nil {
		m.Log.Warn("a main method that failed is not in the timeline", "run", r.State.ID, "cause", late.Cause, "error", err)
	}
	return nil
}
