package boot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/phase"
)

// TestSizesOfAControllersFileStay: an operator sizes the pod and writes the same size into its ConfigMap. With the stock sizes and
// a limit factor above 1 they were taken for the distribution's, and raised to the limit.
func TestSizesOfAControllersFileStay(t *testing.T) {
	const sizes = "jobmanager.memory.process.size: 1600m\ntaskmanager.memory.process.size: 1728m\n"
	for _, file := range []struct{ version, name string }{{"1.18.1", "flink-conf.yaml"}, {"1.20.5", "flink-conf.yaml"}, {"1.20.5", "config.yaml"}, {"2.2.1", "config.yaml"}} {
		for _, key := range []string{"kubernetes.cluster-id: demo\n", "$internal.application.main: a.B\n", "$internal.pipeline.job-id: 00000000000000000000000000000001\n"} {
			for role, want := range map[string]string{"jobmanager": "1600m", "standalone-job": "1600m", "taskmanager": "1728m"} {
				home, env := stubHome(t, file.version, map[string]string{file.name: key + sizes})
				plan, err := gather(t, home, role, env, nil) // the limit is 2 GiB
				if err != nil {
					t.Fatal(err)
				}
				if got := processSize(plan, role); got != want || plan.Memory.Spec.ProcessSize > 1728<<20 {
					t.Errorf("%s, %s, %s with %q: process size %s, want %s", file.version, file.name, role, key, got, want)
				}
			}
		}
	}
	for _, tt := range []struct {
		name, conf, definition, want string
		change                       func(*Options)
	}{
		{name: "nested", conf: "kubernetes:\n  cluster-id: demo\n" + sizes, want: "1728m"},
		{name: "a flag is stronger", conf: "kubernetes.cluster-id: demo\n" + sizes, change: func(o *Options) { o.MemoryPolicy = "limit" }, want: "2g"},
		{name: "not a controller's", conf: "kubernetes.namespace: demo\n" + sizes, want: "2g"},
		{name: "the definition's cluster", conf: sizes, want: "2g",
			definition: "highAvailability: {type: kubernetes, clusterId: c, storageDir: /ha}\n"},
		{name: "a file that we rendered with the definition's cluster", want: "2g", conf: "taskmanager.memory.process.size: 1728m\n" +
			"# >>> flink-entrypoint set by flink-entrypoint; the base file is x\n# job definition highAvailability.clusterId\nkubernetes.cluster-id: c\n# <<< flink-entrypoint\n"},
	} {
		home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": tt.conf})
		plan, err := gather(t, home, "taskmanager", env, func(o *Options, _ *World) {
			if tt.definition != "" {
				o.Definition = filepath.Join(t.TempDir(), "job.yaml")
				if err := os.WriteFile(o.Definition, []byte("apiVersion: flink-entrypoint/v1\nname: job\n"+tt.definition), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tt.change != nil {
				tt.change(o)
			}
		})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := processSize(plan, "taskmanager"); got != tt.want {
			t.Errorf("%s: process size %s, want %s", tt.name, got, tt.want)
		}
	}
}

// processSize returns what the file that Flink reads says.
func processSize(plan *Plan, role string) string {
	if role != "taskmanager" {
		role = "jobmanager"
	}
	return plan.Config.Effective.Text(role + ".memory.process.size")
}

// TestSlotsOfAControllersFileStay: its JobManager counts with them.
func TestSlotsOfAControllersFileStay(t *testing.T) {
	home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine() + "kubernetes.cluster-id: demo\ntaskmanager.numberOfTaskSlots: 1\n"})
	plan, err := gather(t, home, "taskmanager", env, func(o *Options, _ *World) { o.Slots = "auto" })
	if err != nil || plan.Config.Effective.Text("taskmanager.numberOfTaskSlots") != "1" {
		t.Errorf("%v, %v", plan, err)
	}
}

