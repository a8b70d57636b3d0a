package validate

import (
	"strings"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/jobdef"
)

// Source is the user's script and the places of its lines.
type Source struct {
	File     string // redacted URI of the document
	Field    string // of the definition, "" for a script of its own
	script   *lines
	document *lines // nil: the script is the document
	first    int    // line of the document on which the script begins; 0 when the document has other lines
	text     string // of the script
	redact   func(string) string
	shown    shownLine

	literals bool // places in a JSON string are wanted, see InLiterals
	literal  *literal
}

// InLiterals makes the places of a script that is a JSON string of the document places of the document: for an editor, not for people.
func (s *Source) InLiterals() *Source {
	s.literals = true
	return s
}

// SourceOf finds out where the lines of the definition's script are in the file that the user wrote: the document of that
// URI. document is nil where it is the script and nothing else. redact takes the secrets of the run out of a text.
func SourceOf(def *jobdef.Definition, uri string, document []byte, script string, redact func(string) string) *Source {
	s := &Source{File: uri, text: script, script: &lines{text: strings.TrimPrefix(script, "\uFEFF")}, redact: redact}
	if !def.SQL.ScriptURI.IsZero() {
		s.File, s.first = fetch.Redact(def.SQL.ScriptURI.String()), 1
		return s
	}
	s.first = def.SQL.Script.Line()
	if s.first == 0 || def.SQL.Script.IsReference() {
		s.first, s.Field = 0, def.SQL.Script.Path()
		return s
	}
	if document != nil {
		s.Field = "sql.script"
		s.document = &lines{bytes: document}
	}
	return s
}

// Fault makes a Fault of a place in a part of the script as the user wrote it.
func (s *Source) Fault(part string, line, column, endLine, endColumn int, message string) Fault {
	f := Fault{File: part, Line: line, Column: column, EndLine: endLine, EndColumn: endColumn, Message: Short(s.redact(message))}
	if part != "" {
		return f // the init SQL may hold secrets, and the user did not write it
	}
	f.File = s.File
	if line == 0 {
		return f
	}
	if s.shown.number != line {
		text := strings.TrimRight(s.Line(line), "\r\n")
		s.shown = shownLine{number: line, text: text, secret: s.redact(text) != text}
	}
	if shown := &s.shown; column > 0 && !shown.secret { // else its columns have moved
		at := shown.offset(column)
		end := at
		switch {
		case endLine == line:
			end = shown.offset(endColumn + 1)
		case endLine > line:
			end = len(shown.text)
		}
		f.Text, f.TextColumn, f.TextEnd = excerpt(shown.text, at, end)
	}
	var ok bool
	if f.Line, f.Column, ok = s.Place(line, column); !ok {
		f.File += ": " + s.Field
	}
	if endLine > 0 {
		f.EndLine, f.EndColumn, _ = s.Place(endLine, endColumn)
	}
	return f
}

// lines is a text whose lines are looked up. Where they begin is found out when the first one is asked for: most scripts
// have no faults.
type lines struct {
	text   string
	bytes  []byte // the text, where it is not a string yet
	starts []int32
}

// at returns a line, "" past the end.
func (l *lines) at(line int) string {
	if l.starts == nil {
		if l.bytes != nil {
			l.text, l.bytes = string(l.bytes), nil
		}
		l.starts = append(l.starts, 0)
		for i := 0; ; {
			n := strings.IndexByte(l.text[i:], '\n')
			if n < 0 {
				break
			}
			i += n + 1
			l.starts = append(l.starts, int32(i))
		}
	}
	if line < 1 || line > len(l.starts) {
		return ""
	}
	end := len(l.text)
	if line < len(l.starts) {
		end = int(l.starts[line]) - 1
	}
	return strings.TrimPrefix(strings.TrimSuffix(l.text[l.starts[line-1]:end], "\r"), "\uFEFF")
}

// Line returns a line of the script, "" past the end.
func (s *Source) Line(line int) string { return s.script.at(line) }

// Place maps a place of the script to the user's file. ok is false where the script's lines are not the file's, as in JSON.
func (s *Source) Place(line, column int) (fileLine, fileColumn int, ok bool) {
	if s.first == 0 {
		return line, column, false
	}
	if s.document == nil {
		return s.first + line - 1, column, true
	}
	if s.literals {
		if fileLine, fileColumn, ok = s.inLiteral(line, column); ok {
			return fileLine, fileColumn, true
		}
	}
	text, whole := s.Line(line), s.document.at(s.first+line-1)
	// An empty line ends as every line does, so the first one must fit, too.
	if line < 1 || !strings.HasSuffix(whole, text) || !strings.HasSuffix(s.document.at(s.first), s.Line(1)) {
		return line, column, false
	}
	return s.first + line - 1, column + len(whole) - len(text), true
}
