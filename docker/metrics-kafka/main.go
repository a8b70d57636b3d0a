// Command metrics-kafka makes a plugin for Flink that reports metrics to Kafka, in the directory of its argument:
//
//	go run ./docker/metrics-kafka [-flink HOME] DIR
//
// DIR gets flink-entrypoint-metrics-kafka.jar, compiled from our Java and the same on every machine (JDK 17's javac, fixed order and time
// stamps), and kafka-clients, brought by Maven and held against its digest. HOME is any Flink: it gives the interfaces of metrics.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"flink-entrypoint/docker/jar"
	"flink-entrypoint/test/flinkhome/homes"
)

// The client of Kafka: the last line that runs on Java 8, as the oldest Flink does.
const (
	clients       = "kafka-clients-3.9.1.jar"
	artifact      = "org.apache.kafka:kafka-clients:3.9.1"
	clientsDigest = "7568b998572d256f0b7bc0afdc1b7a2588b8b08415c62ce314c864a6851ae9d9"
	jarName       = "flink-entrypoint-metrics-kafka.jar"
	sources       = "docker/metrics-kafka/src"
	service       = "META-INF/services/org.apache.flink.metrics.reporter.MetricReporterFactory"
	factory       = "flinkentrypoint.metrics.KafkaReporterFactory\n"
)

func main() {
	root, err := homes.Root()
	if err != nil {
		root = "."
	}
	home := flag.String("flink", filepath.Join(root, "1.20.5"), "Flink `home` to compile against")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*home, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(home, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := bring(filepath.Join(dir, clients)); err != nil {
		return err
	}
	content, err := compile(home, filepath.Join(dir, clients))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, jarName), content, 0o644)
}

// bring has Maven copy the client of Kafka, unless the file is there.
func bring(file string) error {
	if digest, err := digestOf(file); err == nil && digest == clientsDigest {
		return nil
	}
	c := exec.Command("mvn", "-q", "-B", "dependency:copy", "-Dartifact="+artifact, "-DoutputDirectory="+filepath.Dir(file))
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s cannot be brought: %w (is Maven installed?)", artifact, err)
	}
	digest, err := digestOf(file)
	if err == nil && digest != clientsDigest {
		err = fmt.Errorf("%s has the digest %s, expected %s", file, digest, clientsDigest)
	}
	return err
}

func digestOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// compile makes our jar.
func compile(home, clients string) ([]byte, error) {
	jars, err := filepath.Glob(filepath.Join(home, "lib", "*.jar"))
	if err != nil || len(jars) == 0 {
		return nil, fmt.Errorf("no Flink in %s; bring one with: go run ./test/flinkhome 1.20.5", home)
	}
	javac, err := jar.Javac()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(sources, "flinkentrypoint", "metrics", "*.java"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("the directory has no source %s: run this from the root of the repository", sources)
	}
	out, err := os.MkdirTemp("", "metrics-kafka")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	args := append([]string{"--release", "8", "-Xlint:-options", "-Werror", "-g:source,lines", "-d", out, "-cp", strings.Join(append(jars, clients), ":")}, files...)
	if text, err := exec.Command(javac, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("javac: %w\n%s", err, text)
	}
	contents := map[string][]byte{service: []byte(factory)}
	err = filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(out, path)
		if err == nil {
			contents[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var entries []jar.Entry
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		entries = append(entries, jar.Entry{Name: name, Content: contents[name]})
	}
	return jar.Pack(entries)
}
