package flinkoptions

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/secret"
)

// Conversion is the settings of a flink-conf.yaml that Flink 2.x does not read, as lines of a config.yaml.
type Conversion struct {
	From  string   // path of the flink-conf.yaml
	To    string   // path of the config.yaml that Flink reads
	Lines []string // comments included, sensitive values masked
}

// Unread warns about the configuration file that is beside the one in force and that Flink does not read, and says what
// is lost: users who move to another Flink version keep the file of the old one (FLINK-33677, bitnami/containers#67010). base is
// what the file in force gives. Without another file it returns "".
func Unread(v flinkversion.Version, dir, inForce string, base *flinkconf.Conf, r *redact.Redactor) (warning string, conversion *Conversion) {
	other, format, readBy := confpatch.StandardName, confpatch.Standard, v
	if inForce == confpatch.StandardName {
		other, format, readBy = confpatch.LegacyName, confpatch.Legacy, confpatch.LastLegacy()
	}
	path := filepath.Join(dir, other)
	source, err := os.ReadFile(path)
	if err != nil {
		return "", nil
	}
	lost := "it has no other settings"
	file, err := confpatch.Parse(other, format, readBy, source)
	switch {
	case err != nil:
		lost = "Flink could not read it anyway"
	default:
		r.AddConf(file.Conf())
		entries := notInForce(file.Conf(), base)
		if len(entries) > 0 {
			lost = "its values of " + firstKeys(entries, 5) + " are lost"
		}
		if format == confpatch.Legacy && len(entries) > 0 {
			conversion = convert(v, path, entries, base, r)
			lost += "; explain shows them as lines for " + inForce
		}
	}
	why := fmt.Sprintf("Flink %s reads %s", v.Release(), inForce)
	if inForce == confpatch.LegacyName && confpatch.ReadsStandard(v) {
		why += " as long as that file exists"
	}
	return fmt.Sprintf("%s is ignored: %s; %s", path, why, lost), conversion
}

// notInForce returns the entries that the file in force does not have with the same value.
func notInForce(other, base *flinkconf.Conf) []flinkconf.Entry {
	var out []flinkconf.Entry
	for e := range other.All() {
		if have, ok := base.Get(e.Key); !ok || have.Value.Reveal() != e.Value.Reveal() {
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
func convert(v flinkversion.Version, from string, entries []flinkconf.Entry, base *flinkconf.Conf, r *redact.Redactor) *Conversion {
	given := map[string]bool{}
	for _, e := range entries {
		given[e.Key] = true
	}
	renamed := replacements(v, func(key string) bool { return given[key] })
	c := &Conversion{From: from, To: filepath.Join(filepath.Dir(from), confpatch.StandardName)}
	for _, e := range entries {
		key, note := e.Key, ""
		if rows := renamed[e.Key]; len(rows) > 0 && rows[0].now == "" && rows[0].gone {
			c.Lines = append(c.Lines, fmt.Sprintf("# %s (%s) is left out: Flink %s does not read it", e.Key, e.Source.Where, v.Release()))
			continue
		} else if len(rows) > 0 && rows[0].now != "" && !given[rows[0].now] {
			key, note = rows[0].now, ", there "+e.Key
		}
		value := r.Value(e.Key, e.Value.Reveal())
		if flinkconf.Hidden(key) {
			value = secret.Mask
		}
		if have, ok := base.Get(key); ok {
			note += fmt.Sprintf(", instead of %s", have.Source.Where)
		}
		c.Lines = append(c.Lines, "# "+e.Source.Where+note)
		c.Lines = append(c.Lines, standardLine(v, key, value))
	}
	return c
}

// standardLine returns "key: value" as config.yaml needs it quoted.
func standardLine(v flinkversion.Version, key, value string) string {
	empty, err := confpatch.Parse(confpatch.StandardName, confpatch.Standard, v, nil)
	if err == nil {
		var text []byte
		if text, err = empty.Render([]confpatch.Change{{Key: key, Value: secret.Public(value)}}, ""); err == nil {
			for _, line := range strings.Split(string(text), "\n") {
				if line != "" && line[0] != '#' {
					return line
				}
			}
		}
	}
	return "# " + key + " cannot be written" // no key or value that flink-conf.yaml can hold leads here
}
