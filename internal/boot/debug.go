package boot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/sqltext"
)

// DebugOptions are the flags of debug.
type DebugOptions struct {
	Rows          int64 // per source
	RowsPerSecond int64
	Keep          []string
	Data          map[string]string // table to file
	Seed          int64
}

// Debug makes a SQL job ready to run here on mocked tables. With start false it only rewrites the script, which needs no
// Flink home and no Java. The caller closes the result, which is not nil even with an error.
func Debug(ctx context.Context, start bool, opts Options, d DebugOptions, w World) (*Local, error) {
	return debugRun(ctx, start, opts, d, w, false)
}

func debugRun(ctx context.Context, start bool, opts Options, d DebugOptions, w World, training bool) (*Local, error) {
	l, err := gatherLocal(ctx, opts, w, start)
	if err != nil {
		return l, err
	}
	l.g.training = training
	if !start {
		if l.Mocked, err = mock.Rewrite(l.parts, l.mockOptions(d)); err != nil {
			return l, l.scriptError(err)
		}
		l.Warnings = append(l.Warnings, l.Mocked.Warnings...)
		return l, nil
	}
	return l, l.start(ctx, sqlrunner.Local, func() (mock.Result, error) { return mock.Rewrite(l.parts, l.mockOptions(d)) })
}

func (l *Local) mockOptions(d DebugOptions) mock.Options {
	return mock.Options{Rows: d.Rows, RowsPerSecond: d.RowsPerSecond, Keep: d.Keep, Data: d.Data, Seed: d.Seed, Definition: l.definition,
		Batch: strings.EqualFold(runtimeMode(l.g.def), "batch"), Major: l.Version.Major, Minor: l.Version.Minor}
}

// Fault is something wrong with a statement, at its place in the user's file.
type Fault struct {
	File       string // of the user's; "init.sql" for what the definition's fields became
	Line       int    // 0: no place
	Column     int
	EndLine    int // of the last character; 0 where it is not known
	EndColumn  int
	Statement  string // e.g. "statement 3"
	Message    string // in one line
	Hint       string
	Text       string // the line, without secrets; "" where it cannot be shown
	TextColumn int    // of the fault in Text
	TextEnd    int    // behind the fault in Text
}

