package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/boot"
)

// schema prints the JSON Schema of the job definition.
func (p *program) schema(_ context.Context, _ []string) error {
	_, err := p.Stdout.Write(boot.Schema())
	return err
}

func newValidateFlags(engine *bool) *pflag.FlagSet {
	f := pflag.NewFlagSet("validate", pflag.ContinueOnError)
	f.Usage = func() {}
	f.BoolVar(engine, "engine", false, "let Flink's planner check every statement, run none (needs Java)")
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
	_, err = fmt.Fprintf(p.Stdout, "valid: %s\n", seen.Name)
	return err
}

func (p *program) validated(ctx context.Context, engine bool) (*boot.DefinitionSeen, []string, error) {
	if !engine {
		seen, err := boot.Validate(ctx, p.opts.Options, p.world(nil))
		return seen, nil, err
	}
	local, err := boot.PrepareCheck(ctx, p.opts.Options, p.world(nil))
	if local == nil {
		return nil, nil, err
	}
	defer local.Close()
	seen := &local.Definition
	if err != nil {
		return seen, local.Warnings, err
	}
	var out, errs strings.Builder
	line := func(b *strings.Builder) func(string) {
		return func(s string) { b.WriteString(s + "\n") }
	}
	p.signals.children.Store(true)
	code, err := runChild(ctx, local, func() {}, line(&out), line(&errs))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return seen, local.Warnings, err
	}
	faults, done := local.Report(out.String())
	switch {
	case !done:
		err = &boot.Error{Phase: boot.SQL, Err: fmt.Errorf("the check ended with %d before its end: %s", code, lastWords(errs.String())), Hint: keepLog(local, errs.String())}
	case len(faults) > 0:
		err = &boot.Error{Phase: boot.SQL, Err: &boot.FaultsError{Faults: faults}}
	}
	return seen, local.Warnings, err
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
}

func (p *program) validatedJSON(seen *boot.DefinitionSeen, warnings []string, err error) error {
	var faults *boot.FaultsError
	if !errors.As(err, &faults) {
		if err != nil {
			problems := append([]boot.Problem{}, boot.Problems(err)...)
			for i := range problems {
				problems[i].Message, problems[i].Hint = p.redactor.Redact(problems[i].Message), p.redactor.Redact(problems[i].Hint)
			}
			if writeErr := writeJSON(p.Stdout, map[string]any{"valid": false, "errors": problems, "error": p.failureOf(err)}); writeErr != nil {
				return writeErr
			}
			return err
		}
		out := map[string]any{"valid": true, "name": seen.Name, "sha256": seen.SHA256}
		if len(warnings) > 0 {
			out["warnings"] = warnings
		}
		return writeJSON(p.Stdout, out)
	}
	list := []validatedFault{}
	for _, f := range faults.Faults {
		list = append(list, validatedFault{f.File, f.Line, f.Column, f.EndLine, f.EndColumn, f.Statement, p.redactor.Redact(f.Message)})
	}
	phase, _ := boot.PhaseOf(err)
	message := fmt.Sprintf("%d errors in the script", len(list))
	if len(list) == 1 {
		message = "1 error in the script"
	}
	out := map[string]any{"valid": false, "errors": list, "error": map[string]string{"phase": string(phase), "message": message}}
	if seen != nil {
		out["name"], out["sha256"] = seen.Name, seen.SHA256
	}
	if len(warnings) > 0 {
		out["warnings"] = warnings
	}
	if writeErr := writeJSON(p.Stdout, out); writeErr != nil {
		return writeErr
	}
	return err
}
