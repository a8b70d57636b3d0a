//go:build flink

// Package warmup makes archives of shared classes with real Flink and real Java, and starts from them.
package warmup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/world"
)

// versions are the versions under test from 1.18 on: before, the stock configuration does not open to Java 17 what Flink needs there.
func versions() []string {
	return slices.DeleteFunc(homes.Versions(), func(v string) bool { return v < "1.18" })
}

// copyHome makes a home of one's own. The large jars are links; one small jar is a copy, whose time a test may change.
func copyHome(t *testing.T, home string) (to, jar string) {
	t.Helper()
	to = filepath.Join(t.TempDir(), "flink")
	for _, part := range []string{"bin", "conf", "lib", "opt", "plugins"} {
		err := filepath.WalkDir(filepath.Join(home, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(home, path)
			target := filepath.Join(to, name)
			if d.IsDir() {
				return os.MkdirAll(target, 0o755)
			}
			if !strings.HasPrefix(filepath.Base(path), "flink-csv") && filepath.Ext(path) == ".jar" && os.Link(path, target) == nil {
				return nil
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if strings.HasPrefix(filepath.Base(path), "flink-csv") {
				jar = target
			}
			return os.WriteFile(target, content, 0o755)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if jar == "" {
		t.Fatalf("%s has no flink-csv jar", home)
	}
	return to, jar
}

func java(t *testing.T) string {
	t.Helper()
	if h := os.Getenv("JAVA_HOME"); h != "" {
		return h
	}
	path, err := exec.LookPath("java")
	if err != nil {
		t.Fatalf("no java: %v; apt-get install openjdk-17-jdk-headless", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(filepath.Dir(path))
}

// run runs the entrypoint to its end.
func run(t *testing.T, c *cluster.Cluster, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Binary, append([]string{"--run-dir", filepath.Join(c.Dir, "run"), "--memory-limit", "1728m"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.Environment("taskmanager"), c.Dir, &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// maps reports whether a process has the archive in its memory.
func maps(t *testing.T, pid int, archive string) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), archive)
}

// processesWith lists those whose command line holds the text.
func processesWith(text string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && bytes.Contains(line, []byte(text)) {
			found = append(found, f)
		}
	}
	return found
}

const copySQL = "CREATE TABLE s (id BIGINT, name STRING) WITH ('connector' = 'kafka');\n" +
	"CREATE TABLE d (name STRING, n BIGINT, PRIMARY KEY (name) NOT ENFORCED) WITH ('connector' = 'upsert-kafka');\n" +
	"INSERT INTO d SELECT name, COUNT(*) FROM s GROUP BY name;\n"

func TestWarmup(t *testing.T) {
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel() // Java writes an archive on one processor
			home, jar := copyHome(t, homes.Home(t, version))
			dir := t.TempDir()
			c, err := cluster.New(world.Binary(t), home, dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			c.Env = append(c.Env, "JAVA_HOME="+java(t), "TMPDIR="+dir)
			archive := func(name string) string { return filepath.Join(home, "class-archives", name+".jsa") }

			// What a warmup that was killed has left, now and in the first release: it goes.
			half := filepath.Join(home, "class-archives", ".taskmanager.jsa.flink-entrypoint-")
			if err := errors.Join(os.MkdirAll(half+"0123456789abcdef", 0o700), os.WriteFile(half+"0123456789abcdef/taskmanager.jsa", nil, 0o600),
				os.WriteFile(half+"7", nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			names := []string{"jobmanager", "standalone-job", "taskmanager", "history-server", "debug"}
			stdout, stderr := run(t, c, append([]string{"warmup", "--timeout", "6m"}, names...)...)
			t.Log(stderr)
			for _, n := range names {
				if !strings.Contains(stdout, archive(n)+"\n") {
					t.Errorf("stdout does not name %s:\n%s", archive(n), stdout)
				}
			}
			if left := processesWith(home); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
			if files, _ := filepath.Glob(filepath.Join(home, "class-archives", "*")); len(files) != 2*len(names)+1 { // and the runner's jar
				t.Errorf("class-archives holds %v", files)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "flink-entrypoint-*")); len(left) > 0 {
				t.Errorf("files are left: %v", left)
			}

			t.Run("roles", func(t *testing.T) { roles(t, c, archive) })
			t.Run("debug", func(t *testing.T) { debug(t, c) })
			t.Run("appended directory", func(t *testing.T) { appended(t, c, archive) })
			t.Run("silent where Java refuses", func(t *testing.T) { silent(t, c, home, archive("taskmanager")) })
			t.Run("stale", func(t *testing.T) { stale(t, c, jar, archive) })
		})
	}
}

// roles starts JobManager and TaskManager from their archives, and finds nothing else changed.
func roles(t *testing.T, c *cluster.Cluster, archive func(string) string) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	jm, err := c.Start("jm", "jobmanager", []string{"jobmanager"})
	if err != nil {
		t.Fatal(err)
	}
	tm, err := c.Start("tm", "taskmanager", []string{"taskmanager"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.TaskManagers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	for p, name := range map[*cluster.Process]string{jm: "jobmanager", tm: "taskmanager"} {
		if !maps(t, p.PID(), archive(name)) {
			t.Errorf("%s does not map its archive\n%s", name, p.Tail(10))
		}
		for _, l := range slices.Concat(p.Stdout(), p.Stderr()) {
			if strings.Contains(l, "[warning]") || strings.Contains(l, "VM warning") || strings.Contains(l, "[cds") {
				t.Errorf("%s prints %q", name, l)
			}
		}
	}
}

// debug runs SQL from the archive: Java's own log of loaded classes tells.
func debug(t *testing.T, c *cluster.Cluster) {
	script, log := filepath.Join(c.Dir, "copy.sql"), filepath.Join(c.Dir, "classes.log")
	if err := os.WriteFile(script, []byte(copySQL), 0o644); err != nil {
		t.Fatal(err)
	}
	env := c.Env
	defer func() { c.Env = env }()
	c.Env = append(slices.Clip(c.Env), "JDK_JAVA_OPTIONS=-Xlog:class+load:file="+log)
	stdout, stderr := run(t, c, "debug", script)
	if !strings.Contains(stdout, "+I") {
		t.Errorf("no rows:\n%s%s", stdout, stderr)
	}
	classes, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	all, shared := strings.Count(string(classes), "\n"), strings.Count(string(classes), "shared objects file")
	if shared*10 < all*7 || !strings.Contains(string(classes), "org.apache.calcite") {
		t.Errorf("%d of %d classes come from the archives, want most of them, the planner's too", shared, all)
	}
	t.Logf("%d of %d classes come from the archives", shared, all)
}

// appended starts with a Hadoop configuration after the jars, which an archive cannot hold.
func appended(t *testing.T, c *cluster.Cluster, archive func(string) string) {
	hadoop := filepath.Join(c.Dir, "hadoop")
	if err := os.MkdirAll(hadoop, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(hadoop, "core-site.xml"), []byte("<configuration/>\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	defer c.Close()
	jm, err := c.Start("jm", "jobmanager", []string{"jobmanager"}, "HADOOP_CONF_DIR="+hadoop)
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Poll(ctx, func() error { return c.Get(ctx, "/overview", &struct{}{}) }); err != nil {
		t.Fatalf("%v\n%s", err, jm.Tail(20))
	}
	if !maps(t, jm.PID(), archive("jobmanager")) {
		t.Error("the archive is not used with a directory at the end of its class path")
	}
}

// silent hands Java an archive that it refuses: it must print nothing, because its messages would be in Flink's output.
func silent(t *testing.T, c *cluster.Cluster, home, archive string) {
	stdout, _ := run(t, c, "--output", "json", "explain", "taskmanager")
	for _, o := range []string{"-XX:SharedArchiveFile=" + archive, "-Xlog:cds*=off"} {
		if !strings.Contains(stdout, `"`+o+`"`) {
			t.Fatalf("explain does not show %s", o)
		}
	}
	options := map[string][]string{
		"other class path": {"-cp", filepath.Join(home, "opt")},
		"no class path":    {},
		"wide references":  {"-XX:-UseCompressedOops", "-cp", filepath.Join(home, "opt")},
		"ZGC":              {"-XX:+UseZGC"},
	}
	for name, o := range options {
		plain, err := exec.Command(java(t)+"/bin/java", append(slices.Clone(o), "-Xmx64m", "-version")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, plain)
		}
		with, err := exec.Command(java(t)+"/bin/java", append([]string{"-XX:SharedArchiveFile=" + archive, "-Xlog:cds*=off"}, append(slices.Clone(o), "-Xmx64m", "-version")...)...).CombinedOutput()
		// The last line says whether sharing is on.
		if a, b := strings.TrimSpace(strings.ReplaceAll(string(plain), ", sharing", "")), strings.TrimSpace(strings.ReplaceAll(string(with), ", sharing", "")); err != nil || a != b {
			t.Errorf("%s: %v, Java prints %q, without the archive %q", name, err, b, a)
		}
	}
}

// stale changes what the archives were made with: one line in the log, and a start without.
func stale(t *testing.T, c *cluster.Cluster, jar string, archive func(string) string) {
	copied := filepath.Join(t.TempDir(), "java")
	if out, err := exec.Command("cp", "-a", java(t), copied).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	env := c.Env
	c.Env = append(slices.Clip(env), "JAVA_HOME="+copied)
	stdout, _ := run(t, c, "explain", "taskmanager")
	if !strings.Contains(stdout, "made by another Java") || strings.Contains(stdout, "SharedArchiveFile") {
		t.Errorf("with the same Java in another place:\n%s", stdout)
	}
	c.Env = env

	other := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(jar, other, other); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	defer c.Close()
	jm, err := c.Start("jm", "jobmanager", []string{"jobmanager"})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Poll(ctx, func() error { return c.Get(ctx, "/overview", &struct{}{}) }); err != nil {
		t.Fatalf("%v\n%s", err, jm.Tail(20))
	}
	if maps(t, jm.PID(), archive("jobmanager")) {
		t.Error("the stale archive is mapped")
	}
	said := 0
	for _, l := range jm.Stderr() {
		if strings.Contains(l, "class archive") {
			said++
			if !strings.Contains(l, jar+" has changed") {
				t.Errorf("found %q, want the jar that changed", l)
			}
		}
	}
	if said != 1 {
		t.Errorf("%d lines about the archive, want one\n%s", said, jm.Tail(20))
	}
}
