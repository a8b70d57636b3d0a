package boot

import (
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/reporters"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/settings"
)

// metrics configures the reporters that the definition and the flags ask for.
func (r *Run) metrics(in *reading, conf *settings.Layers) (reporters.Wanted, error) {
	var w reporters.Wanted
	if _, ok := processOf(r.role); !ok {
		return w, nil
	}
	if j := in.job; j != nil {
		name := ""
		if j.SQL.Runs() || j.Jar != nil { // a session cluster has many jobs
			name, _ = j.Name.Plain() // a label is public
			if e, ok := conf.Want.Get("pipeline.name"); ok && !e.Value.IsHidden() {
				name = e.Value.Reveal()
			}
		}
		if err := w.Define(j.Metrics, name, func(t jobdef.Text) (secret.Text, error) { return j.resolve(t, phase.DefinitionInvalid) }); err != nil {
			return w, err
		}
	}
	if err := w.Flag(r.opts.Metrics); err != nil {
		return w, err
	}
	return w, w.Configure(in.home.Version, conf, in.args)
}

// warnOfReporters says where Flink will find no reporter: it starts all the same, with a line in its log.
func (r *Run) warnOfReporters(in *reading, d *decision) {
	for _, jar := range d.metrics.Jars() {
		brought := slices.ContainsFunc(d.place.Artifacts, func(a fetch.Item) bool { return strings.HasPrefix(filepath.Base(a.Path), jar) })
		if !brought && !in.home.HasPlugin(jar) && !strings.Contains(in.proc.Vars.Get("ENABLE_BUILT_IN_PLUGINS"), jar) {
			r.Warn("metrics: no %s*.jar in %s or %s, so that reporter will not start; add the jar of this version as an artifact with to: plugins/%s", jar, in.home.PluginsDir, in.home.LibDir, strings.TrimPrefix(jar, "flink-"))
		}
	}
}
