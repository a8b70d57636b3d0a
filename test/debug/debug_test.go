//go:build flink

// Package debug runs SQL jobs on mocked tables, and their check by the planner, with real Flink distributions.
package debug

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/world"
)

func eachVersion(t *testing.T, f func(t *testing.T, e entrypoint)) {
	t.Parallel()
	binary := world.Binary(t)
	for _, version := range homes.Versions() {
		if version < "1.15" {
			continue // before, Flink's local execution needs more than our runner gives it
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel() // most of the time a JVM uses one processor
			f(t, entrypoint{binary: binary, home: homes.Home(t, version), temp: t.TempDir(), dir: t.TempDir()})
		})
	}
}

type entrypoint struct{ binary, home, temp, dir string }

type ran struct {
	code           int
	stdout, stderr string
}

func (e entrypoint) command(t *testing.T, words ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, e.binary, words...)
	cmd.Dir = e.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "FLINK_HOME=" + e.home, "TMPDIR=" + e.temp}
	if v := os.Getenv("JAVA_HOME"); v != "" {
		cmd.Env = append(cmd.Env, "JAVA_HOME="+v)
	}
	return cmd
}

func (e entrypoint) run(t *testing.T, words ...string) ran {
	t.Helper()
	cmd := e.command(t, words...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func (e entrypoint) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// left names what a run has left in its temporary directory.
func (e entrypoint) left(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(e.temp)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func (r ran) want(t *testing.T, code int, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)" + p).MatchString(r.stdout + r.stderr) {
			t.Errorf("the output lacks %q", p)
		}
	}
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	if t.Failed() {
		t.Fatalf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
	}
}

// TestExample runs a job with Kafka sources, upsert-kafka sinks, a lookup join and a view where no such connector is.
func TestExample(t *testing.T) {
	example, err := filepath.Abs("../../examples/clicks.sql")
	if err != nil {
		t.Fatal(err)
	}
	eachVersion(t, func(t *testing.T, e entrypoint) {
		r := e.run(t, "debug", "--seed", "7", example)
		r.want(t, 0, `^clicks_per_page  \+I  \[.*\]$`, `^revenue          \+I  \[.*\]$`, `^\d+ rows in [\d.]+ s, the first after [\d.]+ s$`)
		if left := e.left(t); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
		for line := range strings.Lines(r.stdout) {
			if !regexp.MustCompile(`^\S+ +([+-][IUD])  \[.*\]\n$`).MatchString(line) {
				t.Errorf("a line that is not a row: %q", line)
			}
		}
		t.Log(strings.TrimSpace(r.stderr[strings.LastIndex(strings.TrimSpace(r.stderr), "\n")+1:]))
	})
}

func TestDefinitionWithDataAndKeptTable(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		e.write(t, "people.csv", "1,Ada\n2,\"O'Neil, Rose\"\n3,中\n")
		e.write(t, "job.yaml", `apiVersion: flink-entrypoint/v1
name: people
id: 00000000000000000000000000000001
highAvailability: {type: zookeeper, clusterId: people, storageDir: "s3://ha", quorum: "zk:2181"}
configuration: {table.local-time-zone: Asia/Shanghai, taskmanager.numberOfTaskSlots: 64}
sql:
  set: {state.checkpoints.dir: "s3://nowhere/at-all", table.exec.state.ttl: 1 h}
  catalogs: [{name: mem, options: {type: generic_in_memory, default-database: "it's"}}]
  use: {catalog: mem}
  script: |
    SET 'execution.target' = 'remote';
    CREATE TABLE people (id INT, name STRING) WITH ('connector' = 'jdbc', 'url' = 'jdbc:x');
    CREATE TABLE own (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '2', 'fields.n.kind' = 'sequence', 'fields.n.start' = '41', 'fields.n.end' = '42');
    CREATE TABLE greetings (text STRING) WITH ('connector' = 'kafka');
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'kafka');
    INSERT INTO greetings SELECT 'Hello ' || name FROM people;
    INSERT INTO numbers SELECT n FROM own;
`)
		r := e.run(t, "debug", "--data", "people=people.csv", "--keep", "own", "job.yaml")
		r.want(t, 0)
		rows := strings.Split(strings.TrimSpace(r.stdout), "\n")
		slices.Sort(rows)
		want := []string{"greetings  +I  [Hello Ada]", "greetings  +I  [Hello O'Neil, Rose]", "greetings  +I  [Hello 中]", "numbers    +I  [41]", "numbers    +I  [42]"}
		if !slices.Equal(rows, want) {
			t.Errorf("found:\n%s\nexpected:\n%s\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"), r.stderr)
		}
	})
}

