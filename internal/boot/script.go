package boot

import (
	"context"
	"runtime/debug"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/initsql"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/sqltext"
)

// Session turns the definition's SQL part, or what is left of it, into the statements that prepare the session.
func (j *Job) Session(d *jobdef.SQL, p *placement.Placement) (initsql.Session, error) {
	return j.source(p).Prepare(d)
}

// source is how the texts of the definition's SQL become values.
func (j *Job) source(p *placement.Placement) initsql.Source {
	resolve := func(t jobdef.Text) (secret.Text, error) { return j.resolve(t, phase.SQL) }
	return initsql.Source{Resolve: resolve, Redactor: j.run.world.Redactor, Flink: p.Home.Version, JarPath: p.JarPath}
}

// Script is the script of a job.
type Script struct {
	Text    string
	Secrets []string // what the runner masks of it
}

// Script reads the script, and makes the values of its sensitive options known.
func (j *Job) Script(ctx context.Context, v flinkversion.Version) (Script, error) {
	s, err := j.ReadScript(ctx)
	if err != nil || !flinkconf.Hidden(s.Text) {
		return s, err
	}
	statements, err := sqltext.Cut(s.Text, sqltext.DialectOf(v))
	if err != nil {
		return s, nil // it is reported, without the text, where the script is prepared
	}
	for statement := range statements.All() {
		for key, value := range statement.Options() {
			j.run.world.Redactor.AddEntry(key, value)
		}
	}
	return s, nil
}

// ReadScript reads the script from the definition or from where that points. A start has to be small beside the process that it
// becomes: for a large script garbage is collected early rather than seldom, so that all of it takes at most 20 MiB and eight
// times the script.
func (j *Job) ReadScript(ctx context.Context) (Script, error) {
	s, err := j.readScript(ctx)
	if len(s.Text) > 1<<18 {
		debug.SetGCPercent(15)
		debug.SetMemoryLimit(4<<20 + 6*int64(len(s.Text)))
	}
	return s, err
}

func (j *Job) readScript(ctx context.Context) (Script, error) {
	uri, err := j.resolve(j.SQL.ScriptURI, phase.SQL)
	if err != nil {
		return Script{}, err
	}
	if uri.IsEmpty() {
		text, err := j.resolve(j.SQL.Script, phase.SQL)
		return Script{text.Reveal(), masks(text)}, err
	}
	if uri.IsHidden() {
		j.run.world.Redactor.AddURI(uri.Reveal(), fetch.Redact(uri.Reveal()))
	}
	client, err := j.run.fetcher(j.proc)
	if err != nil {
		return Script{}, err
	}
	digest, err := j.reveal(j.SQL.ScriptSHA256, phase.DefinitionInvalid)
	if err != nil {
		return Script{}, err
	}
	doc, err := client.Script(ctx, &j.document, uri.Reveal(), fetch.DocumentOptions{Accept: "text/plain, application/sql, */*", SHA256: digest})
	if err != nil {
		return Script{}, fetchError(phase.DefinitionFetch, err)
	}
	j.run.warnings = append(j.run.warnings, doc.Warnings...)
	return Script{string(doc.Bytes), masks(uri)}, nil
}

// masks returns what the runner masks of a secret.
func masks(v secret.Text) []string {
	if m := initsql.Masked(v); m != "" {
		return []string{m}
	}
	return nil
}
