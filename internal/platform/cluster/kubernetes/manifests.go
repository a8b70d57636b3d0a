package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"flink-entrypoint/deploy"
	"flink-entrypoint/internal/platform/cluster"
)

// Labels of every object of a run, and of its pods.
const (
	labelInstance = "flink-platform/instance"
	labelRun      = "flink-platform/run"
	labelJob      = "flink-platform/job"
	labelTeam     = "flink-platform/team"
	labelObject   = "flink-platform/object" // of the ConfigMap that is the run itself: "run"
)

// Names in the manifests of deploy/, and places in the containers.
const (
	containerName  = "flink"
	jobManagerName = "flink-jobmanager"
	runName        = "flink-run"
	tokenName      = "flink-definition"
	restPort       = 8081
	stateDir       = "/state"
	secretsDir     = "/run/secrets"
	tokenFile      = "/etc/flink-entrypoint/token"
	haAccount      = "flink"
)

// prefixOf is before the name of each object of a run. A Service's name begins with a letter.
func prefixOf(run string) string { return "run-" + run + "-" }

// Folders of the file system that kustomize reads.
const (
	treeRoot      = "/deploy"
	operatorRoot  = "/operator"
	kustomization = "kustomization.yaml"
)

// runID is what a run may be called: it is a part of names, and ends there at the next hyphen.
var runID = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

