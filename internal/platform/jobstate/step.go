package jobstate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Step says what a run becomes by an observation, what people are shown of it, what has to be done, and when to look again.
// It changes nothing that it is given. The same observation again has no further event.
func Step(r Run, o Observation, now time.Time) Result {
	s := &step{run: r, now: now}
	s.run.Jobs = slices.Clone(r.Jobs)
	s.run.Strange = slices.Clone(r.Strange)
	s.run.Sequences, s.run.Losses = maps.Clone(r.Sequences), maps.Clone(r.Losses)
	s.run.Claim, s.run.Exit, s.run.Stop, s.run.Resolve, s.run.Trial = copied(r.Claim), copied(r.Exit), copied(r.Stop), copied(r.Resolve), copied(r.Trial)
	if r.HasEnded() {
		s.afterTheEnd(o)
	} else {
		s.observe(o)
		s.settle()
		if _, all := o.(Tick); all { // of this look
			s.trial()
			s.stopWaits()
		}
	}
	return Result{Run: s.run, Events: s.events, Effects: s.effects, Next: s.next()}
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

type step struct {
	run     Run
	now     time.Time
	events  []Event
	effects []Effect
}

func (s *step) do(e Effect) {
	if !slices.Contains(s.effects, e) {
		s.effects = append(s.effects, e)
	}
}

// tell adds an event that describes the run as it is now.
func (s *step) tell(source Source, format string, args ...any) *Event {
	s.events = append(s.events, Event{Queue: s.run.Queue, Condition: s.run.Condition, Outcome: s.run.Outcome, Source: source, Text: fmt.Sprintf(format, args...)})
	return &s.events[len(s.events)-1]
}

// move puts the run in a queue with a condition, and tells it if that is a change.
func (s *step) move(q Queue, c Condition, source Source, format string, args ...any) {
	if s.run.Queue == q && s.run.Condition == c {
		return
	}
	s.run.Queue, s.run.Condition, s.run.Since = q, c, s.now
	s.run.Reason = ""
	if c != None {
		s.run.Reason = fmt.Sprintf(format, args...)
	}
	s.tell(source, format, args...)
}

// end ends the run. It is the only place that does.
func (s *step) end(o Outcome, source Source, reason string) *Event {
	s.run.Queue, s.run.Condition, s.run.Outcome = queueOf[o], None, o
	s.run.Since, s.run.Ended, s.run.Source, s.run.Reason = s.now, s.now, source, reason
	s.run.Claim = nil
	text := string(o)
	if reason != "" {
		text += ": " + reason
	}
	if stop := s.run.Stop; stop != nil && stop.Then != nil {
		if o == IsStopped {
			s.do(StartNext)
		} else {
			text += fmt.Sprintf("; version %d is not started", stop.Then.Version)
		}
	}
	if t := s.run.Trial; t != nil && t.Failed && o == IsCanceled {
		s.do(ConsiderRestart)
	}
	e := s.tell(source, "%s", text)
	if o == IsFailed {
		s.do(ConsiderRestart)
	}
	s.do(KeepArchive)
	if !s.run.Session {
		s.do(DeleteCluster)
	}
	return e
}

// afterTheEnd: an ended run does not change. What is alive of it after its end is deleted, and named once.
func (s *step) afterTheEnd(o Observation) {
	var alive string
	switch o := o.(type) {
	case Answer:
		// A submit whose answer was lost can bring the job to a session cluster after the run was given up.
		if s.run.Session && slices.ContainsFunc(o.Jobs, func(j Seen) bool { return j.ID == s.run.JobID && !j.Status.Terminal() }) {
			s.do(CancelJob)
			if s.stranger("job " + s.run.JobID) {
				s.tell(FromREST, "the job runs after the end of the run; it is canceled")
			}
		}
		return
	case MainFailed: // a short job ends before its main method
		s.mainFailed(o)
	case NotFollowed:
		s.tell(FromClock, "%s", o.Reason)
	case ClusterStarted:
		alive = o.Attempt
	case Push:
		if !o.Status.Terminal() && o.Attempt != s.run.Attempt {
			alive = o.Attempt
		}
	}
	if alive == "" || s.run.Session {
		return
	}
	s.do(DeleteCluster)
	if s.stranger("attempt " + alive) {
		s.tell(FromDriver, "attempt %s runs after the end of the run; it is deleted", alive)
	}
}

// stranger notes something that does not belong here, and reports whether it is new. At most 20 are kept.
func (s *step) stranger(name string) bool {
	if slices.Contains(s.run.Strange, name) || len(s.run.Strange) >= 20 {
		return false
	}
	s.run.Strange = append(s.run.Strange, name)
	return true
}

func (s *step) observe(o Observation) {
	r := &s.run
	if r.Cluster { // what its jobs do is theirs
		switch o.(type) {
		case Push, Archived, Recorded:
			return
		}
	}
	switch o := o.(type) {
	case ClusterStarted:
		if r.Attempt != o.Attempt {
			s.started(o.Attempt, FromDriver)
		}
	case StartRefused:
		s.end(IsFailed, FromDriver, o.Reason)
	case StartHindered:
		if r.Queue == Accept && r.Condition == Starting && r.Reason != o.Reason {
			r.Reason = o.Reason
			s.tell(FromDriver, "the start is tried again: %s", o.Reason)
		}
	case NoStartPoint:
		if r.Queue == Accept {
			s.move(Accept, Parked, FromDriver, "parked: %s; start it without state, or cancel it", o.Reason)
		}
	case AskStartEmpty:
		if r.Condition == Parked {
			r.Deadline, r.Empty = s.now.Add(r.Deadline.Sub(r.Started)), true
			s.move(Accept, Starting, FromUser, "it starts without state")
			s.by(o.By)
			s.do(StartCluster)
		}
	case Answer:
		if r.Cluster {
			s.clusterAnswers(o)
		} else {
			s.answer(o)
		}
	case NoAnswer:
		s.noAnswer(o.Reason)
	case NotSubmitted:
		if r.Session && r.Desired == WantCancel && len(r.Jobs) == 0 {
			s.end(IsCanceled, FromDriver, "it was not submitted yet")
		}
	case MainFailed:
		s.mainFailed(o)
	case SessionChosen:
		r.HighAvailability = o.HighAvailability && r.Session
	case SessionEnded:
		if r.Session && r.HighAvailability {
			s.sessionEnded(o)
		}
	case Push:
		s.push(o)
	case Archived:
		if o.Savepoint != "" && r.Stop != nil && r.Stop.State == SavepointAsked {
			r.Stop.State, r.Stop.Path, r.Stop.Seen = SavepointCompleted, o.Savepoint, s.now
		}
		s.jobEnds(o.JobID, o.Status, FromArchive, o.Cause, !r.HighAvailability)
	case Recorded:
		s.jobEnds(o.JobID, o.Status, FromResultStore, "", true)
	case Exited:
		s.exited(o)
	case ProcessEnded:
		s.processEnded(o)
	case ProcessReplaced:
		s.processReplaced(o)
	case Waits:
		s.waits(o)
	case ClusterGone:
		s.gone()
	case AskStop:
		r.Request = cmp.Or(o.Request, r.Request)
		s.askStop(o)
	case AskCancel:
		r.Request = cmp.Or(o.Request, r.Request)
		s.askCancel(o)
	case AskResolve:
		if r.Condition == Lost || r.Condition == Parked || r.Condition == Ending {
			if r.Session { // the cluster is not this run's to delete
				s.end(o.As, FromUser, o.Reason).By = o.By
				return
			}
			r.Resolve = &Resolve{As: o.As, Reason: o.Reason, By: o.By}
			s.tell(FromUser, "to be resolved as %s when its cluster is gone: %s", o.As, o.Reason).By = o.By
			s.do(DeleteCluster)
			if r.Gone {
				s.gone()
			}
		}
	case SavepointSeen:
		s.savepoint(o)
	case RequestLost:
		s.requestLost(o)
	}
}

// started: the run has another JobManager process than before.
func (s *step) started(attempt string, source Source) {
	r := &s.run
	r.Attempt, r.Exit, r.Gone = attempt, nil, false
	if r.Condition == Starting {
		r.Reason = "" // what kept it from running does not any more
	}
	s.tell(source, "attempt %s has started", attempt)
}

func (s *step) by(who string) {
	if len(s.events) > 0 {
		s.events[len(s.events)-1].By = who
	}
}

// own reports whether a job belongs to this run, and names one that does not.
func (s *step) own(id string, source Source) bool {
	if s.run.JobID == "" || s.run.JobID == id {
		return true
	}
	if !s.run.Session && s.stranger("job "+id) {
		s.tell(source, "the cluster has a job with another id, %s; it is not this run's", id)
	}
	return false
}

// note remembers a job's status.
func (s *step) note(id string, status Status) {
	if j := s.run.job(id); j == nil {
		s.run.Jobs = append(s.run.Jobs, Job{ID: id, Status: status})
	} else if !j.Status.Terminal() {
		j.Status = status
	}
}

// found: the cluster has answered.
func (s *step) found() {
	s.run.Misses, s.run.Unanswered = 0, time.Time{}
}

func (s *step) answer(a Answer) {
	r := &s.run
	var mine []Seen
	for _, j := range a.Jobs {
		if s.own(j.ID, FromREST) {
			mine = append(mine, j)
		}
	}
	if len(mine) == 0 {
		s.noJob(a)
		return
	}
	s.found()
	if c := r.Claim; c != nil && r.HighAvailability && slices.ContainsFunc(mine, func(j Seen) bool { return !j.Status.Terminal() && j.Status != Cancelling && j.Status != Failing }) {
		s.tell(FromREST, "%s by %s is refuted: the leader says that the job goes on", c.Status, c.Source)
		r.Claim = nil
		// What the claim wrote down of jobs was wrong, too.
		for _, j := range mine {
			if k := r.job(j.ID); k != nil {
				k.Status = j.Status
			}
		}
		if r.Condition == Ending && r.Desired == WantRun {
			s.move(Running, None, FromREST, "it runs")
		}
	}
	for _, j := range mine {
		if j.Status.Terminal() {
			s.jobEnds(j.ID, j.Status, FromREST, j.Cause, !a.Disputed)
			if r.HasEnded() {
				return
			}
			continue
		}
		s.note(j.ID, j.Status)
	}
	if a.ApplicationFailed != "" {
		s.end(IsFailed, FromREST, a.ApplicationFailed)
		return
	}
	s.alive(mine)
}

// clusterAnswers: the JobManager of a session cluster answers. The cluster runs when a TaskManager can take a job.
func (s *step) clusterAnswers(a Answer) {
	r := &s.run
	s.found()
	r.Gone = false
	for _, j := range a.Jobs {
		if s.stranger("job " + j.ID) {
			s.tell(FromREST, "it runs a job that the platform did not submit, %s", j.ID)
		}
	}
	switch {
	case r.Desired != WantRun || r.Resolve != nil: // its end is on its way
	case a.TaskManagers == 0 && r.Queue == Accept:
		s.move(Accept, WaitingForSlots, FromREST, "no TaskManager has registered yet")
	case a.TaskManagers == 0:
		s.move(Running, WaitingForSlots, FromREST, "no TaskManager is registered")
	default:
		s.move(Running, None, FromREST, "the session cluster takes jobs")
	}
}

// sessionName is the session cluster of a run, for texts.
func (s *step) sessionName() string {
	return strings.TrimSuffix("the session cluster "+s.run.SessionName, " ")
}

// noJob: the leader answers, and does not know the run's job.
func (s *step) noJob(a Answer) {
	r := &s.run
	switch {
	case a.ApplicationFailed != "":
		s.end(IsFailed, FromREST, a.ApplicationFailed)
	case r.Session && len(r.Jobs) > 0 && a.Attempt != "" && a.Attempt != r.Attempt && !r.HighAvailability:
		// Without high availability a new JobManager knows nothing of the jobs of the one before.
		s.end(IsFailed, FromREST, s.sessionName()+" has another JobManager; it restarted without high availability, which ends its jobs")
	case r.Session && len(r.Jobs) == 0 && r.Desired == WantCancel:
		s.end(IsCanceled, FromREST, "it was not submitted yet")
	case r.Session && len(r.Jobs) == 0 && r.Queue == Accept && !s.now.Before(r.Deadline):
		s.end(IsFailed, FromREST, s.sessionName()+" did not take it within "+r.Deadline.Sub(r.Started).String()+because(r.Reason))
	case r.Queue == Accept && len(r.Jobs) == 0:
		s.found() // the application's main is still on its way to its first job
	default:
		s.noAnswer("the JobManager answers, and does not know the job")
	}
}

// alive puts a run with jobs that go on where it belongs.
func (s *step) alive(jobs []Seen) {
	r := &s.run
	var cancelling, restarting, unknown, all = false, false, false, true
	open := 0
	var waiting *Seen
	for _, j := range jobs {
		switch j.Status {
		case Cancelling:
			cancelling = true
		case StRestarting, Failing:
			restarting = true
		case Suspended, Reconciling:
			unknown = true
		}
		if !j.Status.Terminal() {
			open++
			all = all && j.Status == StRunning && j.Tasks.All()
			if waiting == nil && j.waits() {
				waiting = &j
			}
		}
	}
	if open > 0 {
		r.Gone = false // whoever said so looked before
	}
	if t := r.Trial; t != nil && open > 0 {
		switch {
		case !all:
			t.Whole = time.Time{}
		case t.Whole.IsZero():
			t.Whole = s.now
		}
	}
	switch {
	case open == 0: // every job known has ended; the application has not
	case unknown:
		s.move(r.Queue, Lost, FromREST, "the JobManager gave the job back and no other has it yet (SUSPENDED or RECONCILING)")
	case r.Condition == Ending && r.Desired != WantRun, r.Resolve != nil: // a stop or cancel is on its way
	case cancelling && r.Desired == WantRun:
		s.move(Cancel, Ending, FromREST, "it is being canceled; the platform did not ask for it")
	case r.Claim != nil:
	case r.Desired != WantRun:
		s.move(Cancel, Ending, FromREST, "it is ending")
	case restarting && r.Queue == Accept:
		s.move(Accept, Restarting, FromREST, "it failed and restarts before it ran")
	case restarting:
		s.move(Running, Restarting, FromREST, "it failed and restarts")
	case all:
		s.move(Running, None, FromREST, "every task runs")
	case waiting != nil:
		q := Running
		if r.Queue == Accept {
			q = Accept
		}
		s.waitsForSlots(q, *waiting)
	case r.Queue == Accept:
		s.move(Accept, Starting, FromREST, "its tasks are starting")
	default:
		s.move(Running, None, FromREST, "it runs")
	}
}

// Texts about slots. What is before the colon stays the same while the numbers change.
const (
	forSlots       = "it waits for slots: "
	noneRegistered = "no TaskManager has registered"
)

// waitsForSlots: the run cannot go on before its cluster has more slots. A reason that the driver gave (see waits) says more and stays.
func (s *step) waitsForSlots(q Queue, j Seen) {
	text := forSlots + slotsOf(j)
	s.move(q, WaitingForSlots, FromREST, "%s", text)
	if strings.HasPrefix(s.run.Reason, forSlots) { // TaskManagers come and go
		s.run.Reason = text
	}
}

// slotsOf says what a job that waits needs and what its cluster has.
func slotsOf(j Seen) string {
	if j.Slots == nil {
		return "not enough TaskManagers have registered"
	}
	x := *j.Slots
	var has string
	switch {
	case x.TaskManagers == 0:
		has = noneRegistered
	case x.Needed > x.Total:
		has = fmt.Sprintf("its cluster has %d (%s)", x.Total, count(x.TaskManagers, "TaskManager"))
	default:
		has = fmt.Sprintf("its cluster has %d, of which %d are free", x.Total, x.Free)
	}
	switch {
	case x.Needed == 0:
		return has
	case j.Status == Created: // the adaptive scheduler takes fewer, too
		return fmt.Sprintf("it takes up to %d, and %s", x.Needed, has)
	}
	return fmt.Sprintf("it needs %d, and %s", x.Needed, has)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// whyNot is why a run that was given its time does not run, and what to do about it.
func (s *step) whyNot() string {
	r := &s.run
	switch {
	case r.Condition == WaitingForSlots && strings.HasSuffix(r.Reason, noneRegistered):
		return r.Reason + "; the logs of its TaskManagers say why"
	case r.Condition == WaitingForSlots && strings.HasPrefix(r.Reason, forSlots) && r.Session:
		return r.Reason + "; give the session cluster more TaskManagers (x-platform.taskManagers) or slots (taskmanager.numberOfTaskSlots), stop other jobs there, or lower its parallelism"
	case r.Condition == WaitingForSlots && strings.HasPrefix(r.Reason, forSlots):
		return r.Reason + "; give it more TaskManagers (x-platform.taskManagers) or slots (taskmanager.numberOfTaskSlots), or lower its parallelism"
	case r.Reason != "":
		return r.Reason
	case r.Misses > 0:
		return "its JobManager does not answer"
	case r.Attempt == "" && !r.Session:
		return "its cluster has not started"
	case len(r.Jobs) == 0:
		return "its JobManager does not have the job yet"
	}
	return "not every task of it runs"
}

func (s *step) noAnswer(why string) {
	r := &s.run
	if r.Queue == Accept && r.Condition != Lost && s.now.Before(r.Deadline) {
		return // it is starting; nothing answers yet
	}
	if r.Exit != nil && !r.HighAvailability {
		return // its process has ended: the exit code, or something better, will say how
	}
	if r.Misses++; r.Unanswered.IsZero() {
		r.Unanswered = s.now
	}
	if r.Misses < MissesToLost || r.Condition != Lost && s.now.Sub(r.Unanswered) < r.LostAfter || r.Condition == Ending || r.Condition == Parked {
		s.do(AskProcesses)
		return
	}
	s.do(AskProcesses)
	if r.HighAvailability {
		s.do(AskResultStore)
	}
	if r.Condition != Lost {
		r.Misses = MissesToLost // looks back off from here
	}
	s.move(r.Queue, Lost, FromREST, "no answer: %s", why)
}

func (s *step) push(p Push) {
	r := &s.run
	if r.Attempt != "" && p.Attempt != r.Attempt && !r.HighAvailability {
		if s.stranger("attempt " + p.Attempt) {
			s.tell(FromPush, "an event of attempt %s is ignored: the run has attempt %s", p.Attempt, r.Attempt)
		}
		return
	}
	if r.Attempt == "" && r.Exit == nil {
		s.started(p.Attempt, FromPush) // its driver has not reported it yet, and does not report it again
	}
	if p.Sequence <= r.Sequences[p.Attempt] {
		return
	}
	if r.Sequences == nil || len(r.Sequences) >= 20 && r.Sequences[p.Attempt] == 0 {
		r.Sequences = map[string]int64{}
	}
	r.Sequences[p.Attempt] = p.Sequence
	r.Pushes = r.Pushes || p.Attempt == r.Attempt
	if !s.own(p.JobID, FromPush) {
		return
	}
	if p.Status.Terminal() {
		s.jobEnds(p.JobID, p.Status, FromPush, p.Cause, !r.HighAvailability)
		return
	}
	if r.HighAvailability && p.Attempt != r.Attempt {
		return // a JobManager that may have lost its leadership: the leader will say how the job is
	}
	s.note(p.JobID, p.Status)
	switch {
	case p.Status == StRestarting || p.Status == Failing:
		if r.Condition != Ending {
			q := r.Queue
			if q != Accept {
				q = Running
			}
			s.move(q, Restarting, FromPush, "it failed and restarts%s", because(p.Cause))
		}
	case p.Status == Cancelling && r.Desired == WantRun && r.Condition != Ending:
		s.move(Cancel, Ending, FromPush, "it is being canceled; the platform did not ask for it")
	}
}

func because(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + cause
}

// jobEnds: a source says that a job has reached a terminal status. proven: nothing can refute it.
func (s *step) jobEnds(id string, status Status, source Source, cause string, proven bool) {
	r := &s.run
	if !status.Terminal() || !s.own(id, source) {
		return
	}
	if !proven && r.HighAvailability {
		// Flink archives before it commits to the job result store, and a leader that was frozen may say late how the job ended for it.
		if r.Claim == nil {
			r.Claim = &Claim{Status: status, Source: source, Cause: cause, At: s.now}
			r.Queue, r.Condition, r.Since = ending(r.Queue), Ending, s.now
			r.Reason = fmt.Sprintf("%s by %s; the job result store or the leader has to agree", status, source)
			s.tell(source, "%s", r.Reason)
		}
		s.do(AskResultStore)
		return
	}
	s.note(id, status)
	if r.JobID == "" {
		if r.Claim == nil || r.Claim.Status != StFailed {
			r.Claim = &Claim{Status: worst(r.Jobs), Source: source, Cause: cause, At: s.now}
		}
		return // one job's end alone does not end a run of several
	}
	s.endAs(status, source, cause)
}

// ending is the queue of a run whose end is claimed: it stays where it is, so that a refuted claim leaves no trace.
func ending(q Queue) Queue { return q }

// worst is the status of an application by its jobs, all of which have ended.
func worst(jobs []Job) Status {
	w := StFinished
	for _, j := range jobs {
		switch j.Status {
		case StFailed:
			return StFailed
		case StCanceled:
			w = StCanceled
		}
	}
	return w
}

// endAs ends the run by a job's proven status, or waits for what is still needed to say how.
func (s *step) endAs(status Status, source Source, cause string) {
	r := &s.run
	switch status {
	case StFailed:
		s.end(IsFailed, source, cause)
	case StCanceled:
		if r.Desired == WantStop && r.Stop != nil && r.Stop.State == SavepointCompleted { // see requestLost
			s.end(IsStopped, source, "with savepoint "+r.Stop.Path)
			return
		}
		reason := ""
		if r.Desired == WantRun {
			reason = "the platform did not ask for it"
		}
		s.end(IsCanceled, source, reason)
	case StFinished:
		if r.Stop == nil {
			s.end(IsFinished, source, "")
			return
		}
		switch r.Stop.State {
		case SavepointCompleted:
			s.end(IsStopped, source, "with savepoint "+r.Stop.Path)
		case SavepointMissing, SavepointFailed:
			s.end(IsFinished, source, "no savepoint of the stop was found: the job ended by itself")
		default:
			// Flink reports FINISHED for a stop with savepoint, too: only the savepoint tells them apart.
			if r.Claim == nil || !r.Claim.Proven {
				r.Claim = &Claim{Status: status, Source: source, Cause: cause, At: s.now, Proven: true}
				s.move(Cancel, Ending, source, "the job has ended; its savepoint is looked for")
			}
			s.do(LookForSave)
		}
	}
}

func (s *step) exited(o Exited) {
	r := &s.run
	if r.Attempt != "" && o.Attempt != r.Attempt || r.Exit != nil && r.Exit.Attempt == o.Attempt {
		return
	}
	r.Exit = &Exit{Attempt: o.Attempt, Code: o.Code, Message: o.Message, At: s.now}
	s.tell(FromExit, "attempt %s ended with %d%s", o.Attempt, o.Code, because(o.Message))
	if !o.Others {
		s.do(AskProcesses)
	}
}

// processEnded: without a TaskManager that comes back, a job would wait for slots until Flink gives it up.
func (s *step) processEnded(o ProcessEnded) {
	r := &s.run
	l := r.Losses[o.Place]
	if !r.needed() || l.Name == o.Name {
		return
	}
	if o.Lived >= Stable {
		l.Row = 0
	}
	l = Loss{Name: o.Name, Row: l.Row + 1}
	how := fmt.Sprintf("%s ended with %d%s", o.Name, o.Code, because(o.Message))
	if l.GaveUp = l.Row > MostReplaced && !o.Returns; o.Returns {
		s.tell(FromExit, "%s; it is started again", how)
	} else if l.GaveUp {
		s.tell(FromExit, "%s; it is not replaced: it is the %dth in a row", how, l.Row)
	} else {
		after := min(FirstReplaced<<(l.Row-1), LongestReplaced)
		l.Due = s.now.Add(after)
		s.tell(FromExit, "%s; another one is started in %s", how, after)
	}
	if r.Losses == nil || len(r.Losses) >= mostLosses && r.Losses[o.Place].Name == "" { // places of pods have new names
		r.Losses = map[string]Loss{}
	}
	r.Losses[o.Place] = l
}

// mostLosses is how many places are remembered. A larger cluster than the platform starts has more.
const mostLosses = 2000

// waits: while the run cannot go on, its reason is what keeps its processes from running.
func (s *step) waits(o Waits) {
	r := &s.run
	if r.Desired != WantRun || r.Claim != nil || r.Exit != nil || r.Condition != Starting && r.Condition != WaitingForSlots && r.Condition != Restarting {
		return
	}
	kind := func(reason string) string {
		k, _, _ := strings.Cut(reason, ":")
		return k
	}
	news := kind(r.Reason) != kind(o.Reason)
	r.Reason = o.Reason
	if news {
		s.tell(FromDriver, "%s", o.Reason)
	}
}

func (s *step) processReplaced(o ProcessReplaced) {
	l := s.run.Losses[o.Place]
	if l.Name != o.Name || l.Due.IsZero() {
		return
	}
	l.Due = time.Time{}
	s.run.Losses[o.Place] = l
	s.tell(FromDriver, "a process was started in the place of %s", o.Name)
}

func (s *step) mainFailed(o MainFailed) {
	if s.stranger("main") {
		s.tell(FromREST, "%s has the job, and its main method failed after that: %s", s.sessionName(), o.Cause)
	}
}

// sessionEnded: the JobManagers of the session cluster will not come back, and its jobs neither.
func (s *step) sessionEnded(o SessionEnded) {
	r := &s.run
	r.Gone = true
	lost := s.sessionName() + " has ended, and its jobs with it" + because(o.Reason)
	switch {
	case r.Claim != nil: // nothing is left that could refute it
	case r.Stop != nil && r.Stop.State == SavepointCompleted:
		s.end(IsStopped, FromDriver, "with savepoint "+r.Stop.Path).Inferred = true
	case r.Desired == WantCancel:
		s.end(IsCanceled, FromDriver, lost).Inferred = true
	default:
		s.end(IsFailed, FromDriver, lost)
	}
}

func (s *step) gone() {
	r := &s.run
	if r.Session && r.HighAvailability {
		return // its JobManagers come back, and with them the job
	}
	r.Gone = true
	if r.Resolve != nil {
		e := s.end(r.Resolve.As, FromUser, r.Resolve.Reason)
		e.By = r.Resolve.By
		return
	}
	if r.Condition == Parked && r.Desired == WantCancel || r.Desired == WantCancel && r.Claim == nil && (r.Exit == nil || r.HighAvailability) && !r.Session {
		// Nothing of it runs, and it is not wanted: whatever the job was, it is canceled now.
		s.end(IsCanceled, FromDriver, "").Inferred = len(r.Jobs) > 0
	}
}

func (s *step) askStop(o AskStop) {
	r := &s.run
	if r.Stop != nil && r.Stop.State == SavepointAsked || r.Desired == WantCancel {
		return
	}
	if r.Queue == Accept && o.Then != nil {
		return // it does not run, so it cannot be upgraded
	}
	if r.Queue == Accept {
		s.askCancel(AskCancel{By: o.By}) // it has no state to save
		return
	}
	r.Desired = WantStop
	r.Stop = &Stop{Trigger: triggerID(r.ID, s.now), Drain: o.Drain, State: SavepointAsked, Asked: s.now, Then: o.Then}
	if o.Then == nil {
		s.move(Cancel, Ending, FromUser, "a stop with savepoint was asked for")
	} else {
		s.move(Cancel, Ending, FromUser, "an upgrade to version %d was asked for; it is stopped with a savepoint first", o.Then.Version)
	}
	s.by(o.By)
	s.do(TriggerStop)
}

func (s *step) askCancel(o AskCancel) {
	r := &s.run
	if r.Desired == WantCancel {
		return
	}
	r.Desired = WantCancel
	started := len(r.Jobs) > 0
	const asked = "a cancel was asked for"
	if r.Queue == Cancel && r.Condition == Ending { // of a stop with savepoint: the state is the same, and the timeline still has who asked
		r.Since, r.Reason = s.now, asked
		s.tell(FromUser, asked)
	}
	s.move(Cancel, Ending, FromUser, asked)
	s.by(o.By)
	switch {
	case started:
		s.do(CancelJob)
	case !r.Session:
		s.do(DeleteCluster)
	default:
		s.do(CancelJob)
	}
}

func (s *step) savepoint(o SavepointSeen) {
	r := &s.run
	if r.Stop == nil || r.Stop.State != SavepointAsked {
		return
	}
	r.Stop.State, r.Stop.Path = o.State, o.Path
	source := o.Source
	if source == "" {
		source = FromREST
	}
	switch o.State {
	case SavepointCompleted:
		r.Stop.Seen = s.now
		s.tell(source, "savepoint %s is complete", o.Path)
	case SavepointFailed:
		stop := r.Stop
		if stop.Waits != "" && s.now.Sub(stop.Asked) < LongestStop {
			return // the new request is not asked for yet, so this is the old one
		}
		if passes(o.Cause) && s.stopMayWait() && s.now.Sub(stop.Asked) < LongestStop {
			// Flink knows the request by its id, and would give the same answer to it again.
			stop.State, stop.Path, stop.Trigger, stop.Waits = SavepointAsked, "", triggerID(r.ID, s.now), o.Cause
			r.AskedAgain = s.now
			s.tell(source, "the stop failed because not every task runs; it is asked for again when they do")
			return
		}
		if r.Claim == nil { // the job goes on
			what := "the stop failed and the job goes on"
			if r.Stop.Then != nil {
				what = fmt.Sprintf("it cannot be stopped with a savepoint, so it is not upgraded to version %d and goes on", r.Stop.Then.Version)
			}
			r.Desired, r.Stop = WantRun, nil
			s.move(Running, None, source, "%s%s", what, because(o.Cause))
		}
	}
}

// passing are the reasons of Flink for which a stop fails because a task does not run, in the words of every version from 1.13 to 2.3.
var passing = []string{
	"Not all required tasks are currently running", // this one and the next four: CheckpointFailureReason
	"Checkpoint Coordinator is suspending",
	"FailoverRegion is restarting",
	"Checkpoint was declined (tasks not ready)",
	"Checkpoint was declined (task is closing)",
	"The Flink job is currently not executing", // AdaptiveScheduler, while its job waits or restarts
	"RecipientUnreachableException",            // a TaskManager is gone, and Flink does not know it yet
}

// passes reports whether a stop failed for a reason that passes.
func passes(cause string) bool {
	return slices.ContainsFunc(passing, func(reason string) bool { return strings.Contains(cause, reason) })
}

// stopMayWait reports whether the job goes on, and is wanted to stop.
func (s *step) stopMayWait() bool {
	r := &s.run
	return r.Desired == WantStop && r.Condition == Ending && r.Claim == nil && r.Resolve == nil && (r.Exit == nil || r.HighAvailability)
}

// stopWaits gives a stop up that waited too long for every task to run.
func (s *step) stopWaits() {
	if stop := s.run.Stop; stop != nil && stop.Waits != "" && s.stopMayWait() && s.now.Sub(stop.Asked) >= LongestStop {
		s.savepoint(SavepointSeen{State: SavepointFailed, Cause: stop.Waits})
	}
}

// requestLost asks for a stop or cancel again. From Flink 1.15 on, a stop with the same trigger id is one stop, however often it is asked for.
//
// A stop whose savepoint is complete is finished by a cancel. The leader that made the savepoint lost its leadership before it could say that the job has
// ended, so the next one runs the job again, from the checkpoint before; it restarts for ever if the old one has removed that. Flink's advice for a job that
// goes on after such a savepoint is to start from it (StopWithSavepointStoppingException).
func (s *step) requestLost(o RequestLost) {
	r := &s.run
	if r.Claim != nil || r.Resolve != nil || r.Condition != Ending {
		return
	}
	var asked time.Time
	var effect Effect
	var text string
	const unknown = "the job goes on, and no JobManager knows of the "
	switch stop := r.Stop; {
	case r.Desired == WantStop && stop != nil && stop.State == SavepointAsked && o.Whole:
		asked, effect, text = stop.Asked, TriggerStop, unknown+"stop with savepoint any more; it is asked for again"
		if stop.Waits != "" {
			text = "every task runs; the stop with savepoint is asked for again"
		}
	case r.Desired == WantStop && stop != nil && stop.State == SavepointCompleted && r.JobID != "": // of several jobs, the others have no savepoint
		asked, effect, text = stop.Seen, CancelJob, unknown+"stop with savepoint any more; its savepoint is complete, so it is canceled"
	case r.Desired == WantCancel:
		asked, effect, text = r.Since, CancelJob, unknown+"cancel any more; it is asked for again"
	default:
		return
	}
	last := asked
	if r.AskedAgain.After(asked) {
		last = r.AskedAgain
	}
	if s.now.Sub(last) < max(GraceOfRequest, last.Sub(asked)) {
		return
	}
	r.AskedAgain = s.now
	if effect == TriggerStop {
		r.Stop.Waits = ""
	}
	s.tell(FromREST, "%s", text)
	s.do(effect)
}

// trial decides an upgrade: it is done when every task of the new version has run for a while, and has failed when its time passes before that.
func (s *step) trial() {
	r := &s.run
	t := r.Trial
	if t == nil || t.Failed || r.HasEnded() || r.Desired != WantRun || r.Claim != nil || r.Resolve != nil || r.Exit != nil && !r.HighAvailability {
		return
	}
	runs := r.Queue == Running && r.Condition == None && r.Misses == 0 && !t.Whole.IsZero()
	switch {
	case runs && min(s.now.Sub(r.Since), s.now.Sub(t.Whole)) >= TrialStable:
		r.Trial = nil
		s.tell(FromREST, "the upgrade from version %d is done: every task runs for %s", t.From, TrialStable)
	case !runs && !s.now.Before(t.Until):
		t.Failed, t.Reason = true, s.whyNot()
		r.Desired = WantCancel
		s.move(Cancel, Ending, FromClock, "it did not run in time: %s; it is ended, and version %d starts again from the same savepoint", t.Reason, t.From)
		if r.Session {
			s.do(CancelJob)
		} else {
			s.do(DeleteCluster) // nothing of it is kept
			if r.Gone {
				s.gone()
			}
		}
		s.settle()
	}
}

// settle decides what has become decidable by what is remembered and by the time.
func (s *step) settle() {
	r := &s.run
	if r.HasEnded() {
		return
	}
	if len(r.ToReplace(s.now)) > 0 {
		s.do(ReplaceProcess)
	}
	if c := r.Claim; c != nil {
		switch {
		case r.Stop != nil && c.Status == StFinished && r.JobID != "" && (c.Proven || r.Gone):
			switch {
			case r.Stop.State != SavepointAsked:
				s.endAs(StFinished, c.Source, c.Cause)
			case s.now.Sub(c.At) >= GraceOfSavepoint:
				r.Stop.State = SavepointMissing
				s.endAs(StFinished, c.Source, c.Cause)
			default:
				s.do(LookForSave)
			}
		case r.HighAvailability && r.Gone && r.JobID != "":
			// Every JobManager is gone: nothing is left that could refute it.
			s.endAs(c.Status, c.Source, c.Cause)
		case r.JobID == "" && (r.Gone || r.Exit != nil && !r.HighAvailability):
			s.applicationEnds()
		case r.HighAvailability:
			s.do(AskResultStore)
		}
		return
	}
	if r.Exit != nil && !r.HighAvailability {
		s.byExit()
		return
	}
	if r.Exit != nil && r.Gone && (r.Queue == Accept && ownCode(r.Exit.Code) || r.Cluster && r.abandoned()) {
		s.byExit()
		return
	}
	if r.Gone && r.Exit == nil && r.Queue != Accept {
		s.move(r.Queue, Lost, FromDriver, "no process of the cluster is left, and nothing says how the job ended")
	}
	if r.Queue == Accept && r.Condition != Parked && r.Condition != Lost && !r.Deadline.IsZero() && !s.now.Before(r.Deadline) {
		switch {
		case r.Condition == WaitingForSlots || r.Condition == Restarting:
			// The leader itself has said so: this is evidence that it does not run.
			s.end(IsFailed, FromREST, "it did not run within "+r.Deadline.Sub(r.Started).String()+": "+s.whyNot())
		case r.Condition == Starting && r.Attempt == "" && len(r.Jobs) == 0 && r.Reason != "": // the driver has said that it cannot
			s.end(IsFailed, FromDriver, "its cluster was not started within "+r.Deadline.Sub(r.Started).String()+because(r.Reason))
		}
	}
}

// ownCode reports whether an exit code is the entrypoint's own: Flink was never started.
func ownCode(code int) bool { return code >= 20 && code <= 29 || code == 126 || code == 127 }

// byExit ends a run without high availability by its JobManager's exit code, when nothing better has come.
func (s *step) byExit() {
	r := &s.run
	x := r.Exit
	reason := x.Message
	if r.Session {
		s.bySessionExit()
		return
	}
	if ownCode(x.Code) {
		if reason == "" {
			reason = fmt.Sprintf("the entrypoint ended with %d before Flink started", x.Code)
		}
		s.end(IsFailed, FromExit, reason)
		return
	}
	if s.now.Sub(x.At) < GraceOfExit && !r.Cluster {
		return // a push or the archive may still come: they know more
	}
	if reason == "" {
		reason = fmt.Sprintf("the JobManager ended with %d", x.Code)
	}
	switch {
	case r.Cluster && r.Desired == WantCancel: // it was asked to end; what its processes answer to that does not matter
		s.end(IsCanceled, FromDriver, "")
	case r.Cluster:
		s.end(IsFailed, FromExit, fmt.Sprintf("its JobManager ended with %d%s", x.Code, because(x.Message)))
	case x.Code == 0:
		var e *Event
		switch {
		case r.Desired == WantCancel, slices.ContainsFunc(r.Jobs, func(j Job) bool { return j.Status == Cancelling }):
			e = s.end(IsCanceled, FromExit, "")
		case r.Stop != nil && r.Stop.State == SavepointCompleted:
			e = s.end(IsStopped, FromExit, "with savepoint "+r.Stop.Path)
		case r.Stop != nil && r.Stop.State == SavepointAsked && s.now.Sub(x.At) < GraceOfSavepoint:
			s.do(LookForSave) // it tells a stop from a job that ended by itself
			return
		default:
			e = s.end(IsFinished, FromExit, "")
		}
		e.Inferred = true
	default:
		if r.Desired == WantCancel {
			s.end(IsCanceled, FromExit, reason).Inferred = true
			return
		}
		// Without high availability a job does not outlive its JobManager.
		s.end(IsFailed, FromExit, reason)
	}
}

// bySessionExit ends a job by the end of its session cluster's JobManager. The exit code says how the cluster ended, never how the job did.
func (s *step) bySessionExit() {
	r := &s.run
	x := r.Exit
	if s.now.Sub(x.At) < GraceOfExit {
		return // a push or the archive may still come: they know more
	}
	switch {
	case r.Stop != nil && r.Stop.State == SavepointCompleted:
		s.end(IsStopped, FromExit, "with savepoint "+r.Stop.Path).Inferred = true
	case r.Desired == WantCancel:
		s.end(IsCanceled, FromExit, fmt.Sprintf("%s lost its JobManager (exit code %d)", s.sessionName(), x.Code)).Inferred = true
	default:
		s.end(IsFailed, FromExit, fmt.Sprintf("%s lost its JobManager (exit code %d), and without high availability its jobs with it%s", s.sessionName(), x.Code, because(x.Message)))
	}
}

// applicationEnds ends a run of several jobs: the application is over.
func (s *step) applicationEnds() {
	r := &s.run
	open := slices.ContainsFunc(r.Jobs, func(j Job) bool { return !j.Status.Terminal() })
	switch {
	case r.Exit != nil && r.Exit.Code != 0 && r.Desired == WantRun:
		reason := r.Claim.Cause
		if reason == "" {
			reason = fmt.Sprintf("the application ended with %d%s", r.Exit.Code, because(r.Exit.Message))
		}
		s.end(IsFailed, FromExit, reason)
	case open && (r.Exit == nil || s.now.Sub(r.Exit.At) < GraceOfExit):
		// the archive of the last job may still come
	case worst(r.Jobs) == StFailed:
		s.end(IsFailed, r.Claim.Source, r.Claim.Cause)
	case worst(r.Jobs) == StCanceled, open && r.Desired != WantRun:
		s.end(IsCanceled, r.Claim.Source, "")
	default:
		s.end(IsFinished, r.Claim.Source, "").Inferred = open
	}
}

// next is the time until the next look.
func (s *step) next() time.Duration {
	d := s.nextLook()
	if d == 0 || !s.run.needed() {
		return d
	}
	if s.run.Trial != nil {
		d = min(d, SoonAgain)
	}
	for _, l := range s.run.Losses {
		switch after := l.Due.Sub(s.now); {
		case l.Due.IsZero():
		case after > 0:
			d = min(d, after)
		default: // this look could not
			d = min(d, SoonAgain)
		}
	}
	return d
}

func (s *step) nextLook() time.Duration {
	r := &s.run
	switch {
	case r.HasEnded(), r.Condition == Parked:
		return 0
	case r.Condition == Lost:
		return min(SoonAgain<<min(max(r.Misses-MissesToLost, 0), 6), LongestLost)
	case r.Queue == Running && r.Condition != Ending && r.Misses == 0 && r.Claim == nil && r.Exit == nil:
		if r.Pushes && r.Condition == None {
			return EachPushing
		}
		return EachRunning
	}
	return SoonAgain
}

// triggerID is the id of the savepoint request: 32 hexadecimal digits, the same however often the request is repeated. A later stop of
// the same run has another one.
func triggerID(run string, asked time.Time) string {
	return digest32(run + "/stop/" + asked.UTC().Format(time.RFC3339Nano))
}
