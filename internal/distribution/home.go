// Package distribution is the installed software: a Flink home (version, directories, jars) and the Java that
// Flink's scripts would start.
//
// In: a directory and the process environment. Out: values; nothing is started. The rules are the rules of
// bin/config.sh and bin/bash-java-utils.sh, 1.13 to 2.3, cited where they are followed.
package distribution

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkversion"
)

// Error says why a Flink home or a Java cannot be used.
type Error struct {
	Message string
	Hint    string // what to do about it; may be empty
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Message }

// Home is a Flink installation as the scripts in its bin directory see it.
type Home struct {
	Dir        string // FLINK_HOME: the parent of the bin directory, symbolic links resolved
	BinDir     string
	LibDir     string // FLINK_LIB_DIR
	OptDir     string // FLINK_OPT_DIR
	PluginsDir string // FLINK_PLUGINS_DIR
	ConfDir    string // Dir/conf, which FLINK_CONF_DIR overrides
	LogDir     string // Dir/log, which env.log.dir and FLINK_LOG_DIR override
	Version    flinkversion.Version
	Warning    string // set when this version is newer than the rules known here
	DistJar    string
	jars       []string // class path, sorted by bytes, DistJar last
}

// Open reads the Flink home at dir. FLINK_LIB_DIR, FLINK_OPT_DIR and FLINK_PLUGINS_DIR of env are honoured. A
// version that is not empty is used instead of the one in the name of the flink-dist jar.
//
// The error is an [Error] when the home cannot be used.
func Open(dir string, env func(string) (string, bool), version string) (*Home, error) {
	resolved, err := resolveHome(dir)
	if err != nil {
		return nil, err
	}
	h := &Home{Dir: resolved}
	h.BinDir = resolved + "/bin"
	h.ConfDir = resolved + "/conf"
	h.LogDir = resolved + "/log"
	h.LibDir = orDefault(env, "FLINK_LIB_DIR", resolved+"/lib")
	h.OptDir = orDefault(env, "FLINK_OPT_DIR", resolved+"/opt")
	h.PluginsDir = orDefault(env, "FLINK_PLUGINS_DIR", resolved+"/plugins")

	if err := h.readLib(); err != nil {
		return nil, err
	}
	if version == "" {
		version, err = versionOf(h.DistJar)
		if err != nil {
			return nil, err
		}
	}
	if h.Version, err = flinkversion.Parse(version); err != nil {
		return nil, &Error{Message: err.Error(), Hint: "give the version of this Flink with --flink-version"}
	}
	if first := flinkversion.Oldest(); !h.Version.Reaches(first) {
		return nil, &Error{
			Message: fmt.Sprintf("Flink %s in %s is not supported: expected %s or later", h.Version, h.Dir, first),
			Hint:    "use the image's own entrypoint for this version",
		}
	}
	if last := flinkversion.Newest(); h.Version.Release().Compare(last) > 0 {
		h.Warning = fmt.Sprintf("Flink %s is newer than %s, the newest known here: its rules are used", h.Version, last)
	}
	return h, nil
}

// HasPlugin reports whether a plugin or the class path has a jar whose name begins with prefix.
func (h *Home) HasPlugin(prefix string) bool {
	plugins, err := filepath.Glob(filepath.Join(h.PluginsDir, "*", prefix+"*.jar"))
	return err == nil && len(plugins) > 0 || slices.ContainsFunc(h.jars, func(jar string) bool { return strings.HasPrefix(filepath.Base(jar), prefix) })
}

// resolveHome follows config.sh: FLINK_HOME is the parent of the physical path of the bin directory.
func resolveHome(dir string) (string, error) {
	if dir == "" {
		return "", &Error{Message: "no Flink home given", Hint: "set FLINK_HOME to the directory that holds Flink's bin, conf and lib"}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", &Error{Message: fmt.Sprintf("Flink home %s: %v", dir, err)}
	}
	if bin, err := filepath.EvalSymlinks(abs + "/bin"); err == nil {
		return filepath.Dir(bin), nil
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", &Error{
			Message: fmt.Sprintf("Flink home %s: %v", dir, reason(err)),
			Hint:    "set FLINK_HOME to the directory that holds Flink's bin, conf and lib",
		}
	}
	return resolved, nil
}

