package flinkoptions

import (
	_ "embed"
	"fmt"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
)

//go:embed deprecated.txt
var deprecatedTable string

// deprecation is one row of the table, as it applies to one version.
type deprecation struct {
	key   string
	since string // "1.17"; "1.13" stands for that version or an earlier one
	gone  bool   // this version does not read the key any more
	now   string // the key to use instead, "" without one
}

// deprecations yields the rows of the wanted keys that apply to v: of a key whose replacement changed, the one of that
// version. Asking first keeps the start from reading hundreds of versions for keys that are not set.
func deprecations(v flinkversion.Version, wanted func(key string) bool, yield func(deprecation)) {
	for rest := deprecatedTable; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		var f [4]string
		for i := range f {
			f[i], line, _ = strings.Cut(line, " ")
			if i == 0 && !wanted(f[0]) {
				break
			}
		}
		if f[1] == "" {
			continue
		}
		since, err := flinkversion.ParseRelease(f[1])
		if err != nil || !v.Reaches(since) {
			continue
		}
		d := deprecation{key: f[0], since: f[1], now: f[3]}
		if gone, err := flinkversion.ParseRelease(f[2]); err == nil {
			d.gone = v.Reaches(gone)
		}
		if d.now == "-" {
			d.now = ""
		}
		yield(d)
	}
}

// replacements maps each given-up key that has returns true for to its rows: those that Flink still reads, else those
// that say under which name it was read last.
func replacements(v flinkversion.Version, has func(key string) bool) map[string][]deprecation {
	found := map[string][]deprecation{}
	deprecations(v, has, func(d deprecation) {
		have := found[d.key]
		switch {
		case len(have) > 0 && have[0].gone && !d.gone:
			have = nil
		case len(have) > 0 && !have[0].gone && d.gone:
			return
		}
		found[d.key] = append(have, d)
	})
	return found
}

// DeprecatedKeys returns warnings about keys that the user set and that Flink reads under another name, or not at all. What we
// set ourselves, e.g. a port under the name that all versions read, is not the user's concern.
func DeprecatedKeys(v flinkversion.Version, conf *flinkconf.Conf) (warnings []string) {
	found := replacements(v, conf.Has)
	for _, key := range conf.Keys() {
		rows := found[key]
		e, _ := conf.Get(key)
		if len(rows) == 0 || e.Source.Layer == flinkconf.Automatic || e.Source.Layer == flinkconf.ImageEnvironment || e.Source.Layer == flinkconf.Flag {
			continue
		}
		warnings = append(warnings, deprecationText(e, rows, v, conf))
	}
	return warnings
}

func deprecationText(e flinkconf.Entry, rows []deprecation, v flinkversion.Version, conf *flinkconf.Conf) string {
	var names, set []string
	for _, d := range rows {
		if d.now == "" {
			continue
		}
		names = append(names, d.now)
		if conf.Has(d.now) {
			set = append(set, d.now)
		}
	}
	use := ""
	if len(names) > 0 {
		use = "; use " + strings.Join(names, " and ")
	}
	switch {
	case rows[0].gone:
		return fmt.Sprintf("%s (%s) is not read by Flink %s any more%s", e.Key, e.Source.Where, v.Release(), use)
	case len(set) > 0 && len(set) == len(names):
		return fmt.Sprintf("%s (%s) is ignored: %s, its new name, is set too", e.Key, e.Source.Where, strings.Join(set, " and "))
	case rows[0].since == "1.13":
		return fmt.Sprintf("%s (%s) is deprecated%s", e.Key, e.Source.Where, use)
	}
	return fmt.Sprintf("%s (%s) is deprecated since Flink %s%s", e.Key, e.Source.Where, rows[0].since, use)
}
