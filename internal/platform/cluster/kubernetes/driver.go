// Package kubernetes is the driver whose clusters are objects of Kubernetes in one namespace: the JobManagers (a pod, or with high availability a
// StatefulSet), the TaskManagers (a Deployment), a Service, and what their pods read.
//
// In: a [cluster.Spec]. It becomes a kustomization on the manifests of deploy/ (manifests.go), and its objects are applied with a field manager of
// the platform's own, so that a field that another one has set, and an object of another platform, is a conflict and not overwritten. Out: what
// watches say of the objects (observe.go), in sentences for people (reasons.go).
//
// A run is a ConfigMap that is made first and owns everything else. When it is deleted, what a start that was interrupted makes after that is
// removed by Kubernetes' garbage collector.
package kubernetes

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"flink-entrypoint/internal/platform/cluster"
)

// Options are where clusters are made, and of what.
type Options struct {
	Instance  string // of the platform's store
	Namespace string // empty: the one in the kubeconfig, or the one of the server's own pod
	// Kubeconfig is a file; empty: the account of the pod that the server is in.
	Kubeconfig string
	// Image is the image of all pods; {version} is the minor version of Flink that the definition is for, and FlinkVersion where it names none.
	Image, FlinkVersion string
	// Component is a directory with a component of kustomize that is added to each run; empty: none.
	Component string
	// StateDir is the URI below which savepoints are; StateClaim, if not empty, is a volume that all pods have at /state.
	StateDir, StateClaim string
	// REST is how JobManagers are reached: ThroughServer, ByService, or the template of a URL with {job}, {run} and {namespace}.
	REST string
	// Keeper keeps what is left of clusters that were deleted: their logs.
	Keeper Keeper
	Log    *slog.Logger
	// Changed is called when a process of a run has ended: its run can be looked at at once and not when its time comes.
	Changed func(run string)
	// Point, if not nil, is called at each place where a crash must do no harm.
	Point func(place string)
}

// How JobManagers are reached, beside the template of a URL.
const (
	ThroughServer = "port-forward" // by streams through the API server, as kubectl port-forward does
	ByService     = "service"      // by the Service, from inside of the cluster
)

// A Driver makes clusters in a namespace.
type Driver struct {
	o       Options
	manager string // of fields
	config  *rest.Config
	http    *http.Client // of the API server, for logs
	objects dynamic.Interface
	forward *forwarder
	watches watches
	keeping sync.Map // runs whose logs are being kept
}

var _ cluster.Driver = (*Driver)(nil)

// New makes a driver. Nothing is asked of the API server before Run.
func New(o Options) (*Driver, error) {
	config, namespace, err := connect(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if o.Namespace == "" {
		o.Namespace = namespace
	}
	// The server limits its clients itself (priority and fairness: 429, and client-go waits). This only bounds a burst.
	config.QPS, config.Burst = 50, 200
	config.UserAgent = "flink-platform"
	if o.REST == "" {
		o.REST = ThroughServer
	}
	if o.REST != ThroughServer && o.REST != ByService && !strings.Contains(o.REST, "{job}") && !strings.Contains(o.REST, "{run}") {
		return nil, fmt.Errorf("%q does not say which cluster a request is for, expected %s, %s or a URL with {job} or {run}", o.REST, ThroughServer, ByService)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	d := &Driver{o: o, manager: "flink-platform-" + o.Instance, config: config, http: client, objects: objects}
	d.forward = &forwarder{config: config, namespace: o.Namespace}
	d.watches.init(d)
	return d, nil
}

// connect finds the API server: by a file, or as a pod does.
func connect(kubeconfig string) (*rest.Config, string, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", errors.New("this is not a pod of a cluster: give the address of one with --kubeconfig FILE")
		}
		if err != nil {
			return nil, "", fmt.Errorf("the account of this pod cannot be read: %w", err)
		}
		namespace, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
		if err != nil {
			return nil, "", err
		}
		return config, strings.TrimSpace(string(namespace)), nil
	}
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, nil)
	config, err := loaded.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("--kubeconfig %s: %w", kubeconfig, err)
	}
	namespace, _, err := loaded.Namespace()
	return config, namespace, err
}

func (d *Driver) at(place string) {
	if d.o.Point != nil {
		d.o.Point("driver: " + place)
	}
}

// Namespace is where clusters are made.
func (d *Driver) Namespace() string { return d.o.Namespace }

// SavepointDir is as cluster.Driver says.
func (d *Driver) SavepointDir(run string) string {
	return strings.TrimSuffix(d.o.StateDir, "/") + "/savepoints/" + run
}

// of is the collection of a kind in the namespace.
func (d *Driver) of(gvk schema.GroupVersionKind) dynamic.ResourceInterface {
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return d.objects.Resource(plural).Namespace(d.o.Namespace)
}

