package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/platform/simulate"
	"flink-entrypoint/test/world"
)

// explaining is a server with the real flink-entrypoint and a Flink home that has what explain reads.
func explaining(t *testing.T) *fixture {
	dir := t.TempDir()
	world.Write(t, dir, world.Stub("2.2.1", world.Sizes, world.Runner))
	return newFixture(t, false, Options{Home: filepath.Join(dir, "flink"), Entrypoint: world.Build(t, "cmd/flink-entrypoint"),
		Env: []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + filepath.Join(dir, "java"), "SECRET=hunter2"}})
}

const sized = `apiVersion: flink-entrypoint/v1
name: clicks
resources:
  jobManager: {memory: 1600m}
  taskManager: {memory: 2g, slots: 2}
configuration:
  taskmanager.memory.managed.size: 256m
  env.java.home: /nowhere/java
  s3.secret-key: {fromEnv: SECRET}
artifacts: [{uri: "file:/etc/shadow", to: run}]
sql:
  scriptUri: /etc/shadow
`

// TestMemory: what the entrypoint explains of a version's sizes. Nothing else of the definition is looked at: no file, no secret, no program.
func TestMemory(t *testing.T) {
	f := explaining(t)
	f.want(201, "PUT", "/v1/jobs/clicks", sized, nil)
	m := decode[wire.Memory](t, f.want(200, "GET", "/v1/jobs/clicks/memory", nil, nil))
	if m.Version != 1 || len(m.Roles) != 2 || len(m.Notes) != 0 {
		t.Fatalf("%+v", m)
	}
	for i, want := range []struct {
		role  string
		size  int64
		first string
	}{{"jobmanager", 1600 << 20, "heap"}, {"taskmanager", 2 << 30, "frameworkHeap"}} {
		r := m.Roles[i]
		sum := int64(0)
		for _, p := range r.Parts {
			sum += p.Bytes
			if p.Name == "managed" && p.Bytes != 256<<20 {
				t.Errorf("managed memory is %d", p.Bytes)
			}
		}
		if r.Role != want.role || r.Process != want.size || sum != want.size || r.Parts[0].Name != want.first || r.Fault != nil || r.Source == "" {
			t.Errorf("%+v, sum %d", r, sum)
		}
	}
	// A TaskManager that would not start says why; the JobManager is shown all the same.
	f.want(201, "PUT", "/v1/jobs/clicks", strings.Replace(sized, "memory: 2g", "memory: 200m", 1), nil)
	m = decode[wire.Memory](t, f.want(200, "GET", "/v1/jobs/clicks/memory?version=2", nil, nil))
	if len(m.Roles) != 2 || m.Roles[0].Fault != nil || m.Roles[1].Fault == nil || !strings.Contains(m.Roles[1].Fault.Message, "smallest size that would work") {
		t.Errorf("%+v", m)
	}
	// Without sizes it is what the configuration of Flink says.
	f.want(201, "PUT", "/v1/jobs/plain", definition, nil)
	m = decode[wire.Memory](t, f.want(200, "GET", "/v1/jobs/plain/memory", nil, nil))
	if len(m.Roles) != 2 || m.Roles[0].Process != 1600<<20 || m.Roles[1].Process != 1728<<20 {
		t.Errorf("%+v", m)
	}
	f.want(404, "GET", "/v1/jobs/clicks/memory?version=9", nil, nil)
	f.want(400, "GET", "/v1/jobs/clicks/memory?version=x", nil, nil)
	f.want(404, "GET", "/v1/jobs/nothing/memory", nil, nil)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "flink-platform-explain-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
	if strings.Contains(f.log.String(), "hunter2") {
		t.Error("the log has a secret")
	}
}

// TestMemoryOfABrokenEntrypoint: what is not an explanation is an error of the server, without its text in the answer.
func TestMemoryOfABrokenEntrypoint(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "entrypoint")
	world.File(t, broken, "#!/bin/sh\necho '{\"memory\": null}'\necho something private >&2\n", 0o755)
	world.Write(t, dir, world.Stub("2.2.1", "", world.Runner))
	f := newFixture(t, false, Options{Home: filepath.Join(dir, "flink"), Entrypoint: broken, Env: []string{"PATH=" + os.Getenv("PATH"), "JAVA_HOME=" + filepath.Join(dir, "java")}})
	f.want(201, "PUT", "/v1/jobs/clicks", definition, nil)
	if got, body := f.call("GET", "/v1/jobs/clicks/memory", nil, nil); got.StatusCode != 503 || strings.Contains(string(body), "private") {
		t.Errorf("%d %s", got.StatusCode, body)
	}
	if !strings.Contains(f.log.String(), "the answer has no memory") {
		t.Error(f.log)
	}
}

