package cgroup

import (
	"context"
	"path/filepath"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/mem"
)

// Host returns the machine's totals as seen below sysroot: physical memory in bytes and CPUs that are
// online, whatever of it this process may use. 0 is unknown.
type Host func(sysroot string) (memory int64, cpus int, err error)

// The files that Machine reads.
const (
	meminfo = "/proc/meminfo"
	online  = "/sys/devices/system/cpu/online"
)

// Machine is the [Host] of the running system, or of a capture: /proc/meminfo through gopsutil, and
// /sys/devices/system/cpu/online.
func Machine(sysroot string) (memory int64, cpus int, err error) {
	t := newTree(sysroot)
	// HOST_PROC is given always, so that such a variable of the container's cannot redirect us.
	if file, err := t.real(meminfo); err == nil && filepath.Base(file) == "meminfo" {
		proc := common.EnvMap{common.HostProcEnvKey: filepath.Dir(file)}
		v, err := mem.VirtualMemoryWithContext(context.WithValue(context.Background(), common.EnvKey, proc))
		if err != nil {
			return 0, 0, &Error{Path: file, Want: "MemTotal: NUMBER kB", Err: err}
		}
		memory = int64(v.Total)
	}
	// gopsutil's cpu package reads /proc/stat before main starts, and all of /proc/cpuinfo to count.
	set, _, err := value(t, online, "CPUs like 0-3,7", parseCPUs)
	return memory, set.count, err
}
