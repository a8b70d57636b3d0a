//go:build kubelet

package kubelet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"flink-entrypoint/internal/platform/client"
	"flink-entrypoint/internal/platform/cluster/kubernetes"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/container"
	"flink-entrypoint/test/postgres"
)

// platformBinary is made outside of the namespaces, in the node's folder.
const platformBinary = "flink-platform"

// buildPlatform makes the platform's program.
func buildPlatform(ctx context.Context, dir string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, platformBinary), "./cmd/flink-platform")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// A platform is flink-platform as a process of the node, whose clusters are pods of a namespace. What its jobs write is on a volume of all pods.
type platform struct {
	w         *world
	namespace string
	store     string // the URL of its database; empty: SQLite in dir
	dir       string // of the server that runs
	state     string // the volume, on the node
	args      []string
	client    *client.Client
	began     time.Time

	mu  sync.Mutex
	log bytes.Buffer
	cmd *exec.Cmd
}

func (p *platform) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// platform makes the namespace, with exactly the rights that deploy/platform/rights has, the volume, and starts the server. store is the URL of its
// database; empty: SQLite. rest is how it asks JobManagers.
func (w *world) platform(name, version, store, rest string, port int) *platform {
	w.Helper()
	namespace := name + "-" + strings.ReplaceAll(version, ".", "-")
	p := &platform{w: w, namespace: namespace, store: store, dir: filepath.Join(w.TempDir(), "data"), state: filepath.Join(w.node.dir, namespace), began: time.Now()}
	w.create(server+"/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}})
	w.Cleanup(func() { w.removeNamespace(namespace) })
	if err := os.Mkdir(p.state, 0o777); err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(p.state, 0o777); err != nil { // whatever the umask is: pods run as another user
		w.Fatal(err)
	}
	volume := func(name string, rest map[string]any) map[string]any {
		spec := map[string]any{"accessModes": []string{"ReadWriteMany"}, "storageClassName": ""}
		for k, v := range rest {
			spec[k] = v
		}
		return map[string]any{"apiVersion": "v1", "kind": name, "metadata": map[string]any{"name": namespace}, "spec": spec}
	}
	w.create(server+"/api/v1/persistentvolumes", volume("PersistentVolume", map[string]any{"capacity": map[string]any{"storage": "1Gi"}, "hostPath": map[string]any{"path": p.state}}))
	w.Cleanup(func() {
		_, _ = w.node.api.do(context.Background(), http.MethodDelete, server+"/api/v1/persistentvolumes/"+namespace, nil, nil)
	})
	w.create(within(namespace, "v1", "PersistentVolumeClaim"), volume("PersistentVolumeClaim", map[string]any{"volumeName": namespace, "resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}}}))
	rights, err := filepath.Abs(filepath.Join(root, "deploy", "platform", "rights"))
	if err != nil {
		w.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), rights)
	if err != nil {
		w.Fatal(err)
	}
	for _, r := range built.Resources() {
		b, err := r.MarshalJSON()
		if err != nil {
			w.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(b, &object); err != nil {
			w.Fatal(err)
		}
		w.create(within(namespace, r.GetGvk().ApiVersion(), r.GetKind()), object)
	}
	var made struct{ Status struct{ Token string } }
	if _, err := w.node.api.do(w.ctx, http.MethodPost, within(namespace, "v1", "ServiceAccount")+"/flink-platform/token", map[string]any{"spec": map[string]any{"expirationSeconds": 7200}}, &made); err != nil {
		w.Fatal(err)
	}
	kubeconfig := filepath.Join(w.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: node, cluster: {server: %q, insecure-skip-tls-verify: true}}]\nusers: [{name: platform, user: {token: %s}}]\ncontexts: [{name: node, context: {cluster: node, user: platform, namespace: %s}}]\ncurrent-context: node\n",
		server, made.Status.Token, namespace)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	listen := nodeAddress + ":" + strconv.Itoa(port)
	p.args = []string{"--driver", "kubernetes", "--kubeconfig", kubeconfig, "--listen", listen, "--url", "http://" + listen, "--auth",
		"--image", container.SlimImage(version), "--flink-version", version[:strings.LastIndexByte(version, '.')], "--state-dir", "file:///state", "--state-claim", namespace, "--rest-url", rest}
	out, err := p.command("token", "make", "admin", "--role", "admin").Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		w.Fatalf("token make: %v", err)
	}
	p.client = &client.Client{Base: "http://" + listen, Token: strings.TrimSpace(string(out)), HTTP: &http.Client{Timeout: 30 * time.Second}}
	w.Cleanup(func() {
		p.kill()
		if w.Failed() {
			p.mu.Lock()
			w.Logf("the platform said\n%.20000s", p.log.String())
			p.mu.Unlock()
		}
	})
	p.start()
	return p
}

// command is the program on the platform's store.
func (p *platform) command(words ...string) *exec.Cmd {
	words = append(words, "--data-dir", p.dir)
	if p.store != "" {
		words = append(words, "--store", p.store)
	}
	return exec.Command(filepath.Join(p.w.node.dir, platformBinary), words...)
}

// start starts a server and waits until it answers.
func (p *platform) start() {
	p.w.Helper()
	p.cmd = p.command(slices.Concat([]string{"serve"}, p.args)...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.w.Fatal(err)
	}
	p.await("the server answers", func() error {
		_, err := p.client.Jobs(p.w.ctx, "")
		return err
	})
}

// kill ends the server as a node that fails does.
func (p *platform) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.cmd = nil
	}
}

