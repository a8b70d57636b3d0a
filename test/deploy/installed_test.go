//go:build kubernetes

package deploy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/test/controlplane"
	"flink-entrypoint/test/freeport"
	"flink-entrypoint/test/world"
)

// TestInstalled installs, upgrades and uninstalls the charts on a real API server with its controllers, in namespaces that enforce the restricted
// Pod Security Standard.
func TestInstalled(t *testing.T) {
	for _, module := range []string{helmModule, helm3Module} {
		t.Run(path.Base(module), func(t *testing.T) {
			api := controlplane.Start(t)
			c := &installer{t: t, api: api, helm: helm(t, module), home: t.TempDir(), kubeconfig: api.Kubeconfig("helm", "the-test", "default")}
			for _, name := range []string{"platform", "flink"} {
				if out := c.run(t, "lint", "--strict", chartFolder(name)); strings.Contains(out, "[WARNING]") || !strings.Contains(out, "0 chart(s) failed") {
					t.Error(out)
				}
			}
			t.Run("platform", c.platform)
			t.Run("flink", c.flink)
		})
	}
}

type installer struct {
	t          *testing.T
	api        *controlplane.Server
	helm, home string
	kubeconfig string
	namespace  string
}

func (c *installer) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := runHelm(t.Context(), c.helm, c.home, append(args, "--kubeconfig", c.kubeconfig, "--namespace", c.namespace)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func chartFolder(name string) string { return filepath.Join(root, "deploy", "chart", name) }

// restricted makes a namespace for a test.
func (c *installer) restricted(t *testing.T, name string) {
	t.Helper()
	c.namespace = name
	c.do(t, http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": name, "labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"}}}, nil)
}

func (c *installer) do(t *testing.T, method, path string, body, into any) {
	t.Helper()
	b, err := c.api.Do(t.Context(), method, path, "", body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
}

// left are the objects of a namespace, as Kind/name, without what Kubernetes itself makes there, and without what controllers make.
func (c *installer) left(t *testing.T) []string {
	t.Helper()
	var found []string
	var groups struct {
		Groups []struct{ PreferredVersion struct{ GroupVersion string } }
	}
	c.do(t, http.MethodGet, "/apis", nil, &groups)
	paths := []string{"/api/v1"}
	for _, g := range groups.Groups {
		paths = append(paths, "/apis/"+g.PreferredVersion.GroupVersion)
	}
	for _, path := range paths {
		var resources struct {
			Resources []struct {
				Name, Kind string
				Namespaced bool
				Verbs      []string
			}
		}
		c.do(t, http.MethodGet, path, nil, &resources)
		for _, r := range resources.Resources {
			if !r.Namespaced || !slices.Contains(r.Verbs, "list") || r.Kind == "Event" {
				continue
			}
			var list struct {
				Items []struct {
					Metadata struct {
						Name            string
						OwnerReferences []any
					}
				}
			}
			c.do(t, http.MethodGet, path+"/namespaces/"+c.namespace+"/"+r.Name, nil, &list)
			for _, o := range list.Items {
				if name := r.Kind + "/" + o.Metadata.Name; len(o.Metadata.OwnerReferences) == 0 && name != "ServiceAccount/default" && name != "ConfigMap/kube-root-ca.crt" && r.Kind != "Endpoints" {
					found = append(found, name)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// await waits until f has nothing to say against it.
func (c *installer) await(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// pods waits until the controllers have made a number of pods with these labels. A pod that the restricted standard forbids is not made.
func (c *installer) pods(t *testing.T, selector string, n int) {
	t.Helper()
	c.await(t, selector, func() error {
		var list struct {
			Items []struct {
				Metadata struct{ DeletionTimestamp string }
			}
		}
		c.do(t, http.MethodGet, "/api/v1/namespaces/"+c.namespace+"/pods?labelSelector="+selector, nil, &list)
		alive := 0
		for _, p := range list.Items {
			if p.Metadata.DeletionTimestamp == "" {
				alive++
			}
		}
		if alive != n {
			return fmt.Errorf("%d pods, expected %d", alive, n)
		}
		return nil
	})
}

func (c *installer) secret(t *testing.T, name string) string {
	t.Helper()
	var s struct{ Data map[string]string }
	c.do(t, http.MethodGet, "/api/v1/namespaces/"+c.namespace+"/secrets/"+name, nil, &s)
	token, err := base64.StdEncoding.DecodeString(s.Data["token"])
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

func (c *installer) platform(t *testing.T) {
	c.restricted(t, "platform")
	workers := "workbench.workers=[{\"version\": \"2.2\", \"image\": \"flink-workbench:2.2\"}]"
	notes := c.run(t, "install", "prod", chartFolder("platform"), "--set", "clusters.stateDir=s3://bucket/flink", "--set-json", workers)
	for _, want := range []string{"rollout status deployment/prod-flink-platform", "get secret prod-flink-platform-admin", "delete persistentvolumeclaim prod-flink-platform-data"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes do not say %q:\n%s", want, notes)
		}
	}
	c.pods(t, "component=server", 1)
	c.pods(t, "component=workbench", 1)
	admin, workbench := c.secret(t, "prod-flink-platform-admin"), c.secret(t, "prod-flink-platform-workbench")
	if !strings.HasPrefix(admin, "fp_") || len(admin) != 46 || len(workbench) != 43 || strings.Contains(notes, admin) {
		t.Errorf("tokens of %d and %d characters, or shown by the notes", len(admin), len(workbench))
	}
	c.rights(t)
	c.serves(t, admin)

	// To PostgreSQL, with three servers. The tokens stay.
	c.do(t, http.MethodPost, "/api/v1/namespaces/platform/secrets", map[string]any{"metadata": map[string]any{"name": "database"}, "stringData": map[string]any{"url": "postgres://u:p@db/platform"}}, nil)
	c.run(t, "upgrade", "prod", chartFolder("platform"), "--reuse-values", "--set", "replicas=3,store.postgres.secretName=database")
	c.pods(t, "component=server", 4) // the one before goes when a new one is ready, and without a kubelet none gets ready
	if a, w := c.secret(t, "prod-flink-platform-admin"), c.secret(t, "prod-flink-platform-workbench"); a != admin || w != workbench {
		t.Error("an upgrade has made new tokens")
	}
	if !slices.Contains(c.left(t), "PersistentVolumeClaim/prod-flink-platform-data") {
		t.Error("the store of SQLite is gone with the upgrade")
	}
	c.run(t, "rollback", "prod", "1")
	c.run(t, "uninstall", "prod")
	want := []string{"PersistentVolumeClaim/prod-flink-platform-data", "Secret/database"}
	c.await(t, "what an uninstall leaves", func() error {
		if left := c.left(t); !slices.Equal(left, want) {
			return fmt.Errorf("%v, expected %v", left, want)
		}
		return nil
	})
	// The same release again has the same store.
	c.run(t, "install", "prod", chartFolder("platform"), "--set", "clusters.stateDir=s3://bucket/flink")
	c.run(t, "uninstall", "prod")
}

// serves runs the containers of the server's pod as processes of this machine, with the account of the pod: its arguments are right, and its rights
// are enough for the cluster of a job, whose pods the controllers can make.
func (c *installer) serves(t *testing.T, admin string) {
	t.Helper()
	var d struct {
		Spec struct {
			Template struct {
				Spec struct {
					ServiceAccountName         string
					InitContainers, Containers []struct{ Args []string }
				}
			}
		}
	}
	c.do(t, http.MethodGet, "/apis/apps/v1/namespaces/platform/deployments/prod-flink-platform", nil, &d)
	pod, dir := d.Spec.Template.Spec, t.TempDir()
	for name, content := range map[string]string{"admin/token": admin, "workbench/token": c.secret(t, "prod-flink-platform-workbench")} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	address := freeport.Address(t)
	here := strings.NewReplacer("=/data", "="+filepath.Join(dir, "data"), "=/run/secrets/", "="+dir+"/", "=0.0.0.0:8088", "="+address)
	command := func(args []string, more ...string) *exec.Cmd {
		args = slices.Clone(args)
		for i, a := range args {
			args[i] = here.Replace(a)
		}
		cmd := exec.CommandContext(t.Context(), world.Build(t, "cmd/flink-platform"), append(args, more...)...)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir}
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		return cmd
	}
	for range 2 { // a pod that starts again finds its token
		if out, err := command(pod.InitContainers[0].Args).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("the initContainer: %v\n%s", err, out)
		}
	}
	server := command(pod.Containers[0].Args, "--kubeconfig", c.api.Kubeconfig("server", c.api.TokenOf(t.Context(), "platform", pod.ServiceAccountName), "platform"))
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		server.Process.Signal(os.Interrupt)
		if err := server.Wait(); err != nil || t.Failed() {
			t.Errorf("the server: %v\n%s", err, log.Bytes())
		}
	}()
	ask := func(method, path, body string) error {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+admin)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if answer, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
			return fmt.Errorf("%s %s: %s %s", method, path, resp.Status, answer)
		}
		return nil
	}
	c.await(t, "the server", func() error { return ask(http.MethodGet, "/readyz", "") })
	definition, err := os.ReadFile(filepath.Join(root, "deploy", "overlays", "bounded-configmap", "definition.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ method, path, body string }{{http.MethodPut, "/v1/jobs/squares", string(definition)}, {http.MethodPost, "/v1/jobs/squares/start", "{}"}} {
		if err := ask(r.method, r.path, r.body); err != nil {
			t.Fatal(err)
		}
	}
	c.pods(t, "flink-platform/job=squares,component=jobmanager", 1)
	c.await(t, "TaskManagers", func() error {
		var list struct{ Items []any }
		c.do(t, http.MethodGet, "/api/v1/namespaces/platform/pods?labelSelector=flink-platform/job=squares,component=taskmanager", nil, &list)
		if len(list.Items) == 0 {
			return errors.New("no pods")
		}
		return nil
	})
	if err := ask(http.MethodPost, "/v1/jobs/squares/stop", `{"mode": "cancel"}`); err != nil {
		t.Fatal(err)
	}
	c.await(t, "the end of the cluster", func() error {
		for _, name := range c.left(t) {
			if strings.Contains(name, "/run-") {
				return errors.New(name + " is still there")
			}
		}
		return nil
	})
}

// rights: the account of the server may do what it needs in its namespace, and nothing else.
func (c *installer) rights(t *testing.T) {
	t.Helper()
	may := func(account, verb, group, resource, subresource, namespace string) bool {
		var review struct{ Status struct{ Allowed bool } }
		c.do(t, http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", map[string]any{"spec": map[string]any{"user": "system:serviceaccount:platform:" + account,
			"resourceAttributes": map[string]any{"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource}}}, &review)
		return review.Status.Allowed
	}
	for _, r := range []struct {
		account, verb, group, resource, subresource string
		want                                        bool
	}{
		{"prod-flink-platform", "create", "batch", "jobs", "", false},
		{"prod-flink-platform", "patch", "apps", "statefulsets", "", true},
		{"prod-flink-platform", "delete", "apps", "deployments", "", true},
		{"prod-flink-platform", "create", "", "services", "", true},
		{"prod-flink-platform", "watch", "", "configmaps", "", true},
		{"prod-flink-platform", "create", "", "secrets", "", true},
		{"prod-flink-platform", "watch", "", "pods", "", true},
		{"prod-flink-platform", "get", "", "pods", "log", true},
		{"prod-flink-platform", "get", "", "secrets", "", false},
		{"prod-flink-platform", "list", "", "secrets", "", false},
		{"prod-flink-platform", "create", "", "pods", "", true},
		{"prod-flink-platform", "create", "", "pods", "exec", false},
		{"prod-flink-platform", "create", "rbac.authorization.k8s.io", "roles", "", false},
		{"flink", "create", "", "configmaps", "", true},
		{"flink", "get", "", "secrets", "", false},
		{"default", "get", "", "pods", "", false},
	} {
		if got := may(r.account, r.verb, r.group, r.resource, r.subresource, "platform"); got != r.want {
			t.Errorf("%s may %s %s/%s: %v, expected %v", r.account, r.verb, r.resource, r.subresource, got, r.want)
		}
		if r.want && may(r.account, r.verb, r.group, r.resource, r.subresource, "default") {
			t.Errorf("%s may %s %s/%s in other namespaces", r.account, r.verb, r.resource, r.subresource)
		}
	}
}

func (c *installer) flink(t *testing.T) {
	c.restricted(t, "flink")
	definition := filepath.Join(t.TempDir(), "job.yaml")
	write := func(text string) {
		if err := os.WriteFile(definition, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	example, err := os.ReadFile(filepath.Join(root, "deploy", "overlays", "streaming-high-availability", "definition.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(string(example))
	args := []string{chartFolder("flink"), "--set", "cluster=streaming,highAvailability.enabled=true,disruptionBudget.enabled=true,networkPolicy.enabled=true,topologySpread.enabled=true", "--set-file", "definition.inline=" + definition}
	c.run(t, append([]string{"install", "orders"}, args...)...)
	c.pods(t, "component=jobmanager", 2)
	c.pods(t, "component=taskmanager", 2)
	definitions := func() (found []string) {
		for _, name := range c.left(t) {
			if strings.HasPrefix(name, "ConfigMap/") {
				found = append(found, name)
			}
		}
		return found
	}
	before := definitions()
	write(string(example) + "# changed\n")
	c.run(t, append([]string{"upgrade", "orders"}, args...)...)
	after := definitions()
	if len(before) != 1 || len(after) != 1 || before[0] == after[0] {
		t.Errorf("definitions before and after an upgrade: %v, %v", before, after)
	}
	// A second release beside it, of another kind.
	c.run(t, "install", "shared", chartFolder("flink"), "--set", "taskManager.replicas=1")
	c.pods(t, "component=jobmanager,cluster=shared", 1)
	c.pods(t, "component=taskmanager,cluster=shared", 1)
	c.run(t, "uninstall", "shared")
	c.run(t, "uninstall", "orders")
	want := []string{"PersistentVolumeClaim/orders-flink-state"}
	c.await(t, "what an uninstall leaves", func() error {
		if left := c.left(t); !slices.Equal(left, want) {
			return fmt.Errorf("%v, expected %v", left, want)
		}
		return nil
	})
}