// readLib does what constructFlinkClassPath and findFlinkDistJar do with find: *.jar below the lib directory,
// symbolic links to directories not followed, flink-dist moved to the end.
func (h *Home) readLib() error {
	jars, err := find(h.LibDir, "", ".jar")
	if err != nil {
		return &Error{Message: fmt.Sprintf("cannot read the lib directory: %v", err), Hint: "check FLINK_HOME and FLINK_LIB_DIR"}
	}
	var dist []string
	for _, jar := range jars {
		if strings.HasPrefix(filepath.Base(jar), "flink-dist") {
			dist = append(dist, jar)
		} else {
			h.jars = append(h.jars, jar)
		}
	}
	switch len(dist) {
	case 1:
		h.DistJar = dist[0]
		h.jars = append(h.jars, dist[0])
		return nil
	case 0:
		e := &Error{
			Message: fmt.Sprintf("Flink distribution jar not found in %s: expected one flink-dist*.jar", h.LibDir),
			Hint:    "set FLINK_HOME to a complete Flink distribution",
		}
		if st, err := os.Lstat(h.LibDir); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			e.Hint = fmt.Sprintf("%s is a symbolic link, which Flink's scripts do not follow: set FLINK_LIB_DIR to its target", h.LibDir)
		}
		return e
	default:
		return &Error{
			Message: fmt.Sprintf("Multiple flink-dist*.jar found in %s: %s", h.LibDir, strings.Join(dist, ", ")),
			Hint:    "leave exactly one of them",
		}
	}
}

// find lists the files below root whose name has the prefix and suffix, sorted by the bytes of their path, as
// `find root ! -type d -name 'prefix*suffix' | LC_ALL=C sort` does: root itself is not followed if it is a link.
func find(root, prefix, suffix string) ([]string, error) {
	base := strings.TrimRight(root, "/")
	if base == "" && root != "" {
		base = "/"
	}
	if st, err := os.Lstat(root); err != nil {
		return nil, err
	} else if !st.IsDir() {
		return nil, nil
	}
	var found []string
	err := walk(base, func(path string, isDir bool) {
		name := filepath.Base(path)
		if !isDir && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) && len(name) >= len(prefix)+len(suffix) {
			found = append(found, path)
		}
	})
	slices.Sort(found)
	return found, err
}

// walk visits everything below dir. Paths are dir + "/" + …, not cleaned, because they end up in a class path
// that is compared with the class path of the scripts.
func walk(dir string, visit func(path string, isDir bool)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := dir + "/" + e.Name()
		visit(path, e.IsDir())
		if e.IsDir() {
			if err := walk(path, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// versionOf takes the version from flink-dist-2.2.1.jar or flink-dist_2.12-1.13.6.jar.
func versionOf(distJar string) (string, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(distJar), "flink-dist"), ".jar")
	if strings.HasPrefix(name, "_") { // the Scala version, up to 1.14
		if _, after, ok := strings.Cut(name, "-"); ok {
			name = "-" + after
		}
	}
	version := strings.TrimPrefix(name, "-")
	if version == name || version == "" {
		return "", &Error{
			Message: fmt.Sprintf("cannot tell Flink's version from %s: expected flink-dist-VERSION.jar", distJar),
			Hint:    "give the version of this Flink with --flink-version",
		}
	}
	return version, nil
}

// Jars returns the jars of the class path: every *.jar below the lib directory, sorted by bytes, flink-dist last.
func (h *Home) Jars() []string { return slices.Clone(h.jars) }

// Without takes the jars of that file name off the class path, and returns their paths; flink-dist stays.
func (h *Home) Without(name string) (taken []string) {
	h.jars = slices.DeleteFunc(slices.Clone(h.jars), func(jar string) bool {
		if jar == h.DistJar || filepath.Base(jar) != name {
			return false
		}
		taken = append(taken, jar)
		return true
	})
	return taken
}

// OptJars returns the jars below the opt directory whose name starts with prefix, sorted by bytes.
func (h *Home) OptJars(prefix string) ([]string, error) {
	jars, err := find(h.OptDir, prefix, ".jar")
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("cannot read the opt directory: %v", err), Hint: "check FLINK_OPT_DIR"}
	}
	return jars, nil
}

// OptFiles returns what `find "$FLINK_OPT_DIR" -regex ".*PART.*.jar"` of sql-client.sh finds, sorted by bytes: the expression is for
// the whole path, and its last dot is any character. Directories count. Without an opt directory there is nothing.
func (h *Home) OptFiles(part string) ([]string, error) {
	var found []string
	dir := strings.TrimRight(h.OptDir, "/")
	if st, err := os.Lstat(h.OptDir); err != nil || !st.IsDir() {
		return nil, nil
	}
	err := walk(dir, func(path string, _ bool) {
		_, rest, ok := strings.Cut(path, part)
		if ok && len(rest) > len("jar") && strings.HasSuffix(rest, "jar") {
			found = append(found, path)
		}
	})
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("cannot read the opt directory: %v", err), Hint: "check FLINK_OPT_DIR"}
	}
	slices.Sort(found)
	return found, nil
}

// orDefault treats an empty variable as unset, as the scripts' [ -z "$NAME" ] does.
func orDefault(env func(string) (string, bool), name, def string) string {
	if v, _ := env(name); v != "" {
		return v
	}
	return def
}

// reason strips the system call and path that an os error repeats.
func reason(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}
