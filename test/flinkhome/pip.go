package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"flink-entrypoint/test/flinkhome/homes"
)

// download has pip bring the two packages of r into a folder below staging and returns their paths, sorted.
func (s store) download(ctx context.Context, r homes.Release, staging string) ([]string, error) {
	wanted, err := s.requirementsFile(r.Version, staging)
	if err != nil {
		return nil, err
	}
	python, err := s.python(ctx)
	if err != nil {
		return nil, err
	}
	temp, out := filepath.Join(staging, "tmp"), filepath.Join(staging, "packages")
	for _, dir := range []string{temp, out} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(os.Stderr, "Flink %s: downloading with pip (about 300 MB)\n", r.Version)
	// The wheel of apache-flink is taken for one fixed platform: only its scripts and configuration are used.
	// The libraries of older releases exist as source package only; pip then asks its setup.py for the name,
	// with the setuptools of the virtual environment.
	cmd := command(ctx, python, "-m", "pip", "download", "--no-deps", "--no-build-isolation", "--require-hashes",
		"--disable-pip-version-check", "--only-binary", "apache-flink", "--platform", "manylinux1_x86_64",
		"--python-version", r.Python, "--implementation", "cp", "--requirement", wanted, "--dest", out)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	stop := func() {}
	if !terminal(os.Stderr) {
		stop = report(r, staging)
	}
	err = cmd.Run()
	stop()
	if err != nil {
		return nil, fmt.Errorf("pip download failed: %w (its words are above)", err)
	}
	packages, err := filepath.Glob(filepath.Join(out, "*"))
	if err == nil && len(packages) != 2 {
		err = fmt.Errorf("pip brought %d files, expected the two of requirements/%s.txt", len(packages), r.Version)
	}
	return packages, err
}

// requirementsFile writes the embedded requirements/NAME.txt into dir for pip to read.
func (s store) requirementsFile(name, dir string) (string, error) {
	text, err := requirements.ReadFile("requirements/" + name + ".txt")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "requirements-"+name+".txt")
	return path, os.WriteFile(path, text, 0o644)
}

// python returns the interpreter of a virtual environment that holds pip and the pinned setuptools; it is made
// once per python3 and pin and kept.
func (s store) python(ctx context.Context) (string, error) {
	system, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("python3 is not in PATH\nhint: Debian: apt-get install python3-venv")
	}
	pins, err := requirements.ReadFile("requirements/build.txt")
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(system); err == nil {
		system = real
	}
	key := sha256.Sum256(append(pins, system...))
	venv := s.keep("venv-" + hex.EncodeToString(key[:6]))
	python := filepath.Join(venv, "bin", "python3")
	unlock, err := s.lock("venv")
	if err != nil {
		return "", err
	}
	defer unlock()
	ready := filepath.Join(venv, "ready") // a virtual environment cannot be renamed into place: its scripts hold its path
	if _, err := os.Stat(ready); err == nil && exec.CommandContext(ctx, python, "-m", "pip", "--version").Run() == nil {
		return python, nil
	}
	fmt.Fprintln(os.Stderr, "making a virtual environment for pip in", venv)
	if err := os.RemoveAll(venv); err != nil {
		return "", err
	}
	if err := command(ctx, system, "-m", "venv", venv).Run(); err != nil {
		return "", fmt.Errorf("%s cannot make a virtual environment with pip: %w\nhint: Debian: apt-get install python3-venv", system, err)
	}
	wanted, err := s.requirementsFile("build", venv)
	if err != nil {
		return "", err
	}
	if err := command(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
		"--only-binary", ":all:", "--require-hashes", "--requirement", wanted).Run(); err != nil {
		return "", fmt.Errorf("pip install of setuptools failed: %w (its words are above)", err)
	}
	return python, os.WriteFile(ready, nil, 0o644)
}

// command returns a command that talks to our stderr (stdout is for the homes) and is interrupted, not killed, with ctx.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// report logs every ten seconds how much has arrived, where pip draws no bar, until the returned function is called.
func report(r homes.Release, staging string) (stop func()) {
	done := make(chan struct{})
	go func() {
		start := time.Now()
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var size int64
				// Files come and go while pip works; what cannot be read does not count.
				_ = filepath.WalkDir(staging, func(_ string, d fs.DirEntry, err error) error {
					if err == nil && d.Type().IsRegular() {
						if info, err := d.Info(); err == nil {
							size += info.Size()
						}
					}
					return nil
				})
				fmt.Fprintf(os.Stderr, "Flink %s: %d MB after %s\n", r.Version, size/1e6, time.Since(start).Round(time.Second))
			}
		}
	}()
	return func() { close(done) }
}
