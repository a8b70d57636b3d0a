//go:build kubelet

package kubelet

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/test/cluster"
	"flink-entrypoint/test/container"
	"flink-entrypoint/test/flinkhome/homes"
	"flink-entrypoint/test/native"
)

// flink is a namespace for one cluster of Flink's native mode, and the client for it.
type flink struct {
	*observed
	version, home, java, dir string
	id                       string // the cluster's
}

// native makes a namespace, with the account that Flink's pods use: its rights are those that Flink's documentation names, the ClusterRole
// edit. labels are the namespace's.
func (w *world) native(version, id string, labels map[string]string) *flink {
	w.Helper()
	java, err := native.JavaHome()
	if err != nil {
		w.Fatal(err)
	}
	namespace := id + "-" + strings.ReplaceAll(version, ".", "-")
	w.create(server+"/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace, "labels": labels}})
	w.Cleanup(func() { w.removeNamespace(namespace) })
	f := &flink{observed: w.observe(namespace), version: version, home: homes.Home(w.T, version), java: java, dir: w.TempDir(), id: id}
	f.make("v1", "ServiceAccount", "flink", nil)
	f.make("rbac.authorization.k8s.io/v1", "RoleBinding", "flink", map[string]any{
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "flink", "namespace": namespace}}})
	return f
}

func (w *world) create(url string, object map[string]any) {
	w.Helper()
	if _, err := w.node.api.do(w.ctx, http.MethodPost, url+"?fieldValidation=Strict", object, nil); err != nil {
		w.Fatal(err)
	}
}

// make makes an object of the namespace.
func (f *flink) make(version, kind, name string, fields map[string]any) {
	f.w.Helper()
	object := map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"name": name}}
	maps.Copy(object, fields)
	f.w.create(within(f.namespace, version, kind), object)
}

// removeNamespace waits until everything in it is gone.
func (w *world) removeNamespace(namespace string) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	url := server + "/api/v1/namespaces/" + namespace
	if _, err := w.node.api.do(ctx, http.MethodDelete, url, nil, nil); err != nil {
		w.Error(err)
		return
	}
	err := w.node.poll(ctx, func() error {
		status, err := w.node.api.do(ctx, http.MethodGet, url, nil, nil)
		if err == nil {
			return fmt.Errorf("%w: the namespace %s is still there", cluster.ErrNotYet, namespace)
		}
		if status == http.StatusNotFound {
			return nil
		}
		return err
	})
	if err != nil {
		w.Error(err)
	}
}

// client runs a program of Flink's home on the node, for this cluster. What a pod of 1 CPU asks for would be a half of the node.
func (f *flink) client(program, command string, words ...string) {
	f.w.Helper()
	var argv []string
	if command != "" {
		argv = strings.Fields(command)
	}
	argv = append(argv, "-Dkubernetes.cluster-id="+f.id, "-Dkubernetes.namespace="+f.namespace, "-Dkubernetes.config.file="+filepath.Join(f.w.node.dir, "kubeconfig"),
		"-Dkubernetes.service-account=flink", "-Dkubernetes.rest-service.exposed.type=ClusterIP", "-Dkubernetes.container.image.ref="+container.SlimImage(f.version),
		"-Dkubernetes.container.image.pull-policy=Never", "-Dkubernetes.jobmanager.cpu.amount=0.5", "-Dkubernetes.jobmanager.cpu.limit-factor=4",
		"-Dkubernetes.taskmanager.cpu.amount=0.5", "-Dkubernetes.taskmanager.cpu.limit-factor=4", "-Dtaskmanager.numberOfTaskSlots=1")
	cmd := exec.CommandContext(f.w.ctx, filepath.Join(f.home, "bin", program), append(argv, words...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "JAVA_HOME=" + f.java, "FLINK_LOG_DIR=" + f.dir}
	cmd.Dir = f.dir
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		f.w.Fatalf("%s %s: %v\n%s", program, command, err, out)
	}
	f.w.Logf("%s %s: %.1f s", program, command, time.Since(begin).Seconds())
}

