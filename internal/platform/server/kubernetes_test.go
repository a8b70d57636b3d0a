//go:build kubernetes

package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/cluster/kubernetes"
	"flink-entrypoint/internal/platform/wire"
	"flink-entrypoint/test/controlplane"
)

// TestOnKubernetes: what Kubernetes says of the pods of a run is in its state and its timeline, on a real API server. The test is the kubelet.
func TestOnKubernetes(t *testing.T) {
	plane := controlplane.Start(t)
	config := plane.Namespace("flink")
	f := &fixture{t: t, page: readPage(t), dir: filepath.Join(t.TempDir(), "data")}
	start := func() {
		t.Helper()
		s, err := Start(context.Background(), Options{DataDir: f.dir, Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			Kubernetes: &kubernetes.Options{Kubeconfig: config, Image: "flink-entrypoint:{version}-slim", FlinkVersion: "2.2", StateDir: "s3://state"}})
		if err != nil {
			t.Fatal(err)
		}
		f.s = s
	}
	start()
	t.Cleanup(func() { f.s.Close() })
	jobManager := func(run string) (pod string) {
		t.Helper()
		f.until("clicks", "has a pod", func(wire.Run) bool {
			b, err := plane.Do(t.Context(), http.MethodGet, controlplane.Path("flink", "v1", "pods", "")+"?labelSelector=component%3Djobmanager,flink-platform%2Frun%3D"+run, "", nil)
			var list struct {
				Items []struct{ Metadata struct{ Name string } }
			}
			if err != nil || json.Unmarshal(b, &list) != nil || len(list.Items) == 0 {
				return false
			}
			pod = list.Items[0].Metadata.Name
			return true
		})
		return pod
	}
	says := func(pod, status string) {
		t.Helper()
		if _, err := plane.Do(t.Context(), http.MethodPatch, controlplane.Path("flink", "v1", "pods", pod)+"/status", "application/strategic-merge-patch+json", `{"status":`+status+`}`); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Replace(definition, "sql:", "resources: {jobManager: {memory: 2g}}\nsql:", 1)
	f.want(201, "PUT", "/v1/jobs/clicks", text, nil)
	r := decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/clicks/start", wire.Start{}, nil))
	pod := jobManager(r.ID)
	says(pod, `{"conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/3 nodes are available: 3 Insufficient memory."}]}`)
	want := "the JobManager does not run yet, because no node has room for it: 0/3 nodes are available: 3 Insufficient memory; it asks for 1 CPU and 2Gi of memory; lower resources in the definition, or add a node"
	f.until("clicks", "without a node", func(r wire.Run) bool { return r.Queue == "accept" && r.Reason == want })

	// Another server goes on, and learns of what happened meanwhile.
	f.stop()
	says(pod, `{"phase":"Failed","containerStatuses":[{"name":"flink","restartCount":0,"ready":false,"image":"x","imageID":"x","state":{"terminated":{"exitCode":22,"reason":"Error","message":"definition invalid: x","startedAt":"2026-11-27T20:00:00Z","finishedAt":"2026-11-27T20:00:01Z"}}}]}`)
	start()
	end := f.until("clicks", "failed", func(r wire.Run) bool { return r.Outcome != "" })
	if end.ID != r.ID || end.Outcome != "failed" || end.Reason != "definition invalid: x" || end.Evidence != "exit code" {
		t.Errorf("%+v", end)
	}
	cleaned := func(r wire.Run) {
		t.Helper()
		f.until(r.Job, "cleaned up", func(wire.Run) bool {
			run, err := f.s.Store.Run(t.Context(), r.ID)
			return err == nil && run.State.HasEnded() && len(run.Pending) == 0
		})
	}
	cleaned(r)
	for _, kind := range [][2]string{{"v1", "pods"}, {"v1", "configmaps"}, {"v1", "secrets"}, {"v1", "services"}, {"batch/v1", "jobs"}, {"apps/v1", "deployments"}} {
		b, err := plane.Do(t.Context(), http.MethodGet, controlplane.Path("flink", kind[0], kind[1], ""), "", nil)
		if err != nil || strings.Contains(string(b), r.ID) {
			t.Errorf("left: %v %s", err, b)
		}
	}
	var timeline []string
	for _, e := range decode[struct{ Events []wire.Event }](t, f.want(200, "GET", "/v1/jobs/clicks/events", nil, nil)).Events {
		timeline = append(timeline, e.Text)
	}
	if all := strings.Join(timeline, "\n"); strings.Count(all, want) != 1 || !strings.Contains(all, "ended with 22: definition invalid: x") {
		t.Errorf("the timeline is\n%s", all)
	}
	f.want(200, "GET", "/v1/jobs/clicks/logs?tail=5", nil, nil) // how it ended is kept

	// Several runs are in one namespace. A cancel leaves nothing.
	var runs []wire.Run
	for i := range 3 {
		name := fmt.Sprintf("job-%d", i)
		f.want(201, "PUT", "/v1/jobs/"+name, definition, nil)
		runs = append(runs, decode[wire.Run](t, f.want(202, "POST", "/v1/jobs/"+name+"/start", wire.Start{}, nil)))
	}
	for _, r := range runs {
		f.until("clicks", "has a pod", func(wire.Run) bool {
			b, err := plane.Do(t.Context(), http.MethodGet, controlplane.Path("flink", "v1", "pods", ""), "", nil)
			return err == nil && strings.Contains(string(b), "run-"+r.ID+"-flink-jobmanager")
		})
		f.want(202, "POST", "/v1/jobs/"+r.Job+"/stop", wire.Stop{Mode: "cancel"}, nil)
		f.until(r.Job, "canceled", func(r wire.Run) bool { return r.Outcome == "canceled" })
		cleaned(r)
	}
	b, err := plane.Do(t.Context(), http.MethodGet, controlplane.Path("flink", "v1", "configmaps", ""), "", nil)
	for _, r := range runs {
		if err != nil || strings.Contains(string(b), r.ID) {
			t.Errorf("left: %v %s", err, b)
		}
	}
}
