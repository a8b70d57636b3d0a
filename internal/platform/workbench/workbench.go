// Package workbench checks and tries SQL for users of the platform: the planner's errors at their places, rows of a script on
// generated data, and what feeds what. It takes the text of a definition, or of a script alone.
//
// Starting Java and loading Flink takes most of the time to the first row. So some JVMs are started ahead and run a script of
// ours first; each then serves one run and is replaced, so that no class, jar, static field or secret passes from one user to the
// next. One planner lives longer, because it executes nothing. Without JVMs in store a run starts its own, by the same code.
//
// What the server runs for others may read no file, no variable and no address of the server's: see [Workbench.Debug] for
// what is refused.
package workbench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/validate"
)

// Options are what a workbench needs to know.
type Options struct {
	Home         string   // FLINK_HOME: the one version of this workbench
	Dir          string   // for the JVMs' files; what is in it is removed
	Env          []string // the server's; Java gets a few variables of it
	Log          *slog.Logger
	ClassArchive string // where flink-entrypoint warmup has left the archive "debug"; "": where it does by default
	Warm         int    // JVMs in store
	// Bounds; 0 is the default.
	Runs   int           // at the same time: 2
	Time   time.Duration // of a run: 60 s
	Rows   int           // that a run shows: 1000
	Memory int64         // bytes of a JVM: 1.5 GiB. A third is heap
	// Of the planner: it is replaced after so many scripts (200), or when it is so old (10 min).
	PlannerScripts int
	PlannerAge     time.Duration
	Now            func() time.Time // nil: time.Now
}

