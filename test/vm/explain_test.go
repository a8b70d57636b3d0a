//go:build vm

package vm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"flink-entrypoint/test/world"
)

// TestExplain: the whole program sizes a TaskManager by the limit that a real cgroup v2 kernel enforces. The
// Flink home is a stand-in with what explain reads: a version, a configuration and a Java that is never started.
func TestExplain(t *testing.T) {
	binary := os.Getenv("FLINK_ENTRYPOINT_BINARY")
	if binary == "" {
		t.Skip("FLINK_ENTRYPOINT_BINARY names no binary: make build && FLINK_ENTRYPOINT_BINARY=$PWD/bin/flink-entrypoint go test -tags vm ./test/vm")
	}
	files := map[string]string{"/flink-entrypoint": binary}
	home := t.TempDir()
	stub := world.Join(world.StubHome("2.2.1", world.Sizes+"taskmanager.numberOfTaskSlots: 1\n").In("/flink"), world.StubJava("17.0.1", "").In("/java"))
	world.Write(t, home, stub)
	for name := range stub {
		files[name] = filepath.Join(home, name)
	}
	const gib = 1024 * mib
	quota := []Cgroup{group("/ctr", "memory.max=1G", "cpu.max=150000 100000")}
	shared := []Cgroup{group("/p", "memory.max=1900M"), group("/p/c")}
	nested := []Cgroup{group("/p", "memory.max=1G"), group("/p/c", "memory.max=1500M")}
	tests := []struct {
		Case
		args    []string // before the subcommand
		memory  int64    // limit, -1: none
		process int64    // process size
		cores   float64  // -1: no limit
		slots   string
		code    int
	}{
		{Case{Name: "limited", In: "/ctr", View: Private, Make: quota}, nil, gib, gib, 1.5, "1", 0},
		{Case{Name: "limited, no namespace", In: "/ctr", View: Bound, Make: quota}, nil, gib, gib, 1.5, "1", 0},
		{Case{Name: "limited, the tree in view", In: "/ctr", Make: quota}, nil, gib, gib, 1.5, "1", 0},
		{Case{Name: "parent smaller", In: "/p/c", Make: nested}, nil, gib, gib, -1, "1", 0},
		{Case{Name: "parent smaller, private", In: "/p/c", View: Private, Make: nested}, nil, 1500 * mib, 1500 * mib, -1, "1", 0},
		{Case{Name: "shared", In: "/p/c", Make: shared}, nil, 1900 * mib, 1728 * mib, -1, "1", 0},
		{Case{Name: "shared, sized from on demand", In: "/p/c", Make: shared}, []string{"--memory", "limit"}, 1900 * mib, 1900 * mib, -1, "1", 0},
		{Case{Name: "unlimited", In: "/ctr", View: Private, Make: []Cgroup{group("/ctr")}}, nil, -1, 1728 * mib, -1, "1", 0},
		{Case{Name: "above physical", In: "/ctr", View: Private, Make: []Cgroup{group("/ctr", "memory.max=64G")}}, nil, 64 * gib, 1728 * mib, -1, "1", 0},
		{Case{Name: "slots from the quota", In: "/ctr", View: Private, Make: []Cgroup{group("/ctr", "memory.max=1G", "cpu.max=200000 100000")}}, []string{"--slots", "auto"}, gib, gib, 2, "2", 0},
		{Case{Name: "slots from the cpuset", In: "/ctr", View: Private, Make: []Cgroup{group("/ctr", "memory.max=1G", "cpuset.cpus=1")}}, []string{"--slots", "auto"}, gib, gib, 1, "1", 0},
		{Case{Name: "too small", In: "/ctr", View: Private, Make: []Cgroup{group("/ctr", "memory.max=600M")}}, nil, 0, 0, 0, "", 24},
	}
	var plan Plan
	for _, c := range tests {
		c.Argv = append(append([]string{"/flink-entrypoint", "--output", "json"}, c.args...), "explain", "taskmanager")
		c.Env = []string{"FLINK_HOME=/flink", "JAVA_HOME=/java", "PATH=/java/bin", "JOB_MANAGER_RPC_ADDRESS=jm"}
		plan.Cases = append(plan.Cases, c.Case)
	}
	results := boot(t, files, plan)
	for i, c := range tests {
		t.Run(c.Name, func(t *testing.T) {
			var got struct {
				Limits struct {
					Memory *struct{ Bytes int64 }
					CPU    *struct{ Cores float64 }
				}
				Memory struct{ ProcessSize int64 }
				Config struct{ Effective map[string]string }
				Error  struct{ Phase, Hint string }
			}
			r := results[i]
			if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || r.Failure != "" || r.Exit != c.code {
				t.Fatalf("exit %d, want %d: %s%s%s", r.Exit, c.code, r.Failure, r.Stdout, r.Stderr)
			}
			if c.code != 0 {
				if got.Error.Phase != "memory" || got.Error.Hint == "" {
					t.Errorf("phase %q, hint %q", got.Error.Phase, got.Error.Hint)
				}
				return
			}
			limit, cores := int64(-1), -1.0
			if got.Limits.Memory != nil {
				limit = got.Limits.Memory.Bytes
			}
			if got.Limits.CPU != nil {
				cores = got.Limits.CPU.Cores
			}
			if limit != c.memory || got.Memory.ProcessSize != c.process {
				t.Errorf("limit %d, process size %d, want %d, %d", limit, got.Memory.ProcessSize, c.memory, c.process)
			}
			if slots := got.Config.Effective["taskmanager.numberOfTaskSlots"]; cores != c.cores || slots != c.slots {
				t.Errorf("%v cores, %s slots, want %v, %s", cores, slots, c.cores, c.slots)
			}
		})
	}
}
