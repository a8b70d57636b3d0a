//go:build kubelet

package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/container"
	"flink-entrypoint/test/deploy"
)

// TestKubelet prepares, and runs itself inside of the node's namespaces.
func TestKubelet(t *testing.T) {
	dir := os.Getenv(folderVariable)
	if dir == "" {
		if err := outside(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	n, err := startNode(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(n.tails(15))
		}
	})
	for _, c := range []struct {
		name string
		run  func(*world)
	}{
		{"accepted", accepted},
		{"streaming", streaming},
		{"official image", officialImage},
		{"no limit", noLimit},
		{"wrong probe", wrongProbe},
		{"refused", refused},
		{"out of memory", outOfMemory},
		{"platform: jobs " + version, platformJobs(version)},
		{"platform: failures " + version, platformFailures(version)},
		{"platform: jobs " + older, platformJobs(older)},
		{"platform: failures " + older, platformFailures(older)},
		{"native application " + version, nativeApplication(version)},
		{"native session " + version, nativeSession(version)},
		{"native high availability " + version, nativeHighAvailability(version)},
		{"native application " + older, nativeApplication(older)},
		{"native session " + older, nativeSession(older)},
		{"native high availability " + older, nativeHighAvailability(older)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
			defer cancel()
			c.run(&world{T: t, node: n, ctx: ctx})
		})
	}
}

// world is one test on the node.
type world struct {
	*testing.T
	node *node
	ctx  context.Context
}

// sizes are limits that differ from every default, so Flink can have them from the pods alone.
const sizes = `patches:
  - target: {labelSelector: component=jobmanager, kind: Deployment|StatefulSet|Job}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/memory, value: 1500Mi}
  - target: {labelSelector: component=taskmanager, kind: Deployment}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/memory, value: 1300Mi}
`

const jobManagerLimit, taskManagerLimit = 1500 << 20, 1300 << 20

