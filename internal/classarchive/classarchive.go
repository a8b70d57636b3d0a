// Package classarchive decides whether a JVM may start from an archive of shared classes (application class data sharing,
// JEP 350) that an earlier run of the same JVM with the same class path has written.
//
// In: the archive's file and the process that will be started. Out: the option, or the reason why not. The JVM checks an
// archive itself and goes on without one that does not match; but then it does not use the archive of its own classes
// either, starts slower than without any option, and sometimes prints a warning. So the same is checked here first, from
// a manifest beside the archive, with a few calls of stat.
package classarchive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"flink-entrypoint/internal/distribution"
)

const (
	// DirName is the directory of the archives in a Flink home.
	DirName = "class-archives"

	suffix   = ".jsa"
	manifest = ".manifest"
	headline = "flink-entrypoint class archive 1"

	// firstJava has -XX:ArchiveClassesAtExit (JEP 350).
	firstJava = 13
)

// Supported reports whether a Java of that specification version can make and use an archive.
func Supported(spec int) bool { return spec >= firstJava }

// stamp shows whether a file is still the one that was there when the archive was made. Its time is in seconds, since an
// image's layers and the JVM's own check have no finer time.
type stamp struct {
	kind        string // jvm, archive or jar
	path        string
	size, mtime int64
}

// The kinds of files in a manifest.
const (
	kindJVM     = "jvm"
	kindArchive = "archive"
	kindJar     = "jar"
)