// limitsOf plans a TaskManager in a container that the files describe: path below the sysroot, content; "" removes it.
func limitsOf(t *testing.T, files map[string]string, change func(*Options)) (*Plan, error) {
	t.Helper()
	home, env := stubHome(t, "2.2.1", map[string]string{"config.yaml": moduleLine() + "taskmanager.memory.process.size: 1728m\n"})
	for name, content := range files {
		path := filepath.Join(filepath.Dir(home), "sys", name)
		if content == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return gather(t, home, "taskmanager", env, func(o *Options, _ *World) {
		if change != nil {
			change(o)
		}
	})
}

// TestLimitThatIsTheMachinesMemory: gVisor shows the container's limit as the machine's memory. One page said that it limits
// nothing and that the kernel would kill what is above it.
func TestLimitThatIsTheMachinesMemory(t *testing.T) {
	for name, meminfo := range map[string]string{"equal": "MemTotal: 2097152 kB\n", "less than a page below": "MemTotal: 2097149 kB\n"} {
		plan, err := limitsOf(t, map[string]string{"proc/meminfo": meminfo}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if processSize(plan, "taskmanager") != "2g" || plan.Limits.AbovePhysical || len(plan.Limits.Notes) > 0 || len(plan.Warnings) > 0 {
			t.Errorf("%s: %s, %+v, %q", name, processSize(plan, "taskmanager"), plan.Limits, plan.Warnings)
		}
		// The Downward API names the same limit, which the kernel enforces: not the node's allocatable memory.
		for _, given := range []func(*Options){
			func(o *Options) { o.MemoryLimit = "2Gi" },
			func(o *Options) {
				o.Definition = filepath.Join(t.TempDir(), "job.yaml")
				if err := os.WriteFile(o.Definition, []byte("apiVersion: flink-entrypoint/v1\nname: job\nresources: {taskManager: {memory: 2Gi}}\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
		} {
			if plan, err = limitsOf(t, map[string]string{"proc/meminfo": meminfo}, given); err != nil || len(plan.Warnings) > 0 {
				t.Errorf("%s: %v, %q", name, err, plan.Warnings)
			}
		}
	}
	plan, err := limitsOf(t, map[string]string{"proc/meminfo": "MemTotal: 1048576 kB\n"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(slices.Concat(plan.Limits.Notes, plan.Warnings), "\n")
	if processSize(plan, "taskmanager") != "1728m" || !strings.Contains(page, "it has no effect") || !strings.Contains(page, "of the machine's memory: expect the kernel to kill it") ||
		strings.Contains(page, "memory.max: expect") {
		t.Errorf("above the machine's memory: %s, %s", processSize(plan, "taskmanager"), page)
	}
}

// TestNoLimitHasAReason: where no limit is found, the page and error 23 say why; a limit of 0 is named, and is not "none".
func TestNoLimitHasAReason(t *testing.T) {
	for _, tt := range []struct {
		name   string
		files  map[string]string
		reason string
	}{
		{"no /proc/self/cgroup", map[string]string{"proc/self/cgroup": ""}, "/proc/self/cgroup is missing"},
		{"no memory controller", map[string]string{"sys/fs/cgroup/memory.max": "", "sys/fs/cgroup/cgroup.controllers": "cpu io\n"}, "the memory controller is not enabled"},
		{"nothing mounted", map[string]string{"proc/self/mountinfo": "24 23 0:22 / / rw - ext4 /dev/sda rw\n"}, "names no mounted cgroup v2"},
	} {
		plan, err := limitsOf(t, tt.files, nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if notes := strings.Join(plan.Limits.Notes, "\n"); !strings.Contains(notes, tt.reason) {
			t.Errorf("%s: notes %q, want %q", tt.name, notes, tt.reason)
		}
		_, err = limitsOf(t, tt.files, func(o *Options) { o.MemoryPolicy = "limit" })
		if at, _ := phase.Of(err); at != phase.Limits || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v, want an error of %s with %q", tt.name, err, phase.Limits, tt.reason)
		}
	}
	for _, policy := range []string{"auto", "limit"} {
		_, err := limitsOf(t, map[string]string{"sys/fs/cgroup/memory.max": "0\n"}, func(o *Options) { o.MemoryPolicy = policy })
		if at, hint := phase.Of(err); at != phase.Limits || !strings.Contains(err.Error(), "the memory limit is 0 (cgroup v2 limit /sys/fs/cgroup/memory.max)") || hint == "" {
			t.Errorf("a limit of 0: %v", err)
		}
	}
	plan, err := limitsOf(t, map[string]string{"sys/fs/cgroup/memory.max": "0\n"}, func(o *Options) { o.MemoryPolicy = "keep" })
	if err != nil || !strings.Contains(strings.Join(plan.Warnings, "\n"), "more than the 0 bytes of cgroup v2 limit /sys/fs/cgroup/memory.max") {
		t.Errorf("a limit of 0, kept: %v, %q", err, plan.Warnings)
	}
	_, err = limitsOf(t, map[string]string{"sys/fs/cgroup/memory.max": "4096\n"}, nil)
	if at, _ := phase.Of(err); at != phase.Memory || !strings.Contains(err.Error(), "(4096 bytes)") || !strings.Contains(err.Error(), "/sys/fs/cgroup/memory.max") {
		t.Errorf("a limit of a page: %v", err)
	}
}
