package environ

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// multiarch returns the name of Debian's library directory for this architecture.
func multiarch() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// WithJemalloc preloads the allocator unless DISABLE_JEMALLOC is set to something else than "false" (FLINK-19125), and gives it as many
// arenas as the container's CPUs deserve: left alone it counts the host's, which costs gigabytes to fragmentation (FLINK-39924).
// cpus is the container's number of CPUs, 0 if it has no limit. missing is where the library would be.
func WithJemalloc(env []string, cpus int) (with []string, missing string) {
	vars := Of(env)
	if off := vars.Get("DISABLE_JEMALLOC"); off != "" && off != "false" {
		return env, ""
	}
	path := filepath.Join("/usr/lib", multiarch(), "libjemalloc.so")
	if _, err := os.Stat(path); err != nil {
		return env, path
	}
	env = Set(env, "LD_PRELOAD", vars.Get("LD_PRELOAD")+":"+path)
	if conf := vars.Get("MALLOC_CONF"); cpus > 0 && !strings.Contains(conf, "narenas") {
		arenas := 1
		if cpus > 1 {
			arenas = 4 * cpus
		}
		if conf != "" {
			conf += ","
		}
		env = Set(env, "MALLOC_CONF", fmt.Sprintf("%snarenas:%d", conf, arenas))
	}
	return env, ""
}
