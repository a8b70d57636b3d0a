package localrun

import (
	"context"
	"slices"

	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/sqlrunner"
)

// asking is the part of a local run that comes before the script: what replaces a table of a real catalog depends on
// the table's columns, which only the catalog knows. The run's one JVM tells, then goes on with the script.
type asking struct {
	mode  sqlrunner.Mode              // of the run itself
	mocks func() (mock.Result, error) // replaces tables by what is known by now
	known map[[3]string]string        // the statement that creates a table, "" for one that is not there
	asked [][3]string                 // tables asked for by now, found or not
	now   [][3]string                 // those of this round
	next  []byte                      // the request to the runner
}

// definition answers mock's question from what the catalogs have told.
func (a *asking) definition(catalog, database, table string) (ddl string, ok bool) {
	ddl, ok = a.known[[3]string{catalog, database, table}]
	return ddl, ok
}

// start makes the first request to the runner, and the command that starts it. mocks may look up [asking.definition].
func (l *Local) start(ctx context.Context, mode sqlrunner.Mode, mocks func() (mock.Result, error)) error {
	l.mode, l.mocks, l.known = mode, mocks, map[[3]string]string{}
	if err := l.round(); err != nil {
		return err
	}
	if l.served != nil {
		return nil
	}
	return l.command(ctx)
}

// round replaces the tables, and makes the next request: an Ask as long as there are tables to ask for.
func (l *Local) round() error {
	var err error
	if l.Mocked, err = l.mocks(); err != nil {
		return l.scriptError(err)
	}
	l.now = slices.DeleteFunc(slices.Clone(l.Mocked.Undefined), func(t [3]string) bool { return slices.Contains(l.asked, t) })
	if l.asked = append(l.asked, l.now...); l.Asks() {
		return l.request(sqlrunner.Ask, l.now)
	}
	l.Warnings = append(l.Warnings, l.Mocked.Warnings...)
	return l.request(l.mode, nil)
}

// Asks reports whether the runner tells about tables before it runs the script: its lines on stdout then go to Answer.
func (l *Local) Asks() bool { return len(l.now) > 0 }

// Answer reads a line of the runner's stdout. reply, unless empty, is the next request, for its stdin: it has answered everything.
// The warnings and the mocked tables are known when it asks no more.
func (l *Local) Answer(line string) (reply []byte, err error) {
	table, ddl, ok, done := sqlrunner.ParseDefinition(line)
	if ok && table < len(l.now) {
		l.known[l.now[table]] = ddl
	}
	if !done {
		return nil, nil
	}
	for _, t := range l.now {
		l.known[t] += "" // asked, and no answer: not there
	}
	err = l.round()
	return l.next, err
}
