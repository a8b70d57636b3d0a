//go:build deploy

package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flink-entrypoint/internal/phase"
	"flink-entrypoint/test/world"
)

// built is everything that can be applied: folder → manifests, each checked against the schemas.
func built(t *testing.T) map[string][]object {
	t.Helper()
	tools, err := openTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := folders(root, "deploy")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d folders can be applied: %v", len(all), all)
	}
	answers := buildAndCheck(t, tools, all)
	found := map[string][]object{}
	for folder, c := range answers {
		for _, p := range c.Problems {
			t.Errorf("%s: %s", folder, p)
		}
		found[folder] = c.Objects
	}
	return found
}

// TestDeploy builds every folder once and looks at what comes out.
func TestDeploy(t *testing.T) {
	all, binary := built(t), world.Binary(t)
	t.Run("manifests", func(t *testing.T) { manifests(t, all, knownFlags(t)) })
	t.Run("two clusters", func(t *testing.T) { twoClusters(t, all["deploy/overlays/two-clusters"]) })
	t.Run("failure policy", func(t *testing.T) { failurePolicy(t, all) })
	t.Run("plans", func(t *testing.T) { plans(t, all, binary) })
	t.Run("page", func(t *testing.T) { documented(t, all) })
	t.Run("definitions", func(t *testing.T) { definitions(t, all, binary) })
}

// manifests holds the objects of each folder against what a pod must have, and against each other.
func manifests(t *testing.T, all map[string][]object, flags []string) {
	tags := map[string]string{}
	for folder, objects := range all {
		t.Run(folder, func(t *testing.T) {
			for _, objects := range clusters(objects) {
				manifestsOf(t, objects, flags, tags)
			}
		})
	}
	if len(tags) != 2 {
		t.Errorf("images %v, expected ours and the official one", tags)
	}
}

// manifestsOf is the same for one cluster.
func manifestsOf(t *testing.T, objects []object, flags []string, tags map[string]string) {
	roles := map[string]int{}
	for i := range objects {
		o := &objects[i]
		checkLabels(t, o)
		if o.workload() {
			roles[o.component()]++
			checkPod(t, o)
			checkNames(t, o, objects)
			checkVariables(t, o, flags)
			for _, c := range slices.Concat(o.Spec.Template.Spec.InitContainers, o.Spec.Template.Spec.Containers) {
				name, tag, ok := strings.Cut(c.Image, ":")
				if have := tags[name]; !ok || have != "" && have != tag {
					t.Errorf("%s: the image %s has no tag, or another than elsewhere (%s)", o.Metadata.Name, c.Image, have)
				}
				tags[name] = tag
			}
		}
		if o.Kind == "Service" {
			checkService(t, o, objects)
		}
	}
	if roles["jobmanager"] != 1 || roles["taskmanager"] != 1 || len(roles) != 2 {
		t.Errorf("workloads by component: %v, expected a JobManager and TaskManagers", roles)
	}
	sameDefinition(t, objects)
	checkPolicies(t, objects)
}

// checkPod: what a careful platform asks of every pod and container.
func checkPod(t *testing.T, o *object) {
	p := o.Spec.Template.Spec
	if !p.SecurityContext.RunAsNonRoot || p.SecurityContext.RunAsUser != 9999 || p.SecurityContext.FSGroup != 9999 || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("%s: security context of the pod: %+v", o.Metadata.Name, p.SecurityContext)
	}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		s := c.SecurityContext
		if !s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s: security context of %s: %+v", o.Metadata.Name, c.Name, s)
		}
	}
	if len(p.Containers) != 1 || p.Containers[0].Name != "flink" {
		t.Fatalf("%s: containers %+v, expected one that is called flink", o.Metadata.Name, p.Containers)
	}
	c := p.Containers[0]
	for kind, probe := range map[string]probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe} {
		command := probe.Exec.Command
		if len(command) != 3 || filepath.Base(command[0]) != "flink-entrypoint" || command[1] != "health" || command[2] != o.component() {
			t.Errorf("%s: %s probe %q, expected flink-entrypoint health %s", o.Metadata.Name, kind, command, o.component())
		}
		if dir := filepath.Dir(command[0]); dir != "/usr/local/bin" && !slices.ContainsFunc(c.VolumeMounts, func(m struct{ Name, MountPath string }) bool { return m.MountPath == dir }) {
			t.Errorf("%s: the program of the %s probe, %s, is not in the container", o.Metadata.Name, kind, command[0])
		}
	}
	if c.Resources.Limits["memory"] == "" {
		t.Errorf("%s: no memory limit, from which Flink is sized", o.Metadata.Name)
	}
	if _, ok := c.Resources.Requests["memory"]; ok {
		t.Errorf("%s: a memory request beside the limit: Kubernetes takes the limit by itself, and a size would be in two places", o.Metadata.Name)
	}
	var order []string
	for _, i := range p.InitContainers {
		order = append(order, i.Name)
	}
	if want := []string{"install", "render"}[:len(order)]; !slices.Equal(order, want) {
		t.Errorf("%s: initContainers %v, expected %v", o.Metadata.Name, order, want)
	}
}

