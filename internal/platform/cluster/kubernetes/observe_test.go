package kubernetes

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"flink-entrypoint/internal/platform/cluster"
)

// newFake is a driver without an API server.
func newFake(t *testing.T, objects ...runtime.Object) (*Driver, *fake.FakeDynamicClient) {
	t.Helper()
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		{Version: "v1", Resource: "pods"}: "PodList", {Version: "v1", Resource: "configmaps"}: "ConfigMapList",
		{Version: "v1", Resource: "events"}: "EventList", {Group: "apps", Version: "v1", Resource: "statefulsets"}: "StatefulSetList", {Group: "apps", Version: "v1", Resource: "deployments"}: "DeploymentList",
	}, objects...)
	o := options
	o.REST, o.Keeper, o.Log = ByService, &memory{}, slog.New(slog.NewTextHandler(io.Discard, nil))
	d := &Driver{o: o, manager: "m", objects: client, forward: &forwarder{}}
	d.watches.init(d)
	return d, client
}

var begun = metav1.NewTime(time.Date(2026, 11, 27, 20, 0, 0, 0, time.UTC))

// podOf is a pod of a run r1.
func podOf(component, name string, restart corev1.RestartPolicy, status corev1.PodStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "run-r1-flink-" + name, UID: types.UID("uid-" + name), Labels: map[string]string{labelRun: "r1", "component": component}, CreationTimestamp: begun},
		Spec: corev1.PodSpec{RestartPolicy: restart, NodeName: "n", Containers: []corev1.Container{{Name: containerName, Image: "i:1",
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")}}}}},
		Status: status,
	}
}

func containerIs(restarts int32, now corev1.ContainerState, before *corev1.ContainerStateTerminated) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1", ContainerStatuses: []corev1.ContainerStatus{{Name: containerName, RestartCount: restarts, State: now, LastTerminationState: corev1.ContainerState{Terminated: before}}}}
}

func exit(code int32, reason, message string) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message, StartedAt: begun, FinishedAt: begun}
}

var (
	isRunning = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: begun}}
	backsOff  = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
)

