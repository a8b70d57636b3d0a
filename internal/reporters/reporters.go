// Package reporters configures the metric reporters of a Flink process: an endpoint for Prometheus, and OTLP.
//
// A [Wanted] comes from the definition's metrics and from flags. [Wanted.Configure] turns it into metrics.reporter.* keys of the
// Flink version; [In] reads from a configuration which reporters Flink will start, ours and the user's.
//
// Facts, by running 1.13 to 2.3 (test/metrics): every reporter of a release is a plugin and is named by factory.class since before
// 1.13; scope.variables.additional came with 1.15 (FLINK-17495), the OpenTelemetry reporter with 2.0 (FLIP-385; Flink's build has the
// module flink-metrics-otel from 2.0.0 on, and not in 1.20.5), OTLP over HTTP with 2.2 (FLINK-38154).
package reporters

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/settings"
)

// DefaultPorts is where the endpoint for Prometheus is unless a port was given. In a container of its own every process gets the
// first port; processes that share a host take the next ones.
const DefaultPorts = "9249-9259"

// LabelJob is the label with the name of the job. Flink's own, job_name, is on metrics of jobs only, and cannot be added to the others: where a
// metric has a variable already, Flink takes no additional one of the same name and drops the metric (1.18 and others, run).
const LabelJob = "flink_job"

// A Wanted is the reporters that were asked for.
type Wanted struct {
	prometheus string // ports; "": none
	otlp       secret.Text
	interval   string // of OTLP; "": Flink's
	labels     []label

	from origins
	jars []string // that the configured reporters are in
}

// origins say where each part was asked for.
type origins struct{ prometheus, otlp flinkconf.Source }

type label struct {
	name, value string
	source      flinkconf.Source
}

// kinds are the two reporters. name is the reporter's name in the keys.
func kinds() (prometheus, otlp kind) {
	return kind{"prometheus", "org.apache.flink.metrics.prometheus.PrometheusReporterFactory", "flink-metrics-prometheus"},
		kind{"otlp", "org.apache.flink.metrics.otel.OpenTelemetryMetricReporterFactory", "flink-metrics-otel"}
}

type kind struct{ name, factory, jar string }

// is reports whether a class is this reporter: its factory, or the reporter itself as older configurations have it.
func (k kind) is(class string) bool {
	class = strings.TrimSpace(class)
	return class == k.factory || class == strings.TrimSuffix(k.factory, "Factory")
}

func (k kind) key(option string) string { return "metrics.reporter." + k.name + "." + option }

// rules are what a release's reporters can do.
type rules struct {
	labels   bool // scope.variables.additional
	otlp     bool // there is an OpenTelemetry reporter
	otlpHTTP bool // and it speaks HTTP
}

func history() []flinkversion.Change[rules] {
	return []flinkversion.Change[rules]{
		flinkversion.From(1, 15, func(r *rules) { r.labels = true }),  // FLINK-17495
		flinkversion.From(2, 0, func(r *rules) { r.otlp = true }),     // FLIP-385
		flinkversion.From(2, 2, func(r *rules) { r.otlpHTTP = true }), // FLINK-38154
	}
}

// Define adds what a definition asks for. jobName is the label [LabelJob], "" for a session cluster. m may be nil.
func (w *Wanted) Define(m *jobdef.Metrics, jobName string, resolve func(jobdef.Text) (secret.Text, error)) error {
	source := func(field string) flinkconf.Source {
		return flinkconf.Source{Layer: flinkconf.Definition, Where: "job definition " + field}
	}
	if jobName != "" {
		w.label(LabelJob, jobName, source("name"))
	}
	if m == nil {
		return nil
	}
	if p := m.Prometheus; p != nil {
		ports, err := resolve(p.Port)
		if err != nil {
			return err
		}
		w.prometheus, w.from.prometheus = cmp.Or(ports.Reveal(), DefaultPorts), source("metrics.prometheus")
	}
	if o := m.OTLP; o != nil {
		var err error
		if w.otlp, err = resolve(o.URL); err != nil {
			return err
		}
		interval, err := resolve(o.Interval)
		if err != nil {
			return err
		}
		w.interval, w.from.otlp = interval.Reveal(), source("metrics.otlp")
	}
	for _, s := range m.Labels {
		value, err := resolve(s.Value)
		if err != nil {
			return err
		}
		w.label(s.Key, value.Reveal(), source("metrics.labels"))
	}
	return nil
}

