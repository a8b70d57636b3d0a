package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"flink-entrypoint/internal/platform/cluster"
)

// Observe says what the watches have seen of a run. Where they have nothing, the API server is asked: they can be a moment late.
func (d *Driver) Observe(ctx context.Context, run string) (cluster.Status, error) {
	if err := d.watches.synced(ctx); err != nil {
		return cluster.Status{}, err
	}
	var data map[string]string
	if copies := of[corev1.ConfigMap](d.watches.runs, run); len(copies) > 0 {
		data = copies[0].Data
	} else {
		made, err := d.read(ctx, run)
		if errors.Is(err, cluster.ErrUnknown) {
			return d.o.Keeper.Status(ctx, run)
		}
		if err != nil {
			return cluster.Status{}, err
		}
		s, _, err := contentOf(made)
		if err != nil {
			return cluster.Status{}, err
		}
		data, _, err = unstructured.NestedStringMap(made.Object, "data")
		if err != nil {
			return cluster.Status{}, err
		}
		return d.status(ctx, s, data, isDeleted(made))
	}
	var s cluster.Spec
	if err := json.Unmarshal([]byte(data[keySpec]), &s); err != nil {
		return cluster.Status{}, fmt.Errorf("the ConfigMap of run %s: %w", run, err)
	}
	_, deleted := data[keyDeleted]
	return d.status(ctx, s, data, deleted)
}

// status is a cluster by the watches. data is what its ConfigMap has.
func (d *Driver) status(ctx context.Context, s cluster.Spec, data map[string]string, deleted bool) (cluster.Status, error) {
	pods := of[corev1.Pod](d.watches.pods, s.Run)
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	warnings := of[corev1.Event](d.watches.events, s.Run)
	var status cluster.Status
	var jobManagers, taskManagers []*corev1.Pod
	for _, p := range pods {
		if p.Labels["component"] == "jobmanager" {
			jobManagers = append(jobManagers, p)
		} else {
			taskManagers = append(taskManagers, p)
		}
	}
	r := reader{spec: s, deleted: deleted, warnings: warnings}
	if len(jobManagers) == 0 && data[keyPod] != "" {
		// It was made. The watch of pods can be a moment late: only the server knows that it is gone.
		p, err := d.readPod(ctx, s.Run)
		if err != nil {
			return status, err
		}
		if p != nil {
			jobManagers = append(jobManagers, p)
		}
	}
	for _, p := range jobManagers {
		status.Processes = append(status.Processes, r.processes(p, true)...)
	}
	status.Processes = append(status.Processes, d.missingJobManagers(r, jobManagers, data)...)
	for _, p := range taskManagers {
		status.Processes = append(status.Processes, r.processes(p, false)...)
	}
	for _, t := range of[appsv1.Deployment](d.watches.deployments, s.Run) {
		if missing := replicas(t.Spec.Replicas) - standing(taskManagers); missing > 0 && !deleted {
			p := cluster.Process{Name: "taskmanager", Place: "taskmanager", Returns: true}
			p.Waits, p.Stuck = r.notMade(t.Name)
			status.Processes = append(status.Processes, p)
		}
	}
	status.REST = d.addresses(s, jobManagers)
	return status, nil
}

// readPod asks for the pod of a JobManager that has no controller; nil: it is gone.
func (d *Driver) readPod(ctx context.Context, run string) (*corev1.Pod, error) {
	o, err := d.of(schema.GroupVersionKind{Version: "v1", Kind: "Pod"}).Get(ctx, prefixOf(run)+jobManagerName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &corev1.Pod{}
	return p, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, p)
}