// manifests builds the objects of a run: a folder of deploy/platform with a kustomization made of the spec, as "kubectl apply -k" would. The run
// itself is the first object.
func (d *Driver) manifests(s cluster.Spec) ([]*unstructured.Unstructured, error) {
	files, err := d.files(s)
	if err != nil {
		return nil, err
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/run")
	if err != nil {
		return nil, fmt.Errorf("the manifests of the run cannot be built: %w", err)
	}
	var all []*unstructured.Unstructured
	for _, r := range built.Resources() {
		b, err := r.MarshalJSON()
		if err != nil {
			return nil, err
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(b); err != nil {
			return nil, err
		}
		if o.GetKind() == "Job" {
			if o, err = podOfJob(o); err != nil {
				return nil, err
			}
		}
		if o.GetKind() == "ConfigMap" && o.GetLabels()[labelObject] == "run" {
			all = slices.Insert(all, 0, o)
		} else {
			all = append(all, o)
		}
	}
	if len(all) == 0 || all[0].GetName() != prefixOf(s.Run)+runName {
		return nil, errors.New("the manifests of the run have no ConfigMap " + prefixOf(s.Run) + runName)
	}
	return all, nil
}

// podOfJob is the pod of a Job, under the Job's name. A Job with backoffLimit 0 can make a second pod: when the API server dies between what its
// controller writes about the end of the first one (seen on 1.32). Without high availability that would run the job from its beginning, so nothing
// but the platform makes this pod, and it makes it once.
func podOfJob(job *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	spec, there, err := unstructured.NestedMap(job.Object, "spec", "template", "spec")
	if err != nil || !there {
		return nil, errors.Join(errors.New("the manifests of the run have a Job without a template"), err)
	}
	labels, _, err := unstructured.NestedStringMap(job.Object, "spec", "template", "metadata", "labels")
	pod := &unstructured.Unstructured{Object: object{"apiVersion": "v1", "kind": "Pod", "spec": spec}}
	pod.SetName(job.GetName())
	pod.SetNamespace(job.GetNamespace())
	pod.SetLabels(labels)
	return pod, err
}

// files are the manifests of deploy/, the operator's component, and the kustomization of the run.
func (d *Driver) files(s cluster.Spec) (filesys.FileSystem, error) {
	if !runID.MatchString(s.Run) {
		return nil, fmt.Errorf("%q is not the id of a run", s.Run)
	}
	files := filesys.MakeFsInMemory()
	err := fs.WalkDir(deploy.Files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := deploy.Files.ReadFile(name)
		if err != nil {
			return err
		}
		return files.WriteFile(path.Join(treeRoot, name), b)
	})
	if err == nil {
		err = d.operatorFiles(files)
	}
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(d.kustomization(s), "", "  ") // JSON is YAML
	if err != nil {
		return nil, err
	}
	return files, files.WriteFile("/run/"+kustomization, b)
}

// operatorFiles are what the operator adds to each run.
func (d *Driver) operatorFiles(files filesys.FileSystem) error {
	if d.o.Component == "" {
		return nil
	}
	const most = 1 << 20
	left := int64(most)
	return filepath.WalkDir(d.o.Component, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := os.Stat(name) // a ConfigMap that is mounted has links
		if err != nil || info.IsDir() {
			return err
		}
		if left -= info.Size(); left < 0 {
			return fmt.Errorf("%s has more than %d bytes", d.o.Component, most)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(d.o.Component, name)
		if err != nil {
			return err
		}
		return files.WriteFile(path.Join(operatorRoot, filepath.ToSlash(rel)), b)
	})
}

type object = map[string]any

// kustomization is what kustomize reads for a run.
func (d *Driver) kustomization(s cluster.Spec) object {
	base := "job"
	if s.Session {
		base = "session"
	}
	if s.ClusterID != "" {
		base += "-high-availability"
	}
	components := []string{"../deploy/platform/" + base}
	if d.o.Component != "" {
		components = append(components, ".."+operatorRoot)
	}
	labels := object{
		"app.kubernetes.io/instance": s.Run, "app.kubernetes.io/managed-by": "flink-platform",
		labelInstance: d.o.Instance, labelRun: s.Run,
	}
	for label, value := range map[string]string{"app.kubernetes.io/part-of": s.Job, labelJob: s.Job, labelTeam: s.Team} {
		if value != "" {
			labels[label] = value
		}
	}
	name, tag := splitImage(d.image(s))
	image := object{"name": "flink-entrypoint", "newName": name}
	if digest, ok := strings.CutPrefix(tag, "sha256:"); ok {
		image["digest"] = "sha256:" + digest
	} else {
		image["newTag"] = tag
	}
	return object{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"components": components,
		"namespace":  d.o.Namespace,
		"namePrefix": prefixOf(s.Run),
		"labels": []object{
			{"pairs": object{"cluster": s.Run}, "includeSelectors": true},
			{"pairs": labels, "includeTemplates": true},
		},
		"images": []object{image},
		"configMapGenerator": []object{{
			"name": tokenName, "literals": d.variables(s),
			"options": object{"disableNameSuffixHash": true}, // nothing of a run ever changes
		}},
		"patches": []object{
			patch("component=jobmanager", d.jobManager(s)),
			patch("component=taskmanager", d.taskManager(s)),
			patch("app=flink", d.pod(s)),
		},
	}
}

// image is the name of the image for a definition.
func (d *Driver) image(s cluster.Spec) string {
	version := s.Flink
	if version == "" {
		version = d.o.FlinkVersion
	}
	return strings.ReplaceAll(d.o.Image, "{version}", version)
}

// splitImage splits registry:5000/name:tag and name@sha256:….
func splitImage(image string) (name, tag string) {
	if name, digest, ok := strings.Cut(image, "@"); ok {
		return name, digest
	}
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i], image[i+1:]
	}
	return image, "latest"
}

// variables are the flags of both roles. A TaskManager has nothing to report; it reads the definition.
func (d *Driver) variables(s cluster.Spec) []string {
	var all []string
	add := func(name, value string) {
		if value != "" {
			all = append(all, "FLINK_ENTRYPOINT_"+name+"="+value)
		}
	}
	if s.Definition != "" {
		add("DEFINITION", s.Definition)
		add("DEFINITION_TOKEN_FILE", tokenFile)
		add("DEFINITION_SHA256", s.Digest)
	}
	if s.Events != "" {
		add("RUN", s.Run)
		add("EVENTS_URL", s.Events)
		add("EVENTS_TOKEN_FILE", tokenFile)
	}
	return all
}

// An operation of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func patch(selector string, operations []operation) object {
	b, err := json.Marshal(operations)
	if err != nil {
		panic(err) // texts and numbers only
	}
	return object{"target": object{"labelSelector": selector, "kind": "Deployment|StatefulSet|Job"}, "patch": string(b)}
}

const container = "/spec/template/spec/containers/0"

func argument(word string) operation { return operation{"add", container + "/args/-", word} }

func variable(name, value string) operation {
	return operation{"add", container + "/env/-", object{"name": name, "value": value}}
}