var configMaps = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}

// What the ConfigMap that is a run has.
const (
	keySpec    = "spec.json"    // the spec, without the token
	keyObjects = "objects.json" // what was to be made
	keyToken   = "token"        // the UID of the Secret: the token was written
	keyPod     = "jobmanager"   // the UID of the JobManager's pod, where it has no controller: it is not made again
	keyDeleted = "deleted"      // it is not started again
)

// A reference names an object that belongs to a run.
type reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

func (r reference) gvk() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
}

// Start applies the objects of a run. It may be repeated, and continued by another server.
func (d *Driver) Start(ctx context.Context, s cluster.Spec) error {
	s.Instance = d.o.Instance
	if kept, err := d.kept(ctx, s.Run); err != nil {
		return err
	} else if kept {
		return &cluster.Refusal{Err: errors.New("the cluster of this run was deleted")}
	}
	all, err := d.manifests(s)
	if err != nil {
		return &cluster.Refusal{Err: err}
	}
	run := all[0]
	if err := fillRun(run, s, all); err != nil {
		return err
	}
	made, err := d.apply(ctx, run)
	if apierrors.IsConflict(err) {
		if _, e := d.read(ctx, s.Run); errors.As(e, new(*foreign)) {
			return &cluster.Refusal{Err: e}
		}
	}
	if err != nil {
		return err
	}
	if isDeleted(made) {
		return &cluster.Refusal{Err: errors.New("the cluster of this run is being deleted")}
	}
	d.at("run made")
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: made.GetName(), UID: made.GetUID()}
	for _, o := range all[1:] {
		o.SetOwnerReferences([]metav1.OwnerReference{owner})
	}
	isToken := func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "Secret" && o.GetName() == prefixOf(s.Run)+tokenName
	}
	if i := slices.IndexFunc(all, isToken); i < 0 {
		return &cluster.Refusal{Err: errors.New("the manifests of the run have no Secret " + tokenName)}
	} else if err := d.writeToken(ctx, s, made, all[i]); err != nil {
		return err
	}
	// What pods need is there before the pods are: a pod that waits for its ConfigMap is tried again only after a while.
	slices.SortStableFunc(all[1:], func(a, b *unstructured.Unstructured) int { return order(a) - order(b) })
	for _, o := range all[1:] {
		if isToken(o) || o.GetKind() == "Pod" {
			continue
		}
		if _, err := d.apply(ctx, o); err != nil {
			return err
		}
		d.at(o.GetKind() + " made")
	}
	for _, o := range all[1:] {
		if o.GetKind() == "Pod" {
			if err := d.makePod(ctx, made, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// order: workloads come last, JobManagers before TaskManagers.
func order(o *unstructured.Unstructured) int {
	return slices.Index([]string{"StatefulSet", "Deployment"}, o.GetKind())
}

// makePod makes the pod of a JobManager that has no controller, once: a pod that was made and is gone has ended.
func (d *Driver) makePod(ctx context.Context, run, pod *unstructured.Unstructured) error {
	if _, done, _ := unstructured.NestedString(run.Object, "data", keyPod); done {
		return nil
	}
	// Deleted meanwhile? What is made after that is removed, but a pod could begin to work first.
	if now, err := d.read(ctx, run.GetLabels()[labelRun]); errors.Is(err, cluster.ErrUnknown) || err == nil && (isDeleted(now) || now.GetUID() != run.GetUID()) {
		return &cluster.Refusal{Err: errors.New("the cluster of this run was deleted")}
	} else if err != nil {
		return err
	}
	owners := pod.GetOwnerReferences()
	controls := true // kubectl drain evicts pods that have a controller
	owners[0].Controller = &controls
	pod.SetOwnerReferences(owners)
	made, err := d.apply(ctx, pod)
	if err != nil {
		return err
	}
	d.at("Pod made")
	_, err = d.mark(ctx, run, keyPod, string(made.GetUID()))
	return err
}

// fillRun writes what the run is into its ConfigMap.
func fillRun(run *unstructured.Unstructured, s cluster.Spec, all []*unstructured.Unstructured) error {
	var objects []reference
	for _, o := range all[1:] {
		objects = append(objects, reference{o.GetAPIVersion(), o.GetKind(), o.GetName()})
	}
	spec, err := json.Marshal(s)
	if err != nil {
		return err
	}
	list, err := json.Marshal(objects)
	if err != nil {
		return err
	}
	return unstructured.SetNestedStringMap(run.Object, map[string]string{keySpec: string(spec), keyObjects: string(list)}, "data")
}

// apply applies an object. What another field manager has set is a conflict: an object of another platform, or a value that a person changed.
func (d *Driver) apply(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return d.applyAs(ctx, o, d.manager)
}

func (d *Driver) applyAs(ctx context.Context, o *unstructured.Unstructured, manager string) (*unstructured.Unstructured, error) {
	what := strings.ToLower(o.GetKind()) + " " + o.GetName()
	made, err := d.of(o.GroupVersionKind()).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: manager})
	switch {
	case err == nil && made.GetLabels()[labelInstance] != d.o.Instance:
		return nil, &cluster.Refusal{Err: fmt.Errorf("%s has lost its label %s", what, labelInstance)}
	case err == nil:
		return made, nil
	case apierrors.IsConflict(err):
		return nil, fmt.Errorf("%s: another one has changed it: %w", what, err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err):
		return nil, &cluster.Refusal{Err: fmt.Errorf("%s: %w", what, err)}
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("%s: %w (quotas and policies of the namespace refuse it, or the server has not the rights of deploy/platform/rights)", what, err)
	}
	return nil, fmt.Errorf("%s: %w", what, err)
}

// writeToken makes the run's token and writes it into the Secret, once: the run remembers that it was done.
func (d *Driver) writeToken(ctx context.Context, s cluster.Spec, run, secret *unstructured.Unstructured) error {
	if _, done, _ := unstructured.NestedString(run.Object, "data", keyToken); done {
		return nil
	}
	data := map[string]string{}
	if s.Token != nil {
		token, err := s.Token(ctx)
		if err != nil {
			return err
		}
		data["token"] = base64.StdEncoding.EncodeToString([]byte(token))
		d.at("token made")
	}
	if err := unstructured.SetNestedStringMap(secret.Object, data, "data"); err != nil {
		return err
	}
	made, err := d.apply(ctx, secret)
	if err != nil {
		return err
	}
	d.at("token written")
	_, err = d.mark(ctx, run, keyToken, string(made.GetUID()))
	return err
}

// mark writes one thing into a run. It is of a field manager of its own: the manager of the rest would take away what it does not say again.
func (d *Driver) mark(ctx context.Context, run *unstructured.Unstructured, key, value string) (*unstructured.Unstructured, error) {
	return d.applyAs(ctx, &unstructured.Unstructured{Object: object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": object{"name": run.GetName(), "uid": string(run.GetUID())}, // a later one of the same name is a conflict
		"data":     object{key: value},
	}}, d.manager+"-"+key)
}

