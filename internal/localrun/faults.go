package localrun

import (
	"errors"
	"fmt"
	"strings"

	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/internal/validate"
)

// scriptError places what the rooms of SQL found wrong in the user's file.
func (l *Local) scriptError(err error) error {
	faults, hint, ok := l.Script.Faults(err, func(err error) (validate.At, bool) {
		var m *mock.Error
		if errors.As(err, &m) {
			return validate.At{Part: m.Part, Number: m.Number, Line: m.Line, Column: m.Column, Message: m.Message, Hint: m.Hint}, true
		}
		return validate.Of(err)
	})
	if !ok {
		return err
	}
	return &phase.Error{Phase: phase.SQL, Err: &validate.FaultsError{Faults: faults}, Hint: hint}
}

// Failure reads a line that the runner wrote to stderr. ok is false when it is not about a statement.
func (l *Local) Failure(line string) (validate.Fault, bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "error: ")
	if !ok {
		return validate.Fault{}, false
	}
	label, rest, ok := strings.Cut(rest, ", line ")
	if !ok {
		return validate.Fault{}, false
	}
	number, reason, ok := strings.Cut(rest, ": ")
	if !ok {
		return validate.Fault{}, false
	}
	findings, _ := sqlrunner.ParseReport("error\t" + number + "\t0\t" + label + "\t" + reason + "\n")
	if len(findings) != 1 || findings[0].Line == 0 {
		return validate.Fault{}, false
	}
	return l.finding(findings[0], l.Mocked), true
}

// Refusal reads a line that the runner wrote to stderr about a statement that runs here, but that Flink refuses with the real connectors.
func (l *Local) Refusal(line string) (warning string, ok bool) {
	rest, ok := strings.CutPrefix(line, "refused: ")
	if !ok {
		return "", false
	}
	f, ok := l.Failure("error: " + rest)
	if !ok {
		return "", false
	}
	f.Message = "runs here, but Flink refuses it with the real connectors: " + f.Message
	return f.String(), true
}

// finding places what Flink found in the mocked script.
func (l *Local) finding(f sqlrunner.Finding, mocked mock.Result) validate.Fault {
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
	out := l.Script.Fault(part, line, column, endLine, endColumn, mock.UserNames(withoutPlace(f.Reason)))
	out.Statement = name
	// Statements that the mocks put before it, and those left out here, count in one of the scripts only.
	if at := strings.LastIndex(name, "statement "); at >= 0 && found {
		out.Statement = name[:at] + fmt.Sprintf("statement %d", statement.Number)
	}
	return out
}

// statementAt returns the last statement that begins there or before; column 0 is the end of the line.
func (l *Local) statementAt(part, line, column int) (at sqltext.Statement, ok bool) {
	if l.statements[part] == nil {
		return at, false
	}
	for s := range l.statements[part].All() {
		if s.Line < line || s.Line == line && (column == 0 || s.Column <= column) {
			at, ok = s, true
			continue
		}
		break
	}
	return at, ok
}

// withoutPlace takes "From line 2, column 13 to line 2, column 15: " off a reason whose place is shown otherwise.
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
