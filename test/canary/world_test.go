package canary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/test/world"
)

// machine has a canary in every place that a secret can come from.
type machine struct {
	t        *testing.T
	binary   string
	dir      string
	canaries map[string]Canary
	service  *httptest.Server
	document map[string]any // the job definition
	env      map[string]string
	flags    []string // before the role
	args     []string // after it
	conf     string   // the base configuration
	confName string
}

// canary returns the canary of a place, and remembers that it was planted.
func (w *machine) canary(name string) Canary {
	c, ok := w.canaries[name]
	if !ok {
		c = New(name)
		w.canaries[name] = c
	}
	return c
}

// file writes a secret file and returns a reference to it.
func (w *machine) file(name string) map[string]any {
	return map[string]any{"fromFile": w.write("secrets/"+name, w.canary(name).Value+"\n", 0o600)}
}

// variable sets a secret variable and returns a reference to it.
func (w *machine) variable(name string) map[string]any {
	key := "SECRET_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	w.env[key] = w.canary(name).Value
	return map[string]any{"fromEnv": key}
}

func (w *machine) write(name, content string, mode fs.FileMode) string {
	w.t.Helper()
	return world.File(w.t, filepath.Join(w.dir, name), content, mode)
}

func sqlQuoted(s string) string   { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'" }
func jsonQuoted(s string) string  { b, _ := json.Marshal(s); return string(b) }

const javaDump = `for word; do printf '%s\0' "$word"; done >"$DUMP/argv"
env -0 >"$DUMP/env"
echo the process has started
`

// newWorld plants everything at once.
func newMachine(t *testing.T) *machine {
	w := &machine{t: t, binary: world.Binary(t), dir: t.TempDir(), canaries: map[string]Canary{}, env: map[string]string{}}
	world.Write(t, w.dir, world.Stub("2.2.1", "", javaDump), world.Sysroot(2<<30, 0).In("sysroot"), world.Files{"flink/opt/flink-python-2.2.1.jar": "", "bin/dump": "#!/bin/sh\n" + javaDump})
	w.service = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.service.Close)

	w.confName = "config.yaml"
	w.conf = "jobmanager.rpc.address: localhost\njobmanager.memory.process.size: 1600m\ntaskmanager.memory.process.size: 1728m\n" +
		"rest.port: 8081\n" +
		"security.ssl.internal.key-password: " + jsonQuoted(w.canary("base-file").Value) + "\n" +
		"env.java.opts.all: " + jsonQuoted("-Dbase.password="+shellQuoted(w.canary("base-java-opts").Value)+" -Dharmless=1") + "\n"

	w.env["PATH"] = filepath.Join(w.dir, "bin") + ":" + os.Getenv("PATH")
	w.env["FLINK_HOME"] = filepath.Join(w.dir, "flink")
	w.env["JAVA_HOME"] = filepath.Join(w.dir, "java")
	w.env["DUMP"] = filepath.Join(w.dir, "dump")
	w.env["HOSTNAME"] = "jm-host"
	w.env["DISABLE_JEMALLOC"] = "true"
	w.env["POD_IP"] = "10.0.0.1" // else this host's name would be asked of a name server
	w.env["FLINK_PROPERTIES"] = "security.ssl.rest.key-password: " + w.canary("flink-properties").Value + "\n" +
		"env.java.opts.jobmanager: -Djm.password=" + shellQuoted(w.canary("properties-java-opts").Value) + "\n" +
		"env.java.opts.taskmanager: -Dtm.password=" + shellQuoted(w.canary("properties-java-opts").Value) + "\n"
	w.env["FLINK_ENTRYPOINT_DEFINITION_HEADER"] = "X-Twin: " + w.canary("header-twin").Value

	if err := os.Mkdir(filepath.Join(w.dir, "dump"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.flags = []string{
		"--definition-header", "X-Flag: " + w.canary("header-flag").Value,
		"--definition-header", "X-Auth: Bearer " + w.canary("header-bearer").Value,
		"--definition-header", "X-Twin: " + w.canary("header-twin").Value,
		"--definition-token-file", w.write("secrets/token", w.canary("token").Word()+"\n", 0o600),
		"--definition-cache", filepath.Join(w.dir, "cache", "definition"),
		"--sysroot", filepath.Join(w.dir, "sysroot"), "--run-dir", w.runDir(), "--fetch-timeout", "20s",
		"--termination-log", filepath.Join(w.dir, "termination"),
	}
	if err := os.Mkdir(filepath.Join(w.dir, "cache"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.args = []string{"-Dsecurity.ssl.rest.keystore-password=" + w.canary("dash-d").Value, "-D", "security.ssl.rest.truststore-password=" + w.canary("dash-d-split").Value}

	w.document = map[string]any{
		"apiVersion": "flink-entrypoint/v1",
		"name":       w.variable("name"),
		"configuration": map[string]any{
			"s3.secret-key":       w.canary("definition-sensitive").Value,
			"s3.access-key":       w.file("configuration-file"),
			"fs.custom.thing":     w.variable("configuration-variable"),
			"metrics.reporters":   []any{"a", w.file("configuration-list")},
			"my.url":              "http://user:" + url.QueryEscape(w.canary("configuration-url").Value) + "@host/path",
			"env.java.opts.all":   "-Ddefinition.password=" + shellQuoted(w.canary("definition-java-opts").Value),
			"parallelism.default": 1,
		},
		"highAvailability": map[string]any{"type": "zookeeper", "clusterId": "c", "storageDir": w.file("ha-storage"), "quorum": w.variable("ha-quorum")},
		"artifacts": []any{
			map[string]any{"uri": map[string]any{"fromFile": w.write("secrets/artifact-uri", w.artifact("artifact-reference")+"\n", 0o600)}},
			map[string]any{"uri": w.artifact("artifact")},
		},
		"sql": map[string]any{
			"set": map[string]any{"my.password": w.canary("set-sensitive").Value, "my.setting": w.variable("set-variable")},
			"catalogs": []any{
				map[string]any{"name": "a", "options": map[string]any{"type": "generic_in_memory", "password": w.canary("catalog-option").Value, "other": w.file("catalog-file"),
					"base-url": "jdbc:mysql://user:" + url.QueryEscape(w.canary("catalog-url").Value) + "@db/x"}},
				map[string]any{"createStatement": "CREATE CATALOG b WITH ('type'='jdbc', 'password'=" + sqlQuoted(w.canary("stored").Value) + ")"},
				map[string]any{"createStatement": map[string]any{"fromFile": w.write("secrets/stored", "CREATE CATALOG c WITH ('type'='jdbc', 'x'="+sqlQuoted(w.canary("stored-reference").Value)+")", 0o600)}},
			},
			"script": "CREATE TABLE s (n INT) WITH ('connector'='datagen', 'password'=" + sqlQuoted(w.canary("script").Value) + ");\n" +
				"CREATE TABLE t (n INT) WITH ('connector'='print');\nINSERT INTO t SELECT n FROM s;\n",
		},
	}
	return w
}

func (w *machine) runDir() string { return filepath.Join(w.dir, "run") }

// artifact returns the URL of an artifact with secrets in its user info and query.
func (w *machine) artifact(name string) string {
	return strings.Replace(w.service.URL, "http://", "http://"+url.QueryEscape(w.canary(name+"-user").Word())+":"+url.QueryEscape(w.canary(name+"-password").Value)+"@", 1) +
		"/artifacts/" + name + ".jar?token=" + url.QueryEscape(w.canary(name+"-token").Value)
}

// definition returns the URL of a path of the service, with secrets in its user info and query.
func (w *machine) definition(path string) string {
	return strings.Replace(w.service.URL, "http://", "http://user:"+url.QueryEscape(w.canary("definition-password").Value)+"@", 1) +
		path + "?token=" + url.QueryEscape(w.canary("definition-token").Value)
}

// serve is a platform that answers, when it fails, with everything it received: the worst that a debug page does.
func (w *machine) serve(rw http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	echo := fmt.Sprintf("no access for %s:%s with %q, %s and %s", user, password, r.Header, r.URL, r.URL.Query())
	switch r.URL.Path {
	case "/jobs/ok":
		rw.Header().Set("ETag", `"1"`)
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(w.document)
	case "/jobs/404":
		rw.WriteHeader(404)
		_ = json.NewEncoder(rw).Encode(map[string]string{"message": echo})
	case "/jobs/500":
		rw.WriteHeader(500)
		fmt.Fprint(rw, echo)
	case "/jobs/html":
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, "<html><title>%s</title></html>", echo)
	case "/jobs/redirect":
		http.Redirect(rw, r, "http://user:"+url.QueryEscape(w.canary("definition-password").Value)+"@"+r.Host+"/jobs/404?token="+url.QueryEscape(w.canary("definition-token").Value), http.StatusFound)
	case "/jobs/cut":
		rw.Header().Set("Content-Length", "100000")
		fmt.Fprint(rw, echo)
	case "/artifacts/artifact.jar", "/artifacts/artifact-reference.jar":
		_, _ = rw.Write(world.Jar(""))
	case "/artifacts/nozip.jar":
		fmt.Fprint(rw, echo)
	default:
		if strings.HasPrefix(r.URL.Path, "/raw/") { // a file as it is
			http.ServeFile(rw, r, filepath.Join(w.dir, r.URL.Path))
			return
		}
		rw.WriteHeader(404)
		fmt.Fprint(rw, echo)
	}
}

// outcome is everything that one run put out.
type outcome struct {
	code                int
	stdout, stderr      string
	termination         string
	argv                []string // of the process that was executed, nil if none was
	environment, before map[string]string
}

// run starts the program.
func (w *machine) run(words ...string) outcome {
	w.t.Helper()
	w.write("flink/conf/"+w.confName, w.conf, 0o644)
	for _, name := range []string{"termination", "dump/argv", "dump/env"} {
		if err := os.Remove(filepath.Join(w.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Fatal(err)
		}
	}
	cmd := exec.Command(w.binary, words...)
	cmd.Dir = w.dir
	for k, v := range w.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	o := outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), before: w.env}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Fatal(err)
		}
		return string(b)
	}
	o.termination = read("termination")
	if text := read("dump/env"); text != "" {
		o.argv = strings.Split(strings.TrimSuffix(read("dump/argv"), "\x00"), "\x00")
		o.environment = map[string]string{}
		for kv := range strings.SplitSeq(strings.TrimSuffix(text, "\x00"), "\x00") {
			k, v, _ := strings.Cut(kv, "=")
			o.environment[k] = v
		}
	}
	return o
}

