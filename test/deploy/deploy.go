//go:build deploy || container || kubelet || kubernetes

package deploy

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// root is the project, as the tests see it.
const root = "../.."

// What reads the manifests, in fixed versions. kubectl has a kustomize of its own, which reads them too.
const (
	kustomizeModule = "sigs.k8s.io/kustomize/kustomize/v5@v5.8.1"
	schemasPackage  = "kubernetes-validate==1.37.0"
	helmModule      = "helm.sh/helm/v4/cmd/helm@v4.3.1"
	helm3Module     = "helm.sh/helm/v3/cmd/helm@v3.22.0" // which many still use
)

// versions are the versions whose schemas the manifests must match: the oldest in which all that is used is there for good (podFailurePolicy), and the newest.
var versions = []string{"1.31", "1.37"}

//go:embed check.py
var checkScript string

// tools brings kustomize and the schemas once and keeps them in the cache folder ($FLINK_ENTRYPOINT_CACHE, else flink-entrypoint in the
// user's cache folder).
type tools struct{ dir, kustomize, python string }

// toolsDir is where they are.
func toolsDir() (string, error) {
	cache := os.Getenv("FLINK_ENTRYPOINT_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(base, "flink-entrypoint")
	}
	dir := filepath.Join(cache, "kubernetes")
	return dir, os.MkdirAll(dir, 0o755)
}

