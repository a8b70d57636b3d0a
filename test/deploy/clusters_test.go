//go:build deploy

package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// clusters returns the objects by their cluster: the label of that name, which only overlays with several clusters set.
func clusters(objects []object) map[string][]object {
	found := map[string][]object{}
	for _, o := range objects {
		name := o.Metadata.Labels["cluster"]
		found[name] = append(found[name], o)
	}
	return found
}

// within reports whether all of the labels are among others.
func within(labels, others map[string]string) bool {
	for name, value := range labels {
		if others[name] != value {
			return false
		}
	}
	return len(labels) > 0
}

func portsOf(o *object) []int {
	var ports []int
	for _, p := range o.Spec.Template.Spec.Containers[0].Ports {
		ports = append(ports, p.ContainerPort)
	}
	return ports
}

// serviceOf returns the name of the cluster's only Service.
func serviceOf(t *testing.T, objects []object) string {
	t.Helper()
	var names []string
	for _, o := range objects {
		if o.Kind == "Service" {
			names = append(names, o.Metadata.Name)
		}
	}
	if len(names) != 1 {
		t.Fatalf("Services %v, expected one", names)
	}
	return names[0]
}

const recommended = "app.kubernetes.io/"

// checkLabels: objects and pods have the recommended labels, which say the same as Flink's own, and are in no selector.
func checkLabels(t *testing.T, o *object) {
	t.Helper()
	where := o.Kind + " " + o.Metadata.Name
	for _, s := range selectors(t, o) {
		for name := range s.labels {
			if strings.HasPrefix(name, recommended) {
				t.Errorf("%s: %s selects by %s, which other tools may change", where, s.path, name)
			}
		}
	}
	if o.Kind == "ConfigMap" { // the overlay's own
		return
	}
	instance := "flink"
	if cluster := o.Metadata.Labels["cluster"]; cluster != "" {
		instance = cluster
	}
	want := map[string]string{"name": "flink", "instance": instance, "managed-by": "kustomize", "component": o.component()}
	check := func(what string, labels map[string]string) {
		for name, value := range want {
			if have := labels[recommended+name]; have != value {
				t.Errorf("%s: %s: the label %s is %q, expected %q", where, what, recommended+name, have, value)
			}
		}
		if labels["component"] != o.component() || labels["app"] != "flink" {
			t.Errorf("%s: %s: labels %v without Flink's own", where, what, labels)
		}
	}
	check("object", o.Metadata.Labels)
	if o.workload() {
		check("pods", o.Spec.Template.Metadata.Labels)
	}
}

// selector is one of an object: where it is, and the labels that a pod must have.
type selector struct {
	path   string
	labels map[string]string
}

// selectors returns all of an object, wherever they are.
func selectors(t *testing.T, o *object) []selector {
	t.Helper()
	var spec any
	if o.raw["spec"] != nil {
		if err := json.Unmarshal(o.raw["spec"], &spec); err != nil {
			t.Fatal(err)
		}
	}
	var found []selector
	add := func(path string, value any) {
		s := selector{path, map[string]string{}}
		for name, v := range value.(map[string]any) {
			s.labels[name] = fmt.Sprint(v)
		}
		found = append(found, s)
	}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch v := value.(type) {
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		case map[string]any:
			for key, e := range v {
				if key == "matchLabels" || key == "selector" && o.Kind == "Service" {
					add(path+"."+key, e)
				} else {
					walk(path+"."+key, e)
				}
			}
		}
	}
	walk("spec", spec)
	return found
}

