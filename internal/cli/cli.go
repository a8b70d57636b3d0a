// Package cli is the command line: flags and their environment variables, subcommands, exit codes, the termination
// message, and the log handler. It reads the environment; nothing below it does.
//
// Output rules, followed everywhere: what a program may parse goes to stdout, everything for people to stderr; messages
// start in lower case and end without a period; a failure ends with "error: …" and, where it helps, "hint: …".
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/atomicfile"
	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/nearest"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/scripts"
)

// System is what the program gets from the operating system.
type System struct {
	Name   string   // by which the program was called
	Args   []string // without the name
	Env    []string
	Stdout io.Writer
	Stderr io.Writer
	Exec   launch.ExecFunc
}

// program is one run.
type program struct {
	System
	opts     options
	log      *slog.Logger
	warnings []string // found before there was a logger
	rest     []string // after the flags
	signals  *interruption
	redactor redact.Redactor

	levelGiven bool // the log level was chosen
}

// command is one subcommand: a name, the words of its usage, and what it does.
type command struct {
	name  string
	args  string
	short string
	run   func(*program, context.Context, []string) error
	flags func() *pflag.FlagSet // of the command itself; nil: it has none
}

// commands lists the subcommands in the order of the help.
func commands() []command {
	return []command{
		{"render", "ROLE [ARGS…]", "prepare and write all files, without a start (for an initContainer)", (*program).render, nil},
		{"explain", "ROLE [ARGS…]", "show what would happen; change nothing", (*program).explain, nil},
		{"validate", "[--engine]", "check a definition and its SQL; change nothing", (*program).validate, func() *pflag.FlagSet { return newValidateFlags(new(bool)) }},
		{"debug", "[FLAGS] JOB", "run a SQL job here on mocked sources and sinks", (*program).debug, func() *pflag.FlagSet { return newDebugFlags(&debugFlags{}) }},
		{"warmup", "NAME…", "make archives of shared classes, from which a role starts faster", (*program).warmup, func() *pflag.FlagSet { return newWarmupFlags(new(time.Duration)) }},
		{"health", "ROLE [ARGS…]", "probe a running role: exit 0 when its socket answers, else 1", (*program).health, nil},
		{"install", "DIR", "copy this binary to DIR (shared volume)", (*program).install, nil},
		{"schema", "", "print the JSON Schema of the job definition", (*program).schema, nil},
		{"version", "", "print the version", (*program).version, nil},
		{"help", "[TOPIC]", "show this help, or the help of a role, a command, or flags", (*program).help, nil},
	}
}

// Main runs the program and returns its exit code. It returns only when nothing was executed.
func Main(sys System) (code int) {
	defer func() {
		if recover() != nil { // while a failure was reported
			code = phase.Internal.ExitCode()
		}
	}()
	p := &program{System: sys}
	p.Stdout = pipe{sys.Stdout}
	var ctx context.Context
	ctx, p.signals = catchSignals()
	err := p.signals.await(func() (err error) {
		defer p.recoverPanic(&err)
		return p.run(ctx)
	})
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnhealthy):
		return 1 // it has said why
	}
	return p.report(err)
}

// recoverPanic turns a panic into an error with an exit code of this program: Go's own, 2, would look like an exit code of Flink.
func (p *program) recoverPanic(err *error) {
	if r := recover(); r != nil {
		func() {
			defer func() { _ = recover() }() // what has failed may be needed here too
			_, _ = p.redactor.Writer(p.Stderr).Write(debug.Stack())
		}()
		*err = &phase.Error{Phase: phase.Internal, Err: fmt.Errorf("internal error, a bug of flink-entrypoint: %v", r), Hint: "please report it with the lines above"}
	}
}

// pipe is stdout. That its reader has gone (explain … | head) is not a failure: it has read what it wanted.
type pipe struct{ io.Writer }

func (p pipe) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		return len(b), nil
	}
	return n, err
}

