package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/native/apiserver"
)

const (
	namespace = "default"
	grace     = 20 * time.Second // from SIGTERM to SIGKILL
)

// pod is one that ran, or a client's command, which runs as a pod too.
type pod struct {
	Name    string            `json:"name"`
	Command []string          `json:"command"` // of the object: command and args
	Env     map[string]string `json:"env"`     // of the object
	Java    []string          `json:"java"`    // the command line of the JVM that the pod's process became
	ExecMS  float64           `json:"execMs"`  // from the pod's start until its process is that JVM
	Exit    int               `json:"exit"`    // 128+n after signal n
	Output  string            `json:"output"`  // the file with what it printed

	started time.Time
	process *os.Process
	done    chan struct{} // closed when it has ended
}

// node runs the pods of an API.
type node struct {
	options
	api      *apiserver.Server
	address  string // of the API
	account  map[string]string
	deployed chan struct{} // closed when the client has sent everything
	finished chan time.Time

	mu     sync.Mutex
	pods   []*pod
	failed error // the first thing that this node could not do
	end    context.CancelFunc
}

// run starts the cluster by its client, waits until its job has finished, and until all its pods have ended.
func run(o options) (*Report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	n := &node{options: o, api: &apiserver.Server{}, deployed: make(chan struct{}), finished: make(chan time.Time, 1), end: cancel}
	server := httptest.NewUnstartedServer(n.api)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that end in the middle of something
	server.StartTLS()
	defer server.CloseClientConnections() // watches hang
	n.address = server.Listener.Addr().String()
	n.account = map[string]string{
		"ca.crt":    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		"token":     "token",
		"namespace": namespace,
	}
	defer n.kill()
	go n.follow(ctx, "deployments", n.deployment)
	go n.follow(ctx, "pods", n.pod)
	err := n.cluster(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed != nil {
		err = n.failed
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, n.tails())
	}
	return n.report(), nil
}

func (n *node) cluster(ctx context.Context) error {
	if err := n.command(ctx, "client", n.deploy); err != nil {
		return err
	}
	close(n.deployed)
	if n.session {
		if err := n.command(ctx, "submitter", n.submit); err != nil {
			return err
		}
	}
	select {
	case at := <-n.finished:
		n.finished <- at
	case <-ctx.Done():
		return fmt.Errorf("no job has finished: %w", ctx.Err())
	}
	if n.session { // as kubectl delete deployment does
		for _, d := range n.api.List("deployments", namespace) {
			n.api.Delete("deployments", namespace, name(d))
		}
	}
	return cluster.Poll(ctx, func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, p := range n.pods {
			select {
			case <-p.done:
			default:
				return fmt.Errorf("%w: %s has not ended", cluster.ErrNotYet, p.Name)
			}
		}
		return nil
	})
}

func (n *node) report() *Report {
	r := &Report{Pods: n.pods, Deleted: !n.session && len(n.api.List("deployments", namespace)) == 0, Left: []string{}, Refused: n.api.Refused()}
	for _, p := range n.api.List("pods", namespace) {
		r.Left = append(r.Left, name(p))
	}
	for _, p := range n.pods {
		if strings.HasSuffix(p.Name, jobManagerSuffix) {
			at := <-n.finished
			n.finished <- at
			r.FinishedMS = ms(at.Sub(p.started))
		}
	}
	for _, s := range n.api.List("services", namespace) {
		r.Services = append(r.Services, name(s))
	}
	return r
}