// replace replaces the server, as the controller of a Deployment replaces a pod that was deleted: by one that has the database only.
func (p *platform) replace() {
	p.w.Helper()
	p.kill()
	p.dir = filepath.Join(p.w.TempDir(), "data")
	p.start()
}

// await waits until f has no error, and says how long that took.
func (p *platform) await(what string, f func() error) {
	p.w.Helper()
	begun := time.Now()
	defer func() {
		p.w.Logf("%6.1f s: after %5.1f s %s", time.Since(p.began).Seconds(), time.Since(begun).Seconds(), what)
	}()
	err := cluster.Poll(p.w.ctx, func() error {
		if err := f(); err != nil {
			return fmt.Errorf("%w: %s: %w", cluster.ErrNotYet, what, err)
		}
		return nil
	})
	if err != nil {
		p.w.Fatal(err)
	}
}

// endless is the last number of a job that is stopped long before. The source has in its checkpoints what it has not sent yet: a million numbers take
// it ten seconds.
const endless = 20_000

// definition is a job that copies the numbers from 1 to last into files of its name, ten a second. expression is what becomes of each.
func (p *platform) definition(name string, last int, expression, more string) []byte {
	return fmt.Appendf(nil, `apiVersion: flink-entrypoint/v1
name: %s
resources: {jobManager: {memory: 1100m, cpu: 100m}, taskManager: {memory: 1300m, cpu: 100m}}
configuration:
  restart-strategy.type: none
  execution.checkpointing.interval: 1 s
  execution.checkpointing.dir: file:///state/checkpoints
  heartbeat.timeout: 600000
%ssql:
  script: |
    CREATE TABLE numbers (id INT) WITH ('connector' = 'datagen', 'rows-per-second' = '10', 'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '%d');
    CREATE TABLE files (id INT) WITH ('connector' = 'filesystem', 'path' = 'file:///state/out/%s', 'format' = 'csv');
    INSERT INTO files SELECT %s FROM numbers;
`, name, more, last, name, expression)
}

func (p *platform) put(name string, definition []byte) {
	p.w.Helper()
	if _, err := p.client.Put(p.w.ctx, name, definition, false, ""); err != nil {
		p.w.Fatal(err)
	}
}

func (p *platform) begin(name string, in wire.Start) wire.Run {
	p.w.Helper()
	r, err := p.client.Start(p.w.ctx, name, in)
	if err != nil {
		p.w.Fatal(err)
	}
	return r
}

// until waits until the newest run of a job is as it should be.
func (p *platform) until(name, what string, ok func(wire.Run) bool) wire.Run {
	p.w.Helper()
	var r wire.Run
	done := false
	defer func() {
		if !done {
			p.tell(name, r)
		}
	}()
	p.await(name+" is "+what, func() error {
		j, err := p.client.Job(p.w.ctx, name)
		if err != nil {
			return err
		}
		if r = *j.Run; !ok(r) {
			return fmt.Errorf("%s %s %s %s (%s) %+v", r.ID, r.Queue, r.Condition, r.Outcome, r.Reason, r.Upgrade)
		}
		return nil
	})
	done = true
	return r
}

