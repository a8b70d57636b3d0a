//go:build kubernetes

package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"

	"flink-entrypoint/internal/platform/cluster"
	"flink-entrypoint/test/controlplane"
)

// TestOnRealAPIServer runs the driver against a real API server and its controllers, with exactly the rights of deploy/platform/rights.
func TestOnRealAPIServer(t *testing.T) {
	plane := controlplane.Start(t)
	t.Run("side by side", func(t *testing.T) {
		for name, run := range map[string]func(*world){
			"life": life, "life with high availability": lifeWithHighAvailability, "objects": objects, "others": others, "changed by another": changedByAnother,
			"late delete": lateDelete, "start that comes late": startThatComesLate, "crashes": crashes, "reasons": reasons, "quota": quota, "deleted pod": deletedPod, "rights": rights,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(newWorld(t, plane))
			})
		}
	})
	t.Run("busy", func(t *testing.T) { busy(newWorld(t, plane)) })
	t.Run("restarted", func(t *testing.T) { restarted(newWorld(t, plane)) })
	t.Run("expired", func(t *testing.T) { expired(newWorld(t, plane)) })
}

// A world is a namespace with a driver.
type world struct {
	*testing.T
	plane     *controlplane.Server
	namespace string
	d         *Driver
	kept      *memory // of the instance 1111
	changed   chan string
	config    string
	tokens    int
	mu        sync.Mutex
	ends      map[*Driver]func()
}

func newWorld(t *testing.T, plane *controlplane.Server) *world {
	t.Helper()
	w := &world{T: t, plane: plane, namespace: "ns-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:])), kept: &memory{}, changed: make(chan string, 1000), ends: map[*Driver]func(){}}
	w.config = plane.Namespace(w.namespace)
	w.d = w.driver("1111", w.kept, nil)
	return w
}

// driver makes a driver that works until the test ends.
func (w *world) driver(instance string, kept Keeper, point func(string)) *Driver {
	w.Helper()
	o := options
	o.Instance, o.Namespace, o.Kubeconfig, o.Keeper, o.Point, o.StateClaim = instance, "", w.config, kept, point, ""
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	if point == nil {
		o.Changed = func(run string) { w.changed <- run }
	}
	d, err := New(o)
	if err != nil {
		w.Fatal(err)
	}
	if d.o.Namespace != w.namespace {
		w.Fatalf("the namespace of the kubeconfig is not used: %s", d.o.Namespace)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		d.Run(ctx)
		close(done)
	}()
	end := sync.OnceFunc(func() {
		cancel()
		<-done
	})
	w.ends[d] = end
	w.Cleanup(end)
	return d
}

func (w *world) path(group, plural, name string) string {
	return controlplane.Path(w.namespace, group, plural, name)
}

func (w *world) do(method, path string, body any) []byte {
	w.Helper()
	b, err := w.plane.Do(w.Context(), method, path, map[string]string{http.MethodPatch: "application/strategic-merge-patch+json"}[method], body)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

func (w *world) await(what string, ready func() error) {
	w.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = ready(); err == nil {
			return
		}
	}
	w.Fatalf("%s: %v", what, err)
}

func (w *world) spec(kind, run string) cluster.Spec {
	s := specs[kind]
	s.Run = run
	s.Secrets = nil
	s.Token = func(context.Context) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.tokens++
		return fmt.Sprintf("token-%d", w.tokens), nil
	}
	return s
}

func (w *world) start(d *Driver, s cluster.Spec) {
	w.Helper()
	if err := d.Start(w.Context(), s); err != nil {
		w.Fatal(err)
	}
}

func (w *world) gone(d *Driver, run string) {
	w.Helper()
	w.await("deleted", func() error {
		gone, err := d.Delete(w.Context(), run)
		if err == nil && !gone {
			err = errors.New("not gone")
		}
		return err
	})
}

// kinds are where a run can leave something.
var kinds = [][2]string{{"v1", "configmaps"}, {"v1", "secrets"}, {"v1", "services"}, {"v1", "pods"}, {"batch/v1", "jobs"}, {"apps/v1", "statefulsets"}, {"apps/v1", "deployments"}, {"apps/v1", "replicasets"}}

// list is what there is of a run, by name.
func (w *world) list(run string) map[string]*unstructured.Unstructured {
	w.Helper()
	all := map[string]*unstructured.Unstructured{}
	for _, k := range kinds {
		var list struct{ Items []map[string]any }
		if err := json.Unmarshal(w.do(http.MethodGet, w.path(k[0], k[1], ""), nil), &list); err != nil {
			w.Fatal(err)
		}
		for _, o := range list.Items {
			u := &unstructured.Unstructured{Object: o}
			if u.GetLabels()[labelRun] == run || strings.Contains(u.GetName(), run) {
				all[k[1]+"/"+u.GetName()] = u
			}
		}
	}
	return all
}