func openTools(ctx context.Context) (*tools, error) {
	dir, err := toolsDir()
	if err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	t := &tools{dir: dir, python: filepath.Join(dir, schemasPackage, "bin", "python3")}
	if t.kustomize, err = install(ctx, dir, kustomizeModule); err != nil {
		return nil, err
	}
	venv := filepath.Join(dir, schemasPackage)
	if ready := filepath.Join(venv, "ready"); !exists(ready) {
		if _, err := exec.LookPath("python3"); err != nil {
			return nil, errors.New("python3 is missing: apt-get install python3-pip python3-venv")
		}
		if err := loud(exec.CommandContext(ctx, "python3", "-m", "venv", "--clear", venv)); err != nil {
			return nil, fmt.Errorf("%w\nhint: apt-get install python3-venv", err)
		}
		if err := loud(exec.CommandContext(ctx, t.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", schemasPackage)); err != nil {
			return nil, err
		}
		if err := os.WriteFile(ready, nil, 0o644); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// install builds the program of a module in a fixed version, once, and returns where it is.
func install(ctx context.Context, dir, module string) (string, error) {
	command, version, _ := strings.Cut(module, "@")
	name := path.Base(command)
	if name == "v5" {
		name = "kustomize" // the end of a module's path is its major version
	}
	bin := filepath.Join(dir, name+"-"+version)
	program := filepath.Join(bin, name)
	if exists(program) {
		return program, nil
	}
	cmd := exec.CommandContext(ctx, "go", "install", module)
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "CGO_ENABLED=0")
	return program, loud(cmd)
}

// lock lets one process at a time bring something into dir.
func lock(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// loud runs a command; its failure carries what it printed.
func loud(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// build returns what "kubectl apply -k" would send.
func (t *tools) build(ctx context.Context, folder string) (string, error) {
	cmd := exec.CommandContext(ctx, t.kustomize, "build", folder)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("kustomize build %s: %w\n%s", folder, err, stderr.Bytes())
	}
	if stderr.Len() > 0 {
		return "", fmt.Errorf("kustomize build %s warns: %s", folder, stderr.Bytes())
	}
	return string(out), nil
}

// checked is what check.py says of one stream of manifests.
type checked struct {
	Objects  []object
	Problems []string // what the schemas forbid
}

// check reads streams of manifests and holds them against the schemas of versions.
func (t *tools) check(ctx context.Context, streams map[string]string, versions ...string) (map[string]checked, error) {
	files, err := t.definitions(ctx, streams)
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(map[string]any{"streams": streams, "definitions": files})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, t.python, append([]string{"-c", checkScript}, versions...)...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("check.py: %w\n%s", err, stderr.Bytes())
	}
	var answer map[string]checked
	return answer, json.Unmarshal(out, &answer)
}

// overlay writes a kustomization into the empty directory dir, as a user would write one of their own: a folder of deploy/ with other
// images and with more lines, which may name folders of deploy/. It returns the result, checked against the schemas.
func (t *tools) overlay(ctx context.Context, dir, folder, ours, official, more string) ([]object, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	up, err := filepath.Rel(dir, root)
	if err != nil {
		return nil, err
	}
	image := func(name, local string) string {
		repository, tag, _ := strings.Cut(local, ":")
		return fmt.Sprintf("  - {name: %s, newName: %s, newTag: %s}\n", name, repository, tag)
	}
	more = strings.ReplaceAll(more, "deploy/", filepath.Join(up, "deploy")+"/")
	text := "resources: [" + filepath.Join(up, folder) + "]\nimages:\n" + image("flink-entrypoint", ours) + image("flink", official) + more
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	manifests, err := t.build(ctx, dir)
	if err != nil {
		return nil, err
	}
	answers, err := t.check(ctx, map[string]string{"": manifests}, versions...)
	if err != nil {
		return nil, err
	}
	if p := answers[""].Problems; len(p) > 0 {
		return nil, errors.New(strings.Join(p, "\n"))
	}
	return answers[""].Objects, nil
}

// Bring brings what [Overlay] needs, for tests that have no network later.
func Bring(ctx context.Context) error {
	t, err := openTools(ctx)
	if err != nil {
		return err
	}
	for _, c := range customKinds() {
		if _, err := t.definition(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// Manifest is an object for tests outside of this package.
type Manifest struct {
	Kind      string
	Component string // the role of its pods, "" for what makes no pods
	JSON      map[string]json.RawMessage
}

// Overlay builds a folder of deploy/ as a user would that has a kustomization of their own in dir (an empty directory): with the names of our
// image and of the official one, and with more lines, in which deploy/… may stand for a folder. The result has passed the schemas.
func Overlay(ctx context.Context, dir, folder, ours, official, more string) ([]Manifest, error) {
	t, err := openTools(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := t.overlay(ctx, dir, folder, ours, official, more)
	if err != nil {
		return nil, err
	}
	var list []Manifest
	for i := range objects {
		m := Manifest{Kind: objects[i].Kind, JSON: objects[i].raw}
		if objects[i].workload() {
			m.Component = objects[i].component()
		}
		list = append(list, m)
	}
	return list, nil
}

// folders returns every folder below a folder of deploy that can be applied: the folders whose kustomization is not a component.
func folders(root, below string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(filepath.Join(root, below), func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != filepath.Join(root, below) && slices.Contains([]string{"operator", "platform"}, filepath.Base(path)) && filepath.Dir(path) == filepath.Join(root, "deploy") {
			return filepath.SkipDir // of other kinds; what the platform applies is tested with its driver
		}
		if err != nil || d.Name() != "kustomization.yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), "\nkind: Component\n") {
			rel, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			found = append(found, rel)
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}

// object is a manifest, in the parts that the tests look at.
type object struct {
	APIVersion string
	Kind       string
	Metadata   metadata
	Spec       struct {
		Replicas         *int
		Selector         json.RawMessage // a Service's is a map, a workload's has matchLabels
		Ports            []port
		Template         template
		PodFailurePolicy *struct{ Rules []rule }
		ServiceName      string
	}
	Data     map[string]string
	RoleRef  struct{ Kind, Name string }
	Subjects []struct{ Kind, Name string }

	raw map[string]json.RawMessage
}

type metadata struct {
	Name        string
	Labels      map[string]string
	Annotations map[string]string
}

type port struct {
	Name                string
	Port, ContainerPort int
}

type rule struct {
	Action      string
	OnExitCodes *struct {
		ContainerName, Operator string
		Values                  []int
	}
}

type template struct {
	Metadata metadata
	Spec     podSpec
}

type podSpec struct {
	SecurityContext struct {
		RunAsNonRoot   bool
		RunAsUser      int
		FSGroup        int
		SeccompProfile struct{ Type string }
	}
	RestartPolicy      string
	ServiceAccountName string
	InitContainers     []containerSpec
	Containers         []containerSpec
	Volumes            []struct {
		Name                  string
		ConfigMap             struct{ Name string }
		PersistentVolumeClaim struct{ ClaimName string }
	}
}

type containerSpec struct {
	Name, Image     string
	Command, Args   []string
	Env             []variable
	EnvFrom         []struct{ ConfigMapRef struct{ Name string } }
	Ports           []port
	Resources       struct{ Limits, Requests map[string]string }
	StartupProbe    probe
	LivenessProbe   probe
	SecurityContext struct {
		ReadOnlyRootFilesystem   bool
		AllowPrivilegeEscalation *bool
		Capabilities             struct{ Drop []string }
	}
	VolumeMounts []struct{ Name, MountPath string }
}

type variable struct {
	Name, Value string
	ValueFrom   struct {
		FieldRef         struct{ FieldPath string }
		ResourceFieldRef struct{ ContainerName, Resource string }
		SecretKeyRef     struct{ Name, Key string }
	}
}

type probe struct{ Exec struct{ Command []string } }

// UnmarshalJSON keeps the whole manifest beside the parts.
func (o *object) UnmarshalJSON(text []byte) error {
	type plain object
	if err := json.Unmarshal(text, (*plain)(o)); err != nil {
		return err
	}
	return json.Unmarshal(text, &o.raw)
}

// workload reports whether the object makes Flink's pods.
func (o *object) workload() bool {
	return slices.Contains([]string{"Deployment", "StatefulSet", "Job"}, o.Kind)
}

// component is the role of the object's pods: jobmanager or taskmanager.
func (o *object) component() string { return o.Metadata.Labels["component"] }

// Build builds a folder by the program kustomize, as "kubectl kustomize" does, and holds the result against the schemas of Kubernetes. It returns
// the objects as the program printed them.
func Build(ctx context.Context, folder string) (string, error) {
	t, err := openTools(ctx)
	if err != nil {
		return "", err
	}
	manifests, err := t.build(ctx, folder)
	if err != nil {
		return "", err
	}
	answers, err := t.check(ctx, map[string]string{"": manifests}, versions...)
	if err == nil && len(answers[""].Problems) > 0 {
		err = errors.New(strings.Join(answers[""].Problems, "\n"))
	}
	return manifests, err
}
