//go:build kubelet

package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/container"
	"flink-entrypoint/test/deploy"
	"flink-entrypoint/test/flinkhome/homes"
)

const (
	root    = "../.."
	version = "2.2.1"
	// older is the last release of Flink 1: in native mode, and of the platform's clusters.
	older    = "1.20.5"
	nodeName = "node"
	// pauseImage holds the network of a pod.
	pauseImage = "localhost/flink-entrypoint/pause:1"
	// folderVariable tells the test inside the namespaces where the node's folder is.
	folderVariable = "FLINK_ENTRYPOINT_TEST_NODE"
)

// outside brings everything that needs a network, and runs this test program again, in namespaces of its own.
func outside(ctx context.Context) (err error) {
	// The kernel ends the node with the thread that started it, not with the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	podman, err := container.Open()
	if err != nil {
		return err
	}
	images, err := buildImages(ctx, podman)
	if err != nil {
		return err
	}
	if err := deploy.Bring(ctx); err != nil {
		return err
	}
	base := filepath.Join(podman.Cache, "kubelet")
	prepare := exec.CommandContext(ctx, "./prepare.sh", base)
	prepare.Stdout, prepare.Stderr = os.Stderr, os.Stderr
	if err := prepare.Run(); err != nil {
		return fmt.Errorf("prepare.sh: %w", err)
	}
	sweep(base)

	dir := filepath.Join(base, "node-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(dir)) }()
	if err := buildPlatform(ctx, dir); err != nil {
		return err
	}
	if err := makeCgroups(filepath.Base(dir)); err != nil {
		return err
	}
	if _, err := podman.Do(ctx, append([]string{"save", "--quiet", "--multi-image-archive", "-o", filepath.Join(dir, "images.tar")}, images...)...); err != nil {
		return err
	}
	inside := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	inside.Stdout, inside.Stderr = os.Stdout, os.Stderr
	inside.Env = append(os.Environ(), folderVariable+"="+dir)
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		Unshareflags: syscall.CLONE_NEWNS, // and no mount shows outside
		Pdeathsig:    syscall.SIGKILL,
	}
	return inside.Run()
}

// buildImages makes the images of docker/, the replacement of the official image, and one with the only other program that a pod has.
func buildImages(ctx context.Context, podman *container.Podman) ([]string, error) {
	project, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	flink, err := homes.Root()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(project, "bin", "flink-entrypoint-linux-"+runtime.GOARCH)
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("%s is missing: make build-all", binary)
	}
	for _, v := range []string{version, older} {
		home := filepath.Join(flink, v)
		if _, err := os.Stat(home); err != nil {
			return nil, fmt.Errorf("%s is missing: go run ./test/flinkhome %s", home, v)
		}
		var log bytes.Buffer
		if err := podman.Images(ctx, project, v, home, &log); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, log.Bytes())
		}
	}
	catatonit, err := exec.LookPath("catatonit")
	if err != nil {
		return nil, errors.New("catatonit is missing: apt-get install --no-install-recommends catatonit")
	}
	unlock, err := podman.Lock("build")
	if err != nil {
		return nil, err
	}
	defer unlock()
	build := podman.Command(ctx, "build", "--quiet", "--layers", "--pull=never", "-t", pauseImage, "-f", "-", filepath.Dir(catatonit))
	build.Stdin = strings.NewReader("FROM scratch\nCOPY catatonit /pause\nENTRYPOINT [\"/pause\", \"-P\"]\n")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("podman build: %w\n%s", err, out)
	}
	return []string{container.SlimImage(version), container.BaseImage(version), container.SlimImage(older), pauseImage}, nil
}

// cgroups returns the folders of a node's cgroup: one in each hierarchy of version 1 (runc makes one in "unified" where that is mounted, too), or
// the one of version 2.
func cgroups(node string) ([]string, error) {
	const top = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(top, "cgroup.controllers")); err == nil {
		return []string{filepath.Join(top, node)}, nil
	}
	var found []string
	for _, controller := range []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "systemd", "blkio", "devices", "freezer", "hugetlb", "net_cls", "perf_event", "unified"} {
		dir := filepath.Join(top, controller)
		if st, err := os.Lstat(dir); err != nil || !st.IsDir() { // nor a link: cpu,cpuacct has two names
			if target, err := os.Readlink(dir); err == nil {
				dir = filepath.Join(top, target)
			} else {
				continue
			}
		}
		found = append(found, filepath.Join(dir, node))
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no cgroups in %s", top)
	}
	return found, nil
}

