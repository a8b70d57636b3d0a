//go:build deploy

package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/test/world"
)

// flinkDeployment is the object of the Flink Kubernetes operator, in the parts that the tests look at.
type flinkDeployment struct {
	Image, FlinkVersion, Mode string
	FlinkConfiguration        map[string]string
	Job                       map[string]any
	JobManager, TaskManager   struct {
		Resource    struct{ Memory string }
		PodTemplate template
	}
	PodTemplate template
}

const mainContainer = "flink-main-container"

// operatorRoles are the roles of the pods by the mode, JobManager first.
func operatorRoles() map[string][2]string {
	return map[string][2]string{"native": {"kubernetes-application", "kubernetes-taskmanager"}, "standalone": {"standalone-job", "taskmanager"}}
}

// TestOperator builds the examples for the Flink Kubernetes operator, holds them against its definition of the kind, and asks the program
// what it would do in their pods.
func TestOperator(t *testing.T) {
	tools, err := openTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := folders(root, "deploy/operator")
	if err != nil || len(all) != len(operatorRoles()) {
		t.Fatalf("%v: %v", all, err)
	}
	answers := buildAndCheck(t, tools, all)
	text, err := os.ReadFile(filepath.Join(root, "docs", "operator.md"))
	if err != nil {
		t.Fatal(err)
	}
	flags, binary := knownFlags(t), world.Binary(t)
	for folder, answer := range answers {
		t.Run(folder, func(t *testing.T) {
			for _, p := range answer.Problems {
				t.Error(p)
			}
			if !strings.Contains(string(text), folder) {
				t.Errorf("the page does not name %s", folder)
			}
			operated(t, answer.Objects, filepath.Base(folder), flags, binary)
		})
	}
}

// TestOperatorSchema: the check of a FlinkDeployment sees a wrong name, a wrong type and a version that there is not.
func TestOperatorSchema(t *testing.T) {
	tools, err := openTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good, err := tools.build(t.Context(), filepath.Join(root, "deploy/operator/native"))
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string][2]string{
		"name":             {"upgradeMode:", "upgrademode:"},
		"type":             {"parallelism: 1", "parallelism: one"},
		"version":          {"flinkVersion: v2_2", "flinkVersion: v9_9"},
		"name in the pods": {"volumeMounts:", "volumemounts:"},
	}
	streams := map[string]string{}
	for what, change := range changes {
		if streams[what] = strings.Replace(good, change[0], change[1], 1); streams[what] == good {
			t.Fatalf("%s: the example has no %q", what, change[0])
		}
	}
	answers, err := tools.check(t.Context(), streams, versions...)
	if err != nil {
		t.Fatal(err)
	}
	for what := range changes {
		if len(answers[what].Problems) != 1 {
			t.Errorf("a wrong %s: problems %q, expected one", what, answers[what].Problems)
		}
	}
}

// operated looks at one example.
func operated(t *testing.T, objects []object, mode string, flags []string, binary string) {
	i := slices.IndexFunc(objects, func(o object) bool { return o.Kind == "FlinkDeployment" })
	if i < 0 {
		t.Fatal("no FlinkDeployment")
	}
	var d flinkDeployment
	if err := json.Unmarshal(objects[i].raw["spec"], &d); err != nil {
		t.Fatal(err)
	}
	if d.Mode != mode || d.FlinkVersion != "v2_2" || !strings.HasPrefix(d.Image, "flink-entrypoint:2.2-") || d.Job["jarURI"] != nil {
		t.Errorf("mode %s, version %s, image %s, job %v", d.Mode, d.FlinkVersion, d.Image, d.Job)
	}
	p := d.PodTemplate.Spec
	if !p.SecurityContext.RunAsNonRoot || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" || len(p.Containers) != 1 || p.Containers[0].Name != mainContainer {
		t.Fatalf("pods: %+v", p)
	}
	c := p.Containers[0]
	if s := c.SecurityContext; !s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("security context: %+v", s)
	}
	for _, v := range c.Env {
		if strings.HasPrefix(v.Name, "FLINK_ENTRYPOINT_") && !slices.Contains(flags, v.Name) {
			t.Errorf("no flag answers to %s", v.Name)
		}
	}
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
		if name := v.ConfigMap.Name; name != "" && !has(objects, "ConfigMap", name) {
			t.Errorf("no ConfigMap %s", name)
		}
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("no volume %s", m.Name)
		}
	}
	for j, pod := range []template{d.JobManager.PodTemplate, d.TaskManager.PodTemplate} {
		role := operatorRoles()[mode][j]
		if len(pod.Spec.Containers) != 1 || pod.Spec.Containers[0].Name != mainContainer {
			t.Fatalf("%s: containers %+v", role, pod.Spec.Containers)
		}
		own := pod.Spec.Containers[0]
		want := []string{"/usr/local/bin/flink-entrypoint", "health", role}
		if !slices.Equal(own.StartupProbe.Exec.Command, want) || !slices.Equal(own.LivenessProbe.Exec.Command, want) {
			t.Errorf("%s: probes %q, %q", role, own.StartupProbe.Exec.Command, own.LivenessProbe.Exec.Command)
		}
		if own.Env != nil || own.VolumeMounts != nil {
			t.Errorf("%s: lists beside the lists of all pods, which the operator merges by position", role)
		}
		planned(t, d, mode, role, &c, objects, binary)
	}
}

