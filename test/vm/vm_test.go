//go:build vm

package vm

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/cgroup"
)

const (
	mib = int64(1) << 20
	top = "/sys/fs/cgroup"
)

// want is what cgroup.Detect has to find; -1: no limit.
type want struct {
	memory     int64
	shared     bool
	memoryPath string
	cores      float64
	cpuPath    string
	high       int64
	above      bool
	note       string // part of a note
	err        string // part of the error
}

type test struct {
	Case
	want
}

func group(path string, files ...string) Cgroup { return Cgroup{Path: path, Files: files} }

// v2Tests: each layout with the whole tree in view and, where the answer differs, in the other views.
func v2Tests() []test {
	limited := []Cgroup{group("/ctr", "memory.max=256M", "cpu.max=150000 100000")}
	pod := func(parent, child string) []Cgroup {
		return []Cgroup{group("/kubepods"), group("/kubepods/pod1", "memory.max="+parent, "cpu.max=50000 100000"), group("/kubepods/pod1/c1", "memory.max="+child, "cpu.max=max 100000")}
	}
	const ctr, pod1, c1 = top + "/ctr", top + "/kubepods/pod1", top + "/kubepods/pod1/c1"
	return []test{
		{Case{Name: "root"}, want{memory: -1, cores: -1}},
		{Case{Name: "root in a namespace", View: Private}, want{memory: -1, cores: -1}},
		{Case{Name: "limited", Make: limited, In: "/ctr"},
			want{memory: 256 * mib, memoryPath: ctr + "/memory.max", cores: 1.5, cpuPath: ctr + "/cpu.max"}},
		{Case{Name: "limited, private", Make: limited, In: "/ctr", View: Private},
			want{memory: 256 * mib, memoryPath: top + "/memory.max", cores: 1.5, cpuPath: top + "/cpu.max"}},
		{Case{Name: "limited, bound", Make: limited, In: "/ctr", View: Bound},
			want{memory: 256 * mib, memoryPath: top + "/memory.max", cores: 1.5}},
		{Case{Name: "limited, both", Make: limited, In: "/ctr", View: Both},
			want{memory: 256 * mib, memoryPath: top + "/memory.max", cores: 1.5}},
		{Case{Name: "unlimited", Make: []Cgroup{group("/ctr")}, In: "/ctr"}, want{memory: -1, cores: -1}},
		{Case{Name: "unlimited, private", Make: []Cgroup{group("/ctr")}, In: "/ctr", View: Private}, want{memory: -1, cores: -1}},
		{Case{Name: "parent smaller", Make: pod("128M", "256M"), In: "/kubepods/pod1/c1"},
			want{memory: 128 * mib, memoryPath: pod1 + "/memory.max", cores: .5, cpuPath: pod1 + "/cpu.max"}},
		{Case{Name: "parent smaller, private", Make: pod("128M", "256M"), In: "/kubepods/pod1/c1", View: Private},
			want{memory: 256 * mib, cores: -1}},
		{Case{Name: "parent smaller, bound", Make: pod("128M", "256M"), In: "/kubepods/pod1/c1", View: Bound},
			want{memory: 256 * mib, cores: -1}},
		{Case{Name: "child smaller", Make: pod("256M", "128M"), In: "/kubepods/pod1/c1"},
			want{memory: 128 * mib, memoryPath: c1 + "/memory.max", cores: .5}},
		{Case{Name: "shared", Make: pod("256M", "max"), In: "/kubepods/pod1/c1"},
			want{memory: 256 * mib, shared: true, memoryPath: pod1 + "/memory.max", cores: .5, note: "a parent cgroup"}},
		{Case{Name: "shared, private", Make: pod("256M", "max"), In: "/kubepods/pod1/c1", View: Private}, want{memory: -1, cores: -1}},
		{Case{Name: "shared, above the namespace", View: Both, In: "/kubepods/pod1/c1",
			Make: []Cgroup{group("/kubepods"), group("/kubepods/pod1", "memory.max=256M"), group("/kubepods/pod1/c1")}},
			want{memory: -1, cores: -1}}, // the names between the namespace and the mounted root are nowhere to be read
		{Case{Name: "moved to a subgroup", View: Private, In: "/ctr", Leave: "/ctr/init",
			Make: []Cgroup{group("/ctr", "memory.max=256M"), {Path: "/ctr/init", Plain: true}}},
			want{memory: 256 * mib, shared: true, memoryPath: top + "/memory.max", cores: -1}},
		{Case{Name: "moved out of the namespace", View: Private, In: "/ctr", Leave: "/other",
			Make: []Cgroup{group("/ctr", "memory.max=256M"), group("/other", "memory.max=128M")}},
			want{memory: 256 * mib, cores: -1, note: `"/../other", which is not mounted`}},
		{Case{Name: "moved out of the namespace, visible", View: Both, In: "/ctr", Leave: "/other",
			Make: []Cgroup{group("/ctr", "memory.max=256M"), group("/other", "memory.max=128M")}},
			want{memory: 128 * mib, memoryPath: "/host/cgroup/other/memory.max", cores: -1}},
		{Case{Name: "quota", Make: []Cgroup{group("/ctr", "cpu.max=25000 50000")}, In: "/ctr"}, want{memory: -1, cores: .5, cpuPath: ctr + "/cpu.max"}},
		{Case{Name: "quota of the parent", Make: []Cgroup{group("/p", "cpu.max=30000 100000"), group("/p/c", "cpu.max=90000 100000")}, In: "/p/c"},
			want{memory: -1, cores: .3, cpuPath: top + "/p/cpu.max"}},
		{Case{Name: "quota above the machine", Make: []Cgroup{group("/ctr", "cpu.max=800000 100000")}, In: "/ctr"}, want{memory: -1, cores: 2, cpuPath: ctr + "/cpuset.cpus.effective"}},
		{Case{Name: "cpuset", Make: []Cgroup{group("/ctr", "cpuset.cpus=1")}, In: "/ctr"}, want{memory: -1, cores: 1, cpuPath: ctr + "/cpuset.cpus.effective"}},
		{Case{Name: "cpuset, private", Make: []Cgroup{group("/ctr", "cpuset.cpus=0")}, In: "/ctr", View: Private}, want{memory: -1, cores: 1}},
		{Case{Name: "cpuset of the parent", Make: []Cgroup{group("/p", "cpuset.cpus=1"), group("/p/c")}, In: "/p/c"}, want{memory: -1, cores: 1, cpuPath: top + "/p/c/cpuset.cpus.effective"}},
		{Case{Name: "cpuset of the whole machine", Make: []Cgroup{group("/ctr", "cpuset.cpus=0-1")}, In: "/ctr"}, want{memory: -1, cores: -1}},
		{Case{Name: "cpuset below quota", Make: []Cgroup{group("/ctr", "cpuset.cpus=0", "cpu.max=150000 100000")}, In: "/ctr"}, want{memory: -1, cores: 1, cpuPath: ctr + "/cpuset.cpus.effective"}},
		{Case{Name: "weight", Make: []Cgroup{group("/ctr", "cpu.weight=50")}, In: "/ctr"}, want{memory: -1, cores: -1, note: `cpu.weight "50"`}},
		{Case{Name: "memory.high", Make: []Cgroup{group("/ctr", "memory.high=128M", "memory.max=256M")}, In: "/ctr"}, want{memory: 256 * mib, cores: -1, high: 128 * mib, note: "memory.high 134217728"}},
		{Case{Name: "memory.high alone", Make: []Cgroup{group("/ctr", "memory.high=128M")}, In: "/ctr"}, want{memory: -1, cores: -1, high: 128 * mib}},
		{Case{Name: "above physical", Make: []Cgroup{group("/ctr", "memory.max=64G")}, In: "/ctr"}, want{memory: 65536 * mib, cores: -1, above: true}},
		{Case{Name: "colons and spaces", Make: []Cgroup{group("/a:b c", "memory.max=512M"), group(`/a:b c/d\x2d`, "memory.max=256M")}, In: `/a:b c/d\x2d`},
			want{memory: 256 * mib, memoryPath: top + `/a:b c/d\x2d/memory.max`, cores: -1}},
		{Case{Name: "colons and spaces, bound", Make: []Cgroup{group("/a:b c"), group(`/a:b c/d\x2d`, "memory.max=256M")}, In: `/a:b c/d\x2d`, View: Bound},
			want{memory: 256 * mib, memoryPath: top + "/memory.max", cores: -1}},
		{Case{Name: "another user", Make: limited, In: "/ctr", User: 9999}, want{memory: 256 * mib, cores: 1.5}},
		{Case{Name: "unreadable", Make: limited, In: "/ctr", User: 9999, Lock: []string{ctr + "/memory.max"}}, want{err: "cannot read " + ctr + "/memory.max: permission denied"}},
	}
}

