// Package native puts a definition's job into the configuration of a JobManager on native Kubernetes, which reads its job there and not
// from its arguments.
//
// A controller (Flink's client or an operator) wrote that configuration and follows the job by it: what it set wins, and what of
// the definition has no effect is named. Sources: ApplicationConfiguration, KubernetesApplicationClusterEntrypoint,
// PipelineOptions, PipelineOptionsInternal, SavepointConfigOptions, StateRecoveryOptions (FLINK-34454, 1.20).
package native

import (
	"slices"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/settings"
)

// Keys that the JobManager reads its job from.
const (
	keyMain      = "$internal.application.main"
	keyArguments = "$internal.application.program-args"
	keyJars      = "pipeline.jars"
	keyJobID     = "$internal.pipeline.job-id"
	keySavepoint = "execution.savepoint.path" // from 1.20 on the old name of execution.state-recovery.path
)

// Job is a definition's job.
type Job struct {
	ID                    string // "" if it is not given, as all others
	Savepoint             string
	AllowNonRestoredState bool

	Field     string   // of the definition that has the job: sql.script or jar; "" without one
	Class     string   // of its main
	Jar       string   // path of the jar that has it
	Arguments []string // of its main
	Fixed     bool     // the class is not the user's: it needs these arguments
}

// stateKeys are the keys of a savepoint.
type stateKeys struct{ path, ignore string }

func history() []flinkversion.Change[stateKeys] {
	return []flinkversion.Change[stateKeys]{
		flinkversion.From(1, 13, func(k *stateKeys) { *k = stateKeys{keySavepoint, "execution.savepoint.ignore-unclaimed-state"} }),
		flinkversion.From(1, 20, func(k *stateKeys) {
			*k = stateKeys{"execution.state-recovery.path", "execution.state-recovery.ignore-unclaimed-state"}
		}),
	}
}

// same reports whether two values of a key mean the same: a client writes a list as YAML's or with semicolons, by its version.
func same(key, a, b string) bool {
	if key != keyJars && key != keyArguments {
		return a == b
	}
	x, err := flinkconf.ParseList(a, true)
	y, other := flinkconf.ParseList(b, true)
	return err == nil && other == nil && slices.Equal(x, y)
}

// Apply sets the job's keys, and warns of what a controller has set otherwise.
func (j Job) Apply(conf *settings.Layers, v flinkversion.Version, warn func(format string, args ...any)) {
	// byController is what a controller has set otherwise. A client may write a list of no arguments (1.20 does) where it was given none.
	byController := func(key, value string) (flinkconf.Entry, bool) {
		e, ok := conf.Want.Get(key)
		return e, ok && e.Source.Layer == flinkconf.BaseFile && !same(key, e.Value.Reveal(), value) && (key != keyArguments || !same(key, e.Value.Reveal(), ""))
	}
	put := func(key, value, field string) {
		if e, ok := conf.Want.Get(key); !ok || !same(key, e.Value.Reveal(), value) {
			conf.Set(key, value, flinkconf.Definition, "job definition "+field)
		}
	}
	set := func(key, value, field string) bool {
		if e, ok := byController(key, value); ok {
			warn("%s of the definition has no effect: the controller has set %s (%s)", field, key, e.Source.Where)
			return false
		}
		put(key, value, field)
		return true
	}
	if j.ID != "" {
		set(keyJobID, j.ID, "id")
	}
	if j.Savepoint != "" {
		keys := flinkversion.RulesOf(v, history())
		if _, ok := byController(keySavepoint, ""); ok {
			keys.path = keySavepoint
		}
		if set(keys.path, j.Savepoint, "savepoint.path") && j.AllowNonRestoredState {
			set(keys.ignore, "true", "savepoint.allowNonRestoredState")
		}
	}
	if j.Field == "" {
		return
	}
	if e, ok := byController(keyMain, j.Class); ok && j.Class != "" {
		warn("%s of the definition has no effect: the controller runs the class %s (%s, %s)", j.Field, e.Value, keyMain, e.Source.Where)
		return
	}
	if !set(keyJars, "local://"+j.Jar, j.Field) {
		return
	}
	if j.Class != "" {
		put(keyMain, j.Class, j.Field)
	}
	if len(j.Arguments) == 0 {
		return
	}
	arguments := flinkconf.List(j.Arguments)
	if !j.Fixed {
		set(keyArguments, arguments, j.Field+".args")
		return
	}
	if e, ok := byController(keyArguments, arguments); ok {
		warn("%s (%s) has no effect: the job is the definition's %s", keyArguments, e.Source.Where, j.Field)
	}
	put(keyArguments, arguments, j.Field)
}
