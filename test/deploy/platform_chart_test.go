//go:build deploy

package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/test/world"
)

// platformRelease is the release of the tests, and platformName what its objects are called.
const platformRelease, platformName = "prod", "prod-flink-platform"

// needed are the values that have no default.
func needed(more map[string]any) map[string]any {
	values := map[string]any{"clusters": map[string]any{"stateDir": "s3://bucket/flink"}}
	for key, value := range more {
		if m, ok := value.(map[string]any); ok && key == "clusters" {
			clusters := map[string]any{"stateDir": "s3://bucket/flink"}
			for k, v := range m {
				clusters[k] = v
			}
			values[key] = clusters
			continue
		}
		values[key] = value
	}
	return values
}

type values = map[string]any

// worker is a worker with everything that can be set.
var worker = values{"version": "1.20", "image": "registry.example.com/flink-workbench:1.20", "replicas": 3, "cpu": "2", "memory": "6Gi", "settings": values{"FLINK_PLATFORM_WARM": "2"}}

// platformCases: each value of the chart platform, and what it does: a path into the objects and the text there, as JSON, is expected; nil: nothing is there.
var platformCases = []struct {
	name   string
	values values
	want   map[string]any
}{
	{"defaults", nil, map[string]any{
		"Deployment prod-flink-platform/spec/replicas":                                                 1.0,
		"Deployment prod-flink-platform/spec/strategy/type":                                            "Recreate",
		"Deployment prod-flink-platform/spec/template/spec/containers/0/image":                         "flink-platform:latest",
		"Deployment prod-flink-platform/spec/template/spec/volumes/0/persistentVolumeClaim/claimName":  "prod-flink-platform-data",
		"Deployment prod-flink-platform/spec/template/spec/containers/0/env":                           nil,
		"Deployment prod-flink-platform/spec/template/spec/initContainers/0/env":                       nil,
		"Deployment prod-flink-platform/spec/template/spec/volumes/2/secret/secretName":                "prod-flink-platform-admin",
		"PersistentVolumeClaim prod-flink-platform-data/spec/resources/requests/storage":               "10Gi",
		"PersistentVolumeClaim prod-flink-platform-data/spec/storageClassName":                         nil,
		"PersistentVolumeClaim prod-flink-platform-data/metadata/annotations/helm.sh~1resource-policy": "keep",
		"Service prod-flink-platform/spec/type":                                                        "ClusterIP",
		"Service prod-flink-platform/spec/ports/0/port":                                                8088.0,
		"PodDisruptionBudget prod-flink-platform/spec/maxUnavailable":                                  1.0,
		"NetworkPolicy prod-flink-platform/spec/ingress/0/from":                                        nil,
		"Ingress prod-flink-platform":                                                                  nil,
		"ServiceMonitor prod-flink-platform":                                                           nil,
		"NetworkPolicy prod-flink-platform-workbench":                                                  nil,
		"Secret prod-flink-platform-workbench":                                                         nil,
		"ServiceAccount flink/metadata/namespace":                                                      "default",
		"RoleBinding prod-flink-platform/subjects/0/name":                                              platformName,
		"args --url":           "http://prod-flink-platform.default.svc:8088",
		"args --namespace":     "default",
		"args --image":         "flink-entrypoint:{version}-slim",
		"args --flink-version": "2.2",
		"args --state-dir":     "s3://bucket/flink",
		"args --state-claim":   nil,
		"args --kustomize":     nil,
		"args --workbench":     nil,
	}},
	{"PostgreSQL", values{"replicas": 3, "store": values{"postgres": values{"secretName": "database"}}}, map[string]any{
		"Deployment prod-flink-platform/spec/replicas":                                                3.0,
		"Deployment prod-flink-platform/spec/strategy/type":                                           "RollingUpdate",
		"Deployment prod-flink-platform/spec/template/spec/volumes/0":                                 map[string]any{"name": "data", "emptyDir": map[string]any{}},
		"Deployment prod-flink-platform/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef": map[string]any{"name": "database", "key": "url"},
		"Deployment prod-flink-platform/spec/template/spec/initContainers/0/env/0/name":               "FLINK_PLATFORM_STORE",
		"Deployment prod-flink-platform/spec/template/spec/topologySpreadConstraints/0/topologyKey":   "kubernetes.io/hostname",
		"PersistentVolumeClaim prod-flink-platform-data":                                              nil,
	}},
	{"key of the database", values{"store": values{"postgres": values{"secretName": "database", "secretKey": "dsn"}}}, map[string]any{
		"Deployment prod-flink-platform/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef/key": "dsn"}},
	{"volume", values{"store": values{"sqlite": values{"size": "1Ti", "storageClass": "fast"}}}, map[string]any{
		"PersistentVolumeClaim prod-flink-platform-data/spec/resources/requests/storage": "1Ti",
		"PersistentVolumeClaim prod-flink-platform-data/spec/storageClassName":           "fast"}},
	{"volume of one's own", values{"store": values{"sqlite": values{"existingClaim": "mine"}}}, map[string]any{
		"PersistentVolumeClaim prod-flink-platform-data":                                              nil,
		"Deployment prod-flink-platform/spec/template/spec/volumes/0/persistentVolumeClaim/claimName": "mine"}},
	{"image", values{"image": values{"repository": "registry.example.com:5000/p", "tag": "1"}, "imagePullSecrets": []any{values{"name": "registry"}}}, map[string]any{
		"Deployment prod-flink-platform/spec/template/spec/containers/0/image":     "registry.example.com:5000/p:1",
		"Deployment prod-flink-platform/spec/template/spec/initContainers/0/image": "registry.example.com:5000/p:1",
		"Deployment prod-flink-platform/spec/template/spec/imagePullSecrets":       []any{map[string]any{"name": "registry"}}}},
	{"token", values{"adminToken": values{"secretName": "mine", "secretKey": "admin.token"}}, map[string]any{
		"Secret prod-flink-platform-admin":                                   nil,
		"Deployment prod-flink-platform/spec/template/spec/volumes/2/secret": map[string]any{"secretName": "mine", "items": []any{map[string]any{"key": "admin.token", "path": "token"}}}}},
	{"url", values{"url": "https://flink.example.com"}, map[string]any{"args --url": "https://flink.example.com"}},
	{"settings", values{"settings": values{"FLINK_PLATFORM_KEEP_RUNS": "60d", "FLINK_PLATFORM_MAX_STREAMS": "50"}}, map[string]any{
		"Deployment prod-flink-platform/spec/template/spec/containers/0/env": []any{map[string]any{"name": "FLINK_PLATFORM_KEEP_RUNS", "value": "60d"}, map[string]any{"name": "FLINK_PLATFORM_MAX_STREAMS", "value": "50"}}}},
	{"resources", values{"resources": values{"cpu": "2", "memory": "2Gi"}}, map[string]any{
		"Deployment prod-flink-platform/spec/template/spec/containers/0/resources": map[string]any{"requests": map[string]any{"cpu": "2"}, "limits": map[string]any{"memory": "2Gi"}}}},
	{"clusters", values{"clusters": values{"namespace": "flink", "account": false, "image": "registry.example.com/flink:{version}", "flinkVersion": "1.20", "stateDir": "file:///state", "stateClaim": "shared",
		"kustomize": values{"kustomization.yaml": "kind: Component\n# {{ .Values }}\n", "patch.yaml": "{}"}}}, map[string]any{
		"args --namespace":     "flink",
		"args --image":         "registry.example.com/flink:{version}",
		"args --flink-version": "1.20",
		"args --state-dir":     "file:///state",
		"args --state-claim":   "shared",
		"args --kustomize":     "/etc/flink-platform/kustomize",
		"ServiceAccount flink": nil, "Role flink-high-availability": nil, "RoleBinding flink-high-availability": nil,
		"ServiceAccount prod-flink-platform/metadata/namespace": nil, // of the release
		"Role prod-flink-platform/metadata/namespace":           "flink",
		"RoleBinding prod-flink-platform/metadata/namespace":    "flink",
		"RoleBinding prod-flink-platform/subjects/0/namespace":  "default",
		"ConfigMap kustomize/data/kustomization.yaml":           "kind: Component\n# {{ .Values }}\n",
		"ConfigMap kustomize/data/patch.yaml":                   "{}"}},
	{"workers", values{"workbench": values{"workers": []any{values{"version": "2.2", "image": "flink-workbench:2.2"}, worker}}}, map[string]any{
		"args --workbench":            "2.2=http://prod-flink-platform-workbench-2-2:8089 1.20=http://prod-flink-platform-workbench-1-20:8089",
		"args --workbench-token-file": "/run/secrets/workbench/token",
		"Deployment prod-flink-platform-workbench-2-2/spec/replicas":                                           1.0,
		"Deployment prod-flink-platform-workbench-2-2/spec/template/spec/automountServiceAccountToken":         false,
		"Deployment prod-flink-platform-workbench-2-2/spec/template/spec/serviceAccountName":                   nil,
		"Deployment prod-flink-platform-workbench-2-2/spec/template/spec/containers/0/env":                     nil,
		"Deployment prod-flink-platform-workbench-2-2/spec/template/spec/containers/0/resources/limits/memory": "3Gi",
		"Deployment prod-flink-platform-workbench-1-20/spec/replicas":                                          3.0,
		"Deployment prod-flink-platform-workbench-1-20/spec/template/spec/containers/0/image":                  "registry.example.com/flink-workbench:1.20",
		"Deployment prod-flink-platform-workbench-1-20/spec/template/spec/containers/0/resources":              map[string]any{"requests": map[string]any{"cpu": "2"}, "limits": map[string]any{"memory": "6Gi"}},
		"Deployment prod-flink-platform-workbench-1-20/spec/template/spec/containers/0/env/0":                  map[string]any{"name": "FLINK_PLATFORM_WARM", "value": "2"},
		"NetworkPolicy prod-flink-platform-workbench/spec/policyTypes":                                         []any{"Ingress", "Egress"},
		"NetworkPolicy prod-flink-platform-workbench/spec/ingress/0/from/0/podSelector/matchLabels/component":  "server",
		"NetworkPolicy prod-flink-platform-workbench/spec/egress/1":                                            nil,
		"Service prod-flink-platform-workbench-1-20/spec/selector/flink":                                       "1.20"}},
	{"token of workers", values{"workbench": values{"workers": []any{worker}, "tokenSecretName": "mine"}}, map[string]any{
		"Secret prod-flink-platform-workbench":                                                         nil,
		"Deployment prod-flink-platform-workbench-1-20/spec/template/spec/volumes/1/secret/secretName": "mine",
		"Deployment prod-flink-platform/spec/template/spec/volumes/3/secret/secretName":                "mine"}},
	{"service", values{"service": values{"type": "LoadBalancer", "port": 80}}, map[string]any{
		"Service prod-flink-platform/spec/type":         "LoadBalancer",
		"Service prod-flink-platform/spec/ports/0/port": 80.0,
		"args --url": "http://prod-flink-platform.default.svc:80"}},
	{"ingress", values{"ingress": values{"enabled": true, "host": "flink.example.com", "className": "nginx", "tlsSecretName": "cert", "annotations": values{"a/b": "off"}}}, map[string]any{
		"Ingress prod-flink-platform/spec/ingressClassName":                          "nginx",
		"Ingress prod-flink-platform/spec/rules/0/host":                              "flink.example.com",
		"Ingress prod-flink-platform/spec/tls/0":                                     map[string]any{"hosts": []any{"flink.example.com"}, "secretName": "cert"},
		"Ingress prod-flink-platform/metadata/annotations/a~1b":                      "off",
		"Ingress prod-flink-platform/spec/rules/0/http/paths/0/backend/service/name": platformName}},
	{"ingress without TLS", values{"ingress": values{"enabled": true, "host": "flink.example.com"}}, map[string]any{
		"Ingress prod-flink-platform/spec/ingressClassName": nil,
		"Ingress prod-flink-platform/spec/tls":              nil}},
	{"no budget", values{"disruptionBudget": values{"enabled": false}}, map[string]any{"PodDisruptionBudget prod-flink-platform": nil}},
	{"no policies", values{"networkPolicy": values{"enabled": false}, "workbench": values{"workers": []any{worker}}}, map[string]any{
		"NetworkPolicy prod-flink-platform": nil, "NetworkPolicy prod-flink-platform-workbench": nil}},
	{"policies", values{"workbench": values{"workers": []any{worker}}, "networkPolicy": values{"from": []any{values{"podSelector": values{"matchLabels": values{"app": "proxy"}}}}, "workersTo": []any{values{"to": []any{values{"ipBlock": values{"cidr": "10.0.0.5/32"}}}}}}}, map[string]any{
		"NetworkPolicy prod-flink-platform/spec/ingress/0/from/0/podSelector/matchLabels/app": "flink",
		"NetworkPolicy prod-flink-platform/spec/ingress/0/from/1/podSelector/matchLabels/app": "proxy",
		"NetworkPolicy prod-flink-platform-workbench/spec/egress/1/to/0/ipBlock/cidr":         "10.0.0.5/32"}},
	{"monitor", values{"serviceMonitor": values{"enabled": true, "interval": "15s", "tokenSecretName": "prometheus"}}, map[string]any{
		"ServiceMonitor prod-flink-platform/spec/endpoints/0": map[string]any{"port": "http", "path": "/metrics", "interval": "15s", "authorization": map[string]any{"credentials": map[string]any{"name": "prometheus", "key": "token"}}}}},
	{"pods", values{"workbench": values{"workers": []any{worker}}, "env": []any{values{"name": "PGSSLROOTCERT", "value": "/ca/ca.crt"}}, "volumes": []any{values{"name": "ca", "configMap": values{"name": "ca"}}},
		"volumeMounts": []any{values{"name": "ca", "mountPath": "/ca"}}, "podAnnotations": values{"a": "b"}, "nodeSelector": values{"disk": "ssd"}, "tolerations": []any{values{"key": "flink", "operator": "Exists"}}}, map[string]any{
		"Deployment prod-flink-platform/spec/template/spec/containers/0/env/0/value":                  "/ca/ca.crt",
		"Deployment prod-flink-platform/spec/template/spec/initContainers/0/env/0/value":              "/ca/ca.crt",
		"Deployment prod-flink-platform/spec/template/spec/containers/0/volumeMounts/3/mountPath":     "/ca",
		"Deployment prod-flink-platform/spec/template/spec/initContainers/0/volumeMounts/3/mountPath": "/ca",
		"Deployment prod-flink-platform/spec/template/spec/volumes/4/configMap/name":                  "ca",
		"Deployment prod-flink-platform/spec/template/metadata/annotations/a":                         "b",
		"Deployment prod-flink-platform/spec/template/spec/nodeSelector/disk":                         "ssd",
		"Deployment prod-flink-platform/spec/template/spec/tolerations/0/key":                         "flink",
		"Deployment prod-flink-platform-workbench-1-20/spec/template/metadata/annotations/a":          "b",
		"Deployment prod-flink-platform-workbench-1-20/spec/template/spec/nodeSelector/disk":          "ssd",
		"Deployment prod-flink-platform-workbench-1-20/spec/template/spec/tolerations/0/key":          "flink",
		"Deployment prod-flink-platform-workbench-1-20/spec/template/spec/containers/0/env/1":         nil}},
}