// twoClusters: nothing of one cluster is, names or selects something of the other.
func twoClusters(t *testing.T, objects []object) {
	all := clusters(objects)
	if len(all) != 2 || all[""] != nil || len(all["orders"]) != len(all["clicks"]) {
		t.Fatalf("%d clusters, expected orders and clicks, of as many objects", len(all))
	}
	names, kinds, checked := map[string]bool{}, map[string]bool{}, 0
	for cluster, mine := range all {
		for i := range mine {
			o := &mine[i]
			kinds[o.Kind] = true
			where := o.Kind + " " + o.Metadata.Name
			if names[where] || !strings.HasPrefix(o.Metadata.Name, cluster+"-") {
				t.Errorf("%s: the name is there twice, or does not begin with %s-", where, cluster)
			}
			names[where] = true
			for _, s := range selectors(t, o) {
				checked++
				selected := map[string]int{}
				for j := range objects {
					if other := &objects[j]; other.workload() && within(s.labels, other.Spec.Template.Metadata.Labels) {
						selected[other.Metadata.Labels["cluster"]]++
					}
				}
				want := map[string]int{cluster: 1}
				switch s.labels["component"] {
				case "": // JobManagers and TaskManagers
					want[cluster] = 2
				case "client": // not ours, but of the cluster
					want = map[string]int{}
				}
				if fmt.Sprint(selected) != fmt.Sprint(want) || s.labels["cluster"] != cluster {
					t.Errorf("%s: %s %v selects the pods of %v, expected %v", where, s.path, s.labels, selected, want)
				}
			}
			if o.RoleRef.Name != "" && (!has(mine, "Role", o.RoleRef.Name) || !has(mine, "ServiceAccount", o.Subjects[0].Name)) {
				t.Errorf("%s: names a role or account of another cluster: %+v %+v", where, o.RoleRef, o.Subjects)
			}
		}
	}
	for _, kind := range []string{"Service", "StatefulSet", "Deployment", "ConfigMap", "Role", "RoleBinding", "ServiceAccount", "PersistentVolumeClaim", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"} {
		if !kinds[kind] {
			t.Errorf("the clusters have no %s", kind)
		}
	}
	if checked < 30 {
		t.Errorf("only %d selectors", checked)
	}
	ids := map[string]string{}
	for cluster, mine := range all {
		for _, o := range mine {
			for line := range strings.Lines(o.Data["definition.yaml"]) {
				for _, key := range []string{"clusterId: ", "id: "} {
					if _, id, ok := strings.Cut(line, key); ok && (key != "id: " || strings.HasPrefix(line, key)) {
						id, _, _ = strings.Cut(strings.TrimSpace(id), ",")
						if other := ids[key+id]; other != "" {
							t.Errorf("%s and %s have the same %s%s", cluster, other, key, id)
						}
						ids[key+id] = cluster
					}
				}
			}
		}
	}
	if len(ids) != 4 {
		t.Errorf("ids %v, expected a cluster's and a job's of both", ids)
	}
}

func has(objects []object, kind, name string) bool {
	return slices.ContainsFunc(objects, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
}

// TestPrefix: a cluster with a prefix finds its own Service, whoever starts Flink.
func TestPrefix(t *testing.T) {
	tools, err := openTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"deploy/session", "deploy/bounded", "deploy/overlays/streaming-configmap", "deploy/overlays/session-official-image"} {
		t.Run(folder, func(t *testing.T) {
			objects, err := tools.overlay(t.Context(), t.TempDir(), folder, "flink-entrypoint:test", "flink:test", "namePrefix: mine-\n")
			if err != nil {
				t.Fatal(err)
			}
			if service := serviceOf(t, objects); service != "mine-flink-jobmanager" {
				t.Fatalf("the Service is called %s", service)
			}
			addresses := 0
			for i := range objects {
				if o := &objects[i]; o.workload() {
					checkNames(t, o, objects)
					for _, c := range slices.Concat(o.Spec.Template.Spec.InitContainers, o.Spec.Template.Spec.Containers) {
						for _, v := range c.Env {
							if v.Name == "JOB_MANAGER_RPC_ADDRESS" {
								addresses++
								if v.Value != "mine-flink-jobmanager" {
									t.Errorf("%s of %s: %s is %s", c.Name, o.Metadata.Name, v.Name, v.Value)
								}
							}
						}
					}
				}
			}
			if want := map[bool]int{false: 2, true: 4}[strings.Contains(folder, "official")]; addresses != want {
				t.Errorf("%d addresses, expected %d", addresses, want)
			}
		})
	}
}

