package canary

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// logs are the ways to log that show most.
var logs = [][]string{{"--log-level", "debug"}, {"--log-level", "debug", "--log-format", "json"}}

func join(parts ...[]string) []string { return slices.Concat(parts...) }

func (w *machine) flagsFor(log []string) []string {
	return join(w.flags, log, []string{"--definition", w.definition("/jobs/ok")})
}

func TestNothingIsShownWhereAllIsWell(t *testing.T) {
	w := newMachine(t)
	for _, log := range logs {
		flags := w.flagsFor(log)
		for _, role := range []string{"standalone-job", "taskmanager", "history-server", "sql-gateway"} {
			for _, output := range []string{"text", "json", "html"} {
				t.Run("explain "+role+" "+output+" "+strings.Join(log, " "), func(t *testing.T) {
					w.t = t
					o := w.run(join(flags, []string{"--output", output, "explain", role}, w.args)...)
					if o.code != 0 || !strings.Contains(o.stdout, "******") {
						t.Errorf("exit code %d, want 0 and a plan with masked values\n%s%s", o.code, o.stdout, o.stderr)
					}
					if _, err := os.Stat(w.runDir()); err == nil {
						t.Error("explain has written")
					}
					w.check(o)
				})
			}
		}
		for name, words := range map[string][]string{
			"validate text": {"validate"}, "validate json": {"--output", "json", "validate"}, "schema": {"schema"}, "version": {"version"}, "help": {"help"},
			"debug": {"debug", "--show", w.definition("/jobs/ok")}, "debug of a real table": {"debug", "--show", "--keep", "s", w.definition("/jobs/ok")},
			"help of a command": {"help", "explain"}, "--help": {"--help"},
		} {
			t.Run(name+" "+strings.Join(log, " "), func(t *testing.T) {
				w.t = t
				o := w.run(join(flags, words)...)
				if o.code != 0 {
					t.Errorf("exit code %d, want 0\n%s%s", o.code, o.stdout, o.stderr)
				}
				w.check(o)
			})
		}
	}
	for _, log := range logs {
		flags := w.flagsFor(log)
		for _, words := range [][]string{{"standalone-job"}, {"taskmanager"}, {"render", "standalone-job"}, {"history-server"}, {"sql-gateway"}, {"explain", "standalone-job"}} {
			t.Run("prepare "+strings.Join(words, " ")+" "+strings.Join(log, " "), func(t *testing.T) {
				w.t = t
				o := w.run(join(flags, []string{"--memory-limit", "2g"}, words, w.args)...)
				if o.code != 0 || (len(words) == 1) != (o.argv != nil) {
					t.Errorf("exit code %d, command line %q\n%s%s", o.code, o.argv, o.stdout, o.stderr)
				}
				w.check(o)
				if len(words) == 1 && words[0] != "history-server" && words[0] != "sql-gateway" && !strings.Contains(o.stderr, "the command line of the process holds the value of definition.password") {
					t.Errorf("no warning of the password in env.java.opts\n%s", o.stderr)
				}
				if len(words) == 1 && !strings.Contains(o.environment["FLINK_INHERITED_LOGS"], "s3.secret-key: ******") {
					t.Errorf("FLINK_INHERITED_LOGS lacks the masked summary: %s", o.environment["FLINK_INHERITED_LOGS"])
				}
			})
		}
		t.Run("pass-through "+strings.Join(log, " "), func(t *testing.T) {
			w.t = t
			o := w.run(join(flags, []string{"dump", "word"})...)
			if o.code != 0 || !slices.Equal(o.argv, []string{"word"}) {
				t.Errorf("exit code %d, command line %q\n%s%s", o.code, o.argv, o.stdout, o.stderr)
			}
			w.check(o)
		})
	}
	w.t = t
	w.run(join(w.flagsFor(nil), []string{"standalone-job"})...)
	secretFiles(t, w)
}

