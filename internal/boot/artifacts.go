package boot

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/jobdef"
)

// artifacts plans where each artifact goes. Nothing is written below the Flink home: usrlib and plugins get a
// directory in the run dir, where what the home has is linked beside the artifacts, and FLINK_LIB_DIR or FLINK_PLUGINS_DIR lead
// Flink there.
func (g *gatherer) artifacts(ctx context.Context) error {
	if g.def == nil {
		return nil
	}
	for _, a := range g.def.Artifacts {
		if err := g.artifact(a.URI, a.SHA256, a.To); err != nil {
			return err
		}
	}
	if j := g.def.Jar; j != nil && (g.role == "standalone-job" || g.role == "taskmanager") {
		return g.artifact(j.URI, j.SHA256, "usrlib")
	}
	return nil
}

// artifact plans one. to is usrlib, run, lib, or plugins/NAME.
func (g *gatherer) artifact(from, digest jobdef.Text, to string) error {
	uri, err := g.reveal(from, Artifact)
	if err != nil {
		return err
	}
	sha256, err := g.reveal(digest, Artifact)
	if err != nil {
		return err
	}
	if from.IsReference() {
		g.world.Redactor.addURI(uri)
	}
	if err := fetch.Check(uri); err != nil { // before any part of it becomes the name of a file
		return fetchError(Artifact, err)
	}
	name := artifactName(uri)
	if name == "" {
		return fail(Artifact, fmt.Errorf("artifact %s: its path ends without a file name", fetch.Redact(uri)), "")
	}
	item := fetch.Item{URI: uri, SHA256: sha256, Root: g.opts.RunDir, Zip: strings.HasSuffix(name, ".jar") || strings.HasSuffix(name, ".zip"), NoReplace: false}
	switch dir, plugin, _ := strings.Cut(to, "/"); dir {
	case "", "usrlib":
		g.userLibrary()
		item.Path = filepath.Join(g.opts.RunDir, "usrlib", name)
	case "run":
		item.Path = filepath.Join(g.opts.RunDir, "artifacts", name)
	case "lib":
		item.Path = filepath.Join(g.opts.RunDir, "extra-lib", name)
		g.classpath = append(g.classpath, item.Path)
	case "plugins":
		g.pluginDirectory()
		item.Path = filepath.Join(g.opts.RunDir, "plugins", plugin, name)
	default:
		return fail(DefinitionInvalid, fmt.Errorf("artifact %s: to is %q, expected usrlib, run, lib or plugins/NAME", fetch.Redact(uri), to), "")
	}
	for _, other := range g.plan.Artifacts {
		if other.Path == item.Path {
			return fail(Artifact, fmt.Errorf("artifacts %s and %s have the same file name", fetch.Redact(other.URI), fetch.Redact(uri)), "")
		}
	}
	g.plan.Artifacts = append(g.plan.Artifacts, item)
	_, err = g.fetcher()
	return err
}

// artifactName returns the file name of a URI.
func artifactName(uri string) string {
	uri, _, _ = strings.Cut(uri, "#")
	uri, _, _ = strings.Cut(uri, "?")
	name := path.Base(uri)
	if name == "." || name == "/" || name == ".." {
		return ""
	}
	return name
}

// userLibrary makes the run dir's usrlib the one that Flink finds: it looks beside the directory that FLINK_LIB_DIR names
// (ClusterEntrypointUtils.tryFindUserLibDirectory).
func (g *gatherer) userLibrary() {
	if g.ownUsrlib {
		return
	}
	g.ownUsrlib = true
	lib := filepath.Join(g.opts.RunDir, "lib")
	g.plan.Links = append(g.plan.Links, Link{lib, g.plan.Home.LibDir})
	g.linkFiles(filepath.Join(filepath.Dir(g.plan.Home.LibDir), "usrlib"), filepath.Join(g.opts.RunDir, "usrlib"))
	g.plan.Home.LibDir = lib
}

// pluginDirectory makes the run dir's plugins directory the one that Flink reads.
func (g *gatherer) pluginDirectory() {
	own := filepath.Join(g.opts.RunDir, "plugins")
	if g.plan.Home.PluginsDir == own {
		return
	}
	g.linkContent(g.plan.Home.PluginsDir, own)
	g.plan.Home.PluginsDir = own
}

// linkContent plans a link in dir to for each entry of dir from, which may be missing.
func (g *gatherer) linkContent(from, to string) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return
	}
	for _, e := range entries {
		g.plan.Links = append(g.plan.Links, Link{filepath.Join(to, e.Name()), filepath.Join(from, e.Name())})
	}
}

// hasUserLibrary reports whether Flink will find a usrlib.
func (g *gatherer) hasUserLibrary() bool {
	if g.ownUsrlib {
		return true
	}
	st, err := os.Stat(filepath.Join(filepath.Dir(g.plan.Home.LibDir), "usrlib"))
	return err == nil && st.IsDir()
}

// linkFiles plans a link in dir to for each file below dir from, which may be missing: Flink looks for jars in usrlib's own
// subdirectories, but not behind links to directories.
func (g *gatherer) linkFiles(from, to string) {
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
			g.plan.Links = append(g.plan.Links, Link{filepath.Join(to, rest), path})
		}
		return nil
	})
}
