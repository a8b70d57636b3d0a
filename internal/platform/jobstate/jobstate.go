// Package jobstate is the rule for the state of a run: one function, [Step], from (run, observation, time) to (run, events, effects,
// next look). It has no clock, no network and no goroutine, so each case can be written down and tested.
//
// The first rule: only positive evidence ends a run. No answer, a wrong answer and an unknown answer are conditions of a
// run that goes on. An ended run never changes.
//
// Facts are from Flink 1.15 to 2.3, run: org.apache.flink.api.common.JobStatus, the REST API's /jobs/overview, the status listener
// of 2.x (JobStatusChangedListener), the archive (FsJobArchivist) and the job result store (FileSystemJobResultStore).
package jobstate

import (
	"slices"
	"strings"
	"time"
)

// A Queue is where a run waits for its next look. It is also the state that people see.
type Queue string

// The five queues.
const (
	Accept  Queue = "accept"  // the cluster starts, until every task runs
	Running Queue = "running" // observed
	Cancel  Queue = "cancel"  // a stop or cancel is on its way, or has ended the run
	Failed  Queue = "failed"  // ended: the job, the application or the start failed
	Finish  Queue = "finish"  // ended: all jobs finished
)

// A Condition says more about a run in its queue.
type Condition string

// Conditions of runs that have not ended.
const (
	None            Condition = ""
	Starting        Condition = "starting"
	WaitingForSlots Condition = "waiting for slots"
	Restarting      Condition = "restarting"
	Ending          Condition = "ending" // an end is claimed or asked for, and not proven yet
	Parked          Condition = "parked" // a person has to decide how it starts
	Lost            Condition = "lost"   // no answer, or none that says how the job is
)

// Desired is what the user wants of a run.
type Desired string

// What a user can want.
const (
	WantRun    Desired = "run"
	WantStop   Desired = "stop" // with a savepoint
	WantCancel Desired = "cancel"
)

// An Outcome says how a run ended.
type Outcome string

// Outcomes.
const (
	Open       Outcome = "" // it has not ended
	IsFinished Outcome = "finished"
	IsFailed   Outcome = "failed"
	IsCanceled Outcome = "canceled"
	IsStopped  Outcome = "stopped" // with a completed savepoint
)

// queueOf is where a run with this outcome stays.
var queueOf = map[Outcome]Queue{IsFinished: Finish, IsFailed: Failed, IsCanceled: Cancel, IsStopped: Cancel}

// A Status is Flink's status of a job (org.apache.flink.api.common.JobStatus).
type Status string

// Flink's statuses.
const (
	Initializing Status = "INITIALIZING"
	Created      Status = "CREATED"
	StRunning    Status = "RUNNING"
	Failing      Status = "FAILING"
	StFailed     Status = "FAILED"
	Cancelling   Status = "CANCELLING"
	StCanceled   Status = "CANCELED"
	StFinished   Status = "FINISHED"
	StRestarting Status = "RESTARTING"
	Suspended    Status = "SUSPENDED"
	Reconciling  Status = "RECONCILING"
)

// Terminal reports whether no JobManager can continue the job (JobStatus.isGloballyTerminalState). SUSPENDED is not.
func (s Status) Terminal() bool { return s == StFailed || s == StCanceled || s == StFinished }

// A Source is where evidence came from.
type Source string

// Sources of evidence.
const (
	FromPush        Source = "push"             // the status listener in the JobManager
	FromREST        Source = "REST"             // an answer of the leader
	FromArchive     Source = "archive"          // what the JobManager archives when a job ends
	FromResultStore Source = "job result store" // of high availability
	FromExit        Source = "exit code"
	FromDriver      Source = "driver" // what started the cluster: processes or Kubernetes
	FromUser        Source = "user"
	FromClock       Source = "deadline"
)

