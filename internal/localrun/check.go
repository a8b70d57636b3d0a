package localrun

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/validate"
)

// Check makes a SQL job ready to be planned, not run, by the real planner. Tables whose connector or format has no jar on the
// class path are mocked, the others stay; nothing is written to a real catalog. The caller closes the result, which is not nil even with an error.
func Check(ctx context.Context, opts boot.Options, w boot.World) (*Local, error) {
	return check(ctx, opts, w, nil)
}

func check(ctx context.Context, opts boot.Options, w boot.World, served *Served) (*Local, error) {
	l, err := prepare(ctx, opts, w, true, served)
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
	absent := l.index().absentCatalogs(jars)
	return l, l.start(ctx, sqlrunner.Check, func() (mock.Result, error) { return l.mockAbsent(jars, absent) })
}

// asApplication judges the script as an application cluster will, with this definition's id and high availability. That
// it starts no job is not a fault of a script that is only checked.
func (l *Local) asApplication() error {
	options := validate.Application(l.job.Definition, l.Version)
	options.Left = blanked(l.parts)
	warnings, err := sqlrunner.Judge(runnerParts(l.parts), options)
	l.Warnings = append(l.Warnings, warnings...)
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

// mockAbsent mocks the tables whose connector, or one of whose formats, nothing on the class path answers to.
func (l *Local) mockAbsent(jars []string, absentCatalog func(kind string) bool) (mock.Result, error) {
	options := l.mockOptions(Options{})
	options.AbsentCatalog = absentCatalog
	options.PlanOnly, options.Changes = true, true
	options.Provider = func(name string) bool { return l.index().factoriesIn(jars, []string{name})[name] }
	first, err := mock.Rewrite(l.parts, options)
	if err != nil {
		return first, err
	}
	var wanted []string
	for _, t := range first.Tables {
		if t.Connector != "" && t.Role != mock.View {
			wanted = append(append(wanted, t.Connector), t.Formats...)
		}
	}
	slices.Sort(wanted)
	there := l.index().factoriesIn(jars, slices.Compact(wanted))
	absent, mocked := map[string]bool{}, map[string]bool{}
	var unchecked []string
	missing := func(kind, name string) bool {
		if there[name] {
			return false
		}
		if key := kind + name; !absent[key] {
			absent[key] = true
			unchecked = append(unchecked, fmt.Sprintf("no jar of the %s %q is here: the options of its tables were not checked", kind, name))
		}
		return true
	}
	for _, t := range first.Tables {
		if t.Connector == "" || t.Role == mock.View {
			continue
		}
		mocks := missing("connector", t.Connector)
		if l.served != nil && !slices.Contains(plannedAway(), t.Connector) {
			mocks = true
		}
		if !mocks {
			for _, f := range t.Formats {
				mocks = missing("format", f) || mocks
			}
		}
		if mocks || mocked[t.Like] { // what it inherits is no longer what the user wrote
			mocked[t.Name] = true
		} else if !slices.Contains(options.Keep, t.Name) {
			options.Keep = append(options.Keep, t.Name)
		}
	}
	options.Keep = slices.DeleteFunc(options.Keep, func(name string) bool { return mocked[name] })
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
func (l *Local) Report(output string) (faults []validate.Fault, done bool) {
	findings, done := sqlrunner.ParseReport(output)
	for _, f := range findings {
		faults = append(faults, l.finding(f, l.Mocked))
	}
	return faults, done
}
