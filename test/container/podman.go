// Package container builds the images of docker/ with podman and runs them as real containers.
//
// Nothing is shared with the podman of the machine: storage, networks and configuration are in the cache folder
// ($FLINK_ENTRYPOINT_CACHE, else flink-entrypoint in the user's cache folder), so images of the same name do not meet, and
// removing that folder removes everything.
//
// No registry is asked. A base made of Debian, its OpenJDK 17 and the real Flink distribution, set up as the official image is
// (user, paths, variables, bind addresses, jemalloc), replaces flink:TAG.
package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Podman runs podman with a configuration of its own.
type Podman struct {
	Cache string // the cache folder
	env   []string
}

// install is what a user types when something is missing.
const install = "apt-get install --no-install-recommends podman runc conmon netavark aardvark-dns catatonit iptables mmdebstrap"

// Open checks what is needed and writes the private configuration.
func Open() (*Podman, error) {
	for _, command := range []string{"podman", "runc", "conmon", "iptables"} {
		if _, err := exec.LookPath(command); err != nil {
			return nil, fmt.Errorf("%s is missing: %s", command, install)
		}
	}
	if os.Getuid() != 0 {
		return nil, errors.New("containers with limits need root here: run as root")
	}
	cache := os.Getenv("FLINK_ENTRYPOINT_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		cache = filepath.Join(base, "flink-entrypoint")
	}
	dir := filepath.Join(cache, "podman")
	for _, sub := range []string{"storage", "run", "tmp", "volumes", "networks"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	// crun refuses the mix of cgroup v1 and v2 that many machines have; runc does not. Without limits of our own podman asks
	// for more open files than a restricted root may have. "play kube" wants soft and hard limit to be equal.
	// No static_dir here: the process that podman starts to clean up after a container does not get it, and looks elsewhere.
	containers := fmt.Sprintf(`[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "%[1]s/tmp"
volume_path = "%[1]s/volumes"
[network]
network_backend = "netavark"
network_config_dir = "%[1]s/networks"
`, dir)
	storage := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = \"%[1]s/storage\"\nrunroot = \"%[1]s/run\"\n", dir)
	// An image may have no name but a local one: a mistyped name must not become a download.
	registries := "unqualified-search-registries = []\nshort-name-mode = \"enforcing\"\n"
	policy := `{"default": [{"type": "insecureAcceptAnything"}]}`
	for name, text := range map[string]string{"containers.conf": containers, "storage.conf": storage, "registries.conf": registries, "policy.json": policy} {
		if err := replace(filepath.Join(dir, name), text); err != nil {
			return nil, err
		}
	}
	return &Podman{Cache: cache, env: append(os.Environ(),
		"CONTAINERS_CONF="+filepath.Join(dir, "containers.conf"),
		"CONTAINERS_STORAGE_CONF="+filepath.Join(dir, "storage.conf"),
		"CONTAINERS_REGISTRIES_CONF="+filepath.Join(dir, "registries.conf"),
	)}, nil
}

// replace writes a file by rename, since others may be reading it.
func replace(name, text string) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// Lock makes this process the only one that holds the lock of that name in the cache; unlock gives it back, as does the end of the process.
func (p *Podman) Lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(p.Cache, "podman", name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// Command prepares a podman command. Its name for people is the words after podman.
func (p *Podman) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "podman", args...)
	cmd.Env = p.env
	return cmd
}

// Do runs podman and returns its stdout without the last newline. A failure carries what podman said.
func (p *Podman) Do(ctx context.Context, args ...string) (string, error) {
	cmd := p.Command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("podman %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}
