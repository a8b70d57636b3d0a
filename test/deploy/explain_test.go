//go:build deploy

package deploy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flink-entrypoint/test/world"
)

// explained is what the program would do in a container of a manifest.
type explained struct {
	Role       string
	Definition *struct{ Name string }
	Memory     struct{ ProcessSize int64 }
	Config     struct{ Effective map[string]string }
	Warnings   []string
}

// plans gives the program the variables and the limit of every container, and asks what it would do: without a warning, in the size of
// the pod, at the addresses that the manifests mean.
func plans(t *testing.T, all map[string][]object, binary string) {
	home := t.TempDir()
	world.Write(t, home, world.Stub("2.2.1", world.Stock, ""), world.Files{"flink/plugins/metrics-prometheus/flink-metrics-prometheus-2.2.1.jar": ""})
	for folder, objects := range all {
		t.Run(folder, func(t *testing.T) {
			for _, objects := range clusters(objects) {
				plansOf(t, folder, objects, binary, home)
			}
		})
	}
}

// plansOf is the same for one cluster.
func plansOf(t *testing.T, folder string, objects []object, binary, home string) {
	highlyAvailable := slices.ContainsFunc(objects, func(o object) bool { return o.Kind == "Role" })
	ids := map[string]bool{}
	for _, o := range objects {
		if !o.workload() {
			continue
		}
		p := o.Spec.Template.Spec
		c := p.Containers[0]
		limit := bytesOf(t, c.Resources.Limits["memory"])
		words := c.Args
		if i := slices.IndexFunc(p.InitContainers, func(c containerSpec) bool { return c.Name == "render" }); i >= 0 {
			c = p.InitContainers[i]
			words = c.Args[1:]
		}
		e := explain(t, binary, home, &c, objects, limit, words)
		if e.Memory.ProcessSize != limit {
			t.Errorf("%s: %d bytes, the limit is %d", o.component(), e.Memory.ProcessSize, limit)
		}
		for _, w := range e.Warnings {
			if os.Getuid() == 0 && strings.HasPrefix(w, "running as root") {
				continue // this test does; the pods of the manifests do not (runAsNonRoot)
			}
			t.Errorf("%s: warns: %s", o.component(), w)
		}
		if strings.HasPrefix(folder, "deploy/overlays/") && !strings.Contains(folder, "session") && (e.Definition == nil || e.Definition.Name == "") {
			t.Errorf("%s: no definition", o.component())
		}
		want := map[string]string{"jobmanager.rpc.address": serviceOf(t, objects)}
		if o.component() == "taskmanager" {
			want["taskmanager.resource-id"] = "the-pod"
			want["taskmanager.rpc.port"] = "6122"
		}
		if highlyAvailable {
			delete(want, "jobmanager.rpc.address")
			if o.component() == "jobmanager" {
				want["jobmanager.rpc.address"] = "10.1.2.3"
				want["high-availability.jobmanager.port"] = "6123"
			}
			want["high-availability.type"] = "kubernetes"
			want["kubernetes.namespace"] = "the-namespace"
			ids[e.Config.Effective["high-availability.cluster-id"]] = true
			ids[e.Config.Effective["kubernetes.cluster-id"]] = true
		}
		if strings.Contains(folder, "reactive") && o.component() == "jobmanager" {
			want["scheduler-mode"] = "reactive"
		}
		if o.Kind == "StatefulSet" {
			want["execution.shutdown-on-application-finish"] = "false"
		}
		if fixed := portsOf(&o); slices.Contains(fixed, 6126) { // of the component network-policy
			want["metrics.internal.query-service.port"] = "6126"
			if o.component() == "taskmanager" {
				want["taskmanager.data.port"] = "6121"
				want["query.server.port"] = "6125"
			}
		}
		if slices.ContainsFunc(c.Ports, func(p port) bool { return p.Name == "metrics" }) { // of the component metrics
			want["metrics.reporter.prometheus.port"] = "9249,"
		}
		for key, value := range want {
			if have := e.Config.Effective[key]; have != value {
				t.Errorf("%s: %s is %q, expected %q", o.component(), key, have, value)
			}
		}
	}
	if highlyAvailable && (len(ids) != 1 || ids[""]) {
		t.Errorf("cluster ids %v, expected one", ids)
	}
}

// theSecret is the value of every key of a Secret.
const theSecret = "the-value-of-the-secret"

// explain runs the program with a container's variables, as the kubelet would set them.
func explain(t *testing.T, binary, home string, c *containerSpec, objects []object, limit int64, words []string) explained {
	t.Helper()
	dir := t.TempDir()
	world.Write(t, dir, world.Sysroot(limit, 0).In("sysroot"))
	env := []string{"PATH=/usr/bin:/bin", "FLINK_HOME=" + filepath.Join(home, "flink"), "JAVA_HOME=" + filepath.Join(home, "java"), "HOSTNAME=the-pod", "DISABLE_JEMALLOC=true",
		"FLINK_ENTRYPOINT_SYSROOT=" + filepath.Join(dir, "sysroot"), "FLINK_ENTRYPOINT_RUN_DIR=" + filepath.Join(dir, "run")}
	set := func(name, value string) {
		if name == "FLINK_ENTRYPOINT_DEFINITION" {
			value = definitionFile(t, dir, objects)
		}
		if name != "FLINK_ENTRYPOINT_DEFINITION_CACHE" { // of a service; here the file is at hand
			env = append(env, name+"="+value)
		}
	}
	for _, from := range c.EnvFrom {
		for _, o := range objects {
			if o.Kind == "ConfigMap" && o.Metadata.Name == from.ConfigMapRef.Name {
				for name, value := range o.Data {
					set(name, value)
				}
			}
		}
	}
	fields := map[string]string{"status.podIP": "10.1.2.3", "metadata.name": "the-pod", "metadata.namespace": "the-namespace"}
	for _, v := range c.Env {
		switch {
		case v.ValueFrom.FieldRef.FieldPath != "":
			set(v.Name, fields[v.ValueFrom.FieldRef.FieldPath])
		case v.ValueFrom.ResourceFieldRef.Resource != "":
			set(v.Name, strconv.FormatInt(limit, 10))
		case v.ValueFrom.SecretKeyRef.Key != "":
			set(v.Name, theSecret)
		default:
			set(v.Name, v.Value)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"--output", "json", "explain"}, words...)...)
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("explain %v: %v\n%s%s", words, err, out, stderr.Bytes())
	}
	var e explained
	if err := json.Unmarshal(out, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// definitionFile writes the definition that the ConfigMap holds, or the one whose digest it pins.
func definitionFile(t *testing.T, dir string, objects []object) string {
	t.Helper()
	for _, o := range objects {
		if text, ok := o.Data["definition.yaml"]; ok {
			path := filepath.Join(dir, "definition.yaml")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	return filepath.Join(root, "deploy", "overlays", "streaming-configmap", "definition.yaml")
}

// bytesOf reads the one form of size that the manifests use.
func bytesOf(t *testing.T, size string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSuffix(size, "Mi"), 10, 64)
	if err != nil {
		t.Fatalf("memory limit %q: expected MiB, as in 1600Mi", size)
	}
	return n << 20
}