// tell logs what is known of a run that did not come where it should: its timeline, and the end of each log.
func (p *platform) tell(name string, r wire.Run) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the time of the case is over
	defer cancel()
	events, err := p.client.Events(ctx, name, r.ID)
	p.w.Logf("the timeline of %s, %v", r.ID, err)
	for _, e := range events {
		p.w.Logf("%s %s %s by %s: %s", e.At.Format(time.TimeOnly), e.Queue, e.Condition, e.Evidence, e.Text)
	}
	var text strings.Builder
	if err := p.client.Logs(ctx, name, r.ID, "", 400, false, func(source, line string) { fmt.Fprintf(&text, "%s: %s\n", source, line) }); err != nil {
		p.w.Log(err)
	}
	p.w.Logf("the logs end so\n%s", text.String())
}

func runs(r wire.Run) bool { return r.Queue == "running" && r.Condition == "" }

// rows are the numbers in the files that a job has committed.
func (p *platform) rows(name string) []int {
	p.w.Helper()
	files, err := filepath.Glob(filepath.Join(p.state, "out", name, "part-*"))
	if err != nil {
		p.w.Fatal(err)
	}
	var all []int
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			p.w.Fatal(err)
		}
		for _, line := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(line)
			if err != nil {
				p.w.Fatalf("%s has the line %q", file, line)
			}
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// last is the last number that a job has committed.
func (p *platform) last(name string) int {
	p.w.Helper()
	rows := p.rows(name)
	if len(rows) == 0 {
		return 0
	}
	return rows[len(rows)-1]
}

// wrote waits until a job has committed numbers beyond n, and returns the last.
func (p *platform) wrote(name string, n int) int {
	p.w.Helper()
	last := 0
	p.await(fmt.Sprintf("%s has written more than %d", name, n), func() error {
		if last = p.last(name); last <= n {
			return fmt.Errorf("%d", last)
		}
		return nil
	})
	return last
}

// exact wants each number once.
func (p *platform) exact(name string) int {
	p.w.Helper()
	rows := p.rows(name)
	for i, n := range rows {
		if n != i+1 {
			p.w.Errorf("%s wrote %v: number %d is missing or there twice", name, rows, i+1)
			break
		}
	}
	return len(rows)
}

// objects are the objects in the namespace, but those that are in each one or that the test has made.
func (p *platform) objects() ([]string, error) {
	var all []string
	for _, kind := range [][2]string{{"v1", "Pod"}, {"v1", "ConfigMap"}, {"v1", "Secret"}, {"v1", "Service"}, {"discovery.k8s.io/v1", "EndpointSlice"},
		{"batch/v1", "Job"}, {"apps/v1", "StatefulSet"}, {"apps/v1", "Deployment"}, {"apps/v1", "ReplicaSet"}} {
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if _, err := p.w.node.api.do(p.w.ctx, http.MethodGet, within(p.namespace, kind[0], kind[1]), nil, &list); err != nil {
			return nil, err
		}
		for _, o := range list.Items {
			if o.Metadata.Name != "kube-root-ca.crt" { // of each namespace
				all = append(all, kind[1]+" "+o.Metadata.Name)
			}
		}
	}
	return all, nil
}

// clean waits until no object is left.
func (p *platform) clean() {
	p.w.Helper()
	p.await("nothing is left", func() error {
		left, err := p.objects()
		if err == nil && len(left) > 0 {
			err = errors.New(strings.Join(left, ", "))
		}
		return err
	})
}

// A made is an object, of all that ever had its name.
type made struct{ Name, UID string }

// pods are the pods of a component.
func (p *platform) pods(component string) ([]made, error) {
	var list struct{ Items []struct{ Metadata made } }
	_, err := p.w.node.api.do(p.w.ctx, http.MethodGet, within(p.namespace, "v1", "Pod")+"?labelSelector=component%3D"+component, nil, &list)
	var all []made
	for _, pod := range list.Items {
		all = append(all, pod.Metadata)
	}
	return all, err
}

