package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/localrun"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/validate"
)

// schema prints the JSON Schema of the job definition.
func (p *program) schema(_ context.Context, _ []string) error {
	_, err := p.Stdout.Write(jobdef.Schema())
	return err
}

func newValidateFlags(engine *bool) *pflag.FlagSet {
	f := pflag.NewFlagSet("validate", pflag.ContinueOnError)
	f.Usage = func() {}
	f.BoolVar(engine, "engine", false, "let Flink's planner check every statement, but run none (needs Java)")
	return f
}

// validate checks a definition: without a Flink home, or with --engine its script by Flink itself.
func (p *program) validate(ctx context.Context, words []string) error {
	var engine bool
	flags := newValidateFlags(&engine)
	if err := flags.Parse(words); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return p.help(ctx, []string{"validate"})
		}
		return usageError("validate: %w", err)
	}
	if rest := flags.Args(); len(rest) > 0 {
		return usageError("validate takes no arguments, found %q; the definition is named by --definition, before the word validate", rest)
	}
	if p.opts.output != "text" && p.opts.output != "json" {
		return usageError("--output: found %q, expected text or json", p.opts.output)
	}
	seen, warnings, err := p.validated(ctx, engine)
	if p.opts.output == "json" {
		return p.validatedJSON(seen, warnings, err)
	}
	for _, w := range warnings {
		p.log.Warn(w)
	}
	if err != nil {
		return p.shownFaults(err)
	}
	_, err = fmt.Fprintf(p.Stdout, "valid: %s\n", p.redactor.Redact(seen.Name))
	return err
}

func (p *program) validated(ctx context.Context, engine bool) (*boot.DefinitionSeen, []string, error) {
	if !engine {
		return p.validatedHere(ctx)
	}
	local, err := localrun.Check(ctx, p.opts.Options, p.world(nil))
	if local == nil {
		return nil, nil, err
	}
	defer local.Close()
	if err == nil {
		err = local.Plan(ctx, p.expectChildren)
	}
	return &local.Definition, local.Warnings, err
}

// validatedHere checks a definition and its script without an engine and without a Flink home.
func (p *program) validatedHere(ctx context.Context) (*boot.DefinitionSeen, []string, error) {
	if p.opts.Definition == "" {
		return nil, nil, phase.Fail(phase.Usage, boot.ErrNoDefinition, "give it with --definition")
	}
	run := boot.New(boot.Explain, "", p.opts.Options, p.world(nil))
	proc, err := run.BecomeFlink(nil)
	if err != nil {
		return nil, nil, err
	}
	job, err := run.ReadJob(ctx, proc, nil)
	if err != nil {
		return nil, run.Warnings(), proc.Denied(err)
	}
	if !validate.HasScript(job.Definition) {
		return &job.Seen, run.Warnings(), nil
	}
	version, err := run.VersionFor(job)
	if err != nil {
		return &job.Seen, run.Warnings(), err
	}
	script, err := job.ReadScript(ctx)
	if err != nil {
		return &job.Seen, run.Warnings(), err
	}
	warnings, err := validate.Script(job.Definition, validate.Application(job.Definition, version), p.opts.Definition, job.Source(script.Text))
	if refused, ok := errors.AsType[*validate.Refused](err); ok {
		err = phase.Fail(phase.SQL, refused, refused.Hint)
	}
	return &job.Seen, append(run.Warnings(), warnings...), err
}

// validatedFault is a fault of a script for programs.
type validatedFault struct {
	File      string `json:"file"`
	Line      int    `json:"line,omitempty"`
	Column    int    `json:"column,omitempty"`
	EndLine   int    `json:"endLine,omitempty"`
	EndColumn int    `json:"endColumn,omitempty"`
	Statement string `json:"statement,omitempty"`
	Message   string `json:"message"`
	Hint      string `json:"hint,omitempty"`
}

func (p *program) validatedJSON(seen *boot.DefinitionSeen, warnings []string, err error) error {
	var faults *validate.FaultsError
	if !errors.As(err, &faults) {
		if err != nil {
			var problems any = p.faultsForPrograms(validate.Faults(err))
			if list := validate.Problems(err); len(list) > 0 {
				problems = list
			}
			if writeErr := p.writeJSON(map[string]any{"valid": false, "errors": problems, "error": p.failureOf(err)}); writeErr != nil {
				return writeErr
			}
			return err
		}
		out := map[string]any{"valid": true, "name": seen.Name, "sha256": seen.SHA256}
		if len(warnings) > 0 {
			out["warnings"] = warnings
		}
		return p.writeJSON(out)
	}
	list := p.faultsForPrograms(faults.Faults)
	at, _ := phase.Of(err)
	message := fmt.Sprintf("%d errors in the script", len(list))
	if len(list) == 1 {
		message = "1 error in the script"
	}
	out := map[string]any{"valid": false, "errors": list, "error": map[string]string{"phase": string(at), "message": message}}
	if seen != nil {
		out["name"], out["sha256"] = seen.Name, seen.SHA256
	}
	if len(warnings) > 0 {
		out["warnings"] = warnings
	}
	if writeErr := p.writeJSON(out); writeErr != nil {
		return writeErr
	}
	return err
}

func (p *program) faultsForPrograms(faults []validate.Fault) []validatedFault {
	list := []validatedFault{}
	for _, f := range faults {
		list = append(list, validatedFault{f.File, f.Line, f.Column, f.EndLine, f.EndColumn, f.Statement, p.redactor.Redact(f.Message), p.redactor.Redact(f.Hint)})
	}
	return list
}
