package initsql

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"flink-entrypoint/internal/catalog"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/rundir"
)

// features are what this room asks of a Flink release.
type features struct {
	catalogStore bool // table.catalog-store.*
}

func history() []flinkversion.Change[features] {
	return []flinkversion.Change[features]{
		flinkversion.From(1, 18, func(f *features) { f.catalogStore = true }), // FLIP-295
	}
}

// HasStore returns an error where this Flink has no catalog store.
func HasStore(v flinkversion.Version) error {
	if !flinkversion.RulesOf(v, history()).catalogStore {
		first := flinkversion.FirstWith(history(), func(f features) bool { return f.catalogStore })
		return phase.Fail(phase.SQL, fmt.Errorf("sql.catalogs: catalogs reach the sessions of a SQL gateway through a catalog store, which needs Flink %s, this is %s", first, v),
			"take the catalogs out of the definition and let each session run its CREATE CATALOG")
	}
	return nil
}

// Store makes the files of a catalog store below dir: NAME.yaml, a flat map of the catalog's options (FileCatalogStore).
func (s Source) Store(list []jobdef.Catalog, dir string) ([]rundir.File, error) {
	t := texts{Source: s}
	catalogs, err := t.catalogs(list)
	if err != nil {
		return nil, err
	}
	target := s.target()
	if _, err := catalog.Init(catalog.Spec{Catalogs: catalogs}, target); err != nil { // the same checks as for a job
		return nil, catalogError(err)
	}
	var files []rundir.File
	for i, c := range catalogs {
		where := fmt.Sprintf("sql.catalogs[%d]", i)
		hidden := c.CreateStatement.IsHidden()
		if !c.CreateStatement.IsEmpty() {
			if c, err = catalog.ParseCatalog(c.CreateStatement, target); err != nil {
				return nil, catalogError(err)
			}
		}
		// Without a UTF-8 locale, as in the official images, Java cannot even list a directory with another name in it.
		other := func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`/\:%?#`, r) }
		if strings.ContainsFunc(c.Name, other) || strings.TrimSpace(c.Name) != c.Name {
			return nil, phase.Fail(phase.SQL, fmt.Errorf("%s: the name %q cannot be the name of a file in a catalog store", where, c.Name), `use a to z, digits, "_" and "-"`)
		}
		var b strings.Builder
		for _, o := range c.Options {
			s.Redactor.AddEntry(o.Key, o.Value.Reveal())
			hidden = hidden || o.Value.IsHidden() || flinkconf.Hidden(o.Key)
			// Go's escapes are the escapes of YAML's double-quoted strings.
			fmt.Fprintf(&b, "%s: %s\n", strconv.QuoteToASCII(o.Key), strconv.QuoteToASCII(o.Value.Reveal()))
		}
		files = append(files, rundir.NewFile(filepath.Join(dir, c.Name+".yaml"), []byte(b.String()), hidden))
	}
	return files, nil
}
