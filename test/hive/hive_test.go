//go:build hive

package hive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/world"
)

// version is the last for which Flink's Hive connector is published.
const version = "1.20.5"

// frame is what every definition here shares: the catalog as a metadata service stores it, and Hive's functions. They
// come after Flink's own: Hive's COUNT knows no "*" in Flink.
const frame = `apiVersion: flink-entrypoint/v1
name: %s
configuration: {parallelism.default: 1}
sql:
  set: {execution.runtime-mode: batch}
  modules: [{name: hive}]
  useModules: [core, hive]
  catalogs:
    - createStatement: "CREATE CATALOG warehouse WITH ('type' = 'hive', 'hive-conf-dir' = '%s')"
  use: {catalog: warehouse}
  script: |
%s`

const setup = `    CREATE DATABASE shop;
    CREATE TABLE shop.events (id BIGINT, body STRING) WITH ('connector' = 'hive');
    CREATE TABLE shop.pages (page STRING, visits BIGINT, dt STRING) PARTITIONED BY (dt) WITH ('connector' = 'hive');
    INSERT INTO shop.events VALUES (1, '{"page": "home"}'), (2, '{"page": "cart"}'), (3, '{"page": "home"}');
    INSERT INTO shop.pages PARTITION (dt = '2024-05-01') VALUES ('stale', 99);
`

const kafka = `    CREATE TABLE shop.clicks (page STRING, user_id BIGINT, shard INT METADATA FROM 'partition' VIRTUAL, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp')
      WITH ('connector' = 'kafka', 'topic' = 'clicks', 'properties.sasl.jaas.config' = 'password="canary"');
    INSERT INTO shop.events VALUES (4, '{"page": "home"}');
`

// clicks reads a table of Kafka that is in the metastore, as platforms keep them.
const clicks = `    CREATE TABLE shop.per_page (page STRING, shard INT, users BIGINT) WITH ('connector' = 'jdbc');
    INSERT INTO shop.per_page SELECT reverse(page), shard, COUNT(DISTINCT user_id) FROM shop.clicks WHERE ts > TIMESTAMP '2020-01-01 00:00:00' GROUP BY page, shard;
`

// page returns the job of the page on SQL, for another folder of Hive's configuration.
func page(t *testing.T, conf string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml title=report.yaml\n")
	job, _, ok := strings.Cut(rest, "```")
	if !ok || !strings.Contains(job, "/etc/hive") {
		t.Fatal("docs/sql.md has no report.yaml with /etc/hive")
	}
	return strings.ReplaceAll(job, "/etc/hive", conf)
}