// checkNames: everything that a pod refers to is there.
func checkNames(t *testing.T, o *object, objects []object) {
	has := func(kind, name string) bool { return has(objects, kind, name) }
	p := o.Spec.Template.Spec
	var selector struct{ MatchLabels map[string]string }
	if o.Kind != "Job" {
		if err := json.Unmarshal(o.Spec.Selector, &selector); err != nil || !within(selector.MatchLabels, o.Spec.Template.Metadata.Labels) {
			t.Errorf("%s: selects %v, its pods are %v", o.Metadata.Name, selector.MatchLabels, o.Spec.Template.Metadata.Labels)
		}
	}
	if o.Spec.ServiceName != "" && !has("Service", o.Spec.ServiceName) {
		t.Errorf("%s: no Service %s", o.Metadata.Name, o.Spec.ServiceName)
	}
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
		if name := v.ConfigMap.Name; name != "" && !has("ConfigMap", name) {
			t.Errorf("%s: no ConfigMap %s", o.Metadata.Name, name)
		}
		if name := v.PersistentVolumeClaim.ClaimName; name != "" && !has("PersistentVolumeClaim", name) {
			t.Errorf("%s: no PersistentVolumeClaim %s", o.Metadata.Name, name)
		}
	}
	if name := p.ServiceAccountName; name != "" && !has("ServiceAccount", name) {
		t.Errorf("%s: no ServiceAccount %s", o.Metadata.Name, name)
	}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: %s mounts %s, which is not a volume of the pod", o.Metadata.Name, c.Name, m.Name)
			}
		}
		for _, e := range c.EnvFrom {
			if !has("ConfigMap", e.ConfigMapRef.Name) {
				t.Errorf("%s: no ConfigMap %s", o.Metadata.Name, e.ConfigMapRef.Name)
			}
		}
		for _, v := range c.Env {
			if r := v.ValueFrom.ResourceFieldRef; r.ContainerName != "" && (r.ContainerName != "flink" || r.Resource != "limits.memory") {
				t.Errorf("%s: %s of %s comes from %+v, expected the memory limit of flink", o.Metadata.Name, v.Name, c.Name, r)
			}
		}
	}
}

// checkVariables: a mistyped variable would be ignored, with a warning that is easily missed.
func checkVariables(t *testing.T, o *object, flags []string) {
	p := o.Spec.Template.Spec
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		for _, v := range c.Env {
			if strings.HasPrefix(v.Name, "FLINK_ENTRYPOINT_") && !slices.Contains(flags, v.Name) {
				t.Errorf("%s: %s sets %s, and no flag answers to it", o.Metadata.Name, c.Name, v.Name)
			}
			if f := v.ValueFrom.FieldRef.FieldPath; f != "" {
				want := map[string]string{"POD_IP": "status.podIP", "POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}[v.Name]
				if f != want {
					t.Errorf("%s: %s comes from %s, expected %q", o.Metadata.Name, v.Name, f, want)
				}
			}
		}
	}
}

// checkService: it leads to the JobManager, at ports that it has.
func checkService(t *testing.T, service *object, objects []object) {
	var selector map[string]string
	if err := json.Unmarshal(service.Spec.Selector, &selector); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if !o.workload() || !within(selector, o.Spec.Template.Metadata.Labels) {
			continue
		}
		have := portsOf(&o)
		for _, p := range service.Spec.Ports {
			if !slices.Contains(have, p.Port) || o.component() != "jobmanager" {
				t.Errorf("the Service has the port %d, the %s %v", p.Port, o.component(), have)
			}
		}
		return
	}
	t.Errorf("the Service %s leads nowhere: %v", service.Metadata.Name, selector)
}

