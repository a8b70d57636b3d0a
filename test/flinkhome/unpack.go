package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// target maps an entry of a package to its place in the home. A wheel holds the distribution's folders below
// pyflink/, a source package below NAME-VERSION/deps/; everything else in them is Python.
func target(entry string, wheel bool) (string, bool) {
	entry = path.Clean(entry)
	if !wheel {
		_, inner, ok := strings.Cut(entry, "/")
		if !ok {
			return "", false
		}
		entry = inner
	}
	rest, ok := strings.CutPrefix(entry, map[bool]string{true: "pyflink/", false: "deps/"}[wheel])
	if !ok {
		return "", false
	}
	folder, _, inside := strings.Cut(rest, "/")
	if rest == "README.txt" {
		return rest, true
	}
	return rest, inside && slices.Contains([]string{"bin", "conf", "examples", "lib", "licenses", "opt", "plugins"}, folder)
}

// unpack writes the distribution's files of one package below home.
func unpack(pkg, home string) error {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(home)
	if err != nil {
		return err
	}
	defer root.Close()
	if strings.HasSuffix(pkg, ".whl") {
		return unpackWheel(pkg, root)
	}
	if strings.HasSuffix(pkg, ".tar.gz") {
		return unpackSource(pkg, root)
	}
	return errors.New("neither a wheel (.whl) nor a source package (.tar.gz)")
}

func unpackWheel(pkg string, root *os.Root) error {
	z, err := zip.OpenReader(pkg)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, entry := range z.File {
		name, ok := target(entry.Name, true)
		if !ok || entry.FileInfo().IsDir() {
			continue
		}
		content, err := entry.Open()
		if err != nil {
			return err
		}
		err = put(root, name, content, entry.Mode())
		content.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func unpackSource(pkg string, root *os.Root) error {
	f, err := os.Open(pkg)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return err
	}
	t := tar.NewReader(z)
	for {
		entry, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := target(entry.Name, false)
		if !ok || entry.Typeflag == tar.TypeDir {
			continue
		}
		if entry.Typeflag != tar.TypeReg {
			return fmt.Errorf("%s is neither file nor folder (type %q)", entry.Name, entry.Typeflag)
		}
		if err := put(root, name, t, entry.FileInfo().Mode()); err != nil {
			return err
		}
	}
}

// put writes one file, executable if it was so in the package; os.Root refuses a name that would leave the home.
func put(root *os.Root, name string, content io.Reader, mode fs.FileMode) error {
	perm := fs.FileMode(0o644)
	if mode&0o100 != 0 {
		perm = 0o755
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
