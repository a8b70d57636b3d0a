package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flink-entrypoint/internal/health"
)

// errUnhealthy ends the program with 1, as probes expect, and without a second message: the probed process is not this
// one, so its termination message must stay as it is.
var errUnhealthy = errors.New("unhealthy")

// health prints one line about a running role, and fails unless the role answers.
func (p *program) health(ctx context.Context, words []string) error {
	if err := needsRole("health", words); err != nil {
		return p.unprobed(err)
	}
	address, answer, err := health.Probe(ctx, words[0], words[1:], p.opts.Options, p.Env)
	if err != nil {
		return p.unprobed(err)
	}
	fmt.Fprintf(p.Stdout, "%s: %s: %s\n", words[0], address, answer)
	return nil
}

// unprobed gives the reason in one line.
func (p *program) unprobed(err error) error {
	fmt.Fprintln(p.Stderr, "unhealthy: "+p.redactor.Redact(strings.ReplaceAll(err.Error(), "\n", " ")))
	return errUnhealthy
}