// Where returns file, line and column as compilers write them.
func (f Fault) Where() string {
	if f.Line == 0 {
		return f.File
	}
	if f.Column == 0 {
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

// String returns place, statement and message in one line.
func (f Fault) String() string {
	text := f.Message
	if f.Statement != "" {
		text = f.Statement + ": " + text
	}
	if where := f.Where(); where != "" {
		text = where + ": " + text
	}
	return text
}

// FaultsError is a script with faults.
type FaultsError struct{ Faults []Fault }

// Error returns the only fault, or how many there are and the first.
func (e *FaultsError) Error() string {
	if len(e.Faults) == 1 {
		return e.Faults[0].String()
	}
	return fmt.Sprintf("%d errors in the script, the first: %s", len(e.Faults), e.Faults[0])
}

// scriptError places what the rooms of SQL found wrong in the user's file.
func (l *Local) scriptError(err error) error {
	var faults []Fault
	hint := ""
	for _, e := range flatten(err) {
		var m *mock.Error
		var r *sqlrunner.Error
		var f Fault
		switch {
		case errors.As(e, &m):
			f = l.fault(m.Part, m.Line, m.Column, 0, 0, m.Message)
			f.Hint = m.Hint
			if m.Number > 0 {
				f.Statement = fmt.Sprintf("statement %d", m.Number)
			}
		case errors.As(e, &r):
			f = l.fault(r.Part, r.Line, r.Column, 0, 0, r.Message)
			f.Hint = r.Hint
			if r.Number > 0 {
				f.Statement = fmt.Sprintf("statement %d", r.Number)
			}
		default:
			return err
		}
		if hint == "" {
			hint = f.Hint
		}
		faults = append(faults, f)
	}
	return &Error{Phase: SQL, Err: &FaultsError{faults}, Hint: hint}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	var e *Error
	if errors.As(err, &e) {
		err = e.Err
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []error{err}
}

// fault makes a Fault of a place in a part of the script as the user wrote it.
func (l *Local) fault(part string, line, column, endLine, endColumn int, message string) Fault {
	f := Fault{File: part, Line: line, Column: column, EndLine: endLine, EndColumn: endColumn, Message: l.g.world.Redactor.Redact(message)}
	if part != "" {
		return f // the init SQL may hold secrets, and the user did not write it
	}
	f.File = l.Script.File
	if line == 0 {
		return f
	}
	f.Text, f.TextColumn, f.TextEnd = l.g.world.Redactor.Redact(l.Script.Line(line)), column, column+1
	if f.Text != l.Script.Line(line) {
		f.Text = "" // its columns have moved
	}
	switch {
	case endLine == line:
		f.TextEnd = endColumn + 1
	case endLine > line:
		f.TextEnd = len([]rune(f.Text)) + 1
	}
	var ok bool
	if f.Line, f.Column, ok = l.Script.Place(line, column); !ok {
		f.File += ": " + l.Script.Field
	}
	if endLine > 0 {
		f.EndLine, f.EndColumn, _ = l.Script.Place(endLine, endColumn)
	}
	return f
}

// Failure reads a line that the runner wrote to stderr. ok is false when it is no failure of a statement.
func (l *Local) Failure(line string) (Fault, bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "error: ")
	if !ok {
		return Fault{}, false
	}
	label, rest, ok := strings.Cut(rest, ", line ")
	if !ok {
		return Fault{}, false
	}
	number, reason, ok := strings.Cut(rest, ": ")
	if !ok {
		return Fault{}, false
	}
	findings, _ := sqlrunner.ParseReport("error\t" + number + "\t0\t" + label + "\t" + reason + "\n")
	if len(findings) != 1 || findings[0].Line == 0 {
		return Fault{}, false
	}
	return l.finding(findings[0], l.Mocked), true
}

// finding places what Flink found in the mocked script.
func (l *Local) finding(f sqlrunner.Finding, mocked mock.Result) Fault {
	part, index, name := "", 1, f.Statement
	if s, ok := strings.CutPrefix(name, initPart+" "); ok {
		part, index, name = initPart, 0, s
	}
	line, column := f.Line, f.Column
	endLine, endColumn := f.EndLine, f.EndColumn
	if column > 0 {
		line, column = mocked.Place(index, line, column)
		if endLine > 0 {
			endLine, endColumn = mocked.Place(index, endLine, endColumn)
		}
	}
	statement, found := l.statementAt(index, line, column)
	if found && column == 0 { // Flink names no place
		line, column = statement.Line, statement.Column
	}
	out := l.fault(part, line, column, endLine, endColumn, mock.UserNames(withoutPlace(f.Reason)))
	out.Statement = name
	// Statements that the mocks put before it, and those left out here, count in one of the scripts only.
	if at := strings.LastIndex(name, "statement "); at >= 0 && found {
		out.Statement = name[:at] + fmt.Sprintf("statement %d", statement.Number)
	}
	return out
}

// statementAt returns the last statement that begins there or before; column 0 is the end of the line.
func (l *Local) statementAt(part, line, column int) (at sqltext.Statement, ok bool) {
	for _, s := range l.statements[part] {
		if s.Line < line || s.Line == line && (column == 0 || s.Column <= column) {
			at, ok = s, true
		}
	}
	return at, ok
}

// withoutPlace takes "From line 2, column 13 to line 2, column 15: " off a reason whose place is told otherwise.
func withoutPlace(reason string) string {
	for _, start := range []string{"From line ", "At line "} {
		if i := strings.Index(reason, start); i >= 0 {
			if at, rest, ok := strings.Cut(reason[i:], ": "); ok && strings.Contains(at, "column") {
				return reason[:i] + rest
			}
		}
	}
	return reason
}
