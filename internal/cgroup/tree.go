package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// tree reads files below a directory that stands for "/".
type tree struct {
	root string // "" is "/"
}

func newTree(sysroot string) tree {
	if sysroot = filepath.Clean(sysroot); sysroot == "/" || sysroot == "." {
		return tree{} // "." is an empty flag
	}
	return tree{root: sysroot}
}

// real resolves the symbolic links in path as a process whose root is t.root would: an absolute link, or
// one with too many "..", stays inside.
func (t tree) real(path string) (string, error) {
	if t.root == "" {
		return path, nil
	}
	done, links := "", 0
	for rest := strings.Split(path, "/"); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = done[:max(0, strings.LastIndexByte(done, '/'))]
			continue
		}
		target, err := os.Readlink(t.root + done + "/" + name)
		if err != nil { // no link; if there is more to it, opening the file tells
			done += "/" + name
			continue
		}
		if links++; links > 40 {
			return "", syscall.ELOOP
		}
		if strings.HasPrefix(target, "/") {
			done = ""
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return t.root + done, nil
}

// read returns the text of a file without surrounding space; ok is false if there is no such file.
func (t tree) read(path, want string) (text string, ok bool, err error) {
	name, err := t.real(path)
	if err == nil {
		var b []byte
		if b, err = os.ReadFile(name); err == nil {
			return strings.TrimSpace(string(b)), true, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", false, nil
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err // the path is in our error already
	}
	return "", false, &Error{Path: t.root + path, Want: want, Err: err}
}

// value reads a file that holds one thing; ok is false if there is no such file.
func value[T any](t tree, path, want string, parse func(string) (T, bool)) (v T, ok bool, err error) {
	text, ok, err := t.read(path, want)
	if !ok {
		return v, false, err
	}
	if v, ok = parse(text); !ok {
		return v, false, &Error{Path: t.root + path, Found: text, Want: want}
	}
	return v, true, nil
}

// list reads a file of lines; of a missing one there are none.
func list[T any](t tree, path, want string, parse func(line string) (T, bool)) ([]T, error) {
	text, ok, err := t.read(path, want)
	if !ok || text == "" {
		return nil, err
	}
	all := make([]T, 0, strings.Count(text, "\n")+1)
	for line := range strings.SplitSeq(text, "\n") {
		v, ok := parse(line)
		if !ok {
			return nil, &Error{Path: t.root + path, Found: line, Want: want}
		}
		all = append(all, v)
	}
	return all, nil
}

// isDir tells whether path is a directory that can be looked at.
func (t tree) isDir(path string) bool {
	name, err := t.real(path)
	if err != nil {
		return false
	}
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}
