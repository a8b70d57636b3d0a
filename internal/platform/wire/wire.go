// Package wire is what the platform's API says and takes, as JSON: the types that server and client share. docs/platform-api.yaml
// describes them.
package wire

import (
	"encoding/json"
	"net/http"
	"time"
)

// A Job is a job or a session cluster, with its newest run.
type Job struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"` // job or cluster
	Team      string    `json:"team"`
	Newest    int       `json:"newestVersion"`
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"createdBy"`
	Run       *Run      `json:"run,omitempty"`
	Jobs      []string  `json:"jobs,omitempty"` // of a session cluster: with a run on it that has not ended
}

// A Version is an immutable definition of a job.
type Version struct {
	Job      string        `json:"job"`
	Number   int           `json:"number"`
	Digest   string        `json:"sha256"` // of what pods get
	Comment  string        `json:"comment,omitempty"`
	Created  time.Time     `json:"created"`
	By       string        `json:"createdBy"`
	Catalogs []UsedCatalog `json:"catalogs,omitempty"`
	Source   string        `json:"source,omitempty"` // what the user sent
	Warnings []string      `json:"warnings,omitempty"`
}

// A UsedCatalog is a catalog that was written into a version.
type UsedCatalog struct {
	Name     string `json:"name"`
	Revision int    `json:"revision"`
	Newest   int    `json:"newestRevision,omitempty"` // 0: it was deleted
}

// A Run is one life of a version on one cluster.
type Run struct {
	ID        string     `json:"id"`
	Job       string     `json:"job"`
	Version   int        `json:"version"`
	Revision  int64      `json:"revision"`
	Queue     string     `json:"queue"` // accept, running, failed, cancel, finish
	Condition string     `json:"condition,omitempty"`
	Since     time.Time  `json:"since"` // of the condition, or of the queue
	Desired   string     `json:"desired"`
	Reason    string     `json:"reason,omitempty"`
	Outcome   string     `json:"outcome,omitempty"`  // finished, failed, canceled, stopped; none: it has not ended
	Evidence  string     `json:"evidence,omitempty"` // where the outcome is known from
	Created   time.Time  `json:"created"`
	Ended     *time.Time `json:"ended,omitempty"`
	JobID     string     `json:"flinkJobId,omitempty"`
	Attempt   string     `json:"attempt,omitempty"`
	Attempts  []Attempt  `json:"attempts,omitempty"`
	Jobs      []FlinkJob `json:"flinkJobs,omitempty"`
	From      string     `json:"startedFrom,omitempty"` // savepoint or checkpoint
	Savepoint string     `json:"savepoint,omitempty"`   // that its stop made
	Session   string     `json:"session,omitempty"`     // the session cluster that it runs on
	SessionOf string     `json:"sessionRun,omitempty"`  // the run of that cluster which got its job
	By        string     `json:"startedBy,omitempty"`
	Restart   int        `json:"restart,omitempty"` // how many runs the restart policy has made in a row
	Upgrade   *Upgrade   `json:"upgrade,omitempty"` // that it is a part of
	Seen      *Seen      `json:"seen,omitempty"`    // what its cluster says, where that was asked for
}

// Seen is what the cluster of a run said.
type Seen struct {
	At         time.Time  `json:"at"`
	Checkpoint *time.Time `json:"lastCheckpoint,omitempty"` // when the newest completed one was complete
	Restarts   int        `json:"restarts"`                 // of Flink's job, since the run began
	Error      string     `json:"error,omitempty"`          // why it said nothing
}

// A Count is how many jobs are in a state.
type Count struct {
	Queue     string `json:"queue"` // none: never started
	Condition string `json:"condition,omitempty"`
	Ended     bool   `json:"ended,omitempty"`
	Jobs      int    `json:"jobs"`
}

// A FlinkJob is one of Flink's jobs of a run.
type FlinkJob struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// An Attempt is one JobManager process of a run.
type Attempt struct {
	ID      string     `json:"id"`
	Started time.Time  `json:"started"`
	Ended   *time.Time `json:"ended,omitempty"`
	Code    *int       `json:"exitCode,omitempty"`
	Message string     `json:"message,omitempty"`
}

// An Event is one line of a run's timeline.
type Event struct {
	ID        int64     `json:"id"`
	Run       string    `json:"run"`
	Job       string    `json:"job"`
	Revision  int64     `json:"revision"`
	At        time.Time `json:"at"`
	Queue     string    `json:"queue"`
	Condition string    `json:"condition,omitempty"`
	Outcome   string    `json:"outcome,omitempty"`
	Evidence  string    `json:"evidence"`
	Text      string    `json:"text"`
	By        string    `json:"by,omitempty"`
	Inferred  bool      `json:"inferred,omitempty"`
}

// Start is what a start asks for.
type Start struct {
	Version   int    `json:"version,omitempty"`   // 0: the newest
	Savepoint string `json:"savepoint,omitempty"` // latest, none, or a path; empty: as the definition says
}

// Stop is what a stop asks for.
type Stop struct {
	Mode string `json:"mode"` // savepoint, drain or cancel
}

// An Upgrade is what a run has to do with one.
type Upgrade struct {
	// State: stopping, stopped (another run follows) and "not started" of the run before; starting, done, failed and canceled of the new version; back of the
	// version before, started again.
	State string     `json:"state"`
	From  int        `json:"from"` // version
	To    int        `json:"to"`   // version
	Until *time.Time `json:"until,omitempty"`
	// Reason is why the version did not run, after which the one before is back.
	Reason string `json:"reason,omitempty"`
}

// UpgradeJob asks for one.
type UpgradeJob struct {
	Version int  `json:"version,omitempty"` // 0: the newest
	Within  int  `json:"within,omitempty"`  // seconds; 0: 300
	Drain   bool `json:"drain,omitempty"`
}

// Resolve is a person's decision about a lost run.
type Resolve struct {
	As     string `json:"as"` // finished, failed or canceled
	Reason string `json:"reason"`
}

// A Catalog is a stored CREATE CATALOG statement.
type Catalog struct {
	Name      string    `json:"name"`
	Revision  int       `json:"revision"`
	Statement string    `json:"statement"`
	Changed   time.Time `json:"changed"`
	By        string    `json:"changedBy"`
	Jobs      []UsedBy  `json:"jobs,omitempty"` // that have it written in
}

// UsedBy is a job whose newest or running version has a catalog.
type UsedBy struct {
	Job      string `json:"job"`
	Version  int    `json:"version"`
	Revision int    `json:"revision"` // of the catalog in that version
	Running  bool   `json:"running,omitempty"`
}

// An Artifact is a file that definitions name.
type Artifact struct {
	Name    string    `json:"name"`
	Digest  string    `json:"sha256"`
	Size    int64     `json:"size"`
	Created time.Time `json:"created"`
	By      string    `json:"createdBy"`
}

// A Token is a bearer token without its secret.
type Token struct {
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Team    string     `json:"team"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
	Secret  string     `json:"secret,omitempty"` // in the answer that makes it, and never again
}