// secretFiles makes sure that the search has searched something: the files that need the secrets do hold them.
func secretFiles(t *testing.T, w *machine) {
	t.Helper()
	for file, names := range map[string][]string{
		"conf/config.yaml": {"definition-sensitive", "configuration-file", "configuration-variable", "configuration-list", "flink-properties", "base-file", "ha-storage", "ha-quorum", "name"},
		"init.sql":         {"set-sensitive", "set-variable", "catalog-option", "catalog-file", "stored", "stored-reference"},
		"job.sql":          {"set-sensitive", "catalog-file", "stored-reference", "script"},
	} {
		content, err := os.ReadFile(filepath.Join(w.runDir(), file))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range names {
			if w.canary(name).Found(string(content)) == "" {
				t.Errorf("%s lacks %s", file, name)
			}
		}
	}
}

// TestATaskManagerReadsNoSecretOfTheJob: what only the JobManager needs may be absent where TaskManagers run.
func TestATaskManagerReadsNoSecretOfTheJob(t *testing.T) {
	w := newMachine(t)
	for _, name := range []string{"catalog-file", "stored"} {
		if err := os.Remove(filepath.Join(w.dir, "secrets", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"SECRET_SET_VARIABLE", "SECRET_NAME"} {
		delete(w.env, name)
	}
	flags := w.flagsFor(logs[0])
	if o := w.run(join(flags, []string{"taskmanager"})...); o.code != 0 || o.argv == nil {
		t.Errorf("a TaskManager ended with %d\n%s", o.code, o.stderr)
	}
	if o := w.run(join(flags, []string{"validate"})...); o.code != 0 {
		t.Errorf("validate ended with %d: it needs no secret\n%s", o.code, o.stderr)
	}
	o := w.run(join(flags, []string{"standalone-job"})...)
	if o.code == 0 || o.argv != nil || !strings.Contains(o.stderr, "SECRET_NAME") {
		t.Errorf("a JobManager ended with %d, want a failure that names what is missing\n%s", o.code, o.stderr)
	}
	w.check(o)
}

// failure is one way to fail with secrets around.
type failure struct {
	name  string
	code  int
	setup func(w *machine)
	words []string // the role, unless it is standalone-job
}

func set(m any, value any, path ...string) {
	o := m.(map[string]any)
	for _, p := range path[:len(path)-1] {
		o = o[p].(map[string]any)
	}
	o[path[len(path)-1]] = value
}

func (w *machine) script(text string) { set(w.document, text, "sql", "script") }

func (w *machine) raw(document string) {
	w.write("raw/definition.yaml", document, 0o644)
	w.flags = append(w.flags, "--definition", w.definition("/raw/definition.yaml"))
}

// legacy makes the home one of Flink 1.20 with a flink-conf.yaml.
func (w *machine) legacy() {
	if err := os.Rename(filepath.Join(w.dir, "flink/lib/flink-dist-2.2.1.jar"), filepath.Join(w.dir, "flink/lib/flink-dist-1.20.5.jar")); err != nil {
		w.t.Fatal(err)
	}
	w.confName = "flink-conf.yaml"
}

func (w *machine) at(path string) { w.flags = append(w.flags, "--definition", w.definition(path)) }

func failures() []failure {
	plant := func(w *machine) string { return w.canary("planted").Value }
	return []failure{
		{"definition 404", 21, func(w *machine) { w.at("/jobs/404") }, nil},
		{"definition 500", 21, func(w *machine) { w.at("/jobs/500") }, nil},
		{"definition is a page", 21, func(w *machine) { w.at("/jobs/html") }, nil},
		{"definition redirected", 21, func(w *machine) { w.at("/jobs/redirect") }, nil},
		{"definition cut", 21, func(w *machine) { w.at("/jobs/cut") }, nil},
		{"definition refused", 21, func(w *machine) { w.service.Close(); w.at("/jobs/ok") }, nil},
		{"definition of another digest", 21, func(w *machine) { w.flags = append(w.flags, "--definition-sha256", strings.Repeat("0", 64)) }, nil},
		{"definition URL that cannot be parsed", 21, func(w *machine) { w.flags = append(w.flags, "--definition", "http://user:"+plant(w)+"@127.0.0.1:1/x") }, nil},
		{"definition of another scheme", 21, func(w *machine) {
			w.flags = append(w.flags, "--definition", "s3://user:"+plant(w)+"@bucket/x?token="+plant(w))
		}, nil},
		{"definition proxy", 21, func(w *machine) {
			w.env["HTTP_PROXY"] = "http://user:" + w.canary("proxy").pieces[0] + "@127.0.0.1:1"
			w.flags = append(w.flags, "--definition", "http://user:"+w.canary("planted").pieces[0]+"@example.invalid/x")
		}, nil},
		{"token file missing", 21, func(w *machine) { w.flags = append(w.flags, "--definition-token-file", filepath.Join(w.dir, "absent")) }, nil},
		{"token file with lines", 21, func(w *machine) {
			w.flags = append(w.flags, "--definition-token-file", w.write("secrets/token2", w.canary("token").Value+"\n"+w.canary("token").Value, 0o600))
		}, nil},
		{"header without a colon", 20, func(w *machine) { w.flags = append(w.flags, "--definition-header", plant(w)) }, nil},
		{"header with a line break", 20, func(w *machine) { w.flags = append(w.flags, "--definition-header", "X-A: "+plant(w)+"\nX: "+plant(w)) }, nil},
		{"header with a bad name", 20, func(w *machine) { w.flags = append(w.flags, "--definition-header", "X A: "+plant(w)) }, nil},
		{"misspelt flag", 20, func(w *machine) { w.flags = append(w.flags, "--definition-headr=X: "+plant(w)) }, nil},
		{"misspelt variable", 20, func(w *machine) {
			w.env["FLINK_ENTRYPOINT_DEFINITION_HEADR"] = "X: " + plant(w)
			w.flags = append(w.flags, "--strict")
		}, nil},
		{"client certificate", 21, func(w *machine) {
			pem := w.write("secrets/key", "-----BEGIN PRIVATE KEY-----\n"+plant(w)+"\n-----END PRIVATE KEY-----\n", 0o600)
			w.flags = append(w.flags, "--definition", strings.Replace(w.definition("/jobs/ok"), "http:", "https:", 1), "--definition-cert-file", pem, "--definition-key-file", pem)
		}, nil},

		{"definition no YAML", 22, func(w *machine) {
			w.raw("name: x\nconfiguration:\n  s3.secret-key: \"" + New("planted").Word() + "\n   b: [\n")
			plant(w)
		}, nil},
		{"definition no JSON", 22, func(w *machine) {
			w.raw(`{"apiVersion": "flink-entrypoint/v1", "configuration": {"s3.secret-key": ` + jsonQuoted(plant(w)) + ` oops}}`)
		}, nil},
		{"definition with an unknown field", 22, func(w *machine) { set(w.document, plant(w), "sql", "passwort") }, nil},
		{"definition with a list for a password", 22, func(w *machine) { set(w.document, []any{plant(w)}, "sql", "set", "my.password") }, nil},
		{"definition with a map for a password", 22, func(w *machine) {
			set(w.document, map[string]any{"fromFil": plant(w)}, "sql", "catalogs")
		}, nil},
		{"definition with a wrong reference", 22, func(w *machine) {
			set(w.document, map[string]any{"fromFile": 1, "secret": plant(w)}, "sql", "set", "my.password")
		}, nil},
		{"definition with a wrong number", 22, func(w *machine) {
			set(w.document, map[string]any{"taskManager": map[string]any{"slots": w.variable("slots")}}, "resources")
		}, []string{"taskmanager"}},
		{"definition with a wrong id", 22, func(w *machine) { set(w.document, w.file("id"), "id") }, nil},
		{"definition for another Flink", 22, func(w *machine) { set(w.document, w.file("version"), "flinkVersion") }, nil},
		{"definition pointer", 22, func(w *machine) { w.flags = append(w.flags, "--definition-pointer", "/sql/script") }, nil},
		{"job in a session cluster", 22, func(*machine) {}, []string{"jobmanager"}},
		{"reference in Java options", 22, func(w *machine) { set(w.document, w.file("java-opts-reference"), "configuration", "env.java.opts.all") }, nil},
		{"reference in arguments", 22, func(w *machine) {
			delete(w.document, "sql")
			set(w.document, map[string]any{"uri": w.artifact("artifact"), "entryClass": "A", "args": []any{w.file("argument")}}, "jar")
			w.document["artifacts"] = []any{}
		}, nil},
		{"reference to nothing", 25, func(w *machine) { set(w.document, map[string]any{"fromEnv": "NOT_SET"}, "configuration", "a.b") }, nil},

		{"limit", 23, func(w *machine) { w.flags = append(w.flags, "--memory-limit", "x") }, nil},
		{"memory", 24, func(w *machine) { w.flags = append(w.flags, "--memory-limit", "100m") }, nil},
		{"memory size from a reference", 24, func(w *machine) {
			set(w.document, w.file("memory-size"), "configuration", "taskmanager.memory.process.size")
		}, []string{"taskmanager"}},
		{"memory size in FLINK_PROPERTIES", 24, func(w *machine) { w.env["FLINK_PROPERTIES"] += "taskmanager.memory.managed.size: 100g\n" }, []string{"taskmanager"}},
		{"container size from a reference", 22, func(w *machine) {
			set(w.document, map[string]any{"taskManager": map[string]any{"memory": w.file("container-size")}}, "resources")
		}, []string{"taskmanager"}},

		{"base file", 25, func(w *machine) { w.conf += "fs.token: \"" + New("planted").Word() + "\nx: [\n"; plant(w) }, nil},
		{"base file, a list in a password", 25, func(w *machine) { w.conf += "a: b: " + plant(w) + "\n" }, nil},
		{"base file, the same key twice", 25, func(w *machine) {
			w.conf += "fs.token: " + jsonQuoted(plant(w)) + "\nfs.token: " + jsonQuoted(plant(w)) + "\n"
		}, nil},
		{"base file of 1.20", -1, func(w *machine) {
			w.legacy()
			w.conf += "fs.token " + plant(w) + "\nfs.token:" + plant(w) + "\n: " + plant(w) + "\n"
		}, nil},
		{"a value that the file of 1.20 cannot hold", 25, func(w *machine) {
			w.legacy()
			set(w.document, map[string]any{"fromFile": w.write("secrets/lines", plant(w)+"\n"+plant(w), 0o600)}, "configuration", "a.b")
		}, nil},
		{"FLINK_PROPERTIES of 1.20", -1, func(w *machine) {
			w.legacy()
			w.env["FLINK_PROPERTIES"] += "fs.token: " + plant(w) + " # " + plant(w) + "\n"
		}, nil},
		{"FLINK_PROPERTIES as YAML", 25, func(w *machine) { w.env["FLINK_PROPERTIES"] = "---\nfs.token: \"" + plant(w) + "\n  x: [\n" }, nil},
		{"FLINK_PROPERTIES without a colon", -1, func(w *machine) { w.env["FLINK_PROPERTIES"] += "fs.token " + plant(w) + "\n" }, nil},
		{"FLINK_PROPERTIES with an unset variable", 25, func(w *machine) { w.env["FLINK_PROPERTIES"] += "fs.token: ${NOT_SET}" + plant(w) + "\n" }, nil},
		{"unbalanced quote in Java options", 25, func(w *machine) {
			w.env["FLINK_PROPERTIES"] += "env.java.opts.jobmanager: -Dx.password='" + w.canary("planted").Word() + "' 'y\n"
		}, nil},
		{"dynamic property", -1, func(w *machine) { w.args = append(w.args, "-Dfs.token") }, nil},

		{"SQL", 26, func(w *machine) {
			w.script("CREATE TABLE s (n INT) WITH ('password'=" + sqlQuoted(plant(w)) + ");\nINSERT INTO 'x")
		}, nil},
		{"SQL, a select", 26, func(w *machine) { w.script("SELECT " + sqlQuoted(plant(w)) + " AS password;") }, nil},
		{"SQL from a reference", 26, func(w *machine) {
			set(w.document, map[string]any{"fromFile": w.write("secrets/script", "INSERT INTO t SELECT "+sqlQuoted(plant(w))+"; SELECT `x", 0o600)}, "sql", "script")
		}, nil},
		{"stored statement that is not a statement", 26, func(w *machine) {
			set(w.document, []any{map[string]any{"createStatement": "CREATE CATALOG b WITH ('type'='jdbc', 'password' " + sqlQuoted(plant(w)) + ")"}}, "sql", "catalogs")
		}, nil},
		{"stored statement from a reference that is not a statement", 26, func(w *machine) {
			set(w.document, []any{map[string]any{"createStatement": w.file("not-a-statement")}}, "sql", "catalogs")
		}, nil},
		{"two stored statements", 26, func(w *machine) {
			s := "CREATE CATALOG b WITH ('type'='jdbc', 'password'=" + sqlQuoted(plant(w)) + ")"
			set(w.document, []any{map[string]any{"createStatement": s + ";" + s}}, "sql", "catalogs")
		}, nil},
		{"catalog without a type", 22, func(w *machine) {
			set(w.document, []any{map[string]any{"name": "a", "options": map[string]any{"password": plant(w)}}}, "sql", "catalogs")
		}, nil},
		{"script missing", 21, func(w *machine) {
			delete(w.document["sql"].(map[string]any), "script")
			set(w.document, w.artifact("script-uri"), "sql", "scriptUri")
		}, nil},
		{"script missing, its URI a reference", 21, func(w *machine) {
			delete(w.document["sql"].(map[string]any), "script")
			set(w.document, map[string]any{"fromFile": w.write("secrets/script-uri", w.service.URL+"/"+w.canary("path").pieces[0]+"/x.sql", 0o600)}, "sql", "scriptUri")
		}, nil},

		{"artifact missing", 27, func(w *machine) { set(w.document, []any{map[string]any{"uri": w.artifact("missing")}}, "artifacts") }, nil},
		{"artifact missing, its URI a reference", 27, func(w *machine) {
			uri := strings.Replace(w.artifact("missing"), "/artifacts/", "/"+w.canary("path").pieces[0]+"/", 1)
			set(w.document, []any{map[string]any{"uri": map[string]any{"fromFile": w.write("secrets/uri", uri, 0o600)}}}, "artifacts")
		}, nil},
		{"artifact no zip", 27, func(w *machine) { set(w.document, []any{map[string]any{"uri": w.artifact("nozip")}}, "artifacts") }, nil},
		{"artifact of another scheme", 27, func(w *machine) {
			set(w.document, []any{map[string]any{"uri": "s3://user:" + url.QueryEscape(plant(w)) + "@bucket/a.jar?X-Amz-Signature=" + url.QueryEscape(plant(w))}}, "artifacts")
		}, nil},
		{"artifact URL that cannot be parsed", 27, func(w *machine) {
			set(w.document, []any{map[string]any{"uri": "http://user:" + plant(w) + "@127.0.0.1:1/a.jar"}}, "artifacts")
		}, nil},
		{"two artifacts of one name", -1, func(w *machine) {
			uri := w.artifact("artifact")
			set(w.document, []any{map[string]any{"uri": uri + "&a=1"}, map[string]any{"uri": uri + "&a=2"}}, "artifacts")
		}, nil},
		{"artifact of another digest", 27, func(w *machine) {
			set(w.document, []any{map[string]any{"uri": w.artifact("artifact"), "sha256": strings.Repeat("0", 64)}}, "artifacts")
		}, nil},

		{"no home", 28, func(w *machine) { w.env["FLINK_HOME"] = "/does/not/exist" }, nil},
		{"run dir a file", 29, func(w *machine) { w.write("run", "", 0o644) }, nil},
		{"configuration a directory", 29, func(w *machine) { w.write("run/conf/config.yaml/x", "", 0o644); _ = os.Chmod(w.runDir(), 0o700) }, nil},
		{"Java cannot be executed", 127, func(w *machine) { w.write("java/bin/java", "#!/does/not/exist\n", 0o755) }, nil},
		{"command not found", 127, func(*machine) {}, []string{"no-such-command"}},
	}
}

func TestNothingIsShownInFailures(t *testing.T) {
	for n, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel() // some wait for an answer
			for i, log := range logs {
				for j, mode := range [][]string{nil, {"--output", "json", "explain"}, {"--output", "json", "validate"}} {
					if i > 0 && mode != nil || testing.Short() && (i > 0 || j != n%3) { // each failure in one mode
						continue
					}
					w := newMachine(t)
					w.flags = w.flagsFor(log)
					if f.code == 21 || f.code == 27 || f.code < 0 { // what is fetched may never come
						w.flags = append(w.flags, "--fetch-timeout", "400ms")
					}
					f.setup(w)
					words := f.words
					if words == nil {
						words = []string{"standalone-job"}
					}
					args := w.args
					switch {
					case words[0] == "no-such-command" && mode != nil:
						continue
					case words[0] == "no-such-command":
						args = nil
					case mode != nil && mode[2] == "validate":
						words, args = nil, nil
					}
					o := w.run(join(w.flags, mode, words, args)...)
					w.check(o)
					if mode == nil {
						if f.code >= 0 && o.code != f.code {
							t.Errorf("exit code %d, want %d\n%s", o.code, f.code, o.stderr)
						}
						if o.code != 0 && (!strings.Contains(o.stderr, "error: ") || o.termination == "" || o.argv != nil) {
							t.Errorf("no error line, no termination message, or a start: %q %q\n%s", o.termination, o.argv, o.stderr)
						}
						if i := strings.LastIndex("\n"+o.stderr, "\nerror: "); i >= 0 {
							t.Logf("%d %s", o.code, o.stderr[i:])
						}
					}
				}
			}
		})
	}
}

