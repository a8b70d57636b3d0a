// Package jar makes jars that are the same on every machine: compiled by JDK 17's javac, since others emit other bytes for the same source, in
// a fixed order, with fixed time stamps.
package jar

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Javac finds JDK 17's: that of JAVA_HOME, of PATH, or one where distributions install it.
func Javac() (string, error) {
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

// An Entry is a file of a jar.
type Entry struct {
	Name    string
	Content []byte
}

// Pack makes a jar of entries, in their order.
func Pack(entries []Entry) ([]byte, error) {
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for _, e := range entries {
		w, err := z.CreateHeader(&zip.FileHeader{Name: e.Name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err == nil {
			_, err = w.Write(e.Content)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
