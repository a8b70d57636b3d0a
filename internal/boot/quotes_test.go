package boot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/redact"
)

// TestQuotesAroundJavaOptions: with quotes around the whole value, as in some twenty public compose files, all options were one
// argument, which Java drops without a word. Wherever the value comes from, one pair is the author's habit from YAML.
func TestQuotesAroundJavaOptions(t *testing.T) {
	const double, single = `"-XX:+UseParallelGC -Dfoo=bar"`, `'-XX:+UseParallelGC -Dfoo=bar'`
	for _, version := range []string{"1.13.6", "1.15.4", "1.18.1", "1.20.5", "2.2.1"} {
		for _, quoted := range []string{double, single} {
			for _, from := range []string{"flink-conf.yaml", "config.yaml", "FLINK_PROPERTIES", "FLINK_PROPERTIES as YAML", "definition"} {
				for _, key := range []string{"env.java.opts.taskmanager", "env.java.opts", "env.java.default-opts.all"} {
					legacy := strings.HasPrefix(version, "1.")
					if from == "config.yaml" && version < "1.19" || from == "flink-conf.yaml" && version > "2" || strings.Contains(key, "default") && version < "1.19" {
						continue
					}
					t.Run(version+" "+from+" "+key+" "+quoted[:1], func(t *testing.T) {
						conf, line := map[string]string{"config.yaml": "a: 1\n"}, key+": "+quoted+"\n"
						if legacy {
							conf = map[string]string{"flink-conf.yaml": "a: 1\n"}
						}
						var properties, definition string
						switch from {
						case "flink-conf.yaml":
							conf = map[string]string{from: line}
						case "config.yaml":
							conf = map[string]string{from: key + ": " + yamlQuoted(quoted) + "\n"}
						case "FLINK_PROPERTIES":
							properties = "  " + line
						case "FLINK_PROPERTIES as YAML":
							properties = "---\n" + key + ": " + yamlQuoted(quoted)
						case "definition":
							definition = filepath.Join(t.TempDir(), "job.yaml")
							text := "apiVersion: flink-entrypoint/v1\nname: job\nconfiguration: {" + key + ": " + yamlQuoted(quoted) + "}\n"
							if err := os.WriteFile(definition, []byte(text), 0o600); err != nil {
								t.Fatal(err)
							}
						}
						home, env := stubHome(t, version, conf)
						plan, err := gather(t, home, "taskmanager", append(env, "FLINK_PROPERTIES="+properties), func(o *Options, _ *World) {
							o.Definition, o.MemoryLimit = definition, "2g"
						})
						if err != nil {
							t.Fatal(err)
						}
						if got := plan.Config.Effective.Text(key); got != quoted[1:len(quoted)-1] {
							t.Errorf("Flink reads %s", got)
						}
						if i := slices.Index(plan.Command.Argv, "-XX:+UseParallelGC"); i < 0 || plan.Command.Argv[i+1] != "-Dfoo=bar" {
							t.Errorf("command line %q", plan.Command.Argv)
						}
					})
				}
			}
		}
	}
}

// yamlQuoted quotes a value for YAML, so that its own quotes stay a part of it.
func yamlQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// TestOnlyOnePairOfQuotes: what is not one pair around the whole value is the shell's, as in Flink's scripts.
func TestOnlyOnePairOfQuotes(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  []string
	}{
		{`"-Da=1" "-Db=2"`, []string{"-Da=1", "-Db=2"}},
		{`'-Da=1' '-Db=2'`, []string{"-Da=1", "-Db=2"}},
		{`"-Da='x y' -Db=2"`, []string{"-Da=x y", "-Db=2"}},
		{`-Da="x y"`, []string{"-Da=x y"}},
		{`"-Da=\"x\" -Db=2"`, []string{`-Da="x"`, "-Db=2"}}, // as config.sh of 1.18 and `eval echo` make it
		{`""`, nil},
	} {
		for _, version := range []string{"1.15.4", "1.18.1", "1.20.5"} {
			home, env := stubHome(t, version, map[string]string{"flink-conf.yaml": "env.java.opts: " + tt.value + "\n"})
			plan, err := gather(t, home, "taskmanager", env, nil)
			if err != nil {
				t.Fatalf("%s on %s: %v", tt.value, version, err)
			}
			var got []string
			for _, a := range plan.Command.Options {
				if strings.HasPrefix(a, "-Da") || strings.HasPrefix(a, "-Db") {
					got = append(got, a)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s on %s: got %q, want %q", tt.value, version, got, tt.want)
			}
		}
	}
}

