package container

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Names of the images, all local.
const prefix = "localhost/flink-entrypoint/"

// OSImage is Debian with a JDK and what the official image installs.
const OSImage = prefix + "os:1"

// Stand-in for the official image, and the two images of docker/.
func BaseImage(version string) string { return prefix + "stand-in:" + version }
func FullImage(version string) string { return prefix + "full:" + version }
func SlimImage(version string) string { return prefix + "slim:" + version }

// packages are those of the official image's recipe, and the JDK that its base image has.
const packages = "openjdk-17-jdk-headless,libjemalloc-dev,libsnappy1v5,gettext-base,gosu,ca-certificates"

// Images builds the images of docker/ for a Flink version from its home and from the binary in root/bin. What has not changed since
// the last time is taken from podman's cache. Output of the builds goes to progress.
func (p *Podman) Images(ctx context.Context, root, version, home string, progress io.Writer) error {
	if err := p.osImage(ctx, progress); err != nil {
		return err
	}
	standIn := filepath.Join(root, "test", "container", "images")
	if err := p.build(ctx, progress, "-f", filepath.Join(standIn, "stand-in.Dockerfile"), "-t", BaseImage(version),
		"--build-arg", "BASE="+OSImage, "--build-context", "home="+home, standIn); err != nil {
		return err
	}
	for _, kind := range []struct{ file, name string }{{"Dockerfile", FullImage(version)}, {"Dockerfile.slim", SlimImage(version)}} {
		if err := p.build(ctx, progress, "-f", filepath.Join(root, "docker", kind.file), "--ignorefile", filepath.Join(root, "docker", "ignore"),
			"-t", kind.name, "--build-arg", "FLINK_IMAGE="+BaseImage(version), "--build-arg", "JDK_IMAGE="+OSImage, root); err != nil {
			return err
		}
	}
	return nil
}

func (p *Podman) build(ctx context.Context, progress io.Writer, args ...string) error {
	cmd := p.Command(ctx, append([]string{"build", "--layers", "--pull=never", "--format", "docker"}, args...)...)
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("podman build %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// osImage makes the Debian base, once. Its root file system stays in the cache.
func (p *Podman) osImage(ctx context.Context, progress io.Writer) error {
	if _, err := p.Do(ctx, "image", "exists", OSImage); err == nil {
		return nil
	}
	key := sha256.Sum256([]byte(packages))
	tar := filepath.Join(p.Cache, "podman", "os-"+hex.EncodeToString(key[:4])+".tar")
	if _, err := os.Stat(tar); errors.Is(err, os.ErrNotExist) {
		if _, err := exec.LookPath("mmdebstrap"); err != nil {
			return errors.New("mmdebstrap is missing: " + install)
		}
		fmt.Fprintln(progress, "making a Debian root file system with a JDK (once, one to two minutes)")
		// The manual pages' directories must be there: update-alternatives links into them.
		args := []string{"--mode=root", "--variant=minbase", "--quiet", "--include=" + packages,
			"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*", "bookworm", tar + ".new"}
		cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, sources()...)...)
		cmd.Stdout, cmd.Stderr = progress, progress
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("mmdebstrap: %w", err)
		}
		if err := os.Rename(tar+".new", tar); err != nil {
			return err
		}
	}
	_, err := p.Do(ctx, "import", "--change", "ENV=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"--change", "ENV=JAVA_HOME=/usr/lib/jvm/java-17-openjdk-"+runtime.GOARCH, tar, OSImage)
	return err
}

// sources returns this machine's own list of Debian's archives, so that a mirror or proxy that was set up is used.
func sources() []string {
	for _, file := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		if st, err := os.Stat(file); err == nil && st.Size() > 0 {
			return []string{file}
		}
	}
	return nil
}
