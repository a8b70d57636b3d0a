// Package cgroup finds the memory and CPU limits of this process: cgroup v1, v2 and both at once, with
// the limits of every ancestor that can be seen.
//
// In: a directory to use as "/" and the machine's totals. Out: [Limits], each with the file
// it was read from. Nothing is sized here, and nothing is guessed: where the kernel names no limit, the
// result has no limit. What the files mean is from the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/*.rst, and
// cgroups(7), cgroup_namespaces(7), proc_pid_mountinfo(5).
package cgroup

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Source of a limit.
const (
	V1 = "cgroup v1"
	V2 = "cgroup v2"
)

// Memory is a memory limit.
type Memory struct {
	Bytes  int64  `json:"bytes"`
	Shared bool   `json:"shared"` // the process's own cgroup has no limit, only an ancestor of it
	Source string `json:"source"` // V1 or V2
	Path   string `json:"path"`   // the file, as the process sees it (without the sysroot)
}

// CPU is a limit of CPU time or of the CPUs that may be used.
type CPU struct {
	Cores  float64 `json:"cores"`
	Source string  `json:"source"` // V1 or V2
	Path   string  `json:"path"`   // the file, as the process sees it (without the sysroot)
}

// Limits is what this process may use, and what the machine has. A limit that does not exist is nil.
type Limits struct {
	Memory        *Memory  `json:"memory"`
	MemoryHigh    *Memory  `json:"memoryHigh"`    // smallest memory.high: the kernel reclaims memory above it, but kills no process
	AbovePhysical bool     `json:"abovePhysical"` // Memory is finite, but the machine has less than that
	NoMemory      string   `json:"noMemory"`      // why Memory is nil, if that is known; also one of Notes
	CPU           *CPU     `json:"cpu"`
	HostMemory    int64    `json:"hostMemory"` // bytes, 0 = unknown
	HostCPUs      int      `json:"hostCpus"`   // 0 = unknown
	Notes         []string `json:"notes"`      // sentences for a reader: what was found but not used, or used differently
}

// Error tells which file could not be read or understood.
type Error struct {
	Path  string // with the sysroot
	Found string // what is there; empty if Err is set
	Want  string // what was expected there
	Err   error  // why it could not be read
}

// Error names the file, what was found and what was expected.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("cannot read %s: %v, expected %s", e.Path, e.Err, e.Want)
	}
	return fmt.Sprintf("cannot understand %s: found %.80q, expected %s", e.Path, e.Found, e.Want)
}

// Unwrap returns why the file could not be read.
func (e *Error) Unwrap() error { return e.Err }

// Detect reads the limits of this process from /proc and /sys below sysroot ("/" for the running system;
// no symbolic link leads out of another one). host supplies the machine's totals, usually [Machine].
//
// A missing file means no limit: the root cgroup has none, and controllers may be off. A file that exists
// and cannot be read or understood is an [*Error]; Limits then holds what was found before it.
func Detect(sysroot string, host Host) (Limits, error) {
	t := newTree(sysroot)
	var l Limits
	if !t.exists("/") {
		return l, &Error{Path: sysroot, Want: "a directory with proc and sys", Err: fs.ErrNotExist}
	}
	w, err := t.world()
	if err != nil {
		return l, err
	}
	if l.HostMemory, l.HostCPUs, err = host(sysroot); err != nil {
		return l, err
	}
	if w.virtual(meminfo) || w.virtual(online) {
		l.HostMemory, l.HostCPUs = 0, 0
		l.note("lxcfs shows this container's share as the whole machine: the machine's memory is not known")
	}
	memory := t.find("memory", w)
	if memory.lost != "" {
		l.note("%s", memory.lost)
	}
	if err := l.memory(t, memory); err != nil {
		return l, err
	}
	if l.Memory == nil {
		if l.NoMemory = t.noMemory(w, memory); l.NoMemory != "" {
			l.note("the kernel shows no memory limit: %s", l.NoMemory)
		}
	}
	if err := l.quota(t, t.find("cpu", w)); err != nil {
		return l, err
	}
	return l, l.cpuset(t, t.find("cpuset", w))
}

func (l *Limits) note(format string, args ...any) {
	l.Notes = append(l.Notes, fmt.Sprintf(format, args...))
}

// memory takes the smallest limit from the own cgroup up. v1 prints what is in force in the own memory.stat,
// where ancestors show that are not mounted; only without that are the ancestors asked.
func (l *Limits) memory(t tree, h hierarchy) error {
	file, none := "/memory.max", "max"
	if h.source == V1 {
		file, none = "/memory.limit_in_bytes", "-1"
	}
	parse := func(text string) (int64, bool) { return parseBytes(text, none) }
	want := "a number of bytes or " + none
	for i, dir := range h.dirs {
		n, ok, err := value(t, dir+file, want, parse)
		if err != nil {
			return err
		}
		l.Memory = smaller(l.Memory, n, ok, Memory{Shared: i > 0 || !h.own, Source: h.source, Path: dir + file})
		if h.source == V2 {
			n, ok, err := value(t, dir+"/memory.high", want, parse)
			if err != nil {
				return err
			}
			l.MemoryHigh = smaller(l.MemoryHigh, n, ok, Memory{Shared: i > 0 || !h.own, Source: h.source, Path: dir + "/memory.high"})
		} else if i == 0 {
			path := dir + "/memory.stat"
			n, ok, err := value(t, path, "lines NAME NUMBER", parseHierarchical)
			if err != nil {
				return err
			}
			if ok = ok && n >= 0; ok {
				l.Memory = smaller(l.Memory, n, ok, Memory{Shared: true, Source: h.source, Path: path})
				break
			}
		}
	}
	if m := l.Memory; m != nil {
		// Some sandboxes, e.g. gVisor, show the limit as the machine's memory, less what is not a whole page.
		if l.AbovePhysical = l.HostMemory > 0 && m.Bytes-l.HostMemory >= largestPage; l.AbovePhysical {
			l.note("memory limit %d (%s) is above the machine's memory (%d): it has no effect", m.Bytes, m.Path, l.HostMemory)
		}
		if m.Bytes == 0 {
			l.note("memory limit 0 (%s): no process can run in it", m.Path)
		}
		if m.Shared {
			l.note("memory limit %d (%s) is the limit of a parent cgroup: this cgroup has no own limit and shares this one with others", m.Bytes, m.Path)
		}
	}
	if m := l.MemoryHigh; m != nil {
		l.note("memory.high %d (%s) slows a container down but does not end it: it is not used as the limit", m.Bytes, m.Path)
	}
	return nil
}