// planned asks the program for its plan with the configuration that the operator writes for this object.
func planned(t *testing.T, d flinkDeployment, mode, role string, c *containerSpec, objects []object, binary string) {
	memory := [2]string{d.JobManager.Resource.Memory, d.TaskManager.Resource.Memory}
	config := world.Stock
	for key, value := range d.FlinkConfiguration {
		config += fmt.Sprintf("%s: %q\n", key, value)
	}
	config += "kubernetes.cluster-id: clicks\n$internal.flink.version: v2_2\n$internal.pipeline.job-id: 0000000000000000000000000000000a\n"
	for key, value := range map[string]string{"jobmanager.memory.process.size": memory[0], "taskmanager.memory.process.size": memory[1], "jobmanager.rpc.address": "clicks.the-namespace"} {
		config = replaceKey(config, key, value)
	}
	home := t.TempDir()
	world.Write(t, home, world.Stub("2.2.1", config, ""))
	var size int64
	if _, err := fmt.Sscanf(memory[map[bool]int{false: 0, true: 1}[strings.Contains(role, "taskmanager")]], "%dm", &size); err != nil {
		t.Fatal(err)
	}
	e := explain(t, binary, home, c, objects, 2*size<<20, []string{role}) // a limit above the size, as a limit factor makes it
	if e.Role != role || e.Definition == nil || e.Definition.Name != "clicks-per-page" {
		t.Errorf("%s: explained as %s with the definition %+v", role, e.Role, e.Definition)
	}
	if role != "kubernetes-taskmanager" && e.Memory.ProcessSize != size<<20 { // whose sizes are in its arguments
		t.Errorf("%s: %d bytes, the operator's size is %d", role, e.Memory.ProcessSize, size<<20)
	}
	if role == "kubernetes-application" {
		if main := e.Config.Effective["$internal.application.main"]; main != "flinkentrypoint.SqlRunner" {
			t.Errorf("the main class is %q", main)
		}
		if jars := e.Config.Effective["pipeline.jars"]; !strings.HasPrefix(jars, "local:///") || !strings.HasSuffix(jars, "/flink-entrypoint-sql-runner.jar") {
			t.Errorf("pipeline.jars is %q", jars)
		}
		if id := e.Config.Effective["$internal.pipeline.job-id"]; id != "0000000000000000000000000000000a" {
			t.Errorf("the operator's job id became %q", id)
		}
	}
	for key, value := range e.Config.Effective {
		if strings.Contains(value, theSecret) {
			t.Errorf("%s shows the secret in %s", role, key)
		}
	}
	if _, ok := e.Config.Effective["s3.secret-key"]; !ok {
		t.Errorf("%s: no key from the Secret", role)
	}
}

// replaceKey sets a key of a flat configuration.
func replaceKey(config, key, value string) string {
	var kept strings.Builder
	for line := range strings.Lines(config) {
		if !strings.HasPrefix(line, key+":") {
			kept.WriteString(line)
		}
	}
	return kept.String() + key + ": " + value + "\n"
}