// show writes processes as lines.
func show(s cluster.Status) string {
	var b strings.Builder
	for _, p := range s.Processes {
		state := "ended " + fmt.Sprint(p.Code)
		switch {
		case p.Alive:
			state = "alive"
		case p.Waits != "":
			state = "waits (" + p.Waits + ")"
		}
		fmt.Fprintf(&b, "%s %s %s", p.Name, p.Attempt, state)
		for _, flag := range []struct {
			on   bool
			name string
		}{{p.JobManager, "jm"}, {p.Replaced, "replaced"}, {p.Stuck, "stuck"}, {p.Returns, "returns"}} {
			if flag.on {
				b.WriteString(" " + flag.name)
			}
		}
		if p.Message != "" {
			b.WriteString(": " + p.Message)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestProcesses: what pods and workloads mean.
func TestProcesses(t *testing.T) {
	two, one := int32(2), int32(1)
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "run-r1-flink-jobmanager", Labels: map[string]string{labelRun: "r1"}}, Spec: appsv1.StatefulSetSpec{Replicas: &two}}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "run-r1-flink-taskmanager", Labels: map[string]string{labelRun: "r1"}}, Spec: appsv1.DeploymentSpec{Replicas: &one}}
	never, always := corev1.RestartPolicyNever, corev1.RestartPolicyAlways
	for _, c := range []struct {
		name    string
		objects []any
		deleted bool
		made    string // the UID of the JobManager's pod
		want    string
		gone    bool
	}{
		{name: "nothing yet", want: "jobmanager  waits (it is not started yet) jm\n"},
		{name: "no pod yet", objects: []any{deployment}, want: "jobmanager  waits (it is not started yet) jm\ntaskmanager  waits (its pod is not made yet) returns\n"},
		{name: "the pod is gone", made: "uid-1", gone: true, want: "jobmanager uid-1 ended -1 jm: its pod was deleted, and how it ended is not known\n"},
		{name: "it runs", objects: []any{podOf("jobmanager", "jobmanager-x", never, containerIs(0, isRunning, nil))}, want: "jobmanager-x uid-jobmanager-x alive jm\n"},
		{name: "the job failed", objects: []any{podOf("jobmanager", "jobmanager-x", never, containerIs(0, corev1.ContainerState{Terminated: exit(163, "Error", "the end of the log")}, nil))}, gone: true,
			want: "jobmanager-x uid-jobmanager-x ended 163 jm\n"},
		{name: "the entrypoint refused", objects: []any{podOf("jobmanager", "jobmanager-x", never, containerIs(0, corev1.ContainerState{Terminated: exit(22, "Error", "definition invalid\n")}, nil))}, gone: true,
			want: "jobmanager-x uid-jobmanager-x ended 22 jm: definition invalid\n"},
		{name: "evicted before it ran", objects: []any{podOf("jobmanager", "jobmanager-x", never, corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"})}, gone: true,
			want: "jobmanager-x uid-jobmanager-x ended -1 jm: its node evicted it: low on memory\n"},
		{name: "its node is drained", objects: []any{podOf("jobmanager", "jobmanager-x", never, corev1.PodStatus{Phase: corev1.PodFailed,
			Conditions: []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting"}}})}, gone: true,
			want: "jobmanager-x uid-jobmanager-x ended -1 jm: Kubernetes ended it (EvictionByEvictionAPI): Eviction API: evicting\n"},
		{name: "a second life", objects: []any{set, podOf("jobmanager", "jobmanager-0", always, containerIs(1, isRunning, exit(239, "Error", ""))), podOf("jobmanager", "jobmanager-1", always, containerIs(0, isRunning, nil))},
			want: "jobmanager-0 uid-jobmanager-0 ended 239 jm replaced returns\njobmanager-0.2 uid-jobmanager-0.2 alive jm returns\njobmanager-1 uid-jobmanager-1 alive jm returns\n"},
		{name: "ended a moment ago", objects: []any{set, podOf("jobmanager", "jobmanager-0", always, containerIs(0, corev1.ContainerState{Terminated: exit(239, "Error", "")}, nil))},
			want: "jobmanager-0 uid-jobmanager-0 ended 239 jm replaced returns\njobmanager-0.2  waits (it is started again) jm returns\njobmanager  waits (its pod is not made yet) jm returns\n"},
		{name: "wrong in each life", objects: []any{set, podOf("jobmanager", "jobmanager-0", always, containerIs(3, backsOff, exit(22, "Error", "definition invalid"))), podOf("jobmanager", "jobmanager-1", always, containerIs(0, corev1.ContainerState{Terminated: exit(22, "Error", "definition invalid")}, nil))}, gone: true,
			want: "jobmanager-0.3 uid-jobmanager-0.3 ended 22 jm returns: definition invalid\njobmanager-1 uid-jobmanager-1 ended 22 jm returns: definition invalid\n"},
		{name: "the service was away in each life", objects: []any{set, podOf("jobmanager", "jobmanager-0", always, containerIs(3, backsOff, exit(21, "Error", "no answer"))), podOf("jobmanager", "jobmanager-1", always, containerIs(0, isRunning, nil))},
			want: "jobmanager-0.3 uid-jobmanager-0.3 ended 21 jm replaced returns: no answer\njobmanager-0.4  waits (it ended several times in a row: exit code 21, no answer; Kubernetes waits before it starts it again) jm stuck returns\njobmanager-1 uid-jobmanager-1 alive jm returns\n"},
		{name: "out of memory", objects: []any{podOf("jobmanager", "jobmanager-x", never, containerIs(0, isRunning, nil)), deployment, podOf("taskmanager", "taskmanager-a", always, containerIs(1, isRunning, exit(137, "OOMKilled", "")))},
			want: "jobmanager-x uid-jobmanager-x alive jm\ntaskmanager-a uid-taskmanager-a ended 137 replaced returns: it used more memory than its container may, and was killed: OOMKilled, the limit is 2Gi; give resources.taskManager.memory more, or leave more outside of the heap\ntaskmanager-a.2 uid-taskmanager-a.2 alive returns\n"},
		{name: "it is being deleted", deleted: true, objects: []any{set, deployment, podOf("jobmanager", "jobmanager-0", always, containerIs(0, corev1.ContainerState{Terminated: exit(143, "Error", "")}, nil))}, gone: true,
			want: "jobmanager-0 uid-jobmanager-0 ended 143 jm returns\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _ := newFake(t)
			for _, o := range c.objects {
				i := d.watches.pods
				switch o.(type) {
				case *appsv1.StatefulSet:
					i = d.watches.sets
				case *appsv1.Deployment:
					i = d.watches.deployments
				}
				if err := i.GetIndexer().Add(o); err != nil {
					t.Fatal(err)
				}
			}
			s, err := d.status(t.Context(), cluster.Spec{Run: "r1"}, map[string]string{keyPod: c.made}, c.deleted)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(s); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if s.Gone() != c.gone || len(s.REST) == 0 {
				t.Errorf("gone %v, want %v; %v", s.Gone(), c.gone, s.REST)
			}
		})
	}
}

// TestAddresses: how JobManagers are reached.
func TestAddresses(t *testing.T) {
	pods := []*corev1.Pod{podOf("jobmanager", "jobmanager-0", corev1.RestartPolicyAlways, containerIs(0, isRunning, nil)), podOf("jobmanager", "jobmanager-1", corev1.RestartPolicyAlways, containerIs(0, isRunning, nil))}
	pods[1].Status.PodIP = "fd00::2"
	waits := podOf("jobmanager", "jobmanager-2", corev1.RestartPolicyAlways, containerIs(1, backsOff, nil))
	alone, available := cluster.Spec{Run: "r1", Job: "orders"}, cluster.Spec{Run: "r1", Job: "orders", ClusterID: "c"}
	for _, c := range []struct {
		rest string
		spec cluster.Spec
		pods []*corev1.Pod
		want string
	}{
		{ThroughServer, available, pods, "http://run-r1-flink-jobmanager-0.pod.invalid:8081 http://run-r1-flink-jobmanager-1.pod.invalid:8081"},
		{ThroughServer, available, []*corev1.Pod{pods[0], waits}, "http://run-r1-flink-jobmanager-0.pod.invalid:8081"},
		{ThroughServer, available, []*corev1.Pod{waits}, "http://none.pod.invalid:8081"},
		{ThroughServer, alone, nil, "http://none.pod.invalid:8081"},
		{ByService, alone, pods[:1], "http://run-r1-flink-jobmanager.flink.svc:8081"},
		{ByService, available, pods, "http://10.0.0.1:8081 http://[fd00::2]:8081"},
		{ByService, available, nil, "http://run-r1-flink-jobmanager.flink.svc:8081"},
		{"https://{job}.flink.example.com/", alone, pods[:1], "https://orders.flink.example.com"},
		{"https://flink.example.com/{namespace}/{run}", alone, nil, "https://flink.example.com/flink/r1"},
	} {
		d := &Driver{o: options}
		d.o.REST = c.rest
		if got := strings.Join(d.addresses(c.spec, c.pods), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.rest, got, c.want)
		}
	}
}

// TestSentences: what Kubernetes says is one line, and not without end.
func TestSentences(t *testing.T) {
	if got := sentence("wrong", "two\n lines.", "do it"); got != "wrong: two lines; do it" {
		t.Error(got)
	}
	if got := sentence("wrong", strings.Repeat("é", 2000), ""); len(got) > 1100 || !strings.HasSuffix(got, " …") {
		t.Error(len(got), got[len(got)-10:])
	}
	if got := sentence("wrong", "", ""); got != "wrong" {
		t.Error(got)
	}
}

func runMap(instance string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "run-r1-flink-run", "namespace": "flink", "uid": "u1", "resourceVersion": "7",
		"labels": object{labelInstance: instance, labelRun: "r1", labelObject: "run"}}, "data": object{keySpec: `{"run":"r1"}`, keyObjects: `[]`, keyDeleted: "true"}}}
}

