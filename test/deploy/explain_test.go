//go:build deploy

package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
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
	home := stubHome(t)
	for folder, objects := range all {
		t.Run(folder, func(t *testing.T) {
			clusters := map[string]bool{}
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
					t.Errorf("%s: warns: %s", o.component(), w)
				}
				if strings.HasPrefix(folder, "deploy/overlays/") && !strings.Contains(folder, "session") && (e.Definition == nil || e.Definition.Name == "") {
					t.Errorf("%s: no definition", o.component())
				}
				want := map[string]string{"jobmanager.rpc.address": "flink-jobmanager"}
				if o.component() == "taskmanager" {
					want["taskmanager.resource-id"] = "the-pod"
					want["taskmanager.rpc.port"] = "6122"
				}
				if strings.Contains(folder, "high-availability") {
					delete(want, "jobmanager.rpc.address")
					if o.component() == "jobmanager" {
						want["jobmanager.rpc.address"] = "10.1.2.3"
						want["high-availability.jobmanager.port"] = "6123"
					}
					want["high-availability.type"] = "kubernetes"
					want["kubernetes.namespace"] = "the-namespace"
					clusters[e.Config.Effective["high-availability.cluster-id"]] = true
					clusters[e.Config.Effective["kubernetes.cluster-id"]] = true
				}
				if strings.Contains(folder, "reactive") && o.component() == "jobmanager" {
					want["scheduler-mode"] = "reactive"
				}
				if o.Kind == "StatefulSet" {
					want["execution.shutdown-on-application-finish"] = "false"
				}
				for key, value := range want {
					if have := e.Config.Effective[key]; have != value {
						t.Errorf("%s: %s is %q, expected %q", o.component(), key, have, value)
					}
				}
			}
			if strings.Contains(folder, "high-availability") && (len(clusters) != 1 || clusters[""]) {
				t.Errorf("cluster ids %v, expected one", clusters)
			}
		})
	}
}

// explain runs the program with a container's variables, as the kubelet would set them.
func explain(t *testing.T, binary, home string, c *containerSpec, objects []object, limit int64, words []string) explained {
	t.Helper()
	dir := t.TempDir()
	env := []string{"PATH=/usr/bin:/bin", "FLINK_HOME=" + filepath.Join(home, "flink"), "JAVA_HOME=" + filepath.Join(home, "java"), "HOSTNAME=the-pod", "DISABLE_JEMALLOC=true",
		"FLINK_ENTRYPOINT_SYSROOT=" + sysroot(t, limit), "FLINK_ENTRYPOINT_RUN_DIR=" + filepath.Join(dir, "run")}
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

// stubHome makes a Flink home and a Java of empty files, which is all that explain looks at.
func stubHome(t *testing.T) string {
	t.Helper()
	stock, err := os.ReadFile(filepath.Join(root, "cmd", "flink-entrypoint", "testdata", "stock-config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"flink/lib/flink-dist-2.2.1.jar": "", "flink/bin/config.sh": "", "flink/plugins/README.txt": "", "flink/conf/config.yaml": string(stock),
		"flink/conf/log4j-console.properties": "", "java/release": "JAVA_VERSION=\"17.0.15\"\n", "java/bin/java": "#!/bin/sh\n"})
	return dir
}

// sysroot makes the /proc and /sys of a container with a memory limit.
func sysroot(t *testing.T, limit int64) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "24 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "proc/meminfo": "MemTotal:       25165824 kB\n",
		"sys/fs/cgroup/cgroup.controllers": "cpu memory\n", "sys/fs/cgroup/memory.max": fmt.Sprintf("%d\n", limit), "sys/fs/cgroup/cpu.max": "max 100000\n"})
	return dir
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
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
