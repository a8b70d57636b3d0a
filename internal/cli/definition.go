package cli

import (
	"context"

	"flink-entrypoint/internal/boot"
)

// schema prints the JSON Schema of the job definition.
func (p *program) schema(_ context.Context, _ []string) error {
	_, err := p.Stdout.Write(boot.Schema())
	return err
}

// validate checks a definition without a Flink home.
func (p *program) validate(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return usageError("validate takes no arguments, found %q", words[0])
	}
	w := p.world(nil)
	seen, err := boot.Validate(ctx, p.opts.Options, w)
	switch p.opts.output {
	case "json":
		if err != nil {
			p.writeJSONError(err)
			return err
		}
		return writeJSON(p.Stdout, map[string]any{"valid": true, "name": seen.Name, "sha256": seen.SHA256})
	case "text":
		if err == nil {
			_, err = p.Stdout.Write([]byte("valid: " + seen.Name + "\n"))
		}
		return err
	}
	return usageError("--output: found %q, expected text or json", p.opts.output)
}
