package boot

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/rundir"
)

// Unchanged reports whether the rendered file is already in place, byte for byte.
func (p *Plan) Unchanged() bool {
	have, err := os.ReadFile(p.Config.OutFile)
	return err == nil && bytes.Equal(have, p.Config.Rendered)
}

// AllLinks returns the links that a start makes: to the image's files beside artifacts, and to log configurations.
func (p *Plan) AllLinks() []rundir.Link {
	c := &p.Config
	links := slices.Clone(p.Links)
	if c.Kept || c.inPlace() {
		return links
	}
	for _, name := range confpatch.Linked(c.BaseDir, c.OutDir, p.rendered(), p.copying(true)) {
		links = append(links, rundir.Link{Path: filepath.Join(c.OutDir, name), Target: filepath.Join(c.BaseDir, name)})
	}
	return links
}

// EnvironmentChanges returns the variables that the process gets and this program did not have, or had with another value.
func (p *Plan) EnvironmentChanges() map[string]string {
	changed := map[string]string{}
	for name, value := range environ.Of(p.Command.Env) {
		if old, ok := p.env[name]; !ok || old != value {
			changed[name] = value
		}
	}
	return changed
}

// inheritedLimit bounds FLINK_INHERITED_LOGS, and shownLimit one value in it: Linux takes at most 128 KiB for one variable.
const (
	inheritedLimit = 64 << 10
	shownLimit     = 1 << 10
)

// InheritedLogs is the variable whose text Flink's scripts put at the head of Flink's log.
const InheritedLogs = "FLINK_INHERITED_LOGS"

// summaryPlace holds the place of the summary in it until every warning is known.
const summaryPlace = "flink-entrypoint: summary"

// inheritLogs puts our decisions at the head of Flink's own log.
func (p *Plan) inheritLogs(redactor *redact.Redactor) {
	cmd := p.Command
	place, ok := cmd.Changed[InheritedLogs]
	if !ok {
		return // not a role
	}
	value := redact.Lines(strings.Replace(place, summaryPlace, p.summary(redactor), 1), inheritedLimit)
	cmd.Changed[InheritedLogs] = value
	cmd.Env = environ.Set(cmd.Env, InheritedLogs, value)
}

// summary is the text at the top of Flink's own log: our decisions, without any value that could be secret.
func (p *Plan) summary(redactor *redact.Redactor) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "flink-entrypoint: "+format+"\n", args...) }
	line("%s on Flink %s, configuration %s (base %s)", p.Role, p.Home.Version, p.Config.OutFile, p.Config.BaseFile)
	if d := p.Definition; d != nil {
		line("definition %s from %s, sha256 %s", redactor.Redact(d.Name), redactor.Redact(d.URI), d.SHA256)
	}
	if m := p.Memory; m != nil {
		line("process size %d bytes from %s", m.Spec.ProcessSize, m.Source)
	}
	for _, c := range p.Config.Changes {
		value := "removed"
		if !c.Deleted {
			value = redact.Shorten(redactor.Value(c.Key, c.New.String()), shownLimit)
		}
		line("%s: %s (%s)", c.Key, value, c.Source.Where)
	}
	for _, w := range p.Warnings {
		line("warning: %s", redactor.Redact(w))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
