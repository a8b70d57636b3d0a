package reporters

import (
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/settings"
)

// configured is what a definition's metrics make of a configuration.
func configured(t *testing.T, version, metrics, flag string, base *flinkconf.Conf, arguments ...string) (*settings.Layers, error) {
	t.Helper()
	def, err := jobdef.Decode("d", []byte("apiVersion: flink-entrypoint/v1\nname: a\nmetrics: "+metrics))
	if err != nil {
		t.Fatal(err)
	}
	v, err := flinkversion.Parse(version)
	if err != nil {
		t.Fatal(err)
	}
	conf := settings.New(base)
	var w Wanted
	if err := w.Define(def.Metrics, "clicks", func(x jobdef.Text) (secret.Text, error) { return x.Resolve(jobdef.Resolver{}) }); err != nil {
		t.Fatal(err)
	}
	if err := w.Flag(flag); err != nil {
		return nil, err
	}
	return conf, w.Configure(v, conf, arguments)
}

// TestVersions: what each release gets.
func TestVersions(t *testing.T) {
	for _, version := range []string{"1.13.6", "1.14.6", "1.15.4", "1.16.3", "1.17.2", "1.18.1", "1.19.3", "1.20.5", "2.0.1", "2.1.1", "2.2.1", "2.3.0"} {
		conf, err := configured(t, version, "{prometheus: true, labels: {team: web}}", "", nil)
		if err != nil {
			t.Errorf("%s: %v", version, err)
			continue
		}
		labels := conf.Want.Text("metrics.reporter.prometheus.scope.variables.additional")
		if old := version < "1.15"; old != (labels == "") || old != (len(conf.Warnings) == 1) || !old && labels != "flink_job:clicks,team:web" {
			t.Errorf("%s: labels %q, warnings %q", version, labels, conf.Warnings)
		}
		for key, want := range map[string]string{"factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory", "port": "9249-9259", "filterLabelValueCharacters": "no"} {
			if have := conf.Want.Text("metrics.reporter.prometheus." + key); have != want {
				t.Errorf("%s: %s is %q, want %q", version, key, have, want)
			}
		}
		_, grpc := configured(t, version, "{otlp: 'http://h:4317/'}", "", nil)
		_, overHTTP := configured(t, version, "{otlp: 'http://h:4318/v1/metrics'}", "", nil)
		if (grpc == nil) != (version >= "2") || (overHTTP == nil) != (version >= "2.2") {
			t.Errorf("%s: OTLP over gRPC: %v, over HTTP: %v", version, grpc, overHTTP)
		}
	}
}

// TestLabelsThatAreSplit: values in which Flink's reader of maps would find other pairs.
func TestLabelsThatAreSplit(t *testing.T) {
	for value, want := range map[string]string{
		"web":        "x:web",
		"a b-c/d":    "x:a b-c/d",
		"a:b":        "'x:''a:b'''",
		"a,b":        "'x:a,b'",
		"it's":       "'x:''it''''s'''",
		"a:b, 'c' d": "'x:''a:b, ''''c'''' d'''",
	} {
		w := Wanted{labels: []label{{name: "x", value: value}}}
		if have := w.variables(); have != want {
			t.Errorf("%s: %s, want %s", value, have, want)
		}
	}
}

// TestFlag: a field of the flag beats the field of the definition, and no other.
func TestFlag(t *testing.T) {
	const metrics = "{prometheus: {port: 9300}, otlp: 'http://h:4317', labels: {team: web, env: test}}"
	for flag, want := range map[string]string{
		"":                                "9300, http://h:4317 flink_job:clicks,team:web,env:test",
		"prometheus":                      "9300, http://h:4317 flink_job:clicks,team:web,env:test",
		"prometheus=off":                  " http://h:4317 ",
		"otlp=off, prometheus=9400-9410":  "9400-9410  flink_job:clicks,team:web,env:test",
		"otlp=https://x/m,labels.env=a:b": "9300, https://x/m flink_job:clicks,team:web,'env:''a:b'''",
		"off":                             "  ",
		"off,prometheus":                  "9249-9259  flink_job:clicks,team:web,env:test",
	} {
		conf, err := configured(t, "2.2.1", metrics, flag, nil)
		if err != nil {
			t.Errorf("%s: %v", flag, err)
			continue
		}
		text := func(key string) string { return conf.Want.Text("metrics.reporter." + key) }
		if have := text("prometheus.port") + " " + text("otlp.exporter.endpoint") + " " + text("prometheus.scope.variables.additional"); have != want {
			t.Errorf("%s: %q, want %q", flag, have, want)
		}
	}
	for _, flag := range []string{"on", "prometheus=", "prometheus=0", "prometheus=9300-9299", "otlp=h:4317", "otlp=http://u:hunter2@h", "labels.x", "labels.x= ", "labels.host=a", "labels.=a"} {
		if _, err := configured(t, "2.2.1", metrics, flag, nil); err == nil || !strings.HasPrefix(err.Error(), "--metrics: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

// TestBase: the definition beats the image's file, whose other keys of the reporter stay.
func TestBase(t *testing.T) {
	base := new(flinkconf.Conf)
	for key, value := range map[string]string{"factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory", "port": "1234", "filter.excludes": "*.currentInputWatermark"} {
		base.SetString("metrics.reporter.prometheus."+key, value, flinkconf.Source{Layer: flinkconf.BaseFile, Where: "config.yaml:1"})
	}
	base.SetString("metrics.reporters", "[jmx]", flinkconf.Source{Layer: flinkconf.BaseFile, Where: "config.yaml:9"})
	conf, err := configured(t, "2.2.1", "{prometheus: true}", "", base)
	if err != nil || len(conf.Warnings) > 0 {
		t.Fatal(err, conf.Warnings)
	}
	for key, want := range map[string]string{"reporter.prometheus.port": "9249-9259", "reporter.prometheus.filter.excludes": "*.currentInputWatermark", "reporters": "[jmx, prometheus]"} {
		if have := conf.Want.Text("metrics." + key); have != want {
			t.Errorf("metrics.%s is %q, want %q", key, have, want)
		}
	}
}

// TestIn: what Flink will start.
func TestIn(t *testing.T) {
	conf := new(flinkconf.Conf)
	for key, value := range map[string]string{"a.class": "old.Reporter", "b.factory.class": "B", "b.class": "ignored", "b.port": "1", "c.interval": "10 s", "d.factory.class": "D"} {
		conf.SetString("metrics.reporter."+key, value, flinkconf.Source{Where: key})
	}
	conf.SetString("metrics.reporters", "a, b", flinkconf.Source{})
	have := In(conf)
	want := []Reporter{{Name: "a", Class: "old.Reporter", Source: "a.class", Started: true}, {Name: "b", Class: "B", Port: "1", Source: "b.factory.class", Started: true}, {Name: "d", Class: "D", Source: "d.factory.class"}}
	if len(have) != len(want) {
		t.Fatalf("%+v", have)
	}
	for i := range want {
		if have[i] != want[i] {
			t.Errorf("%+v, want %+v", have[i], want[i])
		}
	}
}