// application starts an application cluster: job is the jar, its options before it and its arguments after it.
func (f *flink) application(options []string, job ...string) {
	f.w.Helper()
	command := "run -t kubernetes-application"
	if strings.HasPrefix(f.version, "1.") { // from 2.0 on there is one command
		command = "run-application -t kubernetes-application"
	}
	f.client("flink", command, append(options, job...)...)
}

// template writes a pod template for both pods, and returns the options that name them.
func (f *flink) template(jobManager, taskManager map[string]any) []string {
	f.w.Helper()
	var options []string
	for role, spec := range map[string]map[string]any{"jobmanager": jobManager, "taskmanager": taskManager} {
		text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "template"}, "spec": spec})
		if err != nil {
			f.w.Fatal(err)
		}
		file := filepath.Join(f.dir, role+".yaml")
		if err := os.WriteFile(file, text, 0o644); err != nil {
			f.w.Fatal(err)
		}
		options = append(options, "-Dkubernetes.pod-template-file."+role+"="+file)
	}
	return options
}

// commands wants the pods to be started by Flink's own commands: the JobManager's by the Deployment, the TaskManagers' by the JobManager.
func (f *flink) commands(kind string) {
	f.w.Helper()
	for component, want := range map[string]struct{ command, owner string }{"jobmanager": {"kubernetes-jobmanager.sh " + kind, "ReplicaSet"}, "taskmanager": {"kubernetes-taskmanager.sh -D", "Deployment"}} {
		pods := f.of(component)
		if len(pods) == 0 {
			f.w.Errorf("there was no pod of a %s", component)
		}
		for _, p := range pods {
			words := slices.Concat(p.Spec.Containers[0].Command, p.Spec.Containers[0].Args)
			if len(words) != 4 || !slices.Equal(words[:3], []string{"/docker-entrypoint.sh", "bash", "-c"}) || !strings.HasPrefix(words[3], want.command) {
				f.w.Errorf("%s was started by %q, expected %s…", p.Metadata.Name, words, want.command)
			}
			if o := p.Metadata.OwnerReferences; len(o) != 1 || o[0].Kind != want.owner || p.Spec.NodeName != nodeName || p.Spec.ServiceAccountName != "flink" {
				f.w.Errorf("%s belongs to %+v and runs on %q as %q, expected a %s, %s, flink", p.Metadata.Name, o, p.Spec.NodeName, p.Spec.ServiceAccountName, want.owner, nodeName)
			}
		}
	}
}

// processes wants both JVMs to be the first process of their container: the command became Java, and no shell is left in between.
func (f *flink) processes(classes ...string) {
	f.w.Helper()
	found := map[string]string{}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		f.w.Fatal(err)
	}
	for _, dir := range dirs {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		words := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		for _, class := range classes {
			if !strings.HasSuffix(words[0], "/java") || !slices.Contains(words, class) {
				continue
			}
			status, err := os.ReadFile(filepath.Join(dir, "status"))
			if err != nil {
				f.w.Fatal(err)
			}
			_, after, _ := strings.Cut(string(status), "NSpid:")
			ids, _, _ := strings.Cut(after, "\n")
			if all := strings.Fields(ids); len(all) > 0 {
				found[class] = all[len(all)-1]
			}
		}
	}
	for _, class := range classes {
		if found[class] != "1" {
			f.w.Errorf("%s is process %q of its container, expected 1", class, found[class])
		}
	}
}