// TestDeleteNamesWhatItRead: a delete has the UID and the version of what was read, and one that meets another version is repeated.
func TestDeleteNamesWhatItRead(t *testing.T) {
	d, client := newFake(t, runMap("1f2e3d4c"))
	conflicts := 1
	client.PrependReactor("delete", "configmaps", func(a clienttesting.Action) (bool, runtime.Object, error) {
		o := a.(clienttesting.DeleteActionImpl).DeleteOptions
		if o.Preconditions == nil || *o.Preconditions.UID != "u1" || *o.Preconditions.ResourceVersion != "7" {
			t.Errorf("%+v", o)
		}
		if conflicts--; conflicts >= 0 {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, "x", errors.New("it has changed"))
		}
		return false, nil, nil
	})
	for _, want := range []bool{false, true, true} {
		if gone, err := d.Delete(t.Context(), "r1"); gone != want || err != nil {
			t.Fatalf("%v, %v; want %v", gone, err, want)
		}
	}
}

// TestErrorsOfTheServer: what the API server cannot do now is an error and no news of the run.
func TestErrorsOfTheServer(t *testing.T) {
	for _, fault := range []error{apierrors.NewTooManyRequests("busy", 1), apierrors.NewInternalError(errors.New("x")), apierrors.NewServiceUnavailable("x"), apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "x", errors.New("x"))} {
		d, client := newFake(t, runMap("1f2e3d4c"))
		client.PrependReactor("*", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, fault })
		if gone, err := d.Delete(t.Context(), "r1"); gone || err == nil {
			t.Errorf("%v: deleted: %v, %v", fault, gone, err)
		}
		if err := d.Remove(t.Context(), "r1"); err == nil || errors.Is(err, cluster.ErrAlive) {
			t.Errorf("%v: removed: %v", fault, err)
		}
		if _, err := d.read(t.Context(), "r1"); err == nil || errors.Is(err, cluster.ErrUnknown) {
			t.Errorf("%v: read: %v", fault, err)
		}
		if _, err := d.Runs(t.Context()); err == nil {
			t.Errorf("%v: listed", fault)
		}
		refusal := new(cluster.Refusal)
		if err := d.Start(t.Context(), specs["job"]); err == nil || errors.As(err, &refusal) {
			t.Errorf("%v: started: %v", fault, err)
		}
	}
}