// TestErrorOfJavaOptionsCountsTheUsersText: the column counted the options that config.sh puts before the user's, and the line
// was one of the rendered file.
func TestErrorOfJavaOptionsCountsTheUsersText(t *testing.T) {
	home, env := stubHome(t, "1.20.5", map[string]string{"flink-conf.yaml": "# one\nenv.java.opts.all: -Dx=1\nenv.java.opts.taskmanager: -Dä=1 -Da=\"b\n"})
	const want = `Java options of env.java.opts.taskmanager (flink-conf.yaml:3): unbalanced " at character 11`
	if _, err := gather(t, home, "taskmanager", env, nil); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	home, env = stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine()})
	const properties = `Java options of env.java.opts.taskmanager (FLINK_PROPERTIES:2): unbalanced ' at character 1`
	if _, err := gather(t, home, "taskmanager", append(env, "FLINK_PROPERTIES=a: 1\nenv.java.opts.taskmanager: '-Da"), nil); err == nil || err.Error() != properties {
		t.Errorf("got %v, want %s", err, properties)
	}
	const variable = `Java options of FLINK_ENV_JAVA_OPTS_TM: unbalanced " at character 5`
	if _, err := gather(t, home, "taskmanager", append(env, `FLINK_ENV_JAVA_OPTS_TM=-Da="b`), nil); err == nil || err.Error() != variable {
		t.Errorf("got %v, want %s", err, variable)
	}
}

// TestQuotesInTheEnvironment: a list in a compose file keeps the quotes of FLINK_ENV_JAVA_OPTS="-Da=1 -Db=2".
func TestQuotesInTheEnvironment(t *testing.T) {
	for _, version := range []string{"1.15.4", "1.20.5", "2.2.1"} {
		for _, name := range []string{"FLINK_ENV_JAVA_OPTS", "FLINK_ENV_JAVA_OPTS_TM"} {
			home, env := stubHome(t, version, map[string]string{"config.yaml": moduleLine(), "flink-conf.yaml": moduleLine()})
			plan, err := gather(t, home, "taskmanager", append(env, name+`="-Da=1 -Db=2"`), nil)
			if err != nil {
				t.Fatal(err)
			}
			if i := slices.Index(plan.Command.Options, "-Da=1"); i < 0 || plan.Command.Options[i+1] != "-Db=2" {
				t.Errorf("%s on %s: %q", name, version, plan.Command.Options)
			}
		}
	}
}

// TestSecretsInQuotedJavaOptions: the quotes around the whole value made the rest of the options a part of the secret, and the secret
// alone was not known. env.java.default-opts were not looked at.
func TestSecretsInQuotedJavaOptions(t *testing.T) {
	for _, key := range []string{"env.java.opts.taskmanager", "env.java.default-opts.taskmanager"} {
		home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine()})
		r := new(redact.Redactor)
		plan, err := gather(t, home, "taskmanager", append(env, "FLINK_PROPERTIES="+key+`: "-Da=1 -Dx.password=canary-12 -Db=1"`), func(_ *Options, w *World) { w.Redactor = r })
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Redact("found canary-12 there"); strings.Contains(got, "canary-12") || !plan.Config.Secret {
			t.Errorf("%s: %s, private file: %v", key, got, plan.Config.Secret)
		}
	}
}