func isDeleted(run *unstructured.Unstructured) bool {
	_, marked, _ := unstructured.NestedString(run.Object, "data", keyDeleted)
	return marked || run.GetDeletionTimestamp() != nil
}

// read is the ConfigMap of a run, asked of the API server. ErrUnknown: it does not exist.
func (d *Driver) read(ctx context.Context, run string) (*unstructured.Unstructured, error) {
	if !runID.MatchString(run) {
		return nil, fmt.Errorf("%q is not the id of a run", run)
	}
	o, err := d.of(configMaps).Get(ctx, prefixOf(run)+runName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, cluster.ErrUnknown
	case err != nil:
		return nil, err
	case o.GetLabels()[labelInstance] != d.o.Instance:
		return nil, &foreign{o.GetName(), o.GetLabels()[labelInstance]}
	}
	return o, nil
}

// A foreign object belongs to another platform.
type foreign struct{ name, instance string }

func (f *foreign) Error() string {
	return fmt.Sprintf("%s belongs to another platform (%s): it is left as it is", f.name, f.instance)
}

// contentOf reads what a run's ConfigMap has.
func contentOf(run *unstructured.Unstructured) (s cluster.Spec, objects []reference, err error) {
	data, _, err := unstructured.NestedStringMap(run.Object, "data")
	if err != nil {
		return s, nil, err
	}
	return s, objects, errors.Join(json.Unmarshal([]byte(data[keySpec]), &s), json.Unmarshal([]byte(data[keyObjects]), &objects))
}

