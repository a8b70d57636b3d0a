package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/memory"
)

// Link is a symbolic link that Apply makes.
type Link struct{ Path, Target string }

// imageEnvironment does what the official image's entrypoint does beside the configuration: built-in plugins and jemalloc.
func (g *gatherer) imageEnvironment(env []string) ([]string, error) {
	if err := g.builtInPlugins(); err != nil {
		return nil, err
	}
	return g.jemalloc(env), nil
}

// builtInPlugins links the jars of opt that ENABLE_BUILT_IN_PLUGINS names (separated by ';') into the plugins directory, as the
// official image does. Where that cannot be written, a plugins directory of links in the run dir takes its place.
func (g *gatherer) builtInPlugins() error {
	names := strings.FieldsFunc(g.env.get("ENABLE_BUILT_IN_PLUGINS"), func(r rune) bool { return r == ';' })
	if len(names) == 0 {
		return nil
	}
	dir := g.plan.Home.PluginsDir
	if unix.Access(dir, unix.W_OK) != nil {
		g.pluginDirectory()
		dir = g.plan.Home.PluginsDir
	}
	for _, name := range names {
		name = strings.TrimSpace(name)
		target := filepath.Join(g.plan.Home.OptDir, name)
		if name != filepath.Base(name) {
			return fail(Configuration, fmt.Errorf("ENABLE_BUILT_IN_PLUGINS: found %q, expected the name of a jar in %s", name, g.plan.Home.OptDir), "")
		}
		if _, err := os.Stat(target); err != nil {
			hint := ""
			if jars, err := g.plan.Home.OptJars(""); err == nil && len(jars) > 0 {
				for i := range jars {
					jars[i] = filepath.Base(jars[i])
				}
				hint = "there are: " + strings.Join(jars, ", ")
			}
			return fail(Configuration, fmt.Errorf("ENABLE_BUILT_IN_PLUGINS: plugin %s does not exist in %s", name, g.plan.Home.OptDir), hint)
		}
		g.plan.Links = append(g.plan.Links, Link{filepath.Join(dir, strings.TrimSuffix(name, ".jar"), name), target})
	}
	return nil
}

// multiarch returns the name of Debian's library directory for this architecture.
func multiarch() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// jemalloc preloads the allocator unless DISABLE_JEMALLOC is set to something else than "false" (FLINK-19125), and gives it as many
// arenas as the container's CPUs deserve: left alone it counts the host's, which costs gigabytes to fragmentation (FLINK-39924).
func (g *gatherer) jemalloc(env []string) []string {
	if off := g.env.get("DISABLE_JEMALLOC"); off != "" && off != "false" {
		return env
	}
	path := filepath.Join("/usr/lib", multiarch(), "libjemalloc.so")
	if _, err := os.Stat(path); err != nil {
		if g.role != PassThrough {
			g.world.Log.Debug("jemalloc is not installed, the C library's allocator is used", "path", path)
		}
		return env
	}
	env = setEnv(env, "LD_PRELOAD", g.env.get("LD_PRELOAD")+":"+path)
	if conf := g.env.get("MALLOC_CONF"); g.plan.Limits.CPU != nil && !strings.Contains(conf, "narenas") {
		arenas := 1
		if n := memory.SlotsForCPU(g.plan.Limits.CPU.Cores); n > 1 {
			arenas = 4 * n
		}
		if conf != "" {
			conf += ","
		}
		env = setEnv(env, "MALLOC_CONF", fmt.Sprintf("%snarenas:%d", conf, arenas))
	}
	return env
}