// size sets what a container gets: the entrypoint reads the limit, so that the pod and Flink have one figure.
func size(s cluster.Size) []operation {
	var all []operation
	if s.Memory > 0 {
		all = append(all, operation{"replace", container + "/resources/limits/memory", bytesOf(s.Memory)})
	}
	if s.CPU != "" {
		all = append(all, operation{"replace", container + "/resources/requests/cpu", s.CPU})
	}
	return all
}

// bytesOf writes a number of bytes as Kubernetes does, exactly.
func bytesOf(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}} {
		if n%unit.size == 0 {
			return strconv.FormatInt(n/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func (d *Driver) jobManager(s cluster.Spec) []operation {
	all := size(s.JobManager)
	if s.ClusterID != "" {
		all = append(all, operation{"replace", "/spec/replicas", max(s.JobManagers, 1)})
	} else {
		// Its pod never starts a second process, so the pod's id is the attempt's.
		all = append(all, operation{"add", container + "/env/-", object{"name": "FLINK_ENTRYPOINT_ATTEMPT", "valueFrom": object{"fieldRef": object{"fieldPath": "metadata.uid"}}}})
	}
	settings := d.settings(s)
	if s.Session {
		// Up to Flink 1.20 the first two words after this role are the host and the port of the web page, whatever they look like.
		properties := ""
		for _, word := range settings {
			key, value, _ := strings.Cut(strings.TrimPrefix(word, "-D"), "=")
			properties += key + ": " + value + "\n"
		}
		if properties != "" {
			all = append(all, variable("FLINK_PROPERTIES", properties))
		}
		return all
	}
	words := []string{"-Dweb.submit.enable=false"}
	if s.JobID != "" {
		words = append(words, "--job-id", s.JobID)
	}
	switch {
	case s.NoSavepoint:
		words = append(words, "--fromSavepoint", "")
	case s.Savepoint != "":
		words = append(words, "--fromSavepoint", s.Savepoint)
		if s.AllowNonRestored {
			words = append(words, "--allowNonRestoredState")
		}
	}
	for _, word := range append(words, settings...) {
		all = append(all, argument(word))
	}
	return all
}

func (d *Driver) taskManager(s cluster.Spec) []operation {
	all := append(size(s.TaskManager), operation{"replace", "/spec/replicas", max(s.TaskManagers, 1)})
	if s.Slots > 0 {
		all = append(all, variable("FLINK_ENTRYPOINT_SLOTS", strconv.Itoa(s.Slots)))
	}
	for _, word := range d.settings(s) {
		all = append(all, argument(word))
	}
	return all
}

// settings are of both roles.
func (d *Driver) settings(s cluster.Spec) []string {
	var all []string
	if s.ClusterID != "" {
		all = append(all, "-Dhigh-availability.cluster-id="+s.ClusterID)
		if s.Election == electionByKubernetes {
			all = append(all, "-Dkubernetes.cluster-id="+s.ClusterID)
		}
	}
	return append(all, s.Arguments...)
}

const electionByKubernetes = "kubernetes"

// pod is what pods of both roles have in addition: a volume for state, and secrets of the team by name.
func (d *Driver) pod(s cluster.Spec) []operation {
	var all []operation
	if s.Team != "" { // reporters are the definition's; it has no effect without one
		all = append(all, variable("FLINK_ENTRYPOINT_METRICS", "labels.team="+s.Team))
	}
	mount := func(name, at string, volume object, readOnly bool) {
		volume["name"] = name
		all = append(all, operation{"add", "/spec/template/spec/volumes/-", volume},
			operation{"add", container + "/volumeMounts/-", object{"name": name, "mountPath": at, "readOnly": readOnly}})
	}
	if d.o.StateClaim != "" {
		mount("flink-state", stateDir, object{"persistentVolumeClaim": object{"claimName": d.o.StateClaim}}, false)
	}
	for i, name := range s.Secrets {
		// A team's secrets have its name before a dot, which no name of a team has: no team can name another's.
		mount("secret-"+strconv.Itoa(i+1), path.Join(secretsDir, name), object{"secret": object{"secretName": s.Team + "." + name}}, true)
	}
	if s.ClusterID != "" && s.Election != electionByKubernetes {
		all = append(all, operation{"replace", "/spec/template/spec/automountServiceAccountToken", false})
	}
	return all
}
