package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"flink-entrypoint/internal/platform/cluster"
)

// memory is a Keeper of all servers of a platform.
type memory struct {
	mu       sync.Mutex
	statuses map[string]cluster.Status
	logs     map[string]map[string][]byte
	full     error // what it answers to what is to be kept
}

func (m *memory) KeepLog(_ context.Context, run, process string, log []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logs == nil {
		m.logs = map[string]map[string][]byte{}
	}
	if m.logs[run] == nil {
		m.logs[run] = map[string][]byte{}
	}
	m.logs[run][process] = bytes.Clone(log)
	return m.full
}

func (m *memory) KeepStatus(_ context.Context, run string, s cluster.Status) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.statuses == nil {
		m.statuses = map[string]cluster.Status{}
	}
	if _, there := m.statuses[run]; !there && m.full == nil {
		m.statuses[run] = s
	}
	return m.full
}

func (m *memory) Status(_ context.Context, run string) (cluster.Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, there := m.statuses[run]
	if !there {
		return s, cluster.ErrUnknown
	}
	return s, nil
}

func (m *memory) Log(_ context.Context, run, process string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log, there := m.logs[run][process]
	if !there {
		return nil, cluster.ErrUnknown
	}
	return log, nil
}

func (m *memory) Forget(_ context.Context, run string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.statuses, run)
	delete(m.logs, run)
	return nil
}

// TestEndOf: the newest lines are kept, not the oldest.
func TestEndOf(t *testing.T) {
	broken := errors.New("the node went away")
	for _, c := range []struct {
		text string
		most int
		err  error
		want string
	}{
		{"", 10, nil, ""},
		{"one\ntwo\n", 10, nil, "one\ntwo\n"},
		{"one\ntwo\nthree\n", 10, nil, "three\n"},
		{"one\ntwo\nthree\n", 13, nil, "two\nthree\n"},
		{"one\ntwo\nthr", 10, nil, "two\nthr"},
		{"a line that is longer than all", 10, nil, "r than all"},
		{strings.Repeat("0123456789\n", 20_000), 25, nil, "0123456789\n0123456789\n"},
		{"one\ntwo", 10, broken, "one\ntwo"},
	} {
		reader := io.Reader(strings.NewReader(c.text))
		if c.err != nil {
			reader = io.MultiReader(reader, iotestError{c.err})
		}
		if got, err := endOf(reader, c.most); string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("the last %d bytes of %.40q are %q, %v, expected %q", c.most, c.text, got, err, c.want)
		}
	}
}

type iotestError struct{ err error }

func (e iotestError) Read([]byte) (int, error) { return 0, e.err }

// TestKeep: before a run is deleted, how its processes ended is kept and the end of each log, of what was replaced too; every server answers with it.
func TestKeep(t *testing.T) {
	spec, err := json.Marshal(cluster.Spec{Run: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{labelRun: "r1", labelInstance: options.Instance}
	jobManager := podOf("jobmanager", "jobmanager", corev1.RestartPolicyNever, containerIs(0, corev1.ContainerState{Terminated: exit(1, "Error", "")}, nil))
	taskManager := podOf("taskmanager", "taskmanager-x", corev1.RestartPolicyAlways, containerIs(1, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: begun}}, exit(137, "OOMKilled", "")))
	waits := podOf("taskmanager", "taskmanager-y", corev1.RestartPolicyAlways, corev1.PodStatus{Phase: corev1.PodPending})
	var objects []runtime.Object
	for kind, o := range map[string]metav1.Object{"Pod jm": jobManager, "Pod tm": taskManager, "Pod y": waits,
		"ConfigMap": &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: prefixOf("r1") + runName, Labels: map[string]string{labelObject: "run"}}, Data: map[string]string{keySpec: string(spec), keyObjects: "[]"}}} {
		all := o.GetLabels()
		for k, v := range labels {
			all[k] = v
		}
		o.SetLabels(all)
		o.SetNamespace(options.Namespace)
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{Object: content}
		u.SetAPIVersion("v1")
		u.SetKind(strings.Fields(kind)[0])
		objects = append(objects, u)
	}
	d, _ := newFake(t, objects...)
	kept := d.o.Keeper.(*memory)
	var asked []string
	var mu sync.Mutex
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.RequestURI())
		pod := strings.Split(r.URL.Path, "/")[6]
		fmt.Fprintf(w, "%s begins\n%s ends, previous: %s\n", pod, pod, r.URL.Query().Get("previous"))
	}))
	defer node.Close()
	d.config, d.http = &rest.Config{Host: node.URL}, node.Client()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	defer running.Wait()
	defer cancel()

	kept.full = errors.New("no room")
	if gone, err := d.Delete(ctx, "r1"); gone || !errors.Is(err, kept.full) {
		t.Errorf("its logs cannot be kept: %v, %v", gone, err)
	}
	if made, err := d.read(ctx, "r1"); err != nil || isDeleted(made) {
		t.Errorf("it is deleted all the same: %v, %v", made, err)
	}
	kept.full = nil
	asked = nil
	canceled, give := context.WithCancel(ctx)
	give()
	for range 2 { // the second time nothing is done, also where the first was given up
		if done, err := d.keep(canceled, "r1"); !done || err != nil {
			t.Fatalf("%v, %v", done, err)
		}
	}
	slices.Sort(asked)
	want := []string{
		"/api/v1/namespaces/flink/pods/run-r1-flink-jobmanager/log?container=flink&tailLines=10000",
		"/api/v1/namespaces/flink/pods/run-r1-flink-taskmanager-x/log?container=flink&previous=true&tailLines=10000",
		"/api/v1/namespaces/flink/pods/run-r1-flink-taskmanager-x/log?container=flink&tailLines=10000",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %q, expected %q", asked, want)
	}
	// Another server of the platform, which made nothing of this, and an API server that has nothing of the run any more.
	other, _ := newFake(t)
	other.o.Keeper = kept
	running.Go(func() { other.Run(ctx) })
	status, err := other.Observe(ctx, "r1")
	if err != nil || !status.Gone() || len(status.REST) > 0 {
		t.Fatalf("%+v, %v", status, err)
	}
	logs := map[string]string{}
	for _, p := range status.Processes {
		log, err := other.Logs(ctx, "r1", p.Name, 1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(log)
		if err != nil {
			t.Fatal(err)
		}
		logs[p.Name] = fmt.Sprint(p.Code, " ", string(b))
	}
	for name, want := range map[string]string{
		"jobmanager":      "1 run-r1-flink-jobmanager ends, previous: \n",
		"taskmanager-x":   "137 run-r1-flink-taskmanager-x ends, previous: true\n",
		"taskmanager-x.2": "-1 run-r1-flink-taskmanager-x ends, previous: \n",
	} {
		if logs[name] != want {
			t.Errorf("%s has %q, expected %q", name, logs[name], want)
		}
	}
	if len(logs) != 3 {
		t.Errorf("%v", logs)
	}
	if refusal := new(cluster.Refusal); !errors.As(other.Start(ctx, cluster.Spec{Run: "r1"}), &refusal) {
		t.Error("it is started again")
	}
	if err := other.Remove(ctx, "r1"); err != nil {
		t.Error(err)
	}
	if _, err := other.Observe(ctx, "r1"); !errors.Is(err, cluster.ErrUnknown) {
		t.Errorf("after it was removed: %v", err)
	}
}
