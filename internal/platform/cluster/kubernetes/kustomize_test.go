//go:build deploy

package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"flink-entrypoint/test/deploy"
)

// TestKustomize: the objects of a run are those that "kubectl apply -k" would send of the same folders, with an operator's component, too; and they
// match the schemas of the oldest and the newest version of Kubernetes.
func TestKustomize(t *testing.T) {
	component := t.TempDir()
	if err := os.WriteFile(filepath.Join(component, kustomization), []byte(`apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {labelSelector: app=flink, kind: Deployment|StatefulSet|Job}
    patch: |
      - {op: add, path: /spec/template/spec/nodeSelector, value: {pool: flink}}
      - {op: add, path: /spec/template/spec/imagePullSecrets, value: [{name: registry}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := deploy.Build(t.Context(), "../../../../deploy/platform/rights"); err != nil {
		t.Error(err)
	}
	for name, s := range specs {
		for _, more := range []string{"", component} {
			d := &Driver{o: options}
			d.o.Component = more
			ours, err := d.manifests(s)
			if err != nil {
				t.Fatal(err)
			}
			files, err := d.files(s)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := files.Walk("/", func(path string, info os.FileInfo, err error) error {
				if err != nil || info.IsDir() {
					return err
				}
				b, err := files.ReadFile(path)
				if err != nil {
					return err
				}
				to := filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
					return err
				}
				return os.WriteFile(to, b, 0o600)
			}); err != nil {
				t.Fatal(err)
			}
			text, err := deploy.Build(t.Context(), filepath.Join(dir, "run"))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			built := map[string]any{}
			for _, one := range strings.Split(text, "\n---\n") {
				var o struct {
					Kind     string
					Metadata struct{ Name string }
				}
				var whole any
				for _, into := range []any{&o, &whole} {
					if err := yaml.Unmarshal([]byte(one), into); err != nil {
						t.Fatal(err)
					}
				}
				if o.Kind == "Job" { // the platform makes its pod
					pod, err := podOfJob(&unstructured.Unstructured{Object: whole.(map[string]any)})
					if err != nil {
						t.Fatal(err)
					}
					o.Kind, whole = "Pod", pod.Object
				}
				built[o.Kind+"/"+o.Metadata.Name] = whole
			}
			if len(built) != len(ours) {
				t.Errorf("%s: %d objects, kustomize makes %d", name, len(ours), len(built))
			}
			for _, o := range ours {
				a, err1 := yaml.Marshal(o.Object)
				b, err2 := yaml.Marshal(built[o.GetKind()+"/"+o.GetName()])
				if err1 != nil || err2 != nil || string(a) != string(b) {
					t.Errorf("%s: %s %s is\n%s\nkustomize makes\n%s", name, o.GetKind(), o.GetName(), a, b)
				}
				if more != "" && strings.Contains(string(a), "containers:") && !strings.Contains(string(a), "pool: flink") {
					t.Errorf("%s: %s has nothing of the operator's component", name, o.GetName())
				}
			}
		}
	}
}
