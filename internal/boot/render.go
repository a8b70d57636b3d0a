package boot

import (
	"fmt"
	"os"
	"path/filepath"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/settings"
)

// rendered is the configuration file and what Flink reads from it.
type rendered struct {
	Config
	file    *confpatch.File
	written *flinkconf.Conf // what the file says, with the places where each value came from
}

// render makes the configuration file and reads it back, so that everything after it sees what Flink will see.
func (r *Run) render(in *reading, conf *settings.Layers) (rendered, error) {
	b := in.base
	c := rendered{Config: Config{places: in.places, BaseFile: b.path, OutFile: filepath.Join(in.places.OutDir, b.name), Conversion: b.conversion, format: b.format, base: b.source}}
	var err error
	if in.job != nil && in.job.Logging != nil {
		if c.siblings, err = in.job.logging(in.places.BaseDir); err != nil {
			return c, err
		}
	}
	c.Changes = conf.Diff()
	c.Secret = holdsSecret(conf.Want)
	changes := make([]confpatch.Change, 0, len(c.Changes))
	for _, ch := range c.Changes {
		changes = append(changes, confpatch.Change{Key: ch.Key, Value: ch.New, Delete: ch.Deleted, Source: ch.Source.Where})
	}
	if c.Rendered, err = b.file.Render(changes, "set by flink-entrypoint; the base file is "+c.BaseFile); err != nil {
		return c, configurationError(c.BaseFile, err)
	}
	if c.file, err = confpatch.Parse(b.name, c.format, in.home.Version, c.Rendered); err != nil {
		return c, configurationError(c.OutFile, err)
	}
	c.Effective = c.file.Conf()
	for e := range conf.Want.All() { // provenance, and what is secret, were known before the text was written
		if have, ok := c.Effective.Get(e.Key); ok {
			have.Source = e.Source
			if e.Value.IsHidden() {
				have.Value = have.Value.Hide()
			}
			c.Effective.Set(have)
		}
	}
	c.written = c.Effective
	if r.role != PassThrough && !r.isClient() {
		if c.Effective, err = flinkconf.ApplyDynamicArgs(c.Effective, in.args, in.home.Version); err != nil {
			return c, phase.Fail(phase.Configuration, err, "")
		}
	}
	r.warnings = append(r.warnings, flinkoptions.DeprecatedKeys(in.home.Version, c.Effective)...)
	return c, nil
}

// holdsSecret reports whether the rendered file has a value that only Flink should read.
func holdsSecret(conf *flinkconf.Conf) bool {
	for e := range conf.All() {
		value := e.Value.Reveal()
		if e.Value.IsHidden() || value != "" && flinkconf.Hidden(e.Key) {
			return true
		}
		if flinkconf.IsJavaOptions(e.Key) && redact.Options(value, nil) != value {
			return true
		}
	}
	return false
}

// logging patches the log4j properties that the console processes read.
func (j *Job) logging(baseDir string) (map[string][]byte, error) {
	const name = "log4j-console.properties"
	source, err := os.ReadFile(filepath.Join(baseDir, name))
	if err != nil {
		return nil, phase.Fail(phase.Configuration, fmt.Errorf("logging: cannot read %s: %w", name, err), "the image must use log4j for the definition's logging to apply")
	}
	loggers := make(map[string]string, len(j.Logging.Loggers))
	for _, l := range j.Logging.Loggers {
		loggers[l.Name] = l.Level
	}
	patched, err := confpatch.PatchLog4j(source, j.Logging.Level, loggers)
	if err != nil {
		return nil, phase.Fail(phase.Configuration, fmt.Errorf("logging: %s: %w", name, err), "")
	}
	if _, err := os.Stat(filepath.Join(baseDir, "logback-console.xml")); err == nil {
		j.run.world.Log.Debug("logback-console.xml is left alone: the definition's logging applies to log4j")
	}
	return map[string][]byte{name: patched}, nil
}
