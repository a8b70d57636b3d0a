package jobstate

import "time"

// An Observation is one fact that the platform has learned about a run.
type Observation interface{ observation() }

// ClusterStarted: the driver has started the processes of an attempt (again).
type ClusterStarted struct{ Attempt string }

// StartRefused: the driver cannot start the cluster, and trying again does not help.
type StartRefused struct{ Reason string }

// StartHindered: the driver could not start the cluster now, and will try again.
type StartHindered struct{ Reason string }

// NoStartPoint: the savepoint or checkpoint that the run starts from does not exist.
type NoStartPoint struct{ Reason string }

// Answer is what the cluster's leading JobManager said at GET /jobs/overview.
type Answer struct {
	Attempt string // that JobManager's process, where the driver knows it
	Jobs    []Seen
	// ApplicationFailed is why the application ended without its jobs' ends (Flink 2.3: /applications/:id).
	ApplicationFailed string
	// Disputed: another JobManager process of the cluster is alive and did not say the same, so this one may have lost its leadership.
	Disputed bool
	// TaskManagers is how many have registered; of a session cluster's own run alone. Its Jobs are those that no run has.
	TaskManagers int
}

// NotSubmitted: the session cluster that would get the job is not chosen yet, so no cluster has it.
type NotSubmitted struct{}

// SessionChosen: the session cluster that will get the job is known.
type SessionChosen struct{ HighAvailability bool }

// SessionEnded: the run of the session cluster that has the job has ended, so no JobManager will have the job again.
type SessionEnded struct{ Reason string }

// MainFailed: the main method of a job of a session cluster threw after the cluster had taken the job, which goes on.
type MainFailed struct{ Cause string }

// Seen is one job of an Answer.
type Seen struct {
	ID     string
	Status Status
	Tasks  Tasks
	Cause  string // of a failure, as far as it is known
	Slots  *Slots // nil: not known; see MayWait
}

// MayWait reports whether tasks of the job may wait for slots, so that the slots of its cluster matter. With the default scheduler they are SCHEDULED until
// they have one. With the adaptive scheduler the job is CREATED, and has no task yet.
func (j Seen) MayWait() bool {
	return !j.Status.Terminal() && (j.Tasks.Scheduled > 0 || j.Tasks.Running == 0 && (j.Tasks.Created > 0 || j.Status == Created))
}

// waits reports whether the job cannot run for want of slots: no task has one, or, where all tasks have to run at the same time, some have none. Those
// that have one run already, unless data is exchanged between subtasks (Flink's pipelined regions).
func (j Seen) waits() bool {
	return j.MayWait() && (j.Tasks.Running == 0 || j.Slots != nil && j.Slots.Streaming)
}

// Tasks are the counts of a job's tasks (subtasks).
type Tasks struct{ Total, Running, Finished, Created, Scheduled int }

// Slots are what a job needs and what its cluster has.
type Slots struct {
	Needed       int  // for all tasks at the same time; 0: not known
	Streaming    bool // all tasks have to run at the same time
	TaskManagers int  // that have registered
	Total, Free  int  // of them
}

// All reports whether every task runs or has finished.
func (t Tasks) All() bool { return t.Total > 0 && t.Running+t.Finished == t.Total }

// NoAnswer: nothing came, or nothing that says how the job is: a timeout, a refused connection, 5xx, a web page, the answer of a
// JobManager without leadership, another cluster's answer.
type NoAnswer struct{ Reason string }

// Push is one event of the status listener.
type Push struct {
	Attempt  string
	Sequence int64 // grows within an attempt
	JobID    string
	Status   Status
	Cause    string
}

// Archived: the JobManager archived a job that ended.
type Archived struct {
	JobID     string
	Status    Status
	Cause     string
	Savepoint string // the newest completed savepoint in the archive's checkpoints, with its trigger's target directory
}

// Recorded is an entry of the job result store of high availability.
type Recorded struct {
	JobID  string
	Status Status
}

// Exited: a JobManager process ended.
type Exited struct {
	Attempt string
	Code    int
	Message string // the termination message of the entrypoint
	// Others says that another JobManager process of the cluster is alive.
	Others bool
}

// ProcessEnded: a process ended that its cluster needs and that does not come back by itself: a TaskManager, or a JobManager of a session cluster
// with high availability.
type ProcessEnded struct {
	Place, Name string // taskmanager-1; taskmanager-1.2 is the second there
	Code        int
	Message     string
	Lived       time.Duration
	// Returns: what started it starts another one by itself.
	Returns bool
}

// Waits: a process of the cluster cannot run yet, and the driver knows why. What is before the first colon of the reason stays the same as long as
// the reason is the same.
type Waits struct{ Reason string }

// ProcessReplaced: the driver has started a process in the place of one that ended.
type ProcessReplaced struct{ Place, Name string } // Name: of the one that ended

// ClusterGone: no process of the cluster is left, and none can come back.
type ClusterGone struct{}

