package kubernetes

import (
	"context"
	"errors"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// resync is how often handlers are called again for everything that is there, should one have been missed.
const resync = 10 * time.Minute

// watches are copies of what the API server has of this platform. Each begins with a list, follows it by a watch, and begins again when the watch
// has expired or the server was away.
type watches struct {
	pods, sets, deployments, runs, events cache.SharedIndexInformer
}

const byRun = "run"

func (w *watches) init(d *Driver) {
	ours := labelInstance + "=" + d.o.Instance
	w.pods = watched[corev1.Pod](d, "v1", "Pod", metav1.ListOptions{LabelSelector: ours}, func(p *corev1.Pod) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: slim(p.ObjectMeta), Status: p.Status, Spec: corev1.PodSpec{NodeName: p.Spec.NodeName, RestartPolicy: p.Spec.RestartPolicy, Containers: containers(p.Spec.Containers)}}
	})
	w.sets = watched[appsv1.StatefulSet](d, "apps/v1", "StatefulSet", metav1.ListOptions{LabelSelector: ours}, func(s *appsv1.StatefulSet) *appsv1.StatefulSet {
		return &appsv1.StatefulSet{ObjectMeta: slim(s.ObjectMeta), Spec: appsv1.StatefulSetSpec{Replicas: s.Spec.Replicas}}
	})
	w.deployments = watched[appsv1.Deployment](d, "apps/v1", "Deployment", metav1.ListOptions{LabelSelector: ours}, func(s *appsv1.Deployment) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: slim(s.ObjectMeta), Spec: appsv1.DeploymentSpec{Replicas: s.Spec.Replicas}}
	})
	w.runs = watched[corev1.ConfigMap](d, "v1", "ConfigMap", metav1.ListOptions{LabelSelector: ours + "," + labelObject + "=run"}, func(c *corev1.ConfigMap) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: slim(c.ObjectMeta), Data: c.Data}
	})
	w.events = watched[corev1.Event](d, "v1", "Event", metav1.ListOptions{FieldSelector: "type=Warning"}, func(e *corev1.Event) *corev1.Event {
		return &corev1.Event{ObjectMeta: slim(e.ObjectMeta), InvolvedObject: e.InvolvedObject, Reason: e.Reason, Message: e.Message, LastTimestamp: e.LastTimestamp, EventTime: e.EventTime}
	})
	if d.o.Changed != nil {
		w.pods.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
			UpdateFunc: func(before, after any) {
				if told(before.(*corev1.Pod)) != told(after.(*corev1.Pod)) {
					d.o.Changed(runOf(after))
				}
			},
			DeleteFunc: func(o any) {
				if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
					o = last.Obj
				}
				d.o.Changed(runOf(o))
			},
		})
	}
}

// told is what of a pod makes its run worth a look: a process has ended. What begins is found soon enough.
func told(p *corev1.Pod) (ends int) {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		ends++
	}
	if c := statusOf(p); c != nil {
		if ends += int(c.RestartCount); c.State.Terminated != nil {
			ends++
		}
	}
	return ends
}

// slim leaves out of an object's metadata what is large and not used.
func slim(m metav1.ObjectMeta) metav1.ObjectMeta {
	m.ManagedFields, m.Annotations = nil, nil
	return m
}

// containers are names, images and limits.
func containers(all []corev1.Container) []corev1.Container {
	out := make([]corev1.Container, len(all))
	for i, c := range all {
		out[i] = corev1.Container{Name: c.Name, Image: c.Image, Resources: c.Resources}
	}
	return out
}

// watched is a copy of the objects of a kind, of which only what keep returns is held.
func watched[T any](d *Driver, version, kind string, of metav1.ListOptions, keep func(*T) *T) cache.SharedIndexInformer {
	objects := d.of(schema.FromAPIVersionAndKind(version, kind))
	narrow := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector, o.FieldSelector = of.LabelSelector, of.FieldSelector
		return o
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return objects.List(ctx, narrow(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return objects.Watch(ctx, narrow(o))
		},
	}
	informer := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(source, d.objects), &unstructured.Unstructured{}, resync, cache.Indexers{
		byRun: func(o any) ([]string, error) { return []string{runOf(o)}, nil },
	})
	informer.SetTransform(func(o any) (any, error) {
		u, ok := o.(*unstructured.Unstructured)
		if !ok { // it was done before
			return o, nil
		}
		var typed T
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &typed); err != nil {
			return nil, err
		}
		return keep(&typed), nil
	})
	return informer
}

// runOf is the run that an object belongs to. An event has no label: its object's name says it.
func runOf(o any) string {
	if e, ok := o.(*corev1.Event); ok {
		rest, ours := strings.CutPrefix(e.InvolvedObject.Name, "run-")
		if run, _, more := strings.Cut(rest, "-"); ours && more {
			return run
		}
		return ""
	}
	m, ok := o.(metav1.Object)
	if !ok {
		return ""
	}
	return m.GetLabels()[labelRun]
}

func (w *watches) all() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{w.pods, w.sets, w.deployments, w.runs, w.events}
}

// Run follows what becomes of the clusters, until ctx ends.
func (d *Driver) Run(ctx context.Context) {
	done := make(chan struct{})
	all := d.watches.all()
	for _, i := range all {
		go func() {
			i.RunWithContext(ctx)
			done <- struct{}{}
		}()
	}
	for range all {
		<-done
	}
	d.forward.close()
}

// synced waits until each watch has begun.
func (w *watches) synced(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, i := range w.all() {
		if i.HasSynced() {
			continue
		}
		if !cache.WaitForCacheSync(ctx.Done(), i.HasSynced) {
			return errors.New("the API server of Kubernetes has not answered yet")
		}
	}
	return nil
}

// of are the objects of a run.
func of[T any](i cache.SharedIndexInformer, run string) []*T {
	found, err := i.GetIndexer().ByIndex(byRun, run)
	if err != nil {
		return nil // the index is always there
	}
	all := make([]*T, 0, len(found))
	for _, o := range found {
		if typed, ok := o.(*T); ok {
			all = append(all, typed)
		}
	}
	return all
}
