package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/sqlrunner"
)

// PrepareCheck makes a SQL job ready to be planned, not run, by the real planner. Tables whose connector has no jar on the class
// path are mocked, the others stay; nothing is written to a real catalog. The caller closes the result, which is not nil even with an error.
func PrepareCheck(ctx context.Context, opts Options, w World) (*Local, error) {
	l, err := gatherLocal(ctx, opts, w, true)
	if err != nil {
		return l, err
	}
	if err := l.asApplication(); err != nil {
		return l, err
	}
	jars, err := l.jars(ctx)
	if err != nil {
		return l, err
	}
	return l, l.start(ctx, sqlrunner.Check, func() (mock.Result, error) { return l.mockAbsent(jars) })
}

// asApplication judges the script as an application cluster will, with this definition's id and high availability. That
// it starts no job is no fault of a script that is only checked.
func (l *Local) asApplication() error {
	g := l.g
	var script []sqlrunner.Part
	for _, p := range l.parts {
		script = append(script, sqlrunner.Part{Name: p.Name, Text: p.Text})
	}
	plan, err := sqlrunner.Prepare(script, g.asApplication())
	l.Warnings = append(l.Warnings, plan.Warnings...)
	var e *sqlrunner.Error
	if errors.As(err, &e) && e.Line == 0 {
		l.Warnings = append(l.Warnings, e.Message)
		return nil
	}
	if err != nil {
		return l.scriptError(err)
	}
	return nil
}

// mockAbsent mocks the tables whose connector nothing on the class path answers to.
func (l *Local) mockAbsent(jars []string) (mock.Result, error) {
	options := l.mockOptions(DebugOptions{})
	options.PlanOnly = true
	first, err := mock.Rewrite(l.parts, options)
	if err != nil {
		return first, err
	}
	var wanted []string
	for _, t := range first.Tables {
		if t.Connector != "" && t.Role != mock.View && !slices.Contains(wanted, t.Connector) {
			wanted = append(wanted, t.Connector)
		}
	}
	there := connectors(jars, wanted)
	absent := map[string]bool{}
	var unchecked []string
	for _, t := range first.Tables {
		switch {
		case t.Connector == "" || t.Role == mock.View:
		case there[t.Connector]:
			if !slices.Contains(options.Keep, t.Name) {
				options.Keep = append(options.Keep, t.Name)
			}
		case !absent[t.Connector]:
			absent[t.Connector] = true
			unchecked = append(unchecked, fmt.Sprintf("no jar of the connector %q is here: the options of its tables were not checked", t.Connector))
		}
	}
	out := first
	if len(options.Keep) > 0 {
		if kept, err := mock.Rewrite(l.parts, options); err == nil {
			out = kept
		}
	}
	out.Warnings, out.Undefined = append(unchecked, out.Warnings...), first.Undefined
	return out, nil
}

// Report reads what the runner of a check printed. done is false when it did not come to its end.
func (l *Local) Report(output string) (faults []Fault, done bool) {
	findings, done := sqlrunner.ParseReport(output)
	for _, f := range findings {
		faults = append(faults, l.finding(f, l.Mocked))
	}
	return faults, done
}
