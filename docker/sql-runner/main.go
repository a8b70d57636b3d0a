// Command sql-runner compiles the SQL runner and the job listener beside it, and packs the jar that internal/sqlrunner embeds:
//
//	go run ./docker/sql-runner [-flink HOME] [-o FILE]
//
// The result is a function of the source, JDK 17's javac (later ones emit other bytes for the same source; CI and
// this program insist on 17) and Go's deflate: fixed order, fixed time stamps, nothing of the machine inside.
// HOME is a Flink 1.15 distribution, the oldest the runner supports: go run ./test/flinkhome 1.15.4
package main

import (
	"archive/zip"
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/test/flinkhome/homes"
)

const (
	sources = "docker/sql-runner/src/flinkentrypoint/*.java"
	oldest  = "1.15.4"
)

func main() {
	root, err := homes.Root()
	if err != nil {
		root = "."
	}
	home := flag.String("flink", filepath.Join(root, oldest), "Flink `home` to compile against")
	out := flag.String("o", "internal/sqlrunner/runner.jar", "`file` to write")
	flag.Parse()
	if err := build(*home, *out); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func build(home, out string) error {
	javac, err := findJavac()
	if err != nil {
		return err
	}
	var classPath []string
	for _, pattern := range []string{"flink-dist-*.jar", "flink-table-api-java-uber-*.jar"} {
		jars, err := filepath.Glob(filepath.Join(home, "lib", pattern))
		if err != nil || len(jars) != 1 {
			return fmt.Errorf("%s holds %d jars %s, expected 1\nhint: go run ./test/flinkhome %s", filepath.Join(home, "lib"), len(jars), pattern, oldest)
		}
		classPath = append(classPath, jars[0])
	}
	files, err := filepath.Glob(sources)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("there is no source %s here: run this from the root of the repository", sources)
	}
	classes, err := os.MkdirTemp("", "sql-runner")
	if err != nil {
		return err
	}
	defer os.RemoveAll(classes)
	cmd := exec.Command(javac, append([]string{"--release", "8", "-Xlint:all", "-Werror", "-encoding", "UTF-8", "-g:source,lines",
		"-classpath", strings.Join(classPath, string(os.PathListSeparator)), "-d", classes}, files...)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("javac: %w", err)
	}
	jar, err := pack(classes)
	if err != nil {
		return err
	}
	return os.WriteFile(out, jar, 0o644)
}

// findJavac returns JDK 17's javac: that of JAVA_HOME, of PATH, or one where distributions install it.
func findJavac() (string, error) {
	var candidates, seen []string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		candidates = append(candidates, filepath.Join(home, "bin", "javac"))
	}
	if inPath, err := exec.LookPath("javac"); err == nil {
		candidates = append(candidates, inPath)
	}
	if installed, err := filepath.Glob("/usr/lib/jvm/*17*/bin/javac"); err == nil {
		candidates = append(candidates, installed...)
	}
	for _, javac := range candidates {
		version, err := exec.Command(javac, "-version").CombinedOutput()
		if err != nil {
			continue
		}
		if strings.HasPrefix(string(version), "javac 17.") {
			return javac, nil
		}
		seen = append(seen, fmt.Sprintf("%s is %s", javac, strings.TrimSpace(string(version))))
	}
	return "", fmt.Errorf("no javac of JDK 17 in JAVA_HOME, PATH or /usr/lib/jvm (%s)\nhint: Debian: apt-get install openjdk-17-jdk-headless", strings.Join(seen, ", "))
}

// pack makes a jar of the classes below dir.
func pack(dir string) ([]byte, error) {
	classes, err := filepath.Glob(filepath.Join(dir, "flinkentrypoint", "*.class"))
	if err != nil {
		return nil, err
	}
	slices.Sort(classes)
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	add := func(name string, content []byte) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	}
	// No Main-Class: Flink looks for the one jar that has it when a jar job does not name its class.
	if err := add("META-INF/MANIFEST.MF", []byte("Manifest-Version: 1.0\r\n\r\n")); err != nil {
		return nil, err
	}
	for _, class := range classes {
		content, err := os.ReadFile(class)
		if err != nil {
			return nil, err
		}
		if err := add("flinkentrypoint/"+filepath.Base(class), content); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return jar.Bytes(), nil
}
