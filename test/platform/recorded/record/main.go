// Command record runs jobs on real Flink and writes what its REST API answers while they wait for slots, run, restart, and after each way to end: the
// bodies of package recorded.
//
//	go run ./test/flinkhome 1.18.1 1.20.5 2.2.1
//	go run ./test/platform/recorded/record -binary bin/flink-entrypoint -versions '1.18.1 1.20.5 2.2.1'
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/flinkhome/homes"
)

func main() {
	binary := flag.String("binary", "bin/flink-entrypoint", "the entrypoint")
	out := flag.String("out", "test/platform/recorded/bodies", "where VERSION/STATE/NAME.json are written")
	versions := flag.String("versions", "1.18.1 1.20.5 2.2.1", "of Flink")
	only := flag.String("only", "", "record the jobs with this state; empty: all")
	flag.Parse()
	for _, version := range strings.Fields(*versions) {
		if err := record(*binary, *out, version, *only); err != nil {
			fmt.Fprintf(os.Stderr, "error: Flink %s: %v\n", version, err)
			os.Exit(1)
		}
	}
}

// A life is one job: its script, and the states that are recorded in the order in which they come.
type life struct {
	rows   string // further options of the source
	column string
	more   string // lines of the configuration
	alone  bool   // without a TaskManager
	states []string
	act    map[string]func(ctx context.Context, c *cluster.Cluster, id string) error // once a state was recorded
}

var lives = []life{
	{rows: ", 'number-of-rows' = '30'", column: "id", states: []string{"FINISHED"}},
	{column: "id", states: []string{"RUNNING", "CANCELED"}, act: map[string]func(context.Context, *cluster.Cluster, string) error{"RUNNING": cancel}},
	{column: "100 / (50 - id)", states: []string{"RESTARTING", "FAILED"}},
	{column: "id", states: []string{"RUNNING", "STOPPED"}, act: map[string]func(context.Context, *cluster.Cluster, string) error{"RUNNING": stop}},
	{column: "id", more: "  parallelism.default: 3\n", states: []string{"WAITING"}},
	{column: "id", more: "  parallelism.default: 3\n  jobmanager.scheduler: adaptive\n", alone: true, states: []string{"ADAPTIVE"}},
}

// waiting are the states of a job that has not got its slots, with what Flink calls them, and the slots of the TaskManagers that have registered.
var waiting = map[string]struct {
	state string
	slots int
}{"WAITING": {"RUNNING", 2}, "ADAPTIVE": {"CREATED", 0}}

const definition = `apiVersion: flink-entrypoint/v1
name: recorded
resources: {jobManager: {memory: 1g}, taskManager: {memory: 1g}}
configuration:
  jobmanager.memory.heap.size: 128m
  taskmanager.memory.managed.size: 64m
  taskmanager.memory.task.heap.size: 128m
  taskmanager.numberOfTaskSlots: 2
  env.java.opts.jobmanager: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
  env.java.opts.taskmanager: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
  execution.shutdown-on-application-finish: false
  restart-strategy.type: fixed-delay
  restart-strategy.fixed-delay.attempts: 1
  restart-strategy.fixed-delay.delay: 15 s
  restart-strategy: fixed-delay
  execution.checkpointing.interval: 1 s
%ssql:
  script: |
    CREATE TABLE s (id INT) WITH ('connector' = 'datagen', 'rows-per-second' = '20', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '100000'%s);
    CREATE TABLE p (id INT) WITH ('connector' = 'blackhole');
    INSERT INTO p SELECT %s FROM s;
`

func record(binary, out, version, only string) error {
	root, err := homes.Root()
	if err != nil {
		return err
	}
	for i, l := range lives {
		if only != "" && !slices.Contains(l.states, strings.ToUpper(only)) {
			continue
		}
		if err := l.record(binary, filepath.Join(root, version), filepath.Join(out, version)); err != nil {
			return fmt.Errorf("job %d: %w", i+1, err)
		}
	}
	return nil
}