// TestPlatformChart renders the chart platform with each value, checks the objects against Kubernetes' schemas, and looks at what each value does.
func TestPlatformChart(t *testing.T) {
	tools, err := openTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	program, home := helm(t, helmModule), t.TempDir()
	streams := map[string]string{}
	for _, c := range platformCases {
		if streams[c.name], err = renderPlatform(t, program, home, platformRelease, needed(c.values)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
	}
	answers, err := tools.check(t.Context(), streams, versions...)
	if err != nil {
		t.Fatal(err)
	}
	flags := platformFlags(t)
	used := map[string]bool{}
	for _, c := range platformCases {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range answers[c.name].Problems {
				t.Error(p)
			}
			found := platformObjects(t, answers[c.name].Objects)
			for path, want := range c.want {
				if got := found.at(path); !cmp.Equal(got, want) {
					t.Errorf("%s is %v, expected %v", path, got, want)
				}
			}
			restrictedPods(t, answers[c.name].Objects)
			references(t, answers[c.name].Objects)
			sameAsImages(t, answers[c.name].Objects)
			knownArguments(t, answers[c.name].Objects, flags)
			for key := range leaves("", needed(c.values)) {
				used[key] = true
			}
		})
	}
	for _, key := range chartValues(t, "platform") {
		if !used[key] {
			t.Errorf("no case sets %s", key)
		}
	}
}

