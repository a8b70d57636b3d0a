//go:build container

package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/container"
	"flink-entrypoint/test/flinkhome/homes"
)

// pods is a network in which podman runs those of deploy/ for one version of Flink.
type pods struct {
	*testing.T
	podman  *container.Podman
	tools   *tools
	ctx     context.Context
	version string
	network string
	subnet  string // the first three bytes
	gateway string // this machine, as the pods see it
	number  int    // of addresses given
}

func newPods(t *testing.T, version string) *pods {
	t.Helper()
	p, err := container.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if binary := filepath.Join(root, "bin", "flink-entrypoint-linux-"+runtime.GOARCH); !exists(binary) {
		t.Fatalf("%s is missing: make build-all", binary)
	}
	var log bytes.Buffer
	if err := p.Images(ctx, root, version, homes.Home(t, version), &log); err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
	w := &pods{T: t, podman: p, ctx: ctx, version: version}
	if w.tools, err = openTools(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// in is the same for a subtest: with a network of its own, since each has a JobManager at the same address of it.
func (w *pods) in(t *testing.T) *pods {
	t.Helper()
	in := *w
	in.T, in.network, in.number = t, unique("deploy"), 10
	in.do("network", "create", in.network)
	t.Cleanup(func() { _, _ = in.podman.Do(context.Background(), "network", "rm", "-f", "-t", "0", in.network) })
	in.gateway = in.do("network", "inspect", "--format", "{{(index .Subnets 0).Gateway}}", in.network)
	in.subnet = in.gateway[:strings.LastIndex(in.gateway, ".")]
	return &in
}

func unique(name string) string {
	return fmt.Sprintf("%s-%d-%d", name, os.Getpid(), time.Now().UnixNano()%1e12)
}

func (w *pods) do(args ...string) string {
	w.Helper()
	out, err := w.podman.Do(w.ctx, args...)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// overlay builds a folder of deploy/ with the images of this test and more lines, which may name folders of deploy/.
func (w *pods) overlay(folder, more string) []object {
	w.Helper()
	objects, err := w.tools.overlay(w.ctx, w.TempDir(), folder, container.SlimImage(w.version), container.BaseImage(w.version), more)
	if err != nil {
		w.Fatal(err)
	}
	return objects
}

// sizes are limits that differ from every default, so Flink can have them from the pods alone.
const sizes = `patches:
  - target: {labelSelector: component=jobmanager, kind: Deployment|StatefulSet|Job}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/memory, value: 1500Mi}
  - target: {labelSelector: component=taskmanager}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/memory, value: 1300Mi}
`

const jobManagerLimit, taskManagerLimit = 1500 << 20, 1300 << 20

// pod is a running pod of one of the workloads.
type pod struct {
	w       *pods
	name    string
	address string
	spec    podSpec
	failed  string // what podman said when the pod did not start
}

// jobManagerAddress is where every pod looks for the Service.
func (w *pods) jobManagerAddress() string { return w.subnet + ".10" }

// launch makes a pod from the template of a workload. What needs a cluster is replaced: the Service by a line in the pod's hosts
// file, the pod's address and namespace by their values, and the kubelet's probes, which podman leaves to systemd, by a look from
// outside. Volumes are renamed, as podman gives all pods one emptyDir of a name; and it knows limits of the variable's own container only.
// The rest of the template is as deployed.
func (w *pods) launch(objects []object, component string) *pod {
	w.Helper()
	i := slices.IndexFunc(objects, func(o object) bool { return o.workload() && o.component() == component })
	if i < 0 {
		w.Fatalf("no workload of the component %s", component)
	}
	o := objects[i]
	p := &pod{w: w, name: unique("flink-" + component), address: w.jobManagerAddress(), spec: o.Spec.Template.Spec}
	if component != "jobmanager" {
		w.number++
		p.address = fmt.Sprintf("%s.%d", w.subnet, w.number)
	}
	var whole struct {
		Template struct{ Spec map[string]any }
	}
	if err := json.Unmarshal(o.raw["spec"], &whole); err != nil {
		w.Fatal(err)
	}
	spec := whole.Template.Spec
	spec["restartPolicy"] = "Never" // podman would restart initContainers, too
	spec["hostAliases"] = []any{map[string]any{"ip": w.jobManagerAddress(), "hostnames": []any{"flink-jobmanager"}}}
	for _, list := range []string{"initContainers", "containers"} {
		containers, _ := spec[list].([]any)
		for _, c := range containers {
			c := c.(map[string]any)
			delete(c, "startupProbe")
			delete(c, "livenessProbe")
			delete(c, "ports") // they tell people; podman would open them on this machine
			mounts, _ := c["volumeMounts"].([]any)
			for _, m := range mounts {
				m := m.(map[string]any)
				m["name"] = p.name + "-" + m["name"].(string)
			}
			variables, _ := c["env"].([]any)
			for _, v := range variables {
				v := v.(map[string]any)
				from, _ := v["valueFrom"].(map[string]any)
				field, _ := from["fieldRef"].(map[string]any)
				if resource, _ := from["resourceFieldRef"].(map[string]any); resource != nil {
					// podman takes the limit of the container that the variable is for, and knows no other.
					if limit := p.limit(resource["containerName"]); limit != 0 {
						v["value"] = strconv.Itoa(limit)
						delete(v, "valueFrom")
					}
				}
				if value := map[any]string{"status.podIP": p.address, "metadata.namespace": "default", "metadata.name": p.name}[field["fieldPath"]]; value != "" {
					v["value"] = value
					delete(v, "valueFrom")
				}
			}
		}
	}
	volumes, _ := spec["volumes"].([]any)
	for _, v := range volumes {
		v := v.(map[string]any)
		v["name"] = p.name + "-" + v["name"].(string)
		if secret, _ := v["secret"].(map[string]any); secret["optional"] == true { // and it does not exist
			delete(v, "secret")
			v["emptyDir"] = map[string]any{}
		}
		if _, ok := v["emptyDir"]; ok {
			w.Cleanup(func() { _, _ = w.podman.Do(context.Background(), "volume", "rm", "-f", v["name"].(string)) })
		}
	}
	manifest := map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": p.name, "labels": o.Spec.Template.Metadata.Labels}, "spec": spec}
	file := filepath.Join(w.TempDir(), "pod.yaml")
	var text bytes.Buffer
	for _, o := range objects {
		if o.Kind == "ConfigMap" {
			w.document(&text, o.raw)
		}
	}
	w.document(&text, manifest)
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if w.Failed() {
			w.Logf("--- %s\n%s", p.name, p.tail())
		}
		_, _ = w.podman.Do(context.Background(), "pod", "rm", "-f", "-t", "0", p.name)
	})
	if out, err := w.podman.Do(w.ctx, "play", "kube", "--network", w.network, "--ip", p.address, file); err != nil {
		// An initContainer that fails stops the pod: for the test to judge.
		p.failed = fmt.Sprint(out, err)
	}
	return p
}

func (w *pods) document(into *bytes.Buffer, value any) {
	w.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		w.Fatal(err)
	}
	into.WriteString("---\n")
	into.Write(text)
	into.WriteString("\n")
}

