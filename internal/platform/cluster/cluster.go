// Package cluster starts, observes and deletes the cluster of one run. A driver does it: of processes on this machine (package process), or
// of Kubernetes. Whatever a driver makes has a name made from the run, so starting twice is starting once, and deleting late cannot reach
// another run.
package cluster

import (
	"context"
	"errors"
	"io"
	"time"
)

// A Spec says what a cluster is. It is the same each time a start is repeated.
type Spec struct {
	Instance string `json:"instance"` // the platform that it belongs to
	Run      string `json:"run"`
	// Session: a session cluster, without a job of its own.
	Session bool `json:"session,omitempty"`

	Definition string `json:"definition,omitempty"` // the URL of the version that it runs
	Digest     string `json:"digest,omitempty"`     // SHA-256 that the definition must have
	Events     string `json:"events,omitempty"`     // the URL that status events are sent to
	// Token makes the run's own token. A driver asks before it starts the first process, and keeps it in a file. Where a start is repeated, by
	// this server or another one, the first file stays: the processes have its token, which stays valid. An error: the run may have ended meanwhile, so
	// nothing is started.
	Token func(context.Context) (string, error) `json:"-"`

	JobID            string `json:"jobId,omitempty"`
	ClusterID        string `json:"clusterId,omitempty"`   // of high availability; empty: none
	Savepoint        string `json:"savepoint,omitempty"`   // to start from
	NoSavepoint      bool   `json:"noSavepoint,omitempty"` // start from none, whatever the definition says
	AllowNonRestored bool   `json:"allowNonRestored,omitempty"`

	JobManagers  int      `json:"jobManagers"`
	TaskManagers int      `json:"taskManagers"`
	Slots        int      `json:"slots,omitempty"` // of each TaskManager, 0: as the definition says
	KeepMemory   bool     `json:"keepMemory,omitempty"`
	Arguments    []string `json:"arguments,omitempty"` // of both roles: -Dkey=value

	// What drivers of many machines need.
	Job         string   `json:"job,omitempty"`      // the name of the job or session cluster
	Team        string   `json:"team,omitempty"`     // that it belongs to
	Flink       string   `json:"flink,omitempty"`    // the minor version that the definition is for, e.g. 2.2
	Election    string   `json:"election,omitempty"` // of the leader with high availability: kubernetes, zookeeper
	JobManager  Size     `json:"jobManager,omitzero"`
	TaskManager Size     `json:"taskManager,omitzero"`
	Secrets     []string `json:"secrets,omitempty"` // of the team, whose files the pods read
}

// A Size is what a container gets. Zero values: what the driver gives.
type Size struct {
	Memory int64  `json:"memory,omitempty"` // bytes
	CPU    string `json:"cpu,omitempty"`    // a number of CPUs, also 500m
}

// A Status is what a driver knows of a cluster, without asking Flink.
type Status struct {
	REST      []string // base URLs of the JobManagers
	Processes []Process
}

// A Process is one JobManager or TaskManager.
type Process struct {
	Name       string // jobmanager-1, taskmanager-2; taskmanager-2.3 is the third in the place of taskmanager-2
	Place      string // the name of the first process in its place
	JobManager bool
	Replaced   bool // another process has its place
	// Attempt is the identity of the process: no later process has the same. Empty for a JobManager that has ended: the newest one, of which
	// nothing is left that says which one it was.
	Attempt string
	Started time.Time
	Alive   bool
	Code    int // how it ended, as a shell gives it; Unknown: nothing saw it
	Message string
	Ended   time.Time
	// Waits is why it does not run yet, and what to do, where the driver knows (an image that cannot be pulled, no node with room). What is before
	// its first colon says the same as long as the reason is the same.
	Waits string
	// Stuck: it will not run unless someone does what Waits says, or something becomes free.
	Stuck bool
	// Returns: what started it starts another one by itself.
	Returns bool
}

// Unknown is the code of a process that ended unseen: its machine or what watched it was killed.
const Unknown = -1

// Gone reports whether no process is alive or can come.
func (s Status) Gone() bool {
	for _, p := range s.Processes {
		if p.Alive || p.Waits != "" {
			return false
		}
	}
	return true
}

// ErrUnknown: the driver has nothing of this run.
var ErrUnknown = errors.New("no such cluster")

// ErrAlive: the cluster of the run has to be deleted first.
var ErrAlive = errors.New("the cluster is alive")

// A Refusal is an error of Start that trying again does not help.
type Refusal struct{ Err error }

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// A Driver makes clusters.
type Driver interface {
	// Start makes the cluster or what is missing of it, and returns at once; Observe says how it goes. After Delete of the run it is refused.
	Start(ctx context.Context, s Spec) error
	// Observe says what is there. ErrUnknown: nothing was ever started, or it was removed.
	Observe(ctx context.Context, run string) (Status, error)
	// Delete ends every process and reports whether all have ended; until then it is called again. Logs stay.
	Delete(ctx context.Context, run string) (gone bool, err error)
	// Remove forgets a deleted cluster with its logs. It succeeds where nothing is left, so a removal that was interrupted is repeated. ErrAlive: it is
	// not deleted. A cluster of another platform is never touched.
	Remove(ctx context.Context, run string) error
	// Logs opens what a process has written, oldest first, however many files it is in: the last lines, at most tail of them, or everything if tail
	// is less than 0. Read returns io.EOF at the end of what there is, and what was written since when it is called again. The caller closes it.
	Logs(ctx context.Context, run, process string, tail int) (io.ReadCloser, error)
	// Runs lists the runs of this platform of which something is there.
	Runs(ctx context.Context) ([]string, error)
	// SavepointDir is where a run's savepoints go unless the user set a directory, as a URI.
	SavepointDir(run string) string
}

// A Replacer is a driver of clusters whose processes do not come back by themselves.
type Replacer interface {
	// Replace starts a process in the place of one that has ended, and returns at once. Where that was done already, it does nothing. After Delete
	// of the run it is refused.
	Replace(ctx context.Context, run, process string) error
}

// A LocalFiles driver's clusters have the files of this machine: a file: URI of theirs can be read here.
type LocalFiles interface{ LocalFiles() }

// StopDir is where the savepoint of one stop of a run goes. Another stop of the same run, which Flink gave up after its savepoint was complete,
// has another one.
func StopDir(d Driver, run, trigger string) string { return d.SavepointDir(run) + "/" + trigger }

// Ask calls f with the address of each JobManager of a run until one answers: without high availability there is one, with it the
// leader may be any of them.
func Ask(ctx context.Context, d Driver, run string, f func(base string) error) error {
	status, err := d.Observe(ctx, run)
	if err != nil {
		return err
	}
	err = errors.New("no JobManager has an address")
	for _, base := range status.REST {
		if err = f(base); err == nil {
			return nil
		}
	}
	return err
}