// TestDeleteElection: the ConfigMaps of Flink's high availability go, also one that a standby made again after the end of the job, as seen on a real
// node: without the label configmap-type. Those of another cluster stay.
func TestDeleteElection(t *testing.T) {
	var objects []runtime.Object
	for name, labels := range map[string]any{
		"run-a-cluster-config-map": object{"app": "run-a", "type": "flink-native-kubernetes"},
		"run-a-job-config-map":     object{"app": "run-a", "type": "flink-native-kubernetes", "configmap-type": "high-availability"},
		"run-b-cluster-config-map": object{"app": "run-b", "type": "flink-native-kubernetes"},
		"of-a-user":                object{"app": "run-a"},
	} {
		objects = append(objects, &unstructured.Unstructured{Object: object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": name, "namespace": options.Namespace, "labels": labels}}})
	}
	d, _ := newFake(t, objects...)
	for _, want := range []bool{true, false} {
		if there, err := d.deleteElection(t.Context(), "run-a"); there != want || err != nil {
			t.Errorf("%v, %v, expected %v", there, err, want)
		}
	}
	left, err := d.of(configMaps).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range left.Items {
		names = append(names, o.GetName())
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"of-a-user", "run-b-cluster-config-map"}) {
		t.Errorf("left: %v", names)
	}
}