func (p *program) run(ctx context.Context) error {
	// Whatever is wrong with the command line, its error quotes none of these: -Dmy.password=x before the role is an unknown flag.
	redact.Arguments(p.Args, func(_, hidden string) { p.redactor.AddOption(hidden) })
	flags := newFlagSet(&p.opts)
	var script []string // a call by a link with the name of one of Flink's scripts, whose arguments all others are
	if p.Name != "" && scripts.IsName(filepath.Base(p.Name)) {
		script = append([]string{p.Name}, p.Args...)
		p.Args = nil
	}
	if err := flags.Parse(p.Args); err != nil {
		p.findTerminationLog()
		return usageError("%w", err)
	}
	warnings, err := applyEnvironment(flags, p.Env)
	if err != nil {
		p.findTerminationLog()
		return usageError("%w", err)
	}
	p.levelGiven = flags.Changed("log-level")
	if p.log, err = newLogger(p.Stderr, &p.redactor, p.opts.logFormat, p.opts.logLevel); err != nil {
		return usageError("%w", err)
	}
	log.SetOutput(io.Discard) // net/http prints stray bytes of answers there, and those may be part of a definition
	p.rest = flags.Args()
	passThrough := flags.ArgsLenAtDash() == 0 // "--" ends our flags and forces pass-through
	if len(warnings) > 0 {
		if p.opts.Strict {
			return usageError("%s", warnings[0])
		}
		p.warnings = warnings
	}
	if script != nil {
		p.rest = script
		return p.start(ctx, script, false)
	}
	switch {
	case p.opts.help:
		return p.help(ctx, p.rest)
	case p.opts.version:
		return p.version(ctx, nil)
	case len(p.rest) == 0:
		return &phase.Error{Phase: phase.Usage, Err: errors.New("no role or command given"), Hint: "flink-entrypoint help lists roles and commands"}
	}
	if !passThrough {
		for _, c := range commands() {
			if c.name == p.rest[0] {
				if len(p.rest) > 1 && (p.rest[1] == "--help" || p.rest[1] == "-h") {
					return p.help(ctx, p.rest)
				}
				switch err := c.misplaced(p.rest[1:]); {
				case err == nil:
					return c.run(p, ctx, p.rest[1:])
				case c.name == "health":
					return p.unprobed(err)
				default:
					return err
				}
			}
		}
	}
	return p.start(ctx, p.rest, passThrough)
}

// start prepares and becomes the Flink process, or any other command.
func (p *program) start(ctx context.Context, words []string, passThrough bool) error {
	run, plan, err := p.gather(ctx, boot.Start, words, passThrough)
	if err != nil {
		return didYouMean(err, words[0])
	}
	if _, err := run.Apply(ctx, plan); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	cmd := plan.Command
	p.log.Info("starting", "phase", "exec", "path", cmd.Path, "prepared", p.phaseTimes(run.Times()))
	for _, err := range cmd.Redirect() {
		p.log.Warn("cannot redirect stdout or stderr", "error", err)
	}
	if !p.signals.mayExec() {
		return errStopped
	}
	return boot.ExecError(cmd.Exec(p.Exec)) // nil only with an Exec that does not replace the process
}

// phaseTimes is how long the preparation took: in the log for people as a whole, in that for programs phase by phase.
func (p *program) phaseTimes(times []boot.PhaseTime) slog.Value {
	var total time.Duration
	var phases []slog.Attr
	for _, t := range times {
		total += t.Took
		phases = append(phases, slog.Duration(string(t.Phase), t.Took))
	}
	if p.opts.logFormat == "json" {
		return slog.GroupValue(append(phases, slog.Duration("total", total))...)
	}
	return slog.DurationValue(total.Round(10 * time.Microsecond))
}

// didYouMean adds the nearest role or command to the failure of one that was not found.
func didYouMean(err error, word string) error {
	var e *phase.Error
	if !errors.As(err, &e) || e.Phase != phase.ExecNotFound && e.Phase != phase.Usage || e.Hint != "" {
		return err
	}
	names := strings.Split(boot.RoleNames(), ", ")
	for _, c := range commands() {
		names = append(names, c.name)
	}
	slices.Sort(names)
	if near := nearest.Name(word, names, nearEnough); near != "" {
		return &phase.Error{Phase: e.Phase, Err: e.Err, Hint: fmt.Sprintf("did you mean %s?", near)}
	}
	return err
}

