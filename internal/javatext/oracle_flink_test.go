//go:build flink

package javatext_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"unicode"
)

// TestAgainstJava compares a million random numbers each, maps and all characters with each Java of this machine: the one in PATH, those
// below /usr/lib/jvm, and those that JAVA_HOMES names (separated by colons). What Java 17 and 25 printed is also in
// testdata, so both algorithms are tested where there is one Java only.
func TestAgainstJava(t *testing.T) {
	seed, count := "1", "1000000"
	if s := os.Getenv("FLINK_SEED"); s != "" {
		seed = s
	}
	classes := t.TempDir()
	if out, err := exec.Command("javac", "--release", "8", "-Xlint:-options", "-d", classes, "testdata/oracle/JavaText.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	programs := []string{"java"}
	homes, _ := filepath.Glob("/usr/lib/jvm/*")
	for _, home := range append(homes, filepath.SplitList(os.Getenv("JAVA_HOMES"))...) {
		if _, err := os.Stat(home + "/bin/java"); err == nil {
			programs = append(programs, home+"/bin/java")
		}
	}
	seen := map[int]bool{}
	for _, java := range programs {
		out, err := exec.Command(java, "-XshowSettings:properties", "-version").CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", java, err, out)
		}
		m := regexp.MustCompile(`java\.specification\.version = (?:1\.)?([0-9]+)`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("%s does not say its version:\n%s", java, out)
		}
		version, _ := strconv.Atoi(string(m[1]))
		if seen[version] {
			continue
		}
		seen[version] = true
		for _, kind := range []string{"double", "float", "map", "space"} {
			n := count
			switch kind {
			case "map":
				n = "20000"
			case "space":
				n = strconv.Itoa(unicode.MaxRune + 1)
			}
			out, err := exec.Command(java, "-cp", classes, "JavaText", kind, seed, n).Output()
			if err != nil {
				t.Fatalf("%s: %v", java, err)
			}
			if got := compare(t, kind, version, bytes.NewReader(out)); strconv.Itoa(got) != n {
				t.Errorf("Java %d printed %d lines of %s, want %s", version, got, kind, n)
			}
		}
	}
	t.Logf("compared with Java %v", seen)
}
