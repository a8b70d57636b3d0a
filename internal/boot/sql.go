package boot

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/catalog"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/sqltext"
)

// sql plans the init SQL, the job's script, and the runner that executes it.
func (g *gatherer) sql(ctx context.Context) error {
	if g.def != nil && g.role == "taskmanager" && g.def.SQL.Runs() && g.runnerPlacement() == sqlrunner.UserLibrary {
		g.runnerJar() // the job's class path names the JobManager's usrlib, file by file
	}
	if g.def == nil || (g.role != "standalone-job" && g.role != "sql-gateway") {
		return nil // a TaskManager needs no catalog password
	}
	if g.role == "standalone-job" {
		if err := g.jobOptions(); err != nil {
			return err
		}
	}
	d := g.def.SQL
	if !d.Runs() && g.role == "standalone-job" {
		if err := g.carryDefinition(nil); err != nil {
			return err
		}
	}
	if d == nil {
		return nil
	}
	if g.role == "sql-gateway" {
		var err error
		if d, err = g.gateway(d); err != nil {
			return err
		}
	}
	statements, err := g.initStatements(d)
	if err != nil {
		return err
	}
	p := &SQLPlan{InitFile: filepath.Join(g.opts.RunDir, "init.sql")}
	hidden := g.initSecret // the init SQL holds a secret
	for _, s := range statements {
		p.Init = append(p.Init, s.Shown)
		hidden = hidden || s.SQL.IsHidden()
	}
	init := catalog.Write(statements)
	g.plan.SQL = p
	g.file(p.InitFile, init, hidden)
	if g.role != "standalone-job" || !d.Runs() {
		return nil
	}
	script, err := g.script(ctx, d)
	if err != nil {
		return err
	}
	hidden = hidden || d.Script.IsReference() || flinkconf.IsSensitive(string(script), g.plan.Home.Version)
	if err := g.runner(init, script, hidden); err != nil {
		return err
	}
	return g.carryDefinition(script)
}

// runner plans the files that our runner executes and its place on the command line.
func (g *gatherer) runner(init, script []byte, hidden bool) error {
	v := g.plan.Home.Version
	plan, err := sqlrunner.Prepare([]sqlrunner.Part{{Name: "init.sql", Text: string(init)}, {Text: string(script)}}, sqlrunner.Options{
		Dialect:          sqltext.DialectOf(v.Major, v.Minor),
		FixedJobID:       !g.def.ID.IsZero(),
		HighAvailability: g.conf.highAvailability() != "",
		RuntimeMode:      g.conf.want.Text("execution.runtime-mode"),
		Secrets:          g.secrets,
		Sensitive:        func(key string) bool { return flinkconf.IsSensitive(key, v) },
	})
	if err != nil {
		return g.sqlError(err)
	}
	g.conf.warnings = append(g.conf.warnings, plan.Warnings...)
	dir := g.opts.RunDir
	g.plan.SQL.ScriptFile = filepath.Join(dir, "job.sql")
	index := filepath.Join(dir, "job.idx")
	g.file(g.plan.SQL.ScriptFile, plan.Script, hidden)
	g.file(index, plan.Index, hidden || len(g.secrets) > 0)
	g.runnerJar()
	g.jobArgs = append(g.jobArgs, "--job-classname", sqlrunner.MainClass)
	g.programArgs = sqlrunner.Arguments(sqlrunner.Application, g.plan.SQL.ScriptFile, index)
	return nil
}

func (g *gatherer) runnerPlacement() sqlrunner.Placement {
	if g.training {
		return sqlrunner.UserLibrary // an archive of the class path would hold the place of this run's jar
	}
	v := g.plan.Home.Version
	return sqlrunner.PlacementFor(v.Major, v.Minor, g.hasUserLibrary())
}

// runnerJar plans the runner's jar where this Flink looks for the job class.
func (g *gatherer) runnerJar() {
	if g.runnerPlacement() != sqlrunner.UserLibrary {
		g.classPathJar()
		return
	}
	g.userLibrary()
	g.file(filepath.Join(g.opts.RunDir, "usrlib", sqlrunner.JarName), sqlrunner.Jar(), false)
}