// start launches a pod that must start.
func (w *pods) start(objects []object, component string) *pod {
	w.Helper()
	p := w.launch(objects, component)
	if p.failed != "" {
		w.Fatal(p.failed)
	}
	return p
}

// limit returns the memory limit of a container, 0 without.
func (p *pod) limit(name any) int {
	p.w.Helper()
	for _, c := range p.spec.Containers {
		if text := c.Resources.Limits["memory"]; c.Name == name && text != "" {
			n, err := strconv.Atoi(strings.TrimSuffix(text, "Mi"))
			if err != nil {
				p.w.Fatal(err)
			}
			return n << 20
		}
	}
	return 0
}

// container is podman's name for the pod's container.
func (p *pod) container() string { return p.name + "-flink" }

func (p *pod) logs(container string) string {
	out, _ := p.w.podman.Command(context.Background(), "logs", p.name+"-"+container).CombinedOutput()
	return string(out)
}

func (p *pod) tail() string {
	var text strings.Builder
	for _, c := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
		lines := strings.Split(p.logs(c.Name), "\n")
		fmt.Fprintf(&text, "- %s\n%s\n", c.Name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
	return text.String()
}

// wait returns the exit code of the pod's container.
func (p *pod) wait() int {
	p.w.Helper()
	code, err := strconv.Atoi(p.w.do("wait", p.container()))
	if err != nil {
		p.w.Fatal(err)
	}
	return code
}

// probe runs the probes of the manifest until they succeed, as the kubelet does.
func (p *pod) probe() {
	p.w.Helper()
	c := p.spec.Containers[0]
	for _, command := range [][]string{c.StartupProbe.Exec.Command, c.LivenessProbe.Exec.Command} {
		err := cluster.Poll(p.w.ctx, func() error {
			if out, err := p.w.podman.Do(p.w.ctx, append([]string{"exec", p.container()}, command...)...); err != nil {
				return fmt.Errorf("%w: %s: %w", cluster.ErrNotYet, out, err)
			}
			return nil
		})
		if err != nil {
			p.w.Fatal(err)
		}
	}
}

func (p *pod) rest() *cluster.Cluster { return &cluster.Cluster{Host: p.address, Rest: 8081} }

// sized holds what Flink says of its sizes against the pods' limits.
func (w *pods) sized(jm *pod, tm cluster.TaskManager) {
	w.Helper()
	if total, err := tm.Memory["totalProcessMemory"].Int64(); err != nil || total != taskManagerLimit || tm.Hardware.PhysicalMemory != taskManagerLimit {
		w.Errorf("the TaskManager has %s bytes of %d, its pod's limit is %d", tm.Memory["totalProcessMemory"], tm.Hardware.PhysicalMemory, taskManagerLimit)
	}
	var settings []struct{ Key, Value string }
	if err := jm.rest().Get(w.ctx, "/jobmanager/config", &settings); err != nil {
		w.Fatal(err)
	}
	const key = "jobmanager.memory.process.size"
	for _, s := range settings {
		if s.Key == key {
			if s.Value != fmt.Sprintf("%dm", jobManagerLimit>>20) {
				w.Errorf("%s is %s, the pod's limit is %d", key, s.Value, jobManagerLimit)
			}
			return
		}
	}
	w.Errorf("the JobManager does not know %s", key)
}

func forEachVersion(t *testing.T, f func(w *pods)) {
	for _, v := range homes.Versions() {
		t.Run(v, func(t *testing.T) { f(newPods(t, v)) })
	}
}

// TestSession runs the session cluster in our image and in the official one, whose own scripts start what an initContainer rendered.
func TestSession(t *testing.T) {
	forEachVersion(t, func(w *pods) {
		for _, folder := range []string{"deploy/session", "deploy/overlays/session-official-image"} {
			w.Run(filepath.Base(folder), func(t *testing.T) {
				w := w.in(t)
				objects := w.overlay(folder, sizes)
				jm, tm := w.start(objects, "jobmanager"), w.start(objects, "taskmanager")
				registered, err := jm.rest().TaskManagers(w.ctx, 1)
				if err != nil {
					t.Fatal(err)
				}
				if registered[0].ID != tm.name {
					t.Errorf("the TaskManager is called %s, its pod %s", registered[0].ID, tm.name)
				}
				w.sized(jm, registered[0])
				jm.probe()
				tm.probe()
				if folder != "deploy/session" { // its scripts know nothing of jemalloc: the manifest does
					maps, err := os.ReadFile(filepath.Join("/proc", w.do("inspect", "--format", "{{.State.Pid}}", tm.container()), "maps"))
					if err != nil || !strings.Contains(string(maps), "libjemalloc.so") {
						t.Errorf("the TaskManager runs without jemalloc: %v", err)
					}
				}
			})
		}
	})
}

// TestFixedPorts runs the session cluster with the ports that a network policy allows and with Prometheus' reporter, and finds them.
func TestFixedPorts(t *testing.T) {
	w := newPods(t, "2.2.1").in(t)
	objects := w.overlay("deploy/session", "components: [deploy/components/network-policy, deploy/components/pod-monitor, deploy/components/disruption-budget, deploy/components/topology-spread]\n")
	jm, tm := w.start(objects, "jobmanager"), w.start(objects, "taskmanager")
	registered, err := jm.rest().TaskManagers(w.ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	var detail struct{ DataPort int }
	if err := jm.rest().Get(w.ctx, "/taskmanagers/"+registered[0].ID, &detail); err != nil || detail.DataPort != 6121 {
		t.Errorf("the data port is %d, expected 6121 (%v)", detail.DataPort, err)
	}
	for _, p := range []*pod{jm, tm} {
		connection, err := net.DialTimeout("tcp", net.JoinHostPort(p.address, "6126"), 10*time.Second)
		if err != nil {
			t.Errorf("%s: the port for metrics queries: %v", p.name, err)
		} else {
			connection.Close()
		}
		var text string
		err = cluster.Poll(w.ctx, func() error {
			out, err := exec.CommandContext(w.ctx, "curl", "-sS", "--fail", "http://"+net.JoinHostPort(p.address, "9249")+"/metrics").CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s: %w", cluster.ErrNotYet, out, err)
			}
			text = string(out)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, "manager_Status_JVM_Memory_Heap_Used{") {
			t.Errorf("%s: no size of the heap in %d bytes of metrics", p.name, len(text))
		}
	}
}

// TestBounded runs a job that ends: in our image, and in the official one that an initContainer brings the binary.
func TestBounded(t *testing.T) {
	forEachVersion(t, func(w *pods) {
		for _, folder := range []string{"deploy/overlays/bounded-configmap", "deploy/overlays/bounded-official-image"} {
			w.Run(filepath.Base(folder), func(t *testing.T) {
				w := w.in(t)
				objects := w.overlay(folder, sizes)
				jm, tm := w.start(objects, "jobmanager"), w.start(objects, "taskmanager")
				if code := jm.wait(); code != 0 {
					t.Errorf("the JobManager of a finished job ended with %d", code)
				}
				rows := tm.logs("flink")
				for _, n := range []int{1, 4, 9, 16, 25} {
					if !strings.Contains(rows, fmt.Sprintf("+I[%d]", n)) {
						t.Errorf("the row %d is missing", n)
					}
				}
			})
		}
	})
}

// job waits until the only job is in that state.
func (p *pod) job(state string) cluster.Job {
	p.w.Helper()
	var found cluster.Job
	err := cluster.Poll(p.w.ctx, func() error {
		jobs, err := p.rest().Jobs(p.w.ctx)
		if err != nil {
			return err
		}
		if len(jobs) != 1 || jobs[0].State != state || state == "RUNNING" && jobs[0].Tasks["running"] != jobs[0].Tasks["total"] {
			return fmt.Errorf("%w: jobs %+v, expected one that is %s", cluster.ErrNotYet, jobs, state)
		}
		found = jobs[0]
		return nil
	})
	if err != nil {
		p.w.Fatal(err)
	}
	return found
}

// TestStreaming runs a job whose definition a service gives, pinned by its digest, and stops it with a savepoint as the page about
// upgrades says: the JobManager stays, so nothing starts the job again.
func TestStreaming(t *testing.T) {
	w := newPods(t, "2.2.1").in(t)
	definition, err := os.ReadFile(filepath.Join(root, "deploy", "overlays", "streaming-configmap", "definition.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// The gateway is there while a container is.
	keeper := w.do("run", "-d", "--network", w.network, "--ip", w.subnet+".9", "--entrypoint", `["sleep", "3600"]`, container.OSImage)
	t.Cleanup(func() { _, _ = w.podman.Do(context.Background(), "rm", "-f", "-t", "0", keeper) })
	listener, err := net.Listen("tcp", w.gateway+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/yaml")
		_, _ = rw.Write(definition)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	objects := w.overlay("deploy/overlays/streaming-http", `configMapGenerator:
  - {name: flink-definition, behavior: merge, literals: ["FLINK_ENTRYPOINT_DEFINITION=http://`+listener.Addr().String()+`/jobs/clicks-per-page"]}
`)
	jm := w.start(objects, "jobmanager")
	w.start(objects, "taskmanager")
	jm.probe()
	job := jm.job("RUNNING")
	location := stopAsDocumented(w, jm, job)
	if !strings.HasPrefix(location, "file:/tmp/savepoints/") {
		t.Errorf("the savepoint is at %q", location)
	}
	jm.job("FINISHED")
	jm.probe()
	if state := w.do("inspect", "--format", "{{.State.Status}}", jm.container()); state != "running" {
		t.Errorf("after the job the JobManager is %s", state)
	}
}

// stopAsDocumented executes the page's commands that stop a job with a savepoint, and returns where that is.
func stopAsDocumented(w *pods, jm *pod, job cluster.Job) string {
	w.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		w.Fatal("curl is missing: apt-get install curl")
	}
	_, blocks := page(w.T, "sh")
	i := slices.IndexFunc(blocks, func(b string) bool { return strings.Contains(b, "/stop") })
	if i < 0 {
		w.Fatal("the page does not stop a job")
	}
	lines := strings.Split(strings.TrimSpace(strings.NewReplacer("127.0.0.1:8081", jm.address+":8081", "file:///state", "file:///tmp").Replace(blocks[i])), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "kubectl port-forward") {
		w.Fatalf("expected a port-forward and three commands, found\n%s", blocks[i])
	}
	shell := func(script string) string {
		out, err := exec.CommandContext(w.ctx, "sh", "-ec", script).Output()
		if err != nil {
			w.Fatalf("%s\n%v", script, err)
		}
		return strings.TrimSpace(string(out))
	}
	found := shell(lines[1] + "\n" + lines[2] + "\necho JOB=$JOB REQUEST=$REQUEST")
	if !strings.HasPrefix(found, "JOB="+job.ID+" REQUEST=") {
		w.Fatalf("the commands found %s, the job is %s", found, job.ID)
	}
	var answer struct {
		Status    struct{ ID string }
		Operation struct{ Location string }
	}
	err := cluster.Poll(w.ctx, func() error {
		if err := json.Unmarshal([]byte(shell(strings.ReplaceAll(found, " ", "\n")+"\n"+lines[3])), &answer); err != nil {
			return err
		}
		if answer.Status.ID != "COMPLETED" {
			return fmt.Errorf("%w: the savepoint is %s", cluster.ErrNotYet, answer.Status.ID)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return answer.Operation.Location
}

// TestReactive adds a TaskManager, and the job takes it.
func TestReactive(t *testing.T) {
	w := newPods(t, "2.2.1").in(t)
	objects := w.overlay("deploy/overlays/reactive", "")
	jm := w.start(objects, "jobmanager")
	for want := 1; want <= 2; want++ {
		w.start(objects, "taskmanager")
		err := cluster.Poll(w.ctx, func() error {
			jobs, err := jm.rest().Jobs(w.ctx)
			if err != nil {
				return err
			}
			if len(jobs) != 1 {
				return fmt.Errorf("%w: %d jobs", cluster.ErrNotYet, len(jobs))
			}
			var detail struct {
				State    string
				Vertices []struct {
					Parallelism int
					Status      string
				}
			}
			if err := jm.rest().Get(w.ctx, "/jobs/"+jobs[0].ID, &detail); err != nil {
				return err
			}
			parallelism := 0
			for _, v := range detail.Vertices {
				if v.Status == "RUNNING" {
					parallelism = max(parallelism, v.Parallelism)
				}
			}
			if detail.State != "RUNNING" || parallelism != want {
				return fmt.Errorf("%w: %+v, expected %d tasks side by side", cluster.ErrNotYet, detail, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFailures ends pods before Flink starts, and checks what the Job's policy does then.
func TestFailures(t *testing.T) {
	w := newPods(t, "2.2.1")
	for _, c := range []struct {
		name, folder, more string
		code               int
		action             string
	}{
		{"a definition that is not valid", "deploy/overlays/bounded-configmap", `configMapGenerator:
  - {name: flink-definition, behavior: replace, literals: ["definition.yaml=apiVersion: flink-entrypoint/v1"]}
`, 22, "FailJob"},
		{"a service that is away", "deploy/bounded", `components: [deploy/components/definition-http]
configMapGenerator:
  - {name: flink-definition, literals: ["FLINK_ENTRYPOINT_DEFINITION=http://127.0.0.1:1/job", FLINK_ENTRYPOINT_FETCH_TIMEOUT=2s]}
`, 21, "Count"},
		{"a pod that is too small", "deploy/overlays/bounded-configmap", `patches:
  - target: {kind: Job}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/memory, value: 300Mi}
`, 24, "FailJob"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			objects := w.overlay(c.folder, c.more)
			jm := w.start(objects, "jobmanager")
			if code := jm.wait(); code != c.code {
				t.Errorf("the container ended with %d, expected %d", code, c.code)
			}
			for _, o := range objects {
				if o.Kind != "Job" {
					continue
				}
				action := ""
				for _, r := range o.Spec.PodFailurePolicy.Rules {
					if r.OnExitCodes != nil && slices.Contains(r.OnExitCodes.Values, c.code) {
						action = r.Action
					}
				}
				if action != c.action {
					t.Errorf("the policy for %d is %q, expected %s", c.code, action, c.action)
				}
			}
		})
	}
}

// TestNoLimit: without a limit the Downward API names the memory of the machine, and that is not what Flink gets.
func TestNoLimit(t *testing.T) {
	w := newPods(t, "2.2.1").in(t)
	tm := w.launch(w.overlay("deploy/overlays/session-official-image", `patches:
  - target: {labelSelector: component=taskmanager}
    patch: |
      - {op: remove, path: /spec/template/spec/containers/0/resources/limits}
`), "taskmanager")
	if log := tm.logs("render"); !strings.Contains(tm.failed, "exited with code 25") || !strings.Contains(log, "--strict: ") || !strings.Contains(log, "90 % or more of the machine's memory") {
		t.Errorf("podman said %q, and render\n%s", tm.failed, log)
	}
}
