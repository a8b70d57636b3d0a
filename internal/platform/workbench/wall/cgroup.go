package wall

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// group is the directory of a cgroup (v2) below which programs get one each.
type group struct{ dir string }

// needed are the controllers that bound programs.
var needed = []string{"memory", "pids"}

// cgroupRoot is where cgroups (v2) are mounted.
const cgroupRoot = "/sys/fs/cgroup"

// openGroup finds a directory where the server may make cgroups; nil: it may not.
func openGroup(log *slog.Logger) *group {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(own)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		g, err := delegated(filepath.Join(cgroupRoot, path), os.Getpid())
		if err != nil && log != nil {
			log.Debug("programs of users get no cgroup", "error", err)
		}
		return g
	}
	return nil
}

// delegated makes a cgroup ready for children with bounds: of the server, if it is its only process. A cgroup has either processes or
// children with bounds, so the server moves into a child of it.
func delegated(dir string, self int) (*group, error) {
	has := func(file string) (bool, error) {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return false, err
		}
		have := strings.Fields(string(text))
		return !slices.ContainsFunc(needed, func(c string) bool { return !slices.Contains(have, c) }), nil
	}
	if there, err := has("cgroup.controllers"); err != nil || !there {
		return nil, errors.Join(err, fmt.Errorf("%s has not the controllers %s", dir, strings.Join(needed, " and ")))
	}
	ready, err := has("cgroup.subtree_control")
	if err != nil {
		return nil, err
	}
	if !ready {
		processes, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(string(processes)) != strconv.Itoa(self) {
			return nil, fmt.Errorf("%s has processes of others", dir)
		}
		leaf := filepath.Join(dir, "server")
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if err := put(filepath.Join(leaf, "cgroup.procs"), strconv.Itoa(self)); err != nil {
			return nil, err
		}
		if err := put(filepath.Join(dir, "cgroup.subtree_control"), "+"+strings.Join(needed, " +")); err != nil {
			return nil, err
		}
	}
	g := &group{dir}
	trial, err := g.make(1<<30, 100)
	if err != nil {
		return nil, err
	}
	return g, trial.remove()
}

// put writes a file of the kernel; it is never made.
func put(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// subgroup is the cgroup of one program.
type subgroup struct {
	dir  string
	file *os.File
}

// make makes a cgroup with bounds.
func (g *group) make(memory int64, processes int) (*subgroup, error) {
	dir, err := os.MkdirTemp(g.dir, "debug-")
	if err != nil {
		return nil, err
	}
	s := &subgroup{dir: dir}
	for _, v := range [][2]string{{"memory.max", strconv.FormatInt(memory, 10)}, {"memory.oom.group", "1"}, {"pids.max", strconv.Itoa(processes)}} {
		if err := put(filepath.Join(dir, v[0]), v[1]); err != nil {
			return nil, errors.Join(err, s.remove())
		}
	}
	_ = put(filepath.Join(dir, "memory.swap.max"), "0") // a kernel without swap has no such file
	if s.file, err = os.Open(dir); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *subgroup) fd() int { return int(s.file.Fd()) }

// kill kills all its processes, on Linux 5.14 and later.
func (s *subgroup) kill() { _ = put(filepath.Join(s.dir, "cgroup.kill"), "1") }

// outOfMemory reports whether the kernel has ended its processes for their memory.
func (s *subgroup) outOfMemory() bool {
	text, err := os.ReadFile(filepath.Join(s.dir, "memory.events"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if name, n, _ := strings.Cut(strings.TrimSpace(line), " "); name == "oom_kill" {
			return n != "0"
		}
	}
	return false
}

// remove removes the cgroup when its last process has gone, which takes the kernel a moment after its end.
func (s *subgroup) remove() error {
	if s.file != nil {
		s.file.Close()
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := os.Remove(s.dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}