func renderPlatform(t *testing.T, program, home, release string, v values) (string, error) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return runHelm(t.Context(), program, home, "template", release, filepath.Join(root, "deploy", "chart", "platform"), "-f", file)
}

// rendered objects, by kind and name.
type manifestsByName map[string]any

func platformObjects(t *testing.T, objects []object) manifestsByName {
	t.Helper()
	found := manifestsByName(byName(t, objects))
	for key, o := range found {
		if strings.HasPrefix(key, "ConfigMap "+platformName+"-kustomize-") { // it ends in a digest
			found["ConfigMap kustomize"] = o
		}
	}
	return found
}

// at returns what is at "Kind name/path/of/it", in which ~1 is a slash in a key, or the argument of the server: "args --flag"; nil: nothing.
func (m manifestsByName) at(path string) any {
	if flag, ok := strings.CutPrefix(path, "args "); ok {
		var all []string
		args, _ := m.at("Deployment " + platformName + "/spec/template/spec/containers/0/args").([]any)
		for _, a := range args {
			if value, ok := strings.CutPrefix(a.(string), flag+"="); ok {
				all = append(all, value)
			}
		}
		if all == nil {
			return nil
		}
		return strings.Join(all, " ")
	}
	words := strings.Split(path, "/")
	value := m[words[0]]
	for _, word := range words[1:] {
		word = strings.ReplaceAll(word, "~1", "/")
		switch v := value.(type) {
		case map[string]any:
			value = v[word]
		case []any:
			var i int
			if _, err := fmt.Sscan(word, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// restrictedPods: what Kubernetes' restricted profile asks of each pod.
func restrictedPods(t *testing.T, objects []object) {
	t.Helper()
	pods := 0
	for _, o := range objects {
		if !o.workload() {
			continue
		}
		pods++
		p := o.Spec.Template.Spec
		if s := p.SecurityContext; !s.RunAsNonRoot || s.RunAsUser == 0 || s.SeccompProfile.Type != "RuntimeDefault" {
			t.Errorf("%s: security context of the pod: %+v", o.Metadata.Name, s)
		}
		for _, c := range slices.Concat(p.InitContainers, p.Containers) {
			if s := c.SecurityContext; !s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
				t.Errorf("%s: security context of %s: %+v", o.Metadata.Name, c.Name, s)
			}
			if c.Resources.Limits["memory"] == "" || c.Resources.Requests["cpu"] == "" || c.Resources.Limits["cpu"] != "" {
				t.Errorf("%s: resources of %s: %+v", o.Metadata.Name, c.Name, c.Resources)
			}
		}
	}
	if pods == 0 {
		t.Error("no pods")
	}
}

// references: each selector selects pods of one workload kind, and each mount has its volume.
func references(t *testing.T, objects []object) {
	t.Helper()
	for i := range objects {
		o := &objects[i]
		for _, s := range selectors(t, o) {
			selected := 0
			for j := range objects {
				if w := &objects[j]; w.workload() && within(s.labels, w.Spec.Template.Metadata.Labels) {
					selected++
					if (s.labels["component"] == "server") != (w.Metadata.Name == platformName) {
						t.Errorf("%s %s: %s selects the pods of %s", o.Kind, o.Metadata.Name, s.path, w.Metadata.Name)
					}
				}
			}
			// Pods of clusters, namespaces and proxies are not of the chart; a ServiceMonitor selects the Service.
			foreign := s.labels["app"] != "flink-platform" || o.Kind == "ServiceMonitor"
			if selected == 0 && !foreign || o.workload() && s.path == "spec.selector.matchLabels" && selected != 1 {
				t.Errorf("%s %s: %s %v selects the pods of %d workloads", o.Kind, o.Metadata.Name, s.path, s.labels, selected)
			}
			for name := range s.labels {
				if strings.HasPrefix(name, recommended) {
					t.Errorf("%s %s selects by %s, which other tools may change", o.Kind, o.Metadata.Name, name)
				}
			}
		}
		if !o.workload() {
			continue
		}
		volumes := map[string]bool{}
		for _, v := range o.Spec.Template.Spec.Volumes {
			volumes[v.Name] = true
		}
		for _, c := range slices.Concat(o.Spec.Template.Spec.InitContainers, o.Spec.Template.Spec.Containers) {
			for _, m := range c.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("%s: %s mounts %s, which is not a volume of the pod", o.Metadata.Name, c.Name, m.Name)
				}
			}
		}
		if account := o.Spec.Template.Spec.ServiceAccountName; account != "" && !has(objects, "ServiceAccount", account) {
			t.Errorf("%s: no ServiceAccount %s", o.Metadata.Name, account)
		}
		for _, kind := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
			path, _ := manifestsByName(byName(t, objects)).at("Deployment " + o.Metadata.Name + "/spec/template/spec/containers/0/" + kind + "/httpGet/path").(string)
			if !slices.Contains(api.Patterns(), "GET "+path) {
				t.Errorf("%s: the %s asks %q, which the program does not have", o.Metadata.Name, kind, path)
			}
		}
	}
}

