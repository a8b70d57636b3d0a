package crash

import (
	"errors"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"flink-entrypoint/test/world"
)

// TestSyncedWhereItLasts: after a loss of power a renamed file may be empty unless it was synced before. That is done where a file
// outlives the container, and not on the way of a default start, which would wait for the disk.
func TestSyncedWhereItLasts(t *testing.T) {
	binary := world.Binary(t)
	service := serve(t)
	for _, s := range []struct {
		name   string
		before func(w *machine)
		start  func(w *machine) *exec.Cmd
		synced bool
		first  bool // only the first file
	}{
		{"the run dir", nil, func(w *machine) *exec.Cmd { return w.command("2.2.1", "taskmanager") }, false, false},
		{"a conf-out in the run dir", nil, func(w *machine) *exec.Cmd {
			return w.command("2.2.1", "--conf-out", w.path("state/run/other/conf"), "taskmanager")
		}, false, false},
		{"a conf-out outside", nil, func(w *machine) *exec.Cmd {
			return w.command("2.2.1", "--conf-out", w.path("state/conf"), "taskmanager")
		}, true, false},
		{"in place", func(w *machine) { w.copyConf("flink-1.20.5/conf", "state/conf") }, func(w *machine) *exec.Cmd {
			return w.command("1.20.5", "--conf-dir", w.path("state/conf"), "--conf-out", w.path("state/conf"), "taskmanager")
		}, true, false},
		{"install", nil, func(w *machine) *exec.Cmd { return w.command("2.2.1", "install", w.path("state")) }, true, false},
		{"the last good copy", func(w *machine) { w.mkdir("state/cache") }, func(w *machine) *exec.Cmd {
			return w.command("2.2.1", "--definition", service+"/one", "--definition-cache", w.path("state/cache/copy"), "taskmanager")
		}, true, true},
	} {
		t.Run(s.name, func(t *testing.T) {
			w := newMachine(t, binary)
			if s.before != nil {
				s.before(w)
			}
			at, seen, err := killAt(s.start(w), 1<<30)
			if errors.Is(err, syscall.EPERM) {
				t.Skipf("%v: a debugger is not allowed here; with docker, run with --cap-add SYS_PTRACE", err)
			}
			if err != nil || at != "" {
				t.Fatal(at, err)
			}
			seen = slices.DeleteFunc(seen, func(call string) bool { return call != "fsync" && call != "renameat" })
			var want []string
			for i := 0; i < len(seen); i = len(want) {
				if seen[i] == "fsync" { // not a link, which has no content
					want = append(want, "fsync")
				}
				want = append(want, "renameat", "fsync") // the directory last
			}
			if !s.synced {
				want = slices.Repeat([]string{"renameat"}, len(seen))
			}
			if s.first {
				want, seen = want[:3], seen[:min(3, len(seen))]
			}
			if len(seen) == 0 || !slices.Equal(seen, want) {
				t.Errorf("calls %q, want %q", seen, want)
			}
		})
	}
}
