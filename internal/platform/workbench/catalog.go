package workbench

import (
	"context"
	"fmt"
	"strings"

	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/internal/validate"
)

// catalogScript asks a catalog for something that only a connection can tell. A script of a job has an INSERT, which is planned here, not run.
const catalogScript = "USE CATALOG `%s`;\nSHOW DATABASES;\n" +
	"CREATE TEMPORARY TABLE default_catalog.default_database.checked (id INT) WITH ('connector' = 'blackhole');\nINSERT INTO default_catalog.default_database.checked VALUES (1);\n"

// CatalogScript is the script of a definition that has a catalog, for CheckCatalog.
func CatalogScript(name string) string {
	return fmt.Sprintf(catalogScript, strings.ReplaceAll(name, "`", "``"))
}

// kindOf is the type of a catalog, "" where its definition does not say one.
func (w *Workbench) kindOf(c jobdef.Catalog) string {
	for _, o := range c.Options {
		if kind, ok := o.Value.Plain(); ok && o.Key == "type" {
			return kind
		}
	}
	text, _ := c.CreateStatement.Plain()
	statements, err := sqltext.Split(text, sqltext.DialectOf(w.Version()))
	if err != nil {
		return "" // the check reports it
	}
	for _, s := range statements {
		for key, value := range s.Options() {
			if key == "type" {
				return value
			}
		}
	}
	return ""
}

// CheckCatalog connects to a catalog and lists its databases, in a JVM of its own. s is a definition with the catalog and the script of CatalogScript.
// The error has Faults where Flink says what is wrong; it is a [*Refused] where nothing may be connected to.
func (w *Workbench) CheckCatalog(ctx context.Context, s Script) (err error) {
	w = w.of(s)
	defer func() { err = s.named(err) }()
	need, err := w.look(s)
	if err != nil {
		return err
	}
	def, err := decode(s)
	if err != nil {
		return err
	}
	for _, c := range def.SQL.Catalogs {
		if kind := w.kindOf(c); kind != inMemory && !w.served.Makes(kind) {
			return &validate.FaultsError{Faults: []validate.Fault{{File: initPart, Message: fmt.Sprintf("no jar of the server's Flink makes catalogs of type %q", kind), Hint: "an operator adds the jar to the directory lib of its Flink"}}}
		}
	}
	if need.special && len(w.o.Policy.hosts()) == 0 {
		return &Refused{"the check would connect to another machine, and no policy of the server names one", "an operator lists the hosts: serve --debug-policy FILE, with hosts: [HOST:PORT]", false}
	}
	_, err = w.planned(ctx, s, need)
	return err
}