// smaller returns the smaller of have and n bytes, of equals the one that is there already, which is the
// nearer. A limit is shared only if no nearer cgroup has one.
func smaller(have *Memory, n int64, ok bool, m Memory) *Memory {
	if !ok || n >= unlimited || have != nil && have.Bytes <= n {
		return have
	}
	m.Bytes = n
	m.Shared = m.Shared && (have == nil || have.Shared)
	return &m
}

// quota takes the smallest CPU quota from the own cgroup up.
func (l *Limits) quota(t tree, h hierarchy) error {
	weight, usual := "/cpu.weight", "100"
	if h.source == V1 {
		weight, usual = "/cpu.shares", "1024"
	}
	for i, dir := range h.dirs {
		cores, path, err := t.quota(dir, h.source)
		if err != nil {
			return err
		}
		if cores > 0 && (l.CPU == nil || cores < l.CPU.Cores) {
			l.CPU = &CPU{Cores: cores, Source: h.source, Path: path}
		}
		if i == 0 { // what does not count may also be unreadable
			if w, ok, _ := t.read(dir+weight, ""); ok && strings.TrimSpace(w) != usual {
				l.note("%s %.20q is a relative weight, not a limit: it is not used", dir+weight, strings.TrimSpace(w))
			}
		}
	}
	return nil
}

// quota reads the CPU quota of one cgroup in cores; 0: no quota.
func (t tree) quota(dir, source string) (cores float64, path string, err error) {
	if source == V2 {
		path = dir + "/cpu.max"
		cores, _, err = value(t, path, "QUOTA PERIOD in microseconds, or max", parseQuota)
		return cores, path, err
	}
	path = dir + "/cpu.cfs_quota_us"
	quota, _, err := value(t, path, "microseconds or -1", parseMicros)
	if err != nil || quota <= 0 {
		return 0, path, err
	}
	period, ok, err := value(t, dir+"/cpu.cfs_period_us", "microseconds", parsePeriod)
	if !ok {
		period = defaultPeriod
	}
	return float64(quota) / float64(period), path, err
}

// cpuset lowers the limit to the number of CPUs that may be used, if that is less than the quota, or without
// a quota less than the machine has. The nearest cgroup that names CPUs decides: it can name only those of
// its ancestors.
func (l *Limits) cpuset(t tree, h hierarchy) error {
	var set cpuList
	var path string
	var err error
	for i := 0; i < len(h.dirs) && set.count == 0; i++ {
		if set, path, err = t.cpus(h.dirs[i], h.source); err != nil {
			return err
		}
	}
	most, unknown := l.HostCPUs, l.HostCPUs == 0
	if unknown && len(h.dirs) > 1 { // a capture without /sys/devices: the topmost cgroup knows best
		top, _, err := t.cpus(h.dirs[len(h.dirs)-1], h.source)
		if err != nil {
			return err
		}
		most = top.count
	}
	n := float64(set.count)
	switch {
	case n == 0 || l.CPU != nil && l.CPU.Cores <= n:
	// 0-3 may be all there are, unlike 2-3, and hardly a single one.
	case l.CPU != nil, set.count < most, unknown && !set.fromZero, most == 0 && set.count == 1:
		l.CPU = &CPU{Cores: n, Source: h.source, Path: path}
	case most == 0:
		l.note("%s names %d CPUs, and the machine's number of CPUs is not known: these are taken for all of them", path, set.count)
	}
	return nil
}

// cpus reads which CPUs one cgroup may use; none if it does not say.
func (t tree) cpus(dir, source string) (set cpuList, path string, err error) {
	effective := "/cpuset.cpus.effective"
	if source == V1 {
		effective = "/cpuset.effective_cpus"
	}
	for _, file := range []string{effective, "/cpuset.cpus"} {
		path = dir + file
		if set, _, err = value(t, path, "CPUs like 0-3,7", parseCPUs); err != nil || set.count > 0 {
			break
		}
	}
	return set, path, err
}

// ParseCores reads a CPU quantity: cores, or Kubernetes' milli cores.
func ParseCores(s string) (float64, error) {
	text, scale := s, 1.0
	if t, ok := strings.CutSuffix(s, "m"); ok {
		text, scale = t, 1000
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || v > 1e6 {
		return 0, fmt.Errorf("found %q, expected a positive number of cores", s)
	}
	return v / scale, nil
}