func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// standing counts pods that have not ended for good.
func standing(pods []*corev1.Pod) int {
	n := 0
	for _, p := range pods {
		if p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded && p.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

// missingJobManagers are those that have no pod: not yet, or not any more.
func (d *Driver) missingJobManagers(r reader, pods []*corev1.Pod, data map[string]string) []cluster.Process {
	p := cluster.Process{Name: "jobmanager", Place: "jobmanager", JobManager: true}
	sets := of[appsv1.StatefulSet](d.watches.sets, r.spec.Run)
	switch {
	case r.deleted:
		return nil
	case len(sets) > 0:
		if replicas(sets[0].Spec.Replicas) <= standing(pods) {
			return nil
		}
		p.Returns = true
		p.Waits, p.Stuck = r.notMade(sets[0].Name)
	case len(pods) > 0:
		return nil
	case data[keyPod] != "":
		p.Attempt, p.Code, p.Ended, p.Message = data[keyPod], cluster.Unknown, time.Now(), "its pod was deleted, and how it ended is not known"
	default:
		p.Waits = "it is not started yet"
	}
	return []cluster.Process{p}
}

// A reader turns pods into processes.
type reader struct {
	spec     cluster.Spec
	deleted  bool
	warnings []*corev1.Event
}

// statusOf is what the kubelet says of the container; nil: nothing yet.
func statusOf(p *corev1.Pod) *corev1.ContainerStatus {
	for i := range p.Status.ContainerStatuses {
		if p.Status.ContainerStatuses[i].Name == containerName {
			return &p.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// nameOf is the name of the process that a pod's container was the n-th time, from 1.
func nameOf(run, pod string, n int) string {
	name := strings.TrimPrefix(pod, prefixOf(run)+"flink-")
	if n > 1 {
		name += "." + strconv.Itoa(n)
	}
	return name
}

// attemptOf is the identity of it. Where a container never starts again, it is the pod's id, which the process knows too.
func attemptOf(p *corev1.Pod, n int) string {
	if n > 1 {
		return string(p.UID) + "." + strconv.Itoa(n)
	}
	return string(p.UID)
}

// processes are what a pod's container was before, and what it is.
func (r reader) processes(p *corev1.Pod, jobManager bool) []cluster.Process {
	c, n := statusOf(p), 1
	if c != nil {
		n = int(c.RestartCount) + 1
	}
	returns := p.Spec.RestartPolicy == corev1.RestartPolicyAlways // or its controller makes another pod
	process := func(n int) cluster.Process {
		return cluster.Process{Name: nameOf(r.spec.Run, p.Name, n), Place: nameOf(r.spec.Run, p.Name, 1), JobManager: jobManager, Returns: returns}
	}
	ended := func(n int, t *corev1.ContainerStateTerminated) cluster.Process {
		e := process(n)
		e.Attempt, e.Started, e.Ended = attemptOf(p, n), t.StartedAt.Time, t.FinishedAt.Time
		e.Code, e.Message = codeOf(t), endedBy(p, t)
		return e
	}
	var all []cluster.Process
	if c != nil && n > 1 && c.LastTerminationState.Terminated != nil {
		before := ended(n-1, c.LastTerminationState.Terminated)
		before.Replaced = true
		all = append(all, before)
	}
	now := process(n)
	over := p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
	switch {
	case c != nil && c.State.Running != nil:
		now.Attempt, now.Started, now.Alive = attemptOf(p, n), c.State.Running.StartedAt.Time, true
	case c != nil && c.State.Terminated != nil:
		now = ended(n, c.State.Terminated)
		if returns && !over && p.DeletionTimestamp == nil && !r.deleted && !(jobManager && slices.Contains(final, now.Code)) {
			now.Replaced = true
			next := process(n + 1)
			next.Waits = "it is started again"
			all = append(all, now)
			now = next
		}
	case over: // evicted before its container ran, or its node is gone
		now.Attempt, now.Code, now.Message, now.Ended = attemptOf(p, n), cluster.Unknown, endedBy(p, nil), p.CreationTimestamp.Time
	case p.DeletionTimestamp != nil:
		now.Attempt, now.Code, now.Message, now.Ended = attemptOf(p, n), cluster.Unknown, "its pod was deleted before it ran", p.DeletionTimestamp.Time
	case jobManager && len(all) > 0 && slices.Contains(final, all[0].Code):
		all[0].Replaced = false // it is started again, and ends the same way
		return all
	default:
		now.Waits, now.Stuck = r.waits(p, c)
	}
	return append(all, now)
}

// codeOf is an exit code as a shell gives it.
func codeOf(t *corev1.ContainerStateTerminated) int {
	if t.ExitCode == 0 && t.Reason != "Completed" && t.Reason != "" {
		return cluster.Unknown // e.g. ContainerStatusUnknown
	}
	return int(t.ExitCode)
}

// addresses are where the JobManagers answer.
func (d *Driver) addresses(s cluster.Spec, pods []*corev1.Pod) []string {
	service := prefixOf(s.Run) + jobManagerName
	var all []string
	switch d.o.REST {
	case ThroughServer:
		for _, p := range pods {
			if c := statusOf(p); c != nil && c.State.Running != nil {
				all = append(all, forwardURL(p.Name))
			}
		}
		if len(all) == 0 {
			all = []string{forwardURL(noPod)} // who asks gets no answer, and the API server is not asked
		}
	case ByService:
		if s.ClusterID != "" {
			// Behind one address a standby, or one that was the leader, would answer for the leader.
			for _, p := range pods {
				if p.Status.PodIP != "" {
					all = append(all, "http://"+hostPort(p.Status.PodIP, restPort))
				}
			}
		}
		if len(all) == 0 {
			all = []string{"http://" + hostPort(service+"."+d.o.Namespace+".svc", restPort)}
		}
	default:
		all = []string{strings.TrimSuffix(strings.NewReplacer("{job}", s.Job, "{run}", s.Run, "{namespace}", d.o.Namespace).Replace(d.o.REST), "/")}
	}
	return all
}
