package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/boot"
)

// defaultTerminationLog is where Kubernetes looks for a container's last words.
const defaultTerminationLog = "/dev/termination-log"

// terminationLimit is the longest message that Kubernetes keeps.
const terminationLimit = 4096

// errStopped is the failure of a run that a signal ended.
var errStopped = errors.New("stopped by a signal before the start")

// report prints a failure, writes the termination message, and returns the exit code. It is the one place that does so.
func (p *program) report(err error) int {
	phase, hint := boot.PhaseOf(err)
	if errors.Is(err, context.DeadlineExceeded) && hint == "" {
		hint = "raise --fetch-timeout"
	}
	message := "error: " + err.Error()
	if hint != "" {
		message += "\nhint: " + hint
	}
	message = p.redactor.Redact(message)
	fmt.Fprintln(p.Stderr, message)
	p.writeTerminationMessage(fmt.Sprintf("%s: %s", phase, message))
	return phase.ExitCode()
}

// writeTerminationMessage is best effort: a full or missing file must not hide the real failure.
func (p *program) writeTerminationMessage(message string) {
	path := p.opts.terminationLog
	if path == "" {
		path = defaultTerminationLog
		if _, err := os.Stat(path); err != nil {
			return
		}
	}
	if len(message) > terminationLimit {
		message = message[:terminationLimit-4]
		for !utf8.ValidString(message) {
			message = message[:len(message)-1]
		}
		message += " …"
	}
	if err := os.WriteFile(path, []byte(message), 0o644); err != nil {
		fmt.Fprintf(p.Stderr, "warning: cannot write the termination message: %v\n", err)
	}
}

// newLogger returns our own log, always on stderr: for people without a time stamp (the container runtime adds one),
// for machines as JSON.
func newLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: found %q, expected debug, info, warn or error", level)
	}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l})), nil
	case "text":
		return slog.New(&lineHandler{w: w, level: l}), nil
	}
	return nil, fmt.Errorf("--log-format: found %q, expected text or json", format)
}

// lineHandler writes "flink-entrypoint: message key=value" lines.
type lineHandler struct {
	w     io.Writer
	level slog.Level
	attrs string
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString("flink-entrypoint: ")
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	case r.Level < slog.LevelInfo:
		b.WriteString("debug: ")
	}
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool { writeAttr(&b, a); return true })
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String()) // one write, so that lines of several writers do not mix
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		writeAttr(&b, a)
	}
	return &lineHandler{w: h.w, level: h.level, attrs: h.attrs + b.String()}
}

func (h *lineHandler) WithGroup(string) slog.Handler { return h }

func writeAttr(b *strings.Builder, a slog.Attr) {
	if a.Key == "phase" {
		return // for machines; people see it in the message
	}
	v := a.Value.Resolve().String()
	if v == "" || strings.ContainsAny(v, " \t\n\"=") {
		fmt.Fprintf(b, " %s=%q", a.Key, v)
		return
	}
	fmt.Fprintf(b, " %s=%s", a.Key, v)
}