// classPathJar plans the runner's jar at the end of the class path.
func (g *gatherer) classPathJar() {
	jar := filepath.Join(g.opts.RunDir, sqlrunner.JarName)
	g.classpath = append(g.classpath, jar)
	g.file(jar, sqlrunner.Jar(), false)
}

func (g *gatherer) hasRunnerJar() bool {
	return slices.ContainsFunc(g.plan.Files, func(f File) bool { return filepath.Base(f.Path) == sqlrunner.JarName })
}

// argument resolves a text that goes to the command line, where everybody on the machine can read it.
func (g *gatherer) argument(t jobdef.Text) (string, error) {
	if t.IsReference() {
		return "", fail(DefinitionInvalid, fmt.Errorf("%s: a secret reference would stand in the command line, where everybody can read it", t.Path()),
			"hand the program the name of the file or variable instead")
	}
	return g.reveal(t, DefinitionInvalid)
}

// script returns the text of the job, and makes the values of its sensitive options known.
func (g *gatherer) script(ctx context.Context, d *jobdef.SQL) ([]byte, error) {
	script, err := g.readScript(ctx, d)
	v := g.plan.Home.Version
	if err != nil || !flinkconf.IsSensitive(string(script), v) {
		return script, err
	}
	statements, err := sqltext.Split(string(script), sqltext.DialectOf(v.Major, v.Minor))
	if err != nil {
		return script, nil // it is reported, without the text, where the script is prepared
	}
	for _, s := range statements {
		tokens := slices.DeleteFunc(s.Tokens(), func(t sqltext.Token) bool { return t.Kind == sqltext.Whitespace || t.Kind == sqltext.Comment })
		for i := range tokens {
			key, next, err := sqltext.Literals(tokens, i)
			if err != nil || next == i || next >= len(tokens)-1 || tokens[next].Text != "=" {
				continue
			}
			if value, end, err := sqltext.Literals(tokens, next+1); err == nil && end > next+1 {
				g.world.Redactor.addEntry(key, value, v)
			}
		}
	}
	return script, nil
}

// readScript reads it from the definition or from where that points.
func (g *gatherer) readScript(ctx context.Context, d *jobdef.SQL) ([]byte, error) {
	uri, err := g.resolve(d.ScriptURI, SQL)
	if err != nil {
		return nil, err
	}
	if uri.IsEmpty() {
		text, err := g.resolve(d.Script, SQL)
		return []byte(text.Reveal()), err
	}
	if uri.IsHidden() {
		g.world.Redactor.addURI(uri.Reveal())
	}
	client, err := g.fetcher()
	if err != nil {
		return nil, err
	}
	doc, err := client.Document(ctx, uri.Reveal(), fetch.DocumentOptions{Accept: "text/plain, application/sql, */*"})
	if err != nil {
		return nil, fetchError(Artifact, err)
	}
	g.plan.Warnings = append(g.plan.Warnings, doc.Warnings...)
	return doc.Bytes, nil
}

// file plans a file of the run dir; a secret one is for this user alone.
func (g *gatherer) file(path string, content []byte, hidden bool) {
	mode := File{Path: path, Content: content, Mode: 0o644}
	if hidden {
		mode.Mode = 0o600
	}
	g.plan.Files = append(g.plan.Files, mode)
}

// sqlError gives an error of the user's script the name of the document that it stands in.
func (g *gatherer) sqlError(err error) error {
	var r *sqlrunner.Error
	if !errors.As(err, &r) {
		return fail(SQL, err, "")
	}
	if r.Part == "" {
		err = fmt.Errorf("%s: %w", g.scriptName(), err)
	}
	return fail(SQL, err, r.Hint)
}

// scriptName says where the user's script stands.
func (g *gatherer) scriptName() string {
	name := fetch.Redact(g.opts.Definition)
	switch s := g.def.SQL; {
	case !s.ScriptURI.IsZero():
		return "the script of sql.scriptUri"
	case strings.HasSuffix(name, ".sql"):
		return name
	case s.Script.Line() > 0:
		return fmt.Sprintf("%s, sql.script (from line %d on)", name, s.Script.Line())
	default:
		return name + ", sql.script"
	}
}
