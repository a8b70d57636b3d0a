package boot

import (
	"flink-entrypoint/internal/cgroup"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/memory"
	"flink-entrypoint/internal/placement"
)

// imageEnvironment does what the official image's entrypoint does beside the configuration: built-in plugins and jemalloc.
func (r *Run) imageEnvironment(p Process, c Config, l cgroup.Limits, env []string, place *placement.Placement) ([]string, error) {
	env = environ.Set(env, "FLINK_CONF_DIR", c.OutDir)
	if !c.Kept { // else the role's start has linked them
		if err := place.AddBuiltInPlugins(p.Vars); err != nil {
			return nil, err
		}
	}
	cpus := 0 // no limit
	if l.CPU != nil {
		cpus = memory.SlotsForCPU(l.CPU.Cores)
	}
	env, missing := environ.WithJemalloc(env, cpus)
	if missing != "" && IsRole(r.role) {
		r.world.Log.Debug("jemalloc is not installed, the C library's allocator is used", "path", missing)
	}
	return env, nil
}