// ends waits until nothing of the cluster is left: the JobManager, or the test, deletes the Deployment, and the garbage collector what it owns.
// ConfigMaps of high availability have no owner: the last JobManager deletes them before it ends, so when its pod is gone, they are, too.
func (f *flink) ends() {
	f.w.Helper()
	const all = "type=flink-native-kubernetes"
	f.until("the Deployment and all that it owns are gone", func() error {
		for _, c := range []struct{ version, kind, selector string }{{"apps/v1", "Deployment", "app=" + f.id}, {"apps/v1", "ReplicaSet", "app=" + f.id}, {"v1", "Pod", "app=" + f.id},
			{"v1", "Service", all}, {"v1", "ConfigMap", all + ",configmap-type!=high-availability"}} {
			if left, err := f.names(c.version, c.kind, c.selector); err != nil || len(left) > 0 {
				return errors.Join(err, fmt.Errorf("left of %s: %q", c.kind, left))
			}
		}
		return nil
	})
	left, err := f.names("v1", "ConfigMap", all+",configmap-type=high-availability")
	switch {
	case err == nil && len(left) == 0:
	case err == nil && f.halted():
		f.w.Logf("Flink %s halted its JobManager before it removed %q", f.version, left)
	default:
		f.w.Errorf("ConfigMaps left of high availability: %q, %v", left, err)
	}
}

// halted tells whether the last JobManager, of Flink 1, was ended by Flink's own FatalExitExceptionHandler (-17, without the shutdown hooks).
// The JobManager deletes its Deployment before its ConfigMaps. When the garbage collector's SIGTERM comes in between, a thread of Flink 1.20.5 may
// throw, and the rest of the shutdown is left out.
func (f *flink) halted() bool {
	const exit = 239
	jobManagers := f.of("jobmanager")
	if len(jobManagers) == 0 || !strings.HasPrefix(f.version, "1.") {
		return false
	}
	last := jobManagers[len(jobManagers)-1].Status.ContainerStatuses
	return slices.ContainsFunc(last, func(c containerStatus) bool { how := c.ended(); return how != nil && how.ExitCode == exit })
}

// names returns the names of the objects of a kind in the namespace that have the labels.
func (f *flink) names(version, kind, selector string) (names []string, err error) {
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	_, err = f.w.node.api.do(f.w.ctx, http.MethodGet, within(f.namespace, version, kind)+"?labelSelector="+url.QueryEscape(selector), nil, &list)
	for _, o := range list.Items {
		names = append(names, o.Metadata.Name)
	}
	return names, err
}

