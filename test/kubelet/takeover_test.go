//go:build kubelet

package kubelet

import (
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/native"
)

//go:embed Total.java
var total []byte

// nativeHighAvailability deletes the JobManager's pod in the middle of a job: its Deployment makes another one, which becomes the leader through
// ConfigMaps and goes on from the last checkpoint.
func nativeHighAvailability(version string) func(*world) {
	return func(w *world) {
		const last = 2000
		f := w.native(version, "recovered", nil)
		if err := native.Jar(f.dir, f.java, f.home, "Total", total); err != nil {
			w.Fatal(err)
		}
		jar, err := os.ReadFile(filepath.Join(f.dir, "jars", "total.jar"))
		if err != nil {
			w.Fatal(err)
		}
		f.make("v1", "ConfigMap", "job", map[string]any{"binaryData": map[string]any{"total.jar": base64.StdEncoding.EncodeToString(jar)}})
		state := filepath.Join(w.node.dir, "state-"+f.namespace) // of all pods, as a network's file system would be
		if err := errors.Join(os.Mkdir(state, 0o777), os.Chmod(state, 0o777)); err != nil {
			w.Fatal(err)
		}
		spec := map[string]any{
			"containers": []any{map[string]any{"name": "flink-main-container", "volumeMounts": []any{
				map[string]any{"name": "job", "mountPath": "/opt/flink/usrlib"}, map[string]any{"name": "state", "mountPath": "/state"}}}},
			"volumes": []any{map[string]any{"name": "job", "configMap": map[string]any{"name": "job"}},
				map[string]any{"name": "state", "hostPath": map[string]any{"path": state, "type": "Directory"}}},
		}
		f.application(append(f.template(spec, spec), "-Dhigh-availability.type=kubernetes", "-Dhigh-availability.storageDir=file:///state/ha",
			"-Dexecution.checkpointing.interval=1s", "-Dexecution.checkpointing.dir=file:///state/checkpoints", "-c", "Total"), "local:///opt/flink/usrlib/total.jar", strconv.Itoa(last))

		first := &cluster.Cluster{Host: f.address("jobmanager", 0), Rest: 8081}
		var job string
		f.until("two checkpoints of a running job", func() error {
			jobs, err := first.Jobs(w.ctx)
			if err != nil {
				return err
			}
			if len(jobs) != 1 {
				return fmt.Errorf("jobs %+v", jobs)
			}
			job = jobs[0].ID
			var checkpoints struct{ Counts struct{ Completed int } }
			if err := first.Get(w.ctx, "/jobs/"+job+"/checkpoints", &checkpoints); err != nil {
				return err
			}
			if jobs[0].State != "RUNNING" || checkpoints.Counts.Completed < 2 {
				return fmt.Errorf("%s, %d checkpoints", jobs[0].State, checkpoints.Counts.Completed)
			}
			return nil
		})
		leader := f.of("jobmanager")[0].Metadata.Name
		if _, err := w.node.api.do(w.ctx, http.MethodDelete, within(f.namespace, "v1", "Pod")+"/"+leader+"?gracePeriodSeconds=0", nil, nil); err != nil {
			w.Fatal(err)
		}
		second := &cluster.Cluster{Host: f.address("jobmanager", 1), Rest: 8081}
		f.until("the job runs again", func() error {
			jobs, err := second.Jobs(w.ctx)
			if err == nil && (len(jobs) != 1 || jobs[0].ID != job || jobs[0].State != "RUNNING" || jobs[0].Tasks["running"] != jobs[0].Tasks["total"]) {
				err = fmt.Errorf("jobs %+v, expected %s running", jobs, job)
			}
			return err
		})
		f.ends()
		f.commands("kubernetes-application")
		jobManagers := f.of("jobmanager")
		if len(jobManagers) != 2 {
			w.Fatalf("%d JobManagers, expected 2", len(jobManagers))
		}
		before, after := f.log(jobManagers[0].Metadata.Name), f.log(jobManagers[1].Metadata.Name)
		if !strings.Contains(after, "Restoring job "+job+" from Checkpoint ") {
			w.Errorf("%s does not say that it restores %s from a checkpoint", jobManagers[1].Metadata.Name, job)
		}
		const finished = "reached terminal state FINISHED"
		if a, b := strings.Count(before, finished), strings.Count(after, finished); a != 0 || b != 1 {
			w.Errorf("the job is FINISHED %d times before and %d times after the failure, expected 0 and 1", a, b)
		}
		// Each number counted once: what came after the last checkpoint, too.
		if got, want := f.written("taskmanager", "total "), []string{fmt.Sprintf("total %d", last*(last+1)/2)}; !slices.Equal(got, want) {
			w.Errorf("the job printed %q, expected %q", got, want)
		}
		// Flink removes what it needs to recover, as the job is over.
		left, err := filepath.Glob(filepath.Join(state, "ha", f.id, "*", "*"))
		if err != nil || len(left) > 0 {
			w.Errorf("left of high availability: %q, %v", left, err)
		}
		w.Logf("%d TaskManagers", len(f.of("taskmanager")))
	}
}

// address waits for a pod's.
func (f *flink) address(component string, index int) string {
	f.w.Helper()
	var ip string
	f.until(fmt.Sprintf("address of %s %d", component, index+1), func() error {
		pods := f.of(component)
		if len(pods) <= index {
			return fmt.Errorf("%d pods of a %s", len(pods), component)
		}
		if ip = pods[index].Status.PodIP; ip == "" {
			return fmt.Errorf("%s has no address: %+v", pods[index].Metadata.Name, pods[index].Status)
		}
		return nil
	})
	return ip
}