func (w *world) overlay(folder, more string) []deploy.Manifest {
	w.Helper()
	list, err := deploy.Overlay(w.ctx, w.TempDir(), folder, container.SlimImage(version), container.BaseImage(version), more)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func word(m map[string]json.RawMessage, key string) string {
	var s string
	_ = json.Unmarshal(m[key], &s)
	return s
}

// accepted sends everything that can be applied to the server, which checks it as kubectl's does (strictly: a field that it does not
// know is an error), and keeps nothing of it.
func accepted(w *world) {
	folders := []string{"deploy/session"}
	overlays, err := os.ReadDir(filepath.Join(root, "deploy", "overlays"))
	if err != nil {
		w.Fatal(err)
	}
	for _, o := range overlays {
		folders = append(folders, "deploy/overlays/"+o.Name())
	}
	if len(folders) < 7 {
		w.Fatalf("only %d folders can be applied: %v", len(folders), folders)
	}
	for _, folder := range folders {
		for _, m := range w.overlay(folder, "") {
			if m.Kind == "PodMonitor" { // of an operator that is not here; test/deploy checks its schema
				continue
			}
			if _, err := w.node.api.do(w.ctx, http.MethodPost, collection(word(m.JSON, "apiVersion"), m.Kind)+"?dryRun=All&fieldValidation=Strict", m.JSON, nil); err != nil {
				w.Errorf("%s: %s: %v", folder, m.Kind, err)
			}
		}
	}
}

// pod is a pod that the test has made.
type pod struct {
	w    *world
	name string
}

// start makes a pod of the template of a workload, as its controller would, on this node, as the scheduler would. jobManager is the
// pod that the Service would lead to; nil: this one.
func (w *world) start(list []deploy.Manifest, component string, jobManager *pod) *pod {
	w.Helper()
	for _, m := range list {
		if m.Kind == "ConfigMap" {
			if status, err := w.node.api.do(w.ctx, http.MethodPost, collection("v1", m.Kind), m.JSON, nil); err != nil && status != http.StatusConflict { // its name has a digest of its content
				w.Fatal(err)
			}
		}
	}
	i := slices.IndexFunc(list, func(m deploy.Manifest) bool { return m.Component == component })
	if i < 0 {
		w.Fatalf("no workload of the component %s", component)
	}
	var workload struct {
		Template struct{ Metadata, Spec map[string]any }
	}
	if err := json.Unmarshal(list[i].JSON["spec"], &workload); err != nil {
		w.Fatal(err)
	}
	meta, spec := workload.Template.Metadata, workload.Template.Spec
	meta["generateName"] = "flink-" + component + "-"
	spec["nodeName"] = nodeName
	address := "127.0.0.1"
	if jobManager != nil {
		address = jobManager.address()
	}
	spec["hostAliases"] = []any{map[string]any{"ip": address, "hostnames": []any{"flink-jobmanager"}}}
	var made struct {
		Metadata struct{ Name string }
	}
	manifest := map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
	if _, err := w.node.api.do(w.ctx, http.MethodPost, collection("v1", "Pod")+"?fieldValidation=Strict", manifest, &made); err != nil {
		w.Fatal(err)
	}
	p := &pod{w: w, name: made.Metadata.Name}
	w.Cleanup(p.remove)
	return p
}

func (p *pod) url() string { return collection("v1", "Pod") + "/" + p.name }

// remove waits until the pod is gone: it holds a CPU of the node.
func (p *pod) remove() {
	w := p.w
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if w.Failed() {
		w.Logf("--- %s\n%s", p.name, p.describe(ctx))
	}
	if _, err := w.node.api.do(ctx, http.MethodDelete, p.url()+"?gracePeriodSeconds=1", nil, nil); err != nil {
		w.Error(err)
		return
	}
	if err := w.node.poll(ctx, func() error {
		status, err := w.node.api.do(ctx, http.MethodGet, p.url(), nil, nil)
		if err == nil {
			return fmt.Errorf("%w: %s is still there", cluster.ErrNotYet, p.name)
		}
		if status == http.StatusNotFound {
			return nil
		}
		return err
	}); err != nil {
		w.Error(err)
	}
}

func (p *pod) status() (podStatus, error) {
	var answer struct{ Status podStatus }
	_, err := p.w.node.api.do(p.w.ctx, http.MethodGet, p.url(), nil, &answer)
	return answer.Status, err
}

// describe is what a user would look at: the status, and the end of the logs.
func (p *pod) describe(ctx context.Context) string {
	var text strings.Builder
	var answer struct{ Status json.RawMessage }
	_, err := p.w.node.api.do(ctx, http.MethodGet, p.url(), nil, &answer)
	fmt.Fprintf(&text, "%s %v\n", answer.Status, err)
	logs, _ := filepath.Glob(filepath.Join(p.w.node.dir, "logs", "default_"+p.name+"_*", "*", "*.log"))
	for _, log := range logs {
		fmt.Fprintf(&text, "- %s\n%s\n", filepath.Base(filepath.Dir(log)), tail(log, 30))
	}
	return text.String()
}

// until waits until the pod's status is as f wants it: nil, or an error that says what is missing.
func (p *pod) until(f func(podStatus) error) podStatus {
	p.w.Helper()
	var found podStatus
	err := p.w.node.poll(p.w.ctx, func() error {
		var err error
		if found, err = p.status(); err != nil {
			return err
		}
		if err := f(found); err != nil {
			return fmt.Errorf("%w: %s: %w", cluster.ErrNotYet, p.name, err)
		}
		return nil
	})
	if err != nil {
		p.w.Fatal(err)
	}
	return found
}

// address waits until the pod has one.
func (p *pod) address() string {
	p.w.Helper()
	return p.until(func(s podStatus) error {
		if s.PodIP == "" {
			return fmt.Errorf("no address: %+v", s)
		}
		return nil
	}).PodIP
}

// ready waits until the kubelet finds the pod ready. Its container is not started, nor the pod ready, before the startup probe of the
// manifest has succeeded.
func (p *pod) ready() {
	p.w.Helper()
	s := p.until(func(s podStatus) error {
		if s.Phase == "Failed" {
			return fmt.Errorf("the pod failed: %+v", s)
		}
		if !s.Conditions.ready() {
			return fmt.Errorf("not ready: %+v", s)
		}
		return nil
	})
	if len(s.ContainerStatuses) != 1 || s.ContainerStatuses[0].RestartCount != 0 || s.ContainerStatuses[0].Started == nil || !*s.ContainerStatuses[0].Started {
		p.w.Errorf("%s is ready, and its containers %+v", p.name, s.ContainerStatuses)
	}
}

// ended waits until a container has ended, and tells how.
func (p *pod) ended(container string) *terminated {
	p.w.Helper()
	var how *terminated
	p.until(func(s podStatus) error {
		for _, c := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses) {
			if how = c.ended(); c.Name == container && how != nil {
				return nil
			}
		}
		return fmt.Errorf("%s has not ended: %+v", container, s)
	})
	return how
}

// cluster starts a JobManager and a TaskManager, and holds them against their limits.
func (w *world) cluster(folder string) *cluster.Cluster {
	w.Helper()
	list := w.overlay(folder, sizes)
	jm := w.start(list, "jobmanager", nil)
	rest := &cluster.Cluster{Host: jm.address(), Rest: 8081}
	tm := w.start(list, "taskmanager", jm)
	jm.ready()
	tm.ready()
	registered, err := rest.TaskManagers(w.ctx, 1)
	if err != nil {
		w.Fatal(err)
	}
	if registered[0].ID != tm.name {
		w.Errorf("the TaskManager is called %s, its pod %s", registered[0].ID, tm.name)
	}
	if total, err := registered[0].Memory["totalProcessMemory"].Int64(); err != nil || total != taskManagerLimit || registered[0].Hardware.PhysicalMemory != taskManagerLimit {
		w.Errorf("the TaskManager has %s bytes of %d, its pod's limit is %d", registered[0].Memory["totalProcessMemory"], registered[0].Hardware.PhysicalMemory, taskManagerLimit)
	}
	var settings []struct{ Key, Value string }
	if err := rest.Get(w.ctx, "/jobmanager/config", &settings); err != nil {
		w.Fatal(err)
	}
	want := struct{ Key, Value string }{"jobmanager.memory.process.size", fmt.Sprintf("%dm", jobManagerLimit>>20)}
	if !slices.Contains(settings, want) {
		w.Errorf("the JobManager's pod has a limit of %d, its configuration is %v", jobManagerLimit, settings)
	}
	return rest
}

