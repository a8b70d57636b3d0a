package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/explain"
	"flink-entrypoint/internal/phase"
)

// explain shows the plan.
func (p *program) explain(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return needsRole("explain", words)
	}
	switch p.opts.output {
	case "text", "json", "html":
	default:
		return usageError("--output: found %q, expected text, json or html", p.opts.output)
	}
	_, plan, err := p.gather(ctx, boot.Explain, words, false)
	if err != nil {
		if p.opts.output == "json" {
			p.writeJSONError(err)
		}
		return err
	}
	switch p.opts.output {
	case "json":
		return writeJSON(p.Stdout, explain.Of(plan, &p.redactor))
	case "html":
		return explain.HTML(p.Stdout, plan, &p.redactor)
	}
	return explain.Text(p.Stdout, plan, &p.redactor, p.colour())
}

// failure is an error for programs.
type failure struct {
	Phase   string `json:"phase"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (p *program) failureOf(err error) failure {
	at, hint := phase.Of(err)
	return failure{string(at), err.Error(), hint}
}

// writeJSONError prints a failure for programs.
func (p *program) writeJSONError(err error) {
	_ = p.writeJSON(map[string]failure{"error": p.failureOf(err)})
}

// writeJSON prints a value for programs, with the secrets taken out of its strings.
func (p *program) writeJSON(v any) error {
	p.redactor.Strings(&v)
	return writeJSON(p.Stdout, v)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// colour reports whether stdout shows colours.
func (p *program) colour() bool {
	return isTerminal(p.Stdout) && environ.Of(p.Env).Get("NO_COLOR") == ""
}

// isTerminal reports whether w is a character device.
func isTerminal(w io.Writer) bool {
	if p, ok := w.(pipe); ok {
		w = p.Writer
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
