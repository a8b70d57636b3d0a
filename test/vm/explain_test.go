//go:build vm

package vm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestExplain: the whole program sizes a TaskManager by the limit that a real cgroup v2 kernel enforces. The
// Flink home is a stand-in with what explain reads: a version, a configuration and a Java that nobody starts.
func TestExplain(t *testing.T) {
	binary := os.Getenv("FLINK_ENTRYPOINT_BINARY")
	if binary == "" {
		t.Skip("FLINK_ENTRYPOINT_BINARY names no binary: make build && FLINK_ENTRYPOINT_BINARY=$PWD/bin/flink-entrypoint go test -tags vm ./test/vm")
	}
	files := map[string]string{"/flink-entrypoint": binary}
	home := t.TempDir()
	for name, text := range map[string]string{
		"/flink/lib/flink-dist-2.2.1.jar": "",
		"/flink/bin/config.sh":            "",
		"/flink/conf/config.yaml": "jobmanager.memory.process.size: 1600m\n" +
			"taskmanager.memory.process.size: 1728m\n",
		"/java/bin/java": "",
		"/java/release":  "JAVA_VERSION=\"17.0.1\"\n",
	} {
		outside := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(outside), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(outside, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		files[name] = outside
	}
	const gib = 1024 * mib
	tests := []struct {
		Case
		memory  int64 // limit, -1 is none
		process int64 // process size
	}{
		{Case{Name: "limited", In: "/ctr", View: Private, Make: []Cgroup{group("/ctr", "memory.max=1G", "cpu.max=150000 100000")}}, gib, gib},
		{Case{Name: "parent smaller", In: "/p/c", Make: []Cgroup{group("/p", "memory.max=1G"), group("/p/c", "memory.max=1500M")}}, gib, gib},
		{Case{Name: "shared", In: "/p/c", Make: []Cgroup{group("/p", "memory.max=1900M"), group("/p/c")}}, 1900 * mib, 1728 * mib},
		{Case{Name: "unlimited", In: "/ctr", View: Private, Make: []Cgroup{group("/ctr")}}, -1, 1728 * mib},
		{Case{Name: "above physical", In: "/ctr", View: Private, Make: []Cgroup{group("/ctr", "memory.max=64G")}}, 64 * gib, 1728 * mib},
	}
	var plan Plan
	for _, c := range tests {
		c.Argv = []string{"/flink-entrypoint", "--output", "json", "explain", "taskmanager"}
		c.Env = []string{"FLINK_HOME=/flink", "JAVA_HOME=/java", "PATH=/java/bin", "JOB_MANAGER_RPC_ADDRESS=jm"}
		plan.Cases = append(plan.Cases, c.Case)
	}
	results := boot(t, files, plan)
	for i, c := range tests {
		t.Run(c.Name, func(t *testing.T) {
			var got struct {
				Limits struct{ Memory *struct{ Bytes int64 } }
				Memory struct{ ProcessSize int64 }
			}
			r := results[i]
			if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || r.Exit != 0 {
				t.Fatalf("exit %d: %s%s%s", r.Exit, r.Failure, r.Stdout, r.Stderr)
			}
			limit := int64(-1)
			if got.Limits.Memory != nil {
				limit = got.Limits.Memory.Bytes
			}
			if limit != c.memory || got.Memory.ProcessSize != c.process {
				t.Errorf("limit %d, process size %d, want %d, %d", limit, got.Memory.ProcessSize, c.memory, c.process)
			}
		})
	}
}