// follow gives the events of a resource to f, in their order.
func (n *node) follow(ctx context.Context, resource string, f func(context.Context, apiserver.Event) error) {
	for i := 0; ; {
		event, next, wait := n.api.Next(resource, namespace, i)
		i = next
		if wait == nil {
			if err := f(ctx, event); err != nil {
				n.fail(fmt.Errorf("%s %s: %w", resource, name(event.Object), err))
			}
			continue
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed == nil {
		n.failed = err
	}
	n.end()
}

const jobManagerSuffix = "-jobmanager-0"

// deployment makes the pod of a new deployment. Its deletion takes the pod with it.
func (n *node) deployment(_ context.Context, e apiserver.Event) error {
	if e.Type != "ADDED" {
		return nil
	}
	meta := e.Object["metadata"].(apiserver.Object)
	template, err := json.Marshal(e.Object["spec"].(apiserver.Object)["template"])
	if err != nil {
		return err
	}
	var p apiserver.Object
	if err := json.Unmarshal(template, &p); err != nil {
		return err
	}
	labels, _ := p["metadata"].(apiserver.Object)
	p["metadata"] = apiserver.Object{"name": name(e.Object) + jobManagerSuffix, "labels": labels["labels"],
		"ownerReferences": []any{apiserver.Object{"apiVersion": "apps/v1", "kind": "Deployment", "name": name(e.Object), "uid": meta["uid"]}}}
	n.api.Put("pods", namespace, p)
	return nil
}

// pod starts a new pod, and ends one that was deleted.
func (n *node) pod(ctx context.Context, e apiserver.Event) error {
	switch e.Type {
	case "ADDED":
		go func() {
			err := n.startPod(ctx, e.Object)
			if n.api.Get("pods", namespace, name(e.Object)) == nil && errors.Is(err, errMount) {
				return // deleted before it started, and with it what it would mount
			}
			if err != nil {
				n.fail(fmt.Errorf("pod %s: %w", name(e.Object), err))
			}
		}()
	case "DELETED":
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, p := range n.pods {
			if p.Name == name(e.Object) {
				_ = p.process.Signal(syscall.SIGTERM)
				time.AfterFunc(grace, func() { _ = p.process.Kill() })
			}
		}
	}
	return nil
}

// errMount: what a pod mounts is not there.
var errMount = errors.New("mount")

// podSpec is what this node understands of a pod.
type podSpec struct {
	Containers []struct {
		Command, Args []string
		Env           []struct {
			Name, Value string
			ValueFrom   struct{ FieldRef struct{ FieldPath string } }
		}
		VolumeMounts []struct{ Name, MountPath, SubPath string }
	}
	Volumes []struct {
		Name      string
		ConfigMap *struct {
			Name  string
			Items []struct{ Key, Path string }
		}
		EmptyDir *struct{}
	}
}

func (n *node) startPod(ctx context.Context, object apiserver.Object) error {
	select {
	case <-n.deployed: // a kubelet waits for the ConfigMap that is mounted, and the names of services are in DNS
	case <-ctx.Done():
		return ctx.Err()
	}
	var spec podSpec
	text, err := json.Marshal(object["spec"])
	if err == nil {
		err = json.Unmarshal(text, &spec)
	}
	if err != nil {
		return err
	}
	if len(spec.Containers) != 1 {
		return fmt.Errorf("%d containers, expected 1", len(spec.Containers))
	}
	c := spec.Containers[0]
	p := &pod{Name: name(object), Command: append(c.Command, c.Args...), Env: map[string]string{}}
	for _, v := range c.Env {
		switch path := v.ValueFrom.FieldRef.FieldPath; path {
		case "":
			p.Env[v.Name] = v.Value
		case "status.podIP":
			p.Env[v.Name] = "127.0.0.1"
		case "spec.nodeName":
			p.Env[v.Name] = "node"
		default:
			return fmt.Errorf("variable %s: this node has no %s, expected status.podIP or spec.nodeName", v.Name, path)
		}
	}
	r := n.root(p)
	for _, m := range c.VolumeMounts {
		for _, v := range spec.Volumes {
			switch {
			case v.Name != m.Name:
			case m.SubPath != "":
				return fmt.Errorf("mount %s: this node has no subPath", m.MountPath)
			case v.ConfigMap != nil:
				files := map[string]string{}
				data, _ := n.api.Get("configmaps", namespace, v.ConfigMap.Name)["data"].(apiserver.Object)
				for _, item := range v.ConfigMap.Items {
					content, ok := data[item.Key].(string)
					if !ok {
						return fmt.Errorf("%w: %s: ConfigMap %s has no %s", errMount, m.MountPath, v.ConfigMap.Name, item.Key)
					}
					files[item.Path] = content
				}
				r.Mounts[m.MountPath] = files
			case v.EmptyDir != nil:
				r.Empty = append(r.Empty, m.MountPath)
			default:
				return fmt.Errorf("volume %s: expected configMap or emptyDir", v.Name)
			}
		}
	}
	if err := n.start(p, r); err != nil {
		return err
	}
	n.status(p.Name, "Running", []any{})
	<-p.done
	if len(n.finished) == 0 {
		return fmt.Errorf("it ended with %d before a job had finished", p.Exit)
	}
	phase := "Succeeded"
	if p.Exit != 0 {
		phase = "Failed"
	}
	n.status(p.Name, phase, []any{apiserver.Object{"name": "flink-main-container", "state": apiserver.Object{"terminated": apiserver.Object{"exitCode": p.Exit}}}})
	return nil
}

// status says in the API how a pod is, if it is still there.
func (n *node) status(pod, phase string, containers []any) {
	object := n.api.Get("pods", namespace, pod)
	if object == nil {
		return
	}
	n.api.Put("pods", namespace, apiserver.Object{"apiVersion": "v1", "kind": "Pod", "metadata": object["metadata"], "spec": object["spec"],
		"status": apiserver.Object{"phase": phase, "podIP": "127.0.0.1", "containerStatuses": containers,
			"conditions": []any{apiserver.Object{"type": "PodScheduled", "status": "True"}}}})
}

// command runs a client's command to its end.
func (n *node) command(ctx context.Context, as string, words []string) error {
	p := &pod{Name: as, Command: append(append([]string{}, n.client...), words...)}
	if err := n.start(p, n.root(p)); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return fmt.Errorf("%s has not ended: %w", as, ctx.Err())
	}
	if p.Exit != 0 {
		return fmt.Errorf("%s ended with %d: %q", as, p.Exit, p.Command)
	}
	return nil
}

// root is what every pod has: the image, its account at the API, and the names of the services.
func (n *node) root(p *pod) root {
	hosts := "127.0.0.1 localhost " + p.Name + "\n"
	for _, s := range n.api.List("services", namespace) {
		hosts += "127.0.0.1 " + name(s) + "." + namespace + "\n"
	}
	return root{Hostname: p.Name, Home: n.home, Entrypoint: n.entrypoint, Usrlib: n.usrlib, Hosts: hosts, Argv: p.Command,
		Mounts: map[string]map[string]string{"/run/secrets/kubernetes.io/serviceaccount": n.account}}
}

// start starts a pod's process, and watches what it prints and what becomes of it.
func (n *node) start(p *pod, r root) error {
	r.Dir = filepath.Join(n.dir, p.Name)
	if err := os.Mkdir(r.Dir, 0o755); err != nil {
		return err
	}
	spec, err := json.Marshal(r)
	if err != nil {
		return err
	}
	p.Output, p.done = r.Dir+".out", make(chan struct{})
	out, err := os.Create(p.Output)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(n.address)
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{stepVariable + "=" + string(spec), "PATH=/opt/flink/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "FLINK_HOME=/opt/flink",
		"JAVA_HOME=" + n.java, "HOSTNAME=" + p.Name, "DISABLE_JEMALLOC=true", "KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port}
	for k, v := range p.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS, Pdeathsig: syscall.SIGKILL}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = write, write
	p.started = time.Now()
	err = cmd.Start()
	write.Close()
	if err != nil {
		return err
	}
	p.process = cmd.Process
	n.mu.Lock()
	n.pods = append(n.pods, p)
	n.mu.Unlock()
	var readers sync.WaitGroup
	readers.Go(func() { n.read(p, read, out) })
	readers.Go(func() { p.watch() })
	go func() {
		err := cmd.Wait()
		readers.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			p.Exit = exit.ExitCode()
			if ws := exit.Sys().(syscall.WaitStatus); ws.Signaled() {
				p.Exit = 128 + int(ws.Signal())
			}
		}
		close(p.done)
	}()
	return nil
}

