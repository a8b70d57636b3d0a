package boot

import (
	"errors"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/placement"
	"flink-entrypoint/internal/settings"
	"flink-entrypoint/internal/sqlrunner"
)

// underPlatform makes a JobManager report how its jobs are: the status listener of Flink 2, and the archive of ended jobs through our file
// system, both in one jar at the end of the class path. A TaskManager has nothing to report, so that both groups of a cluster can have the
// same variables.
func (r *Run) underPlatform(v flinkversion.Version, conf *settings.Layers, place *placement.Placement) error {
	o := r.opts
	if o.Run == "" && o.EventsURL == "" && o.EventsTokenFile == "" || r.role != "jobmanager" && r.role != "standalone-job" {
		return nil
	}
	if o.Run == "" || o.EventsURL == "" || o.EventsTokenFile == "" {
		return phase.Fail(phase.Usage, errors.New("--run, --events-url and --events-token-file belong together"), "give all three, or none")
	}
	keys, err := sqlrunner.Platform{Run: o.Run, EventsURL: o.EventsURL, TokenFile: o.EventsTokenFile, Attempt: o.Attempt}.Settings(v)
	if err != nil {
		return phase.Fail(phase.Usage, err, "")
	}
	for _, s := range keys {
		if s.List && conf.Extend(s.Key, s.Value, ";", "[]", "--run "+o.Run) {
			continue
		}
		conf.Replace(s.Key, s.Value, flinkconf.Flag, "--run "+o.Run)
	}
	place.AddToClassPath(sqlrunner.PlatformJarName, sqlrunner.PlatformJar())
	return nil
}