// A Run is one life of one version of a job on one cluster: what the rule must remember of it. It is stored as JSON.
type Run struct {
	ID      string  `json:"id"`
	Queue   Queue   `json:"queue"`
	Desired Desired `json:"desired"`
	// JobID is the Flink job id that the platform gave, 32 hexadecimal digits. Empty: the application may have several jobs.
	JobID            string `json:"jobId,omitempty"`
	HighAvailability bool   `json:"highAvailability,omitempty"`
	Session          bool   `json:"session,omitempty"`     // a job of a session cluster, which outlives it
	SessionName      string `json:"sessionName,omitempty"` // of that cluster
	// Cluster: the run is a session cluster itself. It has no job of its own, and goes on until it is canceled or its JobManager ends.
	Cluster bool `json:"cluster,omitempty"`

	Condition Condition `json:"condition,omitempty"`
	Since     time.Time `json:"since"`            // of the condition, or of the queue without one
	Reason    string    `json:"reason,omitempty"` // of condition or outcome, a sentence for people

	// Empty: the user lets it start without state; no start point is looked for any more.
	Empty bool `json:"empty,omitempty"`

	Attempt  string    `json:"attempt,omitempty"` // the newest JobManager process
	Started  time.Time `json:"started"`           // when the cluster was asked for
	Deadline time.Time `json:"deadline"`          // of Accept
	Jobs     []Job     `json:"jobs,omitempty"`    // Flink's jobs of this run, in the order they were seen
	Claim    *Claim    `json:"claim,omitempty"`   // an end that is not proven yet
	Exit     *Exit     `json:"exit,omitempty"`    // of the newest JobManager process
	Gone     bool      `json:"gone,omitempty"`    // no process of the cluster is left
	Misses   int       `json:"misses,omitempty"`  // looks without an answer, in a row
	// Unanswered is the time of the first of them, and LostAfter how long after it the run is lost: a short absence is not worth an event.
	Unanswered time.Time     `json:"unanswered,omitzero"`
	LostAfter  time.Duration `json:"lostAfter,omitempty"`
	Pushes     bool          `json:"pushes,omitempty"` // the cluster has proven that it pushes
	// Sequences is the last push seen of each attempt.
	Sequences map[string]int64 `json:"sequences,omitempty"`
	Losses    map[string]Loss  `json:"losses,omitempty"` // by place, of processes that ended and were or will be replaced
	Stop      *Stop            `json:"stop,omitempty"`
	// AskedAgain is when the stop or cancel that is on its way was last asked for again.
	AskedAgain time.Time `json:"askedAgain,omitzero"`
	// Request is the user's last one to end the run, if it has an id: a repetition finds the run by it, whatever became of it meanwhile.
	Request string   `json:"request,omitempty"`
	Trial   *Trial   `json:"trial,omitempty"` // it is the second half of an upgrade, which is not decided yet
	Resolve *Resolve `json:"resolve,omitempty"`
	Strange []string `json:"strange,omitempty"` // ids of jobs that do not belong here, each reported once

	Outcome Outcome   `json:"outcome,omitempty"`
	Source  Source    `json:"source,omitempty"` // of the evidence of the outcome
	Ended   time.Time `json:"ended"`            // zero: it has not ended
}

// A Job is one Flink job of a run.
type Job struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
}

// A Claim is an end that was reported but is not proven.
type Claim struct {
	Status Status    `json:"status"`
	Source Source    `json:"source"`
	Cause  string    `json:"cause,omitempty"`
	At     time.Time `json:"at"`
	// Proven: the job has ended so; what is missing is whether its savepoint is complete.
	Proven bool `json:"proven,omitempty"`
}

// An Exit is how a JobManager process ended.
type Exit struct {
	Attempt string    `json:"attempt"`
	Code    int       `json:"code"` // as a shell gives it: 128 + signal for a signal
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at"`
}

// A Loss is the newest process of a place that ended while its cluster is wanted.
type Loss struct {
	Name string `json:"name"` // of the process
	Row  int    `json:"row"`  // how many ended in this place in a row
	// Due is when the next one is started; zero: it was started, or it is given up.
	Due    time.Time `json:"due,omitzero"`
	GaveUp bool      `json:"gaveUp,omitempty"`
}

