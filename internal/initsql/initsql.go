// Package initsql turns the SQL part of a definition into the statements that prepare a session before the script runs,
// or, for a SQL gateway, into the files of a catalog store.
//
// In come the definition's texts and a way to resolve them, out come statements and files as values; nothing is written.
// Secrets are kept apart on the way: each is known to the redactor before a statement holds it, and the result says what the
// runner must mask.
package initsql

import (
	"errors"

	"flink-entrypoint/internal/catalog"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/secret"
)

// Source is how the texts of a definition become values.
type Source struct {
	Resolve  func(jobdef.Text) (secret.Text, error)
	Redactor *redact.Redactor
	Flink    flinkversion.Version
	JarPath  func(jar string) string // where a function's jar will be; nil for a catalog store, which holds no functions
}

func (s Source) target() catalog.Target {
	return catalog.Target{Flink: s.Flink, Sensitive: flinkconf.Hidden}
}

// Session is the statements that prepare a session.
type Session struct {
	Statements []catalog.Statement
	Secrets    []string // what the runner masks of them
	Hidden     bool     // they hold a secret
}

// Text returns the statements as a script.
func (s Session) Text() []byte { return catalog.Write(s.Statements) }

// Shown returns the statements without secrets.
func (s Session) Shown() []string {
	var out []string
	for _, statement := range s.Statements {
		out = append(out, statement.Shown)
	}
	return out
}

// Prepare makes the statements of a definition's SQL part, or of what is left of it.
func (s Source) Prepare(d *jobdef.SQL) (Session, error) {
	t := texts{Source: s}
	spec := catalog.Spec{UseModules: t.list(d.UseModules)}
	if d.Use != nil {
		spec.UseCatalog, spec.UseDatabase = t.text(d.Use.Catalog), t.text(d.Use.Database)
	}
	var err error
	if spec.Set, err = t.options(d.Set); err != nil {
		return Session{}, err
	}
	for _, m := range d.Modules {
		options, err := t.options(m.Options)
		if err != nil {
			return Session{}, err
		}
		spec.Modules = append(spec.Modules, catalog.Module{Name: t.text(m.Name), Options: options})
	}
	if spec.Catalogs, err = t.catalogs(d.Catalogs); err != nil {
		return Session{}, err
	}
	for _, f := range d.Functions {
		function := catalog.Function{Name: t.text(f.Name), Class: t.text(f.Class), Language: f.Language, Temporary: f.Temporary, System: f.System}
		for _, jar := range t.list(f.Jars) {
			function.Jars = append(function.Jars, s.JarPath(jar))
		}
		spec.Functions = append(spec.Functions, function)
	}
	if t.err != nil {
		return Session{}, t.err
	}
	for _, c := range spec.Catalogs {
		t.storedSecrets(c.CreateStatement)
	}
	statements, err := catalog.Init(spec, s.target())
	if err != nil {
		return Session{}, catalogError(err)
	}
	hidden := t.hidden
	for _, statement := range statements {
		hidden = hidden || statement.SQL.IsHidden()
	}
	return Session{statements, t.secrets, hidden}, nil
}

func catalogError(err error) error {
	hint := ""
	var e *catalog.Error
	if errors.As(err, &e) {
		hint = e.Hint
	}
	return phase.Fail(phase.SQL, err, hint)
}

// Masked returns what the runner masks of a value, or "": of a secret that is an ordinary word only the literal, or no message
// would be readable.
func Masked(v secret.Text) string {
	text := v.Reveal()
	switch {
	case !v.IsHidden():
		return ""
	case redact.Ordinary(text):
		return "'" + text + "'"
	}
	return text
}

// texts resolves texts, and remembers which secrets were among them.
type texts struct {
	Source
	secrets []string
	hidden  bool // a text that is not marked itself holds a secret
	err     error
}

func (t *texts) resolve(x jobdef.Text) (secret.Text, error) {
	v, err := t.Resolve(x)
	if m := Masked(v); err == nil && v.IsHidden() {
		t.secrets = append(t.secrets, m)
	}
	return v, err
}

// text resolves a text and keeps the first error.
func (t *texts) text(x jobdef.Text) string {
	v, err := t.resolve(x)
	t.hidden = t.hidden || x.IsReference()
	if t.err == nil {
		t.err = err
	}
	return v.Reveal()
}

func (t *texts) list(all []jobdef.Text) []string {
	var out []string
	for _, x := range all {
		out = append(out, t.text(x))
	}
	return out
}

// options resolves the values of a map.
func (t *texts) options(settings []jobdef.Setting) ([]catalog.KV, error) {
	var out []catalog.KV
	for _, s := range settings {
		value, err := t.resolve(s.Value)
		if err != nil {
			return nil, err
		}
		t.Redactor.AddEntry(s.Key, value.Reveal())
		out = append(out, catalog.KV{Key: s.Key, Value: value})
	}
	return out, nil
}

// catalogs resolves the catalogs.
func (t *texts) catalogs(list []jobdef.Catalog) ([]catalog.Catalog, error) {
	own := texts{Source: t.Source}
	var out []catalog.Catalog
	for _, c := range list {
		options, err := own.options(c.Options)
		if err != nil {
			return nil, err
		}
		stored, err := own.resolve(c.CreateStatement)
		if err != nil {
			return nil, err
		}
		out = append(out, catalog.Catalog{Name: own.text(c.Name), Options: options, CreateStatement: stored})
	}
	t.secrets, t.hidden = append(t.secrets, own.secrets...), t.hidden || own.hidden
	return out, own.err
}

// storedSecrets makes the secrets inside a stored statement known. Where the statement as a whole is a secret, so is each value in it:
// Flink's exceptions list the options of a catalog that cannot be made. Only its type is not one.
func (t *texts) storedSecrets(statement secret.Text) {
	if !statement.IsHidden() && !flinkconf.Hidden(statement.Reveal()) {
		return
	}
	parsed, err := catalog.ParseCatalog(statement, t.target())
	if err != nil {
		return // it is reported where the statement is used
	}
	for _, o := range parsed.Options {
		value := o.Value.Reveal()
		t.Redactor.AddEntry(o.Key, value)
		if statement.IsHidden() && o.Key != "type" && len(value) >= redact.Shortest {
			t.Redactor.Add(value)
			t.secrets = append(t.secrets, value)
		}
	}
}