// TestFileModes: what holds no secret stays readable for others.
func TestFileModes(t *testing.T) {
	w := newMachine(t)
	w.env["FLINK_PROPERTIES"] = ""
	w.conf = "jobmanager.memory.process.size: 1600m\ntaskmanager.memory.process.size: 1728m\n"
	delete(w.document, "artifacts")
	delete(w.document, "highAvailability")
	w.document["name"] = "harmless"
	w.document["configuration"] = map[string]any{}
	w.document["sql"] = map[string]any{"script": "CREATE TABLE t (n INT) WITH ('connector'='print');\nINSERT INTO t VALUES (1);\n"}
	o := w.run(join(w.flagsFor(nil), []string{"standalone-job"})...)
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s", o.code, o.stderr)
	}
	for _, name := range []string{"conf/config.yaml", "job.sql", "init.sql", "conf/log4j-console.properties"} {
		st, err := os.Stat(filepath.Join(w.runDir(), name))
		if err != nil {
			t.Error(err)
			continue
		}
		if st.Mode() != fs.FileMode(0o644) {
			t.Errorf("%s has mode %v, want 0644: no secret is inside", name, st.Mode())
		}
	}
	if st, err := os.Stat(w.runDir()); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the run dir: %v, %v, want mode 0700", st.Mode(), err)
	}
}

// TestJSONStaysJSON: masking by value does not break what programs parse.
func TestJSONStaysJSON(t *testing.T) {
	w := newMachine(t)
	o := w.run(join(w.flagsFor(nil), []string{"--output", "json", "explain", "standalone-job"}, w.args)...)
	var e struct {
		Config struct{ Effective map[string]string }
		Error  any
	}
	if err := json.Unmarshal([]byte(o.stdout), &e); err != nil {
		t.Fatalf("%v\n%s", err, o.stdout)
	}
	for key, want := range map[string]string{"s3.secret-key": "******", "s3.access-key": "******", "my.url": "http://******@host/path", "parallelism.default": "1",
		"env.java.opts.all": "-Ddefinition.password=******", "env.java.opts.jobmanager": "-Djm.password=******"} {
		if got := e.Config.Effective[key]; got != want {
			t.Errorf("%s is shown as %q, want %q (there are %q)", key, got, want, slices.Sorted(maps.Keys(e.Config.Effective)))
		}
	}
}
