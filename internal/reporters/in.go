package reporters

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
)

// A Reporter is one that a configuration names.
type Reporter struct {
	Name    string
	Class   string // its factory, or the reporter's own class
	Port    string // of an endpoint; "" without one
	URL     string // where it sends; "" if it does not, masked if it is secret
	Labels  string // as the configuration has them
	Source  string // where its class is from
	Started bool   // metrics.reporters does not leave it out
}

// In returns the reporters that a configuration names, sorted by name.
func In(conf *flinkconf.Conf) []Reporter {
	const prefix = "metrics.reporter."
	listed, set := list(conf)
	var found []Reporter
	for e := range conf.All() {
		rest, ok := strings.CutPrefix(e.Key, prefix)
		if !ok {
			continue
		}
		name, option, _ := strings.Cut(rest, ".")
		if option != "factory.class" && (option != "class" || conf.Has(prefix+name+".factory.class")) {
			continue
		}
		text := func(option string) string {
			v, _ := conf.Get(prefix + name + "." + option)
			return v.Value.String()
		}
		url := text("exporter.endpoint")
		if url == "" {
			url = text("hostUrl")
		}
		found = append(found, Reporter{Name: name, Class: e.Value.String(), Port: strings.TrimSuffix(text("port"), ","), URL: url, Labels: text("scope.variables.additional"),
			Source: e.Source.Where, Started: !set || slices.Contains(listed, name)})
	}
	slices.SortFunc(found, func(a, b Reporter) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// list returns the names in metrics.reporters, and whether it is set: then Flink starts only these.
func list(conf *flinkconf.Conf) (names []string, set bool) {
	text := strings.Trim(strings.TrimSpace(conf.Text("metrics.reporters")), "[]")
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names, len(names) > 0
}
