//go:build flink

package sqlrunner_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/freeport"
)

// eachVersion runs a test on each version. A JVM that starts, or waits for another one, leaves a processor to a second test.
func eachVersion(t *testing.T, test func(t *testing.T, version string)) {
	t.Parallel()
	for _, version := range homes.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

func parsed(t *testing.T, version string) flinkversion.Version {
	t.Helper()
	v, err := flinkversion.Parse(version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// flink is what the processes of one version share: a conf dir, ports, a folder.
type flink struct {
	version, home, dir string
	rest               string
	libDir             string // FLINK_LIB_DIR
	classPath          string // after lib/*.jar
	taskManager        *process
}

func newFlink(t *testing.T, version string) *flink {
	t.Helper()
	f := &flink{version: version, home: homes.Home(t, version), dir: t.TempDir()}
	f.libDir = filepath.Join(f.home, "lib")
	f.classPath = filepath.Join(f.dir, sqlrunner.JarName)
	write(t, f.classPath, sqlrunner.Jar())
	rpc, rest := freePort(t), freePort(t)
	f.rest = "http://127.0.0.1:" + rest
	conf := `jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
jobmanager.rpc.port: ` + rpc + `
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: ` + rest + `
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: 2
taskmanager.cpu.cores: 1.0
taskmanager.memory.framework.heap.size: 64m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.heap.size: 128m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.managed.size: 64m
taskmanager.memory.network.min: 32m
taskmanager.memory.network.max: 32m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
heartbeat.interval: 1000
heartbeat.timeout: 10000
cluster.registration.error-delay: 500
cluster.registration.refused-registration-delay: 500
cluster.registration.initial-timeout: 200
restart-strategy.type: none
restart-strategy: none
parallelism.default: 1
table.exec.resource.default-parallelism: 1
pipeline.name: named in the configuration
state.savepoints.dir: file://` + f.dir + `/savepoints
`
	for _, name := range []string{"flink-conf.yaml", "config.yaml"} {
		write(t, filepath.Join(f.dir, "conf", name), []byte(conf))
	}
	if version >= "1.19" {
		if err := os.Remove(filepath.Join(f.dir, "conf", "flink-conf.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(f.dir, "conf", "log4j.properties"), []byte(`rootLogger.level = WARN
rootLogger.appenderRef.e.ref = E
appender.e.name = E
appender.e.type = Console
appender.e.target = SYSTEM_ERR
appender.e.layout.type = PatternLayout
appender.e.layout.pattern = LOG %p %c{1} %m%n
`))
	return f
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(ports[0])
}

// process is a JVM with its output.
type process struct {
	*exec.Cmd
	out, err bytes.Buffer
}

// java prepares a JVM with lib/* and the additional class path.
func (f *flink) java(ctx context.Context, t *testing.T, args ...string) *process {
	t.Helper()
	jars, err := filepath.Glob(filepath.Join(f.home, "lib", "*.jar"))
	if err != nil {
		t.Fatal(err)
	}
	if f.classPath != "" {
		jars = append(jars, f.classPath)
	}
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	options := []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j.configurationFile=file:" + f.dir + "/conf/log4j.properties"}
	for _, open := range []string{"sun.net.util", "java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text",
		"java.time", "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks"} {
		options = append(options, "--add-opens=java.base/"+open+"=ALL-UNNAMED")
	}
	options = append(options, "-classpath", strings.Join(jars, ":"))
	p := &process{Cmd: exec.CommandContext(ctx, java, append(options, args...)...)}
	p.Stdout, p.Stderr = &p.out, &p.err
	p.Dir = f.dir
	p.Env = append(os.Environ(), "FLINK_CONF_DIR="+f.dir+"/conf", "FLINK_LIB_DIR="+f.libDir, "FLINK_PLUGINS_DIR="+f.home+"/plugins")
	return p
}

// startTaskManager starts the TaskManager that serves one application cluster after the other.
func (f *flink) startTaskManager(t *testing.T) {
	t.Helper()
	jar := f.classPath
	f.classPath = "" // the runner is the JobManager's alone
	f.taskManager = f.java(context.Background(), t, "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "--configDir", f.dir+"/conf")
	f.classPath = jar
	if err := f.taskManager.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.taskManager.Process.Kill() }) // where a test ended before stop
}

// stop ends the TaskManager and returns what it printed.
func (f *flink) stop(t *testing.T) string {
	t.Helper()
	if err := f.taskManager.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = f.taskManager.Wait() // ends by our signal
	if t.Failed() {
		t.Logf("TaskManager:\n%s", tail(f.taskManager.err.String()))
	}
	return f.taskManager.out.String()
}

// script writes a prepared script and returns the runner's arguments.
func (f *flink) script(t *testing.T, o sqlrunner.Options, parts ...sqlrunner.Part) []string {
	t.Helper()
	o.Flink = parsed(t, f.version)
	plan, err := sqlrunner.Prepare(parts, o)
	if err != nil {
		t.Fatal(err)
	}
	script, index := filepath.Join(f.dir, "job.sql"), filepath.Join(f.dir, "job.idx")
	write(t, script, plan.Script)
	write(t, index, plan.Index)
	return sqlrunner.Arguments(o.Mode, script, index)
}

// application runs an application cluster to its end and returns its exit code and standard error.
func (f *flink) application(t *testing.T, o sqlrunner.Options, options []string, parts ...sqlrunner.Part) (int, string) {
	t.Helper()
	p := f.startApplication(t, o, options, parts...)
	return p.end(t)
}

func (f *flink) startApplication(t *testing.T, o sqlrunner.Options, options []string, parts ...sqlrunner.Part) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	args := []string{"org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint", "--configDir", f.dir + "/conf",
		"--job-classname", sqlrunner.MainClass}
	args = append(args, options...)
	p := f.java(ctx, t, append(args, f.script(t, o, parts...)...)...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// end waits for the process and returns its exit code and standard error.
func (p *process) end(t *testing.T) (int, string) {
	t.Helper()
	err := p.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode(), p.err.String()
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// rows returns the lines of the print connector with this identifier, sorted.
func rows(output, identifier string) []string {
	var found []string
	for line := range strings.Lines(output) {
		if row, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), identifier+"> "); ok {
			found = append(found, row)
		}
	}
	slices.Sort(found)
	return found
}

func sequence(table string, n int) string {
	return fmt.Sprintf("CREATE TABLE %s (id INT) WITH ('connector'='datagen','number-of-rows'='%d','fields.id.kind'='sequence','fields.id.start'='1','fields.id.end'='%d');\n", table, n, n)
}

func printer(table, identifier string) string {
	return fmt.Sprintf("CREATE TABLE %s (id INT) WITH ('connector'='print','print-identifier'='%s');\n", table, identifier)
}

// before115 tells the versions that resolve the sinks of a statement set at its end, so that none may be dropped
// before, and that do not know EXECUTE STATEMENT SET.
func before115(version string) bool { return slices.Contains([]string{"1.13.6", "1.14.6"}, version) }

// script115 is what of the script this version can do.
func script115(version, script string) string {
	if before115(version) {
		script = strings.Replace(script, "DROP TABLE p;", "", 1)
		script = strings.Replace(script, "EXECUTE STATEMENT SET BEGIN INSERT INTO p SELECT id FROM s; INSERT INTO p SELECT id + 3 FROM s; END;",
			"INSERT INTO p SELECT id FROM s; INSERT INTO p SELECT id + 3 FROM s;", 1)
	}
	return script
}

const twoInserts = `CREATE DATABASE d2;
INSERT INTO p SELECT id FROM s;
USE d2;
CREATE TABLE p (id INT) WITH ('connector'='print','print-identifier'='two');
INSERT INTO p SELECT id * 10 FROM default_catalog.default_database.s;
DROP TABLE p;
`

func TestJarIsBuiltFromTheSource(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "runner.jar")
	cmd := exec.Command("go", "run", "./docker/sql-runner", "-flink", homes.Home(t, "1.15.4"), "-flink2", homes.Home(t, "2.2.1"), "-o", out)
	cmd.Dir = filepath.Join("..", "..")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for name, embedded := range map[string][]byte{"runner.jar": sqlrunner.Jar(), "connector.jar": sqlrunner.ConnectorJar(), "platform.jar": sqlrunner.PlatformJar()} {
		built, err := os.ReadFile(filepath.Join(filepath.Dir(out), name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, embedded) {
			t.Errorf("the embedded %s (%d bytes) is not what its source builds to (%d bytes): go run ./docker/sql-runner, and commit", name, len(embedded), len(built))
		}
	}
}

// TestSavepoint stops a job with a savepoint and goes on from it: every row appears once.
func TestSavepoint(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		f := newFlink(t, version)
		f.startTaskManager(t)
		const id, rowCount = "00000000000000000000000000000def", 150
		part := sqlrunner.Part{Text: strings.Replace(sequence("s", rowCount), "'connector'='datagen'", "'connector'='datagen','rows-per-second'='10'", 1) +
			printer("p", "kept") + "INSERT INTO p SELECT id FROM s"}
		options := sqlrunner.Options{FixedJobID: true}
		p := f.startApplication(t, options, []string{"--job-id", id}, part)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		f.poll(ctx, t, func() bool {
			status, _ := f.ask(ctx, "GET", "/jobs/"+id, "")["state"].(string)
			return status == "RUNNING"
		})
		var trigger, location string
		// The JobManager stays up until the answer has been read.
		f.poll(ctx, t, func() bool {
			if trigger == "" {
				trigger, _ = f.ask(ctx, "POST", "/jobs/"+id+"/stop", `{"drain":false}`)["request-id"].(string)
				return false
			}
			operation, _ := f.ask(ctx, "GET", "/jobs/"+id+"/savepoints/"+trigger, "")["operation"].(map[string]any)
			if operation["failure-cause"] != nil {
				trigger = "" // not all tasks were running yet
			}
			location, _ = operation["location"].(string)
			return location != ""
		})
		if exit, stderr := p.end(t); exit != 0 {
			t.Errorf("stopped with a savepoint: exit %d, want 0\n%s", exit, tail(stderr))
		}
		if exit, stderr := f.application(t, options, []string{"--job-id", id, "--fromSavepoint", location}, part); exit != 0 {
			t.Errorf("from the savepoint: exit %d, want 0\n%s", exit, tail(stderr))
		}
		got := rows(f.stop(t), "kept")
		if unique := slices.Compact(slices.Clone(got)); len(got) != rowCount || len(unique) != rowCount {
			t.Errorf("%d rows, %d different ones, want each of %d once", len(got), len(unique), rowCount)
		}
	})
}

// ask calls the REST API; nil without an answer.
func (f *flink) ask(ctx context.Context, method, path, body string) map[string]any {
	request, err := http.NewRequestWithContext(ctx, method, f.rest+path, strings.NewReader(body))
	if err != nil {
		return nil
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var answer map[string]any
	if response.StatusCode >= 300 || json.NewDecoder(response.Body).Decode(&answer) != nil {
		return nil
	}
	return answer
}

// poll asks five times a second until done.
func (f *flink) poll(ctx context.Context, t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("gave up waiting: %v", ctx.Err())
		case <-tick.C:
		}
	}
}

// TestPlacement runs a function of a usrlib jar, with the runner where PlacementFor wants it.
func TestPlacement(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		f := newFlink(t, version)
		if err := os.Symlink(filepath.Join(f.home, "lib"), filepath.Join(f.dir, "lib")); err != nil {
			t.Fatal(err)
		}
		f.libDir = filepath.Join(f.dir, "lib")
		f.buildFunction(t, filepath.Join(f.dir, "image", "udf.jar"))
		link := filepath.Join(f.dir, "usrlib", "udf.jar")
		if err := os.Mkdir(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../image/udf.jar", link); err != nil {
			t.Fatal(err)
		}
		f.startTaskManager(t)
		part := sqlrunner.Part{Text: sequence("s", 2) + printer("p", "udf") + "CREATE FUNCTION add_one AS 'udf.Plus';\nINSERT INTO p SELECT add_one(id) FROM s"}
		if sqlrunner.PlacementFor(parsed(t, version), true) == sqlrunner.UserLibrary {
			exit, stderr := f.application(t, sqlrunner.Options{}, nil, part)
			if exit == 0 || !strings.Contains(stderr, "Could not find the provided job class") {
				t.Errorf("on the class path: exit %d, want Flink not to find the class\n%s", exit, tail(stderr))
			}
			if err := os.Rename(f.classPath, filepath.Join(f.dir, "usrlib", sqlrunner.JarName)); err != nil {
				t.Fatal(err)
			}
			f.classPath = ""
		}
		if exit, stderr := f.application(t, sqlrunner.Options{}, nil, part); exit != 0 {
			t.Errorf("exit %d, want 0\n%s", exit, tail(stderr))
		}
		if got := strings.Join(rows(f.stop(t), "udf"), " "); got != "+I[2] +I[3]" {
			t.Errorf("rows %s, want +I[2] +I[3]", got)
		}
	})
}

// buildFunction compiles a function and packs it into a jar.
func (f *flink) buildFunction(t *testing.T, jar string) {
	t.Helper()
	source := filepath.Join(f.dir, "src", "udf", "Plus.java")
	write(t, source, []byte("package udf; public class Plus extends org.apache.flink.table.functions.ScalarFunction { public Integer eval(Integer i) { return i + 1; } }"))
	libs, err := filepath.Glob(filepath.Join(f.home, "lib", "flink-*.jar"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("javac", "--release", "8", "-Xlint:-options", "-cp", strings.Join(libs, ":"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	class, err := os.ReadFile(strings.TrimSuffix(source, ".java") + ".class")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("udf/Plus.class")
	if err == nil {
		_, err = w.Write(class)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, jar, b.Bytes())
}

func TestLocal(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		f := newFlink(t, version)
		run := func(o sqlrunner.Options, script string) (int, string, string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			p := f.java(ctx, t, append([]string{sqlrunner.MainClass}, f.script(t, o, sqlrunner.Part{Text: script})...)...)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			exit, stderr := p.end(t)
			return exit, p.out.String(), stderr
		}
		local := sqlrunner.Options{Mode: sqlrunner.Local, Configuration: map[string]string{"parallelism.default": "1"}, Secrets: []string{"can'ary"}}
		exit, stdout, stderr := run(local, sequence("s", 3)+printer("p", "one")+script115(version, twoInserts)+
			"SET 'table.local-time-zone'='Asia/Shanghai';\nSELECT CAST(TO_TIMESTAMP_LTZ(0, 3) AS STRING) AS z;\nRESET 'table.local-time-zone';RESET;\nSHOW DATABASES")
		if got := strings.Join(rows(stdout, "one"), " ") + "/" + strings.Join(rows(stdout, "two"), " "); exit != 0 || got != "+I[1] +I[2] +I[3]/+I[10] +I[20] +I[30]" {
			t.Errorf("exit %d, rows %s\n%s", exit, got, tail(stderr))
		}
		if !strings.Contains(stdout, "1970-01-01 08:00:00.000") || !strings.Contains(stdout, "| default_database |") {
			t.Errorf("tables missing in\n%s", stdout)
		}

		exit, stdout, stderr = run(local, sequence("s", 3)+"CREATE TABLE p (id INT) WITH ('connector'='print');\nINSERT INTO p SELECT 6 / (id - 2) FROM s WHERE 'can''ary' <> ''")
		if exit != 1 || !strings.Contains(stderr, "error: statement 3, line 3: ") || !strings.Contains(stderr, "by zero") || !strings.Contains(stderr, "\tat ") {
			t.Errorf("failing job: exit %d\n%s", exit, tail(stderr))
		}
		if strings.Contains(stdout+stderr, "ary") {
			t.Errorf("the secret is shown:\n%s%s", stdout, stderr)
		}

		exit, stdout, _ = run(sqlrunner.Options{Mode: sqlrunner.Check, Secrets: []string{"can'ary"}}, sequence("s", 3)+
			"CREATE TABLE k (id INT) WITH ('connector'='none','a'='can''ary');\n  INSERT INTO s SELECT\n nam FROM s;\nINSERT INTO k SELECT id FROM s;\n"+
			"CREATE TABLE c WITH ('connector'='print') AS SELECT id,\nidd FROM s;CREATE TABLE d AS SELECT id FROM s; SELECT id FROM d;SELECT 'can''ary' +;\n"+
			"EXECUTE STATEMENT SET BEGIN\nINSERT INTO s SELECT bad FROM s;\nEND;\nDROP TABLE 'can''ary'")
		findings, ok := sqlrunner.ParseReport(stdout)
		var got []string
		for _, f := range findings {
			got = append(got, fmt.Sprintf("%s %d:%d %d:%d", f.Statement, f.Line, f.Column, f.EndLine, f.EndColumn))
		}
		want := []string{"statement 3 4:2 4:4", "statement 4 5:1 0:0", "statement 5 7:1 7:3", "statement 8 7:83 0:0", "statement 9 9:22 9:24", "statement 10 11:12 0:0"}
		if before115(version) {
			want[4] = "statement 9 8:1 0:0"
		}
		if parsed(t, version).Reaches(flinkversion.Since(2, 0)) { // explains CREATE TABLE AS with its sink: d has no connector
			want = slices.Insert(want, 3, "statement 6 7:12 0:0")
		}
		if exit != 1 || !ok || !slices.Equal(got, want) || strings.Contains(stdout, "ary") {
			t.Errorf("check: exit %d, %q, want %q\n%s", exit, got, want, stdout)
		}
	})
}

// failedInMain are the ends of a JobManager whose script failed before a job ran. Up to Flink 2.2 two of its threads race: one
// ends the process for the fatal error (2), the other for the end of the cluster, whose status is UNKNOWN (1445 modulo 256 = 165).
// Flink 2.3 reports a failed application (1443 modulo 256 = 163).
var failedInMain = []int{2, 163, 165}

func TestApplication(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		f := newFlink(t, version)
		f.startTaskManager(t)
		const id = "00000000000000000000000000000abc"
		check := func(name string, wantExit []int, exit int, stderr string, want ...string) {
			t.Helper()
			if !slices.Contains(wantExit, exit) {
				t.Errorf("%s: exit %d, want %d", name, exit, wantExit)
			}
			for _, w := range want {
				if !strings.Contains(stderr, w) {
					t.Errorf("%s: standard error lacks %q", name, w)
				}
			}
			if t.Failed() {
				t.Logf("%s:\n%s", name, tail(stderr))
			}
		}

		exit, stderr := f.application(t, sqlrunner.Options{FixedJobID: true}, []string{"--job-id", id},
			sqlrunner.Part{Name: "init.sql", Text: sequence("s", 3) + printer("p", "one")}, sqlrunner.Part{Text: script115(version, twoInserts)})
		check("two INSERTs", []int{0}, exit, stderr, "the job of the 2 INSERTs from statement 2, line 2: job "+id+" submitted")
		if n := strings.Count(stderr, " submitted"); n != 1 {
			t.Errorf("%d jobs submitted, want 1", n)
		}

		exit, stderr = f.application(t, sqlrunner.Options{Secrets: []string{"c4n'ary"}}, nil,
			sqlrunner.Part{Name: "init.sql", Text: sequence("s", 3)},
			sqlrunner.Part{Text: "CREATE TABLE k (id INT) WITH ('connector'='print','x'='c4n''ary');\n\nINSERT INTO k\n  SELECT nam FROM s"})
		check("unknown column", failedInMain, exit, stderr, "error: statement 2, line 3: From line 4, column 10 to line 4, column 12: Column 'nam' not found in any table", "\tat ")

		exit, stderr = f.application(t, sqlrunner.Options{Secrets: []string{"c4n'ary"}}, nil,
			sqlrunner.Part{Text: "CREATE CATALOG c WITH ('type'='generic_in_memory','option'='c4n''ary');\nINSERT INTO c.d.e SELECT 1"})
		check("bad catalog", failedInMain, exit, stderr, "error: statement 1, line 1: ", "******", "\tat ")
		if strings.Contains(stderr, "c4n") {
			t.Error("the secret is shown")
		}

		exit, stderr = f.application(t, sqlrunner.Options{}, nil,
			sqlrunner.Part{Text: sequence("s", 3) + printer("p", "fails") + "INSERT INTO p SELECT 6 / (id - 2) FROM s"})
		check("failing job", []int{163}, exit, stderr, "statement 3, line 3: job ", "by zero")

		exit, stderr = f.application(t, sqlrunner.Options{}, nil, sqlrunner.Part{Name: "init.sql", Text: sequence("s", 3)},
			sqlrunner.Part{Text: printer("p", "batch1") + printer("q", "batch2") + "INSERT INTO p SELECT id FROM s;\nINSERT INTO q SELECT CAST(COUNT(*) * 2 AS INT) FROM s;SET 'execution.runtime-mode'='batch'"})
		check("batch", []int{0}, exit, stderr, "statement 3, line 3: job ", "statement 4, line 4: job ")

		exit, stderr = f.application(t, sqlrunner.Options{}, nil, sqlrunner.Part{Text: sequence("s", 3) + printer("p", "late") +
			"SET 'execution.runtime-mode'='batch';INSERT INTO p SELECT id FROM s;\nINSERT INTO p SELECT 6 / (id - 2) FROM s"})
		check("failing batch job", []int{163}, exit, stderr, "error: statement 5, line 4: ", "by zero")

		addJar := ""
		if parsed(t, version).Reaches(sqltext.JarStatements()) {
			jar := filepath.Join(f.dir, "udf.jar")
			f.buildFunction(t, jar)
			addJar = "ADD JAR '" + jar + "';CREATE TEMPORARY FUNCTION add_one AS 'udf.Plus';" + printer("u", "jar") + "INSERT INTO u SELECT add_one(id) FROM s;"
		}
		exit, stderr = f.application(t, sqlrunner.Options{}, nil, sqlrunner.Part{Text: sequence("s", 3) + printer("p", "set") + addJar +
			script115(version, "EXECUTE STATEMENT SET BEGIN INSERT INTO p SELECT id FROM s; INSERT INTO p SELECT id + 3 FROM s; END;\nSELECT COUNT(*) FROM s")})
		check("statement set and query", []int{0}, exit, stderr, " submitted")

		output := f.stop(t)
		if addJar != "" {
			if got := strings.Join(rows(output, "jar"), " "); got != "+I[2] +I[3] +I[4]" {
				t.Errorf("rows of jar: %s, want +I[2] +I[3] +I[4]", got)
			}
		}
		for identifier, want := range map[string]string{
			"one": "+I[1] +I[2] +I[3]", "two": "+I[10] +I[20] +I[30]", "batch1": "+I[1] +I[2] +I[3]", "batch2": "+I[6]",
			"late": "+I[1] +I[2] +I[3]", "set": "+I[1] +I[2] +I[3] +I[4] +I[5] +I[6]",
		} {
			if got := strings.Join(rows(output, identifier), " "); got != want && !(identifier == "late" && strings.HasPrefix(got, "+I[-6]")) {
				t.Errorf("rows of %s: %s, want %s", identifier, got, want)
			}
		}
	})
}