func makeCgroups(node string) error {
	dirs, err := cgroups(node)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// A cpuset of version 1 begins empty, and an empty one takes no process.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(dir, "..", file)); err == nil {
				if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// remove removes what an ended node leaves: its cgroups and its folder.
func remove(dir string) error {
	groups, err := cgroups(filepath.Base(dir))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, group := range groups {
		err := cluster.Poll(ctx, func() error {
			var all []string
			_ = filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					all = append(all, path)
				}
				return nil
			})
			for i := len(all) - 1; i >= 0; i-- {
				if err := syscall.Rmdir(all[i]); err != nil && err != syscall.ENOENT { // its processes are killed, and may not be gone yet
					return fmt.Errorf("%w: rmdir %s: %w", cluster.ErrNotYet, all[i], err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// sweep removes what nodes left whose test was killed.
func sweep(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, "node-*"))
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "node-"))
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = remove(dir)
		}
	}
}

// node is a running node.
type node struct {
	dir     string
	api     *api
	daemons []*daemon
}

// daemon is a process of the node.
type daemon struct {
	name string
	log  string
	args []string // with the command
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// startNode runs inside, as the first process of its namespace: everything that it starts ends with it.
func startNode(ctx context.Context, dir string) (*node, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	n := &node{dir: dir, api: newAPI()}
	if err := mounts(dir); err != nil {
		return nil, err
	}
	base := filepath.Dir(dir)
	debian := func(command string) string { return filepath.Join(base, "debian", "usr", "bin", command) }
	kubernetes := func(command string) string { return filepath.Join(base, "kubernetes", command) }
	plugins := filepath.Join(base, "debian", "usr", "lib", "cni")
	if err := n.configure(plugins); err != nil {
		return nil, err
	}
	loopback := exec.CommandContext(ctx, filepath.Join(plugins, "loopback"))
	loopback.Env = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=node", "CNI_NETNS=/proc/self/ns/net", "CNI_IFNAME=lo", "CNI_PATH=" + plugins}
	loopback.Stdin = strings.NewReader(`{"cniVersion": "0.4.0", "name": "lo", "type": "loopback"}`)
	if out, err := loopback.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("loopback: %w\n%s", err, out)
	}

	if err := n.network(); err != nil {
		return nil, err
	}

	key, kubeconfig := filepath.Join(dir, "key.pem"), filepath.Join(dir, "kubeconfig")
	for _, step := range []struct {
		command string
		args    []string
		ready   func() error
	}{
		{debian("etcd"), []string{"--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
			"--listen-peer-urls", "http://127.0.0.1:2380"}, func() error { return n.api.healthy(ctx, "http://127.0.0.1:2379/health") }},
		// From Kubernetes 1.31 on, a watch that begins with a list, or with the newest state, waits until etcd confirms its progress, which
		// Debian's (3.4.23) cannot. Flink's client makes both kinds. Without the two features they are answered as by earlier servers.
		// The token is not a secret: this server listens in a namespace, to this test and its pods. A pod trusts the certificate that the
		// server makes for itself, which the controllers give to every namespace.
		{kubernetes("kube-apiserver"), []string{"--etcd-servers", "http://127.0.0.1:2379", "--bind-address", "0.0.0.0", "--advertise-address", nodeAddress, "--kubelet-preferred-address-types", "InternalIP", "--cert-dir", filepath.Join(dir, "pki"),
			"--service-account-issuer", "https://node", "--service-account-key-file", key, "--service-account-signing-key-file", key, "--token-auth-file", filepath.Join(dir, "tokens.csv"),
			"--authorization-mode", "RBAC", "--service-cluster-ip-range", serviceNetwork, "--feature-gates", "WatchList=false,WatchFromStorageWithoutResourceVersion=true"},
			func() error { return n.api.healthy(ctx, server+"/readyz") }},
		// On a busy machine the kubelet may report late. Its pods must stay all the same: this node is the only one.
		{kubernetes("kube-controller-manager"), []string{"--kubeconfig", kubeconfig, "--leader-elect=false", "--bind-address", "127.0.0.1", "--service-account-private-key-file", key,
			"--root-ca-file", filepath.Join(dir, "pki", "apiserver.crt"), "--node-monitor-grace-period", "10m"}, func() error { return n.hasAccount(ctx, "default") }},
		{kubernetes("kube-scheduler"), []string{"--kubeconfig", kubeconfig, "--leader-elect=false", "--bind-address", "127.0.0.1"},
			func() error { return n.api.healthy(ctx, "https://127.0.0.1:10259/readyz") }},
		{debian("containerd"), []string{"--config", filepath.Join(dir, "containerd.toml")}, func() error { return n.importImages(ctx, debian("ctr")) }},
		{kubernetes("kubelet"), []string{"--config", filepath.Join(dir, "kubelet.yaml"), "--root-dir", filepath.Join(dir, "kubelet"), "--cert-dir", filepath.Join(dir, "pki"),
			"--hostname-override", nodeName, "--node-ip", nodeAddress, "--kubeconfig", kubeconfig}, func() error { return n.ready(ctx) }},
		// Conntrack's settings are the machine's: they stay. Its rules lead to the API server as soon as they are there.
		{kubernetes("kube-proxy"), []string{"--kubeconfig", kubeconfig, "--hostname-override", nodeName, "--proxy-mode", "iptables", "--cluster-cidr", podNetwork, "--iptables-localhost-nodeports=false",
			"--conntrack-max-per-core", "0", "--conntrack-tcp-timeout-established", "0s", "--conntrack-tcp-timeout-close-wait", "0s", "--healthz-bind-address", "127.0.0.1:10256", "--metrics-bind-address", "127.0.0.1:10249"},
			func() error { return n.api.healthy(ctx, "https://"+serviceOfAPI+"/readyz") }},
	} {
		if err := n.start(step.command, step.args...); err != nil {
			return nil, err
		}
		if err := n.poll(ctx, step.ready); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(step.command), err, n.tails(40))
		}
	}
	return n, nil
}