// AskStop: the user wants the job stopped with a savepoint.
type AskStop struct {
	By      string
	Drain   bool
	Then    *Upgrade // nil: nothing is started afterwards
	Request string   // its id; empty: it has none
}

// AskCancel: the user wants the job canceled.
type AskCancel struct{ By, Request string }

// AskResolve: the user says how a lost or parked run ended.
type AskResolve struct {
	By, Reason string
	As         Outcome
}

// AskStartEmpty: the user lets a parked run start without state.
type AskStartEmpty struct{ By string }

// SavepointSeen is what is known of the savepoint of the run's stop.
type SavepointSeen struct {
	State  SavepointState
	Path   string
	Cause  string
	Source Source // empty: REST
}

// NotFollowed: the run that was to follow this one, after an upgrade's stop or a failure, cannot be started, and trying again does not help.
type NotFollowed struct{ Reason string }

// RequestLost: Flink took the stop or cancel that is on its way, and no JobManager knows of it any more: the job goes on. The leader kept the request
// in memory, and another one leads now.
type RequestLost struct {
	// Whole: every task runs. Flink refuses a stop with savepoint otherwise.
	Whole bool
}

// Tick: the time of the next look has come and nothing else is known.
type Tick struct{}

func (ClusterStarted) observation()  {}
func (StartRefused) observation()    {}
func (StartHindered) observation()   {}
func (NoStartPoint) observation()    {}
func (Answer) observation()          {}
func (NoAnswer) observation()        {}
func (Push) observation()            {}
func (Archived) observation()        {}
func (Recorded) observation()        {}
func (Exited) observation()          {}
func (ProcessEnded) observation()    {}
func (Waits) observation()           {}
func (ProcessReplaced) observation() {}
func (ClusterGone) observation()     {}
func (AskStop) observation()         {}
func (AskCancel) observation()       {}
func (AskResolve) observation()      {}
func (AskStartEmpty) observation()   {}
func (SavepointSeen) observation()   {}
func (NotFollowed) observation()     {}
func (RequestLost) observation()     {}
func (SessionChosen) observation()   {}
func (SessionEnded) observation()    {}
func (MainFailed) observation()      {}
func (NotSubmitted) observation()    {}
func (Tick) observation()            {}

// An Effect is something to do outside. Each has a name made from the run, so doing it twice is doing it once.
type Effect string

// Effects.
const (
	StartCluster    Effect = "start cluster"
	DeleteCluster   Effect = "delete cluster"
	TriggerStop     Effect = "stop with savepoint"
	CancelJob       Effect = "cancel job"
	LookForSave     Effect = "look for savepoint"   // answer, archive, target directory
	AskResultStore  Effect = "ask job result store" // of high availability
	ReplaceProcess  Effect = "replace processes"    // those whose time has come
	AskProcesses    Effect = "ask driver"           // are processes alive, how did they end
	ConsiderRestart Effect = "consider restart"     // by the restart policy
	KeepArchive     Effect = "keep archive"
	StartNext       Effect = "start next version" // of an upgrade
)

// An Event is one line of a run's timeline.
type Event struct {
	Queue     Queue     `json:"queue"`
	Condition Condition `json:"condition,omitempty"`
	Outcome   Outcome   `json:"outcome,omitempty"`
	Source    Source    `json:"source"`
	Text      string    `json:"text"`               // a sentence for people
	By        string    `json:"by,omitempty"`       // the user
	Inferred  bool      `json:"inferred,omitempty"` // an exit code of 0 says that it ended, not how
}

// A Result is what follows from an observation.
type Result struct {
	Run     Run
	Events  []Event       // empty: nothing that people see has changed
	Effects []Effect      // to do now, in this order
	Next    time.Duration // until the next look; 0: never (before jitter)
}

// Intervals between two looks.
const (
	SoonAgain   = time.Second      // in Accept and Cancel, and while an end is not proven
	EachRunning = 10 * time.Second // in Running
	EachPushing = time.Minute      // in Running, where the cluster has proven that it pushes
	LongestLost = time.Minute      // looks at a lost run back off to this

	// A process that ended is replaced after FirstReplaced, then twice that, and so on up to LongestReplaced. MostReplaced in a row are replaced;
	// one that lived for Stable begins a new row.
	FirstReplaced   = time.Second
	LongestReplaced = time.Minute
	MostReplaced    = 10
	Stable          = 10 * time.Minute

	// GraceOfExit is how long push and archive may come after the process that sent them.
	GraceOfExit = 5 * time.Second
	// GraceOfRequest is how long what was asked of Flink may leave no trace before it is asked for again; then each time twice as long.
	GraceOfRequest = 10 * time.Second
	// LongestStop is how long a stop that fails because a task does not run is kept.
	LongestStop = 5 * time.Minute
	// GraceOfSavepoint is how long a savepoint is looked for after the job's end.
	GraceOfSavepoint = 30 * time.Second
	// TrialStable is how long every task of a new version has to run before its upgrade is done.
	TrialStable = 10 * time.Second
	// MissesToLost is how many looks without answer, in a row, make a run lost.
	MissesToLost = 2
)
