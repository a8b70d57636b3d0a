package boot

import (
	"errors"
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/catalog"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/secret"
)

// initStatements turns the definition's SQL part into the statements that prepare the session.
func (g *gatherer) initStatements(d *jobdef.SQL) ([]catalog.Statement, error) {
	v := g.plan.Home.Version
	r := revealer{g: g}
	spec := catalog.Spec{UseModules: r.texts(d.UseModules)}
	if d.Use != nil {
		spec.UseCatalog, spec.UseDatabase = r.text(d.Use.Catalog), r.text(d.Use.Database)
	}
	var err error
	if spec.Set, err = g.options(d.Set); err != nil {
		return nil, err
	}
	for _, m := range d.Modules {
		options, err := g.options(m.Options)
		if err != nil {
			return nil, err
		}
		spec.Modules = append(spec.Modules, catalog.Module{Name: r.text(m.Name), Options: options})
	}
	if spec.Catalogs, err = g.catalogs(d); err != nil {
		return nil, err
	}
	for _, f := range d.Functions {
		function := catalog.Function{Name: r.text(f.Name), Class: r.text(f.Class), Language: f.Language, Temporary: f.Temporary, System: f.System}
		for _, jar := range r.texts(f.Jars) {
			function.Jars = append(function.Jars, g.jarPath(jar))
		}
		spec.Functions = append(spec.Functions, function)
	}
	if r.err != nil {
		return nil, r.err
	}
	target := catalog.Target{Major: v.Major, Minor: v.Minor, Sensitive: func(key string) bool { return flinkconf.IsSensitive(key, v) }}
	for _, c := range spec.Catalogs {
		g.storedSecrets(c.CreateStatement, target)
	}
	statements, err := catalog.Init(spec, target)
	if err != nil {
		return nil, g.catalogError(err)
	}
	return statements, nil
}

func (g *gatherer) catalogError(err error) error {
	hint := ""
	var e *catalog.Error
	if errors.As(err, &e) {
		hint = e.Hint
	}
	return fail(SQL, err, hint)
}

// catalogs resolves the catalogs of the definition.
func (g *gatherer) catalogs(d *jobdef.SQL) ([]catalog.Catalog, error) {
	r := revealer{g: g}
	var out []catalog.Catalog
	for _, c := range d.Catalogs {
		options, err := g.options(c.Options)
		if err != nil {
			return nil, err
		}
		stored, err := g.resolve(c.CreateStatement, SQL)
		if err != nil {
			return nil, err
		}
		out = append(out, catalog.Catalog{Name: r.text(c.Name), Options: options, CreateStatement: stored})
	}
	return out, r.err
}

// options resolves the values of a map of the definition.
func (g *gatherer) options(settings []jobdef.Setting) ([]catalog.KV, error) {
	var out []catalog.KV
	for _, s := range settings {
		value, err := g.resolve(s.Value, SQL)
		if err != nil {
			return nil, err
		}
		g.world.Redactor.addEntry(s.Key, value.Reveal(), g.plan.Home.Version)
		out = append(out, catalog.KV{Key: s.Key, Value: value})
	}
	return out, nil
}

// storedSecrets makes the secrets inside a stored statement known. Of one that is a secret as a whole every value is one:
// Flink's exceptions list the options of a catalog that cannot be made. Only its type says nothing.
func (g *gatherer) storedSecrets(statement secret.Text, target catalog.Target) {
	v := g.plan.Home.Version
	if !statement.IsHidden() && !flinkconf.IsSensitive(statement.Reveal(), v) {
		return
	}
	parsed, err := catalog.ParseCatalog(statement, target)
	if err != nil {
		return // it is reported where the statement is used
	}
	for _, o := range parsed.Options {
		value := o.Value.Reveal()
		g.world.Redactor.addEntry(o.Key, value, v)
		if statement.IsHidden() && o.Key != "type" && len(value) >= shortestRedacted {
			g.world.Redactor.Add(value)
			g.secrets = append(g.secrets, value)
		}
	}
}

// jarPath returns where an artifact of that file name will lie, else the path as it was given.
func (g *gatherer) jarPath(jar string) string {
	if !strings.Contains(jar, "/") {
		for _, a := range g.plan.Artifacts {
			if filepath.Base(a.Path) == jar {
				return a.Path
			}
		}
	}
	return jar
}

// revealer resolves texts and keeps the first error.
type revealer struct {
	g   *gatherer
	err error
}

func (r *revealer) text(t jobdef.Text) string {
	s, err := r.g.reveal(t, SQL)
	r.g.initSecret = r.g.initSecret || t.IsReference()
	if r.err == nil {
		r.err = err
	}
	return s
}

func (r *revealer) texts(list []jobdef.Text) []string {
	var out []string
	for _, t := range list {
		out = append(out, r.text(t))
	}
	return out
}