// sameDefinition: JobManager and TaskManagers read one definition, or none.
func sameDefinition(t *testing.T, objects []object) {
	var seen []string
	for _, o := range objects {
		if !o.workload() {
			continue
		}
		var parts []string
		c := o.Spec.Template.Spec.Containers[0]
		for _, v := range c.Env {
			if strings.HasPrefix(v.Name, "FLINK_ENTRYPOINT_DEFINITION") {
				parts = append(parts, v.Name+"="+v.Value)
			}
		}
		for _, e := range c.EnvFrom {
			parts = append(parts, e.ConfigMapRef.Name)
		}
		for _, v := range o.Spec.Template.Spec.Volumes {
			if v.ConfigMap.Name != "" {
				parts = append(parts, v.ConfigMap.Name)
			}
		}
		seen = append(seen, strings.Join(parts, " "))
	}
	if len(seen) != 2 || seen[0] != seen[1] {
		t.Errorf("the groups read different definitions: %q", seen)
	}
}

// stopped and the number of a signal make the exit code of a process that one has ended.
const stopped = 128

// failurePolicy holds the Job's policy against the exit codes of the program.
func failurePolicy(t *testing.T, all map[string][]object) {
	retry := []phase.Phase{phase.DefinitionFetch, phase.Limits, phase.Artifact}
	want := map[string][]int{}
	for _, p := range phases(t) {
		switch {
		case p.ExitCode() > stopped: // the pod was asked to end, which says nothing about the job
		case slices.Contains(retry, p):
			want["Count"] = append(want["Count"], p.ExitCode())
		default:
			want["FailJob"] = append(want["FailJob"], p.ExitCode())
		}
	}
	for action := range want {
		slices.Sort(want[action])
		want[action] = slices.Compact(want[action])
	}
	jobs := 0
	for folder, objects := range all {
		for _, o := range objects {
			if o.Kind != "Job" {
				continue
			}
			jobs++
			if o.Spec.PodFailurePolicy == nil {
				t.Errorf("%s: no podFailurePolicy", folder)
				continue
			}
			if o.Spec.Template.Spec.RestartPolicy != "Never" {
				t.Errorf("%s: restartPolicy %s, expected Never", folder, o.Spec.Template.Spec.RestartPolicy)
			}
			have := map[string][]int{}
			for _, r := range o.Spec.PodFailurePolicy.Rules {
				if c := r.OnExitCodes; c != nil {
					if c.ContainerName != "flink" || c.Operator != "In" {
						t.Errorf("%s: the rule is for %s %s", folder, c.ContainerName, c.Operator)
					}
					have[r.Action] = c.Values
				}
			}
			if !maps.EqualFunc(have, want, slices.Equal) {
				t.Errorf("%s: codes by action %v, the program has %v", folder, have, want)
			}
		}
	}
	if jobs == 0 {
		t.Error("there is no Job")
	}
}

// phases reads the phases out of the code: a new one must find its place in the policy.
func phases(t *testing.T) []phase.Phase {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal", "phase", "phase.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []phase.Phase
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Phase" {
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, phase.Phase(text))
			}
		}
		return true
	})
	if len(found) < 15 {
		t.Fatalf("found the phases %v", found)
	}
	return found
}

// TestOnce: a size is set in one place, and so is what binds the groups of a cluster.
func TestOnce(t *testing.T) {
	places := map[string][]string{}
	size := regexp.MustCompile(`(?i)\b[0-9]+(\.[0-9]+)?(Mi|Gi|Ki|m|g|mb|gb)\b`)
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && (path == filepath.Join(root, "deploy", "chart") || path == filepath.Join(root, "deploy", "monitoring")) {
			return fs.SkipDir // TestChart compares the defaults of the charts with the manifests; dashboards and rules have times
		}
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, " #")
			for _, s := range size.FindAllString(line, -1) {
				places["size "+s] = append(places["size "+s], path)
			}
			if strings.Contains(line, "clusterId") {
				_, id, _ := strings.Cut(line, "clusterId: ")
				id, _, _ = strings.Cut(id, ",")
				places["cluster id "+id] = append(places["cluster id "+id], path)
			}
			if strings.Contains(line, "cluster-id") || strings.Contains(line, "process.size") {
				t.Errorf("%s: %s", path, line)
			}
			if strings.Contains(line, "newTag: 2.2-slim") {
				places["tag"] = append(places["tag"], path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, where := range places {
		if len(where) != 1 {
			t.Errorf("%s is set in %v", what, where)
		}
	}
	if len(places) != 8 { // JobManager and TaskManager, here and with the operator, the volume of high availability; two cluster ids; tag
		t.Errorf("found %v", places)
	}
}

// definitions validates the definitions, and that which is pinned by its digest is one of them.
func definitions(t *testing.T, all map[string][]object, binary string) {
	flags := knownFlags(t)
	digests, paths := map[string]string{}, []string{}
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "definition.yaml" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d definitions: %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		digests[hex.EncodeToString(sum[:])] = path
		cmd := exec.CommandContext(t.Context(), binary, "--strict", "--flink-version", "2.2.1", "--definition", path, "validate")
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
	pinned := 0
	for folder, objects := range all {
		for _, o := range objects {
			if digest := o.Data["FLINK_ENTRYPOINT_DEFINITION_SHA256"]; digest != "" {
				pinned++
				if digests[digest] == "" {
					t.Errorf("%s: no definition has the digest %s", folder, digest)
				}
			}
			for name := range o.Data {
				if strings.HasPrefix(name, "FLINK_ENTRYPOINT_") && !slices.Contains(flags, name) {
					t.Errorf("%s: no flag answers to %s", folder, name)
				}
			}
		}
	}
	if pinned == 0 {
		t.Error("no definition is pinned")
	}
}

// knownFlags returns the environment twins of the flags, which a test of the command line keeps in the README.
func knownFlags(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z0-9-]+)").FindAllStringSubmatch(string(text), -1) {
		names = append(names, "FLINK_ENTRYPOINT_"+strings.ToUpper(strings.ReplaceAll(m[1], "-", "_")))
	}
	if len(names) < 25 {
		t.Fatalf("the README names the flags %v", names)
	}
	return names
}

