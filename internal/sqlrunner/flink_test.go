//go:build flink

package sqlrunner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/sqlrunner"
	"flink-entrypoint/internal/sqltext"
	"flink-entrypoint/test/flinkhome/homes"
)

// versions are tested; FLINK_VERSIONS replaces them (space separated).
func versions() []string {
	if v := os.Getenv("FLINK_VERSIONS"); v != "" {
		return strings.Fields(v)
	}
	return []string{"1.20.5", "2.2.1"}
}

// eachVersion runs a test on one version after the other.
func eachVersion(t *testing.T, test func(t *testing.T, version string)) {
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) { test(t, version) })
	}
}

func dialect(version string) sqltext.Dialect {
	major, minor := 0, 0
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		panic(err)
	}
	return sqltext.DialectOf(major, minor)
}

// flink is what the processes of one version share: a conf dir, ports, a folder.
type flink struct {
	version, home, dir string
	rest               string
	libDir             string // FLINK_LIB_DIR
	classPath          string // behind lib/*.jar
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
cluster.registration.error-delay: 500 ms
cluster.registration.refused-registration-delay: 500 ms
cluster.registration.initial-timeout: 200 ms
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
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
	o.Dialect = dialect(f.version)
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

const twoInserts = `CREATE DATABASE d2;
INSERT INTO p SELECT id FROM s;
USE d2;
CREATE TABLE p (id INT) WITH ('connector'='print','print-identifier'='two');
INSERT INTO p SELECT id * 10 FROM default_catalog.default_database.s;
DROP TABLE p;
`

func TestJarIsBuiltFromTheSource(t *testing.T) {
	out := filepath.Join(t.TempDir(), "runner.jar")
	cmd := exec.Command("go", "run", "./docker/sql-runner", "-flink", homes.Home(t, "1.15.4"), "-o", out)
	cmd.Dir = filepath.Join("..", "..")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	built, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, sqlrunner.Jar()) {
		t.Errorf("the embedded jar (%d bytes) is not what its source builds to (%d bytes): go run ./docker/sql-runner, and commit", len(sqlrunner.Jar()), len(built))
	}
}

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
			sqlrunner.Part{Name: "init.sql", Text: sequence("s", 3) + printer("p", "one")}, sqlrunner.Part{Text: twoInserts})
		check("two INSERTs", []int{0}, exit, stderr, "the job of the 2 INSERTs from statement 2, line 2: job "+id+" submitted")
		if n := strings.Count(stderr, " submitted"); n != 1 {
			t.Errorf("%d jobs submitted, want 1", n)
		}

		exit, stderr = f.application(t, sqlrunner.Options{Secrets: []string{"c4n'ary"}}, nil,
			sqlrunner.Part{Name: "init.sql", Text: sequence("s", 3)},
			sqlrunner.Part{Text: "CREATE TABLE k (id INT) WITH ('connector'='print','x'='c4n''ary');\n\nINSERT INTO k\n  SELECT nam FROM s"})
		// 2.3 reports an application that failed in its main as a failed one.
		check("unknown column", []int{2, 163}, exit, stderr, "error: statement 2, line 3: From line 4, column 10 to line 4, column 12: Column 'nam' not found in any table", "\tat ")

		exit, stderr = f.application(t, sqlrunner.Options{Secrets: []string{"c4n'ary"}}, nil,
			sqlrunner.Part{Text: "CREATE CATALOG c WITH ('type'='generic_in_memory','option'='c4n''ary');\nINSERT INTO c.d.e SELECT 1"})
		check("bad catalog", []int{2, 163}, exit, stderr, "error: statement 1, line 1: ", "******", "\tat ")
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

		exit, stderr = f.application(t, sqlrunner.Options{}, nil, sqlrunner.Part{Text: sequence("s", 3) + printer("p", "set") +
			"EXECUTE STATEMENT SET BEGIN INSERT INTO p SELECT id FROM s; INSERT INTO p SELECT id + 3 FROM s; END;\nSELECT COUNT(*) FROM s"})
		check("statement set and query", []int{0}, exit, stderr, "statement 3, line 3: job ")

		output := f.stop(t)
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
