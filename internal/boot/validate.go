package boot

import (
	"context"
	"errors"

	"flink-entrypoint/internal/jobdef"
)

// Schema returns the JSON Schema of the job definition.
func Schema() []byte { return jobdef.Schema() }

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

// Validate fetches and checks a definition. It needs no Flink home.
func Validate(ctx context.Context, opts Options, w World) (*DefinitionSeen, error) {
	if opts.Definition == "" {
		return nil, fail(Usage, errNoDefinition, "give it with --definition")
	}
	g := newGatherer(Explain, "", opts, w)
	if err := g.definition(ctx); err != nil {
		return nil, err
	}
	return g.plan.Definition, nil
}
