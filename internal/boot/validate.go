package boot

import (
	"context"

	"flink-entrypoint/internal/jobdef"
)

// Schema returns the JSON Schema of the job definition.
func Schema() []byte { return jobdef.Schema() }

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
