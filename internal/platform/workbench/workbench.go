// Package workbench checks and tries SQL for users of the platform: the planner's errors at their places, rows of a script on
// generated data, and what feeds what. It takes the text of a definition, or of a script alone.
//
// Starting Java and loading Flink takes most of the time to the first row. So some JVMs are started ahead and run a script of
// ours first; each then serves one run and is replaced, so that no class, jar, static field or secret passes from one user to the
// next. One planner lives longer, because it executes nothing. Without JVMs in store a run starts its own, by the same code.
//
// What the server runs for others may read no file, no variable and no address of the server's: each JVM is inside a wall, see
// package wall. Where there can be none, plain SQL is run alone; see [Workbench.Debug] for what is refused.
package workbench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/platform/workbench/wall"
	"flink-entrypoint/internal/validate"
)

// Options are what a workbench needs to know.
type Options struct {
	Home         string   // FLINK_HOME: the version of scripts that name none
	Homes        []string // of other versions, whose JVMs are not started ahead
	Dir          string   // for the JVMs' files; what is in it is removed
	Env          []string // the server's; Java gets a few variables of it
	Log          *slog.Logger
	ClassArchive string  // where flink-entrypoint warmup has left the archive "debug"; "": where it does by default
	Warm         int     // JVMs in store
	Policy       *Policy // what scripts may use of the outside; nil: nothing
	// Wall is "" where a wall is built if one can be, WallOff for none, or WallNeeded where Open fails without one.
	Wall string
	// Self is the command that runs Forward, for JVMs that may call hosts.
	Self []string
	// Bounds; 0 is the default.
	Runs   int           // at the same time: 2
	Queue  int           // runs that may wait: 20; -1: none
	Time   time.Duration // of a run: 60 s
	Rows   int           // that a run shows: 1000
	Memory int64         // bytes of a JVM and all that it starts: 1.5 GiB. A third is heap
	Disk   int64         // bytes of the temporary files of a JVM, inside a wall: 512 MiB
	// Of the planner: it is replaced after so many scripts (200), or when it is so old (10 min).
	PlannerScripts int
	PlannerAge     time.Duration
	Now            func() time.Time // nil: time.Now
}

// Values of Options.Wall.
const (
	WallOff    = "off"
	WallNeeded = "needed"
)

// heap is how many bytes of heap a JVM has.
func (o Options) heap() int64 { return o.Memory / 3 }

