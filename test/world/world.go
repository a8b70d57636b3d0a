// Package world makes what the program needs around it in a test: the program itself, a Flink home and a Java of empty
// files, the /proc and /sys of a container, jars.
package world

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Files are the contents of files by their paths. A content that begins with "#!" is executable.
type Files map[string]string

// In returns the same files below a directory.
func (f Files) In(dir string) Files {
	below := Files{}
	for name, content := range f {
		below[filepath.Join(dir, name)] = content
	}
	return below
}

// Join returns all of the files. Of two with the same path the last wins.
func Join(all ...Files) Files {
	joined := Files{}
	for _, f := range all {
		maps.Copy(joined, f)
	}
	return joined
}

// Write makes the files and the directories above them.
func (f Files) Write() error {
	for path, content := range f {
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		if err := write(path, []byte(content), mode); err != nil {
			return err
		}
	}
	return nil
}

func write(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// A process that is forked meanwhile would inherit the open file, and executing it here would be "text file busy".
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, content, mode)
}

// File makes one file for a test, and returns its path.
func File(t testing.TB, path, content string, mode fs.FileMode) string {
	t.Helper()
	if err := write(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Write makes files below a directory for a test.
func Write(t testing.TB, dir string, all ...Files) {
	t.Helper()
	if err := Join(all...).In(dir).Write(); err != nil {
		t.Fatal(err)
	}
}

// Stock is the config.yaml of Flink 2.2, Sizes only the keys of it without which no process starts.
//
//go:embed stock-config.yaml
var Stock string

const Sizes = "jobmanager.memory.process.size: 1600m\ntaskmanager.memory.process.size: 1728m\n"

// StubHome is what the program looks at in a Flink home of that version, with this configuration if it is not empty.
func StubHome(version, conf string) Files {
	dist, name := "flink-dist-", "flink-conf.yaml"
	if version < "1.15" { // by text: the oldest are 1.13 and 1.14
		dist = "flink-dist_2.12-"
	}
	if version >= "2" {
		name = "config.yaml"
	}
	files := Files{
		"lib/" + dist + version + ".jar":            "",
		"opt/flink-sql-gateway-" + version + ".jar": "",
		"bin/config.sh":                             "",
		"plugins/README.txt":                        "",
		"conf/log4j-console.properties":             "rootLogger.level = INFO\n",
	}
	if conf != "" {
		files["conf/"+name] = conf
	}
	return files
}

// StubJava is a JAVA_HOME whose java is a shell script.
func StubJava(version, script string) Files {
	return Files{"release": fmt.Sprintf("JAVA_VERSION=%q\n", version), "bin/java": "#!/bin/sh\n" + script}
}

// Sysroot is the part of /proc and /sys that tells the limits of a container under cgroup v2: bytes of memory and cores, 0 for no limit.
func Sysroot(memory int64, cores float64) Files {
	files := Files{
		"proc/self/cgroup":                 "0::/\n",
		"proc/self/mountinfo":              "24 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"proc/meminfo":                     "MemTotal:       25165824 kB\n",
		"sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
		"sys/fs/cgroup/memory.max":         "max\n",
		"sys/fs/cgroup/cpu.max":            "max 100000\n",
	}
	if memory > 0 {
		files["sys/fs/cgroup/memory.max"] = fmt.Sprintln(memory)
	}
	if cores > 0 {
		files["sys/fs/cgroup/cpu.max"] = fmt.Sprintf("%d 100000\n", int(cores*100000))
	}
	return files
}

// Stub is a whole machine without limits: a Flink home in flink, a Java in java, /proc and /sys in sysroot. Env tells the program about it.
func Stub(version, conf, java string) Files {
	return Join(StubHome(version, conf).In("flink"), StubJava("17.0.15", java).In("java"), Sysroot(0, 0).In("sysroot"))
}

// Env is the environment of a container whose machine is below dir. Variables that follow win.
func Env(dir string, more ...string) []string {
	if counters := os.Getenv("GOCOVERDIR"); counters != "" { // make coverage
		more = append(more, "GOCOVERDIR="+counters)
	}
	return append([]string{"PATH=" + os.Getenv("PATH"), "FLINK_HOME=" + filepath.Join(dir, "flink"), "JAVA_HOME=" + filepath.Join(dir, "java"),
		"FLINK_ENTRYPOINT_SYSROOT=" + filepath.Join(dir, "sysroot"), "HOSTNAME=here", "JOB_MANAGER_RPC_ADDRESS=here", "DISABLE_JEMALLOC=true"}, more...)
}

// Jar is a zip file with one entry of that content.
func Jar(content string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "content", Method: zip.Store})
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil { // a buffer takes everything
		panic(err)
	}
	return b.Bytes()
}

// FactoryJar is a jar in which Flink's planner, as far as the program looks for what is there, finds a factory for each name.
func FactoryJar(names ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name string, content []byte) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil { // a buffer takes everything
			panic(err)
		}
	}
	var services strings.Builder
	for i, name := range names {
		class := fmt.Sprint("example.Factory", i)
		services.WriteString(class + "\n")
		// A class file whose constant pool is that one string.
		content := []byte{0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, 52, 0, 2, 1}
		content = binary.BigEndian.AppendUint16(content, uint16(len(name)))
		add(strings.ReplaceAll(class, ".", "/")+".class", append(content, name...))
	}
	add("META-INF/services/org.apache.flink.table.factories.Factory", []byte(services.String()))
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
