// Package placement plans what a start puts beside its configuration, and where Flink finds it: artifacts, the runner's jar, built-in
// plugins, files of the run dir.
//
// Nothing is written below the Flink home: usrlib and plugins get a directory in the run dir, where what the home has is linked
// beside the artifacts, and FLINK_LIB_DIR or FLINK_PLUGINS_DIR lead Flink there. The result is a value, [rundir.Contents], that
// [rundir] puts in place.
package placement

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/environ"
	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/rundir"
	"flink-entrypoint/internal/sqlrunner"
)

// Placement is what is planned so far.
type Placement struct {
	rundir.Contents
	Home      *distribution.Home // with the run dir's directories, and without the jars that an artifact replaces
	ClassPath []string           // appended to Flink's

	dir       string // the run dir
	training  bool   // for a training run of warmup
	warn      func(format string, args ...any)
	ownUsrlib bool // Flink finds usrlib in the run dir
}

// New begins a placement in a run dir. training: the runner's jar is always in usrlib, because an archive of the class path would
// hold the place of this run's jar.
func New(home *distribution.Home, dir string, training bool, warn func(format string, args ...any)) *Placement {
	own := *home
	return &Placement{Home: &own, dir: dir, training: training, warn: warn}
}

// Artifact is a file to bring.
type Artifact struct {
	URI, SHA256 string
	To          string                  // usrlib, run, lib, or plugins/NAME; empty: usrlib
	FileName    func(uri string) string // the name of its file, or ""
}

// AddArtifact plans where an artifact goes.
func (p *Placement) AddArtifact(a Artifact) error {
	shown := fetch.Redact(a.URI)
	name := a.FileName(a.URI)
	switch { // of a URI in a reference nothing is known before
	case name == "":
		return phase.Fail(phase.Artifact, fmt.Errorf("artifact %s: its path ends without a file name", shown), "")
	case jobdef.Unloadable(a.To, name) != "":
		return phase.Fail(phase.Artifact, fmt.Errorf("artifact %s: its name %s has a %s", shown, name, jobdef.Unloadable(a.To, name)),
			"give the file another name, or keep it with to: run")
	}
	if err := p.loadableFrom(a.To); err != nil {
		return err
	}
	item := fetch.Item{URI: a.URI, SHA256: a.SHA256, Root: p.dir, Zip: strings.HasSuffix(name, ".jar") || strings.HasSuffix(name, ".zip"), NoReplace: false}
	switch dir, plugin, _ := strings.Cut(a.To, "/"); dir {
	case "", "usrlib":
		p.userLibrary()
		item.Path = filepath.Join(p.dir, "usrlib", name)
	case "run":
		item.Path = filepath.Join(p.dir, "artifacts", name)
	case "lib":
		item.Path = filepath.Join(p.dir, "extra-lib", name)
		p.ClassPath = append(p.ClassPath, item.Path)
		if name == filepath.Base(p.Home.DistJar) {
			return phase.Fail(phase.Artifact, fmt.Errorf("artifact %s would take the place of Flink itself, %s", shown, p.Home.DistJar), "use an image of that version")
		}
		for _, jar := range p.Home.Without(name) { // the first of two on a class path wins: it must be the definition's
			p.warn("the artifact %s takes the place of the image's %s", shown, jar)
		}
	case "plugins":
		p.pluginDirectory()
		item.Path = filepath.Join(p.dir, "plugins", plugin, name)
	default:
		return phase.Fail(phase.DefinitionInvalid, fmt.Errorf("artifact %s: to is %q, expected usrlib, run, lib or plugins/NAME", shown, a.To), "")
	}
	for _, other := range p.Artifacts {
		if other.Path == item.Path {
			return phase.Fail(phase.Artifact, fmt.Errorf("artifacts %s and %s have the same file name", fetch.Redact(other.URI), shown), "")
		}
	}
	p.Artifacts = append(p.Artifacts, item)
	return nil
}

// userLibrary makes the run dir's usrlib the one that Flink finds: it looks beside the directory that FLINK_LIB_DIR names
// (ClusterEntrypointUtils.tryFindUserLibDirectory).
func (p *Placement) userLibrary() {
	if p.ownUsrlib {
		return
	}
	p.ownUsrlib = true
	lib := filepath.Join(p.dir, "lib")
	p.Links = append(p.Links, rundir.Link{Path: lib, Target: p.Home.LibDir})
	p.linkFiles(filepath.Join(filepath.Dir(p.Home.LibDir), "usrlib"), filepath.Join(p.dir, "usrlib"))
	p.Home.LibDir = lib
}

// pluginDirectory makes the run dir's plugins directory the one that Flink reads.
func (p *Placement) pluginDirectory() {
	own := filepath.Join(p.dir, "plugins")
	if p.Home.PluginsDir == own {
		return
	}
	p.linkContent(p.Home.PluginsDir, own)
	p.Home.PluginsDir = own
}

// linkContent plans a link in dir to for each entry of dir from, which may be missing.
func (p *Placement) linkContent(from, to string) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return
	}
	for _, e := range entries {
		p.Links = append(p.Links, rundir.Link{Path: filepath.Join(to, e.Name()), Target: filepath.Join(from, e.Name())})
	}
}

// hasUserLibrary reports whether Flink will find a usrlib.
func (p *Placement) hasUserLibrary() bool {
	if p.ownUsrlib {
		return true
	}
	st, err := os.Stat(filepath.Join(filepath.Dir(p.Home.LibDir), "usrlib"))
	return err == nil && st.IsDir()
}

