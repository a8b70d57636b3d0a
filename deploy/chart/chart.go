// Package chart makes the templates of the Helm chart deploy/chart/flink from the Kustomize folders of deploy/, and the values.yaml of both
// charts from their values.schema.json. So a manifest is defined in deploy/ only, and a value, its default and its description in a schema
// only. "go run ./deploy/chart/make" writes the files; a test compares the committed files with what the package makes.
package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Values are the values of the chart flink, as values.schema.json describes them. A zero value leaves what deploy/ has.
type Values struct {
	Cluster           string           `json:"cluster"`
	Image             Image            `json:"image,omitzero"`
	OfficialImage     OfficialImage    `json:"officialImage,omitzero"`
	ImagePullSecrets  []any            `json:"imagePullSecrets,omitempty"`
	Definition        Definition       `json:"definition,omitzero"`
	JobManager        Size             `json:"jobManager,omitzero"`
	TaskManager       TaskManager      `json:"taskManager,omitzero"`
	HighAvailability  HighAvailability `json:"highAvailability,omitzero"`
	Reactive          Reactive         `json:"reactive,omitzero"`
	DisruptionBudget  Switch           `json:"disruptionBudget,omitzero"`
	NetworkPolicy     Switch           `json:"networkPolicy,omitzero"`
	TopologySpread    Switch           `json:"topologySpread,omitzero"`
	PodMonitor        Switch           `json:"podMonitor,omitzero"`
	ScrapeAnnotations Switch           `json:"scrapeAnnotations,omitzero"`
	Env               []any            `json:"env,omitempty"`
	Volumes           []any            `json:"volumes,omitempty"`
	VolumeMounts      []any            `json:"volumeMounts,omitempty"`
}

// Image is where an image is.
type Image struct {
	Repository string `json:"repository,omitempty"`
	Tag        string `json:"tag,omitempty"`
}

// OfficialImage is Flink's own image, in which an initContainer installs the entrypoint.
type OfficialImage struct {
	Enabled bool `json:"enabled"`
	Image
}

