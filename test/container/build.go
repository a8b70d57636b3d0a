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
const OSImage = prefix + "os:2"

// Stand-in for the official image, and the two images of docker/.
func BaseImage(version string) string { return prefix + "stand-in:" + version }
func FullImage(version string) string { return prefix + "full:" + version }
func SlimImage(version string) string { return prefix + "slim:" + version }

// ServerImage is the platform's server, and WorkerImage its worker for a version of Flink.
const ServerImage = prefix + "platform:1"

func WorkerImage(version string) string { return prefix + "workbench:" + version }

// release is Debian's: the last one with Java 17 as its own.
const release = "bookworm"

// packages are the packages of the official image's recipe, the JDK that its base image has, and what the image of workers adds.
const packages = "openjdk-17-jdk-headless,libjemalloc-dev,libsnappy1v5,gettext-base,gosu,ca-certificates,bubblewrap"

// Built holds the ids of the images of one build. Unlike their names, which the next build takes, ids stay what they were.
type Built struct{ Base, Full, Slim string }

// Images builds the images of docker/ for a Flink version from its home and from the binary in root/bin. What has not changed since
// the last time is taken from podman's cache. Output of the builds goes to progress.
func (p *Podman) Images(ctx context.Context, root, version, home string, progress io.Writer) error {
	_, err := p.Build(ctx, root, version, home, progress)
	return err
}

// Build is [Podman.Images] and tells the ids. Builds of several processes wait for each other.
func (p *Podman) Build(ctx context.Context, root, version, home string, progress io.Writer) (Built, error) {
	unlock, err := p.Lock("build")
	if err != nil {
		return Built{}, err
	}
	defer unlock()
	var b Built
	if b.Base, err = p.standIn(ctx, root, version, home, progress); err != nil {
		return Built{}, err
	}
	for _, kind := range []struct {
		file, name string
		id         *string
	}{{"Dockerfile", FullImage(version), &b.Full}, {"Dockerfile.slim", SlimImage(version), &b.Slim}} {
		if *kind.id, err = p.build(ctx, progress, "-f", filepath.Join(root, "docker", kind.file),
			"-t", kind.name, "--build-arg", "FLINK_IMAGE="+BaseImage(version), "--build-arg", "JDK_IMAGE="+OSImage, root); err != nil {
			return Built{}, err
		}
	}
	return b, nil
}

// standIn makes the replacement of the official image.
func (p *Podman) standIn(ctx context.Context, root, version, home string, progress io.Writer) (string, error) {
	if err := p.osImage(ctx, progress); err != nil {
		return "", err
	}
	dir := filepath.Join(root, "test", "container", "images")
	return p.build(ctx, progress, "-f", filepath.Join(dir, "stand-in.Dockerfile"), "-t", BaseImage(version), "--build-arg", "BASE="+OSImage, "--build-context", "home="+home, dir)
}

// PlatformBuilt holds the ids of the images of the platform, and of the replacement of the official one.
type PlatformBuilt struct{ Base, Server, Worker string }

// Platform builds the images of the platform's server and of its worker for a Flink version, as Build does.
func (p *Podman) Platform(ctx context.Context, root, version, home string, progress io.Writer) (PlatformBuilt, error) {
	unlock, err := p.Lock("build")
	if err != nil {
		return PlatformBuilt{}, err
	}
	defer unlock()
	var b PlatformBuilt
	if b.Base, err = p.standIn(ctx, root, version, home, progress); err != nil {
		return b, err
	}
	if b.Server, err = p.build(ctx, progress, "-f", filepath.Join(root, "docker", "Dockerfile.platform"), "-t", ServerImage, "--build-arg", "CERTIFICATES_IMAGE="+OSImage, root); err != nil {
		return b, err
	}
	b.Worker, err = p.build(ctx, progress, "-f", filepath.Join(root, "docker", "Dockerfile.workbench"), "-t", WorkerImage(version), "--build-arg", "FLINK_IMAGE="+BaseImage(version), root)
	return b, err
}

// build returns the id of the image.
func (p *Podman) build(ctx context.Context, progress io.Writer, args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "image-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "id")
	cmd := p.Command(ctx, append([]string{"build", "--layers", "--pull=never", "--format", "docker", "--iidfile", file}, args...)...)
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("podman build %s: %w", strings.Join(args, " "), err)
	}
	id, err := os.ReadFile(file)
	return strings.TrimPrefix(strings.TrimSpace(string(id)), "sha256:"), err
}

// osImage makes the Debian base, once. Its root file system stays in the cache.
func (p *Podman) osImage(ctx context.Context, progress io.Writer) error {
	if _, err := p.Do(ctx, "image", "exists", OSImage); err == nil {
		return nil
	}
	key := sha256.Sum256([]byte(packages))
	tar := filepath.Join(p.Cache, "podman", "os-"+hex.EncodeToString(key[:4])+".tar")
	if !exists(tar) {
		if _, err := exec.LookPath("mmdebstrap"); err != nil {
			return errors.New("mmdebstrap is missing: " + install)
		}
		fmt.Fprintln(progress, "making a Debian root file system with a JDK (once, one to two minutes)")
		fresh := strings.TrimSuffix(tar, ".tar") + ".new.tar" // by the end of the name mmdebstrap knows what to make
		// The manual pages' directories must be there: update-alternatives links into them.
		args := []string{"--mode=root", "--variant=minbase", "--quiet", "--include=" + packages,
			"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*", release, fresh}
		cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, sources()...)...)
		cmd.Stdout, cmd.Stderr = progress, progress
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("mmdebstrap: %w", err)
		}
		if err := os.Rename(fresh, tar); err != nil {
			return err
		}
	}
	_, err := p.Do(ctx, "import", "--change", "ENV=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"--change", "ENV=JAVA_HOME=/usr/lib/jvm/java-17-openjdk-"+runtime.GOARCH, tar, OSImage)
	return err
}

// exists tells whether a path is a file.
func exists(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// sources returns this machine's own list of Debian's archives, so that a mirror or proxy that was set up is used; nothing, which is
// mmdebstrap's own list, on a machine of another distribution or release.
func sources() []string {
	if text, err := os.ReadFile("/etc/os-release"); err != nil || !strings.Contains(string(text), "VERSION_CODENAME="+release+"\n") {
		return nil
	}
	for _, file := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		if st, err := os.Stat(file); err == nil && st.Size() > 0 {
			return []string{file}
		}
	}
	return nil
}
