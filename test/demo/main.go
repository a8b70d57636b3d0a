// Command demo shows the main job on a real Flink: it serves a job definition over HTTP on the loopback
// interface, starts a JobManager and a TaskManager through the entrypoint, shows the job's state, the memory decision
// and the first rows, and ends when the job ends or Ctrl-C is pressed. It leaves nothing on the machine.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/service"
)

func main() {
	binary := flag.String("binary", "bin/flink-entrypoint", "the entrypoint")
	home := flag.String("home", "", "a Flink home")
	definition := flag.String("definition", "examples/clicks-per-minute.yaml", "job definition to serve")
	rows := flag.Int("rows", 10, "rows to show")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *home, *definition, *rows); err != nil {
		if ctx.Err() != nil {
			fmt.Println("\nstopped, nothing is left running")
			stop()
			os.Exit(130)
		}
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, home, definition string, rows int) (err error) {
	if home == "" {
		return errors.New("-home is missing: go run ./test/flinkhome 2.2 brings one and prints its path")
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "flink-entrypoint-demo-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	url, stopServer, err := serve(definition)
	if err != nil {
		return err
	}
	defer stopServer()
	step("definition served at %s", url)

	c, err := cluster.New(binary, home, dir)
	if err != nil {
		return err
	}
	defer c.Close()

	jmFlags := []string{"--definition", url, "--memory-limit", "1600m", "standalone-job"}
	tmFlags := []string{"--definition", url, "--memory-limit", "1728m", "taskmanager"}
	if err := showMemory(ctx, c, "JobManager", "standalone-job", jmFlags); err != nil {
		return err
	}
	if err := showMemory(ctx, c, "TaskManager", "taskmanager", tmFlags); err != nil {
		return err
	}

	started := time.Now()
	step("starting JobManager and TaskManager: flink-entrypoint %s", strings.Join(jmFlags, " "))
	jm, err := c.Start("jobmanager", "standalone-job", jmFlags)
	if err != nil {
		return err
	}
	tm, err := c.Start("taskmanager", "taskmanager", tmFlags)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	if err := watch(ctx, c, jm, started); err != nil {
		return err
	}
	printed, err := tm.Lines(ctx, rows, isRow)
	if err != nil {
		return err
	}
	step("first %d rows, %.1f s after the start", rows, time.Since(started).Seconds())
	for _, l := range printed[:rows] {
		fmt.Println("  " + l)
	}
	code, err := jm.Wait(ctx)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the JobManager ended with %d\n%s", code, jm.Tail(40))
	}
	step("the job has finished, the JobManager ended with %d; %d rows in all", code, countRows(tm.Stdout()))
	return nil
}

// isRow tells the rows of a print sink ("+I[…]", maybe after a subtask number) from log lines.
func isRow(l string) bool {
	for _, op := range []string{"+I[", "-U[", "+U[", "-D["} {
		if i := strings.Index(l, op); i >= 0 && i < 40 && strings.HasSuffix(l, "]") {
			return true
		}
	}
	return false
}

func countRows(lines []string) (n int) {
	for _, l := range lines {
		if isRow(l) {
			n++
		}
	}
	return n
}

// watch shows each state that the job passes until it runs (or is already done).
func watch(ctx context.Context, c *cluster.Cluster, jm *cluster.Process, started time.Time) error {
	last := ""
	return cluster.Poll(ctx, func() error {
		select {
		case <-jm.Done():
			return fmt.Errorf("the JobManager has ended\n%s", jm.Tail(40))
		default:
		}
		jobs, err := c.Jobs(ctx)
		if err != nil {
			return err
		}
		if len(jobs) == 0 {
			return cluster.ErrNotYet
		}
		j := jobs[0]
		if j.State != last {
			last = j.State
			step("job %q is %s after %.1f s", j.Name, j.State, time.Since(started).Seconds())
		}
		if j.State == "RUNNING" || j.State == "FINISHED" {
			return nil
		}
		if j.State == "FAILED" || j.State == "CANCELED" {
			return fmt.Errorf("the job is %s", j.State)
		}
		return cluster.ErrNotYet
	})
}

// showMemory prints what explain says of the process's memory.
func showMemory(ctx context.Context, c *cluster.Cluster, title, role string, words []string) error {
	words = append([]string{"--output", "json"}, words...)
	words = append(words[:len(words)-1], "explain", words[len(words)-1])
	cmd := exec.CommandContext(ctx, c.Binary, append([]string{"--run-dir", c.RunDir(role)}, words...)...)
	cmd.Env = c.Environment(role)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("explain %s: %w\n%s%s", role, err, errs.String(), out)
	}
	var e struct {
		Memory struct {
			Source      string
			ProcessSize int64
			Components  map[string]int64
		}
	}
	if err := json.Unmarshal(out, &e); err != nil {
		return fmt.Errorf("explain %s: %w", role, err)
	}
	step("%s memory: %d MiB from %s", title, e.Memory.ProcessSize>>20, e.Memory.Source)
	for _, k := range []string{"frameworkHeap", "taskHeap", "managed", "frameworkOffHeap", "taskOffHeap", "network", "heap", "offHeap", "jvmMetaspace", "jvmOverhead"} {
		if v, ok := e.Memory.Components[k]; ok && v > 0 {
			fmt.Printf("  %-17s %7.1f MiB\n", k, float64(v)/(1<<20))
		}
	}
	return nil
}

// serve is the platform: it has one job.
func serve(definition string) (url string, stop func(), err error) {
	if _, err := os.Stat(definition); err != nil {
		return "", nil, err
	}
	platform := &service.Service{Jobs: service.File(definition)}
	base, stop, err := platform.Start()
	return base + "/jobs/" + filepath.Base(definition), stop, err
}

func step(format string, args ...any) {
	mark := "==>"
	if st, err := os.Stdout.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" {
		mark = "\x1b[1;34m==>\x1b[0m"
	}
	fmt.Printf(mark+" "+format+"\n", args...)
}
