package localrun

import (
	"bytes"
	"context"
	"io"
	"strings"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/validate"
)

// Options are the flags of debug.
type Options struct {
	Rows          int64 // per source
	RowsPerSecond int64
	Keep          []string
	Data          map[string]string // table to file
	Seed          int64
	Training      bool // for warmup: from no archive, and with nothing on the class path that moves

	served *Served
}

// Debug makes a SQL job ready to run here on mocked tables. With start false it only rewrites the script, which needs no
// Flink home and no Java. The caller closes the result, which is not nil even with an error.
func Debug(ctx context.Context, start bool, opts boot.Options, d Options, w boot.World) (*Local, error) {
	l, err := prepare(ctx, opts, w, start, d.served)
	if err != nil {
		return l, err
	}
	l.training = d.Training
	if err := l.judged(); err != nil {
		return l, err
	}
	options := l.mockOptions(d)
	if options.AbsentCatalog, err = l.absentCatalog(ctx, start); err != nil {
		return l, err
	}
	if !start {
		if l.Shown, err = mock.Show(l.parts, options); err != nil {
			return l, l.scriptError(err)
		}
		l.Warnings = append(l.Warnings, l.Shown.Warnings...)
		return l, nil
	}
	options.Changes, options.Exact = !d.Training, d.served != nil
	options.Provider = l.provider(ctx)
	return l, l.start(ctx, sqlrunner.Local, func() (mock.Result, error) { return mock.Rewrite(l.parts, options) })
}

// absentCatalog returns what tells the types of catalogs that nothing here makes. Where nothing is started, artifacts are not fetched
// and there may be no Flink: then no type is known to be missing.
func (l *Local) absentCatalog(ctx context.Context, start bool) (func(kind string) bool, error) {
	if !start && (l.place.Home.Dir == "" || len(l.place.Artifacts) > 0) {
		return nil, nil
	}
	jars, err := l.jars(ctx)
	return l.index().absentCatalogs(jars), err
}

// judged finds what the runner would refuse of the script as the user wrote it.
func (l *Local) judged() error {
	options := l.runnerOptions(sqlrunner.Local)
	options.Left = blanked(l.parts)
	warnings, err := sqlrunner.Judge(runnerParts(l.parts), options)
	l.Warnings = append(l.Warnings, warnings...)
	if err != nil {
		return l.scriptError(err)
	}
	return nil
}

func runnerParts(parts []mock.Part) []sqlrunner.Part {
	var out []sqlrunner.Part
	for _, p := range parts {
		out = append(out, sqlrunner.Part{Name: p.Name, Text: p.Text})
	}
	return out
}

// blanked returns what was left out of each part.
func blanked(parts []mock.Part) [][]int {
	var out [][]int
	for _, p := range parts {
		out = append(out, p.Left)
	}
	return out
}

// provider reports whether the class path of the run has a jar of a model's provider.
func (l *Local) provider(ctx context.Context) func(name string) bool {
	return func(name string) bool {
		jars, err := l.jars(ctx)
		return err != nil || l.index().factoriesIn(jars, []string{name})[name] // where the jars cannot be had, the start says so
	}
}

func (l *Local) mockOptions(d Options) mock.Options {
	return mock.Options{Rows: d.Rows, RowsPerSecond: d.RowsPerSecond, Keep: d.Keep, Data: d.Data, Seed: d.Seed, Definition: l.definition,
		Batch: strings.EqualFold(validate.RuntimeMode(l.job.Definition), "batch"), Flink: l.Version}
}

// Show prints the rewritten SQL, and the lineage as a comment after it, so that the output is a script.
func (l *Local) Show(w io.Writer) error {
	redact := l.run.Redactor().Redact
	init := ""
	if len(l.Init) > 0 {
		init = "-- Statements made from the fields of the definition.\n" + redact(strings.Join(l.Init, ";\n")) + ";\n\n"
	}
	out := &endlessWriter{w: l.run.Redactor().Writer(w)}
	if _, err := io.WriteString(w, init); err != nil {
		return err
	}
	if err := l.Shown.Write(out, scriptPart); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n\n-- Sources and sinks of the script:\n"); err != nil {
		return err
	}
	return l.Shown.Tree(commentWriter{w, redact})
}

// scriptPart is the number of the user's script among the parts of a local run, after the init SQL.
const scriptPart = 1

// endlessWriter leaves the line ends at the end of all that is written out.
type endlessWriter struct {
	w    io.Writer
	ends int // that are not written yet
}

func (e *endlessWriter) Write(text []byte) (int, error) {
	kept := bytes.TrimRight(text, "\n")
	if len(kept) == 0 {
		e.ends += len(text)
		return len(text), nil
	}
	if e.ends > 0 {
		if _, err := e.w.Write(bytes.Repeat([]byte("\n"), e.ends)); err != nil {
			return 0, err
		}
	}
	e.ends = len(text) - len(kept)
	if _, err := e.w.Write(kept); err != nil {
		return 0, err
	}
	return len(text), nil
}

// commentWriter writes lines as comments. Each Write is of whole lines.
type commentWriter struct {
	w      io.Writer
	redact func(string) string
}

func (c commentWriter) Write(text []byte) (int, error) {
	var b strings.Builder
	for line := range strings.Lines(c.redact(string(text))) {
		b.WriteString("--   " + line)
	}
	if _, err := io.WriteString(c.w, b.String()); err != nil {
		return 0, err
	}
	return len(text), nil
}