// policy is a NetworkPolicy, a PodDisruptionBudget or a PodMonitor, in the parts that the test looks at.
type policy struct {
	PodSelector, Selector struct{ MatchLabels map[string]string }
	Ingress               []struct{ Ports []struct{ Port int } }
	PodMetricsEndpoints   []struct{ Port string }
}

// checkPolicies: ports that are allowed or scraped are ports of the selected pods, each port of a pod is allowed, and no budget is for
// the pods of a Job, which would never be evicted.
func checkPolicies(t *testing.T, objects []object) {
	t.Helper()
	monitored := slices.ContainsFunc(objects, func(o object) bool { return o.Kind == "PodMonitor" })
	for _, o := range objects {
		if !slices.Contains([]string{"NetworkPolicy", "PodDisruptionBudget", "PodMonitor"}, o.Kind) {
			continue
		}
		var p policy
		if err := json.Unmarshal(o.raw["spec"], &p); err != nil {
			t.Fatal(err)
		}
		labels := p.Selector.MatchLabels
		if o.Kind == "NetworkPolicy" {
			labels = p.PodSelector.MatchLabels
		}
		selected := 0
		for i := range objects {
			w := &objects[i]
			if !w.workload() || !within(labels, w.Spec.Template.Metadata.Labels) {
				continue
			}
			selected++
			switch o.Kind {
			case "PodDisruptionBudget":
				if w.Kind == "Job" {
					t.Errorf("%s is for the Job %s", o.Metadata.Name, w.Metadata.Name)
				}
			case "PodMonitor":
				for _, e := range p.PodMetricsEndpoints {
					if !slices.ContainsFunc(w.Spec.Template.Spec.Containers[0].Ports, func(c port) bool { return c.Name == e.Port }) {
						t.Errorf("%s scrapes the port %s, which %s has not", o.Metadata.Name, e.Port, w.Metadata.Name)
					}
				}
			case "NetworkPolicy":
				var allowed []int
				for _, rule := range p.Ingress {
					for _, port := range rule.Ports {
						allowed = append(allowed, port.Port)
					}
				}
				have := portsOf(w)
				if !monitored {
					have = append(have, 9249) // allowed for whoever adds the monitor
				}
				slices.Sort(allowed)
				slices.Sort(have)
				if !slices.Equal(allowed, have) {
					t.Errorf("%s allows the ports %v, %s has %v", o.Metadata.Name, allowed, w.Metadata.Name, have)
				}
			}
		}
		if selected == 0 {
			t.Errorf("%s %s selects nothing: %v", o.Kind, o.Metadata.Name, labels)
		}
	}
}

// TestScrapeAnnotations: the annotations name the port of the endpoint, on every pod.
func TestScrapeAnnotations(t *testing.T) {
	tools, err := openTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"deploy/session", "deploy/bounded", "deploy/overlays/streaming-configmap", "deploy/overlays/session-official-image"} {
		t.Run(folder, func(t *testing.T) {
			objects, err := tools.overlay(t.Context(), t.TempDir(), folder, "flink-entrypoint:test", "flink:test", "components: [deploy/components/scrape-annotations]\n")
			if err != nil {
				t.Fatal(err)
			}
			pods := 0
			for i := range objects {
				o := &objects[i]
				if !o.workload() {
					continue
				}
				pods++
				notes := o.Spec.Template.Metadata.Annotations
				if notes["prometheus.io/scrape"] != "true" || notes["prometheus.io/path"] != "/metrics" || notes["prometheus.io/port"] != "9249" {
					t.Errorf("%s: annotations %v", o.Metadata.Name, notes)
				}
				if c := o.Spec.Template.Spec.Containers[0]; !slices.Contains(portsOf(o), 9249) || !slices.ContainsFunc(c.Env, func(v variable) bool { return v.Name == "FLINK_ENTRYPOINT_METRICS" && v.Value == "prometheus=9249" }) {
					t.Errorf("%s: no endpoint at the port of the annotations", o.Metadata.Name)
				}
			}
			if pods != 2 {
				t.Errorf("%d workloads, expected 2", pods)
			}
		})
	}
}
