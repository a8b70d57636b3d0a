//go:build container

package container

import (
	"strings"
	"testing"
)

// TestOutOfMemory tells the story of a TaskManager with the stock configuration (1728m) in a container of 600 MB. Every process touches
// its whole heap at the start, as a busy one does later: then the kernel's answer comes at once.
func TestOutOfMemory(t *testing.T) {
	const container = "600m"
	touch := "JVM_ARGS=-XX:+AlwaysPreTouch"
	// The parts that 600 MB leave room for.
	small := "FLINK_PROPERTIES=taskmanager.memory.jvm-metaspace.size: 128m\ntaskmanager.memory.framework.heap.size: 64m\ntaskmanager.memory.framework.off-heap.size: 64m\n" +
		"taskmanager.memory.network.min: 32m\ntaskmanager.memory.jvm-overhead.min: 128m"
	forEachVersion(t, func(w *world) {
		run := func(w *world, memory string, env []string, args ...string) *started {
			w.Helper()
			// Swap would only make the death slow.
			return w.start("taskmanager", append(env, touch, "JOB_MANAGER_RPC_ADDRESS=localhost"), append([]string{"--memory", memory, "--memory-swap", memory}, args...)...)
		}
		w.Run("the official scripts: killed without a message", func(t *testing.T) {
			w := w.of(t)
			tm := run(w, container, nil, w.Base, "taskmanager.sh", "start-foreground")
			if code := tm.wait(); code != 137 {
				t.Errorf("exit code %d, expected 137", code)
			}
			if log := tm.logs(); !strings.Contains(log, "Starting taskexecutor") || strings.Contains(log, "Out of memory") || strings.Contains(log, "OutOfMemoryError") {
				t.Errorf("the scripts or the JVM say something about it\n%s", log)
			}
		})
		w.Run("keep: killed as the warning says", func(t *testing.T) {
			w := w.of(t)
			tm := run(w, container, []string{"FLINK_ENTRYPOINT_MEMORY=keep"}, w.Slim, "taskmanager")
			if code := tm.wait(); code != 137 {
				t.Errorf("exit code %d, expected 137", code)
			}
			if log := tm.logs(); !strings.Contains(log, "more than the 600.000mb") || !strings.Contains(log, "expect the kernel to kill it (OOMKilled, exit code 137)") {
				t.Errorf("no warning of it\n%s", log)
			}
		})
		smallest := ""
		w.Run("auto: refused before the start", func(t *testing.T) {
			w := w.of(t)
			tm := run(w, container, nil, w.Slim, "taskmanager")
			if code := tm.wait(); code != 24 {
				t.Errorf("exit code %d, expected 24", code)
			}
			log := tm.logs()
			_, after, ok := strings.Cut(log, "hint: give the TaskManager at least ")
			smallest, _, _ = strings.Cut(after, ",")
			if !ok || smallest == "" {
				t.Fatalf("no size that would work is named\n%s", log)
			}
			t.Log("named as the smallest: ", smallest)
		})
		for _, c := range []struct {
			name, memory string
			env          []string
		}{
			{"auto: what it named is enough", smallest, nil},
			{"limit: smaller parts fit", container, []string{small, "FLINK_ENTRYPOINT_MEMORY=limit"}},
		} {
			w.Run(c.name, func(t *testing.T) {
				w := w.of(t)
				if c.memory == "" {
					t.Fatal("no size was named")
				}
				tm := run(w, c.memory, c.env, w.Slim, "taskmanager")
				tm.healthy("taskmanager")
			})
		}
	})
}
