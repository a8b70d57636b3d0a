package validate

import (
	"cmp"
	"errors"
	"fmt"

	"flink-entrypoint/internal/sqlrunner"
)

// Fault is an error of a statement, at its place in the user's file.
type Fault struct {
	File       string // of the user's; "init.sql" for what the definition's fields became
	Line       int    // 0: no place
	Column     int
	EndLine    int // of the last character; 0 where it is not known
	EndColumn  int
	Statement  string // e.g. "statement 3"
	Message    string // in one line
	Hint       string
	Text       string // the line, or what is around the fault in a long one; "" where it cannot be shown, or holds a secret
	TextColumn int    // of the fault in Text, in characters from 1
	TextEnd    int    // after the fault in Text
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

// Faults returns what is wrong with a script, at its places in the user's file; nil if err is about something else.
func Faults(err error) []Fault {
	var faults *FaultsError
	if errors.As(err, &faults) {
		return faults.Faults
	}
	var refused *Refused
	if errors.As(err, &refused) {
		return refused.Faults
	}
	return nil
}

// At is the place of an error in the parts of a script.
type At struct {
	Part         string // "" is the user's script
	Number       int    // of the statement, 0: none
	Line, Column int
	Message      string
	Hint         string
}

// Of reads an error of the runner's preparation.
func Of(err error) (At, bool) {
	var e *sqlrunner.Error
	if !errors.As(err, &e) {
		return At{}, false
	}
	return At{e.Part, e.Number, e.Line, e.Column, e.Message, e.Hint}, true
}

// Faults places what is wrong with the script; read is [Of] or what else knows the errors. ok is false where one of the errors
// is about something else. hint is the first one.
func (s *Source) Faults(err error, read func(error) (At, bool)) (faults []Fault, hint string, ok bool) {
	for _, e := range flatten(err) {
		at, ok := read(e)
		if !ok {
			return nil, "", false
		}
		f := s.Fault(at.Part, at.Line, at.Column, 0, 0, at.Message)
		f.Hint = at.Hint
		if at.Number > 0 {
			f.Statement = fmt.Sprintf("statement %d", at.Number)
		}
		hint = cmp.Or(hint, f.Hint)
		faults = append(faults, f)
	}
	return faults, hint, true
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []error{err}
}

// Named gives the errors of a script the name of the document that it is in. hint is the first one.
func Named(err error, name string) (hint string, named error) {
	var all []error
	for _, e := range flatten(err) {
		var r *sqlrunner.Error
		if !errors.As(e, &r) {
			return "", err
		}
		r.Message, r.Hint = Short(r.Message), Short(r.Hint)
		if r.Part == "" {
			e = fmt.Errorf("%s: %w", name, e)
		}
		hint = cmp.Or(hint, r.Hint)
		all = append(all, e)
	}
	if len(all) == 1 {
		return hint, all[0]
	}
	return hint, errors.Join(all...)
}
