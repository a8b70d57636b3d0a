package localrun

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/mock"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/validate"
)

// configuration is what the environment of a local run is created with: what the definition says about tables and
// pipelines, and a small cluster inside this process.
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
		"io.tmp.dirs":                             l.Dir,
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

// script writes the files that the runner reads in a mode.
func (l *Local) script(mode sqlrunner.Mode, parts []mock.Part, tables [][3]string) (sqlrunner.Plan, error) {
	options := l.runnerOptions(mode)
	options.Tables, options.Configuration = tables, l.configuration()
	plan, err := sqlrunner.Prepare(runnerParts(parts), options)
	if err != nil {
		return plan, l.scriptError(err)
	}
	return plan, l.write(map[string][]byte{scriptFile: plan.Script, indexFile: plan.Index})
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

// Names of files in Local.Dir.
const (
	scriptFile  = "job.sql"
	indexFile   = "job.idx"
	loggingFile = "log4j2.properties"
)

func (l *Local) write(files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(l.Dir, name), content, 0o600); err != nil {
			return phase.Fail(phase.Write, err, phase.WriteHint(err))
		}
	}
	return nil
}