// Definition says where the pods have the definition of the job from: a text, or a URL with the digest of what is there.
type Definition struct {
	Inline   string            `json:"inline,omitempty"`
	URL      string            `json:"url,omitempty"`
	SHA256   string            `json:"sha256,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
}

// Size is what a container asks for.
type Size struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
}

// TaskManager is the size and number of TaskManagers.
type TaskManager struct {
	Replicas int `json:"replicas,omitempty"`
	Size
}

// HighAvailability is the component of this name.
type HighAvailability struct {
	Enabled      bool   `json:"enabled"`
	Storage      string `json:"storage,omitempty"`
	StorageClass string `json:"storageClass,omitempty"`
}

// Reactive is the component of this name.
type Reactive struct {
	Enabled     bool `json:"enabled"`
	MinReplicas int  `json:"minReplicas,omitempty"`
	MaxReplicas int  `json:"maxReplicas,omitempty"`
	CPU         int  `json:"cpu,omitempty"`
}

// Switch is a component without settings.
type Switch struct {
	Enabled bool `json:"enabled"`
}

// Overlay is the Kustomize folder that makes what the chart makes of the values for a release: file → text. deploy is the path from the folder
// to the project's deploy/. A definition's ConfigMap has no digest in its name here, because Helm cannot calculate the digest of Kustomize.
func Overlay(v Values, release, deploy string) (map[string][]byte, error) {
	files := map[string][]byte{}
	k := kustomization{
		APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization",
		Resources:  []string{deploy + "/" + v.Cluster},
		NamePrefix: release + "-",
		// As deploy/overlays/two-clusters, so that a namespace can have several releases.
		Labels: []labels{
			{Pairs: map[string]string{"cluster": release}, IncludeSelectors: true},
			{Pairs: map[string]string{"app.kubernetes.io/instance": release, "app.kubernetes.io/managed-by": "Helm"}, IncludeTemplates: true},
		},
	}
	k.GeneratorOptions.DisableNameSuffixHash = true
	for _, c := range v.components() {
		k.Components = append(k.Components, deploy+"/components/"+c)
	}
	switch {
	case v.Definition.Inline != "":
		files["definition.yaml"] = []byte(v.Definition.Inline)
		k.ConfigMapGenerator = []configMap{{Name: "flink-definition", Files: []string{"definition.yaml"}}}
	case v.Definition.URL != "":
		m := configMap{Name: "flink-definition", Literals: []string{"FLINK_ENTRYPOINT_DEFINITION=" + v.Definition.URL, "FLINK_ENTRYPOINT_DEFINITION_SHA256=" + v.Definition.SHA256}}
		for _, name := range slices.Sorted(maps.Keys(v.Definition.Settings)) {
			m.Literals = append(m.Literals, name+"="+v.Definition.Settings[name])
		}
		k.ConfigMapGenerator = []configMap{m}
	}
	for _, i := range []image{{"flink-entrypoint", v.Image.Repository, v.Image.Tag}, {"flink", v.OfficialImage.Repository, v.OfficialImage.Tag}} {
		if i.NewName != "" || i.NewTag != "" {
			k.Images = append(k.Images, i)
		}
	}
	if n := v.TaskManager.Replicas; n > 0 && !v.Reactive.Enabled {
		k.Replicas = []replicas{{Name: "flink-taskmanager", Count: n}}
	}
	if err := k.patches(v); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(k, "", " ")
	files["kustomization.yaml"] = text
	return files, err
}

// components are the folders that the values add, in the order in which they are added.
func (v *Values) components() []string {
	var list []string
	for _, c := range []struct {
		name    string
		enabled bool
	}{
		{"definition-configmap", v.Definition.Inline != ""},
		{"definition-http", v.Definition.URL != ""},
		{"high-availability", v.HighAvailability.Enabled},
		{"reactive", v.Reactive.Enabled},
		{"official-image", v.OfficialImage.Enabled},
		{"disruption-budget", v.DisruptionBudget.Enabled},
		{"network-policy", v.NetworkPolicy.Enabled},
		{"topology-spread", v.TopologySpread.Enabled},
		{"pod-monitor", v.PodMonitor.Enabled},
		{"scrape-annotations", v.ScrapeAnnotations.Enabled},
		{"images", true}, // last: it gives names and tags to the images of all others
	} {
		if c.enabled {
			list = append(list, c.name)
		}
	}
	return list
}

// patches are the changes that have no transformer of their own in Kustomize.
func (k *kustomization) patches(v Values) error {
	const pod = "/spec/template/spec"
	resources := func(s Size) (list []operation) {
		if s.CPU != "" {
			list = append(list, operation{"replace", pod + "/containers/0/resources/requests/cpu", s.CPU})
		}
		if s.Memory != "" {
			list = append(list, operation{"replace", pod + "/containers/0/resources/limits/memory", s.Memory})
		}
		return list
	}
	var all, claim, scaler []operation
	for _, list := range []struct {
		path  string
		items []any
	}{{pod + "/containers/0/env/-", v.Env}, {pod + "/containers/0/volumeMounts/-", v.VolumeMounts}, {pod + "/volumes/-", v.Volumes}} {
		for _, item := range list.items {
			all = append(all, operation{"add", list.path, item})
		}
	}
	if len(v.ImagePullSecrets) > 0 {
		all = append(all, operation{"add", pod + "/imagePullSecrets", v.ImagePullSecrets})
	}
	// State outlives the release: a new one, or a mistyped "helm uninstall", must not remove it.
	claim = append(claim, operation{"add", "/metadata/annotations", map[string]string{"helm.sh/resource-policy": "keep"}})
	if s := v.HighAvailability.Storage; s != "" {
		claim = append(claim, operation{"replace", "/spec/resources/requests/storage", s})
	}
	if c := v.HighAvailability.StorageClass; c != "" {
		claim = append(claim, operation{"add", "/spec/storageClassName", c})
	}
	for _, n := range []struct {
		path  string
		value int
	}{{"/spec/minReplicas", v.Reactive.MinReplicas}, {"/spec/maxReplicas", v.Reactive.MaxReplicas}, {"/spec/metrics/0/resource/target/averageUtilization", v.Reactive.CPU}} {
		if n.value > 0 {
			scaler = append(scaler, operation{"replace", n.path, n.value})
		}
	}
	const workloads = "Deployment|StatefulSet|Job"
	for _, p := range []struct {
		target     target
		operations []operation
	}{
		{target{Kind: workloads, LabelSelector: "component=jobmanager"}, resources(v.JobManager)},
		{target{Kind: workloads, LabelSelector: "component=taskmanager"}, resources(v.TaskManager.Size)},
		{target{Kind: workloads, LabelSelector: "app=flink"}, all},
		{target{Kind: "PersistentVolumeClaim"}, claim},
		{target{Kind: "HorizontalPodAutoscaler"}, scaler},
	} {
		if len(p.operations) == 0 {
			continue
		}
		text, err := json.Marshal(p.operations)
		if err != nil {
			return fmt.Errorf("a patch of %s: %w", p.target.Kind, err)
		}
		k.Patches = append(k.Patches, patch{Target: p.target, Patch: string(text)})
	}
	return nil
}

// kustomization is the part of the file kustomization.yaml that an overlay needs.
type kustomization struct {
	APIVersion         string      `json:"apiVersion"`
	Kind               string      `json:"kind"`
	Resources          []string    `json:"resources"`
	Components         []string    `json:"components"`
	NamePrefix         string      `json:"namePrefix"`
	Labels             []labels    `json:"labels"`
	Images             []image     `json:"images,omitempty"`
	Replicas           []replicas  `json:"replicas,omitempty"`
	ConfigMapGenerator []configMap `json:"configMapGenerator,omitempty"`
	GeneratorOptions   struct {
		DisableNameSuffixHash bool `json:"disableNameSuffixHash"`
	} `json:"generatorOptions"`
	Patches []patch `json:"patches,omitempty"`
}

type labels struct {
	Pairs            map[string]string `json:"pairs"`
	IncludeSelectors bool              `json:"includeSelectors,omitempty"`
	IncludeTemplates bool              `json:"includeTemplates,omitempty"`
}

type image struct {
	Name    string `json:"name"`
	NewName string `json:"newName,omitempty"`
	NewTag  string `json:"newTag,omitempty"`
}

type replicas struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

type configMap struct {
	Name     string   `json:"name"`
	Files    []string `json:"files,omitempty"`
	Literals []string `json:"literals,omitempty"`
}

type patch struct {
	Target target `json:"target"`
	Patch  string `json:"patch"`
}

type target struct {
	Kind          string `json:"kind"`
	LabelSelector string `json:"labelSelector,omitempty"`
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}