func names(all map[string]*unstructured.Unstructured) string {
	var list []string
	for name := range all {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// pod waits for the pod of a component that is not being deleted.
func (w *world) pod(run, component string) *unstructured.Unstructured {
	w.Helper()
	var found *unstructured.Unstructured
	w.await("a pod of the "+component, func() error {
		for name, o := range w.list(run) {
			if strings.HasPrefix(name, "pods/") && o.GetLabels()["component"] == component && o.GetDeletionTimestamp() == nil {
				found = o
				return nil
			}
		}
		return errors.New("none yet")
	})
	return found
}

// says writes what a kubelet would say of a pod.
func (w *world) says(pod *unstructured.Unstructured, status object) {
	w.Helper()
	w.do(http.MethodPatch, w.path("v1", "pods", pod.GetName())+"/status", object{"status": status})
}

func running(restarts int, last object) object {
	c := object{"name": "flink", "restartCount": restarts, "ready": true, "started": true, "image": "x", "imageID": "x", "containerID": "containerd://x", "state": object{"running": object{"startedAt": "2026-11-27T20:00:00Z"}}}
	if last != nil {
		c["lastState"] = object{"terminated": last}
	}
	return object{"phase": "Running", "podIP": "10.1.2.3", "podIPs": []object{{"ip": "10.1.2.3"}}, "containerStatuses": []object{c}}
}

func terminated(code int, reason, message string) object {
	return object{"exitCode": code, "reason": reason, "message": message, "startedAt": "2026-11-27T20:00:00Z", "finishedAt": "2026-11-27T20:01:00Z", "containerID": "containerd://x"}
}

func ended(phase string, t object) object {
	return object{"phase": phase, "containerStatuses": []object{{"name": "flink", "restartCount": 0, "ready": false, "image": "x", "imageID": "x", "state": object{"terminated": t}}}}
}

// until waits until what the driver sees is as it should be.
func (w *world) until(d *Driver, run, what string, ok func(cluster.Status) bool) cluster.Status {
	w.Helper()
	var s cluster.Status
	w.await(what, func() (err error) {
		if s, err = d.Observe(w.Context(), run); err == nil && !ok(s) {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	return s
}

func jobManager(s cluster.Status) cluster.Process {
	for i := len(s.Processes) - 1; i >= 0; i-- {
		if s.Processes[i].JobManager {
			return s.Processes[i]
		}
	}
	return cluster.Process{}
}

// life: a run without high availability from its start to its end.
func life(w *world) {
	s := w.spec("job", "aaaa1")
	if _, err := w.d.Observe(w.Context(), s.Run); !errors.Is(err, cluster.ErrUnknown) {
		w.Fatalf("before the start: %v", err)
	}
	w.start(w.d, s)
	if seen, err := w.d.Observe(w.Context(), s.Run); err != nil || seen.Gone() {
		w.Fatalf("at once after the start it is %+v, %v", seen, err)
	}
	pod := w.pod(s.Run, "jobmanager")
	seen := w.until(w.d, s.Run, "every pod waits", func(s cluster.Status) bool { return len(s.Processes) == 4 })
	if p := jobManager(seen); p.Attempt != "" || p.Alive || p.Waits == "" || p.Stuck {
		w.Errorf("%+v", p)
	}
	versions := func() string {
		text := ""
		for _, name := range strings.Fields(names(w.list(s.Run))) {
			if !strings.HasPrefix(name, "pods/") && !strings.HasPrefix(name, "replicasets/") {
				text += name + " " + fmt.Sprint(w.list(s.Run)[name].GetGeneration(), w.list(s.Run)[name].GetUID()) + "\n"
			}
		}
		return text
	}
	before := versions()
	w.start(w.d, s)
	w.start(w.driver("1111", w.kept, nil), s)
	if after := versions(); after != before {
		w.Errorf("a start that is repeated changes\n%s\nto\n%s", before, after)
	}
	secret := w.list(s.Run)["secrets/"+prefixOf(s.Run)+"flink-definition"]
	if token, _, _ := unstructured.NestedString(secret.Object, "data", "token"); token != "dG9rZW4tMQ==" || w.tokens != 1 { // token-1
		w.Errorf("the pods have the token %s, and %d were made", token, w.tokens)
	}
	if runs, err := w.d.Runs(w.Context()); err != nil || !slices.Equal(runs, []string{s.Run}) {
		w.Errorf("%v, %v", runs, err)
	}
	w.says(pod, running(0, nil))
	seen = w.until(w.d, s.Run, "it runs", func(s cluster.Status) bool { return jobManager(s).Alive })
	if p := jobManager(seen); p.Attempt != string(pod.GetUID()) || p.Returns || !slices.Equal(seen.REST, []string{"http://" + pod.GetName() + ".pod.invalid:8081"}) {
		w.Errorf("%+v", seen)
	}
	if err := w.d.Remove(w.Context(), s.Run); !errors.Is(err, cluster.ErrAlive) {
		w.Errorf("removed while it is alive: %v", err)
	}
	w.says(pod, ended("Failed", terminated(163, "Error", "the job failed: c.D: x")))
	seen = w.until(w.d, s.Run, "it has ended", func(s cluster.Status) bool { return !jobManager(s).Alive })
	if p := jobManager(seen); p.Code != 163 || p.Message != "" || p.Attempt != string(pod.GetUID()) || p.Waits != "" || p.Ended.IsZero() {
		w.Errorf("%+v", p)
	}
	select {
	case run := <-w.changed:
		if run != s.Run {
			w.Errorf("%s is said to have changed", run)
		}
	case <-time.After(10 * time.Second):
		w.Error("nothing says that its JobManager has ended")
	}
	w.start(w.d, s)
	if now := w.pod(s.Run, "jobmanager"); now.GetUID() != pod.GetUID() {
		w.Error("a start that is repeated late makes another JobManager")
	}
	w.gone(w.d, s.Run)
	if left := w.list(s.Run); len(left) > 0 {
		w.Errorf("left: %s", names(left))
	}
	seen, err := w.d.Observe(w.Context(), s.Run)
	if p := jobManager(seen); err != nil || !seen.Gone() || p.Code != 163 || p.Attempt != string(pod.GetUID()) {
		w.Errorf("how it ended is kept: %+v, %v", seen, err)
	}
	if refusal := new(cluster.Refusal); !errors.As(w.d.Start(w.Context(), s), &refusal) {
		w.Error("it was started after it was deleted")
	}
	if err := w.d.Remove(w.Context(), s.Run); err != nil {
		w.Error(err)
	}
	if _, err := w.d.Observe(w.Context(), s.Run); !errors.Is(err, cluster.ErrUnknown) {
		w.Errorf("after it was removed: %v", err)
	}
	if runs, err := w.d.Runs(w.Context()); err != nil || len(runs) > 0 {
		w.Errorf("%v, %v", runs, err)
	}
}

// lifeWithHighAvailability: JobManagers come back, each life is an attempt, and what Flink keeps for the election goes with the run.
func lifeWithHighAvailability(w *world) {
	s := w.spec("job-high-availability", "aaaa2")
	w.start(w.d, s)
	pod := w.pod(s.Run, "jobmanager")
	w.says(pod, running(0, nil))
	w.until(w.d, s.Run, "one runs", func(s cluster.Status) bool {
		return slices.ContainsFunc(s.Processes, func(p cluster.Process) bool { return p.Alive && p.Returns }) && len(s.REST) == 1
	})
	w.says(pod, running(1, terminated(239, "Error", "x")))
	seen := w.until(w.d, s.Run, "its second life", func(c cluster.Status) bool {
		return slices.ContainsFunc(c.Processes, func(p cluster.Process) bool { return p.Attempt == string(pod.GetUID())+".2" && p.Alive })
	})
	if i := slices.IndexFunc(seen.Processes, func(p cluster.Process) bool { return p.Attempt == string(pod.GetUID()) }); i < 0 || seen.Processes[i].Code != 239 || seen.Processes[i].Alive || !seen.Processes[i].Replaced {
		w.Errorf("%+v", seen.Processes)
	}
	crashed := running(1, terminated(239, "Error", "x"))
	crashed["containerStatuses"].([]object)[0]["state"] = object{"running": nil, "waiting": object{"reason": "CrashLoopBackOff"}}
	w.says(pod, crashed)
	seen = w.until(w.d, s.Run, "it waits for its third life", func(c cluster.Status) bool {
		return slices.ContainsFunc(c.Processes, func(p cluster.Process) bool { return strings.Contains(p.Waits, "several times in a row") && p.Stuck })
	})
	// A definition that is wrong is wrong in each life.
	for _, name := range strings.Fields(names(w.list(s.Run))) {
		if strings.Contains(name, "pods/") && strings.Contains(name, "jobmanager") {
			crashed["containerStatuses"].([]object)[0]["lastState"] = object{"terminated": terminated(22, "Error", "definition invalid")}
			w.says(w.list(s.Run)[name], crashed)
		}
	}
	seen = w.until(w.d, s.Run, "no JobManager comes back", func(c cluster.Status) bool {
		return !slices.ContainsFunc(c.Processes, func(p cluster.Process) bool { return p.JobManager && (p.Alive || p.Waits != "") })
	})
	if p := jobManager(seen); p.Code != 22 || p.Message != "definition invalid" {
		w.Errorf("%+v", p)
	}
	for _, name := range []string{"run-1-cluster-config-map", "run-1-aabb-config-map", "other-cluster-config-map"} {
		app, _, _ := strings.Cut(name, "-c")
		labels := object{"app": strings.TrimSuffix(app, "-aabb"), "type": "flink-native-kubernetes"}
		if name != "run-1-cluster-config-map" { // one that a standby made again after the end of the job
			labels["configmap-type"] = "high-availability"
		}
		w.do(http.MethodPost, w.path("v1", "configmaps", ""), object{"metadata": object{"name": name, "labels": labels}})
	}
	w.gone(w.d, s.Run)
	if left := w.list(s.Run); len(left) > 0 {
		w.Errorf("left: %s", names(left))
	}
	maps := string(w.do(http.MethodGet, w.path("v1", "configmaps", ""), nil))
	if strings.Contains(maps, `"run-1-`) || !strings.Contains(maps, `"other-cluster-config-map"`) {
		w.Errorf("of high availability there is %s", maps)
	}
}

// objects: what Start applies is what the manifests say, as the server understands them.
func objects(w *world) {
	i := 0
	for _, kind := range []string{"job", "job-high-availability", "session", "session-high-availability"} {
		i++
		s := w.spec(kind, fmt.Sprintf("abcd%d", i))
		w.start(w.d, s)
		want, err := w.d.manifests(s)
		if err != nil {
			w.Fatal(err)
		}
		there := w.list(s.Run)
		for _, o := range want {
			got := there[strings.ToLower(o.GetKind())+"s/"+o.GetName()]
			if got == nil {
				w.Errorf("%s: no %s %s", kind, o.GetKind(), o.GetName())
				continue
			}
			if o.GetName() != prefixOf(s.Run)+runName {
				owners := got.GetOwnerReferences()
				if len(owners) != 1 || owners[0].Name != prefixOf(s.Run)+runName {
					w.Errorf("%s %s belongs to %+v", o.GetKind(), o.GetName(), owners)
				}
			}
			got.SetAPIVersion(o.GetAPIVersion()) // a list leaves them out
			got.SetKind(o.GetKind())
			if o.GetKind() != "Secret" && !contains(got.Object, o.Object) {
				w.Errorf("%s: %s %s is not as its manifest says:\n%v\n%v", kind, o.GetKind(), o.GetName(), o.Object, got.Object)
			}
			// Checked as kubectl checks: no field that the server does not know.
			o.SetName(o.GetName() + "-strict")
			plural := strings.ToLower(o.GetKind()) + "s"
			if _, err := w.plane.Do(w.Context(), http.MethodPost, w.path(o.GetAPIVersion(), plural, "")+"?dryRun=All&fieldValidation=Strict", "", o.Object); err != nil {
				w.Errorf("%s: %v", kind, err)
			}
		}
		w.gone(w.d, s.Run)
	}
}

// contains reports whether all of want is in got, which the server has completed.
func contains(got, want any) bool {
	switch x := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for k, v := range x {
			ok = ok && contains(g[k], v)
		}
		return ok
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(x) {
			return false
		}
		for i := range x {
			ok = ok && contains(g[i], x[i])
		}
		return ok
	}
	return fmt.Sprint(got) == fmt.Sprint(want) || fmt.Sprint(got) == "1572864001" // a quantity
}

// others: what belongs to another platform is left as it is.
func others(w *world) {
	s := w.spec("job", "bbbb1")
	w.start(w.d, s)
	before := w.list(s.Run)
	other := w.driver("2222", &memory{}, nil)
	if err := other.Start(w.Context(), s); err == nil || !strings.Contains(err.Error(), "run-bbbb1-flink-run belongs to another platform (1111)") {
		w.Errorf("another platform starts it: %v", err)
	}
	if gone, err := other.Delete(w.Context(), s.Run); err == nil || gone || !strings.Contains(err.Error(), "belongs to another platform (1111)") {
		w.Errorf("another platform deletes it: %v, %v", gone, err)
	}
	if err := other.Remove(w.Context(), s.Run); err == nil {
		w.Error("another platform removes it")
	}
	if _, err := other.Observe(w.Context(), s.Run); err == nil {
		w.Error("another platform observes it")
	}
	if runs, err := other.Runs(w.Context()); err != nil || len(runs) > 0 {
		w.Errorf("another platform lists %v, %v", runs, err)
	}
	after := w.list(s.Run)
	for name, o := range before {
		if strings.HasPrefix(name, "pods/") || strings.HasPrefix(name, "replicasets/") {
			continue
		}
		if after[name] == nil || after[name].GetUID() != o.GetUID() || after[name].GetGeneration() != o.GetGeneration() || after[name].GetDeletionTimestamp() != nil {
			w.Errorf("%s was changed", name)
		}
	}
}

// changedByAnother: a value that someone else has set is not overwritten, and the error says whose it is.
func changedByAnother(w *world) {
	s := w.spec("job", "cccc1")
	w.start(w.d, s)
	deployment := w.path("apps/v1", "deployments", prefixOf(s.Run)+"flink-taskmanager")
	w.do(http.MethodPatch, deployment+"?fieldManager=ann", object{"spec": object{"replicas": 5}})
	err := w.d.Start(w.Context(), s)
	if err == nil || !strings.Contains(err.Error(), `"ann"`) || !strings.Contains(err.Error(), ".spec.replicas") {
		w.Errorf("%v", err)
	}
	if got := string(w.do(http.MethodGet, deployment, nil)); !strings.Contains(got, `"replicas":5`) {
		w.Errorf("the number of TaskManagers was set back: %s", got)
	}
}

// lateDelete: a delete of what was read does not reach what was made since.
func lateDelete(w *world) {
	s := w.spec("job", "dddd1")
	w.start(w.d, s)
	service := w.path("v1", "services", prefixOf(s.Run)+"flink-jobmanager")
	read := &unstructured.Unstructured{}
	if err := read.UnmarshalJSON(w.do(http.MethodGet, service, nil)); err != nil {
		w.Fatal(err)
	}
	w.do(http.MethodDelete, service, nil)
	w.start(w.d, s)
	if asked, err := w.d.deleteExactly(w.Context(), read, metav1.DeletePropagationBackground); asked || err != nil {
		w.Errorf("%v, %v", asked, err)
	}
	w.do(http.MethodGet, service, nil) // it is there
	if err := read.UnmarshalJSON(w.do(http.MethodGet, service, nil)); err != nil {
		w.Fatal(err)
	}
	w.do(http.MethodPatch, service, object{"metadata": object{"annotations": object{"x": "y"}}})
	if asked, err := w.d.deleteExactly(w.Context(), read, metav1.DeletePropagationBackground); asked || err != nil {
		w.Errorf("one that has changed: %v, %v", asked, err)
	}
	w.do(http.MethodGet, service, nil)
}

// startThatComesLate: a start is interrupted, the run is deleted, and the start goes on.
func startThatComesLate(w *world) {
	for i, place := range []string{"driver: run made", "driver: token written", "driver: Service made", "driver: Deployment made", "driver: Pod made"} {
		s := w.spec("job", fmt.Sprintf("eeee%d", i))
		other := w.driver("1111", w.kept, nil)
		late := w.driver("1111", w.kept, func(at string) {
			if at == place {
				w.gone(other, s.Run)
			}
		})
		err := late.Start(w.Context(), s)
		w.Logf("at %q: %v", place, err)
		w.await("what came late is removed", func() error {
			if left := w.list(s.Run); len(left) > 0 {
				return errors.New(names(left))
			}
			return nil
		})
	}
	// While it is being deleted, it is not started again.
	s := w.spec("job", "eeee9")
	w.start(w.d, s)
	deletes := w.driver("1111", &memory{}, func(at string) {
		if at == "driver: Service deleted" {
			refusal := new(cluster.Refusal)
			if err := w.d.Start(w.Context(), s); !errors.As(err, &refusal) {
				w.Errorf("started while it is deleted: %v", err)
			}
		}
	})
	w.gone(deletes, s.Run)
}

type crash struct{}

// crashes: whatever place a start or a delete is interrupted at, it is finished by another server.
func crashes(w *world) {
	places := map[string]bool{}
	kind := "job"
	for n := 0; ; n++ {
		s := w.spec(kind, fmt.Sprintf("ffff%d%d", len(kind), n))
		if s.ClusterID != "" {
			s.ClusterID = s.Run
		}
		interrupted := false
		count := 0
		dies := w.driver("1111", w.kept, func(at string) {
			if count++; count == n+1 {
				places[at] = true
				panic(crash{})
			}
		})
		survive := func(f func()) {
			defer func() {
				if r := recover(); r != nil {
					if r != (crash{}) {
						panic(r)
					}
					interrupted = true
				}
			}()
			f()
		}
		survive(func() { w.start(dies, s) })
		next := w.driver("1111", w.kept, nil)
		w.start(next, s)
		if got := names(w.list(s.Run)); strings.Count(got, "run-"+s.Run) < 6 {
			w.Errorf("after a start that was interrupted there is %s", got)
		}
		survive(func() { w.gone(dies, s.Run) })
		w.gone(next, s.Run)
		if left := w.list(s.Run); len(left) > 0 {
			w.Errorf("left: %s", names(left))
		}
		w.ends[dies]()
		w.ends[next]()
		if interrupted {
			continue
		}
		if kind != "job" {
			break
		}
		kind, n = "job-high-availability", -1
	}
	if len(places) < 16 {
		w.Errorf("only %d places: %v", len(places), places)
	}
}

// reasons: what keeps a pod from running, and how it ended, in sentences.
func reasons(w *world) {
	s := w.spec("job", "9999a")
	w.start(w.d, s)
	pod := w.pod(s.Run, "jobmanager")
	waiting := func(reason, message string) object {
		return object{"phase": "Pending", "containerStatuses": []object{{"name": "flink", "restartCount": 0, "ready": false, "image": "x", "imageID": "", "state": object{"waiting": object{"reason": reason, "message": message}}}}}
	}
	event := func(name, reason, message string) {
		w.do(http.MethodPost, w.path("v1", "events", ""), object{"metadata": object{"generateName": "e-"}, "type": "Warning", "reason": reason, "message": message,
			"involvedObject": object{"kind": "Pod", "name": name, "namespace": w.namespace}, "lastTimestamp": time.Now().UTC().Format(time.RFC3339)})
	}
	for _, c := range []struct {
		status object
		before func()
		want   string
	}{
		{status: object{"conditions": []object{{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient memory."}}},
			want: "no node has room for it: 0/3 nodes are available: 3 Insufficient memory; it asks for 500m CPU and 2Gi of memory; lower resources in the definition, or add a node"},
		{status: waiting("ContainerCreating", ""), before: func() {
			event(pod.GetName(), "FailedMount", `MountVolume.SetUp failed for volume "secret-1" : secret "shop.orders-db" not found`)
		}, want: `a volume cannot be mounted: MountVolume.SetUp failed for volume "secret-1" : secret "shop.orders-db" not found; make what it names; the pod goes on by itself`},
		{status: waiting("CreateContainerConfigError", `configmap "x" not found`), want: `something that its container needs does not exist: configmap "x" not found; make it; the pod goes on by itself`},
		{status: waiting("ImagePullBackOff", "Back-off pulling image"),
			want: "its image cannot be pulled: registry.example.com:5000/flink-entrypoint:2.2-slim, Back-off pulling image; look at serve --image, and at the pull secrets of the account of the pods"},
		{status: waiting("InvalidImageName", "x"), want: "its image has no valid name: registry.example.com:5000/flink-entrypoint:2.2-slim; look at serve --image"},
	} {
		if c.before != nil {
			c.before()
		}
		w.says(pod, c.status)
		w.until(w.d, s.Run, c.want, func(s cluster.Status) bool { p := jobManager(s); return p.Waits == c.want && p.Stuck && !p.Alive })
	}
	w.says(pod, ended("Failed", terminated(137, "OOMKilled", "")))
	w.until(w.d, s.Run, "out of memory", func(s cluster.Status) bool {
		p := jobManager(s)
		return p.Code == 137 && p.Message == "it used more memory than its container may, and was killed: OOMKilled, the limit is 2Gi; give resources.jobManager.memory more, or leave more outside of the heap"
	})
	task := w.pod(s.Run, "taskmanager")
	w.says(task, object{"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})
	w.until(w.d, s.Run, "evicted", func(s cluster.Status) bool {
		return slices.ContainsFunc(s.Processes, func(p cluster.Process) bool {
			return p.Message == "its node evicted it: The node was low on resource: memory" && p.Returns && p.Code == cluster.Unknown
		})
	})
}

// quota: controllers that may not make a pod say why.
func quota(w *world) {
	w.do(http.MethodPost, w.path("v1", "resourcequotas", ""), object{"metadata": object{"name": "small"}, "spec": object{"hard": object{"pods": "0"}}})
	w.await("the quota is counted", func() error {
		if got := w.do(http.MethodGet, w.path("v1", "resourcequotas", "small"), nil); !bytes.Contains(got, []byte(`"used":{"pods":"0"}`)) {
			return errors.New(string(got))
		}
		return nil
	})
	s := w.spec("job", "9999b")
	refusal := new(cluster.Refusal)
	if err := w.d.Start(w.Context(), s); err == nil || errors.As(err, &refusal) || !strings.Contains(err.Error(), "exceeded quota: small") {
		w.Errorf("%v", err) // it is tried again
	}
	w.until(w.d, s.Run, "refused by the quota", func(s cluster.Status) bool {
		return slices.ContainsFunc(s.Processes, func(p cluster.Process) bool {
			return strings.HasPrefix(p.Waits, "Kubernetes refuses to make its pod: ") && strings.Contains(p.Waits, "exceeded quota: small") && p.Stuck
		})
	})
}

// deletedPod: a JobManager whose pod someone deletes has ended, and no other one is made.
func deletedPod(w *world) {
	s := w.spec("job", "9999c")
	w.start(w.d, s)
	pod := w.pod(s.Run, "jobmanager")
	w.says(pod, running(0, nil))
	w.until(w.d, s.Run, "it runs", func(s cluster.Status) bool { return jobManager(s).Alive })
	w.do(http.MethodDelete, w.path("v1", "pods", pod.GetName())+"?gracePeriodSeconds=0", nil)
	seen := w.until(w.d, s.Run, "it has ended", func(s cluster.Status) bool {
		p := jobManager(s)
		return !p.Alive && p.Waits == "" && !p.Ended.IsZero()
	})
	if p := jobManager(seen); p.Code != cluster.Unknown || p.Attempt != string(pod.GetUID()) || !strings.Contains(p.Message, "pod was deleted") {
		w.Errorf("%+v", p)
	}
	w.start(w.d, s) // as a server that died before it wrote down that this was done
	for name, o := range w.list(s.Run) {
		if strings.HasPrefix(name, "pods/") && o.GetLabels()["component"] == "jobmanager" {
			w.Errorf("another pod was made: %s", name)
		}
	}
}

// rights: the account of the platform cannot do what it need not.
func rights(w *world) {
	s := w.spec("job", "9999d")
	w.start(w.d, s)
	for what, allowed := range map[string]bool{
		"get secrets": false, "list secrets": false, "update secrets": false, "create jobs": false, "create pods/exec": false, "get nodes": false, "create roles": false,
		"create serviceaccounts": false, "create namespaces": false, "list services": false, "deletecollection configmaps": false,
		"create secrets": true, "list pods": true, "create pods": true, "delete pods": true, "get pods/log": true, "create pods/portforward": true, "patch services": true,
	} {
		verb, resource, _ := strings.Cut(what, " ")
		resource, sub, _ := strings.Cut(resource, "/")
		group := map[string]string{"roles": "rbac.authorization.k8s.io", "jobs": "batch"}[resource]
		b := w.do(http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", object{"spec": object{"user": "system:serviceaccount:" + w.namespace + ":flink-platform",
			"groups": []string{"system:serviceaccounts"}, "resourceAttributes": object{"namespace": w.namespace, "verb": verb, "group": group, "resource": resource, "subresource": sub}}})
		if got := bytes.Contains(b, []byte(`"allowed":true`)); got != allowed {
			w.Errorf("%s: %v, want %v", what, got, allowed)
		}
	}
}

// busy: a server that answers 429 is asked again, and nothing is lost.
func busy(w *world) {
	w.do(http.MethodPost, "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations", object{"metadata": object{"name": "narrow"},
		"spec": object{"type": "Limited", "limited": object{"nominalConcurrencyShares": 1, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": object{"type": "Reject"}}}})
	w.do(http.MethodPost, "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", object{"metadata": object{"name": "narrow"}, "spec": object{"matchingPrecedence": 2, "priorityLevelConfiguration": object{"name": "narrow"},
		"rules": []object{{"subjects": []object{{"kind": "ServiceAccount", "serviceAccount": object{"name": "flink-platform", "namespace": w.namespace}}},
			"resourceRules": []object{{"verbs": []string{"create", "patch", "get", "delete"}, "apiGroups": []string{"*"}, "resources": []string{"*"}, "namespaces": []string{"*"}}}}}}})
	w.Cleanup(func() {
		w.plane.Do(context.Background(), http.MethodDelete, "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/narrow", "", nil)
	})
	rejected := func() int {
		n := 0
		for line := range strings.Lines(string(w.do(http.MethodGet, "/metrics", nil))) {
			if strings.HasPrefix(line, "apiserver_flowcontrol_rejected_requests_total") && strings.Contains(line, `"narrow"`) {
				var count float64
				fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &count)
				n += int(count)
			}
		}
		return n
	}
	w.await("a request is rejected", func() error {
		var starting sync.WaitGroup
		for i := range 10 {
			starting.Go(func() {
				s := w.spec("session", fmt.Sprintf("7777x%d", i))
				for range 20 { // as the monitor does
					err := w.d.Start(w.Context(), s)
					if err == nil {
						return
					}
					if !apierrors.IsTooManyRequests(err) {
						w.Error(err)
						return
					}
				}
				w.Errorf("%s was never started", s.Run)
			})
		}
		starting.Wait()
		if rejected() == 0 {
			return errors.New("none yet")
		}
		return nil
	})
	w.Logf("%d requests were rejected", rejected())
	runs, err := w.d.Runs(w.Context())
	if err != nil || len(runs) != 10 {
		w.Fatalf("%d runs, %v", len(runs), err)
	}
	for _, run := range runs {
		if got := w.list(run); got["deployments/"+prefixOf(run)+"flink-taskmanager"] == nil || got["pods/"+prefixOf(run)+"flink-jobmanager"] == nil {
			w.Errorf("of %s there is %s", run, names(got))
		}
		w.gone(w.d, run)
	}
}

// restarted: the API server is killed, and starts again. What happened meanwhile is seen, though its watches have expired.
func restarted(w *world) {
	s := w.spec("job", "8888a")
	w.start(w.d, s)
	pod := w.pod(s.Run, "jobmanager")
	w.says(pod, running(0, nil))
	w.until(w.d, s.Run, "it runs", func(s cluster.Status) bool { return jobManager(s).Alive })
	w.plane.StopAPI()
	if seen, err := w.d.Observe(w.Context(), s.Run); err != nil || !jobManager(seen).Alive {
		w.Errorf("without the API server: %+v, %v", seen, err)
	}
	if _, err := w.d.Observe(w.Context(), "0000"); err == nil || errors.Is(err, cluster.ErrUnknown) {
		w.Errorf("without the API server, a run that the watches do not know: %v", err)
	}
	if gone, err := w.d.Delete(w.Context(), s.Run); err == nil || gone {
		w.Errorf("deleted without the API server: %v, %v", gone, err)
	}
	w.plane.StartAPI()
	w.says(pod, ended("Failed", terminated(163, "Error", "the job failed")))
	w.until(w.d, s.Run, "its end", func(s cluster.Status) bool { return jobManager(s).Code == 163 })
	next := w.spec("job", "8888b")
	w.start(w.d, next)
	w.says(w.pod(next.Run, "jobmanager"), running(0, nil))
	w.until(w.d, next.Run, "a later run", func(s cluster.Status) bool { return jobManager(s).Alive })
	w.gone(w.d, s.Run)
	w.gone(w.d, next.Run)
}

// A line is between a driver and the API server. It can be cut.
type line struct {
	net.Listener
	to   string
	mu   sync.Mutex
	cut  bool
	open []net.Conn
}

func newLine(t *testing.T, to string) *line {
	l := &line{to: strings.TrimPrefix(to, "https://")}
	var err error
	if l.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		l.set(true)
	})
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go l.pass(from)
		}
	}()
	return l
}

func (l *line) pass(from net.Conn) {
	to, err := net.Dial("tcp", l.to)
	l.mu.Lock()
	if err != nil || l.cut {
		l.mu.Unlock()
		from.Close()
		return
	}
	l.open = append(l.open, from, to)
	l.mu.Unlock()
	go func() {
		io.Copy(to, from)
		to.Close()
	}()
	io.Copy(from, to)
	from.Close()
}

func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut = cut; cut {
		for _, c := range l.open {
			c.Close()
		}
		l.open = nil
	}
}

// klogged is what client-go logs.
type klogged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (k *klogged) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.Write(b)
}

// expired: the line to the API server is cut. Things happen, and the server forgets the versions that the watches have seen. They begin again with a
// list, and miss nothing.
func expired(w *world) {
	log := &klogged{}
	flags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(flags)
	flags.Parse([]string{"-v=4", "-logtostderr=false"})
	klog.SetOutput(log)
	w.Cleanup(func() { flags.Parse([]string{"-v=0", "-logtostderr=true"}) })
	l := newLine(w.T, w.plane.URL)
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.Fatal(err)
	}
	direct := w.config
	w.config = filepath.Join(w.TempDir(), "kubeconfig")
	if err := os.WriteFile(w.config, bytes.Replace(text, []byte(w.plane.URL), []byte("https://"+l.Addr().String()), 1), 0o600); err != nil {
		w.Fatal(err)
	}
	d := w.driver("1111", w.kept, nil)
	w.config = direct
	s, next := w.spec("job", "6666a"), w.spec("job", "6666b")
	w.start(d, s)
	pod := w.pod(s.Run, "jobmanager")
	w.says(pod, running(0, nil))
	w.until(d, s.Run, "it runs", func(s cluster.Status) bool { return jobManager(s).Alive })
	l.set(true)
	w.says(pod, ended("Failed", terminated(163, "Error", "the job failed")))
	w.start(w.d, next)
	w.says(w.pod(next.Run, "jobmanager"), running(0, nil))
	w.plane.StopAPI()
	w.plane.StartAPI()
	if seen, err := d.Observe(w.Context(), s.Run); err != nil || !jobManager(seen).Alive {
		w.Errorf("the line is not cut: %+v, %v", seen, err)
	}
	l.set(false)
	w.until(d, s.Run, "its end", func(s cluster.Status) bool { return jobManager(s).Code == 163 })
	w.until(d, next.Run, "a run that was started meanwhile", func(s cluster.Status) bool { return jobManager(s).Alive })
	klog.Flush()
	log.mu.Lock()
	if n := strings.Count(log.text.String(), "too old resource version"); n == 0 {
		w.Errorf("no watch has expired:\n%.3000s", log.text.String())
	} else {
		w.Logf("%d watches have expired", n)
	}
	log.mu.Unlock()
	w.gone(d, s.Run)
	w.gone(d, next.Run)
}