// deletePods deletes the pods of a component as kubectl delete does, and waits until they are gone.
func (p *platform) deletePods(component string, want int) {
	p.w.Helper()
	before, err := p.pods(component)
	if err != nil || len(before) != want {
		p.w.Fatalf("%d of the pods %s, %v, expected %d", len(before), component, err, want)
	}
	for _, pod := range before {
		if _, err := p.w.node.api.do(p.w.ctx, http.MethodDelete, within(p.namespace, "v1", "Pod")+"/"+pod.Name, nil, nil); err != nil {
			p.w.Fatal(err)
		}
	}
	p.await("each "+component+" is gone", func() error {
		now, err := p.pods(component)
		if err == nil && slices.ContainsFunc(now, func(m made) bool { return slices.Contains(before, m) }) {
			err = fmt.Errorf("%v of %v", now, before)
		}
		return err
	})
}

// firstMade says when the first ConfigMap of a run is made in the namespace.
func (p *platform) firstMade() <-chan error {
	p.w.Helper()
	req, err := http.NewRequestWithContext(p.w.ctx, http.MethodGet, within(p.namespace, "v1", "ConfigMap")+"?watch=true", nil)
	if err != nil {
		p.w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := p.w.node.api.client.Do(req)
	if err != nil {
		p.w.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		defer res.Body.Close()
		var event struct {
			Type   string
			Object struct{ Metadata struct{ Name string } }
		}
		for d := json.NewDecoder(res.Body); ; {
			err := d.Decode(&event)
			if err != nil || event.Type == "ADDED" && strings.HasPrefix(event.Object.Metadata.Name, "run-") {
				done <- err
				return
			}
		}
	}()
	return done
}

// logs are the lines of a run by their source.
func (p *platform) logs(name, run string) map[string][]string {
	p.w.Helper()
	all := map[string][]string{}
	if err := p.client.Logs(p.w.ctx, name, run, "", 10_000, false, func(source, line string) { all[source] = append(all[source], line) }); err != nil {
		p.w.Error(err)
	}
	return all
}

// stop asks again when Flink refuses the savepoint because the job restarts, as it does some seconds after the API server was away and leaders
// have lost their leases: then the job goes on, and the platform says why. What it writes shows that its tasks run again.
func (p *platform) stop(name string) {
	p.w.Helper()
	for range 30 {
		if _, err := p.client.Stop(p.w.ctx, name, "savepoint"); err != nil {
			p.w.Fatal(err)
		}
		r := p.until(name, "stopped, or goes on", func(r wire.Run) bool { return r.Outcome != "" || r.Desired == "run" && runs(r) })
		if r.Outcome == "" {
			p.wrote(name, p.last(name))
			continue
		}
		if r.Outcome != "stopped" || r.Savepoint == "" {
			p.w.Errorf("%+v", r)
		}
		return
	}
	p.w.Fatalf("%s was not stopped in 30 tries", name)
}

func (p *platform) upgrade(name string, definition []byte, within int, want string) {
	p.w.Helper()
	p.put(name, definition)
	if _, err := p.client.Upgrade(p.w.ctx, name, wire.UpgradeJob{Within: within}); err != nil {
		p.w.Fatal(err)
	}
	r := p.until(name, "decided", func(r wire.Run) bool {
		return r.Upgrade != nil && (r.Upgrade.State == "done" || r.Upgrade.State == "back" || r.Upgrade.State == "not started") && runs(r)
	})
	if r.Upgrade.State != want {
		p.w.Errorf("the upgrade is %+v, want %s; %+v", r.Upgrade, want, r)
	}
}

// platformJobs: a bounded job, whose server is deleted while it starts the cluster, and replaced; a streaming job that is stopped with a savepoint,
// started from it, upgraded, and brought back from a version that does not run.
func platformJobs(version string) func(*world) {
	return func(w *world) {
		p := w.platform("jobs", version, postgres.Start(w.T).Database(w.T), kubernetes.ByService, 8088)
		p.put("bounded", p.definition("bounded", 20, "id", ""))
		made := p.firstMade()
		run := p.begin("bounded", wire.Start{})
		if err := <-made; err != nil {
			w.Fatal(err)
		}
		p.kill()
		left, err := p.objects()
		w.Logf("the server was killed when it had made %v, %v", left, err)
		p.replace()
		r := p.until("bounded", "finished", func(r wire.Run) bool { return r.Outcome != "" })
		if r.ID != run.ID || r.Outcome != "finished" || p.exact("bounded") != 20 {
			w.Errorf("%+v wrote %v", r, p.rows("bounded"))
		}
		if r.Evidence != "push" && r.Evidence != "archive" && r.Evidence != "REST" {
			w.Errorf("its end is known by %s", r.Evidence)
		}
		p.clean()
		p.replace() // its logs are in the database
		logs := p.logs("bounded", run.ID)
		for source, want := range map[string]string{"jobmanager": "switched from state RUNNING to FINISHED", "taskmanager-": "switched from RUNNING to FINISHED"} {
			found := false
			for name, lines := range logs {
				found = found || strings.HasPrefix(name, source) && strings.Contains(strings.Join(lines, "\n"), want)
			}
			if !found {
				w.Errorf("no log of %s has %q: %q", source, want, slices.Sorted(maps.Keys(logs)))
			}
		}

		good := p.definition("streaming", endless, "id", "")
		p.put("streaming", good)
		p.begin("streaming", wire.Start{})
		p.until("streaming", "running", runs)
		last := p.wrote("streaming", 10)
		p.stop("streaming")
		p.clean()
		p.begin("streaming", wire.Start{Savepoint: "latest"})
		p.until("streaming", "running again", runs)
		last = p.wrote("streaming", last)
		p.upgrade("streaming", bytes.Replace(good, []byte("restart-strategy.type: none"), []byte("restart-strategy.type: fixed-delay"), 1), 180, "done")
		last = p.wrote("streaming", last)
		p.upgrade("streaming", p.definition("streaming", endless, "id / (id - id)", ""), 180, "back")
		p.wrote("streaming", last)
		p.stop("streaming")
		w.Logf("%d numbers", p.exact("streaming"))
		p.clean()
	}
}

// platformFailures: what dies, one after the other. With high availability: the pods of the JobManagers, the pod of the TaskManager, the kubelet and the
// API server for a while. Without: the pod of the JobManager.
func platformFailures(version string) func(*world) {
	return func(w *world) {
		p := w.platform("failures", version, "", kubernetes.ThroughServer, 8089)
		p.put("leaders", bytes.Replace(p.definition("leaders", endless, "id", "highAvailability: {type: kubernetes, clusterId: of-the-run, storageDir: 'file:///state/ha'}\n"),
			[]byte("restart-strategy.type: none"), []byte("restart-strategy.type: fixed-delay\n  restart-strategy.fixed-delay.attempts: 1000"), 1))
		run := p.begin("leaders", wire.Start{})
		p.until("leaders", "running", runs)
		p.wrote("leaders", 10)
		// goesOn waits until the same run runs, and has then written more: Flink takes no savepoint before every task runs.
		goesOn := func(after string) {
			w.Helper()
			if r := p.until("leaders", "running after "+after, runs); r.ID != run.ID {
				w.Errorf("after %s another run has the job: %+v", after, r)
			}
			p.wrote("leaders", p.last("leaders"))
		}
		p.deletePods("jobmanager", 2) // one of them leads
		goesOn("its JobManagers were deleted")
		p.deletePods("taskmanager", 1)
		goesOn("its TaskManager was deleted")

		// away ends a part of the node until the run is lost and has done something, and starts it again.
		away := func(name string, meanwhile func()) {
			w.Helper()
			d := w.node.daemon(name)
			d.cmd.Process.Kill()
			<-d.done
			p.until("leaders", "lost without "+name, func(r wire.Run) bool { return r.Condition == "lost" })
			meanwhile()
			if err := w.node.restart(d); err != nil {
				w.Fatal(err)
			}
		}
		away("kubelet", func() { p.wrote("leaders", p.last("leaders")) }) // it goes on
		goesOn("the kubelet was away")
		away("kube-apiserver", func() {}) // it leads for 15 s more at most
		goesOn("the API server was away")
		p.stop("leaders")
		w.Logf("%d numbers", p.exact("leaders"))
		p.clean()

		p.put("alone", p.definition("alone", endless, "id", ""))
		p.begin("alone", wire.Start{})
		p.until("alone", "running", runs)
		p.deletePods("jobmanager", 1)
		r := p.until("alone", "failed", func(r wire.Run) bool { return r.Outcome != "" })
		w.Logf("%s by %s: %s", r.Outcome, r.Evidence, r.Reason)
		if r.Outcome != "failed" || r.Reason == "" {
			w.Errorf("%+v", r)
		}
		p.clean()
	}
}
