package distribution

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/flinkversion"
)

// Java is the Java that Flink's scripts would start.
type Java struct {
	Run     string // JAVA_RUN: "$JAVA_HOME/bin/java", or "java" when JAVA_HOME is not a directory
	Path    string // the executable that Run stands for
	Home    string // JAVA_HOME as the scripts set it: env.java.home, else JAVA_HOME; may be empty
	Spec    int    // specification version: 8, 11, 17, …; 0 when it is not known
	Version string // e.g. "17.0.15"; empty when it is not known

	Installed string // the directory that owns the executable, links resolved; empty when it is not known
}

// FindJava looks Java up in the scripts' order: env.java.home of the configuration file (confJavaHome, see
// [ScriptValue]), JAVA_HOME, PATH. The version comes from the release file of that Java, which is not started.
//
// The error is an [Error].
func FindJava(confJavaHome string, env func(string) (string, bool)) (Java, error) {
	java := Java{Home: confJavaHome}
	if java.Home == "" {
		java.Home, _ = env("JAVA_HOME")
	}
	from := "JAVA_HOME"
	if confJavaHome != "" {
		from = "env.java.home"
	}
	path, _ := env("PATH")
	if st, err := os.Stat(java.Home); java.Home != "" && err == nil && st.IsDir() {
		java.Run = java.Home + "/bin/java"
		java.Path = java.Run
		if err := executable(java.Path); err != nil {
			return java, &Error{
				Message: fmt.Sprintf("%s: %v (%s is %s)", java.Run, err, from, java.Home),
				Hint:    "set " + from + " to the directory of a Java whose bin holds java",
			}
		}
	} else {
		java.Run = "java"
		found, err := LookPath("java", path)
		if err != nil {
			e := &Error{
				Message: "no Java found: neither env.java.home nor JAVA_HOME is set, and PATH has no java",
				Hint:    "set JAVA_HOME, or env.java.home in Flink's configuration",
			}
			if java.Home != "" {
				e.Message = fmt.Sprintf("no Java found: %s is %s, which is not a directory, and PATH has no java", from, java.Home)
			}
			return java, e
		}
		java.Path = found
	}
	java.Installed, java.Version, java.Spec = readRelease(java.Path)
	return java, nil
}

// ErrNotExecutable is what [LookPath] returns for a file that exists and cannot be executed; a shell exits with
// 126 then, and with 127 when nothing was found.
var ErrNotExecutable = errors.New("cannot be executed")

// LookPath finds a command as a shell does: a name with a slash is taken as it is, any other is searched in the
// directories of path, of which an empty one is the working directory. The error is fs.ErrNotExist or
// ErrNotExecutable.
func LookPath(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	result := fs.ErrNotExist
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		candidate := dir + "/" + name
		switch err := executable(candidate); {
		case err == nil:
			return candidate, nil
		case errors.Is(err, ErrNotExecutable):
			if st, statErr := os.Stat(candidate); statErr == nil && !st.IsDir() {
				result = ErrNotExecutable
			}
		}
	}
	return "", result
}

func executable(path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err != nil && !errors.Is(err, fs.ErrPermission):
		return fs.ErrNotExist
	case err != nil || st.IsDir() || !mayExecute(path, st):
		return ErrNotExecutable
	}
	return nil
}

// readRelease reads JAVA_VERSION from the release file of the Java that owns the executable. Up to Java 8 the
// executable may be the one of the jre directory inside it.
func readRelease(executable string) (home, version string, spec int) {
	resolved, err := filepath.EvalSymlinks(executable)
	if err != nil {
		return "", "", 0
	}
	home = filepath.Dir(filepath.Dir(resolved))
	file, err := os.ReadFile(home + "/release")
	if err != nil && filepath.Base(home) == "jre" {
		file, err = os.ReadFile(filepath.Dir(home) + "/release")
	}
	if err != nil {
		return home, "", 0
	}
	for line := range strings.Lines(string(file)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "JAVA_VERSION="); ok {
			version = strings.Trim(value, `"`)
			return home, version, specOf(version)
		}
	}
	return home, "", 0
}

// specOf returns the specification version of "1.8.0_392" (8), "17.0.15", "25-ea" or "21+35".
func specOf(version string) int {
	digits := strings.TrimPrefix(version, "1.")
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// javaSupport is what Flink's documentation (deployment/java_compatibility) says of a range of its releases.
type javaSupport struct {
	versions     []int // tested by the project
	experimental []int
}

func supportOf(v flinkversion.Version) javaSupport {
	return flinkversion.RulesOf(v, []flinkversion.Change[javaSupport]{
		flinkversion.From(1, 13, func(s *javaSupport) { *s = javaSupport{[]int{8, 11}, nil} }),
		flinkversion.From(1, 18, func(s *javaSupport) { s.experimental = []int{17} }),                    // FLINK-15736
		flinkversion.From(1, 19, func(s *javaSupport) { *s = javaSupport{[]int{8, 11, 17}, []int{21}} }), // FLINK-33163
		flinkversion.From(2, 0, func(s *javaSupport) { *s = javaSupport{[]int{11, 17, 21}, nil} }),       // FLINK-36207: without 8
	})
}

// Supports returns a warning if that Flink is not known to run on Java of specification version spec, else "".
func Supports(v flinkversion.Version, spec int) (warning string) {
	s := supportOf(v)
	if len(s.versions) == 0 || slices.Contains(s.versions, spec) || slices.Contains(s.experimental, spec) {
		return ""
	}
	var names []string
	for _, n := range append(slices.Clone(s.versions), s.experimental...) {
		names = append(names, strconv.Itoa(n))
	}
	list := strings.Join(names, ", ")
	switch {
	case spec == 0:
		return fmt.Sprintf("the version of Java is not known (no release file beside it): Flink %s runs on Java %s", v.Release(), list)
	case TooOld(v, spec):
		return fmt.Sprintf("Java %d is too old for Flink %s, which needs Java %s", spec, v.Release(), list)
	default:
		return fmt.Sprintf("Java %d is not supported by Flink %s, which runs on Java %s", spec, v.Release(), list)
	}
}

// TooOld reports whether the classes of that Flink cannot even be loaded by Java of specification version spec.
func TooOld(v flinkversion.Version, spec int) bool {
	s := supportOf(v)
	return spec != 0 && len(s.versions) > 0 && spec < s.versions[0]
}

// SeesCgroupV2 reports whether the JVM sizes itself by the limits of cgroup v2: from 15 on, 11.0.16 and 8u372
// (JDK-8230305 and its backports). An unknown version counts as one that does.
func (j Java) SeesCgroupV2() bool {
	switch {
	case j.Spec == 0 || j.Spec >= 15:
		return true
	case j.Spec == 11:
		update, err := strconv.Atoi(strings.TrimPrefix(numberPrefix(j.Version, "11.0."), "11.0."))
		return err != nil || update >= 16
	case j.Spec == 8:
		update, err := strconv.Atoi(strings.TrimPrefix(numberPrefix(j.Version, "1.8.0_"), "1.8.0_"))
		return err != nil || update >= 372
	default:
		return false
	}
}

// numberPrefix cuts text after the digits that follow prefix.
func numberPrefix(text, prefix string) string {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return text
	}
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		rest = rest[:i]
	}
	return prefix + rest
}
