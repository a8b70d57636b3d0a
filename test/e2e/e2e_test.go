//go:build flink

// Package e2e runs the entrypoint in front of real Flink distributions.
package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
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

// forEachVersion runs f with a cluster of each version that can run SQL by our runner. While one waits for its processes, another one starts.
func forEachVersion(t *testing.T, f func(t *testing.T, version string, c *cluster.Cluster)) {
	t.Parallel()
	for _, version := range homes.Versions() {
		if version < "1.15" {
			continue // 1.13 and 1.14 have no runner; they are covered by the command line tests
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			home := homes.Home(t, version)
			c, err := cluster.New(world.Binary(t), home, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			c.Env = append(c.Env, cluster.ForJava17(version)...)
			f(t, version, c)
		})
	}
}

// serve answers every GET with the document.
func serve(t *testing.T, document string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write([]byte(document))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/definition.yaml"
}

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

const definition = `apiVersion: flink-entrypoint/v1
name: squares
configuration:
  parallelism.default: 1
sql:
  set: {table.exec.state.ttl: 1 h}
  catalogs:
    - {name: mem, options: {type: generic_in_memory, default-database: it's}}
  use: {catalog: mem, database: "it's"}
  script: |
    -- five rows; a ';' and an apostrophe's worth of comment
    CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5',
      'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '5');
    CREATE TABLE squares (n BIGINT, s STRING) WITH ('connector' = 'print');
    CREATE TABLE copies (n BIGINT) WITH ('connector' = 'print', 'print-identifier' = 'copy');
    INSERT INTO squares SELECT n * n, 'it''s ; "fine"' FROM numbers;
    INSERT INTO copies SELECT n FROM numbers;
`

func TestApplicationClusterFromHTTP(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		ctx := timeout(t)
		url := serve(t, definition)
		jm, err := c.Start("jm", "standalone-job", []string{"--definition", url, "--memory-limit", "1600m", "standalone-job"})
		if err != nil {
			t.Fatal(err)
		}
		tm, err := c.Start("tm", "taskmanager", []string{"--definition", url, "--memory-limit", "1728m", "taskmanager"})
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]bool{}
		_ = cluster.Poll(ctx, func() error { // until REST is gone with the job's end
			select {
			case <-jm.Done():
				return nil
			default:
			}
			if jobs, err := c.Jobs(ctx); err == nil {
				for _, j := range jobs {
					states[j.State] = true
					if j.Name != "squares" {
						t.Errorf("the job is called %q, want squares", j.Name)
					}
				}
				if len(jobs) > 1 {
					t.Errorf("%d jobs, want one: both INSERTs belong to one statement set", len(jobs))
				}
			}
			return cluster.ErrNotYet
		})
		code, err := jm.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if code != 0 {
			t.Fatalf("the JobManager ended with %d, want 0\n%s", code, jm.Tail(60))
		}
		if !states["RUNNING"] && !states["FINISHED"] {
			t.Errorf("states seen: %v, want RUNNING or FINISHED among them", states)
		}
		var rows []string
		for _, l := range tm.Stdout() {
			if i := strings.Index(l, "+I["); i >= 0 {
				rows = append(rows, l)
			}
		}
		slices.Sort(rows)
		want := []string{"+I[1, it's ; \"fine\"]", "+I[16, it's ; \"fine\"]", "+I[25, it's ; \"fine\"]", "+I[4, it's ; \"fine\"]", "+I[9, it's ; \"fine\"]",
			"copy> +I[1]", "copy> +I[2]", "copy> +I[3]", "copy> +I[4]", "copy> +I[5]"}
		if !slices.Equal(rows, want) {
			t.Errorf("rows:\n%s\nwant:\n%s\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"), tm.Tail(40))
		}
	})
}

// memoryOf asks explain for the memory of a process.
func memoryOf(t *testing.T, c *cluster.Cluster, role string, words ...string) (processSize int64, components map[string]int64) {
	t.Helper()
	cmd := exec.Command(c.Binary, append(append([]string{"--run-dir", c.RunDir("explain"), "--output", "json"}, words...), "explain", role)...)
	cmd.Env = c.Environment(role)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("explain: %v\n%s%s", err, out, stderr.String())
	}
	var e struct {
		Memory struct {
			ProcessSize int64
			Components  map[string]int64
		}
	}
	if err := json.Unmarshal(out, &e); err != nil {
		t.Fatal(err)
	}
	return e.Memory.ProcessSize, e.Memory.Components
}