func (o Options) withDefaults() Options {
	if o.Runs == 0 {
		o.Runs = 2
	}
	if o.Queue == 0 {
		o.Queue = 20
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
	o       Options
	served  *localrun.Served
	wall    *wall.Wall // nil: none
	noWall  string     // why
	pool    *pool
	plan    *planner
	runs    *queue
	oneShot *queue // checks in a JVM of their own
	checks  atomic.Int64
	others  []*Workbench // of other versions of Flink; they have the same queues
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
	w := &Workbench{o: o, served: served.With(localrun.Beside{Dir: o.Dir}), runs: newQueue(o.Runs, max(o.Queue, 0)), oneShot: newQueue(o.Runs, max(o.Queue, 0))}
	if err := w.build(); err != nil {
		os.RemoveAll(o.Dir)
		return nil, err
	}
	w.pool = newPool(w)
	w.plan = newPlanner(w)
	for i, home := range o.Homes {
		other := o
		other.Home, other.Homes, other.Warm, other.Dir = home, nil, 0, filepath.Join(o.Dir, fmt.Sprintf("other-%d", i+1))
		b, err := Open(other)
		if err != nil {
			w.Close()
			return nil, fmt.Errorf("%s: %w", home, err)
		}
		b.runs, b.oneShot = w.runs, w.oneShot
		w.others = append(w.others, b)
	}
	return w, nil
}

// of is the workbench of the version of Flink that a script's definition names, or this one: that it is for another version is an error then.
func (w *Workbench) of(s Script) *Workbench {
	if len(w.others) == 0 {
		return w
	}
	def, err := decode(s)
	if err != nil {
		return w
	}
	wanted, _ := def.FlinkVersion.Plain()
	for _, b := range w.others {
		if b.Version().Release().String() == wanted && w.Version().Release().String() != wanted {
			return b
		}
	}
	return w
}

// Versions are the versions of Flink that scripts may have, the default first.
func (w *Workbench) Versions() []string {
	out := []string{w.Version().String()}
	for _, b := range w.others {
		out = append(out, b.Version().String())
	}
	return out
}

// VersionOf is the version of Flink that a script is run on.
func (w *Workbench) VersionOf(s Script) string { return w.of(s).Version().String() }

// build makes the wall, where one can be.
func (w *Workbench) build() error {
	if w.noWall = "it is switched off"; w.o.Wall == WallOff {
		return nil
	}
	java, archive, err := w.served.Java()
	if err != nil {
		return err
	}
	visible := w.served.Needed()
	if java.Installed != "" {
		visible = append(visible, java.Installed)
	}
	if archive != "" {
		visible = append(visible, archive)
	}
	slices.Sort(visible)
	dir := filepath.Join(w.o.Dir, "wall")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	w.wall, err = wall.Build(context.Background(), wall.Options{Dir: dir, Path: pathOf(w.o.Env), Program: []string{java.Path, "-XX:TieredStopAtLevel=1", "-version"},
		Visible: slices.Compact(visible), Memory: w.o.Memory, Disk: w.o.Disk, Log: w.o.Log})
	if err == nil {
		w.noWall = ""
		w.o.Log.Info("debug runs are inside a wall", "by", w.wall.By(), "cgroup", w.wall.Cgroup())
		return nil
	}
	if w.noWall = err.Error(); w.o.Wall == WallNeeded {
		return fmt.Errorf("no wall around code of users: %w", err)
	}
	w.o.Log.Warn("no wall around code of users: plain SQL is run alone, jars, functions and checks of catalogs are refused", "reason", w.noWall)
	return nil
}

func pathOf(env []string) string {
	for _, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			return path
		}
	}
	return ""
}

// Wall says what the wall is made by, and whether a cgroup bounds JVMs. by "": a wall is missing, for that reason.
func (w *Workbench) Wall() (by string, cgroup bool, reason string) {
	if w.wall == nil {
		return "", false, w.noWall
	}
	return w.wall.By(), w.wall.Cgroup(), ""
}

// Slots are how many runs may be on their way, how many are, and how many wait.
func (w *Workbench) Slots() (slots, running, waiting int) {
	running, waiting = w.runs.counts()
	return w.o.Runs, running, waiting
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
	for _, b := range w.others {
		b.Close()
	}
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
	Flink        string   // its version
	Versions     []string // that scripts may have, the default first
	Warm, Wanted int      // JVMs that wait for a run, and how many should
	Planner      bool     // one is ready that has planned no script yet
	Slots        int      // debug runs at the same time
	Running      int      // debug runs
	Waiting      int      // debug runs that wait for their turn
	Wall         Wall
	Workers      []WorkerState // of other versions, in other processes
}

// A Wall is around the code of users.
type Wall struct {
	By     string // what it is made by; empty: a wall is missing, for that Reason
	Cgroup bool   // a cgroup bounds JVMs
	Reason string
}

// State is how they are now.
func (w *Workbench) State() State {
	s := State{Flink: w.Version().String(), Versions: w.Versions(), Warm: w.Warm(), Wanted: w.o.Warm, Planner: w.Planner()}
	s.Slots, s.Running, s.Waiting = w.Slots()
	s.Wall.By, s.Wall.Cgroup, s.Wall.Reason = w.Wall()
	return s
}

// A Script is what a user sent: a definition, or a script alone where Name ends in .sql.
type Script struct {
	Name   string
	Source []byte
	// Sent: the source is what the user sent, so that faults in a JSON string have the places of the document. Else they have the places of the script.
	Sent bool
	// Stored finds the file of a stored artifact by name, and its SHA-256; nil: none is. Its error is for the user.
	Stored func(name string) (path, sha256 string, err error)
	// Artifacts is what an address of a stored artifact begins with in a definition.
	Artifacts string
}

// Refused is what the workbench does not run at all, or not now.
type Refused struct {
	Message, Hint string
	// Busy: it may be asked again later.
	Busy bool
}