func TestFailures(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		e.write(t, "planned.sql", "CREATE TABLE a (n INT) WITH ('connector' = 'kafka');\nCREATE TABLE b (n INT) WITH ('connector' = 'kafka');\n"+
			"INSERT INTO b SELECT n FROM a;\nINSERT INTO b\n  SELECT nam FROM a;\n")
		e.run(t, "debug", "planned.sql").want(t, 26, `^planned\.sql:5:10: statement 4: Column 'nam' not found in any table$`, `^  \|   SELECT nam FROM a;$`, `^  \|          \^\^\^$`,
			`^error: planned\.sql:5:10: statement 4: `, `^hint: Flink's log with the stack trace is `+regexp.QuoteMeta(e.temp))
		left := e.left(t)
		if len(left) != 1 {
			t.Fatalf("left over: %v, expected the log", left)
		}
		log, err := os.ReadFile(filepath.Join(e.temp, left[0]))
		if err != nil || !strings.Contains(string(log), "ValidationException") {
			t.Errorf("the log lacks the stack trace: %v\n%s", err, log)
		}
		e.write(t, "runs.sql", "CREATE TABLE a (n INT) WITH ('connector' = 'kafka');\nCREATE TABLE b (n INT) WITH ('connector' = 'kafka');\n"+
			"INSERT INTO b SELECT CAST('x' || CAST(n AS STRING) AS INT) FROM a;\n")
		e.run(t, "debug", "runs.sql").want(t, 26, `^runs\.sql:3:1: statement 3: .*'x`)
	})
}

// TestInterrupt ends a job that would not end by itself.
func TestInterrupt(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		e.write(t, "endless.sql", "CREATE TABLE a (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '5');\nCREATE TABLE b (n INT) WITH ('connector' = 'kafka');\nINSERT INTO b SELECT n FROM a;\n")
		cmd := e.command(t, "debug", "--keep", "a", "endless.sql")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // the first row
			t.Fatal(err)
		}
		start := time.Now()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code %d, want 130", code)
		}
		if took := time.Since(start); took > time.Minute { // on a busy machine; by itself the script would not end
			t.Errorf("it took %v to end", took)
		}
		if left := e.left(t); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	})
}

func TestValidateEngine(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		e.write(t, "good.yaml", `apiVersion: flink-entrypoint/v1
name: good
sql:
  script: |
    CREATE TABLE t (a BIGINT, b STRING) WITH ('connector' = 'kafka', 'topic' = 'x');
    CREATE TABLE u AS SELECT a FROM t;
    INSERT INTO t SELECT a, b FROM t;
`)
		e.write(t, "bad.yaml", `apiVersion: flink-entrypoint/v1
name: bad
sql:
  script: |
    CREATE TABLE t (a BIGINT, b STRING) WITH ('connector' = 'kafka', 'topic' = 'x');
    CREATE TABLE s (a BIGINT) WITH ('connector' = 'jdbc');
    CREATE TABLE d (a BIGINT) WITH ('connector' = 'datagen', 'rows' = '1');
    INSERT INTO s SELECT nam FROM t;
    INSERT INTO s
      SELECT a, b FROM t;
    INSERT INTO s SELECT a FROM d;
    INSERT INTO s SELECT a FROM t WHERE nope(a) = 1;
`)
		e.run(t, "--definition", "good.yaml", "validate", "--engine").want(t, 0, `^valid: good$`, `no jar of the connector "kafka"`)
		e.run(t, "--definition", "bad.yaml", "validate", "--engine").want(t, 26,
			`^bad\.yaml:8:26: statement 4: Column 'nam' not found in any table$`, `^  \|                      \^\^\^$`, `^bad\.yaml:9:5: statement 5: .*do not match.* Query schema: .* Sink schema: .*`,
			`^bad\.yaml:11:5: statement 6: .*Unsupported options found for 'datagen'\. Unsupported options: rows$`, `^bad\.yaml:12:41: statement 7: No match found for function signature nope`, `^error: 4 errors in the script`)
		r := e.run(t, "--output", "json", "--definition", "bad.yaml", "validate", "--engine")
		r.want(t, 26)
		var got struct {
			Valid  bool
			Errors []struct {
				File                             string
				Line, Column, EndLine, EndColumn int
			}
			Warnings []string
		}
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
			t.Fatalf("%v\n%s", err, r.stdout)
		}
		if got.Valid || len(got.Errors) != 4 || len(got.Warnings) != 2 || got.Errors[0].Line != 8 || got.Errors[0].Column != 26 || got.Errors[0].EndColumn != 28 {
			t.Errorf("found %+v", got)
		}
		if left := e.left(t); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	})
}