func TestSessionClusterHasTheMemoryThatExplainAnnounced(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		ctx := timeout(t)
		jm, err := c.Start("jm", "jobmanager", []string{"--memory-limit", "1600m", "jobmanager"})
		if err != nil {
			t.Fatal(err)
		}
		tm, err := c.Start("tm", "taskmanager", []string{"--memory-limit", "1500Mi", "--slots", "3", "taskmanager"})
		if err != nil {
			t.Fatal(err)
		}
		size, components := memoryOf(t, c, "taskmanager", "--memory-limit", "1500Mi", "--slots", "3")
		registered, err := c.TaskManagers(ctx, 1)
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, jm.Tail(40), tm.Tail(40))
		}
		got := registered[0]
		if got.Slots != 3 {
			t.Errorf("%d slots, want 3", got.Slots)
		}
		for rest, ours := range map[string]int64{
			"frameworkHeap": components["frameworkHeap"], "taskHeap": components["taskHeap"], "frameworkOffHeap": components["frameworkOffHeap"],
			"taskOffHeap": components["taskOffHeap"], "networkMemory": components["network"], "managedMemory": components["managed"],
			"jvmMetaspace": components["jvmMetaspace"], "jvmOverhead": components["jvmOverhead"], "totalProcessMemory": size,
		} {
			if n, err := got.Memory[rest].Int64(); err != nil || n != ours {
				t.Errorf("%s: Flink has %s, explain announced %d", rest, got.Memory[rest], ours)
			}
		}
	})
}

func TestFailingSQLIsTold(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		ctx := timeout(t)
		url := serve(t, strings.Replace(definition, "SELECT n FROM numbers", "SELECT nam FROM numbers", 1))
		jm, err := c.Start("jm", "standalone-job", []string{"--definition", url, "--memory-limit", "1600m", "standalone-job"})
		if err != nil {
			t.Fatal(err)
		}
		code, err := jm.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if code == 0 {
			t.Errorf("exit code 0, want a failure")
		}
		all := strings.Join(append(jm.Stdout(), jm.Stderr()...), "\n")
		for _, want := range []string{"statement 5", "line 7", "Column 'nam' not found"} {
			if !strings.Contains(all, want) {
				t.Errorf("the output lacks %q\n%s", want, jm.Tail(60))
			}
		}
	})
}

func TestSecondStartChangesNoByte(t *testing.T) {
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		url := serve(t, definition)
		start := func() map[string]string {
			cmd := exec.Command(c.Binary, "--run-dir", c.RunDir("jm"), "--definition", url, "--memory-limit", "1600m", "render", "standalone-job")
			cmd.Env = c.Environment("standalone-job")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("render: %v\n%s", err, out)
			}
			return snapshot(t, c.RunDir("jm"))
		}
		first, second := start(), start()
		if len(first) < 5 {
			t.Errorf("only %d files: %v", len(first), first)
		}
		for name, state := range first {
			if second[name] != state {
				t.Errorf("%s: %s, after the second start %s", name, state, second[name])
			}
		}
		if len(second) != len(first) {
			t.Errorf("%d files, after the second start %d", len(first), len(second))
		}
	})
}

// snapshot maps the files below dir to mode, size, modification time and content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		out[path] = fmt.Sprintf("%v %d %d %x", info.Mode(), info.Size(), info.ModTime().UnixNano(), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOneExecAfterOurs(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing: apt-get install strace")
	}
	forEachVersion(t, func(t *testing.T, version string, c *cluster.Cluster) {
		trace := filepath.Join(t.TempDir(), "trace")
		// A JVM that only prints its version: what it would do otherwise is not under test here.
		cmd := exec.Command("strace", "-f", "-qq", "-e", "trace=execve,fork,vfork", "-o", trace, c.Binary, "--run-dir", c.RunDir("tm"), "--memory-limit", "1728m", "taskmanager")
		cmd.Env = append(c.Environment("taskmanager"), "JVM_ARGS=-version")
		if out, err := cmd.CombinedOutput(); err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("strace: %v\n%s", err, out)
			}
		}
		content, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		var execs []string
		for l := range strings.Lines(string(content)) {
			// An exec by another thread than the first ends in a line "<... execve resumed>" of its own; strace sometimes shows it a
			// second time, for a thread that has ended by it ("<detached ...>").
			if strings.Contains(l, "execve(\"") && !strings.Contains(l, "= -1") && !strings.Contains(l, "<detached ...>") {
				execs = append(execs, strings.TrimSpace(l))
			}
			if strings.Contains(l, "fork(") {
				t.Errorf("a helper process: %s", l)
			}
		}
		if len(execs) != 2 || !strings.Contains(execs[1], "/java\"") {
			t.Errorf("execve calls:\n%s\nwant ours and java's", strings.Join(execs, "\n"))
		}
	})
}