func (o Options) withDefaults() Options {
	if o.Runs == 0 {
		o.Runs = 2
	}
	if o.Time == 0 {
		o.Time = 60 * time.Second
	}
	if o.Rows == 0 {
		o.Rows = 1000
	}
	if o.Memory == 0 {
		o.Memory = 1536 << 20
	}
	if o.PlannerScripts == 0 {
		o.PlannerScripts = 200
	}
	if o.PlannerAge == 0 {
		o.PlannerAge = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// maxOutput bounds the bytes that a run shows.
const maxOutput = 8 << 20

// A Workbench checks and tries scripts on one version of Flink.
type Workbench struct {
	o      Options
	served *localrun.Served
	pool   *pool
	plan   *planner

	mu   sync.Mutex
	runs map[string]bool // by user
}

// Open makes a workbench. Its JVMs are started in the background.
func Open(o Options) (*Workbench, error) {
	o = o.withDefaults()
	served, err := localrun.Serve(o.Home, o.ClassArchive, environment(o.Env), o.Log)
	if err != nil {
		return nil, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(o.Dir); err != nil { // of a server that was killed; its JVMs ended with it
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	w := &Workbench{o: o, served: served, runs: map[string]bool{}}
	w.pool = newPool(w)
	w.plan = newPlanner(w)
	return w, nil
}

// environment is what Java gets of the server's environment: nothing that may be a credential.
func environment(env []string) []string {
	var out []string
	for _, kv := range env {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "PATH", "JAVA_HOME", "LANG", "LC_ALL", "TZ":
			out = append(out, kv)
		}
	}
	return out
}

// Close ends all JVMs and waits for their end.
func (w *Workbench) Close() {
	w.pool.close()
	w.plan.close()
	os.RemoveAll(w.o.Dir)
}

// Version is the version of Flink.
func (w *Workbench) Version() flinkversion.Version { return w.served.Version() }

// Warm is how many JVMs wait for a script.
func (w *Workbench) Warm() int { return w.pool.waiting() }

// State is how the JVMs and debug runs are.
type State struct {
	Flink        string // its version
	Warm, Wanted int    // JVMs that wait for a run, and how many should
	Running      int    // debug runs
	Waiting      int    // debug runs that wait for their turn
}

// State is how they are now.
func (w *Workbench) State() State {
	w.mu.Lock()
	running := len(w.runs)
	w.mu.Unlock()
	return State{Flink: w.Version().String(), Warm: w.Warm(), Wanted: w.o.Warm, Running: running}
}

// A Script is what a user sent: a definition, or a script alone where Name ends in .sql.
type Script struct {
	Name   string
	Source []byte
}

// Refused is what the workbench does not run at all, or not now.
type Refused struct {
	Message, Hint string
	// Busy: it may be asked again later.
	Busy bool
}

func (r *Refused) Error() string { return r.Message }

// begin takes the one place of a user and one of those of all.
func (w *Workbench) begin(user string) (end func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs[user] {
		return nil, &Refused{"another debug run of yours has not ended", "wait for its end, or cancel it", true}
	}
	if len(w.runs) >= w.o.Runs {
		return nil, &Refused{fmt.Sprintf("%d debug runs are on their way, which is as many as the server allows", len(w.runs)), "", true}
	}
	w.runs[user] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.runs, user)
	}, nil
}

// DebugOptions are the flags of flink-entrypoint debug that a server has too.
type DebugOptions struct {
	Rows, RowsPerSecond, Seed int64 // as of localrun.Options; RowsPerSecond 0: no limit
}

// Events hear what a run does, one thing at a time.
type Events struct {
	Start func(warm bool)                // the text is good, Java has the script or gets it as soon as it runs
	Ready func(sinks, warnings []string) // the script begins; sinks are the tables that Row may name
	Row   func(table, kind, row string)  // of a sink: kind is +I, -U, +U or -D
	Line  func(line string)              // of the table that shows a query, or of other output
	Warn  func(warning string)
}

// End is how a run ended without a fault.
type End struct {
	Warm   bool          // its JVM was started ahead
	Rows   int           // that it showed
	First  time.Duration // to the first row, since the run was asked for; 0: it had none
	Took   time.Duration
	Limit  string // why it was ended early; "": by itself
	Tables bool   // it has something that gives rows
}

// errLimit ends a run for a bound.
type errLimit string

func (e errLimit) Error() string { return string(e) }

// Debug runs a script on generated rows; user has one run at a time. Nothing of the script's tables is reached. The error is a [*Refused], or has [validate.Faults]:
// before the call of Ready they are of the text, and after it of the planner or of the run.
//
// Refused is what would read, write or call something of the server's: files, addresses and variables in the definition, catalogs
// that a jar makes, functions, jars, modules, plans, and settings but for those of tables, pipelines and execution.
func (w *Workbench) Debug(ctx context.Context, user string, s Script, d DebugOptions, e Events) (end End, err error) {
	began := w.o.Now()
	leave, err := w.begin(user)
	if err != nil {
		return end, err
	}
	defer leave()
	if err := w.plain(s); err != nil {
		return end, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(w.o.Time, func() {
		cancel(errLimit(fmt.Sprintf("ended after %s, the longest that a run may take here", w.o.Time)))
	})
	defer timer.Stop()
	defer func() { err = named(err, s.Name) }()
	local, err := w.served.Debug(ctx, s.Name, s.Source, localrun.Options{Rows: d.Rows, RowsPerSecond: d.RowsPerSecond, Seed: d.Seed})
	if local != nil {
		defer local.Close()
	}
	if err != nil {
		return end, err
	}
	jvm, warm, err := w.pool.take(ctx)
	if err != nil {
		return end, cause(ctx, err)
	}
	defer w.pool.used(jvm)
	end.Warm = warm
	e.Start(warm)
	bytes := 0
	// room reports whether a line may be shown; the first one that may not ends the run.
	room := func(line string, isRow bool) bool {
		if isRow && end.Rows >= w.o.Rows {
			cancel(errLimit(fmt.Sprintf("ended after %d rows, the most that are shown here", w.o.Rows)))
		}
		if bytes += len(line); bytes > maxOutput {
			cancel(errLimit(fmt.Sprintf("ended after %d MiB of output, the most that is shown here", maxOutput>>20)))
		}
		if ctx.Err() != nil {
			return false
		}
		if isRow {
			if end.Rows++; end.First == 0 {
				end.First = w.o.Now().Sub(began)
				w.pool.replace(jvm)
			}
		}
		return true
	}
	err = local.Follow(ctx, jvm.process, localrun.Events{
		Ready: func() {
			end.Tables = len(local.Mocked.Flows) > 0
			e.Ready(local.Sinks(), local.Warnings)
		},
		Row: func(table, kind, row string) {
			if room(table+kind+row, true) {
				e.Row(table, kind, row)
			}
		},
		Text: func(line string, begun bool, _ int) {
			if room(line, queryRow(line)) {
				e.Line(line)
			}
		},
		Warn: func(warning string) {
			if room(warning, false) {
				e.Warn(warning)
			}
		},
		Other: func(line string) {
			if room(line, false) {
				e.Warn(line)
			}
		},
	})
	end.Took = w.o.Now().Sub(began)
	var limit errLimit
	if errors.As(context.Cause(ctx), &limit) {
		end.Limit, err = string(limit), nil
	}
	return end, err
}

// queryRow reports whether a line is a row of the table that shows a query of a streaming script (its head begins with "| op").
func queryRow(line string) bool {
	for _, kind := range []string{"| +I |", "| -U |", "| +U |", "| -D |"} {
		if strings.HasPrefix(line, kind) {
			return true
		}
	}
	return false
}

// cause is the reason for which ctx ended, where it did.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// Validate lets the planner check a script; nothing is executed. The error has [validate.Faults] where the script is at fault.
func (w *Workbench) Validate(ctx context.Context, s Script) (warnings []string, err error) {
	if err := w.plain(s); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, w.o.Time)
	defer cancel()
	defer func() { err = named(err, s.Name) }()
	local, err := w.served.Check(ctx, s.Name, s.Source)
	if local != nil {
		defer local.Close()
	}
	if err != nil {
		return nil, err
	}
	err = w.plan.check(ctx, local)
	return local.Warnings, err
}

// named gives faults in the user's text its name: here it had a passing one.
func named(err error, name string) error {
	for i, f := range validate.Faults(err) {
		if f.File != "init.sql" {
			validate.Faults(err)[i].File = name
		}
	}
	return err
}

// Faults is what is wrong with a script; nil if err is about something else.
func Faults(err error) []validate.Fault { return validate.Faults(err) }
