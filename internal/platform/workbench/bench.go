package workbench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/validate"
)

// A Bench checks and tries scripts: the [Workbench] of this process, a [Worker], or several by the version of Flink ([Routed]). What a script may have,
// and the errors, are the same.
type Bench interface {
	Validate(ctx context.Context, s Script) (warnings []string, err error)
	Debug(ctx context.Context, user string, s Script, d DebugOptions, e Events) (End, error)
	Lineage(ctx context.Context, s Script) (Lineage, error)
	CheckCatalog(ctx context.Context, s Script) error
	// VersionOf is the version of Flink that a script is run on.
	VersionOf(s Script) string
	State() State
}

// Away says that a worker cannot be used now. The server goes on without it.
type Away struct {
	Flink  string // the version that the worker is for
	Reason string
}

func (a *Away) Error() string {
	return fmt.Sprintf("the worker for Flink %s cannot be used: %s", a.Flink, a.Reason)
}

// Hint is what a user can do.
func (a *Away) Hint() string {
	return "try again; an operator sees the worker with flink-platform health; flink-entrypoint debug and validate do the same on your machine"
}

// A Routed sends each script to the bench of the version of Flink that its definition names. What names none, or a version that no worker has, goes to the
// workbench of this process, or to the first worker if this process has no workbench.
type Routed struct {
	Own     *Workbench // nil: none
	Workers []*Worker
}

func (r Routed) of(s Script) Bench {
	wanted := ""
	if def, err := decode(s); err == nil { // else the bench says what is wrong
		wanted, _ = def.FlinkVersion.Plain()
	}
	for _, w := range r.Workers {
		if w.flink == wanted {
			return w
		}
	}
	if r.Own != nil {
		return r.Own
	}
	return r.Workers[0]
}

// Validate is as Bench says, and so are the others.
func (r Routed) Validate(ctx context.Context, s Script) ([]string, error) {
	return r.of(s).Validate(ctx, s)
}

func (r Routed) Debug(ctx context.Context, user string, s Script, d DebugOptions, e Events) (End, error) {
	return r.of(s).Debug(ctx, user, s, d, e)
}

func (r Routed) Lineage(ctx context.Context, s Script) (Lineage, error) {
	return r.of(s).Lineage(ctx, s)
}

func (r Routed) CheckCatalog(ctx context.Context, s Script) error {
	return r.of(s).CheckCatalog(ctx, s)
}

func (r Routed) VersionOf(s Script) string { return r.of(s).VersionOf(s) }

// State is the one of the default, and the state of each worker.
func (r Routed) State() State {
	workers := make([]WorkerState, len(r.Workers))
	var all sync.WaitGroup
	for i, w := range r.Workers {
		all.Go(func() { workers[i] = w.state() })
	}
	all.Wait()
	var s State
	if r.Own != nil {
		s = r.Own.State()
	} else {
		s = workers[0].State
		s.Flink = workers[0].Flink
		s.Versions = nil
	}
	for _, w := range workers {
		s.Versions = append(s.Versions, w.Flink)
	}
	s.Workers = workers
	return s
}

// A WorkerState is how a worker is.
type WorkerState struct {
	Flink  string // its version, or the one that it is for
	Reason string // why it cannot be used; empty: it can
	State  State
}

// A failure is an error of a bench, as it goes from a worker to its server. At most one kind is set.
type failure struct {
	Refused  *Refused         `json:"refused,omitempty"`
	Faults   []validate.Fault `json:"faults,omitempty"`
	Problems *jobdef.Errors   `json:"problems,omitempty"`
	Phase    *failedPhase     `json:"phase,omitempty"`
	TooLate  bool             `json:"tooLate,omitempty"`
	Stored   []string         `json:"stored,omitempty"` // names of stored artifacts that the worker must know first
	Text     string           `json:"text,omitempty"`   // of every other error
}

type failedPhase struct {
	Phase phase.Phase `json:"phase"`
	Text  string      `json:"text"`
	Hint  string      `json:"hint"`
}

// failed makes a failure of an error; nil of nil.
func failed(err error) *failure {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*Refused](err); ok {
		return &failure{Refused: refused}
	}
	if faults := validate.Faults(err); faults != nil {
		return &failure{Faults: faults}
	}
	if problems, ok := errors.AsType[*jobdef.Errors](err); ok {
		return &failure{Problems: problems}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{TooLate: true}
	}
	if p, ok := errors.AsType[*phase.Error](err); ok {
		return &failure{Phase: &failedPhase{p.Phase, p.Error(), p.Hint}}
	}
	return &failure{Text: err.Error()}
}

// err is the error that the failure was made of, as far as callers look at it.
func (f *failure) err() error {
	switch {
	case f == nil:
		return nil
	case f.Refused != nil:
		return f.Refused
	case f.Faults != nil:
		return &validate.FaultsError{Faults: f.Faults}
	case f.Problems != nil:
		return f.Problems
	case f.TooLate:
		return context.DeadlineExceeded
	case f.Phase != nil:
		return &phase.Error{Phase: f.Phase.Phase, Err: errors.New(f.Phase.Text), Hint: f.Phase.Hint}
	}
	return errors.New(f.Text)
}

// A request asks a worker for something.
type request struct {
	Name      string            `json:"name"`
	Source    []byte            `json:"source"`
	Sent      bool              `json:"sent,omitempty"`
	Artifacts string            `json:"artifacts,omitempty"`
	Stored    map[string]stored `json:"stored,omitempty"`
	User      string            `json:"user,omitempty"`
	Debug     DebugOptions      `json:"debug,omitzero"`
}

// A stored is what the server knows of a stored artifact: the digest of its content, which the worker was given, or an error for the user.
type stored struct {
	SHA256 string `json:"sha256,omitempty"`
	Error  string `json:"error,omitempty"`
}

// A message is one line of a worker's answer. The last one has End.
type message struct {
	Queued  *int      `json:"queued,omitempty"`
	Start   *bool     `json:"start,omitempty"` // warm
	Ready   *ready    `json:"ready,omitempty"`
	Columns *columns  `json:"columns,omitempty"`
	Row     *Row      `json:"row,omitempty"`
	Line    *string   `json:"line,omitempty"`
	Warn    *string   `json:"warn,omitempty"`
	End     *finished `json:"end,omitempty"`
}

type ready struct {
	Sinks    []string `json:"sinks"`
	Warnings []string `json:"warnings"`
}

type columns struct {
	Table string   `json:"table"`
	Names []string `json:"names"`
}

type finished struct {
	Debug    End           `json:"debug,omitzero"`
	Warnings []string      `json:"warnings,omitempty"`
	Lineage  *Lineage      `json:"lineage,omitempty"`
	Places   map[int]place `json:"places,omitempty"` // of the first columns of the lines of its tables
	Failure  *failure      `json:"failure,omitempty"`
}

// A place is a line and a column of the definition.
type place struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// What a worker's addresses begin with, and the header with its version of Flink.
const (
	workerPath    = "/v1/workbench/"
	versionHeader = "Flink-Version"
)

// A quiet answer gets an empty message from time to time, so that each side notices when the other one is gone.
const (
	workerAlive = 5 * time.Second
	workerQuiet = 30 * time.Second
)