func stampOf(kind, path string) (stamp, error) {
	var st syscall.Stat_t
	for {
		err := syscall.Stat(path, &st)
		if err == nil {
			return stamp{kind, path, st.Size, int64(st.Mtim.Sec)}, nil
		}
		if err != syscall.EINTR {
			return stamp{}, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
	}
}

// Archive is an archive with its manifest.
type Archive struct {
	Path        string // of the archive
	javaVersion string
	stamps      []stamp
}

// Place returns the path of the archive of a name. where is what the user asked for: a file (….jsa) or a directory, "auto" or ""
// for the directory in the Flink home, "off" for no archive.
func Place(where, home, name string) (file string, off bool) {
	switch {
	case where == "off":
		return "", true
	case where == "", where == "auto":
		where = filepath.Join(home, DirName)
	case strings.HasSuffix(where, suffix):
		return where, false
	}
	return filepath.Join(where, name+suffix), false
}

// Find returns the archive of a name if it is for this Java and class path; where is --class-archive, home the Flink home. One that is not
// for them is a warning, and so is a missing one that was named by its path.
func Find(where, home, name string, java distribution.Java, classPath []string) (file, warning string) {
	file, off := Place(where, home, name)
	if off || !Supported(java.Spec) {
		return "", ""
	}
	archive, err := Open(file)
	if errors.Is(err, fs.ErrNotExist) && (where == "" || where == "auto") {
		return "", ""
	}
	reason := ""
	if err != nil {
		reason = err.Error()
	} else {
		reason = archive.Mismatch(java, classPath)
	}
	if reason != "" {
		return "", fmt.Sprintf("the class archive %s is not used: %s; flink-entrypoint warmup %s makes it again", file, reason, name)
	}
	return file, ""
}

// manifestOf returns the path of an archive's manifest.
func manifestOf(archive string) string { return strings.TrimSuffix(archive, suffix) + manifest }

// Belongs reports whether a file of that name in a directory of archives is one of them, its manifest, or on the way to be either.
func Belongs(name string) bool {
	return strings.Contains(name, suffix) || strings.Contains(name, manifest)
}

// Open reads the manifest of an archive. The error is fs.ErrNotExist if the manifest does not exist.
func Open(archive string) (*Archive, error) {
	text, err := os.ReadFile(manifestOf(archive))
	if err != nil {
		return nil, err
	}
	a := &Archive{Path: archive}
	head, rest, _ := strings.Cut(string(text), "\n")
	if head != headline {
		return nil, fmt.Errorf("%s begins with %.40q, expected %q", manifestOf(archive), head, headline)
	}
	for line := range strings.Lines(rest) {
		kind, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if kind == "java" {
			a.javaVersion = value
			continue
		}
		size, value, _ := strings.Cut(value, " ")
		mtime, path, ok := strings.Cut(value, " ")
		s := stamp{kind: kind, path: path}
		var errs [2]error
		s.size, errs[0] = strconv.ParseInt(size, 10, 64)
		s.mtime, errs[1] = strconv.ParseInt(mtime, 10, 64)
		if !ok || errors.Join(errs[:]...) != nil {
			return nil, fmt.Errorf("%s: found the line %.80q, expected kind, size, time and path", manifestOf(archive), line)
		}
		a.stamps = append(a.stamps, s)
	}
	return a, nil
}

// Mismatch says why the archive is not for this start, "" when it is. The archive's class path must be the beginning of
// the one given.
func (a *Archive) Mismatch(java distribution.Java, classPath []string) string {
	if java.Version != a.javaVersion {
		return fmt.Sprintf("it was made by Java %s, this is %s", a.javaVersion, orUnknown(java.Version))
	}
	jars, jvm := 0, 0
	for _, s := range a.stamps {
		switch s.kind {
		case kindJVM:
			jvm++
			if !strings.HasPrefix(s.path, java.Installed+"/") {
				return fmt.Sprintf("it was made by another Java, with %s; this is the one in %s", s.path, java.Installed)
			}
		case kindJar:
			switch {
			case jars >= len(classPath):
				return fmt.Sprintf("it was made with %s, which is not on the class path", s.path)
			case classPath[jars] != s.path:
				return fmt.Sprintf("it was made with %s where the class path now has %s", s.path, classPath[jars])
			}
			jars++
		case kindArchive:
			s.path = a.Path // it may have been moved together with its manifest
		}
		now, err := stampOf(s.kind, s.path)
		switch {
		case err != nil:
			return fmt.Sprintf("%v", err)
		case now != s:
			return s.path + " has changed since it was made"
		}
	}
	if jars == 0 || jvm == 0 {
		return "its manifest is incomplete"
	}
	return ""
}

func orUnknown(version string) string {
	if version == "" {
		return "of an unknown version"
	}
	return version
}

// jvmFiles are the files of an installed Java that an archive depends on, as far as they exist: its classes, its code, and the
// archive of its own classes below ours.
func jvmFiles(installed string) []string {
	return []string{installed + "/lib/modules", installed + "/lib/server/libjvm.so", installed + "/lib/server/classes.jsa"}
}

// Seal writes the manifest of an archive that was just made: from then on the archive is used.
func Seal(archive string, java distribution.Java, classPath []string, write func(path string, content []byte) error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\njava %s\n", headline, java.Version)
	add := func(kind, path string) error {
		s, err := stampOf(kind, path)
		if err == nil {
			fmt.Fprintf(&b, "%s %d %d %s\n", kind, s.size, s.mtime, path)
		}
		return err
	}
	for _, f := range jvmFiles(java.Installed) {
		if err := add(kindJVM, f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := add(kindArchive, archive); err != nil {
		return err
	}
	for _, jar := range classPath {
		if strings.Contains(jar, "\n") {
			return fmt.Errorf("the name of the jar %q has a line break", jar)
		}
		if err := add(kindJar, jar); err != nil {
			return err
		}
	}
	return write(manifestOf(archive), []byte(b.String()))
}

// Break makes an archive unused, before another one replaces it.
func Break(archive string) error {
	if err := os.Remove(manifestOf(archive)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Archivable returns the beginning of a class path that an archive can be made of: files, up to the first directory or
// wildcard.
func Archivable(classPath []string) []string {
	for i, e := range classPath {
		if st, err := os.Stat(e); err != nil || !st.Mode().IsRegular() {
			return classPath[:i]
		}
	}
	return classPath
}

// silence keeps the JVM from printing messages about an archive. It comes before the user's options, so a user's -Xlog
// wins. From 24 on part of it is tagged aot (JDK-8350488).
func silence(spec int) string {
	if spec >= 24 {
		return "-Xlog:cds*=off,aot*=off"
	}
	return "-Xlog:cds*=off"
}

// UseOptions are the options that start a JVM from an archive.
func UseOptions(archive string, spec int) []string {
	return []string{"-XX:SharedArchiveFile=" + archive, silence(spec)}
}

// MakeOptions are the options that make a JVM leave an archive when it ends.
func MakeOptions(archive string, spec int) []string {
	return []string{"-XX:ArchiveClassesAtExit=" + archive, silence(spec)}
}

// Decided returns the option by which the user chooses an archive, or with which the JVM would not use this
// one: "" without such an option. options are the JVM's on the command line; it reads more of them in variables.
func Decided(options []string, getenv func(name string) string) string {
	if o := decided(options); o != "" {
		return o
	}
	for _, name := range []string{"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"} {
		if o := decided(strings.Fields(getenv(name))); o != "" {
			return o
		}
	}
	return ""
}

func decided(words []string) string {
	heap := ""
	for _, w := range words {
		for _, prefix := range decisive() {
			if strings.HasPrefix(w, prefix) {
				return w
			}
		}
		if strings.HasPrefix(w, "-Xmx") || strings.HasPrefix(w, "-XX:MaxHeapSize=") {
			heap = w
		}
	}
	if wide(strings.TrimPrefix(strings.TrimPrefix(heap, "-Xmx"), "-XX:MaxHeapSize=")) {
		return heap
	}
	return ""
}

// decisive are beginnings of such options.
func decisive() []string {
	return []string{
		// The user's own choice of archives.
		"-Xshare:", "-XX:SharedArchiveFile=", "-XX:ArchiveClassesAtExit=", "-XX:SharedClassListFile=", "-XX:+AutoCreateSharedArchive",
		"-XX:DumpLoadedClassList=", "-XX:AOT", "-XX:+RecordDynamicDumpInfo", "-XX:-UseSharedSpaces", "-XX:+DumpSharedSpaces",
		// The classes then differ from the classes in the jars, or have another layout.
		"-javaagent:", "-agentlib:", "-agentpath:", "-Xbootclasspath/a:", "--patch-module", "--upgrade-module-path", "--limit-modules",
		"-Xverify", "-XX:+BytecodeVerification", "-XX:-BytecodeVerification", "-XX:+UseZGC", "-XX:-UseCompressedOops",
		"-XX:-UseCompressedClassPointers", "-XX:+UseCompactObjectHeaders", "-XX:ObjectAlignmentInBytes=", "-XX:Flags=", "-XX:VMOptionsFile=", "@",
	}
}

// wide reports whether a heap is too large for compressed references, with which archives are made.
func wide(size string) bool {
	if size == "" {
		return false
	}
	shift := 0
	switch size[len(size)-1] | 0x20 {
	case 'k':
		shift = 10
	case 'm':
		shift = 20
	case 'g':
		shift = 30
	case 't':
		shift = 40
	}
	if shift > 0 {
		size = size[:len(size)-1]
	}
	n, err := strconv.ParseInt(size, 10, 64)
	const most = 32<<30 - 64<<20 // where HotSpot stops exactly depends on page size and alignment
	return err != nil || n > most>>shift
}