// Delete deletes what Start has made, then what Flink keeps for high availability, then the run itself. What it deletes is what it has just read: an
// object that was made again, or has changed since, is left for the next call.
func (d *Driver) Delete(ctx context.Context, run string) (bool, error) {
	made, err := d.read(ctx, run)
	if errors.Is(err, cluster.ErrUnknown) {
		left, err := d.pods(ctx, run)
		return left == 0, err
	}
	if err != nil {
		return false, err
	}
	s, objects, err := contentOf(made)
	if err != nil {
		return false, fmt.Errorf("%s: %w", made.GetName(), err)
	}
	if !isDeleted(made) {
		if kept, err := d.keep(ctx, run); err != nil {
			return false, fmt.Errorf("its logs cannot be kept: %w", err)
		} else if !kept {
			return false, nil
		}
		d.at("logs kept")
		// First: a start that comes late finds it.
		if made, err = d.mark(ctx, made, keyDeleted, "true"); err != nil {
			return false, err
		}
		d.at("delete noted")
	}
	var errs []error
	left := 0
	for _, o := range objects {
		if o.Kind == "Secret" {
			continue // it cannot be read; see below
		}
		there, err := d.deleteOne(ctx, o, run)
		if there {
			left++
		}
		errs = append(errs, err)
		d.at(o.Kind + " deleted")
	}
	pods, err := d.pods(ctx, run)
	if errs = append(errs, err); left+pods > 0 || errors.Join(errs...) != nil {
		return false, errors.Join(errs...)
	}
	if s.ClusterID != "" {
		if there, err := d.deleteElection(ctx, s.ClusterID); there || err != nil {
			return false, err
		}
		d.at("high availability deleted")
	}
	token, _, _ := unstructured.NestedString(made.Object, "data", keyToken)
	for _, o := range objects {
		if o.Kind != "Secret" {
			continue
		}
		options := metav1.DeleteOptions{}
		if uid := types.UID(token); uid != "" {
			options.Preconditions = &metav1.Preconditions{UID: &uid}
		}
		if err := d.of(o.gvk()).Delete(ctx, o.Name, options); err != nil && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("secret %s: %w", o.Name, err)
		}
		d.at("Secret deleted")
	}
	gone, err := d.deleteExactly(ctx, made, metav1.DeletePropagationBackground)
	d.at("run deleted")
	return gone, err
}

// deleteOne deletes an object of a run, and reports whether it was there.
func (d *Driver) deleteOne(ctx context.Context, r reference, run string) (there bool, err error) {
	o, err := d.of(r.gvk()).Get(ctx, r.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	if l := o.GetLabels(); l[labelInstance] != d.o.Instance || l[labelRun] != run {
		return false, nil // another one's, of the same name
	}
	if o.GetDeletionTimestamp() != nil {
		return true, nil // it is on its way
	}
	// In the foreground: a Deployment is there until its ReplicaSet is gone, which could make pods until then.
	_, err = d.deleteExactly(ctx, o, metav1.DeletePropagationForeground)
	return true, err
}

// deleteExactly deletes the object that was read, and no later one of the same name. asked false: it has changed since, and is deleted the next
// time.
func (d *Driver) deleteExactly(ctx context.Context, o *unstructured.Unstructured, policy metav1.DeletionPropagation) (asked bool, err error) {
	uid, version := o.GetUID(), o.GetResourceVersion()
	err = d.of(o.GroupVersionKind()).Delete(ctx, o.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}, PropagationPolicy: &policy})
	switch {
	case apierrors.IsConflict(err):
		return false, nil
	case apierrors.IsNotFound(err):
		return true, nil
	}
	return err == nil, err
}

// deleteElection deletes the ConfigMaps of Flink's high availability, and reports whether there were some.
func (d *Driver) deleteElection(ctx context.Context, clusterID string) (there bool, err error) {
	// Not by configmap-type: Flink removes its ConfigMap when the job has ended, and a standby that ends later makes it again, without that label.
	list, err := d.of(configMaps).List(ctx, metav1.ListOptions{LabelSelector: "type=flink-native-kubernetes,app=" + clusterID})
	if err != nil {
		return true, err
	}
	var errs []error
	for i := range list.Items {
		_, err := d.deleteExactly(ctx, &list.Items[i], metav1.DeletePropagationBackground)
		errs = append(errs, err)
	}
	return len(list.Items) > 0, errors.Join(errs...)
}

// pods counts the pods of a run.
func (d *Driver) pods(ctx context.Context, run string) (int, error) {
	list, err := d.of(schema.GroupVersionKind{Version: "v1", Kind: "Pod"}).List(ctx, metav1.ListOptions{LabelSelector: labelInstance + "=" + d.o.Instance + "," + labelRun + "=" + run})
	if err != nil {
		return 0, err
	}
	return len(list.Items), nil
}

// Remove forgets the logs of a deleted cluster.
func (d *Driver) Remove(ctx context.Context, run string) error {
	_, err := d.read(ctx, run)
	switch {
	case err == nil:
		return fmt.Errorf("run %s: %w", run, cluster.ErrAlive)
	case !errors.Is(err, cluster.ErrUnknown):
		return err
	}
	return d.o.Keeper.Forget(ctx, run)
}

// Runs lists the runs of this platform, by their ConfigMaps. Logs that are kept are not listed: they go with the runs in the store.
func (d *Driver) Runs(ctx context.Context) ([]string, error) {
	list, err := d.of(configMaps).List(ctx, metav1.ListOptions{LabelSelector: labelObject + "=run," + labelInstance + "=" + d.o.Instance})
	if err != nil {
		return nil, err
	}
	var runs []string
	for i := range list.Items {
		runs = append(runs, list.Items[i].GetLabels()[labelRun])
	}
	return runs, nil
}

// timeout of one request that has no other.
const timeout = 10 * time.Second
