package localrun

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"flink-entrypoint/internal/launch"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/validate"
)

// Output is where a run shows what happens.
type Output struct {
	Stdout, Stderr io.Writer
	Colour         bool
	Log            *slog.Logger
	Children       func() // is called before the process is started
}

// Run starts the runner, shows the rows of every sink, and says what went wrong where. began is the time that the rows are
// counted from.
func (l *Local) Run(ctx context.Context, o Output, began time.Time) error {
	redact := l.run.Redactor().Redact
	rows := &rowWriter{w: o.Stdout, colour: o.Colour, redact: redact}
	ready := func() {
		for _, w := range l.Warnings {
			o.Log.Warn(w)
		}
		rows.table.batch = l.Mocked.Batch
		for _, t := range l.Mocked.Tables {
			if t.Identifier != "" {
				rows.sink(t.Identifier, t.Short)
			}
		}
	}
	var faults []validate.Fault
	var rest strings.Builder // what else it says on stderr
	o.Children()
	code, err := l.execute(ctx, ready, rows.line, func(line string) {
		fault, failed := l.Failure(line)
		refusal, refused := l.Refusal(line)
		switch {
		case failed:
			faults = append(faults, fault)
		case refused:
			o.Log.Warn(refusal)
		case len(faults) > 0 || strings.Contains(line, ": job ") && strings.HasSuffix(line, " submitted"), strings.HasPrefix(line, "WARNING:"), strings.Contains(line, "VM warning:"):
		default:
			fmt.Fprintln(o.Stderr, redact(line)) // of a function, or of Java itself
		}
		rest.WriteString(line + "\n")
	})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	took := time.Since(began)
	if code == 0 {
		rows.summary(o.Stderr, began, took, len(l.Mocked.Flows) > 0)
		return nil
	}
	kept := l.keepLog(rest.String())
	if len(faults) == 0 {
		return &phase.Error{Phase: phase.SQL, Err: fmt.Errorf("java ended with exit code %d without naming a statement: %s", code, lastWords(rest.String())), Hint: kept}
	}
	return &phase.Error{Phase: phase.SQL, Err: &validate.FaultsError{Faults: faults}, Hint: kept}
}

// Plan lets Flink's planner check the script. children is called before the process is started.
func (l *Local) Plan(ctx context.Context, children func()) error {
	var out, errs strings.Builder
	line := func(b *strings.Builder) func(string) {
		return func(s string) { b.WriteString(s + "\n") }
	}
	children()
	code, err := l.execute(ctx, func() {}, line(&out), line(&errs))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	faults, done := l.Report(out.String())
	switch {
	case !done:
		return &phase.Error{Phase: phase.SQL, Err: fmt.Errorf("the check stopped early, with exit code %d: %s", code, lastWords(errs.String())), Hint: l.keepLog(errs.String())}
	case len(faults) > 0:
		return &phase.Error{Phase: phase.SQL, Err: &validate.FaultsError{Faults: faults}}
	}
	return nil
}

func lastWords(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, l := range lines {
		if strings.Contains(l, "Exception") || strings.Contains(l, "Error") {
			return validate.Short(strings.TrimSpace(l))
		}
	}
	return validate.Short(strings.TrimSpace(lines[len(lines)-1]))
}

// keepLog moves the log of a failed run, with the stack traces, to where it survives, and says where that is.
func (l *Local) keepLog(traces string) string {
	redact := l.run.Redactor().Redact
	out, err := os.CreateTemp("", "flink-entrypoint-debug-*.log")
	if err != nil {
		return ""
	}
	defer out.Close()
	if in, err := os.Open(l.Log); err == nil {
		lines := bufio.NewReader(in)
		for {
			line, err := lines.ReadString('\n')
			_, _ = io.WriteString(out, redact(line))
			if err != nil {
				break
			}
		}
		in.Close()
	}
	_, _ = io.WriteString(out, redact(traces))
	return "Flink's log with the stack trace is " + out.Name()
}

// execute starts the runner, answers it, calls ready before the script begins, and hands on what it prints, line by line and
// one line at a time. It ends with ctx, and the child with it or with us, however that comes about.
func (l *Local) execute(ctx context.Context, ready func(), stdout, stderr func(line string)) (code int, err error) {
	cmd := exec.CommandContext(ctx, l.Path)
	cmd.Args, cmd.Env = l.Argv, l.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the death of the thread that started the child counts as ours
	defer runtime.UnlockOSThread()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	var refused error
	if l.Asks() {
		in, err := cmd.StdinPipe()
		if err != nil {
			return 0, err
		}
		script := stdout
		stdout = func(line string) {
			if !l.Asks() {
				script(line)
				return
			}
			reply, err := l.Answer(line)
			if err != nil {
				refused = err
				in.Close() // it ends
				return
			}
			if reply != "" && !l.Asks() {
				ready()
			}
			_, _ = io.WriteString(in, reply) // where it fails the runner has ended, and says so itself
		}
	} else {
		ready()
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, syscall.E2BIG) {
			err = launch.TooLong(cmd.Args, cmd.Env)
		}
		return 0, &phase.Error{Phase: phase.Distribution, Err: fmt.Errorf("cannot start %s: %w", l.Path, err)}
	}
	var readers sync.WaitGroup
	var one sync.Mutex
	var panicked atomic.Value
	for _, r := range []struct {
		from io.Reader
		to   func(string)
	}{{out, stdout}, {errs, stderr}} {
		readers.Go(func() {
			defer func() { // a panic here would end the process with Go's exit code
				if p := recover(); p != nil {
					panicked.Store(fmt.Sprintf("%v\n%s", p, debug.Stack()))
					_ = cmd.Process.Kill()
				}
			}()
			lines := bufio.NewReader(r.from)
			for {
				line, err := lines.ReadString('\n')
				if line != "" {
					one.Lock()
					r.to(strings.TrimRight(line, "\r\n"))
					one.Unlock()
				}
				if err != nil {
					return
				}
			}
		})
	}
	readers.Wait()
	err = cmd.Wait()
	if p := panicked.Load(); p != nil {
		panic(p)
	}
	if refused != nil {
		return 0, refused
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}