// mounts gives the node folders of its own where its programs insist on a place of the machine.
func mounts(dir string) error {
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, place := range []string{"/run", "/var/lib", "/var/log"} {
		if err := syscall.Mount("tmpfs", place, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", place, err)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%w\nhint: %s must be elsewhere, as the node has /run, /var/lib and /var/log for itself", err, homes.CacheVariable)
	}
	// The kubelet would set these for the whole machine. It finds them as it wants them.
	for setting, value := range map[string]string{"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000"} {
		file := filepath.Join(dir, filepath.Base(setting))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := syscall.Mount(file, filepath.Join("/proc/sys", setting), "", syscall.MS_BIND, ""); err != nil && err != syscall.ENOENT {
			return fmt.Errorf("mount /proc/sys/%s: %w", setting, err)
		}
	}
	return nil
}

// start starts a part of the node, whose output goes to a file.
func (n *node) start(command string, args ...string) error {
	d := &daemon{name: filepath.Base(command), args: append([]string{command}, args...)}
	d.log = filepath.Join(n.dir, d.name+".log")
	n.daemons = append(n.daemons, d)
	return n.restart(d)
}

// daemon is one of the node's processes.
func (n *node) daemon(name string) *daemon {
	return n.daemons[slices.IndexFunc(n.daemons, func(d *daemon) bool { return d.name == name })]
}

// restart starts a process that does not run.
func (n *node) restart(d *daemon) error {
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	command := d.args[0]
	cmd := exec.Command(command, d.args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = n.dir
	// containerd looks for its shim and for runc.
	cmd.Env = []string{"PATH=" + filepath.Dir(command) + ":" + os.Getenv("PATH"), "HOME=" + n.dir}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.cmd, d.done = cmd, make(chan struct{})
	go func() {
		d.err = cmd.Wait()
		close(d.done)
	}()
	return nil
}

// poll is [cluster.Poll] as long as all parts of the node run.
func (n *node) poll(ctx context.Context, f func() error) error {
	return cluster.Poll(ctx, func() error {
		for _, d := range n.daemons {
			select {
			case <-d.done:
				return fmt.Errorf("%s has ended: %w", d.name, d.err)
			default:
			}
		}
		return f()
	})
}

// tails returns the last lines of what the parts of the node said.
func (n *node) tails(lines int) string {
	var text strings.Builder
	for _, d := range n.daemons {
		fmt.Fprintf(&text, "--- %s\n%s\n", d.name, tail(d.log, lines))
	}
	return text.String()
}

func tail(file string, lines int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (n *node) importImages(ctx context.Context, ctr string) error {
	run := func(args ...string) error {
		out, err := exec.CommandContext(ctx, ctr, append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ctr %v: %w\n%s", args, err, out)
		}
		return nil
	}
	if err := run("plugins", "ls"); err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	}
	file := filepath.Join(n.dir, "images.tar")
	if err := run("images", "import", file); err != nil {
		return err
	}
	return os.Remove(file)
}
