package boot

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/secret"
)

// deleted remembers why a key was removed, for the diff.
func (l *layers) deleted(key string, src flinkconf.Source) {
	if l.removed == nil {
		l.removed = map[string]flinkconf.Source{}
	}
	l.removed[key] = src
}

// diff returns what differs between the base file and what is wanted, sorted by key.
func (l *layers) diff() []ConfigChange {
	var out []ConfigChange
	for e := range l.want.All() {
		old, had := l.base.Get(e.Key)
		if had && !e.Value.IsHidden() && old.Value.Reveal() == e.Value.Reveal() {
			continue
		}
		out = append(out, ConfigChange{Key: e.Key, Old: old.Value, New: e.Value, HadOld: had, Source: e.Source})
	}
	for e := range l.base.All() {
		if !l.want.Has(e.Key) {
			src, ok := l.removed[e.Key]
			if !ok {
				src = flinkconf.Source{Layer: flinkconf.Automatic, Where: "reachable from outside the container"}
			}
			out = append(out, ConfigChange{Key: e.Key, Old: e.Value, HadOld: true, Deleted: true, Source: src})
		}
	}
	slices.SortFunc(out, func(a, b ConfigChange) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// Unchanged reports whether the rendered file is already in place, byte for byte.
func (p *Plan) Unchanged() bool {
	have, err := os.ReadFile(p.Config.OutFile)
	return err == nil && bytes.Equal(have, p.Config.Rendered)
}

// Shown returns the value of a key for people: masked where Flink itself would, options with a sensitive name inside it
// too, and without any secret of this run.
func (p *Plan) Shown(key string, value secret.Text) string {
	if flinkconf.IsSensitive(key, p.Home.Version) {
		return secret.Mask
	}
	return p.Redact(maskOptions(value.String(), p.Home.Version, nil))
}

// Redact takes the secrets of this run out of text.
func (p *Plan) Redact(text string) string { return p.redactor.Redact(text) }

// EffectiveShown returns what Flink will read, dynamic properties included, with sensitive values masked.
func (p *Plan) EffectiveShown() map[string]string {
	out := make(map[string]string, p.Config.Effective.Len())
	for e := range p.Config.Effective.All() {
		out[e.Key] = p.Shown(e.Key, e.Value)
	}
	return out
}

// ProvenanceOf says for people what decided the size of a memory component: an option that somebody set, Flink's default, or
// what the other components left.
func (p *Plan) ProvenanceOf(c memory.Component) string {
	base := strings.TrimSuffix(strings.TrimSuffix(c.Key, ".fraction"), ".size")
	for _, option := range []string{".size", ".fraction", ".min", ".max"} {
		if e, ok := p.Config.Effective.Get(base + option); ok {
			return strings.TrimPrefix(option, ".") + " from " + e.Source.Where
		}
	}
	switch c.Name {
	case "taskHeap", "heap":
		return "what remains"
	case "managed", "network", "jvmOverhead":
		return "Flink's default fraction"
	}
	return "Flink's default"
}

// Sources says of each effective key where its value comes from, e.g. "config.yaml:7", "FLINK_PROPERTIES:1", "-D".
func (p *Plan) Sources() map[string]string {
	out := make(map[string]string, p.Config.Effective.Len())
	for e := range p.Config.Effective.All() {
		out[e.Key] = e.Source.Where
	}
	return out
}

// ArtifactsShown returns the artifacts with redacted URIs.
func (p *Plan) ArtifactsShown() []fetch.Item {
	out := slices.Clone(p.Artifacts)
	for i := range out {
		out[i].URI = p.Redact(fetch.Redact(out[i].URI))
	}
	return out
}

// CommandShown returns the command line and the variables it adds or changes, with secrets masked: those of the definition wherever
// they stand, and the values of sensitive keys in -D options.
func (p *Plan) CommandShown() (argv []string, env map[string]string) {
	argv = maskArguments(p.Command.Argv, p.Home.Version, nil)
	for i := range argv {
		argv[i] = p.Redact(argv[i])
	}
	env = p.environmentChanges()
	for k, v := range env {
		if k == "FLINK_INHERITED_LOGS" {
			continue // our own redacted summary
		}
		env[k] = p.Shown(k, public(v))
	}
	return argv, env
}

// environmentChanges returns the variables that the process gets and this program did not have, or had with another value.
func (p *Plan) environmentChanges() map[string]string {
	changed := map[string]string{}
	for name, value := range newEnvironment(p.Command.Env) {
		if old, ok := p.env[name]; !ok || old != value {
			changed[name] = value
		}
	}
	return changed
}

// summary is what stands at the top of Flink's own log: our decisions, without any value that could be secret.
func (g *gatherer) summary() string {
	p := g.plan
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "flink-entrypoint: "+format+"\n", args...) }
	line("%s on Flink %s, configuration %s (base %s)", p.Role, p.Home.Version, p.Config.OutFile, p.Config.BaseFile)
	if d := p.Definition; d != nil {
		line("definition %s from %s, sha256 %s", d.Name, d.URI, d.SHA256)
	}
	if m := p.Memory; m != nil {
		line("process size %d bytes from %s", m.Spec.ProcessSize, m.Source)
	}
	for _, c := range p.Config.Changes {
		value := "removed"
		if !c.Deleted {
			value = p.Shown(c.Key, c.New)
		}
		line("%s: %s (%s)", c.Key, value, c.Source.Where)
	}
	for _, w := range p.Warnings {
		line("warning: %s", w)
	}
	return p.Redact(strings.TrimSuffix(b.String(), "\n"))
}