// hybridTests: v1 as systemd lays it out, with an empty v2 beside it.
func hybridTests() []test {
	const memory, cpu = top + "/memory", top + "/cpu,cpuacct"
	pod := func(parent, child string) []Cgroup {
		return []Cgroup{group("/p", "memory.limit_in_bytes="+parent, "cpu.cfs_quota_us=50000"), group("/p/c", "memory.limit_in_bytes="+child)}
	}
	return []test{
		{Case{Name: "root"}, want{memory: -1, cores: -1}},
		{Case{Name: "limited", Make: []Cgroup{group("/ctr", "memory.limit_in_bytes=256M", "cpu.cfs_quota_us=150000")}, In: "/ctr"},
			want{memory: 256 * mib, memoryPath: memory + "/ctr/memory.limit_in_bytes", cores: 1.5, cpuPath: cpu + "/ctr/cpu.cfs_quota_us"}},
		{Case{Name: "parent smaller", Make: pod("128M", "256M"), In: "/p/c"}, want{memory: 128 * mib, cores: .5, cpuPath: cpu + "/p/cpu.cfs_quota_us"}},
		{Case{Name: "parent smaller, private", Make: pod("128M", "256M"), In: "/p/c", View: Private}, want{memory: 128 * mib, memoryPath: memory + "/memory.stat", cores: -1}},
		{Case{Name: "shared, private", Make: pod("128M", "-1"), In: "/p/c", View: Private}, want{memory: 128 * mib, shared: true, memoryPath: memory + "/memory.stat", cores: -1}},
		{Case{Name: "shared, bound", Make: pod("128M", "-1"), In: "/p/c", View: Bound}, want{memory: 128 * mib, shared: true, memoryPath: memory + "/memory.stat", cores: -1}},
		{Case{Name: "unlimited", Make: []Cgroup{group("/ctr")}, In: "/ctr", View: Private}, want{memory: -1, cores: -1}},
		{Case{Name: "cpuset", Make: []Cgroup{group("/ctr", "cpuset.cpus=1")}, In: "/ctr"}, want{memory: -1, cores: 1, cpuPath: top + "/cpuset/ctr/cpuset.effective_cpus"}},
		{Case{Name: "shares", Make: []Cgroup{group("/ctr", "cpu.shares=512")}, In: "/ctr"}, want{memory: -1, cores: -1, note: `cpu.shares "512"`}},
	}
}

