package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/redact"
)

// defaultTerminationLog is where Kubernetes looks for a container's last words.
const defaultTerminationLog = "/dev/termination-log"

// terminationLimit is the longest message that Kubernetes keeps.
const terminationLimit = 4096

// errStopped is the failure of a run that a signal ended.
var errStopped = errors.New("stopped by a signal before the start")

// report prints a failure, writes the termination message, and returns the exit code. It is the one place that does so.
func (p *program) report(err error) int {
	at, hint := phase.Of(err)
	if errors.Is(err, context.DeadlineExceeded) && hint == "" {
		hint = "raise --fetch-timeout"
	}
	message := "error: " + err.Error()
	if hint != "" {
		message += "\nhint: " + hint
	}
	message = p.redactor.Redact(message)
	fmt.Fprintln(p.Stderr, message)
	p.writeTerminationMessage(fmt.Sprintf("%s: %s", at, message))
	return at.ExitCode()
}

// findTerminationLog looks for --termination-log where the command line or a variable could not be read as a whole: the flag
// may come after the one at fault.
func (p *program) findTerminationLog() {
	const flag = "--termination-log"
	for _, kv := range p.Env {
		if value, ok := strings.CutPrefix(kv, environmentName(flag[len("--"):])+"="); ok && p.opts.terminationLog == "" {
			p.opts.terminationLog = value
		}
	}
	known := newFlagSet(&options{})
	for i := 0; i < len(p.Args); i++ {
		word := p.Args[i]
		if word == "--" || boot.IsRole(word) || isCommand(word) {
			return // what follows is not ours
		}
		if value, ok := strings.CutPrefix(word, flag+"="); ok {
			p.opts.terminationLog = value
			continue
		}
		name, long := strings.CutPrefix(word, "--")
		if f := known.Lookup(name); !long || f == nil || f.NoOptDefVal != "" || i+1 == len(p.Args) {
			continue
		}
		i++ // its value, which may look like a role: --advertise jobmanager
		if word == flag {
			p.opts.terminationLog = p.Args[i]
		}
	}
}

func isCommand(word string) bool {
	return slices.ContainsFunc(commands(), func(c command) bool { return c.name == word })
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
// Secrets are taken out of the message and of the values that are text: taken out of the finished line, a secret of digits
// would make a number of JSON unreadable.
func newLogger(w io.Writer, r *redact.Redactor, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: found %q, expected debug, info, warn or error", level)
	}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return redacted(r, a) }})), nil
	case "text":
		return slog.New(&lineHandler{w: w, redactor: r, level: l}), nil
	}
	return nil, fmt.Errorf("--log-format: found %q, expected text or json", format)
}

// redacted is an attribute as it may be shown. Numbers, times and durations are ours.
func redacted(r *redact.Redactor, a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		if a.Key != slog.LevelKey {
			a.Value = slog.StringValue(r.Redact(v.String()))
		}
	case slog.KindGroup:
		var inner []slog.Attr
		for _, g := range v.Group() {
			inner = append(inner, redacted(r, g))
		}
		a.Value = slog.GroupValue(inner...)
	case slog.KindAny:
		if _, isLevel := v.Any().(slog.Level); !isLevel {
			a.Value = slog.StringValue(r.Redact(fmt.Sprint(v.Any())))
		}
	}
	return a
}

// lineHandler writes "flink-entrypoint: message key=value" lines.
type lineHandler struct {
	w        io.Writer
	redactor *redact.Redactor
	level    slog.Level
	attrs    string
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
	b.WriteString(h.redactor.Redact(r.Message))
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool { h.writeAttr(&b, a); return true })
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String()) // one write, so that lines of several writers do not mix
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		h.writeAttr(&b, a)
	}
	return &lineHandler{w: h.w, redactor: h.redactor, level: h.level, attrs: h.attrs + b.String()}
}

func (h *lineHandler) WithGroup(string) slog.Handler { return h }

func (h *lineHandler) writeAttr(b *strings.Builder, a slog.Attr) {
	if a.Key == "phase" {
		return // for machines; people see it in the message
	}
	v := redacted(h.redactor, a).Value.Resolve().String()
	if v == "" || strings.ContainsAny(v, " \t\n\"=") {
		fmt.Fprintf(b, " %s=%q", a.Key, v)
		return
	}
	fmt.Fprintf(b, " %s=%s", a.Key, v)
}