// TestHive writes and reads tables of a real metastore, and runs the same job on mocked tables in between.
func TestHive(t *testing.T) {
	binary, home := world.Binary(t), homeWith(t, version, bring(t, clientJars))
	bring(t, metastoreJars) // as long as there is a network
	alone(t)
	m, dir := startMetastore(t, home), t.TempDir()
	definition := func(name, script string) string {
		path := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(path, fmt.Appendf(nil, frame, name, m.conf, script), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	setupPath, reportPath := definition("setup", setup), filepath.Join(dir, "report.yaml")
	if err := os.WriteFile(reportPath, []byte(page(t, m.conf)), 0o600); err != nil {
		t.Fatal(err)
	}

	application(t, binary, home, setupPath)
	m.holds(t, "events", "1\x01{\"page\": \"home\"}", "2\x01{\"page\": \"cart\"}", "3\x01{\"page\": \"home\"}")
	m.holds(t, "pages", "stale\x0199")

	events := filepath.Join(dir, "events.jsonl")
	if err := os.WriteFile(events, []byte(`{"id": 1, "body": "{\"page\": \"mocked\"}"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		words []string
		want  []string
	}{
		{"generated rows", nil, []string{`(?m)^\S*pages +\+I +\[.*, 2024-05-01\]$`}},
		{"rows of a file", []string{"--data", "shop.events=" + events}, []string{`(?m)^\S*pages +\+I +\[mocked, 1, 2024-05-01\]$`}},
	} {
		stdout, stderr, code := debug(t, binary, home, append(append([]string{"debug"}, c.words...), reportPath)...)
		if code != 0 {
			t.Fatalf("debug with %s: exit code %d, want 0\n%s%s", c.name, code, stdout, stderr)
		}
		for _, want := range append(c.want, `(?m)^shown +\+I +\[.*\]$`) {
			if !regexp.MustCompile(want).MatchString(stdout) {
				t.Errorf("debug with %s: the output lacks %q\n%s%s", c.name, want, stdout, stderr)
			}
		}
		if strings.Contains(stdout, "home") || strings.Contains(stdout, "stale") {
			t.Errorf("debug with %s read the real table\n%s", c.name, stdout)
		}
		m.holds(t, "events", "1\x01{\"page\": \"home\"}", "2\x01{\"page\": \"cart\"}", "3\x01{\"page\": \"home\"}")
		m.holds(t, "pages", "stale\x0199")
	}

	application(t, binary, home, definition("kafka", kafka))
	clicksPath := definition("clicks", clicks)
	for _, words := range [][]string{{"debug", clicksPath}, {"--definition", clicksPath, "validate", "--engine"}} {
		stdout, stderr, code := debug(t, binary, home, words...)
		if code != 0 || words[0] == "debug" && !regexp.MustCompile(`(?m)^per_page +\+I +\[[0-9a-z]+, \d+, \d+\]$`).MatchString(stdout) {
			t.Errorf("%v on Kafka's table of the metastore: exit code %d, want 0 and rows\n%s%s", words, code, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "canary") {
			t.Errorf("%v shows a password of the metastore", words)
		}
	}

	// The shadows were temporary: the metastore's tables are still Hive's.
	rows := application(t, binary, home, reportPath)
	if want := []string{"shown> +I[cart, 1, 2024-05-01]", "shown> +I[home, 3, 2024-05-01]"}; !slices.Equal(rows, want) {
		t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	m.holds(t, "pages", "cart\x011", "home\x013")
	if _, _, code := debug(t, binary, home, "--definition", definition("gone", "    SELECT * FROM shop.per_page;\n"), "validate", "--engine"); code != 26 {
		t.Errorf("the mocked table is in the metastore: exit code %d, want 26", code)
	}
}

// holds compares the lines in the table's files, in any order. Hive's text format parts columns by \x01, and the
// partition's column is in the folder's name.
func (m metastore) holds(t *testing.T, table string, want ...string) {
	t.Helper()
	var got []string
	for _, below := range []string{"*", "dt=2024-05-01/*"} {
		files, err := filepath.Glob(filepath.Join(m.warehouse, "shop.db", table, below))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasPrefix(filepath.Base(file), ".") || strings.HasPrefix(filepath.Base(file), "_") || strings.HasPrefix(filepath.Base(file), "dt=") {
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(content)) {
				got = append(got, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("the files of %s hold %q, want %q", table, got, want)
	}
}

// application runs the definition on an application cluster to its good end, and returns the printed rows, sorted.
func application(t *testing.T, binary, home, definition string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c, err := cluster.New(binary, home, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	jm, err := c.Start("jm", "standalone-job", []string{"--definition", definition, "--memory-limit", "1600m", "standalone-job"})
	if err != nil {
		t.Fatal(err)
	}
	tm, err := c.Start("tm", "taskmanager", []string{"--definition", definition, "--memory-limit", "1728m", "taskmanager"})
	if err != nil {
		t.Fatal(err)
	}
	code, err := jm.Wait(ctx)
	if err != nil {
		t.Fatalf("%v\n%s", err, tm.Tail(40))
	}
	if code != 0 {
		t.Fatalf("the JobManager ended with %d, want 0\n%s\n%s", code, jm.Tail(120), tm.Tail(40))
	}
	var rows []string
	for _, line := range tm.Stdout() {
		if strings.HasPrefix(line, "shown> ") {
			rows = append(rows, line)
		}
	}
	slices.Sort(rows)
	return rows
}

// debug runs the entrypoint here, without a cluster.
func debug(t *testing.T, binary, home string, words ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, words...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "FLINK_HOME=" + home, "TMPDIR=" + cmd.Dir}
	if v := os.Getenv("JAVA_HOME"); v != "" {
		cmd.Env = append(cmd.Env, "JAVA_HOME="+v)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
