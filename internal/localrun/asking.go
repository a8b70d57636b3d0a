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
}

// definition answers mock's question from what the catalogs have told.
func (a *asking) definition(catalog, database, table string) (ddl string, ok bool) {
	ddl, ok = a.known[[3]string{catalog, database, table}]
	return ddl, ok
}

// start makes the files and the command of a run. mocks may look up [asking.definition].
func (l *Local) start(ctx context.Context, mode sqlrunner.Mode, mocks func() (mock.Result, error)) error {
	l.mode, l.mocks, l.known = mode, mocks, map[[3]string]string{}
	first, err := l.round()
	if err != nil {
		return err
	}
	return l.command(ctx, first)
}

// round replaces the tables, and writes the files for the mode that it returns: Ask as long as there are tables to ask for.
func (l *Local) round() (sqlrunner.Mode, error) {
	var err error
	if l.Mocked, err = l.mocks(); err != nil {
		return 0, l.scriptError(err)
	}
	l.now = slices.DeleteFunc(slices.Clone(l.Mocked.Undefined), func(t [3]string) bool { return slices.Contains(l.asked, t) })
	if l.asked = append(l.asked, l.now...); l.Asks() {
		_, err := l.script(sqlrunner.Ask, l.Mocked.Parts, l.now)
		return sqlrunner.Ask, err
	}
	_, err = l.script(l.mode, l.Mocked.Parts, nil) // its warnings are about the script as the user wrote it
	l.Warnings = append(l.Warnings, l.Mocked.Warnings...)
	return l.mode, err
}

// Asks reports whether the runner tells about tables before it runs the script: its lines on stdout then go to Answer.
func (l *Local) Asks() bool { return len(l.now) > 0 }

// Answer reads a line of the runner's stdout. reply, unless empty, is to be written to its stdin: it has told all it was asked.
// The warnings and the mocked tables are known when it asks no more.
func (l *Local) Answer(line string) (reply string, err error) {
	table, ddl, ok, done := sqlrunner.ParseDefinition(line)
	if ok && table < len(l.now) {
		l.known[l.now[table]] = ddl
	}
	if !done {
		return "", nil
	}
	for _, t := range l.now {
		l.known[t] += "" // asked, and no answer: not there
	}
	mode, err := l.round()
	return mode.String() + "\n", err
}
