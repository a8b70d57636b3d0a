package boot

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/rundir"
)

// places are the directories of the configuration.
type places struct {
	BaseDir string // only ever read
	OutDir  string
	Kept    bool   // OutDir holds a role's configuration already, which a command finds as it is: nothing is written
	KeptFor string // that role
}

// outDir is where a start with these options writes its configuration.
func (o Options) outDir() string {
	if o.ConfOut != "" {
		return o.ConfOut
	}
	return filepath.Join(o.RunDir, "conf")
}

// findPlaces decides which directory is read and which is written. A command in a container whose role is prepared (kubectl exec
// … flink list) finds the role's configuration and leaves it as it is: rendered again without the role's arguments, it
// would lose keys under the running process.
func (r *Run) findPlaces(home *distribution.Home, vars environ.Vars) (places, error) {
	p := places{OutDir: r.opts.outDir()}
	switch fromEnv := vars.Get("FLINK_CONF_DIR"); {
	case r.opts.ConfDir != "":
		p.BaseDir = r.opts.ConfDir
	case fromEnv != "" && !rundir.SamePlace(fromEnv, p.OutDir) && !rundir.SamePlace(fromEnv, filepath.Join(DefaultRunDir, "conf")):
		p.BaseDir = fromEnv
	default:
		p.BaseDir = home.ConfDir
	}
	if abs, err := filepath.Abs(p.BaseDir); err == nil {
		p.BaseDir = abs // the target of links
	}
	if st, err := os.Stat(p.BaseDir); err != nil || !st.IsDir() {
		return p, phase.Fail(phase.Configuration, fmt.Errorf("the configuration directory %s does not exist or is not a directory", p.BaseDir), "give it with --conf-dir or FLINK_CONF_DIR")
	}
	if rundir.SameDir(p.BaseDir, r.opts.RunDir) {
		return p, phase.Fail(phase.Usage, fmt.Errorf("the run dir %s is the base configuration directory, which is only read", r.opts.RunDir), "choose another one with --run-dir")
	}
	if r.role == PassThrough || r.isClient() {
		name, _, ok := confpatch.InForceIn(p.OutDir, home.Version)
		if role := confpatch.RenderedFor(p.OutDir, name); ok && IsRole(role) {
			p.Kept, p.KeptFor = true, role
		}
	}
	return p, nil
}

// readKept reads the configuration that a command finds, to show it, and names the keys of FLINK_PROPERTIES that have no
// effect. That is not one of the plan's warnings: --strict in the environment of a container is meant for its role.
func (r *Run) readKept(g ground) (rendered, error) {
	v := g.home.Version
	name, format, _ := confpatch.InForceIn(g.places.OutDir, v)
	c := rendered{Config: Config{places: g.places, OutFile: filepath.Join(g.places.OutDir, name), format: format}}
	r.world.Log.Info("the configuration stays as it is", "phase", "configuration", "file", c.OutFile, "renderedFor", c.KeptFor)
	text, err := os.ReadFile(c.OutFile)
	if err == nil {
		c.file, err = confpatch.Parse(name, format, v, text)
	}
	if err != nil && r.isClient() {
		return c, phase.Fail(phase.Configuration, fmt.Errorf("cannot read the role's configuration %s: %w", c.OutFile, err), "")
	}
	if err != nil {
		return c, nil // the command reports it
	}
	c.BaseFile, c.Rendered, c.written = c.OutFile, text, c.file.Conf()
	c.Effective = c.written
	r.world.Redactor.AddConf(c.Effective)
	entries, _, err := confpatch.Properties(g.proc.Vars.Get("FLINK_PROPERTIES"), format, v, g.proc.Vars.Lookup)
	if err != nil {
		return c, nil
	}
	var keys []string
	for _, e := range entries {
		if have, ok := c.Effective.Get(e.Key); !ok || have.Value.Reveal() != e.Value.Reveal() {
			keys = append(keys, e.Key)
		}
	}
	if len(keys) > 0 {
		r.world.Log.Warn(fmt.Sprintf("FLINK_PROPERTIES has no effect on %s: %s was rendered for the role %s and stays as it is; give such a key with -D, or choose another directory with --conf-out",
			strings.Join(keys, ", "), c.OutFile, c.KeptFor))
	}
	return c, nil
}

// RenderedConf reads the configuration that a start has written, and puts the dynamic properties in args above it. The Flink
// home gives the version, and the version the format of the file.
func RenderedConf(args []string, opts Options, env []string) (*flinkconf.Conf, error) {
	dir := opts.outDir()
	dist, err := openHome(environ.Of(env), opts.FlinkVersion)
	if err != nil {
		return nil, err
	}
	name, format, ok := confpatch.InForceIn(dir, dist.Version)
	if !ok {
		return nil, fmt.Errorf("no configuration in %s: the role has not started yet: %w", dir, fs.ErrNotExist)
	}
	src, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	file, err := confpatch.Parse(name, format, dist.Version, src)
	if err != nil {
		return nil, err
	}
	return flinkconf.ApplyDynamicArgs(file.Conf(), args, dist.Version)
}
