// Package validate checks a definition and its SQL without an engine, and finds the places of faults in the user's file.
//
// A definition that was decoded comes in, or the error of the decoding. What goes out are problems and faults with line and
// column, for people and for programs.
package validate

import (
	"errors"
	"fmt"
	"strings"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/sqlrunner"
)

// Problem is one thing that is wrong with a definition, at its place in the document.
type Problem struct {
	Path    string `json:"path,omitempty"` // field
	Line    int    `json:"line"`           // from 1
	Column  int    `json:"column"`         // from 1
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Problems returns everything that is wrong with a definition, in the order of the document; nil if err is about something else.
func Problems(err error) []Problem {
	var all *jobdef.Errors
	if !errors.As(err, &all) {
		return nil
	}
	out := make([]Problem, len(all.List))
	for i, p := range all.List {
		out[i] = Problem{p.Path, p.Line, p.Column, p.Message, p.Hint}
	}
	return out
}

// Refused is a script that no start would run.
type Refused struct {
	error  // with the name of the document
	Hint   string
	Faults []Fault
}

// HasScript reports whether there is a script that [Script] can check. One that is a secret, or whose place or digest is,
// is left to the start.
func HasScript(def *jobdef.Definition) bool {
	s := def.SQL
	return s.Runs() && !s.Script.IsReference() && !s.ScriptURI.IsReference() && !s.ScriptSHA256.IsReference()
}

// Script finds what a start would refuse of a script; options are [Application]'s, or like them. The error is a [Refused]. name is what its
// text calls the definition, and source the places of the script's lines.
func Script(def *jobdef.Definition, options sqlrunner.Options, name string, source *Source) (warnings []string, err error) {
	options.Sensitive = flinkconf.Hidden
	warnings, err = sqlrunner.Judge([]sqlrunner.Part{{Text: source.text}}, options)
	if err == nil {
		return warnings, nil
	}
	hint, named := Named(err, ScriptName(def, name))
	faults, _, _ := source.Faults(err, Of)
	return warnings, &Refused{named, hint, faults}
}

// Application is how an application cluster would prepare the script, as far as the definition tells.
func Application(def *jobdef.Definition, v flinkversion.Version) sqlrunner.Options {
	ha := def.HighAvailability
	return sqlrunner.Options{Flink: v, FixedJobID: !def.ID.IsZero(),
		HighAvailability: ha != nil && !strings.EqualFold(ha.Type, "none"), RuntimeMode: RuntimeMode(def)}
}

// RuntimeMode returns the runtime mode of the definition's configuration; a SET in the script beats it.
func RuntimeMode(d *jobdef.Definition) string {
	mode := ""
	for _, s := range d.Configuration {
		if s.Key == "execution.runtime-mode" {
			mode, _ = s.Value.Plain()
		}
	}
	return mode
}

// ScriptName names the user's script for a message; document is the URI of the definition.
func ScriptName(def *jobdef.Definition, document string) string {
	name := fetch.Redact(document)
	switch s := def.SQL; {
	case !s.ScriptURI.IsZero():
		return "the script of sql.scriptUri"
	case strings.HasSuffix(name, ".sql"):
		return name
	case s.Script.Line() > 0:
		return fmt.Sprintf("%s, sql.script (from line %d on)", name, s.Script.Line())
	default:
		return name + ", sql.script"
	}
}
