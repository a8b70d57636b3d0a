package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// tree reads files below a directory that is used as "/".
type tree struct {
	root  string            // "" is "/"
	known map[string]string // what follow found
}

func newTree(sysroot string) tree {
	if sysroot = filepath.Clean(sysroot); sysroot == "/" || sysroot == "." {
		return tree{} // "." is an empty flag
	}
	return tree{root: sysroot, known: map[string]string{}}
}

// real returns the file that a process whose root directory is t.root would reach.
func (t tree) real(name string) (string, error) {
	if t.root == "" {
		return name, nil
	}
	at, err := t.follow(path.Clean(name), 0)
	return t.root + at, err
}

// follow resolves symbolic links: an absolute one, or one with too many "..", stays below t.root.
func (t tree) follow(name string, links int) (string, error) {
	if name == "/" {
		return "", nil
	}
	if at, ok := t.known[name]; ok {
		return at, nil
	}
	at, err := t.follow(path.Dir(name), links)
	if err != nil {
		return "", err
	}
	at += "/" + path.Base(name)
	// Any other problem shows when the file is opened.
	if target, err := os.Readlink(t.root + at); err == nil {
		if links == 40 {
			return "", syscall.ELOOP
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(at), target)
		}
		if at, err = t.follow(path.Clean(target), links+1); err != nil {
			return "", err
		}
	}
	t.known[name] = at
	return at, nil
}

// missing reports whether an error means that a file does not exist, rather than that it cannot be read.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// exists tells whether there is a directory, or something that cannot be looked at.
func (t tree) exists(dir string) bool {
	name, err := t.real(dir)
	if err == nil {
		_, err = os.Stat(name)
	}
	return !missing(err)
}

// read returns the text of a file; ok is false if the file does not exist.
func (t tree) read(path, want string) (text string, ok bool, err error) {
	name, err := t.real(path)
	if err == nil {
		var b []byte
		if b, err = os.ReadFile(name); err == nil {
			return string(b), true, nil
		}
	}
	if missing(err) {
		return "", false, nil
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err // the path is in our error already
	}
	return "", false, &Error{Path: t.root + path, Want: want, Err: err}
}

// value reads a file that holds one value; ok is false if the file does not exist.
func value[T any](t tree, path, want string, parse func(string) (T, bool)) (v T, ok bool, err error) {
	text, ok, err := t.read(path, want)
	if !ok {
		return v, false, err
	}
	text = strings.TrimSpace(text)
	if v, ok = parse(text); !ok {
		return v, false, &Error{Path: t.root + path, Found: text, Want: want}
	}
	return v, true, nil
}

// list reads a file of lines; a missing file has none.
func list[T any](t tree, path, want string, parse func(line string) (T, bool)) ([]T, error) {
	text, ok, err := t.read(path, want)
	if !ok {
		return nil, err
	}
	all := make([]T, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		v, ok := parse(line)
		if !ok {
			return nil, &Error{Path: t.root + path, Found: line, Want: want}
		}
		all = append(all, v)
	}
	return all, nil
}