// streaming runs an application cluster, whose definition the kubelet mounts from a ConfigMap, until the job runs.
func streaming(w *world) {
	rest := w.cluster("deploy/overlays/streaming-configmap")
	err := w.node.poll(w.ctx, func() error {
		jobs, err := rest.Jobs(w.ctx)
		if err != nil {
			return err
		}
		if len(jobs) != 1 || jobs[0].Name != "clicks-per-page" || jobs[0].State != "RUNNING" || jobs[0].Tasks["running"] != jobs[0].Tasks["total"] {
			return fmt.Errorf("%w: jobs %+v, expected clicks-per-page running", cluster.ErrNotYet, jobs)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// officialImage: an initContainer renders the configuration, and has the limit of the container after it from the Downward API.
func officialImage(w *world) { w.cluster("deploy/overlays/session-official-image") }

// noLimit: for a container without a limit the Downward API names the node's memory, and that is refused.
func noLimit(w *world) {
	tm := w.start(w.overlay("deploy/overlays/session-official-image", `patches:
  - target: {labelSelector: component=taskmanager, kind: Deployment}
    patch: |
      - {op: remove, path: /spec/template/spec/containers/0/resources/limits}
`), "taskmanager", nil)
	how := tm.ended("render")
	if how.ExitCode != 25 || !strings.Contains(how.Message, "90 % or more of the machine's memory") {
		w.Errorf("render ended with %+v, expected 25 and the reason", how)
	}
}

// wrongProbe asks a TaskManager for a JobManager: what health says is what the kubelet acts on.
func wrongProbe(w *world) {
	tm := w.start(w.overlay("deploy/session", `patches:
  - target: {labelSelector: component=taskmanager, kind: Deployment}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/startupProbe/exec/command/2, value: jobmanager}
      - {op: replace, path: /spec/template/spec/containers/0/startupProbe/failureThreshold, value: 1}
`), "taskmanager", nil)
	tm.ended("flink")
	err := w.node.poll(w.ctx, func() error {
		var answer struct {
			Items []struct{ Reason, Message string }
		}
		if _, err := w.node.api.do(w.ctx, http.MethodGet, collection("v1", "Event")+"?fieldSelector=reason%3DUnhealthy,involvedObject.name%3D"+tm.name, nil, &answer); err != nil {
			return err
		}
		if len(answer.Items) == 0 {
			return fmt.Errorf("%w: no event of a failed probe", cluster.ErrNotYet)
		}
		if m := answer.Items[0].Message; !strings.HasPrefix(m, "Startup probe failed: ") {
			return fmt.Errorf("the event says %q", m)
		}
		return nil
	})
	if err != nil {
		w.Error(err)
	}
}

// refused: a pod that is too small ends before Flink starts, and its status says why. The policy File leaves only the termination message.
func refused(w *world) {
	jm := w.start(w.overlay("deploy/overlays/bounded-configmap", `patches:
  - target: {kind: Job}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/memory, value: 300Mi}
      - {op: replace, path: /spec/template/spec/containers/0/terminationMessagePolicy, value: File}
`), "jobmanager", nil)
	how := jm.ended("flink")
	if how.ExitCode != 24 || how.Reason != "Error" || !strings.Contains(how.Message, "hint:") {
		w.Errorf("the container ended with %+v, expected 24 and the reason", how)
	}
	s := jm.until(func(s podStatus) error {
		if s.Phase != "Failed" {
			return errors.New("the pod is " + s.Phase)
		}
		return nil
	})
	if s.ContainerStatuses[0].RestartCount != 0 || s.Conditions.ready() {
		w.Errorf("the pod of a Job was started again, or ready: %+v", s)
	}
}

// outOfMemory: a limit below what was given as the size, and memory that is touched at once: the kernel ends the JVM.
func outOfMemory(w *world) {
	tm := w.start(w.overlay("deploy/session", `patches:
  - target: {labelSelector: component=taskmanager, kind: Deployment}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/memory, value: 400Mi}
      - {op: add, path: /spec/template/spec/containers/0/env/-, value: {name: FLINK_ENTRYPOINT_MEMORY_LIMIT, value: 1728Mi}}
      - {op: add, path: /spec/template/spec/containers/0/env/-, value: {name: FLINK_PROPERTIES, value: "env.java.opts.taskmanager: -XX:+AlwaysPreTouch"}}
`), "taskmanager", nil)
	if how := tm.ended("flink"); how.ExitCode != 137 || how.Reason != "OOMKilled" {
		w.Errorf("the container ended with %+v, expected OOMKilled", how)
	}
}