// TestLineageOfAVersion: of the text that the user sent, and of the catalogs that were written into it.
func TestLineageOfAVersion(t *testing.T) {
	f := withWorkbench(t, false)
	f.want(201, "PUT", "/v1/jobs/clicks", shown, header{"Content-Type": "application/sql"})
	l := decode[wire.Lineage](t, f.want(200, "GET", "/v1/jobs/clicks/lineage", nil, nil))
	lines := map[string]int{}
	for _, x := range l.Tables {
		lines[x.Short] = x.Line
	}
	if lines["p"] != 1 || lines["v"] != 2 || len(l.Edges) == 0 {
		t.Errorf("%+v", l)
	}
	f.want(200, "PUT", "/v1/catalogs/ods", map[string]string{"statement": "CREATE CATALOG ods WITH ('type'='generic_in_memory')"}, nil)
	f.want(201, "PUT", "/v1/jobs/clicks", strings.Replace(definition, "sql:\n", "x-platform: {catalogs: [ods]}\nsql:\n", 1), nil)
	l = decode[wire.Lineage](t, f.want(200, "GET", "/v1/jobs/clicks/lineage?version=2", nil, nil))
	if len(l.Tables) != 2 || len(l.Edges) != 1 {
		t.Errorf("%+v", l)
	}
	f.want(404, "GET", "/v1/jobs/clicks/lineage?version=3", nil, nil)
	f.want(400, "GET", "/v1/jobs/clicks/lineage?version=0", nil, nil)
	f.want(201, "PUT", "/v1/jobs/none", "apiVersion: flink-entrypoint/v1\nname: a\njar: {uri: 'https://example.com/a.jar'}\n", nil)
	f.want(422, "GET", "/v1/jobs/none/lineage", nil, nil)
}

// TestCheckpointsAsWritten: of a real JobManager's answer, in the form of the page of the API.
func TestCheckpointsAsWritten(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	b, err := os.ReadFile("../../../test/platform/recorded/bodies/2.2.1/failed/checkpoints.json")
	if err != nil {
		t.Fatal(err)
	}
	f.world.Of(r.ID, func(c *simulate.Cluster) { c.Checkpoints = string(b) })
	got := decode[struct{ Jobs map[string]wire.Checkpoints }](t, f.want(200, "GET", "/v1/jobs/clicks/checkpoints", nil, nil)).Jobs[r.JobID]
	if got.Counts != (wire.CheckpointCounts{Restored: 1, Total: 5, Completed: 2, Failed: 3}) || len(got.History) != 3 || got.Latest.Completed == nil || got.Latest.Failed == nil {
		t.Fatalf("%+v", got)
	}
	if c := got.History[1]; c.ID != 2 || c.Path != "" || !c.Discarded || c.Startable() || c.Duration != 0.214 || c.Size != 800080 {
		t.Errorf("%+v", c)
	}
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		c.Checkpoints = `{"counts":{},"latest":{},"history":[{"id":7,"status":"COMPLETED","is_savepoint":true,"external_path":"file:/s/savepoint-1","trigger_timestamp":1}]}`
	})
	got = decode[struct{ Jobs map[string]wire.Checkpoints }](t, f.want(200, "GET", "/v1/jobs/clicks/checkpoints", nil, nil)).Jobs[r.JobID]
	if c := got.History[0]; !c.Startable() || c.Path != "file:/s/savepoint-1" || !c.Savepoint {
		t.Errorf("%+v", c)
	}
}

// TestLogsContaining: only lines with a text, and the names of all sources.
func TestLogsContaining(t *testing.T) {
	t.Parallel()
	f := newFixture(t, false)
	r := f.running("clicks")
	f.world.Of(r.ID, func(c *simulate.Cluster) {
		c.Logs = map[string]string{"jobmanager-1": "2026-01-01 00:00:00,000 INFO  a [] - one\n2026-01-01 00:00:01,000 ERROR a [] - Two\n", "taskmanager-1": "2026-01-01 00:00:02,000 INFO  a [] - two again\n"}
	})
	resp, body := f.call("GET", "/v1/jobs/clicks/logs?contains=TWO", nil, nil)
	want := fmt.Sprintf("%s\n%s\n", `{"source":"jobmanager-1","line":"2026-01-01 00:00:01,000 ERROR a [] - Two"}`, `{"source":"taskmanager-1","line":"2026-01-01 00:00:02,000 INFO  a [] - two again"}`)
	if string(body) != want || resp.Header.Get("Log-Sources") != "platform, jobmanager-1, taskmanager-1" {
		t.Errorf("%s %s", resp.Header, body)
	}
}
