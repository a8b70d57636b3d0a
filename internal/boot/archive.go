package boot

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"flink-entrypoint/internal/classarchive"
	"flink-entrypoint/internal/distribution"
	"flink-entrypoint/internal/sqlrunner"
)

// javaVariables hold options that the JVM reads by itself.
func javaVariables() []string {
	return []string{"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"}
}

// decided returns the option by which the user has decided about archives, "" when there is none.
func (e environment) decided(options []string) string {
	if o := classarchive.Decided(options); o != "" {
		return o
	}
	for _, name := range javaVariables() {
		if o := classarchive.Decided(strings.Fields(e.get(name))); o != "" {
			return o
		}
	}
	return ""
}

// archiveFile is where the archive of a name lies, or belongs. off says that none is wanted.
func (g *gatherer) archiveFile(name string) (file string, off bool) {
	switch where := g.opts.ClassArchive; where {
	case "off":
		return "", true
	case "", "auto":
		return classarchive.File(filepath.Join(g.plan.Home.Dir, classarchive.DirName), name), false
	default:
		return classarchive.File(where, name), false
	}
}

// archiveFor returns the archive of a name if it is for this Java and class path. One that is not is a warning, and so is one
// that was asked for by its path and is not there.
func (g *gatherer) archiveFor(name string, java distribution.Java, classPath []string) (file string, ok bool) {
	file, off := g.archiveFile(name)
	if off || !classarchive.Supported(java.Spec) {
		return "", false
	}
	archive, err := classarchive.Open(file)
	if errors.Is(err, fs.ErrNotExist) && (g.opts.ClassArchive == "" || g.opts.ClassArchive == "auto") {
		return "", false
	}
	reason := ""
	if err != nil {
		reason = err.Error()
	} else {
		reason = archive.Mismatch(java, classPath)
	}
	if reason != "" {
		g.warnf("the class archive %s is not used: %s; flink-entrypoint warmup %s makes it anew", file, reason, name)
		return "", false
	}
	return file, true
}

// classArchive lets the process start from an archive of its classes, where there is one that fits and nobody chose otherwise.
func (g *gatherer) classArchive() {
	cmd := g.plan.Command
	if g.training || cmd.ClassPath == nil {
		return
	}
	if g.env.decided(cmd.Options) != "" {
		return
	}
	if file, ok := g.archiveFor(g.role, g.plan.Java, cmd.ClassPath); ok {
		cmd.Prepend(classarchive.UseOptions(file, g.plan.Java.Spec)...)
		cmd.Differences = append(cmd.Differences, "the classes come from the archive "+file+", made by flink-entrypoint warmup; Flink's scripts use none")
	}
}

// debugArchive is the name of the archive of debug and validate --engine.
const debugArchive = "debug"

// runnerJar is where a local run has the runner's jar: beside an archive of its classes, which holds only for jars that stay
// where they are, if the one there is ours, else in the run's own directory.
func (l *Local) runnerJar() string {
	if file, off := l.g.archiveFile(debugArchive); !off {
		jar := filepath.Join(filepath.Dir(file), sqlrunner.JarName)
		if have, err := os.ReadFile(jar); err == nil && bytes.Equal(have, sqlrunner.Jar()) {
			return jar
		}
	}
	return filepath.Join(l.Dir, sqlrunner.JarName)
}

// archiveOptions let a local run start from an archive of its classes, where there is one that fits.
func (l *Local) archiveOptions() []string {
	g := l.g
	if g.training || g.env.decided(nil) != "" {
		return nil
	}
	said := len(g.plan.Warnings)
	file, ok := g.archiveFor(debugArchive, archiveJava(l.Java), l.ClassPath)
	l.Warnings = append(l.Warnings, g.plan.Warnings[said:]...)
	if !ok {
		return nil
	}
	return classarchive.UseOptions(file, l.Java.Spec)
}

// archiveJava names Java together with the kind of its references: the heap of a local run follows the machine's memory
// (javaOptions), and an archive is for one kind.
func archiveJava(java distribution.Java) distribution.Java {
	const percent = 60
	var machine unix.Sysinfo_t
	if err := unix.Sysinfo(&machine); err == nil && machine.Totalram*uint64(machine.Unit)/100*percent >= 32<<30-64<<20 {
		java.Version += " with a heap of 32 GiB and more"
	}
	return java
}
