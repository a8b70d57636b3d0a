package scripts

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkversion"
)

// digests lists the texts of Flink's scripts that package launch follows: SHA-256, file in bin, minor versions. They are those
// of the last patch release of each; the test of build tag flink writes the table from the real homes.
//
// Earlier patch releases have the same texts, except config.sh of 1.13.0 to 1.13.2 and 1.14.0 to 1.14.2 and jobmanager.sh
// of 1.15.0 to 1.15.2, 1.16.0 to 1.16.2, 1.17.0 and 1.17.1, which do something else
// with the arguments than package launch does.
//
//go:embed digests.txt
var digests table

// table is lines of digest, file and minor versions.
type table string

// files lists what makes the command of a script: it, and those that it reads or executes.
func (s script) files(name string) []string {
	files := []string{name, "config.sh", "bash-java-utils.sh"}
	if s.console {
		files = append(files, "flink-console.sh")
	}
	return files
}

// listedFiles are those that the table has.
func listedFiles() []string {
	var files []string
	for name, s := range allScripts() {
		files = append(files, s.files(name)...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// changed says which of the files that make the command is not the release's own, or "".
func (req Request) changed(known table, name string, s script) (reason string) {
	release := releaseOf(req.Version)
	for _, file := range s.files(name) {
		path := req.BinDir + "/" + file
		want, listed := known.digestOf(file, release)
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !listed && file != name:
			continue // the release has none
		case err != nil:
			var pe *fs.PathError
			if errors.As(err, &pe) {
				err = pe.Err
			}
			return fmt.Sprintf("%s cannot be compared with the file of Flink %s: %v", path, release, err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
			return fmt.Sprintf("%s is not the file of Flink %s that is known here", path, release)
		}
	}
	return ""
}

// digestOf returns the digest of a file of a release's bin directory.
func (t table) digestOf(file string, release flinkversion.Release) (digest string, ok bool) {
	for line := range strings.Lines(string(t)) {
		if words := strings.Fields(line); len(words) > 2 && words[1] == file && slices.Contains(words[2:], release.String()) {
			return words[0], true
		}
	}
	return "", false
}

// releaseOf is the release whose scripts a version has: its own, or the newest known, whose rules a newer Flink gets.
func releaseOf(v flinkversion.Version) flinkversion.Release {
	if newest := flinkversion.Newest(); v.Reaches(newest) {
		return newest
	}
	return v.Release()
}
