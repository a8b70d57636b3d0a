package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"flink-entrypoint/test/flinkhome/homes"
)

// store is the cache folder:
//
//	flink/VERSION              a home
//	flinkhome/VERSION.sha256   its manifest: digest, executable or not, and path of every file; its presence means "complete"
//	flinkhome/VERSION.lock     held while a home is made
//	flinkhome/venv-…           pip's virtual environment
//	flinkhome/VERSION.tmp…     a home in the making
type store struct {
	root string
}

func (s store) home(r homes.Release) string { return filepath.Join(s.root, "flink", r.Version) }
func (s store) keep(name ...string) string {
	return filepath.Join(s.root, "flinkhome", filepath.Join(name...))
}
func (s store) manifest(r homes.Release) string  { return s.keep(r.Version + ".sha256") }
func (s store) lock(name string) (func(), error) { return lockFile(s.keep(name + ".lock")) }

// ensure makes the home of r complete.
func (s store) ensure(ctx context.Context, r homes.Release) error {
	for _, dir := range []string{s.keep(), filepath.Dir(s.home(r))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	unlock, err := s.lock(r.Version)
	if err != nil {
		return err
	}
	defer unlock()
	if s.complete(r) {
		return nil
	}
	// What an interrupted run left; no other process is at work on this version.
	if left, err := filepath.Glob(s.keep(r.Version + ".tmp*")); err == nil {
		for _, dir := range left {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	staging, err := os.MkdirTemp(s.keep(), r.Version+".tmp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(staging)
	packages, err := s.download(ctx, r, staging)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Flink %s: unpacking\n", r.Version)
	made := filepath.Join(staging, "home")
	for _, p := range packages {
		if err := unpack(p, made); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(p), err)
		}
	}
	if err := finish(made); err != nil {
		return err
	}
	list, err := manifest(made)
	if err != nil {
		return err
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(s.home(r)); err != nil {
		return err
	}
	if err := os.Rename(made, s.home(r)); err != nil {
		return err
	}
	return writeByRename(s.manifest(r), list)
}

// complete reports whether the home is there and was finished. A home without a manifest is not trusted.
func (s store) complete(r homes.Release) bool {
	_, errHome := os.Stat(filepath.Join(s.home(r), "lib"))
	_, errList := os.Stat(s.manifest(r))
	return errHome == nil && errList == nil
}

// verify compares the home with its manifest and names the first few differences.
func (s store) verify(r homes.Release) error {
	want, err := os.ReadFile(s.manifest(r))
	if err != nil {
		return fmt.Errorf("no complete home in %s: %w; bring it with: go run ./test/flinkhome %s", s.home(r), err, r.Version)
	}
	got, err := manifest(s.home(r))
	if err != nil {
		return err
	}
	differences := compare(want, got)
	if len(differences) == 0 {
		return nil
	}
	more := ""
	if n := len(differences); n > 5 {
		differences, more = differences[:5], fmt.Sprintf(" and %d more", n-5)
	}
	return fmt.Errorf("%s differs from what was unpacked: %s%s; remove it to have it made again", s.home(r), strings.Join(differences, ", "), more)
}

// compare lists what differs between two manifests, e.g. "missing lib/a.jar".
func compare(want, got []byte) []string {
	index := func(list []byte) map[string]string {
		m := make(map[string]string)
		for line := range strings.Lines(string(list)) {
			if sum, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); ok {
				m[path] = sum
			}
		}
		return m
	}
	wantAt, gotAt := index(want), index(got)
	var differences []string
	for line := range strings.Lines(string(want)) {
		_, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		switch sum, ok := gotAt[path]; {
		case !ok:
			differences = append(differences, "missing "+path)
		case sum != wantAt[path]:
			differences = append(differences, "changed "+path)
		}
	}
	for line := range strings.Lines(string(got)) {
		if _, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); wantAt[path] == "" {
			differences = append(differences, "added "+path)
		}
	}
	return differences
}

// manifest lists every regular file below home, sorted by path: "sha256 kind  path", kind being x for an executable
// file and - for others. The log folder is left out:
// Flink's scripts write there.
func manifest(home string) ([]byte, error) {
	var list bytes.Buffer
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(home, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == "log" {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		kind := "-"
		if info.Mode()&0o100 != 0 {
			kind = "x"
		}
		fmt.Fprintf(&list, "%s %s  %s\n", hex.EncodeToString(sum.Sum(nil)), kind, filepath.ToSlash(rel))
		return nil
	})
	return list.Bytes(), err
}

// finish adds what the packages do not carry (an empty log folder, executable scripts) and checks that a Flink is there.
func finish(home string) error {
	for _, dir := range []string{"bin", "conf", "lib", "opt", "plugins"} {
		if _, err := os.Stat(filepath.Join(home, dir)); err != nil {
			return fmt.Errorf("the packages held no %s folder: %w", dir, err)
		}
	}
	if dist, err := filepath.Glob(filepath.Join(home, "lib", "flink-dist*.jar")); err != nil || len(dist) != 1 {
		return fmt.Errorf("the packages held %d jars lib/flink-dist*.jar, expected 1", len(dist))
	}
	scripts, err := os.ReadDir(filepath.Join(home, "bin"))
	if err != nil {
		return err
	}
	for _, script := range scripts {
		if err := os.Chmod(filepath.Join(home, "bin", script.Name()), 0o755); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(home, "log"), 0o755)
}

// lockFile takes an exclusive lock, waiting for another run with a word, and returns the unlocking function.
func lockFile(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		fmt.Fprintf(os.Stderr, "waiting for another run (%s)\n", path)
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
	return func() { f.Close() }, nil
}

func writeByRename(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
