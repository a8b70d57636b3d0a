package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// Conversion is what a flink-conf.yaml says that Flink 2.x does not read, as lines of a config.yaml.
type Conversion struct {
	From  string   // path of the flink-conf.yaml
	To    string   // path of the config.yaml that Flink reads
	Lines []string // comments included, sensitive values masked
}

// lastLegacy is the last release that reads flink-conf.yaml (FLINK-33677).
func lastLegacy() flinkconf.Version { return flinkconf.Version{Major: 1, Minor: 20} }

// shadowed warns about the configuration file that lies beside the one in force and that Flink does not read, and says what
// is lost: users who move to another Flink version keep the file of the old one (FLINK-33677, bitnami/containers#67010).
func (g *gatherer) shadowed(name string) {
	c, v := &g.plan.Config, g.plan.Home.Version
	other, format, readBy := confpatch.StandardName, confpatch.Standard, v
	if name == confpatch.StandardName {
		other, format, readBy = confpatch.LegacyName, confpatch.Legacy, lastLegacy()
	}
	path := filepath.Join(c.BaseDir, other)
	source, err := os.ReadFile(path)
	if err != nil {
		return
	}
	lost := "it says nothing else"
	file, err := confpatch.Parse(other, format, readBy, source)
	switch {
	case err != nil:
		lost = "its content would be an error"
	default:
		entries := g.notInForce(file.Conf())
		if len(entries) > 0 {
			lost = "what it says about " + firstKeys(entries, 5) + " is lost"
		}
		if format == confpatch.Legacy && len(entries) > 0 {
			g.plan.Config.Conversion = g.convert(path, entries)
			lost += "; explain shows it as lines for " + name
		}
	}
	why := fmt.Sprintf("Flink %s reads %s", v.MinorString(), name)
	if name == confpatch.LegacyName && featuresOf(v).standardConf {
		why += " as long as there is one"
	}
	g.warnf("%s is ignored: %s; %s", path, why, lost)
}

// notInForce returns the entries that the file in force does not have with the same value.
func (g *gatherer) notInForce(other *flinkconf.Conf) []flinkconf.Entry {
	var out []flinkconf.Entry
	for e := range other.All() {
		if have, ok := g.conf.base.Get(e.Key); !ok || have.Value.Reveal() != e.Value.Reveal() {
			out = append(out, e)
		}
	}
	return out
}

func firstKeys(entries []flinkconf.Entry, most int) string {
	var b strings.Builder
	for i, e := range entries {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(entries)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.Key)
	}
	return b.String()
}

// convert writes entries of a flink-conf.yaml for config.yaml, under the names that this version reads. Values stay strings, as
// they were: Flink 2.x still reads lists and maps in their old spelling from one.
func (g *gatherer) convert(from string, entries []flinkconf.Entry) *Conversion {
	v := g.plan.Home.Version
	given := map[string]bool{}
	for _, e := range entries {
		given[e.Key] = true
	}
	renamed := replacements(v, func(key string) bool { return given[key] })
	c := &Conversion{From: from, To: filepath.Join(filepath.Dir(from), confpatch.StandardName)}
	for _, e := range entries {
		key, note := e.Key, ""
		if rows := renamed[e.Key]; len(rows) > 0 && rows[0].now == "" && rows[0].gone {
			c.Lines = append(c.Lines, fmt.Sprintf("# %s (%s) is left out: Flink %s does not read it", e.Key, e.Source.Where, v.MinorString()))
			continue
		} else if len(rows) > 0 && rows[0].now != "" && !given[rows[0].now] {
			key, note = rows[0].now, ", there "+e.Key
		}
		value := e.Value.Reveal()
		if flinkconf.IsSensitive(e.Key, v) {
			value = secret.Mask
		}
		if have, ok := g.conf.base.Get(key); ok {
			note += fmt.Sprintf(", instead of %s", have.Source.Where)
		}
		c.Lines = append(c.Lines, "# "+e.Source.Where+note)
		c.Lines = append(c.Lines, standardLine(v, key, value))
	}
	return c
}

// standardLine returns "key: value" as config.yaml needs it quoted.
func standardLine(v flinkconf.Version, key, value string) string {
	empty, err := confpatch.Parse(confpatch.StandardName, confpatch.Standard, v, nil)
	if err == nil {
		var text []byte
		if text, err = empty.Render([]confpatch.Change{{Key: key, Value: public(value)}}, ""); err == nil {
			for _, line := range strings.Split(string(text), "\n") {
				if line != "" && line[0] != '#' {
					return line
				}
			}
		}
	}
	return "# " + key + " cannot be written" // no key or value that flink-conf.yaml can hold leads here
}
