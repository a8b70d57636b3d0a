package localrun

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/sqlrunner"
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
	rows := &Rows{W: o.Stdout, Colour: o.Colour}
	o.Children()
	err := l.Follow(ctx, nil, Events{
		Ready: func() {
			for _, w := range l.Warnings {
				o.Log.Warn(w)
			}
			rows.Names(l.Sinks())
		},
		Row:   rows.Row,
		Text:  rows.text,
		Warn:  func(w string) { o.Log.Warn(w) },
		Other: func(line string) { fmt.Fprintln(o.Stderr, line) },
	})
	if err == nil {
		rows.Summary(o.Stderr, began, time.Since(began), len(l.Mocked.Flows) > 0)
	}
	return err
}

// Events hear what a run does, one thing at a time. All texts are without secrets.
type Events struct {
	Ready func() // the warnings and the mocked tables are known, the script begins
	// Columns names the columns of a sink, or of a query (table is ""), before its first row, where they are known. nil: does not hear them.
	Columns func(table string, names []string)
	Row     func(Row)
	// Text is another line of output, such as one of the table that shows a query where its rows are not exact. rows of a query ended with it; begun: its first row is here.
	Text  func(line string, begun bool, rows int)
	Warn  func(warning string)
	Other func(line string) // on stderr, of a function or of Java itself
}

// Follow runs the script on a process, or on one that it starts where that is nil, and waits for its end. The error is a
// [validate.FaultsError] in a [phase.Error] where a statement is at fault.
func (l *Local) Follow(ctx context.Context, on *Process, e Events) error {
	redact := l.run.Redactor().Redact
	rows := rowReader{redact: redact, exact: l.served != nil, named: map[string]bool{}}
	ready := func() {
		rows.table.batch = l.Mocked.Batch
		for _, t := range l.Mocked.Tables {
			if t.Identifier != "" {
				rows.sink(t.Identifier, t.Short)
			}
		}
		e.Ready()
	}
	var faults []validate.Fault
	var rest kept // what else it says on stderr
	ended := false
	code, err := l.execute(ctx, on, ready, func(line string) {
		if text, last := sqlrunner.ParseEnded(line); last {
			if ended = true; text == "" {
				return
			}
			line = text
		}
		rows.line(line, e)
	}, func(line string) {
		fault, failed := l.Failure(line)
		refusal, refused := l.Refusal(line)
		switch {
		case failed:
			faults = append(faults, fault)
		case refused:
			e.Warn(refusal)
		case len(faults) > 0 || strings.Contains(line, ": job ") && strings.HasSuffix(line, " submitted"), strings.HasPrefix(line, "WARNING:"), strings.Contains(line, "VM warning:"):
		default:
			e.Other(redact(line))
		}
		rest.add(line)
	})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if code == 0 && (ended || l.served == nil) {
		return nil
	}
	hint := l.keepLog(rest.String())
	if len(faults) == 0 {
		return &phase.Error{Phase: phase.SQL, Err: &ExitError{Code: code, Said: lastWords(rest.String()), All: rest.String()}, Hint: hint}
	}
	return &phase.Error{Phase: phase.SQL, Err: &validate.FaultsError{Faults: faults}, Hint: hint}
}

// ExitError is a Java that ended without a fault of a statement. Code 0: before the script did.
type ExitError struct {
	Code int
	Said string // its last words
	All  string // the beginning of what it wrote to standard error
}

func (e *ExitError) Error() string {
	if e.Code == 0 {
		return "Java ended before the script did: code of the script called System.exit or the like"
	}
	return fmt.Sprintf("java ended with exit code %d without naming a statement: %s", e.Code, e.Said)
}

// kept is the beginning of what a process says: it may say more than this process has memory.
type kept struct{ strings.Builder }

const mostKept = 1 << 20

func (k *kept) add(line string) {
	if k.Len() < mostKept {
		k.WriteString(line + "\n")
	}
}

// Sinks are the names of the tables whose rows a run shows.
func (l *Local) Sinks() []string {
	var names []string
	for _, t := range l.Mocked.Tables {
		if t.Identifier != "" {
			names = append(names, t.Short)
		}
	}
	return names
}

// Plan lets Flink's planner check the script. children is called before the process is started.
func (l *Local) Plan(ctx context.Context, children func()) error {
	children()
	return l.PlanOn(ctx, nil)
}

// PlanOn lets the planner of a process check the script, or of one that it starts where that is nil. The given process lives on,
// unless the check stopped early or ctx ended.
func (l *Local) PlanOn(ctx context.Context, on *Process) error {
	var out strings.Builder
	var errs kept
	report := func(line string) {
		// What a function prints while it is planned is not kept.
		if findings, done := sqlrunner.ParseReport(line); done || len(findings) > 0 && out.Len() < 16*mostKept {
			out.WriteString(line + "\n")
		}
	}
	code, err := 0, error(nil)
	if on != nil {
		code, err = l.checkOn(ctx, on, report, errs.add)
	} else {
		code, err = l.execute(ctx, nil, func() {}, report, errs.add)
	}
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
	if l.served != nil {
		return ""
	}
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

// execute asks a process, or one that it starts, for the run, answers it, and calls ready before the script begins. It ends with
// ctx, and the process with it. Without a code the process lives on: it has answered everything.
func (l *Local) execute(ctx context.Context, on *Process, ready func(), stdout, stderr func(line string)) (code int, err error) {
	var refused error
	script := stdout
	var p *Process
	stdout = func(line string) {
		if !l.Asks() {
			script(line)
			return
		}
		reply, err := l.Answer(line)
		if err != nil {
			refused = err
			p.NoMore() // it ends
			return
		}
		if reply != nil {
			l.send(p, ready)
		}
	}
	if p = on; p == nil {
		if p, err = l.Engine.Start(nil, stdout, stderr); err != nil {
			return 0, err
		}
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	p.Listen(stdout, stderr)
	l.send(p, ready)
	if code, err = p.Wait(); refused != nil {
		return 0, refused
	}
	return code, err
}

// checkOn lets a process check the script that lives on after it. Where the check stopped early, the process has ended.
func (l *Local) checkOn(ctx context.Context, p *Process, stdout, stderr func(line string)) (code int, err error) {
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	var refused error
	checked := make(chan struct{})
	over := sync.OnceFunc(func() { close(checked) })
	p.Listen(func(line string) {
		if l.Asks() {
			reply, err := l.Answer(line)
			if refused = err; err != nil {
				over()
			} else if reply != nil {
				p.Send(reply)
			}
			return
		}
		stdout(line)
		if _, done := sqlrunner.ParseReport(line); done {
			over()
		}
	}, stderr)
	p.Send(l.next)
	select {
	case <-checked:
		p.Listen(func(string) {}, func(string) {})
		return 0, refused
	case <-p.Done():
		return p.Wait()
	}
}

// send writes the next request. The request to run the script is the last one.
func (l *Local) send(p *Process, ready func()) {
	last := !l.Asks()
	if last {
		ready()
	}
	p.Send(l.next)
	if last {
		p.NoMore()
	}
}