// documented: the page names folders that there are, all that can be applied or added, and its example of an overlay does what it says.
func documented(t *testing.T, all map[string][]object) {
	text, _ := page(t, "sh")
	for _, path := range regexp.MustCompile(`deploy/[a-z/-]*[a-z]`).FindAllString(text, -1) {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Errorf("the page names %s: %v", path, err)
		}
	}
	for _, m := range regexp.MustCompile(`-k (\S+)`).FindAllStringSubmatch(text, -1) {
		if _, ok := all[m[1]]; !ok && strings.HasPrefix(m[1], "deploy/") {
			t.Errorf("the page applies %s, which is nothing to apply", m[1])
		}
	}
	for folder := range all {
		if !strings.Contains(text, folder) {
			t.Errorf("the page does not name %s", folder)
		}
	}
	components, err := os.ReadDir(filepath.Join(root, "deploy", "components"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		if !strings.Contains(text, "`"+c.Name()+"`") && !strings.Contains(text, "components/"+c.Name()) {
			t.Errorf("the page does not name the component %s", c.Name())
		}
	}
	for _, v := range versions {
		if !strings.Contains(text, v) {
			t.Errorf("the page does not name Kubernetes %s, whose schemas are taken", v)
		}
	}
	for _, p := range phases(t) {
		if code := strconv.Itoa(p.ExitCode()); p.ExitCode() <= stopped && !strings.Contains(text, code) {
			t.Errorf("the page does not name the exit code %s", code)
		}
	}
	_, examples := page(t, "yaml")
	if len(examples) != 1 {
		t.Fatalf("%d examples of an overlay", len(examples))
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS(filepath.Join(root, "deploy"))); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "mine")
	if err := os.Mkdir(mine, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"kustomization.yaml": examples[0], "definition.yaml": "mine\n"} {
		if err := os.WriteFile(filepath.Join(mine, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tools, err := openTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := tools.build(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := tools.check(t.Context(), map[string]string{"": manifests}, versions...)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, o := range answers[""].Objects {
		if o.workload() {
			c := o.Spec.Template.Spec.Containers[0]
			seen["image"] = c.Image == "registry.example.com/flink-entrypoint:2.2-slim"
			seen["size"] = seen["size"] || c.Resources.Limits["memory"] == "4Gi"
			seen["replicas"] = seen["replicas"] || o.Spec.Replicas != nil && *o.Spec.Replicas == 4
			checkNames(t, &o, answers[""].Objects)
		}
		seen["definition"] = seen["definition"] || o.Data["definition.yaml"] == "mine\n"
	}
	for _, what := range []string{"image", "size", "replicas", "definition"} {
		if !seen[what] {
			t.Errorf("the example of an overlay does not change the %s", what)
		}
	}
	if len(answers[""].Problems) > 0 {
		t.Error(answers[""].Problems)
	}
}

// buildAndCheck builds folders and holds what comes out against the schemas of every version.
func buildAndCheck(t *testing.T, tools *tools, folders []string) map[string]checked {
	t.Helper()
	streams := map[string]string{}
	for _, folder := range folders {
		stream, err := tools.build(t.Context(), filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		streams[folder] = stream
	}
	answers, err := tools.check(t.Context(), streams, versions...)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}
