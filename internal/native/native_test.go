package native

import (
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/settings"
)

// TestApply: what the controller wrote wins, unless it is for the definition's own job.
func TestApply(t *testing.T) {
	script := Job{Field: "sql.script", Class: "Runner", Jar: "/run/r.jar", Arguments: []string{"run", "a;b"}, Fixed: true}
	for _, tt := range []struct {
		name     string
		file     string // KEY=VALUE, between blanks
		job      Job
		version  flinkversion.Version
		want     string // the keys that are not as in the file, or one warning's start
		warnings string
	}{
		{"nothing", "", Job{}, flinkversion.Of(2, 2, 0), "", ""},
		{"script", "", script, flinkversion.Of(2, 2, 0), "main=Runner program-args=run;'a;b' jars=local:///run/r.jar", ""},
		{"its class is there already", keyMain + "=Runner", script, flinkversion.Of(2, 2, 0), "program-args=run;'a;b' jars=local:///run/r.jar", ""},
		{"its class with other arguments", keyMain + "=Runner " + keyArguments + "=x", script, flinkversion.Of(2, 2, 0), "program-args=run;'a;b' jars=local:///run/r.jar", keyArguments + " (file) has no effect"},
		{"another class", keyMain + "=Other", script, flinkversion.Of(2, 2, 0), "", "sql.script of the definition has no effect: the controller runs the class Other"},
		{"another jar", keyJars + "=local:///x.jar", script, flinkversion.Of(2, 2, 0), "", "sql.script of the definition has no effect: the controller has set pipeline.jars"},
		{"its own jar, as clients write it", keyMain + "=Runner " + keyJars + "=['local:///run/r.jar']", script, flinkversion.Of(2, 2, 0), "program-args=run;'a;b'", ""},
		{"its own jar, between semicolons", keyMain + "=Runner " + keyJars + "='local:///run/r.jar'", script, flinkversion.Of(1, 18, 0), "program-args=run;'a;b'", ""},
		{"its own jar and another", keyJars + "=local:///run/r.jar;local:///x.jar", script, flinkversion.Of(1, 18, 0), "", "sql.script of the definition has no effect: the controller has set pipeline.jars"},
		{"a jar with the controller's class", keyMain + "=Other", Job{Field: "jar", Jar: "/j.jar"}, flinkversion.Of(2, 2, 0), "jars=local:///j.jar", ""},
		{"a jar with the controller's arguments", keyArguments + "=x", Job{Field: "jar", Jar: "/j.jar", Arguments: []string{"y"}}, flinkversion.Of(2, 2, 0), "jars=local:///j.jar", "jar.args of the definition has no effect"},
		{"a jar without the controller's arguments", keyArguments + "=[]", Job{Field: "jar", Jar: "/j.jar", Arguments: []string{"y"}}, flinkversion.Of(1, 20, 0), "program-args=y jars=local:///j.jar", ""},
		{"a jar with none in the old file", keyArguments + "=", Job{Field: "jar", Jar: "/j.jar", Arguments: []string{"y"}}, flinkversion.Of(1, 18, 0), "program-args=y jars=local:///j.jar", ""},
		{"a script without the controller's arguments", keyMain + "=Runner " + keyArguments + "=[]", script, flinkversion.Of(1, 20, 0), "program-args=run;'a;b' jars=local:///run/r.jar", ""},
		{"savepoint", "", Job{Savepoint: "/s", AllowNonRestoredState: true}, flinkversion.Of(1, 19, 0), "savepoint.ignore-unclaimed-state=true savepoint.path=/s", ""},
		{"savepoint from 1.20 on", "", Job{Savepoint: "/s", AllowNonRestoredState: true}, flinkversion.Of(1, 20, 0), "state-recovery.ignore-unclaimed-state=true state-recovery.path=/s", ""},
		{"the operator's savepoint", keySavepoint + "=/o", Job{Savepoint: "/s", AllowNonRestoredState: true}, flinkversion.Of(2, 2, 0), "", "savepoint.path of the definition has no effect: the controller has set execution.savepoint.path"},
		{"job id", "", Job{ID: "f"}, flinkversion.Of(2, 2, 0), "pipeline.job-id=f", ""},
		{"the controller's job id", keyJobID + "=e", Job{ID: "f"}, flinkversion.Of(2, 2, 0), "", "id of the definition has no effect: the controller has set " + keyJobID},
	} {
		base := new(flinkconf.Conf)
		for _, entry := range strings.Fields(tt.file) {
			key, value, _ := strings.Cut(entry, "=")
			base.SetString(key, value, flinkconf.Source{Layer: flinkconf.BaseFile, Where: "file"})
		}
		conf := settings.New(base)
		var warnings []string
		tt.job.Apply(conf, tt.version, func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) })
		var changed []string
		for _, c := range conf.Diff() {
			key := strings.TrimPrefix(strings.TrimPrefix(c.Key, "$internal.application."), "$internal.")
			key = strings.TrimPrefix(strings.TrimPrefix(key, "execution."), "pipeline.")
			if strings.HasPrefix(c.Key, "$internal.pipeline.") {
				key = "pipeline." + key
			}
			changed = append(changed, key+"="+c.New.Reveal())
		}
		if got := strings.Join(changed, " "); got != tt.want {
			t.Errorf("%s: changed %s, want %s", tt.name, got, tt.want)
		}
		if got := strings.Join(warnings, "\n"); !strings.HasPrefix(got, tt.warnings) || tt.warnings == "" && got != "" {
			t.Errorf("%s: warnings %q, want %q", tt.name, got, tt.warnings)
		}
	}
}
