// Package limits says how much memory and CPU the container of a process has: as the user gave it, as the definition gives it, or
// as the kernel shows it.
//
// Three sources can disagree, and the container that is sized may be another one than this (an initContainer renders for the
// container that comes after it). The result names its source.
package limits

import (
	"fmt"

	"flink-entrypoint/internal/cgroup"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/phase"
)

// Request is what the user said.
type Request struct {
	Sysroot string // where /proc and /sys are
	Memory  string // --memory-limit; "" if it was not given
	CPU     string // --cpu-limit
	Foreign bool   // the process will run in another container than this one
}

// Limits are what the container may use.
type Limits struct {
	cgroup.Limits
	given    bool  // --memory-limit
	foreign  bool  // Request.Foreign
	enforced int64 // the container's own limit that the kernel shows and --memory-limit replaces; 0: none
}

// Find returns the limits that were given, or else those that are detected. needed: the process is sized. warn gets what the user should
// know.
func Find(req Request, needed bool, warn func(format string, args ...any)) (Limits, error) {
	l := Limits{given: req.Memory != "", foreign: req.Foreign}
	switch {
	case needed && (!req.Foreign || req.Sysroot != "/"):
		found, err := cgroup.Detect(req.Sysroot, cgroup.Machine)
		if err != nil {
			if !l.given {
				return l, phase.Fail(phase.Limits, err, "give the limits with --memory-limit and --cpu-limit")
			}
			warn("%v", err)
		}
		l.Limits = found
	case needed:
		// The machine is the machine of the container to come. Without a limit the Downward API names the machine's memory, and only it shows.
		l.HostMemory, _, _ = cgroup.Machine(req.Sysroot)
	}
	if l.given {
		bytes, _, err := memory.ParseContainerSize(req.Memory)
		if err != nil {
			return l, phase.Fail(phase.Limits, fmt.Errorf("--memory-limit: %w", err), "e.g. 1728m (Flink's spelling) or 2Gi (that of Kubernetes)")
		}
		if seen := l.Memory; seen != nil && !seen.Shared && !l.AbovePhysical {
			l.enforced = seen.Bytes
		}
		l.Memory = &cgroup.Memory{Bytes: bytes, Source: "--memory-limit"}
		l.AbovePhysical = false
	}
	if req.CPU != "" {
		cores, err := cgroup.ParseCores(req.CPU)
		if err != nil {
			return l, phase.Fail(phase.Limits, fmt.Errorf("--cpu-limit: %w", err), "e.g. 2, 1.5, or 1500m")
		}
		l.CPU = &cgroup.CPU{Cores: cores, Source: "--cpu-limit"}
	}
	return l, nil
}

// Container returns the memory of the process's container. size is the size that the definition gives in its field, or "".
func (l Limits) Container(size, field string, warn func(format string, args ...any)) (memory.Container, error) {
	c := memory.Container{Physical: l.HostMemory, Foreign: l.foreign, Unknown: l.NoMemory}
	if m := l.Memory; m != nil {
		c.Bytes, c.Shared, c.Source, c.Zero, c.Unknown = m.Bytes, m.Shared, m.Source, m.Bytes == 0, ""
		if m.Path != "" {
			c.Source += " limit " + m.Path
		}
		c.Given = l.given
	}
	switch {
	case l.given:
		c.Physical = physicalBeside(c.Bytes, l.enforced, c.Physical)
		return c, nil
	case size == "" || size == "auto":
		return c, nil
	}
	bytes, _, err := memory.ParseContainerSize(size)
	if err != nil {
		return c, phase.Fail(phase.DefinitionInvalid, fmt.Errorf("%s: %w", field, err), "")
	}
	if (c.Bytes > 0 || c.Zero) && !c.Foreign && bytes > c.Bytes {
		warn("the job definition gives the container %s, but its limit is %s (%s)", size, flinkconf.HumanReadable(c.Bytes), c.Source)
	}
	enforced := int64(0)
	if !c.Shared && !c.Foreign {
		enforced = c.Bytes
	}
	return memory.Container{Bytes: bytes, Given: true, Physical: physicalBeside(bytes, enforced, c.Physical), Source: "job definition " + field, Foreign: c.Foreign}, nil
}

// physicalBeside returns the machine's memory to compare a given limit with; 0, unknown, where the kernel enforces that limit. A
// sandbox that shows its limit as the machine's memory would otherwise look like a container without one.
func physicalBeside(given, enforced, physical int64) int64 {
	const largestPage = 64 << 10
	if d := given - enforced; enforced > 0 && d > -largestPage && d < largestPage {
		return 0
	}
	return physical
}