// label sets a label.
func (w *Wanted) label(name, value string, source flinkconf.Source) {
	w.labels = slices.DeleteFunc(w.labels, func(l label) bool { return l.name == name })
	w.labels = append(w.labels, label{name, value, source})
}

// Flag is the flag that asks for reporters.
const Flag = "--metrics"

// Flag overrides what the definition asks for by the value of the flag, a list of its fields: prometheus, prometheus=PORTS,
// otlp=URL, labels.NAME=VALUE; off in place of a value, or as an item of its own, switches off.
func (w *Wanted) Flag(list string) error {
	source := flinkconf.Source{Layer: flinkconf.Flag, Where: Flag}
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		field, value, valued := strings.Cut(item, "=")
		name, isLabel := strings.CutPrefix(field, "labels.")
		first, last, ports := jobdef.Ports(value)
		expected := ""
		switch {
		case item == "off":
			w.prometheus, w.otlp = "", secret.Text{}
		case field == "prometheus" && value == "off":
			w.prometheus = ""
		case field == "prometheus" && (!valued || ports && first <= last):
			w.prometheus, w.from.prometheus = cmp.Or(value, w.prometheus, DefaultPorts), source
		case field == "prometheus":
			expected = "prometheus, prometheus=off, or prometheus= and a port or a range of ports such as 9249-9259"
		case field == "otlp" && value == "off":
			w.otlp = secret.Text{}
		case field == "otlp" && jobdef.IsHTTP(value):
			w.otlp, w.from.otlp = secret.Public(value), source
		case field == "otlp": // what was found may be a password
			return phase.Fail(phase.Usage, errors.New(Flag+": otlp: expected otlp=off, or otlp= and an http or https URL without a user and password"), "")
		case isLabel && jobdef.LabelProblem(name) != "":
			return phase.Fail(phase.Usage, fmt.Errorf("%s: labels: %s", Flag, jobdef.LabelProblem(name)), "")
		case isLabel && strings.TrimSpace(value) != "":
			w.label(name, value, source)
		default:
			expected = "off, prometheus, prometheus=PORTS, otlp=URL or labels.NAME=VALUE"
		}
		if expected != "" {
			return phase.Fail(phase.Usage, fmt.Errorf("%s: found %q, expected %s", Flag, item, expected), "")
		}
	}
	return nil
}

// Configure sets the keys of the reporters. Everything is by the layers of the configuration: what the definition's configuration or
// a stronger layer says of a reporter's key wins. A reporter of the same class that the user configured under another name stays the
// only one: two would report everything twice, and one port serves one of them. arguments: of the role.
func (w *Wanted) Configure(v flinkversion.Version, conf *settings.Layers, arguments []string) error {
	can := flinkversion.RulesOf(v, history())
	above, err := flinkconf.ApplyDynamicArgs(conf.Want, arguments, v)
	if err != nil {
		return phase.Fail(phase.Configuration, err, "")
	}
	prometheus, otlp := kinds()
	if w.prometheus != "" {
		// A number or a boolean of a config.yaml does not reach a reporter of Flink 1.19 and 1.20, which takes its default then. So one port is
		// written as a list, and false as a text that is not a boolean for YAML 1.2 but is for Java.
		port := w.prometheus
		if !strings.Contains(port, "-") {
			port += ","
		}
		// Without the second, '_' takes the place of each character of a label's value but letters, digits, ':' and '_': clicks_per_minute,
		// 10_0_0_7.
		ports := []option{{"port", secret.Public(port)}, {"filterLabelValueCharacters", secret.Public("no")}}
		if err := w.set(prometheus, w.from.prometheus, ports, conf, above, can); err != nil {
			return err
		}
	}
	if w.otlp.IsEmpty() {
		return nil
	}
	address, err := url.Parse(w.otlp.Reveal())
	overHTTP := err == nil && strings.Trim(address.Path, "/") != ""
	switch where := w.from.otlp.Where; {
	case !can.otlp:
		return phase.Fail(phase.Configuration, fmt.Errorf("%s: Flink %s has no OpenTelemetry reporter: expected 2.0 or later", where, v), "use metrics.prometheus with this version")
	case overHTTP && !can.otlpHTTP:
		return phase.Fail(phase.Configuration, fmt.Errorf("%s: the URL has a path, so it is for OTLP over HTTP, which Flink %s does not speak: expected 2.2 or later", where, v),
			"give the receiver's address for gRPC, without a path, e.g. http://collector:4317")
	}
	options := []option{{"exporter.endpoint", w.otlp}}
	if can.otlpHTTP {
		protocol := "gRPC"
		if overHTTP {
			protocol = "HTTP"
		}
		options = append(options, option{"exporter.protocol", secret.Public(protocol)})
	}
	if w.interval != "" {
		options = append(options, option{"interval", secret.Public(w.interval)})
	}
	name := "flink" // without one, a receiver shows "unknown_service:java"
	for _, l := range w.labels {
		if l.name == LabelJob {
			name = l.value
		}
	}
	return w.set(otlp, w.from.otlp, append(options, option{"service.name", secret.Public(name)}), conf, above, can)
}