// Me is the caller of a request.
type Me struct {
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Team    string     `json:"team"`
	Local   bool       `json:"local,omitempty"`   // the user of this machine, on a server without --auth
	Expires *time.Time `json:"expires,omitempty"` // of the browser's session; none: the request has no session
}

// A Code signs a browser in, once.
type Code struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// SignIn makes a session of one of its fields.
type SignIn struct {
	Token string `json:"token,omitempty"`
	Code  string `json:"code,omitempty"`
}

// A Problem is an error (RFC 9457).
type Problem struct {
	Type   string  `json:"type,omitempty"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail,omitempty"`
	Hint   string  `json:"hint,omitempty"`
	Faults []Fault `json:"faults,omitempty"`
}

// Write answers with a problem.
func (p Problem) Write(w http.ResponseWriter) {
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p) // a caller that is gone hears nothing
}

// A Fault is one thing that is wrong with a text.
type Fault struct {
	Path    string `json:"path,omitempty"`
	Line    int    `json:"line,omitempty"`   // from 1
	Column  int    `json:"column,omitempty"` // from 1
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// A Push is one event of the status listener in a JobManager.
type Push struct {
	Run       string `json:"run"`
	Attempt   string `json:"attempt"`
	Sequence  int64  `json:"sequence"`
	JobID     string `json:"jobId"`
	JobName   string `json:"jobName,omitempty"`
	OldStatus string `json:"oldStatus,omitempty"`
	Status    string `json:"status"`
	Cause     string `json:"cause,omitempty"`
	At        int64  `json:"at,omitempty"` // ms, by the JobManager's clock
}

// Health is the state of the server.
type Health struct {
	Version   string          `json:"version,omitempty"` // of the program
	Queues    []Queue         `json:"queues"`
	Observes  bool            `json:"onlyObserves,omitempty"` // restored from a backup, not resumed
	Started   time.Time       `json:"started"`
	Polls     float64         `json:"pollsPerSecond"`      // looks at runs, in the last minute
	Pushes    float64         `json:"pushesPerSecond"`     // events of status listeners, and archives, in the last minute
	Workbench *WorkbenchState `json:"workbench,omitempty"` // none: this server has none
}

// WorkbenchState is how the JVMs of the workbench are.
type WorkbenchState struct {
	Flink    string   `json:"flink"`
	Versions []string `json:"versions"` // that definitions may name, the default first
	Warm     int      `json:"warm"`     // JVMs that wait for a debug run
	Wanted   int      `json:"wanted"`   // how many should wait
	Planner  bool     `json:"planner"`  // one is ready that has planned no script yet
	Slots    int      `json:"slots"`    // debug runs at the same time
	Running  int      `json:"running"`  // debug runs
	Waiting  int      `json:"waiting"`  // debug runs in the queue
	Wall     Wall     `json:"wall"`
	// Workers are for other versions, in processes of their own.
	Workers []WorkerState `json:"workers,omitempty"`
}

// A WorkerState is how a worker for a version of Flink is; with a Reason it cannot be used.
type WorkerState struct {
	Flink   string `json:"flink"`
	Reason  string `json:"reason,omitempty"`
	Warm    int    `json:"warm"`
	Wanted  int    `json:"wanted"`
	Slots   int    `json:"slots"`
	Running int    `json:"running"`
	Waiting int    `json:"waiting"`
	Wall    Wall   `json:"wall"`
}

// A Wall is around the code of users.
type Wall struct {
	On     bool   `json:"on"`
	By     string `json:"by,omitempty"`
	Cgroup bool   `json:"cgroup,omitempty"` // bounds memory and processes
	Reason string `json:"reason,omitempty"` // why a wall is missing
}

// CatalogChecked is what a check of a catalog found.
type CatalogChecked struct {
	OK      bool          `json:"ok"`
	Message string        `json:"message"`
	Faults  []ScriptFault `json:"faults"`
	Took    float64       `json:"seconds"`
}

// A Queue is how one queue is.
type Queue struct {
	Name    string  `json:"name"`
	Runs    int     `json:"runs"`
	Leased  int     `json:"leased"`
	Overdue float64 `json:"overdueSeconds"`
}

// A ScriptFault is one thing that is wrong with a script, in the user's text.
type ScriptFault struct {
	File       string `json:"file,omitempty"`   // init.sql: what the definition's fields became
	Line       int    `json:"line,omitempty"`   // from 1
	Column     int    `json:"column,omitempty"` // from 1
	EndLine    int    `json:"endLine,omitempty"`
	EndColumn  int    `json:"endColumn,omitempty"` // of the last character
	Statement  string `json:"statement,omitempty"`
	Message    string `json:"message"`
	Hint       string `json:"hint,omitempty"`
	Text       string `json:"text,omitempty"` // the line, or what is around the fault in a long one
	TextColumn int    `json:"textColumn,omitempty"`
	TextEnd    int    `json:"textEnd,omitempty"` // after the fault
}

// Validated is what the planner says of a script.
type Validated struct {
	Valid    bool          `json:"valid"`
	Flink    string        `json:"flink"`
	Faults   []ScriptFault `json:"faults"`
	Warnings []string      `json:"warnings"`
}

// Names of the events of a debug run, in the order in which they can come; each one's data is the type beside it.
const (
	DebugQueued  = "queued"  // DebugQueue, where all slots are taken: each time the place changes
	DebugStarted = "started" // DebugStart
	DebugRunning = "running" // DebugRun
	DebugColumns = "columns" // Columns, before the first row of a sink or query
	DebugRow     = "row"     // Row
	DebugLine    = "line"    // Text
	DebugWarning = "warning" // Text
	DebugFault   = "fault"   // ScriptFault
	DebugEnd     = "end"     // DebugEnded, the last one
)

// DebugQueue: the run waits for others.
type DebugQueue struct {
	Place int `json:"place"` // 1: it is the next one
}

// DebugStart: the text is good as far as it was looked at without Flink.
type DebugStart struct {
	Flink string `json:"flink"`
	Warm  bool   `json:"warm"` // on a JVM that was started ahead
}

// DebugRun: the script begins.
type DebugRun struct {
	Sinks    []string `json:"sinks"` // the tables that rows may name
	Warnings []string `json:"warnings"`
}

// A Row of a sink, or of a query.
type Row struct {
	Table string `json:"table"` // "": of a query, the newest one
	Kind  string `json:"kind"`  // +I, -U, +U or -D
	Row   string `json:"row"`   // as Flink's print connector writes it, in brackets
	// Cells are the columns, each as print writes it, null for NULL. They are missing where code of the script has printed what looks like a row.
	Cells []*string `json:"cells,omitempty"`
}

// Columns are the names of the columns of a sink, or of a query that begins (Table is "").
type Columns struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

// A Text is a line of output that is not a row, such as one of the table that shows what DESCRIBE says; or a warning.
type Text struct {
	Text string `json:"text"`
}

// DebugEnded is the end of a debug run.
type DebugEnded struct {
	Outcome string  `json:"outcome"` // finished, limited (by time, rows or output), failed (faults, or reason)
	Reason  string  `json:"reason,omitempty"`
	Rows    int     `json:"rows"`
	First   float64 `json:"firstRowSeconds,omitempty"` // since the request
	Took    float64 `json:"seconds"`
	Expects bool    `json:"expectsRows"` // the script has something that gives rows
}

// Lineage is what feeds what in a script.
type Lineage struct {
	Tables []LineageTable `json:"tables"`
	Edges  []LineageEdge  `json:"edges"`
}

// A LineageTable is a table or view of a script.
type LineageTable struct {
	Name      string `json:"name"`  // catalog.database.table
	Short     string `json:"short"` // the shortest name that no other table has
	Role      string `json:"role"`  // source, sink, both, lookup, unused, view
	Connector string `json:"connector,omitempty"`
	InCatalog bool   `json:"inCatalog,omitempty"` // the script does not create it
	Line      int    `json:"line"`                // in the script: of its CREATE, or of its first use
	Place     *Place `json:"place,omitempty"`     // of that line in the definition; nil: the script is not written there
}

// A Place is in the text that a user sent.
type Place struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// A LineageEdge says that rows of a table or view go into another one.
type LineageEdge struct {
	From      string `json:"from"`
	To        string `json:"to,omitempty"` // none: a query, whose rows are shown
	Part      string `json:"part,omitempty"`
	Statement int    `json:"statement,omitempty"` // the INSERT or query; none between a view and what it reads
}

// An Exception is one failure of a Flink job.
type Exception struct {
	At    string `json:"at,omitempty"` // RFC 3339, by the JobManager's clock
	Name  string `json:"name,omitempty"`
	Cause string `json:"cause"` // the innermost exception, in one line
	Task  string `json:"task,omitempty"`
	Stack string `json:"stack"`
}

// Checkpoints are a Flink job's, as its REST API reports them.
type Checkpoints struct {
	Counts  CheckpointCounts `json:"counts"`
	Latest  LatestCheckpoint `json:"latest"`
	History []Checkpoint     `json:"history"` // the newest ones, newest first
}

// CheckpointCounts count a job's checkpoints and savepoints.
type CheckpointCounts struct {
	Restored   int `json:"restored"`
	Total      int `json:"total"`
	InProgress int `json:"inProgress"`
	Completed  int `json:"completed"`
	Failed     int `json:"failed"`
}

// LatestCheckpoint has the newest of each kind.
type LatestCheckpoint struct {
	Completed *Checkpoint `json:"completed,omitempty"`
	Savepoint *Checkpoint `json:"savepoint,omitempty"`
	Failed    *Checkpoint `json:"failed,omitempty"`
	Restored  string      `json:"restored,omitempty"` // path of the one that the job started from
}

// A Checkpoint is a checkpoint or a savepoint.
type Checkpoint struct {
	ID        int64     `json:"id"`
	Savepoint bool      `json:"savepoint,omitempty"`
	Status    string    `json:"status"` // IN_PROGRESS, COMPLETED or FAILED
	Type      string    `json:"type,omitempty"`
	Triggered time.Time `json:"triggered"` // by the JobManager's clock
	Size      int64     `json:"size"`      // bytes of state
	Duration  float64   `json:"seconds"`
	Path      string    `json:"path,omitempty"`
	Failure   string    `json:"failure,omitempty"`
	// Discarded: Flink has removed it, so nothing starts from it.
	Discarded bool `json:"discarded,omitempty"`
}

// Startable reports whether a run can start from it.
func (c Checkpoint) Startable() bool { return c.Status == "COMPLETED" && c.Path != "" && !c.Discarded }

// Memory is how the processes of a version divide their memory: what flink-entrypoint explain says of it.
type Memory struct {
	Version int          `json:"version"`
	Roles   []RoleMemory `json:"roles"`
	Notes   []string     `json:"notes,omitempty"` // what was not counted
}

// RoleMemory is the memory of one kind of process.
type RoleMemory struct {
	Role    string       `json:"role"` // jobmanager or taskmanager
	Process int64        `json:"processSize,omitempty"`
	Flink   int64        `json:"flinkSize,omitempty"`
	Source  string       `json:"source,omitempty"` // what decided the process size
	Parts   []MemoryPart `json:"parts,omitempty"`  // in the order of Flink's memory model; their sum is the process size
	Fault   *Fault       `json:"fault,omitempty"`  // such a process would not start
}

// A MemoryPart is one component of a process's memory.
type MemoryPart struct {
	Name  string `json:"name"` // as explain --output json names it, e.g. taskHeap
	Bytes int64  `json:"bytes"`
}