// written are the lines with a prefix that the pods of a component have written.
func (f *flink) written(component, prefix string) []string {
	var lines []string
	for _, p := range f.of(component) {
		for line := range strings.Lines(f.log(p.Metadata.Name)) {
			if strings.HasPrefix(line, prefix) {
				lines = append(lines, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return lines
}

// rows wants the rows of the job Squares, each once.
func (f *flink) rows() {
	f.w.Helper()
	if rows := slices.Sorted(slices.Values(f.written("taskmanager", "square "))); !slices.Equal(rows, native.Rows()) {
		f.w.Errorf("rows %q, expected %q", rows, native.Rows())
	}
}

// squares compiles the job, and returns its jar.
func (f *flink) squares() string {
	f.w.Helper()
	jars, err := native.Job(f.dir, f.java, f.home)
	if err != nil {
		f.w.Fatal(err)
	}
	return filepath.Join(jars, "squares.jar")
}

// nativeApplication runs the pods of deploy/operator/native, which the operator would make, by Flink's own client, in a namespace that
// enforces the restricted Pod Security Standard. The job is a jar, with its class and its arguments from a definition.
func nativeApplication(version string) func(*world) {
	return func(w *world) {
		f := w.native(version, "application", map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
		var deployment struct {
			PodTemplate             podTemplate
			JobManager, TaskManager struct{ PodTemplate podTemplate }
		}
		configMap := ""
		for _, m := range w.overlay("deploy/operator/native", "") {
			switch m.Kind {
			case "ConfigMap":
				var meta struct{ Name string }
				if err := json.Unmarshal(m.JSON["metadata"], &meta); err != nil {
					w.Fatal(err)
				}
				configMap = meta.Name
			case "FlinkDeployment":
				if err := json.Unmarshal(m.JSON["spec"], &deployment); err != nil {
					w.Fatal(err)
				}
			}
		}
		jar, err := os.ReadFile(f.squares())
		if err != nil {
			w.Fatal(err)
		}
		arguments, err := json.Marshal(native.Arguments)
		if err != nil {
			w.Fatal(err)
		}
		f.make("v1", "Secret", "flink-s3", map[string]any{"stringData": map[string]any{"secret-key": "not a key"}})
		f.make("v1", "ConfigMap", configMap, map[string]any{
			"binaryData": map[string]any{"squares.jar": base64.StdEncoding.EncodeToString(jar)},
			"data": map[string]any{"definition.yaml": fmt.Sprintf(`apiVersion: flink-entrypoint/v1
name: squares
configuration: {s3.secret-key: {fromEnv: S3_SECRET_KEY}}
jar: {uri: /etc/flink-entrypoint/squares.jar, entryClass: Squares, args: %s}
`, arguments)}})
		options := f.template(deployment.PodTemplate.with(deployment.JobManager.PodTemplate), deployment.PodTemplate.with(deployment.TaskManager.PodTemplate))
		f.application(append(options, "-Dkubernetes.flink.log.dir=/tmp/log"), "local://"+boot.DefaultRunDir+"/usrlib/squares.jar")
		f.ends()
		f.commands("kubernetes-application")
		f.rows()
		if n := len(f.of("jobmanager")); n != 1 {
			w.Errorf("%d JobManagers, expected 1", n)
		}
		if n := strings.Count(f.log(f.of("jobmanager")[0].Metadata.Name), "reached terminal state FINISHED"); n != 1 {
			w.Errorf("the JobManager says %d times that a job is FINISHED, expected once", n)
		}
	}
}

// podTemplate is one of a FlinkDeployment. The operator merges two by position (see docs/operator.md): here a list has one element, whose
// fields are added.
type podTemplate struct{ Spec map[string]any }

func (p podTemplate) with(more podTemplate) map[string]any {
	spec, main := maps.Clone(p.Spec), maps.Clone(p.Spec["containers"].([]any)[0].(map[string]any))
	maps.Copy(main, more.Spec["containers"].([]any)[0].(map[string]any))
	spec["containers"] = []any{main}
	return spec
}

// nativeSession runs a job in a session cluster, which starts a TaskManager for it, and ends it when it is idle.
func nativeSession(version string) func(*world) {
	return func(w *world) {
		f := w.native(version, "session", nil)
		f.client("kubernetes-session.sh", "", "-Dresourcemanager.taskmanager-timeout=20000")
		// The Service, by its name: DNS, kube-proxy, pod.
		rest := &cluster.Cluster{Host: f.id + "-rest." + f.namespace, Rest: 8081}
		f.until("the JobManager answers at its Service", func() error {
			jobs, err := rest.Jobs(w.ctx)
			if err == nil && len(jobs) > 0 {
				return fmt.Errorf("jobs %+v", jobs)
			}
			return err
		})
		if n := len(f.of("taskmanager")); n != 0 {
			w.Errorf("%d TaskManagers before a job, expected 0", n)
		}
		f.client("flink", "run -t kubernetes-session", append([]string{"-c", "Squares", f.squares()}, native.Arguments...)...)
		f.processes("org.apache.flink.kubernetes.entrypoint.KubernetesSessionClusterEntrypoint", "org.apache.flink.kubernetes.taskmanager.KubernetesTaskExecutorRunner")
		jobs, err := rest.Jobs(w.ctx)
		if err != nil || len(jobs) != 1 || jobs[0].Name != "squares" || jobs[0].State != "FINISHED" {
			w.Errorf("jobs %+v, %v, expected squares FINISHED", jobs, err)
		}
		f.until("the idle TaskManager is gone", func() error {
			pods := f.of("taskmanager")
			if len(pods) != 1 || !pods[0].Gone {
				return fmt.Errorf("TaskManagers %+v", pods)
			}
			return nil
		})
		f.commands("kubernetes-session")
		f.rows()
		if _, err := w.node.api.do(w.ctx, http.MethodDelete, within(f.namespace, "apps/v1", "Deployment")+"/"+f.id, nil, nil); err != nil {
			w.Fatal(err)
		}
		f.ends()
	}
}