func TestLimitsV2(t *testing.T)     { check(t, false, v2Tests()) }
func TestLimitsHybrid(t *testing.T) { check(t, true, hybridTests()) }

func check(t *testing.T, hybrid bool, tests []test) {
	plan := Plan{Hybrid: hybrid}
	for _, c := range tests {
		c.Argv = []string{"/probe"}
		plan.Cases = append(plan.Cases, c.Case)
	}
	results := boot(t, map[string]string{"/probe": build(t, "flink-entrypoint/test/vm/probe")}, plan)
	for i, c := range tests {
		t.Run(c.Name, func(t *testing.T) {
			r := results[i]
			if r.Failure != "" {
				t.Fatal(r.Failure)
			}
			if c.err != "" {
				if r.Exit != 1 || !strings.Contains(r.Stderr, c.err) {
					t.Errorf("exit %d, %q, want %q", r.Exit, r.Stderr, c.err)
				}
				return
			}
			var got cgroup.Limits
			if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
				t.Fatalf("exit %d: %s%s", r.Exit, r.Stdout, r.Stderr)
			}
			compare(t, got, c.want)
			source := cgroup.V2
			if hybrid {
				source = cgroup.V1
			}
			if got.Memory != nil && got.Memory.Source != source || got.CPU != nil && got.CPU.Source != source {
				t.Errorf("not from %s: %s", source, r.Stdout)
			}
		})
	}
}

func compare(t *testing.T, got cgroup.Limits, w want) {
	t.Helper()
	memory, high, cores := cgroup.Memory{Bytes: -1}, cgroup.Memory{}, cgroup.CPU{Cores: -1}
	if got.Memory != nil {
		memory = *got.Memory
	}
	if got.MemoryHigh != nil {
		high = *got.MemoryHigh
	}
	if got.CPU != nil {
		cores = *got.CPU
	}
	if memory.Bytes != w.memory || memory.Shared != w.shared || w.memoryPath != "" && memory.Path != w.memoryPath {
		t.Errorf("memory %+v, want %d, shared %v, %s", memory, w.memory, w.shared, w.memoryPath)
	}
	if cores.Cores != w.cores || w.cpuPath != "" && cores.Path != w.cpuPath {
		t.Errorf("CPU %+v, want %v, %s", cores, w.cores, w.cpuPath)
	}
	if high.Bytes != w.high || got.AbovePhysical != w.above {
		t.Errorf("memory.high %+v, above physical %v, want %d, %v", high, got.AbovePhysical, w.high, w.above)
	}
	if got.HostCPUs != 2 || got.HostMemory < 1800*mib || got.HostMemory > 2048*mib {
		t.Errorf("machine: %d bytes, %d CPUs, want a little under 2 GiB and 2", got.HostMemory, got.HostCPUs)
	}
	if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, w.note) {
		t.Errorf("notes %q lack %q", notes, w.note)
	}
}

// boot runs the plan. Emulation hangs once in a hundred starts, so it has a second try.
func boot(t *testing.T, files map[string]string, plan Plan) []Result {
	t.Helper()
	prepare := exec.Command("./prepare.sh")
	prepare.Stderr = new(strings.Builder)
	kernel, err := prepare.Output()
	if err != nil {
		t.Fatalf("no virtual machine: %v\n%s", err, prepare.Stderr)
	}
	init := build(t, "flink-entrypoint/test/vm/init")
	for try := 1; ; try++ {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		results, err := Boot(ctx, strings.TrimSpace(string(kernel)), init, files, plan)
		cancel()
		if err == nil {
			t.Logf("%d cases in %v", len(results), time.Since(start).Round(10*time.Millisecond))
			return results
		}
		if try == 2 || ctx.Err() == nil {
			t.Fatal(err)
		}
		t.Logf("once more: %v", err)
	}
}

// build makes a static program for the machine.
func build(t *testing.T, pkg string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return out
}