// linkFiles plans a link in dir to for each file below dir from, which may be missing: Flink looks for jars in usrlib's own
// subdirectories, but not through links to directories.
func (p *Placement) linkFiles(from, to string) {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return
	}
	_ = filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what cannot be read is not linked, and Flink could not read it either
		}
		rest, err := filepath.Rel(from, path)
		if err == nil {
			p.Links = append(p.Links, rundir.Link{Path: filepath.Join(to, rest), Target: path})
		}
		return nil
	})
}

// AddFile plans a file of the run dir, and returns its path; a secret one is for this user alone.
func (p *Placement) AddFile(name string, content []byte, hidden bool) string {
	path := filepath.Join(p.dir, name)
	p.Files = append(p.Files, rundir.NewFile(path, content, hidden))
	return path
}

// JarPath returns where an artifact of that file name will be, else the path as it was given.
func (p *Placement) JarPath(jar string) string {
	if !strings.Contains(jar, "/") {
		for _, a := range p.Artifacts {
			if filepath.Base(a.Path) == jar {
				return a.Path
			}
		}
	}
	return jar
}

// RunnerPlacement returns where this Flink looks for the runner.
func (p *Placement) RunnerPlacement() sqlrunner.Placement {
	if p.training {
		return sqlrunner.UserLibrary
	}
	v := p.Home.Version
	return sqlrunner.PlacementFor(v, p.hasUserLibrary())
}

// AddRunner plans the runner's jar where this Flink looks for the job class.
func (p *Placement) AddRunner() error {
	if p.RunnerPlacement() != sqlrunner.UserLibrary {
		return p.AddRunnerToClassPath()
	}
	if err := p.loadableFrom("usrlib"); err != nil {
		return err
	}
	p.userLibrary()
	p.AddFile(filepath.Join("usrlib", sqlrunner.JarName), sqlrunner.Jar(), false)
	return nil
}

// AddRunnerToClassPath plans the runner's jar at the end of the class path.
func (p *Placement) AddRunnerToClassPath() error {
	if err := p.loadableFrom("lib"); err != nil {
		return err
	}
	p.AddToClassPath(sqlrunner.JarName, sqlrunner.Jar())
	return nil
}

// AddToClassPath plans a jar of the run dir at the end of the class path.
func (p *Placement) AddToClassPath(name string, jar []byte) {
	p.ClassPath = append(p.ClassPath, p.AddFile(name, jar, false))
}

// loadableFrom refuses a run dir from which no jar of that place could be loaded.
func (p *Placement) loadableFrom(to string) error {
	if why := jobdef.Unloadable(to, p.dir); why != "" {
		return phase.Fail(phase.Usage, fmt.Errorf("the run dir %s has a %s", p.dir, why), "choose another directory with --run-dir")
	}
	return nil
}

// AddRunnerFile plans the runner's jar at a path that the configuration names.
func (p *Placement) AddRunnerFile() error {
	if err := p.loadableFrom("lib"); err != nil {
		return err
	}
	p.AddFile(sqlrunner.JarName, sqlrunner.Jar(), false)
	return nil
}

// RunnerPath is the path of the jar that AddRunnerFile plans.
func (p *Placement) RunnerPath() string { return filepath.Join(p.dir, sqlrunner.JarName) }

// HasRunner reports whether the runner's jar is planned.
func (p *Placement) HasRunner() bool {
	return slices.ContainsFunc(p.Files, func(f rundir.File) bool { return filepath.Base(f.Path) == sqlrunner.JarName })
}

// AddBuiltInPlugins links the jars of opt that ENABLE_BUILT_IN_PLUGINS names (separated by ';') into the plugins directory, as the
// official image does. Where that cannot be written, a plugins directory of links in the run dir takes its place.
func (p *Placement) AddBuiltInPlugins(vars environ.Vars) error {
	names := strings.FieldsFunc(vars.Get("ENABLE_BUILT_IN_PLUGINS"), func(r rune) bool { return r == ';' })
	if len(names) == 0 {
		return nil
	}
	dir := p.Home.PluginsDir
	if unix.Access(dir, unix.W_OK) != nil {
		p.pluginDirectory()
		dir = p.Home.PluginsDir
	}
	for _, name := range names {
		name = strings.TrimSpace(name)
		target := filepath.Join(p.Home.OptDir, name)
		if name != filepath.Base(name) {
			return phase.Fail(phase.Configuration, fmt.Errorf("ENABLE_BUILT_IN_PLUGINS: found %q, expected the name of a jar in %s", name, p.Home.OptDir), "")
		}
		if _, err := os.Stat(target); err != nil {
			hint := ""
			if jars, err := p.Home.OptJars(""); err == nil && len(jars) > 0 {
				for i := range jars {
					jars[i] = filepath.Base(jars[i])
				}
				hint = "there are: " + strings.Join(jars, ", ")
			}
			return phase.Fail(phase.Configuration, fmt.Errorf("ENABLE_BUILT_IN_PLUGINS: plugin %s does not exist in %s", name, p.Home.OptDir), hint)
		}
		p.Links = append(p.Links, rundir.Link{Path: filepath.Join(dir, strings.TrimSuffix(name, ".jar"), name), Target: target})
	}
	return nil
}