func (r *Refused) Error() string { return r.Message }

// DebugOptions are the flags of flink-entrypoint debug that a server has too.
type DebugOptions struct {
	Rows, RowsPerSecond, Seed int64 // as of localrun.Options; RowsPerSecond 0: no limit
	Data                      []Data
}

// A Row is a row of a sink, or of a query.
type Row = localrun.Row

// Events hear what a run does, one thing at a time.
type Events struct {
	Queued func(place int)                // all slots are taken: 1 is the next one. nil: does not hear it
	Start  func(warm bool)                // the text is good, Java has the script or gets it as soon as it runs
	Ready  func(sinks, warnings []string) // the script begins; sinks are the tables that Row may name
	// Columns names the columns of a sink, or of a query (table is ""), before its first row. nil: does not hear it.
	Columns func(table string, names []string)
	Row     func(Row)
	Line    func(line string) // of the table that shows a query, or of other output
	Warn    func(warning string)
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
// before the call of Ready they are of the text, and after it of the planner or of the run. Where all slots are taken, the run waits.
//
// Refused is what would read, write or call something of the server's: files, addresses and variables in the definition that no policy lists, plans, and
// settings but for those of tables, pipelines and execution. Without a wall also catalogs that a jar makes, functions, jars and modules.
func (w *Workbench) Debug(ctx context.Context, user string, s Script, d DebugOptions, e Events) (end End, err error) {
	w = w.of(s)
	began := w.o.Now()
	defer func() { err = s.named(err) }()
	need, err := w.look(s)
	if err != nil {
		return end, err
	}
	data, seen, remove, err := w.data(d.Data)
	if err != nil {
		return end, err
	}
	defer remove()
	leave, err := w.runs.enter(ctx, user, e.Queued)
	if err != nil {
		return end, err
	}
	defer leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(w.o.Time, func() {
		cancel(errLimit(fmt.Sprintf("ended after %s, the longest that a run may take here", w.o.Time)))
	})
	defer timer.Stop()
	local, err := w.served.With(need.beside).Debug(ctx, s.Name, s.Source, localrun.Options{Rows: d.Rows, RowsPerSecond: d.RowsPerSecond, Seed: d.Seed, Data: seen})
	if local != nil {
		defer local.Close()
	}
	if err != nil {
		return end, err
	}
	jvm, warm, err := w.take(ctx, local, need)
	if err != nil {
		return end, cause(ctx, err)
	}
	defer w.pool.used(jvm)
	if err := w.give(jvm, data); err != nil {
		return end, err
	}
	end.Warm = warm
	e.Start(warm)
	bytes, crash := 0, ""
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
		Columns: func(table string, names []string) {
			if e.Columns != nil && room(table+strings.Join(names, ""), false) {
				e.Columns(table, names)
			}
		},
		Row: func(row Row) {
			if room(row.Table+row.Kind+row.Text, true) {
				e.Row(row)
			}
		},
		Text: func(line string, begun bool, _ int) {
			if strings.HasPrefix(line, noMemory) || strings.HasPrefix(line, exitsOnOutOfMemory) {
				crash = line
			}
			if room(line, false) {
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
	} else if reason := w.bound(jvm, err, crash); reason != "" {
		end.Limit, err = reason, nil
	}
	return end, err
}

// take returns a JVM for a run. One that was started ahead is as good as any but for jars and hosts.
func (w *Workbench) take(ctx context.Context, local *localrun.Local, need needs) (j *jvm, warm bool, err error) {
	network := need.special && w.wall != nil && len(w.o.Policy.hosts()) > 0
	if !local.Brings() && !network {
		return w.pool.take(ctx)
	}
	o := jvmOptions{network: network}
	if local.Brings() {
		o.local = local
	}
	j, err = w.start(ctx, o)
	return j, false, err
}

// data writes rows of users into a directory, which is "" without any. seen are the tables' files as Java sees them.
func (w *Workbench) data(rows []Data) (dir string, seen map[string]string, remove func(), err error) {
	if len(rows) == 0 {
		return "", nil, func() {}, nil
	}
	if dir, err = os.MkdirTemp(w.o.Dir, "data-"); err != nil {
		return "", nil, nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	place := dir
	if w.wall != nil {
		place = dataSeen
	}
	if seen, err = put(rows, dir, place); err != nil {
		remove()
	}
	return dir, seen, remove, err
}

// give moves rows of users to where a JVM sees them.
func (w *Workbench) give(j *jvm, dir string) error {
	if dir == "" || w.wall == nil {
		return nil
	}
	files, err := os.ReadDir(dir)
	for _, f := range files {
		err = errors.Join(err, os.Rename(filepath.Join(dir, f.Name()), filepath.Join(j.process.Dir, dataDir, f.Name())))
	}
	return err
}

// bound says which bound of its JVM has ended a run; "": none that is known. crash is what a JVM said on standard output
// that ended for want of memory, "" if it did not.
func (w *Workbench) bound(j *jvm, err error, crash string) string {
	if err == nil {
		return ""
	}
	if j.cell != nil {
		if reason := j.cell.Reason(); reason != "" {
			return "ended: " + reason
		}
	}
	exit, ok := errors.AsType[*localrun.ExitError](err)
	switch {
	case !ok:
		return ""
	case strings.Contains(crash+exit.All, "OutOfMemoryError: Java heap space"), strings.Contains(crash+exit.All, "OutOfMemoryError: GC overhead"):
		return fmt.Sprintf("ended: it needs more than the %d MiB of heap that a run has here", w.o.heap()>>20)
	case strings.Contains(exit.All, "OutOfMemoryError"), crash != "":
		return fmt.Sprintf("ended: it needs more than the %d MiB of memory that a process of a run has here", w.o.Memory>>20)
	}
	return ""
}

// How a JVM begins its last words on standard output: the system gives it no more memory; it has -XX:+ExitOnOutOfMemoryError.
const (
	noMemory           = "# There is insufficient memory for the Java Runtime Environment"
	exitsOnOutOfMemory = "Terminating due to java.lang.OutOfMemoryError"
)

// cause is the reason for which ctx ended, where it did.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// Validate lets the planner check a script; nothing is executed, but functions of a script may be called. The error has [validate.Faults] where the script is at fault.
// A script that brings code or connects has a JVM of its own for that.
func (w *Workbench) Validate(ctx context.Context, s Script) (warnings []string, err error) {
	w = w.of(s)
	defer func() { err = s.named(err) }()
	need, err := w.look(s)
	if err != nil {
		return nil, err
	}
	return w.planned(ctx, s, need)
}

// planned lets a planner check a script.
func (w *Workbench) planned(ctx context.Context, s Script, need needs) (warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.o.Time)
	defer cancel()
	if need.special {
		leave, err := w.oneShot.enter(ctx, fmt.Sprint(w.checks.Add(1)), nil)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	local, err := w.served.With(need.beside).Check(ctx, s.Name, s.Source)
	if local != nil {
		defer local.Close()
	}
	if err != nil {
		return nil, err
	}
	if !need.special {
		err = w.plan.check(ctx, local)
		return local.Warnings, err
	}
	j, _, err := w.take(ctx, local, need)
	if err != nil {
		return nil, err
	}
	defer w.pool.used(j)
	w.pool.replace(j)
	if err = local.PlanOn(ctx, j.process); err != nil {
		if reason := w.bound(j, err, ""); reason != "" {
			err = &Refused{"the check " + reason, "", false}
		}
	}
	return local.Warnings, err
}

// named gives faults in the user's text its name: here it had a passing one.
func (s Script) named(err error) error {
	for i, f := range validate.Faults(err) {
		if f.File != initPart && !IsData(f.File) {
			validate.Faults(err)[i].File = s.Name
		}
	}
	return err
}

// IsData reports whether a fault is in rows of a user, and not in the script; file is of the fault.
func IsData(file string) bool { return strings.HasPrefix(file, dataPart) }

// dataPart begins how faults call rows of a user; the table's name follows.
const dataPart = "data:"

// initPart is how faults call what the definition's fields became.
const initPart = "init.sql"

// Faults is what is wrong with a script; nil if err is about something else.
func Faults(err error) []validate.Fault { return validate.Faults(err) }
