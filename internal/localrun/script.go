package localrun

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/validate"
)

// configuration is what the environment of a local run is created with: what the definition says about tables and
// pipelines, and a small cluster inside this process. Its files are in Java's directory for temporary ones.
func (l *Local) configuration() map[string]string {
	conf := map[string]string{
		"parallelism.default":                     "1",
		"table.exec.resource.default-parallelism": "1",
		"rest.address":                            "127.0.0.1",
		"rest.bind-address":                       "127.0.0.1",
		"rest.bind-port":                          "0",
		"web.submit.enable":                       "false",
		"restart-strategy":                        "none",
		"restart-strategy.type":                   "none",
		"execution.buffer-timeout.interval":       "10 ms", // rows appear as they come
	}
	for _, s := range l.job.Configuration {
		if strings.HasPrefix(s.Key, "table.") && !s.Value.IsReference() {
			conf[s.Key], _ = s.Value.Plain()
		}
	}
	return conf
}

func (l *Local) runnerOptions(mode sqlrunner.Mode) sqlrunner.Options {
	return sqlrunner.Options{Mode: mode, Compare: l.compares, Flink: l.Version, RuntimeMode: validate.RuntimeMode(l.job.Definition),
		Secrets: l.secrets, Sensitive: flinkconf.Hidden}
}

// request makes the next request to the runner.
func (l *Local) request(mode sqlrunner.Mode, tables [][3]string) error {
	options := l.runnerOptions(mode)
	options.Tables, options.Configuration = tables, l.configuration()
	plan, err := sqlrunner.Prepare(runnerParts(l.Mocked.Parts), options) // its warnings are about the script as the user wrote it
	if err != nil {
		return l.scriptError(err)
	}
	l.next = sqlrunner.Request(mode, plan)
	if l.training {
		return writeFiles(l.Dir, map[string][]byte{scriptFile: plan.Script, indexFile: plan.Index})
	}
	return nil
}

// compares tells the statements of the mocked script that mean to the planner what the user's mean.
func (l *Local) compares(part string, line int) bool {
	for i, p := range l.Mocked.Parts {
		if p.Name == part {
			return l.Mocked.Compares && !slices.Contains(l.Mocked.Differs[i], line)
		}
	}
	return false
}
