package boot

import (
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/initsql"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/settings"
)

const (
	keyCatalogStore     = "table.catalog-store.kind"
	keyCatalogStorePath = "table.catalog-store.file.path"
)

// planGateway hands the definition's catalogs to every session of a SQL gateway, by a catalog store of files (FLIP-295, since 1.18).
// What is left is in init.sql, which a client has to run: a store holds nothing but catalogs.
func (r *Run) planGateway(in *reading, conf *settings.Layers, place *placement.Placement) (jobPlan, error) {
	d := in.job.SQL
	if d == nil {
		return jobPlan{}, nil
	}
	if len(d.Catalogs) > 0 {
		if err := r.catalogStore(in, conf, place); err != nil {
			return jobPlan{}, err
		}
	}
	r.warnOfSessions(d)
	rest := *d
	rest.Catalogs = nil
	session, err := in.job.Session(&rest, place)
	if err != nil {
		return jobPlan{}, err
	}
	return jobPlan{SQL: &SQLPlan{InitFile: place.AddFile(initFile, session.Text(), session.Hidden), Init: session.Shown()}}, nil
}

// warnOfSessions names what the sessions of a SQL gateway do not get.
func (r *Run) warnOfSessions(d *jobdef.SQL) {
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
		r.Warn("sessions of the SQL gateway start without the definition's %s: a catalog store holds catalogs alone; a client gets them by sql-client.sh gateway -i %s",
			strings.Join(left, ", "), filepath.Join(r.opts.RunDir, initFile))
	}
	if d.Runs() {
		r.Warn("the definition's script is not run: a SQL gateway runs what its sessions send")
	}
}

// catalogStore plans the files of the store.
func (r *Run) catalogStore(in *reading, conf *settings.Layers, place *placement.Placement) error {
	if err := initsql.HasStore(in.home.Version); err != nil {
		return err
	}
	if kind, ok := conf.Want.Get(keyCatalogStore); ok && kind.Value.Reveal() != "file" {
		r.Warn("%s is %s (%s): the definition's catalogs are not put there", keyCatalogStore, kind.Value, kind.Source.Where)
		return nil
	}
	dir := conf.Want.Text(keyCatalogStorePath)
	if dir == "" {
		dir = filepath.Join(r.opts.RunDir, "catalog-store")
	}
	files, err := in.job.source(place).Store(in.job.SQL.Catalogs, dir)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(dir) {
		r.Warn("%s is %s, no local directory: the definition's catalogs are not put there", keyCatalogStorePath, dir)
		return nil
	}
	place.Files = append(place.Files, files...)
	const why = "catalogs of the definition for the gateway's sessions"
	conf.Set(keyCatalogStore, "file", flinkconf.Automatic, why)
	conf.Set(keyCatalogStorePath, dir, flinkconf.Automatic, why)
	return nil
}
