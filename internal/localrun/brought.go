package localrun

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/phase"
)

// jarsDir is the directory in Local.Dir with the jars that the script itself names. A process that is started there finds them by name.
const jarsDir = "jars"

// maxBrought bounds the bytes that one run of a server's user brings along.
const maxBrought = 512 << 20

// WorkingDir is where a process of the run finds the jars that the script names; "" where it names none.
func (l *Local) WorkingDir() string {
	if l.served == nil || len(l.served.beside.Jars) == 0 || l.Dir == "" {
		return ""
	}
	return filepath.Join(l.Dir, jarsDir)
}

// Brings reports whether the run has jars of its own.
func (l *Local) Brings() bool {
	return l.served != nil && (len(l.served.beside.Jars) > 0 || len(l.place.Artifacts) > 0)
}

// has reports whether a jar that the script adds is there.
func (l *Local) has(jar string) bool {
	if l.served == nil {
		return isHere(jar)
	}
	_, ok := l.served.beside.Jars[jar]
	return ok
}

// bring copies the artifacts of a definition to their places, and the jars that the script names to theirs. They are copied, since
// the process may be of another user than the files.
func (l *Local) bring() error {
	if l.brought {
		return nil
	}
	room := int64(maxBrought)
	for _, item := range l.place.Artifacts {
		if l.served.beside.Artifact == nil {
			return phase.Failf(phase.Artifact, "artifact %s: the server brings no artifacts", fetch.Redact(item.URI))
		}
		from, sha256, err := l.served.beside.Artifact(item.URI)
		if err != nil {
			return phase.Fail(phase.Artifact, fmt.Errorf("artifact %s: %w", fetch.Redact(item.URI), err), "")
		}
		if item.SHA256 != "" && !strings.EqualFold(item.SHA256, sha256) {
			return phase.Failf(phase.Artifact, "artifact %s: its SHA-256 is %s, the definition says %s", fetch.Redact(item.URI), sha256, item.SHA256)
		}
		if err := copyFile(from, item.Path, &room); err != nil {
			return phase.Fail(phase.Artifact, fmt.Errorf("artifact %s: %w", fetch.Redact(item.URI), err), "")
		}
	}
	for name, from := range l.served.beside.Jars {
		if err := copyFile(from, filepath.Join(l.Dir, jarsDir, name), &room); err != nil {
			return phase.Fail(phase.Artifact, fmt.Errorf("jar %s: %w", name, err), "")
		}
	}
	l.brought = true
	return filepath.WalkDir(l.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o755) // whatever the umask
	})
}

// copyFile makes a file that everybody may read, within the room that is left.
func copyFile(from, to string, room *int64) error {
	in, err := os.Open(from)
	if err != nil {
		return errors.New("its file is gone")
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, *room+1))
	if *room -= n; *room < 0 {
		err = fmt.Errorf("the jars of a run may have %d MiB together", maxBrought>>20)
	}
	return errors.Join(err, out.Close(), os.Chmod(to, 0o644))
}