// Jars returns the start of the name of each jar that the configured reporters are in.
func (w *Wanted) Jars() []string { return w.jars }

type option struct {
	name  string
	value secret.Text
}

// set configures one reporter.
func (w *Wanted) set(k kind, source flinkconf.Source, options []option, conf *settings.Layers, above *flinkconf.Conf, can rules) error {
	for _, r := range In(above) {
		switch {
		case r.Name == k.name && !k.is(r.Class):
			return phase.Fail(phase.Configuration, fmt.Errorf("%s: the configuration has a reporter %q of another class, %s, from %s", source.Where, r.Name, r.Class, r.Source),
				"give that reporter another name, or leave "+strings.TrimPrefix(source.Where, "job definition ")+" out")
		case r.Name != k.name && k.is(r.Class) && r.Started:
			conf.Warn("%s has no effect: the reporter %q of %s does the same, and stays as it is; remove the metrics.reporter.%s keys to let this program configure it", source.Where, r.Name, r.Source, r.Name)
			return nil
		}
	}
	options = append([]option{{"factory.class", secret.Public(k.factory)}}, options...)
	if len(w.labels) > 0 {
		if can.labels {
			options = append(options, option{"scope.variables.additional", secret.Public(w.variables())})
		} else if slices.ContainsFunc(w.labels, func(l label) bool { return l.name != LabelJob }) {
			conf.Warn("%s: this version of Flink adds no labels of its own to metrics (it does from 1.15 on): %s have no effect; let Prometheus add them when it scrapes", source.Where, w.names())
		}
	}
	for _, o := range options {
		key := k.key(o.name)
		if have, ok := conf.Want.Get(key); ok && have.Source.Layer == flinkconf.Definition && source.Layer == flinkconf.Definition {
			continue // its configuration names the key itself
		}
		conf.SetEntry(flinkconf.Entry{Key: key, Value: o.value, Source: source})
	}
	w.jars = append(w.jars, k.jar)
	// Where this list is set, Flink starts no other reporter.
	if listed, set := list(above); set && !slices.Contains(listed, k.name) {
		if e, _ := above.Get("metrics.reporters"); e.Source.Layer == flinkconf.DynamicProperty {
			conf.Warn("%s has no effect: -D metrics.reporters does not list %q", source.Where, k.name)
			return nil
		}
		conf.Extend("metrics.reporters", k.name, ",", "[]", source.Where)
	}
	return nil
}

// names lists the labels for messages.
func (w *Wanted) names() string {
	names := make([]string, len(w.labels))
	for i, l := range w.labels {
		names[i] = l.name
	}
	return strings.Join(names, ", ")
}

// variables writes the labels as a map of Flink's configuration (ConfigurationUtils.convertToString): with quotes around what its
// reader would split.
func (w *Wanted) variables() string {
	quoted := func(s, special string) string {
		if strings.ContainsAny(s, special+`'"`) {
			return "'" + strings.ReplaceAll(s, "'", "''") + "'"
		}
		return s
	}
	pairs := make([]string, len(w.labels))
	for i, l := range w.labels {
		pairs[i] = quoted(l.name+":"+quoted(l.value, ":"), ",")
	}
	return strings.Join(pairs, ",")
}