func (p *program) render(ctx context.Context, words []string) error {
	if err := needsRole("render", words); err != nil {
		return err
	}
	run, plan, err := p.gather(ctx, boot.Render, words, false)
	if err != nil {
		return err
	}
	changed, err := run.Apply(ctx, plan)
	if err != nil {
		return err
	}
	p.log.Info("rendered", "phase", "write", "dir", plan.Config.OutDir, "changed", len(changed))
	return nil
}

func needsRole(command string, words []string) error {
	if len(words) == 0 || !boot.IsRole(words[0]) {
		found := "nothing"
		if len(words) > 0 {
			found = fmt.Sprintf("%q", words[0])
		}
		return &phase.Error{Phase: phase.Usage, Err: fmt.Errorf("%s needs a role, found %s", command, found), Hint: "roles: " + boot.RoleNames()}
	}
	return nil
}

// gather makes the plan of a role or a pass-through command.
func (p *program) gather(ctx context.Context, mode boot.Mode, words []string, passThrough bool) (*boot.Run, *boot.Plan, error) {
	role, args := words[0], words[1:]
	switch {
	case passThrough:
		role, args = boot.PassThrough, words
	case !boot.IsRole(role):
		role, args = boot.Command, words
	default:
		p.warnOfMisplaced(role, args)
	}
	run := boot.New(mode, role, p.opts.Options, p.world(args))
	plan, err := run.Gather(ctx)
	if boot.IsRole(role) {
		err = hintOfMisplaced(err, role, args)
	}
	return run, plan, err
}

// world is what the pipeline may see of the outside.
func (p *program) world(args []string) boot.World {
	w := boot.World{Args: args, Env: p.Env, Hostname: os.Hostname, FQDN: fqdn, Log: p.log, Version: versionString(), Warnings: p.warnings, Redactor: &p.redactor, Proxy: http.ProxyFromEnvironment}
	w.Self, _ = os.Executable() // unknown: a link to this program is not taken for a script
	if f, ok := p.Stderr.(*os.File); ok && isTerminal(f) && p.opts.logFormat == "text" {
		w.Progress = fetch.Bar(f)
	}
	return w
}

// install copies this binary into a directory, for a volume that a container without it mounts.
func (p *program) install(ctx context.Context, words []string) error {
	if len(words) != 1 {
		return usageError("install needs one argument, the directory; found %d", len(words))
	}
	self, err := os.Executable()
	if err != nil {
		return &phase.Error{Phase: phase.Write, Err: fmt.Errorf("cannot find this program's own file: %w", err)}
	}
	target := filepath.Join(words[0], filepath.Base(self))
	if err := copyExecutable(ctx, self, target); err != nil {
		return &phase.Error{Phase: phase.Write, Err: fmt.Errorf("cannot install %s: %w", target, err)}
	}
	fmt.Fprintln(p.Stdout, target)
	return nil
}

// installPatience is how long install waits for another one into the same directory.
const installPatience = 10 * time.Second

// copyExecutable puts a copy in place by rename, so that a reader sees the old file or the whole new one.
func copyExecutable(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	dir := filepath.Dir(to)
	lock, _ := atomicfile.LockDir(ctx, dir, installPatience) // without it the copy has a name of its own all the same
	defer lock.Release()
	if err := ctx.Err(); err != nil {
		return err
	}
	lock.RemoveStale(nil, dir)
	out, err := atomicfile.Create(to)
	if err != nil {
		return err
	}
	defer out.Discard()
	if _, err := io.Copy(out.File, in); err != nil {
		return err
	}
	return out.Place(0o755, atomicfile.Lasting)
}

func usageError(format string, args ...any) error {
	return &phase.Error{Phase: phase.Usage, Err: fmt.Errorf(format, args...), Hint: "flink-entrypoint help lists roles and commands"}
}
