// Package settings puts the configuration of one process together: who overrides whom, the addresses and ports that were not set,
// and what differs from the base file in the end.
package settings

import (
	"fmt"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// Layers is the configuration while it is put together: what the base file gave, and what is wanted.
type Layers struct {
	Base     *flinkconf.Conf
	Want     *flinkconf.Conf
	removed  map[string]flinkconf.Source
	Warnings []string
}

// New begins with what the base file gives.
func New(base *flinkconf.Conf) *Layers { return &Layers{Base: base, Want: base.Clone()} }

// Warn notes what the user should know.
func (l *Layers) Warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// Set puts a value in place unless a stronger layer holds the key already.
func (l *Layers) Set(key, value string, layer flinkconf.Layer, where string) {
	e := flinkconf.Entry{Key: key, Source: flinkconf.Source{Layer: layer, Where: where}}
	e.Value = secret.Public(value)
	l.SetEntry(e)
}

// SetEntry is Set for an entry.
func (l *Layers) SetEntry(e flinkconf.Entry) {
	if text := e.Value.Reveal(); flinkconf.UnquoteOptions(e.Key, text) != text {
		e.Value = secret.Public(flinkconf.UnquoteOptions(e.Key, text)) // no secret reference may be in Java options
	}
	if have, ok := l.Want.Get(e.Key); ok {
		if have.Source.Layer > e.Source.Layer {
			return
		}
		if have.Source.Layer == flinkconf.Definition && e.Source.Layer == flinkconf.Definition && have.Value.Reveal() != e.Value.Reveal() {
			l.Warnings = append(l.Warnings, fmt.Sprintf("%s is set twice in the definition: the value of %s wins over the value of %s", e.Key, e.Source.Where, have.Source.Where))
		}
		if have.Source.Layer == flinkconf.BaseFile && have.Value.Reveal() == e.Value.Reveal() && !e.Value.IsHidden() {
			// The file says so already, so its line stays. The layer still moves up: the value was chosen.
			e.Kind, e.Source.Where = have.Kind, have.Source.Where
		}
	}
	l.Want.Set(e)
}

// chosen reports whether the user set the key: in a stronger place than the base file, or there with another value than stock.
func (l *Layers) chosen(key, stock string) bool {
	e, ok := l.Want.Get(key)
	return ok && (e.Source.Layer > flinkconf.Automatic || (e.Source.Layer == flinkconf.BaseFile && e.Value.Reveal() != stock))
}

// HighAvailability returns the HA type in force in lower case, "" for none. The key lost its short name in 1.17.
func (l *Layers) HighAvailability() string {
	for _, key := range []string{KeyHAType, KeyHATypeOld} {
		if v := strings.TrimSpace(l.Want.Text(key)); v != "" {
			if strings.EqualFold(v, "none") {
				return ""
			}
			return strings.ToLower(v)
		}
	}
	return ""
}

// Replace is Set, with a warning where the user chose another value.
func (l *Layers) Replace(key, value string, layer flinkconf.Layer, where string) {
	if e, ok := l.Want.Get(key); ok && l.chosen(key, "") && e.Value.Reveal() != value {
		l.Warn("%s of %s has no effect: %s needs another value", key, e.Source.Where, where)
	}
	l.Set(key, value, layer, where)
}

// Extend adds an item to a list or map that the user chose, in the spelling that it has: Flink's, or YAML's in brackets.
func (l *Layers) Extend(key, item, separator, brackets, why string) bool {
	have, ok := l.Want.Get(key)
	if !ok {
		return false
	}
	text := strings.TrimSpace(have.Value.Reveal())
	last := len(text) - 1
	switch {
	case text == "":
		text = strings.Replace(item, ": ", ":", 1)
	case text[0] != brackets[0] || text[last] != brackets[1]:
		text += separator + strings.Replace(item, ": ", ":", 1)
	case strings.TrimSpace(text[1:last]) == "":
		text = brackets[:1] + item + brackets[1:]
	default:
		text = text[:last] + ", " + item + brackets[1:]
	}
	if have.Value.IsHidden() {
		have.Value = secret.Hidden(text)
	} else {
		have.Value = secret.Public(text)
	}
	have.Source.Where += ", " + why
	l.Want.Set(have)
	return true
}

// UnquoteBase removes the quotes around Java options of the base file (see [flinkconf.UnquoteOptions]).
func (l *Layers) UnquoteBase() {
	for e := range l.Base.All() {
		text := e.Value.Reveal()
		bare := flinkconf.UnquoteOptions(e.Key, text)
		if bare == text {
			continue
		}
		e.Source.Where += ", without the quotes around the whole value"
		if bare == "" { // flink-conf.yaml cannot hold it
			l.Remove(e.Key, e.Source)
			continue
		}
		e.Value = secret.Public(bare)
		l.Want.Set(e)
	}
}

// Change is one key whose value differs between base and rendered file.
type Change struct {
	Key     string
	Old     secret.Text
	New     secret.Text
	HadOld  bool
	Deleted bool
	Source  flinkconf.Source
}

// Remove takes a key away, and remembers why.
func (l *Layers) Remove(key string, src flinkconf.Source) {
	l.Want.Delete(key)
	if l.removed == nil {
		l.removed = map[string]flinkconf.Source{}
	}
	l.removed[key] = src
}

// Diff returns what differs between the base file and what is wanted, sorted by key.
func (l *Layers) Diff() []Change {
	var out []Change
	for e := range l.Want.All() {
		old, had := l.Base.Get(e.Key)
		if had && !e.Value.IsHidden() && old.Value.Reveal() == e.Value.Reveal() {
			continue
		}
		out = append(out, Change{Key: e.Key, Old: old.Value, New: e.Value, HadOld: had, Source: e.Source})
	}
	for e := range l.Base.All() {
		if !l.Want.Has(e.Key) {
			src, ok := l.removed[e.Key]
			if !ok {
				src = flinkconf.Source{Layer: flinkconf.Automatic, Where: "reachable from outside the container"}
			}
			out = append(out, Change{Key: e.Key, Old: e.Value, HadOld: true, Deleted: true, Source: src})
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Key, b.Key) })
	return out
}
