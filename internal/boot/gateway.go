package boot

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"flink-entrypoint/internal/catalog"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/jobdef"
)

const (
	keyCatalogStore     = "table.catalog-store.kind"
	keyCatalogStorePath = "table.catalog-store.file.path"
)

// gateway hands the definition's catalogs to every session of a SQL gateway, by a catalog store of files (FLIP-295, since 1.18).
// It returns what is left for init.sql, which a client has to run: a store holds nothing but catalogs.
func (g *gatherer) gateway(d *jobdef.SQL) (*jobdef.SQL, error) {
	rest := *d
	rest.Catalogs = nil
	if len(d.Catalogs) > 0 {
		if v := g.plan.Home.Version; !featuresOf(v).catalogStore {
			return nil, fail(SQL, fmt.Errorf("sql.catalogs: catalogs reach the sessions of a SQL gateway through a catalog store, which needs Flink 1.18, this is %s", v),
				"take the catalogs out of the definition and let each session run its CREATE CATALOG")
		}
		if kind, ok := g.conf.want.Get(keyCatalogStore); ok && kind.Value.Reveal() != "file" {
			g.warnf("%s is %s (%s): the definition's catalogs are not put there", keyCatalogStore, kind.Value, kind.Source.Where)
		} else if err := g.catalogStore(d); err != nil {
			return nil, err
		}
	}
	var left []string
	for _, what := range []struct {
		n    int
		name string
	}{{len(d.Set), "set"}, {len(d.Modules) + len(d.UseModules), "modules"}, {len(d.Functions), "functions"}} {
		if what.n > 0 {
			left = append(left, "sql."+what.name)
		}
	}
	if d.Use != nil {
		left = append(left, "sql.use")
	}
	if len(left) > 0 {
		g.warnf("sessions of the SQL gateway start without the definition's %s: a catalog store holds catalogs alone; a client gets them by sql-client.sh gateway -i %s",
			strings.Join(left, ", "), filepath.Join(g.opts.RunDir, "init.sql"))
	}
	if d.Runs() {
		g.warnf("the definition's script is not run: a SQL gateway runs what its sessions send")
	}
	return &rest, nil
}

// catalogStore plans the files of the store: NAME.yaml, a flat map of the catalog's options (FileCatalogStore).
func (g *gatherer) catalogStore(d *jobdef.SQL) error {
	catalogs, err := g.catalogs(d)
	if err != nil {
		return err
	}
	v := g.plan.Home.Version
	sensitive := func(key string) bool { return flinkconf.IsSensitive(key, v) }
	target := catalog.Target{Major: v.Major, Minor: v.Minor, Sensitive: sensitive}
	if _, err := catalog.Init(catalog.Spec{Catalogs: catalogs}, target); err != nil { // the same checks as for a job
		return g.catalogError(err)
	}
	dir := g.conf.want.Text(keyCatalogStorePath)
	if dir == "" {
		dir = filepath.Join(g.opts.RunDir, "catalog-store")
	} else if !filepath.IsAbs(dir) {
		g.warnf("%s is %s, no local directory: the definition's catalogs are not put there", keyCatalogStorePath, dir)
		return nil
	}
	for i, c := range catalogs {
		where := fmt.Sprintf("sql.catalogs[%d]", i)
		hidden := c.CreateStatement.IsHidden()
		if !c.CreateStatement.IsEmpty() {
			if c, err = catalog.ParseCatalog(c.CreateStatement, target); err != nil {
				return g.catalogError(err)
			}
		}
		// Without a UTF-8 locale, as in the official images, Java cannot even list a directory with another name in it.
		other := func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`/\:%?#`, r) }
		if strings.ContainsFunc(c.Name, other) || strings.TrimSpace(c.Name) != c.Name {
			return fail(SQL, fmt.Errorf("%s: the name %q cannot be that of a file in a catalog store", where, c.Name), `use a to z, digits, "_" and "-"`)
		}
		var b strings.Builder
		for _, o := range c.Options {
			g.world.Redactor.addEntry(o.Key, o.Value.Reveal(), v)
			hidden = hidden || o.Value.IsHidden() || sensitive(o.Key)
			// Go's escapes are those of YAML's double-quoted strings.
			fmt.Fprintf(&b, "%s: %s\n", strconv.QuoteToASCII(o.Key), strconv.QuoteToASCII(o.Value.Reveal()))
		}
		g.file(filepath.Join(dir, c.Name+".yaml"), []byte(b.String()), hidden)
	}
	const why = "catalogs of the definition for the gateway's sessions"
	g.conf.set(keyCatalogStore, "file", flinkconf.Automatic, why)
	g.conf.set(keyCatalogStorePath, dir, flinkconf.Automatic, why)
	return nil
}