func (l life) record(binary, home, out string) error {
	ctx, end := context.WithTimeout(context.Background(), 5*time.Minute)
	defer end()
	dir, err := os.MkdirTemp("", "record-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	c, err := cluster.New(binary, home, dir)
	if err != nil {
		return err
	}
	defer c.Close()
	name := filepath.Join(dir, "definition.yaml")
	text := fmt.Sprintf(definition, cmp.Or(l.more, "  parallelism.default: 2\n"), l.rows, l.column)
	if strings.HasPrefix(filepath.Base(home), "1.18") {
		text = strings.Replace(text, "  restart-strategy.type: fixed-delay\n", "", 1)
	} else {
		text = strings.Replace(text, "  restart-strategy: fixed-delay\n", "", 1)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return err
	}
	var processes []*cluster.Process
	roles := []string{"standalone-job", "taskmanager"}
	if l.alone {
		roles = roles[:1]
	}
	for _, role := range roles {
		p, err := c.Start(role, role, []string{"--definition", name, role})
		if err != nil {
			return err
		}
		processes = append(processes, p)
	}
	id := ""
	for _, state := range l.states {
		flinks := strings.Replace(state, "STOPPED", "FINISHED", 1)
		wait, waits := waiting[state]
		if waits {
			flinks = wait.state
		}
		err := cluster.Poll(ctx, func() error {
			for _, p := range processes {
				select {
				case <-p.Done():
					return fmt.Errorf("%s has ended\n%s", p.Name, p.Tail(30))
				default:
				}
			}
			jobs, err := c.Jobs(ctx)
			if err != nil {
				return err
			}
			if len(jobs) == 0 || jobs[0].State != flinks || state == "RUNNING" && jobs[0].Tasks["running"] != jobs[0].Tasks["total"] {
				return fmt.Errorf("%w %s: %+v", cluster.ErrNotYet, state, jobs)
			}
			id = jobs[0].ID
			if waits {
				var o struct {
					Slots int `json:"slots-total"`
				}
				if err := c.Get(ctx, "/overview", &o); err != nil {
					return err
				}
				// The tasks of each slot run, whether source and sink are one task or two.
				if n := jobs[0].Tasks; o.Slots != wait.slots || 3*n["running"] != wait.slots*n["total"] || n["running"]+n["scheduled"] != n["total"] {
					return fmt.Errorf("%w %s: %d slots, %v", cluster.ErrNotYet, state, o.Slots, n)
				}
			}
			if state != "RUNNING" {
				return nil
			}
			var o struct{ Counts map[string]int }
			if err := c.Get(ctx, "/jobs/"+id+"/checkpoints", &o); err != nil {
				return err
			}
			if o.Counts["completed"] < 2 {
				return fmt.Errorf("%w: %v checkpoints", cluster.ErrNotYet, o.Counts)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := write(ctx, c, id, filepath.Join(out, strings.ToLower(state)), state == "STOPPED"); err != nil {
			return err
		}
		fmt.Println(out, state)
		if act := l.act[state]; act != nil && slices.Index(l.states, state) < len(l.states)-1 {
			if err := act(ctx, c, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// trigger is the id of the savepoint of a recorded stop.
const trigger = "0123456789abcdef0123456789abcdef"

// write records the bodies of one state. Ids of the job and names of this machine become fixed ones.
func write(ctx context.Context, c *cluster.Cluster, id, dir string, savepoint bool) error {
	paths := map[string]string{"overview": "/jobs/overview", "job": "/jobs/" + id, "exceptions": "/jobs/" + id + "/exceptions", "checkpoints": "/jobs/" + id + "/checkpoints",
		"config": "/jobs/" + id + "/config", "cluster": "/overview", "unknown": "/jobs/" + strings.Repeat("f", 32)}
	if savepoint {
		paths["savepoint"] = "/jobs/" + id + "/savepoints/" + trigger
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, path := range paths {
		body, err := get(ctx, c, path)
		if err != nil {
			return fmt.Errorf("GET %s: %w", path, err)
		}
		body = bytes.ReplaceAll(body, []byte(id), []byte(strings.Repeat("a", 32)))
		body = bytes.ReplaceAll(body, []byte(c.Dir), []byte("/flink"))
		if err := os.WriteFile(filepath.Join(dir, name+".json"), append(body, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func get(ctx context.Context, c *cluster.Cluster, path string) ([]byte, error) {
	return ask(ctx, c, http.MethodGet, path, nil)
}

func ask(ctx context.Context, c *cluster.Cluster, method, path string, in any) ([]byte, error) {
	var r io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d%s", c.Rest, path), r)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !json.Valid(body) {
		err = errors.New("the answer is not JSON: " + resp.Status)
	}
	return bytes.TrimSpace(body), err
}

func cancel(ctx context.Context, c *cluster.Cluster, id string) error {
	_, err := ask(ctx, c, http.MethodPatch, "/jobs/"+id+"?mode=cancel", nil)
	return err
}

func stop(ctx context.Context, c *cluster.Cluster, id string) error {
	_, err := ask(ctx, c, http.MethodPost, "/jobs/"+id+"/stop", map[string]any{"targetDirectory": "file:" + c.Dir + "/savepoints", "triggerId": trigger, "drain": false})
	return err
}