// A Stop is a stop with savepoint on its way.
type Stop struct {
	Trigger string         `json:"trigger"` // the id that Flink knows the request by; made from the run
	Drain   bool           `json:"drain,omitempty"`
	State   SavepointState `json:"state"`
	Path    string         `json:"path,omitempty"`
	Asked   time.Time      `json:"asked"`
	Seen    time.Time      `json:"seen,omitzero"` // when the savepoint was seen to be complete
	// Waits is why it failed, if it is to be asked for again when every task runs.
	Waits string   `json:"waits,omitempty"`
	Then  *Upgrade `json:"then,omitempty"` // what is started from the savepoint
}

// An Upgrade is a stop with savepoint, and a start of another version from it. If that does not run in time, the version before starts again.
type Upgrade struct {
	Version int           `json:"version"` // that is started
	Within  time.Duration `json:"within"`  // it has to run
	By      string        `json:"by,omitempty"`
}

// A Trial is what a run has to show after an upgrade.
type Trial struct {
	From  int       `json:"from"` // the version that starts again if it does not run
	Until time.Time `json:"until"`
	// Whole is since when every task runs, as far as the last answer says; zero: not every one does. A run whose tasks come up again after a
	// failure is in Running, too.
	Whole time.Time `json:"whole,omitzero"`
	// Failed: its time has passed, and it is being ended.
	Failed bool   `json:"failed,omitempty"`
	Reason string `json:"reason,omitempty"` // of that
}

// A Resolve is a person's decision about a lost run. It waits until the cluster is gone.
type Resolve struct {
	As     Outcome `json:"as"`
	Reason string  `json:"reason"`
	By     string  `json:"by"`
}

// SavepointState says how far a savepoint is.
type SavepointState string

// States of a savepoint.
const (
	SavepointAsked     SavepointState = "asked"
	SavepointCompleted SavepointState = "completed"
	SavepointFailed    SavepointState = "failed"
	SavepointMissing   SavepointState = "missing" // looked for everywhere and not found
)

// New is a run whose cluster has to be started.
func New(id, jobID string, highAvailability, session bool, now time.Time, startWithin time.Duration) Run {
	return Run{ID: id, JobID: jobID, HighAvailability: highAvailability, Session: session, Queue: Accept, Desired: WantRun,
		Condition: Starting, Since: now, Started: now, Deadline: now.Add(startWithin)}
}

// HasEnded reports whether the run has ended: it will never change.
func (r *Run) HasEnded() bool { return r.Outcome != Open }

// needed reports whether the cluster of the run still needs its processes.
func (r *Run) needed() bool {
	ending := r.Claim != nil && r.JobID != "" // of several jobs, the first that ends is a claim too
	return !r.HasEnded() && !r.Session && r.Desired != WantCancel && r.Resolve == nil && !ending && (r.Exit == nil || r.HighAvailability) && r.Condition != Parked
}

// ToReplace are the places whose processes have ended and whose time has come.
func (r *Run) ToReplace(now time.Time) []string {
	var places []string
	for place, l := range r.Losses {
		if r.needed() && !l.Due.IsZero() && !now.Before(l.Due) {
			places = append(places, place)
		}
	}
	slices.Sort(places)
	return places
}

// abandoned reports whether a JobManager was given up, and none is to come.
func (r *Run) abandoned() bool {
	gaveUp := false
	for place, l := range r.Losses {
		if strings.HasPrefix(place, "jobmanager") {
			if !l.Due.IsZero() {
				return false
			}
			gaveUp = gaveUp || l.GaveUp
		}
	}
	return gaveUp
}

// job is the job with this id, or nil.
func (r *Run) job(id string) *Job {
	for i := range r.Jobs {
		if r.Jobs[i].ID == id {
			return &r.Jobs[i]
		}
	}
	return nil
}