// read copies what a pod prints, and notes when its job has finished.
func (n *node) read(p *pod, from io.ReadCloser, to io.WriteCloser) {
	defer from.Close()
	defer to.Close()
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, "reached terminal state FINISHED") {
			select {
			case n.finished <- time.Now():
			default:
			}
		}
		if _, failed := io.WriteString(to, line); failed != nil || err != nil {
			return
		}
	}
}

// watch notes the command line of the JVM that the process becomes.
func (p *pod) watch() {
	proc := fmt.Sprintf("/proc/%d/", p.process.Pid)
	for p.process.Signal(syscall.Signal(0)) == nil {
		// In the middle of an exec there may be no link, and no command line.
		if exe, err := os.Readlink(proc + "exe"); err == nil && filepath.Base(exe) == "java" {
			at := time.Now()
			if line, err := os.ReadFile(proc + "cmdline"); err == nil && len(line) > 0 {
				p.ExecMS, p.Java = ms(at.Sub(p.started)), strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
				return
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// kill ends what is left.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pods {
		_ = p.process.Kill()
		<-p.done
	}
}

// tails are the last lines of every pod, for a failure message.
func (n *node) tails() string {
	var text strings.Builder
	for _, r := range n.api.Refused() {
		fmt.Fprintln(&text, "refused:", r)
	}
	for _, p := range n.pods {
		out, _ := os.ReadFile(p.Output)
		fmt.Fprintf(&text, "--- %s: %q\n%s\n", p.Name, p.Command, out[max(0, len(out)-5000):])
	}
	return text.String()
}

func name(object apiserver.Object) string {
	v, _ := object["metadata"].(apiserver.Object)["name"].(string)
	return v
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
