package boot

import (
	"context"
	"errors"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/sqltext"
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

// Validate fetches and checks a definition, and cuts the script that stands in it into statements. It needs no Flink home.
func Validate(ctx context.Context, opts Options, w World) (*DefinitionSeen, error) {
	if opts.Definition == "" {
		return nil, fail(Usage, errNoDefinition, "give it with --definition")
	}
	g := newGatherer(Explain, "", opts, w)
	if err := g.definition(ctx); err != nil {
		return nil, err
	}
	return g.plan.Definition, g.checkScript(ctx)
}

// checkScript finds what the start would refuse of a script without asking Flink. One that lies elsewhere, or that is a secret, is
// left to the start.
func (g *gatherer) checkScript(ctx context.Context) error {
	s := g.def.SQL
	if !s.Runs() || s.Script.IsZero() || s.Script.IsReference() {
		return nil
	}
	if g.opts.FlinkVersion != "" || !g.def.FlinkVersion.IsZero() || g.distribution(ctx) != nil {
		if err := g.assumeVersion(); err != nil {
			return err
		}
	}
	v := g.plan.Home.Version
	script, err := g.readScript(ctx, s)
	if err != nil {
		return err
	}
	options := g.asApplication()
	options.Sensitive = func(key string) bool { return flinkconf.IsSensitive(key, v) }
	if _, err := sqlrunner.Prepare([]sqlrunner.Part{{Text: string(script)}}, options); err != nil {
		return g.sqlError(err)
	}
	return nil
}

// asApplication is how an application cluster would prepare the script, as far as the definition tells.
func (g *gatherer) asApplication() sqlrunner.Options {
	ha, v := g.def.HighAvailability, g.plan.Home.Version
	return sqlrunner.Options{Dialect: sqltext.DialectOf(v.Major, v.Minor), FixedJobID: !g.def.ID.IsZero(),
		HighAvailability: ha != nil && !strings.EqualFold(ha.Type, "none"), RuntimeMode: runtimeMode(g.def)}
}