// inCommandLine are the canaries that a user has put into the command line of the process.
var inCommandLine = []string{"dash-d", "dash-d-split", "base-java-opts", "properties-java-opts", "definition-java-opts"}

// inFiles are the canaries that Flink, or the job, needs to read from a file of the run dir.
func inFiles(name string) bool {
	for _, prefix := range []string{"header", "token", "definition-password", "definition-token", "artifact", "dash-d"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// check searches one outcome, and the files that were left.
func (w *machine) check(o outcome) {
	w.t.Helper()
	for name, c := range w.canaries {
		for where, text := range map[string]string{"stdout": o.stdout, "stderr": o.stderr, "termination message": o.termination} {
			if found := c.Found(text); found != "" {
				w.t.Errorf("%s shows %s: %s", where, name, found)
			}
		}
		if found := c.Found(strings.Join(o.argv, " ")); found != "" && !slices.Contains(inCommandLine, name) {
			w.t.Errorf("the command line holds %s: %s", name, found)
		}
		for k, v := range o.environment {
			if found := c.Found(v); found != "" && o.before[k] != v && !(strings.Contains(k, "JAVA_OPTS") && slices.Contains(inCommandLine, name)) {
				w.t.Errorf("the environment variable %s holds %s: %s", k, name, found)
			}
		}
	}
	for _, dir := range []string{"run", "cache", "flink"} {
		err := filepath.WalkDir(filepath.Join(w.dir, dir), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && d == nil {
				return nil
			}
			if err != nil || !d.Type().IsRegular() || path == filepath.Join(w.dir, "flink/conf", w.confName) {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			for name, c := range w.canaries {
				found := c.Found(path + "\n" + string(content))
				switch {
				case found == "":
				case !inFiles(name) && !(dir == "cache" && strings.HasPrefix(name, "artifact")): // the definition itself holds it
					w.t.Errorf("%s holds %s: %s", path, name, found)
				case info.Mode().Perm() != 0o600:
					w.t.Errorf("%s holds %s and has mode %v, want 0600", path, name, info.Mode())
				}
			}
			return nil
		})
		if err != nil {
			w.t.Error(err)
		}
	}
}