// platformFlags are the flags of the commands of flink-platform that the chart runs: command → flags.
func platformFlags(t *testing.T) map[string][]string {
	t.Helper()
	binary := world.Build(t, "cmd/flink-platform")
	found := map[string][]string{}
	for _, command := range []string{"serve", "token make", "workbench"} {
		out, err := exec.CommandContext(t.Context(), binary, append([]string{"help"}, strings.Fields(command)...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("help %s: %v\n%s", command, err, out)
		}
		for _, m := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`).FindAllStringSubmatch(string(out), -1) {
			found[command] = append(found[command], m[1])
		}
	}
	return found
}

// sameAsImages: programs and users of the pods are the ones of the images.
func sameAsImages(t *testing.T, objects []object) {
	t.Helper()
	for _, o := range objects {
		if !o.workload() {
			continue
		}
		name := "Dockerfile.platform"
		if o.component() == "workbench" {
			name = "Dockerfile.workbench"
		}
		text, err := os.ReadFile(filepath.Join(root, "docker", name))
		if err != nil {
			t.Fatal(err)
		}
		p := o.Spec.Template.Spec
		if want := fmt.Sprintf("\nUSER %d:%d\n", p.SecurityContext.RunAsUser, p.SecurityContext.FSGroup); !strings.Contains(string(text), want) {
			t.Errorf("%s: the user %d is not the one of docker/%s", o.Metadata.Name, p.SecurityContext.RunAsUser, name)
		}
		for _, c := range slices.Concat(p.InitContainers, p.Containers) {
			if want := fmt.Sprintf("\nENTRYPOINT [%q]\n", strings.Join(c.Command, " ")); !strings.Contains(string(text), want) {
				t.Errorf("%s: the program %q of %s is not the one of docker/%s", o.Metadata.Name, c.Command, c.Name, name)
			}
		}
	}
}

// knownArguments: each argument and each variable is one that the program has.
func knownArguments(t *testing.T, objects []object, flags map[string][]string) {
	t.Helper()
	for _, o := range objects {
		if !o.workload() {
			continue
		}
		for _, c := range slices.Concat(o.Spec.Template.Spec.InitContainers, o.Spec.Template.Spec.Containers) {
			command := c.Args[0]
			if command == "token" {
				command = "token make"
			}
			for _, arg := range c.Args {
				flag, _, _ := strings.Cut(arg, "=")
				if name, ok := strings.CutPrefix(flag, "--"); ok && !slices.Contains(flags[command], name) {
					t.Errorf("%s: flink-platform %s has no flag %s, but %v", o.Metadata.Name, command, flag, flags[command])
				}
			}
			for _, v := range c.Env {
				if name, ok := strings.CutPrefix(v.Name, "FLINK_PLATFORM_"); ok && !slices.Contains(flags[command], strings.ToLower(strings.ReplaceAll(name, "_", "-"))) {
					t.Errorf("%s: flink-platform %s has no flag for %s", o.Metadata.Name, command, v.Name)
				}
			}
		}
	}
}

// leaves are the values that are set, by their place.
func leaves(place string, v any) map[string]bool {
	found := map[string]bool{}
	m, ok := v.(map[string]any)
	if !ok {
		found[place] = true
		return found
	}
	for key, value := range m {
		at := strings.TrimPrefix(place+"."+key, ".")
		found[at] = true
		for below := range leaves(at, value) {
			found[below] = true
		}
	}
	return found
}

// chartValues are the places of the values that the schema of a chart describes.
func chartValues(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "chart", name, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Description string
		Properties  map[string]json.RawMessage
	}
	var walk func(place string, text json.RawMessage) []string
	walk = func(place string, text json.RawMessage) (found []string) {
		var s schema
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		for key, p := range s.Properties {
			if key != "global" {
				found = append(found, walk(strings.TrimPrefix(place+"."+key, "."), p)...)
			}
		}
		if len(s.Properties) == 0 {
			found = append(found, place)
		}
		return found
	}
	found := walk("", text)
	if len(found) < 20 {
		t.Fatalf("only %d values: %v", len(found), found)
	}
	slices.Sort(found)
	return found
}

// TestPlatformChartRefuses: what does not fit together, and what the schema does not allow, is refused with a sentence that names the value.
func TestPlatformChartRefuses(t *testing.T) {
	program, home := helm(t, helmModule), t.TempDir()
	for _, c := range []struct {
		name   string
		values values
		want   []string
	}{
		{"SQLite and replicas", needed(values{"replicas": 2}), []string{"replicas is 2 and the store is SQLite, which one server uses: set store.postgres.secretName, or replicas to 1"}},
		{"no state", values{}, []string{"clusters.stateDir is not set", "s3://BUCKET/PATH"}},
		{"state of each pod", values{"clusters": values{"stateDir": "file:///state"}}, []string{"clusters.stateDir is file:///state, which each pod has for itself: set clusters.stateClaim"}},
		{"component", needed(values{"clusters": values{"kustomize": values{"patch.yaml": ""}}}), []string{"clusters.kustomize has no kustomization.yaml"}},
		{"ingress", needed(values{"ingress": values{"enabled": true}}), []string{"ingress.enabled is true and ingress.host is not set"}},
		{"metrics without a token", needed(values{"serviceMonitor": values{"enabled": true}}), []string{"serviceMonitor.enabled is true and serviceMonitor.tokenSecretName is not set"}},
		{"a version twice", needed(values{"workbench": values{"workers": []any{worker, worker}}}), []string{"workbench.workers has Flink 1.20 twice"}},
		{"unknown value", needed(values{"replica": 1}), []string{"additional properties 'replica' not allowed"}},
		{"no replicas", needed(values{"replicas": 0}), []string{"/replicas", "minimum: got 0, want 1"}},
		{"replicas as text", needed(values{"replicas": "2"}), []string{"/replicas", "got string, want integer"}},
		{"URL of the database in the values", needed(values{"store": values{"postgres": values{"url": "postgres://u:p@h/d"}}}), []string{"/store/postgres", "additional properties 'url' not allowed"}},
		{"a path after the URL", needed(values{"url": "https://example.com/flink"}), []string{"/url", "does not match pattern"}},
		{"an unknown setting", needed(values{"settings": values{"KEEP_RUNS": "1d"}}), []string{"'KEEP_RUNS' does not match pattern"}},
		{"a setting as a number", needed(values{"settings": values{"FLINK_PLATFORM_WARM": 1}}), []string{"/settings/FLINK_PLATFORM_WARM", "got number, want string"}},
		{"version", needed(values{"clusters": values{"flinkVersion": "2.2.1"}}), []string{"/clusters/flinkVersion", "'2.2.1' does not match pattern"}},
		{"worker without image", needed(values{"workbench": values{"workers": []any{values{"version": "2.2"}}}}), []string{"/workbench/workers/0", "missing property 'image'"}},
		{"image without tag", needed(values{"workbench": values{"workers": []any{values{"version": "2.2", "image": "flink"}}}}), []string{"/workbench/workers/0/image"}},
		{"service", needed(values{"service": values{"type": "ExternalName"}}), []string{"/service/type", "value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"}},
		{"size", needed(values{"store": values{"sqlite": values{"size": "10GB"}}}), []string{"/store/sqlite/size", "'10GB' does not match pattern"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := renderPlatform(t, program, home, platformRelease, c.values)
			if err == nil {
				t.Fatalf("rendered:\n%s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
	if _, err := renderPlatform(t, program, home, strings.Repeat("a", 30), needed(nil)); err == nil || !strings.Contains(err.Error(), "has 45 characters, expected at most 42") {
		t.Errorf("a long name: %v", err)
	}
	// A release that is called like the program has its name.
	out, err := renderPlatform(t, program, home, "flink-platform", needed(nil))
	if err != nil || !strings.Contains(out, `name: "flink-platform"`) || strings.Contains(out, "flink-platform-flink-platform") {
		t.Errorf("%v\n%s", err, out)
	}
}
