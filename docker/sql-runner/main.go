// Command sql-runner compiles our Java and packs the jars that internal/sqlrunner embeds: the SQL runner and the job
// listener beside it (runner.jar), the connector of local runs (connector.jar, for package mock), and what a JobManager
// needs under a platform (platform.jar):
//
//	go run ./docker/sql-runner [-flink HOME] [-flink2 HOME] [-o FILE]
//
// The result is a function of the source, JDK 17's javac (later ones emit other bytes for the same source; CI and
// this program insist on 17) and Go's deflate: fixed order, fixed time stamps, nothing of the machine inside.
// HOME is a Flink 1.15 distribution, the oldest the runner supports: go run ./test/flinkhome 1.15.4. What uses
// interfaces that only Flink 2 has is compiled against a distribution of that, go run ./test/flinkhome 2.2.1.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/docker/jar"
	"flink-entrypoint/test/flinkhome/homes"
)

const (
	sources = "docker/sql-runner/src"
	oldest  = "1.15.4"
	second  = "2.2.1" // any 2.x gives the same bytes; this one is here for the tests
)

// archive is a Java package and what its jar has beside the classes.
type archive struct {
	name     string
	folder   string
	flink2   []string          // the sources that need Flink 2
	services map[string]string // the classes by which Flink finds it, by interface; a line each
}

var archives = []archive{
	{name: "runner.jar", folder: "flinkentrypoint"},
	{name: "connector.jar", folder: "flinkentrypoint/mock", services: map[string]string{
		"org.apache.flink.table.factories.Factory": "flinkentrypoint.mock.MockConnector\n"}},
	{name: "platform.jar", folder: "flinkentrypoint/platform", flink2: []string{"StatusListenerFactory.java"}, services: map[string]string{
		"org.apache.flink.core.fs.FileSystemFactory": "flinkentrypoint.platform.ArchiveFactory\nflinkentrypoint.platform.ArchiveFactory$Secure\n"}},
}

func main() {
	root, err := homes.Root()
	if err != nil {
		root = "."
	}
	home := flag.String("flink", filepath.Join(root, oldest), "Flink `home` to compile against")
	home2 := flag.String("flink2", filepath.Join(root, second), "Flink 2 `home` to compile against")
	out := flag.String("o", "internal/sqlrunner/runner.jar", "`file` to write; the other jars go beside it")
	flag.Parse()
	for _, a := range archives {
		file := filepath.Join(filepath.Dir(*out), a.name)
		if a.name == "runner.jar" {
			file = *out
		}
		if err := build(a, *home, *home2, file); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
	}
}

// build makes a jar and writes it to the file out.
func build(a archive, home, home2, out string) error {
	javac, err := jar.Javac()
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(sources, a.folder, "*.java"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("the directory has no source %s: run this from the root of the repository", sources)
	}
	isFlink2 := func(file string) bool { return slices.Contains(a.flink2, filepath.Base(file)) }
	classes, err := os.MkdirTemp("", "sql-runner")
	if err != nil {
		return err
	}
	defer os.RemoveAll(classes)
	classPath, err := libraries(home, oldest, "flink-dist-*.jar", "flink-table-api-java-uber-*.jar")
	if err != nil {
		return err
	}
	if err := compile(javac, classPath, classes, slices.DeleteFunc(slices.Clone(files), isFlink2)); err != nil {
		return err
	}
	if len(a.flink2) > 0 {
		if classPath, err = libraries(home2, second, "flink-dist-*.jar"); err != nil {
			return err
		}
		newer := slices.DeleteFunc(files, func(file string) bool { return !isFlink2(file) })
		if err := compile(javac, append(classPath, classes), classes, newer); err != nil {
			return err
		}
	}
	packed, err := pack(classes, a)
	if err != nil {
		return err
	}
	return os.WriteFile(out, packed, 0o644)
}

// libraries returns the one jar of each pattern in a home's lib.
func libraries(home, version string, patterns ...string) ([]string, error) {
	var classPath []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(home, "lib", pattern))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("%s holds %d jars %s, expected 1\nhint: go run ./test/flinkhome %s", filepath.Join(home, "lib"), len(found), pattern, version)
		}
		classPath = append(classPath, found[0])
	}
	return classPath, nil
}

func compile(javac string, classPath []string, classes string, files []string) error {
	cmd := exec.Command(javac, append([]string{"--release", "8", "-Xlint:all", "-Werror", "-encoding", "UTF-8", "-g:source,lines",
		"-sourcepath", sources, "-implicit:none", // a class of another jar
		"-classpath", strings.Join(classPath, string(os.PathListSeparator)), "-d", classes}, files...)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("javac: %w", err)
	}
	return nil
}

// pack makes a jar of its classes below dir.
func pack(dir string, a archive) ([]byte, error) {
	classes, err := filepath.Glob(filepath.Join(dir, a.folder, "*.class"))
	if err != nil {
		return nil, err
	}
	slices.Sort(classes)
	// No Main-Class: Flink looks for the one jar that has it when a jar job does not name its class.
	entries := []jar.Entry{{Name: "META-INF/MANIFEST.MF", Content: []byte("Manifest-Version: 1.0\r\n\r\n")}}
	for _, class := range classes {
		content, err := os.ReadFile(class)
		if err != nil {
			return nil, err
		}
		entries = append(entries, jar.Entry{Name: a.folder + "/" + filepath.Base(class), Content: content})
	}
	for _, service := range slices.Sorted(maps.Keys(a.services)) {
		entries = append(entries, jar.Entry{Name: "META-INF/services/" + service, Content: []byte(a.services[service])})
	}
	return jar.Pack(entries)
}
